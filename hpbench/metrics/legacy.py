"""Formulas in circulation that are not ours: named twins, so that a published number can be reproduced and explained.

Aim
---
Two papers rarely differ by their models alone.  Each function is one formula as a public repository has it, written anew,
with its faults.  None is ranked beside ours.

Angles (degrees; protocols name them ``mae(convention=...,formula=...)``)
-------------------------------------------------------------------------
``plain`` : abs(a - b), no wrap (Hopenet, FSA-Net, SynergyNet, SPIGA, img2pose): wrong across +-180.
``fold180`` : per angle the least of abs(d + k 180), k = -2..2 (6DRepNet, yakhyo): no error above 90, and a head on its head
    is right: 5 % of pitches flipped by 180 give 4.25 instead of 7.19.
``best-triple`` : of the predicted triple and its equivalent one (middle angle to 180 - a, the others by 180 against their sign)
    the one whose *unwrapped* differences have the lesser mean, and only then min(e, 360 - e) of each (pcr-upm/opal23_headpose,
    pcr-upm/images_framework).  Both triples come from rotations.  Near +-180 the choice can fall on the farther one: on the 25,141
    labels of opal23's Panoptic list a noise of 2.9 degrees an axis gives 5.70, on the circle 4.57; within 60 degrees of yaw
    they are equal.
``wrapped-yaw`` : min(e, 360 - e) of yaw only, the others plain (DirectMHP).

Landmarks (NME e in percent, threshold t in percent)
----------------------------------------------------
``auc(formula=grid)``, ``fr(formula=grid)`` : the cumulative curve is read at 0, 0.01, 0.02, ... % and integrated by Simpson's
    rule (jhb86253817/PIPNet, ZhenglinZhou/STAR, and most that followed).  The grid is ``arange(0, t + step, step)``, which
    in floating point ends at t or one step beyond: for t = 5 and 7 the failure rate is read at 5.01 and
    7.01 %, for t = 4, 6, 8 and 10 at t.  An AUC can therefore reach 100.2.  Linear in the curve, so a mean over faces.
    (HRNet-Facial-Landmark-Detection has no grid: its failure rate is the exact one.)
``auc(formula=histogram)`` : a cumulative histogram of 10,000 bins between the least and the greatest error, its left edges
    below t integrated by Simpson's rule (pcr-upm/images_framework, of the MNN group).  No bin lies beyond the greatest
    error, so the area between it and t is lost: where no face exceeds t the AUC collapses (U(1, 4) at t = 8: 18.75 instead
    of 68.75), perfect predictions give 6.25 at t = 8, and *one more failure can raise the score by 50*.
    (andresprados/SPIGA has the same histogram and adds the lost tail, which makes it the exact AUC but for the bins.)
``auc(formula=pck)`` : mean over the thresholds 0, t/20, ..., 19t/20 of the share of points, pooled over faces, whose error is
    strictly less (open-mmlab/mmpose, AUC).  Its best value is 95.  mmpose takes a fixed length in pixels for t and averages
    the shares of the landmarks, which is the same where all points are labelled.
``nme(mean=pooled)`` : sum of all points' errors over their number (open-mmlab/mmpose, NME, in float32): a mean over faces
    weighted by their labelled points.  On AFLW its norm is the larger side of the box, which is no norm here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = [
    "GRID_STEP_PERCENT",
    "best_triple_deg",
    "fold180_deg",
    "grid_auc_percent",
    "grid_failure_rate_percent",
    "histogram_auc_percent",
    "pck_area_percent",
    "plain_deg",
    "wrapped_yaw_deg",
]

Array = npt.NDArray[np.float64]

GRID_STEP_PERCENT = 0.01
_HISTOGRAM_BINS = 10_000
_PCK_THRESHOLDS = 20


def plain_deg(truth: Array, prediction: Array) -> Array:
    """abs(a - b) of yaw, pitch, roll, (N, 3) degrees."""
    return np.abs(prediction - truth)


def fold180_deg(truth: Array, prediction: Array) -> Array:
    """The least of abs(d + k 180), k = -2..2, of yaw, pitch, roll, (N, 3) degrees."""
    apart = prediction - truth
    return np.abs(apart - 180.0 * np.clip(np.rint(apart / 180.0), -2.0, 2.0))


def best_triple_deg(truth: Array, prediction: Array, middle: int) -> Array:
    """Differences from the better of two triples, chosen before wrapping, (N, 3) degrees; `middle`: column of the middle angle."""
    other = prediction - 180.0 * np.sign(prediction)
    other[:, middle] = 180.0 - prediction[:, middle]
    other -= 360.0 * ((other > 180.0).astype(float) - (other < -180.0))
    errors, others = np.abs(truth - prediction), np.abs(truth - other)
    nearer = others.mean(axis=1) < errors.mean(axis=1)
    errors[nearer] = others[nearer]
    return np.minimum(errors, 360.0 - errors)


def wrapped_yaw_deg(truth: Array, prediction: Array) -> Array:
    """min(e, 360 - e) of yaw, plain differences of pitch and roll, (N, 3) degrees."""
    errors = np.abs(prediction - truth)
    yaw = errors[:, 0] % 360.0
    errors[:, 0] = np.minimum(yaw, 360.0 - yaw)
    return errors


def grid_auc_percent(errors: Array, below: float) -> Array:
    """Each face's share of the AUC on the grid, (N,) errors in percent -> (N,) percent; the mean is the AUC."""
    grid, areas = _grid(below)
    return areas[np.searchsorted(grid, errors / 100.0, side="left")]


