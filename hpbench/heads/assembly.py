"""One mesh of everything in a picture: bust, hair, clothes, things; and what each vertex carries to be shaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .bust import Part, Topology
from .look import Look
from .noise import Noise, smoothstep
from .solids import Solid
from .surface import COLUMN, Fields, vertex_normals

__all__ = ["FIELDS", "GLOSS", "NORMAL", "TINT", "Assembler", "Assembly"]

Array = npt.NDArray[Any]

NORMAL, TINT, GLOSS, FIELDS = slice(0, 3), slice(3, 6), 6, slice(7, None)  # columns of `Assembly.table`
_CAPE_M, _CAPE_FLARE_M = 0.5, 0.06  # length of the cape that hides where the body was cut; how much it widens


@dataclasses.dataclass(frozen=True, eq=False)
class Assembly:
    """A mesh in the camera frame.

    Attributes
    ----------
    vertices_m : (V, 3)
    triangles : (T, 3) int32
    parts : (T,) int8, `Part`
    table : (V, 23) float32
        Normal, own colour and gloss of things, fields of `hpbench.heads.surface`.
    hair_m : (H, 3)
        Vertices of the shell of hair, none for a bald head.
    """

    vertices_m: Array
    triangles: Array
    parts: Array
    table: Array
    hair_m: Array


class Assembler:
    """Knows the parts of the bust that a picture may or may not have.

    Parameters
    ----------
    topology : Topology
    fields : Fields
        Of the mean head.
    """

    def __init__(self, topology: Topology, fields: Fields) -> None:
        self._topology, self._fields, self._table = topology, fields, fields.table()
        skin, place = topology.of(Part.SKIN), fields.place
        self._scalp = skin[(fields.scalp[skin] > -0.03).all(axis=1)]
        locks = topology.of(Part.LOCKS)
        self._locks = locks[(place[locks, 2] > -0.07).all(axis=1) & (place[locks, 1] < 0.25).any(axis=1)]
        self._lashes = topology.of(Part.LASHES)
        self._rim, edges = np.unique(topology.hem, return_inverse=True)
        start, end = edges.reshape(-1, 2).T
        low = len(self._rim)
        quads = np.stack([end, start, start + low, end + low], axis=1)
        self._cape = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])

    def assemble(self, vertices_m: Array, look: Look, solids: Sequence[Solid], body_down: Array) -> Assembly:
        """Everything in one mesh.

        Parameters
        ----------
        vertices_m : (V, 3) array
            The bust in the camera frame.
        look : Look
        solids : sequence of Solid
        body_down : (3,) array
            Which way clothes hang, camera frame.
        """
        topology, joined = self._topology, _Joiner(self._table.shape[1])
        normals = vertex_normals(vertices_m, topology.solid)
        joined.add(vertices_m, topology.solid, topology.parts[topology.parts < Part.LASHES], normals, self._table)
        loose = [(Part.LASHES, self._lashes), *([(Part.LOCKS, self._locks)] if look.hair_kind == "long" else [])]
        for part, triangles in loose:
            own = np.unique(triangles)
            normals[own] = vertex_normals(vertices_m, triangles)[own]
            joined.more(triangles, part)
        hair = np.zeros((0, 3))
        if look.hair_kind in ("short", "long"):
            rise = smoothstep(0.0, 0.035, self._fields.scalp + look.hairline_m)
            shell = self._shell(vertices_m, normals, look, rise)
            joined.add(shell, self._scalp, Part.SCALP, vertex_normals(shell, self._scalp), self._table)
            hair = shell[np.unique(self._scalp)][rise[np.unique(self._scalp)] > 0]
        cape, away = self._hang(vertices_m[self._rim], body_down)
        table = np.tile(self._table[self._rim], (2, 1))
        table[:, 1] = 1.0  # far below any neckline
        joined.add(cape, self._cape, Part.SKIN, np.tile(away, (2, 1)), table)
        for solid in solids:
            table = np.zeros((len(solid.vertices_m), self._table.shape[1]), np.float32)
            table[:, COLUMN["place"]] = solid.vertices_m - solid.vertices_m.mean(axis=0)
            table[:, COLUMN["openness"]] = 0.85
            smooth = vertex_normals(solid.vertices_m, solid.triangles)
            joined.add(solid.vertices_m, solid.triangles, Part.THING, smooth, table, solid.colour, solid.gloss)
        return joined.joined(hair)

    @staticmethod
    def _hang(rim_m: Array, down: Array) -> tuple[Array, Array]:
        """A cape (2 R, 3) that hangs and widens from a rim (R, 3), and its normals there (R, 3).

        The rim runs in steps along the body's quads.  The cape's lower edge and its normals go by the smooth round that fits
        the rim, so that the steps do not run down the cloth as pleats.
        """
        centre = rim_m.mean(axis=0)
        out = rim_m - centre
        height = out @ down
        out = out - height[:, None] * down
        side = np.cross(down, [0.0, 0.0, 1.0] if abs(down[2]) < 0.9 else [1.0, 0.0, 0.0])
        axes = np.stack([side / np.linalg.norm(side), np.cross(down, side / np.linalg.norm(side))])
        turn = np.arctan2(out @ axes[1], out @ axes[0])
        waves = np.stack([np.ones_like(turn), *(f(n * turn) for n in (1, 2, 3, 4) for f in (np.cos, np.sin))], axis=1)
        radius = waves @ np.linalg.lstsq(waves, np.linalg.norm(out, axis=1), rcond=None)[0]
        level = waves @ np.linalg.lstsq(waves, height, rcond=None)[0]
        away = np.cos(turn)[:, None] * axes[0] + np.sin(turn)[:, None] * axes[1]
        low = centre + (level + _CAPE_M)[:, None] * down + (radius + _CAPE_FLARE_M)[:, None] * away
        return np.concatenate([rim_m, low]), away

    def _shell(self, vertices_m: Array, normals: Array, look: Look, rise: Array) -> Array:
        """The scalp lifted by the hair's thickness, bumpy like locks."""
        noise, place = Noise(np.random.default_rng(look.seed + 1), 16), self._fields.place
        bumpy = 1 + 0.35 * noise(place, look.hair_curl_m * 1.6) + 0.25 * noise(place, look.hair_curl_m * 0.6, 5.0)
        return np.asarray(vertices_m + (0.0005 + look.hair_thickness_m * rise * bumpy)[:, None] * normals)


