"""Small MNN weights, as a training writes them, and heads to try them on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hpbench
from hpbench.mnn.config import NetworkConfig

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from hpbench.mnn.checkpoint import save_weights  # noqa: E402
from hpbench.mnn.network import Network  # noqa: E402

TINY = NetworkConfig(input_px=16, widths=(8, 16))


def lively(config: NetworkConfig = TINY, seed: int = 0) -> Network:
    """A network in use whose batch normalisation has seen something."""
    torch.manual_seed(seed)
    network = Network(config).train()
    for _ in range(3):
        network(torch.rand(4, 3, config.input_px, config.input_px))
    return network.eval()


def weights_in(folder: Path, config: NetworkConfig = TINY, name: str = "best.safetensors", seed: int = 0) -> Path:
    """A file of weights."""
    save_weights(folder / name, lively(config, seed))
    return folder / name


def some_heads(count: int) -> tuple[list[Any], Any]:
    """Pictures and boxes of the first test heads."""
    dataset = hpbench.load("heads")
    samples = list(dataset.samples_of(sorted(dataset.found_ids("test"))[:count], dataset.box_set("")))
    return [s.image.read() for s in samples], np.array([s.box_xyxy_px for s in samples])


def rewritten(path: Path, change: Callable[[dict[str, Any], dict[str, str]], None]) -> Path:
    """The weights with tensors and header texts changed in place by `change`."""
    from safetensors.torch import load, save

    from hpbench.mnn.checkpoint import metadata_of

    data = path.read_bytes()
    tensors, texts = load(data), metadata_of(data)
    change(tensors, texts)
    path.write_bytes(save(tensors, metadata=texts))
    return path


def settings_changed(**settings: Any) -> Callable[[dict[str, Any], dict[str, str]], None]:
    """A change of the network's settings in the header."""

    def change(tensors: dict[str, Any], texts: dict[str, str]) -> None:
        texts["hpbench.mnn"] = json.dumps(json.loads(texts["hpbench.mnn"]) | settings)

    return change
