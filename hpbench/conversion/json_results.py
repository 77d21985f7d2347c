"""Results as JSON lists: SPIGA's ``results_<database>_<anns>.json`` and COCO keypoint results (MMPose).

Conventions
-----------
SPIGA (spiga/eval/results_gen.py): ``imgpath``, ``headpose`` = yaw, pitch, roll in degrees and a translation, ``ids``,
``landmarks`` in pixels from 0.  Its angles are ``yxz`` with -yaw: so the poses that come with its 300W labels are 5.2 degrees (median)
from poses fitted to the landmarks, and 16.7 with yaw as it stands.  ``visible`` is copied from the labels, so it is no prediction.

COCO: ``image_id``, ``keypoints`` = x, y, v a point, ``score``.  v is read as P(visible) where all are within 0 and 1; 0, 1, 2 as not
there, occluded, visible.  ``image_id`` is a number of the label file, whose ``images`` say which file it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .foreign import Array, Foreign, Options, json_of, listed, stacked
from .images_framework import POINT_IDS, scheme_of_ids

__all__ = ["read_coco_results", "read_spiga"]

_SPIGA_KEYS = {"imgpath", "bbox", "headpose", "ids", "landmarks", "visible"}
_MAX_SCORE = 1e300  # whole numbers of JSON may have any number of digits
_COCO_KEYS = {"image_id", "keypoints", "score", "category_id", "id", "bbox", "area"}


def read_spiga(path: Path, options: Options) -> Foreign:
    """A result file of SPIGA."""
    faces = _objects(path, "imgpath")
    told = ["visible is left out: SPIGA copies it from the labels.", "translations are left out."]
    told += _unread(faces, _SPIGA_KEYS)
    listed_ids = [i for face in faces for i in _as_list(face.get("ids"))]
    if wrong := [i for i in listed_ids if type(i) is not int]:
        raise InputError(f"{path}: {wrong[0]!r:.40} is no landmark id.")
    ids = set(listed_ids)
    scheme = scheme_of_ids(ids) if ids else ""
    if ids and not scheme:
        first = ", ".join(map(str, sorted(ids)[:8]))
        raise InputError(f"{path}: its landmark ids ({first} ...) are of no known scheme ({', '.join(POINT_IDS)}).")
    rows = []
    for face in faces:
        if not isinstance(face["imgpath"], str):
            raise InputError(f"{path}: imgpath {face['imgpath']!r:.40} is no text.")
        name = face["imgpath"]
        row: dict[str, Any] = {"name": name, "euler_deg": None, "landmarks": None}
        if face.get("headpose") is not None:
            pose = _numbers(face["headpose"], path, name, "headpose")
            if pose.shape not in ((3,), (6,)):
                raise InputError(f"{path}: {name}: headpose has {pose.size} numbers, expected yaw, pitch, roll and a translation.")
            row["euler_deg"] = pose[:3] * (-1.0, 1.0, 1.0)
        if face.get("landmarks") is not None:
            points, own = _numbers(face["landmarks"], path, name, "landmarks"), _as_list(face.get("ids"))
            if points.shape != (len(own), 2):
                raise InputError(f"{path}: {name}: landmarks of shape {points.shape} for {len(own)} ids.")
            there = dict(zip(own, points, strict=True))
            row["landmarks"] = [there.get(i, (np.nan, np.nan)) for i in POINT_IDS[scheme]]
        rows.append(row)
    n = len(POINT_IDS[scheme]) if scheme else 0
    arrays = stacked(rows, {"euler_deg": (3,), "landmarks": (n, 2)}, path)
    if "euler_deg" in arrays:
        told.append("the pose is taken as SPIGA defines it: yxz with -yaw.")
    convention = "yxz" if "euler_deg" in arrays else ""
    return Foreign([r["name"] for r in rows], arrays, convention=convention, scheme="" if scheme == "ibug68" else scheme, told=tuple(told))


def read_coco_results(path: Path, options: Options) -> Foreign:
    """COCO keypoint results."""
    faces = _objects(path, "keypoints")
    told = _unread(faces, _COCO_KEYS)
    names = _image_names(options.images) if options.images is not None else {}
    sizes = {len(_as_list(face["keypoints"])) for face in faces}
    if len(sizes) > 1 or (n := sizes.pop()) % 3 or not n:
        raise InputError(f"{path}: keypoints must be x, y, v for each point, the same number of points in every entry.")
    rows: list[dict[str, Any]] = []
    for i, face in enumerate(faces):
        if type(face.get("image_id")) not in (int, str):
            raise InputError(f"{path}: entry {i + 1} has no image_id (a number or a text).")
        image = face["image_id"]
        if names and image not in names:
            raise InputError(f"{path}: image_id {image!r:.40} is not among the images of {options.images}.")
        name = names.get(image, str(image))
        points = _numbers(face["keypoints"], path, name, "keypoints").reshape(-1, 3)
        score = face.get("score")
        if score is not None and (isinstance(score, bool) or not isinstance(score, (int, float)) or not abs(score) <= _MAX_SCORE):
            raise InputError(f"{path}: {name}: its score {score!r:.40} is no number.")
        rows.append({"name": name, "landmarks": points[:, :2], "visibility": points[:, 2], "score": score})
    arrays = stacked(rows, {"landmarks": (n // 3, 2), "visibility": (n // 3,)}, path)
    told += _read_v(arrays)
    if not names and all(isinstance(face["image_id"], int) for face in faces):
        told.append("image_id is a number of the label file: --images LABELS.json gives the names.")
    scores = [row["score"] for row in rows]
    return Foreign([r["name"] for r in rows], arrays, scores=[] if None in scores else list(map(float, scores)), told=tuple(told))


def _read_v(arrays: dict[str, Array]) -> list[str]:
    """What v means, by its values; `arrays` are changed accordingly."""
    v = arrays.pop("visibility")
    if not np.ptp(v) > 0:
        return [f"v is {v.flat[0]:g} everywhere: visibility is not predicted, and left out."]
    if np.isin(v, (0.0, 1.0, 2.0)).all() and (v == 2.0).any():
        arrays["landmarks"] = np.where(v[..., None] == 0.0, np.nan, arrays["landmarks"])
        arrays["visibility"] = np.where(v == 0.0, np.nan, (v == 2.0).astype(np.float64))
        return ["v is read as 0 not there, 1 occluded, 2 visible."]
    if v.min() >= 0.0 and v.max() <= 1.0:
        arrays["visibility"] = v
        return ["v is read as P(visible): is it a confidence of the position only, visibility scores mean little."]
    return [f"v goes from {v.min():g} to {v.max():g}: no probability of being visible, and left out."]


def _image_names(path: Path) -> dict[Any, str]:
    data = json_of(path)
    images = data.get("images") if isinstance(data, dict) else None
    if not isinstance(images, list) or not all(isinstance(i, dict) and "id" in i and isinstance(i.get("file_name"), str) for i in images):
        raise InputError(f"{path}: no COCO label file: it has no list images with id and file_name.")
    return {image["id"]: image["file_name"] for image in images if isinstance(image["id"], (int, str))}


def _objects(path: Path, key: str) -> list[dict[str, Any]]:
    data = json_of(path)
    if not isinstance(data, list) or not data or not all(isinstance(face, dict) and key in face for face in data):
        raise InputError(f"{path}: expected a list of objects with the key {key!r}, and at least one.")
    return data


def _unread(faces: list[dict[str, Any]], known: set[str]) -> list[str]:
    others = [key for key in dict.fromkeys(key for face in faces for key in face) if key not in known]
    return [f"left out: {listed(others)}."] if others else []


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _numbers(value: Any, path: Path, name: str, key: str) -> Array:
    try:
        array = np.array(value, dtype=np.float64)
        if not np.isfinite(array).all():
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{path}: {name}: its {key} is no array of numbers.") from None
    return array
