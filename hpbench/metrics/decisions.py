"""Pooled decisions: which points are called occluded at every threshold, for any weighting of the faces.

Conventions
-----------
Occluded is the positive class.  Decisions are ordered by the predicted P(visible) as it was given, ascending: P(occluded) =
1 - P(visible) would merge the surest ones (a saturated sigmoid) in rounding.  Equal values are one threshold.

Failed faces
------------
Their visible points (-inf) are called occluded at every threshold, their occluded points (+inf) at none.  So a failure moves
every operating point to fewer true and more false positives, and no metric of the operating points can gain by one.  Ranking
the occluded points merely last would not do: where many points are tied, average precision can rise when one of them is
moved to the end, at which every point is called and the precision is the prevalence.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Decisions", "OperatingPoints"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class OperatingPoints:
    """Counts at thresholds from strict to lenient, for R sets of faces.

    Attributes
    ----------
    true_positives, false_positives : (R, T) arrays
        Occluded and visible points among those called occluded.
    positives, negatives : (R,) arrays
        Occluded and visible points, called or not.
    visible : (T,) array
        The thresholds: a point is called occluded when its P(visible) is at most this.
    """

    true_positives: Array
    false_positives: Array
    positives: Array
    negatives: Array
    visible: Array

    @cached_property
    def called(self) -> Array:
        """Points called occluded, (R, T)."""
        return self.true_positives + self.false_positives

    @cached_property
    def precision(self) -> Array:
        """Share of the called points that are occluded, (R, T); 0 where none is called."""
        return self.true_positives / np.maximum(self.called, 1.0)


class _Thresholds(NamedTuple):
    """Of each threshold, how many occluded and visible points (in the order of the decisions) are called, and its P(visible)."""

    positives: Integers
    negatives: Integers
    visible: Array


@dataclass(frozen=True, eq=False)
class Decisions:
    """Pooled decisions, sorted from the surest "occluded" to the surest "visible".

    Attributes
    ----------
    face : (M,) int array
        Row of the face a decision belongs to.
    visible : (M,) array, ascending
        Predicted P(visible); -inf and +inf are the charges of failed faces.
    positive : (M,) bool array
        Labelled occluded.
    n_faces : int
        Rows there are, those without a decision among them.
    """

    face: Integers
    visible: Array
    positive: npt.NDArray[np.bool_]
    n_faces: int
    _parts: dict[bytes, Decisions] = field(init=False, repr=False, default_factory=dict)

    def __len__(self) -> int:
        return len(self.face)

    def of_faces(self, inside: npt.NDArray[np.bool_]) -> Decisions:
        """The decisions of some faces, (N,) bool; the numbering of faces stays.  Equal masks give the same object."""
        key = inside.tobytes()
        if key not in self._parts:
            kept = inside[self.face]
            self._parts[key] = replace(self, face=self.face[kept], visible=self.visible[kept], positive=self.positive[kept])
        return self._parts[key]

    def sums(self, values: npt.ArrayLike) -> Array:
        """Sum over the decisions of each face, (M,) -> (n_faces,)."""
        sums: Array = np.bincount(self.face, np.broadcast_to(np.asarray(values, np.float64), len(self)), self.n_faces).astype(np.float64)
        return sums

    def operating_points(self, counts: Array | None = None, *, every: bool = False) -> OperatingPoints:
        """Counts of points called occluded at the thresholds.

        Parameters
        ----------
        counts : (R, n_faces) array of whole numbers or None
            How often each face is counted in each set; None = one set, every face once.
        every : bool
            Every distinct threshold.  Otherwise, of a run of thresholds that each add only visible points, the last alone
            (the precision of the others is in between, their recall the same): no metric differs, and it is faster.
        """
        weight = np.ones((1, self.n_faces)) if counts is None else counts
        whole = weight.astype(np.int32)
        if (whole != weight).any():
            raise ValueError("faces are counted in whole numbers")
        at = self._every if every else self._turns
        # cumulative sums of integers are exact, and in numpy several times as fast as those of floats
        true, false = _cumulative(whole, self._positive_faces), _cumulative(whole, self._negative_faces)
        return OperatingPoints(
            true.take(at.positives, axis=1).astype(np.float64),
            false.take(at.negatives, axis=1).astype(np.float64),
            true[:, -1].astype(np.float64),
            false[:, -1].astype(np.float64),
            at.visible,
        )

    @cached_property
    def _positive_faces(self) -> Integers:
        return self.face[self.positive]

    @cached_property
    def _negative_faces(self) -> Integers:
        return self.face[~self.positive]

    @cached_property
    def _every(self) -> _Thresholds:
        ranked = self.visible[self.visible < np.inf]
        last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)])
        positives = np.cumsum(self.positive, dtype=np.int64)[last]
        return _Thresholds(positives, last + 1 - positives, ranked[last])

    @cached_property
    def _turns(self) -> _Thresholds:
        every = self._every
        gains = np.diff(every.positives, prepend=0) > 0
        kept = gains | np.append(gains[1:], True)[: len(gains)]
        return _Thresholds(every.positives[kept], every.negatives[kept], every.visible[kept])


def _cumulative(counts: npt.NDArray[np.int32], face: Integers) -> npt.NDArray[np.int32]:
    """Sums of the counts of the first 0, 1, 2, ... decisions, (R, len(face) + 1)."""
    sums = np.zeros((len(counts), len(face) + 1), np.int32)
    np.cumsum(counts.take(face, axis=1), axis=1, out=sums[:, 1:])
    return sums
