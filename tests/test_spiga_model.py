"""SPIGA: its angles, its crop and its camera, on a stand-in for the package whose network has known answers; and on the package itself."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hpbench.catalog import model_cards
from hpbench.errors import InputError, MissingDataError
from hpbench.geometry.mean_face import mean_face
from hpbench.geometry.rotations import geodesic_deg
from hpbench.models.resolve import create_model
from hpbench.models.spiga import VARIANTS, Spiga, cut_face

torch = pytest.importorskip("torch")
PIL_Image = pytest.importorskip("PIL.Image")

CARD = model_cards()["spiga"]
POSE = (20.0, -10.0, 5.0)
BOX = np.array([[30.0, 40.0, 90.0, 120.0]])
IMAGE = np.random.default_rng(3).integers(0, 256, (150, 130, 3), dtype=np.uint8)

# The package's class by name and signature: it answers the pose of its weights, and projects the 3D model it is given from 4 units away.
NETWORK = """
import torch
from torch import nn
class SPIGA(nn.Module):
    def __init__(self, num_landmarks=98, num_edges=15, steps=3, **kwargs):
        super().__init__()
        assert (num_landmarks, num_edges) in ((68, 13), (98, 15))
        self.pose, self.seen = nn.Parameter(torch.zeros(6)), nn.Parameter(torch.zeros(num_landmarks, 3))
    def forward(self, data):
        images, model3d, camera = data
        assert images.shape[1:] == (3, 256, 256) and images.dtype == torch.float32
        x = torch.stack((-model3d[..., 1], model3d[..., 2], 4.0 - model3d[..., 0]), 2) @ camera.transpose(1, 2)
        self.images = images
        return {"Landmarks": [None, x[..., :2] / x[..., 2:] / 64.0], "Pose": self.pose.expand(len(images), 6)}
"""


def forget() -> dict:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "spiga"}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of the name, with the mean face of hpbench in the package's axes (x right, y up, z to the viewer) and order of rows."""
    home = tmp_path / "site" / "spiga"
    (home / "models").mkdir(parents=True)
    (home / "__init__.py").touch()
    (home / "models/__init__.py").touch()
    (home / "models/spiga.py").write_text(NETWORK)
    for variant, how in VARIANTS.items():
        ids = list(range(500, 500 - how.n_points, -1))
        rows = [f"{n}|{x}|{-y}|{-z}" for n, (x, y, z) in zip(ids, mean_face(how.scheme) / 100.0, strict=True)]
        (home / f"data/annotations/{variant}").mkdir(parents=True)
        (home / f"data/annotations/{variant}/db_info.json").write_text(json.dumps({"ldm_ids": ids}))
        (home / "data/models3D").mkdir(exist_ok=True)
        (home / f"data/models3D/mean_face_3D_{how.n_points}.txt").write_text("\n".join(sorted(rows)))
    real = forget()
    monkeypatch.syspath_prepend(home.parent)
    yield home
    forget()
    sys.modules.update(real)


def save(folder: Path, variant: str = "300wpublic", pose=(*POSE, 0, 0, 0), **more) -> Path:
    path = folder / f"spiga_{variant}.pt"
    state = {"pose": torch.tensor(pose, dtype=torch.float32), "seen": torch.zeros(VARIANTS[variant].n_points, 3)}
    torch.save(state | more, path)
    return path


def stated_rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Head to camera by the package's formula: its 3D model's axes point to the viewer, the image's left, and down."""
    turn = [Rotation.from_euler(axis, angle, degrees=True) for axis, angle in (("Y", 90 - yaw), ("Z", -pitch), ("X", -roll - 90))]
    ours_to_its = np.array([[0.0, 0, -1], [-1, 0, 0], [0, 1, 0]])
    return (turn[0] * turn[1] * turn[2]).as_matrix() @ ours_to_its


