"""Pose labels where a data set has none: perspective-n-point of its landmarks on a mean 3D face, as the MNN paper does.

Such labels depend on the mean face, the points and the camera that is assumed.  So a card that offers them states the
mean face by version, and a reader refuses to derive them with another: a change of the mean face is a change of the
protocols, not of numbers behind their back.  Poses are ``crop_ray``: relative to the ray through the box centre.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..geometry.camera import crop_camera, solve_pnp
from ..geometry.mean_face import MEAN_FACE_SHA256, MEAN_FACE_VERSION, mean_face, mean_face_sha256
from ..landmark_maps import map_landmarks

__all__ = ["derived_rotation"]

Array = npt.NDArray[np.float64]

# Points that move little with expression and do not slide along a contour: brows, nose, eye corners; and the tip of the chin,
# which holds the pitch.  On rendered heads (contour points, yaw below 60) poses from these are 6.6 degrees from the exact ones,
# without the chin 7.6, from the inner 51 points 9.0, from all 68 9.7.  Where the jaw is that of fixed points (ibug68-fixed) all
# 68 are taken.
_STABLE_68 = (8, 17, 21, 22, 26, 27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45)


def derived_rotation(landmarks: Array, scheme: str, box_xyxy_px: Array, version: str) -> Array:
    """Rotations from landmarks.

    Parameters
    ----------
    landmarks : (N, L, 2) array
        NaN = not labelled.
    scheme : str
    box_xyxy_px : (N, 4) array
        The face boxes; the camera sees the box enlarged by 30 % a side (`hpbench.geometry.camera.crop_camera`).
    version : str
        Of the mean face: the one that the card states.

    Returns
    -------
    (N, 3, 3) float64 array, head -> camera; NaN for a face with too few labelled points.

    Raises
    ------
    InputError
        The card states another mean face than this hpbench has.
    """
    if mean_face_sha256() != MEAN_FACE_SHA256:
        raise InputError(f"the mean face {MEAN_FACE_VERSION!r} was changed without a new version: its derived labels would move.")
    if version != MEAN_FACE_VERSION:
        raise InputError(f"pose labels derived with mean face {version!r} cannot be made here, where it is {MEAN_FACE_VERSION!r}.")
    points = np.asarray(landmarks, dtype=np.float64)
    if scheme == "wflw98":
        points, scheme = map_landmarks(points, "wflw98", "ibug68-contour"), "ibug68-contour"
    face = mean_face(scheme)
    if scheme == "ibug68-contour":
        face, points = face[list(_STABLE_68)], points[:, list(_STABLE_68)]
    usable = np.isfinite(face).all(axis=1)
    return solve_pnp(face[usable], points[:, usable], crop_camera(box_xyxy_px))[0]
