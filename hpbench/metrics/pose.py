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

Metrics
-------
mae(angle, convention, formula) : mean of the three absolute differences, or of one angle.  Formulas:

* ``wrap`` (ours): difference wrapped to [-180, 180).
* ``plain``: abs(a - b), no wrap (Hopenet, FSA-Net, SynergyNet, SPIGA, img2pose): wrong across +-180.
* ``fold180``: per angle the least of abs(d + k 180), k = -2..2 (6DRepNet, yakhyo): caps at 90, forgives flips.
* ``best-triple``: the better of the predicted triple and its equivalent one, per face, wrapped (opal23, images_framework).
* ``wrapped-yaw``: min(e, 360 - e) on yaw only, the others plain (DirectMHP).

geodesic : angle of the rotation between truth and prediction.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..faces import Faces
from ..geometry.rotations import convention_named, equivalent_euler_deg, euler_from_rotation, geodesic_deg, wrap_deg

__all__ = ["ANGLES", "FORMULAS", "angles_deg", "geodesic_error_deg", "mae_deg"]

Array = npt.NDArray[np.float64]

ANGLES = ("yaw", "pitch", "roll")


def _wrap(truth: Array, prediction: Array) -> Array:
    return np.abs(wrap_deg(prediction - truth))


def _plain(truth: Array, prediction: Array) -> Array:
    return np.abs(prediction - truth)


def _fold180(truth: Array, prediction: Array) -> Array:
    shifts = np.array([-360.0, -180.0, 0.0, 180.0, 360.0])
    return np.abs((prediction - truth)[..., None] + shifts).min(axis=-1)


def _wrapped_yaw(truth: Array, prediction: Array) -> Array:
    errors = np.abs(prediction - truth)
    yaw = errors[:, 0] % 360.0
    errors[:, 0] = np.minimum(yaw, 360.0 - yaw)
    return errors


FORMULAS = {"wrap": _wrap, "plain": _plain, "fold180": _fold180, "best-triple": _wrap, "wrapped-yaw": _wrapped_yaw}


def angles_deg(faces: Faces, convention: str) -> tuple[Array, bool]:
    """Yaw, pitch, roll of faces in a convention, (N, 3) degrees, and whether they are the raw ones of the file."""
    if faces.euler_deg is not None and faces.convention is not None:
        given, wanted = convention_named(faces.convention), convention_named(convention)
        if given.order == wanted.order:  # only signs differ: the raw angles stay what they are
            return faces.euler_deg * np.array(given.signs) * np.array(wanted.signs), True
    if faces.rotation is None:
        return np.full((len(faces), 3), np.nan), False
    return euler_from_rotation(faces.rotation, convention), False


def mae_deg(
    truth: Faces, prediction: Faces, norm_box_xyxy_px: Array | None = None, *, convention: str, angle: str = "mean", formula: str = "wrap"
) -> Array:
    """Absolute angle error of each face, (N,) degrees; see the module's text for the formulas.

    A face whose prediction lacks any of the three angles has failed in all of them.
    """
    true_deg, _ = angles_deg(truth, convention)
    predicted_deg, raw = angles_deg(prediction, convention)
    error = FORMULAS[formula]
    errors = error(true_deg, predicted_deg)
    if formula == "best-triple" or (formula == "wrap" and not raw):
        other = error(true_deg, equivalent_euler_deg(predicted_deg, convention))
        nearer = other.sum(axis=1) < errors.sum(axis=1)
        errors = np.where(nearer[:, None], other, errors)
    errors[np.isnan(errors).any(axis=1)] = np.nan
    return errors.mean(axis=1) if angle == "mean" else errors[:, ANGLES.index(angle)]


def geodesic_error_deg(truth: Faces, prediction: Faces, norm_box_xyxy_px: Array | None = None) -> Array:
    """Geodesic distance of each face's two rotations, (N,) degrees in [0, 180]."""
    if truth.rotation is None or prediction.rotation is None:
        return np.full(len(truth), np.nan)
    return geodesic_deg(truth.rotation, prediction.rotation)
