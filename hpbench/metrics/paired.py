"""Paired comparison: is one model better than another on the same faces?

Aim
---
Two models are scored on the same faces, so what varies from sample to sample is the difference of their scores, which is
much smaller than the scores' own spread: hard faces are hard for both.  Two intervals that overlap are therefore no test.

What is computed
----------------
Interval
    Of the difference.  Of means: difference -+ t s, s the jackknife's, the same face or cluster left out for both models
    (``cluster-t``, from 50 units ``normal``); for a mean over faces it is that of the paired t test.  Differences are skewed less
    than errors and have heavy tails on both sides: in simulations (benchmarks/coverage.py) this holds the truth in 95 %, where
    BCa, which suits the errors themselves, does in 83 to 93.  Of rankings: the percentiles of resamples that both models share,
    of fewer than 50 units ``cluster-t``.
p
    Two-sided, against "no difference".  For means over faces: the sign-flip permutation test.  If the models were equal, it
    would be chance which of the two values of a face (of all the faces of a cluster) belongs to which model; so the
    difference is compared with those after swapping at random.  All 2^g swaps where they are at most 20,000 (g clusters that
    differ), else p = (1 + k) / (1 + 10,000), k the number of 10,000 random swaps that differ as much; above 20,000 clusters
    its normal limit, z = sum d / sqrt(sum d^2).
    For rankings, and ratios whose denominator is the model's own (the precision at a threshold), swapping would mix two
    models' scales of P(occluded) in one ranking, and test more than the metric: there p is read from the same replicates as
    the interval, 2 min(share <= 0, share >= 0) of the resampled differences (one more in numerator and denominator), or
    Student's t of the jackknife's standard error.
Minimum detectable difference
    (t_0.975 + t_0.8) s: a true difference of that size is found in 80 % of such test sets, at the 5 % level; in simulations
    of 8 clusters in 76 %, of 6 in 64 %.  With five or fewer no sign flip is significant, and there is none.  Where it exceeds
    the differences that matter, "not significant" says nothing.

Traps
-----
* A sign flip of g clusters has no p below 2 / 2^g: with five people or fewer nothing is significant at 5 %.
* p and interval are different computations: near 5 % the one may include what the other excludes.
* Many comparisons find something by chance: `holm`.
* The p of a difference is not its size: print the interval.

Sources
-------
Fisher, The Design of Experiments, 1935 (the sign flip).  Efron and Tibshirani 1993, chapters 15 and 16.  Phipson and Smyth,
Permutation p-values should never be zero, 2010.  Holm, A simple sequentially rejective multiple test procedure, Scandinavian
Journal of Statistics 1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .estimators import Estimator, Median, OfErrors, Ranked, Sums, clustered, mean_of_means
from .resampling import FEW, MANY, Minus
from .statistics import LEVEL, RESAMPLES, SEED, Spread, cluster_codes, is_mean, plain_method, spreads

__all__ = ["Difference", "holm", "minimum_detectable_difference", "paired_difference", "paired_differences", "paired_means"]

Array = npt.NDArray[np.float64]

_EXACT = 20_000
_ROUNDING = 1e-12  # of the sum of sizes: swaps that differ as much as the models do count as such
_FLIPS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Difference:
    """The score of model a less that of model b.

    Attributes
    ----------
    difference : float
        NaN where there is no score.
    low, high : float or None
        Of its 95 % interval.
    method : str
        How the interval was made, as in `statistics.Interval`.
    p : float or None
        Two-sided.
    test : str
        How p was found: ``sign flip`` (random swaps), ``exact sign flip``, ``normal``, ``resampled`` or ``t``.
    minimum_detectable : float or None
        The true difference found in 80 % of such test sets; None with five clusters or fewer of a mean.
    clusters : int
        Faces, or clusters of them, that contribute.
    higher, lower, equal : int or None
        In how many of them a's value is above, below, or the same as b's: wins and losses, by the metric's direction.  None
        for scores that are no means.
    reason : str
        Why there is no interval; "" where there is.
    """

    difference: float
    low: float | None
    high: float | None
    method: str
    p: float | None
    test: str
    minimum_detectable: float | None
    clusters: int
    higher: int | None
    lower: int | None
    equal: int | None
    reason: str = ""


def paired_means(
    values_a: npt.ArrayLike, values_b: npt.ArrayLike, clusters: npt.ArrayLike | None = None, *, resamples: int = RESAMPLES, seed: int = SEED
) -> Difference:
    """`paired_difference` of the means of two models' values of the same faces, (N,) each, NaN = not labelled.

    Raises
    ------
    InputError
        For arrays of unlike length, or a NaN in one of them only.
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (values_a, values_b))
    if a.shape != b.shape or a.ndim != 1:
        raise InputError(f"paired values are two arrays of one number a face, got shapes {a.shape} and {b.shape}: of the same test set?")
    ones = np.ones(len(a))
    return paired_difference(mean_of_means([(a, ones)]), mean_of_means([(b, ones)]), clusters, resamples=resamples, seed=seed)


