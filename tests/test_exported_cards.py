"""Cards of networks that everybody exports for himself: the README's own script, run on a network whose answer is known."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from miniatures.aflw2000 import draw_aflw2000
from small_study import command
from tiny_onnx import save_net

from hpbench.catalog import dataset_card, model_cards, split_ids
from hpbench.errors import InputError
from hpbench.geometry.rotations import rotation_from_euler
from hpbench.models.crop import crop_face
from hpbench.models.onnx_card import OnnxCardModel, read_onnx_spec
from hpbench.predictions import read_predictions

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

YAW, PITCH, ROLL = 33.0, -12.0, 18.0
IDS = split_ids(dataset_card("aflw2000"), "all")[:3]

# Stand-ins for the authors' code: the same names and signatures, one convolution and a constant answer.
SIXDREPNET = """
import torch
from torch import nn
class SixDRepNet(nn.Module):
    def __init__(self, backbone_name, backbone_file, deploy, pretrained=True):
        super().__init__()
        assert (backbone_name, backbone_file, deploy, pretrained) == ("RepVGG-B1g2", "", True, False)
        self.first, self.linear_reg = nn.Conv2d(3, 4, 3, stride=32), nn.Linear(4, 6)
    def forward(self, x):
        six = self.linear_reg(self.first(x).mean((2, 3)))
        x = nn.functional.normalize(six[:, :3])
        z = nn.functional.normalize(torch.linalg.cross(x, six[:, 3:]))
        return torch.stack((x, torch.linalg.cross(z, x), z), 2)
"""
HOPENET = """
from torch import nn
class Hopenet(nn.Module):
    def __init__(self, block, layers, num_bins):
        super().__init__()
        assert (block, layers, num_bins) == ("bottleneck", [3, 4, 6, 3], 66)
        self.first = nn.Conv2d(3, 4, 3, stride=32)
        self.fc_yaw, self.fc_pitch, self.fc_roll = (nn.Linear(4, 66) for _ in range(3))
    def forward(self, x):
        x = self.first(x).mean((2, 3))
        return self.fc_yaw(x), self.fc_pitch(x), self.fc_roll(x)
