"""`hpbench bench`: one model measured on this machine, a fresh process for each number of threads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..checked import build
from ..errors import InputError, MissingDataError
from ..provenance import fresh_facts
from ..records import ModelFacts
from .machine import usable_cpus
from .record import SCHEMA, Faces, Run, SpeedRecord

__all__ = ["BATCHES", "bench", "default_threads"]

BATCHES = (1, 8, 16, 32)
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_MOST_BATCH, _MOST_FACES = 4096, 10_000

Remark = Callable[[str], None]


def default_threads() -> tuple[int, ...]:
    """One, and all that this process may use."""
    return tuple(sorted({1, usable_cpus()}))


def bench(
    model: str,
    *,
    dataset: str = "heads",
    data: Sequence[Path] = (),
    boxes: str = "",
    weights: Path | None = None,
    model_args: Mapping[str, Any] | None = None,
    device: str = "auto",
    threads: Sequence[int] = (),
    batches: Sequence[int] = BATCHES,
    faces: int = 128,
    seconds: float = 1.0,
    remark: Remark = lambda _: None,
) -> SpeedRecord:
    """Measure a model: latency, throughput, memory by number of threads; parameters and MACs.

    Parameters
    ----------
    model : str
        A name as `hpbench.models.resolve.create_model` understands it.
    dataset, data, boxes
        Where the faces come from: `faces` of them at even distances; their images and boxes alone are used.
    weights, model_args, device
        As in `hpbench.jobs.run`.
    threads : sequence of int
        Each is measured in a process of its own; `default_threads` if left out.
    batches : sequence of int
        Faces a call; one face is always measured.
    seconds : float
        For which each call is repeated, after warming up.

    Raises
    ------
    InputError, MissingDataError
        As the model or the data raise them, and where a measuring process dies.
    """
    chosen = tuple(threads) or default_threads()
    _check(chosen, batches, faces, seconds)
    request = {
        "model": model, "dataset": dataset, "data": [str(path) for path in data], "boxes": boxes,
        "weights": str(weights) if weights is not None else None, "arguments": dict(model_args or {}), "device": device,
        "batches": sorted({1, *batches}), "faces": faces, "seconds": seconds,
    }  # fmt: skip
    remark(f"{model}: looking at it")
    about = _measured({**request, "what": "count", "threads": usable_cpus()}, model)
    runs, last = [], {}
    for count in dict.fromkeys(chosen):
        remark(f"{model}: measuring with {count} thread{'s' * (count > 1)}")
        last = _measured({**request, "what": "times", "threads": count}, model)
        runs.append(build(Run, last["run"], "run"))
    facts = build(ModelFacts, {**about["model"], "arguments": request["arguments"]}, "model")
    origin = {key: value for key, value in fresh_facts().items() if key in ("hpbench", "git", "date")}
    clock = time.get_clock_info("perf_counter")
    return SpeedRecord(
        schema=SCHEMA, model=facts, device=last["device"], faces=build(Faces, about["faces"], "faces"), seconds=seconds,
        parameters=about["parameters"], macs=about["macs"], counted=about["how"], runs=tuple(runs),
        clock=f"time.perf_counter, {clock.resolution:g} s", environment=last["environment"], **origin,
    )  # fmt: skip


def _check(threads: Sequence[int], batches: Sequence[int], faces: int, seconds: float) -> None:
    if not all(1 <= n <= usable_cpus() for n in threads):
        raise InputError(f"--threads {','.join(map(str, threads))}: this process may use 1 to {usable_cpus()} processors.")
    if not all(1 <= n <= _MOST_BATCH for n in batches):
        raise InputError(f"--batch {','.join(map(str, batches))}: batches are of 1 to {_MOST_BATCH} faces.")
    if not 1 <= faces <= _MOST_FACES:
        raise InputError(f"--faces {faces}: 1 to {_MOST_FACES}.")
    if not 0 < seconds <= 600:
        raise InputError(f"--seconds {seconds:g}: more than 0, at most 600.")


def _measured(request: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The answer of a fresh process."""
    count = str(request["threads"])
    environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, count)}
    with tempfile.TemporaryDirectory(prefix="hpbench-bench-") as folder:
        asked, answered = Path(folder) / "request.json", Path(folder) / "answer.json"
        asked.write_text(json.dumps(request), encoding="utf-8")
        command = [sys.executable, "-m", "hpbench.speed.child", str(asked), str(answered)]
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=2)  # stdout is for data
        if not answered.is_file():
            raise InputError(f"model {model!r}: the process that measured it {_ended(done.returncode)}.")
        answer = json.loads(answered.read_text(encoding="utf-8"))
    if "error" in answer:
        raise (MissingDataError if answer["missing"] else InputError)(answer["error"])
    return dict(answer)


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in {int(s) for s in signal.Signals} else f"signal {-code}"
    return f"was killed ({name})" + (": out of memory?" if name == "SIGKILL" else "")
