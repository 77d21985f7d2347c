"""A model over samples: predictions on disk, in parts, so that a killed run goes on where it was.

Images are decoded by threads while the model works; a bounded window keeps memory flat.  Batches are cut at fixed places
of the sorted sample list, and a part holds whole batches: a run that was killed and started again computes the same
batches, so it ends with the same bytes.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from .atomic import write_atomic
from .batches import Watch, joined, last_failure, predict_batch
from .detectors.chosen import DetectedBoxes
from .errors import InputError, RunStoppedError
from .faces import Faces, Sample
from .models.interface import Model
from .predictions import Predictions, read_predictions, write_predictions

__all__ = ["PARTS", "Progress", "RunTiming", "forget_parts", "predict"]

Array = npt.NDArray[Any]

PARTS = "predictions.parts"  # folder of an unfinished run, beside the file it will become
_FACES_PER_PART = 128  # about what a kill may cost; rounded up to whole batches


@dataclass(frozen=True)
class RunTiming:
    """Time of the faces predicted in this session (a resumed run times only its own).

    Attributes
    ----------
    faces : int
    seconds : float
        From the first image asked for to the last part written.
    model_seconds : float
        Inside the model's predict, and the detector's where one gives the boxes.
    """

    faces: int
    seconds: float
    model_seconds: float


class Progress:
    """What a run tells while it works; this one is silent."""

    def start(self, done: int, total: int) -> None: ...

    def advance(self, faces: int) -> None: ...

    def finish(self) -> None: ...


def predict(
    model: Model,
    samples: Sequence[Sample],
    file: Path,
    *,
    boxes: str,
    settings: dict[str, Any],
    batch_size: int,
    workers: int,
    detected: DetectedBoxes | None = None,
    max_failures: int | None = None,
    progress: Progress | None = None,
    remark: Callable[[str], None] | None = None,
) -> tuple[Predictions, RunTiming]:
    """Predict every sample and write `file`; an unfinished run in the same place with the same settings is continued.

    The parts stay until `forget_parts`: a run that is killed while it is scored need not predict again.

    Parameters
    ----------
    samples : sequence of Sample
        In sorted order of their ids.
    boxes : str
        Name of their box set, stored in the predictions.
    settings : dict
        What makes this run this run (model, weights, data), JSON values: parts of a run with other settings are not mixed in.
    workers : int
        Threads that read and decode images.
    detected : DetectedBoxes, optional
        Gives the model its boxes instead of the samples, whose own then only say which face is meant.
    max_failures : int or None
        The run stops when more faces than this have failed.

    Raises
    ------
    RunStoppedError
        Too many failures; what was done is kept.
    InputError
        A model that breaks its contract (shapes, types), or has failed on its first `_PROOF` faces without an answer.
    """
    progress = progress or Progress()
    parts_folder = file.with_name(PARTS)
    settings = {**settings, "batch_size": batch_size}
    _claim(parts_folder, settings)
    size = max(1, -(-_FACES_PER_PART // batch_size)) * batch_size
    chunks = [samples[i : i + size] for i in range(0, len(samples), size)]
    paths = [parts_folder / f"part-{i:06d}.h5" for i in range(len(chunks))]
    done = [_finished(path, chunk) for path, chunk in zip(paths, chunks, strict=True)]
    failures = sum(int(sum(map(bool, part.failure))) for part in done if part is not None and part.failure is not None)
    if remark is not None and any(part is not None for part in done):
        remark(f"continuing the unfinished run in {parts_folder}: {sum(len(p) for p in done if p)} of {len(samples)} faces are done")
    progress.start(sum(len(p) for p in done if p is not None), len(samples))
    todo = [i for i, part in enumerate(done) if part is None]
    started, model_seconds, computed = time.perf_counter(), 0.0, 0
    watch = Watch(model, [part for part in done if part is not None])
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="decode") as pool:
        window = 2 * batch_size + workers
        images = _decoded(pool, (s for i in todo for s in chunks[i]), window)
        try:
            for i in todo:
                batches = []
                for start in range(0, len(chunks[i]), batch_size):
                    batch = [next(images) for _ in chunks[i][start : start + batch_size]]
                    faces, seconds = predict_batch(watch, batch, detected)
                    batches.append(faces)
                    model_seconds += seconds
                    failures += int(sum(map(bool, faces.failure)))  # type: ignore[arg-type]
                    if max_failures is not None and failures > max_failures:
                        raise RunStoppedError(
                            f"{failures} faces have failed, more than --max-failures {max_failures}; "
                            f"the last: {last_failure(faces).rstrip('.')}. Finished parts are kept in {parts_folder}."
                        )
                    progress.advance(len(faces))
                part = joined(batches, model)
                write_predictions(paths[i], Predictions(part, boxes, model.name))
                computed += len(part)
        finally:
            pool.shutdown(cancel_futures=True)
            progress.finish()
    seconds = time.perf_counter() - started
    whole = joined([read_predictions(path).faces for path in paths], model)
    predictions = Predictions(whole, boxes, model.name)
    write_predictions(file, predictions)
    return predictions, RunTiming(computed, seconds, model_seconds)


def forget_parts(file: Path) -> None:
    """Remove the parts of a finished run; renamed first, so that a kill leaves no parts without their settings."""
    folder = file.with_name(PARTS)
    gone = folder.with_name(f".{PARTS}.done")
    with contextlib.suppress(OSError):
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _claim(folder: Path, settings: dict[str, Any]) -> None:
    """Make the parts folder ours: a run with other settings in it is never overwritten nor mixed in."""
    manifest = folder / "run.json"
    text = json.dumps(settings, sort_keys=True, indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = manifest.read_text(encoding="utf-8") if manifest.exists() else ""
    except OSError as error:
        raise InputError(f"{folder}: cannot be used for output ({error.strerror}).") from None
    if not list(folder.glob("part-*.h5")):  # new, or it came to nothing: nothing to protect
        write_atomic(manifest, text)
    elif not present:
        raise InputError(f"{folder} holds parts of a run that cannot be told any more (run.json is missing): delete the folder.")
    elif present != text:
        try:
            begun = json.loads(present)
        except ValueError:
            begun = {}
        key = next((k for k in settings if begun.get(k) != settings[k]), "settings")
        raise InputError(
            f"{folder} holds an unfinished run, of which {key} is {begun.get(key)!r} and not {settings.get(key)!r}: "
            f"continue that one, choose another -o, or delete the folder."
        )


def _finished(path: Path, chunk: Sequence[Sample]) -> Faces | None:
    """The part on disk if it holds exactly the chunk's faces; a limited run's shorter part is computed anew."""
    if not path.exists():
        return None
    faces = read_predictions(path).faces
    return faces if list(faces.sample_id) == [s.sample_id for s in chunk] else None  # type: ignore[arg-type]


def _decoded(pool: ThreadPoolExecutor, samples: Iterable[Sample], window: int) -> Iterator[tuple[Sample, Array | InputError]]:
    """Samples with their images, in order, at most `window` of them in memory; what cannot be read is the error itself."""
    waiting: deque[tuple[Sample, Future[Array]]] = deque()
    source = iter(samples)

    def fill() -> None:
        while len(waiting) < window and (sample := next(source, None)) is not None:
            waiting.append((sample, pool.submit(sample.image.read)))

    fill()
    while waiting:
        sample, future = waiting.popleft()
        try:
            result: Array | InputError = future.result()
        except InputError as error:
            result = error
        except Exception as error:  # a damaged file may surprise a decoder: the face fails, the run goes on
            result = InputError(f"{sample.image.name}: cannot be read ({type(error).__name__}: {str(error)[:100]}).")
        yield sample, result
        fill()
