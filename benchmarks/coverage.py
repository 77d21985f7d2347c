"""How often 95 % intervals hold the truth, by simulation: Markdown tables of methods by situations.

    python benchmarks/coverage.py [SETS] [RESAMPLES]

In each situation SETS (200) test sets are drawn, of rankings fewer, and from each RESAMPLES (1,000).  A cell is the coverage in
percent, and the mean width relative to the first method's; bold is the method that hpbench takes.  A coverage of 95 % from 200
sets has a standard error of 1.5 %; the figures that `hpbench.metrics.statistics` quotes are of 2,000 sets and 2,000 resamples.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import stdtrit

from hpbench.metrics.decisions import Decisions
from hpbench.metrics.estimators import Estimator, Sums, clustered, mean_of_means, median_of
from hpbench.metrics.paired import paired_differences
from hpbench.metrics.statistics import intervals, spreads
from hpbench.metrics.visibility import average_precision, recall

COLUMNS = ("percentile", "bca", "CR1 t", "cluster-t", "studentised", "wilson")
Array = np.ndarray


def main() -> None:
    """All tables."""
    given = [int(argument) for argument in sys.argv[1:]]
    sets, resamples = [*given, 200, 1000][:2] if len(given) != 1 else (given[0], 1000)
    rng, start = np.random.default_rng(0), time.perf_counter()
    heading(f"Coverage of 95 % intervals, % ({sets} sets, {resamples} resamples)")
    for n in (100, 500, 2000):
        for name, draw, truth in FACES:
            methods = [*ON_FACES, *(["studentised"] if n <= 100 else []), *(["wilson"] if name.startswith("failure rate") else [])]
            show(f"{n} faces, {name}", means(draw(rng, (sets, n))), truth, methods, resamples)
    for people in (5, 6, 10, 20, 24, 40, 100):
        for spread in (0.3, 0.6):
            size = rng.integers(400, 1501, (sets, people))
            show(f"{people} people, 400-1500 frames each, spread {spread}", people_of(rng, spread, size), 5.0, ON_CLUSTERS, resamples)
    for people in (6, 20, 100):
        size = np.ceil(3.0 * rng.pareto(1.5, (sets, people)))
        show(f"{people} people, numbers of frames from Pareto's law", people_of(rng, 0.5, size), 5.0, ON_CLUSTERS, resamples)
    for people in (10, 20, 40):
        size = rng.integers(400, 1501, (sets, people))
        show(
            f"{people} people, of whose frames 1 % failed, in runs",
            failing_people(rng, size),
            0.99 * 5.0 + 0.01 * 180.0,
            ON_CLUSTERS,
            resamples,
        )
    size = np.tile([12431, 2542, 2542, 2542, 2542, 2542], (sets, 1))
    show("6 recordings, half of the frames in one", people_of(rng, 0.3, size), 5.0, ON_CLUSTERS, resamples)
    show("20 people, mean of three yaw bins", *balanced(rng, sets, 20), [*ON_FACES, "studentised"], resamples)
    for people in (6, 20, 40):
        level = np.exp(0.5 * rng.standard_normal((sets, people, 1)))
        frames = level * rng.gamma(2.0, 2.0, (sets, people, 200))
        true = float(np.median(np.exp(0.5 * rng.standard_normal(2_000_000)) * rng.gamma(2.0, 2.0, 2_000_000)))
        codes = np.repeat(np.arange(people), 200)
        found = [clustered([median_of(set_.ravel())], codes, people)[0] for set_ in frames]
        show(f"{people} people, 200 frames each, the median", found, true, ["percentile", "cluster-t"], resamples)
    for name, metric in RANKINGS:
        truth = metric(decisions(rng, 100_000)).point()
        for n in (20, 40, 100, 500):
            found = [metric(decisions(rng, n)) for _ in range(max(100, sets * 20 // n))]
            show(f"{n} faces x 29 points, {name}", found, truth, ["percentile", "cluster-t"], resamples)
    differences(rng, sets, resamples)
    agreement(rng)
    print(f"\n{time.perf_counter() - start:.0f} s")


# ------------------------------------------------------------------------------------------------- situations

FACES: tuple[tuple[str, Callable[..., Array], float], ...] = (
    ("gamma errors", lambda rng, shape: rng.gamma(2.0, 2.0, shape), 4.0),
    ("lognormal errors", lambda rng, shape: rng.lognormal(0.0, 1.0, shape), np.exp(0.5)),
    ("2 % gross failures", lambda rng, shape: np.where(rng.random(shape) < 0.02, 180.0, rng.gamma(2.0, 2.0, shape)), 0.98 * 4 + 3.6),
    ("failure rate 0.7 %", lambda rng, shape: 100.0 * (rng.random(shape) < 0.007), 0.7),
    ("failure rate 5 %", lambda rng, shape: 100.0 * (rng.random(shape) < 0.05), 5.0),
)
ON_FACES = ["percentile", "bca", "cluster-t"]
ON_CLUSTERS = ["percentile", "bca", "CR1 t", "cluster-t", "studentised"]
RANKINGS: tuple[tuple[str, Callable[[Decisions], Estimator]], ...] = (
    ("average precision", average_precision),
    ("recall at 80 % precision", functools.partial(recall, precision=80.0)),
)


def means(values: Array, weights: Array | None = None) -> list[Estimator]:
    """The mean of each set, one row a set."""
    weights = np.ones_like(values) if weights is None else weights
    return [mean_of_means([pair]) for pair in zip(values, weights.astype(float), strict=True)]


def people_of(rng: np.random.Generator, spread: float, size: Array) -> list[Estimator]:
    """The mean over the frames of people, whose levels are lognormal of mean 5; 20 frames in succession are as good as one."""
    level = 5.0 * np.exp(spread * rng.standard_normal(size.shape) - spread**2 / 2)
    return means(level * (1.0 + 0.8 * rng.standard_normal(size.shape) / np.sqrt(np.maximum(1.0, size / 20.0))), size)


def failing_people(rng: np.random.Generator, size: Array) -> list[Estimator]:
    """As `people_of`; a person loses a share of the frames, charged 180: half of them none, the others up to 4 %."""
    share = np.maximum(0.0, rng.uniform(-0.04, 0.04, size.shape))
    level = 5.0 * np.exp(0.3 * rng.standard_normal(size.shape) - 0.045)
    return means((1.0 - share) * level + share * 180.0, size)


def balanced(rng: np.random.Generator, sets: int, people: int) -> tuple[list[Estimator], float]:
    """Means of three bins, harder from bin to bin; a fifth of the people never turn as far as the last."""
    harder = np.array([1.0, 1.5, 3.0])
    size = np.ceil(900 * rng.dirichlet([6, 2, 1], (sets, people))) * (rng.random((sets, people, 3)) < (1.0, 1.0, 0.8))
    level = 5.0 * np.exp(0.4 * rng.standard_normal((sets, people, 1)) - 0.08)
    values = harder * level * np.exp(0.2 * rng.standard_normal((sets, people, 3)) - 0.02)
    return [mean_of_means([(v[:, k], s[:, k]) for k in range(3)]) for v, s in zip(values, size, strict=True)], 5.0 * float(np.mean(harder))


def decisions(rng: np.random.Generator, n: int) -> Decisions:
    """29 decisions a face; faces differ in how much of them is occluded and in how sure the model is."""
    occluded = rng.random((n, 29)) < np.minimum(0.2 * np.exp(0.7 * rng.standard_normal((n, 1))), 0.9)
    return ranked(2.5 * (1.0 - 2.0 * occluded) + 2.0 * rng.standard_normal((n, 29)) + 0.8 * rng.standard_normal((n, 1)), occluded)


def two_models(rng: np.random.Generator, spread: float, shape: tuple[int, int]) -> tuple[list[Estimator], list[Estimator]]:
    """Two models of equal mean over the same units, one of them more uneven."""
    level = 5.0 * np.exp(spread * rng.standard_normal(shape))
    even, uneven = (level * rng.gamma(k, 1.0 / k, shape) for k in (20.0, 5.0))
    return means(even), means(uneven)


def two_rankings(rng: np.random.Generator, n: int) -> tuple[Estimator, Estimator]:
    """Two models of the same skill over the same labels, on unlike scales."""
    occluded = rng.random((n, 29)) < np.minimum(0.2 * np.exp(0.7 * rng.standard_normal((n, 1))), 0.9)
    common = 2.5 * (1.0 - 2.0 * occluded) + 0.8 * rng.standard_normal((n, 1))
    first, second = (ranked(scale * (common + 2.0 * rng.standard_normal((n, 29))), occluded) for scale in (1.0, 0.2))
    return average_precision(first), average_precision(second)


def ranked(visible: Array, occluded: Array) -> Decisions:
    """Decisions of (faces, points)."""
    order = np.argsort(visible, axis=None)
    return Decisions(order // visible.shape[1], visible.ravel()[order], occluded.ravel()[order], len(visible))


# ------------------------------------------------------------------------------------------------- tables


def heading(title: str) -> None:
    """Title and first lines of a table."""
    print(f"\n{title}\n\n| situation | " + " | ".join(COLUMNS) + " |\n|---|" + "---|" * len(COLUMNS), flush=True)


def show(situation: str, sets: Sequence[Estimator], truth: float, methods: Sequence[str], resamples: int) -> None:
    """One row: every method's coverage and relative width."""
    clusters = None if " faces" in situation else np.arange(sets[0].n_units)
    chosen = intervals(sets[:1], clusters, shares=["wilson" in methods], resamples=100)[0]
    print(row(situation, sets, truth, methods, resamples, chosen.method if chosen else ""), flush=True)


