"""Scoring: laws that hold for every metric, the failure policy, and what a protocol leaves out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpbench.catalog import Exclude, Protocol, Subset
from hpbench.errors import InputError
from hpbench.evaluate import evaluate
from hpbench.faces import Faces
from hpbench.geometry.rotations import rotation_from_euler
from hpbench.landmarks import SCHEMES
from hpbench.metrics import METRICS, parse_metric
from hpbench.metrics.landmarks import NORMS, landmark_box_xyxy_px
from hpbench.metrics.pose import FORMULAS
from hpbench.obstacles import obstacle

EVERY_METRIC = [
    *(f"mae(angle={a},convention=300w-lp)" for a in ("yaw", "pitch", "roll")),
    *(f"mae(convention={c})" for c in ("300w-lp", "yxz", "6drepnet", "opal23")),
    *(f"mae(convention=300w-lp,formula={f})" for f in FORMULAS if f != "wrap"),
    "geodesic",
    *(f"nme(norm={n})" for n in NORMS),
    "nme(mean=balanced,norm=height)",
    *(f"auc(below=8,norm={n})" for n in NORMS),
    *(f"fr(above=8,norm={n})" for n in NORMS),
    "distance_px",
]


def truth_of(n: int = 30, seed: int = 0) -> Faces:
    rng = np.random.default_rng(seed)
    euler = rng.uniform(-60, 60, (n, 3))
    eyes = rng.uniform(100, 300, (n, 1, 2))
    points = eyes + rng.normal(0, 40, (n, 68, 2))
    faces = Faces(
        sample_id=[f"f{i:03d}" for i in range(n)],
        euler_deg=euler,
        convention="300w-lp",
        landmarks=points,
        scheme="ibug68-fixed",
        person=[f"p{i % 7}" for i in range(n)],
        attributes={"abs_yaw_deg": np.abs(euler[:, 0])},
    )
    return replace(faces, box_xyxy_px=landmark_box_xyxy_px(faces))


def protocol_of(*metrics: str, **changes: object) -> Protocol:
    arguments: dict[str, object] = {
        "id": "toy/p", "version": 1, "title": "", "dataset": "toy", "split": "all", "boxes": "landmarks", "norm_box": "landmarks",
        "metrics": metrics, "main": metrics[0],
        "subsets": (Subset("low", "abs_yaw_deg", up_to=30.0), Subset("high", "abs_yaw_deg", above=30.0)), "balance": ("low", "high"),
    }  # fmt: skip
    return Protocol(**{**arguments, **changes})  # type: ignore[arg-type]


def value(metric: str, truth: Faces, prediction: Faces, **changes: object) -> float:
    found = evaluate(protocol_of(metric, **changes), truth, prediction, resamples=2).scores[0].value
    assert found is not None
    return found


def noisy(truth: Faces, seed: int, degrees: float = 5.0, pixels: float = 4.0) -> Faces:
    rng = np.random.default_rng(seed)
    euler = truth.euler_deg + rng.normal(0, degrees, truth.euler_deg.shape)
    points = truth.landmarks + rng.normal(0, pixels, truth.landmarks.shape)
    return Faces(truth.sample_id, euler_deg=euler, convention="300w-lp", landmarks=points, scheme=truth.scheme)


def test_the_laws_cover_every_family() -> None:
    assert {parse_metric(m).family.name for m in EVERY_METRIC} == set(METRICS)


@pytest.mark.parametrize("metric", EVERY_METRIC)
def test_perfect(metric: str) -> None:
    truth = truth_of()
    best = 100.0 if METRICS[parse_metric(metric).family.name].higher_is_better else 0.0
    for prediction in (truth, Faces(truth.sample_id, rotation=truth.rotation, landmarks=truth.landmarks)):
        assert value(metric, truth, prediction) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("metric", EVERY_METRIC)
def test_failed(metric: str) -> None:
    """Every face missing, or every face NaN: the worst value, never a good one."""
    truth = truth_of()
    nan = Faces(truth.sample_id, rotation=np.full((30, 3, 3), np.nan), landmarks=np.full((30, 68, 2), np.nan))
    other = Faces(["f000"], rotation=np.full((1, 3, 3), np.nan), landmarks=np.full((1, 68, 2), np.nan))
    charge = parse_metric(metric).worst(truth, truth.box_xyxy_px)
    wanted = np.mean([charge[m].mean() for m in bins(truth)]) if "balanced" in metric else charge.mean()
    for prediction in (nan, other):
        assert value(metric, truth, prediction) == pytest.approx(wanted)
        found = evaluate(protocol_of(metric), truth, prediction, resamples=2)
        assert (found.scores[0].n_failed, found.scores[0].n_scored, found.coverage) == (30, 30, 0.0)
        assert found.scores[0].value_detected is None
        assert len(found.failures) == 30


def bins(truth: Faces) -> list[np.ndarray]:
    yaw = truth.attributes["abs_yaw_deg"]
    return [yaw <= 30, yaw > 30]


@pytest.mark.parametrize("metric", EVERY_METRIC)
def test_permuted(metric: str) -> None:
    truth = truth_of()
    prediction = noisy(truth, 1)
    order = np.random.default_rng(2).permutation(30)
    assert value(metric, truth, prediction.take(order)) == pytest.approx(value(metric, truth, prediction), rel=1e-12)
    assert value(metric, truth.take(order), prediction) == pytest.approx(value(metric, truth, prediction), rel=1e-12)


@pytest.mark.parametrize("metric", EVERY_METRIC)
def test_malformed(metric: str) -> None:
    truth = truth_of()
    with pytest.raises(InputError):
        value(metric, truth, Faces(["f000", "nobody"], rotation=np.tile(np.eye(3), (2, 1, 1)), landmarks=np.zeros((2, 68, 2))))
    if METRICS[parse_metric(metric).family.name].needs == "landmarks":
        with pytest.raises(InputError, match="another scheme"):
            value(metric, truth, Faces(truth.sample_id, landmarks=np.zeros((30, 29, 2))))


@pytest.mark.parametrize("metric", EVERY_METRIC)
@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), share=st.floats(0.05, 1.0), pixels=st.floats(1, 30), degrees=st.floats(1, 50))
def test_dropping_predictions_never_helps(metric: str, seed: int, share: float, pixels: float, degrees: float) -> None:
    """Leaving out any faces whose error is at most the charge makes no score better."""
    truth = truth_of(seed=seed % 5)
    prediction = noisy(truth, seed, degrees, pixels)
    parsed = parse_metric(metric)
    errors = parsed.per_face(truth, prediction, truth.box_xyxy_px)
    worst = parsed.worst(truth, truth.box_xyxy_px)
    may_go = errors >= worst if parsed.family.higher_is_better else errors <= worst
    rng = np.random.default_rng(seed)
    dropped = may_go & (rng.random(30) < share)
    if dropped.all():
        dropped[0] = False
    before, after = value(metric, truth, prediction), value(metric, truth, prediction.take(~dropped))
    assert after <= before + 1e-9 if parsed.family.higher_is_better else after >= before - 1e-9


@pytest.mark.parametrize("metric", [m for m in EVERY_METRIC if parse_metric(m).family.needs == "landmarks"])
def test_unlabelled_points_do_not_count_and_unpredicted_ones_fail(metric: str) -> None:
    truth = truth_of()
    eyes = {*range(36, 48)}
    hidden = [i for i in range(68) if i not in eyes][::3]
    points = truth.landmarks.copy()
    points[:, hidden] = np.nan
    partly = replace(truth, landmarks=points)
    prediction = noisy(truth, 3)
    moved = prediction.landmarks.copy()
    moved[:, hidden] += 1000.0
    assert value(metric, partly, prediction) == value(metric, partly, replace(prediction, landmarks=moved))
    gone = prediction.landmarks.copy()
    gone[4, 40] = np.nan
    found = evaluate(protocol_of(metric), partly, replace(prediction, landmarks=gone), resamples=2)
    assert found.scores[0].n_failed == 1 and found.failures[0].sample_id == "f004"


def test_a_face_without_labels_is_not_scored_and_not_charged() -> None:
    truth = truth_of()
    euler = truth.euler_deg.copy()
    euler[3] = np.nan
    found = evaluate(protocol_of("geodesic"), replace(truth, euler_deg=euler, rotation=None), noisy(truth, 1).take(np.arange(30) != 3))
    assert (found.scores[0].n_scored, found.scores[0].n_failed, found.scores[0].n_unlabelled, found.coverage) == (29, 0, 1, 1.0)
    assert np.isnan(found.errors["geodesic"][3])


def test_no_labels_at_all_give_no_number() -> None:
    truth = truth_of()
    found = evaluate(protocol_of("geodesic"), replace(truth, euler_deg=np.full((30, 3), np.nan), rotation=None), noisy(truth, 1))
    assert found.scores[0].value is None and found.scores[0].ci95 is None and found.coverage is None


def test_values_against_plain_numpy() -> None:
    truth, prediction = truth_of(), noisy(truth_of(), 9)
    d = np.linalg.norm(prediction.landmarks - truth.landmarks, axis=2)
    right, left = truth.landmarks[:, 36:42].mean(axis=1), truth.landmarks[:, 42:48].mean(axis=1)
    pupils = 100 * d.mean(axis=1) / np.linalg.norm(right - left, axis=1)
    corners = 100 * d.mean(axis=1) / np.linalg.norm(truth.landmarks[:, 36] - truth.landmarks[:, 45], axis=1)
    low, high = truth.landmarks.min(axis=1), truth.landmarks.max(axis=1)
    height = 100 * d.mean(axis=1) / (high - low)[:, 1]
    assert value("nme(norm=pupils)", truth, prediction) == pytest.approx(pupils.mean())
    assert value("nme(norm=corners)", truth, prediction) == pytest.approx(corners.mean())
    assert value("nme(norm=height)", truth, prediction) == pytest.approx(height.mean())
    for norm, length in (("diagonal", np.hypot(*(high - low).T)), ("sqrt_wh", np.sqrt((high - low).prod(axis=1)))):
        assert value(f"nme(norm={norm})", truth, prediction) == pytest.approx((100 * d.mean(axis=1) / length).mean())
    assert value("nme(mean=balanced,norm=height)", truth, prediction) == pytest.approx(np.mean([height[b].mean() for b in bins(truth)]))
    grid = np.linspace(0, 8, 200_001)
    curve = np.searchsorted(np.sort(corners), grid, side="right") / 30
    assert value("auc(below=8,norm=corners)", truth, prediction) == pytest.approx(100 * np.trapezoid(curve, grid) / 8, abs=1e-3)
    assert value("fr(above=8,norm=corners)", truth, prediction) == pytest.approx(100 * (corners > 8).mean())
    angles = np.abs(prediction.euler_deg - truth.euler_deg)
    assert value("mae(convention=300w-lp)", truth, prediction) == pytest.approx(angles.mean())


def test_pose_formulas_in_circulation() -> None:
    truth = Faces(["a", "b"], euler_deg=[[170.0, 0, 0], [0, 0, 0]], convention="300w-lp")
    prediction = Faces(["a", "b"], euler_deg=[[-170.0, 0, 0], [0, 180.0, 0]], convention="300w-lp")
    protocol = {"subsets": (), "balance": (), "norm_box": ""}
    expected = {"wrap": (20 + 180) / 6, "plain": (340 + 180) / 6, "fold180": 20 / 6, "wrapped-yaw": (20 + 180) / 6, "best-triple": 200 / 6}
    for formula, mean in expected.items():
        assert value(f"mae(convention=300w-lp,formula={formula})", truth, prediction, **protocol) == pytest.approx(mean), formula
    flipped = Faces(["a", "b"], euler_deg=[[10.0, 180, 180], [180.0, 180, 180]], convention="300w-lp")
    assert value("mae(convention=300w-lp,formula=best-triple)", truth, flipped, **protocol) == pytest.approx(0.0)


@pytest.mark.parametrize(("label", "prediction"), [(95.0, 97.0), (89.9, 90.1), (90.1, 89.9), (60.0, 62.0), (-89.0, -91.0)])
def test_near_90_degrees_a_small_rotation_error_is_a_small_angle_error(label: float, prediction: float) -> None:
    """However the prediction was written: raw angles, another sign convention, a matrix."""
    truth = Faces(["a"], euler_deg=[[label, 10, -5]], convention="300w-lp")
    forms = (
        Faces(["a"], euler_deg=[[prediction, 10, -5]], convention="300w-lp"),
        Faces(["a"], euler_deg=[[-prediction, 10, -5]], convention="opal23"),
        Faces(["a"], rotation=rotation_from_euler([[prediction, 10, -5]], "300w-lp")),
    )
    for form in forms:
        assert value("mae(convention=300w-lp)", truth, form, subsets=(), balance=(), norm_box="") == pytest.approx(
            abs(label - prediction) / 3
        )


def test_a_balanced_mean_needs_all_its_bins() -> None:
    truth = truth_of()
    subsets = (Subset("low", "abs_yaw_deg", up_to=30.0), Subset("old", "age", above=60.0))
    protocol = protocol_of("distance_px", "nme(mean=balanced,norm=height)", subsets=subsets, balance=("low", "old"))
    found = evaluate(protocol, truth, noisy(truth, 1), resamples=2)
    assert [s.metric for s in found.scores] == ["distance_px"] and "old" in found.notes[0]


def test_no_formula_gives_a_negative_error() -> None:
    rng = np.random.default_rng(0)
    ids = [str(i) for i in range(500)]
    truth = Faces(ids, euler_deg=rng.uniform(-1000, 1000, (500, 3)), convention="300w-lp")
    prediction = Faces(ids, euler_deg=rng.uniform(-180, 180, (500, 3)), convention="300w-lp")
    for formula in FORMULAS:
        assert parse_metric(f"mae(convention=300w-lp,formula={formula})").per_face(truth, prediction).min() >= 0


def test_exclusion_is_by_raw_angles() -> None:
    euler = [[351.0, 0, 0], [99.0, 0, 0], [0, -99.1, 0], [10.0, 20, 30]]
    truth = Faces(["a", "b", "c", "d"], euler_deg=euler, convention="300w-lp")
    protocol = protocol_of("geodesic", exclude=Exclude("any-angle-above", 99.0), subsets=(), balance=(), norm_box="")
    found = evaluate(protocol, truth, truth, resamples=2)
    assert list(found.errors["sample_id"]) == ["b", "d"]


def test_clusters_widen_the_interval_and_one_gives_none() -> None:
    truth = truth_of(60)
    offset = np.repeat(np.random.default_rng(0).normal(0, 10, 6), 10)
    prediction = Faces(truth.sample_id, euler_deg=truth.euler_deg + offset[:, None], convention="300w-lp")
    people = replace(truth, person=[f"p{i // 10}" for i in range(60)])
    by_face = evaluate(protocol_of("geodesic"), people, prediction).scores[0].ci95
    by_person = evaluate(protocol_of("geodesic", cluster_by="person"), people, prediction).scores[0].ci95
    assert by_face and by_person and by_person[1] - by_person[0] > 2 * (by_face[1] - by_face[0])
    alone = replace(truth, person=["p"] * 60)
    assert evaluate(protocol_of("geodesic", cluster_by="person"), alone, prediction).scores[0].ci95 is None


def test_subsets_that_cannot_be_formed_are_told() -> None:
    truth = truth_of()
    found = evaluate(protocol_of("geodesic", subsets=(Subset("old", "age", above=60.0),), balance=()), truth, truth, resamples=2)
    assert found.subsets == {} and "age" in found.notes[0]


def test_another_charge_by_the_protocol() -> None:
    truth = truth_of()
    half = truth.take(np.arange(15))
    assert value("geodesic", truth, half, failures={"geodesic": 30.0}) == pytest.approx(15.0)


@pytest.mark.parametrize(
    ("first", "guess"),
    [("f000.jpg", "without its suffix"), ("images/f000", "no folder"), ("images/f000.png", "no folder"), ("x", "another dataset")],
)
def test_unknown_ids_guess_the_mistake(first: str, guess: str) -> None:
    with pytest.raises(InputError, match=guess):
        evaluate(protocol_of("geodesic"), truth_of(), Faces([first], rotation=np.eye(3)[None]))


def test_ids_whose_truth_is_not_here_are_not_charged() -> None:
    truth = truth_of()
    found = evaluate(protocol_of("geodesic"), truth.take(np.arange(10)), truth, expected_ids=list(truth.sample_id), resamples=2)
    assert found.scores[0].n_scored == 10 and found.scores[0].n_failed == 0


def test_obstacles() -> None:
    pose, points = protocol_of("geodesic"), protocol_of("distance_px")
    rotation = Faces(["a"], rotation=np.eye(3)[None])
    landmarks = Faces(["a"], landmarks=np.zeros((1, 68, 2)), scheme="ibug68-contour")
    assert obstacle(pose, "ibug68-fixed", rotation, "landmarks") == ""
    assert "no pose" in obstacle(pose, "ibug68-fixed", landmarks, "")
    assert "no landmarks" in obstacle(points, "ibug68-fixed", rotation, "")
    assert "--mix-schemes" in obstacle(points, "ibug68-fixed", landmarks, "")
    assert obstacle(points, "ibug68-fixed", landmarks, "", mix_schemes=True) == ""
    assert "'detector'" in obstacle(pose, "ibug68-fixed", rotation, "detector")


def test_schemes_are_whole() -> None:
    for scheme in SCHEMES.values():
        covered = sorted(i for part in scheme.parts.values() for i in part)
        assert covered == list(range(scheme.n_points)), scheme.name
        paired = [i for pair in scheme.pairs for i in pair]
        assert len(set(paired)) == len(paired), scheme.name
        swap = dict(scheme.pairs) | {b: a for a, b in scheme.pairs}
        assert {swap.get(i, i) for i in scheme.right_eye} == set(scheme.left_eye), scheme.name
        right_eye_first = [pair for pair in scheme.pairs if set(pair) & set(scheme.right_eye)]
        assert all(pair[0] in scheme.right_eye for pair in right_eye_first), scheme.name
        if scheme.outer_corners is not None:
            assert swap[scheme.outer_corners[0]] == scheme.outer_corners[1], scheme.name
