"""Weights: ONNX files and their cards, safetensors, checkpoints, archives."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from hpbench.catalog import model_card_from
from hpbench.models.onnx_card import OnnxCardModel, read_onnx_spec
from hpbench.models.weights import ANY, WeightFile, find_weights

from .mutations import toml_text
from .prepared import Prepared, from_path

__all__ = ["network", "onnx_card", "onnx_file", "training", "trees", "weights_archive"]

_TABLE = {
    "id": "net",
    "title": "A net",
    "onnx": {
        "file": "net.onnx",
        "sha256": ANY,
        "input": {"size_px": [12, 10], "layout": "NHWC", "colour": "RGB", "scale": 0.5, "mean": [0.5], "std": [1.0]},
        "crop": {"margin": 0.3, "shape": "square", "border": "constant"},
        "outputs": [{"kind": "euler", "order": ["yaw", "pitch", "roll"], "convention": "300w-lp"}],
    },
}


def onnx_card(folder: Path) -> Prepared:
    def read(path: Path) -> None:
        read_onnx_spec(model_card_from(path))

    return Prepared([toml_text(_TABLE).encode()], from_path(folder / "card.toml", read))


def onnx_file(folder: Path) -> Prepared:
    """A network that is loaded is run on a face."""
    import numpy as np
    from tiny_onnx import save_net

    save_net(folder / "net.onnx", {"euler": ([10.0, 20.0, 30.0], (3,))})
    save_net(folder / "fixed.onnx", {"euler": ([1.0, 2.0, 3.0], (3,))}, shape=(2, 10, 12, 3))
    (folder / "card.toml").write_text(toml_text(_TABLE))
    card = model_card_from(folder / "card.toml")
    image, box = np.full((40, 50, 3), 100, np.uint8), np.array([[5.0, 6.0, 34.0, 29.0]])

    def read(path: Path) -> None:
        OnnxCardModel(card, threads=1).predict([image], box)

    return Prepared([(folder / n).read_bytes() for n in ("net.onnx", "fixed.onnx")], from_path(folder / "net.onnx", read))


def network(folder: Path) -> Prepared:
    from tiny_mnn import weights_in

    from hpbench.mnn.checkpoint import network_of, training_facts
    from hpbench.mnn.packing import curve_of

    def read(data: bytes) -> None:
        network_of(data, "best.safetensors")
        training_facts(data, "best.safetensors")
        curve_of(data)

    return Prepared([weights_in(folder).read_bytes()], read)


def trees(folder: Path) -> Prepared:
    from chance_trees import chance_cascade

    from hpbench.mnn.or_file import load_cascade, load_notes, save_cascade

    path = folder / "trees.safetensors"
    save_cascade(path, chance_cascade(0), trained_on=["cofw:train"])
    return Prepared([path.read_bytes()], lambda data: (load_cascade(data), load_notes(data)))


def training(folder: Path) -> Prepared:
    import torch
    from tiny_mnn import TINY, lively

    from hpbench.mnn.checkpoint import load_training, save_training
    from hpbench.mnn.losses import TASKS

    net = lively(TINY)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    settings = {"data": "x", "epochs": 3}
    progress = {"step": 3, "learning_rate": 0.1, "best": None, "waited": 0, "sums": [0.0] * len(TASKS), "history": []}
    save_training(folder, net, optimiser, progress, settings)
    path = folder / "training.pt"
    return Prepared([path.read_bytes()], from_path(path, lambda _: load_training(folder, net, optimiser, settings)))


def weights_archive(folder: Path) -> Prepared:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pkg/a.dat", b"weights" * 30)
        archive.writestr("pkg/b.dat", b"more")

    def read(path: Path) -> list[WeightFile]:
        return find_weights(["a.dat", "b.dat"], [ANY, ANY], model_id="net", weights=path)

    return Prepared([out.getvalue()], from_path(folder / "pkg.whl", read))
