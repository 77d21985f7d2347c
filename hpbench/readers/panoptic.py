"""CMU Panoptic, wide-range head pose: the annotation rows of opal23 over frames of the Panoptic Studio.

Source: A. Cobo et al., On the representation and methodology for wide and short range head pose estimation, Pattern
Recognition 2024 (``panoptic_ann_{test,valid}.txt`` of their public code); H. Joo et al., Panoptic Studio, TPAMI 2019.

What is read
------------
``panoptic_ann_SPLIT.txt``: a header that begins with ``#;`` (one cell more than a row has), then rows
``image;x_min;y_min;w;h;yaw;pitch;roll``: pixels as stored, degrees.  ``image`` is
``SEQUENCE/hdImgs/CAMERA/CAMERA_FRAME.jpg``; it is the sample id, without its suffix, and occurs once: one head an image.

Every frame is seen by 31 cameras, so the order of the three rotations can be proved: only Rx Ry Rz makes the rotation
between two cameras the same in all frames of a sequence (tests/test_reader_panoptic.py).  That also shows that labels are
relative to the camera, not to the ray through the face.
"""

from __future__ import annotations

import array
import io
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError
from ..faces import Faces
from .files.datafile import DataFile
from .files.sources import find_by_key, find_by_name, how_to_obtain
from .table_dataset import TableDataset

__all__ = ["Panoptic"]

Array = npt.NDArray[Any]

MAX_LIST_BYTES = 256 << 20
_COLUMNS = ("image", "x_min", "y_min", "w", "h", "yaw", "pitch", "roll")
_LIST = re.compile(r"panoptic_ann_(\w+)\.txt")
_IMAGE = re.compile(r"[^/;]+/hdImgs/\d\d_\d\d/\d\d_\d\d_\d+\.jpg")


class Panoptic(TableDataset):
    """See the module's text.

    Attributes of the truth: ``abs_yaw_deg`` (0 to 180), ``camera`` (``00_00`` to ``00_30``), ``recording`` (the sequence);
    ``sequence`` is the sequence too, what resampling clusters by.
    """

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        super().__init__(card, files)
        lists = find_by_name(files, _LIST)
        self._lists = {n: f for n, f in lists.items() if _split_of(n) in card.splits}
        self._unlisted = sorted(set(lists) - set(self._lists))
        if not self._lists:
            seen = f"{len(files)} other files, such as {files[0].name}" if files else "no files"
            wanted = " or ".join(f"panoptic_ann_{s}.txt" for s in card.splits)
            raise MissingDataError(f"no {wanted} in the data given, but {seen}.\n{how_to_obtain(card)}")
        self._split_ids: dict[str, list[str]] = {}
        self._images: dict[str, DataFile] | None = None

    def table(self, labels: str) -> Faces:
        rows: dict[str, int] = {}
        numbers = array.array("d")  # seven a row: as floats of Python they would take ten times as much memory
        for name, file in self._lists.items():
            found = _read_list(file, rows, numbers)
            self._split_ids[_split_of(name)] = sorted(found)
        ids = sorted(rows)
        values = np.frombuffer(numbers).reshape(-1, len(_COLUMNS) - 1)[[rows[i] for i in ids]]
        del rows, numbers
        x, y, w, h = values[:, :4].T
        recordings, cameras = (_shared(texts) for texts in ((i.partition("/")[0] for i in ids), (i.rsplit("/", 2)[1] for i in ids)))
        return Faces(
            sample_id=ids,
            euler_deg=values[:, 4:],
            convention=self.card.convention,
            box_xyxy_px=np.stack([x, y, x + w, y + h], axis=1),
            sequence=recordings,
            attributes={
                "abs_yaw_deg": np.abs(values[:, 4]),
                "camera": cameras,
                "recording": recordings,
            },
        )

    def open_ids(self, split: str) -> list[str]:
        self._table("")  # reads the lists
        return self._split_ids.get(split, [])

    def foreign_ids(self) -> list[str]:
        return self._unlisted

    def box_table(self, name: str) -> Faces:
        table = self._table("")
        assert table is not None  # `table` never returns None here
        return table

    def image_file(self, sample_id: str) -> DataFile | None:
        if self._images is None:
            relative = (PurePosixPath(*f.relative.parts[-4:]).as_posix() for f in self.files)
            self._images = find_by_key(
                (r.removesuffix(".jpg"), f) for r, f in zip(relative, self.files, strict=True) if _IMAGE.fullmatch(r)
            )
        return self._images.get(sample_id)


def _split_of(name: str) -> str:
    return name.removeprefix("panoptic_ann_").removesuffix(".txt")


def _shared(texts: Iterable[str]) -> Array:
    """Texts of which few differ, each kept once."""
    known: dict[str, str] = {}
    return np.array([known.setdefault(t, t) for t in texts], dtype=object)


def _lines(file: DataFile) -> Iterator[str]:
    if file.size > MAX_LIST_BYTES:
        raise InputError(f"{file.name}: {file.size} bytes is no list of faces.")
    try:
        yield from io.TextIOWrapper(io.BytesIO(file.fetch()), "utf-8-sig", newline="\n")
    except UnicodeDecodeError:
        raise InputError(f"{file.name}: not a text file in UTF-8.") from None


def _read_list(file: DataFile, rows: dict[str, int], numbers: array.array[float]) -> list[str]:
    """The sample ids of a list; `rows` learns where in `numbers` the box (x, y, w, h pixels) and yaw, pitch, roll (degrees) of each are."""
    first = len(rows)
    ids: list[str] = []
    for number, line in enumerate(_lines(file), 1):
        line = line.rstrip("\r\n")
        where = f"{file.name}: line {number}"
        if line.startswith("#"):
            names = tuple(filter(None, line.lstrip("#").split(";")))
            if ";" in line and names != _COLUMNS:
                raise InputError(f"{where}: the columns are {';'.join(names):.80}, expected {';'.join(_COLUMNS)}: another list?")
            continue
        if not line.strip():
            continue
        image, *cells = line.split(";")
        if len(cells) != len(_COLUMNS) - 1:
            raise InputError(f"{where} has {len(cells) + 1} cells, expected {len(_COLUMNS)} ({';'.join(_COLUMNS)}): truncated?")
        if not _IMAGE.fullmatch(image) or not image.isprintable() or image.startswith("../"):
            raise InputError(f"{where}: {image!r:.80} is no SEQUENCE/hdImgs/CAMERA/CAMERA_FRAME.jpg.")
        try:
            values = tuple(map(float, cells))
        except ValueError:
            raise InputError(f"{where}: {line.partition(';')[2]!r:.80} are not seven numbers.") from None
        if not all(map(math.isfinite, values)):
            raise InputError(f"{where}: holds a number that is not finite.")
        if values[2] <= 0 or values[3] <= 0:
            raise InputError(f"{where}: the box is {values[2]:g} x {values[3]:g} pixels: written as corners?")
        sample_id = image.removesuffix(".jpg")
        if rows.get(sample_id, -1) >= first:
            raise InputError(f"{where}: {image} stands in the list twice: ids need one head an image.")
        if sample_id in rows:
            raise InputError(f"{file.name}: {image} is in another split's list too: the same list under two names?")
        rows[sample_id] = len(rows)
        numbers.extend(values)
        ids.append(sample_id)
    if not ids:
        raise InputError(f"{file.name}: holds no row.")
    return ids