"""


def constant(network, biases):
    """The state of a network whose last layers answer their bias, whatever they see."""
    state = network.state_dict()
    for layer, bias in biases.items():
        state[f"{layer}.weight"] = torch.zeros_like(state[f"{layer}.weight"])
        state[f"{layer}.bias"] = torch.tensor(np.asarray(bias), dtype=torch.float32)
    return state


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def six_numbers() -> np.ndarray:
    # Rz(roll) Ry(yaw) Rx(pitch): what 6DRepNet's labels are made by; `6drepnet` has pitch with the other sign
    matrix = rotation_from_euler([YAW, -PITCH, ROLL], "6drepnet")
    return np.concatenate([2.0 * matrix[:, 0], 0.5 * matrix[:, 1] + matrix[:, 0]])


def logits(angle: float) -> np.ndarray:
    bins = np.full(66, -50.0)
    bins[round((angle + 99.0) / 3.0)] = 0.0
    return bins


def make_6drepnet(folder: Path) -> None:
    write(folder / "sixdrepnet/__init__.py", "")
    write(folder / "sixdrepnet/model.py", SIXDREPNET)
    names: dict = {}
    exec(SIXDREPNET, names)
    network = names["SixDRepNet"]("RepVGG-B1g2", "", True, False)
    torch.save({"model_state_dict": constant(network, {"linear_reg": six_numbers()})}, folder / "6DRepNet_300W_LP_AFLW2000.pth")


def make_hopenet(folder: Path) -> None:
    write(folder / "hopenet.py", HOPENET)
    write(folder / "torchvision/__init__.py", "from . import models")
    write(folder / "torchvision/models/__init__.py", "from . import resnet")
    write(folder / "torchvision/models/resnet.py", "Bottleneck = 'bottleneck'")
    names: dict = {}
    exec(HOPENET, names)
    biases = {f"fc_{name}": logits(angle) for name, angle in (("yaw", YAW), ("pitch", PITCH), ("roll", ROLL))}
    torch.save(constant(names["Hopenet"]("bottleneck", [3, 4, 6, 3], 66), biases), folder / "hopenet_robust_alpha1.pkl")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aflw2000") / "AFLW2000"
    draw_aflw2000(folder, count=len(IDS), seed=1, ids=IDS)
    return folder


@pytest.mark.parametrize(("name", "make"), [("6drepnet", make_6drepnet), ("hopenet", make_hopenet)])
def test_the_readme_s_script_makes_a_file_that_the_card_reads(name, make, faces, tmp_path, monkeypatch, capsys) -> None:
    make(tmp_path)
    card = model_cards()[name]
    (script,) = re.findall(r"```python\n(.*?)```", (card.folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    try:
        exec(script, {"__name__": "__main__"})
    finally:
        for module in set(sys.modules) - before:
            if module.partition(".")[0] in ("sixdrepnet", "hopenet", "torchvision"):
                del sys.modules[module]
    (file,) = tmp_path.glob("*.onnx")  # one file, nothing beside it
    assert file.name == card.onnx["file"]

    code, _, told = command(capsys, "run", "-m", name, "-d", "aflw2000", "--data", faces, "--weights", file, "-o", tmp_path / "out")
    assert code == 0, told
    predicted = read_predictions(tmp_path / "out" / "predictions.h5").faces
    assert predicted.convention == "300w-lp"
    np.testing.assert_allclose(predicted.euler_deg, [[YAW, PITCH, ROLL]] * len(IDS), atol=1e-3)
    # the card takes any file: the record says which
    record = json.loads((tmp_path / "out" / "aflw2000.pose-1969@1.json").read_text())
    assert record["model"]["weights_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert record["model"]["name"] == name


@pytest.mark.parametrize(
    ("name", "net", "shape", "words"),
    [
        ("6drepnet", {"output": (np.eye(3), (3, 3))}, ("B", 3, 224, 224), "has no output 'rotation'"),
        ("6drepnet", {"rotation": (np.ones(6), (6,))}, ("B", 3, 224, 224), "6 values a face, but rotation takes 9"),
        ("6drepnet", {"rotation": (np.eye(3), (3, 3))}, ("B", 3, 256, 256), "check size_px"),
        ("6drepnet", {"rotation": (np.eye(3), (3, 3))}, ("B", 224, 224, 3), "the other layout"),
        ("6drepnet", {"rotation": (2 * np.eye(3), (3, 3))}, ("B", 3, 224, 224), "no rotation matrices"),
        ("hopenet", {a: (np.zeros(62), (62,)) for a in ("yaw", "pitch", "roll")}, ("B", 3, 224, 224), "62 values a face, but euler_bins"),
        ("hopenet", {a: (np.zeros(66), (66,)) for a in ("yaw", "pitch")}, ("B", 3, 224, 224), "has no output 'roll'"),
    ],
)  # fmt: skip
def test_another_network_is_one_sentence(name: str, net: dict, shape: tuple, words: str, tmp_path: Path) -> None:
    save_net(tmp_path / "net.onnx", net, shape)
    with pytest.raises(InputError, match=words) as caught:
        model = OnnxCardModel(model_cards()[name], weights=tmp_path / "net.onnx", threads=1)
        model.predict([np.zeros((40, 40, 3), np.uint8)], np.array([[10.0, 10, 30, 30]]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "kept"), [("6drepnet", 224 / 256), ("hopenet", 1.0)])
@pytest.mark.parametrize("box", [(100.0, 120.0, 220.0, 250.0), (150.0, 60.0, 300.0, 170.0)])
def test_the_card_cuts_the_authors_test_crop(name: str, kept: float, box: tuple[float, ...]) -> None:
    # their arithmetic, with its reuse of the enlarged width and height
    x0, y0, x1, y1 = box
    x0 -= 0.4 * (x1 - x0)
    y0 -= 0.4 * (y1 - y0)
    x1 += 0.4 * (x1 - x0)
    y1 += 0.12 * (y1 - y0)
    side = kept * min(x1 - x0, y1 - y0)
    corner = (x0 + x1 - side) / 2.0, (y0 + y1 - side) / 2.0
    spec, _ = read_onnx_spec(model_cards()[name])
    crop = crop_face(np.zeros((400, 450, 3), np.uint8), box, spec.crop, spec.input.size_px)
    cut = crop.to_image([[-0.5, -0.5], [223.5, 223.5]]) + 0.5
    np.testing.assert_allclose(cut[0], corner, atol=1.0)
    np.testing.assert_allclose(cut[1] - cut[0], side, atol=1.0)


@pytest.mark.parametrize("name", ["6drepnet", "hopenet"])
def test_without_weights_one_sentence_says_how(name: str, faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, told = command(capsys, "run", "-m", name, "-d", "aflw2000", "--data", faces, "-o", tmp_path / "out")
    assert (code, out, told.count("\n")) == (3, "", 1)
    for words in ("weights missing", model_cards()[name].onnx["file"], "README.md", "licence: code", "--weights"):
        assert words in told
