"""The network in use: crops in, rotations, landmarks and visibility out.

Imports PyTorch: import this module inside functions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..geometry.rotations import rotation_from_euler
from .crops import box_crops, cut, from_crop
from .network import Network, Outputs
from .targets import CONVENTION
from .validation import heatmap_points

__all__ = ["Prediction", "compiled", "crops_of", "fused", "in_precision", "outputs_of", "predict_arrays"]

Array = npt.NDArray[Any]


class Prediction(NamedTuple):
    """What the network says of N faces.

    Attributes
    ----------
    rotation_crop_ray : (N, 3, 3) float64 array
    landmarks_px : (N, L, 2) float64 array or None
        Picture pixels.
    visibility : (N, L) float64 array or None
        Probability that a point is visible.
    """

    rotation_crop_ray: Array
    landmarks_px: Array | None
    visibility: Array | None


def fused(network: Network) -> Network:
    """A copy for use, batch normalisation folded into the convolutions: the same numbers but for rounding, in less time."""
    copied = copy.deepcopy(network).eval()
    for parent in list(copied.modules()):
        if not isinstance(parent, nn.Sequential):
            continue
        for i in range(len(parent) - 1):
            first, second = parent[i], parent[i + 1]
            if isinstance(second, nn.BatchNorm2d) and isinstance(first, (nn.Conv2d, nn.ConvTranspose2d)):
                parent[i] = fuse_conv_bn_eval(first, second, transpose=isinstance(first, nn.ConvTranspose2d))
                parent[i + 1] = nn.Identity()
    return copied.requires_grad_(False).to(memory_format=torch.channels_last)


def in_precision(network: Network, dtype: Any) -> Network:
    """A copy of a `fused` network that computes in bfloat16 or half precision, its heads excepted.

    Angles in bfloat16 would be whole quarters of a degree, and logits of neighbouring pixels equal.
    """
    copied = copy.deepcopy(network).to(dtype)
    for name in ("pose_direct", "pose_projected", "heatmaps", "visibility"):
        head = getattr(copied, name, None)
        if head is not None:
            head.to(torch.float32).register_forward_pre_hook(_in_fp32)
    return copied


def compiled(network: Network) -> Network:
    """A copy that compiles itself for each shape of batch it is given: CUDA graphs on a GPU, frozen weights on a processor."""
    copied = copy.deepcopy(network)
    how: dict[str, Any] = {"mode": "reduce-overhead"} if next(network.parameters()).is_cuda else {"options": {"freezing": True}}
    for name in ("forward", "pose"):
        setattr(copied, name, torch.compile(getattr(copied, name), dynamic=False, **how))
    return copied


def crops_of(images: list[Array], boxes_xyxy_px: npt.ArrayLike, size_px: int) -> tuple[Array, Array]:
    """The crops that the network sees of faces.

    Parameters
    ----------
    images : list of N (H, W, 3) uint8 arrays, RGB
    boxes_xyxy_px : (N, 4) array
    size_px : int

    Returns
    -------
    crops : (N, size, size, 3) uint8 array
    crop_from_image : (N, 2, 3) float64 array
    """
    matrices = box_crops(boxes_xyxy_px).crop_from_image(size_px)
    crops = [cut(image, matrix, size_px) for image, matrix in zip(images, matrices, strict=True)]
    return np.stack(crops) if crops else np.zeros((0, size_px, size_px, 3), np.uint8), matrices


def outputs_of(network: Network, crops: Array, *, batch_size: int = 16, pose_only: bool = False, whole: bool = False) -> Iterator[Outputs]:
    """Raw outputs, batch by batch, on the network's device; `pose_only` runs the encoder alone.

    Those of a `compiled` network are overwritten by the next batch.

    Parameters
    ----------
    network : Network
        In evaluation mode, best `fused`.
    crops : (N, size, size, 3) uint8 array, RGB
    batch_size : int
    pose_only : bool
    whole : bool
        A last batch that is short is filled up, so that all have one shape, and its outputs cut.
    """
    first = next(network.parameters())
    for start in range(0, len(crops), batch_size):
        batch = torch.from_numpy(np.ascontiguousarray(crops[start : start + batch_size]))
        if first.is_cuda:
            batch = batch.pin_memory()  # is copied while the device works
        count = len(batch)
        if whole and count < batch_size:
            batch = torch.cat([batch, batch[-1:].expand(batch_size - count, -1, -1, -1)])
        images = batch.to(first.device, non_blocking=True).permute(0, 3, 1, 2).to(first.dtype).div_(255.0)
        with torch.inference_mode():
            outputs = Outputs(network.pose(images), None, None, None) if pose_only else network(images)
            yield Outputs(*(None if o is None else o[:count] for o in outputs))


def predict_arrays(
    network: Network,
    crops: Array,
    crop_from_image: Array,
    *,
    batch_size: int = 16,
    pose_only: bool = False,
    whole: bool = False,
    radius_px: int = 0,
    points_of: Callable[[Outputs], Any] | None = None,
) -> Prediction:
    """Pose, landmarks and visibility of N faces.

    Parameters
    ----------
    network, crops, batch_size, pose_only, whole : see `outputs_of`
    crop_from_image : (N, 2, 3) array
        Of `crops_of`.
    radius_px : int
        How landmarks are read out of the heat maps: see `hpbench.mnn.validation.heatmap_points`.
    points_of : callable, optional
        Reads them otherwise: raw outputs to (B, L, 2) crop pixels.
    """
    read = points_of or (lambda outputs: heatmap_points(outputs.heatmap_logits, radius_px=radius_px))
    euler, points, visibility = [], [], []
    for outputs in outputs_of(network, crops, batch_size=batch_size, pose_only=pose_only, whole=whole):
        # what is small stays on the device until all batches are under way: to fetch it waits for the batch
        euler.append(outputs.pose_direct[:, :3].float().clone())
        if outputs.heatmap_logits is not None:
            points.append(read(outputs).float())
            visibility.append(outputs.visibility_logits.float().sigmoid())
    euler, points, visibility = ([x.cpu().numpy() for x in of] for of in (euler, points, visibility))
    rotation = rotation_from_euler(np.concatenate([np.zeros((0, 3)), *euler]), CONVENTION)
    if pose_only or not network.config.dense:
        return Prediction(rotation, None, None)
    empty = np.zeros((0, network.config.landmarks))
    places = from_crop(np.concatenate([np.zeros((0, network.config.landmarks, 2)), *points]), np.asarray(crop_from_image))
    return Prediction(rotation, places, np.concatenate([empty, *visibility]).astype(np.float64))


def _in_fp32(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(x.float() for x in given)
