"""Intervals: against independent libraries and slow recomputations, their coverage by simulation, their seed, their edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap, t

from hpbench.metrics import resampling
from hpbench.metrics.decisions import Decisions
from hpbench.metrics.estimators import OfErrors, mean_of_means, median_of
from hpbench.metrics.resampling import left_out, resampled
from hpbench.metrics.statistics import intervals, spreads
from hpbench.metrics.visibility import average_precision, calibration_error, precision, recall


def means(columns, weights=None):  # type: ignore[no-untyped-def]
    """The mean of each column, (N, k)."""
    return [mean_of_means([(column, np.ones(len(column)) if weights is None else weights)]) for column in columns.T]


def ends(estimators, clusters=None, **options):  # type: ignore[no-untyped-def]
    """Intervals as pairs."""
    return [None if i is None else (i.low, i.high) for i in intervals(estimators, clusters, **options)]


def methods(estimators, clusters=None, **options):  # type: ignore[no-untyped-def]
    return [i and i.method for i in intervals(estimators, clusters, resamples=200, **options)]


def ranking(n: int, seed: int = 0, points: int = 29) -> Decisions:
    """Decisions of n faces, three quarters of them right more often than not."""
    rng = np.random.default_rng(seed)
    positive = rng.random((n, points)) < 0.25
    visible = (rng.normal(1.5, 1.5, (n, points)) * np.where(positive, -1, 1)).ravel()
    order = np.argsort(visible)
    return Decisions(order // points, visible[order], positive.ravel()[order], n)


# ------------------------------------------------------------------------------------------------- against others


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_agrees_with_scipy(method: str) -> None:
    values = np.random.default_rng(0).lognormal(0.0, 1.0, 60)
    ours = ends(means(values[:, None]), method=method)[0]
    found = bootstrap((values,), np.mean, n_resamples=20_000, method=method, rng=np.random.default_rng(1)).confidence_interval
    assert ours == pytest.approx((found.low, found.high), abs=0.03)  # the two methods differ by 0.1 at the upper end


def test_a_few_faces_have_students_interval() -> None:
    values = np.random.default_rng(0).gamma(2.0, 2.0, 9)
    expected = t.interval(0.95, 8, values.mean(), values.std(ddof=1) / 3)
    assert ends(means(values[:, None]))[0] == pytest.approx(expected)


def by_leaving_out_people(values: np.ndarray, people: np.ndarray) -> tuple[float, float]:
    """Mean and jackknife error, the slow way."""
    without = np.array([values[people != p].mean() for p in np.unique(people)])
    g = len(without)
    return values.mean(), np.sqrt((g - 1) / g * ((without - values.mean()) ** 2).sum())


def test_cluster_t_leaves_out_people() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(list("abcdef"), [5, 40, 7, 90, 3, 20])
    values = rng.gamma(2.0, 2.0, 6)[np.unique(people, return_inverse=True)[1]] + rng.gamma(1.0, 1.0, len(people))
    mean, error = by_leaving_out_people(values, people)
    assert ends(means(values[:, None]), people)[0] == pytest.approx((mean - 2.570582 * error, mean + 2.570582 * error))


def test_studentised_resamples_people_and_leaves_one_out_of_each() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(12), rng.integers(5, 60, 12))
    values = rng.lognormal(0, 0.6, 12)[people] * rng.gamma(9.0, 1 / 9.0, len(people))
    of = [values[people == p] for p in range(12)]
    mean, error = by_leaving_out_people(values, people)
    ratios = []
    for _ in range(3000):
        drawn = [of[i] for i in rng.integers(0, 12, 12)]
        star, star_error = by_leaving_out_people(np.concatenate(drawn), np.repeat(np.arange(12), [len(v) for v in drawn]))
        ratios.append((star - mean) / star_error)
    least, most = np.percentile(ratios, [2.5, 97.5])
    interval = intervals(means(values[:, None]), people, method="studentised")[0]
    assert interval is not None and interval.method == "studentised"
    assert ((interval.low - mean) / error, (interval.high - mean) / error) == pytest.approx((-most, -least), rel=0.1)


def test_the_jackknife_of_a_ranking_leaves_out_faces() -> None:
    decisions = ranking(30)
    faces = np.arange(30)
    expected = [average_precision(decisions.of_faces(faces != i)).point() for i in range(30)]
    assert left_out(average_precision(decisions)) == pytest.approx(expected)
    inside = average_precision(decisions.of_faces(faces < 20))  # the other ten leave nothing out
    assert len(left_out(inside)) == 20


@pytest.mark.parametrize(("failures", "faces"), [(0, 500), (3, 500), (7, 20), (20, 20)])
def test_shares_have_wilsons_interval(failures: int, faces: int) -> None:
    values = np.where(np.arange(faces) < failures, 100.0, 0.0)
    interval = intervals(means(values[:, None]), shares=[True])[0]
    expected = binomtest(failures, faces).proportion_ci(method="wilson")
    assert interval is not None and interval.method == "wilson"
    assert (interval.low, interval.high) == pytest.approx((100 * expected.low, 100 * expected.high), abs=1e-9)
    assert interval.low <= values.mean() <= interval.high


def test_a_large_ranking_has_a_normal_interval_of_200_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = recall(ranking(1000), precision=80.0)
    expected = spreads([estimator], ["percentile"], resamples=1000)[0]
    monkeypatch.setattr(resampling, "MANY", 999)
    monkeypatch.setattr(resampling, "_DECISIONS", 1)
    found = spreads([estimator], ["normal"])[0]
    assert expected is not None and found is not None and len(found.drawn) == 200 and found.interval.method == "normal"
    assert found.standard_error == pytest.approx(expected.standard_error, rel=0.15)
    assert found.interval.high - found.interval.low == pytest.approx(2 * 1.96 * found.standard_error, rel=0.002)


# ------------------------------------------------------------------------------------------------- which method


@pytest.mark.parametrize(("units", "method"), [(2, "cluster-t"), (49, "cluster-t"), (50, "bca")])
def test_method_by_number_of_units(units: int, method: str) -> None:
    values = np.random.default_rng(0).gamma(2.0, 2.0, (units, 1))
    assert methods(means(values.repeat(3, axis=0)), np.arange(units).repeat(3)) == [method]
    assert methods(means(values)) == [method]  # of single faces


def test_one_person_whose_frames_failed_does_not_fill_the_scale() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(20), rng.integers(400, 1000, 20))
    values = np.where(people == 7, 180.0, rng.gamma(2.0, 2.0, len(people)))[:, None]
    (interval,), (studentised,) = ends(means(values), people), ends(means(values), people, method="studentised")
    assert interval[1] < 40.0 and studentised[1] - studentised[0] > 5 * (interval[1] - interval[0])


def test_other_methods_for_unequal_clusters_rankings_and_what_is_no_mean() -> None:
    rng = np.random.default_rng(0)
    assert methods(means(rng.random((180, 1))), np.repeat(np.arange(60), np.arange(60) % 5 + 1)) == ["percentile"]
    for faces, method in ((30, "cluster-t"), (60, "percentile")):
        decisions = ranking(faces)
        assert methods([average_precision(decisions), calibration_error(decisions, bins=15)]) == [method, method]
    assert methods(means(rng.random((25_000, 1)))) == ["normal"]
    failures = means(np.where(rng.random((200, 1)) < 0.1, 100.0, 0.0))
    assert methods(failures, np.arange(200) // 2, shares=[True]) == ["bca"]  # pairs of faces are no independent trials


def test_a_small_part_of_many_faces_is_judged_by_itself() -> None:
    values = np.random.default_rng(0).gamma(2.0, 2.0, (2000, 1)).repeat(4, axis=1)
    for column, kept in enumerate([2000, 30, 6, 1]):
        values[kept:, column] = np.nan
    found = intervals(means(values), resamples=500)
    assert [i and i.method for i in found] == ["bca", "cluster-t", "cluster-t", None]
    assert found[2] == intervals(means(values[:6, 2:3]))[0]


def test_the_poorest_bin_counts() -> None:
    values = np.random.default_rng(0).gamma(2.0, 2.0, 400)
    bins = [(np.where(inside, values, np.nan), np.ones(400)) for inside in (np.arange(400) < 380, np.arange(400) >= 380)]
    assert methods([mean_of_means(bins)]) == ["cluster-t"]
    interval = intervals([mean_of_means(bins)])[0]
    assert interval is not None
    error = np.sqrt(values[:380].var(ddof=1) / 380 + values[380:].var(ddof=1) / 20) / 2
    assert interval.high - interval.low == pytest.approx(2 * 2.093 * error, rel=0.05)


def test_without_resamples_nothing_is_lost_on_many_faces() -> None:
    estimators = means(np.random.default_rng(0).gamma(2.0, 2.0, (20_001, 3)))
    normal, bca = np.array(ends(estimators)), np.array(ends(estimators, method="bca", resamples=2000))
    assert np.abs(normal - bca).max() < 0.04 * (bca[:, 1] - bca[:, 0]).min()


# ------------------------------------------------------------------------------------------------- coverage


def test_covers_the_mean_about_95_times_in_100() -> None:
    columns = np.random.default_rng(0).gamma(2.0, 2.0, (200, 400))  # 400 samples of 200 faces, mean 4
    covered = np.mean([low <= 4.0 <= high for low, high in ends(means(columns), resamples=1000)])
    assert 0.91 <= covered <= 0.98


def test_covers_by_cluster_where_faces_of_a_person_are_alike() -> None:
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(60), 8)
    columns = 10.0 + rng.normal(0, 1, (60, 150))[people] + rng.normal(0, 0.3, (480, 150))
    by_person, by_face = (np.mean([low <= 10.0 <= high for low, high in ends(means(columns), c, resamples=500)]) for c in (people, None))
    assert 0.88 <= by_person <= 0.99 and by_face < 0.7


def test_twenty_uneven_people_are_covered_better_than_by_percentiles() -> None:
    rng = np.random.default_rng(2)
    size = rng.integers(400, 1501, (500, 20)).astype(float)
    level = 5.0 * np.exp(0.5 * rng.standard_normal((500, 20)) - 0.125)
    sets = [mean_of_means([pair]) for pair in zip(level, size, strict=True)]
    ours, percentile = (np.mean([low <= 5.0 <= high for low, high in ends(sets, method=m, resamples=1000)]) for m in ("", "percentile"))
    assert 0.92 <= ours <= 0.98 and percentile < 0.92


# ------------------------------------------------------------------------------------------------- resamples


def test_same_seed_same_interval_and_columns_do_not_disturb_each_other() -> None:
    values = 5.0 + np.random.default_rng(0).normal(size=(60, 3))
    together = ends(means(values), resamples=200)
    assert together == ends(means(values), resamples=200)
    assert together[1] == pytest.approx(ends(means(values[:, 1:2]), resamples=200)[0])
    assert together != ends(means(values), resamples=200, seed=5)


def test_means_and_rankings_see_the_same_resamples() -> None:
    decisions = ranking(60)
    at_threshold = precision(decisions, threshold=0.5)
    as_ranking = recall(decisions, precision=80.0)
    scores, _ = resampled([at_threshold, as_ranking, at_threshold], 300, 0)
    alone, _ = resampled([as_ranking], 300, 0)
    assert np.array_equal(scores[0], scores[2]) and np.array_equal(scores[1], alone[0])


def test_rankings_of_many_decisions_have_fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "_DECISIONS", 60 * 29 * 1200)
    one = average_precision(ranking(60))
    other = recall(one.decisions, precision=80.0)  # type: ignore[attr-defined]
    assert [len(s) for s in resampled([one, other], 3000, 0)[0]] == [1200, 1200]
    assert [len(s) for s in resampled([one, average_precision(ranking(60, seed=1))], 3000, 0)[0]] == [1000, 1000]


# ------------------------------------------------------------------------------------------------- medians


@given(st.lists(st.one_of(st.floats(0, 9), st.just(np.nan)), min_size=1, max_size=9), st.integers(0, 2**32 - 1))
def test_a_median_of_counts_is_that_of_the_repeated_values(values: list[float], seed: int) -> None:
    array = np.array(values)
    counts = np.random.default_rng(seed).integers(0, 3, (5, len(array)))
    expected = []
    for row in counts:
        repeated = np.repeat(array, row)
        repeated = repeated[~np.isnan(repeated)]
        expected.append(np.median(repeated) if len(repeated) else np.nan)
    assert median_of(array).values(counts.astype(float)) == pytest.approx(expected, nan_ok=True)


def test_medians_of_people() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(60), 5)
    values = rng.gamma(2.0, 2.0, 60)[people] + rng.random(300)
    drawn = [np.median(np.concatenate([values[people == p] for p in rng.integers(0, 60, 60)])) for _ in range(2000)]
    (interval,) = intervals([median_of(values)], people)
    assert interval is not None and interval.method == "percentile"
    assert (interval.low, interval.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), rel=0.05)
    few = people < 12
    (interval,) = intervals([median_of(values[few])], people[few])
    drawn = [np.median(np.concatenate([values[people == p] for p in rng.integers(0, 12, 12)])) for _ in range(2000)]
    assert interval is not None and interval.method == "cluster-t"
    assert interval.high - interval.low == pytest.approx(2 * 2.201 * np.std(drawn) * (12 / 11) ** 0.5, rel=0.1)


def test_a_median_of_very_many_faces_has_an_interval() -> None:
    values = np.random.default_rng(0).gamma(2.0, 2.0, 50_000)
    (interval,) = intervals([median_of(values)])
    error = 1.0 / (2.0 * 0.15666 * 50_000**0.5)  # 1 / (2 f(median) sqrt(n)), f the gamma density there
    assert interval is not None and interval.method == "normal"
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.25)


# ------------------------------------------------------------------------------------------------- edges


def test_unlabelled_faces_do_not_count() -> None:
    values = 5.0 + np.random.default_rng(0).normal(size=(60, 1))
    holes = np.concatenate([values, np.full((60, 1), np.nan)])
    assert ends(means(holes), resamples=4000)[0] == pytest.approx(ends(means(values), resamples=4000)[0], abs=0.06)


def test_mean_of_bin_means() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(1, 0.1, 350), rng.normal(5, 0.1, 50)])
    bins = [(np.where(inside, values, np.nan), np.ones(400)) for inside in (np.arange(400) < 350, np.arange(400) >= 350)]
    low, high = ends([mean_of_means(bins)], resamples=500)[0]
    assert low < 3.0 < high and high - low < 0.1


@pytest.mark.parametrize("count", [2, 12, 60, 25_000])
def test_equal_values_give_an_interval_without_width(count: int) -> None:
    assert ends(means(np.full((count, 1), 0.1)))[0] == pytest.approx((0.1, 0.1), rel=1e-12)


def test_no_interval_goes_below_zero() -> None:
    assert ends(means(np.array([[0.0], [0.0], [0.0], [3.0]])))[0][0] == 0.0


@pytest.mark.parametrize("values", [[], [1.0], [1.0, np.nan, np.nan]])
def test_fewer_than_two_faces_give_no_interval(values: list[float]) -> None:
    assert ends(means(np.array(values).reshape(-1, 1))) == [None]


def test_one_cluster_or_a_legacy_formula_give_no_interval() -> None:
    assert ends(means(np.arange(5.0)[:, None]), ["a"] * 5) == [None]
    assert ends([OfErrors(np.arange(100.0), np.median)]) == [None]
    assert ends([average_precision(ranking(5))], ["a"] * 5) == [None]


@pytest.mark.parametrize("faces", [20, 60])
def test_a_ranking_without_a_positive_has_no_interval(faces: int) -> None:
    decisions = ranking(faces)
    none = Decisions(decisions.face, decisions.visible, np.zeros_like(decisions.positive), faces)
    assert ends([average_precision(none), average_precision(decisions)], resamples=200)[0] is None


def test_a_resample_of_one_person_only_does_not_open_the_interval() -> None:
    values = np.zeros((12, 1))
    values[0] = 1.0  # a third of the resamples hold zeros only: no spread to divide by
    assert methods(means(values)) == ["cluster-t"]
