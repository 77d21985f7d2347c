"""Prediction files as CSV and JSON lines, written a row at a time."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import atomic_path
from .schema import COLUMNS, TEXT_COLUMNS
from .text import csv_names

__all__ = ["write_csv", "write_jsonl"]


def write_csv(path: Path, columns: dict[str, Any], declarations: dict[str, str]) -> None:
    names = [name for name in COLUMNS if name in columns]
    header = [cell for name in names for cell in ([name] if name in TEXT_COLUMNS else csv_names(name, columns[name].shape[1]))]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as out:
        out.writelines(f"# {key}={value}\n" for key, value in declarations.items())
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        for row in zip(*(columns[name] for name in names), strict=True):
            cells: list[str] = []
            for name, value in zip(names, row, strict=True):
                cells += [str(value)] if name in TEXT_COLUMNS else [repr(v) if v == v else "" for v in value.ravel().tolist()]
            writer.writerow(cells)


def write_jsonl(path: Path, columns: dict[str, Any], declarations: dict[str, str]) -> None:
    unsaid = {n for n in ("landmarks", "visibility") if n in columns and np.isnan(columns[n]).all()}  # null alone says no shape
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as out:
        out.write(json.dumps(declarations) + "\n")
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
            out.write(json.dumps(row, allow_nan=False) + "\n")


def _nan_to_none(value: Any) -> Any:
    if isinstance(value, list):
        return [_nan_to_none(v) for v in value]
    return None if value != value else value