@pytest.mark.parametrize("angles", [(0, 0, 0), (20, -10, 5), (-70, 35, -40), (85, 60, 120)])
def test_the_angles_mean_the_package_s_rotation(angles, package: Path, tmp_path: Path) -> None:
    faces = Spiga(weights=save(tmp_path, pose=(*angles, 0, 0, 0)), device="cpu").predict([IMAGE], BOX)
    assert geodesic_deg(faces.rotation[0], stated_rotation(*angles)) < 1e-4
    assert faces.convention == "yxz"
    np.testing.assert_allclose(faces.euler_deg[0], [-angles[0], angles[1], angles[2]], atol=1e-5)


def test_the_formula_is_the_package_s() -> None:
    proj = pytest.importorskip("spiga.models.gnn.pose_proj")
    angles = np.random.default_rng(1).uniform(-80, 80, (20, 3))
    theirs = proj.euler_to_rotation_matrix(torch.tensor(angles)).double().numpy() @ [[0.0, 0, -1], [-1, 0, 0], [0, 1, 0]]
    assert geodesic_deg(theirs, np.stack([stated_rotation(*row) for row in angles])).max() < 1e-3


@pytest.mark.parametrize("variant", VARIANTS)
def test_camera_model_and_way_back(variant: str, package: Path, tmp_path: Path) -> None:
    how = VARIANTS[variant]
    model = Spiga(weights=save(tmp_path, variant), device="cpu", variant=variant)
    (points,) = model.predict([IMAGE], BOX).landmarks
    # the mean face four units before a camera of focal length 1.5 pictures, in the square of 1.6 longer sides around the box
    face = mean_face(how.scheme) / 100.0 + [0, 0, 4.0]
    side = 1.6 * 80.0
    np.testing.assert_allclose(points, face[:, :2] / face[:, 2:] * 1.5 * side + [60.0, 80.0], atol=1e-3)
    assert model.trained_on == how.trained_on and model.predict([IMAGE], BOX).scheme == how.scheme


def test_the_crop_is_the_package_s() -> None:
    for box in (BOX[0], np.array([-30.25, 20.5, 40.75, 130.1]), np.array([3.1, 4.2, 5.9, 8.0])):
        side = 1.6 * (box[2:] - box[:2]).max()
        x, y = (box[:2] + box[2:]) / 2 - side / 2  # as Image.transform wants it: from the crop to the picture
        theirs = PIL_Image.fromarray(IMAGE).transform((256, 256), PIL_Image.Transform.AFFINE, (side / 256, 0, x, 0, side / 256, y))
        different = (cut_face(IMAGE, box) != np.asarray(theirs)).any(axis=2)
        assert different.mean() < 0.01  # Pillow adds up where we multiply: a pixel on the edge may fall to the other side


def test_the_network_sees_bgr_divided_by_255(package: Path, tmp_path: Path) -> None:
    model = Spiga(weights=save(tmp_path), device="cpu")
    model.predict([IMAGE], BOX)
    seen = model._network.images[0].numpy().transpose(1, 2, 0)[..., ::-1] * 255.0
    np.testing.assert_allclose(seen, cut_face(IMAGE, BOX[0]), atol=1e-3)


def test_failures_are_rows(package: Path, tmp_path: Path) -> None:
    model = create_model("spiga", weights=save(tmp_path), device="cpu")
    boxes = np.array([BOX[0], [np.nan] * 4, [500, 500, 560, 560], [9, 9, 9, 20]])
    faces = model.predict([IMAGE] * 4, boxes)
    assert [bool(reason) for reason in faces.failure] == [False, True, True, True]
    assert np.isfinite(faces.landmarks[0]).all() and np.isnan(faces.landmarks[1:]).all() and np.isnan(faces.euler_deg[1:]).all()
    assert model.weights_sha256 == hashlib.sha256((tmp_path / "spiga_300wpublic.pt").read_bytes()).hexdigest()
    assert (model.name, model.version, model.device) == ("spiga", CARD.version, "cpu")
    broken = Spiga(weights=save(tmp_path, pose=[np.nan] * 6), device="cpu").predict([IMAGE], BOX)
    assert broken.failure[0] == "the model's output is not finite" and np.isnan(broken.landmarks).all()


