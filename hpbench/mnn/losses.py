"""The four losses of the paper, averaged over the annotated landmarks of each picture and over the pictures.

A picture without a label of a task adds 0 to it, so sources with different labels mix.  The paper's sums over pictures are divided
by their number here: Adam does not see the difference.

* pose: Euclidean norm, not squared, of the six numbers' error.
* projection: distance of the landmarks from the mean face projected by the second pose, in pixels of a crop of 256 whatever the
  network's input is, so that weights mean the same everywhere.
* heatmap: cross-entropy of the softmax over all pixels with the landmark's pixel, from the log-softmax at that pixel: no target map.
* visibility: cross-entropy of each point.

Imports PyTorch: import this module inside functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from ..errors import InputError
from .config import LossConfig
from .crops import FOCAL_OVER_SIDE
from .network import Outputs
from .targets import Targets, mean_face_units

__all__ = ["TASKS", "Losses", "balanced_weights", "losses", "project_mean_face", "rotation_yxz", "total"]

TASKS = ("pose", "projection", "heatmap", "visibility")

_REFERENCE_PX = 256.0
_NEAREST = 0.3  # mean-face units: nearer than this, depth is bent to stay positive and keep a gradient


class Losses(NamedTuple):
    """Means over the pictures of a batch, not weighted; 0 for what the network does not have."""

    pose: Any
    projection: Any
    heatmap: Any
    visibility: Any


def losses(outputs: Outputs, targets: Targets, config: LossConfig, *, scheme: str, size_px: int) -> Losses:
    """The losses of a batch, scalar tensors.

    Parameters
    ----------
    outputs : Outputs
    targets : Targets of tensors
    config : LossConfig
        Of which `translation_scale` is used.
    scheme : str
        Landmark scheme, for the mean face.
    size_px : int
        Side of the crop.
    """
    scale = outputs.pose_direct.new_tensor([1.0] * 3 + [config.translation_scale] * 3)
    pose = torch.linalg.vector_norm((outputs.pose_direct.float() - targets.pose) * scale, dim=1)

    face = torch.as_tensor(mean_face_units(scheme), dtype=torch.float32, device=outputs.pose_direct.device)
    there = torch.isfinite(face).all(dim=1)
    projected = project_mean_face(outputs.pose_projected.float(), face[there])
    place = (targets.points_px[:, there] - (size_px - 1) / 2.0) / size_px
    distance = _REFERENCE_PX * torch.linalg.vector_norm(place - projected, dim=2)

    zero = pose.new_zeros(())
    heatmap = visibility = zero
    if outputs.heatmap_logits is not None:
        heatmap = _per_point(_PixelCrossEntropy.apply(outputs.heatmap_logits.float(), targets.pixel), targets.point_weight)
        entropy = functional.binary_cross_entropy_with_logits(outputs.visibility_logits.float(), targets.visible, reduction="none")
        visibility = _per_point(entropy, targets.visible_weight)
    return Losses((pose * targets.pose_weight).mean(), _per_point(distance, targets.point_weight[:, there]), heatmap, visibility)


def total(values: Losses, config: LossConfig, *, pretraining: bool = False) -> Any:
    """The weighted sum; in pretraining, the heat maps alone (the others times 0, so that every parameter has a gradient)."""
    weights = {task: float(task == "heatmap") if pretraining else getattr(config, task) for task in TASKS}
    return sum(weights[task] * value for task, value in zip(TASKS, values, strict=True))


def balanced_weights(converged: Mapping[str, float]) -> dict[str, float]:
    """Weights from the values at which each task's loss converges when trained alone: 1 / value, with the heat maps' at 1.

    Raises
    ------
    InputError
        A task is missing, or its value is not above 0.
    """
    for task in TASKS:
        if not converged.get(task, 0.0) > 0:
            raise InputError(f"balanced weights need a converged loss above 0 for {task}.")
    return {task: converged["heatmap"] / converged[task] for task in TASKS}


def project_mean_face(pose: Any, face: Any) -> Any:
    """Projections by the crop's camera.

    Parameters
    ----------
    pose : (B, 6) tensor
        Yaw, pitch, roll in degrees (``yxz``), translation.
    face : (L, 3) tensor
        In the unit of the translation.

    Returns
    -------
    (B, L, 2) tensor, in sides of the crop from its centre.
    """
    seen = face @ rotation_yxz(pose[:, :3]).transpose(1, 2) + pose[:, None, 3:]
    depth = seen[..., 2:]
    depth = torch.where(depth > _NEAREST, depth, _NEAREST * torch.exp(depth.clamp(max=_NEAREST) / _NEAREST - 1.0))
    return FOCAL_OVER_SIDE * seen[..., :2] / depth


def rotation_yxz(euler_deg: Any) -> Any:
    """`hpbench.geometry.rotations.rotation_from_euler` of convention ``yxz`` on tensors, (B, 3) to (B, 3, 3)."""
    (cy, cp, cr), (sy, sp, sr) = torch.deg2rad(euler_deg).cos().unbind(1), torch.deg2rad(euler_deg).sin().unbind(1)
    rows = (
        (cy * cr - sy * sp * sr, -cy * sr - sy * sp * cr, sy * cp),
        (cp * sr, cp * cr, sp),
        (-sy * cr - cy * sp * sr, sy * sr - cy * sp * cr, cy * cp),
    )
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


class _PixelCrossEntropy(torch.autograd.Function):
    """Cross-entropy of softmaxes over the pixels with one pixel each: (B, L, H, W) logits, (B, L) pixels -> (B, L).

    The same as log-softmax and gather, in half the time: the exponentials of the forward pass become the gradient in place, so it can
    be differentiated once only.
    """

    @staticmethod
    def forward(ctx: Any, logits: Any, pixel: Any) -> Any:
        flat = logits.flatten(2)
        top = flat.amax(dim=2, keepdim=True)
        exponential = (flat - top).exp_()
        summed = exponential.sum(dim=2)
        ctx.save_for_backward(exponential, summed, pixel)
        ctx.shape = logits.shape
        return summed.log() + (top - flat.gather(2, pixel[..., None]))[..., 0]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Any) -> Any:
        exponential, summed, pixel = ctx.saved_tensors
        result = exponential.mul_((gradient / summed)[..., None])
        result.scatter_add_(2, pixel[..., None], -gradient[..., None])
        return result.view(ctx.shape), None


def _per_point(values: Any, weight: Any) -> Any:
    """Mean over the points of weight 1 of each picture, then over the pictures; one without such points adds 0."""
    return ((values * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)).mean()
