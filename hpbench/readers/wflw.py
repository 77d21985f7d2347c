"""WFLW, Wider Facial Landmarks in-the-Wild: two lists of faces, and the photographs of WIDER FACE they lie in.

Source: W. Wu et al., Look at boundary: a boundary-aware face alignment algorithm, CVPR 2018; the lists as public code
reads them.

What is read
------------
* ``list_98pt_rect_attr_train.txt`` (7,500 rows) and ``list_98pt_rect_attr_test.txt`` (2,500 rows).  A row has 207 columns
  apart by spaces: 98 x, y in pixels, the box x0, y0, x1, y1, the flags pose, expression, illumination, make-up, occlusion,
  blur, and the path of the image.  A face is known by its row, ``test/1`` ...: an image holds several faces.
* ``WFLW_images/<path>``: the images.  Without them labels can be scored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError
from ..faces import Faces
from .files.datafile import DataFile
from .files.label_cache import cached_labels
from .files.sources import find_by_key, find_by_name, how_to_obtain
from .table_dataset import TableDataset

__all__ = ["ATTRIBUTES", "WFLW"]

Array = npt.NDArray[Any]

ATTRIBUTES = ("pose", "expression", "illumination", "makeup", "occlusion", "blur")  # in the list's own order
N_POINTS = 98
_LIST = re.compile(r"list_98pt_rect_attr_(train|test)\.txt")
_N_NUMBERS = 2 * N_POINTS + 4 + len(ATTRIBUTES)
_IMAGES = "WFLW_images"
MAX_LIST_BYTES = 128 << 20  # the longer of the two has 18 MB
MAX_ROWS = 50_000
MAX_PATH = 260
_DRIVE = re.compile(r"[A-Za-z]:")


class WFLW(TableDataset):
    """See the module's text."""

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        super().__init__(card, files)
        found = find_by_name(files, _LIST)
        self._lists = {_LIST.fullmatch(name)[1]: found[name] for name in sorted(found)}  # type: ignore[index]
        if not self._lists:
            seen = f"{len(files)} other files, such as {files[0].name}" if files else "no files"
            raise MissingDataError(f"no list_98pt_rect_attr_{{train,test}}.txt in the data given, but {seen}.\n{how_to_obtain(card)}")

    def table(self, labels: str) -> Faces | None:
        """98 points, the given boxes, and the six flags (0 or 1) as attributes."""
        if not self._rows:
            return None
        ids = [f"{split}/{number}" for split, rows in self._rows.items() for number in range(1, len(rows["paths"]) + 1)]
        numbers = np.concatenate([rows["numbers"] for rows in self._rows.values()])
        points, boxes, flags = np.split(numbers, [2 * N_POINTS, 2 * N_POINTS + 4], axis=1)
        whole = Faces(
            sample_id=ids,
            landmarks=points.reshape(-1, N_POINTS, 2),
            scheme=self.card.scheme,
            box_xyxy_px=boxes,
            attributes={name: flags[:, column].astype(np.int8) for column, name in enumerate(ATTRIBUTES)},
        )
        return whole.take(np.argsort(np.array(ids), kind="stable"))

    def box_table(self, name: str) -> Faces:
        table = self._table("")
        assert table is not None  # there is a list, or the dataset would not have been made
        return table

    def image_file(self, sample_id: str) -> DataFile | None:
        split, _, number = sample_id.partition("/")
        paths = self._rows[split]["paths"] if split in self._rows else ()
        if not number.isdecimal() or not 1 <= int(number) <= len(paths):
            return None
        return self._images.get(str(paths[int(number) - 1]))

    def foreign_ids(self) -> list[str]:
        return sorted(set(map(str, self.box_table("").sample_id)) - set(self.all_ids()))  # type: ignore[arg-type]

    @cached_property
    def _rows(self) -> dict[str, dict[str, Array]]:
        """By split, ``numbers`` (N, 206) float64 and ``paths`` (N,) text, a row a line of the list."""
        rows = {}
        for split, file in self._lists.items():
            rows[split] = dict(cached_labels(self.card.id, f"list-{split}", [file], lambda file=file: _parsed(file)))  # type: ignore[misc]
        return rows

    @cached_property
    def _images(self) -> dict[str, DataFile]:
        """The images by the path the lists give them; below a folder WFLW_images where there is one."""
        wanted = {str(path) for rows in self._rows.values() for path in rows["paths"]}
        depths = {path.count("/") + 1 for path in wanted}

        def keyed() -> Iterator[tuple[str, bool, DataFile]]:
            for file in self.files:
                parts = file.relative.parts
                for depth in depths:
                    key = "/".join(parts[-depth:])
                    if len(parts) >= depth and key in wanted:
                        yield key, len(parts) > depth and parts[-depth - 1] == _IMAGES, file

        candidates = list(keyed())
        at_home = {key for key, home, _ in candidates if home}
        return find_by_key((key, file) for key, home, file in candidates if home or key not in at_home)


