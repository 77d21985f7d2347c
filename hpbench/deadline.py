"""A call that must come back in time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .errors import RunStoppedError

__all__ = ["Deadline"]

T = TypeVar("T")


class Deadline:
    """Runs calls one after another in a thread of its own and waits for each no longer than `seconds`.

    A call that does not come back cannot be ended from outside: its thread is left behind (it does not keep the
    process alive), and nothing more can be run here.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._tasks: queue.Queue[Callable[[], Any]] = queue.Queue()
        self._answers: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue()
        threading.Thread(target=self._work, daemon=True, name="model").start()

    def run(self, call: Callable[[], T], name: str) -> T:
        """The result of `call`, or what it raised.

        Raises
        ------
        RunStoppedError
            It has not come back in time.
        """
        self._tasks.put(call)
        try:
            answer, error = self._answers.get(timeout=self.seconds)
        except queue.Empty:
            raise RunStoppedError(
                f"model {name} has not answered for {self.seconds:g} s (--timeout): finished parts are kept; a model that runs as a "
                f"worker (-m worker:...) can be ended, and then only the face fails."
            ) from None
        if error is not None:
            raise error
        return answer

    def _work(self) -> None:
        while True:
            call = self._tasks.get()
            try:
                self._answers.put((call(), None))
            except BaseException as error:
                self._answers.put((None, error))
            del call  # what it holds of a batch is not kept until the next
