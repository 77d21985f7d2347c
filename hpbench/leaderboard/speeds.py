"""Which speed a row of a board shows: speeds of one machine as far as there are any, for only those compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ..records import Record
from ..speed import SpeedRecord, hardware_text, speeds_beside
from .model import Row, Speed

__all__ = ["speed_of", "with_speeds"]

_IMPOSSIBLE = 1e8  # images a second


def with_speeds(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Rows with their speeds, and remarks on speed records that cannot be read.

    A row may have several: by the speed records beside the model (`hpbench.speed`), of which the run with most threads counts, and by the
    timing of the record itself.  Shown is one on the hardware that most rows have, a speed record before a timing; else the first.
    """
    remarks: dict[str, None] = {}
    found: list[tuple[list[Speed], int | None]] = []
    for row in rows:
        measured, told = _measured(row)
        remarks |= dict.fromkeys(told)
        timing = speed_of(row.record)
        size = next((record.parameters for record in measured if record.parameters is not None), None)
        speeds = [speed for record in measured if (speed := _speed(record)) is not None]
        found.append(([*speeds, *([timing] if timing is not None else [])], size))
    places = Counter(place for speeds, _ in found for place in {s.place for s in speeds})
    out = []
    for row, (speeds, size) in zip(rows, found, strict=True):
        best = max(speeds, key=lambda s: (places[s.place], s.threads is not None, s.place), default=None)
        out.append(replace(row, speed=best, parameters=size if row.parameters is None else row.parameters))
    return out, list(remarks)


def _measured(row: Row) -> tuple[list[SpeedRecord], list[str]]:
    """Speed records of the row's very model.  One that was given a detector's boxes does more than they say."""
    if row.path is None or row.record.detector:
        return [], []
    beside, remarks = speeds_beside(row.path)
    return [record for record in beside if record.is_of(row.record.model)], remarks


def _speed(record: SpeedRecord) -> Speed | None:
    run = max(record.runs, key=lambda r: r.threads)
    whole, one = run.best("end_to_end"), run.latency("with_crop")
    if whole is None:
        return None
    hardware = hardware_text(record.environment, record.device)
    return Speed(whole.faces_per_s, record.device, hardware, run.threads, one.p50_ms if one is not None else None)


def speed_of(record: Record) -> Speed | None:
    """How fast a record's model ran and on what; None where it does not say how fast."""
    timing = record.timing or {}
    found = timing.get("images_per_s")
    if not isinstance(found, (int, float)) or isinstance(found, bool) or not 0 < found < _IMPOSSIBLE:
        return None
    device = str(timing.get("device") or "")
    return Speed(float(found), "" if device == "auto" else device, hardware_text(record.environment, device))
