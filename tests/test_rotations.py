"""Rotations: every named convention there and back, the geodesic near its ends, and signs proved on real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from annotation_truth import opal23_truth
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hpbench.errors import InputError
from hpbench.geometry.rotations import (
    CONVENTIONS,
    equivalent_euler_deg,
    euler_from_rotation,
    geodesic_deg,
    nearest_rotation,
    rotation_defect,
    rotation_from_euler,
    wrap_deg,
)

ANY_ANGLE = st.floats(-179.9, 179.9)
INNER_ANGLE = st.floats(-89.0, 89.0)


@pytest.mark.parametrize("convention", CONVENTIONS)
@given(angles=st.tuples(ANY_ANGLE, ANY_ANGLE, ANY_ANGLE), inner=INNER_ANGLE)
def test_euler_angles_come_back_away_from_gimbal_lock(convention: str, angles: tuple[float, float, float], inner: float) -> None:
    euler = np.array(angles)
    euler[("yaw", "pitch", "roll").index(CONVENTIONS[convention].order[1])] = inner
    back = euler_from_rotation(rotation_from_euler(euler, convention), convention)
    assert np.abs(wrap_deg(back - euler)).max() < 1e-6


@pytest.mark.parametrize("convention", CONVENTIONS)
@given(angles=st.tuples(ANY_ANGLE, ANY_ANGLE, ANY_ANGLE))
def test_both_triples_are_one_rotation(convention: str, angles: tuple[float, float, float]) -> None:
    rotation = rotation_from_euler(angles, convention)
    assert geodesic_deg(rotation, rotation_from_euler(equivalent_euler_deg(angles, convention), convention)) < 1e-6
    assert rotation_defect(rotation) < 1e-12


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_gimbal_lock_keeps_the_rotation(convention: str, sign: float) -> None:
    euler = np.array([20.0, -30.0, 40.0])
    euler[("yaw", "pitch", "roll").index(CONVENTIONS[convention].order[1])] = sign * 90.0
    rotation = rotation_from_euler(euler, convention)
    assert geodesic_deg(rotation, rotation_from_euler(euler_from_rotation(rotation, convention), convention)) < 1e-5


def test_conventions_against_an_independent_library() -> None:
    yaw, pitch, roll = 31.0, -17.0, 8.0
    expected = {
        "300w-lp": Rotation.from_euler("XYZ", [-pitch, yaw, roll], degrees=True),
        "yxz": Rotation.from_euler("YXZ", [yaw, -pitch, roll], degrees=True),
        "6drepnet": Rotation.from_euler("ZYX", [roll, yaw, -pitch], degrees=True),
        "opal23": Rotation.from_euler("XYZ", [-pitch, -yaw, roll], degrees=True),
    }
    assert set(expected) == set(CONVENTIONS)
    for name, rotation in expected.items():
        np.testing.assert_allclose(rotation_from_euler([yaw, pitch, roll], name), rotation.as_matrix(), atol=1e-14)


def test_signs_in_the_image() -> None:
    """Yaw + turns the nose to the image's left, pitch + lifts the chin, roll + turns clockwise."""
    out_of_the_face, to_subjects_left = np.array([0.0, 0.0, -1.0]), np.array([1.0, 0.0, 0.0])
    assert (rotation_from_euler([30, 0, 0], "300w-lp") @ out_of_the_face)[0] < 0
    assert (rotation_from_euler([0, 30, 0], "300w-lp") @ out_of_the_face)[1] < 0  # up
    assert (rotation_from_euler([0, 0, 30], "300w-lp") @ to_subjects_left)[1] > 0  # viewer's right goes down


def test_biwi_golden_frame() -> None:
    """BIWI 01/frame_00003: R of pose.txt is the canonical rotation (values of protocols.md, section 1)."""
    q = rotation_from_euler([3.2910, 7.6072, -1.5666], "300w-lp").T
    roll = -np.rad2deg(np.arctan2(q[1, 0], q[0, 0]))
    yaw = -np.rad2deg(np.arctan2(-q[2, 0], np.hypot(q[2, 1], q[2, 2])))
    pitch = np.rad2deg(np.arctan2(q[2, 1], q[2, 2]))
    np.testing.assert_allclose([yaw, pitch, roll], [3.2910, 7.6072, -1.5666], atol=1e-9)


