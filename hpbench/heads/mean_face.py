"""Makes `hpbench/geometry/mean_face.csv`: the mean of the neutral adult heads, as 98 points in the head frame.

    python -m hpbench.heads.mean_face OUT.csv

People are drawn as for pictures (`hpbench.heads.people`), adults only and without expression; each head's origin is the midpoint
of its eyes' points.  The 68 points are those of `hpbench.heads.points`.  WFLW's others follow from them on the mean head:

* between two jaw or lid points, the cubic through the four nearest;
* the lower edge of a brow, the skin `_BROW_MM` below the upper;
* a pupil, the front of the eyeball.

Left and right are averaged: the mean face is mirror symmetric.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..atomic import write_atomic
from ..landmark_maps import MAPS
from ..landmarks import SCHEMES

if TYPE_CHECKING:
    from .bust import BustModel

__all__ = ["mean_face_98"]

Array = npt.NDArray[Any]

PEOPLE, SEED = 2048, 0
_BATCH = 32
_BROW_MM = 6.0
_ADULT = 2.0 / 3.0  # of anny's age, which is 1 for the old
_MIDWAY = np.array([-1.0, 9.0, 9.0, -1.0]) / 16.0  # the cubic through four equally spaced points, in the middle


def mean_face_98(model: BustModel) -> Array:
    """The mean face, (98, 3) millimetres in the order of ``wflw98``."""
    from .bust import Part
    from .frame import HEAD_FROM_TEMPLATE
    from .points import vertex_pairs
    from .raycast import TriangleSoup

    vertices_mm = 1000.0 * _mean_vertices_m(model) @ HEAD_FROM_TEMPLATE.T
    points_68 = vertices_mm[vertex_pairs(model.topology)].mean(axis=1)
    skin = TriangleSoup(vertices_mm, model.topology.of(Part.SKIN))
    points = np.full((98, 3), np.nan)
    points[[i for (i,) in MAPS["wflw98", "ibug68-contour"]]] = points_68
    jaw = points_68[:17]
    ends = [2 * jaw[0] - jaw[1], *jaw, 2 * jaw[-1] - jaw[-2]]
    points[1:33:2] = [_MIDWAY @ np.array(ends[i : i + 4]) for i in range(16)]
    for first in (60, 68):  # corner, upper lid, corner, lower lid
        points[first + 2] = _MIDWAY @ points[first + np.array([0, 1, 3, 4])]
        points[first + 6] = _MIDWAY @ points[first + np.array([4, 5, 7, 0])]
    for low, high in zip(range(38, 42), range(37, 33, -1), strict=True):
        for a, b in ((low, high), (88 - low, 79 - high)):
            points[a] = _skin_at(skin, points[b] + [0.0, _BROW_MM, 0.0])
    for pupil, eye in ((96, Part.EYE_RIGHT), (97, Part.EYE_LEFT)):
        ball = vertices_mm[np.unique(model.topology.of(eye))]
        points[pupil] = [*ball[:, :2].mean(axis=0), ball[:, 2].min()]
    mirrored = points.copy()
    for a, b in SCHEMES["wflw98"].pairs:
        mirrored[[a, b]] = mirrored[[b, a]]
    points = (points + mirrored * [-1.0, 1.0, 1.0]) / 2.0
    eyes = points_68[36:48].mean(axis=0) * [0.0, 1.0, 1.0]
    found: Array = points - eyes
    return found


def _mean_vertices_m(model: BustModel) -> Array:
    """Mean vertices (V, 3) of neutral adults in the template frame, each from the midpoint of its eyes' points."""
    from .frame import TEMPLATE_FROM_ANNY
    from .people import draw_person
    from .points import vertex_pairs

    rng = np.random.default_rng(SEED)
    people = [draw_person(model, rng) for _ in range(PEOPLE)]
    phenotypes, changes = np.stack([p.phenotype for p in people]), np.stack([p.changes for p in people])
    phenotypes[:, model.phenotypes.index("age")] = rng.uniform(_ADULT, 1.0, PEOPLE)
    eyes = vertex_pairs(model.topology)[36:48]
    total = np.zeros((len(model.topology.base), 3))
    for start in range(0, PEOPLE, _BATCH):
        rows = slice(start, start + _BATCH)
        vertices = model(phenotypes[rows], changes[rows])[0] @ TEMPLATE_FROM_ANNY.T
        total += (vertices - vertices[:, eyes].mean(axis=(1, 2))[:, None]).sum(axis=0)
    return total / PEOPLE


def _skin_at(skin: Any, point_mm: Array) -> Array:
    """The skin before a point, seen from the front."""
    start = np.array([[point_mm[0], point_mm[1], -500.0]])
    distance = skin.nearest(start, np.array([[0.0, 0.0, 1.0]]))[2]
    found: Array = start[0] + [0.0, 0.0, float(distance[0])]
    return found


def main(path: Path) -> None:
    """Write the table."""
    from .bust import BustModel

    rows = (",".join([str(i), *(f"{v + 0.0:.3f}" for v in row)]) for i, row in enumerate(mean_face_98(BustModel()).round(3)))
    write_atomic(path, "\n".join(["point,x_mm,y_mm,z_mm", *rows]) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
