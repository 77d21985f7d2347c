"""Landmark visibility: precision and recall of occluded points.

Aim
---
Which landmarks are occluded?  All decisions of all faces are pooled, **occluded is the positive class**, and the score of a
point is P(occluded) = 1 - P(visible).  The prevalence (COFW's test set: 22.87 %) stands beside every number: it is the
precision of a guess.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from ..faces import Faces
from .decisions import Decisions, OperatingPoints
from .estimators import Estimator, Ranked

__all__ = ["VIEWS", "average_precision", "decisions_of", "occlusion_kinds", "recall"]

Array = npt.NDArray[np.float64]

VIEWS = ("occluded", "external", "self")


def decisions_of(
    truth: Faces, prediction: Faces, *, view: str = "occluded"
) -> tuple[Decisions, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Decisions of faces, failed ones charged, and which faces are labelled (N,) and failed (N,).

    A failed face lacks the visibility of a labelled point: its occluded points rank last, its visible ones first.
    """
    kinds = occlusion_kinds(truth)
    positive = {"occluded": (kinds == 1) | (kinds == 2), "external": kinds == 1, "self": kinds == 2}[view]
    labelled = positive | (kinds == 0)
    visible = prediction.visibility if prediction.visibility is not None else np.full(kinds.shape, np.nan)
    has_label = labelled.any(axis=1)
    failed = (labelled & np.isnan(visible)).any(axis=1)
    charged = np.where(failed[:, None], np.where(positive, np.inf, -np.inf), visible)
    face, _ = np.nonzero(labelled)
    values, positives = charged[labelled], positive[labelled]
    order = np.argsort(values, kind="stable")
    return Decisions(face[order], values[order], positives[order], len(truth)), has_label, failed


def occlusion_kinds(truth: Faces) -> npt.NDArray[np.uint8]:
    """0 visible, 1 externally occluded, 2 self-occluded, 3 not labelled, (N, L); visibility alone does not tell 1 from 2."""
    if truth.occlusion is not None:
        return truth.occlusion
    if truth.visibility is None:
        return np.full((len(truth), 1), 3, dtype=np.uint8)
    return np.where(np.isnan(truth.visibility), 3, truth.visibility < 0.5).astype(np.uint8)


def recall(decisions: Decisions, *, precision: float | None, threshold: float | None) -> Estimator:
    """Recall in percent: the largest of any threshold whose precision is at least so many percent, or that at a fixed threshold."""
    if precision is None:
        raise NotImplementedError
    return Ranked(decisions, functools.partial(_recall_at_precision, precision=precision))


def _recall_at_precision(points: OperatingPoints, *, precision: float) -> Array:
    """(R,) percent; 0 if no threshold has the precision, NaN without positives."""
    called = points.true_positives + points.false_positives
    good = (called > 0) & (100.0 * points.true_positives >= precision * called)
    best = np.where(good, points.true_positives, 0.0).max(axis=1, initial=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 100.0 * best / points.positives


def average_precision(decisions: Decisions) -> Estimator:
    """Sum over thresholds of the precision times the gain in recall, percent."""
    return Ranked(decisions, _average_precision)


def _average_precision(points: OperatingPoints) -> Array:
    called = points.true_positives + points.false_positives
    gained = np.diff(points.true_positives, axis=1, prepend=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(called > 0, points.true_positives / called, 0.0)
        return 100.0 * (precision * gained).sum(axis=1) / points.positives
