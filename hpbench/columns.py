"""The columns of `hpbench.faces.Faces`: what they are, and the checks that every table of faces passes.

Each complaint is one sentence that names the first row concerned and guesses the mistake.
"""

from __future__ import annotations

import itertools
import operator
import re
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .geometry.rotations import CONVENTIONS, convention_named, geodesic_deg, nearest_rotation, rotation_defect, rotation_from_euler
from .landmarks import SCHEMES, scheme_named

__all__ = [
    "COLUMNS",
    "MAX_ROTATION_DEFECT",
    "TEXT_COLUMNS",
    "check_ids",
    "check_points",
    "checked_column",
    "checked_ids",
    "checked_rotation",
    "checked_text",
    "known_ids",
]

Array = npt.NDArray[Any]

MAX_ROTATION_DEFECT = 1e-2  # of |R R^T - I|: admits matrices printed with three decimals, refuses everything else
_MAX_REASON = 300  # characters of a failure's reason
_ROWS = 1 << 14  # worked on at once: temporary arrays of a million faces would take more memory than the faces
_EXACT = 1e-9  # a matrix computed in float64 is left as it is
MAX_EULER_DISAGREEMENT_DEG = 0.1  # between a row's rotation and its Euler angles, where both are given

# per-row array columns: name -> (shape after N, dtype); -1 is L, the number of landmarks, equal in all of them
COLUMNS: dict[str, tuple[tuple[int, ...], type]] = {
    "rotation": ((3, 3), np.float64),
    "euler_deg": ((3,), np.float64),
    "landmarks": ((-1, 2), np.float64),
    "visibility": ((-1,), np.float64),
    "box_xyxy_px": ((4,), np.float64),
    "occlusion": ((-1,), np.uint8),
}
TEXT_COLUMNS = ("person", "sequence", "failure")

# no list, table or file can carry these unharmed; the later ones steer terminals (C1) or turn a text around for who reads it (bidi)
CONTROL = re.compile("[\x00-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]+")


def check_points(columns: Mapping[str, Array | None], scheme: str | None) -> None:
    """Landmarks, visibility and occlusion have one number of points, that of the scheme; visibility is a probability."""
    lengths = {n: value.shape[1] for n, value in columns.items() if value is not None}
    if len(set(lengths.values())) > 1:
        raise InputError(f"numbers of landmarks differ: {', '.join(f'{k} has {v}' for k, v in lengths.items())}.")
    if scheme is not None:
        expected = scheme_named(scheme).n_points
        for name, length in lengths.items():
            if length != expected:
                fitting = [s.name for s in SCHEMES.values() if s.n_points == length]
                hint = f"a scheme of {length} points is {fitting[0]}" if fitting else f"no known scheme has {length}"
                raise InputError(f"{name} has {length} points a face but scheme {scheme!r} has {expected}: {hint}.")
    visibility = columns.get("visibility")
    if visibility is not None and (bad := np.argwhere((visibility < 0) | (visibility > 1))).size:
        row, point = map(int, bad[0])
        raise InputError(
            f"visibility of point {point} in row {row + 1} is {visibility[row, point]:g}: it is a probability, "
            f"0 (occluded) to 1 (visible); {_meant_visibility(visibility[~np.isnan(visibility)])}"
        )


def _meant_visibility(values: Array) -> str:
    """What numbers beyond 0 and 1 may be, by their range."""
    low, high = values.min(), values.max()
    if np.isin(values, (-1, 1)).all():
        return "-1 for occluded? write 0."
    if np.isin(values, (0, 1, 2)).all():
        return "COCO's flags, 0 not labelled, 1 occluded, 2 visible?"
    if -0.05 <= low and high <= 1.05:
        return "a score that is not clipped?"
    if low >= 0 and 50 < high <= 100:
        return "percent? divide by 100."
    return "a score before the sigmoid?"


def checked_rotation(ids: Array, rotation: Array | None, euler_deg: Array | None, convention: str | None) -> Array | None:
    """The rotations that a table keeps: those given; None where it has angles, from which they follow and with which they must agree."""
    if euler_deg is None:
        if convention is not None and rotation is None:
            raise InputError(f"convention {convention!r} is declared but there are no angles (euler_deg) to read by it.")
        return None if rotation is None else _checked_matrices(ids, rotation)
    if convention is None:
        raise InputError(
            f"euler_deg needs its convention: say which ({', '.join(CONVENTIONS)}; in a CSV by a first line '# convention=300w-lp'), "
            "or give rotation matrices."
        )
    convention_named(convention)
    _check_whole(ids, euler_deg, "one or two of its three angles are NaN")
    if rotation is not None:
        _check_whole(ids, rotation, "part of its rotation matrix is NaN")
        _check_agreement(ids, rotation, euler_deg, convention)
    return None


