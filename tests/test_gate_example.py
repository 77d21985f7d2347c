"""The example repository of docs/trust.md: its workflow fits the action, its model and its test do what they say."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hpbench.comparison import parse_rule
from hpbench.readers import load

yaml = pytest.importorskip("yaml")
pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "gate"


def test_the_workflow_gives_the_action_what_it_takes() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    steps = yaml.safe_load((EXAMPLE / "gate.yml").read_text(encoding="utf-8"))["jobs"]["gate"]["steps"]
    (step,) = (s for s in steps if "/hpbench@" in s["uses"])
    assert set(step["with"]) <= set(action["inputs"])
    for rule in step["with"]["fail-if"].splitlines():
        assert parse_rule(rule).text in (EXAMPLE / "test_my_model.py").read_text(encoding="utf-8")
    file, _, name = step["with"]["model"].partition(":")
    assert f"class {name}(" in (EXAMPLE / file).read_text(encoding="utf-8")


def test_the_model_answers_mirrored_pictures_with_mirrored_rotations() -> None:
    spec = importlib.util.spec_from_file_location("my_model", EXAMPLE / "my_model.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    samples = list(load("heads").samples("test", limit=2))
    images, boxes = [s.image.read() for s in samples], np.stack([s.box_xyxy_px for s in samples])
    model, width = module.Mirrored(), np.array([image.shape[1] - 1 for image in images])
    once = model.predict(images, boxes).rotation
    turned = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
    again = model.predict([np.ascontiguousarray(image[:, ::-1]) for image in images], turned).rotation
    assert again == pytest.approx(module.MIRROR @ once @ module.MIRROR, abs=1e-4)
    assert np.linalg.det(once) == pytest.approx(1.0)


def test_its_test_is_found_with_the_plug_in(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--collect-only",
        "-p",
        "hpbench.pytest_plugin",
        "-p",
        "no:cacheprovider",
        "test_my_model.py",
    ]
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([str(EXAMPLE), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0 and "test_no_worse_than_mnn" in done.stdout, done.stdout + done.stderr
