"""What may be wrong with landmarks: coordinates of another frame, axes swapped, left and right exchanged, faces exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..landmarks import SCHEMES
from .causes import Cause, Kind, rows_of
from .frames import frame_causes

__all__ = ["GROUPS", "Labelled", "chance_share", "mirror_order", "own_rows", "points_kind"]

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

GROUPS = ("rows", "indices", "axes", "mirrored", "frame")
_WORST = 10.0  # face sizes: what is further off says no more
_MOST = 4000  # faces among which each one's own prediction is looked for


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labels of n faces.

    Attributes
    ----------
    points : (n, L, 2) array, pixels
    box_xyxy_px : (n, 4) array
        The box that the model was given.
    image_px : (n, 2) array or None
        Width and height of the images; None where they are not known.
    """

    points: Array
    box_xyxy_px: Array
    image_px: Array | None

    @property
    def size_px(self) -> Array:
        """Square root of the area of the rectangle of a face's points, (n,)."""
        extent = np.nanmax(self.points, axis=1) - np.nanmin(self.points, axis=1)
        return np.sqrt(np.maximum(extent.prod(axis=1), 1.0))


def points_kind(labels: Labelled, scheme: str, rows: list[Cause]) -> Kind:
    """The causes that landmarks may have."""
    order = mirror_order(scheme)
    causes = [
        Cause("x and y swapped", "axes", "x and y are swapped", "give each point as x, y", lambda s, labels, p: s[..., ::-1]),
        *([] if order is None else [Cause(
            "left and right points swapped", "indices", "the points of the left side have the numbers of the right side",
            f"reorder the points as {scheme} numbers them (hpbench.landmarks.SCHEMES[{scheme!r}].pairs); left is the subject's own",
            lambda s, labels, p: s[:, order],
        )]),
        *rows,
        *_mirrored(labels),
        *frame_causes(labels.image_px is not None),
    ]  # fmt: skip
    return Kind("landmarks", tuple(causes), GROUPS, _take, _errors)


def mirror_order(scheme: str) -> Rows | None:
    """For each point the number of its mirror image, (L,); None for a scheme without pairs."""
    if scheme not in SCHEMES or not SCHEMES[scheme].pairs:
        return None
    order = np.arange(SCHEMES[scheme].n_points)
    for right, left in SCHEMES[scheme].pairs:
        order[[right, left]] = left, right
    return order


def chance_share(labels: Labelled, half: npt.NDArray[np.bool_]) -> Array:
    """Errors of the best constant, (n,): the mean face, in the box, of the half that a face is not in."""
    low, side = labels.box_xyxy_px[:, None, :2], (labels.box_xyxy_px[:, 2:] - labels.box_xyxy_px[:, :2])[:, None]
    shape = (labels.points - low) / side
    guess = np.empty_like(labels.points)
    with np.errstate(invalid="ignore"):
        for inside in (half, ~half):
            guess[~inside] = np.nanmean(shape[inside], axis=0) * side[~inside] + low[~inside]
    return _errors(guess, labels)


def own_rows(points: Array, labels: Labelled) -> Rows | None:
    """For each face the row whose points lie nearest to its labels, found by every other point, (N,); None where that says nothing.

    It says something where most faces and rows choose each other, and few of them are each other's already.
    """
    n = len(points)
    if not 10 <= n <= _MOST:
        return None
    told = np.asarray(~np.isnan(labels.points).any(axis=2))
    even = np.flatnonzero(told.mean(axis=0) > 0.5)[::2]
    usable = np.flatnonzero(told[:, even].all(axis=1)), np.flatnonzero(~np.isnan(points[:, even]).any(axis=(1, 2)))
    if min(map(len, usable)) < 10:
        return None
    a, b = labels.points[usable[0]][:, even].reshape(len(usable[0]), -1), points[usable[1]][:, even].reshape(len(usable[1]), -1)
    apart = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * a @ b.T
    to_row, to_face = apart.argmin(axis=1), apart.argmin(axis=0)
    mutual = to_face[to_row] == np.arange(len(a))
    source = np.full(n, -1)
    source[usable[0]] = usable[1][to_row]
    moved = (source != np.arange(n))[usable[0]]
    return source if mutual.mean() > 0.6 and moved.mean() > 0.5 else None


def _take(value: Any, rows: Rows) -> Any:
    if isinstance(value, Labelled):
        size = None if value.image_px is None else value.image_px[rows]
        return replace(value, points=value.points[rows], box_xyxy_px=value.box_xyxy_px[rows], image_px=size)
    return rows_of(value, rows)


def _errors(points: Array, labels: Labelled) -> Array:
    """Mean distance of a face's labelled points as a share of its size, (n,); no more than `_WORST`."""
    apart = np.hypot(points[..., 0] - labels.points[..., 0], points[..., 1] - labels.points[..., 1])
    known = ~np.isnan(labels.points[..., 0])
    with np.errstate(invalid="ignore"):
        errors = np.where(known, apart, 0.0).sum(axis=1) / known.sum(axis=1) / labels.size_px
    return np.asarray(np.minimum(errors, _WORST))


def _mirrored(labels: Labelled) -> Sequence[Cause]:
    """Images that were mirrored, and a y axis that points up: about the middle of the image where its size is known, else a fitted line."""
    found = []
    for axis, name, says, mend in (
        (0, "image mirrored", "the points are those of the mirrored image", "give width - 1 - x"),
        (1, "y upwards", "y points upwards", "give height - 1 - y"),
    ):

        def undo(s: Array, labels: Labelled, p: Any, axis: int = axis) -> Array:
            out = s.copy()
            twice = p if labels.image_px is None else labels.image_px[:, None, axis] - 1.0
            out[..., axis] = twice - s[..., axis]
            return out

        def fit(s: Array, labels: Labelled, axis: int = axis) -> float:
            return float(np.nanmedian(s[..., axis] + labels.points[..., axis]))

        found.append(Cause(name, "mirrored", says, mend, undo, fit=None if labels.image_px is not None else fit))
    return found