def test_biwi_frame_of_the_real_file(realdata: Path) -> None:
    folder = realdata / "biwi" / "hpdb"
    numbers = np.loadtxt(folder / "01" / "frame_00003_pose.txt").reshape(-1, 3)
    assert np.round(euler_from_rotation(numbers[:3], "300w-lp"), 4).tolist() == [3.2910, 7.6072, -1.5666]
    calibration = np.array((folder / "01" / "rgb.cal").read_text().split(), dtype=float)
    rgb_from_depth = calibration[13:22].reshape(3, 3)  # K (9), distortion (4), R (9), t (3), size (2)
    assert np.round(euler_from_rotation(rgb_from_depth @ numbers[:3], "300w-lp"), 4).tolist() == [3.8516, 8.4595, -1.7421]


def test_aflw2000_convention_is_proved_by_its_3d_points(realdata: Path) -> None:
    """Derotating the 3D points leaves identity and expression only by the right order and signs; 6DRepNet's order does not."""
    truth = opal23_truth(realdata)
    kept = (np.abs(truth.euler_deg) <= 99).all(axis=1)
    points = np.load(realdata / "aflw2000" / "annotations" / "AFLW2000-3D.pts68.npy").astype(float)[kept]
    points[:, 2] *= -1  # the file's z points to the camera
    points -= points.mean(axis=2, keepdims=True)
    residual = {}
    for name, angles in (("300w-lp", truth.euler_deg), ("6drepnet", truth.euler_deg), ("opal23", truth.euler_deg)):
        head = np.swapaxes(rotation_from_euler(angles[kept], name), 1, 2) @ points
        head /= np.linalg.norm(head, axis=(1, 2), keepdims=True)
        mean = head.mean(axis=0)
        left_over = nearest_rotation(head @ mean.T)  # rotation that still takes the mean face to each face
        residual[name] = float(np.median(geodesic_deg(left_over, np.eye(3))))
    assert residual["300w-lp"] == pytest.approx(1.40, abs=0.05)
    assert residual["6drepnet"] > 4.0
    assert residual["opal23"] > 25.0


def test_6drepnets_order_is_another_rotation(realdata: Path) -> None:
    truth = opal23_truth(realdata)
    euler = truth.euler_deg[(np.abs(truth.euler_deg) <= 99).all(axis=1)]
    apart = geodesic_deg(rotation_from_euler(euler, "300w-lp"), rotation_from_euler(euler, "6drepnet"))
    yaw = np.abs(euler[:, 0])
    assert apart.mean() == pytest.approx(13.1, abs=0.1)
    bins = [apart[yaw <= 30].mean(), apart[(yaw > 30) & (yaw <= 60)].mean(), apart[yaw > 60].mean()]
    assert bins == pytest.approx([4.4, 18.6, 46.6], abs=0.1)


@given(axis=st.tuples(*[st.floats(-1, 1)] * 3), exponent=st.floats(-9, 0), far=st.booleans())
def test_geodesic_is_exact_near_0_and_180(axis: tuple[float, float, float], exponent: float, far: bool) -> None:
    direction = np.array(axis)
    if (norm := np.linalg.norm(direction)) < 0.1:
        return
    angle = 180.0 - 10.0**exponent if far else 10.0**exponent
    rotation = Rotation.from_rotvec(np.deg2rad(angle) * direction / norm).as_matrix()
    assert geodesic_deg(rotation, np.eye(3)) == pytest.approx(angle, abs=1e-11)


def test_nan_rows_stay_nan_alone() -> None:
    rotation = rotation_from_euler([[np.nan, 0, 0], [10, 20, 30]], "300w-lp")
    assert np.isnan(geodesic_deg(rotation, rotation)).tolist() == [True, False]
    assert np.isnan(euler_from_rotation(rotation, "300w-lp")).any(axis=1).tolist() == [True, False]


def test_wrong_shapes_and_names_say_what_is_meant() -> None:
    with pytest.raises(InputError, match="did you mean '300w-lp'"):
        rotation_from_euler([1, 2, 3], "300wlp")
    with pytest.raises(InputError, match="rotation matrices"):
        rotation_from_euler(np.eye(4), "300w-lp")
    with pytest.raises(InputError, match="Euler angles"):
        euler_from_rotation(np.zeros((5, 3)), "300w-lp")


def test_defect_tells_reflections_and_scales() -> None:
    assert rotation_defect(np.diag([1.0, 1.0, -1.0])) == 2.0
    assert rotation_defect(1.1 * np.eye(3)) == pytest.approx(0.21)
    noisy = rotation_from_euler([10, 20, 30], "300w-lp") + 0.01
    assert rotation_defect(nearest_rotation(noisy)) < 1e-12
