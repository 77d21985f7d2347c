"""Facial landmark errors.

Aim
---
Distances between predicted and labelled points, as a share of a length of the face.  The length is part of the metric's
name: pupil NME is about 1.4 times corner NME on 300W, so a value without its norm says nothing.

Conventions
-----------
Points in pixels of the original image.  A point that is NaN in the truth is not labelled and does not count; a face that
lacks a prediction for a labelled point has failed.  Errors are the mean over the labelled points of a face, then the mean
over faces (``mean=image``) or over the protocol's bins (``mean=balanced``, as 3DDFA and its successors do).

Metrics
-------
nme(norm, mean) : percent of the norm.
auc(below, norm) : 100 mean(max(0, t - e)) / t, exact, no grid.
fr(above, norm) : 100 mean(e > t), exact.
distance_px : pixels.

Norms
-----
``corners`` outer eye corners (inter-ocular); ``pupils`` means of the scheme's eye points (inter-pupil); ``height``,
``sqrt_wh``, ``diagonal`` of the protocol's norm box.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..faces import Faces
from ..landmarks import scheme_named

__all__ = [
    "NORMS",
    "auc_percent",
    "distance_px",
    "failure_rate_percent",
    "landmark_box_xyxy_px",
    "nme_by_landmark",
    "nme_percent",
    "norm_px",
    "point_distances_px",
    "worst_distance_px",
]

Array = npt.NDArray[np.float64]

NORMS = ("corners", "pupils", "height", "sqrt_wh", "diagonal")


def point_distances_px(truth: Faces, prediction: Faces) -> Array:
    """Distance of every point, (N, L) pixels: NaN where not labelled, infinite where labelled but not predicted."""
    if truth.landmarks is None or prediction.landmarks is None:
        return np.full((len(truth), 1), np.nan)
    if truth.landmarks.shape != prediction.landmarks.shape:
        raise InputError(
            f"predictions have {prediction.landmarks.shape[1]} landmarks a face, the labels {truth.landmarks.shape[1]}: another scheme?"
        )
    distances = np.linalg.norm(prediction.landmarks - truth.landmarks, axis=-1)
    labelled = np.isfinite(truth.landmarks).all(axis=-1)
    return np.where(labelled, np.where(np.isnan(distances), np.inf, distances), np.nan)


def distance_px(truth: Faces, prediction: Faces, norm_box_xyxy_px: Array | None = None) -> Array:
    """Mean distance over the labelled points of each face, (N,) pixels."""
    distances = point_distances_px(truth, prediction)
    labelled = ~np.isnan(distances)
    count = labelled.sum(axis=1)
    mean = np.where(labelled, distances, 0.0).sum(axis=1) / np.where(count, count, 1)
    return np.where((count > 0) & np.isfinite(mean), mean, np.nan)


def worst_distance_px(truth: Faces, norm_box_xyxy_px: Array | None = None) -> Array:
    """What a failed face is charged in pixels: the diagonal of its norm box, else of its labelled points, (N,)."""
    return norm_px(truth, "diagonal", norm_box_xyxy_px if norm_box_xyxy_px is not None else landmark_box_xyxy_px(truth))


def landmark_box_xyxy_px(faces: Faces) -> Array:
    """Rectangle of the labelled points of each face, (N, 4): x0, y0, x1, y1; NaN where there is none."""
    if faces.landmarks is None:
        return np.full((len(faces), 4), np.nan)
    points = faces.landmarks
    none = np.isnan(points).all(axis=1)
    low = np.where(none, np.nan, np.fmin.reduce(points, axis=1))
    high = np.where(none, np.nan, np.fmax.reduce(points, axis=1))
    return np.concatenate([low, high], axis=1)


def norm_px(truth: Faces, norm: str, norm_box_xyxy_px: Array | None) -> Array:
    """The normalising length of each face, (N,) pixels; NaN where its points are not labelled.

    Raises
    ------
    InputError
        For a box norm without a norm box, an eye norm without a scheme, or a length of zero.
    """
    if norm in ("corners", "pupils"):
        if truth.landmarks is None or truth.scheme is None:
            raise InputError(f"norm={norm} needs labelled landmarks with a named scheme.")
        scheme = scheme_named(truth.scheme)
        corners = scheme.outer_corners or ()
        right, left = (scheme.right_eye, scheme.left_eye) if norm == "pupils" else (corners[:1], corners[1:])
        if not right or not left:
            raise InputError(f"norm={norm} needs both eyes, which the scheme {scheme.name} does not have.")
        length = np.linalg.norm(truth.landmarks[:, list(right)].mean(axis=1) - truth.landmarks[:, list(left)].mean(axis=1), axis=-1)
    else:
        if norm_box_xyxy_px is None:
            raise InputError(f"norm={norm} needs a norm box: the protocol must name one (norm_box).")
        width = norm_box_xyxy_px[:, 2] - norm_box_xyxy_px[:, 0]
        height = norm_box_xyxy_px[:, 3] - norm_box_xyxy_px[:, 1]
        length = {"height": height, "sqrt_wh": np.sqrt(width * height), "diagonal": np.hypot(width, height)}[norm]
    if (bad := np.flatnonzero(length <= 0)).size:
        name = truth.sample_id[bad[0]]  # type: ignore[index]
        raise InputError(f"face {name!r}: its {norm} norm is zero ({bad.size} such faces): all labelled points in one place?")
    return length


def nme_percent(truth: Faces, prediction: Faces, norm_box_xyxy_px: Array | None = None, *, norm: str) -> Array:
    """Normalised mean error of each face, (N,) percent."""
    if truth.landmarks is None:
        return np.full(len(truth), np.nan)
    return 100.0 * distance_px(truth, prediction) / norm_px(truth, norm, norm_box_xyxy_px)


def auc_percent(truth: Faces, prediction: Faces, norm_box_xyxy_px: Array | None = None, *, norm: str, below: float) -> Array:
    """Each face's share of the area under the cumulative error curve, (N,) percent: the mean is the AUC, without a grid."""
    error = nme_percent(truth, prediction, norm_box_xyxy_px, norm=norm)
    return 100.0 * np.maximum(0.0, below - error) / below


