"""Boxes of a detector instead of a dataset's, so that a whole pipeline is measured and not only what follows the detector.

The detector searches the whole picture and knows nothing of the labels.  Which of its boxes is which face only the labels can say:
the one that overlaps the dataset's default box of the face best, by an IoU of `MIN_IOU` at least.  Where there is none, the face has
failed, and is charged as every failure.  The box that the model gets is the detector's alone (`Detector.face_boxes`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..geometry.boxes import iou_xyxy
from .cards import PREFIX, DetectorCard, create_detector
from .interface import Detector

__all__ = ["MIN_IOU", "DetectedBoxes"]

Array = npt.NDArray[Any]

MIN_IOU = 0.2  # that of models.dlib68: low enough for other definitions of the same face's box, above what a neighbour reaches


class DetectedBoxes:
    """A detector that is asked for the box of one face.

    Parameters
    ----------
    card : DetectorCard
    detector : Detector, optional
        Default: made from the card.

    Attributes
    ----------
    name : str
        Of the box set: ``detector:rfb320``.
    settings : dict
        What tells its boxes from those of another detector, as JSON values.
    """

    def __init__(self, card: DetectorCard, detector: Detector | None = None) -> None:
        self.name = f"{PREFIX}{card.id}"
        self.not_found = f"detector {card.id} found no face here"
        self._detector = detector if detector is not None else create_detector(card)
        self.settings: dict[str, Any] = {
            "name": card.id, "files": card.files, "margins": list(self._detector.margins), "min_iou": MIN_IOU,
        }  # fmt: skip

    def box_near(self, image: Array, box_xyxy_px: npt.ArrayLike) -> npt.NDArray[np.float64] | None:
        """The detection (4,) that overlaps a box best; of equals the one with the highest score; None where none does by `MIN_IOU`."""
        boxes, _ = self._detector.face_boxes(image)
        overlap = iou_xyxy(boxes, box_xyxy_px)
        best = int(overlap.argmax()) if len(overlap) else -1
        return boxes[best] if best >= 0 and overlap[best] >= MIN_IOU else None
