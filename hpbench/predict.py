"""A model over samples: predictions on disk, in parts, so that a killed run goes on where it was.

Images are decoded by threads while the model works; a bounded window keeps memory flat.  Batches are cut at fixed places
of the sorted sample list, and a part holds whole batches: a run that was killed and started again computes the same
batches, so it ends with the same bytes.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .atomic import write_atomic
from .errors import HpbenchError, InputError, RunStoppedError
from .faces import Faces, Sample
from .models.interface import Model
from .predictions import Predictions, read_predictions, write_predictions

__all__ = ["PARTS", "Progress", "RunTiming", "predict"]

Array = npt.NDArray[Any]

PARTS = "predictions.parts"  # folder of an unfinished run, beside the file it will become
_FACES_PER_PART = 128  # about what a kill may cost; rounded up to whole batches
_VALUES = ("rotation", "euler_deg", "landmarks", "visibility")


@dataclass(frozen=True)
class RunTiming:
    """Time of the faces predicted in this session (a resumed run times only its own).

    Attributes
    ----------
    faces : int
    seconds : float
        From the first image asked for to the last part written.
    model_seconds : float
        Inside the model's predict.
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
    max_failures: int | None = None,
    progress: Progress | None = None,
    remark: Callable[[str], None] | None = None,
) -> tuple[Predictions, RunTiming]:
    """Predict every sample and write `file`; an unfinished run in the same place with the same settings is continued.

    Parameters
    ----------
    samples : sequence of Sample
        In sorted order of their ids.
    boxes : str
        Name of their box set, stored in the predictions.
    settings : dict
        What makes this run this run (model, weights, data): parts of a run with other settings are not mixed in.
    workers : int
        Threads that read and decode images.
    max_failures : int or None
        The run stops when more faces than this have failed.

    Raises
    ------
    RunStoppedError
        Too many failures; what was done is kept.
    InputError
        A model that breaks its contract (shapes, types) or fails on every face of the first batch.
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
    proven = any(part is not None for part in done)
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="decode") as pool:
        window = 2 * batch_size + workers
        images = _decoded(pool, (s for i in todo for s in chunks[i]), window)
        try:
            for i in todo:
                batches = []
                for start in range(0, len(chunks[i]), batch_size):
                    batch = [next(images) for _ in chunks[i][start : start + batch_size]]
                    faces, seconds = _predict_batch(model, batch, must_work=not proven)
                    proven = proven or bool((faces.failure == "").any())  # type: ignore[union-attr]
                    batches.append(faces)
                    model_seconds += seconds
                    failures += int(sum(map(bool, faces.failure)))  # type: ignore[arg-type]
                    if max_failures is not None and failures > max_failures:
                        raise RunStoppedError(
                            f"{failures} faces have failed, more than --max-failures {max_failures}; "
                            f"the last: {_last_failure(faces)}. What was done is kept in {parts_folder}."
                        )
                    progress.advance(len(faces))
                part = _joined(batches, model)
                write_predictions(paths[i], Predictions(part, boxes, model.name))
                computed += len(part)
        finally:
            pool.shutdown(cancel_futures=True)
            progress.finish()
    seconds = time.perf_counter() - started
    whole = _joined([read_predictions(path).faces for path in paths], model)
    predictions = Predictions(whole, boxes, model.name)
    write_predictions(file, predictions)
    shutil.rmtree(parts_folder, ignore_errors=True)
    return predictions, RunTiming(computed, seconds, model_seconds)


def _claim(folder: Path, settings: dict[str, Any]) -> None:
    """Make the parts folder ours: a run with other settings in it is never overwritten nor mixed in."""
    manifest = folder / "run.json"
    text = json.dumps(settings, sort_keys=True, indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = manifest.read_text(encoding="utf-8") if manifest.exists() else ""
    except OSError as error:
        raise InputError(f"{folder}: cannot be used for output ({error.strerror}).") from None
    if not present:
        write_atomic(manifest, text)
        return
    if present != text and not list(folder.glob("part-*.h5")):  # it came to nothing: nothing to protect
        write_atomic(manifest, text)
    elif present != text:
        try:
            begun = json.loads(present)
        except ValueError:
            begun = {}
        key = next((k for k in settings if begun.get(k) != settings[k]), "settings")
        raise InputError(
            f"{folder} holds an unfinished run with another {key} ({begun.get(key)!r}, now {settings.get(key)!r}): "
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


def _predict_batch(model: Model, batch: list[tuple[Sample, Array | InputError]], *, must_work: bool) -> tuple[Faces, float]:
    """Predictions of one batch, a row a sample, and the seconds spent in the model."""
    ids = [sample.sample_id for sample, _ in batch]
    reasons = [str(image) if isinstance(image, InputError) else "" for _, image in batch]
    usable = [i for i, reason in enumerate(reasons) if not reason]
    images = [batch[i][1] for i in usable]
    boxes = np.array([batch[i][0].box_xyxy_px for i in usable], dtype=np.float64).reshape(-1, 4)
    started = time.perf_counter()
    parts: list[tuple[int, Faces]] = []
    if usable:
        try:
            answer = _called(model, images, boxes)  # type: ignore[arg-type]
            parts = [(i, answer.take([row])) for row, i in enumerate(usable)]
        except Exception as whole:
            if isinstance(whole, _ContractError):
                raise InputError(str(whole)) from None
            parts = []
            for row, i in enumerate(usable):  # one bad face must not take its batch with it
                try:
                    parts.append((i, _called(model, images[row : row + 1], boxes[row : row + 1])))  # type: ignore[arg-type]
                except Exception as error:
                    if isinstance(error, _ContractError):
                        raise InputError(str(error)) from None
                    reasons[i] = _model_error(model, error)
            if not parts and must_work:
                raise InputError(f"{_model_error(model, whole).rstrip('.')} (on every one of the first {len(usable)} faces).") from None
    seconds = time.perf_counter() - started
    if not parts:
        return Faces(sample_id=ids, failure=reasons), seconds
    answered = _joined([faces for _, faces in parts], model, ids=[ids[i] for i, _ in parts])
    aligned = answered.aligned_to(ids)
    own = aligned.failure if aligned.failure is not None else [""] * len(ids)
    nothing = _all_nan(aligned)
    final = [
        reason or (str(given) or f"{model.name} returned NaN" if empty else "")
        for reason, given, empty in zip(reasons, own, nothing, strict=True)
    ]
    return replace(aligned, failure=np.array(final, dtype=object), box_xyxy_px=None), seconds


class _ContractError(InputError):
    """The model returns something that is not one row a face: a bug in it, not a hard face."""


def _called(model: Model, images: list[Array], boxes: Array) -> Faces:
    answer = model.predict(list(images), boxes.copy())
    if not isinstance(answer, Faces):
        raise _ContractError(f"model {model.name} returned {type(answer).__name__}, it must return hpbench.Faces.")
    if len(answer) != len(images):
        raise _ContractError(f"model {model.name} returned {len(answer)} rows for {len(images)} faces.")
    if all(getattr(answer, name) is None for name in _VALUES):
        raise _ContractError(f"model {model.name} returned no rotation, euler_deg, landmarks or visibility.")
    return answer


def _joined(parts: list[Faces], model: Model, ids: list[str] | None = None) -> Faces:
    """Parts put together; with `ids`, rows are named by them."""
    if ids is not None:
        parts = [replace(part, sample_id=[i], attributes={}) for part, i in zip(parts, ids, strict=True)]
    try:
        return Faces.concatenate(parts)
    except InputError as error:
        raise InputError(f"model {model.name} is not consistent from batch to batch: {error}") from None


def _all_nan(faces: Faces) -> npt.NDArray[np.bool_]:
    nothing = np.ones(len(faces), dtype=bool)
    for name in _VALUES:
        value = getattr(faces, name)
        if value is not None:
            nothing &= np.isnan(value.reshape(len(faces), -1)).all(axis=1)
    return nothing


def _model_error(model: Model, error: BaseException) -> str:
    if isinstance(error, HpbenchError):
        return f"model {model.name}: {error}"
    text = (str(error).strip().splitlines() or [""])[0]
    return f"model {model.name} raised {type(error).__name__}: {text}"[:300]


def _last_failure(faces: Faces) -> str:
    rows = [(str(i), str(r)) for i, r in zip(faces.sample_id, faces.failure, strict=True) if r]  # type: ignore[arg-type]
    return f"{rows[-1][0]}: {rows[-1][1]}" if rows else "?"
