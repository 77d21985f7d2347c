"""Replicates of scores: on resamples of the units, and with each unit left out.

A unit is a face, or a cluster of faces.  All scores see the same resamples: a row of counts says how often each unit is in
the set, and every estimator is a function of counts.  `Sums` cost one matrix product together; rankings of the same
decisions share their operating points.

Bounds
------
Counts are made in batches of at most 8 MB.  Rankings and medians cost time by decisions (values) x resamples: where that is more than
`_DECISIONS`, they see the first resamples only, 1,000 at least; of more than `MANY` units 200, enough for a standard error.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .estimators import Codes, Estimator, Median, Ranked, Sums, values_of

__all__ = ["FEW", "MANY", "Minus", "left_out", "resampled"]

Array = npt.NDArray[np.float64]

FEW = 50  # with fewer clusters the percentiles of resamples are too narrow
MANY = 20_000  # with more units resampling adds nothing to the linearised interval

_COUNTS_AT_ONCE = 1_000_000
_DECISIONS = 400_000_000  # times resamples: about two seconds
_FOR_PERCENTILES, _FOR_AN_ERROR = 1_000, 200
_MEDIAN = 20  # a value of a median costs what so many decisions do


@dataclass(frozen=True, eq=False)
class Minus:
    """The difference of the scores of two rankings, or of two medians, over the same units."""

    a: Ranked | Median
    b: Ranked | Median

    @property
    def n_units(self) -> int:
        return self.a.n_units

    def supporting(self) -> int:
        return min(self.a.supporting(), self.b.supporting())

    def point(self) -> float:
        return self.a.point() - self.b.point()

    def values(self, counts: Array) -> Array:
        a, b = values_of([self.a, self.b], counts)
        return a - b

    def by_cluster(self, codes: Codes, n_clusters: int) -> Minus:
        return Minus(self.a.by_cluster(codes, n_clusters), self.b.by_cluster(codes, n_clusters))


def resampled(
    estimators: Sequence[Estimator], resamples: int, seed: int, studentise: Collection[int] = ()
) -> tuple[list[Array], dict[int, Array]]:
    """Scores of resamples of the units, drawn with replacement.

    Parameters
    ----------
    estimators : sequence of Sums, Ranked, Median or Minus
        Over the same n units, one at least.
    studentise : collection of int
        Which of them, all `Sums`, also get a standard error in each resample.

    Returns
    -------
    scores : list of (resamples,) arrays
        NaN where a resample leaves no score; shorter for rankings of very many decisions.
    standard_errors : dict of int to (resamples,) array
    """
    n = estimators[0].n_units
    sums = {i: e for i, e in enumerate(estimators) if isinstance(e, Sums)}
    parts = {i: _parts(e) for i, e in enumerate(estimators) if i not in sums}
    ranked = [part for each in parts.values() for part in each]
    decisions = sum({id(part.units): len(part.units) * (_MEDIAN if isinstance(part, Median) else 1) for part in ranked}.values())
    fewer = min(resamples, _FOR_AN_ERROR if n > MANY else max(_FOR_PERCENTILES, _DECISIONS // max(1, decisions)))
    terms = np.concatenate([e.terms for e in sums.values()]).T if sums else np.empty((n, 0))
    cuts = np.cumsum([len(e.terms) for e in sums.values()])[:-1]
    scores = [np.empty(resamples if i in sums else fewer) for i in range(len(estimators))]
    errors = {i: np.empty(resamples) for i in studentise}
    for start, counts in _counts(n, resamples if sums else fewer, seed):
        rows = slice(start, start + len(counts))
        for (i, estimator), totals in zip(sums.items(), np.split(counts @ terms, cuts, axis=1), strict=bool(sums)):
            scores[i][rows] = estimator.combine(totals)
            if i in errors:
                errors[i][rows] = _errors_within(estimator, totals, counts, scores[i][rows])
        if ranked and start < fewer:
            found = iter(values_of(ranked, counts[: fewer - start]))
            for i, each in parts.items():
                first, *other = (next(found) for _ in each)
                scores[i][rows] = first - other[0] if other else first
    return scores, errors


def left_out(estimator: Estimator) -> Array:
    """The score without each of the g contributing units, (g,)."""
    if isinstance(estimator, Sums):
        kept = (estimator.weights > 0).any(axis=0)
        return estimator.combine(estimator.terms.sum(axis=1) - estimator.terms[:, kept].T)
    faces = np.concatenate([part.units for part in _parts(estimator)])
    units = np.unique(faces)
    counts = np.ones((len(units), estimator.n_units))
    counts[np.arange(len(units)), units] = 0.0
    return estimator.values(counts)


def _parts(estimator: Estimator) -> list[Ranked | Median]:
    if isinstance(estimator, Minus):
        return [estimator.a, estimator.b]
    assert isinstance(estimator, (Ranked, Median))
    return [estimator]


def _counts(n: int, resamples: int, seed: int) -> Iterator[tuple[int, Array]]:
    """Batches of rows of counts, each of n draws of n units, with the number of the first."""
    rng = np.random.default_rng(seed)
    batch = max(1, min(500, _COUNTS_AT_ONCE // n))
    for start in range(0, resamples, batch):
        picks = rng.integers(0, n, size=(min(batch, resamples - start), n))
        counts = np.empty(picks.shape)
        for row, drawn in zip(counts, picks, strict=True):
            row[:] = np.bincount(drawn, minlength=n)
        yield start, counts


def _errors_within(estimator: Sums, totals: Array, counts: Array, scores: Array) -> Array:
    """The jackknife standard error of each resample: of the units drawn, one draw left out at a time, (R,)."""
    kept = (estimator.weights > 0).any(axis=0)
    drawn = counts[:, kept]
    left = totals[:, None, :] - estimator.terms[:, kept].T
    moved = estimator.combine(left.reshape(-1, left.shape[2])).reshape(drawn.shape) - scores[:, None]
    squares = (drawn * np.where(drawn > 0, moved, 0.0) ** 2).sum(axis=1)
    g = np.maximum(drawn.sum(axis=1), 1.0)
    errors: Array = np.sqrt((g - 1.0) / g * squares)
    return errors
