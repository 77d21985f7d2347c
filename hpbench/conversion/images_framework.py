"""``results.txt`` of images_framework, the tools of the MNN and OPAL papers: a line an image, parts between semicolons.

Conventions
-----------
``3;file;[x0, y0, x1, y1];n_labels;n_predictions`` and then, for each label and each prediction, ``id;box;rotation;n_landmarks``
and ``label;x;y;visible;confidence`` a landmark (src/alignment.py, ``Alignment.evaluate``; older versions write no tile).
Landmarks have ids shared between data sets (src/datasets.py).  The rotation is a 3x3 matrix in a frame with x right, y down,
z *towards* the viewer: it is P R P with P = diag(1, 1, -1) for the canonical R, so that its yaw has the opposite sign
(docs/conventions.md).  Pixels count from 0, as in the label lists that the tools read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..geometry.rotations import rotation_defect
from ..predictions.text import read_text
from .foreign import Foreign, Options, finite, stacked

__all__ = ["POINT_IDS", "read_images_framework", "scheme_of_ids"]

_FLIP = np.diag([1.0, 1.0, -1.0])


def _numbered(first: int, n: int, shared: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(shared.get(i, first + i) for i in range(n))


# scheme -> the id of each point, in the scheme's order
POINT_IDS: dict[str, tuple[int, ...]] = {
    "ibug68": _numbered(101, 68, {
        8: 24, 17: 1, 19: 2, 21: 3, 22: 4, 24: 5, 26: 6, 30: 17, 31: 16, 35: 18, 36: 7, 39: 8, 42: 11, 45: 12, 48: 20, 51: 22, 54: 21,
        57: 23,
    }),
    "wflw98": _numbered(100, 98, {
        16: 24, 33: 1, 35: 2, 37: 3, 42: 4, 44: 5, 46: 6, 54: 17, 55: 16, 59: 18, 60: 7, 62: 9, 64: 8, 66: 10, 68: 11, 70: 13, 72: 12,
        74: 14, 76: 20, 79: 22, 82: 21, 85: 23,
    }),
    "cofw29": (1, 6, 3, 4, 101, 102, 103, 104, 7, 12, 8, 11, 9, 10, 13, 14, 105, 106, 16, 18, 17, 107, 20, 21, 22, 108, 109, 23, 24),
    "aflw21": (1, 2, 3, 4, 5, 6, 7, 101, 8, 11, 102, 12, 15, 16, 17, 18, 19, 20, 103, 21, 24),
}  # fmt: skip


def scheme_of_ids(ids: set[int]) -> str:
    """The scheme of these point ids, the smallest that has them all; "" where none has.

    ``ibug68`` may be either of the two schemes of 68 points.
    """
    fitting = [name for name, points in POINT_IDS.items() if ids <= set(points)]
    return min(fitting, key=lambda name: len(POINT_IDS[name]), default="")


def read_images_framework(path: Path, options: Options) -> Foreign:
    """A ``results.txt``."""
    rows: list[dict[str, Any]] = []
    others = labels = confidences = 0
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        parts = _Parts(line.strip(), f"{path}: line {number}")
        if parts.take() != "3":
            others += 1
            continue
        name = parts.take()
        if parts.left[:1] and parts.left[0].startswith("["):
            parts.take()  # the tile: the whole image
        counts = parts.whole("number of labels"), parts.whole("number of predictions")
        for _ in range(counts[0]):
            _one_object(parts)
            labels += 1
        found = [_one_object(parts) for _ in range(counts[1])]
        if parts.left:
            raise InputError(f"{parts.where}: {len(parts.left)} parts are left over: cut, or two lines in one?")
        confidences += sum(len(o["points"]) for o in found)
        rows += [{"name": name, **o, "failure": ""} for o in found] or [
            {"name": name, "points": {}, "failure": "images_framework: no face predicted"}
        ]
    if not rows:
        raise InputError(f"{path}: no line of it is of alignment (they begin with 3;).")
    return _assembled(path, rows, [
        f"{others} lines of other components (detection, recognition) are left out." * bool(others),
        f"the {labels} labels in it are left out: hpbench has its own." * bool(labels),
        "confidences of landmarks are left out: they are no visibility." * bool(confidences),
    ])  # fmt: skip


def _assembled(path: Path, rows: list[dict[str, Any]], told: list[str]) -> Foreign:
    ids = {i for row in rows for i in row["points"]}
    scheme = scheme_of_ids(ids)
    if ids and not scheme:
        first = ", ".join(map(str, sorted(ids)[:8]))
        raise InputError(f"{path}: its landmark ids ({first} ...) are of no known scheme ({', '.join(POINT_IDS)}).")
    shown = {p[2] for row in rows for p in row["points"].values()}
    if ids and len(shown) == 1:
        told.append("every landmark is called visible: visibility is not predicted, and left out.")
    for row in rows:
        if row["points"]:
            nothing = (np.nan, np.nan, np.nan)
            points = np.array([row["points"].get(i, nothing) for i in POINT_IDS[scheme]], dtype=np.float64)
            row["landmarks"] = points[:, :2]
            row["visibility"] = points[:, 2] if len(shown) > 1 else None
    turns = [row["rotation"] for row in rows if row.get("rotation") is not None]
    if turns and len(turns) > 1 and all(np.array_equal(turn, np.eye(3)) for turn in turns):
        told.append("every rotation is the identity: pose is not predicted, and left out.")
        for row in rows:
            row["rotation"] = None
    n = len(POINT_IDS[scheme]) if scheme else 0
    arrays = stacked(rows, {"rotation": (3, 3), "landmarks": (n, 2), "visibility": (n,)}, path)
    if "visibility" in arrays:
        told.append("visibility is hard (True or False).")
    stated = "" if scheme == "ibug68" else scheme
    return Foreign([r["name"] for r in rows], arrays, [r["failure"] for r in rows], scheme=stated, told=tuple(filter(None, told)))


class _Parts:
    """The parts of a line, taken one after another."""

    def __init__(self, line: str, where: str) -> None:
        self.left, self.where = line.split(";"), where

    def take(self) -> str:
        if not self.left:
            raise InputError(f"{self.where}: ends too early: cut?")
        return self.left.pop(0)

    def whole(self, what: str) -> int:
        text = self.take()
        if not text.isascii() or not text.isdecimal() or len(text) > 6:
            raise InputError(f"{self.where}: {text!r:.40} is no {what}.")
        return int(text)


def _one_object(parts: _Parts) -> dict[str, Any]:
    parts.take(), parts.take()  # id and box
    rotation = _rotation(parts)
    points: dict[int, tuple[float, float, float]] = {}
    for _ in range(parts.whole("number of landmarks")):
        label, x, y, visible, _ = (parts.take() for _ in range(5))
        try:
            points[int(label)] = (finite(x), finite(y), float(("False", "True").index(visible)))
        except ValueError:
            raise InputError(f"{parts.where}: {';'.join((label, x, y, visible))!r:.60} is no landmark (id;x;y;True or False).") from None
    return {"rotation": rotation, "points": points}


def _rotation(parts: _Parts) -> Any:
    """The canonical rotation, None where there is none (-1 everywhere)."""
    text = parts.take()
    try:
        matrix = np.array(json.loads(text), dtype=np.float64)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise InputError(f"{parts.where}: {text!r:.60} is no rotation.") from None
    if (matrix == -1.0).all():
        return None
    if matrix.shape != (3, 3) or not rotation_defect(matrix) <= 1e-2:
        raise InputError(f"{parts.where}: the pose {text!r:.60} is no 3x3 rotation: Euler angles of an old version?")
    return _FLIP @ matrix @ _FLIP
