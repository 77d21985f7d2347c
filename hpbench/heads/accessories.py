"""Things that people wear or hold before their faces, as triangle meshes that fit a given head.

Aim
---
External occlusion with exact labels needs things that hide parts of a face where such things do in photographs, and
that look enough like them for a network not to learn oddities: glasses, headgear, masks, scarves, phones, cups, hands.

Conventions
-----------
Metres in the head frame (x to the subject's left, y down, z into the head), so that everything moves with the head.
Colours are linear RGB.  Cloth is stretched over the head's own points and set off outward, so it cuts neither skin nor hair
of the thickness that the caller names; rigid things are slid onto the face until they touch it.  A thing may consist of
several meshes; the first word of a mesh's name is the thing's kind.  All randomness comes from the Generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..landmarks import SCHEMES
from .shapes import (
    Mesh,
    Stretched,
    ball,
    contact_shift,
    disc,
    hand_mesh,
    join,
    lathe,
    prism,
    rounded_rectangle,
    sheet,
    smooth_path,
    surface_points,
    tube,
    turned,
    unit,
)

__all__ = ["HAIR_UNDER_HEADGEAR_M", "Accessory", "HeadGeometry", "draw_accessories", "face_mask", "glasses", "headgear", "held", "scarf"]

Array = npt.NDArray[np.float64]

HAIR_UNDER_HEADGEAR_M = 0.008  # hair stands out no further under headgear, which flattens it: render it so
MEAN_EAR_WIDTH_M = 0.141  # between jaw points 0 and 16 of the mean head: sizes below are for that head
GLASSES_SHAPES = ("round", "oval", "rectangular", "half-rim")
HEADGEAR_SHARE = {"beanie": 0.27, "cap": 0.28, "hood": 0.13, "headscarf": 0.14, "hat": 0.18}
HEADGEAR_KINDS = tuple(HEADGEAR_SHARE)
HELD_KINDS = ("phone-ear", "phone-mouth", "cup", "microphone", "book", "hand-mouth", "hand-chin", "hand-eye", "hand-cheek", "hand-ear")
CURL_DEG = {  # thumb to little finger, three joints each
    "flat": np.array([[-30, -5, 0]] + 4 * [[3, 8, 5]]),
    "relaxed": np.array([[-20, 0, 5], [12, 20, 14], [16, 24, 16], [18, 26, 18], [20, 28, 20]]),
    "cup": np.array([[-5, 15, 15], [28, 36, 20], [30, 36, 20], [32, 36, 20], [34, 36, 20]]),
    "fist": np.array([[15, 35, 30], [75, 95, 50], [78, 98, 50], [80, 98, 50], [82, 98, 50]]),
}


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


Offset = Callable[[Array, Array], Array]


def _directions(azimuth: Array, elevation: Array) -> Array:
    """Unit vectors; azimuth 0 is the front, a quarter turn the subject's left; elevation a quarter turn is up."""
    return np.stack([np.cos(elevation) * np.sin(azimuth), -np.sin(elevation), -np.cos(elevation) * np.cos(azimuth)], axis=-1)


def _round(azimuth: Array, front: float, side: float, back: float) -> Array:
    """A height (metres) around the head that takes these values before, beside and behind it."""
    return side + (np.where(np.cos(azimuth) > 0, front, back) - side) * np.cos(azimuth) ** 2


def _elevation_at(cloth: Stretched, azimuth: Array, height: Array) -> Array:
    """Elevation of the places where the cloth is at these heights (y, metres)."""
    elevation = np.zeros_like(azimuth)
    for _ in range(4):
        across = cloth.radius(_directions(azimuth, elevation)) * np.cos(elevation)
        elevation = np.arctan2(cloth.centre[1] - height, np.maximum(across, 0.02))
    return elevation


def _wrap(cloth: Stretched, azimuth: Array, low: Array, high: Array, rows: int, offset: Offset) -> Array:
    """A grid (rows, C, 3) on the cloth between two elevations; `offset` (metres) of share of height and azimuth."""
    share = np.linspace(0, 1, rows)[:, None]
    around = np.broadcast_to(azimuth, (rows, len(azimuth)))
    way = _directions(around, low + share * (high - low))
    distance = cloth.radius(way) + offset(np.broadcast_to(share, around.shape), around)
    return np.asarray(cloth.centre + distance[..., None] * way)


def _hem(grid: Array, centre: Array, depth: float) -> Array:
    """The grid with its first row turned in by `depth`, so that its edge looks thick."""
    return np.concatenate([grid[:1] - depth * unit(grid[:1] - centre), grid])


