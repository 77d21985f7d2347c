"""Prediction files as CSV and JSON lines: what people write by hand and other languages write easily."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import write_atomic
from ..errors import InputError, did_you_mean
from .schema import COLUMNS, DECLARATIONS, TEXT_COLUMNS, first_line, meant_name

__all__ = [
    "CSV_GROUPS", "cell_number", "csv_columns", "csv_families", "csv_lines", "csv_table", "jsonl_columns", "jsonl_line", "jsonl_rows",
    "no_number", "ragged", "read_csv", "read_jsonl", "read_text", "unknown_column", "unknown_key", "write_csv", "write_jsonl",
]  # fmt: skip

CSV_GROUPS = {  # column family -> pattern of its column names
    "euler_deg": re.compile(r"(yaw|pitch|roll)_deg"),
    "rotation": re.compile(r"r([012])([012])"),
    "landmarks": re.compile(r"([xy])(\d+)"),
    "visibility": re.compile(r"v(\d+)"),
}

MAX_NUMBERS = 1 << 28  # of one column: rows without a value take as much memory as those with one

_SHAPES = {"euler_deg": (3,), "rotation": (3, 3)}


def _csv_names(family: str, points: int) -> list[str]:
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
    header, body, declarations = csv_table(read_text(path), path)
    families, others = csv_families(header)
    if others:
        raise unknown_column(path, header, others[0])
    return csv_columns(path, header, body, families), declarations


def csv_table(content: str, path: Path | str) -> tuple[list[str], list[list[str]], dict[str, Any]]:
    """Header, rows and declarations of a CSV file's text; `path` is what errors call it."""
    header, body, declarations = csv_lines(content, path)
    for number, (_, row) in enumerate(body):
        if problem := ragged(path, number + 1, row, header):
            raise problem
    return header, [row for _, row in body], declarations


