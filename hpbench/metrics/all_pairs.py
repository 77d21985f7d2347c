"""Many models on the same faces: every pair compared, with Holm's correction.

Aim
---
A board of n models has n (n - 1) / 2 pairs, and asks of each whether its order could be chance.  What `paired` computes pair by
pair is computed here at once: one set of swaps, or of resamples, serves all pairs.

What is computed
----------------
p of means
    The sign-flip test of `paired`.  All swaps where they are at most 20,000, else 10,000 random ones.  These cannot give a p below
    1 / 10,001, which Holm's correction over 500 pairs would make worthless.  But swaps obey a bound: of sum d after random
    swapping, P(as much as the models differ) <= 2 exp(-z^2 / 2), z = sum d / sqrt(sum d^2) (Hoeffding).  Where that is below
    1 / 10,001 it is taken for p; it is too large, never too small.  Above 20,000 units the normal limit, as in `paired`.
p of rankings
    Student's t of the difference over its spread: of the resamples that all models share, of fewer than 50 units the jackknife's.

Sources
-------
As of `paired`; Hoeffding, Probability inequalities for sums of bounded random variables, JASA 1963.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .estimators import Estimator, Ranked, Sums, clustered
from .paired import holm
from .resampling import FEW, MANY, left_out, resampled
from .statistics import RESAMPLES, SEED, cluster_codes, is_mean

__all__ = ["AllPairs", "all_pairs"]

Array = npt.NDArray[np.float64]

_EXACT = 20_000
_ROUNDING = 1e-12  # of the sum of sizes
_FOR_AN_ERROR = 500  # resamples: a standard error to 3 % of itself
_AT_ONCE = 1_000_000  # swaps times units, or times pairs


@dataclass(frozen=True, eq=False)
class AllPairs:
    """Differences of the scores of M models.

    Attributes
    ----------
    difference : (M, M) array
        Score of the row's model less that of the column's.
    p, p_holm : (M, M) arrays
        Two-sided, as they are and corrected over all pairs; 1 on the diagonal.
    test : str
        ``exact sign flip``, ``sign flip``, ``normal`` or ``t``.
    pairs : int
    """

    difference: Array
    p: Array
    p_holm: Array
    test: str
    pairs: int


def all_pairs(
    estimators: Sequence[Estimator], clusters: npt.ArrayLike | None = None, *, resamples: int = RESAMPLES, seed: int = SEED
) -> AllPairs:
    """Compare the same score of M models over the same N faces.

    Parameters
    ----------
    estimators : sequence of Estimator
        All means of like weights, or all rankings.
    clusters : (N,) array or None
        What is drawn and swapped together; each face by itself where None.

    Raises
    ------
    InputError
        For estimators of several kinds, or over other faces.
    """
    if clusters is not None:
        codes, n_clusters = cluster_codes(clusters)
        estimators = clustered(estimators, codes, n_clusters)
    m = len(estimators)
    one, other = np.triu_indices(m, 1)
    points = np.array([e.point() for e in estimators])
    if all(isinstance(e, Sums) and is_mean(e) for e in estimators):
        effects = np.stack([_effects(e, estimators[0]) for e in estimators], axis=1)
        p, test = _of_swaps(effects, one, other, resamples, seed)
    elif all(isinstance(e, Ranked) for e in estimators):
        p, test = _of_resamples(estimators, points, one, other, resamples, seed), "t"
    else:
        raise InputError("a comparison is of one metric: these are means and rankings.")
    both = [np.ones((m, m)), np.ones((m, m))]
    for table, values in zip(both, (p, holm(p)), strict=True):
        table[one, other] = table[other, one] = values
    return AllPairs(points[:, None] - points, both[0], both[1], test, len(p))


def _effects(estimator: Estimator, first: Estimator) -> Array:
    """What each contributing unit adds to a mean, (g,)."""
    assert isinstance(estimator, Sums) and isinstance(first, Sums)
    if not np.array_equal(estimator.weights, first.weights):
        raise InputError("a comparison is over the same faces: these models were scored with other labels.")
    bins = len(estimator.weights)
    scale = bins * np.maximum(estimator.weights.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    effects: Array = (estimator.terms[:bins] / scale).sum(axis=0)[estimator.weights.any(axis=0)]
    return effects


def _of_swaps(effects: Array, one: npt.NDArray[np.intp], other: npt.NDArray[np.intp], resamples: int, seed: int) -> tuple[Array, str]:
    """p of each pair of columns of (g, M) effects."""
    from scipy.special import ndtr

    g = len(effects)
    sizes = np.abs(effects).sum(axis=0)
    total = effects.sum(axis=0)
    apart = np.abs(total[one] - total[other])
    slack = _ROUNDING * (sizes[one] + sizes[other])
    squares = np.array([((effects[:, a] - effects[:, b]) ** 2).sum() for a, b in zip(one, other, strict=True)])
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(apart <= slack, 0.0, apart / np.sqrt(squares))
    if g > MANY:
        return 2.0 * ndtr(-z), "normal"
    exact = g < 64 and 2**g <= _EXACT
    flips = 2**g if exact else resamples
    rng, as_much = np.random.default_rng(seed), np.zeros(len(one))
    step = max(1, _AT_ONCE // max(g, len(one), 1))
    for start in range(0, flips, step):
        rows = min(step, flips - start)
        if exact:
            swapped: npt.NDArray[Any] = (np.arange(start, start + rows)[:, None] >> np.arange(g)) & 1
        else:
            swapped = np.unpackbits(rng.integers(0, 256, size=(rows, -(-g // 8)), dtype=np.uint8), axis=1, count=g)
        moved = total - 2.0 * (swapped.astype(np.float64) @ effects)
        as_much += (np.abs(moved[:, one] - moved[:, other]) >= apart - slack).sum(axis=0)
    if exact:
        return as_much / flips, "exact sign flip"
    bound = 2.0 * np.exp(-(z**2) / 2.0)
    return np.where(bound < 1.0 / (1 + flips), bound, (1 + as_much) / (1 + flips)), "sign flip"


def _of_resamples(
    estimators: Sequence[Estimator],
    points: Array,
    one: npt.NDArray[np.intp],
    other: npt.NDArray[np.intp],
    resamples: int,
    seed: int,
) -> Array:
    from scipy.special import stdtr

    units = min(e.supporting() for e in estimators)
    if units < 2:
        return np.ones(len(one))
    jackknife = units < FEW
    drawn = np.stack([left_out(e) for e in estimators] if jackknife else resampled(estimators, min(resamples, _FOR_AN_ERROR), seed)[0])
    centre = points if jackknife else np.nanmean(drawn, axis=1)
    # the jackknife sums squares where resamples average them
    scale = np.sqrt(units - 1) if jackknife else np.sqrt(units / (units - 1))
    drawn = drawn - centre[:, None]
    errors = np.array([np.sqrt(np.nanmean((drawn[a] - drawn[b]) ** 2)) for a, b in zip(one, other, strict=True)]) * scale
    apart = np.abs(points[one] - points[other])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(apart == 0.0, 1.0, 2.0 * stdtr(units - 1, -apart / errors))
