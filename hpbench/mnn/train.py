"""Training: heat maps first, then all tasks; stops at a time limit and goes on exactly where it stopped.

Several GPUs or processes: ``torchrun --nproc-per-node N -m hpbench train mnn ...``; training losses are then the first one's, validation
is everyone's.

Imports PyTorch: import this module inside functions.
"""

from __future__ import annotations

import csv
import io
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from ..atomic import write_atomic
from ..errors import InputError
from .checkpoint import BEST, check_writable, load_training, save_training, save_weights, start
from .config import TrainConfig
from .curves import PICTURE, draw_curve
from .data import Source, data_sha256, load_batches, split_faces
from .losses import TASKS, Losses, losses, total
from .network import Network
from .validation import validate

__all__ = ["CURVE", "train", "try_one_step"]

CURVE = "curve.csv"

_REDRAW_S = 60.0  # a picture takes half a second, and so would an epoch of a small training
_FREE = {"epochs", "workers", "threads"}  # settings that may change when a training goes on


def train(
    config: TrainConfig,
    sources: Sequence[Source],
    out: Path,
    *,
    device: str = "auto",
    time_limit_min: float | None = None,
    say: Callable[[str], None] | None = None,
    trained_on: Sequence[str] = (),
    start_from: Path | None = None,
    follow: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Train, or go on with the training in `out`.

    Parameters
    ----------
    config : TrainConfig
    sources : sequence of Source
        Mixed; a face without a label of a task does not count in it.
    out : Path
        Folder for ``best.safetensors`` (least validation loss of the stage), the checkpoint, ``curve.csv`` and ``curve.png``.
    device : str
        ``auto``: a GPU if there is one.
    time_limit_min : float, optional
        Minutes after which a checkpoint is written and training stops.
    say : callable, optional
        Takes progress lines; stderr by default.
    trained_on : sequence of str
        What the weights shall say that they were trained on (`hpbench.mnn.sources`).
    start_from : Path, optional
        Weights of another training of the same network; what they were trained on goes into the new ones.
    follow : callable, optional
        Takes each epoch's row of the history.

    Returns
    -------
    dict
        The progress: ``step``, ``finished``, ``history`` (one dict an epoch), ``best``.

    Raises
    ------
    InputError
        Settings or data are not those of the training in `out`, it cannot be written to, or a loss is not finite (what is there stays).
    """
    started = time.monotonic()
    if config.threads:
        torch.set_num_threads(config.threads)
    crew = _Crew(device)
    write = say or (lambda line: print(line, file=sys.stderr, flush=True))
    speak = write if crew.rank == 0 else (lambda line: None)
    if crew.rank == 0:
        check_writable(out)
    if config.batch_size % crew.world or config.batch_size < 2 * crew.world:
        raise InputError(f"batch_size {config.batch_size} cannot be dealt out evenly, 2 or more each, to {crew.world} processes.")
    split = split_faces(sources, config)
    torch.manual_seed(config.seed)
    network = Network(config.network).to(crew.device, memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate, fused=True)
    settings = _plain({k: v for k, v in asdict(config).items() if k not in _FREE})
    settings |= {"faces": sum(len(s.labels) for s in sources), "data": data_sha256(sources)}
    facts: dict[str, Any] = {"config": _plain(asdict(config)), "trained_on": list(trained_on)}
    if start_from is not None:
        earlier, settings["start_from"] = start(network, start_from)
        facts["before"] = [*earlier.get("before", []), {key: earlier[key] for key in ("config", "epoch", "step") if key in earlier}]
        facts["trained_on"] += earlier.get("trained_on", [])
    progress = load_training(out, network, optimiser, settings) or _new_progress()
    progress["trained_on"] = sorted({*progress.get("trained_on", []), *facts["trained_on"]})  # all of the calls that made it
    facts["trained_on"] = progress["trained_on"]
    model = crew.wrapped(network)

    per_step = config.batch_size * config.accumulate
    epoch_steps = config.steps_per_epoch or max(1, len(split.training) // per_step)
    last_step = config.epochs * epoch_steps
    speak(
        f"{len(split.training)} faces to train on, {len(split.validation)} to validate; {epoch_steps} steps of {per_step} an epoch, "
        f"{config.epochs} epochs; {sum(p.numel() for p in network.parameters()):,} parameters on {crew.device}"
        + (f"; going on at step {progress['step']}" if progress["step"] else "")
    )
    loader = load_batches(
        sources, split.training, config, batches=last_step * config.accumulate, start=progress["step"] * config.accumulate,
        rank=crew.rank, world=crew.world, pinned=crew.device.type == "cuda",
    )  # fmt: skip
    batches = iter(loader)
    spoken = mark = drawn = time.monotonic()
    since = progress["step"]
    while progress["step"] < last_step:
        epoch, within = divmod(progress["step"], epoch_steps)
        pretraining = epoch < config.pretrain_epochs
        if within == 0 and epoch in (0, config.pretrain_epochs):
            progress |= {"learning_rate": config.learning_rate, "best": None, "waited": 0}
        network.train()
        values = _step(model, batches, optimiser, config, crew, progress["learning_rate"], pretraining)
        _check_finite(total(Losses(*values), config.loss, pretraining=pretraining), epoch)
        progress["sums"] = [a + b for a, b in zip(progress["sums"], values, strict=True)]
        progress["step"] += 1
        ended = within + 1 == epoch_steps
        late = crew.agreed(time_limit_min is not None and time.monotonic() - started > 60.0 * time_limit_min)
        if ended:
            rate = (progress["step"] - since) * per_step / (time.monotonic() - mark)
            row = _end_epoch(network, sources, split.validation, config, crew, progress, epoch, epoch_steps, rate)
            speak(_line(row))
            if crew.rank == 0:
                _write_curve(out / CURVE, progress["history"])
                if progress["waited"] == 0:
                    save_weights(out / BEST, network, facts | {"epoch": epoch + 1, "step": progress["step"]})
                if follow:
                    follow(row)
                if time.monotonic() - drawn > _REDRAW_S:
                    draw_curve(progress["history"], out / PICTURE)
                    drawn = time.monotonic()
            mark, since = time.monotonic(), progress["step"]
        elif time.monotonic() - spoken > 30.0:
            spoken = time.monotonic()
            means = " ".join(f"{task} {s / (within + 1):.3f}" for task, s in zip(TASKS, progress["sums"], strict=True))
            rate = (progress["step"] - since) * per_step / (spoken - mark)
            speak(f"epoch {epoch + 1} step {within + 1}/{epoch_steps} {means} {rate:.1f} faces/s")
        if (ended or late) and crew.rank == 0:
            save_training(out, network, optimiser, progress, settings)
        if late:
            speak(f"time is up after {progress['step']} of {last_step} steps; the same command goes on")
            break
    if crew.rank == 0 and progress["history"]:
        draw_curve(progress["history"], out / PICTURE)
    crew.dismiss()
    return progress | {"finished": progress["step"] >= last_step}


def try_one_step(config: TrainConfig, sources: Sequence[Source], *, device: str = "auto") -> dict[str, Any]:
    """One step of all tasks and a look at a batch of validation faces, of which nothing is kept; the row of the history."""
    with tempfile.TemporaryDirectory() as folder:
        short = replace(config, epochs=1, pretrain_epochs=0, steps_per_epoch=1, accumulate=1, validation_faces=config.batch_size)
        row: dict[str, Any] = train(short, sources, Path(folder), device=device, say=lambda line: None)["history"][0]
    return row


def _step(model: Any, batches: Any, optimiser: Any, config: TrainConfig, crew: _Crew, rate: float, pretraining: bool) -> list[float]:
    """One step of the optimiser; the mean losses by task."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad(set_to_none=True)
    sums = torch.zeros(len(TASKS))
    for part in range(config.accumulate):
        images, wanted = next(batches).to(crew.device)
        with crew.held_back(model, part + 1 < config.accumulate):
            with torch.autocast(crew.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                outputs = model(images)
            values = losses(outputs, wanted, config.loss, scheme=config.network.scheme, size_px=config.network.input_px)
            (total(values, config.loss, pretraining=pretraining) / config.accumulate).backward()
        sums += torch.stack(list(values)).detach().float().cpu() / config.accumulate
    optimiser.step()
    return [float(v) for v in sums]


def _end_epoch(
    network: Network,
    sources: Sequence[Source],
    faces: Any,
    config: TrainConfig,
    crew: _Crew,
    progress: dict[str, Any],
    epoch: int,
    epoch_steps: int,
    rate: float,
) -> dict[str, Any]:
    """Validate, halve the learning rate if it is time, add a row to the history."""
    pretraining = epoch < config.pretrain_epochs
    held_out = load_batches(sources, faces, config, rank=crew.rank, world=crew.world)
    found = validate(network, held_out, config, crew.device, pretraining=pretraining)
    _check_finite(found["loss"], epoch)
    row = {"epoch": epoch + 1, "step": progress["step"], "stage": "heatmap" if pretraining else "all"}
    row |= {"learning_rate": progress["learning_rate"], "faces_per_s": round(rate, 1)}
    row |= {f"train_{task}": s / epoch_steps for task, s in zip(TASKS, progress["sums"], strict=True)}
    row |= {f"validation_{name}": value for name, value in found.items()}
    progress["sums"] = [0.0] * len(TASKS)
    progress["history"].append(row)
    if progress["best"] is None or found["loss"] < progress["best"]:
        progress |= {"best": found["loss"], "waited": 0}
    else:
        progress["waited"] += 1
        if progress["waited"] % config.patience_epochs == 0:
            progress["learning_rate"] /= 2.0
    return row


def _check_finite(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise InputError(f"epoch {epoch + 1}: the loss is not finite: a lower learning rate?")


def _line(row: dict[str, Any]) -> str:
    parts = " ".join(f"{task} {row[f'train_{task}']:.3f}/{row[f'validation_{task}']:.3f}" for task in TASKS)
    return (
        f"epoch {row['epoch']} ({row['stage']}) {parts} (training/validation); loss {row['validation_loss']:.4f}, "
        f"geodesic {row['validation_geodesic_deg']:.2f} deg, NME {row['validation_nme_percent']:.2f} %, "
        f"recall of occluded at 80 % precision {row['validation_occluded_recall_percent']:.1f} %; "
        f"rate {row['learning_rate']:g}, {row['faces_per_s']:.1f} faces/s"
    )


def _write_curve(path: Path, history: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    rows = csv.DictWriter(text, history[0], lineterminator="\n")
    rows.writeheader()
    rows.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in history)
    write_atomic(path, text.getvalue())


def _new_progress() -> dict[str, Any]:
    # the learning rate is set when the first stage starts; `waited`: epochs since the best one
    return {"step": 0, "learning_rate": 0.0, "best": None, "waited": 0, "sums": [0.0] * len(TASKS), "history": []}


def _plain(value: Any) -> Any:
    """Tuples as lists, as a checkpoint holds them."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


class _Crew:
    """The processes that train together, as torchrun says in the environment; one where it says nothing."""

    def __init__(self, device: str) -> None:
        self.rank, self.world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        local = int(os.environ.get("LOCAL_RANK", "0"))
        self.device = torch.device(f"cuda:{local}") if kind == "cuda" else torch.device(kind)
        if self.world > 1:
            torch.distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")

    def wrapped(self, network: Network) -> Any:
        if self.world == 1:
            return network
        ids = [self.device.index] if self.device.type == "cuda" else None
        return torch.nn.parallel.DistributedDataParallel(network, device_ids=ids)

    def held_back(self, model: Any, yes: bool) -> Any:
        """Gradients are summed over the processes at the last part of a step only."""
        from contextlib import nullcontext

        return model.no_sync() if yes and self.world > 1 else nullcontext()

    def agreed(self, flag: bool) -> bool:
        """Whether the first process says so."""
        if self.world == 1:
            return flag
        said = torch.tensor([int(flag)], device=self.device)
        torch.distributed.broadcast(said, 0)
        return bool(said.item())

    def dismiss(self) -> None:
        if self.world > 1:
            torch.distributed.destroy_process_group()
