"""Grids of places on cloth that is stretched over a head: between two heights, with hems and folds.  Metres, head frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .shapes import (
    Stretched,
    unit,
)

Array = npt.NDArray[np.float64]

__all__ = ["Offset", "directions", "elevation_at", "random_folds", "hem", "round_the_head", "wrap"]

Offset = Callable[[Array, Array], Array]


def directions(azimuth: Array, elevation: Array) -> Array:
    """Unit vectors; azimuth 0 is the front, a quarter turn the subject's left; elevation a quarter turn is up."""
    return np.stack([np.cos(elevation) * np.sin(azimuth), -np.sin(elevation), -np.cos(elevation) * np.cos(azimuth)], axis=-1)


def round_the_head(azimuth: Array, front: float, side: float, back: float) -> Array:
    """A height (metres) around the head that takes these values before, beside and behind it."""
    return side + (np.where(np.cos(azimuth) > 0, front, back) - side) * np.cos(azimuth) ** 2


def elevation_at(cloth: Stretched, azimuth: Array, height: Array) -> Array:
    """Elevation of the places where the cloth is at these heights (y, metres)."""
    elevation = np.zeros_like(azimuth)
    for _ in range(4):
        across = cloth.radius(directions(azimuth, elevation)) * np.cos(elevation)
        elevation = np.arctan2(cloth.centre[1] - height, np.maximum(across, 0.02))
    return elevation


def wrap(cloth: Stretched, azimuth: Array, low: Array, high: Array, rows: int, offset: Offset) -> Array:
    """A grid (rows, C, 3) on the cloth between two elevations; `offset` (metres) of share of height and azimuth."""
    share = np.linspace(0, 1, rows)[:, None]
    around = np.broadcast_to(azimuth, (rows, len(azimuth)))
    way = directions(around, low + share * (high - low))
    distance = cloth.radius(way) + offset(np.broadcast_to(share, around.shape), around)
    return np.asarray(cloth.centre + distance[..., None] * way)


def hem(grid: Array, centre: Array, depth: float) -> Array:
    """The grid with its first row turned in by `depth`, so that its edge looks thick."""
    return np.concatenate([grid[:1] - depth * unit(grid[:1] - centre), grid])


def random_folds(rng: np.random.Generator, strength: float, count: int = 3) -> Offset:
    """Soft random folds (metres) over share and azimuth, never inward."""
    waves = rng.integers(2, 9, count), rng.uniform(-9, 9, count), rng.uniform(0, 2 * np.pi, count)

    def offset(share: Array, azimuth: Array) -> Array:
        total = sum(0.5 + 0.5 * np.sin(k * azimuth + slope * share + phase) for k, slope, phase in zip(*waves, strict=True))
        return np.asarray(strength * total / count)

    return offset
