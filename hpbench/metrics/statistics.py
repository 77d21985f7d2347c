"""Intervals: what a score would be on other faces of the same kind.

Aim
---
A test set is a sample.  The 95 % interval says where the model's score on all faces of that kind may lie.  It knows nothing
of other kinds of faces, of errors in the labels, or of the noise of training.

Units
-----
Faces are drawn independently, or whole clusters of them (people, sequences) where the protocol says so.  All scores of a
record see the same resamples.  Whether there are few or many units is asked for each score: of those that contribute to it,
of a bin-balanced mean those of the poorest bin.

Methods
-------
theta is the score, theta_(i) that without unit i, g the number of contributing units, t the quantile of Student's
distribution with g - 1 degrees of freedom, and s^2 = (g-1)/g sum_i (theta_(i) - theta)^2 the jackknife (CV3 of MacKinnon,
Nielsen and Webb; for a mean of faces the usual standard error).

* ``bca``, means of 50 units and more that weigh the same: bias-corrected and accelerated percentiles of 10,000 resamples.
* ``percentile``, 50 units and more of unequal weight (clusters), and scores that are no means (rankings, calibration errors),
  where those corrections overshoot: the percentiles as they are.
* ``cluster-t``, fewer than 50 units: theta -+ t s.  Of medians, s is the spread of the resamples.
* ``studentised``, on request: theta - q s, q the quantiles of (theta* - theta) / s* over resamples, s* the jackknife of the resample.
* ``normal``, more than 20,000 units: theta -+ t s, without resamples; its ends differ from BCa's by less than 2 % of the width.
  Of rankings and medians, s is the spread of 200 resamples.
* ``wilson``, shares of independent faces (failure rates): Wilson's score interval.

They were chosen by simulation (benchmarks/coverage.py; 2,000 sets).  Means over 20 people with 400 to 1,500 frames each and
lognormal levels: percentiles hold the truth in 90.5 %, the linearised cluster-t (CR1) in 92.5, the jackknife's in 92.6,
``studentised`` in 93.7; over 6 people in 84, 91.5, 91.7 and 94.1 %.  But ``studentised`` is useless where failures are charged: with one
person of 20 whose frames all failed (mean 8.6 degrees) it says 2.6 to 187, ``cluster-t`` 0 to 18.7.  100 people with
numbers of frames from Pareto's law: percentiles 92 %, BCa 88.5.  A failure rate of 0.7 %: over 500 faces percentiles 85 %, BCa
94, Wilson 97; over 100 faces 50, 47 and 97, because half of these sets hold no failure, and resampling them gives 0 to 0.

Traps
-----
* Frames of a video are not independent: an interval over BIWI's 15,678 frames is many times narrower than that over its 20
  people, and wrong.
* Few clusters tell little: over 6 people whose levels vary much, or half of whose frames are of one, an interval holds the
  truth in 90 %.  One cluster shows no spread at all: no interval, which is not an interval of width 0.
* A kind of failure that is not in the sample is in no interval but Wilson's: over 100 faces with 2 % gross failures every
  method stays below 90 %.
* Two intervals that overlap do not say that two models are equal: the models saw the same faces (`paired`).
* An aligned protocol fits its offset on the whole test set; its interval takes that offset as given.

Sources
-------
Efron and Tibshirani, An Introduction to the Bootstrap, 1993 (percentile, BCa, studentised).  DiCiccio and Efron, Bootstrap
Confidence Intervals, Statistical Science 1996.  Cameron, Gelbach and Miller, Bootstrap-Based Improvements for Inference with
Clustered Errors, Review of Economics and Statistics 2008.  MacKinnon, Nielsen and Webb, Fast and reliable jackknife and
bootstrap methods for cluster-robust inference, Journal of Applied Econometrics 2023.  Wilson, Probable Inference, Journal of
the American Statistical Association 1927.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .estimators import Codes, Estimator, Median, OfErrors, Sums, clustered
from .resampling import FEW, MANY, Minus, left_out, resampled

__all__ = ["LEVEL", "METHODS", "RESAMPLES", "SEED", "Interval", "Spread", "cluster_codes", "intervals", "is_mean"]
__all__ += ["plain_method", "spreads"]

Array = npt.NDArray[np.float64]

RESAMPLES = 10_000
SEED = 20_201_221  # fixed: the same predictions give the same interval everywhere
LEVEL = 0.95
METHODS = ("percentile", "bca", "studentised", "cluster-t", "normal", "wilson")

_NO_SPREAD = 1e-12  # of the score: what rounding leaves of the spread of equal values


@dataclass(frozen=True)
class Interval:
    """A 95 % interval.

    Attributes
    ----------
    low, high : float
    method : str
        How it was made: one of `METHODS`.
    """

    low: float
    high: float
    method: str


@dataclass(frozen=True, eq=False)
class Spread:
    """How far a score varies from sample to sample.

    Attributes
    ----------
    interval : Interval
    standard_error : float
    degrees : int
        Of freedom: contributing units less one.
    drawn : (R,) array
        Scores of the resamples; empty where there are none.
    """

    interval: Interval
    standard_error: float
    degrees: int
    drawn: Array


def intervals(
    estimators: Sequence[Estimator],
    clusters: npt.ArrayLike | None = None,
    *,
    shares: Sequence[bool] | None = None,
    method: str = "",
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[Interval | None]:
    """Intervals (95 %) of several scores over the same faces; none goes below 0.

    Parameters
    ----------
    estimators : sequence of Estimator
        Over the same N faces.
    clusters : (N,) array or None
        What is drawn together; each face by itself where None.
    shares : sequence of bool or None
        Which scores are shares of the faces in percent: means of 0 and 100.
    method : str
        One of `METHODS` for all scores that it can be made for (``studentised`` and ``bca`` not for rankings: ``cluster-t`` and
        ``percentile``; ``wilson`` not but for shares); "" = the method that fits each, see above.

    Returns
    -------
    list of Interval or None
        None where fewer than two clusters contribute: from one cluster nothing can be said about spread.
    """
    if clusters is not None:
        codes, n_clusters = cluster_codes(clusters)
        estimators = clustered(estimators, codes, n_clusters)
    share = shares if shares is not None else [False] * len(estimators)
    methods = [_method(e, s, method) for e, s in zip(estimators, share, strict=True)]
    ends = [s.interval if s else None for s in spreads(estimators, methods, resamples=resamples, seed=seed)]
    return [i and Interval(max(0.0, i.low), max(0.0, i.high), i.method) for i in ends]


def cluster_codes(clusters: npt.ArrayLike) -> tuple[Codes, int]:
    """Numbers of clusters, (N,), from their names, and how many there are."""
    names, codes = np.unique(np.asarray(clusters).astype(str), return_inverse=True)
    return codes, len(names)


def spreads(
    estimators: Sequence[Estimator], methods: Sequence[str], *, resamples: int = RESAMPLES, seed: int = SEED
) -> list[Spread | None]:
    """Intervals (95 %) that may go below 0, with standard errors.

    Parameters
    ----------
    estimators : sequence of Estimator
        Over the same units.
    methods : sequence of str
        Of each, one that it can have.

    Returns
    -------
    list of Spread or None
        None where fewer than two units contribute.
    """
    methods = ["" if isinstance(e, OfErrors) or e.supporting() < 2 else m for e, m in zip(estimators, methods, strict=True)]
    wanted = [i for i, m in enumerate(methods) if _needs_resamples(estimators[i], m)]
    drawn: dict[int, Array] = {}
    errors: dict[int, Array] = {}
    if wanted:
        studentise = [k for k, i in enumerate(wanted) if methods[i] == "studentised"]
        scores, within = resampled([estimators[i] for i in wanted], resamples, seed, studentise)
        drawn = dict(zip(wanted, scores, strict=True))
        errors = {wanted[k]: values for k, values in within.items()}
    return [_spread(e, methods[i], drawn.get(i), errors.get(i)) if methods[i] else None for i, e in enumerate(estimators)]


def _needs_resamples(estimator: Estimator, method: str) -> bool:
    if method in ("", "wilson") or isinstance(estimator, Sums):
        return method in ("percentile", "bca", "studentised")
    # leaving out one of many moves a median by the gap between two faces, which says nothing of its spread
    return method != "cluster-t" or isinstance(estimator, Median) or (isinstance(estimator, Minus) and isinstance(estimator.a, Median))


def plain_method(estimator: Estimator) -> str:
    """The method for a score of which nothing more is known than that it can be resampled."""
    if estimator.supporting() < FEW:
        return "cluster-t"
    return "normal" if estimator.n_units > MANY else "percentile"


def is_mean(estimator: Estimator) -> bool:
    """Whether it is a mean or a mean of means: numerators, then the weights as denominators."""
    return isinstance(estimator, Sums) and np.array_equal(estimator.terms[len(estimator.weights) :], estimator.weights)


def _method(estimator: Estimator, share: bool, wanted: str) -> str:
    """The method that fits a score."""
    plain = plain_method(estimator)
    if not isinstance(estimator, Sums):
        return {"bca": "percentile", "studentised": "cluster-t", "wilson": plain, "": plain}.get(wanted, wanted)
    if wanted in ("", "wilson") and share and _of_single_faces(estimator):
        return "wilson"
    if wanted not in ("", "wilson"):
        return wanted
    if not is_mean(estimator):  # a calibration error, say: no smooth function, for which the corrections do harm
        return plain
    return "bca" if plain == "percentile" and _weigh_the_same(estimator) else plain


def _weigh_the_same(sums: Sums) -> bool:
    return all(row.max() == row[row > 0].min() for row in sums.weights)


def _of_single_faces(share: Sums) -> bool:
    return len(share.terms) == 2 and bool(np.isin(share.weights, (0.0, 1.0)).all() and np.isin(share.terms[0], (0.0, 100.0)).all())


def _spread(estimator: Estimator, method: str, drawn: Array | None, errors: Array | None) -> Spread | None:
    point, units = estimator.point(), estimator.supporting()
    if not np.isfinite(point):
        return None
    if drawn is None or isinstance(estimator, Sums):
        without = left_out(estimator)
        error = float(np.sqrt((len(without) - 1) / len(without) * ((without - point) ** 2).sum()))
    else:  # rankings are no smooth functions of the faces: by leaving out one of many their error is found too large
        without = np.empty(0)
        error = float(np.nanstd(drawn) * np.sqrt(units / (units - 1)))
    if not np.isfinite(error):
        return None
    scores = np.empty(0) if drawn is None else drawn[np.isfinite(drawn)]  # a resample may miss a small bin altogether
    if method == "wilson":
        interval = _wilson(point, units)
    elif error <= _NO_SPREAD * abs(point):
        interval, error = Interval(point, point, method), 0.0
    elif method == "bca":
        interval = _bca(point, scores, without)
    elif method == "studentised" and drawn is not None and errors is not None:
        interval = _studentised(point, error, units - 1, drawn, errors)
    elif method == "percentile":
        interval = _percentile(scores)
    else:
        interval = _student(point, error, units - 1, method)
    return Spread(interval, error, units - 1, scores)


def _percentile(scores: Array) -> Interval:
    low, high = np.quantile(scores, _TAILS)
    return Interval(float(low), float(high), "percentile")


def _bca(point: float, scores: Array, without: Array) -> Interval:
    from scipy.special import ndtr, ndtri

    moved = without.mean() - without
    acceleration = (moved**3).sum() / (6.0 * (moved**2).sum() ** 1.5)
    bias = ndtri((np.mean(scores < point) + np.mean(scores <= point)) / 2.0)
    if not np.isfinite(bias):  # no resample on one side: nothing to correct by
        return _percentile(scores)
    z = bias + ndtri(_TAILS)
    low, high = np.quantile(scores, ndtr(bias + z / (1.0 - acceleration * z)))
    return Interval(float(low), float(high), "bca")


def _studentised(point: float, error: float, degrees: int, drawn: Array, errors: Array) -> Interval:
    with np.errstate(invalid="ignore", divide="ignore"):
        # infinite where a resample holds equal units only
        ratio = (drawn - point) / np.where(errors > _NO_SPREAD * np.abs(drawn), errors, 0.0)
    least, most = np.quantile(ratio[~np.isnan(ratio)], _TAILS, method="nearest")
    if not np.isfinite(most - least):
        return _student(point, error, degrees, "cluster-t")
    return Interval(float(point - most * error), float(point - least * error), "studentised")


def _student(point: float, error: float, degrees: int, method: str) -> Interval:
    from scipy.special import stdtrit

    half = float(stdtrit(degrees, _TAILS[1])) * error
    return Interval(point - half, point + half, method)


def _wilson(percent: float, n: int) -> Interval:
    from scipy.special import ndtri

    share, z2 = percent / 100.0, float(ndtri(_TAILS[1])) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Interval(min(percent, 100.0 * float(centre - half)), max(percent, 100.0 * float(centre + half)), "wilson")


_TAILS = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
