"""The bootstrap: its coverage by simulation, its seed, its edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from hpbench.metrics.estimators import mean_of_means
from hpbench.metrics.statistics import intervals


def bootstrap_intervals(values, groups, clusters=None, **options):  # type: ignore[no-untyped-def]
    """Intervals as pairs, of means of columns."""
    ones = np.ones(len(values))
    found = intervals([mean_of_means([(values[:, i], ones) for i in g]) for g in groups], clusters, **options)
    return [None if i is None else (i.low, i.high) for i in found]


def test_agrees_with_an_independent_library() -> None:
    values = np.random.default_rng(0).gamma(2.0, 2.0, 300)
    ours = bootstrap_intervals(values[:, None], [[0]])[0]
    theirs = bootstrap((values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1)).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_covers_the_mean_about_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    columns = rng.gamma(2.0, 2.0, (200, 400))  # 400 samples of 200 faces, mean 4
    found = bootstrap_intervals(columns, [[i] for i in range(400)], resamples=1000)
    covered = np.mean([low <= 4.0 <= high for low, high in found])  # type: ignore[misc]
    assert 0.91 <= covered <= 0.98


def test_covers_by_cluster_where_faces_of_a_person_are_alike() -> None:
    rng = np.random.default_rng(1)
    covered = []
    people = np.repeat(np.arange(60), 8)
    for _ in range(150):
        values = rng.normal(0, 1, 60)[people] + rng.normal(0, 0.3, 480)
        interval = bootstrap_intervals(values[:, None], [[0]], people, resamples=500)[0]
        assert interval is not None
        covered.append(interval[0] <= 0 <= interval[1])
    assert 0.88 <= np.mean(covered) <= 0.99


def test_same_seed_same_interval_and_columns_do_not_disturb_each_other() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3))
    together = bootstrap_intervals(values, [[0], [1], [2]], resamples=200)
    assert together == bootstrap_intervals(values, [[0], [1], [2]], resamples=200)
    assert together[1] == pytest.approx(bootstrap_intervals(values[:, 1:2], [[0]], resamples=200)[0])
    assert together != bootstrap_intervals(values, [[0], [1], [2]], resamples=200, seed=5)


def test_unlabelled_faces_do_not_count() -> None:
    values = np.random.default_rng(0).normal(size=(60, 1))
    holes = np.concatenate([values, np.full((60, 1), np.nan)])
    low, high = bootstrap_intervals(holes, [[0]], resamples=4000)[0]  # type: ignore[misc]
    full = bootstrap_intervals(values, [[0]], resamples=4000)[0]
    assert (low, high) == pytest.approx(full, abs=0.06)


def test_mean_of_bin_means() -> None:
    rng = np.random.default_rng(0)
    values = np.full((400, 2), np.nan)
    values[:350, 0], values[350:, 1] = rng.normal(1, 0.1, 350), rng.normal(5, 0.1, 50)
    low, high = bootstrap_intervals(values, [[0, 1]], resamples=500)[0]  # type: ignore[misc]
    assert low < 3.0 < high and high - low < 0.1


@pytest.mark.parametrize("values", [[], [1.0], [1.0, np.nan, np.nan]])
def test_fewer_than_two_faces_give_no_interval(values: list[float]) -> None:
    assert bootstrap_intervals(np.array(values).reshape(-1, 1), [[0]]) == [None]


def test_one_cluster_gives_no_interval() -> None:
    assert bootstrap_intervals(np.arange(5.0)[:, None], [[0]], ["a"] * 5) == [None]
