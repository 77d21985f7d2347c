"""OpenSeeFace: its decoding on maps made by hand, its wrapper on a network that gives them, its real file on real faces."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
from tiny_onnx import save_net

from hpbench.catalog import model_cards
from hpbench.errors import InputError, MissingDataError
from hpbench.geometry.camera import crop_camera, project
from hpbench.geometry.mean_face import mean_face
from hpbench.geometry.rotations import euler_from_rotation, geodesic_deg, rotation_from_euler, wrap_deg
from hpbench.landmark_maps import MAPS, map_landmarks
from hpbench.landmarks import SCHEMES
from hpbench.models.openseeface import OpenSeeFace, decode_points
from hpbench.models.resolve import create_model

CARD = model_cards()["openseeface"]
REAL = Path(os.environ.get("HPBENCH_REALDATA", "/nowhere"))
needs_file = pytest.mark.skipif(
    not (REAL / "models" / "lm_model0_opt.onnx").is_file(), reason="needs HPBENCH_REALDATA with lm_model0_opt.onnx"
)
rng = np.random.default_rng(0)


def maps_of(points_px: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Maps (198, 28, 28) whose points (66, 2), in pixels of the input, and confidences are known; other cells hold noise below."""
    maps = rng.uniform(0.3, 0.7, (3, 66, 28, 28))
    maps[0] = rng.uniform(0.0, 0.05, (66, 28, 28))
    cells = np.rint(points_px * 27 / 223).astype(int).clip(0, 27)
    for k, ((x, y), (column, row)) in enumerate(zip(points_px, cells, strict=True)):
        maps[0, k, row, column] = confidence[k]
        for group, rest in ((1, y - row * 223 / 27), (2, x - column * 223 / 27)):
            maps[group, k, row, column] = 1.0 / (1.0 + np.exp(-rest * 16.0 / 223.0))
    return maps.reshape(198, 28, 28)


def made(folder: Path, maps: np.ndarray, shape: tuple = ("B", 3, 224, 224)) -> OpenSeeFace:
    path = folder / "lm.onnx"
    save_net(path, {"output": (maps.ravel(), maps.shape)}, shape)
    return OpenSeeFace(replace(CARD, files={path.name: "any"}), weights=path, threads=1)


def test_points_come_back_from_their_maps() -> None:
    points, confidence = rng.uniform(0, 223, (66, 2)), rng.uniform(0.1, 1.0, 66)
    found, certain = decode_points(maps_of(points, confidence))
    np.testing.assert_allclose(found, points, atol=1e-9)
    np.testing.assert_allclose(certain, confidence)


def test_offsets_of_nought_and_one_stay_finite() -> None:
    maps = maps_of(np.full((66, 2), 100.0), np.ones(66))
    maps[66:132], maps[132:] = 0.0, 1.0
    found, _ = decode_points(maps)
    assert np.isfinite(found).all() and (np.diff(found, axis=1) < 0).all()  # down by much less than to the right


def test_landmarks_pose_and_confidence_in_the_image(tmp_path: Path) -> None:
    box = np.array([40.0, 30.0, 139.0, 149.0])
    rotation = rotation_from_euler([[25.0, -10.0, 8.0]], "300w-lp")[0]
    seen = project(mean_face("openseeface66"), rotation, np.array([0.0, 20.0, 900.0]), crop_camera(box))
    # the crop: 10 % of the width, 12.5 % of the height on each side, whole pixels
    x0, y0 = np.floor([40 - 9.9, 30 - 14.875])
    columns, rows = np.floor([139 + 9.9, 149 + 14.875]) - [x0, y0] + 1
    in_crop = (seen - [x0, y0] + 0.5) * [224 / columns, 224 / rows] - 0.5
    confidence = rng.uniform(0.1, 1.0, 66)
    model = made(tmp_path, maps_of(in_crop, confidence))
    faces = model.predict([np.zeros((200, 200, 3), np.uint8)] * 2, np.stack([box, [np.nan] * 4]))
    assert faces.scheme == "openseeface66"
    np.testing.assert_allclose(faces.landmarks[0], seen, atol=1e-3)
    np.testing.assert_allclose(faces.visibility[0], confidence, atol=1e-6)
    assert geodesic_deg(faces.rotation[0], rotation) < 0.01
    assert faces.failure[0] == "" and faces.failure[1] and np.isnan(faces.landmarks[1]).all()


