"""Landmarks of one scheme made of those of another: which points of the source each point of the target is the mean of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .landmarks import SCHEMES, SELECTED, scheme_named

__all__ = ["MAPS", "map_landmarks"]

# A point of the target as the mean of these points of the source; () where the source has none like it.
MAPS: dict[tuple[str, str], tuple[tuple[int, ...], ...]] = {
    ("wflw98", "ibug68-contour"): tuple(
        (i,)
        for i in (
            *range(0, 33, 2), *range(33, 38), *range(42, 47), *range(51, 60),
            60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75, *range(76, 96),
        )
    ),
    **{
        (source, "cofw29"): (
            (17,), (26,), (21,), (22,), (19,), (), (24,), (),  # brows: the 68 points have their upper edge only
            (36,), (45,), (39,), (42,), (37, 38), (40, 41), (43, 44), (46, 47), tuple(range(36, 42)), tuple(range(42, 48)),
            (31,), (35,), (30,), (33,), (48,), (54,), (51,), (62,), (66,), (57,), (8,),
        )
        for source in ("ibug68-contour", "ibug68-fixed")
    },
    ("wflw98", "cofw29"): (
        (33,), (46,), (37,), (42,), (35,), (39, 40), (44,), (48, 49),  # brows: outer, inner, upper, lower
        (60,), (72,), (64,), (68,), (62,), (66,), (70,), (74,), (96,), (97,),
        (55,), (59,), (54,), (57,), (76,), (82,), (79,), (90,), (94,), (85,), (16,),
    ),
    **{
        (source, name): tuple((i,) for i in SELECTED[name][1])
        for source in ("ibug68-contour", "ibug68-fixed")
        for name in ("ibug51", "ibug49", "openseeface66")
    },
    **{
        (source, "aflw21"): (
            (17,), (19,), (21,), (22,), (24,), (26,),  # brows
            (36,), tuple(range(36, 42)), (39,), (42,), tuple(range(42, 48)), (45,),  # eyes
            (), (31,), (30,), (35,), (), (48,), (62, 66), (54,), (8,),  # no ears among the 68
        )
        for source in ("ibug68-contour", "ibug68-fixed")
    },
    ("aflw21", "aflw19"): tuple((i,) for i in SELECTED["aflw19"][1]),
    # OpenSeeFace has one corner on each side of the mouth, which lies on the outer one (see baselines/openseeface): it stands for both
    ("openseeface66", "ibug68-fixed"): tuple((SELECTED["openseeface66"][1].index({60: 48, 64: 54}.get(i, i)),) for i in range(68)),
    # Vertices of correspondences in public use; the upper ends of the jaw (0, 1, 15, 16) by their fit to labels (see baselines/mediapipe)
    ("mediapipe478", "ibug68-fixed"): (
        (127, 234), (93,), (132,), (58,), (172,), (136,), (150,), (176,), (152,),
        (400,), (379,), (365,), (397,), (288,), (361,), (323,), (356, 454),
        *((i,) for i in (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)), (168, 6),  # brows; the nose begins
        *((i,) for i in (197, 5, 4, 75, 97, 2, 326, 305, 33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380)),
        *((i,) for i in (61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91, 78, 82, 13, 312, 308, 317, 14, 87)),  # mouth
    ),
}  # fmt: skip


def _through(source: str, middle: str, target: str) -> tuple[tuple[int, ...], ...]:
    """The map by way of another scheme, whose points are single ones of the source."""
    first = MAPS[source, middle]
    return tuple(tuple(point for i in points for point in first[i]) for points in MAPS[middle, target])


MAPS |= {
    (source, "aflw19"): tuple(MAPS[source, "aflw21"][i] for i in SELECTED["aflw19"][1]) for source in ("ibug68-contour", "ibug68-fixed")
}
MAPS |= {("openseeface66", name): _through("openseeface66", "ibug68-fixed", name) for name in ("ibug49", "cofw29", "aflw21", "aflw19")}
MAPS |= {
    ("mediapipe478", name): _through("mediapipe478", "ibug68-fixed", name) for name in ("ibug51", "ibug49", "cofw29", "aflw21", "aflw19")
}
# MediaPipe has the brows' lower edges and the pupils, which the 68 points lack
_OF_COFW = {5: (52,), 7: (282,), 16: (468,), 17: (473,)}
MAPS["mediapipe478", "cofw29"] = tuple(_OF_COFW.get(i, points) for i, points in enumerate(MAPS["mediapipe478", "cofw29"]))


def map_landmarks(landmarks: npt.ArrayLike, source: str, target: str) -> npt.NDArray[np.float64]:
    """Landmarks of one scheme as those of another, by a named map.

    Parameters
    ----------
    landmarks : (..., L, 2) or (..., L, 3) array
    source, target : str
        A key of `MAPS`.

    Returns
    -------
    (..., M, 2) or (..., M, 3) float64 array; NaN for a point that the source has nothing like, or whose source points are NaN.
    """
    scheme_named(source), scheme_named(target)
    if (source, target) not in MAPS:
        known = ", ".join(f"{a} to {b}" for a, b in MAPS)
        raise InputError(f"there is no landmark map from {source} to {target}; there are {known}.")
    points = np.asarray(landmarks, dtype=np.float64)
    if points.ndim < 2 or points.shape[-2] != SCHEMES[source].n_points:
        raise InputError(f"{source} landmarks have shape (..., {SCHEMES[source].n_points}, 2), got {points.shape}.")
    nothing = np.full((*points.shape[:-2], points.shape[-1]), np.nan)
    return np.stack([points[..., list(g), :].mean(axis=-2) if g else nothing for g in MAPS[source, target]], axis=-2)
