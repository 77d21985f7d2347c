"""Parsed labels kept between runs, so that a second start does not parse thousands of small files again.

An entry is known by the stamps of all files it was made of (size, times, inode): a changed, added or removed file makes
another entry, so an old one is never used.  An entry that cannot be read or written is as if it were not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ... import __version__
from ...atomic import write_atomic
from ...cache import cache_folder
from ...errors import InputError
from .datafile import DataFile

__all__ = ["cached_labels"]

Arrays = Mapping[str, npt.NDArray[np.generic]]

_HASH = "content_sha256"
_KEPT = 4  # entries of one dataset and kind: as many data roots in turn


def cached_labels(dataset: str, kind: str, files: Iterable[DataFile], parse: Callable[[], Arrays]) -> Arrays:
    """What `parse` returns, from the cache where the files are as they were.

    Parameters
    ----------
    dataset, kind : str
        Name the entry; `kind` changes when the parsed form does.
    files : iterable of DataFile
        Everything `parse` reads.
    parse : callable
        Returns arrays by name, numbers or fixed-width text (no objects).
    """
    digest = hashlib.sha256(f"{__version__}|{dataset}|{kind}".encode())
    for file in files:
        if not file.stamp:
            return parse()
        digest.update(f"{file.name}|{file.stamp}\n".encode("utf-8", "surrogateescape"))
    folder = cache_folder() / "labels"
    stem = f"{dataset}-{kind}-"
    path = folder / f"{stem}{digest.hexdigest()[:32]}.npz"
    with contextlib.suppress(Exception):  # whatever is wrong with an entry, the files themselves are still there
        if path.is_file():
            with np.load(path, allow_pickle=False) as entry:
                kept = {name: entry[name] for name in entry.files}
            if str(kept.pop(_HASH)) == _content(kept):
                return kept
    arrays = parse()
    buffer = io.BytesIO()
    np.savez(buffer, **arrays, **{_HASH: np.array(_content(arrays))})  # type: ignore[arg-type]
    with contextlib.suppress(InputError, OSError):  # a home that cannot be written to
        write_atomic(path, buffer.getvalue())
        _forget_old(folder, stem)
    return arrays


def _content(arrays: Arrays) -> str:
    """Hash of names, types, shapes and bytes: an entry that was damaged or exchanged is parsed anew."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}|{value.dtype.str}|{value.shape}|".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def _forget_old(folder: Path, stem: str) -> None:
    entries = sorted(folder.glob(f"{stem}*.npz"), key=lambda p: p.stat().st_mtime, reverse=True)
    for path in entries[_KEPT:]:
        path.unlink(missing_ok=True)
