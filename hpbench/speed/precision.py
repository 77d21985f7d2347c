"""What half precision costs in accuracy: a model's answers against those of itself in full precision, face by face."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..batches import Watch, predict_batch
from ..faces import Faces
from ..geometry.rotations import geodesic_deg
from ..models.interface import Model
from .record import PrecisionDifference
from .stages import Pictures

__all__ = ["precision_difference"]

Array = npt.NDArray[Any]


def precision_difference(model: Model, reference: Model, pictures: Pictures) -> PrecisionDifference:
    """By how much two models differ on the same faces; `reference` is the one in full precision.

    Raises
    ------
    InputError
        One of them breaks its contract.
    """
    watches = Watch(model), Watch(reference)
    ours: list[Faces] = []
    theirs: list[Faces] = []
    for start in range(0, len(pictures.samples), model.batch_size):
        batch = [(sample, sample.image.read()) for sample in pictures.samples[start : start + model.batch_size]]
        for found, watch in zip((ours, theirs), watches, strict=True):
            found.append(predict_batch(watch, batch)[0])
    a, b = Faces.concatenate(ours), Faces.concatenate(theirs)
    failed = [np.array([bool(reason) for reason in faces.failure]) for faces in (a, b)]  # type: ignore[union-attr]
    both = ~failed[0] & ~failed[1]

    def spread(name: str, difference: Any) -> tuple[float, float, float] | None:
        one, other = getattr(a, name), getattr(b, name)
        if one is None or other is None:
            return None
        values = difference(one[both], other[both])
        values = values[np.isfinite(values)]
        return tuple(float(v) for v in np.percentile(values, (50, 95, 100))) if len(values) else None  # type: ignore[return-value]

    return PrecisionDifference(
        int(both.sum()),
        int((failed[0] != failed[1]).sum()),
        spread("rotation", geodesic_deg),
        spread("landmarks", lambda x, y: np.linalg.norm(x - y, axis=-1)),
        spread("visibility", lambda x, y: np.abs(x - y)),
    )
