"""Visibility: against scikit-learn and against counting by hand, the charge of failed faces, resampling, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from chance_faces import protocol_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve as sk_calibration_curve
from torchmetrics import classification as tm

from hpbench.charging import charged_columns
from hpbench.errors import InputError
from hpbench.evaluate import evaluate
from hpbench.faces import Faces
from hpbench.metrics import METRICS, parse_metric
from hpbench.metrics.estimators import Ranked, clustered, values_of
from hpbench.metrics.visibility import calibration_curve, decisions_of, is_constant, is_hard, precision_recall_curve

RANKED = ["recall(precision=80)", "ap", "best_f1", "roc_auc"]
EVERY = [*RANKED, "recall(threshold=0.5)", "precision(threshold=0.5)", "ece", "ece(bins=4)", "brier"]


def labels(kinds: object) -> Faces:
    """Truth of (N, L) occlusion kinds: 0 visible, 1 external, 2 self, 3 not labelled."""
    occlusion = np.array(kinds, dtype=np.uint8)
    return Faces(visibility=np.where(occlusion == 3, np.nan, occlusion == 0), occlusion=occlusion)


def guesses(visible: object) -> Faces:
    return Faces(visibility=np.array(visible, dtype=float))


def chance(n: int = 40, points: int = 12, seed: int = 0, steps: int = 8) -> tuple[Faces, Faces]:
    """Labels of every kind, and predictions that know a little and are often tied (multiples of 1 / steps)."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(4, (n, points), p=[0.55, 0.2, 0.15, 0.1])
    visible = np.clip(rng.normal(np.where(kinds == 0, 0.65, 0.4), 0.25), 0, 1)
    return labels(kinds), guesses(np.round(visible * steps) / steps)


def score(metric: str, truth: Faces, prediction: Faces) -> float:
    parsed = parse_metric(metric)
    return parsed.of_decisions(decisions_of(truth, prediction, view=parsed.parameters["view"])[0]).point()


def pooled(truth: Faces, prediction: Faces) -> tuple[np.ndarray, np.ndarray]:
    """Labels (1 = occluded) and P(occluded) of all labelled points."""
    labelled = truth.occlusion != 3
    return (truth.occlusion[labelled] != 0).astype(int), 1.0 - prediction.visibility[labelled]


def test_every_family_is_tested_here() -> None:
    assert {parse_metric(m).family.name for m in EVERY} == {name for name, f in METRICS.items() if f.needs == "visibility"}


