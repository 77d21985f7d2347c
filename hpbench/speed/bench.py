"""`hpbench bench`: one model measured on this machine, a fresh process for each number of threads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..checked import build
from ..errors import InputError, MissingDataError
from ..provenance import fresh_facts
from ..records import ModelFacts
from .machine import usable_cpus
from .record import SCHEMA, EndToEnd, Faces, PrecisionDifference, Run, SpeedRecord, hardware_text

__all__ = ["BATCHES", "Bench", "Pipeline", "bench", "bench_pipeline", "default_threads"]

BATCHES = (1, 8, 16, 32)
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_MOST_BATCH, _MOST_FACES = 4096, 10_000
_FEW_BATCHES = 8

Remark = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """What is measured, and on what.

    Attributes
    ----------
    model : str
        A name as `hpbench.models.resolve.create_model` understands it.
    dataset, data, boxes
        Where the faces come from: `faces` of them at even distances; their images and boxes alone are used.
    weights, model_args, device
        As in `hpbench.jobs.run`.
    threads : tuple of int
        Each is measured in a process of its own.
    batches : tuple of int
        Faces a call.
    seconds : float
        For which each call is repeated, after warming up.
    """

    model: str
    dataset: str = "heads"
    data: Sequence[Path] = ()
    boxes: str = ""
    weights: Path | None = None
    model_args: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    threads: tuple[int, ...] = ()
    batches: tuple[int, ...] = ()
    faces: int = 128
    seconds: float = 1.0

    def checked(self, threads: tuple[int, ...], batches: tuple[int, ...]) -> Bench:
        """The same with these threads and batches where it names none; `InputError` for numbers that cannot be."""
        full = replace(self, threads=tuple(dict.fromkeys(self.threads or threads)), batches=tuple(sorted({*(self.batches or batches)})))
        if not all(1 <= n <= usable_cpus() for n in full.threads):
            raise InputError(f"--threads {','.join(map(str, full.threads))}: this process may use 1 to {usable_cpus()} processors.")
        if not all(1 <= n <= _MOST_BATCH for n in full.batches):
            raise InputError(f"--batch {','.join(map(str, full.batches))}: batches are of 1 to {_MOST_BATCH} faces.")
        if not 1 <= full.faces <= _MOST_FACES:
            raise InputError(f"--faces {full.faces}: 1 to {_MOST_FACES}.")
        if not 0 < full.seconds <= 600:
            raise InputError(f"--seconds {full.seconds:g}: more than 0, at most 600.")
        return full

    def request(self, what: str, threads: int) -> dict[str, Any]:
        """What a measuring process is told, as JSON values."""
        return {
            "model": self.model, "dataset": self.dataset, "data": [str(path) for path in self.data], "boxes": self.boxes,
            "weights": str(self.weights) if self.weights is not None else None, "arguments": dict(self.model_args), "device": self.device,
            "batches": list(self.batches), "faces": self.faces, "seconds": self.seconds, "what": what, "threads": threads,
        }  # fmt: skip


def default_threads() -> tuple[int, ...]:
    """One, and all that this process may use."""
    return tuple(sorted({1, usable_cpus()}))


def bench(asked: Bench, remark: Remark = lambda _: None) -> SpeedRecord:
    """Measure a model: latency, throughput, memory by number of threads; parameters and MACs.

    Threads are `default_threads` and batches `BATCHES` where they are not named; one face a call is always measured.

    Raises
    ------
    InputError, MissingDataError
        As the model or the data raise them, and where a measuring process dies.
    """
    asked = asked.checked(default_threads(), BATCHES)
    asked = replace(asked, batches=tuple(sorted({1, *asked.batches})))
    remark(f"{asked.model}: looking at it")
    about = _measured(asked.request("count", usable_cpus()))
    runs, last = [], {}
    for count in asked.threads:
        remark(f"{asked.model}: measuring with {count} thread{'s' * (count > 1)}")
        last = _measured(asked.request("times", count))
        runs.append(build(Run, last["run"], "run"))
    facts = build(ModelFacts, {**about["model"], "arguments": dict(asked.model_args)}, "model")
    origin = {key: value for key, value in fresh_facts().items() if key in ("hpbench", "git", "date")}
    clock = time.get_clock_info("perf_counter")
    return SpeedRecord(
        schema=SCHEMA, model=facts, device=last["device"], faces=build(Faces, about["faces"], "faces"), seconds=asked.seconds,
        parameters=about["parameters"], macs=about["macs"], counted=about["how"], runs=tuple(runs),
        clock=f"time.perf_counter, {clock.resolution:g} s", environment=last["environment"],
        precision=build(PrecisionDifference, about["precision"], "precision") if about["precision"] else None, **origin,
    )  # fmt: skip


class Pipeline(NamedTuple):
    """Runs of a model against the bare model.

    Attributes
    ----------
    model : str
        As it was asked for.
    hardware : str
    faces : str
        What they are of, in words.
    runs : dict of int to list of EndToEnd
        By the number of threads, which is that of the processors the process was held to.
    remarks : tuple of str
        What a reader of the ratios must know.
    """

    model: str
    hardware: str
    faces: str
    runs: dict[int, list[EndToEnd]]
    remarks: tuple[str, ...] = ()


def bench_pipeline(asked: Bench, remark: Remark = lambda _: None) -> Pipeline:
    """What a run of a model costs beside the bare model, and the share of each stage.

    All processors where no threads are named, and the model's own number of faces a call; errors as in `bench`.
    """
    asked = asked.checked((usable_cpus(),), ())
    runs, last, others = {}, {}, 0.0
    for count in asked.threads:
        remark(f"{asked.model}: runs with {count} thread{'s' * (count > 1)}")
        last = _measured(asked.request("pipeline", count))
        runs[count] = [build(EndToEnd, run, "run") for run in last["runs"]]
        others = max(others, last["others_cpus"] or 0.0)
    where = last["device"]
    hardware = ", ".join([f"device {where or 'not stated'}", hardware_text(last["environment"], where)])
    every = [run for of in runs.values() for run in of]
    faces = every[0].faces
    return Pipeline(asked.model, hardware, f"{faces} faces of {asked.dataset}", runs, tuple(_doubts(asked, every, faces, others)))


def _doubts(asked: Bench, runs: Sequence[EndToEnd], faces: int, others: float) -> Iterator[str]:
    """Why ratios may say little."""
    if faces < asked.faces:
        yield f"{asked.faces} faces were asked for, {faces} are there"
    if few := [run.batch_size for run in runs if faces < _FEW_BATCHES * run.batch_size]:
        yield f"{faces} faces are fewer than {_FEW_BATCHES} batches of {max(few)}: beginning and end weigh much"
    if others > 0.05 * usable_cpus():
        yield f"the machine was busy: other processes used {others:.1f} of {usable_cpus()} CPUs"
    if any(run.ratio > 1.0 for run in runs):
        yield "a ratio above 1 is chance, or cutting out beside the model, which the bare model waits for"


def _measured(request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of a fresh process."""
    count = str(request["threads"])
    environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, count)}
    with tempfile.TemporaryDirectory(prefix="hpbench-bench-") as folder:
        asked, answered = Path(folder) / "request.json", Path(folder) / "answer.json"
        asked.write_text(json.dumps(request), encoding="utf-8")
        command = [sys.executable, "-m", "hpbench.speed.child", str(asked), str(answered)]
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=2)  # stdout is for data
        if not answered.is_file():
            raise InputError(f"model {request['model']!r}: the process that measured it {_ended(done.returncode)}.")
        answer = json.loads(answered.read_text(encoding="utf-8"))
    if "error" in answer:
        raise (MissingDataError if answer["missing"] else InputError)(answer["error"])
    return dict(answer)


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in {int(s) for s in signal.Signals} else f"signal {-code}"
    return f"was killed ({name})" + (": out of memory?" if name == "SIGKILL" else "")
