"""Datasets whose labels are one table in memory: what most readers have in common.

A reader says what the labels are (`table`), where the images lie (`image_file`) and which boxes there are (`box_table`);
splits, samples and truth follow.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError, did_you_mean
from ..faces import Faces, Sample
from ..geometry.rotations import euler_from_rotation
from ..images import ImageRef
from .dataset import Dataset
from .derived_pose import derived_rotation
from .files.datafile import DataFile
from .files.sources import how_to_obtain

__all__ = ["DERIVED_POSE", "TableDataset"]

Array = npt.NDArray[Any]

DERIVED_POSE = "derived-pose"
DERIVED_POSE_CONVENTION = "yxz"  # of the attribute abs_yaw_deg: the order in which those who derive poses take their angles


class TableDataset(Dataset):
    """See the module's text.

    Attributes
    ----------
    label_names : tuple of str
        The annotations there are; the first is meant by "".  ``derived-pose`` is served here: the first annotation with
        a rotation by PnP on the mean face that the card states (``options.derived_pose_mean_face``), with the attribute
        ``abs_yaw_deg``.
    """

    label_names: tuple[str, ...] = ("",)

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        super().__init__(card, files)
        self.default_labels = self.label_names[0]
        self._tables: dict[str, Faces | None] = {}

    @abc.abstractmethod
    def table(self, labels: str) -> Faces | None:
        """All faces that are here with an annotation, sorted by id, with every column; None where its files are not here."""

    @abc.abstractmethod
    def image_file(self, sample_id: str) -> DataFile | None:
        """The image of a face, None where it is not here."""

    @abc.abstractmethod
    def box_table(self, name: str) -> Faces:
        """A table that has every face of the default annotation, with the boxes of a set in `box_xyxy_px`."""

    def found_ids(self, split: str = "", labels: str = "") -> list[str]:
        table = self._table(labels)
        if table is None:
            return []
        ids = self.ids(split)
        return [i for i, row in zip(ids, table.rows_of(ids), strict=True) if row >= 0]

    def image_ids(self, split: str = "") -> list[str]:
        return [i for i in self.ids(split) if self.image_file(i) is not None]

    def boxes_of(self, name: str, ids: list[str]) -> Array:
        name = self.box_set(name)
        table = self.box_table(name)
        if table.box_xyxy_px is None:
            raise MissingDataError(f"{self.card.id}: the boxes {name!r} are not in the data given ({self.card.boxes[name].source}).")
        rows = table.rows_of(ids)
        if not len(table):
            return np.full((len(ids), 4), np.nan)
        if np.array_equal(rows, np.arange(len(table))):
            return table.box_xyxy_px
        boxes: Array = table.box_xyxy_px[rows]
        boxes[rows < 0] = np.nan
        return boxes

    def samples_of(self, ids: list[str], boxes: str) -> Iterator[Sample]:
        for sample_id, box in zip(ids, self.boxes_of(boxes, ids), strict=True):
            yield Sample(sample_id, self._image(sample_id), box)

    def truth_of(self, ids: list[str], labels: str = "") -> Faces:
        table = self._table(labels)
        if table is None:
            raise MissingDataError(
                f"{self.card.id}: the {labels or 'default'} labels are not in the data given.\n{how_to_obtain(self.card)}"
            )
        if not ids:
            raise InputError(f"{self.card.id}: no faces with {labels or 'default'} labels.")
        rows = table.rows_of(ids)
        if (rows < 0).any():
            raise InputError(f"{self.card.id}: face {ids[int(np.argmin(rows))]!r} has no {labels or 'default'} labels here.")
        return self._with_derived_pose(table.take(rows)) if labels == DERIVED_POSE else table.take(rows)

    def scheme(self, labels: str = "") -> str:
        table = self._table(labels)
        return (table.scheme if table is not None else None) or self.card.scheme

    @cached_property
    def derived_pose_mean_face(self) -> str:
        """The mean face that the card states for derived pose labels; "" where it offers none."""
        return str(self.card.options.get("derived_pose_mean_face", ""))

    def _table(self, labels: str) -> Faces | None:
        known = (*self.label_names, *((DERIVED_POSE,) if self.derived_pose_mean_face else ()))
        labels = labels or self.label_names[0]
        if labels not in known:
            raise InputError(f"dataset {self.card.id!r} has no labels {labels!r}: {did_you_mean(labels, known)}")
        if labels == DERIVED_POSE:  # the faces and points are the first annotation's; poses are derived for those asked for
            table = self._table("")
            return table if table is not None and table.landmarks is not None and table.scheme is not None else None
        if labels not in self._tables:
            self._tables[labels] = self.table(labels)
        return self._tables[labels]

    def _with_derived_pose(self, faces: Faces) -> Faces:
        assert faces.landmarks is not None and faces.scheme is not None
        boxes = self.boxes_of("", [str(i) for i in faces.sample_id])  # type: ignore[union-attr]
        rotation = derived_rotation(faces.landmarks, faces.scheme, boxes, self.derived_pose_mean_face)
        abs_yaw_deg = np.abs(euler_from_rotation(rotation, DERIVED_POSE_CONVENTION)[:, 0])
        attributes = {"abs_yaw_deg": abs_yaw_deg, **faces.attributes}  # the labels' own yaw where they have one
        return replace(faces, rotation=rotation, euler_deg=None, convention=None, attributes=attributes)

    def _image(self, sample_id: str) -> ImageRef:
        file = self.image_file(sample_id)
        if file is not None:
            return ImageRef(file.name, file.fetch)
        name = f"{self.card.id} {sample_id}"

        def absent() -> bytes:
            raise InputError(f"{name}: the image is missing.")

        return ImageRef(name, absent)