# ------------------------------------------------------------------------------------------------- against others


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hundredths", range(1, 100))
def test_a_probability_on_the_threshold_is_called(hundredths: int, dtype: type) -> None:
    visible = np.array([[1.0 - hundredths / 100.0, 1.0]], dtype=dtype)
    truth = labels([[1, 0]])
    assert score(f"recall(threshold={hundredths / 100.0})", truth, guesses(visible)) == 100.0


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_torchmetrics(seed: int) -> None:
    truth, prediction = chance(seed=seed, steps=[4, 8, 64, 1 << 20][seed])
    y, p = pooled(truth, prediction)
    theirs = {
        "recall(precision=80)": tm.BinaryRecallAtFixedPrecision(0.8),
        "ap": tm.BinaryAveragePrecision(),
        "roc_auc": tm.BinaryAUROC(),
        "recall(threshold=0.5)": tm.BinaryRecall(0.5 - 1e-7),  # theirs calls what is above the threshold occluded, ours what is on it too
        "precision(threshold=0.5)": tm.BinaryPrecision(0.5 - 1e-7),
    }
    for metric, other in theirs.items():
        found = other(torch.from_numpy(p), torch.from_numpy(y))
        value = float(found[0] if isinstance(found, tuple) else found)
        assert score(metric, truth, prediction) == pytest.approx(100 * value, abs=1e-4), metric  # theirs is float32
    if seed == 3:  # without ties on the edges of bins, which theirs puts on the other side
        theirs_ece = float(tm.BinaryCalibrationError(n_bins=15)(torch.from_numpy(p), torch.from_numpy(y)))
        assert score("ece", truth, prediction) == pytest.approx(100 * theirs_ece, abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_scikit_learn(seed: int) -> None:
    truth, prediction = chance(seed=seed, steps=[4, 8, 64, 1 << 20][seed % 4])
    y, p = pooled(truth, prediction)
    precision, recall, _ = sk.precision_recall_curve(y, p)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    expected = {
        "recall(precision=80)": recall[(precision >= 0.8) & (recall > 0)].max(initial=0.0),
        "recall(precision=60)": recall[(precision >= 0.6) & (recall > 0)].max(initial=0.0),
        "recall(threshold=0.5)": sk.recall_score(y, p >= 0.5),
        "precision(threshold=0.5)": sk.precision_score(y, p >= 0.5),
        "precision(threshold=0.75)": sk.precision_score(y, p >= 0.75),
        "ap": sk.average_precision_score(y, p),
        "best_f1": f1.max(),
        "roc_auc": sk.roc_auc_score(y, p),
    }
    assert {m: score(m, truth, prediction) for m in expected} == pytest.approx({m: 100 * v for m, v in expected.items()}, rel=1e-12)
    assert score("brier", truth, prediction) == pytest.approx(sk.brier_score_loss(y, p), rel=1e-12)


@pytest.mark.parametrize("steps", [4, 8, 1 << 20])
def test_curves_agree_with_scikit_learn(steps: int) -> None:
    truth, prediction = chance(seed=1, steps=steps)
    y, p = pooled(truth, prediction)
    theirs = sk.precision_recall_curve(y, p)
    recall, precision, threshold = precision_recall_curve(truth, prediction)
    np.testing.assert_allclose(threshold, theirs[2][::-1])
    np.testing.assert_allclose(precision, 100 * theirs[0][-2::-1])
    np.testing.assert_allclose(recall, 100 * theirs[1][-2::-1])
    predicted, observed, n = calibration_curve(truth, prediction, bins=7)
    observed_theirs, predicted_theirs = sk_calibration_curve(y, p, n_bins=7)
    np.testing.assert_allclose(predicted[n > 0], 100 * predicted_theirs)
    np.testing.assert_allclose(observed[n > 0], 100 * observed_theirs)
    assert n.sum() == len(y) and np.isnan(predicted[n == 0]).all()


@pytest.mark.parametrize("bins", [1, 4, 15])
def test_calibration_error_is_that_of_the_curve(bins: int) -> None:
    truth, prediction = chance(seed=2, steps=1 << 20)
    predicted, observed, n = calibration_curve(truth, prediction, bins=bins)
    expected = np.nansum(np.abs(predicted - observed) * n) / n.sum()
    assert expected > 1 and score(f"ece(bins={bins})", truth, prediction) == pytest.approx(expected)


def test_counted_by_hand() -> None:
    """P(occluded) 1, 0.9, 0.9, 0.5, 0.2 of points that are occluded, occluded, visible, occluded, visible."""
    truth, prediction = labels([[1, 2, 0, 1, 0]]), guesses([[0.0, 0.1, 0.1, 0.5, 0.8]])
    recall, precision, threshold = precision_recall_curve(truth, prediction)
    np.testing.assert_allclose(recall, [100 / 3, 200 / 3, 100, 100])
    np.testing.assert_allclose(precision, [100, 200 / 3, 75, 60])
    np.testing.assert_allclose(threshold, [1, 0.9, 0.5, 0.2])
    assert score("recall(precision=75)", truth, prediction) == pytest.approx(100)
    assert score("recall(precision=76)", truth, prediction) == pytest.approx(100 / 3)
    assert score("recall(threshold=0.5)", truth, prediction) == pytest.approx(100)  # at the threshold is above it
    assert score("ap", truth, prediction) == pytest.approx(100 * (1 + 2 / 3 + 3 / 4) / 3)
    assert score("best_f1", truth, prediction) == pytest.approx(100 * 6 / 7)
    assert score("roc_auc", truth, prediction) == pytest.approx(100 * (2 + 1.5 + 1) / 6)
    assert score("brier", truth, prediction) == pytest.approx((0.01 + 0.81 + 0.25 + 0.04) / 5)
    assert score("ece(bins=2)", truth, prediction) == pytest.approx(100 * (abs(0.5 + 0.2 - 1) + abs(1 + 0.9 + 0.9 - 2)) / 5)


# ------------------------------------------------------------------------------------------------- what does not count


@pytest.mark.parametrize("metric", EVERY)
def test_neither_order_nor_unlabelled_points_count(metric: str) -> None:
    truth, prediction = chance(seed=3)
    value = score(metric, truth, prediction)
    rng = np.random.default_rng(0)
    faces, points = rng.permutation(40), rng.permutation(12)
    assert score(metric, truth.take(faces), prediction.take(faces)) == pytest.approx(value, rel=1e-12)
    assert score(metric, labels(truth.occlusion[:, points]), guesses(prediction.visibility[:, points])) == pytest.approx(value, rel=1e-12)
    for other in (np.nan, 0.0, 1.0):
        assert score(metric, truth, guesses(np.where(truth.occlusion == 3, other, prediction.visibility))) == value
    more = labels(np.concatenate([truth.occlusion, np.full((5, 12), 3)]))
    assert score(metric, more, guesses(np.concatenate([prediction.visibility, np.full((5, 12), np.nan)]))) == value


@pytest.mark.parametrize("metric", EVERY)
def test_a_view_leaves_the_other_kind_out(metric: str) -> None:
    truth, prediction = chance(seed=4)
    for view, other in (("external", 2), ("self", 1)):
        text = f"{metric},view={view})".replace("),", ",") if "(" in metric else f"{metric}(view={view})"
        rest = labels(np.where(truth.occlusion == other, 3, truth.occlusion))
        assert score(text, truth, prediction) == score(metric, rest, prediction) != score(metric, truth, prediction)
        gone = guesses(np.where(truth.occlusion == other, np.nan, prediction.visibility))
        assert score(text, truth, gone) == score(text, truth, prediction)  # no failure: the view does not ask for these points


def test_without_kinds_occluded_is_external() -> None:
    truth, prediction = chance(seed=5)
    binary = replace(truth, occlusion=None)
    assert score("ap", binary, prediction) == score("ap", truth, prediction) == score("ap(view=external)", binary, prediction)
    assert np.isnan(score("ap(view=self)", binary, prediction))


# ------------------------------------------------------------------------------------------------- best and worst


@pytest.mark.parametrize("metric", EVERY)
def test_truth_is_best_and_no_prediction_worst(metric: str) -> None:
    truth, prediction = chance(seed=6)
    family = parse_metric(metric).family
    assert score(metric, truth, truth) == (100.0 if family.higher_is_better else 0.0)
    nothing = guesses(np.full((40, 12), np.nan))
    assert score(metric, truth, nothing) == score(metric, truth, Faces(sample_id=truth.sample_id)) == family.worst
    none_labelled = labels(np.full((40, 12), 3))
    assert np.isnan(score(metric, none_labelled, prediction)) and np.isnan(score(metric, none_labelled, nothing))


PROBABILITIES = st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.95, 1.0])