def failure_rate_percent(truth: Faces, prediction: Faces, norm_box_xyxy_px: Array | None = None, *, norm: str, above: float) -> Array:
    """100 for each face whose error exceeds the threshold, 0 for the others, (N,); the mean is the failure rate."""
    error = nme_percent(truth, prediction, norm_box_xyxy_px, norm=norm)
    return np.where(np.isnan(error), np.nan, 100.0 * (error > above))


def nme_by_landmark(
    truth: Faces, prediction: Faces, norm_box_xyxy_px: Array | None = None, *, failed: npt.NDArray[np.bool_], norm: str
) -> tuple[tuple[float | None, ...], dict[str, float | None]]:
    """NME of each landmark and of each part of the scheme, percent; the labelled points of failed faces are charged 100.

    Returns
    -------
    points : tuple of float or None
        Mean over the faces where the landmark is labelled; None where it never is.
    parts : dict of str to float or None
        Mean over faces of the mean over the labelled landmarks of the part.
    """
    errors = 100.0 * point_distances_px(truth, prediction) / norm_px(truth, norm, norm_box_xyxy_px)[:, None]
    errors = np.where(failed[:, None] & ~np.isnan(errors), 100.0, errors)
    points = tuple(_mean_or_none(column) for column in errors.T)
    parts = scheme_named(truth.scheme).parts if truth.scheme else {}
    labelled = ~np.isnan(errors)
    sums = np.where(labelled, errors, 0.0)
    by_part: dict[str, float | None] = {}
    for part, members in parts.items():
        counts = labelled[:, list(members)].sum(axis=1)
        by_part[part] = _mean_or_none(sums[counts > 0][:, list(members)].sum(axis=1) / counts[counts > 0])
    return points, by_part


def _mean_or_none(values: Array) -> float | None:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else None
