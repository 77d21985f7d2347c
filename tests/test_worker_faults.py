"""What goes wrong in a worker costs the faces it was asked about, never the run, and leaves no process behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from workers import MODEL, answered, ends, worker, written

from hpbench.batches import Watch
from hpbench.errors import InputError, RunStoppedError
from hpbench.models import worker as worker_module
from hpbench.models.resolve import create_model

posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("models"))


def pid_of(model: object) -> int:
    return int(model._process._process.pid)  # type: ignore[attr-defined]


# ---------------------------------------------------------------------------------------------- one bad face


@pytest.mark.parametrize(
    ("poison", "options", "reason"),
    [
        (2, "", "the worker ended with exit code 3 without an answer; it said last: the last words."),
        pytest.param(3, "", r"the worker was killed by signal 9 (SIGKILL: out of memory?)", marks=posix),
        (4, "timeout_s=1", "the worker gave no answer within 1 s"),
        pytest.param(6, "memory_mib=3000", "raised MemoryError", marks=posix),
    ],
)
def test_a_poison_face_costs_exactly_that_face(
    toys: Path, poison: int, options: str, reason: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if poison == 6:
        if sys.platform != "linux":
            pytest.skip("the limit of the address space is Linux's")
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            monkeypatch.setenv(name, "1")  # the stacks of many threads are address space, too
    model = worker(toys, options=options)
    first = pid_of(model)
    predicted, reasons = answered(model, 9, poison, 9, watch=Watch(model))
    assert [bool(r) for r in reasons] == [False, True, False]
    assert reasons[1].removeprefix("model Toy: ").startswith(reason) or reason in reasons[1]
    untouched, _ = answered(create_model(f"{toys}:Toy"), 9, 9, 9)
    np.testing.assert_array_equal(predicted.euler_deg[[0, 2]], untouched.euler_deg[[0, 2]])  # type: ignore[index]
    if poison != 6:  # the worker lives on after an exception
        assert ends(first)
        assert capfd.readouterr().err.count("It will be started afresh.") == 2  # the whole batch, and then the face alone


def test_a_flood_on_stderr_blocks_nobody(toys: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, reasons = answered(worker(toys), 5, 9)
    assert reasons == ["", ""]
    assert capfd.readouterr().err.count("x") >= 3_000_000


@pytest.mark.parametrize(
    ("name", "reason"), [("Number", "predict returned int without rotation"), ("Misspelt", "predict returned 'rotations'")]
)
def test_answers_that_are_no_predictions(toys: Path, name: str, reason: str) -> None:
    _, reasons = answered(worker(toys, name), 9, 9)
    assert all(reason in r for r in reasons)
    with pytest.raises(InputError, match="on every one of the first 8 faces"):
        answered(worker(toys, name), *[9] * 8)


def test_too_few_rows_end_the_run(toys: Path) -> None:
    with pytest.raises(InputError, match="model TooFew returned 1 rows for 2 faces"):
        answered(worker(toys, "TooFew"), 9, 9)


# ---------------------------------------------------------------------------------------------- a worker that is broken


def test_a_worker_that_dies_of_every_face_ends_the_run(toys: Path) -> None:
    with pytest.raises(InputError, match=r"exit code 3 without an answer.* \(on every one of the first 8 faces\)"):
        answered(worker(toys), *[2] * 9)


def test_a_worker_that_never_starts_ends_at_once(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(InputError, match="gave no answer within 0.5 s"):
        worker(written(tmp_path, "import time; time.sleep(60)"), options="start_timeout_s=0.5")
    assert time.monotonic() - started < 30


def test_a_worker_that_cannot_be_brought_back_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_PAUSE_S", 0.0)
    path = written(tmp_path)
    model = worker(path)
    images, boxes = [np.full((4, 4, 3), 9, np.uint8)], np.zeros((1, 4))
    model.predict(images, boxes)
    path.write_text("raise RuntimeError('the licence has run out')\n")
    with pytest.raises(InputError, match="exit code 3"):
        model.predict([np.full((4, 4, 3), 2, np.uint8)], boxes)
    with pytest.raises(RunStoppedError, match="model Toy: the worker cannot be started again.*RuntimeError: the licence has run out"):
        model.predict(images, boxes)
    path.write_text(MODEL)  # too late: half of a run by one model and half by another is not wanted
    with pytest.raises(RunStoppedError, match="cannot be started again"):
        model.predict(images, boxes)


def test_a_worker_that_comes_back_as_another_stops_the_run(tmp_path: Path) -> None:
    path = written(tmp_path)
    model = worker(path)
    path.write_text(MODEL.replace('version = "7"', 'version = "8"'))
    with pytest.raises(InputError):
        model.predict([np.full((4, 4, 3), 2, np.uint8)], np.zeros((1, 4)))
    with pytest.raises(RunStoppedError, match="another thing of itself"):
        model.predict([np.full((4, 4, 3), 9, np.uint8)], np.zeros((1, 4)))


def test_one_failed_start_on_the_way_is_forgiven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_PAUSE_S", 0.0)
    path = written(tmp_path, MODEL + f"""