class _Joiner:
    """Collects meshes; vertices of one come after those of the one before."""

    def __init__(self, n_fields: int) -> None:
        self._width = 7 + n_fields
        self._vertices: list[Array] = []
        self._triangles: list[Array] = []
        self._parts: list[Array] = []
        self._normals: list[Array] = []
        self._tables: list[Array] = []
        self._offset = 0

    def add(
        self,
        vertices_m: Array,
        triangles: Array,
        part: Array | Part,
        normals: Array,
        fields: Array,
        colour: Array | float = 0.0,
        gloss: float = 0.0,
    ) -> None:
        table = np.zeros((len(vertices_m), self._width), np.float32)
        table[:, TINT], table[:, GLOSS], table[:, FIELDS] = colour, gloss, fields
        self._triangles.append(triangles + self._offset)
        self._parts.append(np.broadcast_to(np.asarray(part, np.int8), (len(triangles),)))
        self._vertices.append(vertices_m)
        self._normals.append(normals)
        self._tables.append(table)
        self._offset += len(vertices_m)

    def more(self, triangles: Array, part: Part) -> None:
        """Further triangles of the first mesh."""
        self._triangles.append(triangles)
        self._parts.append(np.full(len(triangles), part, np.int8))

    def joined(self, hair_m: Array) -> Assembly:
        table = np.concatenate(self._tables)
        table[:, NORMAL] = np.concatenate(self._normals)
        triangles = np.concatenate(self._triangles).astype(np.int32)
        return Assembly(np.concatenate(self._vertices), triangles, np.concatenate(self._parts), table, hair_m)
