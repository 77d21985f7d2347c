"""Several .h5 prediction files one after another as one, a file at a time: memory stays flat however many faces there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .binary import fixed_width, write_declarations
from .created import created_h5
from .formats import read_predictions
from .schema import COLUMNS, TEXT_COLUMNS, columns_of

__all__ = ["join_predictions"]


@dataclass
class _Column:
    """What the parts together need of a column."""

    shape: tuple[int, ...]  # of one row
    text_bytes: int = 1  # the longest text


def join_predictions(file: Path, parts: Sequence[Path], *, boxes: str, model: str) -> None:
    """Write the rows of several .h5 prediction files, in their order, as one .h5 file, atomically.

    The bytes depend on the rows alone, not on how they were parted.  A column that only some parts have is NaN in the
    others (their faces all failed, say).

    Parameters
    ----------
    file : Path
    parts : sequence of Path
    boxes, model : str
        What the file declares; see `Predictions`.

    Raises
    ------
    InputError
        A part cannot be read, or parts do not fit each other.
    """
    import h5py

    wanted: dict[str, _Column] = {}
    declared: dict[str, str] = {}
    total = 0
    for path in parts:
        columns, declarations = columns_of(read_predictions(path))
        total += len(columns["sample_id"])
        for name, value in columns.items():
            _widen(wanted, name, value, path, model)
        for name in ("convention", "scheme"):
            if name in declarations and declared.setdefault(name, declarations[name]) != declarations[name]:
                raise InputError(f"{path}: {name} {declarations[name]} and not {declared[name]}: model {model} is not consistent.")
    if {"rotation", "euler_deg"} <= wanted.keys():
        raise InputError(f"{file}: some parts hold matrices and some Euler angles: model {model} is not consistent.")
    with created_h5(file) as output:
        for name in COLUMNS:
            if name not in wanted:
                continue
            column = wanted[name]
            kind: Any = h5py.string_dtype("utf-8", column.text_bytes) if name in TEXT_COLUMNS else np.float64
            dataset = output.create_dataset(name, (total, *column.shape), kind, track_times=False)
            at = 0
            for path in parts:
                given, _ = columns_of(read_predictions(path))
                n = len(given["sample_id"])
                if name in TEXT_COLUMNS:
                    dataset[at : at + n] = fixed_width([str(v) for v in given.get(name, [""] * n)])
                else:
                    dataset[at : at + n] = given[name] if name in given else np.nan
                at += n
        write_declarations(output, {**declared, **{k: v for k, v in (("boxes", boxes), ("model", model)) if v}})


def _widen(wanted: dict[str, _Column], name: str, value: Any, path: Path, model: str) -> None:
    """Take a part's column into account."""
    if name in TEXT_COLUMNS:
        column = wanted.setdefault(name, _Column(()))
        column.text_bytes = max(column.text_bytes, *(len(str(v).encode()) for v in value)) if len(value) else column.text_bytes
        return
    column = wanted.setdefault(name, _Column(value.shape[1:]))
    if column.shape != value.shape[1:]:
        raise InputError(f"{path}: {name} has rows of shape {value.shape[1:]} and not {column.shape}: model {model} is not consistent.")
