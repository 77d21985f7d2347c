"""MATLAB files up to v7.2, read without trusting them: shapes are checked before anything is loaded.

What is compressed is unpacked here, within a limit, because SciPy unpacks whatever a file claims; and SciPy reads through
a stream that gives up, because the sizes of a damaged v4 file can lead it in a circle.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError

__all__ = ["read_mat"]

MAX_MAT_BYTES = 64 << 20  # packed, and again unpacked
MAX_VARIABLES = 10_000
MAX_READS = 200_000  # a file of labels takes some hundred

_NUMERIC = ("double", "single", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
_MATRIX, _COMPRESSED = 14, 15  # kinds of element on a v5 file's top level
_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_mat(data: bytes, name: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, npt.NDArray[np.float64]]:
    """Numeric variables of a .mat file.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        What an error calls it.
    shapes : mapping
        Wanted variable -> its exact shape; each is required.

    Returns
    -------
    dict of float64 arrays; all finite.

    Raises
    ------
    InputError
        Truncated, not a .mat, a variable missing, of another shape, not numeric, or not finite.
    """
    from scipy.io import loadmat, whosmat

    if len(data) > MAX_MAT_BYTES:
        raise InputError(f"{name}: {len(data)} bytes is no label file.")
    if not data:
        raise InputError(f"{name}: the file is empty.")
    if data.startswith((_HDF5, b"MATLAB 7.3 MAT-file")) or data[512:520] == _HDF5:
        raise InputError(f"{name}: a MATLAB v7.3 file (HDF5), expected v7 or older: saved again by a newer MATLAB?")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy warns about duplicate names; what counts is checked below
            plain = _unpacked(data)
            listed = whosmat(_BoundedStream(plain))
            present = {variable: (shape, kind) for variable, shape, kind in listed}
            for variable, shape in shapes.items():
                if variable not in present:
                    raise InputError(f"{name}: there is no {variable} in it (it holds {', '.join(sorted(present)[:12]) or 'nothing'}).")
                if [v for v, _, _ in listed].count(variable) > 1:
                    raise InputError(f"{name}: {variable} is in it twice: which one is meant?")
                have, kind = present[variable]
                if kind not in _NUMERIC:
                    raise InputError(f"{name}: {variable} is of class {kind}, expected numbers.")
                if tuple(have) != shape:
                    raise InputError(f"{name}: {variable} has shape {tuple(have)}, expected {shape}.")
            loaded: dict[str, Any] = loadmat(_BoundedStream(plain), variable_names=list(shapes))
    except InputError:
        raise
    except Exception as error:  # scipy raises a dozen kinds for damaged files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:100]
        raise InputError(f"{name}: not a MATLAB file that can be read: truncated, or another kind of file? ({reason})") from None
    out: dict[str, npt.NDArray[np.float64]] = {}
    for variable, shape in shapes.items():
        value = np.asarray(loaded.get(variable))
        if value.dtype.kind not in "fiu" or value.shape != shape:
            raise InputError(f"{name}: {variable} is no array of {shape} real numbers.")
        out[variable] = value.astype(np.float64)
        if not np.isfinite(out[variable]).all():
            raise InputError(f"{name}: {variable} holds a number that is not finite.")
    return out


def _unpacked(data: bytes) -> bytes:
    """A v5 file with its compressed elements unpacked; any other file as it is."""
    if 0 in data[:4] or len(data) < 128:  # v4, by the rule of SciPy, or nothing it will accept
        return data
    order = "<" if data[126:128] == b"IM" else ">"
    parts, at, room = [data[:128]], 128, MAX_MAT_BYTES
    while at < len(data):
        if len(parts) > MAX_VARIABLES:
            raise ValueError(f"more than {MAX_VARIABLES} variables")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        element = data[at : at + 8 + size]
        at += 8 + size
        if at > len(data):
            raise ValueError("it ends within a variable")
        if kind == _COMPRESSED:
            stream = zlib.decompressobj()
            element = stream.decompress(element[8:], room + 1)
            if len(element) > room:
                raise ValueError(f"it unpacks to more than {MAX_MAT_BYTES >> 20} MiB")
            kind, size = struct.unpack_from(f"{order}II", element)
            if not stream.eof or len(element) < 8 + size:
                raise ValueError("a compressed variable is cut off")
            element = element[: 8 + size]
            room -= len(element)
        if kind != _MATRIX:
            raise ValueError(f"an element of type {kind} where a variable should be")
        parts.append(element)
    return b"".join(parts)


class _BoundedStream(io.BytesIO):
    """Bytes that can be read a few times over, no more."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._reads, self._bytes = MAX_READS, 4 * len(data) + (1 << 20)

    def read(self, size: int | None = -1, /) -> bytes:
        out = super().read(size)
        self._reads -= 1
        self._bytes -= len(out)
        if min(self._reads, self._bytes) < 0:
            raise ValueError("its sizes lead in a circle")
        return out
