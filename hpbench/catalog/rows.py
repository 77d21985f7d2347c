"""Small tables of the catalog, row by row."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError

__all__ = ["rows_of"]


def rows_of(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells of each row of a CSV file with a header; a row of another length has None among its cells or keys.

    Raises
    ------
    InputError
        It cannot be read, is no text, or no CSV file.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            yield from enumerate(csv.DictReader(file), 2)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8.") from None
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV file: {error}.") from None
