"""What the network learns of a face: pose, landmark pixels and visibility in the frame of its crop.

Conventions
-----------
* Pose: yaw, pitch, roll in degrees (``yxz``) of the rotation relative to the ray through the crop's centre, and the translation in
  mean-face units (`UNIT_MM`; the mean face is then 1.3 units tall, as the authors' is) in the crop's camera, focal length 1.5 x its
  side.  The rotation is the label's; the translation is the one that, with it, brings the mean face nearest to the labelled points.
* Landmarks: crop pixels.  What is not labelled or lies outside the crop has weight 0.
* Visibility: 1 visible, 0 occluded; what is not labelled has weight 0.

How a label moves with its crop (`hpbench.mnn.crops.Crops`): turning about the crop's centre and mirroring are exact.  A shifted crop
has another ray; its label is exact where the picture's camera is known, otherwise the camera of the unshifted crop is assumed.  A
scaled crop keeps the rotation, though its camera, whose focal length goes with the side, sees a little less or more perspective.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..faces import Faces
from ..geometry.camera import crop_camera, ray_rotation
from ..geometry.mean_face import mean_face
from ..geometry.rotations import euler_from_rotation, rotation_from_euler
from ..landmark_maps import MAPS, map_landmarks
from ..landmarks import scheme_named
from .crops import ENLARGE, FOCAL_OVER_SIDE, Crops, to_crop

__all__ = [
    "CONVENTION",
    "UNIT_MM",
    "FaceLabels",
    "Targets",
    "fitted_translation",
    "labels_of_faces",
    "labels_of_heads",
    "mean_face_units",
    "mirror_order",
    "targets",
]

Array = npt.NDArray[Any]

CONVENTION = "yxz"
UNIT_MM = 100.0

_VISIBLE, _EXTERNAL, _SELF, _UNLABELLED = 0, 1, 2, 3  # the codes of `hpbench.faces.Faces.occlusion`
_MIN_POINTS = 4  # below it a translation is not fitted


@dataclass(frozen=True, eq=False)
class FaceLabels:
    """Labels of N faces in one landmark scheme, whatever they were read from.

    Attributes
    ----------
    scheme : str
    box_xyxy_px : (N, 4) float64 array
    rotation_crop_ray : (N, 3, 3) float64 array
        Relative to the ray through the box centre; NaN where there is none.
    landmarks_px : (N, L, 2) float64 array
        NaN where not labelled.
    occlusion : (N, L) uint8 array
        0 visible, 1 external, 2 self, 3 unlabelled.
    camera_px : (N, 3, 3) float64 array
        Of the picture; where unknown, `hpbench.geometry.camera.crop_camera` of the box.
    person : (N,) str array
        Who must not be in both parts of a split; the same name in two sources is the same person.
    """

    scheme: str
    box_xyxy_px: Array
    rotation_crop_ray: Array
    landmarks_px: Array
    occlusion: Array
    camera_px: Array
    person: Array

    def __len__(self) -> int:
        return len(self.box_xyxy_px)

    def take(self, rows: npt.ArrayLike) -> FaceLabels:
        """These rows, in this order."""
        index = np.asarray(rows)
        arrays = (self.box_xyxy_px, self.rotation_crop_ray, self.landmarks_px, self.occlusion, self.camera_px, self.person)
        return FaceLabels(self.scheme, *(a[index] for a in arrays))


class Targets(NamedTuple):
    """Targets of B crops, ready for the losses: arrays, or tensors (float32, indices int64).

    Attributes
    ----------
    pose : (B, 6) array
        Yaw, pitch, roll in degrees, translation in mean-face units.
    pose_weight : (B,) array
        1, or 0 without a label.
    points_px : (B, L, 2) array
        Crop pixels; 0 where the weight is.
    pixel : (B, L) array
        Number of the landmark's pixel, row by row.
    point_weight : (B, L) array
    visible, visible_weight : (B, L) arrays
    """

    pose: Any
    pose_weight: Any
    points_px: Any
    pixel: Any
    point_weight: Any
    visible: Any
    visible_weight: Any


def labels_of_heads(columns: Mapping[str, Array], scheme: str, sample_id: Sequence[str]) -> FaceLabels:
    """Labels from the columns of shards (`hpbench.readers.files.head_shards.COLUMNS`); the box is that of the fixed points.

    Every head is a person of its own, called by its id.
    """
    name = scheme if scheme in ("ibug68-fixed", "ibug68-contour") else "ibug68-fixed"
    kind = name.removeprefix("ibug68-")
    box = np.asarray(columns["box_landmarks_xyxy_px"], dtype=np.float64)
    faces = Faces(landmarks=columns[f"landmarks_{kind}_px"], scheme=name, occlusion=columns[f"occlusion_{kind}"], box_xyxy_px=box)
    person = np.array([f"heads {i}" for i in sample_id])
    points, occlusion = _in_scheme(faces, scheme)
    rotation = np.asarray(columns["rotation_crop_ray"], dtype=np.float64)
    return FaceLabels(scheme, box, rotation, points, occlusion, np.asarray(columns["camera_px"], dtype=np.float64), person)


def labels_of_faces(faces: Faces, scheme: str, rotation_crop_ray: Array | None = None) -> FaceLabels:
    """Labels from a reader's table with boxes and landmarks; pictures are taken to have the crop's camera.

    Parameters
    ----------
    faces : Faces
    scheme : str
        The landmark scheme wanted.
    rotation_crop_ray : (N, 3, 3) array, optional
        Without it no face has a pose.

    Raises
    ------
    InputError
        No boxes or landmarks, or no map from their scheme.
    """
    if faces.box_xyxy_px is None or faces.landmarks is None:
        raise InputError("training needs faces with boxes and landmarks.")
    points, occlusion = _in_scheme(faces, scheme)
    rotation = np.full((len(faces), 3, 3), np.nan) if rotation_crop_ray is None else np.asarray(rotation_crop_ray, dtype=np.float64)
    person = faces.person if faces.person is not None else faces.sample_id
    box = np.asarray(faces.box_xyxy_px, dtype=np.float64)
    camera = crop_camera(box, ENLARGE, FOCAL_OVER_SIDE)
    return FaceLabels(scheme, box, rotation, points, occlusion, camera, np.asarray(person).astype(str))


def targets(labels: FaceLabels, crops: Crops, size_px: int, occluded: Literal["both", "external"] = "both") -> Targets:
    """Targets of each face in its crop.

    Parameters
    ----------
    labels : FaceLabels of B faces
    crops : Crops, one a face
    size_px : int
        Side of the crop.
    occluded : str
        Which points count as occluded: ``both`` kinds, or ``external``: self-occluded points then have weight 0.
    """
    points, occlusion = to_crop(labels.landmarks_px, crops.crop_from_image(size_px)), labels.occlusion
    order = mirror_order(labels.scheme) if crops.mirrored.any() else None
    if order is not None:
        points = np.where(crops.mirrored[:, None, None], points[:, order], points)
        occlusion = np.where(crops.mirrored[:, None], occlusion[:, order], occlusion)
    with np.errstate(invalid="ignore"):
        inside: Array = np.all((points >= -0.5) & (points < size_px - 0.5), axis=2)
    rotation = _crop_rotation(labels, crops)
    translation = fitted_translation(rotation, points, size_px, labels.scheme)
    pose = np.concatenate([euler_from_rotation(rotation, CONVENTION), translation], axis=1)
    known: Array = np.all(np.isfinite(pose), axis=1)
    places = np.where(inside[..., None], points, 0.0)
    pixels = np.clip(np.floor(places + 0.5), 0, size_px - 1).astype(np.int64)
    labelled = inside & (occlusion != _UNLABELLED) & ((occlusion != _SELF) | (occluded == "both"))
    return Targets(
        np.where(known[:, None], pose, 0.0).astype(np.float32),
        known.astype(np.float32),
        places.astype(np.float32),
        pixels[..., 1] * size_px + pixels[..., 0],
        inside.astype(np.float32),
        (occlusion == _VISIBLE).astype(np.float32),
        labelled.astype(np.float32),
    )


def fitted_translation(rotation: Array, points_px: Array, size_px: int, scheme: str) -> Array:
    """Translation of the mean face, mean-face units, that projects it nearest to the points, the rotation being given.

    With it perspective-n-point is linear: (X + tx) f = u (Z + tz) for each point, X and Z of the turned mean face.

    Parameters
    ----------
    rotation : (B, 3, 3) array
    points_px : (B, L, 2) array
        Crop pixels, NaN where not labelled.
    size_px : int
    scheme : str

    Returns
    -------
    (B, 3) array; NaN for a face with less than 4 points or without a rotation, or behind the camera.
    """
    turned = mean_face_units(scheme) @ np.swapaxes(rotation, -1, -2)  # (B, L, 3)
    u = (points_px - (size_px - 1) / 2.0) / size_px
    usable = np.isfinite(u).all(axis=2) & np.isfinite(turned).all(axis=2)
    weight = usable[..., None].astype(np.float64)
    u, turned = np.where(usable[..., None], u, 0.0), np.where(usable[..., None], turned, 0.0)
    right = (u * turned[..., 2:] - FOCAL_OVER_SIDE * turned[..., :2]) * weight
    normal = np.zeros((len(rotation), 3, 3))  # of the rows (f, 0, -u) and (0, f, -v)
    normal[:, 0, 0] = normal[:, 1, 1] = FOCAL_OVER_SIDE**2 * weight.sum(axis=(1, 2))
    normal[:, :2, 2] = normal[:, 2, :2] = -FOCAL_OVER_SIDE * u.sum(axis=1)
    normal[:, 2, 2] = (u**2).sum(axis=(1, 2))
    sums = np.concatenate([FOCAL_OVER_SIDE * right.sum(axis=1), -(u * right).sum(axis=(1, 2))[:, None]], axis=1)
    solvable = usable.sum(axis=1) >= _MIN_POINTS
    normal[~solvable] = np.eye(3)
    translation = np.linalg.solve(normal, sums[..., None])[..., 0]
    translation[~solvable | ~(translation[:, 2] > 0)] = np.nan
    return translation


def mean_face_units(scheme: str) -> Array:
    """The mean face, (L, 3) in mean-face units; NaN for points it does not have."""
    return mean_face(scheme) / UNIT_MM


def mirror_order(scheme: str) -> Array | None:
    """Which point each one is in a mirrored picture, (L,); None for a scheme without mirror pairs."""
    known = scheme_named(scheme)
    if not known.pairs:
        return None
    order = np.arange(known.n_points)
    for a, b in known.pairs:
        order[[a, b]] = b, a
    return order


def _crop_rotation(labels: FaceLabels, crops: Crops) -> Array:
    """Rotation relative to the ray through the crop's centre, in the turned and mirrored crop."""
    box_centre = (labels.box_xyxy_px[:, :2] + labels.box_xyxy_px[:, 2:]) / 2.0
    rotation = labels.rotation_crop_ray
    if not np.array_equal(box_centre, crops.centre_px):
        old, new = ray_rotation(box_centre, labels.camera_px), ray_rotation(crops.centre_px, labels.camera_px)
        rotation = np.swapaxes(new, -1, -2) @ old @ rotation
    turn = np.zeros((len(labels), 3))
    turn[:, 2] = crops.turn_deg
    rotation = rotation_from_euler(turn, CONVENTION) @ rotation
    flip = np.array([[1.0, -1.0, -1.0], [-1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])  # diag(-1, 1, 1) R diag(-1, 1, 1)
    return np.where(crops.mirrored[:, None, None], rotation * flip, rotation)


def _in_scheme(faces: Faces, scheme: str) -> tuple[Array, Array]:
    """Landmarks and occlusion codes as those of another scheme; a point that is a mean of others is occluded if one of them is."""
    assert faces.landmarks is not None and faces.scheme is not None
    points = np.asarray(faces.landmarks, dtype=np.float64)
    if faces.occlusion is not None:
        occlusion = np.asarray(faces.occlusion)
    elif faces.visibility is not None:
        occlusion = np.select([faces.visibility >= 0.5, faces.visibility < 0.5], [_VISIBLE, _EXTERNAL], _UNLABELLED).astype(np.uint8)
    else:
        occlusion = np.full(points.shape[:2], _UNLABELLED, np.uint8)
    if faces.scheme == scheme:
        return points, occlusion
    mapped = map_landmarks(points, faces.scheme, scheme)
    groups = MAPS[faces.scheme, scheme]
    codes = [occlusion[:, list(g)].max(axis=1) if g else np.full(len(points), _UNLABELLED, np.uint8) for g in groups]
    return mapped, np.stack(codes, axis=1)
