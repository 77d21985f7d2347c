"""Projection and its inverse: what `project` draws, `solve_pnp` finds again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpbench.errors import InputError
from hpbench.geometry.camera import crop_camera, project, ray_rotation, solve_pnp, weak_perspective
from hpbench.geometry.mean_face import mean_face_68
from hpbench.geometry.rotations import geodesic_deg, rotation_defect, rotation_from_euler

FACE = mean_face_68()
BOX = np.array([100.0, 80.0, 300.0, 280.0])
CAMERA = crop_camera(BOX)

poses = st.tuples(st.floats(-80, 80), st.floats(-60, 60), st.floats(-180, 180))
places = st.tuples(st.floats(-60, 60), st.floats(-60, 60), st.floats(250, 2000))


def test_crop_camera_is_that_of_the_enlarged_square() -> None:
    np.testing.assert_allclose(CAMERA, [[480, 0, 200], [0, 480, 180], [0, 0, 1]])  # 1.5 x 1.6 x 200
    assert crop_camera([0, 0, 100, 50], enlarge=0.0, focal_over_width=2.0)[0, 0] == 100.0  # square by its height
    assert crop_camera(np.tile(BOX, (2, 3, 1))).shape == (2, 3, 3, 3)
    assert np.isnan(crop_camera([np.nan] * 4)[0, 0])
    with pytest.raises(InputError, match="x, y, width, height"):
        crop_camera([300, 280, 200, 200])


def test_project_puts_the_axes_where_the_image_has_them() -> None:
    ahead = np.array([0.0, 0.0, 480.0])
    pixels = project([[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 480]], np.eye(3), ahead, CAMERA)
    np.testing.assert_allclose(pixels, [[200, 180], [210, 180], [200, 190], [200, 180]])
    assert np.isnan(project([[0.0, 0.0, -480.0], [0.0, 0.0, -500.0]], np.eye(3), ahead, CAMERA)).all()


@given(poses, places)
def test_pnp_finds_the_pose_again(euler: tuple[float, float, float], place: tuple[float, float, float]) -> None:
    rotation = rotation_from_euler(euler, "300w-lp")
    found, where = solve_pnp(FACE, project(FACE, rotation, place, CAMERA), CAMERA)
    assert geodesic_deg(found, rotation) < 1e-3
    np.testing.assert_allclose(where, place, atol=1e-2)


@given(poses, st.integers(0, 2**32 - 1))
def test_pnp_bears_noise(euler: tuple[float, float, float], seed: int) -> None:
    rotation = rotation_from_euler(euler, "300w-lp")
    pixels = project(FACE, rotation, [0.0, -45.0, 320.0], CAMERA)
    found, where = solve_pnp(FACE, pixels + np.random.default_rng(seed).normal(0.0, 0.2, pixels.shape), CAMERA)
    assert geodesic_deg(found, rotation) < 0.5
    assert where[2] > 0


@given(st.integers(0, 2**32 - 1), st.integers(6, 68))
def test_pnp_of_nonsense_is_nan_or_a_pose_in_front_of_the_camera(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(100, 300, (68, 2))
    pixels[rng.permutation(68)[n:]] = np.nan
    rotation, translation = solve_pnp(FACE, pixels, CAMERA)
    assert np.isnan(rotation).all() == np.isnan(translation).all()
    if not np.isnan(rotation).any():
        assert rotation_defect(rotation) < 1e-9
        seen = np.isfinite(pixels).all(axis=1)
        assert ((FACE[seen] @ rotation.T + translation)[:, 2] > 0).all()


def test_a_mirrored_face_does_not_end_up_behind_the_camera() -> None:
    # the image of a head behind the camera: upside down and mirrored; the best pose in front is upside down
    behind = np.array([0.0, -40.0, -320.0])
    homogeneous = (FACE + behind) @ CAMERA.T
    rotation, translation = solve_pnp(FACE, homogeneous[:, :2] / homogeneous[:, 2:], CAMERA)
    assert translation[2] > 0
    assert rotation[1, 1] < 0


def test_pnp_leaves_out_nan_points_and_needs_six() -> None:
    rotation = rotation_from_euler([30.0, -10.0, 5.0], "300w-lp")
    whole = project(FACE, rotation, [5.0, -40.0, 300.0], CAMERA)
    batch = np.tile(whole, (3, 1, 1))
    batch[1, 20:] = np.nan
    batch[2, 5:] = np.nan
    found, where = solve_pnp(FACE, batch, CAMERA)
    assert found.shape == (3, 3, 3) and where.shape == (3, 3)
    assert (geodesic_deg(found[:2], rotation) < 1e-3).all()
    assert np.isnan(found[2]).all() and np.isnan(where[2]).all()
    empty = solve_pnp(FACE, np.empty((0, 68, 2)), np.empty((0, 3, 3)))
    assert empty[0].shape == (0, 3, 3)


def test_pnp_does_not_depend_on_unit_or_origin() -> None:
    pixels = project(FACE, rotation_from_euler([50.0, 20.0, -30.0], "300w-lp"), [5.0, -40.0, 300.0], CAMERA)
    pixels += np.sin(np.arange(136).reshape(68, 2))
    rotation, translation = solve_pnp(FACE, pixels, CAMERA)
    other, elsewhere = solve_pnp(FACE / 1000.0 + [1.0, 2.0, 3.0], pixels, CAMERA)
    assert geodesic_deg(other, rotation) < 1e-3
    np.testing.assert_allclose(1000.0 * (elsewhere + other @ [1.0, 2.0, 3.0]), translation, atol=1e-2)


def test_pnp_refuses_points_of_another_number() -> None:
    with pytest.raises(InputError, match="points_3d"):
        solve_pnp(FACE, np.zeros((29, 2)), CAMERA)


@given(poses)
def test_weak_perspective_finds_the_pose_again(euler: tuple[float, float, float]) -> None:
    rotation = rotation_from_euler(euler, "300w-lp")
    found, scale, shift = weak_perspective(FACE, 1.4 * (FACE @ rotation.T)[:, :2] + [220.0, 210.0])
    assert geodesic_deg(found, rotation) < 1e-6
    assert scale == pytest.approx(1.4)
    np.testing.assert_allclose(shift, [220.0, 210.0])


def test_weak_perspective_of_a_plane_is_nan() -> None:
    assert np.isnan(weak_perspective(FACE * [1, 1, 0], FACE[:, :2])[0]).all()
    assert np.isnan(weak_perspective(FACE[:3], FACE[:3, :2])[1])


def test_ray_rotation_leaves_the_principal_ray_alone() -> None:
    np.testing.assert_array_equal(ray_rotation([200.0, 180.0], CAMERA), np.eye(3))


@given(st.floats(-500, 500), st.floats(-500, 500))
def test_ray_rotation_turns_the_axis_to_the_ray(dx: float, dy: float) -> None:
    q = ray_rotation([200.0 + dx, 180.0 + dy], CAMERA)
    assert rotation_defect(q) < 1e-12
    ray = np.array([dx, dy, 480.0])
    np.testing.assert_allclose(q @ [0, 0, 1], ray / np.linalg.norm(ray), atol=1e-12)
    # the smallest such rotation: its angle is that between the axis and the ray, and the opposite pixel undoes it
    assert geodesic_deg(q, np.eye(3)) == pytest.approx(np.rad2deg(np.arctan2(np.hypot(dx, dy), 480.0)), abs=1e-6)
    np.testing.assert_allclose(ray_rotation([200.0 - dx, 180.0 - dy], CAMERA), q.T, atol=1e-12)


def test_a_head_beside_the_axis_looks_as_its_crop_ray_pose_says() -> None:
    # a head that turns with the ray looks, to its own crop, as it did on the axis
    whole = np.array([[800.0, 0.0, 320.0], [0.0, 800.0, 240.0], [0.0, 0.0, 1.0]])
    in_crop = rotation_from_euler([25.0, 10.0, 5.0], "300w-lp")
    q = ray_rotation([620.0, 60.0], whole)
    pixels = project(FACE, q @ in_crop, q @ [0.0, -40.0, 900.0], whole)
    box = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
    own = np.array([[800.0, 0.0, box[[0, 2]].mean()], [0.0, 800.0, box[[1, 3]].mean()], [0.0, 0.0, 1.0]])
    found = solve_pnp(FACE, pixels, own)[0]
    assert geodesic_deg(found, in_crop) < 4.0
    assert geodesic_deg(found, q @ in_crop) > 15.0
