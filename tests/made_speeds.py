"""Speed records that nobody measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpbench.records import ModelFacts
from hpbench.speed import Run, SpeedRecord, Timed
from hpbench.speed.record import Faces

MACHINE = {"machine": "x86_64", "cpus": 2, "processor": "Some CPU", "python": "3.11.0", "libraries": {"numpy": "2.0.0"}}


def a_time(ms: float, faces: int = 1, batch_size: int = 0, *, stable: bool = True) -> Timed:
    return Timed(faces, batch_size or faces, 20, 6, stable, 0.9 * ms, ms, 1.2 * ms)


def a_run(threads: int = 1, ms: float = 10.0, **changes: Any) -> Run:
    """A model of so many ms a face; batches of 8 take half, cropping adds a tenth, decoding and writing a half."""
    stages = {
        "alone": (a_time(ms), a_time(4.0 * ms, 8)),
        "with_crop": (a_time(1.1 * ms), a_time(4.4 * ms, 8)),
        "end_to_end": (a_time(1.5 * ms), a_time(96.0 * ms, 128, 8)),
    }
    return Run(**{"threads": threads, "held": True, **stages, "memory_1_mib": 50.0, "memory_mib": 60.0, "others_cpus": 0.0, **changes})


def a_speed(name: str = "a", ms: float = 10.0, *, threads: tuple[int, ...] = (1, 2), **changes: Any) -> SpeedRecord:
    facts = {
        "schema": 1, "hpbench": "0", "model": ModelFacts(name, "1", "f" * 64), "device": "cpu",
        "faces": Faces("heads", "landmarks", 128, 0, 256.0, 256.0), "seconds": 1.0, "parameters": 1000, "macs": 2000, "counted": "by hand",
        "runs": tuple(a_run(n, ms / n) for n in threads), "clock": "a clock", "environment": MACHINE, "date": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return SpeedRecord(**{**facts, **changes})


def kept(record: SpeedRecord, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record.to_json(), encoding="utf-8")
    return path
