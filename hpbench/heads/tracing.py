"""What rays from the camera meet: nearest hits with gaps in hair and lashes passed, and the surface there."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from .assembly import FIELDS, GLOSS, NORMAL, TINT, Assembly
from .bust import Part
from .look import Look
from .noise import Noise, dots, smoothstep, units
from .raycast import TriangleSoup
from .surface import COLUMN

__all__ = ["Hits", "Trace", "Tracer", "hair_strands"]

Array = npt.NDArray[Any]

_LAYERS = 3  # of hair that a ray may pass
_STEP_M = 2e-4  # past a gap before the ray is sent on


@dataclasses.dataclass
class Hits:
    """The surface where M rays met something, camera frame.

    Attributes
    ----------
    part : (M,) int8
    place_m, normal, view : (M, 3)
        Where; unit normal; unit vector towards the camera.
    fields : (M, 16)
        Columns of `hpbench.heads.surface.COLUMN`.
    tint, gloss : (M, 3), (M,)
        Own colour and gloss of things.
    strand : (M, 3)
        Which way hair grows.
    """

    part: Array
    place_m: Array
    normal: Array
    view: Array
    fields: Array
    tint: Array
    gloss: Array
    strand: Array

    def at(self, rows: Array) -> Hits:
        """Some of the hits."""
        return Hits(**{field.name: getattr(self, field.name)[rows] for field in dataclasses.fields(self)})

    def put(self, rows: Array, other: Hits) -> None:
        """Replaces some of the hits."""
        for field in dataclasses.fields(self):
            getattr(self, field.name)[rows] = getattr(other, field.name)


@dataclasses.dataclass(frozen=True, eq=False)
class Trace:
    """Answers for N rays, M of which met something.

    Attributes
    ----------
    triangle : (N,) int32, -1 where nothing was met
    distance_m : (N,)
    rows : (M,) int
        The rays that met something.
    hits : Hits
    """

    triangle: Array
    distance_m: Array
    rows: Array
    hits: Hits


class Tracer:
    """Shoots rays from the camera at an assembly.

    Parameters
    ----------
    assembly : Assembly
    look : Look
        Says how dense hair and lashes are.
    noise : Noise
    camera_from_template : (3, 3) array
        Turns the direction in which hair grows.
    """

    def __init__(self, assembly: Assembly, look: Look, noise: Noise, camera_from_template: Array) -> None:
        self.assembly, self.soup = assembly, TriangleSoup(assembly.vertices_m, assembly.triangles)
        self._look, self._noise, self._turn = look, noise, camera_from_template.astype(np.float32)

    def trace(self, rays: Array) -> Trace:
        """Nearest things, gaps apart, on unit directions (N, 3)."""
        triangle, weights, distance = self.soup.nearest(np.zeros(3), rays)
        rows = np.flatnonzero(triangle >= 0)
        hits = self._surface(triangle[rows], weights[rows], distance[rows], rays[rows])
        loose = _loose(hits.part)
        for _ in range(_LAYERS):
            loose = loose[_in_gap(hits.at(loose), self._look, self._noise)]
            if not len(loose):
                break
            again = rows[loose]
            start = rays[again] * (distance[again, None] + _STEP_M)
            triangle[again], weights[again], further = self.soup.nearest(start, rays[again])
            distance[again] += _STEP_M + further
            loose = loose[triangle[again] >= 0]
            again = rows[loose]
            behind = self._surface(triangle[again], weights[again], distance[again], rays[again])
            hits.put(loose, behind)
            loose = loose[_loose(behind.part)]
        kept = np.flatnonzero(triangle[rows] >= 0)
        if len(kept) < len(rows):
            rows, hits = rows[kept], hits.at(kept)
        return Trace(triangle, distance, rows, hits)

    def first(self, rays: Array) -> tuple[Array, Array]:
        """Distance (N,) of the first thing on each ray but lashes, which hide nothing, infinite where there is none; and its
        part (N,), -1 where there is none."""
        trace = self.trace(rays)
        distance_m, part = np.full(len(rays), np.inf), np.full(len(rays), -1)
        distance_m[trace.rows] = np.where(trace.hits.part == Part.LASHES, np.inf, trace.distance_m[trace.rows])
        part[trace.rows] = trace.hits.part
        return distance_m, part

    def _surface(self, triangle: Array, weights: Array, distance: Array, rays: Array) -> Hits:
        assembly, weights, rays = self.assembly, weights.astype(np.float32), rays.astype(np.float32)
        corners, parts = assembly.triangles[triangle], assembly.parts[triangle]
        values = weights[:, :1] * assembly.table[corners[:, 0]]
        values += weights[:, 1:2] * assembly.table[corners[:, 1]]
        values += weights[:, 2:] * assembly.table[corners[:, 2]]
        normal = units(values[:, NORMAL])
        normal[(dots(normal, rays) > 0.15) & (parts >= Part.LOCKS)] *= -1  # open sheets are seen from both sides
        fields = values[:, FIELDS]
        strand = fields[:, COLUMN["along"]] @ self._turn.T
        return Hits(parts, rays * distance[:, None], normal, -rays, fields, values[:, TINT], values[:, GLOSS], strand)


def _loose(part: Array) -> Array:
    return np.flatnonzero((part >= Part.LASHES) & (part <= Part.SCALP))


def hair_strands(fields: Array, noise: Noise, width_m: float, shift: float) -> Array:
    """Streaks (M,) in [-1, 1] along the direction in which hair grows."""
    place, along = fields[:, COLUMN["place"]], fields[:, COLUMN["along"]]
    across = place - 0.93 * dots(place, along)[:, None] * along
    return noise(across, width_m, shift)


def _in_gap(hits: Hits, look: Look, noise: Noise) -> Array:
    """Which hits (M,) lie between locks of hair or between lashes."""
    out = np.zeros(len(hits.part), bool)
    scalp = np.flatnonzero(hits.part == Part.SCALP)
    if len(scalp):
        fields = hits.fields[scalp]
        ragged = 0.006 * hair_strands(fields, noise, 0.0018, 3.0) + 0.007 * noise(fields[:, COLUMN["place"]], 0.012, 4.0)
        out[scalp] = fields[:, COLUMN["scalp"]] + look.hairline_m + ragged < 0.001
    locks = np.flatnonzero(hits.part == Part.LOCKS)
    if len(locks):
        place = hits.fields[locks][:, COLUMN["place"]]
        gaps = noise(place * np.array([1.0, 0.12, 1.0], np.float32), 0.0025, 3.0)
        out[locks] = gaps < smoothstep(-0.05, 0.15, place[:, 1]) * 1.3 - 0.75
    lashes = np.flatnonzero(hits.part == Part.LASHES)
    if len(lashes):
        place = hits.fields[lashes][:, COLUMN["place"]]
        out[lashes] = noise(place * np.array([1.0, 0.25, 0.25], np.float32), 0.0005, 8.0) < 0.52 - 0.4 * (look.liner - 0.5)
    return out