def row(situation: str, sets: Sequence[Estimator], truth: float, methods: Sequence[str], resamples: int, chosen: str) -> str:
    """The row as Markdown."""
    cells, unit = {}, 0.0
    for method in methods:
        if method == "CR1 t":
            ends = np.array([cr1(e) for e in sets if isinstance(e, Sums)])
        else:
            found = spreads(sets, [method] * len(sets), resamples=resamples)
            ends = np.array([(s.interval.low, s.interval.high) for s in found if s])
        width = float(np.mean(ends[:, 1] - ends[:, 0]))
        unit = unit or width
        cell = f"{100 * np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1])):.1f} ({width / unit:.2f})"
        cells[method] = f"**{cell}**" if method == chosen else cell
    return f"| {situation} | " + " | ".join(cells.get(column, "") for column in COLUMNS) + " |"


def cr1(mean: Sums) -> tuple[float, float]:
    """The linearised cluster-robust interval, a candidate that was not taken."""
    (values, weights), g = mean.terms, mean.n_units
    point = values.sum() / weights.sum()
    error = np.sqrt(g / (g - 1) * ((values - point * weights) ** 2).sum()) / weights.sum()
    return point - stdtrit(g - 1, 0.975) * error, point + stdtrit(g - 1, 0.975) * error


