"""What an accessory is, and what it must know of a head.

Conventions
-----------
Metres in the head frame (x to the subject's left, y down, z into the head), so that everything moves with the head.
Colours are linear RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...landmarks import SCHEMES
from .shapes import (
    Mesh,
    surface_points,
    unit,
)

Array = npt.NDArray[np.float64]

__all__ = ["HAIR_UNDER_HEADGEAR_M", "MEAN_EAR_WIDTH_M", "Accessory", "HeadGeometry", "cloth_colour", "part_of", "with_things"]

HAIR_UNDER_HEADGEAR_M = 0.008  # hair stands out no further under headgear, which flattens it: render it so
MEAN_EAR_WIDTH_M = 0.141  # between jaw points 0 and 16 of the mean head: sizes below are for that head


@dataclass(frozen=True)
class Accessory:
    """A mesh of one colour.

    Attributes
    ----------
    name : str
        Kind and part, as in ``glasses rim``.
    vertices : (V, 3) float64 array, metres in the head frame
    triangles : (T, 3) int32 array
    colour : (3,) float64 array, linear RGB
    gloss : float
        Strength of highlights, 0 for cloth to about 3 for glass.
    opacity : float
        1 hides what lies behind; below 0.3 is a tint that hides nothing and is to be left out of visibility.
    """

    name: str
    vertices: Array
    triangles: npt.NDArray[np.int32]
    colour: Array
    gloss: float = 0.15
    opacity: float = 1.0

    @property
    def kind(self) -> str:
        """The thing that this mesh is part of."""
        return self.name.split()[0]


@dataclass(frozen=True)
class HeadGeometry:
    """What accessories must know of a head.

    Attributes
    ----------
    vertices : (V, 3) array, metres in the head frame
        The bust, bent as it is rendered.
    landmarks : (68, 3) array, metres in the head frame
        The fixed points.
    skin_triangles : (T, 3) int array
    scalp : (V,) array
        Signed distance above the hairline, metres.
    hair_thickness_m : float
        How far hair stands out at most, bumps included; 0 for none.
    """

    vertices: Array
    landmarks: Array
    skin_triangles: npt.NDArray[np.int32]
    scalp: Array
    hair_thickness_m: float = 0.0

    @cached_property
    def scale(self) -> float:
        """Size of the head, 1 for the mean head."""
        return float((self.landmarks[16, 0] - self.landmarks[0, 0]) / MEAN_EAR_WIDTH_M)

    @cached_property
    def even(self) -> Array:
        """The landmarks (68, 3) made mirror symmetric: what is worn straight goes by them."""
        swapped = np.arange(68)
        for first, second in SCHEMES["ibug68-fixed"].pairs:
            swapped[first], swapped[second] = second, first
        return np.asarray(0.5 * (self.landmarks + self.landmarks[swapped] * [-1, 1, 1]))

    @cached_property
    def skin(self) -> Array:
        """The skin's vertices (S, 3)."""
        return self.vertices[self._own]

    @cached_property
    def _own(self) -> npt.NDArray[np.int64]:
        return np.unique(self.skin_triangles)

    @cached_property
    def surface(self) -> Array:
        """Places on the skin of head and neck (N, 3), dense enough to rest things on."""
        corner_y = self.vertices[self.skin_triangles, 1]
        return surface_points((self.vertices, self.skin_triangles[(corner_y < self.landmarks[8, 1] + 0.05).all(1)]))

    @cached_property
    def ear_y(self) -> float:
        """Height of the jaw's upper ends, metres, beside the ears' middle."""
        return float(self.landmarks[[0, 16], 1].mean())

    @cached_property
    def skull(self) -> Array:
        """Centre of the skull (3,)."""
        return np.array([0.0, self.ear_y - 0.025 * self.scale, self.landmarks[[0, 16], 2].mean() + 0.02 * self.scale])

    @cached_property
    def neck(self) -> Array:
        """Middle of the neck (3,), 3 cm below the chin."""
        level = self.landmarks[8, 1] + 0.03 * self.scale
        near = self.skin[(abs(self.skin[:, 1] - level) < 0.012) & (abs(self.skin[:, 0]) < 0.09 * self.scale)]
        return np.array([np.median(near[:, 0]), level, 0.5 * (near[:, 2].min() + near[:, 2].max())])

    @cached_property
    def haired(self) -> Array:
        """The skin's vertices (S, 3), those of the scalp lifted by the hair's thickness."""
        return self._lifted(self.hair_thickness_m)

    @cached_property
    def flattened(self) -> Array:
        """As `haired`, the hair as flat as headgear makes it."""
        return self._lifted(min(self.hair_thickness_m, HAIR_UNDER_HEADGEAR_M))

    def _lifted(self, thickness_m: float) -> Array:
        rise = np.clip(self.scalp[self._own] / 0.03, 0, 1) * (thickness_m + 0.0005)
        return self.skin + rise[:, None] * unit(self.skin - self.skull)


def with_things(points: Array, things: Sequence[Accessory]) -> Array:
    """Points (N, 3) and places on things, for something else to rest on."""
    return np.concatenate([points, *(surface_points((x.vertices, x.triangles), 0.005) for x in things)])


def cloth_colour(rng: np.random.Generator) -> Array:
    """Black, white, grey, muted or bright."""
    kind = rng.choice(4, p=[0.25, 0.15, 0.35, 0.25])
    if kind == 0:
        return np.asarray(rng.uniform(0.01, 0.05) * rng.uniform(0.7, 1.3, 3))
    if kind == 1:
        return np.asarray(rng.uniform(0.5, 0.8) * rng.uniform(0.9, 1.0, 3))
    return np.asarray(rng.uniform(0.05, 0.5) * (rng.uniform(0.5, 1.0, 3) if kind == 2 else rng.uniform(0.05, 1.0, 3) ** 1.5))


def part_of(name: str, mesh: Mesh, colour: npt.ArrayLike, gloss: float = 0.15, opacity: float = 1.0) -> Accessory:
    return Accessory(name, mesh[0], mesh[1], np.asarray(colour, dtype=np.float64), gloss, opacity)
