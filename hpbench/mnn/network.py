"""The network: a U-Net of bottleneck residual blocks, two pose heads on its one-pixel bottleneck, heat maps and visibility at its end.

The paper gives the shape (9 stages from 256 px to 1 px, 64 to 256 channels, skips, batch normalisation and ReLU after each convolution,
heads); its layer table is not published.  Ours are: one block a stage, bottleneck ratio 2, a 1x1 stem, 2x2 convolutions of stride 2
down and transposed ones up, skips by addition, the units and start of the pose heads, and the sigmoid after the average.  With 68
points at 256 px that is 6,278,740 parameters, 3,178,316 of them in the encoder and the pose heads.

Imports PyTorch: import this module inside functions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn

from .config import NetworkConfig

__all__ = ["Network", "NetworkConfig", "Outputs"]

# Degrees and mean-face units: by how much poses vary, and the pose of a frontal mean face that fills its box, so that the projected
# one is in front of the camera from the start
_POSE_UNIT = (30.0, 30.0, 30.0, 1.0, 1.0, 1.0)
_POSE_START = (0.0, 0.0, 0.0, 0.0, -0.4, 3.3)


class Outputs(NamedTuple):
    """What the network says of B crops.

    Attributes
    ----------
    pose_direct, pose_projected : (B, 6) tensors
        Yaw, pitch, roll in degrees (``yxz``), translation in mean-face units; learnt directly, and through the projected mean face.
    heatmap_logits : (B, L, H, W) tensor or None
        A softmax over the pixels of a point is its heat map.
    visibility_logits : (B, L) tensor or None
        Positive = visible.
    """

    pose_direct: Any
    pose_projected: Any
    heatmap_logits: Any
    visibility_logits: Any


class Network(nn.Module):
    """The network of a `NetworkConfig`; `forward` takes (B, 3, input_px, input_px) RGB in [0, 1]."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width, last = config.width, config.stages - 1
        self.stem = _convolution(3, width(0), 1)
        self.encoder = nn.ModuleList(
            nn.Sequential(*([_convolution(width(i - 1), width(i), 2, stride=2)] if i else []), *_blocks(config, i)) for i in range(last + 1)
        )
        self.pose_direct, self.pose_projected = _PoseHead(width(last), 6), _PoseHead(width(last), 6)
        if config.dense:
            self.decoder = nn.ModuleList(_DecoderStage(config, i) for i in reversed(range(last)))
            self.heatmaps = nn.Conv2d(width(0), config.landmarks, 1)
            self.visibility = nn.Linear(width(0), config.landmarks)

    def forward(self, images: Any) -> Outputs:
        """All outputs; without a decoder the last two are None."""
        maps = self._encode(images)
        bottleneck = maps[-1].flatten(1)
        with torch.autocast(bottleneck.device.type, enabled=False):  # of 60 degrees, the next in bfloat16 is a quarter of a degree away
            bottleneck = bottleneck.to(self.pose_direct.weight.dtype)
            poses = self.pose_direct(bottleneck), self.pose_projected(bottleneck)
        if not self.config.dense:
            return Outputs(*poses, None, None)
        x = maps.pop()
        for stage in self.decoder:
            x = stage(x, maps.pop())
        # a 1x1 convolution and the average over all pixels commute: the maps of the visibility head are never built
        visibility = self.visibility(x.mean(dim=(2, 3)))
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 logits of neighbouring pixels would be equal
            return Outputs(*poses, self.heatmaps(x.to(self.heatmaps.weight.dtype)), visibility)

    def pose(self, images: Any) -> Any:
        """`pose_direct` alone, by the encoder alone."""
        return self.pose_direct(self._encode(images)[-1].flatten(1))

    def _encode(self, images: Any) -> list[Any]:
        x, maps = self.stem(images), []
        for stage in self.encoder:
            x = stage(x)
            maps.append(x)
        return maps


class _PoseHead(nn.Linear):
    """A linear layer in units of what poses vary by: one learning rate then suits it and the rest of the network."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after)
        nn.init.zeros_(self.bias)
        self.register_buffer("unit", torch.tensor(_POSE_UNIT), persistent=False)
        self.register_buffer("start", torch.tensor(_POSE_START), persistent=False)

    def forward(self, x: Any) -> Any:
        return super().forward(x) * self.unit + self.start


class _DecoderStage(nn.Module):
    def __init__(self, config: NetworkConfig, stage: int) -> None:
        super().__init__()
        below, here = config.width(stage + 1), config.width(stage)
        self.up = nn.Sequential(nn.ConvTranspose2d(below, here, 2, stride=2, bias=False), nn.BatchNorm2d(here), nn.ReLU(inplace=True))
        self.fuse = _convolution(2 * here, here, 1) if config.skip == "concat" else None
        self.blocks = nn.Sequential(*_blocks(config, stage))

    def forward(self, x: Any, skip: Any) -> Any:
        x = self.up(x)
        return self.blocks(x + skip if self.fuse is None else self.fuse(torch.cat([x, skip], dim=1)))


class _Block(nn.Module):
    """A bottleneck residual block (He et al., CVPR 2016)."""

    def __init__(self, channels: int, inside: int, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(channels, inside, 1),
            _convolution(inside, inside, kernel),
            nn.Conv2d(inside, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Any) -> Any:
        return self.body(x).add_(x).relu_()


def _blocks(config: NetworkConfig, stage: int) -> list[nn.Module]:
    kernel = 1 if stage == config.stages - 1 else 3  # at one pixel, the rest of a 3x3 kernel would see nothing
    channels = config.width(stage)
    return [_Block(channels, channels // config.bottleneck, kernel) for _ in range(config.blocks)]


def _convolution(before: int, after: int, kernel: int, stride: int = 1) -> nn.Sequential:
    padding = kernel // 2 if stride == 1 else 0
    convolution = nn.Conv2d(before, after, kernel, stride=stride, padding=padding, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))
