"""Shards of heads rendered to a folder: resumed where a run stopped, by several processes if asked.

Head i of a seed and kind is the same whatever else is rendered (`hpbench.heads.studio`), so shards are independent, a second
call makes only those that are missing, and two machines may share the work by ``--first``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import __version__
from ..errors import InputError
from ..readers.files.head_shards import COLUMNS, Shard, read_shard, write_shard
from .labels import Labels
from .studio import KINDS, Studio

__all__ = ["render_heads", "sample_id"]

Heads = Iterator[tuple[bytes, Labels]]

JPEG_QUALITY = 88
_NEEDED = ("anny", "warp-lang", "torch")
# to about 1e-5 px and mm: half the size of the labels
_ROUNDED = ("landmarks_3d_mm", "landmarks_fixed_px", "landmarks_contour_px", "phenotype", "changes", "actions")
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")  # small products on several cores only get in each other's way


def sample_id(kind: str, seed: int, index: int) -> str:
    """The name of a head."""
    return f"{kind}-{seed}-{index:07d}"


def render_heads(
    out: Path,
    *,
    count: int,
    seed: int,
    kind: str = "train",
    first: int = 0,
    size_px: int = 256,
    per_shard: int = 100,
    processes: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Path]:
    """Render heads `first` to `first` + `count` - 1 of a seed into shards of `per_shard`.

    Parameters
    ----------
    out : Path
        A folder, made where it is not there.  Heads that are in its shards already, made with the same settings, are kept; what
        is missing between and after them is made.
    count, first, seed : int
    kind : str
        ``train``, ``test`` or ``hard``: three worlds of people that share nobody, whatever the seed.
    size_px : int
        Side of the pictures.
    processes : int
        Each takes one core and about 1 GB.
    progress : callable
        Called with the number of heads that have become ready, those that were there included.

    Returns
    -------
    list of Path
        The shards, in order.

    Raises
    ------
    InputError
        Wrong numbers, a shard of the seed made with other settings, a folder that cannot be written, a worker that was killed,
        or the extra ``heads`` is not installed.
    """
    options = (("count", count, 1), ("first", first, 0), ("seed", seed, 0), ("shard", per_shard, 1), ("jobs", processes, 1))
    for name, value, least in options:
        if value < least:
            raise InputError(f"--{name} must be {least} or more, not {value}.")
    if kind not in KINDS:
        raise InputError(f"--kind {kind!r}: one of {', '.join(KINDS)}.")
    if not 32 <= size_px <= 2048:
        raise InputError(f"--size must be from 32 to 2048 pixels, not {size_px}.")
    versions = _versions()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error.strerror}).") from None
    facts = {
        "made_by": "hpbench render heads", "hpbench": __version__, **versions, "kind": kind, "seed": seed, "size_px": size_px,
        "jpeg_quality": JPEG_QUALITY,
    }  # fmt: skip
    last = first + count
    paths = {r: path for r, path in _shards_there(out, kind, seed, facts).items() if r.start < last and r.stop > first}
    for there in paths:
        progress(min(there.stop, last) - max(there.start, first))
    with _rendering(processes) as render:
        for gap in _gaps(first, last, sorted(paths, key=lambda r: r.start), per_shard):
            path = out / f"heads-{kind}-{seed}-{gap.start:07d}.zip"
            about = {**facts, "first": gap.start, "count": len(gap)}
            _write(path, kind, seed, gap, about, render(kind, seed, gap, size_px), progress)
            paths[gap] = path
    return [paths[indices] for indices in sorted(paths, key=lambda r: r.start)]


def _shards_there(out: Path, kind: str, seed: int, facts: dict[str, Any]) -> dict[range, Path]:
    """The shards of a kind and seed in a folder, by the numbers of their heads; those made with other settings are refused."""
    found = {}
    for path in sorted(out.glob(f"heads-{kind}-{seed}-*.zip")):
        shard, have = read_shard(path)
        for name, value in facts.items():
            if have.get(name) != value:
                raise InputError(f"{path}: made with {name} {have.get(name)!r}, not {value!r}: take another folder, or remove it.")
        start = path.stem.rpartition("-")[2]
        heads = range(int(start), int(start) + len(shard.sample_id)) if start.isdecimal() else range(0)
        if shard.sample_id != tuple(sample_id(kind, seed, i) for i in heads):
            raise InputError(f"{path}: holds other heads than its name says (first: {shard.sample_id[0]}): renamed? Remove it.")
        found[heads] = path
    return found


def _gaps(first: int, last: int, there: list[range], per_shard: int) -> Iterator[range]:
    """What is missing of the heads `first` to `last` - 1, at most `per_shard` at a time."""
    for indices in [*there, range(last, last)]:
        while first < min(indices.start, last):
            gap = range(first, min(first + per_shard, indices.start, last))
            yield gap
            first = gap.stop
        first = max(first, indices.stop)


def _write(path: Path, kind: str, seed: int, indices: range, about: dict[str, Any], heads: Heads, progress: Callable[[int], None]) -> None:
    images, labels = [], []
    for image, label in heads:
        images.append(image)
        labels.append(label)
        progress(1)
    columns = {name: np.stack([getattr(label, name) for label in labels]) for name in COLUMNS}
    columns |= {name: columns[name].astype(np.float32) for name in _ROUNDED}
    names = labels[0].attributes
    attributes: dict[str, npt.NDArray[Any]] = {name: np.array([label.attributes[name] for label in labels]) for name in names}
    write_shard(path, Shard(tuple(sample_id(kind, seed, i) for i in indices), columns, attributes), images, about)


def _versions() -> dict[str, str]:
    """Of what decides about pixels."""
    try:
        return {name: version(name) for name in _NEEDED}
    except PackageNotFoundError as error:
        raise InputError(f"rendering needs {error.name}: pip install 'hpbench[heads]' (CPU is enough).") from None


@contextmanager
def _rendering(processes: int) -> Iterator[Callable[[str, int, range, int], Heads]]:
    """A function that gives heads in order, from this process or from several."""
    if processes == 1:
        yield lambda kind, seed, indices, size_px: map(_head, [(kind, seed, i, size_px) for i in indices])
        return
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))  # the workers' libraries read it when they are loaded
    # spawned: warp and torch hold threads that a fork would lose
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _die_with_parent)
    try:
        yield lambda kind, seed, indices, size_px: pool.map(_head, [(kind, seed, i, size_px) for i in indices], chunksize=4)
    except BrokenProcessPool:
        raise InputError("a worker was killed: out of memory? Take fewer --jobs; finished shards are kept.") from None
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _head(task: tuple[str, int, int, int]) -> tuple[bytes, Labels]:
    import cv2

    kind, seed, index, size_px = task
    image, labels = _studio().head(seed, index, size_px=size_px, kind=kind)
    found, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not found:
        raise InputError(f"head {index}: the image could not be written as JPEG.")
    return data.tobytes(), labels


def _die_with_parent() -> None:
    """In a worker: end when the parent is gone, however it went."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


@lru_cache(maxsize=1)
def _studio() -> Studio:
    """One a process."""
    return Studio()
