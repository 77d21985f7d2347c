"""AFLW2000-3D: ``imageNNNNN.jpg`` with ``imageNNNNN.mat``, 2000 of them.

Source: X. Zhu et al., Face alignment across large poses: a 3D solution, CVPR 2016; the files themselves.

What is read
------------
* ``Pose_Para`` (1, 7): pitch, yaw, roll in radians, then translation and scale.  The raw angles are kept unwrapped:
  exclusions and plain formulas need them (image03123 has a yaw of 351 degrees).
* ``pt3d_68`` (3, 68): x, y in pixels of the 450-px image, y down already, z toward the camera.
* ``AFLW2000-3D-Reannotated.pts68.npy`` (2000, 2, 68), if in a root: the re-annotated points; row i is line i of the
  card's split ``all``, whichever images are there.
* ``AFLW2000-3D-new.pose.npy`` (2000,), if in a root: the yaw of the field's second file, by which the MNN paper bins.

``roi`` refers to the original AFLW photograph, not to this image, and is not read.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError
from ..faces import Faces, Sample
from ..images import ImageRef
from .dataset import Dataset
from .matlab import read_mat
from .sources import DataFile, find_by_name, how_to_obtain

__all__ = ["AFLW2000"]

Array = npt.NDArray[Any]

_SHAPES = {"Pose_Para": (1, 7), "pt3d_68": (3, 68)}
_PAIR = re.compile(r"image\d{5}\.(jpg|mat)")
_REANNOTATED = "AFLW2000-3D-Reannotated.pts68.npy"
_NEW_POSE = "AFLW2000-3D-new.pose.npy"
_TABLES: dict[str, tuple[int, ...]] = {_REANNOTATED: (2, 68), _NEW_POSE: ()}  # name -> shape of one row
LABELS = ("original", "reannotated")


class AFLW2000(Dataset):
    """See the module's text."""

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        super().__init__(card, files)
        pairs = find_by_name(files, _PAIR)
        self._mats = {n.removesuffix(".mat"): f for n, f in pairs.items() if n.endswith(".mat")}
        self._read: dict[str, dict[str, Array]] = {}
        self._images = {n.removesuffix(".jpg"): f for n, f in pairs.items() if n.endswith(".jpg")}
        if not self._mats:
            seen = f"{len(files)} other files, such as {files[0].name}" if files else "no files"
            raise MissingDataError(f"no imageNNNNN.mat of {card.id} in the data given, but {seen}.\n{how_to_obtain(card)}")
        if not set(self._mats) & set(self.ids()):
            raise MissingDataError(
                f"none of the {len(self._mats)} imageNNNNN.mat found (first: {min(self._mats)}) is of {card.id}.\n{how_to_obtain(card)}"
            )

    def found_ids(self, split: str = "all", labels: str = "") -> list[str]:
        if self._labels(labels) == "reannotated" and _REANNOTATED not in self._tables:
            return []
        return [i for i in self.ids(split) if i in self._mats]

    def image_ids(self, split: str = "all") -> list[str]:
        return [i for i in self.ids(split) if i in self._images]

    def foreign_ids(self) -> list[str]:
        return sorted(set(self._mats) - set(self.all_ids()))

    def boxes_of(self, name: str, ids: list[str]) -> Array:
        """``landmarks``: the rectangle of the original 68 points, for both annotations."""
        self.box_set(name)
        points = self._points(ids)
        return np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)

    def samples_of(self, ids: list[str], boxes: str) -> Iterator[Sample]:
        for sample_id, box in zip(ids, self.boxes_of(boxes, ids), strict=True):
            yield Sample(sample_id, self._image(sample_id), box)

    def truth_of(self, ids: list[str], labels: str = "") -> Faces:
        """Rotation with the raw angles, 68 points, boxes; attributes ``abs_yaw_deg`` (and ``abs_yaw_new_deg``)."""
        labels = self._labels(labels)
        if labels == "reannotated" and _REANNOTATED not in self._tables:
            raise MissingDataError(f"{self.card.id}: {_REANNOTATED} lies in none of the data roots.\n{how_to_obtain(self.card)}")
        if not ids:
            raise InputError(f"{self.card.id}: no faces with {labels} labels.")
        pitch, yaw, roll = np.rad2deg(np.array([self._label(i, "Pose_Para")[0, :3] for i in ids])).T
        points = self._points(ids)
        if labels == "reannotated":
            points = np.swapaxes(self._rows(_REANNOTATED, ids), 1, 2)
        attributes = {"abs_yaw_deg": np.abs(yaw)}
        if _NEW_POSE in self._tables:
            attributes["abs_yaw_new_deg"] = np.abs(self._rows(_NEW_POSE, ids))
        return Faces(
            sample_id=ids,
            euler_deg=np.stack([yaw, pitch, roll], axis=1),
            convention=self.card.convention,
            landmarks=points,
            scheme=self.card.scheme,
            box_xyxy_px=self.boxes_of(self.card.default_boxes, ids),
            attributes=attributes,
        )

    def _labels(self, labels: str) -> str:
        if labels not in ("", *LABELS):
            raise InputError(f"{self.card.id} has labels {' and '.join(LABELS)}, not {labels!r}.")
        return labels or LABELS[0]

    def _label(self, sample_id: str, variable: str) -> Array:
        if sample_id not in self._read:
            file = self._mats.get(sample_id)
            if file is None:
                raise InputError(f"{self.card.id}: no {sample_id}.mat in the data given.")
            self._read[sample_id] = read_mat(file.fetch(), file.name, _SHAPES)
        return self._read[sample_id][variable]

    def _points(self, ids: list[str]) -> Array:
        return np.array([self._label(i, "pt3d_68")[:2].T for i in ids]).reshape(-1, 68, 2)

    def _image(self, sample_id: str) -> ImageRef:
        file = self._images.get(sample_id)
        if file is not None:
            return ImageRef(file.name, file.fetch)
        name = self._mats[sample_id].name.removesuffix(".mat") + ".jpg"

        def absent() -> bytes:
            raise InputError(f"{name}: the image is missing.")

        return ImageRef(name, absent)

    @cached_property
    def _tables(self) -> dict[str, Array]:
        """The .npy files that are there, by name; rows in the order of the split ``all``."""
        found = find_by_name(self.files, re.compile("|".join(map(re.escape, _TABLES))))
        return {name: self._read_table(file, _TABLES[name]) for name, file in found.items()}

    def _read_table(self, file: DataFile, shape: tuple[int, ...]) -> Array:
        try:
            table = np.load(io.BytesIO(file.fetch()), allow_pickle=False)
        except Exception as error:  # NumPy raises half a dozen kinds for damaged files
            raise InputError(f"{file.name}: cannot be read as .npy: truncated, or another kind of file? ({str(error)[:100]})") from None
        wanted = (len(self.ids()), *shape)
        if not isinstance(table, np.ndarray):
            raise InputError(f"{file.name}: an .npz archive under the name of an .npy file.")
        if table.shape != wanted or table.dtype.kind != "f":
            raise InputError(f"{file.name}: expected {wanted} floats, got {table.dtype} of shape {table.shape}: another file of that name?")
        if np.isinf(table).any():
            raise InputError(f"{file.name}: holds an infinite number in row {int(np.argwhere(np.isinf(table))[0][0]) + 1}.")
        return table.astype(np.float64)

    def _rows(self, name: str, ids: list[str]) -> Array:
        line = {sample_id: row for row, sample_id in enumerate(self.ids())}
        return self._tables[name][[line[i] for i in ids]]
