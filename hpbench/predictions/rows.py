"""Tables in text, read a block of rows at a time: in memory are the columns, never all rows as Python objects."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..columns import known_ids
from ..errors import InputError

__all__ = ["Columns", "blocks", "most_rows", "most_rows_of", "text_lines"]

Row = TypeVar("Row")

_ROWS = 1024
_SHARED = 10_000  # distinct texts of a column looked out for: people, sequences and reasons repeat, ids do not


def text_lines(path: Path) -> Iterator[str]:
    """The lines of a text file with their ends, "\\n"; `InputError` where it cannot be read or is not UTF-8."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from file
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None


def most_rows(path: Path, cells: int = 1) -> int:
    """How many rows of so many cells a text file may have: its lines, of which some may be blank."""
    try:
        with path.open("rb") as file:
            return most_rows_of(iter(lambda: file.read(1 << 20), b""), cells)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None


def most_rows_of(content: Iterable[bytes], cells: int = 1) -> int:
    """As `most_rows`, of the content in pieces."""
    lines = size = 1
    for piece in content:
        lines += piece.count(b"\n") + piece.count(b"\r")
        size += len(piece)
    return min(lines, size // cells + 1)  # a row has a separator or a line's end behind each cell


def blocks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows a thousand at a time; one empty block where there are none."""
    rows = iter(rows)
    block = list(itertools.islice(rows, _ROWS))
    yield block
    while block := list(itertools.islice(rows, _ROWS)):
        yield block


class Columns:
    """Columns that grow a block of rows at a time.

    Parameters
    ----------
    most : int
        Rows there may be; memory is taken by those that come.
    """

    def __init__(self, most: int) -> None:
        self.n, self.most = 0, most
        self._arrays: dict[str, np.ndarray] = {}
        self._lists: dict[str, list[Any]] = {}
        self._known: dict[str, dict[str, str]] = {}

    def add(self, block: Mapping[str, Any], rows: int, blank: Any = None) -> None:
        """The next rows: arrays of numbers or lists; a column that begins only now was NaN or `blank` before."""
        for name, values in block.items():
            if isinstance(values, list):
                if name == "sample_id":
                    values = known_ids(values, self.n)
                known = self._known.setdefault(name, {})
                self._lists.setdefault(name, [blank] * self.n).extend(_shared(v, known) if isinstance(v, str) else v for v in values)
                continue
            if name not in self._arrays:
                self._arrays[name] = np.empty((self.most, *values.shape[1:]))
                self._arrays[name][: self.n] = np.nan
            self._arrays[name][self.n : self.n + rows] = values
        self.n += rows

    def __contains__(self, name: str) -> bool:
        return name in self._lists or name in self._arrays

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Of a row of a column of numbers; None where none has come."""
        return self._arrays[name].shape[1:] if name in self._arrays else None

    def all(self) -> dict[str, Any]:
        """Every column: arrays and lists."""
        arrays = {name: array[: self.n] for name, array in self._arrays.items()}
        return {**self._lists, **arrays}


def _shared(text: str, known: dict[str, str]) -> str:
    return known.setdefault(text, text) if len(known) < _SHARED else known.get(text, text)
