"""Smooth steps, smooth noise and fast row-wise vector algebra: what every texture here is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Noise", "dots", "smoothstep", "units"]

Array = npt.NDArray[Any]


def smoothstep(low: float, high: float, value: Array) -> Array:
    """0 below `low`, 1 above `high`, a cubic between; `low` > `high` falls instead of rising."""
    share = np.clip((value - low) * (1 / (high - low)), 0, 1)
    return np.asarray(share * share * (3 - 2 * share))


def dots(a: Array, b: Array) -> Array:
    """Scalar products (M,) of rows (M, 3); several times as fast as a product and a sum over the short axis."""
    return np.asarray(np.einsum("ij,ij->i", a, b))


def units(vectors: Array) -> Array:
    """Rows (M, 3) at unit length; zero rows stay."""
    return np.asarray(vectors / (np.sqrt(dots(vectors, vectors)) + np.float32(1e-9))[:, None])


class Noise:
    """Smooth noise in space from one random lattice that repeats after `side` cells; a call is one octave."""

    def __init__(self, rng: np.random.Generator, side: int = 32) -> None:
        self._side = side
        self._lattice = rng.uniform(-1, 1, (side, side, side)).astype(np.float32).ravel()

    def __call__(self, where: Array, scale: float, shift: float = 0.0) -> Array:
        """Noise in [-1, 1], (N,) float32, at points (N, 3); `scale` is the size of a bump in the points' unit."""
        side, table = self._side, self._lattice
        grid = where.astype(np.float32) * np.float32(1 / scale) + np.float32(shift)
        low = np.floor(grid)
        share = grid - low
        share = share * share * (3 - 2 * share)
        cell = low.astype(np.int32) % side
        after = (cell + 1) % side
        x0, x1 = cell[:, 0] * (side * side), after[:, 0] * (side * side)
        y0, y1 = cell[:, 1] * side, after[:, 1] * side
        z0, z1 = cell[:, 2], after[:, 2]
        u, v, w = share.T

        def line(base: Array) -> Array:
            near = table[base + z0]
            return np.asarray(near + w * (table[base + z1] - near))

        front = line(x0 + y0)
        front += v * (line(x0 + y1) - front)
        back = line(x1 + y0)
        back += v * (line(x1 + y1) - back)
        return np.asarray(front + u * (back - front))
