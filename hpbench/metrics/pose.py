"""Head pose errors.

Aim
---
How far a predicted head rotation is from the labelled one, as the literature counts it (Euler angles) and as geometry
counts it (the geodesic).  An exact 5 degree rotation error costs 2.55 degrees of Euler MAE for |yaw| < 30 and 24.8 above
85 (gimbal lock): the geodesic stands beside every MAE.

Conventions
-----------
Angles are yaw, pitch, roll in degrees, in the named Euler convention (`hpbench.geometry.rotations`).  Where truth or
prediction came as angles in that convention they are used as given, otherwise they are taken from the rotation.
A rotation has two Euler triples, and a prediction that came as a matrix has not chosen one: the one nearer to the label
counts.  They differ by 180 degrees in two angles, so this matters only where the middle angle is near or beyond 90
degrees (or for a prediction that is wild): there a tiny rotation error would otherwise cost 120 degrees.
Per-face values are NaN where the truth is not labelled and infinite where the prediction failed; a face whose prediction
lacks any of the three angles has failed in all of them.

Metrics
-------
mae(angle, convention, formula) : mean of the three absolute differences, or of one angle.  Formulas:

* ``wrap`` (ours): the difference on the circle, 0 to 180.
* ``plain``, ``fold180``, ``best-triple``, ``wrapped-yaw``: see `hpbench.metrics.legacy`.

geodesic : angle of the rotation between truth and prediction, 0 to 180.

Traps
-----
* The same three angles under another order are another rotation, 13 degrees away for 6DRepNet's order over AFLW2000-3D;
  an MAE does not show it as long as both sides share the order, the geodesic does.
* Angles beyond 180 in the labels (AFLW2000-3D has a pitch of -714) make ``plain`` explode: 19.96 instead of 19.05 for a
  prediction of zeros on all 2000.
* A constant offset of head frames between a model and the labels is no lack of skill: it stands beside as a diagnostic.

Source: Ruiz et al., Fine-Grained Head Pose Estimation Without Keypoints, CVPRW 2018 (MAE); Zhou et al., On the Continuity of
Rotation Representations, CVPR 2019 (geodesic).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..faces import Faces
from ..geometry.rotations import convention_named, euler_from_rotation, geodesic_deg
from .legacy import best_triple_deg, fold180_deg, plain_deg, wrapped_yaw_deg
from .matched import Matched, row_blocks

__all__ = ["ANGLES", "FORMULAS", "angle_errors_deg", "angles_deg", "geodesic_error_deg", "mae_deg"]

Array = npt.NDArray[np.float64]

ANGLES = ("yaw", "pitch", "roll")


def _wrap(truth: Array, prediction: Array) -> Array:
    return _on_circle(prediction - truth)


def _on_circle(apart: Array) -> Array:
    """Distance of an angle from 0 on the circle, 0 to 180 degrees."""
    return np.abs(apart - 360.0 * np.rint(apart / 360.0))


_FORMULAS = {"wrap": _wrap, "plain": plain_deg, "fold180": fold180_deg, "wrapped-yaw": wrapped_yaw_deg}
FORMULAS = (*_FORMULAS, "best-triple")


def angles_deg(faces: Faces, convention: str, rows: slice = slice(None)) -> tuple[Array, bool]:
    """Yaw, pitch, roll of some rows of faces in a convention, (B, 3) degrees, and whether they are the raw ones of the file."""
    if faces.euler_deg is not None and faces.convention is not None:
        given, wanted = convention_named(faces.convention), convention_named(convention)
        if given.order == wanted.order:  # only signs differ: the raw angles stay what they are
            return faces.euler_deg[rows] * (np.array(given.signs) * np.array(wanted.signs)), True
    return _canonical_deg(faces, convention, rows), False


def _canonical_deg(faces: Faces, convention: str, rows: slice) -> Array:
    """Yaw, pitch, roll of rotations, (B, 3) degrees, whatever angles the file gave."""
    rotation = faces.rotation_of(rows)
    if rotation is None:
        return np.full((len(range(len(faces))[rows]), 3), np.nan)
    return euler_from_rotation(rotation, convention)


def angle_errors_deg(pair: Matched, *, convention: str, formula: str) -> Array:
    """Absolute errors of yaw, pitch and roll of each face, (N, 3) degrees."""
    errors = np.empty((len(pair), 3))
    middle = ANGLES.index(convention_named(convention).order[1])
    for rows in row_blocks(len(pair), 9):
        if formula == "best-triple":
            true_deg, predicted_deg = (_canonical_deg(faces, convention, rows) for faces in (pair.truth, pair.prediction))
            found, raw = best_triple_deg(true_deg, predicted_deg, middle), True
        else:
            true_deg, _ = angles_deg(pair.truth, convention, rows)
            predicted_deg, raw = angles_deg(pair.prediction, convention, rows)
            found = _FORMULAS[formula](true_deg, predicted_deg)
        if formula == "wrap" and not raw:
            # the equivalent triple has 180 - middle and the others + 180, which turns a distance e on the circle into 180 - e
            other = 180.0 - found
            other[:, middle] = 180.0 - _on_circle(true_deg[:, middle] + predicted_deg[:, middle])
            nearer = _sum_of_three(other) < _sum_of_three(found)
            found[nearer] = other[nearer]
        if (bad := np.isnan(_sum_of_three(found))).any():
            labelled = ~np.isnan(true_deg[bad]).any(axis=1)
            found[bad] = np.where(labelled, np.inf, np.nan)[:, None]
        errors[rows] = found
    return errors


def mae_deg(pair: Matched, *, convention: str, angle: str = "mean", formula: str = "wrap") -> Array:
    """Absolute angle error of each face, (N,) degrees; see the module's text for the formulas."""
    errors = pair.once(angle_errors_deg, convention=convention, formula=formula)
    return _sum_of_three(errors) / 3.0 if angle == "mean" else errors[:, ANGLES.index(angle)]


def _sum_of_three(columns: Array) -> Array:
    return columns[:, 0] + columns[:, 1] + columns[:, 2]  # sum(axis=1) of rows this short takes many times as long


def geodesic_error_deg(pair: Matched) -> Array:
    """Geodesic distance of each face's two rotations, (N,) degrees in [0, 180]."""
    errors = np.full(len(pair), np.nan)
    for rows in row_blocks(len(pair), 9):
        truth, prediction = pair.truth.rotation_of(rows), pair.prediction.rotation_of(rows)
        if truth is None:
            return errors
        if prediction is not None:
            errors[rows] = geodesic_deg(truth, prediction)
        missing = np.isnan(errors[rows])
        errors[rows][missing & ~np.isnan(truth).any(axis=(1, 2))] = np.inf
    return errors
