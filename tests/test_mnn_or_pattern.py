"""Where the regression trees look: golden numbers of the pattern, anchors, parts, who hides whom."""

from __future__ import annotations

import numpy as np
import pytest

from hpbench.checked import build
from hpbench.errors import InputError
from hpbench.geometry.rotations import rotation_from_euler
from hpbench.landmarks import scheme_named
from hpbench.mnn.or_config import CascadeConfig
from hpbench.mnn.or_pattern import PATTERN, anchors, mean_shape, parts, self_occlusion_yaw_deg
from hpbench.mnn.targets import mean_face_units, mirror_order

SCHEMES = ("ibug68-fixed", "ibug68-contour", "wflw98", "cofw29", "aflw19", "ibug51", "ibug49")


def test_pattern_is_the_published_one() -> None:
    assert PATTERN.shape == (43, 2)
    radii = np.linalg.norm(PATTERN, axis=1)
    expected = np.repeat([0.667, 0.5, 0.361, 0.25, 0.167, 0.111, 0.083], 6)
    np.testing.assert_allclose(radii, [*expected, 0.0], atol=1e-12)
    angles = np.rad2deg(np.arctan2(PATTERN[:42, 1], PATTERN[:42, 0])).reshape(7, 6) % 60
    np.testing.assert_allclose(np.minimum(angles[::2], 60 - angles[::2]), 0, atol=1e-9)
    np.testing.assert_allclose(angles[1::2], 30, atol=1e-9)
    np.testing.assert_allclose(PATTERN[[0, 6, 19, 41]], [[0.667, 0], [0.433013, 0.25], [0, 0.25], [0.0415, -0.071880]], atol=1e-6)
    assert not PATTERN.flags.writeable


def test_mean_shape_is_centred_and_one_high() -> None:
    for scheme in SCHEMES:
        shape = mean_shape(scheme)
        assert np.ptp(shape[:, 1]) == pytest.approx(1.0)
        np.testing.assert_allclose(shape.min(axis=0) + shape.max(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize("diameter", [0.255, 0.05, 0.005])
def test_anchors_are_the_nearest_landmarks(diameter: float) -> None:
    shape = mean_shape("ibug68-fixed")
    found = anchors("ibug68-fixed", diameter)
    places = shape[found.landmark] + found.offset
    np.testing.assert_allclose(places, shape[:, None] + diameter * PATTERN, atol=1e-12)
    for landmark in (0, 30, 61):
        for k in range(43):
            distance = np.hypot(*(shape - places[landmark, k]).T)
            assert np.hypot(*found.offset[landmark, k]) == pytest.approx(distance.min())
    own = np.arange(68)[:, None] == found.landmark
    assert own[:, 42].all()  # the centre is the landmark itself
    assert own.all() == (diameter < 0.01)


def test_parts_hold_every_landmark_once() -> None:
    for scheme in (*SCHEMES, "aflw21"):
        assert sorted(p for points in parts(scheme).values() for p in points) == list(range(scheme_named(scheme).n_points)), scheme


def test_the_ten_parts_of_68_and_98_points() -> None:
    ten = {"right brow", "left brow", "right eye", "left eye", "nose", "upper mouth", "lower mouth", "right side", "left side", "chin"}
    found = parts("ibug68-fixed")
    assert set(found) == set(parts("wflw98")) == ten
    assert found["right side"] == tuple(range(6)) and found["left side"] == tuple(range(11, 17))
    assert found["upper mouth"] == (48, 49, 50, 51, 52, 53, 54, 60, 61, 62, 63, 64)
    assert parts("wflw98")["right side"] == tuple(range(11)) and parts("wflw98")["left side"] == tuple(range(22, 33))


def test_upper_lips_lie_above_lower_ones() -> None:
    for scheme in ("ibug68-fixed", "wflw98", "cofw29"):
        height = mean_shape(scheme)[:, 1]
        upper, lower = (height[list(parts(scheme)[name])] for name in ("upper mouth", "lower mouth"))
        assert upper.mean() < lower.mean(), scheme


@pytest.mark.parametrize("scheme", ["ibug68-fixed", "wflw98", "cofw29", "aflw19"])
def test_a_turned_head_hides_its_far_side(scheme: str) -> None:
    above, below = self_occlusion_yaw_deg(scheme)
    order = mirror_order(scheme)
    np.testing.assert_array_equal(above[order], below)
    for yaw in (10.0, 20.0, 50.0):
        hidden, other = yaw > above, -yaw < -below  # what this head hides, and its mirror image
        assert hidden.any() == other.any() == (np.isfinite(above).any() and yaw > above.min())
        if hidden.any():
            depth = (mean_face_units(scheme) @ rotation_from_euler(np.array([[yaw, 0.0, 0.0]]), "yxz")[0].T)[:, 2]
            assert depth[hidden].mean() > depth[other].mean() + 0.1


def test_the_thresholds_are_the_papers() -> None:
    above, _ = self_occlusion_yaw_deg("ibug68-fixed")
    groups = {limit: set(np.flatnonzero(above == limit)) for limit in np.unique(above)}
    assert groups[15.0] == set(range(6))
    assert groups[40.0] == {*range(17, 22), *range(36, 42)}
    assert set(groups) == {15.0, 40.0, np.inf}


def test_diameters_fall_linearly() -> None:
    config = CascadeConfig(stages=11)
    np.testing.assert_allclose([config.stage_diameter(i) for i in (0, 5, 10)], [0.255, 0.13, 0.005])
    assert CascadeConfig(stages=1).stage_diameter(0) == 0.255


def test_points_without_a_place_are_named() -> None:
    with pytest.raises(InputError, match="aflw21.*12, 16"):
        mean_shape("aflw21")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"stages": 0}, "stages 0 must be from 1 to 50"),
        ({"depth": 9}, "depth 9"),
        ({"shrinkage": 0.0}, "shrinkage"),
        ({"subsample": 1.5}, "subsample 1.5"),
        ({"diameter": [0.1, 0.2]}, "two falling shares"),
        ({"noise_deg": [20.0, 10.0, 100.0]}, "three angles"),
        ({"occluded_above": 1.0}, "between 0 and 1"),
        ({"seed": -1}, "seed -1"),
        ({"tree": 5}, "unknown key 'tree'"),
    ],
)
def test_settings_that_cannot_be(table: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        build(CascadeConfig, table, "or.toml")