def paired_difference(
    a: Estimator, b: Estimator, clusters: npt.ArrayLike | None = None, *, resamples: int = RESAMPLES, seed: int = SEED
) -> Difference:
    """The difference of one score of two models; see `paired_differences`."""
    return paired_differences([(a, b)], clusters, resamples=resamples, seed=seed)[0]


def paired_differences(
    pairs: Sequence[tuple[Estimator, Estimator]],
    clusters: npt.ArrayLike | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[Difference]:
    """Differences of scores, each of two models by one metric; all over the same faces, with the same resamples and swaps.

    Parameters
    ----------
    pairs : sequence of (Estimator, Estimator)
        The same metric of model a and of model b, over the same N faces.
    clusters : (N,) array or None
        What is drawn and swapped together; each face by itself where None.

    Raises
    ------
    InputError
        For a pair that is not over the same faces: another number of them, or faces labelled for one and not for the other.
    """
    for a, b in pairs:
        _refuse_other_faces(a, b)
    if clusters is not None:
        codes, n_clusters = cluster_codes(clusters)
        flat = iter(clustered([e for pair in pairs for e in pair], codes, n_clusters))
        pairs = list(zip(flat, flat, strict=True))
    differences = [_minus(a, b) for a, b in pairs]
    found = spreads(differences, [_method(d) for d in differences], resamples=resamples, seed=seed)
    return [_difference(a, b, spread, resamples, seed) for (a, b), spread in zip(pairs, found, strict=True)]


def minimum_detectable_difference(standard_error: float, degrees: int, *, power: float = 0.8, level: float = 1 - LEVEL) -> float:
    """The true difference that a two-sided test at a level finds with a power.

    Parameters
    ----------
    standard_error : float
        Of the paired difference.
    degrees : int
        Of freedom: contributing clusters less one.
    """
    from scipy.special import stdtrit

    return float((stdtrit(degrees, 1.0 - level / 2.0) + stdtrit(degrees, power)) * standard_error)


def holm(p_values: npt.ArrayLike) -> Array:
    """Holm's adjusted p-values, in the order given: those up to 0.05 hold together, with 5 % risk of one false among them."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


# ------------------------------------------------------------------------------------------------- of a pair


def _refuse_other_faces(a: Estimator, b: Estimator) -> None:
    if type(a) is not type(b):
        raise InputError("a comparison is of one metric: these two are a mean and a ranking.")
    if a.n_units != b.n_units:
        raise InputError(f"a comparison is over the same faces: model a has {a.n_units}, model b {b.n_units}: another test set?")
    if isinstance(a, Sums) and isinstance(b, Sums):
        if a.terms.shape != b.terms.shape or a.weights.shape != b.weights.shape:
            raise InputError("a comparison is of one metric: these two are sums of other kinds.")
        other = ((a.weights > 0) ^ (b.weights > 0)).any(axis=0) & (a.labels_weigh and b.labels_weigh)
    elif isinstance(a, Ranked) and isinstance(b, Ranked):
        other = np.zeros(a.n_units, dtype=bool)
        for label in (True, False):
            have, want = (np.bincount(r.decisions.face[r.decisions.positive == label], minlength=r.n_units) for r in (a, b))
            other |= have != want
    elif isinstance(a, Median) and isinstance(b, Median):
        have, want = (np.bincount(m.unit, minlength=m.n_units) for m in (a, b))
        other = have != want
    elif isinstance(a, OfErrors) and isinstance(b, OfErrors):
        other = np.isnan(a.errors) != np.isnan(b.errors)
    if other.any():
        raise InputError(f"row {other.argmax()} is labelled for one model and not for the other: were both scored with the same labels?")


def _minus(a: Estimator, b: Estimator) -> Estimator:
    """The difference as an estimator."""
    if isinstance(a, Sums) and isinstance(b, Sums):
        one, other, cut = a.combine, b.combine, len(a.terms)
        terms, weights = np.concatenate([a.terms, b.terms]), np.concatenate([a.weights, b.weights])
        return Sums(terms, lambda sums: one(sums[:, :cut]) - other(sums[:, cut:]), weights)
    if isinstance(a, (Ranked, Median)) and isinstance(b, (Ranked, Median)):
        return Minus(a, b)
    return a  # a legacy formula, which has no interval


def _effects(a: Estimator, b: Estimator) -> Array | None:
    """What each contributing unit adds to the difference of two means, (g,); None where they are no means of like weights."""
    if not (isinstance(a, Sums) and isinstance(b, Sums) and is_mean(a) and is_mean(b) and np.array_equal(a.weights, b.weights)):
        return None
    bins = len(a.weights)
    scale = bins * np.maximum(a.weights.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    effects = ((a.terms - b.terms)[:bins] / scale).sum(axis=0)
    sizes = ((np.abs(a.terms) + np.abs(b.terms))[:bins] / scale).sum(axis=0)
    return np.where(np.abs(effects) > _ROUNDING * sizes, effects, 0.0)[a.weights.any(axis=0)]


def _method(difference: Estimator) -> str:
    if isinstance(difference, Sums) and difference.supporting() >= FEW:
        return "normal"
    return plain_method(difference)


def _difference(a: Estimator, b: Estimator, spread: Spread | None, flips: int, seed: int) -> Difference:
    point, clusters, effects = a.point() - b.point(), min(a.supporting(), b.supporting()), _effects(a, b)
    signs = None if effects is None else np.sign(effects)
    higher, lower, equal = (None if signs is None else int((signs == sign).sum()) for sign in (1, -1, 0))
    if spread is None:
        few = {0: "nothing is labelled", 1: "one cluster contributes"}.get(clusters, "without one of the clusters there is no score")
        reason = "a legacy formula of all errors is not resampled" if isinstance(a, OfErrors) else f"{few}: spread needs two"
        return Difference(point, None, None, "", None, "", None, clusters, higher, lower, equal, reason)
    p, test = _p_of_resamples(point, spread) if effects is None else _p_of_sign_flips(effects, flips, seed)
    interval, detectable = spread.interval, None
    if effects is None or 2.0 ** (1 - clusters) <= 1 - LEVEL:  # else no swap could be significant
        detectable = minimum_detectable_difference(spread.standard_error, spread.degrees)
    return Difference(point, interval.low, interval.high, interval.method, p, test, detectable, clusters, higher, lower, equal)


def _p_of_sign_flips(effects: Array, flips: int, seed: int) -> tuple[float, str]:
    from scipy.special import ndtr

    effects = effects[effects != 0.0]  # swapping equals changes nothing
    g, sizes = len(effects), np.abs(effects).sum()
    if g > MANY:
        return float(2.0 * ndtr(-abs(effects.sum()) / np.sqrt((effects**2).sum()))), "normal"
    enough = abs(effects.sum()) - _ROUNDING * sizes
    if 2**g <= _EXACT:
        every = (np.arange(2**g)[:, None] >> np.arange(g)) & 1
        return float(np.mean(np.abs(effects.sum() - 2.0 * every @ effects) >= enough)), "exact sign flip"
    rng, rows, as_much = np.random.default_rng(seed), max(1, _FLIPS_AT_ONCE // g), 0
    for start in range(0, flips, rows):
        bits = rng.integers(0, 256, size=(min(rows, flips - start), -(-g // 8)), dtype=np.uint8)
        swapped = np.unpackbits(bits, axis=1, count=g)
        as_much += int((np.abs(effects.sum() - 2.0 * swapped @ effects) >= enough).sum())
    return (1 + as_much) / (1 + flips), "sign flip"


def _p_of_resamples(point: float, spread: Spread) -> tuple[float, str]:
    from scipy.special import stdtr

    if spread.interval.method == "percentile":
        tail = min((spread.drawn <= 0).sum(), (spread.drawn >= 0).sum())
        return float(min(1.0, 2.0 * (1 + tail) / (1 + len(spread.drawn)))), "resampled"
    if point == 0.0:
        return 1.0, "t"
    with np.errstate(divide="ignore"):
        return float(2.0 * stdtr(spread.degrees, -np.abs(np.float64(point) / spread.standard_error))), "t"
