"""Beanies, caps, hats, hoods and headscarves that enclose scalp and hair.  Metres in the head frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .cloth import Offset, elevation_at, hem, random_folds, round_the_head, wrap
from .shapes import (
    Mesh,
    Stretched,
    ball,
    join,
    sheet,
    smooth_path,
    unit,
)
from .things import Accessory, HeadGeometry, cloth_colour, part_of

Array = npt.NDArray[np.float64]

__all__ = ["HEADGEAR_KINDS", "headgear"]

HEADGEAR_SHARE = {"beanie": 0.27, "cap": 0.28, "hood": 0.13, "headscarf": 0.14, "hat": 0.18}
HEADGEAR_KINDS = tuple(HEADGEAR_SHARE)


def headgear(rng: np.random.Generator, head: HeadGeometry, *, kinds: Sequence[str] = HEADGEAR_KINDS) -> list[Accessory]:
    """A beanie, a cap, a hat, a hood or a headscarf, one of `kinds`; it encloses the scalp and the flattened hair.

    Hair must be rendered no thicker than `HAIR_UNDER_HEADGEAR_M` under it; long locks beside the neck may stay.
    """
    share = np.array([HEADGEAR_SHARE[kind] for kind in kinds])
    chosen = str(rng.choice(list(kinds), p=share / share.sum()))
    if chosen in ("hood", "headscarf"):
        return _around_face(rng, head, chosen)
    s = head.scale
    brow_y, ear_y = float(head.landmarks[17:27, 1].min()), head.ear_y
    high, ears = rng.uniform(0.010, 0.034), rng.uniform(0.0, 1.0)
    front = brow_y - (high if chosen == "beanie" else max(high, 0.014)) * s
    side = ear_y - (0.004 + 0.044 * ears if chosen == "beanie" else 0.040) * s
    back = ear_y + (0.012 - 0.02 * ears) * s
    azimuth = np.arange(48) * 2 * np.pi / 48
    own = head.flattened - head.skull
    own_azimuth = np.arctan2(own[:, 0], -own[:, 2])
    covered = own[:, 1] + head.skull[1] < round_the_head(own_azimuth, front, side, back) + 0.007 * s
    cloth = Stretched(head.flattened[covered], head.skull)
    low = elevation_at(cloth, azimuth, round_the_head(azimuth, front, side, back))
    make = {"beanie": _beanie, "cap": _cap, "hat": _hat}[chosen]
    return make(rng, head, cloth, azimuth, low)


def _crown(cloth: Stretched, azimuth: Array, low: Array, offset: Offset, rows: int = 15) -> Array:
    return wrap(cloth, azimuth, low, np.full_like(low, np.pi / 2), rows, offset)


def _beanie(rng: np.random.Generator, head: HeadGeometry, cloth: Stretched, azimuth: Array, low: Array) -> list[Accessory]:
    folds, slack = random_folds(rng, 0.004), float(rng.choice([0.0, rng.uniform(0.01, 0.05)]))
    ribs = float(rng.choice([0.0, 0.0007]))

    def knit(share: Array, around: Array) -> Array:
        loose = slack * share**2 * (0.75 - 0.5 * np.cos(around))  # what is too long hangs to the back
        return np.asarray(0.0025 + folds(share, around) * share + loose + ribs * np.cos(24 * around))

    colour = cloth_colour(rng)
    parts = [part_of("beanie crown", sheet(hem(_crown(cloth, azimuth, low, knit), head.skull, 0.002), closed=True), colour, 0.05)]
    if rng.random() < 0.65:

        def folded(share: Array, around: Array) -> Array:
            return 0.002 + 0.003 * np.sin(np.pi * share) ** 0.5 + knit(share * 0.4, around)

        cuff = hem(wrap(cloth, azimuth, low, low + 0.45, 6, folded), head.skull, 0.005)
        tone = colour * rng.choice([1.0, rng.uniform(0.5, 1.3)])
        parts.append(part_of("beanie cuff", sheet(cuff, closed=True), tone, 0.05))
    if rng.random() < 0.25:
        top = cloth.centre - [0, float(cloth.radius(np.array([0.0, -1.0, 0.0]))) + 0.018 + 0.75 * slack, 0]
        parts.append(part_of("beanie pompom", ball(top, rng.uniform(0.018, 0.03)), cloth_colour(rng), 0.02))
    return parts


def _cap(rng: np.random.Generator, head: HeadGeometry, cloth: Stretched, azimuth: Array, low: Array) -> list[Accessory]:
    s, front = head.scale, rng.uniform(0.004, 0.016)
    colour = cloth_colour(rng)

    def panels(share: Array, around: Array) -> Array:
        tall = front * np.clip(np.cos(around), 0, 1) * np.sin(np.pi * share**0.7)
        return np.asarray(0.003 + tall + 0.0006 * np.abs(np.cos(3 * around)))

    crown = _crown(cloth, azimuth, low, panels)
    way = np.pi if rng.random() < 0.12 else 0.0  # now and then worn backwards
    span = way + np.linspace(-1.15, 1.15, 25)
    start = wrap(cloth, span, np.interp(span % (2 * np.pi), azimuth, low, period=2 * np.pi), np.zeros(25), 2, panels)[0]
    length, droop = rng.uniform(0.055, 0.075) * s, np.radians(rng.uniform(0, 32))
    reach = np.linspace(0, 1, 7)[:, None, None] * (np.clip(np.cos((span - way) * np.pi / 2.3), 0, 1)[None, :, None] ** 0.6) * length
    forward = np.array([0.0, np.sin(droop), -np.cos(droop) * np.cos(way)])
    peak = start - 0.002 * unit(start - head.skull) + reach * forward
    peak[..., 1] += rng.uniform(2.0, 7.0) * (peak[..., 0] ** 2 - start[:, 0] ** 2) + 0.10 * reach[..., 0] * (start[:, 0] / (0.07 * s)) ** 2
    under = peak + [0, 0.0025, 0]
    top = cloth.centre - [0, float(cloth.radius(np.array([0.0, -1.0, 0.0]))) + 0.003, 0]
    dome = sheet(hem(crown, head.skull, 0.002), closed=True)
    parts = [part_of("cap crown", join(dome, ball(top, (0.007, 0.003, 0.007), 10, 6)), colour, 0.08)]
    tone = colour if rng.random() < 0.6 else cloth_colour(rng)
    edge = sheet(np.stack([peak[-1], under[-1]]))
    return [*parts, part_of("cap peak", join(sheet(peak), sheet(under), edge), tone, 0.1)]


def _hat(rng: np.random.Generator, head: HeadGeometry, cloth: Stretched, azimuth: Array, low: Array) -> list[Accessory]:
    s = head.scale
    skin = _crown(cloth, azimuth, low, lambda share, around: np.full(share.shape, 0.004), 12)
    centre = cloth.centre
    across = np.linalg.norm((skin - centre)[..., [0, 2]], axis=2)
    reach = across.max(0)  # the crown's wall is upright: as wide as the widest row
    spare = rng.uniform(0.004, 0.022) * s
    rim_y, top_y = skin[0, :, 1], skin[..., 1].min() - spare
    around = np.stack([np.sin(azimuth), np.zeros(48), -np.cos(azimuth)], axis=1)
    taper, dent, dome = rng.uniform(0.0, 0.22), rng.uniform(0.0, 1.0) * spare, float(rng.choice([0.0, rng.uniform(0.15, 0.4)]))

    def ring(width: npt.ArrayLike, height: npt.ArrayLike) -> Array:
        return np.asarray(centre * [1, 0, 1] + np.asarray(width).reshape(-1, 1) * around + np.asarray(height).reshape(-1, 1) * [0, 1, 0])

    wall, width = [], reach
    for t in np.linspace(0, 1, 12):
        height = rim_y + t * (top_y - rim_y)
        inside = [np.interp(-y, -skin[:, k, 1], across[:, k], right=0.0) for k, y in enumerate(height)]
        width = np.maximum(reach * (1 - taper * t**2 - dome * max(t - 0.45, 0) ** 2 / 0.3), np.array(inside) + 0.001)
        wall.append(ring(width, height))
    for share, sink in ((0.93, 0.0), (0.7, 0.2 * dent), (0.4, dent), (0.0, dent)):
        wall.append(ring(width * share, top_y - 0.006 + sink))
    wide, curl = rng.uniform(0.035, 0.085) * s, rng.uniform(-0.025, 0.02)
    lean = rng.uniform(-0.012, 0.02)  # the brim dips before and behind
    brim = [ring(reach + t * wide, rim_y + curl * t**2 + lean * t * np.cos(azimuth) ** 2 + 0.004 * t) for t in np.linspace(0, 1, 6)]
    colour = cloth_colour(rng)
    ribbon = [row + 0.0015 * around for row in wall[:4]]
    parts = [part_of("hat crown", sheet(np.stack(wall), closed=True), colour, 0.08)]
    both = [sheet(np.stack(brim) + [0, below, 0], closed=True) for below in (0.0, 0.003)]
    parts.append(part_of("hat brim", join(*both), colour, 0.08))
    return [*parts, part_of("hat ribbon", sheet(np.stack(ribbon), closed=True), cloth_colour(rng) * 0.5, 0.3)]


def _around_face(rng: np.random.Generator, head: HeadGeometry, kind: str) -> list[Accessory]:
    """A hood or headscarf: cloth over head and neck with an opening for the face, and a drape over the shoulders."""
    s, points = head.scale, head.even
    hood = kind == "hood"
    brow_y = float(points[17:27, 1].min())
    top_y = brow_y - (rng.uniform(0.030, 0.06) if hood else rng.uniform(0.012, 0.036)) * s
    behind = (0.022 if hood else 0.004) * s * rng.uniform(0.7, 1.3)  # how far behind the face's edge the opening lies
    half = np.array([
        [0, top_y, points[27, 2] + 0.01 * s],
        [0.045 * s, top_y + 0.012 * s, points[26, 2] + behind],
        points[16] + [0, -0.026 * s, behind - 0.020 * s],
        points[15] + [0, 0, behind - 0.008 * s],
        points[13] + [0, 0.006 * s, behind - 0.006 * s],
        points[11] + [0, 0.010 * s, behind],
        points[9] + [0, 0.010 * s, behind + 0.008 * s],
        points[8] + [0, 0.009 * s, behind + 0.010 * s],
    ])  # fmt: skip
    outline = np.concatenate([half, half[-2:0:-1] * [-1, 1, 1]])
    centre = np.array([0.0, points[30, 1] - 0.015 * s, head.skull[2] - 0.01 * s])
    apart = np.linalg.norm((head.flattened - head.neck)[:, [0, 2]], axis=1)
    inside = (head.flattened[:, 1] < points[8, 1]) | ((head.flattened[:, 1] < points[8, 1] + 0.045 * s) & (apart < 0.075 * s))
    cloth = Stretched(head.flattened[inside], centre)
    rim = unit(smooth_path(unit(outline - centre), 56, closed=True))
    pole = -unit(rim.mean(0))  # opposite the middle of the opening, so that the columns fan out evenly
    angle = np.arccos(np.clip(rim @ pole, -1, 1))[:, None]
    share, azimuth = np.meshgrid(np.linspace(0, 1, 18), np.arange(56) * 2 * np.pi / 56, indexing="ij")
    t = share[..., None]
    way = unit((np.sin((1 - t) * angle) * rim + np.sin(t * angle) * pole) / np.sin(angle))
    folds = random_folds(rng, 0.010 if hood else 0.004)(3 * share, azimuth) * np.minimum(4 * share * (1 - share) + 0.15, 1)
    hang = np.sin(np.pi * share**0.6)
    loose = (0.010 + 0.016 * hang) * rng.uniform(0.7, 1.4) if hood else 0.003 + 0.003 * hang
    distance = cloth.radius(way) + loose + folds
    if not hood:  # drawn to the cheeks
        own = smooth_path(outline - centre, 56, closed=True)
        spare = np.clip(distance[0] - np.linalg.norm(own, axis=1) - 0.004, 0, None)
        distance[0] -= 0.6 * spare * (own[:, 1] + centre[1] > brow_y)
    grid = centre + distance[..., None] * way
    colour = cloth_colour(rng)
    mesh = sheet(hem(grid, centre, 0.006 if hood else 0.002), closed=True)
    return [
        part_of(f"{kind} cover", mesh, colour, 0.05),
        part_of(f"{kind} drape", _drape(rng, head, 0.012 if hood else 0.007), colour, 0.05),
    ]


def _drape(rng: np.random.Generator, head: HeadGeometry, gap: float) -> Mesh:
    """Cloth that falls from below the chin over the shoulders: the highest places of the bust, seen from above."""
    s, chin_y = head.scale, head.landmarks[8, 1]
    azimuth, reach = np.arange(40) * 2 * np.pi / 40, np.linspace(0.04, 0.235, 18) * s
    body = head.skin[head.skin[:, 1] > chin_y + 0.006 * s]
    x = head.neck[0] + reach[:, None] * np.sin(azimuth)
    z = head.neck[2] - reach[:, None] * np.cos(azimuth)
    apart = (x[..., None] - body[:, 0]) ** 2 + (z[..., None] - body[:, 2]) ** 2
    y = np.where(apart < (0.014 * s) ** 2, body[:, 1], np.inf).min(2)
    y[0] = chin_y + 0.028 * s
    y[1:4] = np.maximum(y[1:4], y[0])  # not up to the chin
    for k in range(1, len(reach)):  # falls steeply where there is no body below
        y[k] = np.where(np.isfinite(y[k]), y[k], y[k - 1] + 0.025 * s)
    for k in range(len(reach) - 1, 4, -1):  # and otherwise spans the hollow between neck and a raised shoulder
        y[k - 1] = np.minimum(y[k - 1], y[k] - 0.001)
    for _ in range(3):
        y = (np.roll(y, 1, 1) + 2 * y + np.roll(y, -1, 1)) / 4
    folds = random_folds(rng, 0.012)(np.broadcast_to(reach[:, None] / 0.1, y.shape), np.broadcast_to(azimuth, y.shape))
    far = np.arange(len(reach))[:, None]
    y = y - gap * np.minimum(far / 4, 1) - folds * np.clip(far / 8 - 0.25, 0, 1)
    return sheet(np.stack([x, y, z], axis=-1), closed=True)
