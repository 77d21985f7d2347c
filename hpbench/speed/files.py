"""Speed records in files: ``speed.json``, or several ``speed-*.json``, beside the model's card or its folder of results."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..atomic import write_atomic
from ..catalog import catalog_roots
from ..checked import build
from ..errors import InputError
from .record import SCHEMA, STAGES, PrecisionDifference, Run, SpeedRecord, Timed

__all__ = ["PATTERN", "check_target", "collect_speeds", "read_speed", "speeds_beside", "write_speed"]

PATTERN = "speed*.json"
_MAX_BYTES = 1_000_000
_MOST = 1e12  # of any number in a record


def read_speed(path: Path) -> SpeedRecord:
    """Read a speed record; `InputError` for a file that is none, was damaged, cannot be true, or is of a newer schema."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: too large for a speed record.")
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no valid JSON: truncated? ({str(error)[:100]})") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1 or "runs" not in data:
        raise InputError(f"{path}: no speed record of hpbench (hpbench bench M -o FILE writes one).")
    if schema > SCHEMA:
        raise InputError(f"{path}: written by a newer hpbench ({data.get('hpbench')!r:.40}, schema {schema}): upgrade to read it.")
    record = build(SpeedRecord, data, str(path))
    _check(record, path)
    return record


def check_target(path: Path) -> SpeedRecord | None:
    """The speed record that a path holds already, before anything is measured; `InputError` where it may not be written."""
    if path.suffix != ".json":
        raise InputError(f"-o {path}: a speed record is a .json file (speed.json beside the model is where boards look for it).")
    return read_speed(path) if path.exists() else None


def write_speed(record: SpeedRecord, path: Path) -> None:
    """Write a record; `InputError` where the file is something else than an older record of this model on this hardware."""
    if (old := check_target(path)) is not None:
        if (old.model.label, old.hardware) != (record.model.label, record.hardware):
            raise InputError(
                f"{path} is the speed record of {old.model.label} on {old.hardware}: choose another file, for example speed-2.json."
            )
    write_atomic(path, record.to_json())


def collect_speeds(paths: Sequence[Path] = ()) -> tuple[list[SpeedRecord], list[str]]:
    """Speed records in folders (searched below); without any, those of the catalog.

    Returns
    -------
    records : list of SpeedRecord
    remarks : list of str
        Files of that name that are none.
    """
    files = sorted({f for p in (paths or [r / "baselines" for r in catalog_roots()]) if p.is_dir() for f in p.rglob(PATTERN)})
    return _read_all(files)


def speeds_beside(record_path: Path) -> tuple[list[SpeedRecord], list[str]]:
    """Speed records of the model whose record lies at a path: ``<model>/speed*.json`` of ``<model>/<folder>/<record>``."""
    return _read_all(sorted(record_path.absolute().parent.parent.glob(PATTERN)))


def _read_all(files: Sequence[Path]) -> tuple[list[SpeedRecord], list[str]]:
    found: list[SpeedRecord] = []
    remarks: list[str] = []
    for file in (f for f in files if f.is_file()):
        try:
            found.append(read_speed(file))
        except InputError as error:
            remarks.append(f"left out: {error}")
    return found, remarks


def _check(record: SpeedRecord, path: Path) -> None:
    """What was edited by hand must at least be possible."""
    label = record.model.label
    wrong = []
    if not label.isprintable() or not 0 < len(record.model.name) <= 200:
        wrong.append(f"{path}: the model's name {record.model.name!r:.60} must be printable text.")
    if not record.runs:
        wrong.append(f"{path}: there are no runs in it.")
    if len({run.threads for run in record.runs}) < len(record.runs):
        wrong.append(f"{path}: two runs have the same number of threads.")
    for name in ("parameters", "macs"):
        if (value := getattr(record, name)) is not None and not 0 <= value < _MOST**2:
            wrong.append(f"{path}: {name} = {str(value)[:20]} cannot be.")
    facts = (record.hardware, record.faces.dataset, record.faces.boxes, record.clock, record.counted, record.date, record.hpbench)
    libraries = record.environment.get("libraries")
    named = [f"{k} {v}" for k, v in libraries.items()] if isinstance(libraries, dict) else []
    if not all(text.isprintable() for text in (*facts, str(record.environment.get("python", "")), *named)):
        wrong.append(f"{path}: machine, faces, clock, date and libraries must be named in printable text.")
    faces = record.faces
    if not 0 <= faces.n_failed <= faces.n < _MOST or not all(0 < side < _MOST for side in (faces.median_width_px, faces.median_height_px)):
        wrong.append(f"{path}: faces: n = {faces.n}, of which {faces.n_failed} failed, of {faces.median_width_px:g} px cannot be.")
    if (found := record.precision) is not None and not _possible_difference(found):
        wrong.append(f"{path}: precision: counts and differences (median, 95th percentile, largest) must be in order and not below 0.")
    for number, run in enumerate(record.runs):
        wrong += [f"{path}: runs, entry {number}: {text}" for text in _impossible(run)]
    if wrong:
        raise InputError(*wrong)


def _impossible(run: Run) -> list[str]:
    found = [f"threads = {run.threads} cannot be."] if run.threads < 1 else []
    for name in ("memory_1_mib", "memory_mib", "gpu_memory_mib", "load_average", "others_cpus", "cpu_mhz"):
        if (value := getattr(run, name)) is not None and not 0 <= value < _MOST:
            found.append(f"{name} = {value} cannot be.")
    for stage in STAGES:
        found += [f"{stage}: {text}" for timed in getattr(run, stage) if (text := _impossible_times(timed))]
    if not run.with_crop:
        found.append("with_crop holds no times.")
    return found


def _possible_difference(found: PrecisionDifference) -> bool:
    spreads = [s for s in (found.rotation_deg, found.landmarks_px, found.visibility) if s is not None]
    return min(found.n, found.n_one) >= 0 and all(0 <= s[0] <= s[1] <= s[2] < _MOST for s in spreads)


def _impossible_times(timed: Timed) -> str:
    if min(timed.faces, timed.batch_size, timed.repeats) < 1 or timed.warm_up < 0:
        return "counts of faces and repeats must be at least 1."
    times = (timed.p5_ms, timed.p50_ms, timed.p95_ms)
    if not 0 < times[0] <= times[1] <= times[2] < _MOST or not all(map(math.isfinite, times)):
        return f"times of {', '.join(f'{t:g}' for t in times)} ms (p5, p50, p95) must be above 0 and in this order."
    return ""


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
