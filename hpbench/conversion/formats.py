"""The formats that are read, and which one a file is in."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, did_you_mean
from ..predictions.text import read_text
from .foreign import Foreign, Options, json_of
from .images_framework import read_images_framework
from .json_results import read_coco_results, read_spiga
from .openface import looks_like_openface, read_openface
from .tables import read_own, read_pts_folder, read_table
from .tddfa import ANGLES_LINE, read_3ddfa_v2

__all__ = ["FORMATS", "Format", "format_named", "guessed_format"]


@dataclass(frozen=True)
class Format:
    """A format: what it is, and the function that reads it."""

    what: str
    read: Callable[[Path, Options], Foreign]


FORMATS = {
    "images_framework": Format("results.txt of images_framework (opal23_headpose and its kin)", read_images_framework),
    "openface": Format("a table of OpenFace, or a folder of them", read_openface),
    "3ddfa-v2": Format("what 3DDFA_V2's demo prints with -o pose, or a folder of it", read_3ddfa_v2),
    "spiga": Format("SPIGA's results_*.json", read_spiga),
    "coco": Format("COCO keypoint results", read_coco_results),
    "pts": Format("a folder of .pts files", read_pts_folder),
    "csv": Format("a table with named columns", read_table),
    "hpbench": Format("a prediction file of hpbench, to change its format or ids", read_own),
}


def format_named(name: str) -> Format:
    """The format of this name; `InputError` with the nearest name if there is none."""
    if name not in FORMATS:
        raise InputError(f"--from {name!r}: unknown format: {did_you_mean(name, FORMATS)}")
    return FORMATS[name]


def guessed_format(path: Path) -> str:
    """The name of the format that a file or folder looks like.

    Raises
    ------
    InputError
        It looks like none, or a folder holds several kinds.
    """
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder.")
    if path.is_dir():
        kinds = {".pts": "pts", ".csv": "openface", ".txt": "3ddfa-v2", ".log": "3ddfa-v2"}
        found = sorted({kinds[p.suffix.lower()] for p in path.rglob("*") if p.suffix.lower() in kinds})
        if len(found) == 1:
            return found[0]
        have = "several kinds of files" if found else "no .pts, .csv or .txt files"
        raise InputError(f"{path}: {have} in it: say with --from which to read.")
    guess = _OF_SUFFIX.get(path.suffix.lower(), _of_text)(path)
    if not guess:
        raise InputError(f"{path}: looks like no format that is known: say with --from which it is ({', '.join(FORMATS)}).")
    return guess


def _of_json(path: Path) -> str:
    data = json_of(path)
    first: Any = data[0] if isinstance(data, list) and data else None
    if not isinstance(first, dict):
        return ""
    return "spiga" if {"imgpath", "headpose"} <= first.keys() else "coco" if {"image_id", "keypoints"} <= first.keys() else ""


def _of_text(path: Path) -> str:
    lines = [line for line in read_text(path).splitlines()[:200] if line.strip()]
    if any(ANGLES_LINE.search(line) for line in lines):
        return "3ddfa-v2"
    if any(line.startswith("3;") and line.count(";") >= 4 for line in lines):
        return "images_framework"
    return _of_table(lines)


def _of_csv(path: Path) -> str:
    text = read_text(path).splitlines()
    first = next((line for line in text if line.strip()), "")
    return "hpbench" if first.startswith("# ") and "=" in first else _of_table(text)


def _of_table(lines: list[str]) -> str:
    header = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    try:
        names = [name.strip() for name in next(csv.reader([header], delimiter=max(",;\t", key=header.count)), [])]
    except csv.Error:  # a cell that is too long
        return ""
    if looks_like_openface(names):
        return "openface"
    return "csv" if len(names) > 1 else ""


_OF_SUFFIX: dict[str, Callable[[Path], str]] = {
    ".json": _of_json, ".csv": _of_csv, ".pts": lambda _: "pts", ".h5": lambda _: "hpbench", ".npz": lambda _: "hpbench",
    ".jsonl": lambda _: "hpbench",
}  # fmt: skip
