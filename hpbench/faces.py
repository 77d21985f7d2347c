"""Faces: a table of labels, one row a face, the same shape for truth and for prediction.

Conventions
-----------
Landmarks and boxes are in pixels of the original image; (0, 0) is the centre of the top-left pixel.  Rotations are
head -> camera in the OpenCV camera frame (see `hpbench.geometry.rotations`).  A NaN row is a face that was not
annotated (truth) or that failed (prediction).  Rows are matched by `sample_id`, never by position.
"""

from __future__ import annotations

import hashlib
import itertools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .columns import COLUMNS, TEXT_COLUMNS, check_points, checked_column, checked_ids, checked_rotation, checked_text
from .errors import InputError
from .geometry.rotations import rotation_from_euler

if TYPE_CHECKING:
    from .images import ImageRef

__all__ = ["Faces", "Sample"]

Array = npt.NDArray[Any]

_ROWS = 1 << 12  # hashed at once


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


class _Rotation:
    """`Faces.rotation`: beside angles it is made of them whenever it is asked for, as nine numbers a face are three times as many."""

    def __get__(self, faces: Faces | None, owner: type[Faces]) -> Array | None:
        return None if faces is None else faces.rotation_of(slice(None))  # None is the default of the dataclass

    def __set__(self, faces: Faces, value: Array | None) -> None:
        vars(faces)["rotation"] = value


