"""Processor time of each stage of rendering, for ``hpbench`` benchmarks; it costs microseconds and is always on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Clock"]


class Clock:
    """Adds up seconds by stage.

    Attributes
    ----------
    seconds : dict of str to float
        Processor time of this process.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """While it lasts, time is that of `stage`."""
        start = time.process_time()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.process_time() - start
