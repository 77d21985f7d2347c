"""AFLW: ``aflw.sqlite`` with the photographs ``flickr/{0,2,3}/imageNNNNN.jpg``; 25,993 faces, often several in a photograph.

Sources: M. Koestinger et al., Annotated Facial Landmarks in the Wild, BeFIT 2011; the C++ tools that came with it
(``facedbsql``), which wrote the database: the facts below are read off them and off public readers of the database.

What is read
------------
* ``Faces`` (face_id, file_id) and ``FaceImages`` (file_id, filepath).
* ``FaceRect`` (x, y, w, h): a square computed by the tools from the pose; may reach beyond the photograph.
* ``FeatureCoords`` (feature_id, x, y): a point that is not visible has no row, so a missing one is *unlabelled*, not
  "occluded".  Feature ids 1..21 in the order of `POINTS`; "left" in AFLW's names is the viewer's left, which is the
  subject's right.  ``FeatureCoordTypes`` (feature_id, descr) is believed where it is there.
* ``FacePose`` (roll, pitch, yaw), radians, by POSIT on a mean face with a camera of focal length 1.5 image widths.
  The tools decompose A R A^T = Rz(yaw) Ry(pitch) Rx(roll), where R is the rotation head -> camera (x right, y down, z
  forward) and A = (0 0 -1; -1 0 0; 0 1 0) takes x, y, z to their forward, left, down.  It follows that
  **R = Ry(yaw) Rx(-pitch) Rz(-roll)**: the convention ``yxz`` with the roll's sign turned (`POSE_SIGNS`).  Hopenet's
  reader turns the same sign, and nothing else.  The raw angles are attributes.  -2 pi stands for "undefined".
* ``FaceMetaData`` (sex, occluded, glasses), where it is there.

A face may have several rows in a table: the first counts, as for everybody who takes one row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError
from ..faces import Faces
from ..metrics.landmarks import landmark_box_xyxy_px
from .aflw_images import find_image, flickr_images, image_path
from .files.label_cache import cached_labels
from .files.sources import DataFile, find_by_name, how_to_obtain
from .files.sqlite_tables import Rows, read_tables
from .table_dataset import TableDataset

__all__ = ["AFLW", "POINTS", "POSE_SIGNS"]

Array = npt.NDArray[Any]

POINTS = (
    "LeftBrowLeftCorner", "LeftBrowCenter", "LeftBrowRightCorner", "RightBrowLeftCorner", "RightBrowCenter", "RightBrowRightCorner",
    "LeftEyeLeftCorner", "LeftEyeCenter", "LeftEyeRightCorner", "RightEyeLeftCorner", "RightEyeCenter", "RightEyeRightCorner",
    "LeftEar", "NoseLeft", "NoseCenter", "NoseRight", "RightEar", "MouthLeftCorner", "MouthCenter", "MouthRightCorner", "ChinCenter",
)  # fmt: skip
POSE_SIGNS = (1.0, 1.0, -1.0)  # yaw, pitch, roll: from FacePose to the convention yxz

_TABLES = {
    "Faces": ("face_id", "file_id"),
    "FaceImages": ("file_id", "filepath"),
    "FaceRect": ("face_id", "x", "y", "w", "h"),
    "FacePose": ("face_id", "yaw", "pitch", "roll"),
    "FeatureCoords": ("face_id", "feature_id", "x", "y"),
    "FeatureCoordTypes": ("feature_id", "descr"),
    "FaceMetaData": ("face_id", "sex", "occluded", "glasses"),
}
_OPTIONAL = ("FeatureCoordTypes", "FaceMetaData")
_UNDEFINED_RAD = -2.0 * np.pi


class AFLW(TableDataset):
    """See the module's text."""

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        super().__init__(card, files)
        found = find_by_name(files, re.compile(r"aflw\.sqlite"))
        if not found:
            seen = f"{len(files)} other files, such as {files[0].name}" if files else "no files"
            raise MissingDataError(f"no aflw.sqlite of {card.id} in the data given, but {seen}.\n{how_to_obtain(card)}")
        self._database = found["aflw.sqlite"]
        for file in files:  # changes that were not yet written into the database itself would be missed
            if file.file_name in ("aflw.sqlite-wal", "aflw.sqlite-journal") and file.size:
                raise InputError(f"{file.name}: unfinished changes of aflw.sqlite: open and close it once with sqlite3, then try again.")
        self._photographs = flickr_images(files)

    def open_ids(self, split: str) -> list[str]:
        return [str(i) for i in self._labels["face_id"]]

    def foreign_ids(self) -> list[str]:
        """Faces that have labels and are not in the table Faces."""
        return [str(i) for i in self._labels["foreign"]]

    def image_file(self, sample_id: str) -> DataFile | None:
        return find_image(self._photographs, self._paths.get(sample_id, ""))

    def table(self, labels: str) -> Faces:
        raw = self._labels
        labelled = np.isfinite(raw["points"]).all(axis=2)
        yaw, pitch, roll = raw["pose"].T
        return Faces(
            sample_id=[str(i) for i in raw["face_id"]],
            euler_deg=np.rad2deg(raw["pose"]) * POSE_SIGNS,
            convention=self.card.convention,
            landmarks=raw["points"],
            scheme=self.card.scheme,
            visibility=np.where(labelled, 1.0, np.nan),  # only visible points were annotated
            occlusion=np.where(labelled, 0, 3),
            box_xyxy_px=raw["box"],
            attributes={
                "abs_yaw_deg": np.abs(np.rad2deg(yaw)),
                "face_pose_yaw_rad": yaw,
                "face_pose_pitch_rad": pitch,
                "face_pose_roll_rad": roll,
                "sex": raw["sex"],
                "occluded": raw["flags"][:, 0],
                "glasses": raw["flags"][:, 1],
            },
        )

    def box_table(self, name: str) -> Faces:
        table = self._table("")
        assert table is not None  # the labels are there, or nothing is
        return table if name == "given" else replace(table, box_xyxy_px=landmark_box_xyxy_px(table))

    @cached_property
    def _labels(self) -> Mapping[str, Array]:
        file = self._database
        return cached_labels(self.card.id, "sqlite", [file], lambda: parse_aflw(file.fetch(), file.name))

    @cached_property
    def _paths(self) -> dict[str, str]:
        return {str(i): str(path) for i, path in zip(self._labels["face_id"], self._labels["path"], strict=True)}


