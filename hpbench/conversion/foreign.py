"""What other tools' result files hold, before it is known which faces of a dataset they are of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..predictions.text import read_text

__all__ = ["Foreign", "Options", "json_of", "listed", "stacked", "text_files"]

Array = npt.NDArray[Any]

MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class Options:
    """What the user says of a file that does not say it itself.

    Attributes
    ----------
    columns : mapping of str to str
        Our column -> the table's, for bare tables.
    radians : bool
        The angles of a bare table are in radians.
    images : Path or None
        COCO's ``images``: which file an ``image_id`` is.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    radians: bool = False
    images: Path | None = None


@dataclass(frozen=True)
class Foreign:
    """The faces of somebody's result file.

    Attributes
    ----------
    names : list of str
        What the file calls each face: mostly its image.
    arrays : mapping of str to array
        ``rotation``, ``euler_deg``, ``landmarks``, ``visibility`` as in `hpbench.faces.Faces`, those that are there.
    failure : list of str
        Why a face has nothing; "" where it has.
    scores : list of float
        The tool's own confidence, which decides between several faces of one name; empty where it gives none.
    convention : str
        Of ``euler_deg``; "" where the file does not say.
    scheme : str
        Landmark scheme; "" where the file does not say.
    boxes, model : str
        As an hpbench file declares them; "" elsewhere.
    pixel_origin : int
        1 where the tool counts pixels from 1.
    told : tuple of str
        What was left out or taken for granted, a sentence each.
    """

    names: list[str]
    arrays: Mapping[str, Array]
    failure: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    convention: str = ""
    scheme: str = ""
    boxes: str = ""
    model: str = ""
    pixel_origin: int = 0
    told: tuple[str, ...] = ()


def stacked(rows: Sequence[Mapping[str, Any]], shapes: Mapping[str, tuple[int, ...]], where: Path) -> dict[str, Array]:
    """Columns from rows that have a value or None, NaN for none; a column that no row has is left out.

    Raises
    ------
    InputError
        A value that has another shape, with the row's name.
    """
    columns: dict[str, Array] = {}
    for key, shape in shapes.items():
        if all(row.get(key) is None for row in rows):
            continue
        column = np.full((len(rows), *shape), np.nan)
        for i, row in enumerate(rows):
            if row.get(key) is None:
                continue
            try:
                column[i] = np.asarray(row[key], dtype=np.float64).reshape(shape)
            except (TypeError, ValueError, OverflowError):
                raise InputError(f"{where}: {row.get('name', f'row {i + 1}')}: its {key} is no array of shape {shape}.") from None
        columns[key] = column
    return columns


def text_files(path: Path, suffixes: tuple[str, ...], what: str) -> list[Path]:
    """The file itself, or all of a folder with these suffixes, sorted."""
    if path.is_file():
        return [path]
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in suffixes and p.is_file() and not p.name.startswith("."))
    if not found:
        raise InputError(f"{path}: holds no {what} ({', '.join(suffixes)}).")
    return found


def json_of(path: Path) -> Any:
    """The content of a JSON file; bare NaN and Infinity are refused."""
    import json

    def refused(text: str) -> None:
        raise ValueError(f"{text} is no number of JSON")

    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: more than {MAX_BYTES >> 30} GiB are no result file.")
    try:
        return json.loads(read_text(path), parse_constant=refused)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no valid JSON: truncated? ({str(error)[:100]})") from None


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def finite(text: str) -> float:
    """The number in a text; `ValueError` for what is none or not finite."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value
