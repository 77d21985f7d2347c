"""Which explanation the errors bear out: chosen on one half of the faces, tested on the other.

Aim
---
Hundreds of explanations are tried; the best of them fits somewhat better than the predictions as they are, whatever these are.  An
explanation is told only if it holds on faces that had no part in choosing it, if the gain is large, and if what remains is the error
of a model that looks at the faces.

Rules
-----
* The level of errors is the mean of the lowest nine tenths: some wild faces decide nothing.
* Each half of the faces (clusters are never split) chooses by itself: no cause, unless one brings the level to 0.7 of what it was
  (`FITTED` where its size is fitted, on the other half); two causes together only where they bring it to 0.5 of what it was and to
  0.65 of what the better one does (0.8 for visibility, `Kind`); of those within `ALIKE` the simpler one.  Both halves must agree.
* Where predictions can be halved (poses), one cause of no size counts from `SMALL` on, if it fits better than the middle between the
  predictions as they are and with it undone: of a model that is unsure of an angle, or biased, the middle would be better.
* Its level must be `BELOW_CHANCE` of the level of the best constant, and significantly so: what turns a bad model into a bad model
  explains nothing.
* p is that of the paired t test, one-sided, of the clusters' mean gains, times the number of explanations tried (Holm's first step).
* With fewer than `FEW` faces only a gain to `OVERWHELMING` counts; with fewer than `LEAST` nothing does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .causes import Case, Cause, Chain, Kind, errors_without, undone

__all__ = ["Verdict", "halves", "judged", "p_of_gain"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

SMALL, FITTED = 0.88, 0.42
ALIKE = 1.02
BELOW_CHANCE, FITTED_BELOW_CHANCE = 0.9, 0.75
LEAST, FEW, OVERWHELMING = 8, 20, 0.25
FEW_CLUSTERS = 6
HIGHEST_P = 0.001
_SAME = 1e-6


@dataclass(frozen=True, eq=False)
class Verdict:
    """What was found among the explanations of one kind of predictions.

    Attributes
    ----------
    chain : tuple of Cause
        Empty where nothing explains the errors.
    p : float
        Corrected for the number tried; 1 where nothing was found.
    tried : int
    equivalents : tuple of chains
        Others that give the very same predictions.
    closest : tuple of (Cause, float)
        The best single causes and the share of the level that each leaves.
    reason : str
        Why nothing is told; "" where something is.
    """

    chain: Chain
    p: float
    tried: int
    equivalents: tuple[Chain, ...]
    closest: tuple[tuple[Cause, float], ...]
    reason: str


def halves(clusters: Sequence[str] | None, n: int, seed: int) -> tuple[Mask, Rows]:
    """Two halves of n faces, (n,) bool, and the cluster of each, (n,) int; of too few clusters each face is its own."""
    codes = np.arange(n) if clusters is None else np.unique(np.asarray(clusters, dtype=str), return_inverse=True)[1]
    if len(np.unique(codes)) < FEW_CLUSTERS:
        codes = np.arange(n)
    order = np.random.default_rng(seed).permutation(codes.max() + 1 if n else 0)
    return order[codes] < len(order) / 2, codes


def judged(kind: Kind, case: Case, chance: Array, *, clustered_few: bool = False) -> Verdict:
    """The simplest explanation that the errors bear out.

    Parameters
    ----------
    chance : (n,) array
        Errors of the best constant on the faces looked at.
    clustered_few : bool
        The faces come from so few clusters that they are taken one by one: only an overwhelming gain counts.
    """
    chains: list[Chain] = [(), *((cause,) for cause in kind.causes)]
    for i, a in enumerate(kind.causes):
        chains += [kind.ordered((a, b)) for b in kind.causes[i + 1 :] if a.group != b.group]
    begun: dict[Chain, Any] = {}
    asked = errors_without(kind, case, (), begun)
    usable = np.isfinite(asked) & np.isfinite(chance)
    n = int(usable.sum())
    if n < LEAST:
        return Verdict((), 1.0, 0, (), (), f"{n} faces are too few to tell")
    errors = np.stack([asked, *(errors_without(kind, case, chain, begun) for chain in chains[1:])])[:, usable]
    errors = np.where(np.isnan(errors), errors[0], errors)  # a row that is not there gains nothing
    half, cluster, chance = case.half[usable], case.cluster[usable], chance[usable]
    everything = np.ones(n, dtype=bool)
    whole = _levels(errors, everything)
    closest = _closest(chains, whole)
    tried = len(chains) - 1
    choices = [_choice(kind, chains, _levels(errors, part)) for part in (half, ~half)]
    chosen = _choice(kind, chains, whole)

    def nothing(reason: str) -> Verdict:
        return Verdict((), 1.0, tried, (), closest, reason)

    if not chosen or not all(choices):
        return nothing("no single mistake, and no two together, explain these errors")
    for choice, part in zip(choices, (half, ~half), strict=True):
        levels = _levels(errors, part)
        if not _same(errors[choice], errors[chosen]) and levels[chosen] > 1.1 * levels[choice]:
            names = " or ".join(dict.fromkeys(" and ".join(c.name for c in chains[k]) for k in choices))
            return nothing(f"one half of the faces says otherwise than the other ({names})")
    best = whole[chosen]
    share = FITTED_BELOW_CHANCE if any(cause.fit is not None for cause in chains[chosen]) else BELOW_CHANCE
    above = best > share * _levels(chance[None], everything)[0]
    if above or p_of_gain(chance - errors[chosen], cluster) > HIGHEST_P:
        name = " and ".join(cause.name for cause in chains[chosen])
        return nothing(f"{name} would fit better, yet hardly better than a constant does: a bad model rather than a mistake")
    if (n < FEW or clustered_few) and best > OVERWHELMING * whole[0]:
        return nothing(f"{n} faces{' of few people' * clustered_few} are too few to tell, and the gain is not overwhelming")
    p = min(1.0, tried * p_of_gain(errors[0] - errors[chosen], cluster))
    if p > HIGHEST_P:
        return nothing(f"the best explanation, {' and '.join(c.name for c in chains[chosen])}, may be chance (p = {p:.2g})")
    if len(chains[chosen]) == 1 and best > kind.single * whole[0]:
        states = (undone(kind, case, chain, case.looked, case.half)[0] for chain in ((), chains[chosen]))
        middle = kind.errors(kind.halfway(*states), kind.take(case.labels, case.looked))[usable]  # type: ignore[misc]
        if p_of_gain(middle - errors[chosen], cluster) > HIGHEST_P:
            return nothing(f"{chains[chosen][0].name} would fit a little better, as it may for a bad model")
    same = tuple(c for k, c in enumerate(chains) if k not in (0, chosen) and _same(errors[k], errors[chosen]))
    return Verdict(chains[chosen], p, tried, same, closest, "")


def p_of_gain(gain: Array, cluster: Rows) -> float:
    """One-sided p of the paired t test that the clusters' mean gains are above 0."""
    from scipy.special import stdtr

    _, codes = np.unique(cluster, return_inverse=True)
    means = np.bincount(codes, gain) / np.bincount(codes)
    spread = means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else np.inf
    if spread == 0.0:
        return 0.0 if means[0] > 0 else 1.0
    return float(stdtr(len(means) - 1, -means.mean() / spread))


