"""Prediction files as CSV and JSON lines: what people write by hand and other languages write easily."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, did_you_mean
from .rows import Columns, blocks, most_rows, text_lines
from .schema import COLUMNS, DECLARATIONS, TEXT_COLUMNS, first_line, meant_name

__all__ = [
    "CSV_GROUPS", "cell_number", "csv_columns", "csv_families", "csv_lines", "csv_names", "csv_rows", "csv_table", "jsonl_block",
    "jsonl_columns", "jsonl_line", "jsonl_rows", "jsonl_whole", "no_number", "ragged", "read_csv", "read_jsonl", "read_text",
    "unknown_column", "unknown_key", "whole_rows",
]  # fmt: skip

CSV_GROUPS = {  # column family -> pattern of its column names
    "euler_deg": re.compile(r"(yaw|pitch|roll)_deg"),
    "rotation": re.compile(r"r([012])([012])"),
    "landmarks": re.compile(r"([xy])(\d+)"),
    "visibility": re.compile(r"v(\d+)"),
}

MAX_NUMBERS = 1 << 28  # of one column: rows without a value take as much memory as those with one

_SHAPES = {"euler_deg": (3,), "rotation": (3, 3)}


def csv_names(family: str, points: int) -> list[str]:
    """The columns of a family of numbers, for so many points a face."""
    if family == "euler_deg":
        return ["yaw_deg", "pitch_deg", "roll_deg"]
    if family == "box_xyxy_px":
        return ["box_x0", "box_y0", "box_x1", "box_y1"]
    if family == "rotation":
        return [f"r{i}{j}" for i in range(3) for j in range(3)]
    if family == "landmarks":
        return [f"{axis}{i}" for i in range(points) for axis in "xy"]
    return [f"v{i}" for i in range(points)]


def read_csv(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    header, rows, declarations = csv_rows(text_lines(path), path)
    families, others = csv_families(header)
    if others:
        raise unknown_column(path, header, others[0])
    found = Columns(most_rows(path, len(header)))
    for body in blocks(whole_rows(path, rows, header)):
        found.add(csv_columns(path, header, body, families, above=found.n), len(body))
    return found.all(), declarations


def csv_table(content: str, path: Path | str) -> tuple[list[str], list[list[str]], dict[str, Any]]:
    """Header, rows and declarations of a CSV file's text; `path` is what errors call it."""
    header, rows, declarations = csv_rows(io.StringIO(content), path)
    return header, list(whole_rows(path, rows, header)), declarations


def csv_lines(content: str, path: Path | str) -> tuple[list[str], list[tuple[int, list[str]]], dict[str, Any]]:
    """As `csv_table`, rows of any length, each with the number of the line where it ends."""
    header, rows, declarations = csv_rows(io.StringIO(content), path)
    return header, list(rows), declarations


def csv_rows(text: Iterable[str], path: Path | str) -> tuple[list[str], Iterator[tuple[int, list[str]]], dict[str, Any]]:
    """As `csv_lines`, from lines, the rows as they are asked for."""
    lines = iter(text)
    declarations: dict[str, Any] = {}
    number = 0
    while (line := next(lines, "")) and (not line.strip(" ,\t\n") or line.startswith(("#", '"#'))):
        number += 1
        if line.startswith('"'):  # a spreadsheet quotes a cell with a comma inside ...
            try:
                line = next(csv.reader([line]), [""])[0]
            except csv.Error as error:
                raise InputError(f"{path}: line {number} is not readable as CSV ({error}).") from None
        line = line.strip(" ,\t\n")  # ... and pads the line with commas
        key, equals, value = (part.strip() for part in line.lstrip("# ").partition("="))
        if equals:
            if key not in DECLARATIONS:
                raise InputError(f"{path}: line {number} declares {key!r:.60}: {did_you_mean(key, DECLARATIONS)}")
            if key in declarations:
                raise InputError(f"{path}: line {number} declares {key!r} again.")
            declarations[key] = value
        elif line.strip("#"):
            raise InputError(f"{path}: line {number} is no declaration: write '# key=value'.")
    reader = csv.reader(itertools.chain([line] if line else [], lines), strict=True)

    def rows() -> Iterator[tuple[int, list[str]]]:
        try:
            for row in reader:
                yield number + reader.line_num, row
        except csv.Error as error:
            raise InputError(f"{path}: line {number + reader.line_num} is not readable as CSV ({error}).") from None

    every = rows()
    header = [name.strip() for name in next(every, (0, []))[1]]
    if not header:
        raise InputError(f"{path}: the file holds no table.")
    if len(header) == 1 and (found := next((s for s in (";", "\t") if s in header[0]), "")):
        raise InputError(f"{path}: the columns are separated by {found!r}: write commas, and points in the numbers.")
    if len(set(header)) < len(header):
        raise InputError(f"{path}: column {next(n for n in header if header.count(n) > 1)!r:.60} stands twice in the header.")
    return header, ((line, row) for line, row in every if row), declarations


