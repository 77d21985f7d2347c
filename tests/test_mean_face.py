"""The mean face is a face: symmetric, of human size, the right way round."""

from __future__ import annotations

import numpy as np
import pytest

from hpbench.geometry.mean_face import MEAN_FACE_SHA256, mean_face_68, mean_face_sha256
from hpbench.landmarks import SCHEMES

FACE = mean_face_68()
SCHEME = SCHEMES["ibug68-fixed"]


def distance(a: int, b: int) -> float:
    return float(np.linalg.norm(FACE[a] - FACE[b]))


def test_shape_and_fresh_copy() -> None:
    assert FACE.shape == (68, 3) and np.isfinite(FACE).all()
    mean_face_68()[:] = 0.0
    np.testing.assert_array_equal(mean_face_68(), FACE)


def test_exactly_mirror_symmetric_by_the_scheme() -> None:
    swap = np.arange(68)
    for a, b in SCHEME.pairs:
        swap[a], swap[b] = b, a
    np.testing.assert_array_equal(FACE[swap] * [-1, 1, 1], FACE)
    midline = np.flatnonzero(swap == np.arange(68))
    assert midline.tolist() == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]
    assert (FACE[midline, 0] == 0.0).all()


def test_origin_is_the_midpoint_between_the_eyes() -> None:
    both = [FACE[list(eye)].mean(axis=0) for eye in (SCHEME.right_eye, SCHEME.left_eye)]
    np.testing.assert_allclose(np.mean(both, axis=0), 0.0, atol=1e-3)  # the file has three decimals
    np.testing.assert_allclose(both[0][1:], 0.0, atol=1e-3)
    assert both[1][0] - both[0][0] == pytest.approx(63.0, abs=2.0)  # pupil - pupil


@pytest.mark.parametrize(
    ("name", "a", "b", "low_mm", "high_mm"),
    [
        ("outer eye corners", 36, 45, 85, 95),
        ("inner eye corners", 39, 42, 29, 39),
        ("mouth width", 48, 54, 47, 55),
        ("nostrils", 31, 35, 27, 37),
        ("nasion - subnasale", 27, 33, 47, 57),
        ("nasion - menton", 27, 8, 108, 126),
        ("subnasale - nose tip", 33, 30, 14, 22),
        ("breadth at the ears", 0, 16, 125, 150),
    ],
)
def test_distances_are_those_of_adults(name: str, a: int, b: int, low_mm: float, high_mm: float) -> None:
    assert low_mm < distance(a, b) < high_mm, name


def test_frame_is_x_to_the_subjects_left_y_down_z_into_the_head() -> None:
    assert (FACE[list(SCHEME.left_eye), 0] > 0).all() and (FACE[list(SCHEME.parts["left brow"]), 0] > 0).all()
    brow, nose, mouth, chin = FACE[19, 1], FACE[30, 1], FACE[51, 1], FACE[8, 1]
    assert brow < 0 < nose < mouth < chin
    assert FACE[:, 2].argmin() == 30  # the nose tip is foremost
    assert 85 < FACE[0, 2] - FACE[30, 2] < 110  # the ear's front behind it
    assert (np.diff(FACE[8:15, 2]) > 0).all() and (np.diff(FACE[8:17, 0]) > 0).all()  # the jaw runs back and out


def test_points_are_in_order_around_each_eye_and_lip() -> None:
    for ring in (range(36, 42), range(42, 48), range(48, 60), range(60, 68)):
        x, y = FACE[list(ring), :2].T
        assert (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() > 0  # clockwise in the image, as iBUG counts them


def test_coordinates_are_frozen_under_their_version():
    assert mean_face_sha256() == MEAN_FACE_SHA256, "other coordinates are another MEAN_FACE_VERSION: derived labels depend on them"
