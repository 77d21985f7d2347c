"""The contract of `hpbench.models.interface.Model`, tried on faces: what a run relies on and cannot see.

The answer to a face must not depend on its neighbours in the batch, on their order, or on chance, and the inputs are not the model's to
change.  Numbers may differ as far as another order of summation makes them: `TOLERATED`.
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..batches import Prepared, Watch
from ..errors import InputError
from ..faces import Faces, Sample
from ..geometry.rotations import geodesic_deg
from ..models.interface import Model
from .specimens import SEED, Image, predicted

__all__ = ["BATCHES", "MOST_FACES", "TOLERATED", "Check", "Listener", "contract_checks"]

Array = npt.NDArray[Any]

MOST_FACES = 32  # the largest batch: enough for batch statistics to move
BATCHES = (1, 8)  # compared with all faces at once
TOLERATED = {"rotation": 0.1, "landmarks": 0.1, "visibility": 0.001}  # degrees, % of the box, probability
_UNITS = {"rotation": "deg", "landmarks": "% of the box", "visibility": "in probability"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
    result : str
        ``ok``, ``failed``, ``note`` (a finding: no failure), or ``untold`` where another check's failure, or missing labels, hide it.
    said : str
        What was seen.
    """

    name: str
    result: Literal["ok", "failed", "note", "untold"]
    said: str


