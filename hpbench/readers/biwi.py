"""BIWI Kinect head pose database: 24 sequences of 20 people in colour and depth, a pose a frame.

``NN/frame_NNNNN_{rgb.png,depth.bin,pose.txt}``, ``NN/rgb.cal``, ``NN/depth.cal`` below any parents (``hpdb`` in the
official archive, ``faces_0`` in a mirror).  Source: the files and their readme.txt; G. Fanelli et al., IJCV 2013.

What is read
------------
* ``pose.txt``: the rotation as it stands is head -> depth camera in the canonical frame.  Labels ``depth`` are that
  (Hopenet's and FSA-Net's angles); labels ``rgb`` are ``Rc @ R``, the pose in the camera that made the image, with Rc of
  ``rgb.cal``.  Angles are taken from the rotations, in the card's convention.
* boxes: see `hpbench.readers.biwi_boxes`; `Sample.camera` is the K of ``rgb.cal``.
* ``person`` comes from the card (``options.people``, after the database's readme): four people were recorded twice.

The head templates ``NN.obj`` are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError
from ..faces import Faces, Sample
from ..geometry.rotations import euler_from_rotation
from .biwi_boxes import depth_box, headcentre_boxes, listed_boxes
from .biwi_files import MAX_DEPTH_BYTES, Calibration, decode_depth, read_calibration, read_poses
from .files.datafile import DataFile
from .files.label_cache import cached_labels
from .files.sources import find_by_name, how_to_obtain
from .table_dataset import TableDataset

__all__ = ["Biwi"]

Array = npt.NDArray[Any]

_FRAME = re.compile(r"(?:.*/)?(\d\d/frame_\d{5})_(rgb\.png|depth\.bin|pose\.txt)", re.DOTALL)
_CAMERA = re.compile(r"(?:.*/)?(\d\d)/(rgb|depth)\.cal", re.DOTALL)
_LOOSE_POSE = re.compile(r"frame_\d{5}_pose\.txt")
_PACKED = (".tgz", ".tar.gz", ".tar", ".zip")


class Biwi(TableDataset):
    """See the module's text."""

    label_names = ("depth", "rgb")

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        super().__init__(card, files)
        self._frames: dict[str, dict[str, DataFile]] = {"rgb.png": {}, "depth.bin": {}, "pose.txt": {}}
        self._cameras: dict[tuple[str, str], DataFile] = {}
        self._read: dict[tuple[str, str], Calibration] = {}
        for file in files:
            path = file.place
            if match := _FRAME.fullmatch(path):
                # of two copies of gigabytes of images the sizes are compared
                _enter(self._frames[match[2]], match[1], file, by_bytes=match[2] == "pose.txt")
            elif match := _CAMERA.fullmatch(path):
                _enter(self._cameras, (match[1], match[2]), file)
        listed = set(self.all_ids())
        if not listed & set(self._frames["pose.txt"]):
            raise MissingDataError(f"{self._what_was_seen()}.\n{how_to_obtain(card)}")
        self._ids = sorted(listed & set(self._frames["pose.txt"]))

    def _what_was_seen(self) -> str:
        """Why there is no pose: what lies there instead, and what may have gone wrong."""
        nothing = f"no NN/frame_NNNNN_pose.txt of {self.card.id} in the data given"
        names = [f.file_name for f in self.files]
        loose = [n for n in names if _LOOSE_POSE.fullmatch(n)]
        if self._frames["pose.txt"]:
            return f"{nothing}: {min(self._frames['pose.txt'])} is of no sequence of it (01 to 24): renumbered?"
        if loose:
            return f"{nothing}, but {len(loose)} files such as {loose[0]} outside of sequence folders: give the folder that holds 01 to 24"
        if packed := [n for n in names if n.lower().endswith(_PACKED)]:
            return f"{nothing}, but {packed[0]}: unpack it and give the folder that holds 01 to 24"
        return f"{nothing}, but {f'{len(names)} other files, such as {self.files[0].name}' if names else 'no files'}"

    # ------------------------------------------------------------------------------------------------ what is here

    def foreign_ids(self) -> list[str]:
        foreign = set(self._frames["pose.txt"]) - set(self._ids)
        loose = {
            f.place.removesuffix("_pose.txt") for f in self.files if _LOOSE_POSE.fullmatch(f.file_name) and not _FRAME.fullmatch(f.place)
        }
        return sorted(foreign | loose)

    def image_file(self, sample_id: str) -> DataFile | None:
        return self._frames["rgb.png"].get(sample_id)

    # ------------------------------------------------------------------------------------------------ labels

    def table(self, labels: str) -> Faces | None:
        rotation, ids = self._poses["rotation"], self._ids
        sequences = np.array([i[:2] for i in ids], dtype=object)
        if labels == "rgb":
            here = np.array([(s, "rgb") in self._cameras for s in sequences])
            if not here.any():
                return None
            ids, sequences, rotation = [i for i, kept in zip(ids, here, strict=True) if kept], sequences[here], rotation[here]
            for sequence in np.unique(sequences):
                rows = sequences == sequence
                rotation[rows] = self._camera(str(sequence), "rgb").rotation @ rotation[rows]
        people: Mapping[str, str] = self.card.options["people"]
        euler_deg = euler_from_rotation(rotation, self.card.convention)
        return Faces(
            sample_id=ids,
            euler_deg=euler_deg,
            convention=self.card.convention,
            person=[people[s] for s in sequences],
            sequence=sequences,
            attributes={"abs_yaw_deg": np.abs(euler_deg[:, 0])},
        )

    @cached_property
    def _poses(self) -> Mapping[str, Array]:
        """``rotation`` (N, 3, 3) and ``centre`` (N, 3) mm of `_ids`, head -> depth camera."""
        files = [self._frames["pose.txt"][i] for i in self._ids]

        def parse() -> dict[str, Array]:
            rotation, centre = read_poses(files)
            return {"rotation": rotation, "centre": centre}

        return cached_labels(self.card.id, "poses-1", files, parse)

    def _camera(self, sequence: str, which: str) -> Calibration:
        """The calibration of a sequence; `InputError` where it is missing or the other camera's."""
        key = (sequence, which)
        if key not in self._read:
            if key not in self._cameras:
                raise InputError(f"{self.card.id}: {sequence}/{which}.cal is missing, and what was asked for needs it.")
            camera = read_calibration(self._cameras[key])
            if camera.is_world != (which == "depth"):
                guess = "depth.cal under that name" if camera.is_world else "rgb.cal under that name"
                raise InputError(f"{self._cameras[key].name}: is not the {which} camera: {guess}?")
            self._read[key] = camera
        return self._read[key]

    # ------------------------------------------------------------------------------------------------ samples

    def samples_of(self, ids: list[str], boxes: str) -> Iterator[Sample]:
        for sample in super().samples_of(ids, boxes):
            sequence = sample.sample_id[:2]
            known = (sequence, "rgb") in self._cameras
            yield sample._replace(camera=self._camera(sequence, "rgb").intrinsic if known else None)

    def boxes_of(self, name: str, ids: list[str]) -> Array:
        """``headcentre``, ``depth`` (of the faces asked for only: it decodes their depth images), or one of the lists."""
        if self.box_set(name) == "depth":
            return self._depth_boxes(ids)
        if self.box_set(name) == "headcentre":
            return self._headcentre_boxes(ids)
        return super().boxes_of(name, ids)

    def box_table(self, name: str) -> Faces:
        source = self.card.boxes[name].source
        if source.startswith("list:"):
            wanted = source.removeprefix("list:")
            found = find_by_name(self.files, re.compile(re.escape(wanted)))
            if not found:
                raise MissingDataError(f"{self.card.id}: {wanted}, the list of the boxes {name!r}, lies in none of the data roots.")
            return listed_boxes(found[wanted], set(self.all_ids()))
        return Faces(sample_id=self._ids, box_xyxy_px=self._headcentre_boxes(self._ids))

    def _headcentre_boxes(self, ids: list[str]) -> Array:
        """Of these faces only: another sequence's missing rgb.cal is not theirs."""
        place = {sample_id: row for row, sample_id in enumerate(self._ids)}
        centres = self._poses["centre"][[place[i] for i in ids]]
        boxes = np.zeros((len(ids), 4))
        sequences = np.array([i[:2] for i in ids])
        for sequence in np.unique(sequences):
            rows = sequences == sequence
            boxes[rows] = headcentre_boxes(centres[rows], self._camera(str(sequence), "rgb"))
        return boxes

    def _depth_boxes(self, ids: list[str]) -> Array:
        files = self._frames["depth.bin"]
        if absent := [i for i in ids if i not in files]:
            raise MissingDataError(
                f"{self.card.id}: the boxes 'depth' need {absent[0]}_depth.bin, which is missing ({len(absent)} such frames)."
            )
        cameras = {s: (self._camera(s, "depth"), self._camera(s, "rgb")) for s in sorted({i[:2] for i in ids})}

        def parse() -> dict[str, Array]:
            boxes = [depth_box(_depth_image(files[i]), *cameras[i[:2]]) for i in ids]
            return {"boxes": np.array(boxes).reshape(-1, 4)}

        read = [files[i] for i in ids] + [self._cameras[s, which] for s in cameras for which in ("depth", "rgb")]
        return cached_labels(self.card.id, "depth-boxes-1", read, parse)["boxes"]


def _depth_image(file: DataFile) -> Array:
    if file.size > MAX_DEPTH_BYTES:
        raise InputError(f"{file.name}: {file.size} bytes are too many for a depth image: another kind of file?")
    return decode_depth(file.fetch(), file.name)


def _enter(found: dict[Any, DataFile], key: object, file: DataFile, by_bytes: bool = True) -> None:
    """Keep a file under its key; two files of one key must be copies of each other."""
    other = found.setdefault(key, file)
    if other is not file and (other.size != file.size or (by_bytes and other.fetch() != file.fetch())):
        raise InputError(f"{other.name} and {file.name} have one name and different content: which one is meant?")
