"""Files of a cascade: safetensors with the trees, and in the header, as JSON, what they belong to.

A file comes from anywhere, so all of it is checked before it is used: names, shapes, kinds of number, landmarks and samples within
their ranges, nothing infinite in a leaf.

Imports PyTorch: import this module inside functions.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ..atomic import write_atomic
from ..checked import build
from ..errors import InputError
from ..geometry.mean_face import MEAN_FACE_VERSION
from .network import Network
from .or_config import CascadeConfig
from .or_pattern import parts
from .or_trees import SAMPLES, Cascade, Trees

__all__ = ["MAX_BYTES", "check_network", "load_cascade", "load_notes", "network_fingerprint", "save_cascade"]

MAX_BYTES = 16_000_000

_KEY = "hpbench.mnn.or"
_KINDS = {"landmark": torch.uint8, "pair": torch.uint8, "threshold": torch.float32, "leaf": torch.float16}


def network_fingerprint(network: Network) -> str:
    """SHA-256 of a network's weights in half precision, so that a packed file counts as the one it was packed from.

    Of a network as it was trained or loaded, not of one that is `hpbench.mnn.infer.fused`.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if tensor.is_floating_point():
            digest.update(name.encode() + str(tuple(tensor.shape)).encode())
            digest.update(tensor.detach().cpu().half().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_cascade(path: Path, cascade: Cascade, **notes: Any) -> None:
    """Write a cascade; `notes` are kept with it, as JSON.

    Raises
    ------
    InputError
        It is larger than a file of this kind may be.
    """
    from safetensors.torch import save

    tensors = {f"{i:02d}.{name}": t.cpu().contiguous() for i, trees in enumerate(cascade.trees) for name, t in trees._asdict().items()}
    header: dict[str, Any] = {"config": asdict(cascade.config), "scheme": cascade.scheme, "mean_face": MEAN_FACE_VERSION}
    header |= {"network_sha256": cascade.network_sha256, "stages": len(cascade.trees), "notes": notes}
    data = save(tensors, metadata={_KEY: json.dumps(header, sort_keys=True)})
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: {len(data):,} bytes of trees are more than {MAX_BYTES:,}: fewer stages or trees, or less depth.")
    write_atomic(path, data)


def load_cascade(source: Path | bytes, network: Network | None = None) -> Cascade:
    """The cascade of a file, or of the bytes of one.

    Parameters
    ----------
    source : Path or bytes
    network : Network, optional
        The one whose outputs it will see: it is compared with the one the trees were trained on.

    Raises
    ------
    InputError
        No such file, none of hpbench's, damaged, made with another mean face, or for another network.
    """
    return _read(source, network)[0]


def load_notes(source: Path | bytes) -> dict[str, Any]:
    """What `save_cascade` was told to keep."""
    return _read(source, None)[1]


def check_network(cascade: Cascade, network: Network, where: str = "the regression trees") -> None:
    """`InputError` where the trees were trained on another network's outputs."""
    if cascade.scheme != network.config.scheme or cascade.network_sha256 != network_fingerprint(network):
        raise InputError(f"{where} were trained on another network's heat maps: train them on this one (hpbench train mnn-or).")


def _read(source: Path | bytes, network: Network | None) -> tuple[Cascade, dict[str, Any]]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    where = "regression trees" if isinstance(source, bytes) else str(source)
    try:
        data = source if isinstance(source, bytes) else _bytes_of(source)
        tensors = load(data)
        header = json.loads(_metadata(data)[_KEY])
        config = build(CascadeConfig, header["config"], f"{where}: its settings")
        scheme, sha256, count, face = (header[name] for name in ("scheme", "network_sha256", "stages", "mean_face"))
        notes = dict(header["notes"])
        if not (isinstance(scheme, str) and isinstance(sha256, str) and isinstance(count, int) and 0 <= count <= config.stages):
            raise ValueError("its header is damaged")
        stated = notes.get("trained_on", [])
        if not isinstance(stated, list) or not all(isinstance(t, str) and t.isprintable() for t in stated):
            raise ValueError("what it says that it was trained on is no list of names")
        if face != MEAN_FACE_VERSION:
            raise InputError(f"{where}: its trees start from the mean face {face!r:.40}, this version's is {MEAN_FACE_VERSION}.")
        if set(tensors) != {f"{i:02d}.{name}" for i in range(count) for name in Trees._fields}:
            raise ValueError(f"not the tensors of {count} stages")
        stages = [_checked(i, Trees(*(tensors[f"{i:02d}.{name}"] for name in Trees._fields)), config, scheme) for i in range(count)]
        cascade = Cascade(config, scheme, stages, sha256).eval()
    except InputError:
        raise
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError, RecursionError) as error:
        raise InputError(f"{where}: no regression trees of hpbench: another file, or truncated? ({str(error)[:100]})") from None
    if network is not None:
        check_network(cascade, network, where)
    return cascade, notes


def _bytes_of(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes")
    return path.read_bytes()


def _metadata(data: bytes) -> dict[str, Any]:
    """The header's texts; `safetensors` itself reads them from files only."""
    length = int.from_bytes(data[:8], "little")
    found = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    return dict(found)


def _checked(number: int, trees: Trees, config: CascadeConfig, scheme: str) -> Trees:
    """The trees of a stage, or ValueError."""
    members = parts(scheme)
    points = sum(map(len, members.values()))
    leaves = 2**config.depth
    shapes = {
        "pair": (config.trees, leaves - 1, 2),
        "threshold": (config.trees, leaves - 1),
        "landmark": (config.trees,),
        "leaf": (config.trees, leaves, points, 2),
    }
    for name, tensor in trees._asdict().items():
        found = tuple(tensor.shape) if name == "leaf" else tuple(tensor.shape[1:])
        if tensor.dtype != _KINDS[name] or found != shapes[name]:
            raise ValueError(f"stage {number}: {name} has the shape {tuple(tensor.shape)} or the kind {tensor.dtype}")
    if any(len(t) not in (1, len(members)) or len(t) != len(trees.landmark) for t in trees[:3]):
        raise ValueError(f"stage {number} has the trees of {len(trees.landmark)} parts, not of 1 or {len(members)}")
    if int(trees.landmark.max()) >= points or int(trees.pair.max()) >= SAMPLES:
        raise ValueError(f"stage {number}: a tree looks at a landmark or sample that there is not")
    if not bool(trees.threshold.isfinite().all() and trees.leaf.isfinite().all()):
        raise ValueError(f"stage {number}: not all numbers are finite")
    return trees
