"""Label files of users' own data: CSV and JSONL with the names of prediction files, or COCO keypoints, as rows.

Conventions
-----------
Nothing is converted here: pixels, polarity and angles are those of the file; `hpbench.readers.generic` reads them by the
card.  CSV columns: ``sample_id``, ``image``, ``yaw_deg, pitch_deg, roll_deg`` or ``r00..r22``, ``x0, y0, ...``, ``v0, ...``,
``box_x0, box_y0, box_x1, box_y1``, ``person``, ``sequence``; JSONL keys: ``sample_id``, ``image``, ``euler_deg``,
``rotation``, ``landmarks``, ``visibility``, ``box_xyxy_px``, ``person``, ``sequence``.  Any other column is an attribute.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..predictions.rows import Columns, blocks, most_rows_of
from ..predictions.text import (
    CSV_GROUPS,
    cell_number,
    csv_columns,
    csv_families,
    csv_rows,
    jsonl_block,
    jsonl_rows,
    jsonl_whole,
    whole_rows,
)
from .files.datafile import DataFile

__all__ = [
    "SUFFIXES",
    "LabelRows",
    "as_text",
    "column_of",
    "label_text",
    "read_csv_rows",
    "read_jsonl_rows",
    "refuse_misnamed",
    "safe_image_path",
]

Array = npt.NDArray[Any]

SUFFIXES = (".csv", ".jsonl", ".json")
MAX_LABEL_BYTES = 256 << 20  # of JSON, which is parsed whole
MAX_TABLE_BYTES = 1 << 30  # of CSV and JSON lines, read a block of rows at a time: about a million faces with 68 points
_GROUPS = {**CSV_GROUPS, "box_xyxy_px": re.compile(r"box_([xy])([01])")}
_ARRAYS = ("rotation", "euler_deg", "landmarks", "visibility", "box_xyxy_px")
_TEXTS = ("sample_id", "image", "person", "sequence")


@dataclass(frozen=True)
class LabelRows:
    """The rows of a label file.

    Attributes
    ----------
    n : int
        Number of rows.
    texts : mapping of str to list of str
        ``sample_id``, ``image``, ``person``, ``sequence``, those that are there.
    arrays : mapping of str to array
        ``euler_deg`` (n, 3), ``rotation`` (n, 3, 3), ``landmarks`` (n, L, 2), ``visibility`` (n, L), ``box_xyxy_px``
        (n, 4), those that are there; NaN = not labelled.
    attributes : mapping of str to (n,) array
        Numbers where all values are, NaN for none; otherwise text.
    declared : mapping of str to str
        ``convention`` and ``scheme``, where the file states them.
    passed_over : tuple of str
        Names of entries that are no faces (COCO's crowds).
    """

    n: int
    texts: Mapping[str, list[str]]
    arrays: Mapping[str, Array]
    attributes: Mapping[str, Array]
    declared: Mapping[str, str] = field(default_factory=dict)
    passed_over: tuple[str, ...] = ()


def label_text(file: DataFile) -> str:
    """A label file as text; `InputError` where it is too large or no text."""
    try:
        return _content(file, MAX_LABEL_BYTES).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise InputError(f"{file.name}: not a text file in UTF-8.") from None


def _content(file: DataFile, most_bytes: int) -> bytes:
    if file.size > most_bytes:
        raise InputError(f"{file.name}: {file.size} bytes is over the limit of {most_bytes >> 20} MiB for a label file.")
    return file.fetch()


def _lines(file: DataFile, content: bytes) -> Iterator[str]:
    """The lines of a label file, with their ends."""
    try:
        for line in io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="\n"):
            yield line.replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise InputError(f"{file.name}: not a text file in UTF-8.") from None


def read_csv_rows(file: DataFile) -> LabelRows:
    """Rows of a CSV file."""
    content = _content(file, MAX_TABLE_BYTES)
    header, rows, declared = csv_rows(_lines(file, content), file.name)
    families, others = csv_families(header, _GROUPS)
    refuse_misnamed(file, header, "yaw_deg, pitch_deg, roll_deg")
    found = Columns(most_rows_of([content], len(header)))
    for body in blocks(whole_rows(file.name, rows, header)):
        cells = {name: [row[i] for row in body] for i, name in enumerate(header) if name in others}
        columns = csv_columns(file.name, header, body, families, above=found.n) | cells
        found.add(columns, len(body))
    return _label_rows(file, found.n, found.all(), declared)


def read_jsonl_rows(file: DataFile) -> LabelRows:
    """Rows of a JSON lines file, whose first line is a header object."""
    content = _content(file, MAX_TABLE_BYTES)
    header, rows = jsonl_rows(_lines(file, content), file.name)
    arrays, others = (Columns(most_rows_of([content])) for _ in range(2))
    seen: dict[str, None] = {}
    for body in blocks(rows):
        seen |= dict.fromkeys(key for row in body for key in row)
        refuse_misnamed(file, seen, "euler_deg as [yaw, pitch, roll]")
        for family, names in csv_families(list(seen), _GROUPS)[0].items():
            raise InputError(f"{file.name}: has the key {names[0]!r}, a column of CSV: in JSON lines write {family} as one list.")
        jsonl_block(file.name, arrays, body, [key for key in seen if key in _ARRAYS])
        others.add({key: _scalars(file, key, body, others.n) for key in seen if key not in _ARRAYS}, len(body))
    columns = jsonl_whole(file.name, arrays, [key for key in seen if key in _ARRAYS]) | others.all()
    return _label_rows(file, others.n, columns, header)


def _scalars(file: DataFile, key: str, body: Sequence[Mapping[str, Any]], above: int) -> list[Any]:
    """The values of a key in the next rows: numbers, texts, None; a list or an object is an error."""
    for number, row in enumerate(body, above + 1):
        if isinstance(row.get(key), (list, dict)):
            raise InputError(f"{file.name}: row {number}: {key!r:.60} is neither a number nor a text.")
    return [row.get(key) for row in body]


def _label_rows(file: DataFile, n: int, columns: dict[str, Any], declared: Mapping[str, Any]) -> LabelRows:
    texts = {name: [as_text(v) for v in columns.pop(name)] for name in _TEXTS if name in columns}
    arrays = {name: columns.pop(name) for name in _ARRAYS if name in columns}
    for array in arrays.values():
        array.flags.writeable = False  # ours alone: `Faces` need not copy them
    attributes = {name: column_of(columns.pop(name)) for name in list(columns)}
    return LabelRows(n, texts, arrays, attributes, _declared(file, declared))


def column_of(values: Sequence[Any]) -> Array:
    """An attribute: numbers if every value is one (nothing = NaN), otherwise texts."""
    try:
        if any(isinstance(v, bool) for v in values):
            raise ValueError
        numbers = np.array([np.nan if v is None else cell_number(v) if isinstance(v, str) else float(v) for v in values])
    except (ValueError, OverflowError):
        return np.array([as_text(v) for v in values], dtype=object)
    return numbers if len(numbers) == 0 or np.isfinite(numbers).any() else np.array([as_text(v) for v in values], dtype=object)


def safe_image_path(path: str, where: str) -> PurePosixPath:
    """A relative path as a label file gives it; one that is absolute, climbs or is an address is refused."""
    parts = path.replace("\\", "/").split("/")
    if (
        not PurePosixPath(*parts).name
        or not path.isprintable()
        or path.startswith(("/", "\\"))
        or ".." in parts
        or re.match(r"[A-Za-z]:|[A-Za-z]+://", path)
    ):
        raise InputError(f"{where}: image {path!r:.80} must be a path below the data folder: absolute, climbing out of it, or an address?")
    return PurePosixPath(*parts)


def as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value).strip()


def _declared(file: DataFile, declared: Mapping[str, Any]) -> dict[str, str]:
    for key, value in declared.items():
        if key not in ("convention", "scheme") or not isinstance(value, str):
            raise InputError(f"{file.name}: declares {key!r:.60}: a label file may declare its convention and scheme, as text.")
    return dict(declared)


def refuse_misnamed(file: DataFile, names: Iterable[str], angles: str) -> None:
    """An error for columns that would become attributes though they are surely meant as labels."""
    for name in names:
        if name == "failure":
            raise InputError(f"{file.name}: has a column 'failure': a file of predictions, not of labels?")
        if name.lower() in ("yaw", "pitch", "roll"):
            raise InputError(f"{file.name}: has a column {name!r}: in degrees? Then write {angles}.")
