"""What AFLW2000-3D and 300W-LP have in common: an image with a .mat file that holds the fit of a 3D face to it.

``Pose_Para`` (1, 7) is pitch, yaw, roll in radians, then translation and scale.  The raw angles are kept unwrapped:
exclusions and plain formulas need them.  Points are pixels of the image beside the file, y down.  ``roi`` refers to
another image, the photograph that this one was cut from, and is not read.

Source: X. Zhu et al., Face alignment across large poses: a 3D solution, CVPR 2016; the files themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard
from ..errors import InputError
from ..faces import Faces, Sample
from ..images import ImageRef
from .dataset import Dataset
from .files.datafile import DataFile
from .files.label_cache import cached_labels
from .files.matlab import read_mat

__all__ = ["Fitted3D"]

Array = npt.NDArray[Any]

_BULK = 500  # label files; fewer are parsed faster than a cache entry is looked for and written


class Fitted3D(Dataset):
    """A dataset of ``NAME.jpg`` with ``NAME.mat``.  A reader says which they are, and adds its other annotations.

    Label files are parsed when their faces are asked for, and only theirs.

    Parameters
    ----------
    mats, images : mapping of str to DataFile
        The files by sample id.

    Attributes
    ----------
    points_variable : str
        The variable of the file that holds the 68 points: x and y in its first two rows.
    points_rows : int
        Its number of rows.
    """

    points_variable: str
    points_rows: int

    def __init__(self, card: DatasetCard, files: list[DataFile], mats: Mapping[str, DataFile], images: Mapping[str, DataFile]) -> None:
        super().__init__(card, files)
        self._mats = mats
        self._images = images
        self._read: dict[str, tuple[Array, Array]] = {}

    def image_ids(self, split: str = "") -> list[str]:
        return [i for i in self.ids(split) if i in self._images]

    def boxes_of(self, name: str, ids: list[str]) -> Array:
        """``landmarks``: the rectangle of the original 68 points, whichever annotation is the truth."""
        self.box_set(name)
        points = self.fitted_points(ids)
        return np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)

    def samples_of(self, ids: list[str], boxes: str) -> Iterator[Sample]:
        for sample_id, box in zip(ids, self.boxes_of(boxes, ids), strict=True):
            yield Sample(sample_id, self._image(sample_id), box)

    def fitted_faces(
        self, ids: list[str], landmarks: Array, scheme: str, attributes: Mapping[str, Array], sequence: list[str] | None = None
    ) -> Faces:
        """Faces with the pose of their fit and these landmarks (N, 68, 2); attribute ``abs_yaw_deg`` comes first."""
        pitch, yaw, roll = np.rad2deg(np.array([pose[:3] for pose, _ in self._fits(ids)])).T
        return Faces(
            sample_id=ids,
            euler_deg=np.stack([yaw, pitch, roll], axis=1),
            convention=self.card.convention,
            landmarks=landmarks,
            scheme=scheme,
            box_xyxy_px=self.boxes_of(self.card.default_boxes, ids),
            sequence=sequence,
            attributes={"abs_yaw_deg": np.abs(yaw), **attributes},
        )

    def fitted_points(self, ids: list[str]) -> Array:
        """The 68 points of the label files themselves, (N, 68, 2) pixels."""
        return np.array([points for _, points in self._fits(ids)]).reshape(-1, 68, 2)

    def _fits(self, ids: list[str]) -> Iterator[tuple[Array, Array]]:
        """``Pose_Para`` (7,) and points (68, 2) of each face."""
        new = [i for i in dict.fromkeys(ids) if i not in self._read]
        if (absent := next((i for i in new if i not in self._mats), None)) is not None:
            raise InputError(f"{self.card.id}: no {absent}.mat in the data given.")
        files = [self._mats[i] for i in new]
        if len(new) < _BULK:
            parsed: Mapping[str, Array] = self._parse(files)
        else:
            parsed = cached_labels(self.card.id, f"fits-{self.points_variable}", files, lambda: self._parse(files))
        self._read.update(zip(new, zip(parsed["pose"], parsed["points"], strict=True), strict=True))
        return (self._read[i] for i in ids)

    def _parse(self, files: list[DataFile]) -> dict[str, Array]:
        pose, points = np.empty((len(files), 7)), np.empty((len(files), 68, 2))
        shapes = {"Pose_Para": (1, 7), self.points_variable: (self.points_rows, 68)}
        for row, file in enumerate(files):
            found = read_mat(file.fetch(), file.name, shapes)
            pose[row], points[row] = found["Pose_Para"][0], found[self.points_variable][:2].T
        return {"pose": pose, "points": points}

    def _image(self, sample_id: str) -> ImageRef:
        file = self._images.get(sample_id)
        if file is not None:
            return ImageRef(file.name, file.fetch)
        name = self._mats[sample_id].name.removesuffix(".mat") + ".jpg"

        def absent() -> bytes:
            raise InputError(f"{name}: the image is missing.")

        return ImageRef(name, absent)
