"""Estimators: what a metric makes of N faces, for any number of copies of each.

Aim
---
Every score must be computable on all faces, on a subset, on the detected faces, and on thousands of resamples.  An
estimator is a score as a function of *counts*: how often each face (or cluster of faces) is in the set.  The value is
that of counts all 1; a bootstrap resample is another row of counts; leaving out a person is a row with a 0.

Kinds
-----
`Sums` : a function of sums over faces.  A mean is a ratio of two sums, a bin-balanced mean the mean of such ratios.
    Resampling is one matrix product for all scores of a record together.
`Ranked` : a function of the whole ranking of the visibility decisions, such as the recall at a precision.
`Median` : the median in place of a mean.
`OfErrors` : a legacy formula of all errors that is neither; it has a value and no interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .decisions import Decisions, OperatingPoints

__all__ = ["Estimator", "Median", "OfErrors", "Ranked", "Sums", "clustered", "mean_of_means", "median_of", "values_of"]

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_BLOCK = 1 << 17  # decisions times resamples worked on at once: what stays in the processor's cache


class Estimator(Protocol):
    """A score as a function of how often each of n units (faces, or clusters of them) is counted."""

    @property
    def n_units(self) -> int:
        """Number of units, those that contribute nothing among them."""

    def supporting(self) -> int:
        """Number of units that contribute; of a mean of several means, the number of the poorest."""

    def point(self) -> float:
        """The score itself, every unit counted once; NaN where there is none."""

    def values(self, counts: Array) -> Array:
        """The score for each row of counts, (R, n) -> (R,); NaN where a row leaves none."""

    def by_cluster(self, codes: Codes, n_clusters: int) -> Estimator:
        """The same score over clusters: unit i belongs to cluster ``codes[i]``."""


@dataclass(frozen=True, eq=False)
class Sums:
    """A function of sums over units.

    Attributes
    ----------
    terms : (T, n) array
        One row a sum.
    combine : callable
        (R, T) sums -> (R,) scores.
    weights : (B, n) array
        Of each mean that the score is made of, what every unit adds to its denominator.
    labels_weigh : bool
        Whether the weights follow from the labels alone.  Where they are the model's own (the precision at a threshold),
        two models have different ones on the same faces.
    """

    terms: Array
    combine: Callable[[Array], Array]
    weights: Array
    labels_weigh: bool = True

    @property
    def n_units(self) -> int:
        return self.terms.shape[1]

    def supporting(self) -> int:
        return int((self.weights > 0).sum(axis=1).min())

    def point(self) -> float:
        return float(self.combine(self.terms.sum(axis=1)[None])[0])

    def values(self, counts: Array) -> Array:
        return self.combine(counts @ self.terms.T)

    def by_cluster(self, codes: Codes, n_clusters: int) -> Sums:
        return replace(self, terms=_sums_by(codes, self.terms, n_clusters), weights=_sums_by(codes, self.weights, n_clusters))


def mean_of_means(parts: Sequence[tuple[Array, Array]]) -> Sums:
    """The mean of weighted means.

    Parameters
    ----------
    parts : sequence of ((n,) values, (n,) weights)
        Units of weight 0, or whose value is NaN, do not count.  One part gives a plain (weighted) mean.
    """
    bins = len(parts)
    terms = np.zeros((2 * bins, len(parts[0][0])))  # numerators, then denominators
    for numerator, denominator, (values, weights) in zip(terms[:bins], terms[bins:], parts, strict=True):
        counted = ~np.isnan(values) & (weights > 0)
        np.copyto(denominator, weights, where=counted)
        np.multiply(values, weights, out=numerator, where=counted)

    def combine(sums: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Array = sums[:, :bins] / sums[:, bins:]
        return means.mean(axis=1)

    return Sums(terms, combine, terms[bins:])


@dataclass(frozen=True, eq=False)
class Median:
    """The median of per-face values, of an even number the mean of the two in the middle.

    Attributes
    ----------
    sorted_values : (M,) array, ascending
    unit : (M,) int array
        Which unit each value belongs to.
    n_units : int
    """

    sorted_values: Array
    unit: Codes
    n_units: int

    @property
    def units(self) -> Codes:
        """The unit of each thing that is ranked."""
        return self.unit

    def supporting(self) -> int:
        return int(np.count_nonzero(np.bincount(self.unit)))

    def point(self) -> float:
        return float(np.median(self.sorted_values)) if len(self.unit) else float("nan")

    def values(self, counts: Array) -> Array:
        found = np.full(len(counts), np.nan)
        if not len(self.unit):
            return found
        rows = max(1, _BLOCK // len(self.unit))
        for start in range(0, len(counts), rows):
            below = np.cumsum(counts[start : start + rows][:, self.unit], axis=1, dtype=np.int64)
            total = below[:, -1:]
            ends = [(below <= middle).sum(axis=1) for middle in ((total - 1) // 2, total // 2)]
            last = len(self.unit) - 1
            medians = (self.sorted_values[np.minimum(ends[0], last)] + self.sorted_values[np.minimum(ends[1], last)]) / 2.0
            found[start : start + rows] = np.where(total[:, 0] > 0, medians, np.nan)
        return found

    def by_cluster(self, codes: Codes, n_clusters: int) -> Median:
        return replace(self, unit=codes[self.unit], n_units=n_clusters)


def median_of(values: Array) -> Median:
    """The median of (N,) values; NaN does not count."""
    order = np.argsort(values, kind="stable")[: int(np.count_nonzero(~np.isnan(values)))]
    return Median(values[order], order, len(values))


@dataclass(frozen=True, eq=False)
class Ranked:
    """A function of the operating points of a ranking of decisions; estimators that share `decisions` share the sorting."""

    decisions: Decisions
    statistic: Callable[[OperatingPoints], Array]

    @property
    def n_units(self) -> int:
        return self.decisions.n_faces

    @property
    def units(self) -> Codes:
        """The unit of each thing that is ranked."""
        return self.decisions.face

    def supporting(self) -> int:
        return int(np.count_nonzero(np.bincount(self.units)))

    def point(self) -> float:
        return float(self.statistic(self.decisions.operating_points())[0])

    def values(self, counts: Array) -> Array:
        return values_of([self], counts)[0]

    def by_cluster(self, codes: Codes, n_clusters: int) -> Ranked:
        return replace(self, decisions=replace(self.decisions, face=codes[self.decisions.face], n_faces=n_clusters))


@dataclass(frozen=True, eq=False)
class OfErrors:
    """A function of all per-face errors at once: a legacy formula, without an interval."""

    errors: Array  # (n,), NaN = not in the set
    formula: Callable[[Array], float]

    @property
    def n_units(self) -> int:
        return len(self.errors)

    def supporting(self) -> int:
        return 0  # nothing that could be resampled

    def point(self) -> float:
        errors = self.errors[~np.isnan(self.errors)]
        return self.formula(errors) if len(errors) else float("nan")

    def values(self, counts: Array) -> Array:
        raise NotImplementedError("a legacy formula of all errors is not resampled")

    def by_cluster(self, codes: Codes, n_clusters: int) -> OfErrors:
        return self


def clustered(estimators: Sequence[Estimator], codes: Codes, n_clusters: int) -> list[Estimator]:
    """The same scores over clusters, unit i in cluster ``codes[i]``; those that shared their decisions share them still."""
    shared: dict[int, Decisions] = {}
    found: list[Estimator] = []
    for estimator in estimators:
        other = estimator.by_cluster(codes, n_clusters)
        if isinstance(estimator, Ranked) and isinstance(other, Ranked):
            other = replace(other, decisions=shared.setdefault(id(estimator.decisions), other.decisions))
        found.append(other)
    return found


def values_of(estimators: Sequence[Ranked | Median], counts: Array) -> list[Array]:
    """The values of several estimators for each row of counts; rankings of the same decisions share the operating points."""
    found = [np.empty(len(counts)) if isinstance(e, Ranked) else e.values(counts) for e in estimators]
    sharing: dict[int, tuple[Decisions, list[int]]] = {}
    for i, estimator in enumerate(estimators):
        if isinstance(estimator, Ranked):
            sharing.setdefault(id(estimator.decisions), (estimator.decisions, []))[1].append(i)
    for decisions, members in sharing.values():
        rows = max(1, _BLOCK // max(1, len(decisions)))
        for start in range(0, len(counts), rows):
            points = decisions.operating_points(counts[start : start + rows])
            for i in members:
                estimator = estimators[i]
                assert isinstance(estimator, Ranked)
                found[i][start : start + rows] = estimator.statistic(points)
    return found


def _sums_by(codes: Codes, rows: npt.NDArray[Any], n: int) -> Array:
    return np.stack([np.bincount(codes, weights=row, minlength=n) for row in rows])