def _folds(rng: np.random.Generator, strength: float, count: int = 3) -> Offset:
    """Soft random folds (metres) over share and azimuth, never inward."""
    waves = rng.integers(2, 9, count), rng.uniform(-9, 9, count), rng.uniform(0, 2 * np.pi, count)

    def offset(share: Array, azimuth: Array) -> Array:
        total = sum(0.5 + 0.5 * np.sin(k * azimuth + slope * share + phase) for k, slope, phase in zip(*waves, strict=True))
        return np.asarray(strength * total / count)

    return offset


def _with(points: Array, things: Sequence[Accessory]) -> Array:
    """Points (N, 3) and places on things, for something else to rest on."""
    return np.concatenate([points, *(surface_points((x.vertices, x.triangles), 0.005) for x in things)])


def _cloth_colour(rng: np.random.Generator) -> Array:
    """Black, white, grey, muted or bright."""
    kind = rng.choice(4, p=[0.25, 0.15, 0.35, 0.25])
    if kind == 0:
        return np.asarray(rng.uniform(0.01, 0.05) * rng.uniform(0.7, 1.3, 3))
    if kind == 1:
        return np.asarray(rng.uniform(0.5, 0.8) * rng.uniform(0.9, 1.0, 3))
    return np.asarray(rng.uniform(0.05, 0.5) * (rng.uniform(0.5, 1.0, 3) if kind == 2 else rng.uniform(0.05, 1.0, 3) ** 1.5))


def _part(name: str, mesh: Mesh, colour: npt.ArrayLike, gloss: float = 0.15, opacity: float = 1.0) -> Accessory:
    return Accessory(name, mesh[0], mesh[1], np.asarray(colour, dtype=np.float64), gloss, opacity)


# ---------------------------------------------------------------------------------------------------------------- glasses


def glasses(
    rng: np.random.Generator, head: HeadGeometry, *, shape: str | None = None, sun: bool = False, worn: Sequence[Accessory] = ()
) -> list[Accessory]:
    """Glasses on the nose: rims, bridge and temples to behind the ears, and dark lenses for sunglasses.

    The two rims and their lenses are one rigid thing, tilted towards the cheeks, that slides back until it rests on nose,
    brows or cheeks.  Clear lenses are left out; some have a tint of opacity below 0.3.

    Parameters
    ----------
    rng : Generator
    head : HeadGeometry
    shape : str, optional
        One of `GLASSES_SHAPES`, drawn if not given.
    sun : bool
        Lenses are dark and hide the eyes.
    worn : sequence of Accessory
        What the frame rests on beside the skin: a mask.
    """
    style = shape or str(rng.choice(GLASSES_SHAPES))
    s = head.scale
    thick = float(np.exp(rng.uniform(np.log(0.0008), np.log(0.0026))))
    width = (0.058 if sun else 0.051) * s * rng.uniform(0.92, 1.1)
    height = width * {"round": 0.93, "oval": 0.72, "rectangular": 0.66, "half-rim": 0.68}[style] * rng.uniform(0.9, 1.08)
    power = {"round": 2.0, "oval": 2.3, "rectangular": 5.0, "half-rim": 3.5}[style]
    turn = np.arange(40) * 2 * np.pi / 40
    rim = np.stack([width / 2 * np.sign(np.cos(turn)) * abs(np.cos(turn)) ** (2 / power),
                    height / 2 * np.sign(np.sin(turn)) * abs(np.sin(turn)) ** (2 / power), np.zeros(40)], axis=1)  # fmt: skip
    eye = head.even[42:48].mean(0)
    across = max(eye[0] + 0.0015 * s, width / 2 + 0.0085 * s)  # the rims leave room for the nose
    centre = np.array([across, eye[1] + 0.003 * s, eye[2]])
    tilt, bow = np.radians(rng.uniform(4, 11)), np.radians(rng.uniform(3, 9))
    pantoscopic = np.array([[1, 0, 0], [0, np.cos(tilt), np.sin(tilt)], [0, -np.sin(tilt), np.cos(tilt)]])
    wrapped = np.array([[np.cos(bow), 0, -np.sin(bow)], [0, 1, 0], [np.sin(bow), 0, np.cos(bow)]])
    left = centre + rim @ (pantoscopic @ wrapped).T
    both = [left, left * [-1, 1, 1]]
    lenses = [disc(curve, (0, 0, -0.0025)) for curve in both]
    touching = np.concatenate([surface_points(tube(curve, thick, closed=True)) for curve in both] + [surface_points(x) for x in lenses])
    face = _with(head.surface, worn)
    face = face[face[:, 2] < head.even[16, 2]]
    slide = np.array([0.0, 0.0, -contact_shift(touching, face, (0, 0, -1), gap=0.0015, cell=0.003)])
    both = [curve + slide for curve in both]
    colour = _cloth_colour(rng) * rng.uniform(0.3, 1.0) if rng.random() < 0.6 else rng.uniform(0.15, 0.5) * np.array([1.0, 0.86, 0.6])
    kind = "sunglasses" if sun else "glasses"
    if style == "half-rim" and not sun:
        frames = [tube(curve[np.arange(18, 43) % 40], thick, 6) for curve in both]  # y is down: the upper half is the later one
    else:
        frames = [tube(curve, thick, 6, closed=True) for curve in both]
    frames.append(_bridge(head, both[0], face, max(thick, 0.0012)))
    frames += [_temple(head, both[0], side, float(max(thick, 0.0012)), float(rng.uniform(-0.004, 0.002))) for side in (1.0, -1.0)]
    parts = [_part(f"{kind} rim", join(*frames), colour, 1.2)]
    lens = join(*((vertices + slide, triangles) for vertices, triangles in lenses))
    if sun:
        parts.append(_part(f"{kind} lens", lens, rng.uniform(0.004, 0.03) * rng.uniform(0.6, 1.4, 3), 3.0))
    elif rng.random() < 0.25:
        parts.append(_part(f"{kind} lens", lens, rng.uniform(0.05, 0.4, 3), 2.0, float(rng.uniform(0.08, 0.28))))
    return parts


