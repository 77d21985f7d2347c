"""A problem of a file, and where in the file it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Problem", "located"]

_LINE = re.compile(r"\bline (\d+)\b")
_ROW = re.compile(r"\brows? (?:\d+ and )?(\d+)\b")
_COLUMN = re.compile(r"\b(?:column|key) '([^']+)'")


@dataclass(frozen=True)
class Problem:
    """One sentence, and where: None and "" where it is about the whole file.

    Attributes
    ----------
    text : str
        Without the file's name.
    line : int or None
        Of a text file, counted from 1.
    row : int or None
        Of a table, counted from 1.
    column : str
        Column or key.
    """

    text: str
    line: int | None = None
    row: int | None = None
    column: str = ""


def located(path: Path, sentences: Iterable[str], *, line: int | None = None, row: int | None = None, column: str = "") -> list[Problem]:
    """Sentences of readers as problems; where they name a line, row or column themselves, that is where."""
    found = []
    for sentence in sentences:
        text = sentence.removeprefix(f"{path}: ")
        of_line, of_row, of_columns = _LINE.search(text), _ROW.search(text), _COLUMN.findall(text)
        found.append(
            Problem(
                text,
                line if line is not None else int(of_line[1]) if of_line else None,
                row if row is not None else int(of_row[1]) if of_row else None,
                column or (of_columns[-1] if of_columns else ""),  # of keys within keys the innermost
            )
        )
    return found
