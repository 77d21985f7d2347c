"""What docs/scaling.md promises: its scripts, by a stand-in for SLURM, and what batches of another size change."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from spread_runs import assert_same_run, hpbench, make_run

from hpbench import jobs
from hpbench.geometry.rotations import geodesic_deg
from hpbench.parts import Shard
from hpbench.predictions import read_predictions

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "examples/slurm").glob("*.sh"))
MOST_DEG, MOST_PX = 1e-4, 1e-3  # docs/scaling.md says so

# Runs what is submitted at once, an array's tasks one after the other, and says a number as sbatch --parsable does.
SBATCH = """#!{python}
import os, pathlib, subprocess, sys
at = next(n for n, text in enumerate(sys.argv) if text.endswith(".sh"))
options, script, rest = sys.argv[1:at], sys.argv[at], sys.argv[at + 1:]
assert "--export=ALL" in options
log = pathlib.Path(__file__).with_name("log")
log.open("a").write(" ".join([*options, pathlib.Path(script).name]) + "\\n")
array = [o.partition("=")[2].split("-") for o in options if o.startswith("--array=")]
tasks = range(int(array[0][0]), int(array[0][1]) + 1) if array else [None]
directives = dict(line[10:].split("=") for line in open(script).read().splitlines() if line.startswith("#SBATCH --") and "=" in line)
for task in tasks:
    here = {{"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": str(len(tasks))}} if array else {{}}
    environment = {{**os.environ, **here, "SLURM_CPUS_PER_TASK": directives["cpus-per-task"]}}
    subprocess.run(["bash", script, *rest], check=True, stdout=sys.stderr, env=environment)
print("4711;cluster")
"""


# `merge` makes no model, whose file cuts the parts so small: here it is done for it.
HPBENCH = """#!{python}
import hpbench.parts
hpbench.parts._FACES_PER_PART = 4
from hpbench.cli import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the scripts are for a POSIX shell")
def test_the_array_of_jobs_and_its_merge(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    program(tmp_path / "bin/sbatch", SBATCH.format(python=sys.executable))
    program(tmp_path / "bin/hpbench", HPBENCH.format(python=sys.executable))
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "OUT": str(tmp_path / "out"), "SHARES": "3"}
    told = subprocess.run(["bash", ROOT / "examples/slurm/submit.sh", *run], env=environment, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "bin/log").read_text().splitlines() == [
        "--parsable --export=ALL --array=0-2 share.sh", "--export=ALL --dependency=afterok:4711 merge.sh"
    ]  # fmt: skip
    assert hpbench("run", *run, "-o", tmp_path / "whole").returncode == 0
    assert_same_run(tmp_path / "whole", tmp_path / "out")


def program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_scripts_are_sound(script: Path) -> None:
    if (shellcheck := shutil.which("shellcheck")) is not None:
        assert subprocess.run([shellcheck, script], capture_output=True).returncode == 0
    elif (bash := shutil.which("bash")) is not None:
        assert subprocess.run([bash, "-n", script], capture_output=True).returncode == 0
    else:
        pytest.skip("there is neither shellcheck nor bash")


def test_the_matrix_of_a_workflow(tmp_path: Path) -> None:
    """Its commands, with what an artifact holds: the content of a share's folder."""
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((ROOT / "examples/ci-matrix.yml").read_text())
    share, merge = workflow["jobs"]["share"], workflow["jobs"]["merge"]
    commands = [step["run"] for job in (share, merge) for step in job["steps"] if step.get("run", "").startswith("hpbench ")]
    assert commands == ["hpbench run -m mnn -d heads -o out --shard ${{ matrix.share }}/4", "hpbench merge shares -o out"]
    upload = next(step["with"] for step in share["steps"] if "upload-artifact" in step.get("uses", ""))
    assert share["strategy"]["matrix"]["share"] == [1, 2, 3, 4] and merge["needs"] == "share"
    for number in share["strategy"]["matrix"]["share"]:
        jobs.run("frontal", "heads", out=tmp_path / "out", shard=Shard(number, 4))
        sent = upload["path"].replace("${{ matrix.share }}", str(number))
        kept = shutil.ignore_patterns(".*")  # hidden files stay behind
        shutil.copytree(tmp_path / sent, tmp_path / "shares" / upload["name"].replace("${{ matrix.share }}", str(number)), ignore=kept)
    jobs.merge([tmp_path / "shares"], out=tmp_path / "joined")
    jobs.run("frontal", "heads", out=tmp_path / "whole")
    assert (tmp_path / "joined/predictions.h5").read_bytes() == (tmp_path / "whole/predictions.h5").read_bytes()


def test_every_script_is_in_the_page() -> None:
    page = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    assert {script.name for script in SCRIPTS} == set(re.findall(r"\(\.\./examples/slurm/(\w+\.sh)\)", page))
    assert f"{MOST_DEG:.4f}°" in page and f"{MOST_PX:.3f} px" in page


@pytest.mark.parametrize("name", ["mnn", "fsanet"])
def test_batches_of_another_size_change_the_last_bits_only(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    weights = None
    if name == "fsanet":
        pytest.importorskip("onnxruntime")
        weights = request.getfixturevalue("realdata") / "models"
    else:
        pytest.importorskip("torch")
    for size in (1, 16):
        jobs.run(name, "heads", protocol="pose", weights=weights, limit=16, batch_size=size, out=tmp_path / str(size))
    one, many = (read_predictions(tmp_path / size / "predictions.h5").faces for size in ("1", "16"))
    assert np.max(geodesic_deg(one.rotation, many.rotation)) < MOST_DEG
    if many.landmarks is not None:
        assert np.max(np.abs(one.landmarks - many.landmarks)) < MOST_PX


def test_a_network_in_shares_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batches are the same ones, so the bits are."""
    pytest.importorskip("torch")
    monkeypatch.setattr("hpbench.parts._FACES_PER_PART", 4)
    options = {"protocol": "pose", "limit": 15, "batch_size": 4}
    jobs.run("mnn", "heads", out=tmp_path / "whole", **options)  # type: ignore[arg-type]
    for number in (2, 1):
        jobs.run("mnn", "heads", out=tmp_path / "out", shard=Shard(number, 2), **options)  # type: ignore[arg-type]
    jobs.merge([tmp_path / "out"])
    assert (tmp_path / "out/predictions.h5").read_bytes() == (tmp_path / "whole/predictions.h5").read_bytes()