@dataclass(frozen=True, eq=False)
class Faces:
    """Labels of N faces, one row each; every array is read-only.

    Arrays are copied, but for read-only ones, which are shared.

    Attributes
    ----------
    sample_id : (N,) str array
        Unique.  Left out (by a model, which does not know them), rows are numbered "0", "1", ...
    rotation : (N, 3, 3) float64 array or None
        Head -> camera.  Made of `euler_deg` where that is given (both may be given if they agree), anew whenever it is asked for:
        of many faces take `rotation_of` some.
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
        Prediction only: why a face has none, in one line; "" where it has.
    attributes : mapping of str to (N,) array
        Subset flags and values.

    Raises
    ------
    InputError
        For wrong shapes, ids that are empty, not unique or hold control characters, an unknown convention or scheme,
        matrices that are no rotations, rotations or angles that are NaN in part, or Euler angles that contradict the
        rotation; the message names the first row.
    """

    sample_id: Array | Sequence[str] | None = None
    rotation: _Rotation = _Rotation()
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
        ids = checked_ids([str(i) for i in range(n)] if self.sample_id is None else self.sample_id)
        object.__setattr__(self, "sample_id", ids)
        for name, (shape, dtype) in COLUMNS.items():
            value = self.given(name)
            if value is not None:
                self._set(name, checked_column(name, value, n, shape, dtype))
        for name in TEXT_COLUMNS:
            value = getattr(self, name)
            if value is not None:
                self._set(name, checked_text(name, value, n))
        attributes = {}
        for key, values in self.attributes.items():
            column = np.array(values) if not isinstance(values, np.ndarray) or values.flags.writeable else values
            if column.shape != (n,):
                raise InputError(f"attribute {key!r} has shape {column.shape}, expected ({n},): one value a face.")
            attributes[key] = _frozen(column)
        self._set("attributes", attributes)
        check_points({"landmarks": self.landmarks, "visibility": self.visibility, "occlusion": self.occlusion}, self.scheme)
        self._set("rotation", checked_rotation(ids, self.given("rotation"), self.euler_deg, self.convention))

    def _set(self, name: str, value: object) -> None:
        if isinstance(value, np.ndarray):
            value = _frozen(value)
        object.__setattr__(self, name, value)

    def _count_rows(self) -> int:
        if self.sample_id is not None:
            return len(self.sample_id)
        for name in COLUMNS:
            value = self.given(name)
            if value is not None:
                return len(value)
        raise InputError("Faces needs at least one column (rotation, euler_deg, landmarks, ...) or sample_id.")

    def __len__(self) -> int:
        return len(self.sample_id)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        columns = [f.name for f in fields(self) if f.name not in ("sample_id", "attributes") and getattr(self, f.name) is not None]
        return f"Faces({len(self)} rows: {', '.join(columns)}{', ' + ', '.join(self.attributes) if self.attributes else ''})"

    def given(self, name: str) -> Any:
        """A column, None where it is not there; of the rotation None too where it follows from the angles."""
        return vars(self)[name]

    @property
    def has_rotation(self) -> bool:
        """Whether there is a rotation, given or by its angles."""
        return self.given("rotation") is not None or self.euler_deg is not None

    def rotation_of(self, rows: slice | npt.NDArray[Any]) -> Array | None:
        """`rotation` of some rows, (B, 3, 3); None where there is none."""
        matrices: Array | None = self.given("rotation")
        if matrices is None and self.euler_deg is not None and self.convention is not None:
            return _frozen(rotation_from_euler(self.euler_deg[rows], self.convention))
        return None if matrices is None else _frozen(matrices[rows])

    def take(self, rows: npt.ArrayLike) -> Faces:
        """These rows (indices or a boolean mask), in this order, as new Faces."""
        index = np.asarray(rows)
        if index.dtype == bool:
            index = np.flatnonzero(index) if index.shape == (len(self),) else index  # of another length: numpy says so
        if len(index) == len(self) and np.array_equal(index, np.arange(len(self))):
            return self
        changes: dict[str, Any] = {}
        for name in ("sample_id", *COLUMNS, *TEXT_COLUMNS):
            value = self.given(name)
            changes[name] = None if value is None else _frozen(value[index])
        changes["attributes"] = {k: _frozen(v[index]) for k, v in self.attributes.items()}
        return replace(self, **changes)

    def rows_of(self, sample_ids: Sequence[str] | Array) -> npt.NDArray[np.int64]:
        """Row number of each id; -1 where this table has no such row."""
        ours: Array = self.sample_id  # type: ignore[assignment]
        if len(sample_ids) == len(ours) and all(map(operator.eq, sample_ids, ours)):
            return np.arange(len(ours))
        if len(ours) and all(map(operator.lt, ours, itertools.islice(ours, 1, None))):  # sorted: no dictionary of a million ids
            asked = np.array(sample_ids, dtype=object)
            rows = np.minimum(np.searchsorted(ours, asked), len(ours) - 1)
            return np.where(ours[rows] == asked, rows, -1)
        position = {sample_id: row for row, sample_id in enumerate(ours)}
        return np.array([position.get(i, -1) for i in sample_ids], dtype=np.int64)

    def aligned_to(self, sample_ids: Sequence[str] | Array) -> Faces:
        """Rows in the order of `sample_ids`; an id without a row becomes a row of NaN ("no prediction")."""
        rows = self.rows_of(sample_ids)
        if len(rows) == len(self) and np.array_equal(rows, np.arange(len(self))):
            return self
        absent = rows < 0
        changes: dict[str, Any] = {"sample_id": sample_ids, "attributes": {}}
        source = np.where(absent, 0, rows)
        for name, (_, dtype) in COLUMNS.items():
            value = self.given(name)
            if value is None:
                changes[name] = None
                continue
            blank = np.nan if dtype is np.float64 else 3
            if len(self) == 0:
                changes[name] = np.full((len(rows), *value.shape[1:]), blank, dtype)
                continue
            column = value[source]
            column[absent] = blank
            changes[name] = _frozen(column)
        for name in TEXT_COLUMNS:
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
        for name, (_, dtype) in COLUMNS.items():
            columns = [part.given(name) for part in parts]
            shapes = {column.shape[1:] for column in columns if column is not None}
            if len(shapes) > 1:
                raise InputError(f"{name} has different shapes in the parts: {' and '.join(map(str, sorted(shapes)))}.")
            if not shapes:
                continue
            shape, blank = shapes.pop(), np.nan if dtype is np.float64 else 3
            changes[name] = np.concatenate(
                [np.full((len(p), *shape), blank) if c is None else c for p, c in zip(parts, columns, strict=True)]
            )
        for name in TEXT_COLUMNS:
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
        order = np.argsort(self.sample_id, kind="stable")  # type: ignore[arg-type]
        blocks = [order[start : start + _ROWS] for start in range(0, len(order), _ROWS)]
        digest = hashlib.sha256()

        def add(name: str, value: Array) -> None:
            kind = "text" if value.dtype.kind in "OUS" else "<f8" if value.dtype.kind == "f" else value.dtype.newbyteorder("<").str
            digest.update(f"{name}|{kind}|{value.shape}|".encode())
            for number, rows in enumerate(blocks):
                part = value[rows]
                if kind == "text":
                    digest.update(("\0" * (number > 0) + "\0".join(str(v) for v in part)).encode())
                    continue
                if value.dtype.kind == "f":
                    part = np.where(np.isnan(part), np.nan, part + 0.0)  # + 0.0 makes -0.0 positive
                digest.update(np.ascontiguousarray(part, dtype=kind).tobytes())

        add("sample_id", self.sample_id)  # type: ignore[arg-type]
        for name in (*COLUMNS, "person", "sequence"):
            value = self.given(name)
            if value is not None:
                add(name, value)
        convention = self.convention if self.euler_deg is not None else None  # it says nothing about a matrix
        for name, value in (("convention", convention), ("scheme", self.scheme)):
            digest.update(f"{name}|{value}|".encode())
        return digest.hexdigest()


def _frozen(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view
