"""Shards of rendered heads: one uncompressed .zip of images and an .npz of labels, for the reader and for training.

What is in it
-------------
* ``images/<sample_id>.jpg``
* ``labels.npz``: `COLUMNS`, one row an image, in the order of the ids; subset values as ``attribute_<name>``.
* ``about.json``: what made it.

The archive is not compressed, since JPEGs do not shrink: an image is one read at a known place.  A shard is written whole or not
at all, so a folder of shards is complete up to the last one.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...atomic import atomic_path
from ...errors import InputError
from ...geometry.rotations import rotation_defect
from ...untrusted import is_bomb_in, read_npz_arrays
from .datafile import MAX_FILE_BYTES

__all__ = ["COLUMNS", "Shard", "joined", "read_labels", "read_shard", "write_shard"]

Array = npt.NDArray[Any]

COLUMNS: dict[str, tuple[tuple[int, ...], str]] = {  # name -> (shape of a row, kinds of number); -1 = any length
    "rotation_camera_from_head": ((3, 3), "f"),
    "rotation_crop_ray": ((3, 3), "f"),
    "translation_mm": ((3,), "f"),
    "camera_px": ((3, 3), "f"),
    "landmarks_3d_mm": ((68, 3), "f"),
    "landmarks_fixed_px": ((68, 2), "f"),
    "landmarks_contour_px": ((68, 2), "f"),
    "occlusion_fixed": ((68,), "u"),
    "occlusion_contour": ((68,), "u"),
    "box_landmarks_xyxy_px": ((4,), "f"),
    "box_head_xyxy_px": ((4,), "f"),
    "phenotype": ((-1,), "f"),
    "changes": ((-1,), "f"),
    "actions": ((-1,), "f"),
}
_LABELS, _ABOUT, _ATTRIBUTE = "labels.npz", "about.json", "attribute_"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # no clock in the file: the same heads are the same bytes


@dataclass(frozen=True)
class Shard:
    """Labels of N heads.

    Attributes
    ----------
    sample_id : tuple of str
    columns : mapping of str to (N, ...) array
        Those of `COLUMNS`.
    attributes : mapping of str to (N,) array
    """

    sample_id: tuple[str, ...]
    columns: Mapping[str, Array]
    attributes: Mapping[str, Array]


def write_shard(path: Path, shard: Shard, images: Iterable[bytes], about: Mapping[str, Any]) -> None:
    """Write a shard atomically; `images` are JPEG files in the order of the ids, taken one by one.

    Raises
    ------
    InputError
        The file cannot be written, or a column has another shape than `COLUMNS` says.
    """
    _check(shard.columns, shard.sample_id, path.name)
    arrays = {**shard.columns, **{_ATTRIBUTE + name: values for name, values in shard.attributes.items()}}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, sample_id=np.array(shard.sample_id), **arrays)  # type: ignore[arg-type]
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for sample_id, image in zip(shard.sample_id, images, strict=True):
            archive.writestr(zipfile.ZipInfo(f"images/{sample_id}.jpg", _EPOCH), image)
        archive.writestr(zipfile.ZipInfo(_LABELS, _EPOCH), _without_clock(buffer.getvalue()))
        archive.writestr(zipfile.ZipInfo(_ABOUT, _EPOCH), json.dumps(about, indent=1, sort_keys=True))


def read_shard(path: Path) -> tuple[Shard, dict[str, Any]]:
    """Labels of a shard file, and what made it.

    Raises
    ------
    InputError
        No such file, or no shard.
    """
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            for member in (_LABELS, _ABOUT):
                entry = archive.getinfo(member)
                if entry.file_size > MAX_FILE_BYTES or is_bomb_in(size, entry):
                    raise ValueError(f"{member} claims {entry.file_size} bytes")
            about = json.loads(archive.read(_ABOUT))
            if not isinstance(about, dict):
                raise ValueError(f"{_ABOUT} is no table")
            return read_labels(archive.read(_LABELS), f"{path}:{_LABELS}"), about
    except Exception as error:  # zipfile, zlib and JSON raise a dozen kinds for damaged files
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a shard of rendered heads: truncated, or another .zip? ({str(error)[:100]})") from None


def read_labels(content: bytes, name: str) -> Shard:
    """Labels from the bytes of a ``labels.npz``, checked; `InputError` that names it."""
    try:
        arrays = read_npz_arrays(content, MAX_FILE_BYTES)
    except Exception as error:  # NumPy and zipfile raise half a dozen kinds for damaged files
        raise InputError(f"{name}: cannot be read as .npz: truncated, or another kind of file? ({str(error)[:100]})") from None
    ids = tuple(map(str, arrays.pop("sample_id", np.empty(0)).ravel()))
    if not ids:
        raise InputError(f"{name}: no sample_id: is this the label file of rendered heads?")
    attributes = {key.removeprefix(_ATTRIBUTE): arrays.pop(key) for key in sorted(arrays) if key.startswith(_ATTRIBUTE)}
    for key, values in attributes.items():
        if values.shape != (len(ids),) or values.dtype.kind not in "Uf":
            raise InputError(f"{name}: attribute {key} is {values.dtype} of shape {values.shape}, not {len(ids)} numbers or texts.")
    _check(arrays, ids, name)
    return Shard(ids, {key: arrays[key] for key in COLUMNS}, attributes)


def _check(columns: Mapping[str, Array], ids: Sequence[str], name: str) -> None:
    for key, (shape, kind) in COLUMNS.items():
        if key not in columns:
            raise InputError(f"{name}: the column {key} is missing: made by another version?")
        have = columns[key].shape
        if have[:1] != (len(ids),) or len(have) != 1 + len(shape) or any(w not in (-1, h) for w, h in zip(shape, have[1:], strict=True)):
            raise InputError(f"{name}: {key} has shape {have}, not {(len(ids), *shape)}.")
        if columns[key].dtype.kind not in kind or not np.isfinite(columns[key]).all():
            raise InputError(f"{name}: {key} holds {columns[key].dtype} or numbers that are not finite.")
        if key.startswith("occlusion_") and columns[key].max(initial=0) > 2:
            raise InputError(f"{name}: {key} holds {columns[key].max()}: 0 is visible, 1 hidden by something else, 2 by the head.")
        if key.startswith("rotation_") and (wrong := rotation_defect(columns[key])).max(initial=0.0) > 1e-6:
            raise InputError(f"{name}: {key} holds a matrix that is no rotation, in row {int(wrong.argmax()) + 1}.")
        if key.startswith("box_") and not (columns[key][:, 2:] > columns[key][:, :2]).all():
            raise InputError(f"{name}: {key} holds a box without width or height (x0, y0, x1, y1).")


def joined(shards: Sequence[Shard], name: str) -> Shard:
    """Several shards as one, in their order; attributes that not all have are left out.

    Raises
    ------
    InputError
        Columns of unlike width, an attribute that is a number here and a text there, or a head twice.
    """
    ids = tuple(i for shard in shards for i in shard.sample_id)
    if len(set(ids)) < len(ids):
        twice = next(i for i, n in Counter(ids).items() if n > 1)
        raise InputError(f"{name}: the head {twice!r} is there twice: rendered twice, or one file copied?")
    for key in COLUMNS:
        if len({shard.columns[key].shape[1:] for shard in shards}) > 1:
            raise InputError(f"{name}: {key} is not of one width in all shards: rendered by several versions?")
    names = sorted(set.intersection(*(set(shard.attributes) for shard in shards)))
    for key in names:
        if len({shard.attributes[key].dtype.kind for shard in shards}) > 1:
            raise InputError(f"{name}: the attribute {key} is a number in one shard and a text in another.")
    columns = {key: np.concatenate([shard.columns[key] for shard in shards]) for key in COLUMNS}
    return Shard(ids, columns, {key: np.concatenate([shard.attributes[key] for shard in shards]) for key in names})


def _without_clock(npz: bytes) -> bytes:
    """The same .npz with the time of day taken out of its members."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(npz)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.infolist():
            target.writestr(zipfile.ZipInfo(member.filename, _EPOCH), source.read(member), zipfile.ZIP_DEFLATED)
    return out.getvalue()