def _bridge(head: HeadGeometry, left: Array, face: Array, thick: float) -> Mesh:
    """From rim to rim over the nose, in front of the skin."""
    # where the rim is nearest to the middle, in its upper half
    start = left[np.lexsort((left[:, 0], left[:, 1] > left[:, 1].mean() - 0.1 * np.ptp(left[:, 1])))[0]]
    arch = start * [0.45, 1, 1] + [0, -0.0025, -0.001]
    places = smooth_path([start, arch, arch * [-1, 1, 1], start * [-1, 1, 1]], 13)
    lift = contact_shift(surface_points(tube(places, thick)), face, (0, 0, -1), gap=0.0005, cell=0.003)
    places[1:-1, 2] -= max(lift, 0.0) * np.sin(np.linspace(0, np.pi, 13))[1:-1] ** 0.4
    return tube(places, thick)


def _temple(head: HeadGeometry, left: Array, side: float, thick: float, drop: float) -> Mesh:
    """From the outer upper edge of a rim along the temple, over the ear's root and down behind it."""
    s = head.scale
    ear = head.landmarks[16 if side > 0 else 0] * [side, 1, 1]
    hinge = left[np.argmax(left[:, 0] - 0.6 * left[:, 1])]
    over = np.array([ear[0] + 0.003 * s, ear[1] - 0.019 * s + drop, ear[2] + 0.016 * s])
    knots = [hinge, hinge + [0.004 * s, 0, 0.004 * s], 0.5 * (hinge + over) + [0.006 * s, 0, 0], over]
    knots += [over + [-0.001, 0.010 * s, 0.014 * s], over + [-0.003, 0.034 * s, 0.020 * s]]
    path = smooth_path(knots, 24)
    skin = head.skin * [side, 1, 1]
    skin = skin[(skin[:, 0] > 0.03 * s) & (skin[:, 2] < over[2] + 0.002)]
    for place in path[2:17]:  # no nearer to the head's side than the skin there; the ear itself covers the rest
        near = skin[(abs(skin[:, 1] - place[1]) < 0.007) & (abs(skin[:, 2] - place[2]) < 0.007)]
        if len(near):
            place[0] = max(place[0], min(near[:, 0].max(), ear[0] + 0.004 * s) + thick + 0.0005)
    return tube(path * [side, 1, 1], thick)


# --------------------------------------------------------------------------------------------------------------- headgear


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
    covered = own[:, 1] + head.skull[1] < _round(own_azimuth, front, side, back) + 0.007 * s
    cloth = Stretched(head.flattened[covered], head.skull)
    low = _elevation_at(cloth, azimuth, _round(azimuth, front, side, back))
    make = {"beanie": _beanie, "cap": _cap, "hat": _hat}[chosen]
    return make(rng, head, cloth, azimuth, low)


def _crown(cloth: Stretched, azimuth: Array, low: Array, offset: Offset, rows: int = 15) -> Array:
    return _wrap(cloth, azimuth, low, np.full_like(low, np.pi / 2), rows, offset)