def differences(rng: np.random.Generator, sets: int, resamples: int) -> None:
    """Intervals of differences of means, and how often p is below 5 % where two models are equally good but not alike."""
    heading("The difference of two models of equal mean; normal = cluster-t")
    tests = []
    for units, spread in ((6, 0.5), (12, 0.5), (20, 0.5), (40, 0.5), (100, 1.0), (500, 1.0)):
        a, b = two_models(rng, spread, (sets, units))
        both = [(x.terms[0] - y.terms[0])[None] for x, y in zip(a, b, strict=True) if isinstance(x, Sums) and isinstance(y, Sums)]
        print(row(f"{units} clusters", means(np.concatenate(both)), 0.0, ON_FACES, resamples, "cluster-t"), flush=True)
        tests.append((f"{units} clusters, means", list(zip(a, b, strict=True))))
    for n in (40, 100, 500):
        tests.append((f"{n} faces x 29 points, average precision", [two_rankings(rng, n) for _ in range(max(100, sets * 20 // n))]))
    print("\nThe same models compared\n\n| situation | p < 0.05, % | test | interval holds 0, % | method |\n|---|---|---|---|---|")
    for name, pairs in tests:
        found = paired_differences(pairs, resamples=resamples)
        covered = np.mean([d.low is not None and d.high is not None and d.low <= 0.0 <= d.high for d in found])
        false = np.mean([d.p is not None and d.p < 0.05 for d in found])
        print(f"| {name} | {100 * false:.1f} | {found[0].test} | {100 * covered:.1f} | {found[0].method} |", flush=True)


def agreement(rng: np.random.Generator) -> None:
    """How far the ends of the interval without resamples lie from BCa's."""
    print("\nNormal against BCa of 10,000 resamples: the larger difference of an end, % of the width")
    print("\n| faces | gamma | lognormal |\n|---|---|---|")
    for n in (2_000, 10_000, 20_000):
        cells = []
        for _, draw, _ in FACES[:2]:
            sets = means(draw(rng, (10, n)))
            bca, normal = (
                np.array([(s.interval.low, s.interval.high) for s in spreads(sets, [method] * 10) if s]) for method in ("bca", "normal")
            )
            cells.append(f"{100 * np.mean(np.abs(bca - normal).max(axis=1) / (bca[:, 1] - bca[:, 0])):.1f}")
        print(f"| {n:,} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
