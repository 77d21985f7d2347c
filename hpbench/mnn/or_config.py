"""Settings of the occlusion-aware regression trees ("OR" of MNN+OR), read from TOML by `hpbench.checked.build`.

The paper trains them "coarse to fine" like its authors' 3DDE (CVIU 2019), whose published values are the defaults here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import InputError
from .config import AugmentConfig

__all__ = ["CascadeConfig"]


@dataclass(frozen=True)
class CascadeConfig:
    """One cascade and its training.

    Attributes
    ----------
    stages : int
        At most; features are sampled anew for each.
    trees : int
        Of a coarse stage, and of each part of a fine one.
    depth : int
        Splits from root to leaf.
    candidates : int
        Random splits tried at a node.
    shrinkage : float
        What a leaf's mean is multiplied by.
    subsample : float
        Share of the faces that a tree is fitted to.
    diameter : (float, float)
        Of the sampling pattern in the first and in the last stage, in sides of the face box; linear between.
    power : float
        Heat maps are seen as shares of their maximum to this power: below 1 the trees see farther than a sharp peak reaches.
    min_gain : float
        A stage that lowers the validation error by a smaller share ends the coarse stages, or the training.
    gate : bool
        Whether trees on the heat map of an occluded landmark are left out.
    occluded_above : float
        Probability of occlusion from which a landmark counts as occluded.
    starts : int
        Of a training crop.
    noise_deg : (float, float, float)
        Yaw, pitch and roll of a start are varied by up to this, +-.
    crops : int
        Varied crops of each training face.
    faces : int
        Of the training faces, at most how many (0: all).
    validation_share, validation_faces : float, int
        Part of the persons that is held out, and at most how many of its faces are looked at (0: all).
    augment : AugmentConfig
        How crops are varied.
    seed : int
    """

    stages: int = 20
    trees: int = 50
    depth: int = 4
    candidates: int = 200
    shrinkage: float = 0.1
    subsample: float = 0.5
    diameter: tuple[float, float] = (0.255, 0.005)
    power: float = 0.25
    min_gain: float = 0.01
    gate: bool = True
    occluded_above: float = 0.5
    starts: int = 5
    noise_deg: tuple[float, float, float] = (20.0, 10.0, 10.0)
    crops: int = 1
    faces: int = 0
    validation_share: float = 0.1
    validation_faces: int = 500
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, greatest in (("stages", 50), ("trees", 1000), ("depth", 8), ("candidates", 10_000), ("starts", 100), ("crops", 100)):
            if not 1 <= getattr(self, name) <= greatest:
                raise InputError(f"cascade: {name} {getattr(self, name)} must be from 1 to {greatest}.")
        for name in ("faces", "validation_faces", "seed"):
            if getattr(self, name) < 0:
                raise InputError(f"cascade: {name} {getattr(self, name)} is below 0.")
        if self.seed >= 2**63:
            raise InputError(f"cascade: seed must be at most {2**63 - 1}.")
        for name in ("shrinkage", "subsample", "power"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"cascade: {name} {getattr(self, name)} must be above 0 and at most 1.")
        if not 1 >= self.diameter[0] >= self.diameter[1] > 0:
            raise InputError(f"cascade: diameter {list(self.diameter)} must be two falling shares of the box above 0, up to 1.")
        if not 0 <= self.min_gain < 1 or not 0 < self.validation_share < 1 or not 0 < self.occluded_above < 1:
            raise InputError("cascade: min_gain, validation_share and occluded_above are shares: they lie between 0 and 1.")
        if any(not 0 <= noise <= 90 for noise in self.noise_deg):
            raise InputError(f"cascade: noise_deg {list(self.noise_deg)} must be three angles from 0 to 90.")

    def stage_diameter(self, stage: int) -> float:
        """Of the sampling pattern, in sides of the face box; stages count from 0."""
        first, last = self.diameter
        return first + (last - first) * stage / max(1, self.stages - 1)
