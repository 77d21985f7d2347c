"""Regression trees on heat maps: from a network's outputs to landmarks, all faces and all trees of a stage at once.

The start is the mean face projected by the network's second pose.  Each stage samples every landmark's heat map at 43 places about the
current shape; a split compares two of the samples of one map, and the leaves of all trees add up to the stage's displacement.

Ours, where the paper is silent: a tree looks at the map of one landmark only, so that "trees whose landmark is occluded" says which
trees are left out; the occlusion is the start's, the same in all stages; maps are divided by their maximum, which makes values
comparable between map sizes and between sure and unsure maps, and taken to a power, which was found to help.

Imports PyTorch: import this module inside functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ..errors import InputError
from .losses import project_mean_face
from .network import Outputs
from .or_config import CascadeConfig
from .or_pattern import BOX_SIDES, PATTERN, anchors, mean_shape, parts, self_occlusion_yaw_deg
from .targets import mean_face_units

__all__ = ["Cascade", "Eyes", "Start", "Trees", "crop_points", "part_lists"]

SAMPLES = len(PATTERN)


class Trees(NamedTuple):
    """The trees of a stage, as files hold them: P parts (1 in a coarse stage) of K trees of depth d.

    Attributes
    ----------
    landmark : (P, K) uint8 tensor
        Whose heat map a tree looks at.
    pair : (P, K, 2^d - 1, 2) uint8 tensor
        The two samples of each split; node n has the children 2 n + 1 (first sample higher by more than the threshold) and 2 n + 2.
    threshold : (P, K, 2^d - 1) float32 tensor
    leaf : (K, 2^d, L, 2) float16 tensor
        Displacements in heights of the face box; tree k of a part holds those of the part's landmarks.
    """

    landmark: Any
    pair: Any
    threshold: Any
    leaf: Any


class Start(NamedTuple):
    """Where the trees start from, for N faces.

    Attributes
    ----------
    shape : (N, L, 2) tensor
        In heights of the face box from its centre.
    occluded : (N, L) tensor
        Probability.
    """

    shape: Any
    occluded: Any


def part_lists(scheme: str, fine: bool) -> list[tuple[int, ...]]:
    """The landmarks of each part of a fine stage, or all of them as the one part of a coarse one."""
    return list(parts(scheme).values()) if fine else [tuple(range(len(mean_shape(scheme))))]


class Eyes(nn.Module):
    """What the trees of a stage see: heat maps about a shape, as shares of each map's maximum to a power.

    Between pixels the logarithms are interpolated: a narrow peak is nearer to a Gaussian than to a pyramid, and exponentials are
    taken of what is sampled only.  Beyond the crop's edge the map goes on as it is there.

    Parameters
    ----------
    scheme : str
    diameter : float
        Of the sampling pattern, in heights of the face box.
    power : float
        See `hpbench.mnn.or_config.CascadeConfig`.
    columns : (C,) int64 tensor, optional
        Which samples, 43 landmark + place; all without.
    """

    def __init__(self, scheme: str, diameter: float, power: float, columns: Any = None) -> None:
        super().__init__()
        where = anchors(scheme, diameter)
        mean = mean_shape(scheme) - mean_shape(scheme).mean(axis=0)
        columns = torch.arange(where.landmark.size) if columns is None else columns
        self.power = power
        self.register_buffer("anchor", torch.as_tensor(where.landmark.reshape(-1))[columns])
        self.register_buffer("offset", torch.as_tensor(where.offset.reshape(-1, 2).T, dtype=torch.float32)[:, columns].contiguous())
        self.register_buffer("map", columns // SAMPLES)
        self.register_buffer("mean", torch.as_tensor(mean / (mean**2).sum(), dtype=torch.float32))

    def forward(self, logits: Any, top: Any, shape: Any) -> Any:
        """Samples of maps about shapes.

        Parameters
        ----------
        logits : (B, L, H, W) tensor
        top : (B, L) tensor
            Their maxima.
        shape : (B S, L, 2) tensor
            S shapes of each face in a row.

        Returns
        -------
        (B S, C) float32 tensor, from 0 to 1
        """
        count, _, height, width = logits.shape
        if not (logits.is_contiguous() or logits.is_contiguous(memory_format=torch.channels_last)):
            logits = logits.contiguous()
        x, y = self._places(shape, width)
        x, y = x.clamp_(0, width - 1), y.clamp_(0, height - 1)
        column, row = x.floor().clamp_(max=width - 2), y.floor().clamp_(max=height - 2)
        _, per_map, per_row, per_column = logits.stride()
        at = (row * per_row + column * per_column).long().add_(self.map * per_map).view(count, -1)
        flat = logits.as_strided((count, logits[0].numel()), (logits.stride(0), 1))
        x, y = (x - column).view(count, -1), (y - row).view(count, -1)
        upper = torch.lerp(flat.gather(1, at).float(), flat.gather(1, at + per_column).float(), x)
        at += per_row
        lower = torch.lerp(flat.gather(1, at).float(), flat.gather(1, at + per_column).float(), x)
        return torch.lerp(upper, lower, y).view(count, -1, len(self.map)).sub_(top[:, None, self.map]).mul_(self.power).exp_().flatten(0, 1)

    def _places(self, shape: Any, size_px: int) -> tuple[Any, Any]:
        """Crop pixels x and y, (N, C): the anchors, and the offsets turned and scaled by the similarity from the mean shape."""
        unit = size_px / BOX_SIDES
        cos = unit * (shape * self.mean).sum(dim=(1, 2))  # the mean is subtracted from the one, so it need not be from the other
        sin = unit * (self.mean[:, 0] * shape[..., 1] - self.mean[:, 1] * shape[..., 0]).sum(dim=1)
        anchor_x, anchor_y = (t.index_select(1, self.anchor) for t in crop_points(shape, size_px).unbind(2))
        right, down = self.offset
        x = anchor_x.addcmul_(cos[:, None], right).addcmul_(sin[:, None], down, value=-1.0)
        return x, anchor_y.addcmul_(sin[:, None], right).addcmul_(cos[:, None], down)


class _Stage(nn.Module):
    """A stage's eyes and trees, in tables that suit tensors."""

    def __init__(self, scheme: str, config: CascadeConfig, number: int, trees: Trees) -> None:
        super().__init__()
        parts_, count = trees.landmark.shape
        self.splits = trees.threshold.shape[2]
        self.depth = (self.splits + 1).bit_length() - 1
        members = part_lists(scheme, parts_ > 1)
        widest = max(map(len, members))
        leaf = trees.leaf.new_zeros(parts_, count, self.splits + 1, widest, 2, dtype=torch.float32)
        place = np.empty(trees.leaf.shape[2], dtype=np.int64)
        for p, points in enumerate(members):
            leaf[p, :, :, : len(points)] = trees.leaf[:, :, list(points)].float()
            place[list(points)] = p * widest + np.arange(len(points))
        landmark = trees.landmark.long().reshape(-1)
        self.register_buffer("landmark", landmark)
        looked_at, sample = (landmark[:, None, None] * SAMPLES + trees.pair.long().flatten(0, 1)).unique(return_inverse=True)
        self.eyes = Eyes(scheme, config.stage_diameter(number), config.power, looked_at.cpu())
        self.register_buffer("sample", sample.view(-1, 2))
        self.register_buffer("threshold", trees.threshold.float().flatten())
        self.register_buffer("leaf", leaf.reshape(parts_ * count * (self.splits + 1), -1))
        self.register_buffer("place", torch.as_tensor(place))
        self.register_buffer("tree", torch.arange(parts_ * count))
        self.parts = parts_

    def forward(self, logits: Any, top: Any, shape: Any, used: Any) -> Any:
        """The displacement of each landmark, (N, L, 2); `used` (N, L) says whose maps count."""
        values = self.eyes(logits, top, shape)
        node = torch.zeros((len(values), len(self.tree)), dtype=torch.int64, device=values.device)
        first = self.tree * self.splits
        for _ in range(self.depth):
            split = node + first
            seen = values.gather(1, self.sample[split].flatten(1)).view(*split.shape, 2)
            node = 2 * node + 2 - (seen[..., 0] - seen[..., 1] > self.threshold[split]).long()
        row = node - self.splits + self.tree * (self.splits + 1)
        weight = used[:, self.landmark].to(values.dtype)
        bags = len(values) * self.parts
        summed = functional.embedding_bag(row.view(bags, -1), self.leaf, mode="sum", per_sample_weights=weight.view(bags, -1))
        return summed.view(len(values), -1, 2)[:, self.place]


