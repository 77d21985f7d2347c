"""Every setting of the network and of its training, with the paper's values as defaults where the paper gives one.

Read from TOML by `hpbench.checked.build`, so an unknown key is an error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from ..errors import InputError
from ..landmarks import scheme_named

__all__ = ["MAX_INPUT_PX", "MAX_WIDTH", "READ_RADIUS_PX", "AugmentConfig", "LossConfig", "NetworkConfig", "TrainConfig"]

# Landmarks are read as the mean place this near to the highest pixel of their map; on heads/test by the shipped network the NME is
# 3.65 % at 0 (the paper's), 3.34 at 2, 3.23 at 4
READ_RADIUS_PX = 4

MAX_INPUT_PX, MAX_WIDTH = 1024, 4096  # more is no crop of a face, and no network for one: it would fill the memory


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of the network.

    Attributes
    ----------
    input_px : int
        Side of the crop it sees, a power of two; every stage halves it, down to one pixel.
    widths : tuple of int
        Channels of the stages from full resolution down; the last serves all further ones.
    blocks : int
        Residual blocks a stage.
    bottleneck : int
        By what a block divides the channels inside.
    skip : str
        How a decoder stage takes in the encoder's map: ``add``, or ``concat`` and a 1x1 convolution.
    scheme : str
        The landmark scheme.
    dense : bool
        With decoder, heat maps and visibility; without, encoder and pose heads only.
    """

    input_px: int = 256
    widths: tuple[int, ...] = (64, 128, 256)
    blocks: int = 1
    bottleneck: int = 2
    skip: Literal["add", "concat"] = "add"
    scheme: str = "ibug68-fixed"
    dense: bool = True

    def __post_init__(self) -> None:
        scheme_named(self.scheme)
        if not 4 <= self.input_px <= MAX_INPUT_PX or self.input_px & (self.input_px - 1):
            raise InputError(f"network: input_px {self.input_px} is no power of two from 4 to {MAX_INPUT_PX}.")
        if not 1 <= self.blocks <= 16 or self.bottleneck < 1:
            raise InputError(f"network: blocks ({self.blocks}) must be from 1 to 16 and bottleneck ({self.bottleneck}) 1 or more.")
        if not 1 <= len(self.widths) <= self.stages or any(not 1 <= w <= MAX_WIDTH or w % self.bottleneck for w in self.widths):
            raise InputError(
                f"network: widths {list(self.widths)}: at {self.input_px} px it takes 1 to {self.stages} multiples of {self.bottleneck} "
                f"up to {MAX_WIDTH}."
            )

    @property
    def stages(self) -> int:
        """Of the encoder: 9 for 256 px."""
        return int(math.log2(self.input_px)) + 1

    @property
    def landmarks(self) -> int:
        """How many points the scheme has."""
        return scheme_named(self.scheme).n_points

    def width(self, stage: int) -> int:
        """Channels of a stage, 0 = full resolution."""
        return self.widths[min(stage, len(self.widths) - 1)]


@dataclass(frozen=True)
class AugmentConfig:
    """How pictures are varied (section "augmentation" of the paper); 0 turns a kind off.

    Attributes
    ----------
    turn_deg : float
        In-plane rotation, +-.
    scale, shift : float
        Share of the crop's side, and of the box, +-.
    mirror : float
        Probability.
    colour : float
        Each of hue, saturation and value is multiplied by 1 +- this.
    occluder : float
        Probability of a rectangle in front of the face; the paper gives neither this nor the size.
    occluder_share : (float, float)
        Least and greatest side of the rectangle, as a share of the crop's.
    """

    turn_deg: float = 45.0
    scale: float = 0.15
    shift: float = 0.05
    mirror: float = 0.5
    colour: float = 0.5
    occluder: float = 0.3
    occluder_share: tuple[float, float] = (0.1, 0.4)

    def __post_init__(self) -> None:
        if not (0 <= self.turn_deg <= 180 and 0 <= self.scale < 1 and 0 <= self.shift < 1 and 0 <= self.colour <= 1):
            raise InputError("augment: turn_deg must be from 0 to 180, scale and shift from 0 to below 1, colour from 0 to 1.")
        if not (0 <= self.mirror <= 1 and 0 <= self.occluder <= 1):
            raise InputError(f"augment: mirror ({self.mirror}) and occluder ({self.occluder}) are probabilities, from 0 to 1.")
        if not 0 < self.occluder_share[0] <= self.occluder_share[1] <= 1:
            raise InputError(f"augment: occluder_share {list(self.occluder_share)} must be two rising shares above 0, up to 1.")


