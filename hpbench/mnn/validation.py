"""How good the network is on faces it did not learn from: losses, and what boards show, in the frame of the crop.

Imports PyTorch: import this module inside functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..geometry.rotations import geodesic_deg, rotation_from_euler
from .config import TrainConfig
from .data import Batch
from .losses import Losses, losses, total
from .network import Network, Outputs
from .targets import CONVENTION, Targets

__all__ = ["heatmap_points", "recall_at_precision", "validate"]

Array = npt.NDArray[Any]


def validate(
    network: Network, batches: Iterable[Batch], config: TrainConfig, device: Any, *, pretraining: bool = False
) -> dict[str, float]:
    """Losses and errors over all batches, of all processes together.

    Returns
    -------
    dict
        ``loss`` (weighted), each task's loss; ``geodesic_deg`` (mean), ``nme_percent`` (points by the root of their box's area, mean),
        ``occluded_recall_percent`` (at 80 % precision); NaN where there are no labels.
    """
    parts = []
    network.eval()
    with torch.inference_mode():
        for batch in batches:
            images, wanted = batch.to(device)
            with torch.autocast(images.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                outputs = network(images)
            values = losses(outputs, wanted, config.loss, scheme=config.network.scheme, size_px=config.network.input_px)
            count = len(batch.images)
            part = _errors(outputs, batch.targets) | {"count": np.array([count]), "losses": np.array([[count * float(v) for v in values]])}
            parts.append(part)
    joined = _gathered(parts)
    mean = Losses(*(joined["losses"].sum(axis=0) / joined["count"].sum()).tolist())
    return {
        "loss": float(total(mean, config.loss, pretraining=pretraining)),
        **mean._asdict(),
        "geodesic_deg": _mean(joined["geodesic"]),
        "nme_percent": _mean(joined["nme"]),
        "occluded_recall_percent": recall_at_precision(joined["score"], joined["occluded"], 80.0),
    }


def heatmap_points(logits: Any, *, radius_px: int = 0) -> Any:
    """Landmarks of heat maps, (B, L, 2) in crop pixels.

    Parameters
    ----------
    logits : (B, L, H, W) tensor
    radius_px : int
        0: the pixel of the maximum, as the paper reads them.  Above: the mean place, by probability, of the square of pixels up to
        this far from it, which resolves parts of a pixel (ours).
    """
    _, _, height, width = logits.shape
    best = logits.flatten(2).argmax(dim=2)
    x, y = best % width, best // width
    if not radius_px:
        return torch.stack([x, y], dim=2).float()
    offset = torch.arange(-radius_px, radius_px + 1, device=logits.device)
    rows, columns = y[..., None, None] + offset[:, None], x[..., None, None] + offset
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    places = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    near = logits.flatten(2).gather(2, places.flatten(2)).float().masked_fill(~inside.flatten(2), -torch.inf).softmax(dim=2)
    # about the maximum, so that what is cut off at the crop's edge pulls inwards only by what is there
    return torch.stack([x + (near * offset.repeat(len(offset))).sum(2), y + (near * offset.repeat_interleave(len(offset))).sum(2)], dim=2)


def recall_at_precision(score: Array, positive: Array, precision_percent: float) -> float:
    """Greatest recall, in %, of a threshold on the score whose precision is at least this; 0 if there is none, NaN without positives."""
    if not positive.any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    found = np.cumsum(positive[order])
    last = np.append(np.diff(score[order]) != 0, True)  # equal scores are called together
    good = last & (100.0 * found >= precision_percent * np.arange(1, len(found) + 1))
    return float(100.0 * found[good].max(initial=0) / positive.sum())


def _errors(outputs: Outputs, wanted: Targets) -> dict[str, Array]:
    """Geodesic error and NME of each face, score and truth of each labelled point; empty arrays for what there is none of."""
    known = wanted.pose_weight.numpy() > 0
    found = rotation_from_euler(outputs.pose_direct[:, :3].float().cpu().numpy(), CONVENTION)
    geodesic = geodesic_deg(found, rotation_from_euler(wanted.pose[:, :3].numpy(), CONVENTION))[known]
    if outputs.heatmap_logits is None:
        return {"geodesic": geodesic, "nme": np.empty(0), "score": np.empty(0), "occluded": np.empty(0, dtype=bool)}
    nme = _nme_percent(heatmap_points(outputs.heatmap_logits).cpu().numpy(), wanted.points_px.numpy(), wanted.point_weight.numpy())
    labelled = wanted.visible_weight.numpy() > 0
    score = -outputs.visibility_logits.float().cpu().numpy()[labelled]
    return {"geodesic": geodesic, "nme": nme, "score": score, "occluded": wanted.visible.numpy()[labelled] == 0}


def _nme_percent(points: Array, truth: Array, weight: Array) -> Array:
    """Mean error by the root of the area of the labelled points' box; NaN without points."""
    there = weight[..., None] > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.where(there, truth, -np.inf).max(axis=1) - np.where(there, truth, np.inf).min(axis=1)
        mean = (np.linalg.norm(points - truth, axis=2) * weight).sum(axis=1) / weight.sum(axis=1)
        return np.asarray(100.0 * mean / np.sqrt(size.prod(axis=1)))


def _mean(values: Array) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if len(kept) else float("nan")


def _gathered(parts: list[dict[str, Array]]) -> dict[str, Array]:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        everyone: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(everyone, parts)
        parts = [part for own in everyone for part in own]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
