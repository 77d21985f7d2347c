"""The GitHub Action, run as a runner would: the shell of every step, with the environment that it declares."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from hpbench.catalog import dataset_card, split_ids

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = ACTION["runs"]["steps"]
HERE = {"python": sys.executable, "install": "false", "protocol": "heads/pose-hard"}


def run_action(folder: Path, **inputs: str) -> tuple[int, str, str, str]:
    """Exit code, output of all steps, step summary and outputs; the first step that fails ends it."""
    given = {name: entry.get("default", "") for name, entry in ACTION["inputs"].items()}
    given |= {name.replace("_", "-"): value for name, value in inputs.items()}
    assert given.keys() == ACTION["inputs"].keys()
    files = {name: folder / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.touch()
    said = ""
    for step in STEPS:
        if "if" in step and not holds(step["if"], given):
            continue
        environment = {name: expanded(str(value), given) for name, value in step.get("env", {}).items()}
        script = folder / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)], cwd=folder, capture_output=True, text=True, timeout=300,
            env={**os.environ, "GITHUB_ACTIONS": "true", **{k: str(v) for k, v in files.items()}, **environment},
        )  # fmt: skip
        said += done.stdout + done.stderr
        if done.returncode:
            break
    return done.returncode, said, *(file.read_text(encoding="utf-8") for file in reversed(files.values()))


def holds(condition: str, inputs: dict[str, str]) -> bool:
    """``inputs.NAME == 'VALUE'``: all that action.yml needs."""
    match = re.fullmatch(r"inputs\.([\w-]+) == '(\w*)'", condition)
    assert match, condition
    return inputs[match[1]] == match[2]


def expanded(value: str, inputs: dict[str, str]) -> str:
    """Expressions in an environment value, put in as text."""

    def one(match: re.Match[str]) -> str:
        name = match[1].strip()
        return str(ROOT) if name == "github.action_path" else inputs[name.removeprefix("inputs.")]

    return re.sub(r"\$\{\{(.*?)\}\}", one, value)


@pytest.fixture
def zeros(tmp_path: Path) -> Path:
    """Everybody looks straight ahead, which is what the shipped model `frontal` says."""
    ids = split_ids(dataset_card("heads"), "hard") or []
    rows = "".join(f"{i},0,0,0\n" for i in ids)
    path = tmp_path / "zeros.csv"
    path.write_text(f"# convention=yxz\n# boxes=landmarks\n# model=zeros\nsample_id,yaw_deg,pitch_deg,roll_deg\n{rows}", encoding="utf-8")
    return path


def test_inputs_reach_the_shell_as_environment_only() -> None:
    for step in STEPS:
        assert step["shell"] == "bash" and "${{" not in step["run"], step["name"]
        used = set(re.findall(r"\$\{?([A-Z_]+)", step["run"])) - {"GITHUB_OUTPUT"}
        assert used == set(step["env"]), step["name"]
    named = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text(encoding="utf-8")))
    assert named == set(ACTION["inputs"]) and {"model", "predictions", "fail-if"} <= named


def test_the_install_step_installs_the_action_itself(tmp_path: Path) -> None:
    step = STEPS[0]
    pip = tmp_path / "python"
    pip.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    pip.chmod(0o755)
    for extras, expected in (("", "/action|"), ("onnx,mnn", "/action[onnx,mnn]|")):
        environment = {**os.environ, "PYTHON": str(pip), "EXTRAS": extras, "ACTION_PATH": "/action"}
        said = subprocess.run(["bash", "-c", step["run"]], capture_output=True, text=True, env=environment, check=True).stdout
        assert said.startswith("-m|pip|install|") and said.endswith(expected)


def test_predictions_that_are_no_worse_pass(zeros: Path, tmp_path: Path) -> None:
    code, said, summary, outputs = run_action(
        tmp_path, **HERE, predictions=zeros.name, against="frontal", fail_if="geodesic > +0.1\ncoverage < 99%"
    )
    assert code == 0, said
    assert "gate passed: zeros against frontal" in said and "::error" not in said
    assert "| heads/pose-hard@1 | coverage &lt; 99% |" in summary and summary.startswith("**gate passed")
    assert outputs == "records=hpbench-out/gate\n"
    suite = ElementTree.parse(tmp_path / "hpbench-out" / "gate" / "gate.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "0")


def test_predictions_that_are_worse_fail(zeros: Path, tmp_path: Path) -> None:
    code, said, summary, _ = run_action(tmp_path, **HERE, predictions=zeros.name, against="mnn-encoder")
    assert code == 1, said
    errors = [line for line in said.splitlines() if line.startswith("::error")]
    assert len(errors) == 1 and errors[0].startswith("::error title=hpbench gate%2C heads/pose-hard@1::geodesic > +0")
    assert "gate FAILED" in said and summary.startswith("**gate FAILED")
    suite = ElementTree.parse(tmp_path / "hpbench-out" / "gate" / "gate.xml").getroot()
    (failure,) = suite.iter("failure")
    assert "worse by more than the tolerance" in str(failure.get("message"))


def test_a_model_is_run(tmp_path: Path) -> None:
    (tmp_path / "ahead.py").write_text(
        "import numpy as np\nimport hpbench\n\n\nclass Ahead(hpbench.Model):\n    def predict(self, images, boxes_xyxy_px):\n"
        "        return hpbench.Faces(rotation=np.tile(np.eye(3), (len(images), 1, 1)))\n"
    )
    code, said, _, _ = run_action(tmp_path, **HERE, model="ahead.py:Ahead", against="frontal", policy="non-inferior", tolerance="2%")
    assert code == 0 and "policy non-inferior" in said, said


HOSTILE: dict[str, dict[str, Any]] = {
    "a command in the reference": {"against": "$(touch pwned)"},
    "the end of a string": {"against": '"; touch pwned; "'},
    "a command in a rule": {"fail_if": "mae > +`touch pwned`"},
    "options in the file's name": {"predictions": "--help"},
    "neither": {"predictions": ""},
    "both": {"model": "frontal"},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_inputs_are_only_text(case: str, zeros: Path, tmp_path: Path) -> None:
    code, said, _, _ = run_action(tmp_path, **{**HERE, "predictions": zeros.name, "against": "frontal", **HOSTILE[case]})
    assert code == 2 and not (tmp_path / "pwned").exists() and "Traceback" not in said, said
