"""Rotation matrices and the Euler conventions in circulation, by name.

Conventions
-----------
A rotation is 3x3, head -> camera, camera frame of OpenCV (x right, y down, z forward).  Angles are in degrees, always
in the order yaw, pitch, roll.  Rx, Ry, Rz are the right-handed elementary rotations about those axes.

=============  ==========================  ======================================================================
name           rotation                    used by
=============  ==========================  ======================================================================
``300w-lp``    Rx(-pitch) Ry(yaw) Rz(roll)  300W-LP, AFLW2000-3D, BIWI, Hopenet, FSA-Net
``yxz``        Ry(yaw) Rx(-pitch) Rz(roll)  the group of the MNN paper for AFLW, 300W, COFW, WFLW
``6drepnet``   Rz(roll) Ry(yaw) Rx(-pitch)  6DRepNet and its descendants: the *wrong* order for 300W-LP's angles
``opal23``     ``300w-lp`` with -yaw        annotation lists of opal23_headpose
=============  ==========================  ======================================================================

The first was proved on the 3D points of AFLW2000-3D (tests/test_rotations.py).  ``6drepnet`` is kept because
its numbers are in circulation: the same triple means a rotation 13 degrees away on average over AFLW2000-3D.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import InputError, did_you_mean

__all__ = [
    "CONVENTIONS",
    "EulerConvention",
    "convention_named",
    "equivalent_euler_deg",
    "euler_from_rotation",
    "geodesic_deg",
    "nearest_rotation",
    "rotation_from_euler",
    "rotation_defect",
    "wrap_deg",
]

Array = npt.NDArray[np.float64]

_AXIS = {"yaw": 1, "pitch": 0, "roll": 2}  # the camera axis each angle turns about: yaw y, pitch x, roll z


@dataclass(frozen=True)
class EulerConvention:
    """How three angles make a rotation.

    Attributes
    ----------
    name : str
    order : tuple of str
        The factors of the matrix product from left to right (intrinsic order), by angle.
    signs : tuple of float
        Sign of yaw, pitch and roll: an angle is multiplied by it before the elementary rotation.
    note : str
        Who uses it.
    """

    name: str
    order: tuple[str, str, str]
    signs: tuple[float, float, float]
    note: str


CONVENTIONS: dict[str, EulerConvention] = {
    c.name: c
    for c in (
        EulerConvention("300w-lp", ("pitch", "yaw", "roll"), (1.0, -1.0, 1.0), "300W-LP, AFLW2000-3D, BIWI, Hopenet, FSA-Net"),
        EulerConvention("yxz", ("yaw", "pitch", "roll"), (1.0, -1.0, 1.0), "the MNN group for AFLW, 300W, COFW, WFLW"),
        EulerConvention("6drepnet", ("roll", "yaw", "pitch"), (1.0, -1.0, 1.0), "6DRepNet and descendants (wrong for 300W-LP angles)"),
        EulerConvention("opal23", ("pitch", "yaw", "roll"), (-1.0, -1.0, 1.0), "annotation lists of opal23_headpose"),
    )
}  # fmt: skip


def convention_named(name: str) -> EulerConvention:
    """The Euler convention of this name; `InputError` with the nearest name if there is none."""
    try:
        return CONVENTIONS[name]
    except KeyError:
        raise InputError(f"unknown Euler convention {name!r}: {did_you_mean(name, CONVENTIONS)}") from None


def _elementary(axis: int, angle_rad: Array) -> Array:
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    matrix = np.zeros((*angle_rad.shape, 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1.0
    matrix[..., i, i] = matrix[..., j, j] = cos
    matrix[..., i, j], matrix[..., j, i] = -sin, sin
    return matrix


def rotation_from_euler(euler_deg: npt.ArrayLike, convention: str) -> Array:
    """Rotation matrices of Euler angles.

    Parameters
    ----------
    euler_deg : (..., 3) array
        Yaw, pitch, roll in degrees; NaN rows give NaN matrices.
    convention : str
        A key of `CONVENTIONS`.

    Returns
    -------
    (..., 3, 3) float64 array, head -> camera.
    """
    how = convention_named(convention)
    angles = np.asarray(euler_deg, dtype=np.float64)
    if angles.shape[-1:] != (3,):
        raise InputError(f"Euler angles must have shape (N, 3) as yaw, pitch, roll, got {angles.shape}: rotation matrices?")
    signed = np.deg2rad(angles * np.array(how.signs))
    by_name = {"yaw": signed[..., 0], "pitch": signed[..., 1], "roll": signed[..., 2]}
    first, second, third = (_elementary(_AXIS[name], by_name[name]) for name in how.order)
    return first @ second @ third


def euler_from_rotation(rotation: npt.ArrayLike, convention: str) -> Array:
    """Euler angles of rotation matrices, the middle factor's angle in [-90, 90].

    Where the middle angle is within 1e-6 of +-90 degrees (gimbal lock) the last factor's angle is set to 0.

    Parameters
    ----------
    rotation : (..., 3, 3) array
    convention : str

    Returns
    -------
    (..., 3) float64 array: yaw, pitch, roll in degrees, in (-180, 180].
    """
    how = convention_named(convention)
    r = np.asarray(rotation, dtype=np.float64)
    if r.shape[-2:] != (3, 3):
        raise InputError(f"rotations must have shape (N, 3, 3), got {r.shape}: Euler angles? declare their convention.")
    i, j, k = (_AXIS[name] for name in how.order)
    parity = 1.0 if (j - i) % 3 == 1 else -1.0  # of the axis permutation (i, j, k): R = Ri(a) Rj(b) Rk(c)
    cos_middle = np.hypot(r[..., i, i], r[..., i, j])
    middle = np.arctan2(parity * r[..., i, k], cos_middle)
    locked = cos_middle < 1e-8
    first = np.where(locked, np.arctan2(parity * r[..., k, j], r[..., j, j]), np.arctan2(-parity * r[..., j, k], r[..., k, k]))
    third = np.where(locked, 0.0, np.arctan2(-parity * r[..., i, j], r[..., i, i]))
    angle = dict(zip(how.order, (first, middle, third), strict=True))
    return np.rad2deg(np.stack([angle["yaw"], angle["pitch"], angle["roll"]], axis=-1)) * np.array(how.signs)


def equivalent_euler_deg(euler_deg: npt.ArrayLike, convention: str) -> Array:
    """The other Euler triple of the same rotation: (180 - middle, outer +- 180), wrapped to [-180, 180)."""
    how = convention_named(convention)
    out = np.asarray(euler_deg, dtype=np.float64) + 180.0
    middle = ("yaw", "pitch", "roll").index(how.order[1])
    out[..., middle] = 180.0 - (out[..., middle] - 180.0)
    return wrap_deg(out)


def wrap_deg(angle_deg: npt.ArrayLike) -> Array:
    """Angles brought to [-180, 180)."""
    return (np.asarray(angle_deg, dtype=np.float64) + 180.0) % 360.0 - 180.0


def geodesic_deg(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Angle of the rotation from `b` to `a`, degrees in [0, 180].

    With D = a b^T it is atan2(|vee(D - D^T)| / 2, (tr D - 1) / 2), exact near 0 and 180 where arccos loses digits.

    Parameters
    ----------
    a, b : (..., 3, 3) arrays

    Returns
    -------
    (...) float64 array; NaN where either is NaN.
    """
    d = np.asarray(a, dtype=np.float64) @ np.swapaxes(np.asarray(b, dtype=np.float64), -1, -2)
    vee = np.stack([d[..., 2, 1] - d[..., 1, 2], d[..., 0, 2] - d[..., 2, 0], d[..., 1, 0] - d[..., 0, 1]], axis=-1)
    sine = np.linalg.norm(vee, axis=-1) / 2.0
    cosine = (np.trace(d, axis1=-2, axis2=-1) - 1.0) / 2.0
    return np.rad2deg(np.arctan2(sine, cosine))


def rotation_defect(rotation: npt.ArrayLike) -> Array:
    """How far matrices are from being rotations: max |R R^T - I|, or 2 for a reflection; NaN stays NaN."""
    r = np.asarray(rotation, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        defect = np.abs(r @ np.swapaxes(r, -1, -2) - np.eye(3)).max(axis=(-2, -1), initial=0.0)
        determinant = np.linalg.det(r)
    return np.where(np.isfinite(determinant) & (determinant < 0), np.maximum(defect, 2.0), defect)


def nearest_rotation(matrix: npt.ArrayLike) -> Array:
    """The rotations nearest to arbitrary (..., 3, 3) matrices in the Frobenius norm (by SVD, determinant +1)."""
    u, _, vt = np.linalg.svd(np.asarray(matrix, dtype=np.float64))
    sign = np.ones((*u.shape[:-2], 3))
    sign[..., 2] = np.sign(np.linalg.det(u @ vt))
    return (u * sign[..., None, :]) @ vt
