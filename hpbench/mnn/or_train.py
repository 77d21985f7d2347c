"""Training of a cascade on a network's outputs: coarse stages, then fine ones, until validation no longer gains.

The outputs of varied crops are computed once and kept in half precision, in a file that goes when the training ends: 0.6 MB a crop
for 68 maps of 64 px, four times that for 128.  After every stage the cascade and its history are written, and the same call goes on from
there.

Imports PyTorch: import this module inside functions.
"""

from __future__ import annotations

import csv
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..atomic import write_atomic
from ..errors import InputError
from .checkpoint import check_writable
from .config import TrainConfig
from .data import Source, data_sha256, load_batches, split_faces
from .infer import fused
from .network import Network
from .or_boosting import Samples, grow_stage
from .or_config import CascadeConfig
from .or_file import load_cascade, load_notes, network_fingerprint, save_cascade
from .or_seen import Seen, box_error_percent, seen, shapes_after, values_seen
from .or_trees import Cascade, Eyes, Start

__all__ = ["STAGES", "TREES", "grown", "train_cascade"]

TREES, STAGES = "trees.safetensors", "stages.csv"

_BATCH = 32


def train_cascade(
    network: Network,
    sources: Sequence[Source],
    config: CascadeConfig,
    out: Path,
    *,
    workers: int = 1,
    time_limit_min: float | None = None,
    trained_on: Sequence[str] = (),
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Train a cascade, or go on with the training in `out`.

    Parameters
    ----------
    network : Network
        With heat maps, in evaluation mode, not fused; the trees are for this one alone, and grow on its device.
    sources : sequence of Source
    config : CascadeConfig
    out : Path
        Folder for ``trees.safetensors`` and ``stages.csv``.
    workers : int
        Processes that load pictures.
    time_limit_min : float, optional
        Minutes after which no further stage is begun.
    trained_on : sequence of str
        Names of the data, kept in the file.
    say : callable, optional
        Takes progress lines; stderr by default.

    Returns
    -------
    dict
        ``finished``, and ``history``: one dict a stage tried, the start first; errors are means over faces of the distances of their
        labelled landmarks, in % of the height of the face box.

    Raises
    ------
    InputError
        A network without heat maps, too few faces, another training in `out`, or no way to write there.
    """
    speak = say or (lambda line: print(line, file=sys.stderr, flush=True))
    began = time.monotonic()
    check_writable(out)
    if not network.config.dense:
        raise InputError("regression trees need a network with heat maps (dense = true).")
    device, scheme = next(network.parameters()).device, network.config.scheme
    loading = TrainConfig(
        network=network.config,
        augment=config.augment,
        batch_size=_BATCH,
        validation_share=config.validation_share,
        validation_faces=config.validation_faces,
        workers=workers,
        seed=config.seed,
    )
    split = split_faces(sources, loading)
    faces = np.random.default_rng([config.seed, 4]).permutation(split.training)[: config.faces or None]
    settings = {"network": network_fingerprint(network), "training_faces": len(faces), "validation_faces": len(split.validation)}
    settings["data"] = data_sha256(sources)
    cascade, progress = _resumed(out / TREES, config, scheme, settings)
    cascade.to(device)
    if progress["finished"]:
        return progress
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out) as kept:
        ready = fused(network)
        batches = max(1, config.crops * len(faces) // _BATCH)
        training = seen(ready, load_batches(sources, faces, loading, batches=batches), batches * _BATCH, kept)
        validation = seen(ready, load_batches(sources, split.validation, loading), len(split.validation))
        speak(
            f"{len(training.pose)} crops of {len(faces)} faces x {config.starts} starts, {len(validation.pose)} faces to validate; "
            f"heat maps in {time.monotonic() - began:.0f} s"
        )
        earlier = load_notes(out / TREES).get("trained_on", []) if (out / TREES).exists() else []
        notes = settings | {"trained_on": sorted({*earlier, *trained_on}), "input_px": network.config.input_px}  # of all calls
        for longer, history in grown(cascade, training, validation, progress["history"]):
            progress = {"finished": _next_kind(history, config) is None, "history": history}
            save_cascade(out / TREES, longer, **notes, **progress)
            write_atomic(out / STAGES, _csv(history))
            speak(_line(history[-1]))
            if time_limit_min is not None and time.monotonic() - began > 60.0 * time_limit_min:
                break
    return progress


def grown(
    cascade: Cascade, training: Seen, validation: Seen, history: list[dict[str, Any]]
) -> Iterator[tuple[Cascade, list[dict[str, Any]]]]:
    """Add stage after stage until the settings of the cascade say stop; after each (the start first) the cascade and its history."""
    config, scheme, device = cascade.config, cascade.scheme, cascade.face.device
    pose, visibility = _varied(training.pose, config), training.visibility.repeat_interleave(config.starts, dim=0)
    start = cascade.start(pose.to(device), visibility.to(device))
    plain = cascade.start(validation.pose.to(device), validation.visibility.to(device))
    shape, checked = shapes_after(cascade, training, start), shapes_after(cascade, validation, plain)
    truth, weight = (t.to(device).repeat_interleave(config.starts, dim=0) for t in (training.truth, training.weight))
    if not history:
        errors = box_error_percent(training, shape), box_error_percent(validation, checked)
        history = [_row([], 0, "start", errors, 0.0)]
        yield cascade, history
    while kind := _next_kind(history, config):
        mark, number = time.monotonic(), len(cascade.trees)
        eyes = Eyes(scheme, config.stage_diameter(number), config.power).to(device)
        samples = Samples(values_seen(eyes, training, shape), cascade.used(start).T.contiguous(), truth - shape, weight)
        trees, moved = grow_stage(samples, scheme, config, stage=len(history), fine=kind == "fine")
        longer = Cascade(config, scheme, [*cascade.trees, trees], cascade.network_sha256).to(device)
        new = shapes_after(longer, validation, Start(checked, plain.occluded), first=number)
        errors = box_error_percent(training, shape + moved), box_error_percent(validation, new)
        history = [*history, _row(history, number + 1, kind, errors, time.monotonic() - mark)]
        if history[-1]["kept"]:
            cascade, shape, checked = longer, shape + moved, new
        yield cascade, history


def _resumed(path: Path, config: CascadeConfig, scheme: str, settings: dict[str, Any]) -> tuple[Cascade, dict[str, Any]]:
    if not path.exists():
        return Cascade(config, scheme, [], settings["network"]), {"finished": False, "history": []}
    cascade, notes = load_cascade(path), load_notes(path)
    # older files do not say which data
    there = {"data": settings["data"]} | notes | {"settings": asdict(cascade.config), "scheme": cascade.scheme}
    wanted = settings | {"settings": asdict(config), "scheme": scheme}
    different = [name for name in wanted if wanted[name] != there.get(name)]
    if different:
        raise InputError(f"{path}: the trees there differ in {', '.join(different)}: another --out, or the same settings and data.")
    return cascade, {name: notes[name] for name in ("finished", "history")}


def _next_kind(history: list[dict[str, Any]], config: CascadeConfig) -> str | None:
    """``coarse``, ``fine`` or None: what comes after these stages."""
    last = history[-1]
    if sum(row["kept"] for row in history) > config.stages:  # the start is one of them
        return None
    if last["kind"] == "start":
        return "coarse"
    gained = last["gain"] >= config.min_gain
    if last["kind"] == "fine":
        return "fine" if gained else None
    return "coarse" if gained and last["training_error"] >= last["validation_error"] else "fine"


def _row(history: list[dict[str, Any]], number: int, kind: str, errors: tuple[float, float], seconds: float) -> dict[str, Any]:
    """A stage's line; one that makes validation worse is not kept."""
    before = [row["validation_error"] for row in history if row["kept"]]
    gain = 1.0 - errors[1] / before[-1] if before and before[-1] > 0 else 0.0
    return {
        "stage": number,
        "kind": kind,
        "training_error": errors[0],
        "validation_error": errors[1],
        "gain": gain,
        "kept": not before or gain > 0,
        "seconds": round(seconds, 1),
    }


def _line(row: dict[str, Any]) -> str:
    return (
        f"stage {row['stage']} ({row['kind']}): error {row['training_error']:.3f}/{row['validation_error']:.3f} % of the box "
        f"(training/validation), gain {100 * row['gain']:.1f} %{'' if row['kept'] else ', left out'}; {row['seconds']:.0f} s"
    )


def _csv(history: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    rows = csv.DictWriter(text, history[0], lineterminator="\n")
    rows.writeheader()
    rows.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in history)
    return text.getvalue()


def _varied(pose: Any, config: CascadeConfig) -> Any:
    """(N S, 6): each pose S times, turned by what a start may be off."""
    draws = torch.Generator().manual_seed(config.seed)
    repeated = pose.repeat_interleave(config.starts, dim=0)
    noise = torch.zeros_like(repeated)
    noise[:, :3] = (2.0 * torch.rand((len(repeated), 3), generator=draws) - 1.0) * torch.tensor(config.noise_deg)
    return repeated + noise
