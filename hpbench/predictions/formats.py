"""Prediction files in four formats, known by suffix: .h5, .npz, .csv, .jsonl; the same names in each.

The same predictions give the same bytes: no times inside, files are written whole or not at all.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import InputError
from .binary import read_h5, read_npz, write_h5, write_npz
from .schema import Predictions, assemble, columns_of
from .text import read_csv, read_jsonl
from .text_writing import write_csv, write_jsonl

__all__ = ["SUFFIXES", "read_predictions", "write_predictions"]

_READERS = {".h5": read_h5, ".npz": read_npz, ".csv": read_csv, ".jsonl": read_jsonl}
_WRITERS = {".h5": write_h5, ".npz": write_npz, ".csv": write_csv, ".jsonl": write_jsonl}
SUFFIXES = tuple(_READERS)


def read_predictions(path: Path | str) -> Predictions:
    """Read a prediction file of any of the four formats, known by its suffix.

    Raises
    ------
    InputError
        One sentence that names the file and the row or key concerned.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: a prediction file ends in {', '.join(SUFFIXES)}, not {path.suffix or 'nothing'!r}.")
    if not os.path.isfile(path):  # unlike Path.is_file, False for a name that the system refuses
        raise InputError(f"{path}: {'is a folder, not a prediction file' if os.path.isdir(path) else 'there is no such file'}.")
    columns, declarations = reader(path)
    return assemble(columns, declarations, path)


def write_predictions(path: Path | str, predictions: Predictions) -> None:
    """Write a prediction file atomically, in the format of its suffix."""
    path = Path(path)
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise InputError(f"{path}: a prediction file ends in {', '.join(SUFFIXES)}, not {path.suffix or 'nothing'!r}.")
    writer(path, *columns_of(predictions))
