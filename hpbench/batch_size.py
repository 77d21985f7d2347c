"""``--batch-size auto``: as many faces a call as this device likes, found by trying."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import islice

from .batches import Prepared, Watch, prepare_face
from .detectors.chosen import DetectedBoxes
from .errors import InputError, RunStoppedError
from .faces import Sample
from .models.interface import Model

__all__ = ["choose_batch_size"]

_FACES = 32  # tried with, over and over
_MOST = 512  # faces a call
_MOST_BYTES = 1 << 28  # of pictures in a call, for models that are given whole ones
_SECONDS = 0.3  # a size is tried for
_GAIN = 1.05  # what a larger batch must bring, or it only takes memory

Clock = Callable[[], float]


def choose_batch_size(
    model: Model,
    samples: Iterable[Sample],
    most: int,
    *,
    detected: DetectedBoxes | None = None,
    timeout_s: float | None = None,
    remark: Callable[[str], None] = lambda _: None,
    clock: Clock = time.perf_counter,
) -> int:
    """Try 1, 2, 4, ... faces a call; the smallest of which none larger is more than 5 % quicker a face, and that memory holds.

    Parameters
    ----------
    model : Model
    samples : iterable of Sample
        The faces of the run; the first that can be read are tried with.
    most : int
        How many there are.
    detected : DetectedBoxes, optional
        Gives the model its boxes.
    timeout_s : float, optional
        How long a call may take.
    remark : callable
        Told what was chosen.
    clock : callable
        Seconds.

    Returns
    -------
    int
        The model's own number where nothing can be tried: no face can be read, or the model fails on them (the run will say how).

    Raises
    ------
    RunStoppedError
        The model does not answer.
    """
    faces = _ready(model, samples, detected)
    watch = Watch(model, timeout_s=timeout_s)
    most = min(_MOST, most, max(1, _MOST_BYTES // max([1, *(_bytes(item.face) for item in faces)])))
    tried: dict[int, float] = {}
    try:
        while faces and (size := 2 ** len(tried)) <= most:
            batch = [faces[i % len(faces)] for i in range(size)]
            if timeout_s and tried and 2 * size / tried[size // 2] > timeout_s / 2:
                break  # a call that does not come back in time would end the run
            try:
                tried[size] = size / _seconds(lambda batch=batch: watch.call(batch), clock)  # type: ignore[misc]
            except RunStoppedError as error:
                raise RunStoppedError(f"--batch-size auto, {size} faces a call: {error}") from None
            except (Exception, SystemExit):  # of a model, anything, and of memory: what it took before is what it takes
                break
            recent = [tried[s] for s in tried if s * 4 > size]
            if len(tried) > 2 and max(recent) < _GAIN * max(rate for s, rate in tried.items() if s * 4 <= size):
                break  # two doublings in vain
    finally:
        watch.close()
    if not tried:
        why = "the model fails on the first face" if faces else "none of the first faces can be read"
        remark(f"--batch-size {model.batch_size}, the model's own: {why}")
        return model.batch_size
    chosen = min(size for size, rate in tried.items() if _GAIN * rate >= max(tried.values()))
    remark(f"--batch-size {chosen}: of {', '.join(f'{s} ({rate:.3g} faces/s)' for s, rate in tried.items())}")
    return chosen


def _ready(model: Model, samples: Iterable[Sample], detected: DetectedBoxes | None) -> list[Prepared]:
    """The first faces cut out, those left out that have no image or no box."""
    found: list[Prepared] = []
    for sample in islice(samples, 4 * _FACES):
        try:
            item = prepare_face(model, sample, sample.image.read(), detected=detected)
        except InputError:
            continue
        if isinstance(item, Prepared):
            found.append(item)
        if len(found) == _FACES:
            break
    return found


def _seconds(call: Callable[[], object], clock: Clock) -> float:
    """The quickest of the calls that fit into the time, the first aside, which loads and tunes."""
    call()
    started, best = clock(), float("inf")
    while True:
        before = clock()
        call()
        best = min(best, max(clock() - before, 1e-9))
        if clock() - started >= _SECONDS:
            return best


def _bytes(face: object) -> int:
    return int(getattr(face, "nbytes", 0))
