"""300W-LP: 300W faces turned to large poses; ``AFW, HELEN, IBUG, LFPW`` and their mirror images in ``*_Flip``.

Source: X. Zhu et al., Face alignment across large poses: a 3D solution, CVPR 2016; the files themselves.

What is read
------------
* ``{AFW,...}[_Flip]/NAME.mat``: ``Pose_Para`` (1, 7), see `hpbench.readers.fitted3d`, and ``pt2d`` (2, 68), pixels of the
  450-px image; there is no ``pt3d_68``.
* ``landmarks/{AFW,...}/NAME_pts.mat``, if in a root: ``pts_2d`` and ``pts_3d`` (68, 2), the landmarks found afterwards
  (A. Bulat and G. Tzimiropoulos, ICCV 2017), on the visible contour and as projections of fixed 3D points.

A mirror image has the name of its original: ids begin with the folder (``AFW/AFW_134212_1_0``, ``AFW_Flip/AFW_134212_1_0``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError, did_you_mean
from ..faces import Faces
from .files.datafile import DataFile
from .files.label_cache import cached_labels
from .files.matlab import read_mat
from .files.sources import find_by_key, how_to_obtain
from .fitted3d import Fitted3D

__all__ = ["LABELS", "W300LP"]

Array = npt.NDArray[Any]

_SOURCES = ("AFW", "HELEN", "IBUG", "LFPW")
_FOLDER = re.compile(rf"({'|'.join(_SOURCES)})(_Flip)?")
_POINTS = {"pts-2d": ("pts_2d", "ibug68-contour"), "pts-3d": ("pts_3d", "ibug68-fixed")}  # labels -> variable, scheme
LABELS = ("original", *_POINTS)


class W300LP(Fitted3D):
    """See the module's text.

    Attributes of the truth: ``abs_yaw_deg``, ``source`` (AFW, ...), ``flipped`` (no, yes); ``sequence`` is the photograph
    and face that a picture was rendered from, mirrored or not.
    """

    points_variable = "pt2d"
    points_rows = 2

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        mats = find_by_key(_keyed(files, ".mat"))
        super().__init__(card, files, mats, find_by_key(_keyed(files, ".jpg")))
        if not mats:
            raise MissingDataError(f"no label files of {card.id} in the data given, but {_seen(files)}.\n{how_to_obtain(card)}")

    def open_ids(self, split: str) -> list[str]:
        """``all``, or ``noflip``: without the mirror images."""
        return sorted(i for i in self._mats if split != "noflip" or not _is_flip(i))

    def found_ids(self, split: str = "", labels: str = "") -> list[str]:
        here = self._mats if self._labels(labels) == "original" else self._points_files
        return [i for i in self.ids(split) if i in here]

    def foreign_ids(self) -> list[str]:
        """Label files in the dataset's folders whose name does not begin with the folder's, and points without a fit."""
        named = {i for i, _ in _keyed(self.files, ".mat", misnamed=True)}
        return sorted(named | {f"landmarks/{i}" for i in set(self._points_files) - set(self._mats)})

    def scheme(self, labels: str = "") -> str:
        labels = self._labels(labels)
        return _POINTS[labels][1] if labels in _POINTS else self.card.scheme

    def truth_of(self, ids: list[str], labels: str = "") -> Faces:
        labels = self._labels(labels)
        if labels in _POINTS and not self._points_files:
            raise MissingDataError(f"{self.card.id}: no landmarks/*/*_pts.mat in the data given.\n{how_to_obtain(self.card)}")
        if not ids:
            raise InputError(f"{self.card.id}: no faces with {labels} labels.")
        points = self.fitted_points(ids) if labels == "original" else self._corrected(ids, _POINTS[labels][0])
        attributes = {
            "source": np.array([_source(i) for i in ids]),
            "flipped": np.array(["yes" if _is_flip(i) else "no" for i in ids]),
        }
        return self.fitted_faces(ids, points, self.scheme(labels), attributes, [_photograph(i) for i in ids])

    def _labels(self, labels: str) -> str:
        if labels not in ("", *LABELS):
            raise InputError(f"dataset {self.card.id!r} has no labels {labels!r}: {did_you_mean(labels, LABELS)}")
        return labels or LABELS[0]

    @cached_property
    def _points_files(self) -> dict[str, DataFile]:
        return find_by_key(_keyed(self.files, "_pts.mat", within="landmarks"))

    def _corrected(self, ids: list[str], variable: str) -> Array:
        """``pts_2d`` or ``pts_3d`` of these faces, (N, 68, 2) pixels."""
        if (absent := next((i for i in ids if i not in self._points_files), None)) is not None:
            raise InputError(f"{self.card.id}: no landmarks/{absent}_pts.mat in the data given.")
        files = [self._points_files[i] for i in ids]

        def parse() -> dict[str, Array]:
            return {"points": np.array([read_mat(f.fetch(), f.name, {variable: (68, 2)})[variable] for f in files])}

        return cached_labels(self.card.id, variable, files, parse)["points"]


def _keyed(files: list[DataFile], ending: str, within: str = "", misnamed: bool = False) -> Iterator[tuple[str, DataFile]]:
    """Files of the dataset's folders by id: those named after their folder, or the others."""
    for file in files:
        parts = file.relative.parts
        if len(parts) < 2 or not parts[-1].endswith(ending) or parts[-1].startswith("."):
            continue
        folder = _FOLDER.fullmatch(parts[-2])
        if folder is None or (len(parts) > 2 and parts[-3] == "landmarks") != (within == "landmarks"):
            continue
        if parts[-1].startswith(f"{folder[1]}_") != misnamed:
            yield f"{parts[-2]}/{parts[-1].removesuffix(ending)}", file


def _is_flip(sample_id: str) -> bool:
    return sample_id.partition("/")[0].endswith("_Flip")


def _source(sample_id: str) -> str:
    return sample_id.partition("/")[0].removesuffix("_Flip")


def _photograph(sample_id: str) -> str:
    """``AFW/AFW_134212_1`` of ``AFW_Flip/AFW_134212_1_0``: the last number counts the renderings of a face."""
    return f"{_source(sample_id)}/{sample_id.partition('/')[2].rpartition('_')[0]}"


def _seen(files: list[DataFile]) -> str:
    """What lies there instead, for the message that nothing of the dataset does."""
    if not files:
        return "no files"
    loose = next((f for f in files if re.match(rf"({'|'.join(_SOURCES)})_.*\.mat", f.file_name)), None)
    if loose is not None:
        return f"{loose.name}: give the folder that holds {', '.join(_SOURCES)}, since ids begin with theirs"
    return f"{len(files)} other files, such as {files[0].name}"
