"""Every problem of a prediction file.

The rules are the readers' own (`hpbench.predictions`), which stop at the first problem: here they are asked about ever smaller parts of the
file, and what they refuse is noted, blanked, and the rest is asked about again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..columns import check_ids
from ..errors import InputError
from ..predictions import read_predictions
from ..predictions.binary import read_h5, read_npz
from ..predictions.given import check_given
from ..predictions.schema import COLUMNS, TEXT_COLUMNS, assemble
from ..predictions.text import (
    cell_number,
    csv_columns,
    csv_families,
    csv_lines,
    jsonl_columns,
    jsonl_line,
    no_number,
    ragged,
    read_text,
    unknown_column,
    unknown_key,
)
from .problems import Problem, located

__all__ = ["MOST", "prediction_problems"]

MOST = 1000  # problems of a file: after these it is plain that something is wrong with all of it
_CHUNK = 256  # rows asked about together
_ROW = re.compile(r"\brow (\d+)")


@dataclass
class _Found:
    """The problems so far, and which line each row of the file is on."""

    path: Path
    lines: list[int] | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def full(self) -> bool:
        return len(self.problems) >= MOST

    def add(self, error: InputError | str, row: int | None = None, column: str = "", line: int | None = None) -> None:
        """A problem; `row` counts from 1."""
        if self.full:
            return
        if line is None and row is not None and self.lines is not None:
            line = self.lines[row - 1]
        (problem,) = located(self.path, [str(error)], line=line, row=row, column=column)
        if row is not None or not any(p.text == problem.text for p in self.problems):
            self.problems.append(problem)


def prediction_problems(path: Path) -> list[Problem]:
    """Every problem of a prediction file, at most `MOST`; none where it can be read."""
    try:
        check_given(path)
    except InputError as error:  # not even to be looked at again, for the other problems
        return located(path, [str(error)])
    try:
        given = read_predictions(path)
    except InputError as error:
        first = error
    else:
        return [] if len(given.faces) else located(path, ["no rows, so nothing can be scored: a face that was not found is a row too."])
    found = _Found(path)
    look = _LOOK.get(path.suffix.lower())
    if look is not None and path.is_file():
        try:
            look(path, found)
        except InputError as error:
            found.add(error)
    if not found.problems:
        found.add(first)
    return sorted(found.problems, key=lambda p: (p.row is not None, p.row or p.line or 0))


def _csv(path: Path, found: _Found) -> None:
    header, lines, declarations = csv_lines(read_text(path), path)
    found.lines = [line for line, _ in lines]
    families, others = csv_families(header)
    for name in others:
        found.add(unknown_column(path, header, name), column=name)
    for family, names in list(families.items()):
        try:
            csv_columns(path, header, [], {family: names})
        except InputError as error:
            found.add(error, column=family)
            del families[family]
    body: list[list[str]] = []
    for number, (_, cells) in enumerate(lines, 1):
        row = list(cells)
        if cut := ragged(path, number, row, header):
            found.add(cut, row=number)
            row = [""] * len(header)
        for names in families.values():
            _blank_no_numbers(path, number, header, row, names, found)
        body.append(row)
    columns = csv_columns(path, header, body, families)
    if "sample_id" in columns:
        for i, (_, cells) in enumerate(lines):
            if len(cells) != len(header):
                columns["sample_id"][i] = _placeholder(i)
    _table(columns, declarations, found)


def _blank_no_numbers(path: Path, number: int, header: list[str], row: list[str], names: list[str], found: _Found) -> None:
    """Note the cells that are no numbers; the row then has nothing of that kind."""
    wrong = False
    for name in names:
        cell = row[header.index(name)]
        try:
            cell_number(cell)
        except ValueError:
            wrong = True
            found.add(no_number(path, number, name, cell), row=number, column=name)
    if wrong:
        for name in names:
            row[header.index(name)] = ""


def _jsonl(path: Path, found: _Found) -> None:
    objects: list[tuple[int, dict[str, Any]]] = []
    for line, text in enumerate(read_text(path).split("\n"), 1):
        if text.strip():
            try:
                objects.append((line, jsonl_line(text, line, path)))
            except InputError as error:
                found.add(error, line=line)
    if objects and "sample_id" not in objects[0][1]:
        declarations, rows = objects[0][1], objects[1:]
    else:
        found.add(f'{path}: the first line must be a header object, e.g. {{}} or {{"convention": "300w-lp"}}.', line=1)
        if not objects:
            return
        declarations, rows = {}, objects
    found.lines, body = [line for line, _ in rows], [dict(row) for _, row in rows]
    columns: dict[str, Any] = {}
    for key in dict.fromkeys(key for row in body for key in row):
        if key not in COLUMNS:
            found.add(unknown_key(path, key), column=key)
            continue
        while not found.full:
            try:
                columns |= jsonl_columns(path, body, [key])
                break
            except InputError as error:
                named = _ROW.search(str(error))
                if named is None:  # about all rows
                    found.add(error, column=key)
                    break
                number = int(named[1])
                found.add(error, row=number, column=key)
                body[number - 1].pop(key, None)
                if key == "sample_id":
                    body[number - 1][key] = _placeholder(number - 1)
    _table(columns, declarations, found)


def _h5(path: Path, found: _Found) -> None:
    _table(*read_h5(path), found)


def _npz(path: Path, found: _Found) -> None:
    _table(*read_npz(path), found)


_LOOK: dict[str, Callable[[Path, _Found], None]] = {".csv": _csv, ".jsonl": _jsonl, ".h5": _h5, ".npz": _npz}


def _placeholder(row: int) -> str:
    return f"(row {row + 1})"


def _table(columns: Mapping[str, Any], declarations: Mapping[str, Any], found: _Found) -> None:
    """Problems of the columns: of all rows, of single rows, and of the ids."""
    columns, declarations = dict(columns), dict(declarations)
    ids = [str(i) for i in columns.pop("sample_id", [])]
    if not ids:
        try:
            assemble({**columns, **({"sample_id": []} if found.lines == [] else {})}, {}, found.path)
        except InputError as error:
            found.add(error)
        lengths = [len(v) for v in columns.values() if hasattr(v, "__len__")]
        ids = [_placeholder(i) for i in range(max(lengths, default=0))]
    ids = _distinct_ids(ids, found)
    nothing = {"sample_id": ids, "failure": [""] * len(ids)}
    good: dict[str, Any] = {}
    for name, value in columns.items():
        try:
            assemble({**nothing, name: _blank(value)}, _declared(name, declarations), found.path)
            good[name] = value
        except InputError as error:
            found.add(error, column=name)
    of_columns = {declared for name in columns for declared in _declared(name, declarations)}
    for name in set(declarations) - of_columns:
        try:
            assemble(nothing, {name: declarations[name]}, found.path)
        except InputError as error:
            found.add(error, column=name)
    _rows(ids, good, declarations, found)


def _declared(column: str, declarations: Mapping[str, Any]) -> dict[str, Any]:
    """What is declared about a column."""
    name = {"euler_deg": "convention", "landmarks": "scheme", "visibility": "scheme"}.get(column, "")
    return {name: declarations[name]} if name in declarations else {}


def _blank(value: Any) -> Any:
    """A column in which every face failed: what is then still wrong with it is no single row's."""
    array = np.asarray(value)
    return np.full(array.shape, np.nan) if array.dtype.kind in "fiu" else value


