"""Weights and the state of a training, written whole or not at all.

* ``best.safetensors``, ``last-<step>.safetensors``: weights, with the network's settings in the header, and in those of ``best`` what
  they were trained on.
* ``training.pt``: the optimiser and how far the training is, loaded as numbers only (nothing in it is run); it names its weights, and
  is replaced after they are written, so whatever is interrupted leaves a training that goes on.

Imports PyTorch: import this module inside functions.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from ..atomic import atomic_path, write_atomic
from ..checked import build
from ..errors import InputError
from .losses import TASKS
from .network import Network, NetworkConfig

__all__ = [
    "BEST",
    "FACTS_KEY",
    "check_writable",
    "load_network",
    "load_training",
    "metadata_of",
    "network_of",
    "save_training",
    "save_weights",
    "start",
    "training_facts",
    "weight_bytes",
]

BEST = "best.safetensors"

FACTS_KEY = "hpbench.mnn.training"

_STATE, _KEY = "training.pt", "hpbench.mnn"
_KINDS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_writable(folder: Path) -> None:
    """`InputError` where no file can be written into a folder, or the folder not be made; nothing is left of the attempt."""
    new = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
    probe = folder / ".writable"
    write_atomic(probe, "")
    with suppress(OSError):  # another process may have come in between
        probe.unlink()
        for path in new:
            path.rmdir()


def save_weights(path: Path, network: Network, facts: Mapping[str, Any] | None = None) -> None:
    """Write the weights of a network, with its settings and facts about its training (plain values), as safetensors."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    metadata = {_KEY: json.dumps(asdict(network.config), sort_keys=True)}
    if facts:
        metadata[FACTS_KEY] = json.dumps(facts, sort_keys=True)
    write_atomic(path, weight_bytes(tensors, metadata))


def weight_bytes(tensors: dict[str, Any], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file whose bytes, and so its hash, depend on nothing but the content: the library writes metadata in any order."""
    from safetensors.torch import save

    data = save(tensors)
    length = int.from_bytes(data[:8], "little")
    entries = {"__metadata__": dict(sorted(metadata.items())), **json.loads(data[8 : 8 + length])}
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def training_facts(data: bytes, where: str) -> dict[str, Any]:
    """What the bytes of weights say of their training: ``trained_on`` (list of texts), ``config``, ``epoch``, ``step``; or nothing.

    Raises
    ------
    InputError
        No weights.
    """
    try:
        facts = json.loads(metadata_of(data).get(FACTS_KEY, "{}"))
    except ValueError as error:
        raise InputError(f"{where}: not weights of this network: another file, or truncated? ({str(error)[:100]})") from None
    stated = facts.get("trained_on", []) if isinstance(facts, dict) else None
    if not isinstance(stated, list) or not all(isinstance(t, str) and t.isprintable() for t in stated):
        raise InputError(f"{where}: what it says of its training is no table of facts: changed by hand?")
    return facts


def load_network(path: Path, device: Any = "cpu") -> Network:
    """The network of a weight file, in evaluation mode.

    Raises
    ------
    InputError
        No such file, or none of hpbench's.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: not weights of this network: it cannot be read ({error.strerror}).") from None
    return network_of(data, str(path)).to(device, memory_format=torch.channels_last)


def start(network: Network, path: Path) -> tuple[dict[str, Any], str]:
    """Put the weights of a file into a network; what they say of their training, and the file's sha256.

    Raises
    ------
    InputError
        No such file, no weights, or those of a network with other settings.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    given = network_of(data, str(path))
    if given.config != network.config:
        there = [f"{k} = {json.dumps(v)}" for k, v in asdict(given.config).items() if v != getattr(network.config, k)]
        raise InputError(f"{path}: weights of another network: give its settings ({', '.join(there)}, of the table network).")
    network.load_state_dict(given.state_dict())
    return training_facts(data, str(path)), hashlib.sha256(data).hexdigest()


def network_of(data: bytes, where: str, *, encoder_only: bool = False) -> Network:
    """The network that the bytes of a weight file describe, in evaluation mode, in full precision.

    Parameters
    ----------
    data : bytes
        From anywhere: everything is checked before a network of that size is made.
    where : str
        Names the file in errors.
    encoder_only : bool
        Encoder and pose heads only, whatever else the file holds.

    Raises
    ------
    InputError
        None of hpbench's, damaged, or with numbers that are not finite.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(data)
        config = build(NetworkConfig, json.loads(metadata_of(data)[_KEY]), f"{where}: its settings")
        with torch.device("meta"):  # takes no memory, whatever the settings ask for
            shapes = {name: tensor.shape for name, tensor in Network(config).state_dict().items()}
        if wrong := sorted(name for name in shapes.keys() | tensors if name not in tensors or shapes.get(name) != tensors[name].shape):
            raise ValueError(f"{wrong[0]} and {len(wrong) - 1} others do not fit its settings")
        for name, tensor in tensors.items():
            if tensor.dtype not in ((torch.int64,) if name.endswith("num_batches_tracked") else _KINDS):
                raise ValueError(f"{name} is of the kind {tensor.dtype}")
        network = Network(replace(config, dense=config.dense and not encoder_only))
        network.load_state_dict({name: tensors[name] for name in network.state_dict()})
    except InputError as error:  # settings out of their ranges do not say whose they are
        raise InputError(str(error) if str(error).startswith(where) else f"{where}: its settings: {error}") from None
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, RecursionError) as error:
        raise InputError(f"{where}: not weights of this network: another file, or truncated? ({str(error)[:100]})") from None
    for name, tensor in network.state_dict().items():
        if not tensor.isfinite().all() or (name.endswith("running_var") and (tensor < 0).any()):
            raise InputError(f"{where}: {name} holds numbers that no network has (NaN, infinite or negative): a training that failed?")
    return network.eval().to(memory_format=torch.channels_last)


def metadata_of(data: bytes) -> dict[str, str]:
    """The texts in the header of a safetensors file, of which the library reads files only; ValueError for other bytes."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return {str(key): str(text) for key, text in (header.get("__metadata__") or {}).items()}


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
        there = {"data": settings.get("data")} | state["settings"]  # older checkpoints do not say which data
        if there != settings:
            different = sorted(k for k in settings | there if settings.get(k) != there.get(k))
            raise InputError(
                f"{folder}: the training there has other settings ({', '.join(different)}): another --out, or the same settings and data."
            )
        progress = _checked(state["progress"])
        network.load_state_dict(load_file(folder / state["weights"]))
        optimiser.load_state_dict(state["optimiser"])
    except InputError:
        raise
    except Exception as error:  # zip, pickle, tensors: half a dozen kinds for damaged files
        raise InputError(f"{path}: the training there cannot be read: damaged? ({str(error)[:100]})") from None
    return progress


def _checked(progress: Any) -> dict[str, Any]:
    """A training's progress; KeyError, TypeError or ValueError for what is none."""
    number = (int, float)
    kinds: dict[str, Any] = {"step": int, "learning_rate": number, "best": (*number, type(None)), "waited": int}
    kinds |= {"sums": list, "history": list}
    sound = all(isinstance(progress[name], kind) for name, kind in kinds.items()) and progress["step"] >= 0
    sound = sound and len(progress["sums"]) == len(TASKS) and all(isinstance(s, number) for s in progress["sums"])
    sound = sound and all({"epoch", "step", "stage"} <= row.keys() for row in progress["history"])
    if not (sound and all(isinstance(t, str) for t in progress.get("trained_on", []))):
        raise ValueError("its progress is none")
    return dict(progress)
