"""The failure policy, in one place: what a face that has truth and no usable prediction costs.

Policy
------
* A face whose truth is not there is not charged: it makes the record partial.
* A face with truth and without a usable prediction is charged the worst value of each metric (the metric table says
  which: 180 degrees, 100 % NME, AUC 0, FR 100; a protocol may name another) and counted in the coverage.
* In metrics of visibility its occluded points rank last and its visible points first.
* A NaN at one labelled point fails the face for that metric.  No error is clipped.
* The value over the detected faces alone stands beside, and is never ranked.

One per cent of failed faces adds about 1.8 degrees to an MAE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .catalog import Protocol
from .faces import Faces
from .metrics import Metric
from .metrics.decisions import Decisions
from .metrics.estimators import Estimator, OfErrors, mean_of_means
from .metrics.visibility import decisions_of

__all__ = ["Column", "charged_columns"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Column:
    """A metric over N faces, failures charged.

    Attributes
    ----------
    metric : Metric
    labelled, failed : (N,) bool arrays
    values : (N,) array or None
        Per face, NaN = not labelled; None for a metric of pooled decisions.
    weight : (N,) array
        What each face counts for.
    decisions : Decisions or None
        Of all faces, of the metric's view.
    """

    metric: Metric
    labelled: Mask
    failed: Mask
    values: Array | None
    weight: Array
    decisions: Decisions | None

    def estimator(self, parts: Sequence[Mask]) -> Estimator:
        """The score over some faces: one mask, or one a bin for a balanced mean."""
        if self.decisions is not None:
            return self.metric.of_decisions(self.decisions.of_faces(parts[0]))
        assert self.values is not None
        columns = [np.where(part, self.values, np.nan) for part in parts]
        formula = self.metric.whole
        return OfErrors(columns[0], formula) if formula else mean_of_means([(column, self.weight) for column in columns])


def charged_columns(
    metrics: Sequence[Metric], protocol: Protocol, truth: Faces, prediction: Faces, norm_box_xyxy_px: Array | None
) -> list[Column]:
    """One column a metric; rows of `truth` and `prediction` are matched."""
    views: dict[str, tuple[Decisions, Mask, Mask]] = {}
    columns = []
    for metric in metrics:
        if metric.pooled:
            view = metric.parameters["view"]
            if view not in views:
                views[view] = decisions_of(truth, prediction, view=view)
            decisions, labelled, failed = views[view]
            columns.append(Column(metric, labelled, failed, None, np.ones(len(truth)), decisions))
        else:
            columns.append(_per_face(metric, protocol, truth, prediction, norm_box_xyxy_px))
    return columns


def _per_face(metric: Metric, protocol: Protocol, truth: Faces, prediction: Faces, norm_box: Array | None) -> Column:
    # a face is labelled for a metric when the truth can be scored against itself
    labelled = ~np.isnan(metric.per_face(truth, truth, norm_box))
    values = metric.per_face(truth, prediction, norm_box)
    failed = labelled & np.isnan(values)
    worst = np.full(len(truth), protocol.failures[metric.text]) if metric.text in protocol.failures else metric.worst(truth, norm_box)
    values = np.where(failed, worst, values)
    return Column(metric, labelled, failed, np.where(labelled, values, np.nan), metric.weight(truth), None)
