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

from collections.abc import Iterator
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

_ANGLES = ("yaw", "pitch", "roll")
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


def _blocks(n: int) -> Iterator[slice]:
    """Slices that cover n matrices, each short enough for temporary arrays of it to stay in the processor's cache."""
    step = 4096
    return (slice(start, start + step) for start in range(0, n, step))


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
    flat = angles.reshape(-1, 3)
    rotations = np.empty((len(flat), 3, 3))
    for rows in _blocks(len(flat)):
        signed = np.deg2rad(flat[rows] * np.array(how.signs))
        first, second, third = (_elementary(_AXIS[name], signed[:, _ANGLES.index(name)]) for name in how.order)
        rotations[rows] = first @ second @ third
    return rotations.reshape(*angles.shape, 3)


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
    first, middle, third = (_ANGLES.index(name) for name in how.order)
    matrices = r.reshape(-1, 3, 3)
    angles = np.empty((len(matrices), 3))
    for rows in _blocks(len(matrices)):
        m, out = matrices[rows], angles[rows]
        cos_middle = np.sqrt(m[:, i, i] ** 2 + m[:, i, j] ** 2)
        out[:, first] = np.arctan2(-parity * m[:, j, k], m[:, k, k])
        out[:, middle] = np.arctan2(parity * m[:, i, k], cos_middle)
        out[:, third] = np.arctan2(-parity * m[:, i, j], m[:, i, i])
        if (locked := np.flatnonzero(cos_middle < 1e-8)).size:
            out[locked, first] = np.arctan2(parity * m[locked, k, j], m[locked, j, j])
            out[locked, third] = 0.0
        out *= np.rad2deg(1.0) * np.array(how.signs)
    return angles.reshape(*r.shape[:-2], 3)


def equivalent_euler_deg(euler_deg: npt.ArrayLike, convention: str) -> Array:
    """The other Euler triple of the same rotation: (180 - middle, outer +- 180), wrapped to [-180, 180)."""
    how = convention_named(convention)
    out = np.asarray(euler_deg, dtype=np.float64) + 180.0
    middle = _ANGLES.index(how.order[1])
    out[..., middle] = 360.0 - out[..., middle]
    return wrap_deg(out)


def wrap_deg(angle_deg: npt.ArrayLike) -> Array:
    """Angles brought to [-180, 180)."""
    angle = np.asarray(angle_deg, dtype=np.float64)
    return angle - 360.0 * np.floor((angle + 180.0) / 360.0)  # several times as fast as the remainder


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
    x, y = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    flat_x, flat_y = x.reshape(-1, 3, 3), y.reshape(-1, 3, 3)
    angles = np.empty(len(flat_x))
    for rows in _blocks(len(angles)):
        # element by element over many rotations, (3, 3, B): matmul is slow for matrices this small
        p, q = (np.ascontiguousarray(m[rows].transpose(1, 2, 0)) for m in (flat_x, flat_y))
        vee_squared = sum((p[i] * q[j] - p[j] * q[i]).sum(axis=0) ** 2 for i, j in ((2, 1), (0, 2), (1, 0)))
        angles[rows] = np.arctan2(np.sqrt(vee_squared), (p * q).sum(axis=(0, 1)) - 1.0)
    return np.rad2deg(angles).reshape(x.shape[:-2])


def rotation_defect(rotation: npt.ArrayLike) -> Array:
    """How far matrices are from being rotations: max |R R^T - I|, or 2 for a reflection; NaN stays NaN."""
    every = np.asarray(rotation, dtype=np.float64)
    flat = every.reshape(-1, 3, 3)
    defects = np.empty(len(flat))
    for rows in _blocks(len(flat)):
        r = flat[rows]
        with np.errstate(over="ignore", invalid="ignore"):
            defect = np.abs(r @ np.swapaxes(r, -1, -2) - np.eye(3)).max(axis=(-2, -1), initial=0.0)
            determinant = np.linalg.det(r)
        defects[rows] = np.where(np.isfinite(determinant) & (determinant < 0), np.maximum(defect, 2.0), defect)
    return defects.reshape(every.shape[:-2])


def nearest_rotation(matrix: npt.ArrayLike) -> Array:
    """The rotations nearest to arbitrary (..., 3, 3) matrices in the Frobenius norm (by SVD, determinant +1)."""
    u, _, vt = np.linalg.svd(np.asarray(matrix, dtype=np.float64))
    sign = np.ones((*u.shape[:-2], 3))
    sign[..., 2] = np.sign(np.linalg.det(u @ vt))
    return (u * sign[..., None, :]) @ vt
