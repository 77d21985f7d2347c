"""COFW68: 68 points and their occlusion for the 507 faces of COFW's test set.

Source: G. Ghiasi, C. Fowlkes, Occlusion coherence: detecting and localizing occluded faces, arXiv:1506.08347; the files of
their repository.

What is read
------------
* ``K_points.mat`` (MATLAB v5), K = 1 ... 507: ``Points`` (68, 2) x, y in pixels, ``Occ`` (1, 68), 1 = occluded.
* ``cofw68_test_bboxes.mat``: ``bboxes`` (507, 4), row K - 1 is the face box of face K as x, y, width, height.
* The images are those of COFW: ``COFW_test_color.mat``, if it lies in a data root; without it labels can be scored.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError
from ..faces import Faces
from ..metrics.landmarks import landmark_box_xyxy_px
from .cofw import cofw_files
from .files.datafile import DataFile
from .files.label_cache import cached_labels
from .files.matlab import read_mat
from .files.sources import find_by_name, how_to_obtain
from .table_dataset import TableDataset

__all__ = ["COFW68"]

Array = npt.NDArray[Any]

N_FACES = 507
_POINTS = re.compile(r"([1-9]\d{0,5})_points\.mat")
_BOXES = "cofw68_test_bboxes.mat"


class COFW68(TableDataset):
    """See the module's text."""

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        super().__init__(card, files)
        found = find_by_name(files, _POINTS)
        self._points = {name.partition("_")[0]: file for name, file in sorted(found.items())}
        if not set(self._points) & set(self.ids("test")):
            seen = f"{len(files)} other files, such as {files[0].name}" if files else "no files"
            raise MissingDataError(f"no K_points.mat (K from 1 to {N_FACES}) in the data given, but {seen}.\n{how_to_obtain(card)}")
        self._boxes = find_by_name(files, re.compile(re.escape(_BOXES))).get(_BOXES)
        self._images = cofw_files(files).get("test")

    def table(self, labels: str) -> Faces | None:
        """68 points with occlusion (1 = external) and visibility (1 - occlusion), and the given boxes if they are there."""
        listed = set(self.ids("test"))
        ids = sorted(i for i in self._points if i in listed)
        files = [self._points[i] for i in ids]
        arrays = cached_labels(self.card.id, "points", files, lambda: _parsed(files))
        occlusion = np.asarray(arrays["occlusion"], dtype=np.uint8)
        return Faces(
            sample_id=ids,
            landmarks=arrays["points"],
            scheme=self.card.scheme,
            visibility=1.0 - occlusion,
            occlusion=occlusion,
            box_xyxy_px=self._given_boxes()[[int(i) - 1 for i in ids]] if self._boxes is not None else None,
        )

    def box_table(self, name: str) -> Faces:
        table = self._table("")
        assert table is not None  # there are labels, or the dataset would not have been made
        return table if name != "landmarks" else replace(table, box_xyxy_px=landmark_box_xyxy_px(table))

    def image_file(self, sample_id: str) -> DataFile | None:
        return self._images.image_file(int(sample_id)) if self._images is not None and sample_id.isdecimal() else None

    def foreign_ids(self) -> list[str]:
        return sorted(set(self._points) - set(self.all_ids()))

    def _given_boxes(self) -> Array:
        assert self._boxes is not None
        x, y, width, height = read_mat(self._boxes.fetch(), self._boxes.name, {"bboxes": (N_FACES, 4)})["bboxes"].T
        return np.stack([x, y, x + width, y + height], axis=1)


def _parsed(files: list[DataFile]) -> dict[str, Array]:
    points = np.empty((len(files), 68, 2))
    occlusion = np.empty((len(files), 68), np.uint8)
    for row, file in enumerate(files):
        labels = read_mat(file.fetch(), file.name, {"Points": (68, 2), "Occ": (1, 68)})
        flags = labels["Occ"][0]
        if (bad := np.flatnonzero((flags != 0) & (flags != 1))).size:
            raise InputError(f"{file.name}: Occ of point {bad[0]} is {flags[bad[0]]:g}, expected 0 (visible) or 1 (occluded).")
        points[row], occlusion[row] = labels["Points"], flags
    return {"points": points, "occlusion": occlusion}
