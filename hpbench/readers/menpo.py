"""Menpo 2017 (2D): semi-frontal faces with 68 points and profile faces with 39, an image and a .pts file a face.

Sources: S. Zafeiriou et al., The Menpo facial landmark localisation challenge, CVPRW 2017; J. Deng et al., The Menpo
benchmark for multi-pose 2D and 3D facial landmark localisation and tracking, IJCV 2019, and its evaluation code.

What is read
------------
* Every ``.pts`` below a folder (or in an archive) called menpo, semifrontal or profile; ids are the files' stems.
* The kind of a face is its number of points, as the training release lies in one folder with both kinds.
* Training or test is told by the innermost folder (or archive, or data root) that is called so: ``menpo_train_release``,
  ``Menpo testset/profile``.

The two kinds are two annotations, ``frontal`` and ``profile``, with different schemes; points are counted from 1 in the
files (`hpbench.readers.files.pts`).
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
from ..metrics.landmarks import landmark_box_xyxy_px
from .files.datafile import DataFile
from .files.label_cache import cached_labels
from .files.pts import IMAGE_SUFFIXES, best_image, is_resource_fork, outer_names, pixels_of, read_pts, shown
from .files.sources import find_by_key, how_to_obtain
from .table_dataset import TableDataset

__all__ = ["Menpo"]

Array = npt.NDArray[Any]

_POINTS = {"frontal": 68, "profile": 39}
_OURS = re.compile(r"menpo|semi[-_ ]?frontal|profile", re.IGNORECASE)
_HALF = re.compile(r"(?<![A-Za-z])(?:train|test|TRAIN|TEST)|Train|Test")  # at the beginning of a word: no "contest"
_COPY = re.compile(r".*_(mirror|flip)", re.IGNORECASE)  # what toolkits leave beside the files


class Menpo(TableDataset):
    """See the module's text.  Attribute of the truth: ``half`` (train, test).

    Labels "" are the frontal or the profile ones, as the faces asked for are.
    """

    label_names = ("all", *_POINTS)

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        super().__init__(card, files)
        self._images: dict[str, list[DataFile]] = defaultdict(list)
        self._half: dict[str, str] = {}
        self._astray: list[str] = []
        self._no_half = ""
        labels: list[tuple[str, DataFile]] = []
        for file in files:
            suffix = file.relative.suffix.lower()
            if suffix not in (".pts", *IMAGE_SUFFIXES) or is_resource_fork(file):
                continue
            folders = [outer_names(file)[-1:], file.relative.parts[:-1]]
            names = [name for part in folders for name in part]
            ours, half = any(map(_OURS.search, names)), _half_of(names)
            stem = file.relative.stem
            if ours and suffix != ".pts":
                self._images[stem].append(file)
            elif suffix == ".pts" and (not ours or not half or _COPY.fullmatch(stem) or not stem.isprintable()):
                self._astray.append(shown(file.relative.as_posix()))
                self._no_half = self._no_half or (file.name if ours and not half else "")
            elif suffix == ".pts":
                labels.append((stem, file))
                if self._half.setdefault(stem, half) != half:
                    other = next(f for s, f in labels if s == stem)
                    raise InputError(
                        f"{other.name} and {file.name} have one id, one in a training and one in a test folder: which is meant?"
                    )
        self._labels = dict(sorted(find_by_key(labels).items()))
        if not self._labels:
            raise MissingDataError(f"{self._what_was_seen()}\n{how_to_obtain(card)}")

    def foreign_ids(self) -> list[str]:
        return sorted(self._astray)

    def open_ids(self, split: str) -> list[str]:
        kind, _, half = split.partition("-")
        return [i for i in self._kinds if self._kinds[i] == kind and self._half[i] == half]

    def table(self, labels: str) -> Faces:
        """``frontal`` or ``profile``; ``all`` has every face, with its box alone."""
        ids, points = list(self._labels), self._points
        faces = Faces(
            sample_id=ids,
            box_xyxy_px=landmark_box_xyxy_px(Faces(sample_id=ids, landmarks=points)),
            attributes={"half": np.array([self._half[i] for i in ids])},
        )
        if labels == "all":
            return faces
        rows = np.array([self._kinds[i] == labels for i in ids])
        chosen = faces.take(rows)
        scheme = {"frontal": self.card.scheme, "profile": str(self.card.options["profile_scheme"])}[labels]
        return Faces(
            sample_id=chosen.sample_id,
            box_xyxy_px=chosen.box_xyxy_px,
            attributes=chosen.attributes,
            landmarks=points[rows, : _POINTS[labels]],
            scheme=scheme,
        )

    def truth_of(self, ids: list[str], labels: str = "") -> Faces:
        if not labels:
            kinds = sorted({self._kinds[i] for i in ids if i in self._kinds})
            if len(kinds) > 1:
                raise InputError(f"{self.card.id}: frontal and profile faces have different points: ask for one of the two.")
            labels = kinds[0] if kinds else "frontal"
        return super().truth_of(ids, labels)

    def box_table(self, name: str) -> Faces:
        table = self._table("all")
        assert table is not None
        return table

    def image_file(self, sample_id: str) -> DataFile | None:
        return best_image(self._images.get(sample_id, []), ".jpg")

    @cached_property
    def _points(self) -> Array:
        """(N, 68, 2) pixels of all faces by sorted id; NaN after the 39th point of a profile face."""
        files = list(self._labels.values())
        return pixels_of(cached_labels(self.card.id, "pts", files, lambda: {"points": _parsed(files)})["points"])

    @cached_property
    def _kinds(self) -> dict[str, str]:
        frontal = ~np.isnan(self._points[:, -1, 0])
        return {i: "frontal" if f else "profile" for i, f in zip(self._labels, frontal, strict=True)}

    def _what_was_seen(self) -> str:
        wanted = f"no .pts files of {self.card.id} in the data given"
        if self._no_half:
            return f"{wanted} that lie in a folder called train... or test..., which tells the halves apart, but {self._no_half}."
        if self._astray:
            return f"{wanted}, in folders called menpo, semifrontal or profile, but {len(self._astray)} others, such as {self._astray[0]}."
        seen = f"{len(self.files)} other files, such as {self.files[0].name}" if self.files else "no files"
        return f"{wanted}, but {seen}."


def _half_of(names: list[str]) -> str:
    for name in reversed(names):
        if found := _HALF.findall(name):
            return str(found[-1]).lower()
    return ""


def _parsed(files: list[DataFile]) -> Array:
    points = np.full((len(files), max(_POINTS.values()), 2), np.nan)
    for row, file in enumerate(files):
        face = read_pts(file, _POINTS.values())
        if not (np.ptp(face, axis=0) > 0).all():
            raise InputError(f"{file.name}: all its points lie on one line: a damaged file?")
        points[row, : len(face)] = face
    return points
