"""Paired comparison: against scipy and slow recomputations, its errors under no difference, its edges."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test, ttest_rel

from hpbench.errors import InputError
from hpbench.faces import Faces
from hpbench.metrics import paired
from hpbench.metrics.decisions import Decisions
from hpbench.metrics.estimators import OfErrors, mean_of_means, median_of
from hpbench.metrics.paired import holm, minimum_detectable_difference, paired_difference, paired_differences, paired_means
from hpbench.metrics.statistics import intervals
from hpbench.metrics.visibility import average_precision, calibration_error, decisions_of, precision, recall


def two_models(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Errors of two models on the same faces, some hard for both, the second a little better."""
    rng = np.random.default_rng(seed)
    hard = rng.lognormal(1.0, 0.6, n)
    return hard * rng.gamma(9.0, 1 / 9.0, n), 0.9 * hard * rng.gamma(9.0, 1 / 9.0, n)


def ranking(visible: np.ndarray, positive: np.ndarray) -> Decisions:
    order = np.argsort(visible, axis=None, kind="stable")
    return Decisions(order // visible.shape[1], visible.ravel()[order], positive.ravel()[order], len(visible))


def two_rankings(n: int, seed: int = 0, noise: float = 0.5) -> tuple[Decisions, Decisions]:
    """Two models' decisions over the same labels, the second more often wrong."""
    rng = np.random.default_rng(seed)
    positive = rng.random((n, 29)) < 0.25
    visible = np.where(positive, 0.3, 0.7) + rng.normal(0.0, 0.25, (n, 29))
    worse = visible + noise * rng.normal(0.0, 0.25, (n, 29))
    return ranking(np.clip(visible, 0, 1), positive), ranking(np.clip(worse, 0, 1), positive)


# ------------------------------------------------------------------------------------------------- against others


@pytest.mark.parametrize(
    ("n", "tolerance", "test"), [(5, 1e-12, "exact sign flip"), (14, 1e-12, "exact sign flip"), (60, 0.02, "sign flip")]
)
def test_p_agrees_with_scipys_permutation_test(n: int, tolerance: float, test: str) -> None:
    a, b = two_models(n, seed=n)
    b = a + 0.5 * (b - a)
    rng = np.random.default_rng(1)
    expected = permutation_test((a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=50_000, rng=rng)
    found = paired_means(a, b)
    assert (found.p, found.test) == (pytest.approx(expected.pvalue, abs=tolerance), test)


def test_interval_is_that_of_the_paired_t_test() -> None:
    for n in (9, 400):
        a, b = two_models(n)
        expected = ttest_rel(a, b).confidence_interval()
        found = paired_means(a, b)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
        assert (found.higher, found.lower, found.equal) == ((a > b).sum(), (a < b).sum(), 0)


def test_clusters_are_swapped_whole() -> None:
    a, b = two_models(300)
    people = np.random.default_rng(3).integers(0, 10, 300)
    sums = np.bincount(people, weights=a - b)
    swaps = np.array(list(itertools.product([1, -1], repeat=10))) @ sums
    found = paired_means(a, b, people)
    assert found.p == pytest.approx(np.mean(np.abs(swaps) >= abs(sums.sum()) - 1e-9))
    assert (found.clusters, found.higher, found.lower) == (10, (sums > 0).sum(), (sums < 0).sum())
    assert found.p == paired_means(a, b, people.astype(str)).p


def test_a_balanced_mean_is_swapped_within_its_bins() -> None:
    a, b = two_models(12)
    bins = np.arange(12) < 9

    def balanced(values: np.ndarray):  # type: ignore[no-untyped-def]
        return mean_of_means([(np.where(inside, values, np.nan), np.ones(12)) for inside in (bins, ~bins)])

    differences = []
    for swap in itertools.product([False, True], repeat=12):
        x, y = np.where(swap, b, a), np.where(swap, a, b)
        differences.append((x[bins].mean() + x[~bins].mean() - y[bins].mean() - y[~bins].mean()) / 2)
    found = paired_difference(balanced(a), balanced(b))
    assert found.difference == pytest.approx(differences[0])
    assert found.p == pytest.approx(np.mean(np.abs(differences) >= abs(differences[0]) - 1e-12))


def test_above_20000_faces_the_flips_have_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = two_models(800)
    b = a + 0.3 * (b - a) * np.random.default_rng(0).choice([-1, 1], 800)
    flipped = paired_means(a, b)
    monkeypatch.setattr(paired, "MANY", 700)
    normal = paired_means(a, b)
    assert (flipped.test, normal.test) == ("sign flip", "normal")
    assert normal.p == pytest.approx(flipped.p, abs=0.015)


# ------------------------------------------------------------------------------------------------- what it is for


def test_overlapping_intervals_may_differ_clearly() -> None:
    a, b = two_models(300)
    found = paired_means(a, b)
    alone = intervals([mean_of_means([(values, np.ones(300))]) for values in (a, b)])
    assert alone[0] is not None and alone[1] is not None and alone[0].low < alone[1].high
    assert found.p is not None and found.low is not None and found.p < 0.001 and found.low > 0


def test_no_difference_is_found_in_5_of_100() -> None:
    rng = np.random.default_rng(0)
    hard = rng.lognormal(0.0, 0.6, (400, 12))
    found = [
        paired_means(*pair) for pair in zip(hard * rng.gamma(9, 1 / 9, hard.shape), hard * rng.gamma(3, 1 / 3, hard.shape), strict=True)
    ]
    false = np.mean([d.p < 0.05 for d in found if d.p is not None])
    covered = np.mean([d.low <= 0 <= d.high for d in found if d.low is not None and d.high is not None])
    assert 0.025 <= false <= 0.08 and 0.92 <= covered <= 0.98


def test_the_minimum_detectable_difference_is_found_in_80_of_100() -> None:
    rng = np.random.default_rng(0)
    shift = minimum_detectable_difference(1 / np.sqrt(30), 29)
    found = np.mean(ttest_rel(rng.normal(shift, 1.0, (4000, 30)), np.zeros((4000, 30)), axis=1).pvalue < 0.05)
    assert found == pytest.approx(0.8, abs=0.03)
    a, b = two_models(30)
    error = (a - b).std(ddof=1) / np.sqrt(30)
    assert paired_means(a, b).minimum_detectable == pytest.approx(minimum_detectable_difference(error, 29))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.4]) == pytest.approx([0.8, 0.8]) and holm([]).shape == (0,)


