"""Runs workers over all targets until so many inputs are read, and writes down what they found and how fast they were.

A worker that dies or does not come back leaves the input it was reading behind: that is a finding, and another worker goes on.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from .oracle import Finding
from .targets import TARGETS
from .worker import State, write_finding

__all__ = ["Result", "campaign", "found_inputs", "write_results"]

SILENCE_S = 60.0  # of a worker over one input, on a busy machine
_COLUMNS = ("target", "inputs", "guided_inputs", "seconds", "findings_open", "findings_mended", "peak_mib")
FOUND = Path(__file__).with_name("found")


@dataclass
class Result:
    """Of one target."""

    target: str
    inputs: int = 0
    guided: int = 0
    seconds: float = 0.0
    peak_mib: float = 0.0
    findings: dict[str, dict[str, str]] = field(default_factory=dict)


def found_inputs() -> dict[str, list[Path]]:
    """The inputs that were ever found to be read badly, by target."""
    return {name: sorted(p for p in (FOUND / name).glob("*") if p.is_file()) for name in TARGETS}


def campaign(names: Sequence[str], count: int, seconds: float, seed: int, workers: int, findings: Path) -> list[Result]:
    """Read `count` inputs, shared among the targets by their shares; no target takes longer than its share of `seconds`.

    Parameters
    ----------
    names : sequence of str
        Targets.
    count : int
    seconds : float
        Of all workers together; 0 = no limit.
    seed : int
    workers : int
        At a time.
    findings : Path
        Where inputs with findings are put.
    """
    shares = {name: TARGETS[name].share for name in names}
    whole = sum(shares.values())
    results = {name: Result(name) for name in names}

    def one(name: str) -> None:
        part = shares[name] / whole
        limit = seconds / len(shares) if seconds else 1e9
        _target(results[name], max(1, round(part * count)), limit, seed, findings / name)
        print(_line(results[name]), flush=True)

    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(one, name) for name in sorted(names, key=lambda n: -shares[n])]:
            done.result()
    return [results[name] for name in names]


def _target(result: Result, count: int, seconds: float, seed: int, findings: Path) -> None:
    """Workers one after another; a tenth of the inputs are guided by coverage, where that is possible."""
    can_guide = importlib.util.find_spec("atheris") is not None
    plan = [(False, count - count // 10), (True, count // 10)] if can_guide else [(False, count)]
    for guided, wanted in plan:
        deaths = 0
        while wanted > 0 and seconds > 0:
            read, took, died = _worker(
                result, wanted, seconds * (0.2 if guided else 0.8 if can_guide else 1.0), seed + deaths, guided, findings
            )
            result.inputs += read
            result.guided += read * guided
            result.seconds += took
            wanted -= read
            deaths += died
            if not died or deaths > 20:
                break


def _worker(result: Result, count: int, seconds: float, seed: int, guided: bool, findings: Path) -> tuple[int, float, bool]:
    """One worker; inputs read, seconds, whether it died."""
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=shared) as scratch:
        folder = Path(scratch)
        state = State(folder / "state", new=True)
        mode = ["guided"] if guided else []
        command = [sys.executable, "-X", "faulthandler", "-m", "fuzz.worker", result.target, str(folder / "state"), scratch]
        with (folder / "said").open("wb") as said:
            process = subprocess.Popen(
                [*command, str(seed), str(count), str(seconds), *mode],
                stdout=said,
                stderr=said,
                cwd=Path(__file__).parents[1],
                env=os.environ
                | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        hung = _watched(process, state)
        read, peak_kib, data, took = state.read()
        result.peak_mib = max(result.peak_mib, peak_kib / 1024)
        died = hung or process.returncode != 0
        if died and (read or data):
            kind, what = ("hang", f"more than {SILENCE_S:g} s") if hung else ("crash", f"exit {process.returncode}")
            write_finding(folder, Finding(kind, what, "native code"), data)
        elif died:
            told = (folder / "said").read_text(errors="replace").strip().splitlines()[-1:] or ["nothing said"]
            result.findings["set up"] = {"kind": "set up", "what": told[0], "where": "", "input": ""}
        _keep(folder, result, findings)
    return read, took, died


def _watched(process: subprocess.Popen[bytes], state: State) -> bool:
    """Wait for a worker; whether it had to be ended because it did not get on."""
    last, since = -1, time.monotonic()
    while process.poll() is None:
        time.sleep(0.1)
        now = state.read()[0]
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > SILENCE_S + 60 * (last <= 0):  # setting up takes longer
            process.kill()
            process.wait()
            return True
    return False


def _keep(folder: Path, result: Result, findings: Path) -> None:
    if not (folder / "findings.jsonl").exists():
        return
    for line in (folder / "findings.jsonl").read_text(encoding="utf-8").splitlines():
        found = json.loads(line)
        if found["key"] not in result.findings:
            result.findings[found["key"]] = found
            findings.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / found["input"], findings / found["input"])
            print(f"{result.target}: {found['kind']}: {found['what']:.160} at {found['where']} ({findings / found['input']})", flush=True)


def _line(result: Result) -> str:
    rate = result.inputs / result.seconds if result.seconds else 0.0
    speed = f"{result.seconds:.0f} s, {rate:.0f}/s"
    return f"{result.target}: {result.inputs} inputs, {speed}, {len(result.findings)} findings, {result.peak_mib:.0f} MiB"


def write_results(path: Path, results: Sequence[Result], mended: Mapping[str, int], *, add: bool = False) -> None:
    """The table of a campaign; `add` goes on counting from the one that is there."""
    before: dict[str, dict[str, str]] = {}
    if add and path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            before = {row["target"]: row for row in csv.DictReader(file)}
    path.parent.mkdir(parents=True, exist_ok=True)
    now = {r.target: r for r in results}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for name in [n for n in TARGETS if n in now or n in before]:
            r, old = now.get(name, Result(name)), before.get(name, dict.fromkeys(_COLUMNS, "0"))
            counts = [r.inputs + int(old["inputs"]), r.guided + int(old["guided_inputs"]), f"{r.seconds + float(old['seconds']):.1f}"]
            unmended = len(r.findings) if name in now else int(old["findings_open"])
            writer.writerow([name, *counts, unmended, mended.get(name, 0), f"{max(r.peak_mib, float(old['peak_mib'])):.0f}"])
