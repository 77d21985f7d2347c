"""What a prediction file holds, whatever its format.

Columns: ``sample_id``, ``rotation`` (N, 3, 3) *or* ``euler_deg`` (N, 3) with a declared ``convention``, ``landmarks``
(N, L, 2), ``visibility`` (N, L) = P(visible), ``failure`` (why a row is NaN).  Declarations: ``convention``, ``scheme``,
``boxes`` (the box set the model was given), ``model``.  A matrix is canonical by definition (head -> camera, x right,
y down, z forward): nothing is declared for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..columns import CONTROL
from ..errors import InputError, did_you_mean
from ..faces import Faces

__all__ = ["COLUMNS", "DECLARATIONS", "TEXT_COLUMNS", "Predictions", "assemble", "columns_of", "first_line", "meant_name"]

COLUMNS = ("sample_id", "rotation", "euler_deg", "landmarks", "visibility", "failure")
TEXT_COLUMNS = ("sample_id", "failure")
DECLARATIONS = ("convention", "scheme", "boxes", "model")

_QUATERNION = re.compile(r"q(uat(ernion)?s?)?_?[wxyz0-3]*", re.IGNORECASE)
_ANGLE = re.compile(r"(yaw|pitch|roll|euler|angles?|pose)s?(_?(deg|degrees))?", re.IGNORECASE)
_RADIANS = re.compile(r"(yaw|pitch|roll|euler|angles?|pose)s?_?(r|rad|radians?)", re.IGNORECASE)


@dataclass(frozen=True)
class Predictions:
    """The faces of a prediction file and what it declares about itself.

    Attributes
    ----------
    faces : Faces
    boxes : str
        Name of the box set the model was given; "" = not stated.
    model : str
        Name of the model; "" = not stated.
    """

    faces: Faces
    boxes: str = ""
    model: str = ""

    def __post_init__(self) -> None:
        for name in ("boxes", "model"):
            value = getattr(self, name)
            if CONTROL.search(value) or value.strip() != value or value.strip(",") != value:
                raise InputError(f"{name} {value!r:.60} is no name: it begins or ends with a space or comma, or holds a line break.")


def assemble(columns: Mapping[str, Any], declarations: Mapping[str, Any], path: Path) -> Predictions:
    """Predictions from the raw columns and declarations of a file; every complaint names the file."""
    for name in (*columns, *declarations):
        if name not in COLUMNS and name not in DECLARATIONS:
            raise InputError(f"{path}: unknown key {name!r:.60}: {meant_name(name) or did_you_mean(name, (*COLUMNS, *DECLARATIONS))}")
    for name in COLUMNS:
        if name in declarations:
            raise InputError(f"{path}: {name} is a column, not a declaration.")
    for name in DECLARATIONS:
        if name in columns:
            raise InputError(f"{path}: {name} is a declaration, one text for the whole file, not a column.")
    for name, value in declarations.items():
        if not isinstance(value, str):
            raise InputError(f"{path}: {name} must be text, got {' '.join(repr(value).split()):.60}.")
    if "sample_id" not in columns:
        raise InputError(f"{path}: there is no sample_id: rows are matched by id, never by position.")
    if "failure" not in columns and not columns.keys() & {"rotation", "euler_deg", "landmarks", "visibility"}:
        raise InputError(f"{path}: no predictions in it: none of rotation, euler_deg, landmarks, visibility.")
    try:
        faces = Faces(
            **{name: _shared(columns[name]) for name in COLUMNS if name in columns},
            convention=declarations.get("convention") or None,
            scheme=declarations.get("scheme") or None,
        )
        return Predictions(faces, declarations.get("boxes", ""), declarations.get("model", ""))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _shared(column: Any) -> Any:
    """A column fresh from a file, which `Faces` need not copy."""
    if not isinstance(column, np.ndarray):
        return column
    view = column.view()
    view.flags.writeable = False
    return view


def columns_of(predictions: Predictions) -> tuple[dict[str, Any], dict[str, str]]:
    """Columns and declarations to write, the inverse of `assemble`.

    A rotation that follows from Euler angles is not written beside them, `failure` only where there is one.
    """
    faces = predictions.faces
    columns = {name: faces.given(name) for name in COLUMNS if faces.given(name) is not None}
    if "failure" in columns and not any(columns["failure"]):
        del columns["failure"]
    declarations = {
        "convention": faces.convention if faces.euler_deg is not None else None,
        "scheme": faces.scheme,
        "boxes": predictions.boxes,
        "model": predictions.model,
    }
    return columns, {k: v for k, v in declarations.items() if v}


def meant_name(name: str, matrix: str = "rotation, (N, 3, 3) matrices", angles: str = "euler_deg, (N, 3) as yaw, pitch, roll") -> str:
    """What another tool's name for a column holds and how it is given here; "" for any other name."""
    if _QUATERNION.fullmatch(name):
        return f"quaternions are not read: give {matrix}."
    if _RADIANS.fullmatch(name):
        return f"angles are in degrees: give {angles}."
    return f"give {angles}." if _ANGLE.fullmatch(name) else ""


def first_line(error: Exception) -> str:
    """What a library says about a bad file, cut to one short line for our own sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
