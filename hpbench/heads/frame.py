"""The head frame: where anny's axes go, where the zero of the rotation lies, and the camera of a picture.

Frames
------
anny       x to the subject's left, y to the back, z up, metres; a neutral person faces -y.
template   anny's axes renamed to those of the camera of a frontal face: x to the subject's left, y down, z into the head.
           Textures are laid out here, on the neutral mean head.
head       the template turned by `ZERO_PITCH_DEG` about x, origin midway between the centres of the two eyeballs of that
           very head with a neutral face.  Labels are given here.  A head whose rotation is the identity is frontal.

The zero is fixed once: the mean head's 68 fixed points, turned into the head frame, agree with the mean of the derotated 3D
points of AFLW2000-3D (16 real files).  Before the turn the best similarity between the two turned that mean by yaw -0.07,
pitch -1.37, roll -0.04 degrees (``300w-lp``) at 3.7 mm rms; both shapes are mirror symmetric but for noise, so only the pitch is
taken over, and 0.00 of it remains.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..geometry.rotations import rotation_from_euler

__all__ = ["HEAD_FROM_TEMPLATE", "TEMPLATE_FROM_ANNY", "ZERO_PITCH_DEG", "pixel_rays", "rays_through"]

Array = npt.NDArray[np.float64]

ZERO_PITCH_DEG = 1.365
TEMPLATE_FROM_ANNY: Array = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
HEAD_FROM_TEMPLATE: Array = rotation_from_euler((0.0, ZERO_PITCH_DEG, 0.0), "300w-lp")


def rays_through(pixels_px: Array, camera_px: Array) -> Array:
    """Unit directions (N, 3) in the camera frame through pixels (N, 2) of a camera matrix without skew."""
    focal_px, centre_px = camera_px[[0, 1], [0, 1]], camera_px[:2, 2]
    rays = np.concatenate([(pixels_px - centre_px) / focal_px, np.ones((len(pixels_px), 1))], axis=1)
    return np.asarray(rays / np.sqrt(np.einsum("ij,ij->i", rays, rays))[:, None])


def pixel_rays(camera_px: Array, size_px: int) -> Array:
    """Unit directions (size^2, 3) through the centres of all pixels of a square picture, row by row."""
    line = np.arange(size_px, dtype=np.float64)
    x, y = np.meshgrid(line, line)
    return rays_through(np.stack([x.ravel(), y.ravel()], axis=1), camera_px)
