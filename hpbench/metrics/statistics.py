"""Intervals: what a score would be on other faces of the same kind.

All scores of a record see the same resamples, of whole clusters where the protocol says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .estimators import Estimator, OfErrors, Sums

__all__ = ["RESAMPLES", "SEED", "Interval", "intervals"]

Array = npt.NDArray[np.float64]

RESAMPLES = 10_000
SEED = 20_201_221  # fixed: the same predictions give the same interval everywhere
LEVEL = 0.95
_COUNTS_IN_MEMORY = 8_000_000  # of one batch of resamples: 64 MB


@dataclass(frozen=True)
class Interval:
    """A 95 % interval.

    Attributes
    ----------
    low, high : float
    method : str
        How it was made, e.g. ``percentile``.
    """

    low: float
    high: float
    method: str


def intervals(
    estimators: Sequence[Estimator],
    clusters: npt.ArrayLike | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[Interval | None]:
    """Intervals (95 %) of several scores over the same faces.

    Parameters
    ----------
    estimators : sequence of Estimator
        Over the same N faces.
    clusters : (N,) array or None
        What is resampled together; each face by itself where None.

    Returns
    -------
    list of Interval or None
        None where fewer than two clusters contribute: from one cluster nothing can be said about spread.
    """
    if clusters is not None:
        _, codes = np.unique(np.asarray(clusters).astype(str), return_inverse=True)
        n_clusters = int(codes.max()) + 1 if len(codes) else 0
        estimators = [e.by_cluster(codes, n_clusters) for e in estimators]
    wanted = [i for i, e in enumerate(estimators) if not isinstance(e, OfErrors) and e.supporting() >= 2]
    found: list[Interval | None] = [None] * len(estimators)
    if not wanted:
        return found
    n = estimators[wanted[0]].n_units
    drawn = {i: np.empty(resamples) for i in wanted}
    sums = [i for i in wanted if isinstance(estimators[i], Sums)]
    terms = np.concatenate([estimators[i].terms for i in sums]) if sums else np.empty((0, n))  # type: ignore[attr-defined]
    rng = np.random.default_rng(seed)
    batch = max(1, min(500, _COUNTS_IN_MEMORY // n))
    for start in range(0, resamples, batch):
        size = min(batch, resamples - start)
        picks = rng.integers(0, n, size=(size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(picks.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
        totals, column = counts @ terms.T, 0
        for i in wanted:
            estimator = estimators[i]
            if isinstance(estimator, Sums):
                drawn[i][start : start + size] = estimator.combine(totals[:, column : column + len(estimator.terms)])
                column += len(estimator.terms)
            else:
                drawn[i][start : start + size] = estimator.values(counts)
    tail = 100.0 * (1.0 - LEVEL) / 2.0
    for i in wanted:
        score = drawn[i][np.isfinite(drawn[i])]  # a resample may miss a small bin altogether
        if len(score):
            low, high = np.percentile(score, [tail, 100.0 - tail])
            found[i] = Interval(float(low), float(high), "percentile")
    return found
