"""What varies from picture to picture besides people, looks and light: pose, camera, framing, and what makes a face hard.

Angles are those of ``300w-lp`` (`hpbench.geometry.rotations`) relative to the ray to the head, which is what a crop shows.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["HARD_REASONS", "YAW_BINS_DEG", "Staging", "draw_angles_deg", "draw_staging"]

Array = npt.NDArray[Any]

YAW_BINS_DEG = ((0.0, 30.0), (30.0, 60.0), (60.0, 100.0))  # of |yaw|, each a third of the pictures
_PITCH_SD_DEG, _ROLL_SD_DEG, _LIMIT_DEG = 19.0, 19.0, 60.0
_EXTREME = 0.08  # share of pitches and rolls that are uniform up to the limit
HARD_REASONS = ("occlusion", "profile", "low quality")


@dataclasses.dataclass(frozen=True, eq=False)
class Staging:
    """Where the head is and how it is framed.

    Attributes
    ----------
    hard : tuple of str
        From `HARD_REASONS`; none in the general distribution.
    angles_deg : (3,) array
        Yaw, pitch, roll relative to the ray to the head.
    ray : (3,) array
        Unit direction to the head, camera frame: the head may stand away from the lens's axis.
    distance_m : float
    face_share : float
        Longer side of the landmark box over the picture's side.
    shift : (2,) array
        Centre of the landmark box away from the picture's centre, in picture sides.
    neck_share : float
        How much of the turn the neck does; the body does the rest.
    """

    hard: tuple[str, ...]
    angles_deg: Array
    ray: Array
    distance_m: float
    face_share: float
    shift: Array
    neck_share: float


def draw_angles_deg(rng: np.random.Generator, *, profile: bool = False) -> Array:
    """Yaw to +-100, pitch and roll to +-60 degrees, (3,); `profile`: |yaw| of 60 and more."""
    low, high = YAW_BINS_DEG[2] if profile else YAW_BINS_DEG[rng.integers(len(YAW_BINS_DEG))]
    yaw = rng.choice([-1, 1]) * rng.uniform(low, high)
    pitch, roll = (
        rng.uniform(-_LIMIT_DEG, _LIMIT_DEG) if rng.random() < _EXTREME else _within(rng, sd) for sd in (_PITCH_SD_DEG, _ROLL_SD_DEG)
    )
    return np.array([yaw, pitch, roll])


def _within(rng: np.random.Generator, sd: float) -> float:
    """A normal number that lies within the limit, drawn again until it does: clipping would pile faces up there."""
    while abs(drawn := rng.normal(0, sd)) > _LIMIT_DEG:
        pass
    return float(drawn)


def draw_staging(rng: np.random.Generator, *, hard: bool = False) -> Staging:
    """A random staging; `hard`: with one to three reasons to be hard."""
    reasons: tuple[str, ...] = ()
    while hard and not reasons:
        chosen = rng.random(len(HARD_REASONS)) < 0.5
        reasons = tuple(name for name, yes in zip(HARD_REASONS, chosen, strict=True) if yes)
    angles_deg = draw_angles_deg(rng, profile="profile" in reasons)
    across, down = np.clip(rng.normal(0, 9, 2), -22, 22)
    ray = np.array([np.tan(np.radians(across)), np.tan(np.radians(down)), 1.0])
    return Staging(
        hard=reasons,
        angles_deg=angles_deg,
        ray=ray / np.linalg.norm(ray),
        distance_m=float(np.exp(rng.uniform(np.log(0.45), np.log(3.0)))),
        face_share=float(rng.uniform(0.30, 0.62)),
        shift=np.clip(rng.normal(0, 0.05, 2), -0.15, 0.15),
        neck_share=float(rng.uniform(0.4, 0.8)),
    )
