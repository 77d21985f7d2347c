"""Landmark visibility: which points are found to be occluded, and what the predicted probabilities are worth.

Aim
---
Which landmarks of a face are occluded?  Burgos-Artizzu, Perona and Dollar (ICCV 2013), who made COFW, compare methods by the
recall of occluded points at 80 % precision; Valle, Buenaposada and Baumela (MNN, TPAMI 2020) report it too.  It is one point
of a curve, so the whole curve and the calibration of the probabilities stand beside it.

Conventions
-----------
**Occluded is the positive class.**  The labelled points of all faces are pooled, each a decision with the score P(occluded) =
1 - predicted visibility.  Points with equal scores are called occluded together.  Unlabelled points do not count.  The
``view`` says what is compared where occlusion is labelled in three ways (MERL-RAV): ``occluded`` is external or self against
visible, ``external`` and ``self`` one kind against visible, the other kind left out.

Metrics
-------
With P occluded and N visible points, of which TP and FP are called occluded: precision = TP / (TP + FP), recall = TP / P.

recall(precision) : the largest recall, %, of any threshold with at least that precision, %; 0 if none.
recall(threshold), precision(threshold) : %, at P(occluded) >= threshold; no precision where nothing is called.
ap : sum over thresholds of the precision times the gain in recall, not interpolated, %.
best_f1 : the largest 2 TP / (TP + FP + P) of any threshold, %.
roc_auc : how often an occluded point scores above a visible one, ties counted half, %.
ece : expected calibration error (Naeini, Cooper and Hauskrecht, AAAI 2015): the bins' |sum of P(occluded) - number of occluded
    points|, summed, per decision, %.  Equal bins of P(occluded), closed above.
brier : mean squared error of P(occluded), 1.

Failed faces
------------
A face that lacks the visibility of a point labelled in the view has failed.  Its visible points are called occluded at every
threshold, its occluded points at none; in brier each of its points has the error 1; in ece each adds a gap of 1, in no bin,
where gaps could cancel.  With these charges no metric here is ever improved by leaving out predictions.

Traps
-----
* Polarity differs between tools: COFW stores 1 = occluded, most models predict 1 = visible.  The prediction is P(visible).
* A known public evaluator swaps precision and recall.
* recall(precision) and best_f1 pick their threshold on the test labels: more than a user of the model would get.
* The precision of a guess is the prevalence: 22.87 % on COFW's test set.  It stands in the record beside the scores.
* Hard labels (0 or 1) have one operating point; ap, best_f1 and roc_auc are then those of one threshold.  A visibility that is
  the same everywhere was not predicted.
* ece is not 0 for a perfectly calibrated model: about 1 % on 507 faces of 29 points, more on fewer.  For the same reason its
  resamples lie above it, and a percentile interval may too.  brier has neither trait.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..faces import Faces
from .decisions import Decisions, OperatingPoints
from .estimators import Estimator, Ranked, Sums

__all__ = [
    "VIEWS",
    "average_precision",
    "best_f1",
    "brier",
    "calibration_curve",
    "calibration_error",
    "decisions_of",
    "is_constant",
    "is_hard",
    "occlusion_kinds",
    "precision",
    "precision_recall_curve",
    "recall",
    "roc_auc",
]

Array = npt.NDArray[np.float64]

_SAME = 1e-7  # float32's resolution: P(occluded) = 1 - 0.9 is on the threshold 0.1, however it was stored

VIEWS = ("occluded", "external", "self")


# ------------------------------------------------------------------------------------------------- labels and predictions


def occlusion_kinds(truth: Faces) -> npt.NDArray[np.uint8]:
    """0 visible, 1 externally occluded, 2 self-occluded, 3 not labelled, (N, L); visibility alone does not tell 1 from 2."""
    if truth.occlusion is not None:
        return truth.occlusion
    if truth.visibility is None:
        return np.full((len(truth), 1), 3, dtype=np.uint8)
    return np.where(np.isnan(truth.visibility), 3, truth.visibility < 0.5).astype(np.uint8)


def decisions_of(
    truth: Faces, prediction: Faces, *, view: str = "occluded"
) -> tuple[Decisions, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Decisions of faces (rows matched), failed ones charged, and which faces are labelled (N,) and failed (N,).

    Raises
    ------
    InputError
        For another number of points than the labels have.
    """
    kinds = occlusion_kinds(truth)
    positive = {"occluded": (kinds == 1) | (kinds == 2), "external": kinds == 1, "self": kinds == 2}[view]
    labelled = positive | (kinds == 0)
    visible = prediction.visibility
    if visible is None or not labelled.any():
        visible = np.full(kinds.shape, np.nan)
    if visible.shape != kinds.shape:
        raise InputError(f"predictions have the visibility of {visible.shape[1]} points, the labels of {kinds.shape[1]}: another scheme?")
    failed = (labelled & np.isnan(visible)).any(axis=1)
    charged = np.where(failed[:, None], np.where(positive, np.inf, -np.inf), visible)
    face, _ = np.nonzero(labelled)
    values, positives = charged[labelled], positive[labelled]
    order = np.argsort(values, kind="stable")
    return Decisions(face[order], values[order], positives[order], len(truth)), labelled.any(axis=1), failed


