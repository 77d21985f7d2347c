"""Where the regression trees look, and which landmarks go together: the fixed geometry of the cascade, in NumPy.

Conventions
-----------
Shapes of the cascade are in the frame of the face box: origin at its centre, x right, y down, unit its height.  The crop is that box
enlarged and made square (`hpbench.mnn.crops`), so the crop alone says where it is.

A sampling place of a landmark is a landmark of the mean shape, the nearest one, and the offset from it.  On another shape it is the
same landmark there and the offset turned and scaled by the similarity between the shapes (Kazemi and Sullivan, CVPR 2014).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..landmarks import scheme_named
from .crops import ENLARGE
from .targets import mean_face_units

__all__ = ["BOX_SIDES", "PATTERN", "Anchors", "anchors", "mean_shape", "parts", "self_occlusion_yaw_deg"]

Array = npt.NDArray[Any]

BOX_SIDES = 1.0 + 2.0 * ENLARGE  # heights of the face box in a side of the crop

_RADII = (0.667, 0.5, 0.361, 0.25, 0.167, 0.111, 0.083)
_JAW_YAW_DEG, _EYE_YAW_DEG = 15.0, 40.0
_UPPER_LIP = {
    "ibug68-fixed": (*range(48, 55), *range(60, 65)),
    "ibug68-contour": (*range(48, 55), *range(60, 65)),
    "wflw98": (*range(76, 83), *range(88, 93)),
    "cofw29": (22, 23, 24, 25),
}


def _pattern() -> Array:
    """Rings of 6 points around a centre, each other ring turned by half a step; the centre is last."""
    angle = np.deg2rad(60.0 * np.arange(6)[None] + 30.0 * (np.arange(len(_RADII)) % 2)[:, None])
    rings = np.stack([np.cos(angle), np.sin(angle)], axis=2) * np.array(_RADII)[:, None, None]
    return np.concatenate([rings.reshape(-1, 2), np.zeros((1, 2))])


PATTERN = _pattern()  # (43, 2), of diameter 1 in the units of the spec: the outer ring's radius is 0.667
PATTERN.setflags(write=False)


class Anchors(NamedTuple):
    """Sampling places of L landmarks.

    Attributes
    ----------
    landmark : (L, 43) int64 array
        The nearest landmark of the mean shape.
    offset : (L, 43, 2) float64 array
        From it, in heights of the box of the mean shape.
    """

    landmark: Array
    offset: Array


@lru_cache(maxsize=8)
def mean_shape(scheme: str) -> Array:
    """The frontal mean face from the front, (L, 2), centred, unit the height of its box; read-only.

    Raises
    ------
    InputError
        A point of the scheme has no place on the mean face.
    """
    face = mean_face_units(scheme)[:, :2]
    missing = np.flatnonzero(~np.isfinite(face).all(axis=1))
    if len(missing):
        points = ", ".join(map(str, missing))
        raise InputError(f"regression trees cannot start in the scheme {scheme}: the mean face has no place for its points {points}.")
    low, high = face.min(axis=0), face.max(axis=0)
    shape: Array = (face - (low + high) / 2.0) / (high[1] - low[1])
    shape.setflags(write=False)
    return shape


def anchors(scheme: str, diameter: float) -> Anchors:
    """The sampling places of a scheme's landmarks for a diameter in heights of the box."""
    shape = mean_shape(scheme)
    places = shape[:, None] + diameter * PATTERN
    nearest = np.linalg.norm(places[:, :, None] - shape, axis=3).argmin(axis=2)
    return Anchors(nearest, places - shape[nearest])


def parts(scheme: str) -> dict[str, tuple[int, ...]]:
    """The parts of the fine stages; together they hold every landmark once.

    For 68 and 98 points these are the paper's ten: brows, eyes, nose, upper and lower mouth, both sides of the jaw, chin.
    """
    known = scheme_named(scheme)
    found: dict[str, tuple[int, ...]] = {}
    mouth: tuple[int, ...] = ()
    for name, points in known.parts.items():
        if name == "jaw":
            side = -(-len(points) // 3)
            found |= {"right side": points[:side], "left side": points[-side:], "chin": points[side:-side]}
        elif name == "ears":
            found |= {"right side": points[:1], "left side": points[1:]}
        elif name in ("mouth", "outer lips", "inner lips"):
            mouth += points
        else:
            found[name] = points
    upper = tuple(p for p in mouth if p in _UPPER_LIP.get(known.name, mouth))
    lower = tuple(p for p in mouth if p not in upper)
    return found | {name: points for name, points in (("upper mouth", upper), ("lower mouth", lower)) if points}


def self_occlusion_yaw_deg(scheme: str) -> tuple[Array, Array]:
    """From which yaw on the head hides its own landmarks: of the jaw's sides and the ears from 15 degrees on, eyes and brows from 40.

    Positive yaw (``yxz``) turns the face to image left and hides the subject's right side.

    Returns
    -------
    above, below : (L,) float64 arrays
        A landmark is hidden if yaw > above or yaw < -below; infinite where it never is.
    """
    above, below = (np.full(scheme_named(scheme).n_points, np.inf) for _ in range(2))
    for name, points in parts(scheme).items():
        side, _, part = name.partition(" ")
        limit = {"side": _JAW_YAW_DEG, "eye": _EYE_YAW_DEG, "brow": _EYE_YAW_DEG}.get(part)
        if limit is not None and side in ("right", "left"):
            (above if side == "right" else below)[list(points)] = limit
    return above, below
