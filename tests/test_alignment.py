"""The mean rotation, predictions without their mean offset, and protocols that align."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hpbench.catalog import Protocol
from hpbench.errors import InputError
from hpbench.evaluate import evaluate
from hpbench.faces import Faces
from hpbench.geometry.alignment import MAX_OFFSET_DEG, mean_rotation, rotation_offset, without_offset
from hpbench.geometry.rotations import euler_from_rotation, geodesic_deg, rotation_from_euler

Array = np.ndarray


def chance(n: int, seed: int) -> Array:
    """Rotations of any kind, (n, 3, 3)."""
    return Rotation.random(n, random_state=np.random.default_rng(seed)).as_matrix()


def near(n: int, degrees: float, seed: int) -> Array:
    """Rotations at most so many degrees from the identity, (n, 3, 3)."""
    rng = np.random.default_rng(seed)
    axes = rng.normal(size=(n, 3))
    angles = np.deg2rad(degrees) * rng.random((n, 1)) ** (1 / 3)
    return Rotation.from_rotvec(axes / np.linalg.norm(axes, axis=1, keepdims=True) * angles).as_matrix()


def gradient(mean: Array, rotations: Array) -> float:
    """Length of the mean of the logarithms at `mean`, radians: 0 at the Karcher mean, by its definition."""
    return float(np.linalg.norm(Rotation.from_matrix(mean.T @ rotations).as_rotvec().mean(axis=0)))


def spread(mean: Array, rotations: Array) -> float:
    return float((geodesic_deg(mean, rotations) ** 2).sum())


# ----------------------------------------------------------------------------------------------------------------- the mean


@settings(max_examples=60)
@given(st.integers(1, 40), st.floats(0.1, 89.9), st.integers(0, 2**32 - 1))
def test_the_mean_is_where_the_logarithms_sum_to_nothing(n: int, degrees: float, seed: int) -> None:
    turn = chance(1, seed)[0]
    rotations = turn @ near(n, degrees, seed)
    mean = mean_rotation(rotations)
    np.testing.assert_allclose(mean @ mean.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(mean) == pytest.approx(1.0)
    assert gradient(mean, rotations) < 1e-8
    assert geodesic_deg(mean, turn) < degrees + 1e-9
    for step in np.eye(3) * 1e-3:  # and a minimum
        assert spread(mean @ Rotation.from_rotvec(step).as_matrix(), rotations) > spread(mean, rotations)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-89.9, 89.9), st.integers(1, 30)), min_size=1, max_size=5))
def test_the_mean_of_few_heavy_clusters_far_apart(clusters: list[tuple[int, float, int]]) -> None:
    axes = [*np.eye(3), *(np.ones((3, 3)) - 2 * np.eye(3)) / np.sqrt(3)]
    rotations = np.concatenate([np.tile(Rotation.from_rotvec(np.deg2rad(a) * axes[i]).as_matrix(), (k, 1, 1)) for i, a, k in clusters])
    mean = mean_rotation(rotations)
    assert gradient(mean, rotations) < 1e-8
    assert geodesic_deg(mean, np.eye(3)) < 90.0
    assert spread(mean, rotations) <= min(spread(r, rotations) for r in rotations) + 1e-9


def test_about_one_axis_it_is_the_mean_angle_and_scipys_is_not() -> None:
    angles = np.array([0.0, 0.0, 80.0])
    rotations = Rotation.from_rotvec(np.deg2rad(angles)[:, None] * [0, 0.6, 0.8]).as_matrix()
    expected = Rotation.from_rotvec(np.deg2rad(80 / 3) * np.array([0, 0.6, 0.8])).as_matrix()
    np.testing.assert_allclose(mean_rotation(rotations), expected, atol=1e-12)
    chordal = Rotation.from_matrix(rotations).mean().as_matrix()
    assert geodesic_deg(chordal, expected) > 1.0


@pytest.mark.parametrize(("degrees", "apart"), [(1.0, 1e-4), (10.0, 2e-2)])
def test_rotations_close_together_have_one_mean_in_both_senses(degrees: float, apart: float) -> None:
    rotations = chance(1, 3)[0] @ near(200, degrees, 4)
    assert geodesic_deg(mean_rotation(rotations), Rotation.from_matrix(rotations).mean().as_matrix()) < apart


@settings(max_examples=30)
@given(st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_the_mean_turns_with_its_rotations(n: int, seed: int) -> None:
    left, right = chance(2, seed)
    rotations = near(n, 60.0, seed)
    np.testing.assert_allclose(mean_rotation(left @ rotations @ right), left @ mean_rotation(rotations) @ right, atol=1e-8)
    np.testing.assert_allclose(mean_rotation(rotations[::-1]), mean_rotation(rotations), atol=1e-8)


@pytest.mark.parametrize("n", [2, 3, 200])
def test_antipodal_rotations_have_some_mean(n: int) -> None:
    half_turns = Rotation.from_rotvec(np.pi * np.eye(3)).as_matrix()
    rotations = np.concatenate([np.eye(3)[None], half_turns])[np.arange(n) % 4]
    mean = mean_rotation(rotations)
    np.testing.assert_allclose(mean @ mean.T, np.eye(3), atol=1e-9)


# --------------------------------------------------------------------------------------------------------------- the offset


@settings(max_examples=40)
@given(st.integers(1, 30), st.floats(0, 89.9), st.integers(0, 2**32 - 1))
def test_a_constant_rotation_of_the_camera_is_taken_away_whole(n: int, degrees: float, seed: int) -> None:
    truth = chance(n, seed)
    axis = np.random.default_rng(seed).normal(size=3)
    constant = Rotation.from_rotvec(np.deg2rad(degrees) * axis / np.linalg.norm(axis)).as_matrix()
    prediction = constant @ truth
    offset = rotation_offset(prediction, truth)
    assert offset is not None
    np.testing.assert_allclose(offset, constant, atol=1e-9)
    np.testing.assert_allclose(without_offset(prediction, truth, np.zeros(n)), truth, atol=1e-9)


@settings(max_examples=40)
@given(st.integers(1, 30), st.floats(0, 40.0), st.integers(0, 2**32 - 1))
def test_a_further_constant_rotation_changes_nothing(n: int, degrees: float, seed: int) -> None:
    truth = chance(n, seed)
    prediction = near(n, 45.0, seed) @ truth
    constant = near(1, degrees, seed + 1)[0]
    groups = np.arange(n) % 3
    aligned = without_offset(prediction, truth, groups)
    np.testing.assert_allclose(without_offset(constant @ prediction, truth, groups), aligned, atol=1e-7)
    np.testing.assert_allclose(without_offset(aligned, truth, groups), aligned, atol=1e-7)


def test_a_constant_rotation_of_the_head_is_another_thing() -> None:
    truth = chance(50, 0)
    constant = rotation_from_euler([20.0, 0, 0], "yxz")
    left = geodesic_deg(without_offset(truth @ constant, truth, np.zeros(50)), truth)
    assert np.median(left) > 10.0
    alike = np.tile(truth[0], (50, 1, 1))  # heads that all face one way: there the two cannot be told apart
    np.testing.assert_allclose(without_offset(alike @ constant, alike, np.zeros(50)), alike, atol=1e-9)


def test_differences_of_90_degrees_and_more_are_turned_but_not_fitted() -> None:
    truth = chance(40, 1)
    constant = rotation_from_euler([10.0, -5, 3], "300w-lp")
    prediction = constant @ truth
    prediction[:15] = rotation_from_euler([0.0, 170.0, 0], "300w-lp") @ prediction[:15]
    assert (geodesic_deg(prediction[:15], truth[:15]) > MAX_OFFSET_DEG).all()
    aligned = without_offset(prediction, truth, np.zeros(40))
    np.testing.assert_allclose(aligned[15:], truth[15:], atol=1e-9)
    np.testing.assert_allclose(aligned[:15], constant.T @ prediction[:15], atol=1e-9)


def test_half_turns_and_missing_faces_have_no_offset() -> None:
    truth = chance(4, 2)
    flipped = np.diag([1.0, -1.0, -1.0]) @ truth
    nothing = np.full((4, 3, 3), np.nan)
    for prediction, labels in ((flipped, truth), (nothing, truth), (truth, nothing), (truth[:0], truth[:0])):
        assert rotation_offset(prediction, labels) is None
        np.testing.assert_array_equal(without_offset(prediction, labels, np.zeros(len(prediction))), prediction)


def test_missing_faces_stay_missing_and_do_not_count() -> None:
    truth = chance(30, 3)
    prediction = near(30, 20.0, 4) @ truth
    gone, unlabelled = np.arange(30) % 5 == 0, np.arange(30) % 7 == 1
    holed = np.where(gone[:, None, None], np.nan, prediction)
    labels = np.where(unlabelled[:, None, None], np.nan, truth)
    aligned = without_offset(holed, labels, np.zeros(30))
    both = ~gone & ~unlabelled
    assert np.isnan(aligned[gone]).all() and not np.isnan(aligned[~gone]).any()
    np.testing.assert_allclose(aligned[both], without_offset(prediction[both], truth[both], np.zeros(both.sum())), atol=1e-12)


def test_groups_do_not_touch_each_other() -> None:
    truth = chance(60, 5)
    prediction = near(60, 30.0, 6) @ truth
    groups = np.array(["b", "a", "c, with a longer name"], dtype=object)[np.random.default_rng(7).integers(0, 3, 60)]
    before = prediction.copy()
    aligned = without_offset(prediction, truth, groups)
    np.testing.assert_array_equal(prediction, before)
    for name in set(groups):
        rows = groups == name
        np.testing.assert_array_equal(aligned[rows], without_offset(prediction[rows], truth[rows], np.zeros(rows.sum())))
    np.testing.assert_allclose(without_offset(prediction, truth, np.arange(60)), truth, atol=1e-9)  # one face: all of it is offset


# ------------------------------------------------------------------------------------------------------------------- opal23


def test_the_offset_is_that_of_opal23() -> None:
    """Its rule, written anew: from the first difference, differences below 90 degrees, until a step is below 1e-4."""
    rng = np.random.default_rng(8)
    listed = rng.uniform(-70, 70, (300, 3))  # yaw, pitch, roll of an annotation list
    theirs = Rotation.from_euler("XYZ", listed[:, [1, 0, 2]], degrees=True)
    mirror = np.diag([-1.0, -1.0, 1.0])
    ours = rotation_from_euler(listed, "opal23")
    np.testing.assert_allclose(ours, mirror @ theirs.as_matrix() @ mirror, atol=1e-12)

    predicted = Rotation.from_rotvec([0.1, -0.2, 0.05]) * Rotation.from_rotvec(rng.normal(0, 0.15, (300, 3))) * theirs
    predicted = Rotation.concatenate([Rotation.from_rotvec([[2.5, 0, 0]] * 9) * predicted[:9], predicted[9:]])
    differences = predicted * theirs.inv()
    differences = differences[differences.magnitude() < np.pi / 2]
    mean = differences[0]
    while np.linalg.norm(step := (mean.inv() * differences).as_rotvec().mean(axis=0)) >= 1e-4:
        mean = mean * Rotation.from_rotvec(step)
    expected = mirror @ (mean.inv() * predicted).as_matrix() @ mirror

    aligned = without_offset(mirror @ predicted.as_matrix() @ mirror, ours, np.zeros(300))
    assert geodesic_deg(aligned, expected).max() < 0.006


# ---------------------------------------------------------------------------------------------------------------- protocols


def protocol(align_by: str, **changes: object) -> Protocol:
    metrics = ("geodesic", "mae(convention=300w-lp,formula=best-triple)")
    base = Protocol("toy/aligned", 1, "", "toy", "all", metrics, "geodesic", "landmarks", align_by=align_by)  # type: ignore[arg-type]
    return replace(base, **changes)  # type: ignore[arg-type]


def labels(n: int = 40) -> Faces:
    euler = np.random.default_rng(9).uniform(-80, 80, (n, 3))
    return Faces(
        [f"f{i:02d}" for i in range(n)], euler_deg=euler, convention="300w-lp",
        sequence=[f"s{i % 3}" for i in range(n)], person=[f"p{i % 2}" for i in range(n)],
    )  # fmt: skip


@pytest.mark.parametrize("align_by", ["all", "sequence", "person"])
def test_truth_as_prediction_has_no_error_and_a_constant_rotation_none_either(align_by: str) -> None:
    truth = labels()
    constant = rotation_from_euler([12.0, 5.0, -8.0], "300w-lp")
    turned = constant @ truth.rotation
    angles = Faces(truth.sample_id, euler_deg=euler_from_rotation(turned, "yxz"), convention="yxz")
    for prediction in (truth, Faces(truth.sample_id, rotation=truth.rotation), angles, Faces(truth.sample_id, rotation=turned)):
        found = evaluate(protocol(align_by), truth, prediction, resamples=2)
        assert [s.value for s in found.scores] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert found.diagnostics["mean_offset_deg"] == pytest.approx(geodesic_deg(constant, np.eye(3)))  # of the predictions as they came


def test_failed_faces_are_charged_and_do_not_move_the_others() -> None:
    truth = labels()
    rotation = near(40, 20.0, 10) @ truth.rotation
    failed = np.arange(40) % 8 == 3
    holed = Faces(truth.sample_id, rotation=np.where(failed[:, None, None], np.nan, rotation))
    missing = holed.take(~failed)
    scores = [evaluate(protocol("sequence"), truth, p, resamples=2).scores[0] for p in (holed, missing)]
    alone = evaluate(protocol("sequence"), truth.take(~failed), missing, resamples=2).scores[0]
    for score in scores:
        assert (score.n_failed, score.n_scored) == (5, 40)
        assert score.value_detected == pytest.approx(alone.value)
        assert score.value == pytest.approx((35 * alone.value + 5 * 180.0) / 40)


def test_alignment_by_sequence_takes_away_what_differs_between_sequences() -> None:
    truth = labels()
    turns = rotation_from_euler([[10.0, 0, 0], [-10.0, 5, 0], [0.0, -10, 10]], "yxz")
    prediction = Faces(truth.sample_id, rotation=turns[np.arange(40) % 3] @ truth.rotation)
    by_sequence, by_all = (evaluate(protocol(b), truth, prediction, resamples=2).scores[0].value for b in ("sequence", "all"))
    assert by_sequence == pytest.approx(0.0, abs=1e-6)
    assert by_all is not None and by_all > 5.0


def test_the_order_of_the_rows_is_nothing() -> None:
    truth = labels()
    prediction = Faces(truth.sample_id, rotation=near(40, 30.0, 11) @ truth.rotation)
    order = np.random.default_rng(12).permutation(40)
    one = evaluate(protocol("sequence"), truth, prediction, resamples=2).scores[0].value
    other = evaluate(protocol("sequence"), truth.take(order), prediction.take(order[::-1]), resamples=2).scores[0].value
    assert one == pytest.approx(other)


def test_what_an_aligning_protocol_cannot_do_without() -> None:
    truth = labels()
    with pytest.raises(InputError, match="aligns by sequence, which this truth does not have"):
        evaluate(protocol("sequence"), replace(truth, sequence=None), truth)
    with pytest.raises(InputError, match="aligns rotations"):
        evaluate(protocol("all"), truth, Faces(truth.sample_id, landmarks=np.zeros((40, 68, 2))))
