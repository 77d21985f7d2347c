"""The mean rotation between two sets of rotations, and predictions without it.

Two data sets (or a model and a data set) may differ by a constant rotation: where the head frame points, how the camera is
held.  opal23's evaluation removes that offset, fitted on the test labels, per group of frames (Cobo et al., Pattern
Recognition 2024).  It uses test labels: numbers with and without it are never comparable.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .rotations import geodesic_deg

__all__ = ["MAX_OFFSET_DEG", "mean_rotation", "rotation_offset", "without_offset"]

Array = npt.NDArray[np.float64]

MAX_OFFSET_DEG = 90.0  # differences beyond are failures of the model, not offsets: left out of the fit
_TOLERANCE_RAD = 1e-10
_MAX_STEPS = 100


def mean_rotation(rotations: Array) -> Array:
    """Karcher mean (least squared geodesic distances) of (N, 3, 3) rotations, (3, 3).

    Starts from the chordal mean, which is within a few degrees of it for rotations less than 90 degrees apart.
    """
    from scipy.spatial.transform import Rotation

    mean = Rotation.from_matrix(rotations).mean()
    for _ in range(_MAX_STEPS):
        step = (mean.inv() * Rotation.from_matrix(rotations)).as_rotvec().mean(axis=0)
        mean = mean * Rotation.from_rotvec(step)
        if np.linalg.norm(step) < _TOLERANCE_RAD:
            break
    return np.asarray(mean.as_matrix())


def rotation_offset(prediction: Array, truth: Array) -> Array | None:
    """Mean of prediction * truth^T, (3, 3), over the (N, 3, 3) pairs that are whole and at most `MAX_OFFSET_DEG` apart.

    Returns
    -------
    (3, 3) array or None
        The rotation in the camera frame from truth to prediction; None where no pair is left.
    """
    apart = geodesic_deg(prediction, truth)
    near = apart <= MAX_OFFSET_DEG  # False for NaN
    return mean_rotation(prediction[near] @ truth[near].swapaxes(1, 2)) if near.any() else None


def without_offset(prediction: Array, truth: Array, groups: npt.ArrayLike) -> Array:
    """Predictions with the mean offset of their group taken away, (N, 3, 3)."""
    _, codes = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    aligned = np.array(prediction)
    for code in range(int(codes.max(initial=-1)) + 1):
        rows = codes == code
        if (offset := rotation_offset(prediction[rows], truth[rows])) is not None:
            aligned[rows] = offset.T @ prediction[rows]
    return aligned
