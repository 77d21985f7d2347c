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

__all__ = ["SCHEMES", "SELECTED", "LandmarkScheme", "scheme_named"]


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
    outer_corners : tuple of int or None
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
    outer_corners: tuple[int, int] | None
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


_WFLW98_PAIRS = (
    *((i, 32 - i) for i in range(16)),  # jaw
    (33, 46), (34, 45), (35, 44), (36, 43), (37, 42), (38, 50), (39, 49), (40, 48), (41, 47),  # brows
    (55, 59), (56, 58),  # nostrils
    (60, 72), (61, 71), (62, 70), (63, 69), (64, 68), (65, 75), (66, 74), (67, 73),  # eyes
    (76, 82), (77, 81), (78, 80), (87, 83), (86, 84), (88, 92), (89, 91), (95, 93),  # mouth
    (96, 97),  # pupils
)  # fmt: skip

# MediaPipe numbers the vertices of its symmetrical mesh so that those of the left half follow, in order, those of the right and the middle
_MEDIAPIPE_MIDLINE = (0, 1, 2, *range(4, 7), *range(8, 20), 94, 151, 152, 164, 168, 175, 195, 197, 199, 200)
_MEDIAPIPE478_PAIRS = (
    *zip((i for i in range(248) if i not in _MEDIAPIPE_MIDLINE), range(248, 468), strict=True),
    (468, 473), (469, 476), (470, 475), (471, 474), (472, 477),  # irises: the middle, then the ring
)  # fmt: skip

_COFW29_PAIRS = ((0, 1), (2, 3), (4, 6), (5, 7), (8, 9), (10, 11), (12, 14), (13, 15), (16, 17), (18, 19), (22, 23))

SCHEMES: dict[str, LandmarkScheme] = {
    s.name: s
    for s in (
        _ibug68("ibug68-contour", "68 points of iBUG 300W; the jaw follows the visible contour (300W, COFW68, MERL-RAV, dlib)"),
        _ibug68("ibug68-fixed", "68 points of iBUG 300W as projections of fixed 3D points (AFLW2000-3D, 300W-LP, LS3D-W)"),
        LandmarkScheme(
            name="wflw98",
            n_points=98,
            description="98 points of WFLW; the jaw follows the visible contour; 96 and 97 are the pupils",
            right_eye=(96,),
            left_eye=(97,),
            outer_corners=(60, 72),
            parts={
                "jaw": tuple(range(0, 33)),
                "right brow": tuple(range(33, 42)),
                "left brow": tuple(range(42, 51)),
                "nose": tuple(range(51, 60)),
                "right eye": (*range(60, 68), 96),
                "left eye": (*range(68, 76), 97),
                "outer lips": tuple(range(76, 88)),
                "inner lips": tuple(range(88, 96)),
            },
            pairs=_WFLW98_PAIRS,
        ),
        LandmarkScheme(
            name="cofw29",
            n_points=29,
            description="29 points of COFW; 16 and 17 are the pupils",
            right_eye=(16,),
            left_eye=(17,),
            outer_corners=(8, 9),
            parts={
                "right brow": (0, 2, 4, 5),
                "left brow": (1, 3, 6, 7),
                "right eye": (8, 10, 12, 13, 16),
                "left eye": (9, 11, 14, 15, 17),
                "nose": (18, 19, 20, 21),
                "mouth": (22, 23, 24, 25, 26, 27),
                "chin": (28,),
            },
            pairs=_COFW29_PAIRS,
        ),
        LandmarkScheme(
            name="aflw21",
            n_points=21,
            description="21 points of AFLW in the order of its feature ids; only visible ones are annotated; 12 and 16 are the ears",
            right_eye=(7,),
            left_eye=(10,),
            outer_corners=(6, 11),
            parts={
                "right brow": (0, 1, 2),
                "left brow": (3, 4, 5),
                "right eye": (6, 7, 8),
                "left eye": (9, 10, 11),
                "ears": (12, 16),
                "nose": (13, 14, 15),
                "mouth": (17, 18, 19),
                "chin": (20,),
            },
            pairs=((0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9), (12, 16), (13, 15), (17, 19)),
        ),
        LandmarkScheme(
            name="menpo39",
            n_points=39,
            description="39 points of a Menpo profile face: one side only, so no eye norm and no mirror pairs",
            right_eye=(),
            left_eye=(),
            outer_corners=None,
            parts={"profile": tuple(range(39))},
        ),
        LandmarkScheme(
            name="mediapipe478",
            n_points=478,
            description="478 vertices of MediaPipe's face mesh, fixed on the head; 468 and 473 are the pupils",
            right_eye=(468,),
            left_eye=(473,),
            outer_corners=(33, 263),
            parts={"face": tuple(range(468)), "right iris": tuple(range(468, 473)), "left iris": tuple(range(473, 478))},
            pairs=_MEDIAPIPE478_PAIRS,
        ),
    )
}  # fmt: skip


def _without(n: int, *left_out: int) -> tuple[int, ...]:
    return tuple(i for i in range(n) if i not in left_out)


# Schemes of some points of another: name -> (source, its points in their order, description)
SELECTED: dict[str, tuple[str, tuple[int, ...], str]] = {
    "aflw19": ("aflw21", _without(21, 12, 16), "AFLW without the ears, as AFLWinfo_release.mat has it"),
    "ibug51": ("ibug68-fixed", _without(68, *range(17)), "the 68 points without the jaw"),
    "ibug49": ("ibug68-fixed", _without(68, *range(17), 60, 64), "the 68 points without the jaw and the inner mouth corners"),
    "openseeface66": (
        "ibug68-fixed",
        (*range(48), *range(49, 54), *range(55, 60), 48, 61, 62, 63, 54, 65, 66, 67),
        "OpenSeeFace: the 68 points without the inner mouth corners, in another order; 58 and 62 are the mouth's corners",
    ),
}


def _selected(name: str) -> LandmarkScheme:
    source, points, description = SELECTED[name]
    scheme = SCHEMES[source]
    place = {old: new for new, old in enumerate(points)}
    assert scheme.outer_corners is not None
    return LandmarkScheme(
        name=name,
        n_points=len(place),
        description=description,
        right_eye=tuple(place[i] for i in scheme.right_eye),
        left_eye=tuple(place[i] for i in scheme.left_eye),
        outer_corners=(place[scheme.outer_corners[0]], place[scheme.outer_corners[1]]),
        parts={part: kept for part, old in scheme.parts.items() if (kept := tuple(place[i] for i in old if i in place))},
        pairs=tuple((place[a], place[b]) for a, b in scheme.pairs if a in place and b in place),
    )


SCHEMES |= {name: _selected(name) for name in SELECTED}


def scheme_named(name: str) -> LandmarkScheme:
    """The landmark scheme of this name; `InputError` with the nearest name if there is none."""
    try:
        return SCHEMES[name]
    except KeyError:
        raise InputError(f"unknown landmark scheme {name!r}: {did_you_mean(name, SCHEMES)}") from None
