"""Every pair of models at once: the same as pair by pair, and p-values that Holm's correction leaves something of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpbench.errors import InputError
from hpbench.metrics.all_pairs import all_pairs
from hpbench.metrics.decisions import Decisions
from hpbench.metrics.estimators import Estimator, mean_of_means
from hpbench.metrics.paired import holm, paired_difference
from hpbench.metrics.visibility import average_precision


def mean(values: np.ndarray) -> Estimator:
    return mean_of_means([(values, np.ones(len(values)))])


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 9), st.integers(0, 2**31))
def test_few_clusters_give_the_exact_p_of_paired(clusters: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(clusters), rng.integers(0, clusters, 30)]).astype(str)
    values = [rng.exponential(size=len(codes)) for _ in range(3)]
    values[2] = np.where(codes == "0", values[0], values[2])  # equal in one cluster
    found = all_pairs([mean(v) for v in values], codes)
    p = [paired_difference(mean(values[i]), mean(values[j]), codes).p for i, j in ((0, 1), (0, 2), (1, 2))]
    assert found.test == "exact sign flip" and found.pairs == 3
    assert found.p[np.triu_indices(3, 1)] == pytest.approx(p)
    assert found.p_holm[np.triu_indices(3, 1)] == pytest.approx(holm(p))
    assert (found.p == found.p.T).all() and found.difference == pytest.approx(-found.difference.T)


def test_random_swaps_agree_with_paired_and_far_ones_take_the_bound() -> None:
    rng = np.random.default_rng(5)
    one = rng.exponential(size=300)
    values = [one, one + rng.normal(0.02, 0.3, 300), one + rng.normal(1.0, 0.3, 300)]
    found = all_pairs([mean(v) for v in values])
    near = paired_difference(mean(values[0]), mean(values[1]))
    assert found.test == near.test == "sign flip" and found.p[0, 1] == pytest.approx(near.p, abs=0.02)
    d = values[0] - values[2]
    assert found.p[0, 2] == pytest.approx(2 * np.exp(-(d.sum() ** 2) / (d**2).sum() / 2)) and found.p[0, 2] < 1e-20


def test_the_bound_is_never_too_small() -> None:
    """Hoeffding's bound against all swaps of 12 units."""
    rng = np.random.default_rng(8)
    for _ in range(50):
        d = rng.normal(rng.uniform(-3, 3), 1.0, 12)
        exact = all_pairs([mean(d), mean(np.zeros(12))]).p[0, 1]
        assert exact <= 2 * np.exp(-(d.sum() ** 2) / (d**2).sum() / 2)


def test_equal_models_are_equal() -> None:
    same = mean(np.arange(100.0))
    found = all_pairs([same, same, mean(np.arange(100.0) + 5)])
    assert found.p[0, 1] == 1.0 and found.p[0, 2] < 1e-4


@pytest.mark.parametrize("n_faces", [30, 80])
def test_rankings_take_t(n_faces: int) -> None:
    rng = np.random.default_rng(3)
    face = np.repeat(np.arange(n_faces), 5)
    positive = rng.random(len(face)) < 0.3

    def model(noise: float) -> Estimator:
        visible = np.where(positive, 0.0, 1.0) + rng.normal(0, noise, len(face))
        order = np.argsort(visible)
        return average_precision(Decisions(face[order], visible[order], positive[order], n_faces))

    good, alike, poor = model(0.5), model(0.5), model(3.0)
    found = all_pairs([good, alike, poor], resamples=1000)
    assert found.test == "t" and found.p[0, 2] < 1e-3 < found.p[0, 1]
    if n_faces < 50:
        assert found.p[0, 1] == pytest.approx(paired_difference(good, alike).p)


def test_other_labels_and_other_metrics_are_refused() -> None:
    values = np.arange(9.0)
    with pytest.raises(InputError, match="other labels"):
        all_pairs([mean(values), mean(np.where(values == 3, np.nan, values))])
    ranking = average_precision(Decisions(np.arange(2), np.arange(2.0), np.array([True, False]), 9))
    with pytest.raises(InputError, match="one metric"):
        all_pairs([mean(values), ranking])
