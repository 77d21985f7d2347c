"""A worker process as its parent sees it: requests go down its stdin, answers come up its stdout, and any of it may fail.

Threads do the reading and writing, so that a worker that hangs, floods its stderr or answers byte by byte cannot block
its parent beyond the time allowed, and so that it works where pipes cannot be polled (Windows).
"""

from __future__ import annotations

import codecs
import contextlib
import math
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ..errors import InputError
from . import worker_side

__all__ = ["WorkerFaultError", "WorkerProcess"]

Array = npt.NDArray[Any]
Columns = dict[str, Array]

_POLL_S = 0.1
_LAST_WORDS_S = 0.5  # for what a process that has ended still has in its pipes
_FAREWELL_S = 2.0  # for a worker that was asked to end
_TAIL_CHARACTERS = 2000  # of stderr, kept for the reason


class WorkerFaultError(InputError):
    """The worker died, hung or broke the protocol: nothing more is to be had of this process."""


class WorkerProcess:
    """A process that speaks the protocol of workers, in a process group of its own.

    Parameters
    ----------
    command : sequence of str
        Program and arguments, without a shell.
    folder : Path, optional
        Where it runs; here by default.
    memory_mib : int, optional
        Limit of its address space.

    Raises
    ------
    InputError
        The program cannot be started.
    """

    def __init__(self, command: Sequence[str], folder: Path | None = None, memory_mib: int | None = None) -> None:
        program = _program(command[0], folder)
        words = [program, *command[1:]]
        if memory_mib is not None:
            if os.name != "posix":
                raise InputError("memory_mib: this system cannot limit the memory of a worker.")
            # a shell, because setting the limit between fork and exec is not safe with threads
            words = ["/bin/sh", "-c", 'ulimit -v "$0" && exec "$@"', str(memory_mib * 1024), *words]
        try:
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder,
                start_new_session=True,  # Ctrl-C is for us, who end it; and its own children are ended with it
            )  # fmt: skip
        except (OSError, ValueError) as error:
            raise InputError(f"worker {program}: cannot be started ({getattr(error, 'strerror', None) or error}).") from None
        self._answers: queue.Queue[tuple[dict[str, Any], list[tuple[str, Array]]] | BaseException | None] = queue.Queue()
        self._calls = 0
        self._tail = ""
        self._sender: threading.Thread | None = None
        threading.Thread(target=self._receive, daemon=True, name="worker answers").start()
        self._drain = threading.Thread(target=self._pass_on, daemon=True, name="worker stderr")
        self._drain.start()

    def call(self, request: Mapping[str, Any], arrays: Sequence[tuple[str, Array]], timeout_s: float) -> tuple[dict[str, Any], Columns]:
        """The answer to a request: header and arrays by name.

        Raises
        ------
        WorkerFaultError
            No answer within `timeout_s`, or none that can be understood; `close` the worker then.
        InputError
            The request cannot be sent.
        """
        self._calls += 1
        try:
            buffers = worker_side.frame({**request, "id": self._calls}, list(arrays), worker_side.MAX_REQUEST_BYTES)
        except (TypeError, ValueError) as error:
            raise InputError(f"the worker cannot be asked: {error}.") from None
        self._sender = threading.Thread(target=self._send, args=(buffers,), daemon=True, name="worker requests")
        self._sender.start()
        answer = self._awaited(timeout_s)
        if isinstance(answer, EOFError) or answer is None:
            raise WorkerFaultError(f"the worker {self._end()}{self._last_line()}.")
        if isinstance(answer, BaseException):
            raise WorkerFaultError(f"the worker wrote {answer}.")
        header, columns = answer
        if header.get("id") != self._calls:
            raise WorkerFaultError(f"the worker answered request {header.get('id')!r:.20} when asked request {self._calls}.")
        if len({name for name, _ in columns}) < len(columns):
            raise WorkerFaultError("the worker gave one array twice in an answer.")
        return header, dict(columns)

    def close(self, farewell_s: float = _FAREWELL_S) -> None:
        """Ask it to end, then end it with all its children; harmless when it has ended."""
        if farewell_s > 0 and not self._is_sending():
            self._hang_up()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(farewell_s)
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        if self._sender is not None:
            self._sender.join(_LAST_WORDS_S)
        if not self._is_sending():
            self._hang_up()

    def _is_sending(self) -> bool:
        return self._sender is not None and self._sender.is_alive()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.close()  # type: ignore[union-attr]

    def _send(self, buffers: Sequence[Any]) -> None:
        with contextlib.suppress(OSError, ValueError):  # it has ended: the reader sees that, too
            for buffer in buffers:
                self._process.stdin.write(buffer)  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]

    def _receive(self) -> None:
        answer: Any = True
        while answer is not None and not isinstance(answer, BaseException):
            try:
                answer = worker_side.read_frame(self._process.stdout, worker_side.MAX_ANSWER_BYTES)  # type: ignore[arg-type]
            except (OSError, EOFError):
                answer = None
            except Exception as error:  # what it says is not ours: whatever is wrong with it is passed on
                answer = error
            self._answers.put(answer)
        self._process.stdout.close()  # type: ignore[union-attr]

    def _pass_on(self) -> None:
        """Its stderr to ours, as it comes; the end is kept."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while data := self._process.stderr.read1(65536):  # type: ignore[union-attr]
            text = decoder.decode(data)
            self._tail = (self._tail + text)[-_TAIL_CHARACTERS:]
            with contextlib.suppress(OSError, ValueError, AttributeError):  # ours may be closed, or absent
                sys.stderr.write(text)
                sys.stderr.flush()
        self._process.stderr.close()  # type: ignore[union-attr]

    def _awaited(self, timeout_s: float) -> Any:
        deadline, dead_since = time.monotonic() + timeout_s, math.inf
        while True:
            try:
                return self._answers.get(timeout=_POLL_S)
            except queue.Empty:
                now = time.monotonic()
                if self._process.poll() is not None:  # a child of its own may hold its pipe open: no end of file then
                    dead_since = min(dead_since, now)
                if now - dead_since > _LAST_WORDS_S:
                    return None
                if now > deadline:
                    raise WorkerFaultError(f"the worker gave no answer within {timeout_s:g} s{self._last_line()}.") from None

    def _end(self) -> str:
        """How it ended."""
        try:
            code = self._process.wait(_LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            return "closed its stdout without an answer"
        number = -code if code < 0 else code - 128 if 128 < code < 160 else 0  # 128 + signal: so a shell or container says it
        if not number:
            return f"ended with exit code {code} without an answer"
        with contextlib.suppress(ValueError):
            return f"was killed by signal {number} ({signal.Signals(number).name}{': out of memory?' if number == 9 else ''})"
        return f"was killed by signal {number}"

    def _last_line(self) -> str:
        """What it said last, as the end of a sentence."""
        self._drain.join(_LAST_WORDS_S if self._process.poll() is not None else 0)
        lines = [line.strip() for line in self._tail.splitlines() if line.strip()]
        return f"; it said last: {lines[-1][:160].rstrip('.')}" if lines else ""


def _program(word: str, folder: Path | None) -> str:
    """The program of a command; a relative path is one in `folder`."""
    name = str(folder / word) if folder is not None and os.path.dirname(word) else word
    found = shutil.which(name)
    if found is None:
        missing = "is no program that can be run" if os.path.exists(name) else "there is no such program"
        raise InputError(f"worker {name}: {missing}.")
    return found
