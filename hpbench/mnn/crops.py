"""The square crop that the network sees, in training as in use.

Conventions
-----------
The crop is the face box enlarged by 30 % of its size on every side and made square by its height (`hpbench.geometry.camera.crop_camera`
is its camera).  Pixels have (0, 0) in the centre of the top-left one, in the picture as in the crop.  Outside the picture the crop
is black.

An augmented crop is shifted, then turned about its centre, then mirrored.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InputError

__all__ = ["ENLARGE", "FOCAL_OVER_SIDE", "Crops", "box_crops", "cut", "from_crop", "to_crop"]

Array = npt.NDArray[Any]

ENLARGE, FOCAL_OVER_SIDE = 0.3, 1.5  # of the crop and its camera: what the MNN code takes


class Crops(NamedTuple):
    """Where N crops lie in their pictures.

    Attributes
    ----------
    centre_px : (N, 2) float64 array
    side_px : (N,) float64 array
    turn_deg : (N,) float64 array
        The picture is turned by this about the crop's centre, clockwise to the eye: Rz of the camera frame.
    mirrored : (N,) bool array
    """

    centre_px: Array
    side_px: Array
    turn_deg: Array
    mirrored: Array

    def crop_from_image(self, size_px: int) -> Array:
        """(N, 2, 3) affine maps from picture to crop pixels."""
        angle = np.deg2rad(self.turn_deg)
        cos, sin = np.cos(angle), np.sin(angle)
        linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2) * (size_px / self.side_px)[:, None, None]
        linear[self.mirrored, 0] *= -1.0
        shift = (size_px - 1) / 2.0 - (linear @ self.centre_px[:, :, None])[..., 0]
        return np.concatenate([linear, shift[..., None]], axis=-1)


def box_crops(box_xyxy_px: npt.ArrayLike) -> Crops:
    """The crops of (N, 4) face boxes as they are."""
    box = np.asarray(box_xyxy_px, dtype=np.float64)
    if box.ndim != 2 or box.shape[1] != 4:
        raise InputError(f"face boxes have shape (N, 4), got {box.shape}.")
    side = (1.0 + 2.0 * ENLARGE) * (box[:, 3] - box[:, 1])
    if not (side > 0).all():
        raise InputError("a face box has no height (y1 <= y0, or NaN): is it x, y, width, height?")
    return Crops((box[:, :2] + box[:, 2:]) / 2.0, side, np.zeros(len(box)), np.zeros(len(box), dtype=bool))


def to_crop(points: npt.ArrayLike, crop_from_image: Array) -> Array:
    """(N, L, 2) points by (N, 2, 3) affine maps."""
    return np.asarray(points, dtype=np.float64) @ np.swapaxes(crop_from_image[:, :, :2], -1, -2) + crop_from_image[:, None, :, 2]


def from_crop(points: npt.ArrayLike, crop_from_image: Array) -> Array:
    """The way back: (N, L, 2) crop pixels to picture pixels."""
    shifted = np.asarray(points, dtype=np.float64) - crop_from_image[:, None, :, 2]
    return np.swapaxes(np.linalg.solve(crop_from_image[:, :, :2], np.swapaxes(shifted, -1, -2)), -1, -2)


def cut(image: Array, crop_from_image: Array, size_px: int) -> Array:
    """One crop, (size, size, 3) uint8, by one interpolation from the picture.

    A picture of more than twice the resolution is averaged down by a whole factor first, so that nothing is aliased.

    Parameters
    ----------
    image : (H, W, 3) uint8 array
    crop_from_image : (2, 3) array
    size_px : int
    """
    import cv2

    matrix = np.asarray(crop_from_image, dtype=np.float64)
    shrink = int(1.0 / np.sqrt(abs(np.linalg.det(matrix[:, :2]))) + 1e-9)
    if shrink >= 2:
        image, corner = _window(image, matrix, size_px, shrink)
        if not image.size:
            return np.zeros((size_px, size_px, 3), np.uint8)
        image = cv2.resize(image, (image.shape[1] // shrink, image.shape[0] // shrink), interpolation=cv2.INTER_AREA)
        linear = matrix[:, :2] * shrink
        matrix = np.column_stack([linear, matrix[:, 2] + matrix[:, :2] @ (corner + (shrink - 1) / 2.0)])
    return cv2.warpAffine(image, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR)


def _window(image: Array, matrix: Array, size_px: int, shrink: int) -> tuple[Array, Array]:
    """What of the picture a crop needs, its sides multiples of `shrink`, and its first column and row."""
    corners = np.array([[x, y] for x in (-1, size_px) for y in (-1, size_px)], dtype=np.float64)
    there = np.linalg.solve(matrix[:, :2], (corners - matrix[:, 2]).T).T
    height, width = image.shape[:2]
    first = np.clip(np.floor(there.min(axis=0)).astype(int) - shrink, 0, None)
    last = np.minimum(np.ceil(there.max(axis=0)).astype(int) + shrink, (width, height))
    columns, rows = np.maximum((last - first) // shrink * shrink, 0)
    return image[first[1] : first[1] + rows, first[0] : first[0] + columns], first.astype(np.float64)
