"""insightface68 on a network of its signature that gives known points: points and pose must come back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_onnx import save_net

from hpbench.catalog import model_cards
from hpbench.errors import InputError, MissingDataError
from hpbench.geometry.mean_face import mean_face_68
from hpbench.geometry.rotations import geodesic_deg, rotation_from_euler
from hpbench.models.insightface68 import VALUES, Insightface68, crop_from_image, rotation_of_points
from hpbench.models.resolve import create_model

CARD = model_cards()["insightface68"]
IMAGE = np.zeros((80, 90, 3), np.uint8)
rng = np.random.default_rng(0)


def net_values(points: np.ndarray) -> np.ndarray:
    return np.concatenate([rng.normal(size=VALUES - points.size), points.ravel()])


def made(folder: Path, values: np.ndarray, shape: tuple = ("B", 3, 192, 192)) -> Insightface68:
    path = folder / "1k3d68.onnx"
    save_net(path, {"fc1": (values, (values.size,))}, shape)
    return Insightface68(replace(CARD, files={path.name: "any"}), weights=path, device="cpu", threads=1)


@pytest.mark.parametrize("towards_camera", [False, True])
@pytest.mark.parametrize("euler_deg", [(0, 0, 0), (50, 0, 0), (0, 30, 0), (-80, -20, 30)])
def test_points_and_pose_come_back(tmp_path: Path, towards_camera: bool, euler_deg: tuple[float, float, float]) -> None:
    rotation = rotation_from_euler([euler_deg], "300w-lp")[0]
    points = mean_face_68() @ rotation.T / 130.0 + [0.1, -0.05, 3.0]
    if towards_camera:
        points[:, 2] *= -1.0
    box = np.array([10.0, 20.0, 50.0, 50.0])  # 40 x 30 about (30, 35): the crop is 60 pixels wide
    faces = made(tmp_path, net_values(points)).predict([IMAGE] * 2, np.stack([box, box + [5, 5, 5, 5]]))
    assert faces.scheme == "ibug68-fixed" and list(faces.failure) == ["", ""]
    np.testing.assert_allclose(faces.landmarks[0], points[:, :2] * 30.0 + [30.0, 35.0], atol=1e-4)
    np.testing.assert_allclose(faces.landmarks[1] - faces.landmarks[0], 5.0, atol=1e-4)
    assert geodesic_deg(faces.rotation[0], rotation) < 1e-2


def test_the_sign_of_depth_is_told_from_noisy_points() -> None:
    face = mean_face_68()
    for _ in range(200):
        yaw, pitch, roll = rng.uniform([-90, -45, -60], [90, 45, 60])
        rotation = rotation_from_euler([[yaw, pitch, roll]], "300w-lp")[0]
        points = face @ rotation.T + rng.normal(scale=4.0, size=face.shape)  # millimetres, of a head of about 140
        found = [rotation_of_points(points * [1, 1, sign], face) for sign in (1, -1)]
        assert geodesic_deg(found[0], found[1]) < 1e-6 and geodesic_deg(found[0], rotation) < 6.0


def test_the_crop_is_a_square_of_one_and_a_half_times_the_longer_side() -> None:
    matrix = crop_from_image([10.0, 20.0, 50.0, 50.0])
    corners = np.array([[0.0, 5.0, 1.0], [60.0, 65.0, 1.0], [30.0, 35.0, 1.0]])
    np.testing.assert_allclose(corners @ matrix.T, [[0, 0], [192, 192], [96, 96]])


def test_the_network_sees_red_first_and_raw(tmp_path: Path) -> None:
    image = np.empty((100, 100, 3), np.uint8)
    image[:] = (200, 90, 30)
    face = mean_face_68() / 130.0
    weights = np.zeros((3, VALUES))
    weights[:, -3] = (1.0, 100.0, 10000.0)  # the last point's x: moved by red + 100 green + 10000 blue
    path = tmp_path / "1k3d68.onnx"
    save_net(path, {"fc1": (net_values(face), (VALUES,), weights)}, ("B", 3, 192, 192))
    model = Insightface68(replace(CARD, files={path.name: "any"}), weights=path, device="cpu", threads=1)
    box = np.array([[45.0, 45.0, 55.0, 55.0]])
    last = model.predict([image], box).landmarks[0, -1, 0]
    assert (last - 50.0) / 7.5 - face[-1, 0] == pytest.approx(200 + 9000 + 300000, rel=1e-5)


def test_bad_boxes_and_outputs_fail_their_faces(tmp_path: Path) -> None:
    model = made(tmp_path, net_values(mean_face_68() / 130.0))
    boxes = np.array([[20.0, 10, 60, 60], [np.nan, 0, 1, 1], [30.0, 30, 30, 40], [500.0, 500, 600, 600]])
    faces = model.predict([IMAGE] * 4, boxes)
    assert [bool(f) for f in faces.failure] == [False, True, True, True]
    assert np.isnan(faces.landmarks[1:]).all() and np.isfinite(faces.landmarks[0]).all()
    assert np.shape(model.network_call(5)()) == (1, 5, VALUES)  # the bare network
    blank = made(tmp_path, np.zeros(VALUES)).predict([IMAGE], boxes[:1])
    assert blank.failure[0] == "the model's output is not a face" and np.isnan(blank.rotation).all()


def test_other_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HPBENCH_WEIGHTS", raising=False)
    with pytest.raises(InputError, match="gives .212,. values a face, 1k3d68 3309"):
        made(tmp_path, np.zeros(212))
    with pytest.raises(InputError, match="takes .*128"):
        made(tmp_path, np.zeros(VALUES), ("B", 3, 128, 128))
    with pytest.raises(MissingDataError, match="expected sha256 df5c06b8"):
        create_model("insightface68", weights=tmp_path / "1k3d68.onnx")
    with pytest.raises(MissingDataError, match=r"buffalo_l.*non-commercial") as caught:
        create_model("insightface68")
    assert "df5c06b8" in str(caught.value)
