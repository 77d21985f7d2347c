"""Derived pose labels: a mean face seen in a known pose gives that pose back, in every landmark scheme."""

from __future__ import annotations

import numpy as np
import pytest

from hpbench.errors import InputError
from hpbench.geometry.camera import crop_camera, project
from hpbench.geometry.mean_face import MEAN_FACE_VERSION, mean_face
from hpbench.geometry.rotations import geodesic_deg, rotation_from_euler
from hpbench.landmark_maps import MAPS
from hpbench.landmarks import SCHEMES
from hpbench.readers.derived_pose import derived_rotation

BOX = np.array([120.0, 80.0, 320.0, 290.0])
ROTATION = rotation_from_euler([[0, 0, 0], [40, -10, 5], [-55, 20, -30], [15, 35, 60]], "yxz")
TRANSLATION = np.array([5.0, -8.0, 700.0])


def seen(scheme: str) -> np.ndarray:
    """The mean face of a scheme in the four poses, seen by the camera of the box, (4, L, 2) pixels."""
    return np.stack([project(mean_face(scheme), r, TRANSLATION, crop_camera(BOX)) for r in ROTATION])


@pytest.mark.parametrize("scheme", ["ibug68-contour", "ibug68-fixed", "cofw29", "aflw21"])
def test_known_poses_come_back(scheme: str) -> None:
    derived = derived_rotation(seen(scheme), scheme, np.tile(BOX, (4, 1)), MEAN_FACE_VERSION)
    assert geodesic_deg(derived, ROTATION).max() < 0.1


def test_wflw_points_are_those_of_the_68() -> None:
    points = np.full((4, 98, 2), np.nan)
    for i, (source,) in enumerate(MAPS["wflw98", "ibug68-contour"]):
        points[:, source] = seen("ibug68-contour")[:, i]
    derived = derived_rotation(points, "wflw98", np.tile(BOX, (4, 1)), MEAN_FACE_VERSION)
    assert geodesic_deg(derived, ROTATION).max() < 0.1


def test_unlabelled_points_are_left_out_and_too_few_give_no_pose() -> None:
    points = seen("aflw21")
    points[0, [0, 5, 17]] = np.nan
    points[1, 5:] = np.nan
    derived = derived_rotation(points, "aflw21", np.tile(BOX, (4, 1)), MEAN_FACE_VERSION)
    assert geodesic_deg(derived[0], ROTATION[0]) < 0.1 and np.isnan(derived[1]).all()


def test_where_the_face_is_in_the_picture_does_not_matter() -> None:
    """The labels are relative to the ray through the box centre: a crop does not know where it was cut."""
    shift = np.array([900.0, -300.0])
    derived = derived_rotation(seen("ibug68-fixed") + shift, "ibug68-fixed", np.tile(BOX + np.tile(shift, 2), (4, 1)), MEAN_FACE_VERSION)
    assert geodesic_deg(derived, ROTATION).max() < 0.1


def test_another_mean_face_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="mean face 'old'"):
        derived_rotation(seen("cofw29"), "cofw29", np.tile(BOX, (4, 1)), "old")
    monkeypatch.setattr("hpbench.readers.derived_pose.MEAN_FACE_SHA256", "0" * 64)
    with pytest.raises(InputError, match="changed without a new version"):
        derived_rotation(seen("cofw29"), "cofw29", np.tile(BOX, (4, 1)), MEAN_FACE_VERSION)
    with pytest.raises(InputError, match="menpo39"):
        mean_face("menpo39")
    assert "menpo39" in SCHEMES
