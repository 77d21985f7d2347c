"""A file of a data root, wherever it lies: in a folder or in an archive."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

__all__ = ["MAX_DEPTH", "MAX_FILE_BYTES", "DataFile", "stamp_of"]

MAX_DEPTH = 4  # folders between a root and a file
MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True)
class DataFile:
    """A file of a data root.

    Attributes
    ----------
    name : str
        What messages call it: a path, or ``archive.zip:member``.
    place : str
        Path below its root, with slashes.  Text, because tens of thousands of path objects would take most of an index's time.
    size : int
        Bytes.
    fetch : callable
        Returns the content; `InputError` where it cannot be read.
    stamp : str
        Changes whenever the content may have changed (times, inode and size of the file or of its archive).
    """

    name: str
    place: str
    size: int
    fetch: Callable[[], bytes]
    stamp: str = ""

    @property
    def relative(self) -> PurePosixPath:
        """`place` as a path."""
        return PurePosixPath(self.place)

    @property
    def file_name(self) -> str:
        """The last part of `place`."""
        return self.place.rpartition("/")[2]


def stamp_of(facts: os.stat_result) -> str:
    """What tells one state of a file from another: the change time cannot be set back by hand."""
    return f"{facts.st_size}.{facts.st_mtime_ns}.{facts.st_ctime_ns}.{facts.st_ino}"
