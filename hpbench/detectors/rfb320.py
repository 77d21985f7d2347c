"""Ultra-Light-Fast-Generic-Face-Detector-1MB, version-RFB-320: a small single-shot detector as an ONNX file.

As its authors run it (detect_imgs_onnx.py): the picture stretched to 320 x 240 without regard to its aspect, RGB, (x - 127) / 128;
``scores`` (1, 4420, 2) are background and face, ``boxes`` (1, 4420, 4) are x0, y0, x1, y1 as shares of width and height; faces
from a score of 0.7, non-maximum suppression at an IoU of 0.5.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..geometry.boxes import without_overlaps
from ..models.onnx_pose import Output
from ..models.onnx_session import OnnxSession
from ..models.weights import WeightFile
from .interface import Array, Detections, Detector

__all__ = ["Rfb320"]

WIDTH_PX, HEIGHT_PX = 320, 240
MIN_SCORE, MAX_IOU = 0.7, 0.5


class Rfb320(Detector):
    """See the module's text.

    Parameters
    ----------
    weights : WeightFile
        An ONNX file of that signature.
    """

    # its boxes begin on the forehead: the upper 0.20 (rendered heads) to 0.26 (AFLW2000) is above the brows, the other sides fit
    margins = (0.0, -0.25, 0.0, 0.0)

    def __init__(self, weights: WeightFile) -> None:
        outputs = [Output(kind="detections", tensor=name) for name in ("scores", "boxes")]
        # one thread: the network is small, and the same bytes come out on every machine with the same runtime
        self._session = OnnxSession(weights, (3, HEIGHT_PX, WIDTH_PX), outputs, "detector rfb320", "cpu", 1)

    def detect(self, image: Array) -> Detections:
        """See `Detector.detect`; the score is a probability."""
        import cv2

        resized = cv2.resize(image, (WIDTH_PX, HEIGHT_PX)).astype(np.float32)
        scores, boxes = self._session.run(((resized - 127.0) / 128.0).transpose(2, 0, 1)[None])
        if scores.shape != (1, scores.shape[1], 2) or boxes.shape != (1, scores.shape[1], 4):
            raise InputError(f"{self._session.path}: scores {scores.shape} and boxes {boxes.shape} are not those of version-RFB-320.")
        face = scores[0, :, 1]
        rows = np.flatnonzero((face > MIN_SCORE) & np.isfinite(boxes[0]).all(axis=1))
        size = np.array([image.shape[1], image.shape[0]] * 2)
        found = boxes[0, rows] * size - 0.5  # 0 and 1 are the picture's outer edges
        kept = without_overlaps(found, face[rows], MAX_IOU)
        return found[kept], face[rows][kept]
