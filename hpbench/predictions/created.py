"""A new HDF5 file, whole or not at all, also where the disk is full."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..atomic import atomic_path

__all__ = ["created_h5"]


@contextmanager
def created_h5(path: Path) -> Iterator[Any]:
    """An open `h5py.File` that becomes `path` when the block ends; `InputError` where it cannot be written.

    HDF5 does not get over a refused write: it tries again whenever something is closed, and h5py prints a traceback each
    time.  Here it never learns of it.
    """
    import h5py

    with atomic_path(path) as temporary, _Disk(temporary, "wb+") as disk:
        with h5py.File(disk, "w", track_order=True) as output:
            yield output
        if disk.refused is not None:
            raise disk.refused


class _Disk(io.FileIO):
    """A file that keeps the first error of writing to itself, in `refused`."""

    refused: OSError | None = None

    def write(self, data: Any) -> int:
        """All of it, as far as the caller can see."""
        rest = memoryview(data).cast("B")
        while self.refused is None and len(rest):
            try:
                rest = rest[super().write(rest) or 0 :]
            except OSError as error:
                self.refused = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """As `write`."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.refused = self.refused or error
            return size or 0
