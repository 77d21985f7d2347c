"""Two records of the same predictions, number by number: every difference in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..records import Record, Score

__all__ = ["INTERVAL_TOLERANCE", "RUN_TOLERANCE", "TOLERANCE", "errors_differ", "records_differ", "runs_differ"]

TOLERANCE = 1e-6  # of a value, or of 1 where it is smaller: sums are rounded differently from machine to machine
INTERVAL_TOLERANCE = 1e-3  # the same of the ends of an interval: which resample an end falls on may turn on a rounding
RUN_TOLERANCE = 0.01  # the same of a model run again: other hardware, another decoder of JPEG

_ABSENT = object()


def records_differ(theirs: Record, ours: Record) -> list[str]:
    """What a submitted record says otherwise than scoring its predictions does.

    Model, timing, environment and commit are not looked at: predictions do not show them.  Of a partial record neither are the facts
    about the data it had, nor its notes.
    """
    found = list(_differences(_comparable(theirs), _comparable(ours), ""))
    if theirs.partial:
        return found
    facts = [{"truth_sha256": r.truth_sha256, "partial": r.partial, "dataset": asdict(r.dataset)} for r in (theirs, ours)]
    found += _differences(facts[0], facts[1], "")
    return found + [f"the note {note!r:.100} is left out" for note in ours.notes if note not in theirs.notes]


def errors_differ(theirs: Mapping[str, np.ndarray], ours: Mapping[str, np.ndarray]) -> list[str]:
    """The same of the per-face errors, on which the comparisons of models rest."""
    found = [f"per-face errors: {name} is in one file only" for name in sorted(theirs.keys() ^ ours.keys())]
    for name in sorted(theirs.keys() & ours.keys()):
        a, b = theirs[name], ours[name]
        if a.shape != b.shape or a.dtype.kind != b.dtype.kind:
            found.append(f"per-face errors: {name} has another shape or kind")
        elif a.dtype.kind == "f":
            close = np.isclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
            if not close.all():
                found.append(f"per-face errors: {name} differs in {int((~close).sum())} of {close.size} places")
        elif not np.array_equal(a, b):
            found.append(f"per-face errors: {name} differs")
    return found


def runs_differ(theirs: Record, ours: Record) -> list[str]:
    """What a submitted record says otherwise than a run of the same model elsewhere, beyond what hardware does."""
    known = {score.metric: score.value for score in ours.scores}
    found = []
    for score in theirs.scores:
        value = known.get(score.metric)
        if (score.value is None) != (value is None) or (
            score.value is not None and value is not None and abs(score.value - value) > RUN_TOLERANCE * max(1.0, abs(value))
        ):
            found.append(f"{score.metric} is {_text(score.value)} in the record, {_text(value)} when the model is run here")
    return found


def _comparable(record: Record) -> dict[str, Any]:
    return {
        "": _by_metric(record.scores),
        "main metric": record.main.metric,
        **{f"subset {name}": _by_metric(scores) for name, scores in record.subsets.items()},
        "coverage": record.coverage,
        "failures": {failure.sample_id: failure.reason for failure in record.failures},
        "diagnostics": record.diagnostics,
        "landmark errors": None if record.landmark_errors is None else asdict(record.landmark_errors),
    }


def _by_metric(scores: Sequence[Score]) -> dict[str, Any]:
    table = {score.metric: asdict(score) for score in scores}
    return table if len(table) == len(scores) else {**table, "a metric twice": True}


def _differences(theirs: Any, ours: Any, where: str) -> Iterator[str]:
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        for key in dict.fromkeys((*ours, *theirs)):
            yield from _differences(theirs.get(key, _ABSENT), ours.get(key, _ABSENT), ": ".join(filter(None, (where, key))))
    elif isinstance(theirs, tuple) and isinstance(ours, tuple) and len(theirs) == len(ours):
        for number, (a, b) in enumerate(zip(theirs, ours, strict=True)):
            yield from _differences(a, b, f"{where} {number}")
    elif not _same(theirs, ours, INTERVAL_TOLERANCE if "ci95" in where else TOLERANCE):
        yield f"{where} is {_text(theirs)} in the record, {_text(ours)} scored here"


def _same(a: Any, b: Any, tolerance: float) -> bool:
    if isinstance(a, float) and isinstance(b, (int, float)) and not isinstance(b, bool):
        return abs(a - b) <= tolerance * max(1.0, abs(b))
    return type(a) is type(b) and bool(a == b)


def _text(value: Any) -> str:
    if value is _ABSENT:
        return "nothing"
    return f"{value:.6g}" if isinstance(value, float) else f"{value!r:.60}" if not isinstance(value, (dict, tuple)) else "something"
