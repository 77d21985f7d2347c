"""Prediction files as HDF5 and .npz: sizes are checked before anything is allocated, nothing is unpickled."""

from __future__ import annotations

import math
import mmap
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import atomic_path
from ..columns import known_ids
from ..errors import InputError
from ..untrusted import has_sound_heaps, is_bomb, read_npz_arrays
from .created import created_h5
from .schema import TEXT_COLUMNS, first_line

__all__ = ["fixed_width", "read_h5", "read_npz", "write_declarations", "write_h5", "write_npz"]

_ROWS = 1 << 12  # of texts decoded at once
MAX_ARRAY_BYTES = 8 << 30  # a million faces with 98 points are 1.6 GB
_FILTERS = (1, 2, 3, 4, 5, 6, 32000)  # those of HDF5 itself, and h5py's lzf: no code is loaded for a file's sake


def read_h5(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            columns: dict[str, Any] = {}
            _check_storage(file, path)
            declarations = {k: v.decode() if isinstance(v, bytes) else v for k, v in file.attrs.items()}
            for name in file:
                value = file[name][()]
                if isinstance(value, bytes):
                    declarations[name] = value.decode()  # a text beside the arrays says the same as an attribute
                else:
                    columns[name] = value
    except InputError:
        raise
    except Exception as error:  # a damaged file may surprise the library anywhere
        raise InputError(f"{path}: cannot be read as HDF5: truncated, or another kind of file? ({first_line(error)})") from None
    return {k: _as_text_list(columns.pop(k), k, path) if k in TEXT_COLUMNS else columns[k] for k in list(columns)}, declarations


def _check_storage(file: Any, path: Path) -> None:
    """That all values lie in the file, unpack to about what its size explains, and can be walked through."""
    import h5py

    claimed, texts = 0, any(file.attrs.get_id(name).dtype.hasobject for name in file.attrs)
    for name in file:
        link = file.get(name, getlink=True)
        item = file[name] if isinstance(link, h5py.HardLink) else None  # an external link could read other files
        if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual or item.shape is None:
            raise InputError(f"{path}: {name!r:.60} is not an array inside the file.")
        size = math.prod(item.shape) * max(item.dtype.itemsize, 1)
        claimed += max(size, math.prod(item.chunks or ()) * item.dtype.itemsize)  # HDF5 allocates a chunk whole
        if size > MAX_ARRAY_BYTES:
            raise InputError(f"{path}: {name!r:.60} claims shape {item.shape}, more than {MAX_ARRAY_BYTES >> 30} GiB.")
        if is_bomb(claimed, path.stat().st_size):
            raise InputError(f"{path}: {name!r:.60} claims shape {str(item.shape):.60}, far more than the file holds.")
        filters = item.id.get_create_plist()
        if odd := [n for n in (filters.get_filter(i)[0] for i in range(filters.get_nfilters())) if n not in _FILTERS]:
            raise InputError(f"{path}: {name!r:.60} is packed by the HDF5 filter {odd[0]}, which needs a plug-in: write it with gzip.")
        texts = texts or item.dtype.hasobject  # of any length: they lie in a heap
    if texts:
        with path.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if not has_sound_heaps(content):
                raise InputError(f"{path}: its texts are damaged.")


def write_h5(path: Path, columns: dict[str, Any], declarations: dict[str, str]) -> None:
    with created_h5(path) as file:
        for name, value in columns.items():
            if name in TEXT_COLUMNS:
                value = fixed_width([str(v) for v in value])
            file.create_dataset(name, data=value, track_times=False)
        write_declarations(file, declarations)


def write_declarations(file: Any, declarations: dict[str, str]) -> None:
    """Texts that hold for the whole of an open HDF5 file, as attributes."""
    for name, text in declarations.items():
        value = fixed_width([text])
        file.attrs.create(name, value[0], dtype=value.dtype)


def fixed_width(texts: list[str]) -> np.ndarray:
    """Texts as HDF5 stores them without its heap: equal content is equal bytes, and HDF5 2.0 hangs on a damaged heap."""
    import h5py

    encoded = [text.encode() for text in texts]
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", max(map(len, encoded), default=1) or 1))


def read_npz(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    columns: dict[str, Any] = {}
    declarations: dict[str, Any] = {}
    try:
        arrays = read_npz_arrays(path, MAX_ARRAY_BYTES)
    except Exception as error:  # a damaged archive may surprise zipfile, zlib or NumPy anywhere
        raise InputError(f"{path}: cannot be read as .npz: truncated, or another kind of file? ({first_line(error)})") from None
    for name, value in arrays.items():
        if value.dtype.kind in "US" and value.ndim == 0:
            declarations[name] = _as_text_list(value[None], name, path)[0]
        elif name in TEXT_COLUMNS:
            columns[name] = _as_text_list(value, name, path)
        else:
            columns[name] = value
    return columns, declarations


def write_npz(path: Path, columns: dict[str, Any], declarations: dict[str, str]) -> None:
    arrays: dict[str, Any] = {
        k: np.array([str(v) for v in value], dtype=str) if k in TEXT_COLUMNS else value for k, value in columns.items()
    }
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **(arrays | {k: np.array(v) for k, v in declarations.items()}))


def _as_text_list(value: Any, name: str, path: Path) -> list[str]:
    array = np.asarray(value)
    if array.ndim != 1 or array.dtype.kind not in "USO":
        raise InputError(f"{path}: {name} must be a list of texts, got {array.dtype} of shape {array.shape}.")
    texts: list[str] = []
    try:
        for start in range(0, len(array), _ROWS):
            block = [v.decode() if isinstance(v, bytes) else str(v) for v in array[start : start + _ROWS]]
            texts += known_ids(block, start) if name == "sample_id" else block
        return texts
    except UnicodeDecodeError:
        raise InputError(f"{path}: {name} is not UTF-8.") from None
