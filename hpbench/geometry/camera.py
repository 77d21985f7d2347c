"""Pinhole cameras: the camera of a face crop, projection, rays, and perspective-n-point.

Conventions
-----------
A camera is its intrinsic matrix K (3, 3) in pixels; (0, 0) is the centre of the top-left pixel; there is no lens
distortion.  The camera frame is OpenCV's: x right, y down, z forward.  A pose takes head coordinates to it,
``rotation @ X + translation``.  For a frontal head (the identity) the axes of the head frame are therefore those of the
image: x to image right (the subject's left), y down, z away from the camera, into the head.  Translation has the unit
of the 3D points (millimetres, for `hpbench.geometry.mean_face`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .rotations import nearest_rotation

__all__ = ["MIN_PNP_POINTS", "crop_camera", "project", "ray_rotation", "solve_pnp", "weak_perspective"]

Array = npt.NDArray[np.float64]

MIN_PNP_POINTS = 6  # with fewer, four or five noisy points have several poses that fit equally well


def crop_camera(box_xyxy_px: npt.ArrayLike, enlarge: float = 0.3, focal_over_width: float = 1.5) -> Array:
    """Camera assumed for a face of which only a box is known: the one that sees the enlarged square crop.

    The crop is the box with `enlarge` x its size added on every side, made square by its height, as in the MNN
    code: side = (1 + 2 x `enlarge`) x height.  Its principal point is the box centre, so a pose found with this camera
    is relative to the ray through the box centre (a ``crop_ray`` label), wherever in the photograph the face was.

    Parameters
    ----------
    box_xyxy_px : (..., 4) array
        Edges of the face box in image pixels.
    enlarge : float, default 0.3
        Share of the box's size added on each of its sides.
    focal_over_width : float, default 1.5
        Focal length over the side of the crop: 1.5 is a field of view of 37 degrees.

    Returns
    -------
    (..., 3, 3) float64 array, K in image pixels; NaN for a NaN box.
    """
    box = np.asarray(box_xyxy_px, dtype=np.float64)
    if box.shape[-1:] != (4,):
        raise InputError(f"a box is x0, y0, x1, y1, got shape {box.shape}.")
    height = box[..., 3] - box[..., 1]
    if (height <= 0).any():
        raise InputError("a box has no height (y1 <= y0): is it x, y, width, height?")
    camera = np.zeros((*box.shape[:-1], 3, 3))
    camera[..., 0, 0] = camera[..., 1, 1] = focal_over_width * (1.0 + 2.0 * enlarge) * height
    camera[..., 0, 2] = (box[..., 0] + box[..., 2]) / 2.0
    camera[..., 1, 2] = (box[..., 1] + box[..., 3]) / 2.0
    camera[..., 2, 2] = 1.0
    return camera


def project(points_3d: npt.ArrayLike, rotation: npt.ArrayLike, translation: npt.ArrayLike, camera: npt.ArrayLike) -> Array:
    """Project points of the head into the image.

    Parameters
    ----------
    points_3d : (..., L, 3) array
        In the head frame.
    rotation : (..., 3, 3) array, head -> camera
    translation : (..., 3) array
        Head origin in the camera frame, in the unit of the points.
    camera : (..., 3, 3) array

    Returns
    -------
    (..., L, 2) float64 array of pixels; NaN for a point that is not in front of the camera.
    """
    turned = np.asarray(points_3d, dtype=np.float64) @ np.swapaxes(np.asarray(rotation, dtype=np.float64), -1, -2)
    in_camera = turned + np.asarray(translation, dtype=np.float64)[..., None, :]
    homogeneous = in_camera @ np.swapaxes(np.asarray(camera, dtype=np.float64), -1, -2)
    depth = homogeneous[..., 2:]
    return homogeneous[..., :2] / np.where(depth > 0, depth, np.nan)


def ray_rotation(point_px: npt.ArrayLike, camera: npt.ArrayLike) -> Array:
    """Smallest rotation Q that takes the optical axis to the ray through a pixel.

    A head seen away from the image centre shows another side than its rotation in the camera frame says.  Poses of
    the two kinds are related by ``R_camera = Q @ R_crop_ray`` and ``R_crop_ray = Q.T @ R_camera``.

    Parameters
    ----------
    point_px : (..., 2) array
        For a face, the centre of its box.
    camera : (..., 3, 3) array

    Returns
    -------
    (..., 3, 3) float64 array; the identity at the principal point.
    """
    point = np.asarray(point_px, dtype=np.float64)
    homogeneous = np.concatenate([point, np.ones((*point.shape[:-1], 1))], axis=-1)[..., None]
    ray = np.linalg.solve(np.asarray(camera, dtype=np.float64), homogeneous)[..., 0]
    x, y, z = np.moveaxis(ray / np.linalg.norm(ray, axis=-1, keepdims=True), -1, 0)
    # Rodrigues' formula about the axis (0, 0, 1) x ray; z > 0 always, so the denominator is harmless
    rows = [[1 - x * x / (1 + z), -x * y / (1 + z), x], [-x * y / (1 + z), 1 - y * y / (1 + z), y], [-x, -y, z]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def weak_perspective(points_3d: npt.ArrayLike, points_px: npt.ArrayLike) -> tuple[Array, float, Array]:
    """Pose under scaled orthographic projection: ``points_px = scale * (R @ X)[:2] + shift``.

    The affine camera that fits best, brought to the nearest orthonormal one; what POSIT starts from and 3DMM fits use.

    Parameters
    ----------
    points_3d : (L, 3) array
        At least 4 points that are not in one plane.
    points_px : (L, 2) array
        NaN points are left out.

    Returns
    -------
    rotation : (3, 3) float64 array
    scale : float
        Pixels per unit of the 3D points.
    shift : (2,) float64 array
        Pixel of the head origin.  All NaN where fewer than 4 points are left, or they lie in a plane.
    """
    model, image = np.asarray(points_3d, dtype=np.float64), np.asarray(points_px, dtype=np.float64)
    seen = np.isfinite(image).all(axis=1)
    model, image = model[seen], image[seen]
    if len(model) < 4 or np.linalg.matrix_rank(model - model.mean(axis=0), tol=1e-6 * np.ptp(model)) < 3:
        return np.full((3, 3), np.nan), float("nan"), np.full(2, np.nan)
    centred = model - model.mean(axis=0)
    affine = np.linalg.lstsq(centred, image - image.mean(axis=0), rcond=None)[0].T  # (2, 3)
    u, stretch, vt = np.linalg.svd(affine, full_matrices=False)
    top = u @ vt
    rotation = nearest_rotation(np.vstack([top, np.cross(top[0], top[1])]))
    scale = float(stretch.mean())
    return rotation, scale, image.mean(axis=0) - scale * (rotation @ model.mean(axis=0))[:2]


def solve_pnp(points_3d: npt.ArrayLike, points_px: npt.ArrayLike, camera: npt.ArrayLike) -> tuple[Array, Array]:
    """Pose of a rigid head from its landmarks, least squares of the pixel errors.

    Starts from SQPnP and from weak perspective, refines both by Levenberg-Marquardt, and keeps the better one in front
    of the camera.  The second start is for points that fit no rigid head well: there SQPnP's optimum, which minimises
    another error, may lie behind the camera.

    Parameters
    ----------
    points_3d : (L, 3) array
        In the head frame, any unit.
    points_px : (L, 2) or (N, L, 2) array
        NaN points are left out.
    camera : (3, 3) or (N, 3, 3) array

    Returns
    -------
    rotation : (3, 3) or (N, 3, 3) float64 array, head -> camera
    translation : (3,) or (N, 3) float64 array
        In the unit of `points_3d`, z > 0.  A face with fewer than `MIN_PNP_POINTS` points, or without a pose in front
        of the camera, is NaN.
    """
    model, image = np.asarray(points_3d, dtype=np.float64), np.asarray(points_px, dtype=np.float64)
    if model.ndim != 2 or model.shape[1] != 3 or image.shape[-2:] != (len(model), 2):
        raise InputError(f"PnP needs points_3d (L, 3) and points_px (N, L, 2), got {model.shape} and {image.shape}.")
    batch = image.reshape(-1, *image.shape[-2:])
    cameras = np.broadcast_to(np.asarray(camera, dtype=np.float64), (len(batch), 3, 3))
    rotation, translation = np.full((len(batch), 3, 3), np.nan), np.full((len(batch), 3), np.nan)
    for n, (points, k) in enumerate(zip(batch, cameras, strict=True)):
        rotation[n], translation[n] = _solve_one(model, points, k)
    leading = image.shape[:-2]
    return rotation.reshape(*leading, 3, 3), translation.reshape(*leading, 3)


def _solve_one(model: Array, image: Array, camera: Array) -> tuple[Array, Array]:
    import cv2

    best: tuple[Array, Array] = (np.full((3, 3), np.nan), np.full(3, np.nan))
    seen = np.isfinite(image).all(axis=1)
    if seen.sum() < MIN_PNP_POINTS or not np.isfinite(camera).all():
        return best
    # centred and scaled points: the refinement's steps then have one size, whatever the unit and the origin
    origin, unit = model[seen].mean(axis=0), float(model[seen].std())
    points, pixels = np.ascontiguousarray((model[seen] - origin) / unit), np.ascontiguousarray(image[seen])
    least = np.inf
    for rvec, tvec in _starts(points, pixels, camera):
        try:
            rvec, tvec = cv2.solvePnPRefineLM(points, pixels, camera, None, rvec, tvec)
        except cv2.error:
            continue
        rotation, translation = cv2.Rodrigues(rvec)[0], tvec.reshape(3)
        error = float(np.sum((project(points, rotation, translation, camera) - pixels) ** 2))
        if error < least:  # never for NaN: some point, and so the head, is not in front of the camera
            least, best = error, (rotation, unit * translation - rotation @ origin)
    return best


def _starts(points: Array, pixels: Array, camera: Array) -> list[tuple[Any, Any]]:
    """Poses (rvec, tvec) in front of the camera to refine."""
    import cv2

    starts: list[tuple[Any, Any]] = []
    try:
        found, rvec, tvec = cv2.solvePnP(points, pixels, camera, None, flags=cv2.SOLVEPNP_SQPNP)
        if found and np.isfinite(tvec).all() and tvec[2, 0] > 0:
            starts.append((rvec, tvec))
    except cv2.error:  # degenerate points
        pass
    rotation, scale, _ = weak_perspective(points, pixels)
    if np.isfinite(scale) and scale > 0:
        # the points have mean 0: their mean pixel is the ray of the origin, the scale its distance
        depth = camera[0, 0] / scale
        ray = np.linalg.solve(camera, np.append(pixels.mean(axis=0), 1.0))
        starts.append((cv2.Rodrigues(rotation)[0], (depth * ray).reshape(3, 1)))
    return starts
