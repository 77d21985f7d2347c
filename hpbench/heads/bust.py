"""The parametric head: batches of anny's parameters to vertices of the bust.

The bust is read by `hpbench.heads.cut` once and kept as one file in hpbench's cache; opening it takes half a second.

Frame of the vertices: anny's, in metres (see `hpbench.heads.frame`).
"""

from __future__ import annotations

import dataclasses
import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..atomic import atomic_path
from ..cache import cache_folder
from ..errors import MissingDataError
from .cut import UNUSED_PHENOTYPES, Part, cut_body, mirror_table, one_thread, read_bust
from .raycast import quiet_warp

__all__ = ["UNUSED_PHENOTYPES", "BustModel", "Part", "Topology"]

Array = npt.NDArray[Any]

_BUILD = 2  # raise when the cut or the way of reading changes


@dataclasses.dataclass(frozen=True, eq=False)
class Topology:
    """What no parameter changes.

    Attributes
    ----------
    triangles : (T, 3) int32
    parts : (T,) int8, `Part`
    uv : (T, 3, 2) float32
        Texture coordinates of the corners; v up.
    base : (V,) int64
        Index of each vertex in hm08, ascending.
    template_anny_m : (V, 3) float64
        The template, for choosing points.
    mirror : (V,) int64
        For each vertex its mirror image (hm08's own table).
    """

    triangles: Array
    parts: Array
    uv: Array
    base: Array
    template_anny_m: Array
    mirror: Array

    def index_of_base(self, base: npt.ArrayLike) -> Array:
        """Vertices of the bust for vertices of hm08; a vertex that was cut away is an error."""
        return _position_in(self.base, np.asarray(base))

    def of(self, *parts: Part) -> Array:
        """Triangles of some parts."""
        return self.triangles[np.isin(self.parts, parts)]

    @cached_property
    def solid(self) -> Array:
        """Triangles through which no ray passes: skin, eyes, teeth, tongue."""
        return self.triangles[self.parts < Part.LASHES]

    @cached_property
    def hem(self) -> Array:
        """Edges (E, 2) along which the body was cut, in the order of their triangles."""
        skin = self.of(Part.SKIN)
        edges = skin[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
        _, index, count = np.unique(np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True)
        edges = edges[index[count == 1]]
        return edges[(self.template_anny_m[edges, 2] < 0.6).all(axis=1)]


class BustModel:
    """anny restricted to the bust: batches of parameters to vertices, float32, the same bits on one machine.

    Parameters
    ----------
    folder : Path or None
        Where the cut model is kept, 70 MB; `hpbench.cache` where it is None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        try:
            quiet_warp()
            import anny
            import torch
            from anny.models.model_data import ModelData
        except ImportError as error:
            raise MissingDataError(f"rendering heads needs the package {error.name!r}: pip install 'hpbench[heads]'.") from None
        corners, parts, uv, base = cut_body()
        triangles = np.searchsorted(base, corners).astype(np.int32)
        digest = hashlib.sha256(corners.tobytes() + f"{anny.__version__} {_BUILD}".encode()).hexdigest()[:16]
        path = (folder or cache_folder() / "heads") / f"bust-anny-{anny.__version__}-{digest}.safetensors"
        if not path.exists():
            with atomic_path(path) as temporary:
                read_bust(base, triangles).save_safetensors(temporary)
        data = ModelData.load_safetensors(path)
        self._torch = torch
        model = anny.Anny.from_model_data(data, phenotypes="all", pose_parameterization="local-ref", skinning_method="lbs")
        self._model = model.to(torch.float32)
        mirror = _position_in(base, mirror_table()[base])
        self.topology = Topology(triangles, parts, uv, base, data.template_vertices.numpy(), mirror)
        self.phenotypes: list[str] = list(model.phenotype_labels)
        self.changes: list[str] = list(model.local_change_labels)
        self.actions: list[str] = list(model.facial_action_labels)
        self.bones: list[str] = list(model.bone_labels)

    def __call__(
        self,
        phenotypes: Array,
        changes: Array | None = None,
        actions: Array | None = None,
        bones: dict[str, Array] | None = None,
    ) -> tuple[Array, Array]:
        """Heads of B rows of parameters, each in the order of the labels.

        Parameters
        ----------
        phenotypes : (B, P) array
        changes : (B, C) array or None
        actions : (B, A) array or None
        bones : mapping of a bone's name to rotations (B, 3, 3), anny's axes

        Returns
        -------
        vertices_anny_m : (B, V, 3) float32 array
        head_from_rest : (B, 4, 4) float32 array
            How the head's bone moved from its place in the person at rest.
        """
        torch = self._torch
        count = len(phenotypes)
        pose = torch.eye(4).repeat(count, len(self.bones), 1, 1)
        for name, rotation in (bones or {}).items():
            pose[:, self.bones.index(name), :3, :3] = torch.as_tensor(np.asarray(rotation), dtype=torch.float32)

        def tensor(values: Array | None) -> Any:
            return None if values is None else torch.as_tensor(values, dtype=torch.float32)

        with one_thread(), torch.no_grad():
            out = self._model(
                pose_parameters=pose,
                phenotype_kwargs=tensor(phenotypes),
                local_changes_kwargs=tensor(changes),
                facial_actions=tensor(actions),
            )
            head = self.bones.index("head")
            rest = out["rest_bone_poses"][:, head].expand(count, 4, 4)
            moved = out["bone_poses"][:, head] @ torch.linalg.inv(rest)
        return out["vertices"].numpy(), moved.numpy()


def _position_in(ascending: Array, wanted: Array) -> Array:
    found = np.searchsorted(ascending, wanted)
    if (found >= len(ascending)).any() or (ascending[np.minimum(found, len(ascending) - 1)] != wanted).any():
        raise ValueError("a vertex of the base mesh is not part of the bust")
    return found
