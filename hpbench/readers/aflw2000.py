"""AFLW2000-3D: ``imageNNNNN.jpg`` with ``imageNNNNN.mat``, 2000 of them.

Source: X. Zhu et al., Face alignment across large poses: a 3D solution, CVPR 2016; the files themselves.

What is read
------------
* ``Pose_Para`` (1, 7), see `hpbench.readers.fitted3d` (image03123 has a yaw of 351 degrees).
* ``pt3d_68`` (3, 68): x, y in pixels of the 450-px image, y down already, z toward the camera.
* ``AFLW2000-3D-Reannotated.pts68.npy`` (2000, 2, 68), if in a root: the re-annotated points; row i is line i of the
  card's split ``all``, whichever images are there.
* ``AFLW2000-3D-new.pose.npy`` (2000,), if in a root: the yaw of the field's second file, by which the MNN paper bins.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError
from ..faces import Faces
from ..untrusted import read_npy
from .derived_pose import derived_rotation
from .files.sources import DataFile, find_by_name, how_to_obtain
from .fitted3d import Fitted3D
from .table_dataset import DERIVED_POSE

__all__ = ["AFLW2000"]

Array = npt.NDArray[Any]

_PAIR = re.compile(r"image\d{5}\.(jpg|mat)")
_REANNOTATED = "AFLW2000-3D-Reannotated.pts68.npy"
_NEW_POSE = "AFLW2000-3D-new.pose.npy"
_TABLES: dict[str, tuple[int, ...]] = {_REANNOTATED: (2, 68), _NEW_POSE: ()}  # name -> shape of one row
LABELS = ("original", "reannotated", DERIVED_POSE)


class AFLW2000(Fitted3D):
    """See the module's text."""

    default_labels = LABELS[0]

    points_variable = "pt3d_68"
    points_rows = 3

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        pairs = find_by_name(files, _PAIR)
        mats = {n.removesuffix(".mat"): f for n, f in pairs.items() if n.endswith(".mat")}
        super().__init__(card, files, mats, {n.removesuffix(".jpg"): f for n, f in pairs.items() if n.endswith(".jpg")})
        if not mats:
            seen = f"{len(files)} other files, such as {files[0].name}" if files else "no files"
            raise MissingDataError(f"no imageNNNNN.mat of {card.id} in the data given, but {seen}.\n{how_to_obtain(card)}")
        if not set(mats) & set(self.ids()):
            raise MissingDataError(
                f"none of the {len(mats)} imageNNNNN.mat found (first: {min(mats)}) is of {card.id}.\n{how_to_obtain(card)}"
            )

    def found_ids(self, split: str = "", labels: str = "") -> list[str]:
        if self._labels(labels) != "original" and _REANNOTATED not in self._tables:
            return []
        return [i for i in self.ids(split) if i in self._mats]

    def foreign_ids(self) -> list[str]:
        return sorted(set(self._mats) - set(self.all_ids()))

    def truth_of(self, ids: list[str], labels: str = "") -> Faces:
        """Rotation with the raw angles, 68 points, boxes; attributes ``abs_yaw_deg`` (and ``abs_yaw_new_deg``).

        ``derived-pose`` has the re-annotated points, and the rotation that they and the mean face give; its subsets are by the yaw
        of the files all the same.
        """
        labels = self._labels(labels)
        if labels != "original" and _REANNOTATED not in self._tables:
            raise MissingDataError(f"{self.card.id}: {_REANNOTATED} lies in none of the data roots.\n{how_to_obtain(self.card)}")
        if not ids:
            raise InputError(f"{self.card.id}: no faces with {labels} labels.")
        points = self.fitted_points(ids) if labels == "original" else np.swapaxes(self._rows(_REANNOTATED, ids), 1, 2)
        attributes = {"abs_yaw_new_deg": np.abs(self._rows(_NEW_POSE, ids))} if _NEW_POSE in self._tables else {}
        faces = self.fitted_faces(ids, points, self.card.scheme, attributes)
        if labels != DERIVED_POSE:
            return faces
        assert faces.box_xyxy_px is not None
        version = str(self.card.options.get("derived_pose_mean_face", ""))
        rotation = derived_rotation(points, self.card.scheme, faces.box_xyxy_px, version)
        return replace(faces, rotation=rotation, euler_deg=None, convention=None)

    def _labels(self, labels: str) -> str:
        if labels not in ("", *LABELS):
            raise InputError(f"{self.card.id} has labels {', '.join(LABELS)}, not {labels!r}.")
        return labels or LABELS[0]

    @cached_property
    def _tables(self) -> dict[str, Array]:
        """The .npy files that are there, by name; rows in the order of the split ``all``."""
        found = find_by_name(self.files, re.compile("|".join(map(re.escape, _TABLES))))
        return {name: self._read_table(file, _TABLES[name]) for name, file in found.items()}

    def _read_table(self, file: DataFile, shape: tuple[int, ...]) -> Array:
        try:
            table = read_npy(file.fetch(), file.size)
        except Exception as error:  # NumPy raises half a dozen kinds for damaged files
            raise InputError(f"{file.name}: cannot be read as .npy: truncated, or another kind of file? ({str(error)[:100]})") from None
        wanted = (len(self.ids()), *shape)
        if table.shape != wanted or table.dtype.kind != "f":
            raise InputError(f"{file.name}: expected {wanted} floats, got {table.dtype} of shape {table.shape}: another file of that name?")
        if np.isinf(table).any():
            raise InputError(f"{file.name}: holds an infinite number in row {int(np.argwhere(np.isinf(table))[0][0]) + 1}.")
        return table.astype(np.float64)

    def _rows(self, name: str, ids: list[str]) -> Array:
        line = {sample_id: row for row, sample_id in enumerate(self.ids())}
        return self._tables[name][[line[i] for i in ids]]
