"""A model over samples: predictions on disk, in parts, so that a killed run goes on where it was.

Threads read, decode and cut out faces while the model works and another writes: see `hpbench.pipeline`, `hpbench.batches`
and `hpbench.parts`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .batches import Watch, joined, last_failure, predict_batch
from .detectors.chosen import DetectedBoxes
from .errors import RunStoppedError
from .faces import Faces, Sample
from .models.interface import Model
from .parts import Parts
from .pipeline import READERS, StageSeconds, ready_faces
from .predictions import Predictions

__all__ = ["Progress", "RunTiming", "predict", "predict_parts"]


@dataclass(frozen=True)
class RunTiming:
    """Time of the faces predicted in this session (a resumed run times only its own).

    Attributes
    ----------
    faces : int
    seconds : float
        From the first image asked for to the last part written.
    model_seconds : float
        Inside the model.
    stages : StageSeconds
    """

    faces: int
    seconds: float
    model_seconds: float
    stages: StageSeconds = field(default_factory=StageSeconds)


class Progress:
    """What a run tells while it works; this one is silent."""

    def start(self, done: int, total: int) -> None: ...

    def advance(self, faces: int) -> None: ...

    def finish(self) -> None: ...


@dataclass(frozen=True)
class Setup:
    """How faces are fed to a model; none of it changes which batches there are.

    Attributes
    ----------
    workers : int
        Threads that decode and prepare images.
    reduced : bool
        See `hpbench.pipeline.ready_faces`.
    max_failures : int or None
        The run stops when more faces than this have failed.
    timeout_s : float or None
        How long a call of the model may take.
    """

    workers: int = 1
    reduced: bool = False
    max_failures: int | None = None
    timeout_s: float | None = None


def predict(
    model: Model,
    ids: Sequence[str],
    samples_of: Callable[[Sequence[str]], Iterable[Sample]],
    file: Path,
    *,
    boxes: str,
    settings: dict[str, Any],
    batch_size: int,
    setup: Setup = Setup(),
    detected: DetectedBoxes | None = None,
    progress: Progress | None = None,
    remark: Callable[[str], None] | None = None,
) -> tuple[Predictions, RunTiming]:
    """Predict every face and write `file`; an unfinished run in the same place with the same settings is continued.

    The parts stay until `hpbench.parts.forget_parts`: a run that is killed while it is scored need not predict again.

    Parameters
    ----------
    ids : sequence of str
        The faces, sorted.
    samples_of : callable
        Their samples, in the same order, best lazily.
    boxes : str
        Name of their box set, stored in the predictions.
    settings : dict
        What makes this run this run (model, weights, data), JSON values: parts of a run with other settings are not mixed in.
    setup : Setup
    detected : DetectedBoxes, optional
        See `hpbench.pipeline.ready_faces`.

    Raises
    ------
    RunStoppedError
        Too many failures, or a model that does not answer; what was done is kept.
    InputError
        A model that breaks its contract (shapes, types), or has failed on its first faces without an answer.
    """
    parts = Parts(file, ids, batch_size)
    parts.claim(settings)
    timing = predict_parts(model, parts, samples_of, boxes=boxes, setup=setup, detected=detected, progress=progress, remark=remark)
    return parts.join(boxes, model.name), timing


def predict_parts(
    model: Model,
    parts: Parts,
    samples_of: Callable[[Sequence[str]], Iterable[Sample]],
    *,
    boxes: str,
    only: Callable[[int], bool] | None = None,
    setup: Setup = Setup(),
    detected: DetectedBoxes | None = None,
    progress: Progress | None = None,
    remark: Callable[[str], None] | None = None,
) -> RunTiming:
    """Compute the parts that are not there yet, or those of them that `only` names by number; see `predict`."""
    progress = progress or Progress()
    ours = [part for part in range(len(parts)) if only is None or only(part)]
    done, failures = 0, 0
    proof: list[Faces] = []
    todo: list[int] = []
    for part in ours:
        if (faces := parts.read(part)) is None:
            todo.append(part)
            if remark is not None and parts.path(part).exists():
                remark(f"{parts.path(part)} is damaged, or was cut short by --limit: it is computed again")
            continue
        done += len(faces)
        failures += _failed(faces)
        if not proof and _failed(faces) < len(faces):
            proof = [faces]
    total = sum(len(parts.ids_of(part)) for part in ours)
    if remark is not None and done:
        remark(f"continuing the unfinished run in {parts.folder}: {done} of {total} faces are done")
    progress.start(done, total)
    spent, started, computed = StageSeconds(), time.perf_counter(), 0
    watch = Watch(model, proof, timeout_s=setup.timeout_s, remark=remark)
    wanted = set(todo)
    samples = (s for row, s in enumerate(samples_of(parts.ids)) if row // parts.size in wanted)
    writing: Future[None] | None = None
    with (
        ThreadPoolExecutor(max(1, setup.workers), thread_name_prefix="decode") as pool,
        ThreadPoolExecutor(READERS, thread_name_prefix="read") as readers,
        ThreadPoolExecutor(1, thread_name_prefix="write") as writer,
    ):
        window = 2 * parts.batch_size + setup.workers
        faces_ready = ready_faces(
            pool, model, samples, window=window, readers=readers, reduced=setup.reduced, detected=detected, spent=spent
        )
        try:
            for part in todo:
                batches = []
                count = len(parts.ids_of(part))
                for start in range(0, count, parts.batch_size):
                    batch = [next(faces_ready) for _ in range(min(parts.batch_size, count - start))]
                    found, seconds = predict_batch(watch, batch)
                    del batch
                    batches.append(found)
                    spent.add(model=seconds)
                    failures += _failed(found)
                    if setup.max_failures is not None and failures > setup.max_failures:
                        raise RunStoppedError(
                            f"{failures} faces have failed, more than --max-failures {setup.max_failures}; "
                            f"the last: {last_failure(found).rstrip('.')}. Finished parts are kept in {parts.folder}."
                        )
                    progress.advance(len(found))
                waited = time.perf_counter()
                if writing is not None:
                    writing.result()
                spent.add(write=time.perf_counter() - waited)
                writing = writer.submit(parts.write, part, joined(batches, model), boxes, model.name)
                computed += count
            waited = time.perf_counter()
            if writing is not None:
                writing.result()
            spent.add(write=time.perf_counter() - waited)
        finally:
            watch.close()
            readers.shutdown(wait=False, cancel_futures=True)
            pool.shutdown(cancel_futures=True)
            progress.finish()
    return RunTiming(computed, time.perf_counter() - started, spent.model, spent)


def _failed(faces: Faces) -> int:
    return int(sum(map(bool, faces.failure))) if faces.failure is not None else 0
