"""Weights and the state of a training, written whole or not at all.

* ``best.safetensors``, ``last-<step>.safetensors``: weights, with the network's settings in the header.
* ``training.pt``: the optimiser and how far the training is, loaded as numbers only (nothing in it is run); it names its weights, and
  is replaced after they are written, so whatever is interrupted leaves a training that goes on.

Imports PyTorch: import this module inside functions.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ..atomic import atomic_path, write_atomic
from ..checked import build
from ..errors import InputError
from .network import Network, NetworkConfig

__all__ = ["BEST", "load_network", "load_training", "save_training", "save_weights"]

BEST = "best.safetensors"

_STATE, _KEY = "training.pt", "hpbench.mnn"


def save_weights(path: Path, network: Network) -> None:
    """Write the weights of a network, with its settings, as safetensors."""
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomic(path, save(tensors, metadata={_KEY: json.dumps(asdict(network.config), sort_keys=True)}))


def load_network(path: Path, device: Any = "cpu") -> Network:
    """The network of a weight file, in evaluation mode.

    Raises
    ------
    InputError
        No such file, or none of hpbench's.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            settings = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        network = Network(build(NetworkConfig, settings, f"{path}: its settings"))
        network.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: not weights of this network: another file, or truncated? ({str(error)[:100]})") from None
    return network.eval().to(device, memory_format=torch.channels_last)


def save_training(folder: Path, network: Network, optimiser: Any, progress: dict[str, Any], settings: dict[str, Any]) -> None:
    """Write weights, optimiser and progress (plain numbers, text, lists and dicts); older weights go."""
    weights = f"last-{progress['step']:07d}.safetensors"
    save_weights(folder / weights, network)
    with atomic_path(folder / _STATE) as temporary:
        torch.save({"weights": weights, "optimiser": optimiser.state_dict(), "progress": progress, "settings": settings}, temporary)
    for old in folder.glob("last-*.safetensors"):
        if old.name != weights:
            with suppress(OSError):
                old.unlink()


def load_training(folder: Path, network: Network, optimiser: Any, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Put a training's state into network and optimiser; its progress, or None where the folder has none.

    Raises
    ------
    InputError
        The training in the folder has other settings or other data, or its files are damaged.
    """
    from safetensors.torch import load_file

    path = folder / _STATE
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["settings"] != settings:
            different = sorted(k for k in settings | state["settings"] if settings.get(k) != state["settings"].get(k))
            raise InputError(
                f"{folder}: the training there has other settings ({', '.join(different)}): another --out, or the same settings."
            )
        network.load_state_dict(load_file(folder / state["weights"]))
        optimiser.load_state_dict(state["optimiser"])
    except InputError:
        raise
    except Exception as error:  # zip, pickle, tensors: half a dozen kinds for damaged files
        raise InputError(f"{path}: the training there cannot be read: damaged? ({str(error)[:100]})") from None
    progress: dict[str, Any] = state["progress"]
    return progress
