"""Labels of a posed head: projections, boxes and three-way visibility by rays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..geometry.camera import project
from .cut import Part
from .labels import EXTERNAL, SELF, VISIBLE
from .raycast import TriangleSoup
from .tracing import Tracer

__all__ = ["clipped_box", "points_px", "tight_box", "visibility"]

Array = npt.NDArray[Any]

# A point is hidden when something lies more than this before it: what is nearer is the skin that the point itself is on
# (closed lids and lips overlap).  Chosen by eye: 3 mm called closed lids hidden.
_SLACK_M = 0.005
# Of the jaw a ray along the cheek says little: fixed points a hair's breadth beyond the outline have the whole cheek before them.
# A jaw point is hidden by the head only where all places so near to it, across the line of sight, are.
_OUTLINE_M = 0.005
_AROUND = np.array([[np.cos(a), np.sin(a), 0.0] for a in np.arange(8) * np.pi / 4])
_THING_SLACK_M = 0.0003  # a mask lies on the skin, and what lies before the point by any length hides it
_JAW = 17


def points_px(points_camera_m: Array, camera_px: Array) -> Array:
    """Pixels (N, 2) of points (N, 3) in the camera frame."""
    return project(points_camera_m, np.eye(3), np.zeros(3), camera_px)


def tight_box(points: Array) -> Array:
    """x0, y0, x1, y1 of points (N, 2)."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def clipped_box(box_xyxy_px: Array, size_px: int) -> Array:
    """The part of a box that lies in the picture, whose edges are half a pixel outside its outermost centres."""
    return np.clip(box_xyxy_px, -0.5, size_px - 0.5)


def visibility(points_camera_m: Array, head: TriangleSoup, tracer: Tracer) -> Array:
    """Three-way visibility (68,) uint8 of points in the camera frame.

    Parameters
    ----------
    points_camera_m : (68, 3) array
        The first 17 are the jaw, which the head hides from `_OUTLINE_M` within its outline on.
    head : TriangleSoup
        The bust alone: what it hides is self-occluded.
    tracer : Tracer
        Of everything; gaps in hair are passed and lashes hide nothing.
    """
    behind_skin = _blocked(head, points_camera_m)
    around = points_camera_m[:_JAW, None] + _OUTLINE_M * _AROUND
    by_self = behind_skin.copy()
    by_self[:_JAW] &= _blocked(head, around.reshape(-1, 3)).reshape(_JAW, -1).all(axis=1)
    distance = np.linalg.norm(points_camera_m, axis=1)
    first, part = tracer.first(points_camera_m / distance[:, None])
    by_any = first < distance - np.where(part == Part.THING, _THING_SLACK_M, _SLACK_M)
    by_any &= ~(behind_skin & (part <= Part.TONGUE))  # it is the cheek that stands before it
    return np.where(by_self, SELF, np.where(by_any, EXTERNAL, VISIBLE)).astype(np.uint8)


def _blocked(head: TriangleSoup, points_camera_m: Array) -> Array:
    distance = np.linalg.norm(points_camera_m, axis=1)
    return head.blocked(np.zeros(3), points_camera_m / distance[:, None], distance - _SLACK_M)
