"""COFW, Caltech Occluded Faces in the Wild: ``COFW_train_color.mat`` and ``COFW_test_color.mat``, MATLAB v7.3.

Source: X. P. Burgos-Artizzu, P. Perona, P. Dollar, Robust face landmark estimation under occlusion, ICCV 2013; the files
as public code reads them.

What is read, as MATLAB has it (``Tr`` in the training file, ``T`` in the test file)
------------------------------------------------------------------------------------
* ``phisTr`` (N, 87): 29 x, 29 y in pixels, 29 occlusion flags (1 = occluded).  The points stay as stored: they are taken
  to fit the image array from (0, 0), though other tools subtract 1 from them.
* ``bboxesTr`` (N, 4): x, y, width, height of the face.
* ``IsTr`` (N, 1) cell: images, grey (H, W) and colour (H, W, 3) mixed.  Each is read when it is asked for; labels alone
  can be scored where the images were left out of the file.

The grey edition (``COFW_train.mat``, ``COFW_test.mat``) shows a model other pixels and is not taken for the colour one.
"""

from __future__ import annotations

import filecmp
import re
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError
from ..faces import Faces
from .files.datafile import DataFile
from .files.matlab_v73 import MAX_PACKED_BYTES, MatV73, is_plain_file
from .files.sources import how_to_obtain
from .table_dataset import TableDataset

__all__ = ["COFW", "CofwFile", "cofw_files"]

Array = npt.NDArray[Any]

N_POINTS = 29
_NAME = re.compile(r"COFW_(train|test)_color\.mat")
_GREY = re.compile(r"COFW_(train|test)\.mat")
_SUFFIX = {"train": "Tr", "test": "T"}


class CofwFile:
    """One of the two .mat files.

    Attributes
    ----------
    split : str
        ``train`` or ``test``.
    """

    def __init__(self, split: str, file: DataFile) -> None:
        self.split = split
        self._suffix = _SUFFIX[split]
        self._mat = MatV73(file)
        self._n_images: int | None = None

    def labels(self) -> tuple[Array, Array, Array]:
        """Landmarks (N, 29, 2) in pixels, occlusion (N, 29) uint8, boxes (N, 4) as x0, y0, x1, y1 in pixels."""
        variable = f"phis{self._suffix}"
        values = self._mat.matrix(variable, 3 * N_POINTS)
        xs, ys, occluded = np.split(values, 3, axis=1)
        if (bad := np.argwhere((occluded != 0) & (occluded != 1))).size:
            face, point = bad[0]
            raise InputError(
                f"{self._mat.name}: {variable} of face {face + 1} says {occluded[face, point]:g} for the occlusion of point {point}, "
                "expected 0 or 1: not the 29 x, 29 y, 29 flags of COFW?"
            )
        x, y, width, height = self._mat.matrix(f"bboxes{self._suffix}", 4, rows=len(values)).T
        return np.stack([xs, ys], axis=2), occluded.astype(np.uint8), np.stack([x, y, x + width, y + height], axis=1)

    def image_file(self, number: int) -> DataFile | None:
        """Image `number` (from 1) as if it were a file; None where the .mat holds no such image."""
        if self._n_images is None:
            cell = f"Is{self._suffix}"
            self._n_images = self._mat.cell_length(cell) if self._mat.has(cell) else 0
        if not 1 <= number <= self._n_images:
            return None

        def fetch() -> bytes:
            return _encoded(self._mat.image(f"Is{self._suffix}", number - 1))

        name = f"{self._mat.name}, image {number}"
        return DataFile(name, f"{self.split}/{number}.bmp", 0, fetch)  # its size is known once it is read


class COFW(TableDataset):
    """See the module's text."""

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        super().__init__(card, files)
        self._mats = cofw_files(files)
        if not self._mats:
            raise MissingDataError(f"no COFW_train_color.mat or COFW_test_color.mat {_seen(files)}.\n{how_to_obtain(card)}")

    def table(self, labels: str) -> Faces | None:
        """29 points with occlusion (1 = external) and visibility (1 - occlusion), and the given boxes."""
        parts = []
        for split, mat in self._mats.items():
            points, occlusion, boxes = mat.labels()
            parts.append(
                Faces(
                    sample_id=[f"{split}/{number}" for number in range(1, len(points) + 1)],
                    landmarks=points,
                    scheme=self.card.scheme,
                    visibility=1.0 - occlusion,
                    occlusion=occlusion,
                    box_xyxy_px=boxes,
                )
            )
        whole = Faces.concatenate(parts)
        return whole.take(np.argsort(np.array(whole.sample_id, dtype=str), kind="stable"))

    def box_table(self, name: str) -> Faces:
        table = self._table("")
        assert table is not None  # there is a .mat, or the dataset would not have been made
        return table

    def image_file(self, sample_id: str) -> DataFile | None:
        split, _, number = sample_id.partition("/")
        return self._mats[split].image_file(int(number)) if split in self._mats and number.isdecimal() else None

    def foreign_ids(self) -> list[str]:
        return sorted(set(map(str, self.box_table("").sample_id)) - set(self.all_ids()))  # type: ignore[arg-type]


def cofw_files(files: Iterable[DataFile]) -> dict[str, CofwFile]:
    """The .mat files that lie in the data roots, by split.

    One that lies there twice, unpacked and in its archive, is read unpacked; files of gigabytes in archives are then told
    from it by their size only.
    """
    chosen: dict[str, DataFile] = {}
    for file in files:
        match = _NAME.fullmatch(file.file_name)
        if match is None:
            continue
        other = chosen.setdefault(match[1], file)
        if other is not file and not _is_same(other, file):
            raise InputError(f"{other.name} and {file.name} have one name and different content: which one is meant?")
        if is_plain_file(file) and not is_plain_file(other):
            chosen[match[1]] = file
    return {split: CofwFile(split, chosen[split]) for split in sorted(chosen)}


def _is_same(a: DataFile, b: DataFile) -> bool:
    if a.size != b.size:
        return False
    if is_plain_file(a) and is_plain_file(b):
        return filecmp.cmp(a.name, b.name, shallow=False)
    return a.size > MAX_PACKED_BYTES or a.fetch() == b.fetch()


def _seen(files: list[DataFile]) -> str:
    grey = [f.name for f in files if _GREY.fullmatch(f.file_name)]
    if grey:
        return f"in the data given, but {grey[0]}, which is the grey edition: the colour one is needed"
    return f"in the data given, but {len(files)} other files, such as {files[0].name}" if files else "in the data given, but no files"


def _encoded(image: Array) -> bytes:
    """An (H, W, 3) RGB image as a BMP: exactly its pixels, and the fastest to write and read."""
    done, data = cv2.imencode(".bmp", np.ascontiguousarray(image[..., ::-1]))
    if not done:
        raise InputError(f"an image of shape {image.shape} cannot be encoded.")
    return data.tobytes()
