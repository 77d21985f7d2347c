"""Runs killed at any moment and begun again until they are done: what comes out must be what an undisturbed run writes."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from miniatures.aflw2000 import draw_aflw2000

from hpbench.catalog import dataset_card, split_ids

from .zygote import FACES_PER_PART, Zygote

__all__ = ["KINDS", "Result", "Scene", "by_kind", "differences", "kill_at_random", "kill_at_steps", "kind_of", "write_results"]

MODELS = Path(__file__).resolve().parent / "models.py"
FACES = 22  # 5 parts of 4 and one of 2
_VOLATILE = ("timing", "environment", "git", "date")  # what a record says of the session, not of the result
_MOST_KILLS = 2  # of one run; then it may finish
_FINISHED = "the run is finished and its shares are gone"  # what a merge says that was killed in its last step

# what a step is a step of, by the file that it changes; the first that fits
KINDS = {
    "folder taken": r"^(os\.mkdir|open|os\.rename|os\.remove) (/?$|/\.lock$|/predictions\.parts$|/predictions\.parts/\.?run\.json)",
    "part written": r"/predictions\.parts/.*part-",
    "parts joined": r"/\.?predictions\.h5",
    "errors written": r"errors\.npz",
    "record written": r"@\d+\.json",
    "parts removed": r"/\.predictions\.parts\.done|^os\.rename /predictions\.parts$|^os\.(remove|rmdir) [^/]",
    "shares removed": r"/shards",
}


@dataclass(frozen=True)
class Result:
    """Of one kind of fault.

    Attributes
    ----------
    kind : str
    rounds : int
        Runs that were disturbed.
    identical : int
        Of these, runs whose files were those of the undisturbed one in the end.
    seconds : float
    """

    kind: str
    rounds: int
    identical: int
    seconds: float


class Scene:
    """Drawn faces, and what an undisturbed run makes of them."""

    def __init__(self, folder: Path, zygote: Zygote) -> None:
        self.folder, self.zygote = folder, zygote
        draw_aflw2000(folder / "faces", count=FACES, seed=3, ids=split_ids(dataset_card("aflw2000"), "all")[:FACES])
        self.reference = folder / "reference"
        done = zygote.run(self.command(self.reference))
        assert done.code == 0, done.told

    def command(self, out: Path, model: str = "Steady", *more: str) -> list[str]:
        """``hpbench`` over the faces."""
        return ["run", "-m", f"{MODELS}:{model}", "-d", "aflw2000", "--data", str(self.folder / "faces"), "-o", str(out), *more]

    def out(self, name: str) -> Path:
        """A folder that is not there."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        return self.folder / name

    def steps(self, prepared: Callable[[Path], Sequence[str]]) -> list[str]:
        """The steps of a command that is not disturbed."""
        out = self.out("steps")
        done = self.zygote.run(list(prepared(out)), watched=out)
        assert done.code == 0, done.told
        return done.steps

    def whole(self, out: Path) -> Sequence[str]:
        """The command of a run."""
        return self.command(out)

    def merging(self, out: Path) -> Sequence[str]:
        """The command that joins a run's shares, which are there."""
        for share in ("1/2", "2/2"):
            done = self.zygote.run([*self.command(out), "--shard", share])
            assert done.code == 0, done.told
        return ["merge", str(out)]


def differences(out: Path, reference: Path) -> list[str]:
    """In which files two output folders differ: predictions and errors byte for byte, records but for what they say of the session."""
    names = [{p.name for p in folder.iterdir() if p.name != ".lock"} if folder.is_dir() else set() for folder in (out, reference)]
    return sorted(names[0] ^ names[1]) + [n for n in sorted(names[0] & names[1]) if _content(out / n) != _content(reference / n)]


def _content(path: Path) -> object:
    if path.suffix != ".json":
        return path.read_bytes() if path.is_file() else sorted(path.iterdir())
    record = json.loads(path.read_text(encoding="utf-8"))
    return {key: value for key, value in record.items() if key not in _VOLATILE}


