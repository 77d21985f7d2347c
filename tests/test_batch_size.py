"""``--batch-size auto``: what is chosen, when nothing can be, and that an unfinished run keeps its batches."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from engine_models import samples_of

from hpbench import jobs
from hpbench.batch_size import choose_batch_size
from hpbench.errors import RunStoppedError
from hpbench.faces import Faces
from hpbench.models.interface import Array, Model
from hpbench.parts import FOLDER, MANIFEST, Parts, begun_batch_size
from hpbench.records import Record


class Device(Model):
    """A call takes as long as it says; the clock is its own."""

    def __init__(self, fixed_ms: float, a_face_ms: float, best: int = 10**9, holds: int = 10**9) -> None:
        self.fixed_ms, self.a_face_ms, self.best, self.holds, self.now, self.most = fixed_ms, a_face_ms, best, holds, 0.0, 0

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        if len(images) > self.holds:
            raise MemoryError
        self.most = max(self.most, len(images))
        calls = -(-len(images) // self.best)
        self.now += (self.fixed_ms * calls + self.a_face_ms * len(images)) / 1000
        return Faces(rotation=np.tile(np.eye(3), (len(images), 1, 1)))

    def clock(self) -> float:
        return self.now


def chosen(model: Device, n: int = 40, remarks: list[str] | None = None, most: int = 0) -> int:
    return choose_batch_size(model, samples_of(n), most or 10**6, remark=(remarks if remarks is not None else []).append, clock=model.clock)


def test_the_smallest_batch_that_is_about_as_quick_as_any() -> None:
    assert chosen(Device(0.0, 10.0)) == 1  # nothing is gained by more
    remarks: list[str] = []
    model = Device(10.0, 1.0)
    found = chosen(model, remarks=remarks)
    # a face takes 1 + 10 / size ms; of all sizes tried the last is the quickest
    assert found in (64, 128, 256) and (1 + 10 / found) <= 1.05 * (1 + 10 / model.most) < 1 + 10 / (found / 2)
    assert len(remarks) == 1 and remarks[0].startswith(f"--batch-size {found}: of 1 (90.9 faces/s), 2 (167 faces/s), 4 ")
    assert chosen(Device(10.0, 1.0, best=16)) == 16, "split inside the model: more is no gain"


def test_what_memory_does_not_hold_is_not_chosen() -> None:
    assert chosen(Device(100.0, 0.1, holds=10)) == 8


def test_no_more_than_there_are() -> None:
    assert chosen(Device(1000.0, 0.1), most=60) == 32


@pytest.mark.parametrize("error", [ValueError("batches of 4 only"), SystemExit(0)])
def test_what_the_model_does_not_take_is_not_chosen(error: BaseException) -> None:
    class Small(Device):
        def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
            if len(images) > 4:
                raise error
            return super().predict(images, boxes_xyxy_px)

    assert chosen(Small(100.0, 0.1)) == 4


def test_a_size_that_may_take_too_long_is_not_tried() -> None:
    model = Device(0.0, 100.0, best=1)  # a tenth of a second a face, on its own clock
    model.fixed_ms = 1.0
    assert choose_batch_size(model, samples_of(40), 40, timeout_s=1.0, clock=model.clock) == 1 and model.most <= 4


def test_where_nothing_can_be_tried_the_model_s_own_number_stands() -> None:
    told: list[str] = []
    assert chosen(Device(10.0, 1.0), n=0, remarks=told) == Model.batch_size
    assert chosen(Device(10.0, 1.0, holds=0), remarks=told) == Model.batch_size
    assert told == [
        f"--batch-size 16, the model's own: {why}" for why in ("none of the first faces can be read", "the model fails on the first face")
    ]

    class Broken(Device):
        def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
            raise ValueError("broken")

    assert chosen(Broken(1.0, 1.0), remarks=told) == Model.batch_size and told[-1].endswith("the model fails on the first face")


MODEL = """
import numpy as np, hpbench

class Straight(hpbench.Model):
    def predict(self, images, boxes):
        return hpbench.Faces(rotation=np.tile(np.eye(3), (len(images), 1, 1)))
"""


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    (folder / "straight.py").write_text(MODEL, encoding="utf-8")
    command = [sys.executable, "-m", "hpbench", "run", "-m", "straight.py:Straight", "-d", "heads", "--limit", "4", "-o", "out", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr


def test_a_run_with_auto_says_what_it_took_and_has_the_same_predictions(tmp_path: Path) -> None:
    code, told = run(tmp_path, "--batch-size", "auto")
    assert code == 0 and "--batch-size " in told and "faces/s" in told, told
    (record, *_) = sorted((tmp_path / "out").glob("heads.pose@*.json"))
    size = json.loads(record.read_text(encoding="utf-8"))["timing"]["batch_size"]
    assert f"--batch-size {size}: of 1 (" in told
    first = (tmp_path / "out" / "predictions.h5").read_bytes()
    code, told = run(tmp_path)
    assert code == 0 and (tmp_path / "out" / "predictions.h5").read_bytes() == first


def test_an_unfinished_run_keeps_its_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> list[Record]:
        raise KeyboardInterrupt

    file, told = tmp_path / "predictions.h5", []  # type: ignore[var-annotated]
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(jobs, "finish", stop)
        jobs.run(Device(1.0, 1.0), "heads", limit=4, batch_size=3, out=tmp_path)
    assert begun_batch_size(file) == 3
    jobs.run(Device(1.0, 1.0), "heads", limit=4, batch_size="auto", out=tmp_path, remark=told.append)
    assert not any("faces/s" in line for line in told) and any(line.startswith("continuing") for line in told)


def test_a_manifest_that_says_nothing_is_none(tmp_path: Path) -> None:
    file = tmp_path / "predictions.h5"
    assert begun_batch_size(file) is None
    Parts(file, ["a", "b"], 2).claim({})
    assert begun_batch_size(file) is None, "no part: nothing has begun"
    (tmp_path / FOLDER / "part-000000.h5").write_bytes(b"")
    assert begun_batch_size(file) == 2
    for text in ("", "[]", "{}", '{"batch_size": 0}', '{"batch_size": true}', '{"batch_size": "2"}', "[" * 100_000):
        (tmp_path / FOLDER / MANIFEST).write_text(text, encoding="utf-8")
        assert begun_batch_size(file) is None


def test_auto_is_refused_where_all_processes_need_the_same(tmp_path: Path) -> None:
    code, told = run(tmp_path, "--batch-size", "auto", "--shard", "1/2")
    assert code == 2 and "give a number" in told
    code, told = run(tmp_path, "--batch-size", "some")
    assert code == 2 and "'some' is neither a whole number nor 'auto'" in told


def test_a_model_that_does_not_answer_stops_the_run() -> None:
    release = threading.Event()

    class Hanging(Device):
        def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
            release.wait()
            raise AssertionError

    with pytest.raises(RunStoppedError):
        choose_batch_size(Hanging(1.0, 1.0), samples_of(3), 3, timeout_s=0.2)
    release.set()