def _distinct_ids(ids: list[str], found: _Found) -> list[str]:
    """The ids, those that are none or stand twice replaced."""
    ids = list(ids)
    while not found.full:
        try:
            check_ids(ids)
            break
        except InputError as error:
            problem = located(found.path, [str(error)])[0]
            assert problem.row is not None
            found.add(error, row=problem.row, column="sample_id")
            ids[problem.row - 1] = _placeholder(problem.row - 1)
    return ids


def _rows(ids: list[str], columns: Mapping[str, Any], declarations: Mapping[str, Any], found: _Found) -> None:
    columns = {n: list(v) if n in TEXT_COLUMNS else np.array(v, dtype=np.float64) for n, v in columns.items()}
    declared = {k: v for name in columns for k, v in _declared(name, declarations).items()}

    def ask(rows: range, names: list[str]) -> str:
        """What the reader says of these rows with these columns, or ""."""
        part = {"sample_id": ids[rows.start : rows.stop], **{n: columns[n][rows.start : rows.stop] for n in names}}
        part.setdefault("failure", [""] * len(rows))
        try:
            assemble(part, {k: v for n in names for k, v in _declared(n, declared).items()}, found.path)
        except InputError as error:
            return str(error)
        return ""

    for start in range(0, len(ids), _CHUNK):
        chunk = range(start, min(start + _CHUNK, len(ids)))
        while not found.full and (said := ask(chunk, list(columns))):
            named = _ROW.search(said)
            row = start + int(named[1]) - 1 if named else next((i for i in chunk if f"face {ids[i]!r}" in said), None)
            if row is None:
                found.add(said)  # of no single row: the columns contradict one another
                return
            alone = {name: text for name in columns if (text := ask(range(row, row + 1), [name]))}
            for name, text in (alone or {"": ask(range(row, row + 1), list(columns)) or said}).items():
                found.add(_of_row(text, row + 1), row=row + 1, column=name)
            for name in columns:
                if name not in TEXT_COLUMNS:
                    columns[name][row] = np.nan


def _of_row(text: str, row: int) -> str:
    """The reader's words about a table of one row, as words about the row."""
    text = re.sub(r" ?\(1 such rows\)", "", text).replace("(1 such rows; ", "(")
    return re.sub(r"\brow 1\b", f"row {row}", text)
