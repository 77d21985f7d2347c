"""Landmark errors: against a plain loop over faces and points, and the laws that a normalised error must obey."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from chance_faces import protocol_of, truth_of, value
from hypothesis import given, settings
from hypothesis import strategies as st

from hpbench.errors import InputError
from hpbench.evaluate import evaluate
from hpbench.faces import Faces
from hpbench.landmarks import SCHEMES
from hpbench.metrics import parse_metric
from hpbench.metrics.curves import cumulative_error_curve
from hpbench.metrics.landmarks import NORMS, distance_px, landmark_box_xyxy_px, nme_by_landmark, nme_percent, norm_px
from hpbench.metrics.matched import Matched

EYE_NORMS = ("corners", "pupils")
N = 1200  # more than one block of rows


def labels(n: int = N, scheme: str = "ibug68-contour", seed: int = 0, missing: float = 0.0) -> Faces:
    rng = np.random.default_rng(seed)
    points = rng.uniform(50, 400, (n, 1, 2)) + rng.normal(0, 40, (n, SCHEMES[scheme].n_points, 2))
    points[rng.random(points.shape[:2]) < missing] = np.nan
    return Faces([f"f{i}" for i in range(n)], landmarks=points, scheme=scheme)


def guesses(truth: Faces, seed: int = 1, pixels: float = 4.0, missing: float = 0.0) -> Faces:
    rng = np.random.default_rng(seed)
    points = np.nan_to_num(truth.landmarks) + rng.normal(0, pixels, truth.landmarks.shape)
    points[rng.random(points.shape[:2]) < missing] = np.nan
    return Faces(truth.sample_id, landmarks=points, scheme=truth.scheme)


def pair_of(truth: Faces, prediction: Faces) -> Matched:
    return Matched(truth, prediction, landmark_box_xyxy_px(truth))


def length_of(points: np.ndarray, box: np.ndarray, scheme: str, norm: str) -> float:
    eyes = {"ibug68-contour": (range(36, 42), range(42, 48), 36, 45), "cofw29": ([16], [17], 8, 9), "wflw98": ([96], [97], 60, 72)}[scheme]
    width, height = box[2] - box[0], box[3] - box[1]
    ends = points[eyes[2]] - points[eyes[3]]
    pupils = sum(points[i] for i in eyes[0]) / len(eyes[0]) - sum(points[i] for i in eyes[1]) / len(eyes[1])
    return {
        "corners": float(np.linalg.norm(ends)),
        "pupils": float(np.linalg.norm(pupils)),
        "height": height,
        "sqrt_wh": (width * height) ** 0.5,
        "diagonal": (width**2 + height**2) ** 0.5,
    }[norm]


def distances_by_a_loop(truth: Faces, prediction: Faces) -> np.ndarray:
    found = []
    for q, p in zip(truth.landmarks, prediction.landmarks, strict=True):
        distances = []
        for i in range(len(q)):
            if not np.isnan(q[i]).any():
                d = np.hypot(*(p[i] - q[i]))
                distances.append(np.inf if np.isnan(d) else d)
        found.append(np.mean(distances) if distances else np.nan)
    return np.array(found)


@pytest.mark.parametrize(("scheme", "n"), [("ibug68-contour", 500), ("cofw29", 1200), ("wflw98", 350)])
def test_nme_against_a_loop(scheme: str, n: int) -> None:
    """Labelled in part, predicted in part: NaN where a face cannot be scored, infinite where it was not predicted."""
    truth = labels(n, scheme, missing=0.01)
    prediction = guesses(truth, missing=0.003)
    boxes, distances = landmark_box_xyxy_px(truth), distances_by_a_loop(truth, prediction)
    assert np.isinf(distances).any()
    for norm in NORMS:
        lengths = [length_of(points, box, scheme, norm) for points, box in zip(truth.landmarks, boxes, strict=True)]
        expected = 100.0 * distances / lengths
        np.testing.assert_allclose(nme_percent(pair_of(truth, prediction), norm=norm), expected, rtol=1e-13)
        assert np.isnan(expected).any() == (norm in EYE_NORMS)  # an eye point that is not labelled: no length, no score
        public = parse_metric(f"nme(norm={norm})").per_face(truth, prediction, boxes)
        np.testing.assert_array_equal(np.isnan(public), ~np.isfinite(expected))


def test_pupils_of_the_schemes() -> None:
    points = {"ibug68-contour": list(range(36, 48)), "cofw29": [16, 17], "wflw98": [96, 97]}
    for scheme, members in points.items():
        truth = labels(3, scheme)
        others = np.delete(np.arange(SCHEMES[scheme].n_points), members)
        moved, length = truth.landmarks.copy(), norm_px(truth, "pupils", None)
        moved[:, others] += 50.0
        np.testing.assert_array_equal(norm_px(replace(truth, landmarks=moved), "pupils", None), length)
        moved[:, members[0]] = np.nan
        assert np.isnan(norm_px(replace(truth, landmarks=moved), "pupils", None)).all()


@pytest.mark.parametrize("metric", ["nme(norm=pupils)", "nme(mean=pooled,norm=pupils)", "auc(below=8,norm=pupils)", "distance_px"])
def test_faces_without_labels_or_predictions(metric: str) -> None:
    truth = labels(4)
    points = truth.landmarks.copy()
    points[0], points[1, 3] = np.nan, np.nan
    truth, box = replace(truth, landmarks=points), landmark_box_xyxy_px(truth)
    gone = guesses(truth).landmarks.copy()
    gone[2, 67], gone[1, 3] = np.nan, np.nan
    values = parse_metric(metric).values(Matched(truth, replace(truth, landmarks=gone), box))
    assert np.isnan(values).tolist() == [True, False, False, False]
    assert np.isinf(values).tolist() == [False, False, True, False]
    nothing = parse_metric(metric).values(Matched(truth, Faces(truth.sample_id), box))
    assert np.isnan(nothing).tolist() == [True, False, False, False] and np.isinf(nothing[1:]).all()
    assert np.isnan(parse_metric(metric).values(Matched(Faces(truth.sample_id), guesses(truth)))).all()


ANGLE = st.floats(-3.2, 3.2)
SHIFT = st.floats(-1e3, 1e3)
SCALE = st.floats(0.05, 20)


@given(angle=ANGLE, x=SHIFT, y=SHIFT, scale=SCALE)
@settings(max_examples=30)
def test_the_image_may_be_moved_scaled_and_turned(angle: float, x: float, y: float, scale: float) -> None:
    """Eye norms turn with the face; a box does not, so box norms bear a shift and a scale."""
    truth = labels(20)
    prediction = guesses(truth)

    def changed(faces: Faces, by: float) -> Faces:
        turn = scale * np.array([[np.cos(by), -np.sin(by)], [np.sin(by), np.cos(by)]])
        return replace(faces, landmarks=faces.landmarks @ turn.T + [x, y])

    for norm in NORMS:
        by = angle if norm in EYE_NORMS else 0.0
        before = nme_percent(pair_of(truth, prediction), norm=norm)
        after = nme_percent(pair_of(changed(truth, by), changed(prediction, by)), norm=norm)
        np.testing.assert_allclose(after, before, rtol=1e-9)


@given(more=st.floats(0, 3), seed=st.integers(0, 50))
@settings(max_examples=20)
def test_a_larger_error_is_never_better(more: float, seed: int) -> None:
    truth = labels(30)
    near = guesses(truth, seed)
    far = replace(near, landmarks=truth.landmarks + (1 + more) * (near.landmarks - truth.landmarks))
    for metric in ("nme(norm=corners)", "fr(above=8,norm=corners)", "fr(above=5,formula=grid,norm=corners)", "distance_px"):
        assert (per_face(metric, truth, far) >= per_face(metric, truth, near) - 1e-9).all()
    for formula in ("exact", "grid", "pck"):
        metric = f"auc(below=8,formula={formula},norm=corners)"
        assert (per_face(metric, truth, far) <= per_face(metric, truth, near) + 1e-9).all()


def per_face(metric: str, truth: Faces, prediction: Faces) -> np.ndarray:
    return parse_metric(metric).per_face(truth, prediction, landmark_box_xyxy_px(truth))


@pytest.mark.parametrize("norm", NORMS)
def test_float32_agrees_with_float64(norm: str) -> None:
    truth = labels()
    prediction = guesses(truth)
    coarse = [replace(f, landmarks=f.landmarks.astype(np.float32)) for f in (truth, prediction)]
    metric = f"nme(norm={norm})"
    np.testing.assert_allclose(per_face(metric, *coarse), per_face(metric, truth, prediction), rtol=2e-5)


def test_pooled_mean_is_of_all_points() -> None:
    truth = labels(40, missing=0.3)
    eyes = truth.landmarks.copy()
    eyes[:, 36:48] = labels(40).landmarks[:, 36:48]
    truth = replace(truth, landmarks=eyes)
    prediction = guesses(truth)
    lengths = norm_px(truth, "pupils", None)
    distances = np.linalg.norm(prediction.landmarks - truth.landmarks, axis=2) / lengths[:, None]
    options = {"subsets": (), "balance": (), "norm_box": ""}
    pooled = value("nme(mean=pooled,norm=pupils)", truth, prediction, **options)
    assert pooled == pytest.approx(100.0 * np.nanmean(distances), rel=1e-12)
    assert pooled != pytest.approx(value("nme(norm=pupils)", truth, prediction, **options), rel=1e-4)
    found = evaluate(protocol_of("nme(mean=pooled,norm=pupils)", **options), truth, prediction, resamples=200).scores[0]
    assert found.ci95 is not None and found.ci95[0] < pooled < found.ci95[1]
    missed = evaluate(protocol_of("nme(mean=pooled,norm=pupils)", **options), truth, prediction.take(np.arange(1, 40)), resamples=2)
    distances[0] = np.where(np.isnan(distances[0]), np.nan, 1.0)
    assert missed.scores[0].value == pytest.approx(100.0 * np.nanmean(distances), rel=1e-12)


def test_errors_by_landmark_against_a_loop() -> None:
    truth = labels(N, missing=0.1)
    points = truth.landmarks.copy()
    points[:, 60], points[:, 36:48] = np.nan, labels().landmarks[:, 36:48]  # one point is never labelled, the eyes always
    truth = replace(truth, landmarks=points)
    prediction = guesses(truth, missing=0.001)
    errors = 100.0 * np.linalg.norm(prediction.landmarks - truth.landmarks, axis=2) / norm_px(truth, "corners", None)[:, None]
    labelled = ~np.isnan(truth.landmarks).any(axis=2)
    failed = (labelled & np.isnan(errors)).any(axis=1)
    errors[failed] = 100.0
    errors[~labelled] = np.nan
    by_point, by_part = nme_by_landmark(truth, prediction, failed=failed, norm="corners")
    assert 0 < failed.sum() < N and by_point[60] is None
    expected = [float(np.nanmean(errors[:, i])) for i in range(68) if i != 60]
    assert [v for v in by_point if v is not None] == pytest.approx(expected, rel=1e-12)
    assert list(by_part) == list(SCHEMES["ibug68-contour"].parts)
    for part, members in SCHEMES["ibug68-contour"].parts.items():
        some = labelled[:, list(members)].any(axis=1)
        assert by_part[part] == pytest.approx(np.nanmean(errors[some][:, list(members)], axis=1).mean(), rel=1e-12), part


@pytest.mark.parametrize("missing", [0.0, 0.002])
def test_the_mean_of_all_landmarks_is_the_nme(missing: float) -> None:
    truth = replace(labels(), box_xyxy_px=landmark_box_xyxy_px(labels()))
    prediction = guesses(truth, missing=missing)
    found = evaluate(protocol_of("nme(norm=diagonal)", subsets=(), balance=()), truth, prediction, resamples=2)
    assert found.landmark_errors is not None and (found.scores[0].n_failed > 0) == (missing > 0)
    assert np.mean(found.landmark_errors.points) == pytest.approx(found.scores[0].value, rel=1e-12)


def test_metrics_of_a_pair_share_its_distances() -> None:
    truth = labels(5)
    pair = pair_of(truth, guesses(truth))
    first = pair.once(distance_px)
    assert pair.once(distance_px) is first and not first.flags.writeable
    assert pair.once(nme_percent, norm="height") is not pair.once(nme_percent, norm="diagonal")
    before = first.copy()
    for metric in ("nme(norm=corners)", "auc(below=8,norm=corners)", "fr(above=1,norm=corners)", "distance_px"):
        np.testing.assert_array_equal(parse_metric(metric).values(pair), parse_metric(metric).values(pair_of(truth, pair.prediction)))
    np.testing.assert_array_equal(first, before)


@given(st.integers(1, 9), st.integers(0, 1000))
@settings(max_examples=30)
def test_landmark_box(points: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    landmarks = rng.normal(0, 50, (6, points, 2))
    landmarks[rng.random((6, points)) < 0.4] = np.nan
    box = landmark_box_xyxy_px(Faces(landmarks=landmarks))
    for row, face in zip(box, landmarks, strict=True):
        seen = face[~np.isnan(face).any(axis=1)]
        expected = [*seen.min(axis=0), *seen.max(axis=0)] if len(seen) else [np.nan] * 4
        np.testing.assert_array_equal(row, expected)


def test_what_cannot_be_normalised() -> None:
    truth, side = labels(3), labels(3, "menpo39")
    with pytest.raises(InputError, match="labels 68: another scheme"):
        distance_px(Matched(truth, labels(3, "wflw98")))
    with pytest.raises(InputError, match="menpo39 does not have"):
        norm_px(side, "corners", None)
    with pytest.raises(InputError, match="needs a norm box"):
        norm_px(truth, "height", None)
    with pytest.raises(InputError, match="needs labelled landmarks"):
        norm_px(Faces(["a"]), "pupils", None)
    flat = truth.landmarks.copy()
    flat[1] = 7.0
    for norm in NORMS:
        with pytest.raises(InputError, match=f"face 'f1': its {norm} norm is zero"):
            norm_px(replace(truth, landmarks=flat), norm, landmark_box_xyxy_px(Faces(landmarks=flat)))


ERRORS = st.lists(st.floats(0, 30) | st.just(np.inf) | st.just(np.nan) | st.sampled_from([0.0, 4.0, 8.0]), min_size=1, max_size=40)


@given(errors=ERRORS, threshold=st.sampled_from([4.0, 7.0, 8.0, 10.0]))
def test_the_curve_has_the_failure_rate_above_and_the_auc_below_it(errors: list[float], threshold: float) -> None:
    values = np.array(errors)
    counted = values[~np.isnan(values)]
    if not len(counted):
        assert np.isnan(cumulative_error_curve(values, [1.0])).all()
        return
    assert 100.0 - cumulative_error_curve(values, threshold) == pytest.approx(100.0 * np.mean(counted > threshold))
    steps = np.unique(np.concatenate([[0.0], counted[counted < threshold], [threshold]]))
    area = (cumulative_error_curve(values, steps[:-1]) * np.diff(steps)).sum() / threshold
    assert area == pytest.approx(100.0 * np.maximum(0.0, threshold - counted).mean() / threshold, abs=1e-9)


def test_the_curve_is_a_step_function_over_all_faces() -> None:
    curve = cumulative_error_curve([1.0, 2.0, 2.0, np.inf, np.nan], [[0.0, 1.0], [1.999, 2.0], [1e9, np.inf]])
    np.testing.assert_array_equal(curve, [[0, 25], [25, 75], [75, 100]])


def test_the_curve_of_a_metric_goes_with_its_scores() -> None:
    truth, boxes = truth_of(50), {"subsets": (), "balance": ()}
    prediction = guesses(truth, pixels=3.0).take(np.arange(48))
    found = evaluate(protocol_of("nme(norm=corners)", "auc(below=8,norm=corners)", "fr(above=8,norm=corners)", **boxes), truth, prediction)
    scores = {s.metric: s.value for s in found.scores}
    errors = found.errors["nme(norm=corners)"]
    assert 100.0 - cumulative_error_curve(errors, 8.0) == pytest.approx(scores["fr(above=8,norm=corners)"])
    grid = np.linspace(0, 8, 80_001)
    assert cumulative_error_curve(errors, grid).mean() == pytest.approx(scores["auc(below=8,norm=corners)"], abs=2e-3)