class Cascade(nn.Module):
    """All stages.

    Parameters
    ----------
    config : CascadeConfig
    scheme : str
    stages : sequence of Trees
    network_sha256 : str
        `hpbench.mnn.or_file.network_fingerprint` of the network whose outputs the trees have learnt.

    Attributes
    ----------
    config, scheme, network_sha256
    trees : list of Trees
        As given.
    """

    def __init__(self, config: CascadeConfig, scheme: str, stages: Sequence[Trees], network_sha256: str) -> None:
        super().__init__()
        self.config, self.scheme, self.network_sha256, self.trees = config, scheme, network_sha256, list(stages)
        self.stages = nn.ModuleList(_Stage(scheme, config, i, trees) for i, trees in enumerate(stages))
        above, below = self_occlusion_yaw_deg(scheme)
        mean_shape(scheme)  # every point has a place on the mean face
        self.register_buffer("face", torch.as_tensor(mean_face_units(scheme), dtype=torch.float32))
        self.register_buffer("hidden_above", torch.as_tensor(above, dtype=torch.float32))
        self.register_buffer("hidden_below", torch.as_tensor(below, dtype=torch.float32))

    def points(self, outputs: Outputs) -> Any:
        """Landmarks of B faces, (B, L, 2) in crop pixels, from a network's outputs and nothing else.

        Raises
        ------
        InputError
            The outputs have no heat maps, or those of another landmark scheme.
        """
        logits = outputs.heatmap_logits
        if logits is None or logits.shape[1] != len(self.face):
            raise InputError(f"the regression trees need the heat maps of {len(self.face)} points ({self.scheme}).")
        with torch.inference_mode():
            start = self.start(outputs.pose_projected, outputs.visibility_logits)
            shape = self.refined(logits, start) if len(logits) else start.shape
            return crop_points(shape, logits.shape[3])

    def start(self, pose_projected: Any, visibility_logits: Any) -> Start:
        """The mean face projected by (N, 6) poses, and what its yaw or the (N, L) visibility says is occluded."""
        pose = pose_projected.float()
        hidden = (pose[:, :1] > self.hidden_above) | (pose[:, :1] < -self.hidden_below)
        occluded = torch.where(hidden, 1.0, torch.sigmoid(-visibility_logits.float()))
        return Start(BOX_SIDES * project_mean_face(pose, self.face), occluded)

    def used(self, start: Start) -> Any:
        """(N, L) bool: the landmarks whose trees count."""
        if not self.config.gate:
            return torch.ones_like(start.occluded, dtype=torch.bool)
        return start.occluded <= self.config.occluded_above

    def refined(self, logits: Any, start: Start, first: int = 0) -> Any:
        """Shapes (B S, L, 2) after the stages from `first` on, of (B, L, H, W) logits and S starts of each face."""
        shape, used, top = start.shape, self.used(start), logits.amax(dim=(2, 3)).float()
        for stage in self.stages[first:]:
            shape = shape + stage(logits, top, shape, used)
        return shape


def crop_points(shape: Any, size_px: int) -> Any:
    """Crop pixels of places in the frame of the face box."""
    return shape * (size_px / BOX_SIDES) + (size_px - 1) / 2.0
