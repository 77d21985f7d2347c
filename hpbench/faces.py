"""Faces: a table of labels, one row a face, the same shape for truth and for prediction.

Conventions
-----------
Landmarks and boxes are in pixels of the original image; (0, 0) is the centre of the top-left pixel.  Rotations are
head -> camera in the OpenCV camera frame (see `hpbench.geometry.rotations`).  A NaN row is a face that was not
annotated (truth) or that failed (prediction).  Rows are matched by `sample_id`, never by position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .geometry.rotations import convention_named, geodesic_deg, rotation_defect, rotation_from_euler
from .landmarks import SCHEMES, scheme_named

if TYPE_CHECKING:
    from .images import ImageRef

__all__ = ["Faces", "Sample"]

Array = npt.NDArray[Any]

MAX_ROTATION_DEFECT = 1e-2  # of |R R^T - I|: admits matrices printed with three decimals, refuses everything else
MAX_EULER_DISAGREEMENT_DEG = 0.1  # between a row's rotation and its Euler angles, where both are given

# per-row array columns: name -> (shape after N, dtype); -1 is L, the number of landmarks, equal in all of them
_COLUMNS: dict[str, tuple[tuple[int, ...], type]] = {
    "rotation": ((3, 3), np.float64),
    "euler_deg": ((3,), np.float64),
    "landmarks": ((-1, 2), np.float64),
    "visibility": ((-1,), np.float64),
    "box_xyxy_px": ((4,), np.float64),
    "occlusion": ((-1,), np.uint8),
}
_TEXT_COLUMNS = ("person", "sequence", "failure")


class Sample(NamedTuple):
    """What a model may see of a face: no truth inside.

    Attributes
    ----------
    sample_id : str
    image : ImageRef
        Read with ``image.read()``.
    box_xyxy_px : (4,) float64 array
        Edges of the face box in landmark coordinates, unrounded: width = x1 - x0.
    camera : (3, 3) float64 array or None
        Intrinsic matrix K where the dataset gives it.
    """

    sample_id: str
    image: ImageRef
    box_xyxy_px: Array
    camera: Array | None = None


@dataclass(frozen=True, eq=False)
class Faces:
    """Labels of N faces, one row each; every array is read-only.

    Attributes
    ----------
    sample_id : (N,) str array
        Unique.  Left out (by a model, which does not know them), rows are numbered "0", "1", ...
    rotation : (N, 3, 3) float64 array or None
        Head -> camera.  Computed from `euler_deg` where only that is given.
    euler_deg : (N, 3) float64 array or None
        Yaw, pitch, roll exactly as the file or model gives them; `convention` is then required.
    convention : str or None
        Name of the Euler convention of `euler_deg`.
    landmarks : (N, L, 2) float64 array or None
    scheme : str or None
        Name of the landmark scheme.
    visibility : (N, L) float64 array or None
        Probability that a point is visible; 0 or 1 in truth; NaN = not labelled.
    box_xyxy_px : (N, 4) float64 array or None
    occlusion : (N, L) uint8 array or None
        Truth only: 0 visible, 1 external, 2 self, 3 unlabelled.
    person, sequence : (N,) str array or None
        What resampling clusters by, what alignment groups by.
    failure : (N,) str array or None
        Prediction only: why a face has none; "" where it has.
    attributes : mapping of str to (N,) array
        Subset flags and values.

    Raises
    ------
    InputError
        For wrong shapes, duplicate ids, an unknown convention or scheme, matrices that are no rotations, or Euler
        angles that contradict the rotation; the message names the first row.
    """

    sample_id: Array | Sequence[str] | None = None
    rotation: Array | None = None
    euler_deg: Array | None = None
    convention: str | None = None
    landmarks: Array | None = None
    scheme: str | None = None
    visibility: Array | None = None
    box_xyxy_px: Array | None = None
    occlusion: Array | None = None
    person: Array | Sequence[str] | None = None
    sequence: Array | Sequence[str] | None = None
    failure: Array | Sequence[str] | None = None
    attributes: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = self._count_rows()
        ids = [str(i) for i in range(n)] if self.sample_id is None else [str(i) for i in self.sample_id]
        self._set("sample_id", np.array(ids, dtype=object))
        _check_unique(ids)
        for name, (shape, dtype) in _COLUMNS.items():
            value = getattr(self, name)
            if value is not None:
                self._set(name, _checked_column(name, value, n, shape, dtype))
        for name in _TEXT_COLUMNS:
            value = getattr(self, name)
            if value is not None:
                self._set(name, _checked_text(name, value, n))
        attributes = {}
        for key, values in self.attributes.items():
            column = np.array(values)
            if column.shape != (n,):
                raise InputError(f"attribute {key!r} has shape {column.shape}, expected ({n},): one value a face.")
            attributes[key] = _frozen(column)
        self._set("attributes", attributes)
        self._check_landmarks()
        self._check_pose(ids)

    def _set(self, name: str, value: object) -> None:
        if isinstance(value, np.ndarray):
            value = _frozen(value)
        object.__setattr__(self, name, value)

    def _count_rows(self) -> int:
        if self.sample_id is not None:
            return len(self.sample_id)
        for name in _COLUMNS:
            value = getattr(self, name)
            if value is not None:
                return len(value)
        raise InputError("Faces needs at least one column (rotation, euler_deg, landmarks, ...) or sample_id.")

    def _check_landmarks(self) -> None:
        lengths = {n: getattr(self, n).shape[1] for n in ("landmarks", "visibility", "occlusion") if getattr(self, n) is not None}
        if len(set(lengths.values())) > 1:
            raise InputError(f"numbers of landmarks differ: {', '.join(f'{k} has {v}' for k, v in lengths.items())}.")
        if self.scheme is not None:
            expected = scheme_named(self.scheme).n_points
            for name, length in lengths.items():
                if length != expected:
                    fitting = [s.name for s in SCHEMES.values() if s.n_points == length]
                    hint = f"a scheme of {length} points is {fitting[0]}" if fitting else f"no known scheme has {length}"
                    raise InputError(f"{name} has {length} points a face but scheme {self.scheme!r} has {expected}: {hint}.")

    def _check_pose(self, ids: list[str]) -> None:
        if self.euler_deg is None:
            if self.convention is not None and self.rotation is None:
                raise InputError(f"convention {self.convention!r} is declared but there are no angles (euler_deg) to read by it.")
        else:
            if self.convention is None:
                raise InputError("euler_deg needs its convention: say which (300w-lp, yxz, 6drepnet, opal23), or give rotation matrices.")
            convention_named(self.convention)
            derived = rotation_from_euler(self.euler_deg, self.convention)
            if self.rotation is None:
                self._set("rotation", derived)
                return
            apart = geodesic_deg(np.where(np.isfinite(self.rotation), self.rotation, np.nan), derived)
            if (bad := np.flatnonzero(apart > MAX_EULER_DISAGREEMENT_DEG)).size:
                raise InputError(
                    f"face {ids[bad[0]]!r}: its rotation matrix and its {self.convention} angles are {apart[bad[0]]:.1f} degrees apart "
                    f"({bad.size} such rows): give one of them, or the convention the angles are really in."
                )
        if self.rotation is not None:
            defect = rotation_defect(self.rotation)
            if (bad := np.flatnonzero(defect > MAX_ROTATION_DEFECT)).size:
                guess = "a reflection: mirrored axes?" if defect[bad[0]] == 2.0 else "scaled, or rounded?"
                raise InputError(
                    f"face {ids[bad[0]]!r}: its matrix is no rotation, |R R^T - I| = {defect[bad[0]]:.3g} ({bad.size} such rows; {guess})."
                )

    def __len__(self) -> int:
        return len(self.sample_id)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        columns = [f.name for f in fields(self) if f.name not in ("sample_id", "attributes") and getattr(self, f.name) is not None]
        return f"Faces({len(self)} rows: {', '.join(columns)}{', ' + ', '.join(self.attributes) if self.attributes else ''})"

    def take(self, rows: npt.ArrayLike) -> Faces:
        """These rows (indices or a boolean mask), in this order, as new Faces."""
        index = np.asarray(rows)
        changes: dict[str, Any] = {}
        for name in ("sample_id", *_COLUMNS, *_TEXT_COLUMNS):
            value = getattr(self, name)
            changes[name] = None if value is None else value[index]
        changes["attributes"] = {k: v[index] for k, v in self.attributes.items()}
        return replace(self, **changes)

    def rows_of(self, sample_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Row number of each id; -1 where this table has no such row."""
        position = {sample_id: row for row, sample_id in enumerate(self.sample_id)}  # type: ignore[arg-type]
        return np.array([position.get(i, -1) for i in sample_ids], dtype=np.int64)

    def aligned_to(self, sample_ids: Sequence[str]) -> Faces:
        """Rows in the order of `sample_ids`; an id without a row becomes a row of NaN ("no prediction")."""
        rows = self.rows_of(sample_ids)
        absent = rows < 0
        changes: dict[str, Any] = {"sample_id": list(sample_ids), "attributes": {}}
        source = np.where(absent, 0, rows)
        for name, (_, dtype) in _COLUMNS.items():
            value = getattr(self, name)
            if value is None:
                continue
            blank = np.nan if dtype is np.float64 else 3
            if len(self) == 0:
                changes[name] = np.full((len(rows), *value.shape[1:]), blank, dtype)
                continue
            column = value[source].copy()
            column[absent] = blank
            changes[name] = column
        for name in _TEXT_COLUMNS:
            value = getattr(self, name)
            if value is not None:
                changes[name] = ["" if gone else str(value[row]) for row, gone in zip(source, absent, strict=True)]
        return replace(self, **changes)

    @staticmethod
    def concatenate(parts: Sequence[Faces]) -> Faces:
        """The rows of several tables one after another.

        A column that only some parts have becomes NaN in the others (their faces all failed, say).
        """
        changes: dict[str, Any] = {"sample_id": [i for part in parts for i in part.sample_id]}  # type: ignore[union-attr]
        for name, (_, dtype) in _COLUMNS.items():
            shapes = {getattr(part, name).shape[1:] for part in parts if getattr(part, name) is not None}
            if len(shapes) > 1:
                raise InputError(f"{name} has different shapes in the parts: {' and '.join(map(str, sorted(shapes)))}.")
            if not shapes:
                continue
            shape, blank = shapes.pop(), np.nan if dtype is np.float64 else 3
            columns = [getattr(part, name) for part in parts]
            changes[name] = np.concatenate(
                [np.full((len(p), *shape), blank) if c is None else c for p, c in zip(parts, columns, strict=True)]
            )
        for name in _TEXT_COLUMNS:
            if any(getattr(part, name) is not None for part in parts):
                changes[name] = [str(v) for p in parts for v in (getattr(p, name) if getattr(p, name) is not None else [""] * len(p))]
        for name in ("convention", "scheme"):
            values = {getattr(part, name) for part in parts} - {None}
            if len(values) > 1:
                raise InputError(f"{name} differs between the parts: {' and '.join(sorted(values))}.")
            changes[name] = values.pop() if values else None
        return Faces(**changes)

    def content_sha256(self) -> str:
        """Hash of the canonical content: rows sorted by id, little-endian arrays, one kind of NaN.

        `failure` and `attributes` are left out: the first explains a row of NaN, the others name parts of a set; neither
        changes a label.
        """
        order = np.argsort(np.array([str(i) for i in self.sample_id]), kind="stable") if len(self) else np.zeros(0, np.int64)  # type: ignore[union-attr]
        digest = hashlib.sha256()

        def add(name: str, value: Array) -> None:
            value = value[order]
            if value.dtype.kind in "OUS":
                payload = "\0".join(str(v) for v in value).encode()
                kind = "text"
            else:
                if value.dtype.kind == "f":
                    value = np.where(np.isnan(value), np.nan, value + 0.0).astype("<f8")  # + 0.0 makes -0.0 positive
                kind = value.dtype.newbyteorder("<").str
                payload = np.ascontiguousarray(value, dtype=kind).tobytes()
            digest.update(f"{name}|{kind}|{value.shape}|".encode())
            digest.update(payload)

        add("sample_id", self.sample_id)  # type: ignore[arg-type]
        for name in (*_COLUMNS, "person", "sequence"):
            value = getattr(self, name)
            if value is not None and not (name == "rotation" and self.euler_deg is not None):
                add(name, value)  # a rotation beside Euler angles follows from them
        for name in ("convention", "scheme"):
            digest.update(f"{name}|{getattr(self, name)}|".encode())
        return digest.hexdigest()


