"""MERL-RAV: 68 points with visibility for 19,314 faces of AFLW, a .pts file a face.

Source: A. Kumar et al., LUVLi face alignment, CVPR 2020; the README of the data set; the files themselves.

What is read
------------
* ``{frontal,left,lefthalf,right,righthalf}/{trainset,testset}/labels/imageNNNNN[_k].pts``, in any folder or in
  ``merl_rav_labels.tar.gz`` (read without unpacking), or the tree ``merl_rav_organized`` that the authors' script makes
  (labels beside images, no folder ``labels``).  The id is the file's stem; ``_k`` counts the labelled faces of a photograph.
* The sign of a point is a flag: (x, y) visible; (-x, -y) hidden by something else, its place estimated; (-1, -1) hidden by
  the head itself, without a place.  After that pixels are counted from 1, as in all .pts files.
* The photographs are AFLW's, whole: the authors' script copies ``flickr/{0,2,3}/imageNNNNN.jpg`` under the name of each of
  its faces and crops nothing, so AFLW's folders serve as they are.

``occlusion`` keeps the three classes (0 visible, 1 external, 2 self).  ``visibility`` is 1 for visible points alone; LUVLi's
"visible" takes in the externally occluded ones, since both have a place.

Attribute ``category``: the head's turn by folder.  ``right`` is the subject's right: a positive yaw, nose to the image's
left (checked against the AFLW2000-3D poses of 1,481 of these faces).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError
from ..faces import Faces
from ..metrics.landmarks import landmark_box_xyxy_px
from .aflw_images import FOLDERS, flickr_images
from .files.label_cache import cached_labels
from .files.pts import is_resource_fork, outer_names, pixels_of, read_pts
from .files.sources import DataFile, find_by_key, how_to_obtain
from .table_dataset import TableDataset

__all__ = ["CATEGORIES", "MERLRAV"]

Array = npt.NDArray[Any]

CATEGORIES = ("frontal", "left", "lefthalf", "right", "righthalf")
_HALVES = {"trainset": "train", "testset": "test"}
_NAME = re.compile(r"(image\d{5}(?:_\d{1,3})?)\.(pts|jpg)")


class MERLRAV(TableDataset):
    """See the module's text."""

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        super().__init__(card, files)
        placed = [(*place, file) for file in files if (place := _place(file)) is not None]
        self._files = find_by_key((stem, file) for stem, kind, _, _, file in placed if kind == "pts")
        self._places = {stem: (category, split) for stem, kind, category, split, _ in reversed(placed) if kind == "pts"}
        self._copies = {stem: file for stem, kind, _, _, file in placed if kind == "jpg"}
        self._photographs = flickr_images(files)
        if not self._files:
            loose = next((f.name for f in files if f.relative.suffix == ".pts"), "")
            seen = f"{len(files)} other files, such as {loose or files[0].name}" if files else "no files"
            needed = f"no CATEGORY/testset/labels/imageNNNNN.pts of {card.id} in the data given"
            raise MissingDataError(f"{needed}, but {seen}.\n{how_to_obtain(card)}")
        if not set(self._files) & set(self.all_ids()):
            raise MissingDataError(
                f"none of the {len(self._files)} label files found (first: {min(self._files)}) is of {card.id}.\n{how_to_obtain(card)}"
            )
        for split in card.splits:
            for stem in self.ids(split):
                if stem in self._places and self._places[stem][1] != split:
                    raise InputError(f"{self._files[stem].name}: this face is in the {split} set, not where the file lies: moved?")

    def foreign_ids(self) -> list[str]:
        return sorted(set(self._files) - set(self.all_ids()))

    def image_file(self, sample_id: str) -> DataFile | None:
        if sample_id in self._copies:
            return self._copies[sample_id]
        name = f"{sample_id.partition('_')[0]}.jpg"
        return next((self._photographs[p] for folder in FOLDERS if (p := f"{folder}/{name}") in self._photographs), None)

    def table(self, labels: str) -> Faces:
        ids, raw = self._here, self._labels["points"]
        self_hidden = (raw == -1.0).all(axis=2)
        external = (raw < 0).all(axis=2) & ~self_hidden
        landmarks = np.where(self_hidden[..., None], np.nan, pixels_of(np.abs(raw)))
        faces = Faces(
            sample_id=ids,
            landmarks=landmarks,
            scheme=self.card.scheme,
            visibility=~(self_hidden | external),
            occlusion=np.where(self_hidden, 2, external),
            attributes={"category": np.array([self._places[i][0] for i in ids])},
        )
        return Faces(**{**vars(faces), "box_xyxy_px": landmark_box_xyxy_px(faces)})

    def box_table(self, name: str) -> Faces:
        table = self._table("")
        assert table is not None  # the labels are there, or nothing is
        return table

    @cached_property
    def _here(self) -> list[str]:
        return sorted(set(self._files) & set(self.all_ids()))

    @cached_property
    def _labels(self) -> Mapping[str, Array]:
        files = [self._files[i] for i in self._here]
        return cached_labels(self.card.id, "pts", files, lambda: {"points": _parse(files)})


def _parse(files: list[DataFile]) -> npt.NDArray[np.float64]:
    """The points of all files with their signs, (N, 68, 2)."""
    points = np.stack([read_pts(file) for file in files])
    mixed = (points < 0).any(axis=2) & ~(points < 0).all(axis=2)
    if mixed.any():
        row, point = map(int, np.argwhere(mixed)[0])
        x, y = points[row, point]
        where = f"{files[row].name}: point {point + 1} is ({x:g}, {y:g})"
        raise InputError(f"{where}: both are negative (a hidden point) or none is: a .pts file of another data set?")
    return points


def _place(file: DataFile) -> tuple[str, str, str, str] | None:
    """Stem, suffix, category and split of a file by its name and folders; None for anything else."""
    match = _NAME.fullmatch(file.file_name)
    if match is None or is_resource_fork(file):
        return None
    folders = [*outer_names(file), *file.relative.parts[:-1]]
    if folders[-1:] == ["labels"] and match[2] == "pts":
        folders.pop()
    category, half = folders[-2:] if len(folders) >= 2 else ("", "")
    return (match[1], match[2], category, _HALVES[half]) if category in CATEGORIES and half in _HALVES else None