@pytest.mark.parametrize("metric", [*EVERY, "recall(precision=20)", "precision(threshold=0.9)"])
@settings(max_examples=80)
@given(
    kinds=arrays(np.uint8, (4, 6), elements=st.integers(0, 3)),
    visible=arrays(float, (4, 6), elements=PROBABILITIES),
    failed=arrays(bool, 4),
)
def test_leaving_out_predictions_never_helps(metric: str, kinds: np.ndarray, visible: np.ndarray, failed: np.ndarray) -> None:
    """Ties are the hard case."""
    truth = labels(kinds)
    before, after = (score(metric, truth, guesses(v)) for v in (visible, np.where(failed[:, None], np.nan, visible)))
    better = after - before if parse_metric(metric).family.higher_is_better else before - after
    assert not better > 1e-9


def test_ranking_a_failed_point_last_would_reward_failing() -> None:
    """One occluded point tied with ten visible ones: at the end of the list, where all is called, precision is higher."""
    truth = labels([[1] + [3] * 9, [0] * 10, [1] * 5 + [3] * 5])
    visible = np.concatenate([np.full((2, 10), 0.2), np.full((1, 10), 0.6)])
    last = visible.copy()
    last[0] = 1.0
    failed = visible.copy()
    failed[0] = np.nan
    before, ranked_last, charged = (score("ap", truth, guesses(v)) for v in (visible, last, failed))
    assert ranked_last > before > charged


