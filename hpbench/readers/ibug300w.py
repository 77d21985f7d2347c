"""300W: the folders of iBUG's download, an image and a .pts file a face.

Source: C. Sagonas et al., 300 faces in-the-wild challenge, Image and Vision Computing 47, 2016; the files themselves.

What is read
------------
* ``helen/{trainset,testset}``, ``lfpw/{trainset,testset}``, ``ibug``, ``afw`` (the public set) and ``01_Indoor``,
  ``02_Outdoor`` (the test set of the challenge, once private), wherever these folders lie, or ``helen.zip``, ``lfpw.zip``,
  ``ibug.zip``, ``afw.zip``, ``300w.zip`` as downloaded.  An id is the path from that folder on, without suffix.
* 68 points of each ``.pts``, counted from 1 there (`hpbench.readers.files.pts`).

The test sets are lists of ids (``splits/``).  The training sets are what the folders hold under the names of the official
files; copies that toolkits leave beside them (``..._mirror``) are on no list.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError
from ..faces import Faces
from .files.datafile import DataFile
from .files.label_cache import cached_labels
from .files.pts import IMAGE_SUFFIXES, best_image, is_resource_fork, outer_names, pixels_of, read_pts, shown
from .files.sources import find_by_key, how_to_obtain
from .table_dataset import TableDataset

__all__ = ["IBUG300W", "sample_id_of"]

Array = npt.NDArray[Any]

_FOLDERS = {name.lower(): name for name in ("helen", "lfpw", "ibug", "afw", "01_Indoor", "02_Outdoor")}
_HALVES = {"helen": ("trainset", "testset"), "lfpw": ("trainset", "testset")}  # folders between those and the files
_TRAINING = re.compile(r"(?:afw|helen/trainset)/\d+_\d+|lfpw/trainset/image_\d{4}")  # the official names
_OTHER_NAMES = {"ibug/image_092_01": "ibug/image_092 _01"}  # the official name has a space, which many copies mend
_IMAGE_SUFFIX = {"lfpw": ".png", "01_Indoor": ".png", "02_Outdoor": ".png"}  # the others are .jpg
_SOURCES = {"01_Indoor": "indoor", "02_Outdoor": "outdoor"}
_SUBSETS = {"lfpw": "common", "helen": "common", "ibug": "challenging", "01_Indoor": "indoor", "02_Outdoor": "outdoor"}
_PART = re.compile(r".*\.(zip\.\d{3}|z\d{2})", re.IGNORECASE)


def sample_id_of(file: DataFile) -> str | None:
    """The id of a label file or image by its place, ``lfpw/testset/image_0001``; None where it lies in none of the folders."""
    parts = [*outer_names(file), *file.relative.parts[:-1]]
    at = max((i for i, part in enumerate(parts) if part.lower() in _FOLDERS), default=-1)
    if at < 0:
        return None
    folder, below = _FOLDERS[parts[at].lower()], tuple(part.lower() for part in parts[at + 1 :])
    if len(below) != (1 if folder in _HALVES else 0) or not set(below) <= set(_HALVES.get(folder, ())):
        return None
    sample_id = "/".join((folder, *below, file.relative.stem))
    return _OTHER_NAMES.get(sample_id, sample_id)


class IBUG300W(TableDataset):
    """See the module's text.

    Attributes of the truth: ``source`` (helen, lfpw, ibug, afw, indoor, outdoor) and ``subset`` (common, challenging,
    indoor, outdoor, train).
    """

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        super().__init__(card, files)
        labels: list[tuple[str, DataFile]] = []
        self._images: dict[str, list[DataFile]] = defaultdict(list)
        self._astray: list[str] = []  # what looks like the dataset's and cannot be placed
        for file in files:
            suffix = file.relative.suffix.lower()
            if suffix not in (".pts", *IMAGE_SUFFIXES) or is_resource_fork(file):
                if _PART.fullmatch(file.file_name):
                    self._astray.append(shown(file.relative.as_posix()))
                continue
            sample_id = sample_id_of(file)
            if sample_id is None and suffix == ".pts":
                self._astray.append(shown(file.relative.as_posix()))
            elif sample_id is not None and suffix == ".pts":
                labels.append((sample_id, file))
            elif sample_id is not None:
                self._images[sample_id].append(file)
        listed = {i for split in card.splits if split not in card.open_splits for i in self.ids(split)}
        known = [(i, file) for i, file in labels if i in listed or _TRAINING.fullmatch(i)]
        self._foreign = {i for i, _ in labels} - {i for i, _ in known}
        self._labels = dict(sorted(find_by_key(known).items()))
        if not self._labels:
            raise MissingDataError(f"{self._what_was_seen()}\n{how_to_obtain(card)}")

    def foreign_ids(self) -> list[str]:
        return sorted({*map(shown, self._foreign), *self._astray})

    def open_ids(self, split: str) -> list[str]:
        """``train-public``: the training halves; ``train-private``: those and the public test set."""
        if split == "train-public":
            return [i for i in self._labels if _TRAINING.fullmatch(i)]
        if split == "train-private":
            full = set(self.ids("full"))
            return [i for i in self._labels if i in full or _TRAINING.fullmatch(i)]
        return super().open_ids(split)

    def table(self, labels: str) -> Faces:
        return self._faces

    def box_table(self, name: str) -> Faces:
        return self._faces

    def image_file(self, sample_id: str) -> DataFile | None:
        return best_image(self._images.get(sample_id, []), _IMAGE_SUFFIX.get(sample_id.partition("/")[0], ".jpg"))

    @cached_property
    def _faces(self) -> Faces:
        files = list(self._labels.values())
        stored = cached_labels(self.card.id, "pts", files, lambda: {"points": np.array([_points(file) for file in files])})
        points = pixels_of(stored["points"])
        ids = list(self._labels)
        folders = [i.partition("/")[0] for i in ids]
        return Faces(
            sample_id=ids,
            landmarks=points,
            scheme=self.card.scheme,
            box_xyxy_px=np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1),
            attributes={
                "source": np.array([_SOURCES.get(f, f) for f in folders]),
                "subset": np.array(["train" if _TRAINING.fullmatch(i) else _SUBSETS[f] for i, f in zip(ids, folders, strict=True)]),
            },
        )

    def _what_was_seen(self) -> str:
        wanted = f"no .pts files of {self.card.id}, in folders {', '.join(_FOLDERS.values())},"
        parts = [name for name in self._astray if _PART.fullmatch(name)]
        if parts:
            return f"{wanted} in the data given, but parts of a split archive ({parts[0]}): join them first, as the layout says."
        if self._foreign or self._astray:
            other = [*sorted(map(shown, self._foreign)), *self._astray]
            return f"{wanted} in the data given, but {len(other)} .pts files on none of its lists or in other folders, such as {other[0]}."
        images = sum(map(len, self._images.values()))
        if images:
            return f"{wanted} in the data given, but {images} of its images: the .pts files lie beside the images in the official download."
        seen = f"{len(self.files)} other files, such as {self.files[0].name}" if self.files else "no files"
        return f"{wanted} in the data given, but {seen}."


def _points(file: DataFile) -> Array:
    points = read_pts(file)
    if not (np.ptp(points, axis=0) > 0).all():
        raise InputError(f"{file.name}: all 68 points lie on one line: a damaged file?")
    return points
