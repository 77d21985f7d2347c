"""A run against its bare model: what reading, decoding, cutting out and writing add to the model's own time, and where time goes.

Bare is `Model.predict` on decoded images in memory, cutting out included; end to end is a run up to its last part on the disk.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..faces import Sample
from ..models.interface import Model
from ..parts import Parts
from ..pipeline import default_workers, usable_cores
from ..predict import Setup, predict_parts
from .record import EndToEnd

__all__ = ["ROUNDS", "end_to_end_against_bare", "ways_of"]

ROUNDS = 3  # at least, of which the best counts: what disturbs a run only ever makes it longer
_DECODED = 96  # faces of the bare model: their images lie in memory


class _Cost(NamedTuple):
    """Of a face, in milliseconds: on the clock, of all cores together, and where it went."""

    wall_ms: float
    processor_ms: float
    stages_ms: dict[str, float]


def ways_of(model: Model) -> list[Setup]:
    """The ways to feed a model worth a comparison: as many threads that decode as by default and twice as many, in full and reduced."""
    workers = [times * default_workers(usable_cores()) for times in (1, 2)]
    return [Setup(count, reduced) for count in workers for reduced in ((False, True) if model.input_px else (False,))]


def end_to_end_against_bare(
    model: Model, samples: Sequence[Sample], ways: Sequence[Setup], *, boxes: str = "", batch_size: int = 0, seconds: float = 0.0
) -> list[EndToEnd]:
    """Time runs of a model over faces, and the bare model, in turns, so that a busy minute is no one's alone.

    Parameters
    ----------
    model : Model
    samples : sequence of Sample
        With images that can be read.
    ways : sequence of Setup
        How the run feeds the model; a measurement each.
    boxes : str
        Name of their box set.
    batch_size : int
        The model's own if left out.
    seconds : float
        Every way and the bare model are repeated for so long, `ROUNDS` times at least.

    Raises
    ------
    HpbenchError
        As a run, or the model, raises it.
    """
    size = batch_size or model.batch_size
    ids = [sample.sample_id for sample in samples]
    images = [sample.image.read() for sample in samples[:_DECODED]]
    box = np.stack([sample.box_xyxy_px for sample in samples[:_DECODED]])

    def bare() -> dict[str, float]:
        for start in range(0, len(images), size):
            model.predict(images[start : start + size], box[start : start + size])
        return {}

    def run(way: Setup) -> dict[str, float]:
        with tempfile.TemporaryDirectory(prefix="hpbench-bench-") as folder:
            parts = Parts(Path(folder) / "predictions.h5", ids, size)
            parts.claim({})
            return predict_parts(model, parts, lambda _: samples, boxes=boxes, setup=way).stages.as_dict()

    bare()  # loads, compiles, tunes itself
    alone: list[_Cost] = []
    whole: list[list[_Cost]] = [[] for _ in ways]
    began = time.perf_counter()
    while len(alone) < ROUNDS or time.perf_counter() - began < seconds * (1 + len(ways)):
        alone.append(_cost(bare, len(images)))
        for costs, way in zip(whole, ways, strict=True):
            costs.append(_cost(lambda way=way: run(way), len(ids)))  # type: ignore[misc]
    mine = min(alone, key=_wall)
    return [
        EndToEnd(
            way.workers, way.reduced, size, len(ids), len(alone), mine.wall_ms, mine.processor_ms,
            ours.wall_ms, ours.processor_ms, ours.stages_ms,
        )
        for way, ours in zip(ways, (min(costs, key=_wall) for costs in whole), strict=True)
    ]  # fmt: skip


def _wall(cost: _Cost) -> float:
    return cost.wall_ms


def _cost(work: Callable[[], dict[str, float]], faces: int) -> _Cost:
    started, busy = time.perf_counter(), time.process_time()
    stages = work()
    wall, processor = time.perf_counter() - started, time.process_time() - busy
    return _Cost(1000 * wall / faces, 1000 * processor / faces, {name: 1000 * s / faces for name, s in stages.items()})