def whole_rows(path: Path | str, rows: Iterable[tuple[int, list[str]]], header: list[str]) -> Iterator[list[str]]:
    """The rows without their lines; `InputError` for one of another length than the header."""
    for number, (_, row) in enumerate(rows, 1):
        if problem := ragged(path, number, row, header):
            raise problem
        yield row


def ragged(path: Path | str, number: int, row: list[str], header: list[str]) -> InputError | None:
    """What is wrong with the length of a row, if anything."""
    return InputError(f"{path}: row {number} has {len(row)} cells, the header {len(header)}.") if len(row) != len(header) else None


def csv_families(header: list[str], groups: Mapping[str, re.Pattern[str]] = CSV_GROUPS) -> tuple[dict[str, list[str]], list[str]]:
    """The names of a header's columns of numbers by family, and the names that are neither in one nor columns of text."""
    families: dict[str, list[str]] = {}
    others: list[str] = []
    for name in header:
        if name in TEXT_COLUMNS:
            continue
        family = next((f for f, pattern in groups.items() if pattern.fullmatch(name)), None)
        (others if family is None else families.setdefault(family, [])).append(name)
    return families, others


def csv_columns(
    path: Path | str, header: list[str], body: list[list[str]], families: Mapping[str, list[str]], *, above: int = 0
) -> dict[str, Any]:
    """The columns of text, and each family of numbers as one array; `above` rows come before these."""
    where = {name: i for i, name in enumerate(header)}
    columns: dict[str, Any] = {n: [row[where[n]] for row in body] for n in TEXT_COLUMNS if n in where}
    for family, names in families.items():
        points = (len(names) + 1) // 2 if family == "landmarks" else len(names)
        wanted = csv_names(family, points)
        if set(wanted) != set(names):
            missing = next(n for n in wanted if n not in names)
            raise InputError(f"{path}: the columns of {family} are incomplete: {missing} is missing.")
        values = np.empty((len(body), len(wanted)))
        for j, name in enumerate(wanted):
            cells = [row[where[name]] for row in body]
            try:
                values[:, j] = [cell_number(c) for c in cells]
            except ValueError:
                bad = next(i for i, c in enumerate(cells) if not _is_number(c))
                raise no_number(path, above + bad + 1, name, cells[bad]) from None
        shape = {"rotation": (3, 3), "landmarks": (points, 2)}.get(family, (len(wanted),))
        columns[family] = values.reshape(len(body), *shape)
    return columns