def _beanie(rng: np.random.Generator, head: HeadGeometry, cloth: Stretched, azimuth: Array, low: Array) -> list[Accessory]:
    folds, slack = _folds(rng, 0.004), float(rng.choice([0.0, rng.uniform(0.01, 0.05)]))
    ribs = float(rng.choice([0.0, 0.0007]))

    def knit(share: Array, around: Array) -> Array:
        loose = slack * share**2 * (0.75 - 0.5 * np.cos(around))  # what is too long hangs to the back
        return np.asarray(0.0025 + folds(share, around) * share + loose + ribs * np.cos(24 * around))

    colour = _cloth_colour(rng)
    parts = [_part("beanie crown", sheet(_hem(_crown(cloth, azimuth, low, knit), head.skull, 0.002), closed=True), colour, 0.05)]
    if rng.random() < 0.65:

        def folded(share: Array, around: Array) -> Array:
            return 0.002 + 0.003 * np.sin(np.pi * share) ** 0.5 + knit(share * 0.4, around)

        cuff = _hem(_wrap(cloth, azimuth, low, low + 0.45, 6, folded), head.skull, 0.005)
        tone = colour * rng.choice([1.0, rng.uniform(0.5, 1.3)])
        parts.append(_part("beanie cuff", sheet(cuff, closed=True), tone, 0.05))
    if rng.random() < 0.25:
        top = cloth.centre - [0, float(cloth.radius(np.array([0.0, -1.0, 0.0]))) + 0.018 + 0.75 * slack, 0]
        parts.append(_part("beanie pompom", ball(top, rng.uniform(0.018, 0.03)), _cloth_colour(rng), 0.02))
    return parts


def _cap(rng: np.random.Generator, head: HeadGeometry, cloth: Stretched, azimuth: Array, low: Array) -> list[Accessory]:
    s, front = head.scale, rng.uniform(0.004, 0.016)
    colour = _cloth_colour(rng)

    def panels(share: Array, around: Array) -> Array:
        tall = front * np.clip(np.cos(around), 0, 1) * np.sin(np.pi * share**0.7)
        return np.asarray(0.003 + tall + 0.0006 * np.abs(np.cos(3 * around)))

    crown = _crown(cloth, azimuth, low, panels)
    way = np.pi if rng.random() < 0.12 else 0.0  # now and then worn backwards
    span = way + np.linspace(-1.15, 1.15, 25)
    start = _wrap(cloth, span, np.interp(span % (2 * np.pi), azimuth, low, period=2 * np.pi), np.zeros(25), 2, panels)[0]
    length, droop = rng.uniform(0.055, 0.075) * s, np.radians(rng.uniform(0, 32))
    reach = np.linspace(0, 1, 7)[:, None, None] * (np.clip(np.cos((span - way) * np.pi / 2.3), 0, 1)[None, :, None] ** 0.6) * length
    forward = np.array([0.0, np.sin(droop), -np.cos(droop) * np.cos(way)])
    peak = start - 0.002 * unit(start - head.skull) + reach * forward
    peak[..., 1] += rng.uniform(2.0, 7.0) * (peak[..., 0] ** 2 - start[:, 0] ** 2) + 0.10 * reach[..., 0] * (start[:, 0] / (0.07 * s)) ** 2
    under = peak + [0, 0.0025, 0]
    top = cloth.centre - [0, float(cloth.radius(np.array([0.0, -1.0, 0.0]))) + 0.003, 0]
    dome = sheet(_hem(crown, head.skull, 0.002), closed=True)
    parts = [_part("cap crown", join(dome, ball(top, (0.007, 0.003, 0.007), 10, 6)), colour, 0.08)]
    tone = colour if rng.random() < 0.6 else _cloth_colour(rng)
    edge = sheet(np.stack([peak[-1], under[-1]]))
    return [*parts, _part("cap peak", join(sheet(peak), sheet(under), edge), tone, 0.1)]


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
    colour = _cloth_colour(rng)
    ribbon = [row + 0.0015 * around for row in wall[:4]]
    parts = [_part("hat crown", sheet(np.stack(wall), closed=True), colour, 0.08)]
    both = [sheet(np.stack(brim) + [0, below, 0], closed=True) for below in (0.0, 0.003)]
    parts.append(_part("hat brim", join(*both), colour, 0.08))
    return [*parts, _part("hat ribbon", sheet(np.stack(ribbon), closed=True), _cloth_colour(rng) * 0.5, 0.3)]


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
    folds = _folds(rng, 0.010 if hood else 0.004)(3 * share, azimuth) * np.minimum(4 * share * (1 - share) + 0.15, 1)
    hang = np.sin(np.pi * share**0.6)
    loose = (0.010 + 0.016 * hang) * rng.uniform(0.7, 1.4) if hood else 0.003 + 0.003 * hang
    distance = cloth.radius(way) + loose + folds
    if not hood:  # drawn to the cheeks
        own = smooth_path(outline - centre, 56, closed=True)
        spare = np.clip(distance[0] - np.linalg.norm(own, axis=1) - 0.004, 0, None)
        distance[0] -= 0.6 * spare * (own[:, 1] + centre[1] > brow_y)
    grid = centre + distance[..., None] * way
    colour = _cloth_colour(rng)
    mesh = sheet(_hem(grid, centre, 0.006 if hood else 0.002), closed=True)
    return [_part(f"{kind} cover", mesh, colour, 0.05), _part(f"{kind} drape", _drape(rng, head, 0.012 if hood else 0.007), colour, 0.05)]


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
    folds = _folds(rng, 0.012)(np.broadcast_to(reach[:, None] / 0.1, y.shape), np.broadcast_to(azimuth, y.shape))
    far = np.arange(len(reach))[:, None]
    y = y - gap * np.minimum(far / 4, 1) - folds * np.clip(far / 8 - 0.25, 0, 1)
    return sheet(np.stack([x, y, z], axis=-1), closed=True)


