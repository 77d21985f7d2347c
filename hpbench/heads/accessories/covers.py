"""Masks and scarves: cloth before mouth and nose.  Metres in the head frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .cloth import Offset, elevation_at, hem, random_folds, round_the_head, wrap
from .shapes import (
    Stretched,
    join,
    sheet,
    smooth_path,
    tube,
    unit,
)
from .things import Accessory, HeadGeometry, cloth_colour, part_of

Array = npt.NDArray[np.float64]

__all__ = ["face_mask", "scarf"]


def face_mask(rng: np.random.Generator, head: HeadGeometry, *, kind: str | None = None) -> list[Accessory]:
    """A mask from the bridge of the nose to below the chin with loops to the ears; `kind` is ``pleated``, ``cloth`` or ``cup``."""
    style = kind or str(rng.choice(["pleated", "cloth", "cup"], p=[0.5, 0.35, 0.15]))
    s, points = head.scale, head.even
    nose = points[27] + rng.uniform(0.45, 0.95) * (points[28] - points[27])
    cheek = points[46] + [0.006 * s, 0.017 * s, 0.0]
    wide = rng.uniform(0.0, 0.35)
    upper = cheek + (0.62 + wide) * (points[15] + [0, -0.004 * s, -0.004 * s] - cheek)
    lower = points[11] + 0.45 * (points[13] - points[11]) + [0, 0, -0.004 * s] - 0.2 * (0.35 - wide) * (points[11] - points[51])
    under = points[8] + np.array([0, 0.010, 0.014]) * s
    below = points[10] + [0.0, 0.006 * s, 0.004 * s]
    top = smooth_path([upper * [-1, 1, 1], cheek * [-1, 1, 1], nose, cheek, upper], 33)
    bottom = smooth_path([lower * [-1, 1, 1], below * [-1, 1, 1], under, below, lower], 33)
    centre = np.array([0.0, points[33, 1], head.skull[2] - 0.015 * s])
    t = np.linspace(0, 1, 26)[:, None, None]
    way = unit((1 - t) * unit(top - centre) + t * unit(bottom - centre))
    near = head.skin[(head.skin[:, 1] > nose[1] - 0.004 * s) & (head.skin[:, 1] < under[1] + 0.01 * s) & (head.skin[:, 2] < points[14][2])]
    cloth = Stretched(np.concatenate([near, centre[None]]), centre)
    t, across = t[..., 0], np.linspace(-1, 1, 33)[None]
    inner = np.clip(4 * t * (1 - t), 0, 1) ** 0.7 * (1 - across**2) ** 0.5
    if style == "pleated":
        off = 0.002 + 0.0022 * ((3.5 * np.clip(t - 0.12, 0, 0.8)) % 1.0) * (1 - 0.5 * across**2) + 0.003 * inner
    elif style == "cup":
        off = 0.002 + rng.uniform(0.006, 0.014) * inner * s
    else:
        off = 0.0015 + 0.003 * inner + 0.0015 * np.exp(-((across / 0.04) ** 2)) * inner
    grid = centre + (cloth.radius(way) + off)[..., None] * way
    tones = [(0.30, 0.52, 0.68), (0.75, 0.76, 0.76), (0.02, 0.02, 0.022), (0.42, 0.62, 0.60)]
    colour = np.array(tones[rng.integers(4)]) * rng.uniform(0.85, 1.1) if style != "cloth" or rng.random() < 0.4 else cloth_colour(rng)
    parts = [part_of("mask cover", sheet(grid), colour, 0.05)]
    loops = []
    for side, column in ((-1.0, 0), (1.0, -1)):
        ear = points[16]
        start, end = grid[1, column] * [side, 1, 1], grid[-2, column] * [side, 1, 1]
        behind = ear + s * np.array([[0.004, -0.014, 0.002], [0.006, -0.022, 0.014], [0.004, 0.0, 0.030], [0.0, 0.032, 0.014]])
        path = smooth_path([start, *behind, end], 26)
        skin = head.skin * [side, 1, 1]
        for place in path[1:-1]:
            close = skin[(abs(skin[:, 1] - place[1]) < 0.006) & (abs(skin[:, 2] - place[2]) < 0.006)]
            if len(close) and place[2] < ear[2] + 0.006:
                place[0] = max(place[0], close[:, 0].max() + 0.0015)
        loops.append(tube(path * [side, 1, 1], 0.0014, 5))
    return [*parts, part_of("mask loops", join(*loops), np.minimum(colour * 1.2 + 0.1, 0.8), 0.05)]


def scarf(rng: np.random.Generator, head: HeadGeometry, *, over_mouth: bool | None = None) -> list[Accessory]:
    """A scarf wound round the neck; `over_mouth` pulls it up over mouth or nose (drawn if not given)."""
    s, points = head.scale, head.landmarks
    high = rng.random() < 0.6 if over_mouth is None else over_mouth
    front = rng.uniform(points[29, 1], points[33, 1] - 0.004) if high else points[8, 1] - rng.uniform(-0.004, 0.010) * s
    side, back = (front + 0.022 * s, head.ear_y + 0.03 * s) if high else (front + 0.006 * s, points[8, 1] - 0.012 * s)
    azimuth, colour = np.arange(48) * 2 * np.pi / 48, cloth_colour(rng)
    apart = np.linalg.norm((head.haired - head.neck)[:, [0, 2]], axis=1)
    parts = []
    for part in ("upper", "lower"):
        upper = part == "upper"
        end = points[8, 1] + (0.030 if upper else 0.085) * s
        if upper:  # about the head, whose turn the neck follows only in part
            middle = head.skull
            near = head.haired[(head.haired[:, 1] < points[8, 1]) | (apart < 0.085 * s)]
            start = round_the_head(np.arctan2(near[:, 0], middle[2] - near[:, 2]), front, side, back)
            height = round_the_head(azimuth, front, side, back)
        else:
            middle, near = head.neck, head.haired[apart < 0.078 * s]
            start = np.full(len(near), points[8, 1] + 0.016 * s)
            height = start[0] + 0.012 * s * np.cos(azimuth + rng.uniform(0, 2 * np.pi))
        centre = np.array([middle[0], 0.5 * (height.mean() + end), middle[2]])
        cloth = Stretched(near[(near[:, 1] > start - 0.004 * s) & (near[:, 1] < end)], centre)
        folds = random_folds(rng, 0.008)
        gap, bulge = {"upper": (0.003, 0.006) if high else (0.008, 0.014), "lower": (0.010, 0.016)}[part]

        def offset(share: Array, around: Array, gap: float = gap, bulge: float = bulge, folds: Offset = folds) -> Array:
            arch = np.sin(np.pi * share) ** 0.5
            return np.asarray(gap + bulge * arch + folds(2 * share, around) * arch)

        low = elevation_at(cloth, azimuth, np.full(48, end))
        grid = wrap(cloth, azimuth, elevation_at(cloth, azimuth, height), low, 14, offset)
        parts.append(part_of(f"scarf {part}", sheet(hem(grid, centre, 0.006), closed=True), colour, 0.03))
    return parts