def _parsed(file: DataFile) -> dict[str, Array]:
    if file.size > MAX_LIST_BYTES:
        raise InputError(f"{file.name}: {file.size} bytes is no list of faces.")
    try:
        lines = file.fetch().decode("utf-8-sig").rstrip().split("\n")
    except UnicodeDecodeError:
        raise InputError(f"{file.name}: not a text file in UTF-8: damaged, or another kind of file?") from None
    if lines == [""]:
        raise InputError(f"{file.name}: the file is empty.")
    if len(lines) > MAX_ROWS:
        raise InputError(f"{file.name}: {len(lines)} rows is no list of WFLW.")
    numbers = np.empty((len(lines), _N_NUMBERS))
    paths = []
    for row, line in enumerate(lines):
        columns = line.split(maxsplit=_N_NUMBERS)
        if len(columns) != _N_NUMBERS + 1:
            raise InputError(f"{file.name}, row {row + 1}: {_wrong_count(line)}")
        try:
            numbers[row] = columns[:-1]  # NumPy reads the text of numbers
        except ValueError:
            bad = next((i for i, text in enumerate(columns[:-1]) if not _is_number(text)), 0)
            raise InputError(f"{file.name}, row {row + 1}: column {bad + 1} is {columns[bad]!r:.60}, expected a number.") from None
        paths.append(_checked_path(columns[-1].rstrip(), f"{file.name}, row {row + 1}"))
    _check(numbers, file.name)
    return {"numbers": numbers, "paths": np.array(paths, dtype=str)}


def _wrong_count(line: str) -> str:
    have = len(line.split())
    guess = "is this list_98pt_test.txt, which has neither boxes nor flags?" if have == 2 * N_POINTS + 1 else "truncated, or another list?"
    return f"{have} columns, expected {_N_NUMBERS + 1} (98 points, box, 6 flags, image): {guess}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _checked_path(path: str, where: str) -> str:
    """The path as the images are known by; it may not lead out of its folder."""
    relative = PurePosixPath(path.replace("\\", "/"))
    if len(path) > MAX_PATH or not path.isprintable():
        raise InputError(f"{where}: {path!r:.60} is no path of an image.")
    if relative.is_absolute() or ".." in relative.parts or _DRIVE.match(str(relative)):
        raise InputError(f"{where}: the image {path!r} lies outside the data set: this list is not to be trusted.")
    return str(relative)


def _check(numbers: Array, name: str) -> None:
    if (bad := np.argwhere(~np.isfinite(numbers))).size:
        raise InputError(f"{name}, row {bad[0, 0] + 1}: column {bad[0, 1] + 1} is not finite.")
    boxes, flags = numbers[:, 2 * N_POINTS : 2 * N_POINTS + 4], numbers[:, 2 * N_POINTS + 4 :]
    if (bad := np.argwhere((flags != 0) & (flags != 1))).size:
        row, column = bad[0]
        raise InputError(f"{name}, row {row + 1}: the flag {ATTRIBUTES[column]} is {flags[row, column]:g}, expected 0 or 1: other columns?")
    inverted = (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)
    if 2 * inverted.sum() > len(boxes):  # a single odd box is the data set's own affair
        row = int(np.argmax(inverted))
        raise InputError(f"{name}, row {row + 1}: the box ends before it begins ({inverted.sum()} such rows): width, height for x1, y1?")
