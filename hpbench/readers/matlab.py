"""MATLAB files up to v7.2, read without trusting them: shapes are checked before anything is loaded."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError

__all__ = ["read_mat"]

MAX_MAT_BYTES = 64 << 20


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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy warns about duplicate names; what counts is checked below
            present = {variable: shape for variable, shape, _ in whosmat(io.BytesIO(data))}
            for variable, shape in shapes.items():
                if variable not in present:
                    raise InputError(f"{name}: there is no {variable} in it (it holds {', '.join(sorted(present)) or 'nothing'}).")
                if tuple(present[variable]) != shape:
                    raise InputError(f"{name}: {variable} has shape {tuple(present[variable])}, expected {shape}.")
            loaded: dict[str, Any] = loadmat(io.BytesIO(data), variable_names=list(shapes))
    except InputError:
        raise
    except Exception as error:  # scipy raises a dozen kinds for damaged files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:100]
        raise InputError(f"{name}: not a MATLAB file that can be read: truncated, or another kind of file? ({reason})") from None
    out: dict[str, npt.NDArray[np.float64]] = {}
    for variable, shape in shapes.items():
        value = np.asarray(loaded.get(variable))
        if value.dtype.kind not in "fiu" or value.shape != shape:
            raise InputError(f"{name}: {variable} is no numeric array of shape {shape}.")
        out[variable] = value.astype(np.float64)
        if not np.isfinite(out[variable]).all():
            raise InputError(f"{name}: {variable} holds a number that is not finite.")
    return out
