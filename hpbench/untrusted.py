"""Sizes that files of strangers claim, looked at before anything is allocated; .npy and .npz read by them.

A file that becomes far larger than it is when it is unpacked is a bomb or damaged: what people measure does not shrink to a
two-hundredth.  NumPy allocates what a header claims, however little follows it.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from .errors import InputError

__all__ = ["MAX_RATIO", "check_hdf5", "has_sound_heaps", "is_bomb", "is_bomb_in", "read_npy", "read_npz_arrays", "survives_hdf5"]

Array = npt.NDArray[Any]

MAX_RATIO = 200  # unpacked to packed
_ALWAYS_BYTES = 64 << 20  # unpacked; a small table of equal values does shrink to a thousandth
_CHUNK = 1 << 20
_MAX_HEADER = 1500  # bytes of a header, which NumPy reads as Python source: nested deeper, it takes all the stack there is
_HEAP, _LENGTH, _HEAP_OBJECT = b"GCOL\1\0\0\0", struct.Struct("<Q"), struct.Struct("<H6xQ")
_MAX_CODE_POINT = 0x10FFFF


def is_bomb(unpacked_bytes: int, packed_bytes: int) -> bool:
    """Whether something claims to become larger than anything honest."""
    return unpacked_bytes > max(_ALWAYS_BYTES, MAX_RATIO * packed_bytes)


def is_bomb_in(archive_bytes: int, member: zipfile.ZipInfo) -> bool:
    """Whether a member of a zip of this size lies about itself: both of its sizes are but claims, and zipfile allocates by them."""
    return member.compress_size > archive_bytes or is_bomb(member.file_size, member.compress_size)


def read_npy(content: bytes | IO[bytes], size: int) -> Array:
    """The array in a .npy of `size` bytes.

    Raises
    ------
    ValueError
        Not an .npy, Python objects, another size than its header claims, or text that is none.
    """
    stream = io.BytesIO(content) if isinstance(content, bytes) else content
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"an .npy of version {version[0]}.{version[1]}")
    shape, fortran, dtype = readers[version](stream, max_header_size=_MAX_HEADER)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never loaded")
    if dtype.itemsize == 0 or any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"it claims shape {str(shape):.60} of {str(dtype):.40}, for which its {size} bytes are too few")
    flat = np.empty(math.prod(shape), dtype)
    left = memoryview(flat.view(np.uint8).data)
    while len(left):
        if not (read := stream.readinto(left[:_CHUNK])):  # type: ignore[attr-defined]
            raise ValueError("it ends before its last number: truncated?")
        left = left[read:]
    # NumPy takes any four bytes for a letter, and Python breaks on those that are none
    if dtype.kind == "U" and flat.size and flat.view(f"{dtype.str[0]}u4").max() > _MAX_CODE_POINT:
        raise ValueError("it holds text that is none")
    return flat.reshape(shape, order="F" if fortran else "C")


def read_npz_arrays(source: Path | bytes, max_bytes: int) -> dict[str, Array]:
    """The arrays of an .npz by name.

    Parameters
    ----------
    source : Path or bytes
    max_bytes : int
        Of all arrays together.

    Raises
    ------
    Exception
        Of a dozen kinds (zipfile, zlib, ValueError, OSError) for a file that is damaged or lies; its text may be shown.
    """
    packed = len(source) if isinstance(source, bytes) else source.stat().st_size
    with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        if total > max_bytes or is_bomb(total, packed) or any(member.compress_size > packed for member in members):
            raise ValueError(f"it claims {total} bytes, more than its {packed} explain")
        arrays: dict[str, Array] = {}
        for member in members:
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("it is packed in an unusual way")
            name = member.filename.removesuffix(".npy")
            if name in arrays:
                raise ValueError(f"{name!r:.60} stands in it twice")
            if not member.filename.endswith(".npy"):
                raise ValueError(f"{member.filename!r:.60} in it is no array")
            with archive.open(member) as stream:
                arrays[name] = read_npy(stream, member.file_size)
    return arrays


def has_sound_heaps(content: bytes | mmap.mmap) -> bool:
    """Whether the global heaps of an HDF5 file, where it keeps texts of any length, can be walked to their ends.

    HDF5 2.0 walks them for ever where an object's size is wrong.  Source: the HDF5 file format specification, III.E.
    """
    at = -1
    while (at := content.find(_HEAP, at + 1)) >= 0:
        if at + 16 > len(content):
            return False
        (size,) = _LENGTH.unpack_from(content, at + 8)
        end = at + size
        if end > len(content):
            return False
        place = at + 16
        while place + 16 <= end:
            index, length = _HEAP_OBJECT.unpack_from(content, place)
            if index == 0 and length != end - place:  # what is free, to the end
                return False
            place += length if index == 0 else 16 + length + -length % 8
        if place > end:
            return False
    return True


def check_hdf5(*paths: Path) -> None:
    """Refuse HDF5 files that would end this process; see `survives_hdf5`.

    Raises
    ------
    InputError
        Names the first.
    """
    if not survives_hdf5(*paths):
        path = next((path for path in paths if not survives_hdf5(path)), paths[0])
        raise InputError(f"{path}: cannot be read as HDF5: damaged in a way that ends the process that reads it, or holds it up.")


def survives_hdf5(*paths: Path) -> bool:
    """Whether a process that looks at everything in HDF5 files comes back: HDF5 2.0 crashes on some damaged tables of contents.

    A process of its own takes a quarter of a second, so this is for files of strangers alone, all at once where there are many.
    """
    names = b"\0".join(map(os.fsencode, paths))
    try:
        done = subprocess.run([sys.executable, "-I", "-c", _LOOK], input=names, capture_output=True, timeout=_LOOK_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


_LOOK_SECONDS = 60.0
_LOOK = """
import os, sys, h5py

def look(path):
    with h5py.File(path, "r") as file:
        for name in file.attrs:
            file.attrs.get_id(name).dtype
        for name in file:
            item = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
            if isinstance(item, h5py.Dataset):
                item.shape, item.dtype, item.chunks, item.is_virtual, item.external

for path in sys.stdin.buffer.read().split(bytes(1)):
    try:
        look(os.fsdecode(path))
    except Exception:  # refused: the reader turns it into a sentence
        pass
"""
