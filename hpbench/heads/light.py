"""Light on a scene, drawn at random: one key light that casts soft shadows, one fill that does not, sky over ground."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from .look import single_precision

__all__ = ["Light", "draw_light"]

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Light:
    """Directions are unit vectors (3,) towards the light in the camera frame, colours (3,) linear RGB.

    Attributes
    ----------
    softness : float
        Radius of the key light over its distance.
    exposure : float
        How much brighter than a well exposed picture.
    """

    key: Array
    key_colour: Array
    softness: float
    fill: Array
    fill_colour: Array
    ambient_up: Array
    ambient_down: Array
    exposure: float


def draw_light(rng: np.random.Generator, *, low: bool = False) -> Light:
    """A random light, warm or cool, the key in the viewer's half-space; `low`: dark, and from one side."""
    warmth = rng.normal(0, 0.18)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    key = _unit(np.array([rng.normal(0, 0.9), -abs(rng.normal(0.5, 0.45)), -rng.uniform(0.35, 1.2)]))
    fill = _unit(np.array([-np.sign(key[0]) * rng.uniform(0.2, 1), rng.normal(-0.1, 0.4), -rng.uniform(0.2, 1)]))
    strength = rng.uniform(0.25, 1.0)
    sky = rng.uniform(0.35, 0.9) * (1.1 - 0.6 * strength) * (0.35 if low else 1.0)
    light = Light(
        key=key,
        key_colour=1.9 * strength * tint,
        softness=float(rng.uniform(0.02, 0.25)),
        fill=fill,
        fill_colour=rng.uniform(0.05, 0.6) * (0.3 if low else 1.0) * np.clip(1 + rng.normal(0, 0.12, 3), 0.5, 1.5),
        ambient_up=sky * np.clip(1 + rng.normal(0, 0.1, 3), 0.5, 1.5) / tint,
        ambient_down=sky * rng.uniform(0.2, 0.7) * np.clip(1 + rng.normal(0, 0.12, 3), 0.5, 1.5),
        exposure=float(np.exp(rng.normal(0, 0.22))) * (float(rng.uniform(0.08, 0.25)) if low else 1.0),
    )
    return single_precision(light)


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.linalg.norm(vector))