from pathlib import Path
starts = Path({str(tmp_path / "starts")!r})
starts.write_text((starts.read_text() if starts.exists() else "") + "x")
if len(starts.read_text()) == 2:
    raise RuntimeError("the GPU is still busy")
""")  # fmt: skip
    _, reasons = answered(worker(path), 9, 2, 9)
    assert [bool(r) for r in reasons] == [False, True, False]


# ---------------------------------------------------------------------------------------------- environments


def test_an_environment_without_numpy(toys: Path) -> None:
    command = f"worker:'{sys.executable}' -S -E '{toys}:Toy'"  # -S: without what is installed
    with pytest.raises(InputError, match=r"numpy cannot be imported by .*\(No module named 'numpy'\): install it there"):
        create_model(command)


@posix
def test_a_program_that_is_none(tmp_path: Path) -> None:
    program = written(tmp_path, "neither machine code nor a script", "program")
    program.chmod(0o755)
    with pytest.raises(InputError, match="program: cannot be started"):
        create_model(f"worker:'{program}'")
    with pytest.raises(InputError, match="ended with exit code 0|exit code|without an answer"):
        create_model("worker:true")
    with pytest.raises(InputError, match="exit code 7 without an answer; it said last: no such device"):
        create_model("worker:sh -c 'echo no such device >&2; exit 7'")
    with pytest.raises(InputError, match="killed by signal 11"):
        create_model("worker:sh -c 'kill -11 $$'")


# ---------------------------------------------------------------------------------------------- nothing stays behind


@posix
def test_the_children_of_a_worker_end_with_it(toys: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A grandchild that holds the pipes open hides no death, and does not live on."""
    started = time.monotonic()
    _, reasons = answered(worker(toys), 7)
    assert "exit code 4" in reasons[0] and time.monotonic() - started < 30
    grandchild = int(re.search(r"grandchild (\d+)", capfd.readouterr().err)[1])  # type: ignore[index]
    assert ends(grandchild)


PARENT = """
import sys
import numpy as np
from hpbench.models.resolve import create_model
model = create_model("worker:'" + sys.executable + "' '" + sys.argv[1] + ":Toy'")
print(model._process._process.pid, flush=True)
model.predict([np.full((4, 4, 3), int(sys.argv[2]), np.uint8)], np.zeros((1, 4)))
sys.stdin.read()
"""


@posix
@pytest.mark.parametrize(("first", "number"), [(9, signal.SIGKILL), (9, signal.SIGTERM), (4, signal.SIGINT), (9, None)])
def test_a_worker_does_not_outlive_hpbench(toys: Path, first: int, number: int | None) -> None:
    """Killed, told to end, interrupted while the model hangs, or at its own end."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(toys), str(first)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with parent:
        pid = int(parent.stdout.readline())  # type: ignore[union-attr]
        if number is None:
            parent.stdin.close()  # type: ignore[union-attr]
        else:
            if first == 4:
                while b"a print while it predicts" not in (line := parent.stderr.readline()):  # type: ignore[union-attr]
                    assert line
            parent.send_signal(number)
        parent.wait(20)
    assert ends(pid)


def test_a_model_that_is_dropped_ends_its_worker(toys: Path) -> None:
    model = worker(toys)
    pid = pid_of(model)
    del model
    assert ends(pid)
