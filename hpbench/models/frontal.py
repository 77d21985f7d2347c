"""The sanity line: a model that never looks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..faces import Faces
from .interface import Model

__all__ = ["Frontal"]


class Frontal(Model):
    """Every head looks straight along the ray through its box centre; what any other model has to beat."""

    name = "frontal"
    version = "1"
    device = "cpu"

    def predict(self, images: list[npt.NDArray[Any]], boxes_xyxy_px: npt.NDArray[Any]) -> Faces:
        """See `Model.predict`; (0, 0, 0), which is the identity in every convention."""
        return Faces(euler_deg=np.zeros((len(images), 3)), convention="300w-lp")