def test_failures_by_hand() -> None:
    """A face of an occluded and a visible point fails beside a perfect one."""
    truth, prediction = labels([[1, 0], [1, 0]]), guesses([[0.0, 1.0], [np.nan, 1.0]])
    expected = {
        "recall(precision=50)": 50, "recall(precision=51)": 0, "recall(threshold=0.5)": 50, "precision(threshold=0.5)": 50, "ap": 25,
        "best_f1": 50, "roc_auc": 25, "ece": 50, "brier": 0.5,
    }  # fmt: skip
    assert {m: score(m, truth, prediction) for m in expected} == expected
    recall, precision, threshold = precision_recall_curve(truth, prediction)
    assert list(zip(recall, precision, threshold, strict=True)) == [(0, 0, np.inf), (50, 50, 1), (50, pytest.approx(100 / 3), 0)]
    assert calibration_curve(truth, prediction, bins=2)[2].tolist() == [1, 1]


def test_nothing_called_has_no_precision() -> None:
    truth, prediction = labels([[1, 0], [1, 0]]), guesses([[0.9, 0.9], [0.8, 0.9]])
    found = evaluate(protocol_of("precision(threshold=0.5)", "recall(threshold=0.5)", subsets=(), balance=()), truth, prediction)
    assert [(s.value, s.ci95 is None, s.n_failed) for s in found.scores] == [(None, True, 0), (0.0, False, 0)]


def test_the_surest_predictions_are_not_merged() -> None:
    """1 - P(visible) is 1 for both, but the order is known."""
    assert score("roc_auc", labels([[1, 0]]), guesses([[1e-20, 1e-18]])) == 100.0


# ------------------------------------------------------------------------------------------------- resampling and sharing


@pytest.mark.parametrize("metric", EVERY)
@pytest.mark.parametrize("people", [None, 9])
def test_a_resample_is_the_score_of_those_faces(metric: str, people: int | None) -> None:
    truth, prediction = chance(seed=7)
    prediction = guesses(np.where(np.arange(40)[:, None] % 10 == 3, np.nan, prediction.visibility))
    codes = np.arange(40) % people if people else np.arange(40)
    estimator = parse_metric(metric).of_decisions(decisions_of(truth, prediction)[0])
    (over_clusters,) = clustered([estimator], codes, int(codes.max()) + 1)
    counts = np.random.default_rng(1).integers(0, 3, (5, over_clusters.n_units)).astype(float)
    for row, value in zip(counts, over_clusters.values(counts), strict=True):
        rows = np.repeat(np.arange(40), row[codes].astype(int))
        assert value == pytest.approx(score(metric, labels(truth.occlusion[rows]), guesses(prediction.visibility[rows])), rel=1e-12)
    assert over_clusters.point() == pytest.approx(estimator.point(), rel=1e-12)


