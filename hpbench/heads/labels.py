"""What is known exactly of a rendered head.

Conventions
-----------
Millimetres in the head frame (x to the subject's left, y down, z into the head; origin midway between the eyeballs'
centres, see `hpbench.heads.frame`), pixels with (0, 0) at the centre of the top-left pixel, degrees.  Rotations are
camera-from-head, in the OpenCV camera frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["EXTERNAL", "SELF", "VISIBLE", "Labels"]

Array = npt.NDArray[Any]

VISIBLE, EXTERNAL, SELF = np.uint8(0), np.uint8(1), np.uint8(2)  # the codes of `hpbench.faces.Faces.occlusion`


@dataclass(frozen=True, eq=False)
class Labels:
    """Exact labels of one picture.

    Attributes
    ----------
    rotation_camera_from_head : (3, 3) float64
    rotation_crop_ray : (3, 3) float64
        Relative to the ray through the centre of `box_landmarks_xyxy_px`: what a crop centred there can show.
    translation_mm : (3,) float64
        Origin of the head frame in the camera frame.
    camera_px : (3, 3) float64
        Intrinsic matrix K.
    landmarks_3d_mm : (68, 3) float64
        The fixed points in the head frame, with this picture's expression.
    landmarks_fixed_px, landmarks_contour_px : (68, 2) float64
        Schemes ``ibug68-fixed`` and ``ibug68-contour``.
    occlusion_fixed, occlusion_contour : (68,) uint8
        0 visible, 1 hidden by something else (hair, clothes and glasses are something else), 2 hidden by the head itself; where
        both hide a point, 2.
    box_landmarks_xyxy_px : (4,) float64
        Tight box of the fixed points.
    box_head_xyxy_px : (4,) float64
        Tight box of skin and scalp hair above the neck as if nothing hid it, cut at the picture's edges.
    attributes : mapping of str to str or float
        The same keys for every head.
    phenotype, changes, actions : (P,), (C,), (A,) float64
        Parameters of anny's model.
    """

    rotation_camera_from_head: Array
    rotation_crop_ray: Array
    translation_mm: Array
    camera_px: Array
    landmarks_3d_mm: Array
    landmarks_fixed_px: Array
    landmarks_contour_px: Array
    occlusion_fixed: Array
    occlusion_contour: Array
    box_landmarks_xyxy_px: Array
    box_head_xyxy_px: Array
    attributes: Mapping[str, str | float]
    phenotype: Array
    changes: Array
    actions: Array
