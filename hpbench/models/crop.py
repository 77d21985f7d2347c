"""Cutting the face out of an image and resizing it, and the way back from crop to image.

Conventions
-----------
Coordinates have (0, 0) in the centre of the top-left pixel, in the image as in the crop.  A crop is a window of whole
pixels, so a pixel's outer edges lie half a pixel before and behind its centre, and the way back is exact:
``x_image = x0 + (x_crop + 0.5) * window_width / crop_width - 0.5``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..images import MAX_IMAGE_PIXELS

__all__ = ["Crop", "CropSpec", "crop_face"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class CropSpec:
    """How much of the image around a face box a model sees.

    Attributes
    ----------
    margin : float or (left, top, right, bottom)
        Fraction of the box's width (left, right) or height (top, bottom) added on each side; negative cuts away.
    shape : str
        ``rectangle``: the enlarged box as it is (resizing may change its aspect); ``square``: the square around the
        enlarged box's centre whose side is its longer side; ``square-by-height``: whose side is its height.
    border : str
        Where the window leaves the image: ``clip`` cuts it at the image (and so changes its aspect), ``constant``
        continues the image in black, ``replicate`` with its edge pixels.
    interpolation : str
        ``linear``, ``cubic``, or ``area``: averages where the crop shrinks, linear where it grows.
    window : str
        ``pixels``: whole ones, as most public test code cuts; ``exact``: not rounded, one interpolation of the picture (after an average
        over a whole factor where it shrinks by 2 or more), black outside: the crop of `hpbench.mnn`.
    """

    margin: tuple[float, float, float, float] | float = 0.0
    shape: Literal["rectangle", "square", "square-by-height"] = "rectangle"
    border: Literal["clip", "constant", "replicate"] = "clip"
    interpolation: Literal["linear", "area", "cubic"] = "linear"
    window: Literal["pixels", "exact"] = "pixels"

    def validate(self, where: str) -> None:
        """`InputError` for margins that leave nothing of the box."""
        left, top, right, bottom = self.margins
        if not all(map(math.isfinite, self.margins)) or 1 + left + right <= 0 or 1 + top + bottom <= 0:
            raise InputError(f"{where}: margin {self.margin!r} leaves nothing of the box: it is a fraction of it, added on each side.")
        if self.window == "exact" and (self.shape == "rectangle" or self.border != "constant" or self.interpolation != "linear"):
            raise InputError(f'{where}: window = "exact" goes with a square shape, border = "constant" and interpolation = "linear".')

    @property
    def margins(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return (self.margin,) * 4 if isinstance(self.margin, float) else self.margin


class Crop(NamedTuple):
    """A face cut out.

    Attributes
    ----------
    pixels : (h, w, 3) uint8 array, RGB
    image_from_crop : (2, 3) float64 array
        Takes crop coordinates (x, y, 1) to image coordinates, both in pixels.
    """

    pixels: Array
    image_from_crop: Array

    def to_image(self, points: npt.ArrayLike) -> Array:
        """(L, 2) points in crop pixels as (L, 2) points in image pixels."""
        scale = np.diagonal(self.image_from_crop)  # crops are not turned
        return np.asarray(points, dtype=np.float64) * scale + self.image_from_crop[:, 2]


def crop_face(image: Array, box_xyxy_px: npt.ArrayLike, spec: CropSpec, size_px: tuple[int, int]) -> Crop | str:
    """Cut out and resize one face.

    The window, unless exact, is that of most public test code: from pixel floor(x0) to pixel floor(x1), both included.

    Parameters
    ----------
    image : (H, W, 3) uint8 array, RGB
    box_xyxy_px : (4,) array
        Edges of the face box; it may reach outside the image.
    spec : CropSpec
    size_px : (int, int)
        Width and height of the crop.

    Returns
    -------
    Crop, or the reason (str) why there is none: a box that is NaN, empty, outside the image or absurdly large.
    """
    import cv2

    box = np.asarray(box_xyxy_px, dtype=np.float64)
    height, width = image.shape[:2]
    if not np.isfinite(box).all():
        return "the face box is not a number"
    if box[2] <= box[0] or box[3] <= box[1]:
        return f"the face box is empty ({_numbers(box)})"
    if box[0] > width - 0.5 or box[1] > height - 0.5 or box[2] < -0.5 or box[3] < -0.5:
        return f"the face box ({_numbers(box)}) lies outside the image ({width} x {height})"

    if spec.window == "exact":
        return _exact(image, box, spec, size_px)
    x0, y0, columns, rows = _window(box, spec)
    inside_x, inside_y = max(x0, 0), max(y0, 0)
    inside = image[inside_y : max(y0 + rows, 0), inside_x : max(x0 + columns, 0)]
    if inside.size == 0:
        return f"the crop of the face box ({_numbers(box)}) lies outside the image ({width} x {height})"
    if spec.border == "clip":
        x0, y0, (rows, columns) = inside_x, inside_y, inside.shape[:2]
    elif columns * rows > MAX_IMAGE_PIXELS:
        return f"the face box ({_numbers(box)}) asks for a crop of {columns:.3g} x {rows:.3g} pixels"
    elif inside.shape[:2] != (rows, columns):
        before_x, before_y = inside_x - x0, inside_y - y0
        after_x, after_y = columns - before_x - inside.shape[1], rows - before_y - inside.shape[0]
        border = cv2.BORDER_REPLICATE if spec.border == "replicate" else cv2.BORDER_CONSTANT
        inside = cv2.copyMakeBorder(inside, before_y, after_y, before_x, after_x, border)

    w, h = size_px
    how = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}[spec.interpolation]
    if how == cv2.INTER_AREA and (columns < w or rows < h):
        how = cv2.INTER_LINEAR  # OpenCV's INTER_AREA shifts the picture by up to half a pixel where it enlarges
    pixels = cv2.resize(np.ascontiguousarray(inside), (w, h), interpolation=how)
    scale_x, scale_y = columns / w, rows / h
    back = np.array([[scale_x, 0.0, x0 + 0.5 * scale_x - 0.5], [0.0, scale_y, y0 + 0.5 * scale_y - 0.5]])
    return Crop(pixels, back)


def _exact(image: Array, box: Array, spec: CropSpec, size_px: tuple[int, int]) -> Crop:
    from ..mnn.crops import cut

    x0, y0, columns, rows = _enlarged(box, spec)
    scale = np.array([columns, rows]) / size_px
    # about the box's centre, as `hpbench.mnn.crops.Crops` has it
    shift = np.array([x0 + columns / 2.0, y0 + rows / 2.0]) - scale * (np.array(size_px) - 1) / 2.0
    crop_from_image = np.column_stack([np.diag(1.0 / scale), -shift / scale])
    return Crop(cut(image, crop_from_image, size_px[0]), np.column_stack([np.diag(scale), shift]))


def _enlarged(box: Array, spec: CropSpec) -> tuple[float, float, float, float]:
    """Left and upper edge, width and height of the enlarged box, made square where the card says so."""
    left, top, right, bottom = spec.margins
    box_w, box_h = box[2] - box[0], box[3] - box[1]
    x0, x1 = box[0] - left * box_w, box[2] + right * box_w
    y0, y1 = box[1] - top * box_h, box[3] + bottom * box_h
    if spec.shape == "rectangle":
        return x0, y0, x1 - x0, y1 - y0
    side = max(x1 - x0, y1 - y0) if spec.shape == "square" else y1 - y0
    return (x0 + x1 - side) / 2, (y0 + y1 - side) / 2, side, side


def _window(box: Array, spec: CropSpec) -> tuple[int, int, int, int]:
    """First column, first row, columns and rows of the window, before it meets the image's border."""
    x0, y0, width, height = _enlarged(box, spec)
    if spec.shape != "rectangle":
        pixels = math.floor(width) + 1  # one number for both: rounding four edges could leave it one pixel off square
        return math.floor(x0), math.floor(y0), pixels, pixels
    _, _, right, bottom = spec.margins
    x1, y1 = box[2] + right * (box[2] - box[0]), box[3] + bottom * (box[3] - box[1])
    return math.floor(x0), math.floor(y0), math.floor(x1) - math.floor(x0) + 1, math.floor(y1) - math.floor(y0) + 1


def _numbers(box: Array) -> str:
    return ", ".join(f"{v:.6g}" for v in box)
