"""Landmark schemes: what each point is, which points make an eye, which are mirror pairs.

Conventions
-----------
Indices are 0-based.  "Left" and "right" are the subject's own: in a frontal image the subject's right eye is on the
viewer's left, so it has the smaller x.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import InputError, did_you_mean

__all__ = ["SCHEMES", "LandmarkScheme", "scheme_named"]


@dataclass(frozen=True)
class LandmarkScheme:
    """A named, ordered set of landmarks.

    Attributes
    ----------
    name : str
    n_points : int
    description : str
        What the points mean where schemes of equal length differ.
    right_eye, left_eye : tuple of int
        The points whose mean is the pupil of the inter-pupil norm (subject's right, left).
    outer_corners : tuple of int
        The two outer eye corners (subject's right, left) of the inter-ocular norm.
    parts : mapping of str to tuple of int
        Named groups, for errors per part; together they cover every point once.
    pairs : tuple of (int, int)
        Mirror pairs (right, left); points in no pair lie on the midline.
    """

    name: str
    n_points: int
    description: str
    right_eye: tuple[int, ...]
    left_eye: tuple[int, ...]
    outer_corners: tuple[int, int]
    parts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    pairs: tuple[tuple[int, int], ...] = ()


_IBUG68_PAIRS = (
    *((i, 16 - i) for i in range(8)),  # jaw
    *((17 + i, 26 - i) for i in range(5)),  # brows
    (31, 35), (32, 34),  # nostrils
    (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46),  # eyes
    (48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65),  # mouth
)  # fmt: skip

_IBUG68_PARTS = {
    "jaw": tuple(range(0, 17)),
    "right brow": tuple(range(17, 22)),
    "left brow": tuple(range(22, 27)),
    "nose": tuple(range(27, 36)),
    "right eye": tuple(range(36, 42)),
    "left eye": tuple(range(42, 48)),
    "outer lips": tuple(range(48, 60)),
    "inner lips": tuple(range(60, 68)),
}


def _ibug68(name: str, description: str) -> LandmarkScheme:
    return LandmarkScheme(
        name=name,
        n_points=68,
        description=description,
        right_eye=tuple(range(36, 42)),
        left_eye=tuple(range(42, 48)),
        outer_corners=(36, 45),
        parts=_IBUG68_PARTS,
        pairs=_IBUG68_PAIRS,
    )


SCHEMES: dict[str, LandmarkScheme] = {
    s.name: s
    for s in (
        _ibug68("ibug68-contour", "68 points of iBUG 300W; the jaw follows the visible contour (300W, COFW68, dlib)"),
        _ibug68("ibug68-fixed", "68 points of iBUG 300W as projections of fixed 3D points (AFLW2000-3D, 300W-LP, LS3D-W)"),
    )
}


def scheme_named(name: str) -> LandmarkScheme:
    """The landmark scheme of this name; `InputError` with the nearest name if there is none."""
    try:
        return SCHEMES[name]
    except KeyError:
        raise InputError(f"unknown landmark scheme {name!r}: {did_you_mean(name, SCHEMES)}") from None