def test_scores_of_one_view_share_the_ranking() -> None:
    truth, prediction = chance(seed=8)
    columns = charged_columns([parse_metric(m) for m in (*RANKED, "ap(view=self)")], protocol_of("ap"), truth, prediction, None)
    for part in (np.ones(40, dtype=bool), np.arange(40) < 20):
        estimators = [c.estimator([part.copy()]) for c in columns]
        for some in (estimators, clustered(estimators, np.arange(40) // 4, 10)):
            assert all(isinstance(e, Ranked) for e in some)
            assert [e.decisions is some[0].decisions for e in some] == [True] * 4 + [False]
            counts = np.random.default_rng(2).integers(0, 3, (700, some[0].n_units)).astype(float)
            for estimator, values in zip(some, values_of(some, counts), strict=True):
                np.testing.assert_array_equal(values, estimator.values(counts))
                points = estimator.decisions.operating_points(counts, every=True)
                np.testing.assert_allclose(values, estimator.statistic(points), rtol=1e-12)  # skipped thresholds change nothing
    assert len(columns[0].decisions) == (truth.occlusion != 3).sum()


def test_faces_are_counted_in_whole_numbers() -> None:
    decisions, _, _ = decisions_of(*chance())
    with pytest.raises(ValueError, match="whole"):
        decisions.operating_points(np.full((1, 40), 0.5))


# ------------------------------------------------------------------------------------------------- odd predictions


def test_hard_and_constant_predictions() -> None:
    cases = {
        "soft": ([[0.0, 0.3]], False, False),
        "hard": ([[0.0, 1.0], [np.nan, 1.0]], True, False),
        "all occluded": ([[0.0, 0.0]], True, True),
        "all the same": ([[0.7, 0.7], [np.nan, 0.7]], False, True),
        "nothing": ([[np.nan, np.nan]], False, False),
    }
    for name, (visible, hard, constant) in cases.items():
        assert (is_hard(guesses(visible)), is_constant(guesses(visible))) == (hard, constant), name
    assert not is_hard(Faces(["a"])) and not is_constant(Faces(["a"]))


def test_hard_labels_have_one_operating_point() -> None:
    truth, _ = chance(seed=9)
    hard = guesses(np.random.default_rng(3).integers(0, 2, (40, 12)))
    assert is_hard(hard)
    y, p = pooled(truth, hard)
    recall, precision, _ = precision_recall_curve(truth, hard)
    assert (recall[0], precision[0]) == (score("recall(threshold=0.5)", truth, hard), score("precision(threshold=0.5)", truth, hard))
    assert (recall[1], precision[1]) == (100.0, pytest.approx(100 * y.mean()))  # all called: the prevalence
    assert score("brier", truth, hard) == pytest.approx((p != y).mean())


def test_another_number_of_points_is_refused() -> None:
    with pytest.raises(InputError, match="visibility of 68 points, the labels of 29: another scheme"):
        decisions_of(labels(np.zeros((3, 29))), guesses(np.zeros((3, 68))))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recall", "needs exactly one of precision and threshold"),
        ("recall(precision=80,threshold=0.5)", "needs exactly one of precision and threshold"),
        ("recall(precision=101)", "precision must be at most 100, got 101."),
        ("recall(threshold=50)", "threshold must be at most 1, got 50: a percentage?"),
        ("precision(threshold=1.5)", "threshold must be at most 1, got 1.5: a percentage?"),
        ("precision", "needs threshold"),
        ("ece(bins=2.5)", "bins must be a whole number, got 2.5."),
        ("ece(bins=1e300)", "bins must be at most 100, got 1e300."),
        ("ap(view=both)", "view 'both'"),
    ],
)
def test_what_is_no_metric(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_metric(text)
    assert message in str(caught.value)


def test_texts() -> None:
    assert parse_metric("ece(bins=15.0)").text == "ece" and parse_metric("ece(bins=10)").parameters["bins"] == 10
    assert parse_metric("recall(view=occluded,precision=80.0)").text == "recall(precision=80)"