def _frozen(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _check_unique(ids: list[str]) -> None:
    if len(set(ids)) < len(ids):
        first_row: dict[str, int] = {}
        for row, sample_id in enumerate(ids):
            if sample_id in first_row:
                raise InputError(
                    f"sample_id {sample_id!r} stands twice, in rows {first_row[sample_id] + 1} and {row + 1}: an id may occur once."
                )
            first_row[sample_id] = row


def _checked_column(name: str, value: object, n: int, shape: tuple[int, ...], dtype: type) -> Array:
    try:
        array: Array = np.array(value, dtype=dtype)
    except (TypeError, ValueError):
        raise InputError(f"{name} is not an array of numbers of equal shape: rows of different length, or text?") from None
    wanted = (n, *shape)
    wrong = array.ndim != len(wanted) or any(w not in (-1, have) for w, have in zip(wanted, array.shape, strict=False))
    if wrong:
        text = ", ".join("L" if w == -1 else str(w) for w in wanted)
        hint = ""
        if name == "rotation" and array.shape == (n, 3):
            hint = ": Euler angles? give them as euler_deg with their convention"
        elif name == "euler_deg" and array.shape == (n, 3, 3):
            hint = ": matrices? give them as rotation"
        elif name == "landmarks" and array.ndim == 3 and array.shape[1] == 2:
            hint = ": transposed? points come before x, y"
        raise InputError(f"{name} must have shape ({text}), got {array.shape}{hint}.")
    if dtype is np.float64 and np.isinf(array).any():
        row = int(np.argwhere(np.isinf(array))[0][0]) + 1
        raise InputError(f"{name} holds an infinite number in row {row}: a failed face is NaN.")
    return array


def _checked_text(name: str, value: object, n: int) -> Array:
    texts = [str(v) for v in value]  # type: ignore[attr-defined]
    if len(texts) != n:
        raise InputError(f"{name} has {len(texts)} entries for {n} faces.")
    return np.array(texts, dtype=object)