def test_files_and_devices_that_do_not_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"output is \(90, 7, 7\) a face"):
        made(tmp_path, np.zeros((90, 7, 7)))
    with pytest.raises(InputError, match="takes .*112"):
        made(tmp_path, np.zeros((198, 28, 28)), ("B", 3, 112, 112))
    with pytest.raises(InputError, match="runs on the cpu only"):
        create_model("openseeface", weights=tmp_path, device="cuda")
    with pytest.raises(MissingDataError, match="expected sha256 43c9c58f"):
        create_model("openseeface", weights=tmp_path / "lm.onnx")
    monkeypatch.setenv("HPBENCH_CACHE", str(tmp_path))
    monkeypatch.delenv("HPBENCH_WEIGHTS", raising=False)
    with pytest.raises(MissingDataError, match=r"lm_model0_opt.onnx .*github.com/emilianavt/OpenSeeFace.*BSD-2-Clause"):
        create_model("openseeface")


# ------------------------------------------------------------------------------------------------------------------- real files


@pytest.fixture(scope="module")
def real_faces() -> tuple[list[np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Images, boxes (N, 4), labels (N, 68, 2), yaw, pitch, roll (N, 3)."""
    images, points, euler = [], [], []
    for path in sorted((REAL / "aflw2000" / "images").glob("*.mat")):
        labels = scipy.io.loadmat(path)
        images.append(cv2.imread(str(path.with_suffix(".jpg")))[..., ::-1].copy())
        points.append(labels["pt3d_68"][:2].T.astype(float))
        euler.append(np.rad2deg(labels["Pose_Para"][0, [1, 0, 2]].astype(float)))
    landmarks = np.array(points)
    return images, np.concatenate([landmarks.min(axis=1), landmarks.max(axis=1)], axis=1), landmarks, np.array(euler)


@needs_file
def test_real_faces(real_faces) -> None:
    images, boxes, labels, euler = real_faces
    model = create_model("openseeface", weights=REAL / "models" / "lm_model0_opt.onnx", arguments={"threads": 1})
    faces = model.predict(images, boxes)
    size = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
    mapped = map_landmarks(faces.landmarks, "openseeface66", "ibug68-fixed")
    nme = 100 * (np.linalg.norm(mapped - labels, axis=2).mean(axis=1) / size).mean()
    assert nme == pytest.approx(3.87, abs=0.1)
    error = np.abs(wrap_deg(euler_from_rotation(faces.rotation, "300w-lp") - euler)).mean(axis=0)
    np.testing.assert_allclose(error, [4.21, 5.22, 2.46], atol=0.2)
    # the mouth's corner is the outer one
    corner = faces.landmarks[:, [58, 62]]
    outer, inner = (np.linalg.norm(corner - labels[:, ids], axis=2).mean(axis=1) / size for ids in ([48, 54], [60, 64]))
    assert np.median(outer) < np.median(inner)
    assert np.shape(model.network_call(2)()) == (1, 2, 198, 28, 28)
    # what it is given alone is what it is given among others
    alone = model.predict(images[3:4], boxes[3:4])
    np.testing.assert_allclose(alone.landmarks[0], faces.landmarks[3], atol=1e-2)


@needs_file
def test_colours_matter_on_real_faces(real_faces) -> None:
    images, boxes, _, _ = real_faces
    model = create_model("openseeface", weights=REAL / "models" / "lm_model0_opt.onnx", arguments={"threads": 1})
    right, wrong = (model.predict(pictures, boxes).visibility.mean() for pictures in (images, [i[..., ::-1].copy() for i in images]))
    assert right > wrong


def test_the_scheme_is_the_68_points_but_two() -> None:
    kept = [points[0] for points in MAPS["ibug68-fixed", "openseeface66"]]
    assert sorted({*range(68)} - {*kept}) == [60, 64] and len(kept) == len(set(kept)) == SCHEMES["openseeface66"].n_points == 66
    assert kept[58] == 48 and kept[62] == 54