# ------------------------------------------------------------------------------------------------- rankings and ratios


def test_rankings_are_compared_on_the_same_resamples() -> None:
    good, worse = two_rankings(150)
    found = paired_differences(
        [(average_precision(good), average_precision(worse)), (recall(good, precision=80.0), recall(worse, precision=80.0))]
    )
    alone = np.sqrt(2) * 1.96 * 0.6  # the spread of one average precision over 150 faces
    for d in found:
        assert d.low is not None and d.high is not None and d.p is not None
        assert d.low < d.difference < d.high and (d.method, d.test, d.higher) == ("percentile", "resampled", None)
        assert (d.p < 0.05) == (not d.low <= 0 <= d.high)
    assert found[0].high - found[0].low < 2 * alone
    again = paired_difference(average_precision(good), average_precision(worse))
    assert again == found[0]


def test_the_scale_of_the_scores_does_not_matter() -> None:
    good, _ = two_rankings(60)
    squeezed = Decisions(good.face, good.visible / 10, good.positive, good.n_faces)
    found = paired_difference(average_precision(good), average_precision(squeezed))
    assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("n", [8, 40])
def test_few_faces_of_a_ranking_have_students_interval(n: int) -> None:
    good, worse = (average_precision(d) for d in two_rankings(n))
    found = paired_difference(good, worse)
    assert (found.method, found.test) == ("cluster-t", "t")
    counts = 1.0 - np.eye(n)
    without = good.values(counts) - worse.values(counts)
    error = np.sqrt((n - 1) / n * ((without - found.difference) ** 2).sum())
    assert found.minimum_detectable == pytest.approx(minimum_detectable_difference(error, n - 1))


@pytest.mark.parametrize("metric", [lambda d: precision(d, threshold=0.5), lambda d: calibration_error(d, bins=10)])
def test_ratios_of_the_models_own_are_not_swapped(metric) -> None:  # type: ignore[no-untyped-def]
    good, worse = two_rankings(100, noise=2.0)
    found = paired_difference(metric(good), metric(worse))
    assert (found.method, found.test, found.higher) == ("normal", "t", None)
    assert found.low is not None and found.high is not None and found.p is not None
    assert found.p < 0.05 and not found.low <= 0 <= found.high


# ------------------------------------------------------------------------------------------------- laws and edges


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=2, max_size=40), st.integers(1, 20))
def test_turning_the_models_round_turns_the_sign(values: list[tuple[float, float]], clusters: int) -> None:
    a, b = np.array(values).T
    names = np.arange(len(a)) % clusters
    there, back = paired_means(a, b, names, resamples=200), paired_means(b, a, names, resamples=200)
    assert there.difference == -back.difference and there.p == back.p and there.reason == back.reason
    assert (there.higher, there.lower, there.equal) == (back.lower, back.higher, back.equal)
    assert (there.low is None) == (min(clusters, len(a)) < 2)
    if there.low is not None and back.high is not None:
        assert there.low == pytest.approx(-back.high, abs=1e-9)
        assert there.p is not None and 0 < there.p <= 1