# ------------------------------------------------------------------------------------------------------------ face covers


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
    colour = np.array(tones[rng.integers(4)]) * rng.uniform(0.85, 1.1) if style != "cloth" or rng.random() < 0.4 else _cloth_colour(rng)
    parts = [_part("mask cover", sheet(grid), colour, 0.05)]
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
    return [*parts, _part("mask loops", join(*loops), np.minimum(colour * 1.2 + 0.1, 0.8), 0.05)]


def scarf(rng: np.random.Generator, head: HeadGeometry, *, over_mouth: bool | None = None) -> list[Accessory]:
    """A scarf wound round the neck; `over_mouth` pulls it up over mouth or nose (drawn if not given)."""
    s, points = head.scale, head.landmarks
    high = rng.random() < 0.6 if over_mouth is None else over_mouth
    front = rng.uniform(points[29, 1], points[33, 1] - 0.004) if high else points[8, 1] - rng.uniform(-0.004, 0.010) * s
    side, back = (front + 0.022 * s, head.ear_y + 0.03 * s) if high else (front + 0.006 * s, points[8, 1] - 0.012 * s)
    azimuth, colour = np.arange(48) * 2 * np.pi / 48, _cloth_colour(rng)
    apart = np.linalg.norm((head.haired - head.neck)[:, [0, 2]], axis=1)
    parts = []
    for part in ("upper", "lower"):
        upper = part == "upper"
        end = points[8, 1] + (0.030 if upper else 0.085) * s
        if upper:  # about the head, whose turn the neck follows only in part
            middle = head.skull
            near = head.haired[(head.haired[:, 1] < points[8, 1]) | (apart < 0.085 * s)]
            start = _round(np.arctan2(near[:, 0], middle[2] - near[:, 2]), front, side, back)
            height = _round(azimuth, front, side, back)
        else:
            middle, near = head.neck, head.haired[apart < 0.078 * s]
            start = np.full(len(near), points[8, 1] + 0.016 * s)
            height = start[0] + 0.012 * s * np.cos(azimuth + rng.uniform(0, 2 * np.pi))
        centre = np.array([middle[0], 0.5 * (height.mean() + end), middle[2]])
        cloth = Stretched(near[(near[:, 1] > start - 0.004 * s) & (near[:, 1] < end)], centre)
        folds = _folds(rng, 0.008)
        gap, bulge = {"upper": (0.003, 0.006) if high else (0.008, 0.014), "lower": (0.010, 0.016)}[part]

        def offset(share: Array, around: Array, gap: float = gap, bulge: float = bulge, folds: Offset = folds) -> Array:
            arch = np.sin(np.pi * share) ** 0.5
            return np.asarray(gap + bulge * arch + folds(2 * share, around) * arch)

        low = _elevation_at(cloth, azimuth, np.full(48, end))
        grid = _wrap(cloth, azimuth, _elevation_at(cloth, azimuth, height), low, 14, offset)
        parts.append(_part(f"scarf {part}", sheet(_hem(grid, centre, 0.006), closed=True), colour, 0.03))
    return parts


# ------------------------------------------------------------------------------------------------------------ held things


@dataclass(frozen=True)
class _Grip:
    """How a left hand is placed, directions in the head frame; for a right hand x is mirrored, but not in `at`.

    The palm faces `palm`, the fingers point to `fingers`, the palm's middle is at `at`.  Then it slides along `slide`, away from
    what is in the way, into which flesh gives way by `press_m`; without `slide` it stays, `grip_m` from `at` along its palm.
    """

    curl: str
    palm: npt.ArrayLike
    fingers: npt.ArrayLike
    at: Array
    slide: npt.ArrayLike | None = None
    press_m: float = 0.005
    grip_m: float = 0.0


