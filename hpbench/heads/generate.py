"""Shards of heads rendered to a folder: resumed where a run stopped, by several processes if asked.

Head i of a seed and kind is the same whatever else is rendered (`hpbench.heads.studio`), so shards are independent, a second
call makes only those that are missing, and two machines may share the work by ``--first``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
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
    per_shard: int = 500,
    processes: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Path]:
    """Render heads `first` to `first` + `count` - 1 of a seed into shards of `per_shard`.

    Parameters
    ----------
    out : Path
        A folder; shards that are there already, made with the same settings, are kept.
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
        Wrong numbers, a shard of that name made with other settings, or the extra ``heads`` is not installed.
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
    paths = []
    with _rendering(processes) as render:
        for start in range(first, first + count, per_shard):
            indices = range(start, min(start + per_shard, first + count))
            about = {
                "made_by": "hpbench render heads", "hpbench": __version__, **versions, "kind": kind, "seed": seed, "first": start,
                "count": len(indices), "size_px": size_px, "jpeg_quality": JPEG_QUALITY,
            }  # fmt: skip
            path = out / f"heads-{kind}-{seed}-{start:07d}.zip"
            if path.exists():
                _refuse_other(path, about)
                progress(len(indices))
            else:
                _write(path, kind, seed, indices, about, render(kind, seed, indices, size_px), progress)
            paths.append(path)
    return paths


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


def _refuse_other(path: Path, about: dict[str, Any]) -> None:
    """Refuse a shard of the same name that holds other heads."""
    have = read_shard(path)[1]
    for name, value in about.items():
        if have.get(name) != value:
            raise InputError(f"{path}: made with {name} {have.get(name)!r}, not {value!r}: take another folder, or remove it.")


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
    pool = ProcessPoolExecutor(processes, get_context("spawn"))
    try:
        yield lambda kind, seed, indices, size_px: pool.map(_head, [(kind, seed, i, size_px) for i in indices], chunksize=4)
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


@lru_cache(maxsize=1)
def _studio() -> Studio:
    """One a process."""
    return Studio()