class Listener(Watch):
    """A watch that keeps what the model raised: a run tries the faces of such a batch one by one, and makes a reason of what is left."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.raised: list[str] = []

    def call(self, batch: Sequence[Prepared]) -> Faces:
        try:
            return super().call(batch)
        except (Exception, SystemExit) as error:
            text = (str(error).strip().splitlines() or [""])[0][:200]
            faces = "one face" if len(batch) == 1 else f"{len(batch)} faces at once"
            self.raised.append(f"predict raised {type(error).__name__} ({text.rstrip('.')}) on {faces}")
            raise


def contract_checks(watch: Listener, samples: Sequence[Sample], images: Sequence[Image]) -> list[Check]:
    """All checks of the contract on at most `MOST_FACES` of the faces; those with an unreadable picture or no box are left out.

    Raises
    ------
    InputError
        No face is left.
    """
    usable = [(s, i) for s, i in zip(samples, images, strict=True) if not isinstance(i, InputError) and np.isfinite(s.box_xyxy_px).all()]
    if not usable:
        raise InputError("none of the faces has a picture that can be read and a box.")
    faces, pictures = [s for s, _ in usable[:MOST_FACES]], [i for _, i in usable[:MOST_FACES]]
    try:
        whole = predicted(watch, faces, pictures, len(faces))
    except InputError as error:
        return [Check("answers", "failed", str(error))]
    answers = _answers(watch, whole)
    if all(map(bool, whole.failure)):  # type: ignore[arg-type]  # nothing that the other checks could compare
        return [answers]
    checks = [answers, _inputs(watch.model, faces[:8], pictures[:8])]
    return [*checks, *_sameness(watch, faces, pictures, whole), *_hard_inputs(watch, faces, pictures)]


def _answers(watch: Listener, faces: Faces) -> Check:
    """Something for most faces, and a row of NaN with its reason for the others."""
    reasons = Counter(str(r) for r in faces.failure if r)  # type: ignore[union-attr]
    failed = reasons.total()
    if failed == len(faces):
        return Check("answers", "failed", f"none for any of the {len(faces)} faces: {reasons.most_common(1)[0][0]}")
    if watch.raised:
        alone = f", and answers {'each' if not failed else f'{len(faces) - failed} of them'} alone" if len(faces) > 1 else ""
        return Check("answers", "failed", f"{watch.raised[0]}{alone}. {_ROW_OF_NAN}")
    if unnamed := reasons[f"{watch.model.name} returned NaN"]:
        return Check("answers", "note", f"{unnamed} of {len(faces)} faces are rows of NaN that give no reason: set failure")
    why = f"; {failed} not predicted: {reasons.most_common(1)[0][0]}" if failed else ""
    return Check("answers", "ok", f"{', '.join(watch.columns)} of {len(faces) - failed} of {len(faces)} faces{why}")


_ROW_OF_NAN = "A face that cannot be predicted is a row of NaN, its reason in failure"


def _inputs(model: Model, faces: Sequence[Sample], pictures: Sequence[Array]) -> Check:
    """Images and boxes are as they were after a call."""
    images = [picture.copy() for picture in pictures]
    boxes = np.array([s.box_xyxy_px for s in faces], dtype=np.float64)
    before = boxes.copy()
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(Exception, SystemExit):  # what it raises is told elsewhere
        model.predict(images, boxes)
    changed = [
        *(["the images"] if any(not np.array_equal(a, b) for a, b in zip(images, pictures, strict=False)) else []),
        *(["the list of images"] if len(images) != len(pictures) else []),
        *(["the boxes"] if not np.array_equal(boxes, before) else []),
    ]
    if changed:
        return Check("inputs unchanged", "failed", f"predict changes {' and '.join(changed)}: work on a copy")
    return Check("inputs unchanged", "ok", "images and boxes are as they were")


# ------------------------------------------------------------------------------------------------- the same face, the same answer


def _sameness(watch: Listener, faces: Sequence[Sample], pictures: Sequence[Array], whole: Faces) -> list[Check]:
    """Twice the same call, other batches, another order."""
    names = ("determinism", "batching", "order")
    n = len(faces)
    tolerated = ", ".join(f"{v:g} {_UNITS[k]}" for k, v in TOLERATED.items() if getattr(whole, k) is not None)
    try:
        again = _apart(whole, predicted(watch, faces, pictures, n), faces)
        if again.too_much:
            told = Check("determinism", "failed", f"two equal calls differ: {again.said}: a random part, or a state between calls?")
            return [told, *(Check(name, "untold", "the answers differ from call to call") for name in names[1:])]
        checks = [Check("determinism", "ok", f"two equal calls: {again.said}")]
        sizes = [size for size in BATCHES if size < n]
        others = [(size, _apart(whole, predicted(watch, faces, pictures, size), faces)) for size in sizes]
        if worst := next((f"of {size} instead of {n}: {a.said}" for size, a in others if a.too_much), ""):
            why = "statistics of the batch (training mode), rows in another order, or a state between calls?"
            checks.append(Check("batching", "failed", f"batches {worst} ({tolerated} tolerated): {why}"))
        elif others:
            told_of = max(others, key=lambda pair: pair[1].share)[1].said
            checks.append(Check("batching", "ok", f"batches of {', '.join(map(str, sizes))} and {n}: {told_of} ({tolerated} tolerated)"))
        else:
            checks.append(Check("batching", "untold", "one face only"))
        order = np.random.default_rng(SEED).permutation(n)
        mixed = predicted(watch, [faces[i] for i in order], [pictures[i] for i in order], n)
        moved = _apart(whole, mixed.aligned_to([s.sample_id for s in faces]), faces)
        guess = ": are its rows in the order of the images?" if moved.too_much else ""
        checks.append(Check("order", "failed" if moved.too_much else "ok", f"faces in another order: {moved.said}{guess}"))
        return checks
    except InputError as error:
        return [Check("determinism", "failed", str(error)), *(Check(name, "untold", "predict fails") for name in names[1:])]


@dataclass(frozen=True)
class _Apart:
    """How far two answers are apart at most: in words, and as a share of what is tolerated (infinite: a face failed in one only)."""

    said: str
    share: float

    @property
    def too_much(self) -> bool:
        return self.share > 1.0


def _apart(a: Faces, b: Faces, faces: Sequence[Sample]) -> _Apart:
    failed_a, failed_b = (np.array([bool(r) for r in f.failure]) for f in (a, b))  # type: ignore[union-attr]
    if (lone := np.flatnonzero(failed_a != failed_b)).size:
        return _Apart(f"{faces[lone[0]].sample_id} is predicted in one and not in the other ({lone.size} such faces)", float("inf"))
    boxes = np.array([s.box_xyxy_px for s in faces])
    side = np.sqrt(np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1.0))
    largest: dict[str, float] = {}
    if a.rotation is not None and b.rotation is not None:
        largest["rotation"] = _most(geodesic_deg(a.rotation, b.rotation))
    if a.landmarks is not None and b.landmarks is not None:
        largest["landmarks"] = _most(100.0 * np.hypot(*np.moveaxis(a.landmarks - b.landmarks, 2, 0)) / side[:, None])
        if (np.isnan(a.landmarks) != np.isnan(b.landmarks)).any():
            return _Apart("points are NaN in one and not in the other", float("inf"))
    if a.visibility is not None and b.visibility is not None:
        largest["visibility"] = _most(np.abs(a.visibility - b.visibility))
    if not any(largest.values()):
        return _Apart("the same answers to the last digit", 0.0)
    said = ", ".join(f"{value:.2g} {_UNITS[name]}" for name, value in largest.items())
    return _Apart(f"differ by {said} at most", max(value / TOLERATED[name] for name, value in largest.items()))


def _most(values: Array) -> float:
    return float(np.nanmax(values)) if np.isfinite(values).any() else 0.0


# ------------------------------------------------------------------------------------------------- inputs that a data set may hold


def _hard_inputs(watch: Listener, faces: Sequence[Sample], pictures: Sequence[Array]) -> list[Check]:
    """Pictures of several sizes in one batch, boxes that reach outside, a tiny box, a picture without a face: an answer or a reason."""
    first, picture = faces[0], pictures[0]
    centre = (first.box_xyxy_px[:2] + first.box_xyxy_px[2:]) / 2.0
    cut = int(np.clip(centre[0] - 0.2 * (first.box_xyxy_px[2] - first.box_xyxy_px[0]), 0, picture.shape[1] - 2))
    tiny = np.concatenate([centre - 2.5, centre + 2.5])
    sizes = [(0, 0), (37, 101), (picture.shape[0], 3)]
    padded = [np.pad(pictures[i % len(pictures)], ((0, h), (0, w), (0, 0))) for i, (h, w) in enumerate(sizes)]
    cases: dict[str, tuple[list[Sample], list[Array]]] = {
        "pictures of several sizes": ([faces[i % len(faces)]._replace(sample_id=str(i)) for i in range(len(sizes))], padded),
        "a box partly outside": ([first._replace(box_xyxy_px=first.box_xyxy_px - np.array([cut, 0, cut, 0]))], [picture[:, cut:].copy()]),
        "a box of 5 px": ([first._replace(box_xyxy_px=tiny)], [picture]),
        "a grey picture": ([first], [np.full_like(picture, 128)]),
    }
    checks = []
    for name, (samples, images) in cases.items():
        watch.raised.clear()
        try:
            answer = predicted(watch, samples, images, len(samples))
        except InputError as error:
            checks.append(Check(name, "failed", str(error)))
            continue
        reasons = [str(r) for r in answer.failure if r]  # type: ignore[union-attr]
        if watch.raised:
            checks.append(Check(name, "failed", f"{watch.raised[0]}. {_ROW_OF_NAN}"))
        else:
            checks.append(Check(name, "ok", f"not predicted: {reasons[0]}" if reasons else "predicted"))
    return checks
