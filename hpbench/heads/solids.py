"""Things between the head and the camera: what a mesh needs to be drawn, and plain shapes that float before the face.

Worn and held things are in `hpbench.heads.accessories`; the shapes here look like nothing in particular on purpose, so that a
network learns that anything may hide a point.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from ..geometry.rotations import rotation_from_euler
from .raycast import TriangleSoup

__all__ = ["Solid", "before_the_head", "draw_covering", "draw_floating"]

Array = npt.NDArray[Any]

_CLEAR_M = 0.02
# points of a triangle to look from, as weights of its corners: the long sides of a bar have two triangles
_INSIDE = np.array([[i, j, 8 - i - j] for i in range(9) for j in range(9 - i)]) / 8.0
_REACH_M = (0.08, 0.20)  # how far before the face things float


@dataclasses.dataclass(frozen=True, eq=False)
class Solid:
    """An opaque mesh in the camera frame.

    Attributes
    ----------
    name : str
        What it is: an attribute of the picture.
    vertices_m : (V, 3) array
    triangles : (T, 3) array of int
    colour : (3,) array, linear RGB
    gloss : float, 0 to 1
    """

    name: str
    vertices_m: Array
    triangles: Array
    colour: Array
    gloss: float = 0.2


def before_the_head(solid: Solid, head: TriangleSoup) -> Solid:
    """The same solid moved towards the camera until nothing of it reaches into the head: it looks the same, smaller and nearer.

    Along its ray from the camera each point of the surface must lie `_CLEAR_M` before the skin, where hair may be.
    """
    corners = solid.vertices_m[solid.triangles]
    surface = np.concatenate([corners.reshape(-1, 3), *(np.einsum("k,tkd->td", weights, corners) for weights in _INSIDE)])
    distance = np.linalg.norm(surface, axis=1)
    hit, _, to_head = head.nearest(np.zeros(3), surface / distance[:, None])
    behind = (hit >= 0) & (distance > to_head - _CLEAR_M)
    if not behind.any():
        return solid
    return dataclasses.replace(solid, vertices_m=solid.vertices_m * float(((to_head[behind] - _CLEAR_M) / distance[behind]).min()))


def draw_floating(rng: np.random.Generator, points_camera_m: Array, chance: float) -> list[Solid]:
    """Up to three balls, bars and cards before the face; another one with probability `chance` each time."""
    solids: list[Solid] = []
    while len(solids) < 3 and rng.random() < chance:
        centre = points_camera_m.mean(axis=0) + rng.normal(0, 0.06, 3)
        solids.append(_shape(rng, str(rng.choice(["ball", "card", "bar"])), _nearer(rng, centre), rng.uniform(0.02, 0.06)))
    return solids


def draw_covering(rng: np.random.Generator, points_camera_m: Array) -> Solid:
    """A ball or card right before one of the points, big enough to hide its neighbours."""
    centre = points_camera_m[rng.integers(len(points_camera_m))]
    return _shape(rng, str(rng.choice(["ball", "card"])), _nearer(rng, centre), rng.uniform(0.03, 0.055))


def _nearer(rng: np.random.Generator, place_m: Array) -> Array:
    distance = np.linalg.norm(place_m)
    return np.asarray(place_m * max(1 - rng.uniform(*_REACH_M) / distance, 0.5))


def _shape(rng: np.random.Generator, kind: str, centre_m: Array, half_m: float) -> Solid:
    vertices, triangles = _ball(24, 14) if kind == "ball" else _cube()
    halves = {
        "ball": half_m * rng.uniform(0.7, 1.2, 3),
        "card": np.array([*(half_m * rng.uniform(0.7, 1.4, 2)), 0.002]),
        "bar": np.array([0.009, rng.uniform(0.06, 0.2), 0.009]),
    }[kind]
    turn = rotation_from_euler((*rng.uniform(-60, 60, 2), rng.uniform(-180, 180)), "300w-lp")
    colour = rng.uniform(0.02, 0.8) * rng.uniform(0.4, 1, 3)
    return Solid(kind, vertices * halves @ turn.T + centre_m, triangles, colour, float(rng.uniform(0, 0.8)))


def _ball(around: int, down: int) -> tuple[Array, Array]:
    turn, polar = np.meshgrid(np.arange(around) * 2 * np.pi / around, np.linspace(1e-3, np.pi - 1e-3, down))
    vertices = np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], axis=-1).reshape(-1, 3)
    row, column = np.meshgrid(np.arange(down - 1), np.arange(around), indexing="ij")
    after = (column + 1) % around
    corners = [row * around + column, row * around + after, (row + 1) * around + after, (row + 1) * around + column]
    quads = np.stack(corners, axis=-1).reshape(-1, 4)
    return vertices, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _cube() -> tuple[Array, Array]:
    sides: list[Array] = []
    triangles: list[Array] = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            quad = np.zeros((4, 3))
            quad[:, axis] = sign
            quad[:, (axis + 1) % 3], quad[:, (axis + 2) % 3] = [-1, 1, 1, -1], [-1, -1, 1, 1]
            triangles.append(np.array([[0, 1, 2], [0, 2, 3]]) + 4 * len(sides))
            sides.append(quad)
    return np.concatenate(sides), np.concatenate(triangles)
