"""Formulas of others: each against a literal transcription of what it computes, and its known fault shown."""

from __future__ import annotations

import numpy as np
import pytest
from chance_faces import protocol_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import simpson

from hpbench.evaluate import evaluate
from hpbench.faces import Faces
from hpbench.metrics import parse_metric
from hpbench.metrics.legacy import (
    fold180_deg,
    grid_auc_percent,
    grid_failure_rate_percent,
    histogram_auc_percent,
    pck_area_percent,
    plain_deg,
    wrapped_yaw_deg,
)

ALL = {"subsets": (), "balance": (), "norm_box": ""}
THRESHOLDS = [4.0, 5.0, 6.0, 7.0, 8.0, 10.0]


def errors_of(n: int = 700, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(3.0, 1.7, n)


def test_the_legacy_parameters_have_canonical_texts() -> None:
    assert parse_metric("auc(norm=height,formula=exact,below=8)").text == "auc(below=8,norm=height)"
    assert parse_metric("auc(norm=height,formula=grid,below=8)").text == "auc(below=8,formula=grid,norm=height)"
    assert parse_metric("fr(norm=height,formula=grid,above=8)").text == "fr(above=8,formula=grid,norm=height)"
    assert parse_metric("nme(norm=height,mean=pooled)").text == "nme(mean=pooled,norm=height)"


def by_the_grid(errors: np.ndarray, threshold: float) -> tuple[float, float]:
    """AUC and failure rate, percent, as PIPNet and STAR compute them from NMEs that are fractions."""
    abscissae = np.arange(0, threshold / 100 + 0.0001, 0.0001)
    shares = np.array([sum(error / 100 <= x for error in errors) / len(errors) for x in abscissae])
    return 100.0 * simpson(shares, x=abscissae) / (threshold / 100), 100.0 * (1.0 - shares[-1])


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_grid(threshold: float) -> None:
    errors = np.append(errors_of(60), [0.0, 0.01, threshold, threshold + 0.005, 100.0])
    auc, failures = by_the_grid(errors, threshold)
    assert grid_auc_percent(errors, threshold).mean() == pytest.approx(auc, abs=1e-10)
    assert grid_failure_rate_percent(errors, threshold).mean() == pytest.approx(failures, abs=1e-10)


def test_the_grid_may_end_one_step_late() -> None:
    just_beyond = {t: float(grid_failure_rate_percent(np.array([t + 0.005]), t)[0]) for t in THRESHOLDS}
    assert just_beyond == {4.0: 100.0, 5.0: 0.0, 6.0: 100.0, 7.0: 0.0, 8.0: 100.0, 10.0: 100.0}
    perfect = [float(grid_auc_percent(np.zeros(1), t)[0]) for t in (5.0, 8.0)]
    assert perfect == pytest.approx([100.2, 100.0])


@given(st.floats(0.05, 100.0), st.integers(0, 100))
@settings(max_examples=25)
def test_grid_is_near_the_exact_area(threshold: float, seed: int) -> None:
    errors = errors_of(200, seed)
    exact = 100.0 * np.maximum(0.0, threshold - errors).mean() / threshold
    assert grid_auc_percent(errors, threshold).mean() == pytest.approx(exact, abs=100.0 * 0.015 / threshold)


def by_the_histogram(errors: np.ndarray, threshold: float) -> float:
    """AUC, percent, as images_framework computes it from NMEs in percent."""
    in_bin, edges = np.histogram(errors, bins=10_000)
    cumulative = [total / len(errors) for total in np.cumsum(in_bin)]
    base = [edge for edge in edges if edge < threshold]
    if not base:
        return 0.0
    cumulative = cumulative[: len(base)]
    return float(simpson(cumulative, x=base[:10_000])) / threshold * 100.0


@pytest.mark.parametrize("threshold", [0.01, 1.0, 8.0, 60.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_histogram(threshold: float, seed: int) -> None:
    for errors in (errors_of(300, seed), np.append(errors_of(50, seed), 100.0), np.full(3, 2.0), np.zeros(4)):
        assert histogram_auc_percent(errors, below=threshold) == pytest.approx(by_the_histogram(errors, threshold), abs=1e-9)


def test_the_histogram_loses_what_lies_beyond_the_greatest_error() -> None:
    errors = np.random.default_rng(0).uniform(1, 4, 2000)
    exact = 100.0 * (8.0 - errors).mean() / 8.0
    lost = 100.0 * (8.0 - errors.max()) / 8.0
    collapsed = histogram_auc_percent(errors, below=8.0)
    assert (exact, collapsed) == (pytest.approx(68.75, abs=0.5), pytest.approx(18.75, abs=0.5))
    assert collapsed + lost == pytest.approx(exact, abs=0.01)
    assert histogram_auc_percent(np.append(errors, 100.0), below=8.0) == pytest.approx(exact, abs=0.2)  # one failure more
    assert histogram_auc_percent(np.zeros(10), below=8.0) == pytest.approx(6.25, abs=0.001)


def faces_of(n: int = 60, seed: int = 0) -> tuple[Faces, Faces, np.ndarray]:
    """Labels (a fifth of the points missing, never an eye), predictions, and errors in percent of the corner distance."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(100, 300, (n, 1, 2)) + rng.normal(0, 40, (n, 68, 2))
    guessed = points + rng.normal(0, 2, points.shape)
    points[:, :36][rng.random((n, 36)) < 0.2] = np.nan
    lengths = np.hypot(*(points[:, 36] - points[:, 45]).T)
    ids = [f"f{i}" for i in range(n)]
    truth, prediction = Faces(ids, landmarks=points, scheme="ibug68-contour"), Faces(ids, landmarks=guessed, scheme="ibug68-contour")
    return truth, prediction, 100.0 * np.linalg.norm(guessed - points, axis=2) / lengths[:, None]


def score(metric: str, truth: Faces, prediction: Faces, resamples: int = 2):  # type: ignore[no-untyped-def]
    return evaluate(protocol_of(metric, **ALL), truth, prediction, resamples=resamples).scores[0]


def by_pck(errors: np.ndarray, threshold: float) -> float:
    """mmpose's AUC with this threshold as the length, percent, all points pooled."""
    points = [error / threshold for error in errors.ravel() if not np.isnan(error)]
    accuracies = [sum(point < i / 20 for point in points) / len(points) for i in range(20)]
    return 100.0 * sum(accuracies) / 20


def test_pck_of_pooled_points() -> None:
    truth, prediction, errors = faces_of()
    found = score("auc(below=8,formula=pck,norm=corners)", truth, prediction)
    assert found.value == pytest.approx(by_pck(errors, 8.0), abs=1e-10)
    lost = score("auc(below=8,formula=pck,norm=corners)", truth, prediction.take(np.arange(1, 60)))
    errors[0] = np.where(np.isnan(errors[0]), np.nan, 1e9)
    assert lost.value == pytest.approx(by_pck(errors, 8.0), abs=1e-10)


def test_pck_is_strict_and_at_best_95() -> None:
    np.testing.assert_allclose(
        pck_area_percent(np.array([0.0, 0.2, 0.4, 0.5, 7.6, 7.9, 8.0, 80.0, np.inf]), 8.0), [95, 95, 90, 90, 0, 0, 0, 0, 0]
    )


def test_pck_of_each_landmark_is_mmposes_where_all_points_are_labelled() -> None:
    truth, prediction, errors = faces_of()
    whole = np.flatnonzero(~np.isnan(errors).any(axis=0))
    by_landmark = [by_pck(errors[:, [i]], 8.0) for i in whole]
    assert np.mean(by_landmark) == pytest.approx(pck_area_percent(errors[:, whole], 8.0).mean())


def test_the_score_of_the_histogram_is_of_all_faces_failures_charged() -> None:
    truth, prediction, errors = faces_of()
    means = np.nanmean(errors, axis=1)
    whole = score("auc(below=8,formula=histogram,norm=corners)", truth, prediction)
    assert whole.value == pytest.approx(by_the_histogram(means, 8.0), abs=1e-9) and whole.ci95 is None
    lost = score("auc(below=8,formula=histogram,norm=corners)", truth, prediction.take(np.arange(1, 60)))
    means[0] = 100.0
    assert lost.value == pytest.approx(by_the_histogram(means, 8.0), abs=1e-9)


@pytest.mark.parametrize(("metric", "index"), [("auc(below=5,formula=grid,norm=corners)", 0), ("fr(above=5,formula=grid,norm=corners)", 1)])
def test_scores_on_the_grid_have_intervals(metric: str, index: int) -> None:
    truth, prediction, errors = faces_of()
    found = score(metric, truth, prediction, resamples=300)
    assert found.value == pytest.approx(by_the_grid(np.nanmean(errors, axis=1), 5.0)[index], abs=1e-9)
    assert found.ci95 is not None and found.ci95[0] < found.value < found.ci95[1]
    lost = score(metric, truth, prediction.take(np.arange(1, 60)))
    assert lost.value == pytest.approx(by_the_grid(np.append(np.nanmean(errors, axis=1)[1:], 1e9), 5.0)[index], abs=1e-9)


ANGLES = st.lists(st.tuples(*[st.floats(-1000, 1000)] * 3), min_size=1, max_size=5)


@given(ANGLES, st.tuples(*[st.floats(-180, 180)] * 3))
def test_angle_formulas(labels: list[tuple[float, ...]], guess: tuple[float, ...]) -> None:
    truth, prediction = np.array(labels), np.tile(guess, (len(labels), 1))
    plain = [[abs(b - a) for a, b in zip(face, guess, strict=True)] for face in labels]
    folded = [[min(abs(b - a + 180 * k) for k in (-2, -1, 0, 1, 2)) for a, b in zip(face, guess, strict=True)] for face in labels]
    wrapped = [[min(face[0] % 360, 360 - face[0] % 360), *face[1:]] for face in plain]
    np.testing.assert_allclose(plain_deg(truth, prediction), plain, atol=1e-9)
    np.testing.assert_allclose(fold180_deg(truth, prediction), folded, atol=1e-9)
    np.testing.assert_allclose(wrapped_yaw_deg(truth, prediction), wrapped, atol=1e-9)


def test_fold180_forgives_flips() -> None:
    errors = np.array([[0.0, 180.0, -180.0], [90.0, 91.0, 360.0]])
    np.testing.assert_array_equal(fold180_deg(np.zeros((2, 3)), errors), [[0, 0, 0], [90, 89, 0]])
