"""A call that must come back in time."""

from __future__ import annotations

import faulthandler
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .errors import RunStoppedError

__all__ = ["Deadline", "has_left_behind"]

T = TypeVar("T")

_THREAD = "hpbench-model"
_GRACE_S = 5.0  # past the deadline, until a call is held to hold the interpreter itself
_MOMENT_S = 0.1
_LONGEST_S = 1e9  # that the system can wait for
_STDERR = 2


class Deadline:
    """Runs calls one after another in a thread of its own and waits for each no longer than `seconds`.

    A call that does not come back cannot be ended from outside: its thread is left behind (`has_left_behind`), and nothing
    more can be run here.  A call that keeps even the interpreter to itself, as native code may, leaves nobody to say so:
    then the process ends some seconds later, with exit code 1 and Python's account of where every thread is.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = min(seconds, _LONGEST_S)
        self._tasks: queue.Queue[Callable[[], Any] | None] = queue.Queue()
        self._answers: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue()
        self._thread = threading.Thread(target=self._work, daemon=True, name=_THREAD)
        self._thread.start()

    def run(self, call: Callable[[], T], name: str) -> T:
        """The result of `call`, or what it raised.

        Raises
        ------
        RunStoppedError
            It has not come back in time.
        """
        faulthandler.dump_traceback_later(self.seconds + _GRACE_S, exit=True, file=_STDERR)
        try:
            self._tasks.put(call)
            answer, error = self._answers.get(timeout=self.seconds)
        except queue.Empty:
            raise RunStoppedError(
                f"model {name} has not answered for {self.seconds:g} s (--timeout): finished parts are kept; a model that runs as a "
                f"worker (-m worker:...) can be ended, and then only the face fails."
            ) from None
        finally:
            faulthandler.cancel_dump_traceback_later()
        if error is not None:
            raise error
        return answer

    def close(self) -> None:
        """No more calls."""
        self._tasks.put(None)
        self._thread.join(_MOMENT_S)  # at once, where no call is at work

    def _work(self) -> None:
        while (call := self._tasks.get()) is not None:
            try:
                self._answers.put((call(), None))
            except BaseException as error:
                self._answers.put((None, error))
            del call  # what it holds of a batch is not kept until the next


def has_left_behind() -> bool:
    """Whether a call is still at work in its thread.

    Then a process must end by `os._exit`: where the thread comes back from native code into an interpreter that is ending,
    the process would be aborted.
    """
    return any(thread.name == _THREAD for thread in threading.enumerate())