def csv_lines(content: str, path: Path | str) -> tuple[list[str], list[tuple[int, list[str]]], dict[str, Any]]:
    """As `csv_table`, rows of any length, each with the number of the line where it ends."""
    text = io.StringIO(content)
    declarations: dict[str, Any] = {}
    start = number = 0
    while (line := text.readline()) and (not line.strip(" ,\t\n") or line.startswith(("#", '"#'))):
        start, number = text.tell(), number + 1
        if line.startswith('"'):  # a spreadsheet quotes a cell with a comma inside ...
            line = next(csv.reader([line]), [""])[0]
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
    text.seek(start)
    rows = csv.reader(text, strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        body = [(number + rows.line_num, row) for row in rows if row]
    except csv.Error as error:
        raise InputError(f"{path}: line {number + rows.line_num} is not readable as CSV ({error}).") from None
    if not header:
        raise InputError(f"{path}: the file holds no table.")
    if len(header) == 1 and (found := next((s for s in (";", "\t") if s in header[0]), "")):
        raise InputError(f"{path}: the columns are separated by {found!r}: write commas, and points in the numbers.")
    if len(set(header)) < len(header):
        raise InputError(f"{path}: column {next(n for n in header if header.count(n) > 1)!r:.60} stands twice in the header.")
    return header, body, declarations


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


def csv_columns(path: Path | str, header: list[str], body: list[list[str]], families: Mapping[str, list[str]]) -> dict[str, Any]:
    """The columns of text, and each family of numbers as one array."""
    where = {name: i for i, name in enumerate(header)}
    columns: dict[str, Any] = {n: [row[where[n]] for row in body] for n in TEXT_COLUMNS if n in where}
    for family, names in families.items():
        points = (len(names) + 1) // 2 if family == "landmarks" else len(names)
        wanted = _csv_names(family, points)
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
                raise no_number(path, bad + 1, name, cells[bad]) from None
        shape = {"rotation": (3, 3), "landmarks": (points, 2)}.get(family, (len(wanted),))
        columns[family] = values.reshape(len(body), *shape)
    return columns


def write_csv(path: Path, columns: dict[str, Any], declarations: dict[str, str]) -> None:
    out = io.StringIO()
    for key, value in declarations.items():
        out.write(f"# {key}={value}\n")
    writer = csv.writer(out, lineterminator="\n")
    header: list[str] = []
    blocks: list[list[list[str]]] = []
    for name in COLUMNS:
        if name not in columns:
            continue
        if name in TEXT_COLUMNS:
            header.append(name)
            blocks.append([[str(v)] for v in columns[name]])
        else:
            value = columns[name]
            header += _csv_names(name, value.shape[1])
            blocks.append([[repr(float(v)) if v == v else "" for v in row] for row in value.reshape(len(value), -1)])
    writer.writerow(header)
    for row in zip(*blocks, strict=True):
        writer.writerow([cell for block in row for cell in block])
    write_atomic(path, out.getvalue())


def read_jsonl(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    header, body = jsonl_rows(read_text(path), path)
    present = dict.fromkeys(key for row in body for key in row)
    for key in present:
        if key not in COLUMNS:
            raise unknown_key(path, key)
    return jsonl_columns(path, body, present), header


def unknown_key(path: Path, key: str) -> InputError:
    return InputError(f"{path}: unknown key {key!r:.60}: {meant_name(key) or did_you_mean(key, COLUMNS)}")


def jsonl_rows(content: str, path: Path | str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The header object and the rows of a JSONL file's text."""
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(content.split("\n"), 1):  # not splitlines: a JSON text may hold U+2028
        if not line.strip():
            continue
        rows.append(jsonl_line(line, number, path))
    if not rows or "sample_id" in rows[0]:
        raise InputError(f'{path}: the first line must be a header object, e.g. {{}} or {{"convention": "300w-lp"}}.')
    return rows[0], rows[1:]


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
    columns: dict[str, Any] = {}
    for key in keys:
        if key == "sample_id":
            for number, row in enumerate(body):
                if not isinstance(row.get(key), str):
                    raise InputError(f"{path}: row {number + 1} has no sample_id (text).")
            columns[key] = [row[key] for row in body]
        elif key == "failure":
            columns[key] = [str(row.get(key) or "") for row in body]
        else:
            columns[key] = _jsonl_column(path, key, body)
    return columns


def _jsonl_column(path: Path | str, key: str, body: list[dict[str, Any]]) -> np.ndarray:
    arrays: list[np.ndarray | None] = []
    for number, row in enumerate(body):
        value = row.get(key)
        if value is None:
            arrays.append(None)
            continue
        try:
            arrays.append(np.array(value, dtype=np.float64))  # null inside a list becomes NaN
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{path}: row {number + 1}: {key} is not an array of numbers.") from None
    shapes = Counter(a.shape for a in arrays if a is not None)
    if shapes:
        shape = shapes.most_common(1)[0][0]
    elif key in _SHAPES:
        shape = _SHAPES[key]
    else:
        raise InputError(f"{path}: {key} is null in every row: leave it out.")
    if math.prod(shape) * len(arrays) > MAX_NUMBERS:
        raise InputError(f"{path}: {key} of shape {shape} in {len(arrays)} rows is too much: does one row hold a whole list?")
    for number, array in enumerate(arrays):
        if array is not None and array.shape != shape:
            raise InputError(f"{path}: row {number + 1}: {key} has shape {array.shape}, the other rows {shape}.")
    return np.stack([np.full(shape, np.nan) if a is None else a for a in arrays])


def write_jsonl(path: Path, columns: dict[str, Any], declarations: dict[str, str]) -> None:
    lines = [json.dumps(declarations)]
    unsaid = {n for n in ("landmarks", "visibility") if n in columns and np.isnan(columns[n]).all()}  # null alone says no shape
    for i in range(len(columns["sample_id"])):
        row: dict[str, Any] = {}
        for name in COLUMNS:
            if name in TEXT_COLUMNS and name in columns:
                if columns[name][i]:
                    row[name] = str(columns[name][i])
            elif name in columns:
                value = columns[name][i]
                short = np.isnan(value).all() and name not in unsaid
                row[name] = None if short else _nan_to_none(value.tolist())
        lines.append(json.dumps(row, allow_nan=False))
    write_atomic(path, "\n".join(lines) + "\n")


def _nan_to_none(value: Any) -> Any:
    if isinstance(value, list):
        return [_nan_to_none(v) for v in value]
    return None if value != value else value


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
    known = ["sample_id", *_csv_names("euler_deg", 0), "r00", "x0", "y0", "v0", "failure"]
    alias = {"image": "sample_id", "img": "sample_id", "file": "sample_id", "filename": "sample_id", "name": "sample_id", "id": "sample_id"}
    alias |= {angle: f"{angle}_deg" for angle in ("yaw", "pitch", "roll")}
    if name.lower() in alias:
        return f"did you mean {alias[name.lower()]!r}?"
    if re.fullmatch("r[0-3]3|r3[0-3]", name):
        return "a matrix with a translation? r00 ... r22 are its upper left 3x3 part, and all there is."
    if hint := meant_name(name, "the rotation matrix, r00 ... r22", "yaw_deg, pitch_deg, roll_deg"):
        return hint
    return f"{did_you_mean(name, known)} Columns are {', '.join(known)} ... and nothing else: remove what is no prediction."
