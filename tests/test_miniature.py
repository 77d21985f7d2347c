"""The miniature has exactly the official format, and its labels mean what the official ones mean."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
from miniatures.aflw2000 import draw_aflw2000, draw_catalog, draw_one, miniature_ids

from hpbench.catalog import dataset_card, protocols_of, split_ids
from hpbench.geometry.mean_face import mean_face_68
from hpbench.geometry.rotations import euler_from_rotation, rotation_from_euler, wrap_deg

COUNT = 12
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "colour_blobs.py"

FORMAT = {
    "pt2d": ((2, 21), "<f8"),
    "Illum_Para": ((1, 10), "<f8"),
    "Color_Para": ((1, 7), "<f4"),
    "Tex_Para": ((199, 1), "<f8"),
    "Shape_Para": ((199, 1), "<f8"),
    "Exp_Para": ((29, 1), "<f8"),
    "Pose_Para": ((1, 7), "<f4"),
    "roi": ((1, 4), "<i2"),
    "pt3d_68": ((3, 68), "<f4"),
}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("miniature")
    draw_aflw2000(folder, COUNT, seed=5)
    return folder


def labels_of(path: Path) -> dict[str, np.ndarray]:
    return {key: value for key, value in scipy.io.loadmat(path).items() if not key.startswith("__")}


def test_files_keys_shapes_and_types(faces: Path) -> None:
    assert sorted(p.name for p in faces.iterdir()) == sorted(f"{i}.{end}" for i in miniature_ids(COUNT) for end in ("jpg", "mat"))
    for path in faces.glob("*.mat"):
        assert {key: (v.shape, v.dtype.str) for key, v in labels_of(path).items()} == FORMAT
        assert path.read_bytes().startswith(b"MATLAB 5.0 MAT-file")
        assert 2000 < path.stat().st_size < 6000  # compressed, as the official ones of 3.6 kB
        assert cv2.imread(str(path.with_suffix(".jpg"))).shape == (450, 450, 3)


def test_same_format_as_the_real_files(realdata: Path) -> None:
    for path in (realdata / "aflw2000" / "images").glob("*.mat"):
        # as MATLAB's own types: it stores an array of small whole numbers in bytes (Exp_Para of some faces is all zero)
        labels = scipy.io.loadmat(path, mat_dtype=True)
        assert {key: (v.shape, v.dtype.str) for key, v in labels.items() if not key.startswith("__")} == FORMAT


def test_derotating_the_points_recovers_the_mean_face(faces: Path) -> None:
    face = mean_face_68()
    for path in faces.glob("*.mat"):
        labels = labels_of(path)
        pose = labels["Pose_Para"][0].astype(float)
        rotation = rotation_from_euler(np.rad2deg(pose[[1, 0, 2]]), "300w-lp")
        points = labels["pt3d_68"].T * [1, 1, -1] - [pose[3], 451 - pose[4], pose[5]]  # z of the file is towards the camera
        np.testing.assert_allclose(points @ rotation / (1000 * pose[6]), face, atol=1e-3)


@pytest.mark.parametrize("size_deg", [10.0, 30.0])
def test_signs_seen_in_the_image(size_deg: float) -> None:
    def points(yaw: float, pitch: float, roll: float) -> np.ndarray:
        labels = draw_one(np.array([yaw, pitch, roll]), np.random.default_rng(0))[1]
        np.testing.assert_allclose(np.rad2deg(labels["Pose_Para"][0, :3]), [pitch, yaw, roll], rtol=1e-6)
        return labels["pt3d_68"].T.astype(float)

    def nose_from_eyes(p: np.ndarray) -> np.ndarray:
        return p[30] - p[[36, 45]].mean(axis=0)

    frontal = points(0, 0, 0)
    assert abs(nose_from_eyes(frontal)[0]) < 1e-3 and abs(frontal[36, 1] - frontal[45, 1]) < 1e-3
    assert nose_from_eyes(frontal)[2] > 0  # the nose is nearer to the camera, where z points
    left, right = (nose_from_eyes(points(yaw, 0, 0))[0] for yaw in (size_deg, -size_deg))
    assert left < -5 < 5 < right  # yaw +: nose to the image's left
    up, level, down = (nose_from_eyes(points(0, pitch, 0))[1] for pitch in (size_deg, 0, -size_deg))
    assert up < level - 5 < level + 2 < down  # pitch +: chin and nose go up
    assert np.diff(points(0, 0, size_deg)[[36, 45], 1]) > 10 > -10 > np.diff(points(0, 0, -size_deg)[[36, 45], 1])  # roll +: clockwise


def test_poses_cover_the_protocols_bins(faces: Path) -> None:
    euler = np.array([np.rad2deg(labels_of(p)["Pose_Para"][0, :3]) for p in faces.glob("*.mat")])
    assert (np.abs(euler) <= [30.01, 75.01, 40.01]).all()
    absolute = np.abs(euler[:, 1])
    assert (absolute < 30).any() and ((absolute > 30) & (absolute < 60)).any()
    assert len(set(np.sign(euler[:, 1]))) == 2


def test_hidden_points_are_minus_one(faces: Path) -> None:
    for path in faces.glob("*.mat"):
        labels = labels_of(path)
        yaw, missing = labels["Pose_Para"][0, 1], labels["pt2d"] == -1
        assert (missing[0] == missing[1]).all()
        seen = ~missing[0]
        box = labels["pt3d_68"][:2]
        assert (labels["pt2d"][:, seen] >= box.min(axis=1, keepdims=True) - 1e-3).all()
        if yaw > np.deg2rad(20):  # the nose to the left hides the subject's right ear
            assert missing[0, 12] and not missing[0, 16]


def test_the_drawing_agrees_with_its_labels(faces: Path) -> None:
    """White at the eyes, pink at the lips: the pixels around the points show what the points name."""
    for path in faces.glob("*.mat"):
        labels = labels_of(path)
        if abs(labels["Pose_Para"][0, 1]) > np.deg2rad(35):
            continue
        image = cv2.imread(str(path.with_suffix(".jpg")))[..., ::-1].astype(int)
        points = labels["pt3d_68"][:2].T
        for lip in (points[[50, 61]].mean(axis=0), points[[57, 66]].mean(axis=0)):
            r, g, b = image[tuple(np.rint(lip[::-1]).astype(int))]
            assert r > 120 and r - g > 60 and b > g, path.name
        for corner, other in ((36, 39), (45, 42)):
            x, y = np.rint(0.8 * points[corner] + 0.2 * points[other]).astype(int)
            assert image[y - 3 : y + 4, x - 3 : x + 4].min(axis=2).max() > 190, path.name


def test_same_seed_same_bytes(tmp_path: Path, faces: Path) -> None:
    draw_aflw2000(tmp_path / "again", COUNT, seed=5)
    for path in faces.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    draw_aflw2000(tmp_path / "other", 1, seed=6, ids=["image00050"])
    assert sorted(p.name for p in (tmp_path / "other").iterdir()) == ["image00050.jpg", "image00050.mat"]
    assert (tmp_path / "other" / "image00050.jpg").read_bytes() != (faces / "image00001.jpg").read_bytes()


def test_catalog_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_catalog(tmp_path, miniature_ids(COUNT))
    monkeypatch.setenv("HPBENCH_CATALOG", str(tmp_path))
    card = dataset_card("miniature")
    assert split_ids(card, "all") == miniature_ids(COUNT)
    landmarks, pose = protocols_of(card)
    assert (pose.main, landmarks.main) == ("mae(convention=300w-lp)", "nme(norm=sqrt_wh)")
    assert [s.up_to for s in pose.subsets] == [30.0, 60.0, 90.0]


def test_colour_blobs_beats_always_frontal(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("colour_blobs", EXAMPLE)
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    draw_aflw2000(tmp_path, 48, seed=1)
    images, boxes, euler = [], [], []
    for path in sorted(tmp_path.glob("*.mat")):
        labels = labels_of(path)
        points = labels["pt3d_68"][:2].T.astype(float)
        images.append(cv2.imread(str(path.with_suffix(".jpg")))[..., ::-1])
        boxes.append(np.concatenate([points.min(axis=0), points.max(axis=0)]))
        euler.append(np.rad2deg(labels["Pose_Para"][0, [1, 0, 2]].astype(float)))
    faces = example.ColourBlobs().predict(images, np.array(boxes))
    failed = np.isnan(faces.rotation).any(axis=(1, 2))
    assert [bool(reason) for reason in faces.failure] == failed.tolist()
    assert 0 < failed.sum() <= 6
    error = np.abs(wrap_deg(euler_from_rotation(faces.rotation, "300w-lp") - euler))
    charged = np.where(failed[:, None], 180.0, error)
    assert error[~failed].mean() < 6.0
    assert charged.mean() < np.abs(euler).mean() - 2.0