def test_the_same_seed_gives_the_same() -> None:
    a, b = two_models(60)
    assert paired_means(a, b) == paired_means(a, b)
    c = a + 0.2 * (b - a)
    assert paired_means(a, c, resamples=500).p != paired_means(a, c, resamples=500, seed=1).p


@pytest.mark.parametrize("n", [3, 30, 300])
def test_equal_models(n: int) -> None:
    a, _ = two_models(n)
    found = paired_means(a, a)
    assert (found.difference, found.low, found.high, found.p, found.minimum_detectable) == (0.0, 0.0, 0.0, 1.0, 0.0 if n > 5 else None)
    assert (found.higher, found.lower, found.equal) == (0, 0, n)


def test_faces_without_label_do_not_count() -> None:
    a, b = two_models(20)
    holes = np.r_[a, np.nan, np.nan], np.r_[b, np.nan, np.nan]
    assert paired_means(*holes, resamples=300) == paired_means(a, b, resamples=300)


@pytest.mark.parametrize(
    ("a", "b", "clusters", "reason"),
    [
        ([1.0, 2.0], [2.0, 3.0], ["x", "x"], "one cluster contributes"),
        ([1.0, np.nan], [2.0, np.nan], None, "one cluster contributes"),
        ([np.nan], [np.nan], None, "nothing is labelled"),
        ([], [], None, "nothing is labelled"),
    ],
)
def test_fewer_than_two_clusters_give_a_reason(a: list[float], b: list[float], clusters: list[str] | None, reason: str) -> None:
    found = paired_means(a, b, clusters)
    assert (found.low, found.high, found.p, found.minimum_detectable) == (None, None, None, None) and reason in found.reason


def test_a_legacy_formula_is_not_compared() -> None:
    a, b = two_models(20)
    found = paired_difference(OfErrors(a, np.median), OfErrors(b, np.median))
    assert found.difference == np.median(a) - np.median(b) and found.p is None and "legacy" in found.reason


def test_precision_at_a_threshold_is_compared_whoever_calls_what() -> None:
    """Its denominators are the models' own: they may share no face, or agree where they do."""
    occluded = np.zeros((60, 3))
    occluded[:, 0] = 1.0
    truth = Faces(visibility=1.0 - occluded)
    even = np.arange(60) % 2 == 0
    for other in (~even, even | (np.arange(60) == 1)):
        called = [np.where(which[:, None], [0.1, 0.9, 0.9], 0.9) for which in (even, other)]
        a, b = (precision(decisions_of(truth, Faces(visibility=v))[0], threshold=0.5) for v in called)
        assert paired_difference(a, b).difference == 0.0


@pytest.mark.parametrize(("clusters", "detectable"), [(5, False), (6, True)])
def test_what_no_sign_flip_can_find_is_not_called_detectable(clusters: int, detectable: bool) -> None:
    a, b = two_models(clusters)
    assert (paired_means(a, b).minimum_detectable is not None) == detectable


def test_medians_are_compared_by_resamples() -> None:
    a, b = two_models(200)
    found = paired_difference(median_of(a), median_of(b))
    rng = np.random.default_rng(1)
    drawn = [np.median(a[rows]) - np.median(b[rows]) for rows in rng.integers(0, 200, (2000, 200))]
    assert found.difference == np.median(a) - np.median(b) and found.p is not None
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=0.3 * np.std(drawn))


def test_other_faces_are_refused() -> None:
    a, b = two_models(20)
    missing = np.where(np.arange(20) == 7, np.nan, b)
    with pytest.raises(InputError, match="row 7 is labelled for one model and not for the other"):
        paired_means(a, missing)
    with pytest.raises(InputError, match="row 7"):
        paired_difference(OfErrors(a, np.median), OfErrors(missing, np.median))
    with pytest.raises(InputError, match=r"shapes \(20,\) and \(19,\)"):
        paired_means(a, b[1:])
    good, _ = two_rankings(20)
    _, other = two_rankings(20, seed=1)
    with pytest.raises(InputError, match="row 0 is labelled for one"):
        paired_difference(average_precision(good), average_precision(other))
    with pytest.raises(InputError, match="model a has 20, model b 21"):
        paired_difference(average_precision(good), average_precision(two_rankings(21)[0]))
    with pytest.raises(InputError, match="of one metric"):
        paired_difference(average_precision(good), precision(good, threshold=0.5))
    with pytest.raises(InputError, match="of one metric"):
        paired_difference(calibration_error(good, bins=5), precision(good, threshold=0.5))
