"""Bare tables with named columns, folders of ``.pts``, and prediction files of hpbench itself (to change their format or their ids)."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, did_you_mean
from ..landmarks import SCHEMES
from ..predictions.given import read_given_predictions
from ..predictions.text import CSV_GROUPS, csv_columns, csv_families, read_text
from ..readers.files.pts import parse_pts
from .foreign import Foreign, Options, listed, stacked, text_files

__all__ = ["named_columns", "read_own", "read_pts_folder", "read_table"]

# How other tables call our columns, letters only in lower case; angles in radians say so
_ALIASES = {
    "sample_id": ("sampleid", "image", "img", "imagepath", "imgpath", "imagename", "filename", "file", "name", "path", "id", "frame"),
    **{f"{angle}_deg": (angle, f"{angle}deg", f"{angle}degrees", f"pred{angle}", f"{angle}pred") for angle in ("yaw", "pitch", "roll")},
}
_RADIANS = re.compile(r"(yaw|pitch|roll)_?(rad|radians?)", re.IGNORECASE)
_POINT = re.compile(r"(?:(?:landmark|lmk|pt|point|p)s?_?)?([xy])_?(\d{1,6})|(?:landmark|lmk|pt|point|p)_?(\d{1,6})_?([xy])", re.IGNORECASE)


def read_table(path: Path, options: Options) -> Foreign:
    """A table with a header, cells parted by commas, semicolons or tabs; `Options.columns` says whose names cannot be guessed."""
    header, body = _cells(path)
    names, told, radians = named_columns(header, options, path)
    ours = {ours: i for i, ours in names.items()}
    if "sample_id" not in ours:
        raise InputError(f"{path}: which column names the image? Say it with --column sample_id=NAME (there are {listed(header, 12)}).")
    kept = [i for i in names if names[i] != "sample_id"]
    families, _ = csv_families([names[i] for i in kept])
    rows = [[row[i].strip() for i in kept] for row in body]
    arrays = csv_columns(path, [names[i] for i in kept], rows, families)
    if not arrays:
        raise InputError(f"{path}: none of its columns is known as an angle, a matrix or a landmark: name them with --column yaw_deg=NAME.")
    if radians or options.radians:
        if "euler_deg" not in arrays:
            raise InputError(f"{path}: --radians, but there are no angles.")
        arrays["euler_deg"] = np.rad2deg(arrays["euler_deg"])
        told.append("angles were radians.")
    out = [name for i, name in enumerate(header) if i not in names]
    told += [f"left out: {listed(out, 12)}."] if out else []
    return Foreign([row[ours["sample_id"]].strip() for row in body], arrays, told=tuple(told))


def _cells(path: Path) -> tuple[list[str], list[list[str]]]:
    text = "".join(line for line in read_text(path).splitlines(keepends=True) if line.strip() and not line.startswith("#"))
    first = text.partition("\n")[0]
    mark = max(",;\t", key=first.count)
    try:
        header, *body = csv.reader(io.StringIO(text), delimiter=mark, strict=True)
    except (csv.Error, ValueError) as error:
        raise InputError(f"{path}: not readable as a table with a header ({error}).") from None
    header = [name.strip() for name in header]
    if len(set(header)) < len(header):
        raise InputError(f"{path}: column {next(n for n in header if header.count(n) > 1)!r:.60} stands twice in the header.")
    for number, row in enumerate(body, 1):
        if len(row) != len(header):
            raise InputError(f"{path}: row {number} has {len(row)} cells, the header {len(header)}.")
    return header, body


def named_columns(header: list[str], options: Options, path: Path) -> tuple[dict[int, str], list[str], bool]:
    """Index in the header -> our name of the column, what was guessed, and whether the angles' names say radians.

    Raises
    ------
    InputError
        ``--column`` names a column that is not there, or is not one of ours.
    """
    names: dict[int, str] = {}
    for ours, theirs in options.columns.items():
        if theirs not in header:
            raise InputError(f"{path}: --column {ours}={theirs}: there is no column {theirs!r}: {did_you_mean(theirs, header)}")
        if ours != "sample_id" and not any(p.fullmatch(ours) for p in CSV_GROUPS.values()):
            raise InputError(f"--column {ours}={theirs}: {ours!r} is no column of predictions: sample_id, yaw_deg, r00, x0, y0, v0 ...")
        names[header.index(theirs)] = ours
    guessed: list[str] = []
    radians = False
    points = _first_point(header)
    for i, name in enumerate(header):
        ours = _own_name(name, points)
        if i in names or not ours or ours in names.values():
            continue
        radians = radians or bool(_RADIANS.fullmatch(name))
        names[i] = ours
        if ours != name and not _POINT.fullmatch(name):
            guessed.append(f"{name!r} is taken as {ours}")
    return names, [f"{'; '.join(guessed)}."] if guessed else [], radians


def _first_point(header: list[str]) -> int:
    """The number of the first landmark: some tables count from 1."""
    numbers = [int(found[2] or found[3]) for name in header if (found := _POINT.fullmatch(name))]
    return min(numbers, default=0)


def _own_name(name: str, first_point: int) -> str:
    if any(pattern.fullmatch(name) for pattern in CSV_GROUPS.values()) and not (first_point and _POINT.fullmatch(name)):
        return name
    if found := _RADIANS.fullmatch(name):
        return f"{found[1].lower()}_deg"
    if found := _POINT.fullmatch(name):
        return f"{(found[1] or found[4]).lower()}{int(found[2] or found[3]) - first_point}"
    plain = re.sub(r"[^a-z]", "", name.lower())
    return next((ours for ours, theirs in _ALIASES.items() if name == ours or plain in theirs), "")


def read_pts_folder(path: Path, options: Options) -> Foreign:
    """A ``.pts`` file a face, named like its image; pixels counted from 1, as such files are."""
    files = text_files(path, (".pts",), "files of landmarks")
    sizes = sorted({scheme.n_points for scheme in SCHEMES.values()})
    rows: list[dict[str, Any]] = []
    for file in files:
        name = file.relative_to(path).with_suffix("").as_posix() if path.is_dir() else file.stem
        rows.append({"name": name, "landmarks": parse_pts(file.read_bytes(), str(file), sizes)})
    counts = sorted({len(row["landmarks"]) for row in rows})
    if len(counts) > 1:
        raise InputError(f"{path}: files of {' and '.join(map(str, counts))} points: convert each kind by itself.")
    return Foreign([row["name"] for row in rows], stacked(rows, {"landmarks": (counts[0], 2)}, path), pixel_origin=1)


def read_own(path: Path, options: Options) -> Foreign:
    """A prediction file of hpbench."""
    predictions = read_given_predictions(path)
    faces = predictions.faces
    columns = ("euler_deg" if faces.euler_deg is not None else "rotation", "landmarks", "visibility")
    arrays = {name: getattr(faces, name) for name in columns if getattr(faces, name) is not None}
    failure = [] if faces.failure is None else [str(f) for f in faces.failure]
    names = [str(i) for i in faces.sample_id]  # type: ignore[union-attr]
    return Foreign(
        names, arrays, failure, convention=faces.convention or "", scheme=faces.scheme or "",
        boxes=predictions.boxes, model=predictions.model,
    )  # fmt: skip
