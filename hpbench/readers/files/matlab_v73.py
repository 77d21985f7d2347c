"""MATLAB v7.3 files, which are HDF5: numeric matrices and cell arrays of images, read in part and without trusting them.

h5py shows MATLAB's arrays transposed: a matrix of N rows and 87 columns has shape (87, N), an image of height H and width
W has shape (W, H), or (3, W, H) in colour.  Shapes are checked before anything is loaded.  Nothing but the file itself is
ever read: soft and external links, virtual datasets, data in other files and filters from plugins are refused.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ...errors import InputError
from .datafile import DataFile, stamp_of

__all__ = ["MAX_PACKED_BYTES", "MatV73", "is_plain_file"]

Array = npt.NDArray[Any]

MAX_PACKED_BYTES = 256 << 20  # of a .mat inside an archive: it is kept in memory
MAX_COLUMNS = 100_000
MAX_IMAGE_BYTES = 64 << 20
MAX_CHUNK_BYTES = 64 << 20  # HDF5 allocates a chunk whole, however little of it is used
_SLACK_BYTES = 1 << 16
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)  # MATLAB uses the first


class MatV73:
    """A .mat file, opened anew for each reading: threads and forked processes share no handle.

    Attributes
    ----------
    name : str
        What errors call it.
    """

    def __init__(self, file: DataFile) -> None:
        self.name = file.name
        self._file = file

    def has(self, variable: str) -> bool:
        """Whether there is such a variable."""
        with self._opened() as file:
            return variable in file

    def matrix(self, variable: str, columns: int, rows: int | None = None) -> npt.NDArray[np.float64]:
        """A numeric matrix as MATLAB has it, (N, columns) float64, all finite; N is `rows` where that is given."""
        with self._opened() as file:
            data = self._dataset(file, variable)
            if data.dtype.kind not in "fiu":
                raise InputError(f"{self.name}: {variable} is of type {data.dtype}, expected numbers.")
            wanted = f"({columns}, {'N' if rows is None else rows})"
            if data.ndim != 2 or data.shape[0] != columns or (rows is not None and data.shape[1] != rows):
                hint = " (transposed, so not written by MATLAB?)" if data.ndim == 2 and data.shape[1] == columns else ""
                raise InputError(f"{self.name}: {variable} has shape {str(data.shape)[:60]}, expected {wanted}{hint}.")
            if data.shape[1] > MAX_COLUMNS:
                raise InputError(f"{self.name}: {variable} claims {data.shape[1]} faces, more than any such file has.")
            self._check_storage(data, variable)
            with np.errstate(invalid="ignore"):  # a signalling NaN is refused below
                values = np.asarray(data[()]).T.astype(np.float64)
        if (bad := np.flatnonzero(~np.isfinite(values).all(axis=1))).size:
            raise InputError(f"{self.name}: {variable} of face {bad[0] + 1} holds a number that is not finite.")
        return np.ascontiguousarray(values)

    def cell_length(self, variable: str) -> int:
        """How many elements a cell array (a vector) has."""
        with self._opened() as file:
            return int(self._cell(file, variable).size)

    def image(self, variable: str, index: int) -> npt.NDArray[np.uint8]:
        """An image in a cell array, (H, W, 3) uint8 RGB; grey becomes three equal channels.

        Parameters
        ----------
        variable : str
            The cell array.
        index : int
            From 0.
        """
        where = f"{variable}{{{index + 1}}}"  # as MATLAB counts
        with self._opened() as file:
            cell = self._cell(file, variable)
            if not 0 <= index < cell.size:
                raise InputError(f"{self.name}: there is no {where}, only {cell.size} images.")
            reference = cell[0, index] if cell.shape[0] == 1 else cell[index, 0]
            data = file[reference] if reference else None
            if not isinstance(data, h5py.Dataset):
                raise InputError(f"{self.name}: {where} refers to nothing.")
            if data.dtype != np.uint8 or not (data.ndim == 2 or (data.ndim == 3 and data.shape[0] == 3)):
                raise InputError(
                    f"{self.name}: {where} is {data.dtype} of shape {str(data.shape)[:60]}, no image: expected uint8 (W, H) or (3, W, H)."
                )
            if not 0 < data.size <= MAX_IMAGE_BYTES:
                raise InputError(f"{self.name}: {where} claims an image of shape {data.shape}.")
            self._check_storage(data, where)
            stored = np.asarray(data[()])
        upright = stored.T  # (H, W) or (H, W, 3)
        colour = upright if upright.ndim == 3 else np.repeat(upright[:, :, None], 3, axis=2)
        return np.ascontiguousarray(colour)

    @cached_property
    def _packed(self) -> bytes:
        if self._file.size > MAX_PACKED_BYTES:
            raise InputError(f"{self.name}: {self._file.size >> 20} MiB inside an archive: unpack it and give the folder.")
        return self._file.fetch()

    @contextmanager
    def _opened(self) -> Iterator[h5py.File]:
        # "best-effort": a read-only or network disk may not allow locks, and reading needs none
        try:
            if is_plain_file(self._file):
                opened = h5py.File(self.name, "r", locking="best-effort")
            else:
                opened = h5py.File(io.BytesIO(self._packed), "r")
            with opened as file:
                yield file
        except (InputError, GeneratorExit):
            raise
        except Exception as error:  # HDF5 answers a damaged file with a dozen kinds
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
            raise InputError(
                f"{self.name}: not a MATLAB v7.3 file (HDF5) that can be read: truncated, or saved in another format? ({reason})"
            ) from None

    def _dataset(self, file: h5py.File, variable: str) -> h5py.Dataset:
        link = file.get(variable, getlink=True) if variable in file else None
        if link is None:
            names = [n if n.isprintable() else ascii(n) for n in file if not n.startswith("#")][:12]
            raise InputError(f"{self.name}: there is no {variable} in it (it holds {', '.join(names)[:200] or 'nothing'}).")
        if not isinstance(link, h5py.HardLink):
            raise InputError(f"{self.name}: {variable} is a link to somewhere else: this file is not to be trusted.")
        data = file[variable]
        if not isinstance(data, h5py.Dataset):
            raise InputError(f"{self.name}: {variable} is a structure, expected an array.")
        return data

    def _cell(self, file: h5py.File, variable: str) -> h5py.Dataset:
        cell = self._dataset(file, variable)
        if h5py.check_ref_dtype(cell.dtype) is not h5py.Reference:
            raise InputError(f"{self.name}: {variable} is of type {cell.dtype}, expected a cell array of images.")
        if cell.ndim != 2 or 1 not in cell.shape or cell.size > MAX_COLUMNS:
            raise InputError(f"{self.name}: {variable} has shape {str(cell.shape)[:60]}, expected (1, N).")
        self._check_storage(cell, variable)
        return cell

    def _check_storage(self, data: h5py.Dataset, what: str) -> None:
        """That the values lie in this file and unpack to about what the shape says."""
        filters = data.id.get_create_plist()
        if data.is_virtual or data.external or any(filters.get_filter(i)[0] not in _FILTERS for i in range(filters.get_nfilters())):
            raise InputError(f"{self.name}: {what} is stored in a way MATLAB does not use (in other files, or by a filter).")
        chunk_bytes = int(np.prod(data.chunks or (0,), dtype=float)) * data.dtype.itemsize
        if chunk_bytes > MAX_CHUNK_BYTES or data.id.get_storage_size() > 2 * data.nbytes + _SLACK_BYTES:
            raise InputError(f"{self.name}: {what} takes more room in the file than its shape {data.shape} explains.")


def is_plain_file(file: DataFile) -> bool:
    """Whether a file of a data root lies on disk as it is, not in an archive, so that it can be read in part."""
    try:
        return bool(file.stamp) and stamp_of(os.stat(file.name)) == file.stamp
    except (OSError, ValueError):
        return False