def kind_of(step: str) -> str:
    """What a step is a step of."""
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, step)), "other")


def by_kind(steps: Sequence[str]) -> dict[str, list[int]]:
    """The numbers of steps by kind."""
    found: dict[str, list[int]] = {}
    for number, step in enumerate(steps):
        found.setdefault(kind_of(step), []).append(number)
    return found


def kill_at_steps(
    scene: Scene, kind: str, numbers: Iterable[int], prepared: Callable[[Path], Sequence[str]], *, again: np.random.Generator | None = None
) -> tuple[Result, list[str]]:
    """Kill a command before each of these steps and give it again; `again`: killed a second time, at a random step.

    Returns
    -------
    result : Result
    faults : list of str
        What was not identical.
    """
    started, rounds, faults = time.perf_counter(), 0, []
    for number in numbers:
        out = scene.out("killed")
        command = list(prepared(out))
        killed = scene.zygote.run(command, watched=out, kill_at=number)
        codes = [killed.code]
        if again is not None:
            codes.append(scene.zygote.run(command, watched=out, kill_at=int(again.integers(60))).code)
        last = scene.zygote.run(command)
        rounds += 1
        wrong = differences(out, scene.reference)
        ended = last.code == 0 or _FINISHED in last.told
        if wrong or not ended or "Traceback" in last.told:
            faults.append(f"{kind}, step {number} ({killed.steps[-1:]}): {codes}, then {last.code}: {wrong} {last.told[-300:]}")
    return Result(kind, rounds, rounds - len(faults), time.perf_counter() - started), faults


_DRIVER = textwrap.dedent(f"""
    import sys
    import hpbench.parts
    hpbench.parts._FACES_PER_PART = {FACES_PER_PART}
    from hpbench.cli import main
    main()
""")


def real_process(command: Sequence[str], **how: object) -> subprocess.Popen[str]:
    """A command of hpbench in an interpreter of its own, in small parts."""
    return subprocess.Popen([sys.executable, "-c", _DRIVER, *command], text=True, **how)  # type: ignore[call-overload,no-any-return]


def kill_at_random(scene: Scene, rounds: int, seed: int, sign: int = signal.SIGKILL) -> tuple[Result, list[str]]:
    """Kill a real process after a random time, again and again, until one comes to its end; the model takes its time.

    The times are drawn from the length of an undisturbed run; the seed gives the same times, the machine decides where they fall.
    """
    rng = np.random.default_rng(seed)
    slow = ["--model-arg", "delay=0.15"]
    out = scene.out("reference of the slow")
    begun = time.perf_counter()
    assert real_process([*scene.command(out, "Steady", *slow)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait() == 0
    whole_s = time.perf_counter() - begun
    reference, started, faults = out.rename(scene.out("slow")), time.perf_counter(), []
    for number in range(rounds):
        out = scene.out("killed")
        kills = 0
        while True:
            process = real_process(scene.command(out, "Steady", *slow), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            try:
                _, told = process.communicate(timeout=float(rng.uniform(0.35, 1.0)) * whole_s if kills < _MOST_KILLS else None)
                break
            except subprocess.TimeoutExpired:
                process.send_signal(sign)
                process.communicate()
                kills += 1
        wrong = differences(out, reference)
        if wrong or process.returncode != 0 or "Traceback" in told:
            faults.append(f"random, round {number}: {kills} kills, then {process.returncode}: {wrong} {told[-300:]}")
    return Result("at random", rounds, rounds - len(faults), time.perf_counter() - started), faults


def write_results(path: Path, results: Iterable[Result]) -> None:
    """The table of a campaign."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["kind", "rounds", "identical", "seconds"])
        table.writerows([r.kind, r.rounds, r.identical, f"{r.seconds:.1f}"] for r in results)
