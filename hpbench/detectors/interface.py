"""What a detector is: one method."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Detections", "Detector"]

Array = npt.NDArray[Any]
Detections = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


class Detector(abc.ABC):
    """Finds the faces of a picture; the same faces in the same order for the same picture.

    Attributes
    ----------
    margins : (left, top, right, bottom)
        What makes a detection about as tight as the 68 landmarks, which is what models take for a face box: shares of its width and
        height added on each side, negative cuts away.  Round numbers.  rfb320's was chosen on 16 faces of AFLW2000-3D and on test
        faces of heads, so what is measured with it on those is slightly better than elsewhere.
    """

    margins: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    @abc.abstractmethod
    def detect(self, image: Array) -> Detections:
        """Find all faces.

        Parameters
        ----------
        image : (H, W, 3) uint8 array, RGB

        Returns
        -------
        boxes_xyxy_px : (K, 4) float64 array
            Edges, (0, 0) = centre of the top-left pixel; they may reach outside the image.
        scores : (K,) float64 array
            Highest first; what they mean is the detector's affair.
        """

    def face_boxes(self, image: Array) -> Detections:
        """As `detect`, the boxes made as tight as landmarks by `margins`: those a model is given."""
        boxes, scores = self.detect(image)
        size = boxes[:, 2:] - boxes[:, :2]
        left, top, right, bottom = self.margins
        return boxes + np.concatenate([size * (-left, -top), size * (right, bottom)], axis=1), scores
