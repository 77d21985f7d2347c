"""What a target gives once it is set up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

__all__ = ["Prepared", "from_path"]


class Prepared(NamedTuple):
    """Valid inputs, and the function that reads an input."""

    seeds: list[bytes]
    read: Callable[[bytes], object]


def from_path(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """A function of bytes from one that takes a file: the file is written first."""

    def of_bytes(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return of_bytes
