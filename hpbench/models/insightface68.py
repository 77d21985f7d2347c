"""insightface's 68 points in 3D (``1k3d68.onnx``), and the head pose from them by a similarity to our mean face.

Written from what insightface's ``model_zoo/landmark.py`` and ``utils`` state; the package is not needed.  insightface fits an affine
matrix from its own mean shape, which it ships as a pickle; here it is a similarity (rotation, one scale, shift) from hpbench's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import ModelCard
from ..errors import InputError
from ..faces import Faces
from ..geometry.mean_face import mean_face_68
from ..geometry.rotations import nearest_rotation
from .crop import CropSpec, crop_face
from .interface import Model
from .onnx_card import InputSpec
from .onnx_pose import Output
from .onnx_session import OnnxSession
from .weights import card_weights

__all__ = ["Insightface68", "crop_from_image", "rotation_of_points"]

Array = npt.NDArray[Any]

SIDE = 192
INPUT = InputSpec((SIDE, SIDE), "NCHW", "RGB")  # raw 0..255: the network normalises
VALUES = 3309  # 1,103 points of three; the last 68 are the landmarks
POINTS = 68
ENLARGED = 1.5


class Insightface68(Model):
    """The network at the given boxes.

    Parameters
    ----------
    card : ModelCard
    weights : Path, optional
        The ONNX file, its folder, or the pack's zip (``buffalo_l.zip``).
    device, threads
        See `hpbench.models.onnx_card.OnnxCardModel`.

    Raises
    ------
    InputError
        A network with other inputs or outputs.
    MissingDataError
        The file or onnxruntime is missing, or the file has another hash.
    """

    name = "insightface68"
    version = "1"

    def __init__(self, card: ModelCard, weights: Path | None = None, device: str = "auto", threads: int = 0) -> None:
        found = card_weights(card, weights)
        self.name, self.version = card.id, card.version
        self.weights_sha256 = found[0].sha256
        self._session = OnnxSession(found[0], INPUT.shape, [Output(kind="points")], f"model {card.id!r}", device, threads)
        self.device = self._session.device
        given = self._session.run(np.zeros((self._session.batch or 2, *INPUT.shape), np.float32))[0]
        if given.shape[1:] != (VALUES,):
            raise InputError(
                f"{found[0].path}: gives {given.shape[1:]} values a face, 1k3d68 {VALUES}: another of insightface's networks (2d106det)?"
            )
        self._mean_face = mean_face_68()

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        """See `Model.predict`; rotation (crop_ray) and landmarks."""
        import cv2

        boxes = np.asarray(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4)
        landmarks = np.full((len(images), POINTS, 2), np.nan)
        rotation = np.full((len(images), 3, 3), np.nan)
        failure = [""] * len(images)
        rows, crops = [], []
        for row, (image, box) in enumerate(zip(images, boxes, strict=True)):
            if isinstance(
                problem := crop_face(image, box, CropSpec(), (1, 1)), str
            ):  # what is wrong with the box, in the words of all models
                failure[row] = problem
                continue
            rows.append(row)
            crops.append(cv2.warpAffine(np.ascontiguousarray(image), crop_from_image(box), (SIDE, SIDE)))
        if rows:
            values = self._session.run(INPUT.tensor(np.stack(crops)))[0]
            for row, points in zip(rows, values.reshape(len(rows), -1, 3)[:, -POINTS:], strict=True):
                turned = rotation_of_points(points, self._mean_face)
                if np.isnan(turned).any():
                    failure[row] = "the model's output is not a face"
                    continue
                matrix = crop_from_image(boxes[row])
                landmarks[row] = ((points[:, :2] + 1.0) * (SIDE / 2) - matrix[:, 2]) / matrix[0, 0]
                rotation[row] = turned
        return Faces(rotation=rotation, landmarks=landmarks, scheme="ibug68-fixed", failure=failure)

    def network_call(self, batch_size: int) -> Callable[[], object]:
        """See `Model.network_call`."""
        tensor = INPUT.noise(batch_size)
        return lambda: self._session.run(tensor)


def crop_from_image(box_xyxy_px: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The (2, 3) matrix from image to input pixels: a square of 1.5 times the longer side, the box's centre at pixel 96.

    Parameters
    ----------
    box_xyxy_px : (4,) array
    """
    box = np.asarray(box_xyxy_px, dtype=np.float64)
    scale = SIDE / (ENLARGED * (box[2:] - box[:2]).max())
    shift = SIDE / 2 - scale * (box[:2] + box[2:]) / 2.0
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


def rotation_of_points(points: npt.ArrayLike, mean_face: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Rotation (head -> camera) of the similarity that takes the mean face to 3D points, least squares (Umeyama, PAMI 1991).

    Whether z grows towards the camera or away is stated nowhere; a face and its mirror image in depth are no rotations of one another,
    so the one that fits better is right, by far.

    Parameters
    ----------
    points : (L, 3) array
        x right, y down, z either way, one unit for all three.
    mean_face : (L, 3) array
        See `hpbench.geometry.mean_face`.

    Returns
    -------
    (3, 3) float64 array, NaN for points that are not finite or all in one place.
    """
    target, model = (np.asarray(p, dtype=np.float64) for p in (points, mean_face))
    target, model = target - target.mean(axis=0), model - model.mean(axis=0)
    if not np.isfinite(target).all() or np.abs(target).max() < 1e-9:
        return np.full((3, 3), np.nan)
    fits = []
    for sign in (1.0, -1.0):
        covariance = (target * [1.0, 1.0, sign]).T @ model
        rotation = nearest_rotation(covariance)
        fits.append((float(np.trace(rotation.T @ covariance)), rotation))  # the larger, the less is left at the best scale
    return max(fits, key=lambda fit: fit[0])[1]
