"""Rendered heads: labels that are exact, in shards that ``hpbench render heads`` writes; the test set comes with hpbench.

What is read
------------
Every shard (`hpbench.readers.files.head_shards`) in the data given; without any, the one that lies beside the card.

Annotations
-----------
* ``fixed``: the 68 points as projections of fixed points of the mesh, with the rotation relative to the ray through the box centre.
* ``contour``: the same, with the jaw on the visible contour as 300W, COFW68 and WFLW annotate it.
* ``camera``: the fixed points with the rotation in the camera frame.

A head is one face of one person who is in no other image.
"""

from __future__ import annotations

import re
from functools import cached_property

import numpy as np

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError
from ..faces import Faces
from ..geometry.rotations import euler_from_rotation
from .files.head_shards import Shard, joined, read_labels
from .files.sources import DataFile, find_by_key, how_to_obtain
from .table_dataset import TableDataset

__all__ = ["Heads"]

LABELS = ("fixed", "contour", "camera")
_BOXES = {"landmarks": "box_landmarks_xyxy_px", "head": "box_head_xyxy_px"}
_SLICES = ("skin", "age")  # what fairness is reported by; everything else that a shard says is given too
_IMAGE = re.compile(r"([\w-]+)\.jpg")
_YAW_CONVENTION = "yxz"  # of abs_yaw_deg: its yaw is the outermost angle, which stays itself near profile


class Heads(TableDataset):
    """See the module's text."""

    label_names = LABELS

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        super().__init__(card, files)
        self._label_files = [f for f in files if f.file_name == "labels.npz"]
        if not self._label_files:
            seen = f"{len(files)} other files, such as {files[0].name}" if files else "no files"
            wanted = "no shard of rendered heads (a .zip with labels.npz) in the data given"
            raise MissingDataError(f"{wanted}, but {seen}.\n{how_to_obtain(card)}")
        if not set(self._shard.sample_id) & set(self.all_ids()):
            found = f"the {len(self._shard.sample_id)} heads found (first: {self._shard.sample_id[0]})"
            raise MissingDataError(f"{found} are in no split of {card.id}: they are for training.\n{how_to_obtain(card)}")
        self._images = find_by_key((match[1], f) for f in files if (match := _IMAGE.fullmatch(f.file_name)))

    def foreign_ids(self) -> list[str]:
        return sorted(set(self._shard.sample_id) - set(self.all_ids()))

    def image_file(self, sample_id: str) -> DataFile | None:
        return self._images.get(sample_id)

    def table(self, labels: str) -> Faces:
        """Rotation, 68 points, occlusion; what the render says, and ``abs_yaw_deg``, ``abs_pitch_deg``, ``occluded_percent``."""
        columns, attributes = self._shard.columns, self._shard.attributes
        points = "contour" if labels == "contour" else "fixed"
        rotation = columns["rotation_camera_from_head" if labels == "camera" else "rotation_crop_ray"]
        occlusion = columns[f"occlusion_{points}"]
        euler_deg = euler_from_rotation(rotation, _YAW_CONVENTION)
        return Faces(
            sample_id=self._shard.sample_id,
            rotation=rotation,
            landmarks=columns[f"landmarks_{points}_px"],
            scheme=f"ibug68-{points}",
            visibility=(occlusion == 0).astype(np.float64),
            occlusion=occlusion,
            box_xyxy_px=columns[_BOXES[self.card.default_boxes]],
            person=self._shard.sample_id,
            attributes={
                **attributes,
                "abs_yaw_deg": np.abs(euler_deg[:, 0]),
                "abs_pitch_deg": np.abs(euler_deg[:, 1]),
                "occluded_percent": 100.0 * (occlusion == 1).mean(axis=1),
            },
        )

    def box_table(self, name: str) -> Faces:
        return Faces(sample_id=self._shard.sample_id, box_xyxy_px=self._shard.columns[_BOXES[name]])

    @cached_property
    def _shard(self) -> Shard:
        """All shards as one, sorted by id."""
        whole = joined([read_labels(file.fetch(), file.name) for file in self._label_files], self.card.id)
        if missing := [name for name in _SLICES if name not in whole.attributes]:
            raise InputError(f"{self._label_files[0].name}: the attribute {missing[0]} is missing: made by another version?")
        order = sorted(range(len(whole.sample_id)), key=whole.sample_id.__getitem__)
        columns, attributes = ({k: values[order] for k, values in table.items()} for table in (whole.columns, whole.attributes))
        return Shard(tuple(whole.sample_id[i] for i in order), columns, attributes)
