"""Images on their way to a model: read, decoded and made ready by threads, a bounded number of them ahead of the model.

Reading has threads of its own, which wait and take no processor: a slow disk holds up nobody who decodes.  Those who decode do everything
ahead of the model that needs no model: decoding, and `Model.prepare`, the cutting out of the face.  Only what `prepare` returns is kept,
so memory does not grow with the pictures waiting.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .batches import Ready, prepare_face
from .detectors.chosen import DetectedBoxes
from .errors import InputError, RunStoppedError
from .faces import Sample
from .images import REDUCTIONS, decode_reduced
from .models.interface import Model

__all__ = ["READERS", "StageSeconds", "default_workers", "ready_faces", "usable_cores"]

Array = npt.NDArray[Any]

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of processor time, in a period of so many
READERS = 4  # threads that read files
_MOST_WORKERS = 16  # beyond, threads wait for the interpreter rather than decode


def usable_cores() -> int:
    """Processor cores that this process may use: in a container, a batch job or under ``taskset`` fewer than there are."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text().split()
        return max(1, min(cores, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max"
        return cores


def default_workers(cores: int) -> int:
    """Threads that decode: half of the cores, since the model wants them too."""
    return min(_MOST_WORKERS, max(1, cores // 2))


@dataclass
class StageSeconds:
    """Where the time of a run went, in seconds; the first three are sums over threads, beside the model's own time.

    Attributes
    ----------
    read, decode, prepare : float
        Reading the bytes, decoding them, `Model.prepare`.
    wait : float
        The model had nothing to do: no face was ready.
    model : float
        Inside the model.
    write : float
        The run stood still for a part to be written.
    """

    read: float = 0.0
    decode: float = 0.0
    prepare: float = 0.0
    wait: float = 0.0
    model: float = 0.0
    write: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, **seconds: float) -> None:
        """Add to stages, from any thread."""
        with self._lock:
            for name, value in seconds.items():
                setattr(self, name, getattr(self, name) + value)

    def as_dict(self) -> dict[str, float]:
        """The seconds by stage."""
        return {name: getattr(self, name) for name in ("read", "decode", "prepare", "wait", "model", "write")}


def ready_faces(
    pool: ThreadPoolExecutor,
    model: Model,
    samples: Iterable[Sample],
    *,
    window: int,
    readers: ThreadPoolExecutor | None = None,
    reduced: bool = False,
    detected: DetectedBoxes | None = None,
    spent: StageSeconds | None = None,
) -> Iterator[tuple[Sample, Ready]]:
    """Samples ready for the model, in order, at most `window` of them at work or waiting; a failure is the error itself.

    Parameters
    ----------
    pool : ThreadPoolExecutor
        Its threads decode and prepare.
    model : Model
    samples : iterable of Sample
    window : int
    readers : ThreadPoolExecutor, optional
        Another one, whose threads read; without it those of `pool` do.
    reduced : bool
        Decode a JPEG at half, a quarter or an eighth of its size where the face box is still larger than the model's
        `input_px`: quicker, and not quite the same pixels.
    detected : DetectedBoxes, optional
        Gives the model its boxes instead of the samples, whose own then only say which face is meant; nothing is reduced then.
    spent : StageSeconds, optional
        Where the time is noted.

    Raises
    ------
    HpbenchError
        The detector itself does not work.
    """
    spent = spent if spent is not None else StageSeconds()
    waiting: deque[tuple[Sample, Future[Ready]]] = deque()
    source = iter(samples)

    def fill() -> None:
        while len(waiting) < window and (sample := next(source, None)) is not None:
            data = readers.submit(_read, sample, spent).result if readers is not None else lambda sample=sample: _read(sample, spent)
            waiting.append((sample, pool.submit(_prepared, model, sample, data, reduced, detected, spent)))

    fill()
    while waiting:
        sample, future = waiting.popleft()
        started = time.perf_counter()
        result = future.result()
        spent.add(wait=time.perf_counter() - started)
        yield sample, result
        fill()


def _read(sample: Sample, spent: StageSeconds) -> bytes:
    started = time.perf_counter()
    data = sample.image.fetch()
    spent.add(read=time.perf_counter() - started)
    return data


def _prepared(
    model: Model, sample: Sample, data: Callable[[], bytes], reduced: bool, detected: DetectedBoxes | None, spent: StageSeconds
) -> Ready:
    """One face, or why there is none; `data` returns the bytes of its image, or raises what came of reading it."""
    box = np.asarray(sample.box_xyxy_px, dtype=np.float64)
    try:
        encoded = data()
        times = [time.perf_counter()]
        by = _reduction(model, box) if reduced and detected is None else 1
        image, by = decode_reduced(encoded, sample.image.name, by)
        times.append(time.perf_counter())
    except RunStoppedError:  # OpenCV itself
        raise
    except InputError as error:
        return error
    except Exception as error:  # a damaged file may surprise a decoder: the face fails, the run goes on
        return InputError(f"{sample.image.name}: cannot be read ({type(error).__name__}: {str(error)[:100]}).")
    ready = prepare_face(model, sample, image, reduced_by=by, detected=detected)
    times.append(time.perf_counter())
    spent.add(decode=times[1] - times[0], prepare=times[2] - times[1])
    return ready


def _reduction(model: Model, box: Array) -> int:
    """By how much an image may be reduced: the face box stays at least as large as what the network sees."""
    side = float(np.min(box[2:] - box[:2]))
    return max((by for by in REDUCTIONS if model.input_px and side / by >= model.input_px), default=1)
