"""Glasses and sunglasses that rest on a nose.  Metres in the head frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .shapes import (
    Mesh,
    contact_shift,
    disc,
    join,
    smooth_path,
    surface_points,
    tube,
)
from .things import Accessory, HeadGeometry, cloth_colour, part_of, with_things

Array = npt.NDArray[np.float64]

__all__ = ["GLASSES_SHAPES", "glasses"]

GLASSES_SHAPES = ("round", "oval", "rectangular", "half-rim")


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
    face = with_things(head.surface, worn)
    face = face[face[:, 2] < head.even[16, 2]]
    slide = np.array([0.0, 0.0, -contact_shift(touching, face, (0, 0, -1), gap=0.0015, cell=0.003)])
    both = [curve + slide for curve in both]
    colour = cloth_colour(rng) * rng.uniform(0.3, 1.0) if rng.random() < 0.6 else rng.uniform(0.15, 0.5) * np.array([1.0, 0.86, 0.6])
    kind = "sunglasses" if sun else "glasses"
    if style == "half-rim" and not sun:
        frames = [tube(curve[np.arange(18, 43) % 40], thick, 6) for curve in both]  # y is down: the upper half is the later one
    else:
        frames = [tube(curve, thick, 6, closed=True) for curve in both]
    frames.append(_bridge(head, both[0], face, max(thick, 0.0012)))
    frames += [_temple(head, both[0], side, float(max(thick, 0.0012)), float(rng.uniform(-0.004, 0.002))) for side in (1.0, -1.0)]
    parts = [part_of(f"{kind} rim", join(*frames), colour, 1.2)]
    lens = join(*((vertices + slide, triangles) for vertices, triangles in lenses))
    if sun:
        parts.append(part_of(f"{kind} lens", lens, rng.uniform(0.004, 0.03) * rng.uniform(0.6, 1.4, 3), 3.0))
    elif rng.random() < 0.25:
        parts.append(part_of(f"{kind} lens", lens, rng.uniform(0.05, 0.4, 3), 2.0, float(rng.uniform(0.08, 0.28))))
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
