"""The faces that a model is tried on: a seeded sample of a data set, their pictures in memory, and what scores the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..batches import Watch, joined, predict_batch
from ..catalog import Protocol, protocols_of, published_rows
from ..charging import Column, charged_columns
from ..errors import InputError, MissingDataError
from ..evaluate import kept_rows
from ..faces import Faces, Sample
from ..metrics import Metric, parse_metric
from ..obstacles import as_compared, obstacle, protocol_needs
from ..readers import Dataset
from ..scoring import protocol_truth

__all__ = ["SEED", "Image", "Specimens", "Yardstick", "predicted", "specimens_of", "yardsticks_of"]

SEED = 20250601  # of the sample of faces: the same faces for every model

Image = npt.NDArray[np.uint8] | InputError  # what could not be read is the error itself


@dataclass(frozen=True, eq=False)
class Specimens:
    """Faces of one split, N of them, sorted by id.

    Attributes
    ----------
    source : Dataset
    split, boxes : str
        Of the data set; `boxes` names the box set.
    samples : tuple of Sample
    images : tuple of (H, W, 3) uint8 RGB array or InputError
    """

    source: Dataset
    split: str
    boxes: str
    samples: tuple[Sample, ...]
    images: tuple[Image, ...]

    @property
    def boxes_xyxy_px(self) -> npt.NDArray[np.float64]:
        """(N, 4)."""
        return np.array([s.box_xyxy_px for s in self.samples], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What answers of one kind are measured by.

    Attributes
    ----------
    protocol : Protocol
        Whose labels, norm box, clusters and charges.
    metrics : tuple of Metric
        The first is the one that findings are of.
    truth : Faces
        Of the specimens that the protocol keeps.
    scheme : str
        Of the labels' landmarks.
    """

    protocol: Protocol
    metrics: tuple[Metric, ...]
    truth: Faces
    scheme: str

    @property
    def clusters(self) -> npt.NDArray[np.object_] | None:
        return getattr(self.truth, self.protocol.cluster_by) if self.protocol.cluster_by else None

    def columns(self, predictions: Faces) -> list[Column]:
        """Errors of each face by every metric, failures charged as everywhere."""
        compared = as_compared(self.protocol, self.scheme, predictions)
        aligned = compared.aligned_to([str(i) for i in self.truth.sample_id])  # type: ignore[union-attr]
        norm_box = self.truth.box_xyxy_px if self.protocol.norm_box else None
        return charged_columns(self.metrics, self.protocol, self.truth, aligned, norm_box)


def specimens_of(source: Dataset, limit: int, seed: int = SEED) -> Specimens:
    """At most `limit` faces of the split that most is published of, drawn without replacement.

    Raises
    ------
    MissingDataError
        No face has both labels and an image in the data given.
    """
    candidates = _by_own_boxes(source)
    split = candidates[0].split if candidates else source.default_split
    with_image = set(source.image_ids(split))
    ids = [i for i in source.found_ids(split) if i in with_image]
    if not ids:
        raise MissingDataError(f"{source.card.id}: no face of split {split!r} has both labels and an image in the data given.")
    drawn = np.random.default_rng(seed).choice(len(ids), min(limit, len(ids)), replace=False)
    boxes = source.box_set()
    samples = tuple(source.samples_of([ids[i] for i in sorted(drawn)], boxes))
    return Specimens(source, split, boxes, samples, tuple(_read(sample) for sample in samples))


def predicted(
    watch: Watch, samples: Sequence[Sample], images: Sequence[Image], batch_size: int, boxes_xyxy_px: npt.NDArray[np.float64] | None = None
) -> Faces:
    """What a run would get for these faces, a row a sample; the boxes (N, 4) stand in for the samples' own.

    Raises
    ------
    InputError
        The model breaks its contract, or has failed on its first faces without an answer.
    """
    if boxes_xyxy_px is not None:
        samples = [s._replace(box_xyxy_px=box) for s, box in zip(samples, boxes_xyxy_px, strict=True)]
    pairs = list(zip(samples, images, strict=True))
    parts = [predict_batch(watch, pairs[i : i + batch_size])[0] for i in range(0, len(pairs), batch_size)]
    return joined(parts, watch.model)


def yardsticks_of(specimens: Specimens, predictions: Faces) -> tuple[list[Yardstick], list[str]]:
    """What the pose and the landmarks of these predictions can be measured by, and why not where they cannot."""
    found, reasons = [], []
    source = specimens.source
    ids = [s.sample_id for s in specimens.samples]
    for kind, has in (("pose", predictions.rotation is not None), ("landmarks", predictions.landmarks is not None)):
        if not has:
            continue
        able = [p for p in _by_own_boxes(source) if p.split == specimens.split and _metrics_of(p, kind)]
        refusals = [obstacle(p, source.scheme(p.labels), predictions, specimens.boxes) for p in able]
        chosen = next((p for p, refusal in zip(able, refusals, strict=True) if not refusal), None)
        if chosen is None:
            why = refusals[0] if refusals else f"{source.card.id} has no protocol of them with labels here"
            reasons.append(f"its {kind} cannot be scored: {why}")
            continue
        truth, _, _ = protocol_truth(source, chosen, ids)
        truth = truth.take(kept_rows(chosen, truth))
        if len(truth):
            found.append(Yardstick(chosen, tuple(_metrics_of(chosen, kind)), truth, source.scheme(chosen.labels)))
        else:
            reasons.append(f"its {kind} cannot be scored: {chosen.reference} keeps none of the {len(ids)} faces")
    return found, reasons


def _by_own_boxes(source: Dataset) -> list[Protocol]:
    """Protocols with the card's boxes and labels that are here: the default annotation and the most published numbers first, then the
    plainest; none that aligns predictions to labels, which would hide what moved boxes do."""
    published = [row.protocol_id for row in published_rows()]
    able = [p for p in protocols_of(source.card) if p.boxes == source.box_set() and not p.align_by and source.found_ids(p.split, p.labels)]
    return sorted(able, key=lambda p: (bool(p.labels), -published.count(p.id), len(p.id), p.id))


def _metrics_of(protocol: Protocol, kind: str) -> list[Metric]:
    """Geodesic and MAE, or NME, as the protocol has them: means over faces."""
    names = ("geodesic", "mae") if kind == "pose" else ("nme",)
    if not protocol_needs(protocol, kind):
        return []
    metrics = [parse_metric(text) for text in dict.fromkeys((protocol.main, *protocol.metrics))]
    plain = [m for m in metrics if m.parameters.get("mean") not in ("balanced", "median")]
    firsts = (next((m for m in plain if m.family.name == n and m.parameters.get("angle", "mean") == "mean"), None) for n in names)
    return [m for m in firsts if m is not None]


def _read(sample: Sample) -> Image:
    try:
        return sample.image.read()
    except InputError as error:
        return error