def decision_table(truth: Faces, prediction: Faces) -> dict[str, npt.NDArray[Any]]:
    """Every labelled decision, to be stored: all metrics of all views can be computed from it again.

    Returns
    -------
    dict of (M,) arrays
        ``decision_face`` (row of the face), ``decision_kind`` (0 visible, 1 external, 2 self) and ``decision_visible`` (the
        predicted P(visible), NaN where there is none: the whole face has failed).
    """
    kinds = occlusion_kinds(truth)
    labelled = kinds != 3
    visible = prediction.visibility if prediction.visibility is not None else np.full(kinds.shape, np.nan)
    face, _ = np.nonzero(labelled)
    return {"decision_face": face.astype(np.int32), "decision_kind": kinds[labelled], "decision_visible": visible[labelled]}


def is_hard(prediction: Faces) -> bool:
    """Whether every predicted visibility is 0 or 1: one operating point."""
    values = _predicted(prediction)
    return bool(len(values) and ((values == 0) | (values == 1)).all())


def is_constant(prediction: Faces) -> bool:
    """Whether every predicted visibility is the same number: not predicted, as in result files that fill the column with 0."""
    values = _predicted(prediction)
    return bool(len(values) > 1 and (values == values[0]).all())


def _predicted(prediction: Faces) -> Array:
    if prediction.visibility is None:
        return np.zeros(0)
    found: Array = prediction.visibility[~np.isnan(prediction.visibility)]
    return found


# ------------------------------------------------------------------------------------------------- of the ranking


def recall(decisions: Decisions, *, precision: float | None = None, threshold: float | None = None) -> Estimator:
    """Recall in percent: the largest of any threshold whose precision is at least so many percent, or that at a fixed threshold."""
    if precision is not None:
        return Ranked(decisions, functools.partial(_recall_at_precision, precision=precision))
    assert threshold is not None
    return _mean(decisions, 100.0 * _called(decisions, threshold), decisions.positive)


def _recall_at_precision(points: OperatingPoints, *, precision: float) -> Array:
    good = (100.0 * points.true_positives >= precision * points.called) & (points.called > 0)
    return _over(100.0 * (points.true_positives * good).max(axis=1, initial=0.0), points.positives)


def average_precision(decisions: Decisions) -> Estimator:
    """Sum over thresholds of the precision times the gain in recall, percent."""
    return Ranked(decisions, _average_precision)


def _average_precision(points: OperatingPoints) -> Array:
    gained = np.diff(points.true_positives, axis=1, prepend=0.0)
    return _over(100.0 * np.einsum("rt,rt->r", points.precision, gained), points.positives)


def best_f1(decisions: Decisions) -> Estimator:
    """The largest harmonic mean of precision and recall of any threshold, percent."""
    return Ranked(decisions, _best_f1)


def _best_f1(points: OperatingPoints) -> Array:
    f1 = 200.0 * points.true_positives / np.maximum(points.called + points.positives[:, None], 1.0)
    return np.where(points.positives > 0, f1.max(axis=1, initial=0.0), np.nan)


def roc_auc(decisions: Decisions) -> Estimator:
    """Share of the pairs of an occluded and a visible point that are ranked right, ties counted half, percent."""
    return Ranked(decisions, _roc_auc)


def _roc_auc(points: OperatingPoints) -> Array:
    # trapezoids between neighbouring thresholds; the first starts at the origin
    true, false = points.true_positives, points.false_positives
    heights = true.copy()
    heights[:, 1:] += true[:, :-1]
    widths = np.diff(false, axis=1, prepend=0.0)
    return _over(50.0 * np.einsum("rt,rt->r", heights, widths), points.positives * points.negatives)


