"""Records found in files and folders, and whether their scores are those of the errors beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ..catalog import catalog_roots
from ..errors import InputError
from ..metrics.estimators import Sums
from ..records import Record, read_errors, read_record
from .standings import estimator_of

__all__ = ["FoundRecord", "collect_found", "collect_records", "disagreement", "errors_beside"]

_SAME = 1e-6  # of a score: beyond what summing in another order changes


@dataclass(frozen=True)
class FoundRecord:
    """A record and the file it was read from; per-face errors lie beside that (`hpbench.records.read_errors`)."""

    record: Record
    path: Path | None = None


def collect_found(paths: Sequence[Path] = ()) -> tuple[list[FoundRecord], list[str]]:
    """Records from files and folders (searched below); without any, the shipped baselines.

    Returns
    -------
    found : list of FoundRecord
    remarks : list of str
        Files in a folder that look like records and are none.  A file named outright must be a record.
    """
    found: list[FoundRecord] = []
    remarks: list[str] = []
    for path in paths or [root / "baselines" for root in catalog_roots()]:
        if path.is_file():
            found.append(FoundRecord(read_record(path), path))
        elif path.is_dir():
            for file in sorted(path.rglob("*.json")):
                if "@" not in file.name or not file.is_file():  # run.json and other people's files
                    continue
                try:
                    found.append(FoundRecord(read_record(file), file))
                except InputError as error:
                    remarks.append(f"left out: {error}")
        elif paths:
            raise InputError(f"{path}: there is no such record or folder.")
    return found, remarks


def collect_records(paths: Sequence[Path] = ()) -> tuple[list[Record], list[str]]:
    """As `collect_found`, the records alone."""
    found, remarks = collect_found(paths)
    return [f.record for f in found], remarks


def errors_beside(path: Path | None) -> tuple[Mapping[str, npt.NDArray[Any]] | None, str]:
    """The per-face errors of a record's file; None where there are none, and a sentence where they are no use."""
    if path is None or not path.with_suffix(".errors.npz").is_file():
        return None, ""
    try:
        return read_errors(path), ""
    except InputError as error:
        return None, str(error)


def disagreement(record: Record, errors: Mapping[str, npt.NDArray[Any]]) -> str:
    """The first score that is not what the per-face errors give, as part of a sentence; "" where all are.

    A record has no hash over its scores, and needs none: they follow from the errors beside it.
    """
    for score in record.scores:
        estimator = estimator_of(score.metric, errors)
        if estimator is None or score.value is None or (score is not record.main and not isinstance(estimator, Sums)):
            continue  # rankings take time, and one tells enough
        point = estimator.point()
        if not math.isclose(point, score.value, rel_tol=_SAME, abs_tol=1e-9):
            ours = f"{point:.6g}" if math.isfinite(point) else "nothing"
            return f"its {score.metric} is {score.value:.6g}, the errors beside it give {ours}"
    return ""
