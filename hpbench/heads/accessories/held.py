"""Hands, and things in hands, at a face.  Metres in the head frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .shapes import (
    Mesh,
    ball,
    contact_shift,
    hand_mesh,
    lathe,
    prism,
    rounded_rectangle,
    smooth_path,
    surface_points,
    tube,
    turned,
    unit,
)
from .things import Accessory, HeadGeometry, cloth_colour, part_of, with_things

Array = npt.NDArray[np.float64]

__all__ = ["CURL_DEG", "HELD_KINDS", "held"]

HELD_KINDS = ("phone-ear", "phone-mouth", "cup", "microphone", "book", "hand-mouth", "hand-chin", "hand-eye", "hand-cheek", "hand-ear")
CURL_DEG = {  # thumb to little finger, three joints each
    "flat": np.array([[-30, -5, 0]] + 4 * [[3, 8, 5]]),
    "relaxed": np.array([[-20, 0, 5], [12, 20, 14], [16, 24, 16], [18, 26, 18], [20, 28, 20]]),
    "cup": np.array([[-5, 15, 15], [28, 36, 20], [30, 36, 20], [32, 36, 20], [34, 36, 20]]),
    "fist": np.array([[15, 35, 30], [75, 95, 50], [78, 98, 50], [80, 98, 50], [82, 98, 50]]),
}


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
    parts = [part_of(f"{name} hand", (vertices, triangles), skin_colour, 0.3)]
    parts.append(part_of(f"{name} forearm", tube(path, radius, 14, squash=0.16 * towards), skin_colour, 0.3))
    if rng.random() < 0.65:
        parts.append(part_of(f"{name} sleeve", tube(path[3:], 1.22 * radius[3:], 14, squash=0.14 * towards), cloth_colour(rng), 0.05))
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
    barrier = with_things(head.surface, worn)
    if what.startswith("hand-"):
        return _hand(rng, head, skin_colour, what, lefty, _bare_hand(rng, head, what, side, wander), barrier)
    make = {"phone-ear": _phone_at_ear, "phone-mouth": _phone_at_mouth, "cup": _cup, "microphone": _microphone, "book": _book}[what]
    thing, grip = make(rng, head, side, wander, barrier)
    barrier = with_things(barrier, thing)
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
    return body, (screen[0] - [0, 0, half], screen[1]), half, cloth_colour(rng)


def _phone_at_ear(rng: np.random.Generator, head: HeadGeometry, side: float, wander: Array, barrier: Array) -> Placed:
    s = head.scale
    body, screen, half, colour = _phone(rng)
    ear = head.landmarks[16 if side > 0 else 0]
    long = np.array([-0.34 * side, 0.85, -0.55]) + rng.normal(0, 0.08, 3)  # from the ear to the mouth
    at = ear + wander + 0.040 * unit(long) + np.array([0.02 * side, -0.01, 0.004]) * s
    # the screen's normal -z is the cross product of y and x: it must face the head
    across = np.cross(unit(long), [side, 0.0, -0.18])
    placed, shift = _resting([turned(mesh, across, long, at) for mesh in (body, screen)], barrier, (side, 0, -0.18), 0.001)
    parts = [part_of("phone-ear body", placed[0], colour, 1.0), part_of("phone-ear screen", placed[1], np.full(3, 0.01), 3.0)]
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
    parts = [part_of("phone-mouth body", placed[0], colour, 1.0), part_of("phone-mouth screen", placed[1], np.full(3, 0.01), 3.0)]
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
    parts = [part_of("cup body", cup, cloth_colour(rng), 1.2)]
    return parts, _Grip("cup", [-1, 0.0, 0.1], [-0.1, -0.1, -1], grip)


def _microphone(rng: np.random.Generator, head: HeadGeometry, side: float, wander: Array, barrier: Array) -> Placed:
    s, mouth = head.scale, head.landmarks[48:68].mean(0)
    radius = rng.uniform(0.021, 0.029)
    way = unit([0.35 * side + rng.normal(0, 0.2), 1.0, -rng.uniform(0.3, 1.0)])
    at = mouth * [0, 1, 1] + wander + np.array([0, 0.010, -0.05]) * s
    mesh_ball = ball(at, radius, 18, 12)
    handle = tube(at + np.linspace(0.8 * radius, 0.19, 8)[:, None] * way, np.linspace(0.72 * radius, 0.011, 8), 14)
    placed, shift = _resting([mesh_ball, handle], barrier, (0, 0, -1), float(rng.uniform(0.002, 0.025)))
    parts = [part_of("microphone head", placed[0], np.full(3, rng.uniform(0.03, 0.35)), 1.5)]
    parts.append(part_of("microphone handle", placed[1], np.full(3, rng.uniform(0.008, 0.05)), 1.0))
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
    parts = [part_of("book cover", mesh, cloth_colour(rng), 0.4)]
    return parts, _Grip("relaxed", [-0.3, 0, 1], [-0.5, -1, 0], grip, (0, 0, -1))
