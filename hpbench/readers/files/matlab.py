"""MATLAB files up to v7.2, read without trusting them: shapes are checked before anything is loaded.

Plain arrays of v5 files (MATLAB 5 to 7.2: all that datasets use) are parsed here, because SciPy's parser unpacks and
allocates whatever a file claims, and crashes the process on unknown types.  v4 files are left to SciPy, which reads them
in Python, through a stream that gives up: their sizes can lead in a circle.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import InputError

__all__ = ["read_mat", "read_mat_strings"]

Array = npt.NDArray[Any]

MAX_MAT_BYTES = 64 << 20  # packed, and again unpacked
MAX_VARIABLES = 10_000
MAX_READS = 20_000  # of a v4 file; one of labels takes some dozen

_NUMERIC = ("double", "single", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
_CLASSES = dict(enumerate(("cell", "struct", "object", "char", "sparse", *_NUMERIC, "function", "opaque", "object"), start=1))
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}  # how numbers are stored
_TEXTS = {1: "latin1", 2: "latin1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}  # how letters are stored
_MATRIX, _COMPRESSED = 14, 15  # types of element on the top level
_HDF5 = b"\x89HDF\r\n\x1a\n"


class _Variable(NamedTuple):
    name: str
    kind: str  # MATLAB's class
    shape: tuple[int, ...]
    load: Callable[[], Array]


def read_mat(data: bytes, name: str, shapes: Mapping[str, tuple[int, ...]], *, logical: bool = False) -> dict[str, npt.NDArray[np.float64]]:
    """Numeric variables of a .mat file.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        What an error calls it.
    shapes : mapping
        Wanted variable -> its exact shape; each is required.
    logical : bool
        Whether truth values are read too, as 0 and 1 (of v5 files).

    Returns
    -------
    dict of float64 arrays; all finite.

    Raises
    ------
    InputError
        Truncated, not a .mat, a variable missing or twice there, of another shape, not numeric, or not finite.
    """
    _refuse_at_once(data, name)
    try:
        present = _variables_v4(data) if 0 in data[:4] else list(_variables_v5(data))
        return {variable: _load(present, name, variable, shape, logical) for variable, shape in shapes.items()}
    except InputError:
        raise
    except Exception as error:  # struct, zlib, NumPy and SciPy raise a dozen kinds for damaged files
        raise _unreadable(name, error) from None


def read_mat_strings(data: bytes, name: str, variable: str, shape: tuple[int, int]) -> list[str]:
    """A cell array of texts of a v5 .mat file, such as a list of file names.

    Parameters
    ----------
    data, name
        As for `read_mat`.
    variable : str
    shape : (rows, columns)
        Its exact shape.

    Returns
    -------
    list of rows * columns str, in MATLAB's order (columns first).
    """
    _refuse_at_once(data, name)
    try:
        found = [v for v in _variables_v5(data) if v.name == variable]
        if len(found) != 1:
            raise InputError(f"{name}: {variable} is {'not in it' if not found else 'in it twice'}.")
        if found[0].kind != "cell":
            raise InputError(f"{name}: {variable} is of class {found[0].kind}, expected a cell array of texts.")
        if found[0].shape != shape:
            raise InputError(f"{name}: {variable} has shape {str(found[0].shape)[:60]}, expected {shape}.")
        return [str(text) for text in found[0].load()]
    except InputError:
        raise
    except Exception as error:  # as above
        raise _unreadable(name, error) from None


def _refuse_at_once(data: bytes, name: str) -> None:
    if len(data) > MAX_MAT_BYTES:
        raise InputError(f"{name}: {len(data)} bytes is no label file.")
    if not data:
        raise InputError(f"{name}: the file is empty.")
    if data.startswith((_HDF5, b"MATLAB 7.3 MAT-file")) or data[512:520] == _HDF5:
        raise InputError(f"{name}: a MATLAB v7.3 file (HDF5), expected v7 or older: saved again by a newer MATLAB?")


def _unreadable(name: str, error: Exception) -> InputError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:100]
    return InputError(f"{name}: not a MATLAB file that can be read: truncated, or another kind of file? ({reason})")


def _load(present: list[_Variable], name: str, variable: str, shape: tuple[int, ...], logical: bool) -> npt.NDArray[np.float64]:
    found = [v for v in present if v.name == variable]
    if not found:
        names = sorted({v.name if v.name.isprintable() else ascii(v.name) for v in present})
        raise InputError(f"{name}: there is no {variable} in it (it holds {', '.join(names[:12])[:200] or 'nothing'}).")
    if len(found) > 1:
        raise InputError(f"{name}: {variable} is in it twice: which one is meant?")
    if found[0].kind not in _NUMERIC and not (logical and found[0].kind == "logical"):
        raise InputError(f"{name}: {variable} is of class {found[0].kind}, expected numbers.")
    if found[0].shape != shape:
        raise InputError(f"{name}: {variable} has shape {str(found[0].shape)[:60]}, expected {shape}.")
    value = found[0].load()
    if value.dtype.kind not in "fiu" or value.shape != shape:
        raise InputError(f"{name}: {variable} is no array of {shape} real numbers.")
    with np.errstate(invalid="ignore"):  # a signalling NaN is refused below
        value = value.astype(np.float64)
    if not np.isfinite(value).all():
        raise InputError(f"{name}: {variable} holds a number that is not finite.")
    return value


def _variables_v5(data: bytes) -> Iterator[_Variable]:
    order = {b"\0\1IM": "<", b"\1\0MI": ">"}.get(data[124:128])
    if order is None:
        raise ValueError("no MATLAB header")
    for element in _elements(data, order):
        parts = list(islice(_parts(element, order), 5))  # flags, shape, name, real, imaginary
        if not parts or len(parts[0][1]) != 8:
            raise ValueError("a variable without flags")
        (flags,) = struct.unpack_from(f"{order}I", parts[0][1])
        kind = "logical" if flags & 0x200 else _CLASSES.get(flags & 0xFF, "unknown")
        shape = tuple(int(n) for n in np.frombuffer(parts[1][1], f"{order}i4")) if kind in (*_NUMERIC, "logical", "cell") else ()
        name = parts[1 if kind == "opaque" else 2][1].decode("latin1")
        if kind == "cell":
            yield _Variable(name, kind, shape, lambda element=element, shape=shape: _cell_texts(element, order, shape))  # type: ignore[misc]
            continue

        def load(parts: list[tuple[int, bytes]] = parts, shape: tuple[int, ...] = shape, is_complex: bool = bool(flags & 0x800)) -> Array:
            storage, content = parts[3]
            if storage not in _TYPES:
                raise ValueError(f"numbers of type {storage}")
            value = np.frombuffer(content, f"{order}{_TYPES[storage]}").reshape(shape, order="F")
            return value + 0j if is_complex else value

        yield _Variable(name, kind, shape, load)


def _cell_texts(element: bytes, order: str, shape: tuple[int, ...]) -> Array:
    """The texts in a cell array; an empty cell is an empty text."""
    texts = []
    for kind, cell in islice(_parts(element, order), 3, None):  # after flags, shape and name
        if kind != _MATRIX:
            raise ValueError(f"an element of type {kind} in a cell")
        parts = list(islice(_parts(cell, order), 4))
        if parts and (len(parts) < 4 or parts[0][1][0 if order == "<" else 3] != 4):  # class 4 is char
            raise ValueError("a cell that holds no text")
        storage, letters = parts[3] if parts else (2, b"")
        codec = _TEXTS[storage]
        texts.append(letters.decode(codec if codec in ("latin1", "utf-8") else f"{codec}-{'le' if order == '<' else 'be'}"))
    if len(texts) != int(np.prod(shape)):
        raise ValueError(f"{len(texts)} cells where {shape} are claimed")
    return np.array(texts, dtype=object)


def _elements(data: bytes, order: str) -> Iterator[bytes]:
    """The content of the matrices on the top level, unpacked."""
    at, room = 128, MAX_MAT_BYTES
    for count in range(len(data)):
        if at >= len(data):
            return
        if count >= MAX_VARIABLES:
            raise ValueError(f"more than {MAX_VARIABLES} variables")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        element = data[at + 8 : at + 8 + size]
        at += 8 + size
        if at > len(data):
            raise ValueError("it ends within a variable")
        if kind == _COMPRESSED:
            stream = zlib.decompressobj()
            element = stream.decompress(element, room + 1)
            if len(element) > room:
                raise ValueError(f"it unpacks to more than {MAX_MAT_BYTES >> 20} MiB")
            room -= len(element)
            kind, size = struct.unpack_from(f"{order}II", element)
            if not stream.eof or len(element) < 8 + size:
                raise ValueError("a compressed variable is cut off")
            element = element[8 : 8 + size]
        if kind != _MATRIX:
            raise ValueError(f"an element of type {kind} where a variable should be")
        yield element


def _parts(element: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type and content of the parts of a matrix."""
    at = 0
    while at < len(element):
        kind, size = struct.unpack_from(f"{order}II", element, at)
        at += 8
        if kind >> 16:  # a small part: type and size in the first word, content in the second
            kind, size = kind & 0xFFFF, kind >> 16
            if size > 4:
                raise ValueError("a small part of a variable is too large")
            yield kind, element[at - 4 : at - 4 + size]
            continue
        if at + size > len(element):
            raise ValueError("a part of a variable is larger than the variable")
        yield kind, element[at : at + size]
        at += size + -size % 8


def _variables_v4(data: bytes) -> list[_Variable]:
    from scipy.io import loadmat, whosmat

    def load(variable: str) -> Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(loadmat(_BoundedStream(data), variable_names=[variable])[variable])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about names that stand twice, and sizes that overflow
        listed = whosmat(_BoundedStream(data))
    if len(listed) > MAX_VARIABLES:
        raise ValueError(f"more than {MAX_VARIABLES} variables")
    return [_Variable(name, kind, tuple(shape), lambda name=name: load(name)) for name, shape, kind in listed]  # type: ignore[misc]


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
