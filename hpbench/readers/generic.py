"""Users' own data: a folder of images with one label file, described by a card (docs/own-data.md).

The card names the label file and says what its numbers mean; nothing is guessed:

``options.labels``
    The file: ``.csv``, ``.jsonl`` (`hpbench.readers.generic_files`) or ``.json`` in COCO's form (`generic_coco`).
    Default ``labels.csv``.
``convention``, ``scheme``
    Of the angles and the landmarks, as for any data set.
``options.pixel_origin``
    0 (default) where (0, 0) is the centre of the top-left pixel, 1 where that is (1, 1), as MATLAB counts.
``options.visibility_polarity``
    ``visible`` (default): 1 is visible; ``occluded``: 1 is occluded.  CSV and JSONL.
``options.coco_visibility``
    What v means in a COCO file, see `generic_coco`.
``boxes``
    A set with the source ``landmarks`` is the rectangle of the labelled points; every other set is that of the file.

A row without ``image`` is of the image with its id as name; a row without ``sample_id`` has its image's path, without
suffix, as id.  The open split ``all`` is every row, another open split the rows with its name in the column ``split``.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError, did_you_mean
from ..faces import Faces
from ..metrics.landmarks import landmark_box_xyxy_px
from .files.datafile import DataFile
from .files.sources import find_by_key, how_to_obtain
from .generic_coco import COCO_VISIBILITY, read_coco_rows
from .generic_files import SUFFIXES, LabelRows, read_csv_rows, read_jsonl_rows, safe_image_path
from .table_dataset import TableDataset

__all__ = ["Table"]

Array = npt.NDArray[Any]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".JPG", ".JPEG", ".PNG")
_CHOICES: dict[str, tuple[Any, ...]] = {  # option -> what it may be; the first is the default
    "labels": (),
    "pixel_origin": (0, 1),
    "visibility_polarity": ("visible", "occluded"),
    "coco_visibility": ("", *COCO_VISIBILITY),
    "derived_pose_mean_face": (),
}


class Table(TableDataset):
    """See the module's text.  ``abs_yaw_deg`` is an attribute wherever there are angles."""

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        super().__init__(card, files)
        self._check_options()
        self._labels_path = PurePosixPath(str(card.options.get("labels", "labels.csv")))
        if self._labels_path.suffix not in SUFFIXES or self._labels_path.is_absolute() or ".." in self._labels_path.parts:
            raise InputError(
                f"{self._card}: options.labels {str(self._labels_path)!r:.60} must be a relative name that ends in {', '.join(SUFFIXES)}."
            )
        found = find_by_key(("", f) for f in files if _ends_with(f.relative, self._labels_path))
        if not found:
            seen = f"{len(files)} other files, such as {files[0].name}" if files else "no files"
            raise MissingDataError(f"no {self._labels_path} in the data given, but {seen}.\n{how_to_obtain(card)}")
        self._file = found[""]

    def table(self, labels: str) -> Faces:
        return self._loaded[0]

    def open_ids(self, split: str) -> list[str]:
        table = self._loaded[0]
        if split == "all":
            return [str(i) for i in table.sample_id]  # type: ignore[union-attr]
        if "split" not in table.attributes:
            raise InputError(f"{self._file.name}: has no column 'split' that says which rows are of {split!r}: add it, or list their ids.")
        return [str(i) for i in table.sample_id[table.attributes["split"].astype(str) == split]]  # type: ignore[index]

    def foreign_ids(self) -> list[str]:
        """Rows that are of no split, and entries of the label file that are no faces."""
        ids = {str(i) for i in self._loaded[0].sample_id}  # type: ignore[union-attr]
        return sorted((ids - set(self.all_ids())) | set(self._loaded[2]))

    def box_table(self, name: str) -> Faces:
        table = self._loaded[0]
        if self.card.boxes[name].source == "landmarks":
            return replace(table, box_xyxy_px=landmark_box_xyxy_px(table))
        return table

    def boxes_of(self, name: str, ids: list[str]) -> Array:
        boxes = super().boxes_of(name, ids)
        if (bad := np.flatnonzero(np.isnan(boxes).any(axis=1))).size:
            raise InputError(f"{self._file.name}: face {ids[bad[0]]!r} has no box {self.box_set(name)!r} ({bad.size} such faces).")
        return boxes

    def image_file(self, sample_id: str) -> DataFile | None:
        faces, images, _ = self._loaded
        row = bisect.bisect_left(faces.sample_id, sample_id)  # type: ignore[arg-type]
        stated = images[row] if images and row < len(faces) and faces.sample_id[row] == sample_id else ""  # type: ignore[index]
        # a path that the file states was checked when it was read; an id that is no path has no image
        wanted = [stated.replace("\\", "/")] if stated else [sample_id + suffix for suffix in IMAGE_SUFFIXES]
        for path in map(PurePosixPath, wanted):
            found = [f for f in self._by_name.get(path.name, ()) if _ends_with(f.relative, path)]
            # the same name in several folders: the one that lies where the file says, from the root or from the label file
            nearest = [f for f in found if f.relative in (path, self._file.relative.parent / path)]
            if found:
                return find_by_key(("", f) for f in nearest or found)[""]
        return None

    @property
    def _card(self) -> str:
        return str(self.card.folder / "card.toml")

    @cached_property
    def _by_name(self) -> Mapping[str, list[DataFile]]:
        names: dict[str, list[DataFile]] = {}
        for file in self.files:
            names.setdefault(file.file_name, []).append(file)
        return names

    @cached_property
    def _loaded(self) -> tuple[Faces, list[str], tuple[str, ...]]:
        """The faces, sorted by id; the image each of them names, if the file has such a column; what was passed over."""
        rows = self._rows()
        ids = self._ids(rows)
        try:
            faces = self._faces(rows, ids)
        except InputError as error:
            if str(error).startswith(self._file.name):
                raise
            raise InputError(f"{self._file.name}: {error}") from None
        order = np.argsort(faces.sample_id, kind="stable")  # type: ignore[arg-type]
        images = rows.texts.get("image", [])
        return faces.take(order), [images[row] for row in order] if images else [], rows.passed_over

    def _rows(self) -> LabelRows:
        name, said = self._file.name, self.card.options.get("coco_visibility", "")
        is_coco = self._labels_path.suffix == ".json"
        if said and not is_coco:
            raise InputError(f"{self._card}: options.coco_visibility says nothing about a {self._labels_path.suffix} file.")
        if "visibility_polarity" in self.card.options and is_coco:
            raise InputError(f"{self._card}: options.visibility_polarity says nothing about a COCO file: coco_visibility does.")
        rows = read_coco_rows(self._file, said) if is_coco else _READERS[self._labels_path.suffix](self._file)
        if not rows.n:
            raise InputError(f"{name}: holds no face.")
        if not rows.arrays.keys() - {"box_xyxy_px"}:
            raise InputError(f"{name}: no labels in it: neither angles, nor rotations, nor landmarks, nor visibility.")
        return rows

    def _ids(self, rows: LabelRows) -> list[str]:
        name, images = self._file.name, rows.texts.get("image")
        if images is not None:
            for number, image in enumerate(images, 1):
                if image:
                    safe_image_path(image, f"{name}: row {number}")
        if "sample_id" in rows.texts:
            return rows.texts["sample_id"]
        if images is None:
            raise InputError(f"{name}: has neither sample_id nor image: which row is which face?")
        ids = [str(PurePosixPath(i.replace("\\", "/")).with_suffix("")) if i else "" for i in images]
        first, times = Counter(ids).most_common(1)[0]
        if times > 1:
            raise InputError(f"{name}: several rows are of image {first!r:.80}: give each row a sample_id of its own.")
        return ids

    def _faces(self, rows: LabelRows, ids: list[str]) -> Faces:
        arrays = dict(rows.arrays)
        origin = self.card.options.get("pixel_origin", 0)
        for key in ("landmarks", "box_xyxy_px"):
            if key in arrays and origin:
                arrays[key] = arrays[key] - origin
        if "visibility" in arrays:
            arrays["visibility"] = _visibility(arrays["visibility"], self.card.options.get("visibility_polarity", "visible"))
        if "landmarks" in arrays and (bad := np.argwhere(np.diff(np.isnan(arrays["landmarks"]), axis=2)[..., 0])).size:
            raise InputError(f"row {bad[0][0] + 1}: point {bad[0][1]} has one coordinate only: leave both empty if it is not labelled.")
        if "box_xyxy_px" in arrays:
            _check_boxes(arrays["box_xyxy_px"])
        convention = self._agreed("convention", rows) if "euler_deg" in arrays else None
        if "euler_deg" in arrays and not convention:
            raise InputError(f"has angles: write their convention on the card ({self._card}).")
        attributes = dict(rows.attributes)
        if "euler_deg" in arrays:
            attributes.setdefault("abs_yaw_deg", np.abs(arrays["euler_deg"][:, 0]))
        return Faces(
            sample_id=ids,
            **arrays,
            convention=convention,
            scheme=self._agreed("scheme", rows) if arrays.keys() & {"landmarks", "visibility"} else None,
            person=rows.texts.get("person"),
            sequence=rows.texts.get("sequence"),
            attributes=attributes,
        )

    def _agreed(self, name: str, rows: LabelRows) -> str | None:
        """What card and file say about themselves; they may not differ."""
        card, file = getattr(self.card, name), rows.declared.get(name, "")
        if card and file and card != file:
            raise InputError(f"declares the {name} {file!r:.40}, the card {card!r}: which is right?")
        return card or file or None

    def _check_options(self) -> None:
        for name, value in self.card.options.items():
            if name in ("convention", "scheme"):
                raise InputError(f"{self._card}: {name} is a key of the card itself: write it above the tables, not under [options].")
            if name not in _CHOICES:
                raise InputError(f"{self._card}: unknown option {name!r}: {did_you_mean(name, _CHOICES)}")
            choices = _CHOICES[name]
            if (choices and value not in choices) or isinstance(value, bool) or (not choices and not isinstance(value, str)):
                allowed = " or ".join(repr(c) for c in choices if c != "") or "a text"
                raise InputError(f"{self._card}: options.{name} must be {allowed}, not {value!r:.40}.")


_READERS = {".csv": read_csv_rows, ".jsonl": read_jsonl_rows}


def _ends_with(relative: PurePosixPath, wanted: PurePosixPath) -> bool:
    return relative.parts[-len(wanted.parts) :] == wanted.parts


def _visibility(values: Array, polarity: str) -> Array:
    if (bad := np.argwhere((values != 0.0) & (values != 1.0) & ~np.isnan(values))).size:
        row, point = map(int, bad[0])
        raise InputError(f"row {row + 1}: visibility of point {point} is {values[row, point]:g}: a label is 0, 1 or empty.")
    return values if polarity == "visible" else 1.0 - values


def _check_boxes(boxes: Array) -> None:
    missing = np.isnan(boxes)
    if (bad := np.flatnonzero(missing.any(axis=1) & ~missing.all(axis=1))).size:
        raise InputError(f"row {bad[0] + 1}: its box has fewer than four numbers.")
    if (bad := np.flatnonzero((boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1]))).size:
        raise InputError(f"row {bad[0] + 1}: its box ends before it begins: written as x, y, width, height? Write both corners.")
