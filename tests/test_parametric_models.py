"""3DDFA_V2 and SynergyNet on networks of their signature whose output is known: the pose that went in must come out."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from tiny_onnx import save_net

from hpbench.catalog import model_cards
from hpbench.errors import InputError, MissingDataError
from hpbench.geometry.rotations import euler_from_rotation, geodesic_deg
from hpbench.models.parametric import SynergyNet, Tddfa, pose_of_parameters
from hpbench.models.resolve import create_model

CARDS = model_cards()
IMAGE = np.zeros((80, 90, 3), np.uint8)
BOX = np.array([[20.0, 10.0, 60.0, 60.0]])
rng = np.random.default_rng(0)


def angles_of_300w_lp(pitch: float, yaw: float, roll: float) -> np.ndarray:
    """The matrix that 300W-LP makes of its angles (degrees), in the face model's frame: y up, z to the camera."""
    p, y, r = np.deg2rad([pitch, yaw, roll])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(r), np.sin(r), 0], [-np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


def parameters_of(rotation: np.ndarray, scale: float = 0.05, count: int = 62) -> np.ndarray:
    out = rng.normal(size=count)
    out[:12] = np.column_stack([scale * rotation, [60.0, 55.0, -3.0]]).ravel()
    return out


def made(name: str, folder: Path, parameters: np.ndarray, weights=None, shape=("B", 3, 120, 120), **arguments):
    """The model of a constant network that gives these parameters (or with `weights`, the mean of each input channel times those)."""
    network, moments = CARDS[name].files
    mean, std = rng.normal(size=parameters.size), rng.uniform(0.5, 2.0, parameters.size)
    out = ((parameters - mean) / std, (parameters.size,), *([] if weights is None else [weights / std]))
    save_net(folder / network, {"out": out}, shape)
    np.savez(folder / moments, mean=mean, std=std)
    return create_model(name, weights=folder, device="cpu", arguments={"threads": 1} | arguments)


@pytest.mark.parametrize(("name", "count"), [("3ddfa_v2", 62), ("synergynet", 62), ("synergynet", 102)])
@pytest.mark.parametrize("pose", [(0, 0, 0), (10, 0, 0), (0, 40, 0), (0, 0, 25), (-20, -65, 30)])
def test_the_pose_that_goes_in_comes_out(tmp_path: Path, name: str, count: int, pose: tuple[float, float, float]) -> None:
    pitch, yaw, roll = pose
    faces = made(name, tmp_path, parameters_of(angles_of_300w_lp(pitch, yaw, roll), count=count)).predict([IMAGE] * 3, BOX.repeat(3, 0))
    assert len(faces) == 3 and list(faces.failure) == [""] * 3
    np.testing.assert_allclose(euler_from_rotation(faces.rotation, "300w-lp"), [[yaw, pitch, roll]] * 3, atol=2e-2)


def test_rows_that_are_no_rotation_give_the_nearest_one() -> None:
    rotation = angles_of_300w_lp(12, -30, 8)
    noisy = np.column_stack([3.0 * rotation * [[1.1], [0.9], [7.0]], np.zeros(3)])
    turned = np.diag([1.0, -1.0, -1.0])
    found = pose_of_parameters(noisy.ravel()[None])
    assert geodesic_deg(found[0], turned @ rotation @ turned) < 1e-6  # neither unequal scales nor the third row matter
    nothing = np.zeros((3, 12))
    nothing[1, 0] = np.nan
    nothing[2, [0, 4]] = 1.0  # parallel rows
    assert np.isnan(pose_of_parameters(nothing)).all()


def tilt(name: str, folder: Path, image: np.ndarray, box: np.ndarray, channel: int, **arguments) -> float:
    """What a network sees as the mean of an input channel: its pose is rolled by the arc tangent of that."""
    parameters, weights = np.zeros(62), np.zeros((3, 62))
    parameters[[0, 5]] = 1.0
    weights[channel, 1], weights[channel, 4] = 1.0, -1.0
    model = made(name, folder, parameters, weights, **arguments)
    assert np.shape(model.network_call(5)()) == (1, 5, 62)  # the bare network
    rotation = model.predict([image], box[None]).rotation[0]
    # the frames are turned about x, so a roll changes its sign
    return float(-rotation[0, 1] / rotation[0, 0])


@pytest.mark.parametrize("name", ["3ddfa_v2", "synergynet"])
def test_colours_are_blue_green_red_and_scaled(tmp_path: Path, name: str) -> None:
    image = np.empty((100, 100, 3), np.uint8)
    image[:] = (200, 90, 30)  # red, green, blue
    for channel, value in enumerate((30, 90, 200)):
        assert tilt(name, tmp_path, image, np.array([40.0, 40, 60, 60]), channel) == pytest.approx((value - 127.5) / 128, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "arguments", "centre"),
    [
        ("3ddfa_v2", {}, (90.0, 80.0)),
        ("3ddfa_v2", {"boxes": "detector"}, (90.0, 80.0 + 0.14 * 45)),
        ("synergynet", {}, (90.0, 80.0)),
    ],
)
def test_the_window_is_where_the_authors_cut(tmp_path: Path, name: str, arguments: dict, centre: tuple[float, float]) -> None:
    ramp = np.empty((160, 180, 3), np.uint8)
    ramp[..., 2], ramp[..., 1], ramp[..., 0] = np.arange(180), np.arange(160)[:, None], 0
    box = np.array([70.0, 55.0, 110.0, 105.0])  # 40 x 50 about (90, 80)
    for channel, expected in enumerate(centre):
        mean = 128 * tilt(name, tmp_path, ramp, box, channel, **arguments) + 127.5
        assert mean == pytest.approx(expected - 0.5, abs=0.6)  # pixels from a to b - 1, whole ones


