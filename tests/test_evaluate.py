"""Scoring: the failure policy, what a protocol leaves out, and values against plain numpy; tests/test_metric_laws.py has the laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from chance_faces import bins, noisy, protocol_of, truth_of, value

from hpbench.catalog import Exclude, Subset
from hpbench.errors import InputError
from hpbench.evaluate import evaluate
from hpbench.faces import Faces
from hpbench.geometry.rotations import rotation_from_euler
from hpbench.landmarks import SCHEMES
from hpbench.metrics import parse_metric
from hpbench.metrics.pose import FORMULAS
from hpbench.obstacles import obstacle


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