def _levels(errors: Array, part: Mask) -> Array:
    """The mean of the lowest nine tenths of each row, (K,)."""
    inside = errors[:, part]
    kept = max(1, int(np.ceil(0.9 * inside.shape[1])))
    return np.asarray(np.partition(inside, kept - 1, axis=1)[:, :kept].mean(axis=1))


def _choice(kind: Kind, chains: Sequence[Chain], levels: Array) -> int:
    """Number of the chain that these levels choose; 0 = none."""
    size = np.array([len(chain) for chain in chains])
    fitted = np.array([any(cause.fit is not None for cause in chain) for chain in chains])
    single, pair = (int(_first(np.where(size == k, levels, np.inf))) for k in (1, 2))
    at_most = min((FITTED if fitted[pair] else kind.pair) * levels[0], kind.beside_single * min(levels[single], levels[0]))
    if (size == 2).any() and levels[pair] <= at_most:
        return pair
    least = FITTED if fitted[single] else kind.single if kind.halfway is None else SMALL
    return single if levels[single] <= least * levels[0] else 0


def _first(levels: Array) -> int:
    """The first of those that are alike the least."""
    return int(np.flatnonzero(levels <= ALIKE * levels.min())[0])


def _same(a: Array, b: Array) -> bool:
    return bool(np.abs(a - b).max() <= _SAME * max(1.0, float(np.abs(b).max())))


def _closest(chains: Sequence[Chain], levels: Array) -> tuple[tuple[Cause, float], ...]:
    singles = sorted((float(levels[k]), k) for k, chain in enumerate(chains) if len(chain) == 1)
    whole = max(float(levels[0]), np.finfo(float).tiny)
    return tuple((chains[k][0], level / whole) for level, k in singles[:3])
