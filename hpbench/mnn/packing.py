"""Weights packed for shipping: half the bytes, the same predictions but for rounding, with the story of their training.

Imports PyTorch: import this module inside functions.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from .checkpoint import FACTS_KEY, metadata_of, network_of, weight_bytes
from .train import CURVE

__all__ = ["CURVE_KEY", "curve_of", "pack_weights", "weights_story"]

CURVE_KEY = "hpbench.mnn.curve"

_TOLD = (
    "epochs",
    "pretrain_epochs",
    "steps_per_epoch",
    "batch_size",
    "accumulate",
    "learning_rate",
    "patience_epochs",
    "precision",
    "seed",
)
_KEPT = ("epoch", "stage", "learning_rate", "validation_loss", "validation_geodesic_deg", "validation_nme_percent")


def pack_weights(path: Path, before: Sequence[Path] = ()) -> bytes:
    """The weights of a training as a file to ship: kernels in half precision, all else as it was.

    Kernels are nearly all of the numbers.  Batch normalisation and the pose heads stay in full precision: running variances reach
    below what half precision holds, and angles come straight out of the heads.

    Parameters
    ----------
    path : Path
        ``best.safetensors``.  The curve beside it (``curve.csv``), where there is one, goes into the header.
    before : sequence of Path
        Folders of the trainings it started from, for their curves.

    Raises
    ------
    InputError
        No weights, or numbers that half precision does not hold.
    """
    from safetensors.torch import load

    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    network_of(data, str(path))  # checked
    packed = {}
    for name, tensor in load(data).items():
        packed[name] = tensor.half().contiguous() if tensor.ndim == 4 else tensor
        if not packed[name].isfinite().all():
            raise InputError(f"{path}: {name} holds numbers above 65504, which half precision does not: a training that failed?")
    metadata = metadata_of(data)
    rows: list[dict[str, Any]] = []
    for curve in (folder / CURVE for folder in (*before, path.parent)):
        if curve.is_file():
            with curve.open(encoding="utf-8", newline="") as file:
                rows += [{key: _number(row[key]) for key in _KEPT if key in row} for row in csv.DictReader(file)]
    if rows:
        metadata[CURVE_KEY] = json.dumps(rows)
    return weight_bytes(packed, metadata)


def curve_of(data: bytes) -> list[dict[str, Any]]:
    """The curve that packed weights carry, a dict an epoch; empty where they carry none."""
    rows: list[dict[str, Any]] = json.loads(metadata_of(data).get(CURVE_KEY, "[]"))
    return rows


def weights_story(data: bytes) -> str:
    """Two Markdown tables from the header of packed weights: what they are and were trained on, and the curve (a dozen epochs of it)."""
    network = network_of(data, "the weights")
    config, facts = network.config, json.loads(metadata_of(data).get(FACTS_KEY, "{}"))
    training, count = facts.get("config", {}), sum(p.numel() for p in network.parameters())
    rows = [
        (
            "network",
            f"{config.input_px} px, widths {', '.join(map(str, config.widths))}, {config.blocks} block(s) a stage, {config.scheme}",
        ),
        ("parameters", f"{count:,}"),
        ("file", f"{len(data):,} bytes, kernels in half precision"),
        ("sha256", f"`{hashlib.sha256(data).hexdigest()}`"),
        *(("trained before", _before(earlier)) for earlier in facts.get("before", [])),
        ("best epoch", str(facts.get("epoch", "not stated"))),
        ("trained on", ", ".join(facts.get("trained_on", [])) or "not stated"),
        *((key.replace("_", " "), str(training[key])) for key in _TOLD if key in training),
        *((f"{part} {key}".replace("_", " "), str(v)) for part in ("loss", "augment") for key, v in training.get(part, {}).items()),
    ]
    text = _table(("", ""), rows)
    if curve := curve_of(data):
        step = max(1, len(curve) // 12)
        shown = [row for i, row in enumerate(curve) if i % step == 0 or i == len(curve) - 1]
        names = [name.removeprefix("validation_").replace("_", " ") for name in curve[0]]
        text += "\n\n" + _table(names, [[f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()] for row in shown])
    return text


def _before(facts: dict[str, Any]) -> str:
    config = facts.get("config", {})
    heat_maps = f", heat maps alone for {config['pretrain_epochs']}" if config.get("pretrain_epochs") else ""
    return f"best epoch {facts.get('epoch')} at a rate of {config.get('learning_rate')}{heat_maps}"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(text: str) -> float | int | str:
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        return text
