"""Pictures varied for training (section "augmentation" of the paper): crops, colours, rectangles in front of the face.

The labels follow: `hpbench.mnn.targets.targets` computes them for any crop, `occlude` marks what a rectangle hides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .config import AugmentConfig
from .crops import Crops, box_crops
from .targets import FaceLabels, mirror_order

__all__ = ["draw_crops", "hide", "occlude", "recolour"]

Array = npt.NDArray[Any]


def draw_crops(labels: FaceLabels, config: AugmentConfig, rngs: Sequence[np.random.Generator]) -> Crops:
    """A crop for each face: shifted, scaled, turned, mirrored, as its own generator says."""
    plain = box_crops(labels.box_xyxy_px)
    draws = np.array([rng.uniform(-1.0, 1.0, 5) for rng in rngs]).reshape(len(labels), 5)
    size = labels.box_xyxy_px[:, 2:] - labels.box_xyxy_px[:, :2]
    mirrored = (draws[:, 4] < 2.0 * config.mirror - 1.0) & (mirror_order(labels.scheme) is not None)
    return Crops(
        plain.centre_px + config.shift * size * draws[:, :2],
        plain.side_px * (1.0 + config.scale * draws[:, 2]),
        config.turn_deg * draws[:, 3],
        mirrored,
    )


def recolour(crop: Array, config: AugmentConfig, rng: np.random.Generator) -> Array:
    """Hue, saturation and value, each times U(1 - colour, 1 + colour); a new (H, W, 3) uint8 array."""
    import cv2

    factors = 1.0 + config.colour * rng.uniform(-1.0, 1.0, 3)
    levels = np.arange(256)[:, None] * factors
    levels[:, 0] %= 180.0  # OpenCV's hue of bytes is in steps of two degrees
    table = np.clip(levels, 0, (179, 255, 255)).astype(np.uint8)[None]
    hsv: Array = cv2.LUT(cv2.cvtColor(crop, cv2.COLOR_RGB2HSV), table)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def occlude(crop: Array, points_px: Array, config: AugmentConfig, rng: np.random.Generator) -> tuple[Array, Array]:
    """A rectangle of one colour, with or without noise, somewhere in the crop.

    Parameters
    ----------
    crop : (H, W, 3) uint8 array
    points_px : (L, 2) array
        Crop pixels.

    Returns
    -------
    crop : (H, W, 3) uint8 array
        A new one.
    hidden : (L,) bool array
        The points that lie in the rectangle.
    """
    height, width = crop.shape[:2]
    share, centre = rng.uniform(*config.occluder_share, 2), rng.uniform(0.1, 0.9, 2)
    x0, y0 = np.clip((centre - share / 2.0) * (width, height), 0, None).astype(int)
    x1, y1 = np.ceil((centre + share / 2.0) * (width, height)).astype(int)
    out = crop.copy()
    patch = out[y0:y1, x0:x1]
    noise = rng.uniform(0.0, 60.0) * (rng.random() < 0.5)
    patch[:] = np.clip(rng.uniform(0, 255, 3) + noise * rng.standard_normal((*patch.shape[:2], 1)), 0, 255)
    with np.errstate(invalid="ignore"):
        hidden: Array = np.all((points_px >= (x0 - 0.5, y0 - 0.5)) & (points_px < (x1 - 0.5, y1 - 0.5)), axis=1)
    return out, hidden


def hide(labels: FaceLabels, hidden: Array) -> FaceLabels:
    """Labels in which visible points of `hidden` (N, L) are externally occluded; points without a label stay without."""
    return replace(labels, occlusion=np.where(hidden & (labels.occlusion == 0), np.uint8(1), labels.occlusion))