@dataclass(frozen=True)
class LossConfig:
    """Weights of the four losses (a_p1, a_p2, a_h, a_v of the paper, which does not publish them).

    The paper trains each task alone and weights so that the converged values balance (`hpbench.mnn.losses.balanced_weights`).

    Attributes
    ----------
    pose, projection, heatmap, visibility : float
    translation_scale : float
        What the three translation numbers are multiplied by in the pose loss; at 1, the paper's, degrees dominate.
    """

    pose: float = 0.5
    projection: float = 0.5
    heatmap: float = 1.0
    visibility: float = 10.0
    translation_scale: float = 1.0

    def __post_init__(self) -> None:
        for name in ("pose", "projection", "heatmap", "visibility", "translation_scale"):
            if getattr(self, name) < 0:
                raise InputError(f"loss: {name} {getattr(self, name)} is below 0.")


@dataclass(frozen=True)
class TrainConfig:
    """One training.

    Attributes
    ----------
    network, loss, augment
    occluded : str
        Which points count as occluded: ``both`` kinds, or ``external`` only, self-occluded points then being left out.
    epochs : int
        In all, of which the first `pretrain_epochs` learn heat maps only.
    steps_per_epoch : int
        0: as many as one pass over the data takes.
    batch_size, accumulate : int
        Pictures of a forward pass, over all processes, and passes of a step.
    learning_rate : float
        Of Adam; halved after `patience_epochs` without a better validation loss, and set anew after pretraining.
    validation_share, validation_faces : float, int
        Part of the persons that is held out, and at most how many of its faces are looked at (0: all).
    precision : str
        ``fp32``, or ``bf16``: forward and backward by autocast.
    workers, threads : int
        Processes that load pictures, and threads of the network (0: PyTorch's choice).
    seed : int
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    occluded: Literal["both", "external"] = "both"
    epochs: int = 100
    pretrain_epochs: int = 20
    steps_per_epoch: int = 0
    batch_size: int = 32
    accumulate: int = 1
    learning_rate: float = 1e-3
    patience_epochs: int = 15
    validation_share: float = 0.1
    validation_faces: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    workers: int = 1
    threads: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "patience_epochs"):
            if getattr(self, name) < 1:
                raise InputError(f"training: {name} {getattr(self, name)} must be 1 or more.")
        for name in ("pretrain_epochs", "steps_per_epoch", "validation_faces", "workers", "threads", "seed"):
            if getattr(self, name) < 0:
                raise InputError(f"training: {name} {getattr(self, name)} is below 0.")
        for name, greatest in (("accumulate", 10_000), ("workers", 256), ("threads", 256), ("seed", 2**63 - 1)):
            if getattr(self, name) > greatest:
                raise InputError(f"training: {name} must be at most {greatest}.")
        if self.batch_size < 2:
            raise InputError("training: batch_size 1 leaves batch normalisation nothing to average at one pixel: take 2 or more.")
        if not 0 < self.validation_share < 1 or self.learning_rate <= 0:
            raise InputError("training: validation_share must lie between 0 and 1, learning_rate above 0.")
        if self.pretrain_epochs and not self.network.dense:
            raise InputError("training: pretrain_epochs learn heat maps, which a network with dense = false has not: set it to 0.")
