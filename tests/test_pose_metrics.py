"""Pose errors: every formula against a plain loop, the geodesic and Euler angles against scipy, and what failed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hpbench.faces import Faces
from hpbench.geometry.rotations import (
    CONVENTIONS,
    equivalent_euler_deg,
    euler_from_rotation,
    geodesic_deg,
    rotation_from_euler,
    wrap_deg,
)
from hpbench.metrics import parse_metric
from hpbench.metrics.matched import Matched
from hpbench.metrics.pose import ANGLES, FORMULAS, angle_errors_deg

N = 9000  # more than one block of rows


def labels(n: int = N, seed: int = 0, convention: str = "300w-lp") -> Faces:
    return Faces(euler_deg=np.random.default_rng(seed).uniform(-170, 170, (n, 3)), convention=convention)


def guesses(truth: Faces, seed: int = 1, degrees: float = 30.0) -> Faces:
    return Faces(
        euler_deg=truth.euler_deg + np.random.default_rng(seed).normal(0, degrees, truth.euler_deg.shape), convention=truth.convention
    )


def on_circle(apart: float) -> float:
    apart = abs(apart) % 360.0
    return min(apart, 360.0 - apart)


def by_a_loop(label: np.ndarray, triples: list[np.ndarray], formula: str) -> np.ndarray:
    """Errors of one face for the best of several triples."""
    found = []
    for triple in triples:
        apart = triple - label
        found.append(
            {
                "wrap": [on_circle(a) for a in apart],
                "plain": [abs(a) for a in apart],
                "fold180": [min(abs(a + 180.0 * k) for k in range(-2, 3)) for a in apart],
                "wrapped-yaw": [on_circle(apart[0]), abs(apart[1]), abs(apart[2])],
            }[formula]
        )
    return np.array(min(found, key=sum))


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("formula", [f for f in FORMULAS if f != "best-triple"])
def test_mae_of_angles_against_a_loop(formula: str, convention: str) -> None:
    truth = labels(300, convention=convention)
    prediction = guesses(truth, degrees=80.0)
    expected = np.array([by_a_loop(t, [p], formula) for t, p in zip(truth.euler_deg, prediction.euler_deg, strict=True)])
    for angle, column in (*zip(ANGLES, expected.T, strict=True), ("mean", expected.mean(axis=1))):
        metric = parse_metric(f"mae(angle={angle},convention={convention},formula={formula})")
        np.testing.assert_allclose(metric.per_face(truth, prediction), column, atol=1e-9)


def test_best_triple_chooses_before_it_wraps() -> None:
    """As opal23's evaluation, from scipy's intrinsic XYZ angles (pitch, yaw, roll), face by face."""
    rng = np.random.default_rng(0)
    truth = Rotation.from_euler("XYZ", rng.uniform(-180, 180, (400, 3)) * [1, 0.5, 1], degrees=True)
    guess = Rotation.from_rotvec(rng.normal(0, 0.1, (400, 3))) * truth
    expected = []
    for label, found in zip(truth.as_euler("XYZ", degrees=True), guess.as_euler("XYZ", degrees=True), strict=True):
        other = [found[0] - 180 * np.sign(found[0]), 180 - found[1], found[2] - 180 * np.sign(found[2])]
        other = [a - 360 if a > 180 else a + 360 if a < -180 else a for a in other]
        better = min((found, other), key=lambda triple: sum(abs(a - b) for a, b in zip(label, triple, strict=True)))
        expected.append(np.mean([min(e, 360 - e) for e in (abs(a - b) for a, b in zip(label, better, strict=True))]))
    flip = np.diag([-1.0, -1.0, 1.0])  # between their axes and ours
    faces = [Faces(rotation=flip @ r.as_matrix() @ flip) for r in (truth, guess)]
    found = parse_metric("mae(convention=300w-lp,formula=best-triple)").per_face(*faces)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.mean() > parse_metric("mae(convention=300w-lp)").per_face(*faces).mean() + 0.4  # the choice is not the nearest


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_mae_of_matrices_takes_the_nearer_triple(convention: str) -> None:
    truth = labels(convention=convention)
    matrices = Faces(rotation=guesses(truth).rotation)
    triple = euler_from_rotation(matrices.rotation, convention)
    both = np.stack([triple, equivalent_euler_deg(triple, convention)])
    errors = np.abs(wrap_deg(both - truth.euler_deg))
    errors = np.where((errors[1].sum(axis=1) < errors[0].sum(axis=1))[:, None], errors[1], errors[0])
    metric = parse_metric(f"mae(convention={convention})")
    np.testing.assert_allclose(metric.per_face(truth, matrices), errors.mean(axis=1), atol=1e-9)


def test_another_convention_is_read_from_the_rotation() -> None:
    truth = labels(200)
    prediction = guesses(truth, degrees=3.0)
    order = Rotation.from_matrix(truth.rotation).as_euler("YXZ", degrees=True) * [1, -1, 1]
    guess = Rotation.from_matrix(prediction.rotation).as_euler("YXZ", degrees=True) * [1, -1, 1]
    apart = np.abs(wrap_deg(guess - order)).mean(axis=1)
    found = parse_metric("mae(convention=yxz)").per_face(truth, prediction)
    assert (found <= apart + 1e-9).all() and np.mean(np.isclose(found, apart)) > 0.9


@pytest.mark.parametrize("metric", ["geodesic", "mae(convention=300w-lp)", "mae(angle=roll,convention=yxz)"])
def test_not_labelled_is_nan_and_failed_is_infinite(metric: str) -> None:
    truth = labels(4)
    turned, guessed = truth.rotation.copy(), guesses(truth).rotation.copy()
    turned[0] = turned[1] = guessed[1] = guessed[2] = np.nan
    some = Faces(truth.sample_id, rotation=turned)
    values = parse_metric(metric).values(Matched(some, Faces(truth.sample_id, rotation=guessed)))
    assert np.isnan(values).tolist() == [True, True, False, False] and np.isinf(values).tolist() == [False, False, True, False]
    nothing = parse_metric(metric).values(Matched(some, Faces(truth.sample_id)))
    assert np.isnan(nothing).tolist() == [True, True, False, False] and np.isinf(nothing[2:]).all()
    assert np.isnan(parse_metric(metric).values(Matched(Faces(truth.sample_id), truth))).all()
    assert np.isnan(parse_metric(metric).per_face(some, Faces(truth.sample_id, rotation=guessed))).tolist() == [True, True, True, False]


def test_angles_of_a_pair_are_compared_once() -> None:
    truth = labels(50)
    pair = Matched(truth, Faces(rotation=guesses(truth).rotation))
    angles = np.stack([parse_metric(f"mae(angle={a},convention=yxz)").values(pair) for a in ANGLES])
    np.testing.assert_allclose(parse_metric("mae(convention=yxz)").values(pair), angles.mean(axis=0))
    first = pair.once(angle_errors_deg, convention="yxz", formula="wrap")
    assert pair.once(angle_errors_deg, convention="yxz", formula="wrap") is first
    np.testing.assert_array_equal(first.T, angles)


@pytest.mark.parametrize("n", [1, 2, N])
def test_geodesic_against_scipy(n: int) -> None:
    a, b = (Rotation.random(n, rng=np.random.default_rng(s)) for s in (0, 1))
    expected = np.rad2deg((a * b.inv()).magnitude())
    first, second = a.as_matrix(), b.as_matrix()
    np.testing.assert_allclose(geodesic_deg(first, second), expected, atol=1e-11)
    np.testing.assert_array_equal(first, a.as_matrix())
    np.testing.assert_allclose(geodesic_deg(first, np.eye(3)), np.rad2deg(a.magnitude()), atol=1e-11)
    np.testing.assert_allclose(geodesic_deg(second, first), expected, atol=1e-11)
    assert geodesic_deg(first[0], second[0]).shape == () and geodesic_deg(first[:, None], second[:1]).shape == (n, 1)


def test_geodesic_of_a_sequence_does_not_depend_on_the_camera() -> None:
    a, b, c = (Rotation.random(500, rng=np.random.default_rng(s)).as_matrix() for s in (0, 1, 2))
    for first, second in ((c @ a, c @ b), (a @ c, b @ c)):
        np.testing.assert_allclose(geodesic_deg(first, second), geodesic_deg(a, b), atol=1e-10)


@pytest.mark.parametrize("shape", [(3, 3), (1, 3, 3), (N, 3, 3), (2, 5, 3, 3), (0, 3, 3)])
def test_euler_angles_against_scipy(shape: tuple[int, ...]) -> None:
    matrices = Rotation.random(max(1, int(np.prod(shape[:-2]))), rng=np.random.default_rng(3)).as_matrix()
    given_ = matrices[: int(np.prod(shape[:-2]))].reshape(shape)
    for convention, axes, signs in (("300w-lp", "XYZ", [-1, 1, 1]), ("yxz", "YXZ", [1, -1, 1]), ("6drepnet", "ZYX", [1, 1, -1])):
        theirs = Rotation.from_matrix(matrices).as_euler(axes, degrees=True) * signs
        columns = [axes.index(axis) for axis in "YXZ"]  # yaw, pitch, roll
        ours = euler_from_rotation(given_, convention)
        assert ours.shape == shape[:-1]
        np.testing.assert_allclose(ours.reshape(-1, 3), theirs[: given_[..., 0, 0].size, columns], atol=1e-9)
        np.testing.assert_allclose(rotation_from_euler(ours, convention), given_, atol=1e-12)


def test_gimbal_lock_among_others() -> None:
    euler = np.random.default_rng(0).uniform(-80, 80, (N, 3))
    euler[::7, 0] = 90.0
    rotation = rotation_from_euler(euler, "300w-lp")
    found = euler_from_rotation(rotation, "300w-lp")
    assert (found[::7, 2] == 0.0).all() and np.abs(found[::7, 0] - 90.0).max() < 1e-5
    assert geodesic_deg(rotation_from_euler(found, "300w-lp"), rotation).max() < 1e-5


@given(st.floats(-1e4, 1e4))
def test_wrapped_angles(angle: float) -> None:
    wrapped = float(wrap_deg(angle))
    assert -180.0 <= wrapped <= 180.0
    assert abs((wrapped - angle) / 360.0 - round((wrapped - angle) / 360.0)) < 1e-9


def test_float32_rotations_agree() -> None:
    truth = labels(500)
    prediction = guesses(truth)
    coarse = Faces(rotation=prediction.rotation.astype(np.float32))
    metric = parse_metric("geodesic")
    np.testing.assert_allclose(metric.per_face(truth, coarse), metric.per_face(truth, prediction), atol=1e-4)
    exact = replace(truth, euler_deg=None, convention=None)
    assert metric.per_face(exact, exact).max() < 1e-5
