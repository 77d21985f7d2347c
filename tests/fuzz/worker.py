"""Reads inputs in a process of its own, so that a crash of native code, a circle or a bomb ends the worker and not the campaign.

``python -m fuzz.worker TARGET STATE FOLDER SEED COUNT SECONDS [guided]``.  What is going on stands in the file STATE, which is mapped
into memory and so outlives the process: how many inputs were read, and the input that is being read.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from .mutations import mutate_bytes
from .oracle import Finding, Touched, judge
from .prepared import Prepared

__all__ = ["State", "main"]

MAX_ADDRESS_BYTES = 1 << 30  # beyond what the process has when its seeds are read
_HEADER = struct.Struct("<QQQd")  # inputs read, peak KiB of memory, length of the present input, seconds
_ROOM = 4 << 20
_NEVER = (
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "socket.connect", "pickle.find_class", "os.symlink", "os.link",
)  # fmt: skip
_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree")


class State:
    """Counters and the present input, in a file."""

    def __init__(self, path: Path, *, new: bool = False) -> None:
        if new:
            path.write_bytes(bytes(_HEADER.size + _ROOM))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def begin(self, count: int, data: bytes, seconds: float) -> None:
        kept = data[:_ROOM]
        self._map[_HEADER.size : _HEADER.size + len(kept)] = kept
        _HEADER.pack_into(self._map, 0, count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(kept), seconds)

    def read(self) -> tuple[int, int, bytes, float]:
        """Inputs read, peak KiB, the present input, seconds."""
        count, peak, length, seconds = _HEADER.unpack_from(self._map, 0)
        return count, peak, bytes(self._map[_HEADER.size : _HEADER.size + length]), seconds


def main() -> None:
    name, state_path, folder, seed, count, seconds, *mode = sys.argv[1:]
    os.environ["OPENCV_LOG_LEVEL"] = "OFF"
    os.environ["HPBENCH_CACHE"] = str(Path(folder, "cache"))
    os.environ.pop("HPBENCH_CATALOG", None)
    if mode:
        import atheris

        with atheris.instrument_imports(include=["hpbench"], enable_loader_override=False):
            import hpbench.validation  # noqa: F401

            from .targets import TARGETS
    else:
        from .targets import TARGETS
    import warnings

    warnings.simplefilter("ignore")
    scratch = Path(folder, "scratch")
    scratch.mkdir()
    target = TARGETS[name]
    prepared = target.prepare(scratch)
    for data in prepared.seeds:
        prepared.read(data)
    _limit_memory()
    sys.addaudithook(_guard(Path(folder)))
    log = _Log(Path(folder), State(Path(state_path)), prepared)
    if mode:
        _guided(log, target.mutate, Path(folder), int(seed), int(count), float(seconds))
    else:
        _blind(log, target.mutate, int(seed), int(count), float(seconds))


class _Log:
    """Judges inputs and writes down findings, each once."""

    def __init__(self, folder: Path, state: State, prepared: Prepared) -> None:
        self.prepared, self._folder, self._state = prepared, folder, state
        self._began, self._seen = time.monotonic(), set[str]()
        self.count = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def judge(self, data: bytes) -> None:
        self._state.begin(self.count, data, self.seconds)
        found = judge(self.prepared.read, data)
        self.count += 1
        if found is not None and found.key not in self._seen:
            self._seen.add(found.key)
            write_finding(self._folder, found, data)

    def done(self) -> None:
        self._state.begin(self.count, b"", self.seconds)


def write_finding(folder: Path, found: Finding, data: bytes) -> None:
    """The input beside a line that says what is wrong with it."""
    name = sha256(data).hexdigest()[:12]
    (folder / f"{name}.input").write_bytes(data)
    with (folder / "findings.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({**asdict(found), "key": found.key, "input": f"{name}.input"}) + "\n")


def _blind(log: _Log, mutate: Callable[[Random, bytes], bytes], seed: int, count: int, seconds: float) -> None:
    rng = Random(seed)
    seeds = log.prepared.seeds
    while log.count < count and (log.count % 16 or log.seconds < seconds):
        data = _mutated(mutate, rng, rng.choice(seeds))
        if rng.random() < 0.2:
            data = _mutated(mutate, rng, data)
        log.judge(data)
    log.done()


def _mutated(mutate: Callable[[Random, bytes], bytes], rng: Random, data: bytes) -> bytes:
    try:
        return mutate(rng, data)
    except RecursionError:  # nested too deep to be spoilt as a tree
        return mutate_bytes(rng, data)


def _guided(log: _Log, mutate: Callable[[Random, bytes], bytes], folder: Path, seed: int, count: int, seconds: float) -> None:
    """libFuzzer keeps inputs that reach new lines and goes on from them; half the mutations are its own."""
    import atheris

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, data in enumerate(log.prepared.seeds):
        (corpus / str(number)).write_bytes(data)

    def other(data: bytes, most: int, number: int) -> bytes:
        rng = Random(number)
        return (atheris.Mutate(data, most) if rng.random() < 0.5 else _mutated(mutate, rng, data))[:most]

    def one(data: bytes) -> None:
        log.judge(data)
        if log.count >= count:
            log.done()
            os._exit(0)  # libFuzzer's own limit counts calls that are none of ours

    options = (
        f"-max_total_time={max(1, int(seconds))}",
        f"-seed={seed or 1}",
        "-max_len=65536",
        "-rss_limit_mb=0",
        "-timeout=300",
        "-verbosity=0",
    )
    atheris.Setup(["fuzz", *options, str(corpus)], one, custom_mutator=other)
    atheris.Fuzz()


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        now = pages * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MAX_ADDRESS_BYTES, resource.RLIM_INFINITY))


def _guard(folder: Path) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook: reading starts no process, opens no connection, unpickles nothing, writes in its own and temporary folders."""
    allowed = (f"{folder.resolve()}{os.sep}", os.path.join(os.path.realpath(tempfile.gettempdir()), tempfile.gettempprefix()), os.devnull)
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event in _NEVER and not (event == "subprocess.Popen" and given[0] == sys.executable):  # hpbench.untrusted.survives_hdf5
            raise Touched(f"{event} {given[:1]!r:.100}")
        writes = event in _CHANGES or (event == "open" and (given[2] or 0) & writing)
        # what is relative lies below an open folder (shutil.rmtree); numbers are files that are open already
        if writes and isinstance(given[0], str | Path) and os.path.isabs(given[0]):
            real = os.path.join(os.path.realpath(os.path.dirname(given[0])), os.path.basename(given[0]))
            if not real.startswith(allowed):
                raise Touched(f"{event} {str(given[0])!r:.100}")

    return hook


if __name__ == "__main__":
    main()
