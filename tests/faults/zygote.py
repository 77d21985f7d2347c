"""Processes of hpbench that start at once, because they are forked off one that has imported everything, and that fail on order.

A request is a line of JSON on stdin, the answer one on stdout.  POSIX only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["FACES_PER_PART", "Outcome", "Zygote"]

FACES_PER_PART = 4
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes
    ----------
    code : int
        Exit code; minus the signal that killed it.
    told : str
        What it said on stderr.
    steps : list of str
        Every change of a file below the watched folder that it was about to make, in order; the last may not have happened.
    """

    code: int
    told: str
    steps: list[str]


class Zygote:
    """Runs commands of hpbench in forks of one process; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "zygote.log"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.zygote"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).resolve().parent.parent,
        )  # fmt: skip

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def run(
        self, command: list[str], *, watched: Path | None = None, kill_at: int = -1, file_bytes: int = 0, clock_shift_s: float = 0.0
    ) -> Outcome:
        """A command line without ``hpbench``.

        Parameters
        ----------
        watched : Path
            A folder whose changes are steps.
        kill_at : int
            The step before which the process is killed, counted from 0; -1: none.
        file_bytes : int
            No file can be made larger: as on a disk that is full.
        clock_shift_s : float
            By how much the clock is wrong.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        request = {
            "command": command, "watched": str(watched or ""), "kill_at": int(kill_at), "file_bytes": file_bytes,
            "clock_shift_s": clock_shift_s, "log": str(self._log),
        }  # fmt: skip
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        told = self._log.read_text(encoding="utf-8", errors="replace")
        return Outcome(code, told, self._log.with_suffix(".steps").read_text().splitlines())


def _serve() -> None:
    import cv2  # noqa: F401
    import filelock  # noqa: F401
    import h5py  # noqa: F401
    import scipy.io
    import scipy.spatial.transform
    import scipy.stats  # noqa: F401

    import hpbench.cli.merge
    import hpbench.cli.run
    import hpbench.doctor
    import hpbench.jobs
    import hpbench.parts
    import hpbench.pipeline
    import hpbench.report.tables

    hpbench.parts._FACES_PER_PART = FACES_PER_PART  # type: ignore[attr-defined]
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(request)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(request: dict[str, Any]) -> None:
    """The child: never returns."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    steps = os.open(str(Path(request["log"]).with_suffix(".steps")), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.dup2(log, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts us in the background has it ignored
    if request["file_bytes"]:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_bytes"],) * 2)
    if request["clock_shift_s"]:
        real = time.time
        time.time = lambda: real() + request["clock_shift_s"]
    if request["watched"]:
        _watch(request["watched"], request["kill_at"], steps)
    from hpbench.cli import main

    sys.argv = ["hpbench", *request["command"]]
    code = 0
    try:
        main()
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 70
    sys.stderr.flush()
    os._exit(code)


def _watch(folder: str, kill_at: int, steps: int) -> None:
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in _CHANGES:
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITES):
            return
        path = os.fspath(arguments[0]) if isinstance(arguments[0], (str, os.PathLike)) else ""
        within = event in ("os.remove", "os.rmdir") and arguments[1] != -1  # of shutil.rmtree: by descriptor
        if not path or not (path.startswith(folder) or within):
            return
        if (event == "os.mkdir" and os.path.isdir(path)) or (event == "os.remove" and not within and not os.path.lexists(path)):
            return  # there, and gone, already: nothing changes
        os.write(steps, f"{event} {path.removeprefix(folder)}\n".encode())
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1

    sys.addaudithook(hook)


if __name__ == "__main__":
    _serve()
