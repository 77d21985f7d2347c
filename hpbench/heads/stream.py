"""Heads for training: rendered as they are asked for, or read from shards that were rendered before.

Both give the same thing, a picture and its labels by name, both are seeded, and both go on at any place: a checkpoint holds the
number of the next head and nothing else.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..readers.files.head_shards import COLUMNS, joined, read_shard

__all__ = ["Head", "HeadStream", "PackedHeads"]

Array = npt.NDArray[Any]

_LOCAL_HEADER = struct.Struct("<26xHH")  # of a zip member, up to the lengths of its name and extra field


class Head(NamedTuple):
    """A picture with its labels.

    Attributes
    ----------
    image : (H, W, 3) uint8 array, RGB
    labels : mapping of str to array
        The columns of `hpbench.readers.files.head_shards.COLUMNS`, one row.
    attributes : mapping of str to str or float
        ``skin``, ``age``, ``hair`` ...: to balance by, or to look at.
    """

    image: Array
    labels: Mapping[str, Array]
    attributes: Mapping[str, Any]


class HeadStream:
    """Endless new heads of kind ``train``, rendered in this process.

    Several workers share a stream: worker `rank` of `world` renders the heads start + rank, start + rank + world, ...

    Parameters
    ----------
    seed : int
    start : int
        Number of the first head: where an earlier run stopped.
    rank, world : int
    size_px : int
    """

    def __init__(self, seed: int, *, start: int = 0, rank: int = 0, world: int = 1, size_px: int = 256) -> None:
        if not 0 <= rank < world:
            raise InputError(f"rank {rank} of {world} workers: it must be from 0 to {world - 1}.")
        self.seed, self.start, self.rank, self.world, self.size_px = seed, start, rank, world, size_px

    def __iter__(self) -> Iterator[Head]:
        from .studio import Studio

        studio, index = Studio(), self.start + self.rank
        while True:
            image, labels = studio.head(self.seed, index, size_px=self.size_px, kind="train")
            yield Head(image, {name: getattr(labels, name) for name in COLUMNS}, labels.attributes)
            index += self.world


class PackedHeads(Sequence[Head]):
    """Heads of shards by number, in the order of the files given; safe to share among forked or spawned workers.

    Parameters
    ----------
    paths : Path or str, or several
        Shards, or folders of them.

    Attributes
    ----------
    sample_id : tuple of str
    labels, attributes : mapping of str to (N, ...) array

    Raises
    ------
    InputError
        A file that is no shard, no shard at all, or the same head in two.
    """

    def __init__(self, paths: Path | str | Sequence[Path | str]) -> None:
        files: list[Path] = []
        for path in map(Path, [paths] if isinstance(paths, (str, Path)) else paths):
            found = sorted(path.glob("heads-*.zip")) if path.is_dir() else [path]
            if not found or not found[0].is_file():
                raise InputError(f"{path}: no shards of rendered heads there (heads-*.zip): hpbench render heads makes them.")
            files += found
        if not files:
            raise InputError("no shards of rendered heads are given: hpbench render heads makes them.")
        shards = [read_shard(file)[0] for file in files]
        whole = joined(shards, f"{len(files)} shards from {files[0]} on")
        self.sample_id, self.labels, self.attributes = whole.sample_id, whole.columns, whole.attributes
        self._images = [place for path, shard in zip(files, shards, strict=True) for place in _image_places(path, shard.sample_id)]

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: Any) -> Any:  # one head for a number, a list of them for a slice
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        import cv2

        path, offset, size, crc = self._images[index]
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read(size)
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if zlib.crc32(data) == crc and data else None
        if image is None:
            raise InputError(f"{path}: an image at byte {offset} cannot be decoded: was the file changed?")
        return Head(image, *({name: values[index] for name, values in table.items()} for table in (self.labels, self.attributes)))

    def epoch(self, seed: int, number: int, *, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Head]:
        """All heads once, in an order of the seed and the epoch's number, from its place `start` on; workers share it as a `HeadStream`."""
        order = np.random.default_rng([seed, number]).permutation(len(self))
        for place in range(start + rank, len(self), world):
            yield self[int(order[place])]


def _image_places(path: Path, ids: Sequence[str]) -> list[tuple[str, int, int, int]]:
    """File, first byte, size and checksum of each image: members of a shard are stored as they are."""
    places = []
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        for sample_id in ids:
            try:
                member = archive.getinfo(f"images/{sample_id}.jpg")
            except KeyError:
                raise InputError(f"{path}: the image of {sample_id} is missing.") from None
            if member.compress_type != zipfile.ZIP_STORED:
                raise InputError(f"{path}: its images are compressed: packed anew by another tool? Render it again.")
            file.seek(member.header_offset)
            name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
            places.append((os.fspath(path), member.header_offset + _LOCAL_HEADER.size + name + extra, member.file_size, member.CRC))
    return places
