"""What a network says of many crops, kept for the regression trees to learn from, and the trees applied to it.

Imports PyTorch: import this module inside functions.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from ..errors import InputError
from .network import Network
from .or_pattern import BOX_SIDES
from .or_trees import SAMPLES, Cascade, Eyes, Start

__all__ = ["Seen", "box_error_percent", "seen", "shapes_after", "values_seen"]

_CHUNK = 32  # crops
_FLOOR = -30.0  # far below it every share is 0, and nearer to it half precision loses nothing


class Seen(NamedTuple):
    """What a network said of N crops, and the truth.

    Attributes
    ----------
    logits : (N, L, H, W) float16 array, in memory or mapped
        Of the heat maps, less each map's maximum, and no lower than `_FLOOR`.
    pose : (N, 6) tensor
        `hpbench.mnn.network.Outputs.pose_projected`.
    visibility : (N, L) tensor
        Logits.
    truth : (N, L, 2) tensor
        Heights of the face box from its centre.
    weight : (N, L) tensor
        0 without a label, or outside the crop.
    """

    logits: Any
    pose: Any
    visibility: Any
    truth: Any
    weight: Any


def seen(network: Network, batches: Any, count: int, file: Any = None) -> Seen:
    """A network's outputs for all batches of `count` crops; the maps in an open file if there is one.

    Raises
    ------
    InputError
        The disk has no room for the maps.
    """
    device, size_px = next(network.parameters()).device, network.config.input_px
    form = (count, network.config.landmarks, size_px, size_px)
    if file is not None:
        needed, free = 2 * math.prod(form), shutil.disk_usage(file.fileno()).free
        if needed > free:
            raise InputError(
                f"the heat maps of {count} crops take {needed / 1e9:.1f} GB beside --out, {free / 1e9:.1f} are free: fewer faces."
            )
    maps = np.empty(form, np.float16) if file is None else np.memmap(file, np.float16, "w+", shape=form)
    columns: list[list[Any]] = [[], [], [], []]
    done = 0
    for batch in batches:
        images, wanted = batch.to(device)
        with torch.inference_mode():
            outputs = network(images)
            logits = outputs.heatmap_logits.float()
            logits = (logits - logits.amax(dim=(2, 3), keepdim=True)).clamp_(min=_FLOOR)
            maps[done : done + len(images)] = logits.half().cpu().numpy()
        done += len(images)
        truth = (wanted.points_px - (size_px - 1) / 2.0) * (BOX_SIDES / size_px)
        found = (outputs.pose_projected.float(), outputs.visibility_logits.float(), truth, wanted.point_weight)
        for column, tensor in zip(columns, found, strict=True):
            column.append(tensor.cpu().clone())
    return Seen(maps[:done], *(torch.cat(column) for column in columns))


def _chunks(crops: Seen, starts: int, device: Any) -> Iterator[tuple[slice, Any]]:
    """Rows of starts, and the logits of their crops."""
    for a in range(0, len(crops.pose), _CHUNK):
        logits = torch.from_numpy(np.ascontiguousarray(crops.logits[a : a + _CHUNK])).to(device)
        yield slice(a * starts, (a + len(logits)) * starts), logits


def values_seen(eyes: Eyes, crops: Seen, shape: Any) -> Any:
    """What the eyes see of all starts, (L 43, N S) float32: in half precision the last stages' small differences drown."""
    values = torch.empty((shape.shape[1] * SAMPLES, len(shape)), device=shape.device)
    for rows, logits in _chunks(crops, len(shape) // len(crops.pose), shape.device):
        values[:, rows] = eyes(logits, logits.new_zeros(logits.shape[:2]), shape[rows]).T
    return values


def shapes_after(cascade: Cascade, crops: Seen, start: Start, first: int = 0) -> Any:
    """Shapes after the cascade's stages from `first` on."""
    if first == len(cascade.stages):
        return start.shape
    shapes = []
    for rows, logits in _chunks(crops, len(start.shape) // len(crops.pose), start.shape.device):
        shapes.append(cascade.refined(logits, Start(start.shape[rows], start.occluded[rows]), first=first))
    return torch.cat(shapes)


def box_error_percent(crops: Seen, shape: Any) -> float:
    """Mean over faces of the distances of their labelled landmarks, in % of the box's height."""
    starts = len(shape) // len(crops.pose)
    truth, weight = (t.to(shape.device).repeat_interleave(starts, dim=0) for t in (crops.truth, crops.weight))
    there = weight.sum(dim=1) > 0
    distance = (torch.linalg.vector_norm(shape - truth, dim=2) * weight).sum(dim=1)[there] / weight.sum(dim=1)[there]
    return 100.0 * float(distance.mean())