def parse_aflw(data: bytes, name: str) -> dict[str, Array]:
    """The labels in ``aflw.sqlite``, one row a face, sorted by face id as text.

    Returns
    -------
    dict
        ``face_id`` (N,) text, ``path`` (N,) text, ``box`` (N, 4) pixels x0, y0, x1, y1, ``pose`` (N, 3) radians yaw, pitch,
        roll as stored, ``points`` (N, 21, 2) pixels, ``sex`` (N,) text, ``flags`` (N, 2) occluded and glasses, 0 or 1,
        ``foreign`` text: face ids in other tables only.  NaN where there is none.
    """
    tables = read_tables(data, name, _TABLES, _OPTIONAL)
    faces = _faces(tables["Faces"], name)
    ids = sorted(faces, key=str)
    if not ids:
        raise InputError(f"{name}: the table Faces is empty.")
    row_of = {face: row for row, face in enumerate(ids)}
    files: dict[str, str] = {}
    for file_id, path in tables["FaceImages"]:
        files.setdefault(str(file_id), image_path(str(path), f"{name}: table FaceImages"))
    foreign: set[int] = set()

    def numbers(table: str, width: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Row in `ids` and values of the first row of each face (and feature) of a table."""
        values = _numbers(tables[table], name, table)
        keys = values[:, : values.shape[1] - width]
        _, first = np.unique(keys, axis=0, return_index=True)
        values = values[np.sort(first)]
        rows = np.array([row_of.get(int(face), -1) for face in values[:, 0]], dtype=np.int64)
        foreign.update(int(face) for face in values[rows < 0, 0])
        return rows[rows >= 0], values[rows >= 0]

    box, pose = np.full((len(ids), 4), np.nan), np.full((len(ids), 3), np.nan)
    rows, values = numbers("FaceRect", 4)
    x, y, w, h = values[:, 1:].T
    real = (w > 0) & (h > 0)  # an empty rectangle is none
    box[rows] = np.where(real[:, None], np.stack([x, y, x + w, y + h], axis=1), np.nan)
    rows, values = numbers("FacePose", 3)
    pose[rows] = _angles(values[:, 1:], name)
    points = np.full((len(ids), len(POINTS), 2), np.nan)
    rows, values = numbers("FeatureCoords", 2)
    index = _point_index(values[:, 1], tables.get("FeatureCoordTypes"), name)
    real = (index >= 0) & ~(values[:, 2:] == -1.0).all(axis=1) & np.isfinite(values[:, 2:]).all(axis=1)  # (-1, -1): deleted
    points[rows[real], index[real]] = values[real, 2:]
    sex, flags = np.full(len(ids), "", dtype="<U8"), np.full((len(ids), 2), np.nan)
    done: set[int] = set()
    for face, letter, *given in tables.get("FaceMetaData", []):
        row = row_of.get(face, -1) if isinstance(face, int) else -1
        if row >= 0 and row not in done:
            done.add(row)
            sex[row] = str(letter or "")
            flags[row] = [float(v) if isinstance(v, (int, float)) else np.nan for v in given]
    return {
        "face_id": np.array([str(i) for i in ids]),
        "path": np.array([files.get(faces[i], "") for i in ids]),
        "box": box,
        "pose": pose,
        "points": points,
        "sex": sex,
        "flags": flags,
        "foreign": np.array(sorted(map(str, foreign)), dtype=str),
    }


def _faces(rows: Rows, name: str) -> dict[int, str]:
    faces: dict[int, str] = {}
    for face, file_id in rows:
        if not isinstance(face, int):
            raise InputError(f"{name}: face_id {str(face)[:40]!r} in the table Faces is no whole number.")
        if face in faces:
            raise InputError(f"{name}: face_id {face} stands twice in the table Faces: which one is meant?")
        faces[face] = str(file_id)
    return faces


def _numbers(rows: Rows, name: str, table: str) -> npt.NDArray[np.float64]:
    """A table as (N, columns) float64, NULL as NaN; the keys are whole numbers."""
    try:
        values = np.array(rows, dtype=np.float64).reshape(len(rows), len(_TABLES[table]))
    except (TypeError, ValueError, OverflowError):
        bad = next((i for i, row in enumerate(rows) if any(isinstance(v, (str, bytes)) for v in row)), 0)
        raise InputError(f"{name}: table {table} holds something other than numbers in row {bad + 1}.") from None
    keys = values[:, : 2 if "feature_id" in _TABLES[table] else 1]
    wrong = ~(np.abs(keys) < 2.0**53).all(axis=1) | (keys != np.floor(keys)).any(axis=1) | np.isinf(values).any(axis=1)
    if wrong.any():
        raise InputError(f"{name}: table {table} holds in row {int(np.argmax(wrong)) + 1} an id or a number that is none.")
    return values


def _angles(pose: npt.NDArray[np.float64], name: str) -> npt.NDArray[np.float64]:
    """Radians; NaN where a pose is undefined or one of its angles missing."""
    undefined = np.any(np.isnan(pose), axis=1) | np.all(np.abs(pose - _UNDEFINED_RAD) < 1e-3, axis=1)
    beyond = np.any(np.abs(pose) > 2.001 * np.pi, axis=1) & ~undefined
    if beyond.sum() > 0.01 * len(pose):
        raise InputError(f"{name}: the angles in the table FacePose go beyond a whole turn: degrees instead of radians?")
    return np.where(undefined[:, None], np.nan, pose)


def _point_index(feature_id: npt.NDArray[np.float64], types: Rows | None, name: str) -> npt.NDArray[np.int64]:
    """Index among `POINTS` of each feature id; -1 for the features that AFLW defines and does not use."""
    index = {i + 1: i for i in range(len(POINTS))}
    if types is not None:
        names = {feature: str(descr) for feature, descr in types if isinstance(feature, int)}
        missing = set(POINTS) - set(names.values())
        if missing:
            raise InputError(f"{name}: the table FeatureCoordTypes has no {min(missing)}: other landmarks than AFLW's?")
        index = {feature: POINTS.index(descr) if descr in POINTS else -1 for feature, descr in names.items()}
    unknown = set(np.unique(feature_id)) - set(index)
    if unknown:
        raise InputError(f"{name}: feature_id {int(min(unknown))} in the table FeatureCoords is none of the features it defines.")
    return np.array([index[int(f)] for f in feature_id], dtype=np.int64)
