"""Pooled decisions: which points are called occluded at every threshold, for any weighting of the faces.

Conventions
-----------
Occluded is the positive class.  Decisions are ordered by the predicted P(visible) as it was given, ascending: P(occluded) =
1 - P(visible) would merge the surest ones (a saturated sigmoid) in rounding.  Equal values are one threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = ["Decisions", "OperatingPoints"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OperatingPoints:
    """Counts at every distinct threshold, from strict to lenient, for R sets of faces.

    Attributes
    ----------
    true_positives, false_positives : (R, T) arrays
        Occluded and visible points among those called occluded.
    positives, negatives : (R,) arrays
    visible : (T,) array
        The thresholds: a point is called occluded when its P(visible) is at most this.
    """

    true_positives: Array
    false_positives: Array
    positives: Array
    negatives: Array
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

    face: npt.NDArray[np.int64]
    visible: Array
    positive: npt.NDArray[np.bool_]
    n_faces: int

    def of_faces(self, inside: npt.NDArray[np.bool_]) -> Decisions:
        """The decisions of some faces, (N,) bool; the numbering of faces stays."""
        kept = inside[self.face]
        return replace(self, face=self.face[kept], visible=self.visible[kept], positive=self.positive[kept])

    def operating_points(self, counts: Array | None = None) -> OperatingPoints:
        """Operating points with every face counted as often as each row of counts says, (R, n_faces); once where None."""
        weight = np.ones((1, len(self.face))) if counts is None else counts[:, self.face]
        ends = np.flatnonzero(np.append(self.visible[1:] != self.visible[:-1], True)) if len(self.face) else np.zeros(0, np.int64)
        true = np.cumsum(weight * self.positive, axis=1)
        every = np.cumsum(weight, axis=1)
        positives = true[:, -1] if len(self.face) else np.zeros(len(weight))
        total = every[:, -1] if len(self.face) else np.zeros(len(weight))
        return OperatingPoints(true[:, ends], (every - true)[:, ends], positives, total - positives, self.visible[ends])
