"""The stages of a prediction, each timed by itself."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..batches import Watch, predict_batch
from ..errors import HpbenchError, InputError
from ..faces import Sample
from ..models.interface import Model
from ..predict import Setup, predict
from ..readers import Dataset
from .record import Faces, Timed
from .timing import timed

__all__ = ["Pictures", "alone", "end_to_end", "pictures_of", "with_crop"]

Array = npt.NDArray[Any]


class Pictures(NamedTuple):
    """Faces to time a model on, and the images of the first of them decoded."""

    dataset: str
    boxes: str
    samples: list[Sample]
    images: list[Array]

    def take(self, n: int) -> tuple[list[Array], Array]:
        """Images and boxes of n faces, those that there are over and over."""
        rows = [i % len(self.images) for i in range(n)]
        return [self.images[i] for i in rows], np.array([self.samples[i].box_xyxy_px for i in rows], dtype=np.float64)


def pictures_of(dataset: Dataset, n: int, boxes: str = "", decoded: int = 1) -> Pictures:
    """Of the faces of a data set that have an image and a box, n at even distances in the order of their ids; so many of them decoded.

    Raises
    ------
    InputError
        No face has both.
    """
    box_set = dataset.box_set(boxes)
    ids = dataset.image_ids()
    if not ids:
        raise InputError(f"{dataset.card.id}: no image is in the data given.")
    chosen = [ids[i] for i in sorted(set(np.linspace(0, len(ids) - 1, min(n, len(ids))).astype(int).tolist()))]
    samples = [s for s in dataset.samples_of(chosen, box_set) if np.isfinite(s.box_xyxy_px).all()]
    if not samples:
        raise InputError(f"{dataset.card.id}: none of {len(chosen)} faces has a box of the set {box_set!r}.")
    return Pictures(dataset.card.id, box_set, samples, [s.image.read() for s in samples[:decoded]])


def first_answers(model: Model, pictures: Pictures) -> Faces:
    """The model tried on every face, one at a time: what was it timed on?

    Raises
    ------
    InputError
        It breaks its contract, or has no prediction of any face (the reason of the first).
    """
    watch, failed, sizes = Watch(model), [], []
    for sample in pictures.samples:
        image = sample.image.read()
        sizes.append(image.shape[:2])
        faces, _ = predict_batch(watch, [(sample, image)])
        failed += [str(reason) for reason in faces.failure if reason]  # type: ignore[union-attr]
    n = len(pictures.samples)
    if len(failed) == n:
        raise InputError(f"{failed[0].rstrip('.')} (on every one of the {n} faces of {pictures.dataset}: nothing to time).")
    height, width = np.median(sizes, axis=0)
    return Faces(pictures.dataset, pictures.boxes, n, len(failed), float(width), float(height))


def alone(model: Model, batches: Sequence[int], seconds: float) -> tuple[Timed, ...]:
    """The bare network on inputs that lie ready; empty where the model gives none."""
    found = []
    for batch in batches:
        call = model.network_call(batch)
        if call is None:
            return ()
        found.append(timed(call, faces=batch, seconds=seconds))
    return tuple(found)


def with_crop(model: Model, pictures: Pictures, batches: Sequence[int], seconds: float) -> tuple[Timed, ...]:
    """The model's predict on decoded images."""
    found = []
    for batch in batches:
        images, boxes = pictures.take(batch)
        found.append(timed(lambda i=images, b=boxes: model.predict(i, b), faces=batch, seconds=seconds))  # type: ignore[misc]
    return tuple(found)


def end_to_end(model: Model, pictures: Pictures, batch_size: int, workers: int, seconds: float) -> tuple[Timed, ...]:
    """Image files to predictions: one face at a time, in turn; then all, as `hpbench run` does, to the file of predictions."""
    watch, turn = Watch(model), iter(range(10**12))

    def one() -> None:
        sample = pictures.samples[next(turn) % len(pictures.samples)]
        predict_batch(watch, [(sample, sample.image.read())])

    with tempfile.TemporaryDirectory(prefix="hpbench-bench-") as folder:
        numbered = iter(range(10**12))
        ids = [sample.sample_id for sample in pictures.samples]
        n = len(ids)

        def everything() -> None:
            file = Path(folder) / str(next(numbered)) / "predictions.h5"
            predict(
                model, ids, lambda _: pictures.samples, file,
                boxes=pictures.boxes, settings={}, batch_size=batch_size, setup=Setup(workers),
            )  # fmt: skip

        return timed(one, faces=1, seconds=seconds), timed(everything, faces=n, batch_size=batch_size, seconds=seconds)


def as_sentence(model: str, error: BaseException) -> HpbenchError:
    """What a model raised while it was timed."""
    if isinstance(error, HpbenchError):
        return error
    text = (str(error).strip().splitlines() or [""])[0]
    return InputError(f"model {model} raised {type(error).__name__} while it was timed: {text}"[:300])