def test_window_sizes() -> None:
    box = np.array([70.0, 55.0, 110.0, 105.0])
    tddfa, synergy = object.__new__(Tddfa), object.__new__(SynergyNet)
    tddfa._of_landmarks = True
    np.testing.assert_allclose(tddfa.window_xyxy_px(box), [90 - 35.3553, 80 - 35.3553, 90 + 35.3553, 80 + 35.3553], atol=1e-3)
    tddfa._of_landmarks = False
    np.testing.assert_allclose(tddfa.window_xyxy_px(box), [54.5, 50.8, 125.5, 121.8])  # int(1.58 * 45) = 71, 6.3 lower
    np.testing.assert_allclose(synergy.window_xyxy_px(box), [60.0, 50.0, 120.0, 110.0])


def test_bad_boxes_fail_their_faces_alone(tmp_path: Path) -> None:
    model = made("synergynet", tmp_path, parameters_of(np.eye(3)))
    boxes = np.array([[20.0, 10, 60, 60], [np.nan, 0, 1, 1], [30.0, 30, 30, 40], [500.0, 500, 600, 600]])
    faces = model.predict([IMAGE] * 4, boxes)
    assert [bool(f) for f in faces.failure] == [False, True, True, True]
    assert np.isfinite(faces.rotation[0]).all() and np.isnan(faces.rotation[1:]).all()
    assert "outside the image" in faces.failure[3]
    everyone = model.predict([IMAGE], boxes[1:2])
    assert np.isnan(everyone.rotation).all()


def test_a_fixed_batch_and_the_hash_of_both_files(tmp_path: Path) -> None:
    model = made("3ddfa_v2", tmp_path, parameters_of(np.eye(3)), shape=(1, 3, 120, 120))
    assert len(model.predict([IMAGE] * 5, BOX.repeat(5, 0))) == 5
    digests = [hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in CARDS["3ddfa_v2"].files]
    assert model.weights_sha256 == hashlib.sha256("".join(digests).encode()).hexdigest()
    assert model.trained_on == ("300w-lp",) and model.device == "cpu"


# ---------------------------------------------------------------------------------------------------------------- what is refused


def test_other_networks_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gives .100,. values a face where 3ddfa_v2 has 62 parameters"):
        made("3ddfa_v2", tmp_path, parameters_of(np.eye(3), count=100))
    with pytest.raises(InputError, match="takes .*112"):
        made("3ddfa_v2", tmp_path, parameters_of(np.eye(3)), shape=("B", 3, 112, 112))
    with pytest.raises(InputError, match="boxes must be 'landmarks' or 'detector', got 'mine'"):
        made("3ddfa_v2", tmp_path, parameters_of(np.eye(3)), boxes="mine")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"mean": np.zeros(62)}, "there is no 'std' in it"),
        ({"mean": np.zeros(12), "std": np.ones(12)}, "it has 12 and 12 values"),
        ({"mean": np.zeros(62), "std": np.zeros(62)}, "std not positive"),
        ({"mean": np.full(62, np.nan), "std": np.ones(62)}, "not finite"),
        ({"mean": np.array([{}], dtype=object), "std": np.ones(62)}, "README has the command"),
        (pickle.dumps({"mean": [0.0], "std": [1.0]}), "README has the command"),
        (b"PK\x03\x04 damaged", "README has the command"),
        ({"mean": np.zeros(10**6), "std": np.ones(62)}, "bytes"),
    ],
)
def test_moments_that_are_none(tmp_path: Path, content: object, says: str) -> None:
    made("synergynet", tmp_path, parameters_of(np.eye(3)))
    path = tmp_path / "synergynet_moments.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    with pytest.raises(InputError, match=says) as caught:
        create_model("synergynet", weights=tmp_path, device="cpu")
    assert "synergynet_moments.npz" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["3ddfa_v2", "synergynet"])
def test_missing_files_are_told_with_the_way_to_them(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingDataError) as caught:
        create_model(name, weights=tmp_path)
    for part in (*CARDS[name].files, "README", "licence", "--weights"):
        assert part in str(caught.value)
