"""Label files of users' own data: CSV and JSONL with the names of prediction files, or COCO keypoints, as rows.

Conventions
-----------
Nothing is converted here: pixels, polarity and angles are those of the file; `hpbench.readers.generic` reads them by the
card.  CSV columns: ``sample_id``, ``image``, ``yaw_deg, pitch_deg, roll_deg`` or ``r00..r22``, ``x0, y0, ...``, ``v0, ...``,
``box_x0, box_y0, box_x1, box_y1``, ``person``, ``sequence``; JSONL keys: ``sample_id``, ``image``, ``euler_deg``,
``rotation``, ``landmarks``, ``visibility``, ``box_xyxy_px``, ``person``, ``sequence``.  Any other column is an attribute.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..predictions.text import CSV_GROUPS, cell_number, csv_columns, csv_families, csv_table, jsonl_columns, jsonl_rows
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
MAX_LABEL_BYTES = 256 << 20
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
    if file.size > MAX_LABEL_BYTES:
        raise InputError(f"{file.name}: {file.size} bytes is over the limit of {MAX_LABEL_BYTES >> 20} MiB for a label file.")
    try:
        return file.fetch().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise InputError(f"{file.name}: not a text file in UTF-8.") from None


def read_csv_rows(file: DataFile) -> LabelRows:
    """Rows of a CSV file."""
    header, body, declared = csv_table(label_text(file), file.name)
    families, others = csv_families(header, _GROUPS)
    refuse_misnamed(file, header, "yaw_deg, pitch_deg, roll_deg")
    columns = csv_columns(file.name, header, body, families)
    cells = {name: [row[i] for row in body] for i, name in enumerate(header) if name in others}
    texts = {name: [c.strip() for c in (columns | cells)[name]] for name in _TEXTS if name in header}
    attributes = {name: column_of(cells[name]) for name in others if name not in _TEXTS}
    return LabelRows(len(body), texts, {n: columns[n] for n in _ARRAYS if n in columns}, attributes, _declared(file, declared))


def read_jsonl_rows(file: DataFile) -> LabelRows:
    """Rows of a JSON lines file, whose first line is a header object."""
    header, body = jsonl_rows(label_text(file), file.name)
    present = dict.fromkeys(key for row in body for key in row)
    refuse_misnamed(file, present, "euler_deg as [yaw, pitch, roll]")
    for family, names in csv_families(list(present), _GROUPS)[0].items():
        raise InputError(f"{file.name}: has the key {names[0]!r}, a column of CSV: in JSON lines write {family} as one list.")
    arrays = jsonl_columns(file.name, body, [key for key in present if key in _ARRAYS])
    others = {key: scalars(file.name, key, body, lambda i, _: f"row {i + 1}") for key in present if key not in _ARRAYS}
    texts = {key: [as_text(v) for v in others[key]] for key in _TEXTS if key in others}
    attributes = {key: column_of(values) for key, values in others.items() if key not in _TEXTS}
    return LabelRows(len(body), texts, arrays, attributes, _declared(file, header))


def scalars(name: str, key: str, rows: Sequence[Mapping[str, Any]], where: Callable[[int, Mapping[str, Any]], str]) -> list[Any]:
    """The values of a key in all rows: numbers, texts, None; a list or an object is an error."""
    for number, row in enumerate(rows):
        if isinstance(row.get(key), (list, dict)):
            raise InputError(f"{name}: {where(number, row)}: {key!r:.60} is neither a number nor a text.")
    return [row.get(key) for row in rows]


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