def grid_failure_rate_percent(errors: Array, above: float) -> Array:
    """100 for each face whose error exceeds the last point of the grid, else 0, (N,)."""
    grid, _ = _grid(above)
    return np.where(errors / 100.0 > grid[-1], 100.0, 0.0)


def _grid(threshold: float) -> tuple[Array, Array]:
    """The grid as fractions, (M,), and the percentage of area to the right of each of its points and of all of them, (M + 1,)."""
    step = GRID_STEP_PERCENT / 100.0
    grid = np.arange(0.0, threshold / 100.0 + step, step)
    weights = _simpson_weights(len(grid), step)
    areas = np.append(np.cumsum(weights[::-1])[::-1], 0.0)
    return grid, 100.0 * areas / (threshold / 100.0)


def histogram_auc_percent(errors: Array, *, below: float) -> float:
    """The AUC of (N,) errors in percent by their cumulative histogram, percent."""
    counts, edges = np.histogram(errors, bins=_HISTOGRAM_BINS)
    left = edges[:-1]
    inside = int((left < below).sum())
    shares = np.cumsum(counts)[:inside] / len(errors)
    return float(100.0 * shares @ _simpson_weights(inside, left[1] - left[0]) / below)


def pck_area_percent(errors: Array, below: float) -> Array:
    """Of each error in percent, any shape, the share of the thresholds 0, t/20, ..., 19t/20 above it, percent."""
    passed = np.floor(errors * (_PCK_THRESHOLDS / below))
    return (100.0 / _PCK_THRESHOLDS) * np.maximum(0.0, _PCK_THRESHOLDS - 1.0 - passed)


def _simpson_weights(n: int, step: float) -> Array:
    """Weights of Simpson's rule for n evenly spaced samples; where n is even, Cartwright's rule for the last interval (as scipy)."""
    weights = np.zeros(n)
    if n == 2:
        weights[:] = 0.5
    elif n > 2:
        odd = n if n % 2 else n - 1
        weights[:odd] = 2.0 / 3.0
        weights[1:odd:2] = 4.0 / 3.0
        weights[[0, odd - 1]] = 1.0 / 3.0
        if odd < n:
            weights[-3:] += np.array([-1.0, 8.0, 5.0]) / 12.0
    return weights * step
