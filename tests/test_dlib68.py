"""dlib68: where its file comes from, what it refuses, and how well it does on real faces."""

from __future__ import annotations

import importlib.util
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
from miniatures.aflw2000 import draw_aflw2000

from hpbench.catalog import model_card_from, model_cards
from hpbench.errors import InputError, MissingDataError
from hpbench.geometry.rotations import euler_from_rotation, rotation_defect, wrap_deg
from hpbench.models.dlib68 import Dlib68, dlib_like_box
from hpbench.models.frontal import Frontal
from hpbench.models.weights import find_weights, missing_weights

BASELINES = Path(__file__).resolve().parents[1] / "baselines"
CARD = model_cards()["dlib68"]
((PREDICTOR_FILE, PREDICTOR_SHA256),) = CARD.files.items()

needs_dlib = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("dlib", "face_recognition_models")), reason="needs the extra [dlib]"
)


def read_aflw2000(folder: Path) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Images, boxes (N, 4), landmarks (N, 68, 2) and yaw, pitch, roll (N, 3) in degrees."""
    images, landmarks, euler = [], [], []
    for path in sorted(folder.glob("*.mat")):
        labels = scipy.io.loadmat(path)
        images.append(cv2.imread(str(path.with_suffix(".jpg")))[..., ::-1])
        landmarks.append(labels["pt3d_68"][:2].T.astype(float))
        euler.append(np.rad2deg(labels["Pose_Para"][0, [1, 0, 2]].astype(float)))
    points = np.array(landmarks)
    return images, np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1), points, np.array(euler)


@pytest.mark.parametrize(("name", "cls"), [("dlib68", Dlib68), ("frontal", Frontal)])
def test_card_names_the_class(name: str, cls: type) -> None:
    card = model_card_from(BASELINES / name / "card.toml")
    assert card.id == name == cls.name
    assert card.version == cls.version
    assert card.target == f"{cls.__module__}:{cls.__name__}"


def test_frontal_is_frontal() -> None:
    faces = Frontal().predict([np.zeros((4, 4, 3), np.uint8)] * 2, np.zeros((2, 4)))
    np.testing.assert_array_equal(faces.rotation, [np.eye(3)] * 2)


def test_without_dlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(MissingDataError, match=r"pip install 'hpbench\[dlib\]'"):
        Dlib68()


@needs_dlib
def test_missing_predictor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingDataError, match="no such file"):
        Dlib68(weights=tmp_path / "x.dat")
    monkeypatch.setenv("HPBENCH_CACHE", str(tmp_path))
    here = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "face_recognition_models" else here(name))
    with pytest.raises(MissingDataError, match=rf"{PREDICTOR_FILE} \(sha256 {PREDICTOR_SHA256}\).*excludes commercial use.*--weights"):
        Dlib68()


def test_package_is_not_imported_to_find_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "face_recognition_models"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('pkg_resources')")
    (package / "models" / PREDICTOR_FILE).touch()
    monkeypatch.setenv("HPBENCH_CACHE", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "face_recognition_models", raising=False)
    assert missing_weights(CARD.files, model_id=CARD.id, packages=CARD.packages) == []


@needs_dlib
def test_another_file_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "mine.dat"
    path.write_bytes(b"not a predictor")
    with pytest.raises(MissingDataError, match=f"expected sha256 {PREDICTOR_SHA256}"):
        Dlib68(weights=path)


@needs_dlib
def test_the_predictor_out_of_a_wheel(tmp_path: Path) -> None:
    (found,) = find_weights(list(CARD.files), list(CARD.files.values()), model_id=CARD.id, packages=CARD.packages)
    with zipfile.ZipFile(tmp_path / "models.whl", "w") as wheel:
        wheel.writestr(f"face_recognition_models/models/{PREDICTOR_FILE}", found.data)
    image, box = np.full((100, 100, 3), 127, np.uint8), np.array([[20.0, 20, 80, 80]])
    packed = Dlib68(weights=tmp_path / "models.whl", boxes="given")
    assert packed.weights_sha256 == PREDICTOR_SHA256
    np.testing.assert_array_equal(packed.predict([image], box).landmarks, Dlib68(boxes="given").predict([image], box).landmarks)


@needs_dlib
@pytest.mark.parametrize("arguments", [{"boxes": "haar"}, {"upsample": 9}, {"upsample": "many"}])
def test_unknown_arguments(arguments: dict) -> None:
    with pytest.raises(InputError, match=next(iter(arguments))):
        Dlib68(**arguments)


def test_dlib_like_box_is_a_square_a_tenth_higher() -> None:
    np.testing.assert_allclose(dlib_like_box([10.0, 20.0, 90.0, 120.0]), [0.0, 10.0, 100.0, 110.0])


@needs_dlib
def test_faces_that_are_not_there_fail_with_a_reason(tmp_path: Path) -> None:
    blank = np.full((200, 200, 3), 127, np.uint8)
    boxes = np.array([[50, 50, 150, 150], [500, 500, 600, 600], [np.nan] * 4, [50, 50, 50, 150]])
    faces = Dlib68(upsample=0).predict([blank] * 4, boxes)
    assert np.isnan(faces.rotation).all() and np.isnan(faces.landmarks).all()
    assert list(faces.failure) == ["dlib's HOG detector found no face at the given box"] * 2 + ["the given box is empty"] * 2


@needs_dlib
def test_given_boxes_give_every_face_landmarks(tmp_path: Path) -> None:
    draw_aflw2000(tmp_path, 2, seed=3)
    images, boxes, _, _ = read_aflw2000(tmp_path)
    faces = Dlib68(boxes="given").predict(images, boxes)
    assert faces.scheme == "ibug68-contour"
    assert np.isfinite(faces.landmarks).all() and (rotation_defect(faces.rotation) < 1e-9).all()
    np.testing.assert_array_equal(faces.landmarks, np.rint(faces.landmarks))
    # a shifted image has shifted landmarks and the same poses
    shifted = [np.pad(image, ((30, 0), (40, 0), (0, 0)), mode="edge") for image in images]
    moved = Dlib68(boxes="given").predict(shifted, boxes + [40, 30, 40, 30])
    np.testing.assert_array_equal(moved.landmarks, faces.landmarks + [40, 30])
    np.testing.assert_allclose(moved.rotation, faces.rotation, atol=1e-6)


@needs_dlib
def test_real_faces(realdata: Path) -> None:
    images, boxes, truth, euler = read_aflw2000(realdata / "aflw2000" / "images")
    faces = Dlib68().predict(images, boxes)
    found = np.isfinite(faces.landmarks).all(axis=(1, 2))
    assert 10 <= found.sum() < len(images)  # it misses the most turned ones
    assert [bool(reason) for reason in faces.failure] == (~found).tolist()
    size = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
    nme = 100.0 * np.linalg.norm(faces.landmarks - truth, axis=2).mean(axis=1) / size
    assert nme[found].mean() < 6.0
    error = np.abs(wrap_deg(euler_from_rotation(faces.rotation, "300w-lp") - euler))
    assert error[found].mean() < 8.0  # ten and more would be a wrong sign somewhere

    given = Dlib68(boxes="given").predict(images, boxes)
    assert np.isfinite(given.landmarks).all()
