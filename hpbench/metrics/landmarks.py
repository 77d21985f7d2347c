"""Facial landmark errors.

Aim
---
Distances between predicted and labelled points, as a share of a length of the face.  The length is part of the metric's
name: a value without its norm says nothing.

Conventions
-----------
Points in pixels of the original image.  A point that is NaN in the truth is not labelled and does not count, whatever was
predicted there; a face that lacks a prediction for a labelled point has failed.  Errors are the mean over the labelled
points of a face, then the mean over faces (``mean=image``), over the protocol's bins (``mean=balanced``, as 3DDFA and its
successors print it), or over all labelled points of all faces (``mean=pooled``, as mmpose); ``mean=median`` is the median
face instead.
Per-face values are NaN where the truth has no label or no norm, and infinite where the prediction failed: what a failure
costs is not decided here.

Metrics
-------
e is the NME of a face and t the threshold, both in percent of the norm.

nme(norm, mean) : 100 mean |p - q| / length.
auc(below, norm, formula) : 100 mean(max(0, t - e)) / t.
fr(above, norm, formula) : 100 mean(e > t).
distance_px : pixels.

AUC and FR are exact, without a grid; ``grid``, ``histogram`` and ``pck`` are others' formulas (`hpbench.metrics.legacy`), and
`hpbench.metrics.curves` has the curve that both belong to.

Norms
-----
``corners`` : distance of the outer eye corners ("inter-ocular"; 300W 36-45, WFLW 60-72, COFW 8-9).
``pupils`` : distance of the pupils: COFW's own points 16 and 17, WFLW's 96 and 97; of the 68 points the mean of the six of
    each eye ("inter-pupil").
``height``, ``sqrt_wh``, ``diagonal`` : of the protocol's norm box, whichever box set that is: the rectangle of the landmarks
    (AFLW2000-3D, Menpo, 300W private) or a given one (AFLW).  No protocol here divides by the width alone.

Traps
-----
* Pupil NME is about 1.40 times corner NME on 300W: a column under the wrong name is found by that ratio.  Tools differ even
  under one name: images_framework takes the two corners of each eye for the pupils, 1.7 % less.
* Eye norms blow up at profile (smallest corner distance in AFLW2000-3D: 3.5 px) and do not exist where an eye is not labelled.
* Where points are missing, a sum over 68 is lower than the mean over those labelled (LUVLi and SPIGA on MERL-RAV).
* Half a pixel between the origins of labels and predictions moves published medians.
* A grid shifts the failure rate: for t = 5 it is read at 5.01.

Source: Sagonas et al., 300 Faces in-the-Wild Challenge, Image and Vision Computing 2016; Zhu et al., Face Alignment Across
Large Poses, CVPR 2016 (box norm, balanced mean).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..faces import Faces
from ..landmarks import scheme_named
from . import legacy
from .matched import Matched, row_blocks

__all__ = [
    "AUC_FORMULAS",
    "FR_FORMULAS",
    "NORMS",
    "auc_of_all_errors",
    "auc_percent",
    "auc_weight",
    "distance_px",
    "failure_rate_percent",
    "landmark_box_xyxy_px",
    "nme_by_landmark",
    "nme_percent",
    "nme_weight",
    "norm_px",
    "worst_auc_percent",
    "worst_distance_px",
]

Array = npt.NDArray[np.float64]

NORMS = ("corners", "pupils", "height", "sqrt_wh", "diagonal")
AUC_FORMULAS = ("exact", "grid", "histogram", "pck")
FR_FORMULAS = ("exact", "grid")


def distance_px(pair: Matched) -> Array:
    """Mean distance over the labelled points of each face, (N,) pixels."""
    means = np.full(len(pair), np.nan)
    for rows, distances in _point_distances_px(pair.truth, pair.prediction):
        means[rows] = _mean_over_labelled(distances)
    return means


def _point_distances_px(truth: Faces, prediction: Faces) -> Iterator[tuple[slice, Array]]:
    """Distances of every point, (B, L) pixels, for B rows at a time: NaN where not labelled, infinite where labelled but not predicted."""
    if truth.landmarks is None:
        return
    n, points, _ = truth.landmarks.shape
    predicted = prediction.landmarks if prediction.landmarks is not None else np.broadcast_to(np.nan, truth.landmarks.shape)
    if predicted.shape != truth.landmarks.shape:
        raise InputError(f"predictions have {predicted.shape[1]} landmarks a face, the labels {points}: another scheme?")
    for rows in row_blocks(n, 2 * points):
        labels = truth.landmarks[rows]
        apart = predicted[rows] - labels
        apart *= apart
        distances = np.sqrt(apart[..., 0] + apart[..., 1])  # norm(axis=-1) takes many times as long
        if not np.isfinite(distances).all():
            labelled = np.isfinite(labels[..., 0]) & np.isfinite(labels[..., 1])
            distances = np.where(labelled, np.where(np.isnan(distances), np.inf, distances), np.nan)
        yield rows, distances


def _mean_over_labelled(values: Array) -> Array:
    """Mean of each row of (B, L) values, NaN left out; NaN where nothing is left."""
    totals = values.sum(axis=1)
    if not np.isnan(totals).any():
        return totals / values.shape[1]
    labelled = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(labelled, values, 0.0).sum(axis=1) / labelled.sum(axis=1)


def worst_distance_px(truth: Faces, norm_box_xyxy_px: Array | None = None) -> Array:
    """What a failed face is charged in pixels: the diagonal of its norm box, else of its labelled points, (N,)."""
    return norm_px(truth, "diagonal", norm_box_xyxy_px if norm_box_xyxy_px is not None else landmark_box_xyxy_px(truth))


def landmark_box_xyxy_px(faces: Faces) -> Array:
    """Rectangle of the labelled points of each face, (N, 4): x0, y0, x1, y1; NaN where there is none."""
    if faces.landmarks is None:
        return np.full((len(faces), 4), np.nan)
    x, y = faces.landmarks[..., 0], faces.landmarks[..., 1]  # reduced apart, a tenth of the time of reducing the middle axis
    return np.stack([np.fmin.reduce(x, 1), np.fmin.reduce(y, 1), np.fmax.reduce(x, 1), np.fmax.reduce(y, 1)], axis=1)


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
        between = _mean_point(truth.landmarks, right) - _mean_point(truth.landmarks, left)
        length = np.hypot(between[:, 0], between[:, 1])
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


def _mean_point(landmarks: Array, members: tuple[int, ...]) -> Array:
    """Mean of some points of each face, (N, 2); NaN where one of them is."""
    total = landmarks[:, members[0]].copy()
    for point in members[1:]:
        total += landmarks[:, point]
    return total / len(members)


def nme_percent(pair: Matched, *, norm: str) -> Array:
    """Normalised mean error of each face, (N,) percent."""
    if pair.truth.landmarks is None:
        return np.full(len(pair), np.nan)
    return 100.0 * pair.once(distance_px) / norm_px(pair.truth, norm, pair.norm_box_xyxy_px)


def nme_weight(truth: Faces, *, norm: str, mean: str) -> Array:
    """What a face counts for in the mean, (N,): 1, or the number of its labelled points in the pooled mean."""
    return _labelled_points(truth) if mean == "pooled" else np.broadcast_to(1.0, (len(truth),))


def auc_percent(pair: Matched, *, norm: str, below: float, formula: str) -> Array:
    """Each face's share of the area under the cumulative error curve, (N,) percent: the mean is the AUC.

    Of ``formula=histogram``, which is no mean over faces, the errors: `auc_of_all_errors` takes them.
    """
    if formula == "pck":
        return _pck_percent(pair, norm, below)
    errors = pair.once(nme_percent, norm=norm)
    if formula == "histogram":
        return errors
    areas = legacy.grid_auc_percent(errors, below) if formula == "grid" else 100.0 * np.maximum(0.0, below - errors) / below
    return _where_finite(errors, areas)


def auc_weight(truth: Faces, *, norm: str, below: float, formula: str) -> Array:
    """What a face counts for in the mean, (N,): 1, or the number of its labelled points where they are pooled."""
    return _labelled_points(truth) if formula == "pck" else np.broadcast_to(1.0, (len(truth),))


def auc_of_all_errors(*, norm: str, below: float, formula: str) -> Callable[[Array], float] | None:
    """The AUC as a function of all errors at once, if the formula is no mean over faces."""
    return functools.partial(legacy.histogram_auc_percent, below=below) if formula == "histogram" else None


def worst_auc_percent(truth: Faces, norm_box_xyxy_px: Array | None = None, *, norm: str, below: float, formula: str) -> float:
    """What a failed face is charged: no area; of the histogram, which is made of errors, an error of 100 %."""
    return 100.0 if formula == "histogram" else 0.0


def failure_rate_percent(pair: Matched, *, norm: str, above: float, formula: str) -> Array:
    """100 for each face whose error exceeds the threshold, 0 for the others, (N,); the mean is the failure rate."""
    errors = pair.once(nme_percent, norm=norm)
    rates = legacy.grid_failure_rate_percent(errors, above) if formula == "grid" else np.where(errors > above, 100.0, 0.0)
    return _where_finite(errors, rates)


def _pck_percent(pair: Matched, norm: str, below: float) -> Array:
    """Of each face, the mean over its labelled points of the share of thresholds above their error, (N,) percent."""
    areas = np.full(len(pair), np.nan)
    if pair.truth.landmarks is None:
        return areas
    scale = 100.0 / norm_px(pair.truth, norm, pair.norm_box_xyxy_px)
    for rows, distances in _point_distances_px(pair.truth, pair.prediction):
        areas[rows] = _mean_over_labelled(legacy.pck_area_percent(distances * scale[rows, None], below))
    return _where_finite(pair.once(nme_percent, norm=norm), areas)


def _where_finite(errors: Array, values: Array) -> Array:
    """`values` where there is an error; NaN (not labelled) and infinity (failed) stay."""
    return np.where(np.isfinite(errors), values, errors)


def _labelled_points(truth: Faces) -> Array:
    """Number of labelled points of each face, (N,)."""
    counts = np.zeros(len(truth))
    if truth.landmarks is not None:
        for rows in row_blocks(len(truth), truth.landmarks[0:1].size):
            labels = truth.landmarks[rows]
            counts[rows] = (np.isfinite(labels[..., 0]) & np.isfinite(labels[..., 1])).sum(axis=1)
    return counts


def nme_by_landmark(
    truth: Faces, prediction: Faces, norm_box_xyxy_px: Array | None = None, *, failed: npt.NDArray[np.bool_], norm: str
) -> tuple[tuple[float | None, ...], dict[str, float | None]]:
    """NME of each landmark and of each part of the scheme, percent; the labelled points of `failed` faces, (N,), are charged 100.

    Where all points are labelled, the mean of the landmarks is the NME.

    Returns
    -------
    points : tuple of float or None
        Mean over the faces where the landmark is labelled; None where it never is.
    parts : dict of str to float or None
        Mean over faces of the mean over the labelled landmarks of the part.
    """
    if truth.landmarks is None:
        return (), {}
    n_points = truth.landmarks.shape[1]
    parts = scheme_named(truth.scheme).parts if truth.scheme else {}
    member = np.zeros((n_points, len(parts)))
    for column, points in enumerate(parts.values()):
        member[list(points), column] = 1.0
    scale = 100.0 / norm_px(truth, norm, norm_box_xyxy_px)
    by_point, by_part = _Means(n_points), _Means(len(parts))
    for rows, distances in _point_distances_px(truth, prediction):
        distances *= scale[rows, None]
        if (gone := failed[rows]).any():
            distances[gone] = np.where(np.isnan(distances[gone]), np.nan, 100.0)
        labelled = (~np.isnan(distances)).astype(np.float64)
        errors = np.where(labelled > 0, distances, 0.0)
        by_point.add(errors, labelled)
        counts = labelled @ member
        by_part.add(errors @ member / np.maximum(counts, 1.0), counts > 0)
    return by_point.values(), dict(zip(parts, by_part.values(), strict=True))


class _Means:
    """Means of columns, of rows that come in blocks."""

    def __init__(self, columns: int) -> None:
        self.sums, self.counts = np.zeros(columns), np.zeros(columns)

    def add(self, values: Array, counted: npt.NDArray[Any]) -> None:
        """(B, K) values, 0 where not counted."""
        self.sums += values.sum(axis=0)
        self.counts += counted.sum(axis=0)

    def values(self) -> tuple[float | None, ...]:
        """The means; None where nothing counted."""
        return tuple(float(s / c) if c else None for s, c in zip(self.sums, self.counts, strict=True))