def read_jsonl(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    header, rows = jsonl_rows(text_lines(path), path)
    found, seen = Columns(most_rows(path)), dict[str, None]()
    for body in blocks(rows):
        seen |= dict.fromkeys(key for row in body for key in row)
        for key in seen:
            if key not in COLUMNS:
                raise unknown_key(path, key)
        jsonl_block(path, found, body, seen)
    return jsonl_whole(path, found, seen), header


def unknown_key(path: Path, key: str) -> InputError:
    return InputError(f"{path}: unknown key {key!r:.60}: {meant_name(key) or did_you_mean(key, COLUMNS)}")


def jsonl_rows(text: Iterable[str], path: Path | str) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """The header object and the rows of a JSONL file's lines, as they are asked for."""
    rows = (jsonl_line(line.removesuffix("\n"), number, path) for number, line in enumerate(text, 1) if line.strip())
    header = next(rows, {"sample_id": ""})
    if "sample_id" in header:
        raise InputError(f'{path}: the first line must be a header object, e.g. {{}} or {{"convention": "300w-lp"}}.')
    return header, rows


def jsonl_line(line: str, number: int, path: Path | str) -> dict[str, Any]:
    """The object in a line of a JSONL file."""
    try:
        row = json.loads(line, parse_constant=lambda c: _refuse_constant(c))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: line {number} is no JSON ({first_line(error)}).") from None
    if not isinstance(row, dict):
        raise InputError(f"{path}: line {number} is no object {{...}}.")
    return row


def jsonl_columns(path: Path | str, body: list[dict[str, Any]], keys: Iterable[str]) -> dict[str, Any]:
    """The columns of these keys: text, or arrays of numbers."""
    found, wanted = Columns(len(body)), list(keys)
    jsonl_block(path, found, body, wanted)
    return jsonl_whole(path, found, wanted)


def jsonl_block(path: Path | str, found: Columns, body: list[dict[str, Any]], keys: Iterable[str]) -> None:
    """Add the next rows to the columns of these keys; a key that is null in all rows so far is no column yet."""
    columns: dict[str, Any] = {}
    for key in keys:
        if key == "sample_id":
            if found.n and key not in found:
                raise InputError(f"{path}: row 1 has no sample_id (text).")
            for number, row in enumerate(body, found.n + 1):
                if not isinstance(row.get(key), str):
                    raise InputError(f"{path}: row {number} has no sample_id (text).")
            columns[key] = [row[key] for row in body]
        elif key == "failure":
            columns[key] = [str(row.get(key) or "") for row in body]
        elif (values := _jsonl_column(path, key, body, found)) is not None:
            columns[key] = values
    found.add(columns, len(body), blank="")


def jsonl_whole(path: Path | str, found: Columns, keys: Iterable[str]) -> dict[str, Any]:
    """The columns of these keys when all rows are there."""
    columns = found.all()
    for key in keys:
        if key not in columns:
            if key not in _SHAPES:
                raise InputError(f"{path}: {key} is null in every row: leave it out.")
            columns[key] = np.full((found.n, *_SHAPES[key]), np.nan)
    return {key: columns[key] for key in keys}


def _jsonl_column(path: Path | str, key: str, body: list[dict[str, Any]], found: Columns) -> np.ndarray | None:
    """The next rows of a column of numbers; None while all are null."""
    arrays: list[np.ndarray | None] = []
    for number, row in enumerate(body, found.n):
        value = row.get(key)
        if value is None:
            arrays.append(None)
            continue
        try:
            arrays.append(np.array(value, dtype=np.float64))  # null inside a list becomes NaN
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{path}: row {number + 1}: {key} is not an array of numbers.") from None
    shape = found.shape(key)
    if shape is None:
        shapes = Counter(a.shape for a in arrays if a is not None)
        if not shapes:
            return None
        shape = shapes.most_common(1)[0][0]
    if math.prod(shape) * found.most > MAX_NUMBERS:
        raise InputError(f"{path}: {key} of shape {shape} in {found.most} rows is too much: does one row hold a whole list?")
    for number, array in enumerate(arrays, found.n):
        if array is not None and array.shape != shape:
            raise InputError(f"{path}: row {number + 1}: {key} has shape {array.shape}, the other rows {shape}.")
    return np.stack([np.full(shape, np.nan) if a is None else a for a in arrays])


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON: write null for a number that is not there")


def read_text(path: Path) -> str:
    """A text file's content; `InputError` where it cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None


def cell_number(cell: str) -> float:
    """The number in a cell, NaN for an empty one; `ValueError` where it is none."""
    if "_" in cell:  # digits grouped as in Python's source
        raise ValueError(cell)
    return float(cell) if cell.strip() else math.nan


def no_number(path: Path | str, row: int, column: str, cell: str) -> InputError:
    return InputError(f"{path}: row {row}, column {column!r}: {cell!r:.40} is no number.")


def _is_number(cell: str) -> bool:
    try:
        cell_number(cell)
    except ValueError:
        return False
    return True


def unknown_column(path: Path, header: list[str], name: str) -> InputError:
    return InputError(f"{path}: unknown column {name!r:.60}: {_column_hint(header, name)}")


def _column_hint(header: list[str], name: str) -> str:
    """What an unknown column may be meant for: the common names of other tools first."""
    if all(_is_number(cell) for cell in header[1:]) and len(header) > 1:
        return "the header line is missing? It names the columns: sample_id,yaw_deg,pitch_deg,roll_deg."
    known = ["sample_id", *csv_names("euler_deg", 0), "r00", "x0", "y0", "v0", "failure"]
    alias = {"image": "sample_id", "img": "sample_id", "file": "sample_id", "filename": "sample_id", "name": "sample_id", "id": "sample_id"}
    alias |= {angle: f"{angle}_deg" for angle in ("yaw", "pitch", "roll")}
    if name.lower() in alias:
        return f"did you mean {alias[name.lower()]!r}?"
    if re.fullmatch("r[0-3]3|r3[0-3]", name):
        return "a matrix with a translation? r00 ... r22 are its upper left 3x3 part, and all there is."
    if hint := meant_name(name, "the rotation matrix, r00 ... r22", "yaw_deg, pitch_deg, roll_deg"):
        return hint
    return f"{did_you_mean(name, known)} Columns are {', '.join(known)} ... and nothing else: remove what is no prediction."
