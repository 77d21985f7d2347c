"""What 3DDFA_V2's demo prints with ``-o pose``: ``yaw: 1.2, pitch: -3.4, roll: 5.6`` and where the picture went.

Conventions
-----------
The angles are of R = Rz(roll) Ry(-yaw) Rx(pitch) in a frame with x right, y *up*, z towards the viewer (utils/pose.py,
``matrix2angle``).  In the canonical frame that is the order of the convention ``6drepnet`` with (yaw, -pitch, -roll).  The printed
numbers have one decimal; beyond 86 degrees of yaw the tool sets roll to 0.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import InputError
from ..geometry.rotations import rotation_from_euler
from ..predictions.text import read_text
from .foreign import Foreign, Options, stacked, text_files

__all__ = ["ANGLES_LINE", "read_3ddfa_v2"]

_NUMBER = r"(-?\d+(?:\.\d+)?)"
ANGLES_LINE = re.compile(rf"yaw: {_NUMBER}, pitch: {_NUMBER}, roll: {_NUMBER}")
_SAVED = re.compile(r"Save visualization result to (.+)")
_NO_FACE = re.compile(r"No face detected")


def read_3ddfa_v2(path: Path, options: Options) -> Foreign:
    """What was printed, for one image a file or for many in one; a folder of such files."""
    rows: list[dict[str, Any]] = []
    nameless = 0
    for file in text_files(path, (".txt", ".log"), "printed poses"):
        stem = file.relative_to(path).with_suffix("").as_posix() if path.is_dir() else file.stem
        waiting: list[list[float]] = []
        images = 0
        for line in read_text(file).splitlines():
            if found := ANGLES_LINE.search(line):
                waiting.append([float(v) for v in found.groups()])
            elif found := _SAVED.search(line):
                name = re.sub(r"_pose$", "", PurePosixPath(found[1].strip().replace("\\", "/")).stem)
                rows += [{"name": name, "angles": angles, "failure": ""} for angles in waiting]
                waiting, images = [], images + 1
            elif _NO_FACE.search(line):
                nameless += 1
        if waiting and images:
            raise InputError(f"{file}: {len(waiting)} poses at its end are followed by no 'Save visualization result to': of which image?")
        rows += [{"name": stem, "angles": angles, "failure": ""} for angles in waiting]
        if not images and not waiting and nameless:
            rows.append({"name": stem, "angles": None, "failure": "3DDFA_V2: no face detected"})
            nameless -= 1
    if not any(row["angles"] for row in rows):
        raise InputError(f"{path}: no line 'yaw: ..., pitch: ..., roll: ...' in it: keep what demo.py prints with -o pose.")
    for row in rows:
        if row["angles"]:
            yaw, pitch, roll = row["angles"]
            row["rotation"] = rotation_from_euler([yaw, -pitch, -roll], "6drepnet")
    told = ["printed poses have one decimal: up to 0.1 degrees are lost."]
    if nameless:
        told.append(f"{nameless} images without a face are not named in it: they have no row, which is charged like a failed one.")
    return Foreign([r["name"] for r in rows], stacked(rows, {"rotation": (3, 3)}, path), [r["failure"] for r in rows], told=tuple(told))
