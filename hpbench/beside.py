"""Records found in files and folders, and the per-face errors beside them: what scores are made of, and whether they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .catalog import catalog_roots
from .errors import InputError
from .metrics import parse_metric
from .metrics.decisions import Decisions
from .metrics.estimators import Estimator, Sums, mean_of_means, median_of
from .records import Record, read_errors, read_record

__all__ = [
    "Errors",
    "FoundRecord",
    "collect_found",
    "collect_records",
    "disagreement",
    "errors_beside",
    "estimator_of",
    "estimators_of",
]

Errors = Mapping[str, npt.NDArray[Any]]

_SAME = 1e-6  # of a score: beyond what summing in another order changes
_POSITIVE = {"occluded": (1, 2), "external": (1,), "self": (2,)}


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


def errors_beside(path: Path | None) -> tuple[Errors | None, str]:
    """The per-face errors of a record's file; None where there are none, and a sentence where they are no use."""
    if path is None or not path.with_suffix(".errors.npz").is_file():
        return None, ""
    try:
        return read_errors(path), ""
    except InputError as error:
        return None, str(error)


def disagreement(record: Record, errors: Errors) -> str:
    """The first score that is not what the per-face errors give, as part of a sentence; "" where all are.

    A record has no hash over its scores, and needs none: they follow from the errors beside it, and so do counts and coverage.
    """
    n = len(errors.get("sample_id", ()))
    if n and record.coverage is not None and not math.isclose(record.coverage, 1.0 - len(record.failures) / n, abs_tol=1e-6):
        return f"its coverage is {record.coverage:.6g}, and {len(record.failures)} of {n} faces failed"
    for score in record.scores:
        estimator = estimator_of(score.metric, errors)
        if estimator is None or score.value is None or (score is not record.main and not isinstance(estimator, Sums)):
            continue  # rankings take time, and one tells enough
        point = estimator.point()
        if not math.isclose(point, score.value, rel_tol=_SAME, abs_tol=1e-9):
            ours = f"{point:.6g}" if math.isfinite(point) else "nothing"
            return f"its {score.metric} is {score.value:.6g}, the errors beside it give {ours}"
    return ""


def estimator_of(metric_text: str, errors: Errors, of_faces: npt.NDArray[np.bool_] | None = None) -> Estimator | None:
    """A score from the errors beside a record; see `estimators_of`."""
    return estimators_of([metric_text], errors, of_faces)[0]


def estimators_of(metric_texts: Sequence[str], errors: Errors, of_faces: npt.NDArray[np.bool_] | None = None) -> list[Estimator | None]:
    """Scores from the errors beside a record; None where they do not hold what it takes.

    A legacy formula has no spread; means by labelled points, and by bins whose faces were not stored, lack their weights.

    Parameters
    ----------
    metric_texts : sequence of str
        Those of one view of visibility share the ranking of the decisions.
    of_faces : (N,) bool array or None
        The only faces that count: a subset, which has no balanced mean.
    """
    views: dict[str, Decisions] = {}
    return [_estimator(text, errors, of_faces, views) for text in metric_texts]


def _estimator(text: str, errors: Errors, of_faces: npt.NDArray[np.bool_] | None, views: dict[str, Decisions]) -> Estimator | None:
    metric = parse_metric(text)
    values = errors.get(text)
    if metric.pooled:
        if not {"decision_face", "decision_kind", "decision_visible"} <= set(errors):
            return None
        view = metric.parameters["view"]
        if view not in views:
            decisions = _decisions(errors, view)
            views[view] = decisions if of_faces is None else decisions.of_faces(of_faces)
        return metric.of_decisions(views[view])
    if values is None or values.dtype.kind != "f" or metric.whole or metric.parameters.get("formula") == "pck":
        return None
    if of_faces is not None:
        values = np.where(of_faces, values, np.nan)
    mean, ones = metric.parameters.get("mean", "image"), np.ones(len(values))
    if mean == "median":
        return median_of(values)
    if mean == "balanced":
        bins = errors.get("bin")
        if bins is None or len(bins) != len(values) or of_faces is not None:
            return None
        return mean_of_means([(np.where(bins == b, values, np.nan), ones) for b in range(int(bins.max()) + 1)])
    return mean_of_means([(values, ones)]) if mean == "image" else None


def _decisions(errors: Errors, view: str) -> Decisions:
    """What `hpbench.metrics.visibility.decision_table` stored, charged as `decisions_of` does."""
    kind = errors["decision_kind"]
    positive = np.isin(kind, _POSITIVE[view])
    kept = positive | (kind == 0)
    face, visible, positive = errors["decision_face"][kept].astype(np.int64), errors["decision_visible"][kept], positive[kept]
    n_faces = len(errors["sample_id"])
    failed = np.bincount(face, np.isnan(visible), n_faces) > 0
    charged = np.where(failed[face], np.where(positive, np.inf, -np.inf), visible)
    order = np.argsort(charged, kind="stable")
    return Decisions(face[order], charged[order], positive[order], n_faces)