def _hand(
    rng: np.random.Generator, head: HeadGeometry, skin_colour: npt.ArrayLike, name: str, left: bool, grip: _Grip, barrier: Array
) -> list[Accessory]:
    """A hand, its forearm and mostly a sleeve; the barrier (N, 3) is what the hand may not enter."""
    side = np.array([1.0 if left else -1.0, 1, 1])
    size = float(np.clip(head.scale, 0.6, 1.1) * rng.uniform(0.94, 1.06))
    towards = unit(np.asarray(grip.palm) * side + rng.normal(0, 0.10, 3))
    ahead = np.asarray(grip.fingers) * side + rng.normal(0, 0.10, 3)
    ahead = unit(ahead - (ahead @ towards) * towards)
    curl_deg = CURL_DEG[grip.curl] + rng.normal(0, 4, (5, 3))
    hand = hand_mesh(curl_deg, float(rng.uniform(0.1, 1.0)), left, size)
    place = grip.at - grip.grip_m * towards
    vertices, triangles = turned(hand, np.cross(ahead, towards), ahead, place)
    if grip.slide is not None:
        away = unit(np.asarray(grip.slide) * side)
        shift = contact_shift(vertices, barrier, away, gap=-grip.press_m, cell=0.005) * away
        vertices, place = vertices + shift, place + shift
    cut = place + size * (0.010 * towards - 0.0735 * ahead)  # middle of the hand's open end; the forearm just covers its edge
    down = unit(-0.9 * ahead + np.array([0.25, 0.75, -0.15]) * side)
    bend = cut - 0.035 * size * ahead
    path = smooth_path(
        [cut + 0.003 * size * ahead, cut - 0.02 * size * ahead, bend + 0.04 * size * down, bend + 0.30 * size * down + [0, 0.05, 0]], 14
    )
    radius = np.interp(np.linspace(0, 1, 14), [0, 0.3, 1], [0.0245, 0.0275, 0.042]) * size
    parts = [_part(f"{name} hand", (vertices, triangles), skin_colour, 0.3)]
    parts.append(_part(f"{name} forearm", tube(path, radius, 14, squash=0.16 * towards), skin_colour, 0.3))
    if rng.random() < 0.65:
        parts.append(_part(f"{name} sleeve", tube(path[3:], 1.22 * radius[3:], 14, squash=0.14 * towards), _cloth_colour(rng), 0.05))
    return parts


def held(
    rng: np.random.Generator, head: HeadGeometry, skin_colour: npt.ArrayLike, *, kind: str | None = None, left: bool | None = None,
    worn: Sequence[Accessory] = (),
) -> list[Accessory]:  # fmt: skip
    """A thing in a hand, or a hand alone, at the face.

    Parameters
    ----------
    rng : Generator
    head : HeadGeometry
    skin_colour : (3,) array, linear RGB
    kind : str, optional
        One of `HELD_KINDS`, drawn if not given.
    left : bool, optional
        Whose hand; drawn if not given.
    worn : sequence of Accessory
        What is on the head already: the hand rests on it.
    """
    what = kind or str(rng.choice(HELD_KINDS))
    lefty = bool(rng.random() < 0.5) if left is None else left
    side = 1.0 if lefty else -1.0
    wander = rng.normal(0, 0.005, 3) * head.scale
    barrier = _with(head.surface, worn)
    if what.startswith("hand-"):
        return _hand(rng, head, skin_colour, what, lefty, _bare_hand(rng, head, what, side, wander), barrier)
    make = {"phone-ear": _phone_at_ear, "phone-mouth": _phone_at_mouth, "cup": _cup, "microphone": _microphone, "book": _book}[what]
    thing, grip = make(rng, head, side, wander, barrier)
    barrier = _with(barrier, thing)
    return thing + _hand(rng, head, skin_colour, what, lefty, grip, barrier)


def _bare_hand(rng: np.random.Generator, head: HeadGeometry, what: str, side: float, wander: Array) -> _Grip:
    """Where a hand without a thing goes; `side` is 1 for a left hand."""
    s, points = head.scale, head.landmarks
    mirror = np.array([side, 1, 1])
    corner, jaw, ear, eyelids = (46, 13, 16, slice(42, 48)) if side > 0 else (41, 3, 0, slice(36, 42))
    mouth, chin = points[48:68].mean(0) + wander, points[8] + wander
    if what == "hand-mouth":
        fingers = [-1.0, float(rng.uniform(-0.9, -0.1)), 0.1]
        return _Grip("flat", [0, 0, 1], fingers, mouth + mirror * [0.022 * s, 0.010 * s, 0], (0, 0, -1))
    if what == "hand-eye":
        eye = points[eyelids].mean(0) + wander
        return _Grip("flat", [0, 0, 1], [float(rng.uniform(-0.6, 0.1)), -1, 0], eye + [0, 0.008 * s, 0], (0, 0, -1))
    if what == "hand-cheek":
        cheek = 0.5 * (points[jaw] + points[corner]) + wander
        return _Grip("relaxed", [-1, 0, 0.35], [0.0, -1, 0.35], cheek, (1, 0, -0.4))
    if what == "hand-ear":
        return _Grip("relaxed", [-1, 0, 0.1], [-0.1, -1, 0.5], points[ear] + wander + [0, 0.010 * s, 0.012 * s], (1, 0, 0))
    if rng.random() < 0.5:  # the chin on the fist
        return _Grip("fist", [0.1, 0.35, 0.9], [-0.35, -1, 0.0], chin + mirror * [0.012 * s, 0.042 * s, 0], (0, 0.3, -1))
    return _Grip("relaxed", [-0.5, -0.45, 0.8], [-0.3, -0.9, -0.1], chin + mirror * [0.03 * s, 0.03 * s, 0], (0.35, 0.6, -0.8))