def _checked_matrices(ids: Array, rotation: Array) -> Array:
    """Rotations, the nearest ones to matrices that were rounded when they were written."""
    _check_whole(ids, rotation, "part of its rotation matrix is NaN")
    defect = rotation_defect(rotation)
    if (bad := np.flatnonzero(~(defect <= MAX_ROTATION_DEFECT) & ~np.isnan(rotation[:, 0, 0]))).size:
        guess = "a reflection: mirrored axes?" if defect[bad[0]] == 2.0 else "scaled, or rounded?"
        raise InputError(
            f"face {ids[bad[0]]!r}: its matrix is no rotation, |R R^T - I| = {defect[bad[0]]:.3g} ({bad.size} such rows; {guess})."
        )
    rounded = defect > _EXACT
    if not rounded.any():
        return rotation
    out = rotation.copy()
    for rows in np.array_split(np.flatnonzero(rounded), -(-len(rounded) // _ROWS)):
        out[rows] = nearest_rotation(rotation[rows])
    return out


def _check_agreement(ids: Array, rotation: Array, euler_deg: Array, convention: str) -> None:
    lone = np.isnan(rotation[:, 0, 0]) != np.isnan(euler_deg[:, 0])
    if (bad := np.flatnonzero(lone)).size:
        one, other = ("matrix", "angles") if np.isnan(euler_deg[bad[0], 0]) else ("angles", "matrix")
        raise InputError(f"face {ids[bad[0]]!r} has its {one} but no {other} ({bad.size} such rows): give all faces alike.")
    apart = np.empty(len(ids))
    for start in range(0, len(ids), _ROWS):
        rows = slice(start, start + _ROWS)
        apart[rows] = geodesic_deg(rotation[rows], rotation_from_euler(euler_deg[rows], convention))
    if (bad := np.flatnonzero(apart > MAX_EULER_DISAGREEMENT_DEG)).size:
        raise InputError(
            f"face {ids[bad[0]]!r}: its rotation matrix and its {convention} angles are {apart[bad[0]]:.1f} degrees apart "
            f"({bad.size} such rows): give one of them, or the convention the angles are really in."
        )


def _check_whole(ids: Array, column: Array, problem: str) -> None:
    missing = np.isnan(column)
    axes = tuple(range(1, missing.ndim))
    if (bad := np.flatnonzero(missing.any(axis=axes) & ~missing.all(axis=axes))).size:
        raise InputError(f"face {ids[bad[0]]!r}: {problem} ({bad.size} such rows): a failed face is NaN in all of them.")


_largest: weakref.ref[Array] | None = None  # the ids of the largest table of faces there is


def known_ids(ids: list[str], above: int = 0) -> list[str]:
    """These ids, as the texts of the largest table there is where it has them in the same rows; `above` rows come before these.

    Labels and predictions have the same ids, and a text takes more memory than a face's angles.
    """
    largest = _largest() if _largest else None
    if largest is None:
        return ids
    same = [known if known == given else given for known, given in zip(largest[above : above + len(ids)], ids, strict=False)]
    return same + ids[len(same) :]


def checked_ids(given: Sequence[str] | Array) -> Array:
    """The ids of a table, (N,) of str; those of the largest table there is are checked already, and shared."""
    global _largest
    largest = _largest() if _largest else None
    if largest is not None and (given is largest or (len(given) == len(largest) and all(map(operator.eq, given, largest)))):
        return largest
    ids = [str(i) for i in given]
    check_ids(ids)
    column = np.array(ids, dtype=object)
    column.flags.writeable = False
    if largest is None or len(largest) <= len(column):
        _largest = weakref.ref(column)
    return column


def check_ids(ids: list[str]) -> None:
    """Ids are unique, not empty, and fit on a line of a list."""
    for row, sample_id in enumerate(ids):
        if not sample_id or CONTROL.search(sample_id):
            problem = "holds a line break or another control character" if sample_id else "is empty"
            raise InputError(f"sample_id {sample_id!r:.60} in row {row + 1} {problem}.")
    if not all(map(operator.lt, ids, itertools.islice(ids, 1, None))) and len(set(ids)) < len(ids):  # most are sorted: no set needed
        first_row: dict[str, int] = {}
        for row, sample_id in enumerate(ids):
            if sample_id in first_row:
                raise InputError(
                    f"sample_id {sample_id!r} stands twice, in rows {first_row[sample_id] + 1} and {row + 1}: an id may occur once."
                )
            first_row[sample_id] = row


_LARGEST = 1e12  # squares and cubes of what is larger leave the range of numbers, and no face is out there


def checked_column(name: str, value: object, n: int, shape: tuple[int, ...], dtype: type) -> Array:
    """A column as an array of the right shape and type, finite or NaN; a copy, but for an array that nobody can write to."""
    try:
        given: Array = np.asarray(value)
        if given.dtype.kind == "c":
            raise TypeError
        array: Array = given if given.dtype == dtype and not given.flags.writeable else np.array(given, dtype=dtype)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} is not an array of numbers of equal shape: rows of different length, or text?") from None
    wanted = (n, *shape)
    wrong = array.ndim != len(wanted) or any(w not in (-1, have) for w, have in zip(wanted, array.shape, strict=False))
    if wrong:
        text = ", ".join("L" if w == -1 else str(w) for w in wanted)
        raise InputError(f"{name} must have shape ({text}), got {array.shape}{_meant_shape(name, array.shape, n)}.")
    if dtype is not np.float64:
        return array
    largest = max(np.fmax.reduce(array, axis=None, initial=0.0), -np.fmin.reduce(array, axis=None, initial=0.0))  # past NaN, in place
    if np.isinf(largest):
        row = int(np.argwhere(np.isinf(array))[0][0]) + 1
        raise InputError(f"{name} holds an infinite number in row {row}: a failed face is NaN.")
    if name != "rotation" and largest > _LARGEST:
        row = int(np.argwhere(np.abs(array) == largest)[0][0]) + 1
        raise InputError(f"{name} holds {largest:.3g} in row {row}: no pixel, angle or millimetre is as large: a failed face is NaN.")
    return array


_MEANT = {  # (column, shape after N) -> what it may be
    ("rotation", (3,)): "Euler angles? give them as euler_deg with their convention",
    ("rotation", (4,)): "a quaternion? give its 3x3 matrix",
    ("rotation", (6,)): "the six-number representation? give its 3x3 matrix",
    ("rotation", (9,)): "a flattened matrix? reshape it to (N, 3, 3)",
    ("rotation", (3, 4)): "with a translation? give the left 3x3 part",
    ("rotation", (4, 4)): "a homogeneous matrix? give its upper left 3x3 part",
    ("euler_deg", (3, 3)): "matrices? give them as rotation",
    ("euler_deg", (4,)): "a quaternion? give its 3x3 matrix as rotation",
}


def _meant_shape(name: str, shape: tuple[int, ...], n: int) -> str:
    """End of an error about a column's shape: what its values may be."""
    if shape[:1] != (n,):
        one = len(shape) == len(COLUMNS[name][0]) and n == 1
        return ": of one face? The first axis counts faces" if one else f": {shape[0] if shape else 1} rows for {n} faces"
    row = shape[1:]
    hint = _MEANT.get((name, row), "")
    if name == "landmarks" and len(row) == 2:
        hint = "transposed? points come before x, y" if row[0] == 2 else "with a depth or a score? give x, y alone" if row[1] == 3 else ""
    elif name == "landmarks" and len(row) == 1 and row[0] % 2 == 0:
        hint = f"flattened? reshape them to (N, {row[0] // 2}, 2)"
    elif name == "visibility" and len(row) == 2 and row[1] == 2:
        hint = "scores of two classes? give P(visible) alone"
    return f": {hint}" if hint else ""


def checked_text(name: str, value: object, n: int) -> Array:
    """A column of n texts; the reason of a failure is kept on one line."""
    texts = [str(v) for v in value]  # type: ignore[attr-defined]
    if len(texts) != n:
        raise InputError(f"{name} has {len(texts)} entries for {n} faces.")
    if name == "failure":  # an error message of any library: one line of it is stored, in every format
        texts = [(CONTROL.sub(" ", v).strip() if CONTROL.search(v) else v)[:_MAX_REASON] for v in texts]
    return np.array(texts, dtype=object)
