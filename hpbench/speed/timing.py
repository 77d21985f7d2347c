"""A call timed: warmed up until it is stable, then repeated.

The clock is an argument, so that tests need not wait and machines need not be quiet for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from .record import Timed

__all__ = ["STABLE", "timed"]

STABLE = 0.05  # by which the medians of the last two rounds of the warm-up differ at most
_ROUND = 0.2  # of the seconds: a round of the warm-up
_ROUND_CALLS = 3  # at least, unless they take the seconds
_MOST_ROUNDS = 10
_REPEATS = 20  # at least, unless they took _PATIENCE times the seconds
_FEWEST = 3
_PATIENCE = 3.0

Clock = Callable[[], float]


def timed(call: Callable[[], object], *, faces: int, batch_size: int = 0, seconds: float = 1.0, clock: Clock = time.perf_counter) -> Timed:
    """Time a call.

    Parameters
    ----------
    call : callable
        Does the work for `faces` faces, to its end.
    faces : int
    batch_size : int
        `faces` if left out.
    seconds : float
        The call is repeated for as long, and at least 20 times unless that takes more than three times as long (then 3 times at least).
    clock : callable
        Seconds.
    """
    warm_up, stable = _warmed_up(call, seconds, clock)
    times: list[float] = []
    while len(times) < _FEWEST or _goes_on(sum(times), len(times), seconds):
        times.append(_once(call, clock))
    p5, p50, p95 = (1000.0 * float(v) for v in np.percentile(times, (5, 50, 95)))
    return Timed(faces, batch_size or faces, len(times), warm_up, stable, p5, p50, p95)


def _goes_on(spent: float, repeats: int, seconds: float) -> bool:
    return spent < seconds or (repeats < _REPEATS and spent < _PATIENCE * seconds)


def _warmed_up(call: Callable[[], object], seconds: float, clock: Clock) -> tuple[int, bool]:
    """Calls made, and whether the last two rounds agree: caches, autotuning and clocks have settled."""
    call()  # loads and compiles: no sign of what follows
    calls, spent, before = 1, 0.0, 0.0
    for number in range(_MOST_ROUNDS):
        if number >= 2 and spent > _PATIENCE * seconds:
            break
        times: list[float] = []
        while sum(times) < _ROUND * seconds or (len(times) < _ROUND_CALLS and sum(times) < seconds):
            times.append(_once(call, clock))
        calls, spent = calls + len(times), spent + sum(times)
        now = float(np.median(times))
        if before and abs(now - before) <= STABLE * before:
            return calls, True
        before = now
    return calls, False


def _once(call: Callable[[], object], clock: Clock) -> float:
    started = clock()
    call()
    return max(clock() - started, 1e-9)  # a clock may not have moved