class Run:
    def __reduce__(self):
        return (print, ("code from a file was run",))


def test_wrong_weights_and_arguments(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="not SPIGA's weights of wflw: --model-arg variant= another"):
        Spiga(weights=save(tmp_path), variant="wflw", device="cpu")
    for content in ({"pose": torch.zeros(6)}, [1, 2], torch.zeros(3)):
        torch.save(content, tmp_path / "x.pt")
        with pytest.raises(InputError, match="not SPIGA's weights of 300wpublic"):
            Spiga(weights=tmp_path / "x.pt", device="cpu")
    torch.save({"pose": Run()}, tmp_path / "x.pt")
    with pytest.raises(InputError, match="no tensors saved by PyTorch") as caught:
        Spiga(weights=tmp_path / "x.pt", device="cpu")
    assert "\n" not in str(caught.value) and "was run" not in capsys.readouterr().out
    with pytest.raises(InputError, match="unknown variant 'wflv': did you mean 'wflw'"):
        Spiga(variant="wflv")
    with pytest.raises(InputError, match="unknown device 'tpu'"):
        Spiga(weights=save(tmp_path), device="tpu")
    with pytest.raises(MissingDataError, match=r"spiga_merlrav\.pt.*huggingface"):
        Spiga(variant="merlrav", device="cpu")


def test_without_the_package_or_its_mean_face(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(package / "data/models3D")
    with pytest.raises(MissingDataError, match="no such mean face"):
        Spiga(weights=save(tmp_path), device="cpu")
    (package / "models/spiga.py").write_text("")
    forget()
    importlib.invalidate_caches()
    with pytest.raises(MissingDataError, match="has no network of ours"):
        Spiga(weights=save(tmp_path), device="cpu")
    here = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "spiga" else here(name))
    with pytest.raises(MissingDataError, match=r"pip install --no-deps 'spiga==0\.0\.6'"):
        Spiga()


def test_the_real_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("spiga.models.spiga")
    torch.manual_seed(0)
    network = module.SPIGA(num_landmarks=68, num_edges=13)
    torch.save(network.state_dict(), tmp_path / "spiga_300wpublic.pt")
    model = Spiga(weights=tmp_path, device="cpu")
    one, two = model.predict([IMAGE], BOX), model.predict([IMAGE[::-1], IMAGE], np.repeat(BOX, 2, axis=0))
    assert one.landmarks.shape == (1, 68, 2) and list(one.failure) == [""]
    np.testing.assert_allclose(two.landmarks[1], one.landmarks[0], atol=1e-2)
    np.testing.assert_allclose(two.euler_deg[1], one.euler_deg[0], atol=1e-3)
    # a direct call of the network, camera and 3D model as the package makes them
    loader = [line.split("|") for line in (Path(module.__file__).parents[1] / "data/models3D/mean_face_3D_68.txt").read_text().split()]
    ids = json.loads((Path(module.__file__).parents[1] / "data/annotations/300wpublic/db_info.json").read_text())["ldm_ids"]
    world = np.zeros((68, 3))
    for number, x, y, z in loader:
        world[ids.index(int(number))] = float(z), -float(x), -float(y)
    crop = cut_face(IMAGE, BOX[0])[..., ::-1].transpose(2, 0, 1)[None] / 255.0
    camera = [[[96.0, 0, 32], [0, 96, 32], [0, 0, 1]]]
    with torch.inference_mode():
        out = network.eval()([torch.tensor(np.array(value), dtype=torch.float32) for value in (crop, world[None], camera)])
    expected = (out["Landmarks"][-1][0].numpy() * 256 - 128) / (256 / 128.0) + [60, 80]
    np.testing.assert_allclose(one.landmarks[0], expected, atol=1e-2)
    np.testing.assert_allclose(one.euler_deg[0], out["Pose"][0, :3].numpy() * [-1, 1, 1], atol=1e-4)
