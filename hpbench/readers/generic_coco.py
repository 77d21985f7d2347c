"""COCO keypoints of users' own data as rows: ``images``, ``annotations`` with ``keypoints`` [x, y, v] * K, ``bbox`` xywh.

What v means differs between files, and the card says it (``coco_visibility``):

* ``standard``: 0 not labelled, 1 labelled and occluded, 2 labelled and visible (cocodataset.org);
* ``labelled``: 0 not labelled, anything else labelled; nothing is said about visibility (MMPose's face files: 1 everywhere);
* ``visible``: 0 occluded, 1 visible, every point has a position.

A sample is an annotation; its id is the annotation's ``id`` (or ``sample_id``), since an image may hold several faces.
Scalars of an annotation that COCO does not define are columns as in CSV (``yaw_deg``, ``person``, any attribute); lists
beside ``keypoints`` and ``bbox`` are not read.  Annotations with ``iscrowd`` are no faces.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .files.datafile import DataFile
from .generic_files import LabelRows, as_text, column_of, label_text, refuse_misnamed

__all__ = ["COCO_VISIBILITY", "read_coco_rows"]

Array = npt.NDArray[Any]
Entry = dict[str, Any]

COCO_VISIBILITY = {"standard": (0.0, 1.0, 2.0), "labelled": None, "visible": (0.0, 1.0)}  # meaning -> the values of v
MAX_NUMBERS = 1 << 28
_DEFINED = ("id", "image_id", "category_id", "keypoints", "num_keypoints", "bbox", "area", "segmentation", "iscrowd")
_TEXTS = ("sample_id", "image", "person", "sequence")
_ANGLES = ("yaw_deg", "pitch_deg", "roll_deg")


def read_coco_rows(file: DataFile, meaning: str) -> LabelRows:
    """Rows of a COCO file; `meaning` is a key of `COCO_VISIBILITY`, "" where the card says nothing."""
    images, annotations = _parts(file)
    passed_over = tuple(f"crowd {a['id']}" for a in annotations if a.get("iscrowd"))
    faces = [a for a in annotations if not a.get("iscrowd")]
    known = {image["id"]: image for image in images}
    for face in faces:
        if face.get("image_id") not in known:
            raise InputError(f"{file.name}: annotation {face['id']} is of image {face.get('image_id')!r:.40}, which is not listed.")
    others = [k for k in dict.fromkeys(k for a in faces for k in a) if k not in _DEFINED]
    refuse_misnamed(file, others, "yaw_deg, pitch_deg, roll_deg")
    scalar = {k: [f.get(k) for f in faces] for k in others if not any(isinstance(f.get(k), (list, dict)) for f in faces)}
    texts = {name: [as_text(v) for v in scalar.pop(name)] for name in _TEXTS if name in scalar}
    texts.setdefault("sample_id", [str(f["id"]) for f in faces])
    texts["image"] = [known[f["image_id"]]["file_name"] for f in faces]
    columns = {name: column_of(values) for name, values in scalar.items()}
    arrays = _points(file, faces, meaning) | _boxes(file, faces)
    given = [name for name in _ANGLES if name in columns]
    if given:
        if len(given) < 3 or any(columns[name].dtype == object for name in given):
            raise InputError(f"{file.name}: annotations with a pose need {', '.join(_ANGLES)}, all three and numbers.")
        arrays["euler_deg"] = np.stack([columns.pop(name) for name in _ANGLES], axis=1)
    return LabelRows(len(faces), texts, arrays, columns, passed_over=passed_over)


def _parts(file: DataFile) -> tuple[list[Entry], list[Entry]]:
    try:
        content = json.loads(label_text(file))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file.name}: not valid JSON: truncated? ({str(error)[:80]})") from None
    parts = []
    for name in ("images", "annotations"):
        part = content.get(name) if isinstance(content, dict) else None
        if not isinstance(part, list) or not all(isinstance(entry, dict) for entry in part):
            raise InputError(f"{file.name}: has no list {name!r} of objects: a COCO file holds images and annotations.")
        for entry in part:
            if not isinstance(entry.get("id"), (int, str)) or isinstance(entry["id"], bool):
                raise InputError(f"{file.name}: an entry of {name!r} has no id (a whole number or a text).")
        if len({e["id"] for e in part}) < len(part):
            twice = Counter(e["id"] for e in part).most_common(1)[0][0]
            raise InputError(f"{file.name}: two entries of {name!r} have the id {twice!r:.40}.")
        parts.append(part)
    for image in parts[0]:
        if not isinstance(image.get("file_name"), str) or not image["file_name"]:
            raise InputError(f"{file.name}: image {image['id']!r:.40} has no file_name.")
    for annotation in parts[1]:
        if isinstance(annotation.get("image_id"), (list, dict)):
            raise InputError(f"{file.name}: annotation {annotation['id']!r:.40} has an image_id that is no number or text.")
    return parts[0], parts[1]


def _numbers(file: DataFile, face: Entry, key: str) -> Array | None:
    """A list of finite numbers of an annotation; None where it has none."""
    value = face.get(key)
    if value is None or value == []:
        return None
    try:
        array = np.array(value, dtype=np.float64)
        if array.ndim == 1 and not np.isnan(array).any() and not np.isinf(array).any():
            return array
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"{file.name}: annotation {face['id']}: {key} is no list of finite numbers.")


def _points(file: DataFile, faces: list[Entry], meaning: str) -> dict[str, Array]:
    """``landmarks`` and, where v tells it, ``visibility``."""
    rows = [_numbers(file, face, "keypoints") for face in faces]
    lengths = Counter(len(row) for row in rows if row is not None)
    if not lengths:
        return {}
    length = lengths.most_common(1)[0][0]
    for face, row in zip(faces, rows, strict=True):
        if row is not None and (len(row) != length or length % 3):
            raise InputError(
                f"{file.name}: annotation {face['id']} has {len(row)} numbers as keypoints, "
                + ("which are no triples x, y, v." if len(row) == length else f"the others {length}: faces of another kind?")
            )
    if length * len(rows) > MAX_NUMBERS:
        raise InputError(f"{file.name}: {length} numbers as keypoints in {len(rows)} annotations is too much.")
    values = np.stack([np.zeros(length) if row is None else row for row in rows]).reshape(len(rows), -1, 3)
    absent = np.array([row is None for row in rows])
    points, v = values[..., :2], values[..., 2]
    if not meaning and not (v == 2).any() and (v == 1).any():
        raise InputError(
            f"{file.name}: no keypoint has v = 2, so by COCO's standard every labelled point is occluded: say on the card what v "
            f"means, options.coco_visibility = {' or '.join(map(repr, COCO_VISIBILITY))} ('labelled' if 1 says no more than that)."
        )
    meaning = meaning or "standard"
    allowed = COCO_VISIBILITY[meaning]
    if allowed is not None and (bad := np.argwhere(~np.isin(v, allowed))).size:
        at, point = map(int, bad[0])
        raise InputError(
            f"{file.name}: annotation {faces[at]['id']}: v of keypoint {point} is {v[at, point]:g}, "
            f"expected {', '.join(f'{a:g}' for a in allowed)} (options.coco_visibility = {meaning!r})."
        )
    labelled = ~absent[:, None] & ((v > 0) | (meaning == "visible"))
    arrays = {"landmarks": np.where(labelled[..., None], points, np.nan)}
    if meaning != "labelled":
        arrays["visibility"] = np.where(labelled, v == (2 if meaning == "standard" else 1), np.nan)
    return arrays


def _boxes(file: DataFile, faces: list[Entry]) -> dict[str, Array]:
    rows = [_numbers(file, face, "bbox") for face in faces]
    if all(row is None for row in rows):
        return {}
    for face, row in zip(faces, rows, strict=True):
        if row is not None and (len(row) != 4 or min(row[2:]) <= 0 or not math.isfinite(sum(row))):
            raise InputError(
                f"{file.name}: annotation {face['id']}: bbox must be x, y, width, height, with a size, got {face['bbox']!s:.60}."
            )
    x, y, w, h = np.array([np.full(4, np.nan) if row is None else row for row in rows]).T
    return {"box_xyxy_px": np.stack([x, y, x + w, y + h], axis=1)}
