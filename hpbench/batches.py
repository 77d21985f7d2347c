"""One batch through a model: what a face, a batch or the model itself may do wrong, and what becomes of it."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .detectors.chosen import DetectedBoxes
from .errors import HpbenchError, InputError
from .faces import Faces, Sample
from .models.interface import Model

__all__ = ["UNREADABLE", "Watch", "joined", "last_failure", "predict_batch"]

Array = npt.NDArray[Any]

UNREADABLE = "unreadable image: "  # how the reason of a face begins that no model has seen
_PROOF = 8  # a model that fails on so many faces before it has answered for any is not one hard face, but broken
_VALUES = ("rotation", "euler_deg", "landmarks", "visibility")


class _ContractError(InputError):
    """The model returns something that is not one row a face, or other columns than before: a bug, not a hard face."""


class Watch:
    """A model under observation: what it has answered with, and how often it failed before it ever answered."""

    def __init__(self, model: Model, done: Sequence[Faces] = ()) -> None:
        """`done` are the parts of an unfinished run: what the model answered then, it must answer now."""
        self.model = model
        earlier = next((part for part in done if part.failure is None or not all(map(bool, part.failure))), None)
        self.proven = earlier is not None
        self.columns = _columns(earlier) if earlier is not None else ()
        self.failed = 0

    def call(self, images: list[Array], boxes: Array) -> Faces:
        """One call; the model gets copies, so that what it does to them does no harm, and its prints go to stderr."""
        with contextlib.redirect_stdout(sys.stderr):
            answer = self.model.predict([image.copy() for image in images], boxes.copy())
        name = self.model.name
        if not isinstance(answer, Faces):
            raise _ContractError(f"model {name} returned {type(answer).__name__}, it must return hpbench.Faces.")
        if len(answer) != len(images):
            raise _ContractError(f"model {name} returned {len(answer)} rows for {len(images)} faces.")
        columns = _columns(answer)
        if not columns:
            raise _ContractError(f"model {name} returned no rotation, euler_deg, landmarks or visibility.")
        if self.columns and columns != self.columns:
            raise _ContractError(f"model {name} returned {', '.join(columns)} for one batch and {', '.join(self.columns)} for another.")
        self.columns = columns
        self.proven = True
        return answer

    def failure(self, error: BaseException) -> str:
        """The reason of a face the model failed on; `InputError` if it has done nothing else so far."""
        if isinstance(error, _ContractError):
            raise InputError(str(error)) from None
        if not isinstance(error, (Exception, SystemExit)):  # Ctrl-C and its like are not the model's
            raise error
        reason = _model_error(self.model, error)
        self.failed += not self.proven
        if self.failed >= _PROOF:
            raise InputError(f"{reason.rstrip('.')} (on every one of the first {self.failed} faces).") from None
        return reason


def predict_batch(
    watch: Watch, batch: list[tuple[Sample, Array | InputError]], detected: DetectedBoxes | None = None
) -> tuple[Faces, float]:
    """Predictions of one batch, a row a sample, and the seconds spent in the model and, where it gives the boxes, in the detector."""
    started = time.perf_counter()
    ids = [sample.sample_id for sample, _ in batch]
    reasons = [f"{UNREADABLE}{image}" if isinstance(image, InputError) else "" for _, image in batch]
    for i, (sample, _) in enumerate(batch):
        if not reasons[i] and not np.isfinite(sample.box_xyxy_px).all():
            reasons[i] = "the data has no box of this face"  # a model is not asked about nothing
    given = [sample.box_xyxy_px for sample, _ in batch]
    if detected is not None:
        for i in (i for i, reason in enumerate(reasons) if not reason):
            given[i], reasons[i] = _detected(detected, *batch[i])
    usable = [i for i, reason in enumerate(reasons) if not reason]
    images = [image for i in usable if not isinstance(image := batch[i][1], InputError)]
    boxes = np.array([given[i] for i in usable], dtype=np.float64).reshape(-1, 4)
    answers: list[tuple[list[int], Faces]] = []  # rows of the batch, and what the model says of them
    if usable:
        try:
            answers.append((usable, watch.call(images, boxes)))
        except (Exception, SystemExit) as whole:
            if len(usable) == 1:
                reasons[usable[0]] = watch.failure(whole)
            elif isinstance(whole, _ContractError):
                watch.failure(whole)
            else:  # one bad face must not take its batch with it
                for row, i in enumerate(usable):
                    try:
                        answers.append(([i], watch.call(images[row : row + 1], boxes[row : row + 1])))
                    except (Exception, SystemExit) as error:
                        reasons[i] = watch.failure(error)
    seconds = time.perf_counter() - started
    if not answers:
        return Faces(sample_id=ids, failure=reasons), seconds
    named = [replace(faces, sample_id=[ids[i] for i in rows], attributes={}) for rows, faces in answers]
    aligned = joined(named, watch.model).aligned_to(ids)
    own = [str(r) for r in aligned.failure] if aligned.failure is not None else [""] * len(ids)
    empty = _all_nan(aligned)
    final = [r or o or (f"{watch.model.name} returned NaN" if e else "") for r, o, e in zip(reasons, own, empty, strict=True)]
    return _without_values(aligned, final), seconds


def _detected(detected: DetectedBoxes, sample: Sample, image: Array | InputError) -> tuple[Array, str]:
    """The detector's box of a face, or why there is none."""
    assert not isinstance(image, InputError)
    try:
        box = detected.box_near(image, sample.box_xyxy_px)
    except HpbenchError:  # of the detector itself, not of this picture
        raise
    except Exception as error:
        return sample.box_xyxy_px, f"{detected.name} raised {type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"[:300]
    return (sample.box_xyxy_px, detected.not_found) if box is None else (box, "")


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