def precision_recall_curve(truth: Faces, prediction: Faces, view: str = "occluded") -> tuple[Array, Array, Array]:
    """Recall and precision, both in percent, at every distinct threshold of P(occluded), failed faces charged; rows matched.

    Returns
    -------
    recall, precision, threshold : (T,) arrays
        From strict to lenient.  The first threshold is infinite where visible points of failed faces are charged.  Recall is
        NaN where no point is labelled occluded.
    """
    points = decisions_of(truth, prediction, view=view)[0].operating_points(every=True)
    return _over(100.0 * points.true_positives[0], points.positives), 100.0 * points.precision[0], 1.0 - points.visible


# ------------------------------------------------------------------------------------------------- of the probabilities


def precision(decisions: Decisions, *, threshold: float) -> Estimator:
    """Share of the occluded among the points called occluded at a fixed threshold of P(occluded), percent."""
    return replace(_mean(decisions, 100.0 * decisions.positive, _called(decisions, threshold)), labels_weigh=False)


def brier(decisions: Decisions) -> Estimator:
    """Mean squared difference of P(occluded) and the label, 1 (the largest there is) for every point of a failed face."""
    error = np.where(np.isinf(decisions.visible), 1.0, 1.0 - decisions.visible - decisions.positive)
    return _mean(decisions, error * error, np.ones(len(decisions), dtype=bool))


def calibration_error(decisions: Decisions, *, bins: int) -> Estimator:
    """Expected calibration error, percent, over so many equal bins of P(occluded)."""
    # what is summed are signed gaps, which cancel within a bin; those of failed faces, all 1, are one row more
    index, gap = _binned(decisions, bins)
    n = decisions.n_faces
    gaps = np.bincount(index * n + decisions.face, weights=gap, minlength=(bins + 1) * n).reshape(bins + 1, n)
    weights = decisions.sums(1.0)[None]
    return Sums(np.concatenate([gaps, weights]), lambda sums: _over(100.0 * np.abs(sums[:, :-1]).sum(axis=1), sums[:, -1]), weights)


def calibration_curve(truth: Faces, prediction: Faces, view: str = "occluded", bins: int = 15) -> tuple[Array, Array, Array]:
    """Predicted and observed share of occluded points in equal bins of P(occluded); failed faces left out, rows matched.

    Returns
    -------
    predicted, observed : (bins,) arrays
        Mean P(occluded) and share of the points labelled occluded, percent; NaN in an empty bin.
    decisions : (bins,) array
        How many there are in each bin.
    """
    decisions = decisions_of(truth, prediction, view=view)[0]
    index, _ = _binned(decisions, bins)
    detected = np.isfinite(decisions.visible)
    index, occluded, positive = index[detected], 1.0 - decisions.visible[detected], decisions.positive[detected]
    predicted, observed, n = (np.bincount(index, values, bins).astype(np.float64) for values in (occluded, positive, np.ones(len(index))))
    return _over(100.0 * predicted, n), _over(100.0 * observed, n), n


def _binned(decisions: Decisions, bins: int) -> tuple[npt.NDArray[np.int64], Array]:
    """Bin of each decision, (0, 1/bins], ..., the first with 0 in it, and P(occluded) - label; those of failed faces: `bins` and 1."""
    charged = np.isinf(decisions.visible)
    occluded = np.where(charged, 0.0, 1.0 - decisions.visible)
    index = np.searchsorted(np.linspace(0.0, 1.0, bins + 1)[1:-1] + _SAME, occluded, side="left")
    return np.where(charged, bins, index), np.where(charged, 1.0, occluded - decisions.positive)


def _called(decisions: Decisions, threshold: float) -> npt.NDArray[np.bool_]:
    return np.asarray(1.0 - decisions.visible >= threshold - _SAME)


def _mean(decisions: Decisions, values: npt.NDArray[np.floating[Any]], counted: npt.NDArray[np.bool_]) -> Sums:
    """Mean of the values of the decisions that count; NaN where none does."""
    weights = decisions.sums(counted)[None]
    return Sums(np.concatenate([decisions.sums(values * counted)[None], weights]), lambda sums: _over(sums[:, 0], sums[:, 1]), weights)


def _over(numerator: Array, denominator: Array) -> Array:
    """The quotient; NaN where there is nothing to divide by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient: Array = np.where(denominator > 0, numerator / denominator, np.nan)
    return quotient
