"""One batch through a model: what a face, a batch or the model itself may do wrong, and what becomes of it."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .deadline import Deadline
from .detectors.chosen import DetectedBoxes
from .errors import HpbenchError, InputError, RunStoppedError
from .faces import Faces, Sample
from .models.interface import Model

__all__ = [
    "UNREADABLE", "ModelFailure", "NoBox", "Prepared", "Ready", "Watch", "joined", "last_failure", "predict_batch",
    "prepare_face",
]  # fmt: skip


Array = npt.NDArray[Any]

UNREADABLE = "unreadable image: "  # how the reason of a face begins that no model has seen
_PROOF = 8  # a model that fails on so many faces before it has answered for any is not one hard face, but broken
_VALUES = ("rotation", "euler_deg", "landmarks", "visibility")
_NO_MEMORY = ("out of memory", "failed to allocate memory", "can't allocate memory", "cannot allocate memory")


class _ContractError(InputError):
    """The model returns something that is not one row a face, or other columns than before: a bug, not a hard face."""


class Prepared(NamedTuple):
    """A face on its way to the model.

    Attributes
    ----------
    face : Any
        What `Model.prepare` made of it.
    box_xyxy_px : (4,) float64 array
        In the pixels of the image as it was decoded.
    reduced_by : int
        By how much the image was decoded smaller than it is.
    """

    face: Any
    box_xyxy_px: Array
    reduced_by: int = 1


class ModelFailure(NamedTuple):
    """What `Model.prepare` raised."""

    error: BaseException


class NoBox(NamedTuple):
    """Why the model is not asked about a face."""

    reason: str


Ready = Prepared | InputError | ModelFailure | NoBox  # an `InputError` is the picture's fault


class Watch:
    """A model under observation: what it has answered with, how often it failed before it ever answered, what it can hold.

    Parameters
    ----------
    model : Model
    done : sequence of Faces
        Parts of an unfinished run: what the model answered then, it must answer now.
    timeout_s : float, optional
        How long one call may take.
    remark : callable, optional
        Told when batches are made smaller.
    """

    def __init__(
        self, model: Model, done: Sequence[Faces] = (), *, timeout_s: float | None = None, remark: Callable[[str], None] | None = None
    ) -> None:
        self.model = model
        earlier = next((part for part in done if part.failure is None or not all(map(bool, part.failure))), None)
        self.proven = earlier is not None
        self.columns = _columns(earlier) if earlier is not None else ()
        self.failed = 0
        self.most = 0  # faces a call that fit into memory; 0 = not known to be bounded
        self._remark = remark
        self._clock = Deadline(timeout_s) if timeout_s else None
        self._own = type(model).prepare is not Model.prepare

    def call(self, batch: Sequence[Prepared]) -> Faces:
        """One call; whole images go as copies, so that what the model does to them does no harm, and its prints go to stderr."""
        faces = [item.face if self._own else item.face.copy() for item in batch]
        boxes = np.array([item.box_xyxy_px for item in batch], dtype=np.float64).reshape(-1, 4)
        with contextlib.redirect_stdout(sys.stderr):
            if self._clock is not None:
                answer = self._clock.run(lambda: self.model.predict_prepared(faces, boxes), self.model.name)
            else:
                answer = self.model.predict_prepared(faces, boxes)
        name = self.model.name
        if not isinstance(answer, Faces):
            raise _ContractError(f"model {name} returned {type(answer).__name__}, it must return hpbench.Faces.")
        if len(answer) != len(batch):
            raise _ContractError(f"model {name} returned {len(answer)} rows for {len(batch)} faces.")
        columns = _columns(answer)
        if not columns:
            raise _ContractError(f"model {name} returned no rotation, euler_deg, landmarks or visibility.")
        if self.columns and columns != self.columns:
            raise _ContractError(f"model {name} returned {', '.join(columns)} for one batch and {', '.join(self.columns)} for another.")
        self.columns = columns
        self.proven = True
        return _in_full_size(answer, batch)

    def close(self) -> None:
        """No more batches."""
        if self._clock is not None:
            self._clock.close()

    def failure(self, error: BaseException) -> str:
        """The reason of a face the model failed on; `InputError` if it has done nothing else so far."""
        if isinstance(error, RunStoppedError):
            raise error
        if isinstance(error, _ContractError):
            raise InputError(str(error)) from None
        if not isinstance(error, (Exception, SystemExit)):  # Ctrl-C and its like are not the model's
            raise error
        reason = _model_error(self.model, error)
        self.failed += not self.proven
        if self.failed >= _PROOF:
            raise InputError(f"{reason.rstrip('.')} (on every one of the first {self.failed} faces).") from None
        return reason

    def answers(self, batch: Sequence[Prepared], rows: list[int], reasons: dict[int, str]) -> list[tuple[list[int], Faces]]:
        """Answers for these rows of a batch, in one call or, where that fails, in several; `reasons` takes the failed ones."""
        if self.most and len(rows) > self.most:
            pieces = [rows[start : start + self.most] for start in range(0, len(rows), self.most)]
            return [found for piece in pieces for found in self.answers(batch, piece, reasons)]
        try:
            return [(rows, self.call([batch[i] for i in rows]))]
        except (Exception, SystemExit) as error:
            if len(rows) == 1 or isinstance(error, (_ContractError, RunStoppedError)):
                reasons[rows[0]] = self.failure(error)
                return []
            if _no_memory(error):
                self._halve(len(rows))
                error = None  # type: ignore[assignment]  # its traceback holds on to what did not fit
        if self.most and len(rows) > self.most:
            return self.answers(batch, rows, reasons)
        # one bad face must not take its batch with it
        return [found for row in rows for found in self.answers(batch, [row], reasons)]

    def _halve(self, faces: int) -> None:
        self.most = faces // 2
        if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
            sys.modules["torch"].cuda.empty_cache()
        if self._remark is not None:
            self._remark(f"out of memory with {faces} faces a call: going on with {self.most}")


_DETECTING = threading.Lock()  # detectors are not made for several threads


def prepare_face(model: Model, sample: Sample, image: Array, *, reduced_by: int = 1, detected: DetectedBoxes | None = None) -> Ready:
    """A face cut out as the model wants it, or why the model is not asked about it.

    Parameters
    ----------
    model : Model
    sample : Sample
    image : (H, W, 3) uint8 array, RGB
    reduced_by : int
        By how much it was decoded smaller than it is.
    detected : DetectedBoxes, optional
        Gives the box instead of the sample, whose own then only says which face is meant.

    Raises
    ------
    HpbenchError
        The detector itself does not work.
    """
    box = np.asarray(sample.box_xyxy_px, dtype=np.float64)
    if not np.isfinite(box).all():
        return NoBox("the data has no box of this face")  # a model is not asked about nothing
    if detected is not None:
        try:
            with _DETECTING:
                found = detected.box_near(image, box)
        except HpbenchError:  # of the detector itself, not of this picture
            raise
        except Exception as error:
            return NoBox(f"{detected.name} raised {type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"[:300])
        if found is None:
            return NoBox(detected.not_found)
        box = found
    elif reduced_by > 1:
        box = (box + 0.5) / reduced_by - 0.5
    try:
        return Prepared(model.prepare(image, box.copy()), box, reduced_by)
    except (Exception, SystemExit) as error:
        return ModelFailure(error)


def predict_batch(
    watch: Watch, batch: Sequence[tuple[Sample, Ready | Array]], detected: DetectedBoxes | None = None
) -> tuple[Faces, float]:
    """Predictions of one batch, a row a sample, and the seconds spent in the model; `detected` is for pictures not yet prepared."""
    ids = [sample.sample_id for sample, _ in batch]
    reasons: dict[int, str] = {}
    prepared: dict[int, Prepared] = {}
    for i, (sample, item) in enumerate(batch):
        if isinstance(item, np.ndarray):
            item = prepare_face(watch.model, sample, item, detected=detected)
        if isinstance(item, InputError):
            reasons[i] = f"{UNREADABLE}{item}"
        elif isinstance(item, NoBox):
            reasons[i] = item.reason
        elif isinstance(item, ModelFailure):
            reasons[i] = watch.failure(item.error)
        else:
            prepared[i] = item
    started = time.perf_counter()
    usable = list(prepared)
    answers = watch.answers([prepared.get(i, _NOTHING) for i in range(len(batch))], usable, reasons) if usable else []
    seconds = time.perf_counter() - started
    told = [reasons.get(i, "") for i in range(len(batch))]
    if not answers:
        return Faces(sample_id=ids, failure=told), seconds
    named = [replace(faces, sample_id=[ids[i] for i in rows], attributes={}) for rows, faces in answers]
    aligned = joined(named, watch.model).aligned_to(ids)
    own = [str(r) for r in aligned.failure] if aligned.failure is not None else [""] * len(ids)
    empty = _all_nan(aligned)
    final = [r or o or (f"{watch.model.name} returned NaN" if e else "") for r, o, e in zip(told, own, empty, strict=True)]
    return _without_values(aligned, final), seconds


_NOTHING = Prepared(None, np.full(4, np.nan))


def _in_full_size(answer: Faces, batch: Sequence[Prepared]) -> Faces:
    """The answer with its landmarks in pixels of the images as they are, where some were decoded smaller."""
    by = np.array([item.reduced_by for item in batch], dtype=np.float64)
    if answer.landmarks is None or (by == 1).all():
        return answer
    return replace(answer, landmarks=(answer.landmarks + 0.5) * by[:, None, None] - 0.5)


def _no_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or any(text in str(error).lower() for text in _NO_MEMORY)


def _without_values(faces: Faces, reasons: list[str]) -> Faces:
    """Faces with these reasons; a face that has one has failed, whatever numbers came with it."""
    failed = np.array([bool(r) for r in reasons])
    changes: dict[str, Any] = {"failure": reasons, "box_xyxy_px": None, "rotation": None}
    names = [n for n in _VALUES if getattr(faces, n) is not None and not (n == "rotation" and faces.euler_deg is not None)]
    for name in names:
        value = getattr(faces, name).copy()
        value[failed] = np.nan
        changes[name] = value
    return replace(faces, **changes)


def _columns(faces: Faces) -> tuple[str, ...]:
    return tuple(column for column in _VALUES if getattr(faces, column) is not None)


def joined(parts: Sequence[Faces], model: Model) -> Faces:
    """Parts put together; `InputError` naming the model where they do not fit."""
    try:
        return Faces.concatenate(parts)
    except InputError as error:
        raise InputError(f"model {model.name} is not consistent from batch to batch: {error}") from None


def _all_nan(faces: Faces) -> npt.NDArray[np.bool_]:
    nothing = np.ones(len(faces), dtype=bool)
    for name in _VALUES:
        value = getattr(faces, name)
        if value is not None:
            nothing &= np.isnan(value.reshape(len(faces), -1)).all(axis=1)
    return nothing


def _model_error(model: Model, error: BaseException) -> str:
    if isinstance(error, HpbenchError):
        return f"model {model.name}: {error}"
    text = (str(error).strip().splitlines() or [""])[0]
    return f"model {model.name} raised {type(error).__name__}: {text}"[:300]


def last_failure(faces: Faces) -> str:
    rows = [(str(i), str(r)) for i, r in zip(faces.sample_id, faces.failure, strict=True) if r]  # type: ignore[arg-type]
    return f"{rows[-1][0]}: {rows[-1][1]}" if rows else "?"
