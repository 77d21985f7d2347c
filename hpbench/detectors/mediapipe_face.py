"""MediaPipe's face detector (BlazeFace, short range) as it lies in the file of its Face Landmarker, which is a zip archive."""

from __future__ import annotations

import io
import weakref
import zipfile

import numpy as np

from ..errors import MissingDataError
from ..models.mediapipe_face import close_task, libraries_loaded, native_stderr_silenced
from ..models.weights import WeightFile
from .interface import Array, Detections, Detector

__all__ = ["MEMBER", "MediapipeFaceDetector"]

MEMBER = "face_detector.tflite"
MAX_MEMBER_BYTES = 16 << 20


class MediapipeFaceDetector(Detector):
    """See the module's text; MediaPipe's own threshold of 0.5; the score is a probability.

    Its boxes are as tight as landmarks: no margins.

    Parameters
    ----------
    weights : WeightFile
        ``face_landmarker.task``.
    """

    def __init__(self, weights: WeightFile) -> None:
        with libraries_loaded("mediapipe"), native_stderr_silenced():  # its notes on how it runs, some at the first picture
            import mediapipe

            tasks = mediapipe.tasks
            options = tasks.vision.FaceDetectorOptions(base_options=tasks.BaseOptions(model_asset_buffer=_member(weights)))
            self._mediapipe = mediapipe
            self._detector = tasks.vision.FaceDetector.create_from_options(options)
            self.detect(np.zeros((64, 64, 3), np.uint8))
        weakref.finalize(self, close_task, self._detector)

    def detect(self, image: Array) -> Detections:
        """See `Detector.detect`; its boxes are whole pixels."""
        picture = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        found = self._detector.detect(picture).detections
        frames = [f.bounding_box for f in found]
        boxes = np.array([[b.origin_x, b.origin_y, b.origin_x + b.width, b.origin_y + b.height] for b in frames], dtype=np.float64)
        scores = np.array([f.categories[0].score for f in found], dtype=np.float64)
        order = np.argsort(-scores, kind="stable")
        return boxes.reshape(-1, 4)[order] - 0.5, scores[order]  # 0 is the picture's outer edge


def _member(weights: WeightFile) -> bytes:
    """The detector's own network."""
    try:
        with zipfile.ZipFile(io.BytesIO(weights.data)) as archive:
            if archive.getinfo(MEMBER).file_size > MAX_MEMBER_BYTES:
                raise MissingDataError(f"{weights.path}: its {MEMBER} is too large for a detector.")
            return archive.read(MEMBER)
    except (KeyError, zipfile.BadZipFile):
        raise MissingDataError(f"{weights.path}: there is no {MEMBER} in it: not MediaPipe's face_landmarker.task?") from None
