"""One batch through a model: memory that is not enough, models that break their contract, and whose fault it is."""

from __future__ import annotations

import gc
import sys
import types
import weakref
from pathlib import Path

import numpy as np
import pytest
from engine_models import MeanColour, samples_of
from hypothesis import given
from hypothesis import strategies as st

from hpbench.batches import ModelFailure, Prepared, Watch, last_failure, predict_batch
from hpbench.errors import InputError, RunStoppedError
from hpbench.faces import Faces
from hpbench.models.interface import Array, Model
from hpbench.predict import Setup, predict


class OutOfMemoryError(RuntimeError):
    """As PyTorch's: known by its words."""


ERRORS = [
    MemoryError(),
    OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 139 GiB"),
    RuntimeError(
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer"
    ),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate 100 bytes"),
    OSError(12, "Cannot allocate memory"),
]


class Holds(MeanColour):
    """Has memory for so many faces a call."""

    def __init__(self, most: int, error: Exception | None = None) -> None:
        self.most, self.error, self.sizes = most, error or MemoryError(), []  # type: ignore[var-annotated]

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        self.sizes.append(len(images))
        if len(images) > self.most:
            raise self.error
        return super().predict(images, boxes_xyxy_px)


def run(model: Model, n: int, out: Path, *, batch_size: int = 16, remarks: list[str] | None = None, **setup: object) -> Faces:
    samples = samples_of(n)
    arguments = {"boxes": "b", "settings": {}, "batch_size": batch_size, "setup": Setup(**setup)}  # type: ignore[arg-type]
    remark = remarks.append if remarks is not None else None
    return predict(model, [s.sample_id for s in samples], lambda _: samples, out / "predictions.h5", remark=remark, **arguments)[0].faces  # type: ignore[arg-type]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_out_of_memory_halves_the_batches_and_goes_on(tmp_path: Path, error: Exception) -> None:
    remarks: list[str] = []
    model = Holds(5, error)
    run(model, 40, tmp_path / "small", remarks=remarks)
    run(MeanColour(), 40, tmp_path / "large")
    assert (tmp_path / "small/predictions.h5").read_bytes() == (tmp_path / "large/predictions.h5").read_bytes()
    assert model.sizes == [16, 8, *[4] * 4, *[4] * 4, *[4] * 2], "once found, the size that fits is kept"
    assert remarks == ["out of memory with 16 faces a call: going on with 8", "out of memory with 8 faces a call: going on with 4"]


@given(most=st.integers(1, 16), n=st.integers(1, 30))
def test_every_face_is_answered_however_little_fits(most: int, n: int) -> None:
    batch = list(zip(samples_of(n), prepared(n), strict=True))
    small, _ = predict_batch(Watch(Holds(most)), batch)
    whole, _ = predict_batch(Watch(MeanColour()), batch)
    assert small.failure is None or not any(small.failure)
    assert small.content_sha256() == whole.content_sha256()


def test_not_even_one_face_fits(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"raised MemoryError.* \(on every one of the first 8 faces\)"):
        run(Holds(0), 16, tmp_path)


def test_the_memory_of_a_batch_that_did_not_fit_is_given_back(tmp_path: Path) -> None:
    """Before the smaller ones are tried: an exception holds on to the frames it went through, and these to their tensors."""

    class Tensor:
        pass

    held: list[weakref.ref[Tensor]] = []

    class Large(MeanColour):
        def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
            tensor = Tensor()
            if len(images) > 4:
                held.append(weakref.ref(tensor))
                raise MemoryError
            gc.collect()
            assert not any(ref() for ref in held)
            return super().predict(images, boxes_xyxy_px)

    faces = run(Large(), 16, tmp_path)
    assert len(held) == 2 and (faces.failure is None or not any(faces.failure))


def test_the_memory_that_pytorch_keeps_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[bool] = []
    cuda = types.SimpleNamespace(is_available=lambda: True, empty_cache=lambda: emptied.append(True))
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    run(Holds(8), 16, tmp_path)
    assert emptied == [True]


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_one_bad_face_costs_itself_only(tmp_path: Path, batch_size: int) -> None:
    class Fussy(MeanColour):
        def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
            if (boxes_xyxy_px[:, 0] == 7).any():
                raise KeyError("seven")
            return super().predict(images, boxes_xyxy_px)

    faces = run(Fussy(), 20, tmp_path / "a", batch_size=batch_size)
    whole = run(MeanColour(), 20, tmp_path / "b", batch_size=batch_size)
    assert [i for i, r in enumerate(faces.failure) if r] == [7]  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.delete(faces.euler_deg, 7, 0), np.delete(whole.euler_deg, 7, 0))  # type: ignore[arg-type]


def prepared(n: int) -> list[Prepared]:
    return [Prepared(s.image.read(), s.box_xyxy_px) for s in samples_of(n)]


def test_a_reduced_image_gives_its_landmarks_in_full_size() -> None:
    class Points(Model):
        def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
            return Faces(landmarks=np.tile([[3.0, 5.0]], (len(images), 19, 1)), scheme="aflw19")

    mixed = [item._replace(reduced_by=by) for item, by in zip(prepared(3), (1, 2, 8), strict=True)]
    points = Watch(Points()).call(mixed).landmarks[:, 0]  # type: ignore[index]
    np.testing.assert_array_equal(points, [[3, 5], [6.5, 10.5], [27.5, 43.5]])


def test_a_failure_to_prepare_counts_as_the_models() -> None:
    batch = [(sample, ModelFailure(ValueError("no crop"))) for sample in samples_of(10)]
    with pytest.raises(InputError, match="raised ValueError: no crop .on every one of the first 8 faces"):
        predict_batch(Watch(MeanColour()), batch)
    proven = Watch(MeanColour())
    proven.call(prepared(1))
    faces, _ = predict_batch(proven, batch)
    assert list(faces.failure) == ["model mean-colour raised ValueError: no crop"] * 10  # type: ignore[arg-type]
    assert last_failure(faces) == "f009: model mean-colour raised ValueError: no crop"


def test_a_timeout_is_nobodys_bad_face(tmp_path: Path) -> None:
    """It ends the run at once: neither are the faces of its batch tried alone, nor are they failures."""
    import threading

    release, calls = threading.Event(), []

    class Hangs(MeanColour):
        def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
            calls.append(len(images))
            if len(calls) > 2:
                release.wait()
            return super().predict(images, boxes_xyxy_px)

    with pytest.raises(RunStoppedError, match="has not answered for 0.2 s"):
        run(Hangs(), 40, tmp_path, batch_size=4, timeout_s=0.2)
    release.set()
    assert calls == [4, 4, 4]


def test_the_answer_is_the_same_in_a_thread_of_its_own(tmp_path: Path) -> None:
    run(MeanColour(), 20, tmp_path / "watched", timeout_s=60.0)
    run(MeanColour(), 20, tmp_path / "plain")
    assert (tmp_path / "watched/predictions.h5").read_bytes() == (tmp_path / "plain/predictions.h5").read_bytes()


def test_ctrl_c_in_the_model_ends_the_run(tmp_path: Path) -> None:
    class Interrupted(MeanColour):
        def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
            raise KeyboardInterrupt

    for timeout_s in (None, 60.0):
        with pytest.raises(KeyboardInterrupt):
            run(Interrupted(), 20, tmp_path / str(timeout_s), timeout_s=timeout_s)