Placed = tuple[list[Accessory], _Grip]


def _resting(meshes: list[Mesh], barrier: Array, direction: npt.ArrayLike, gap: float) -> tuple[list[Mesh], Array]:
    """Meshes slid along a direction to lie `gap` before the barrier, and the shift."""
    shift = contact_shift(np.concatenate([surface_points(x) for x in meshes]), barrier, direction, gap) * unit(direction)
    return [(vertices + shift, triangles) for vertices, triangles in meshes], shift


def _phone(rng: np.random.Generator) -> tuple[Mesh, Mesh, float, Array]:
    """Body and screen of a phone in its own frame, half its depth, and its colour; the screen looks along -z."""
    width, height, half = rng.uniform(0.066, 0.078), rng.uniform(0.135, 0.162), rng.uniform(0.0035, 0.0055)
    body = prism(rounded_rectangle(width, height, 0.010), half)
    screen = prism(rounded_rectangle(width * 0.93, height * 0.95, 0.008), 0.0003)
    return body, (screen[0] - [0, 0, half], screen[1]), half, _cloth_colour(rng)


def _phone_at_ear(rng: np.random.Generator, head: HeadGeometry, side: float, wander: Array, barrier: Array) -> Placed:
    s = head.scale
    body, screen, half, colour = _phone(rng)
    ear = head.landmarks[16 if side > 0 else 0]
    long = np.array([-0.34 * side, 0.85, -0.55]) + rng.normal(0, 0.08, 3)  # from the ear to the mouth
    at = ear + wander + 0.040 * unit(long) + np.array([0.02 * side, -0.01, 0.004]) * s
    # the screen's normal -z is the cross product of y and x: it must face the head
    across = np.cross(unit(long), [side, 0.0, -0.18])
    placed, shift = _resting([turned(mesh, across, long, at) for mesh in (body, screen)], barrier, (side, 0, -0.18), 0.001)
    parts = [_part("phone-ear body", placed[0], colour, 1.0), _part("phone-ear screen", placed[1], np.full(3, 0.01), 3.0)]
    back = [0.12, -0.75, 0.6]
    grip = at + shift + np.array([0.05 * side, 0.03, 0.0])
    return parts, _Grip("relaxed", [-1, -0.3, 0.2], back, grip, (1, 0.3, -0.2), press_m=0.014)


def _phone_at_mouth(rng: np.random.Generator, head: HeadGeometry, side: float, wander: Array, barrier: Array) -> Placed:
    body, screen, half, colour = _phone(rng)
    low = head.landmarks[[8, 57, 51, 30]][rng.integers(4)] * [0, 1, 1]  # how much of the face it hides
    long = np.array([0.15 * side, 1.0, 0.0]) + rng.normal(0, 0.15, 3)
    at = low + wander + [0, 0.03, -0.05]
    distance = float(rng.uniform(0.004, 0.07))
    upright = [turned(mesh, np.cross(long, [0, 0, 1.0]), long, at) for mesh in (body, screen)]
    placed, shift = _resting(upright, barrier, (0, 0, -1), distance)
    parts = [_part("phone-mouth body", placed[0], colour, 1.0), _part("phone-mouth screen", placed[1], np.full(3, 0.01), 3.0)]
    grip = at + shift + np.array([0.012 * side, 0.055, -0.02])
    return parts, _Grip("relaxed", [-0.25, 0, 1], [-0.35, -1, 0], grip, (0, 0, -1))


def _cup(rng: np.random.Generator, head: HeadGeometry, side: float, wander: Array, barrier: Array) -> Placed:
    s, mouth = head.scale, head.landmarks[48:68].mean(0)
    radius, tall = rng.uniform(0.034, 0.043), rng.uniform(0.075, 0.125)
    lower = radius * rng.uniform(0.7, 1.0)
    wall = 0.0025
    profile = [(0.0005, tall), (lower, tall), (radius, 0.0), (radius - wall, 0.0), (lower - wall, tall - 0.004), (0.0005, tall - 0.004)]
    axis = unit([0.0, 1.0, -float(np.tan(np.radians(rng.uniform(0, 50))))])  # from the rim to the bottom, tipped towards the mouth
    at = mouth * [0, 1, 1] + wander * [1, 1, 0] + np.array([0, -0.006, -0.05]) * s
    cup = turned(lathe(profile, 28), [1.0, 0, 0], axis, at)
    (cup,), shift = _resting([cup], barrier, (0, 0, -1), float(rng.choice([0.0, rng.uniform(0.0, 0.04)])))
    grip = at + shift + axis * tall * 0.55 + np.array([side * (radius + 0.017), 0, 0.012])
    parts = [_part("cup body", cup, _cloth_colour(rng), 1.2)]
    return parts, _Grip("cup", [-1, 0.0, 0.1], [-0.1, -0.1, -1], grip)


