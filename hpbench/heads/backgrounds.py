"""Backgrounds: gradients with soft blobs, blurred shapes and stripes, linear RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .noise import Noise, smoothstep

__all__ = ["draw_background"]

Array = npt.NDArray[Any]

_COARSE_PX = 64  # the finest blob is a sixteenth of the side: reckoned coarsely, then enlarged


def draw_background(rng: np.random.Generator, size_px: int) -> Array:
    """A random background (size, size, 3), float32; drawn in units of the picture's side, so alike at every size."""
    import cv2

    x, y = _grid(size_px)
    first, second = _colour(rng), _colour(rng)
    out = _ramp(rng, x, y) * (second - first) + first  # channels first: numpy is slow along an axis of three
    where = np.stack([line.ravel() for line in (*_grid(_COARSE_PX), np.zeros((_COARSE_PX, _COARSE_PX), np.float32))], axis=1)
    noise = Noise(rng, 16)
    for octave in range(int(rng.integers(1, 5))):
        bump = noise(where, 0.5 / 2**octave, float(rng.uniform(0, 9))).reshape(_COARSE_PX, _COARSE_PX)
        bump = cv2.resize(bump, (size_px, size_px), interpolation=cv2.INTER_LINEAR)
        out *= 1 + bump * _channels(rng.uniform(0, 0.6) / (octave + 1) * rng.uniform(0.6, 1.2, 3))
    if rng.random() < 0.2:
        wave = 0.5 + 0.5 * np.sin(_ramp(rng, x, y) * rng.uniform(10, 120))
        out += rng.uniform(0.1, 0.6) * smoothstep(0.3, 0.7, wave) * (_colour(rng) - out)
    for _ in range(int(rng.integers(0, 9))):
        inside = _patch(rng, x, y)
        colour = np.clip(first + _channels(rng.normal(0, 0.2, 3)), 0.01, 0.9)
        out += inside * rng.uniform(0.3, 1) * (colour - out)
    return np.ascontiguousarray(np.clip(out, 0, 2).transpose(1, 2, 0))


def _channels(colour: Array) -> Array:
    return colour.astype(np.float32)[:, None, None]


def _grid(size_px: int) -> tuple[Array, Array]:
    line = np.linspace(0, 1, size_px, dtype=np.float32)
    x, y = np.meshgrid(line, line)
    return x, y


def _colour(rng: np.random.Generator) -> Array:
    """Rooms and skies are greyer than random colours."""
    colour = rng.uniform(0.01, 0.75, 3) ** 1.3
    return _channels(colour.mean() + rng.uniform(0.1, 0.6) * (colour - colour.mean()))


def _ramp(rng: np.random.Generator, x: Array, y: Array) -> Array:
    turn = rng.uniform(0, 2 * np.pi)
    turn_x, turn_y = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    return np.asarray(np.clip(0.5 + (x - 0.5) * turn_x + (y - 0.5) * turn_y, 0, 1))


def _patch(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """1 inside a soft-edged rectangle or ellipse."""
    turn, blur = rng.uniform(-0.3, 0.3), rng.uniform(0.003, 0.05)
    across, down = rng.random(2).astype(np.float32)
    wide, high = rng.uniform(0.03, 0.4, 2).astype(np.float32)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u = (x - across) * cos + (y - down) * sin
    v = (y - down) * cos - (x - across) * sin
    if rng.random() < 0.4:
        return smoothstep(blur, -blur, (np.hypot(u / wide, v / high) - 1) * min(wide, high))
    return smoothstep(-blur, blur, wide - np.abs(u)) * smoothstep(-blur, blur, high - np.abs(v))
