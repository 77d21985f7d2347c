"""dlib's frontal face detector: histograms of oriented gradients under a sliding window of 80 pixels."""

from __future__ import annotations

import numpy as np

from .interface import Array, Detections, Detector

__all__ = ["DlibHog"]

UPSAMPLE = 1  # the picture is doubled once: faces from 40 pixels
MAX_PIXELS = 2_000_000  # of what is doubled: larger pictures are shrunk to it, which no face worth detecting needs


class DlibHog(Detector):
    """See the module's text; the score is the distance from the support vector machine's plane, above 0."""

    margins = (0.0, -0.1, 0.0, 0.1)  # as large as the landmarks' box, but a tenth higher (the way back of models.dlib68.dlib_like_box)

    def __init__(self) -> None:
        import dlib

        self._detector = dlib.get_frontal_face_detector()

    def detect(self, image: Array) -> Detections:
        """See `Detector.detect`."""
        import cv2

        height, width = image.shape[:2]
        shrink = min(1.0, (MAX_PIXELS / (width * height)) ** 0.5)
        seen = image
        if shrink < 1.0:
            size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
            seen = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        scale = np.array([width / seen.shape[1], height / seen.shape[0]] * 2)
        rectangles, scores, _ = self._detector.run(np.ascontiguousarray(seen), UPSAMPLE, 0.0)
        corners = np.array([[r.left(), r.top(), r.right(), r.bottom()] for r in rectangles], dtype=np.float64).reshape(-1, 4)
        order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
        # dlib's integers are pixel centres, of the shrunk picture
        return ((corners + 0.5) * scale - 0.5)[order], np.asarray(scores, dtype=np.float64)[order]
