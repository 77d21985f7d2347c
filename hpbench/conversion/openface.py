"""OpenFace's tables: ``pose_Rx, pose_Ry, pose_Rz`` in radians, ``x_0 ... y_67`` in pixels, ``confidence``, ``success``.

Conventions
-----------
OpenFace's wiki ("Output Format") and its rotation helpers: R = Rx(pose_Rx) Ry(pose_Ry) Rz(pose_Rz), right-handed elementary rotations in a
camera frame with x to the right, y down, z away from the camera.  That is the ``300w-lp`` convention with yaw = Ry, pitch = -Rx,
roll = Rz.  The pose is relative to the camera.  FaceLandmarkImg writes a table an image, named like it, a row a face (column ``face``);
FeatureExtraction one a video or folder of images, a row a frame (column ``frame``, counted from 1, not the image's name).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..predictions.text import cell_number, csv_table, no_number, read_text
from .foreign import Foreign, Options, stacked, text_files

__all__ = ["looks_like_openface", "read_openface"]

N_POINTS = 68
_ANGLES = ("pose_Rx", "pose_Ry", "pose_Rz")
_USED = {"frame", "face_id", "face", "confidence", "success", *_ANGLES}
_POINT = re.compile(r"[xy]_\d+")


def looks_like_openface(header: list[str]) -> bool:
    return "confidence" in header and ("pose_Rx" in header or "x_0" in header)


def read_openface(path: Path, options: Options) -> Foreign:
    """A table of OpenFace, or a folder of them."""
    rows: list[dict[str, Any]] = []
    left_out: dict[str, None] = {}
    for file in text_files(path, (".csv",), "tables of OpenFace"):
        rows += _rows(file, left_out, file.relative_to(path).with_suffix("").as_posix() if path.is_dir() else file.stem)
    told = [f"left out: {_kinds(list(left_out))}."] if left_out else []
    arrays = stacked(rows, {"euler_deg": (3,), "landmarks": (N_POINTS, 2)}, path)
    if rows and all(row["failure"] for row in rows):
        raise InputError(f"{path}: OpenFace found none of the {len(rows)} faces (success 0 in every row): there is nothing to convert.")
    if not arrays:
        raise InputError(f"{path}: neither {', '.join(_ANGLES)} nor x_0 ... y_{N_POINTS - 1} in it: OpenFace run without -pose and -2Dfp?")
    if "euler_deg" in arrays:
        told.append("the pose is taken as OpenFace defines it: radians, Rx Ry Rz, relative to the camera.")
    names = [row["name"] for row in rows]
    return Foreign(
        names, arrays, [row["failure"] for row in rows], [row["score"] for row in rows],
        convention="300w-lp" if "euler_deg" in arrays else "", told=tuple(told),
    )  # fmt: skip


def _rows(file: Path, left_out: dict[str, None], stem: str) -> list[dict[str, Any]]:
    header, body, _ = csv_table(read_text(file), file)
    if not looks_like_openface(header):
        raise InputError(f"{file}: no table of OpenFace: it has no confidence with pose_Rx or x_0.")
    points = [f"{axis}_{i}" for i in range(N_POINTS) for axis in "xy"]
    has_pose, has_points = set(_ANGLES) <= set(header), set(points) <= set(header)
    wanted = [*(_ANGLES if has_pose else ()), *(points if has_points else ()), "confidence", *({"success"} & set(header))]
    left_out |= dict.fromkeys(n for n in header if n not in _USED and not (has_points and _POINT.fullmatch(n)))
    found = []
    for number, cells in enumerate(body, 1):
        row = dict(zip(header, cells, strict=True))
        numbers: dict[str, float] = {}
        for name in wanted:
            try:
                numbers[name] = cell_number(row[name])
            except ValueError:
                raise no_number(file, number, name, row[name]) from None
        failed = numbers.get("success", 1.0) == 0.0
        pitch, yaw, roll = (np.rad2deg(numbers.get(name, np.nan)) for name in _ANGLES)
        found.append({
            # a frame is the k-th image of its folder: which one, only the dataset's list can say
            "name": f"{stem}#{row['frame'].strip()}" if "frame" in row else stem,
            "euler_deg": [yaw, -pitch, roll] if has_pose and not failed else None,
            "landmarks": [numbers[name] for name in points] if has_points and not failed else None,
            "failure": f"OpenFace: success 0, confidence {numbers['confidence']:g}" if failed else "",
            "score": numbers["confidence"],
        })  # fmt: skip
    return found


def _kinds(names: list[str]) -> str:
    """Column names by kind: there are seven hundred of them."""
    kinds: dict[str, int] = {}
    for name in names:
        kind = next((k for k, p in _KINDS if re.match(p, name)), name)
        kinds[kind] = kinds.get(kind, 0) + 1
    return ", ".join(f"{kind} ({n} columns)" if n > 1 else kind for kind, n in kinds.items())


_KINDS = (
    ("gaze", "gaze_"), ("eye landmarks", "eye_lmk"), ("translation", "pose_T"), ("3D landmarks", r"[XYZ]_\d+"),
    ("2D landmarks that are not 68", r"[xy]_\d+"), ("shape parameters", "p_"), ("action units", r"AU\d"),
)  # fmt: skip