def _microphone(rng: np.random.Generator, head: HeadGeometry, side: float, wander: Array, barrier: Array) -> Placed:
    s, mouth = head.scale, head.landmarks[48:68].mean(0)
    radius = rng.uniform(0.021, 0.029)
    way = unit([0.35 * side + rng.normal(0, 0.2), 1.0, -rng.uniform(0.3, 1.0)])
    at = mouth * [0, 1, 1] + wander + np.array([0, 0.010, -0.05]) * s
    mesh_ball = ball(at, radius, 18, 12)
    handle = tube(at + np.linspace(0.8 * radius, 0.19, 8)[:, None] * way, np.linspace(0.72 * radius, 0.011, 8), 14)
    placed, shift = _resting([mesh_ball, handle], barrier, (0, 0, -1), float(rng.uniform(0.002, 0.025)))
    parts = [_part("microphone head", placed[0], np.full(3, rng.uniform(0.03, 0.35)), 1.5)]
    parts.append(_part("microphone handle", placed[1], np.full(3, rng.uniform(0.008, 0.05)), 1.0))
    grip = at + shift + 0.105 * way - [0, 0, 0.03]  # the knuckles, not the palm, are at the handle
    fingers = [-0.5, float(way[2]), -float(way[1])]  # round the handle, about square to it
    return parts, _Grip("fist", [-1, 0, 0.3], fingers, grip, grip_m=0.026)


def _book(rng: np.random.Generator, head: HeadGeometry, side: float, wander: Array, barrier: Array) -> Placed:
    card = rng.random() < 0.4
    width, height = (0.086, 0.054) if card else (rng.uniform(0.11, 0.16), rng.uniform(0.15, 0.22))
    half = 0.0008 if card else float(rng.uniform(0.004, 0.012))
    top = head.landmarks[[57, 51, 33, 29]][rng.integers(4)] * [0, 1, 1]
    lean = np.array([rng.normal(0, 0.12), 1.0, rng.normal(0.0, 0.12)])
    at = top + 1.5 * wander + [0, height / 2, -0.06]
    mesh = turned(prism(rounded_rectangle(width, height, 0.003), half), np.cross(lean, [0, 0, 1.0]), lean, at)
    (mesh,), shift = _resting([mesh], barrier, (0, 0, -1), float(rng.uniform(0.003, 0.08)))
    grip = at + shift + np.array([side * (0.3 * width + 0.01), 0.5 * height + 0.02, -0.02])
    parts = [_part("book cover", mesh, _cloth_colour(rng), 0.4)]
    return parts, _Grip("relaxed", [-0.3, 0, 1], [-0.5, -1, 0], grip, (0, 0, -1))


# ------------------------------------------------------------------------------------------------------------------- draw


def draw_accessories(rng: np.random.Generator, head: HeadGeometry, skin_colour: npt.ArrayLike, *, heavy: bool = False) -> list[Accessory]:
    """Accessories of one head, drawn at random.

    Glasses 25 % (6 % sunglasses), headgear 12 %, mask 5 %, scarf 3 %, held things 15 %, independently, but never mask and
    scarf at once.  `heavy` puts one to three things over the face on purpose and adds glasses and headgear more often.

    Parameters
    ----------
    rng : Generator
    head : HeadGeometry
    skin_colour : (3,) array, linear RGB
        For hands.
    heavy : bool, default False
    """
    eyes, top, cover, hands = rng.random(4)
    over = {"mask": 0.05, "scarf": 0.08} if not heavy else {"mask": 0.30, "scarf": 0.48}
    sun, wears, head_covered, holds = (0.06, 0.25, 0.12, 0.15) if not heavy else (0.25, 0.45, 0.30, 0.60)
    worn: list[Accessory] = []
    if cover < over["mask"]:
        worn += face_mask(rng, head)
    elif cover < over["scarf"]:
        worn += scarf(rng, head, over_mouth=True if heavy else None)
    if eyes < wears:
        worn += glasses(rng, head, sun=bool(eyes < sun), worn=[x for x in worn if x.kind == "mask"])
    if top < head_covered:
        worn += headgear(rng, head, kinds=("beanie", "cap", "hat") if any(x.kind == "scarf" for x in worn) else HEADGEAR_KINDS)
    if hands < holds or (heavy and cover >= over["scarf"] and eyes >= sun):
        kinds = HELD_KINDS if not heavy else ("phone-mouth", "cup", "book", "hand-mouth", "hand-eye", "hand-mouth", "hand-cheek")
        worn += held(rng, head, skin_colour, kind=str(rng.choice(kinds)), worn=worn)
    return worn
