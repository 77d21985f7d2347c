"""AFLW with 19 points: ``AFLWinfo_release.mat`` over the photographs of AFLW; 24,386 faces.

Source: S. Zhu et al., Unconstrained face alignment via cascaded compositional learning, CVPR 2016, who annotated the
points of AFLW anew, also those that cannot be seen, without the ears.  Read as its public readers do (SAN, FaRL):

* ``nameList`` (24386, 1) cell: path below ``flickr/``, e.g. ``3/image00035.jpg``.
* ``data`` (24386, 38): x of the 19 points, then y; as stored, in pixels of the photograph.
* ``mask_new`` (24386, 19): 1 = visible.
* ``bbox`` (24386, 4): left, right, top, bottom: not x, y, x, y.
* ``ra`` (1, 24386): a permutation, 1-based; its first 20,000 rows are for training, the last 4,386 for testing.

An id is the 1-based row of these tables: the file has no face ids, and a photograph may hold several faces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError
from ..faces import Faces
from ..metrics.landmarks import landmark_box_xyxy_px
from .aflw_images import find_image, flickr_images, image_path
from .files.matlab import read_mat, read_mat_strings
from .files.sources import DataFile, find_by_name, how_to_obtain
from .table_dataset import TableDataset

__all__ = ["AFLWRelease"]

Array = npt.NDArray[Any]

N_FACES, N_TRAIN, N_POINTS = 24_386, 20_000, 19

_FILE = "AFLWinfo_release.mat"
_SHAPES = {"data": (N_FACES, 2 * N_POINTS), "mask_new": (N_FACES, N_POINTS), "bbox": (N_FACES, 4), "ra": (1, N_FACES)}


class AFLWRelease(TableDataset):
    """See the module's text."""

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        super().__init__(card, files)
        found = find_by_name(files, re.compile(re.escape(_FILE)))
        if not found:
            seen = f"{len(files)} other files, such as {files[0].name}" if files else "no files"
            raise MissingDataError(f"no {_FILE} of {card.id} in the data given, but {seen}.\n{how_to_obtain(card)}")
        self._file = found[_FILE]
        self._photographs = flickr_images(files)

    def open_ids(self, split: str) -> list[str]:
        """By the file's own permutation; ``frontal``: faces of ``full`` with all 19 points visible."""
        order = self._labels["ra"][0].astype(np.int64)
        rows = order[:N_TRAIN] if split == "train" else order[N_TRAIN:]
        if split == "frontal":
            rows = rows[self._labels["mask_new"][rows - 1].all(axis=1)]
        return sorted(map(str, rows.tolist()))

    def image_file(self, sample_id: str) -> DataFile | None:
        row = int(sample_id) - 1 if sample_id.isdecimal() else -1
        return find_image(self._photographs, self._paths[row]) if 0 <= row < N_FACES else None

    def table(self, labels: str) -> Faces:
        raw = self._labels
        left, right, top, bottom = raw["bbox"].T
        every = Faces(
            sample_id=[str(row + 1) for row in range(N_FACES)],
            landmarks=raw["data"].reshape(N_FACES, 2, N_POINTS).swapaxes(1, 2),
            scheme=self.card.scheme,
            visibility=raw["mask_new"],
            box_xyxy_px=np.stack([left, top, right, bottom], axis=1),
        )
        return every.take(np.argsort(np.array([str(i) for i in every.sample_id])))  # type: ignore[union-attr]

    def box_table(self, name: str) -> Faces:
        table = self._table("")
        assert table is not None  # the labels are there, or nothing is
        return table if name == "given" else replace(table, box_xyxy_px=landmark_box_xyxy_px(table))

    @cached_property
    def _labels(self) -> Mapping[str, npt.NDArray[np.float64]]:
        name = self._file.name
        found = read_mat(self._file.fetch(), name, _SHAPES, logical=True)
        if not np.array_equal(np.sort(found["ra"][0]), np.arange(1, N_FACES + 1)):
            raise InputError(f"{name}: ra is no permutation of 1..{N_FACES}: which rows are for testing?")
        mask = found["mask_new"]
        if (bad := np.argwhere((mask != 0) & (mask != 1))).size:
            raise InputError(f"{name}: mask_new holds {mask[tuple(bad[0])]:g} in row {bad[0][0] + 1}, expected 0 or 1.")
        left, right, top, bottom = found["bbox"].T
        if (bad_box := np.flatnonzero((right <= left) | (bottom <= top))).size:
            raise InputError(f"{name}: bbox of row {bad_box[0] + 1} is empty as left, right, top, bottom: in another order?")
        return found

    @cached_property
    def _paths(self) -> list[str]:
        name = self._file.name
        return [image_path(p, f"{name}: nameList") for p in read_mat_strings(self._file.fetch(), name, "nameList", (N_FACES, 1))]
