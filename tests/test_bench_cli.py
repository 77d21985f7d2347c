"""`hpbench bench` through its real entry point: fresh processes, threads, and what goes wrong in them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from command_line import Done, hpbench, hpbench_process

from hpbench.speed import read_speed

QUICK = ("--seconds", "0.01", "--faces", "3", "--batch", "1,2", "--threads", "1")

MODELS = '''
import os, signal
import numpy as np
import hpbench


def faces(n):
    return hpbench.Faces(euler_deg=np.zeros((n, 3)), convention="300w-lp")


class Telling(hpbench.Model):
    """Says in `device` what it was told of threads."""

    name = "telling"

    def __init__(self, threads=0, weights=None):
        import cv2
        held = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        self.device = f"omp {os.environ['OMP_NUM_THREADS']}, opencv {cv2.getNumThreads()}, cpus {held}, argument {threads}"
        print("not for stdout")

    def predict(self, images, boxes):
        print("nor this")
        return faces(len(images))

    def network_call(self, batch_size):
        return lambda: np.ones((batch_size, 100)).sum()


class Raising(hpbench.Model):
    def predict(self, images, boxes):
        if len(images) > 1:
            raise ValueError("two is a crowd\\nsecond line")
        return faces(len(images))


class Blind(hpbench.Model):
    def predict(self, images, boxes):
        return hpbench.Faces(euler_deg=np.full((len(images), 3), np.nan), convention="300w-lp", failure=["no face found"] * len(images))


class Rounded(hpbench.Model):
    """In half precision, one degree off in yaw."""

    def __init__(self, precision="fp32"):
        self.yaw_deg = 0.0 if precision == "fp32" else 1.0

    def predict(self, images, boxes):
        return hpbench.Faces(euler_deg=np.tile([self.yaw_deg, 0, 0], (len(images), 1)), convention="300w-lp")


class Dying(hpbench.Model):
    def predict(self, images, boxes):
        os.kill(os.getpid(), signal.SIGKILL)


class Leaving(hpbench.Model):
    def predict(self, images, boxes):
        os._exit(7)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench")
    (path / "models.py").write_text(MODELS)
    return path


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPBENCH_WEIGHTS", "")


def bench(*arguments: object, cwd: Path) -> Done:
    return hpbench("bench", *arguments, cwd=cwd)


def test_a_model_is_measured_and_kept(folder: Path) -> None:
    done = hpbench_process("bench", "models.py:Telling", *QUICK, "-o", "telling/speed.json", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    record = read_speed(folder / "telling" / "speed.json")
    assert json.loads(done.stdout) == json.loads(record.to_json())  # nothing that the model printed
    assert record.model.name == "telling" and record.model.version.startswith("sha256:")
    assert record.device == "omp 1, opencv 1, cpus 1, argument 1"
    (run,) = record.runs
    assert run.threads == 1 and [len(times) for _, times in run.stages()] == [2, 2, 2]
    assert [t.faces for t in run.with_crop] == [1, 2] and [t.faces for t in run.end_to_end] == [1, 3]
    for _, times in run.stages():
        assert all(t.p5_ms <= t.p50_ms <= t.p95_ms and t.repeats >= 3 for t in times)
    assert (record.parameters, record.macs) == (None, None) and record.faces.n == 3 and record.environment["cpus"] == os.cpu_count()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("Raising", "model Raising raised ValueError"),
        ("Blind", "no face found (on every one of the 3 faces of heads: nothing to time)."),
        ("Dying", "was killed (SIGKILL): out of memory?"),
        ("Leaving", "ended with exit code 7."),
        ("Absent", "there is no 'Absent' in it"),
    ],
)
def test_a_model_that_fails_is_one_sentence(folder: Path, model: str, said: str) -> None:
    if model in ("Dying",) and sys.platform == "win32":
        pytest.skip("no signals")
    done = bench(f"models.py:{model}", *QUICK, cwd=folder)
    assert done.returncode == 2 and done.stdout == ""
    last = [line for line in done.stderr.splitlines() if line.startswith("hpbench: ")]
    assert len(last) == 1 and said in last[0] and "Traceback" not in done.stderr


def test_missing_weights_are_missing_data(folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    done = bench("fsanet", *QUICK, "--weights", folder, cwd=folder)
    assert done.returncode == 3 and "sha256" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--threads", "0"), "may use 1 to"),
        (("--threads", "9999"), "may use 1 to"),
        (("--threads", "two"), "whole numbers with commas"),
        (("--batch", "1,,2"), "whole numbers with commas"),
        (("--batch", "0"), "1 to 4096 faces"),
        (("--seconds", "nan"), "--seconds"),
        (("--faces", "0"), "--faces 0"),
        (("-o", "speed.txt"), ".json file"),
        (("-o", "models.json"), "no speed record"),
    ],
)
def test_wrong_options_are_told_before_anything_is_measured(folder: Path, options: tuple[str, ...], said: str) -> None:
    (folder / "models.json").write_text("{}")
    done = bench("frontal", *options, cwd=folder)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr and "looking at it" not in done.stderr


def test_a_whole_run_is_set_against_the_bare_model(folder: Path) -> None:
    quick = ("--pipeline", "--seconds", "0.01", "--faces", "3", "--threads", "1")
    done = bench("models.py:Telling", *quick, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["hardware"].startswith("device omp 1, opencv 1, cpus 1, argument 1") and found["faces"] == "3 faces of heads"
    runs = found["runs"]["1"]
    assert {(run["reduced"], run["batch_size"], run["faces"]) for run in runs} == {(False, 16, 3)}  # it does not say what size it sees
    for run in runs:
        stages = run["stages_ms"]
        assert list(stages) == ["read", "decode", "prepare", "wait", "model", "write"] and min(stages.values()) >= 0
        assert 0 < stages["wait"] + stages["model"] + stages["write"] <= run["whole_ms"] and run["rounds"] >= 3
    done = bench("models.py:Telling", *quick, "--batch", "1,2", cwd=folder)
    assert done.returncode == 0 and "ratio" in done.stdout and "prepare" in done.stdout, done.stderr
    assert [line.split()[2] for line in done.stdout.splitlines() if line.strip().startswith("1 ")] == ["1"] * len(runs) + ["2"] * len(runs)


def test_a_run_of_a_model_that_fails_is_one_sentence(folder: Path) -> None:
    quick = ("--pipeline", "--seconds", "0.01", "--faces", "3", "--threads", "1")
    done = bench("models.py:Blind", *quick, cwd=folder)
    assert done.returncode == 2 and "nothing to time" in done.stderr and "Traceback" not in done.stderr
    done = bench("models.py:Telling", *quick, "-o", "speed.json", cwd=folder)
    assert done.returncode == 2 and "-o keeps a speed record" in done.stderr


def test_half_precision_is_compared_with_the_model_s_own(folder: Path) -> None:
    done = bench("models.py:Rounded", *QUICK, "--model-arg", "precision=bf16", "-o", "rounded/speed.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = read_speed(folder / "rounded" / "speed.json").precision
    assert found is not None and (found.n, found.n_one) == (3, 0) and found.landmarks_px is None and found.visibility is None
    assert found.rotation_deg == pytest.approx((1.0, 1.0, 1.0))
    told = " ".join(done.stdout.split())
    assert "against its own precision, median / 95 % / largest over 3 faces: rotation 1 / 1 / 1 deg" in told
    done = bench("models.py:Rounded", *QUICK, "--json", cwd=folder)
    assert json.loads(done.stdout)["precision"] is None
