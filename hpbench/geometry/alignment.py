"""The mean rotation between two sets of rotations, and predictions without it.

Aim
---
Two cameras, or a model and a data set, may differ by a constant rotation.  opal23's evaluation takes it away before it measures
(A. Cobo et al., On the representation and methodology for wide and short range head pose estimation, Pattern Recognition 2024).
It is fitted on the test labels: numbers with and without it are never comparable.

Conventions
-----------
As in opal23's `Evaluator.align_predictions`:

* The offset of a face is prediction * truth^T: a rotation of the camera frame.  A constant rotation of the *head* frame (where a
  model's frontal pose points: prediction = truth * O) is another thing, which this removes only as far as all heads face alike.
* Offsets of 90 degrees and more are left out of the fit; those predictions are turned with the others.
* The mean is the Karcher mean.  opal23 starts from the first offset and stops at a step below 1e-4 rad (0.006 degrees), here the
  last step is below 1e-10.  Among rotations less than 90 degrees from one there is exactly one mean, and the iteration comes to
  it (J. H. Manton, A globally convergent numerical algorithm for computing the centre of mass on compact Lie groups, ICARCV 2004).
* BIWI has one offset a sequence.  opal23's scripts for AFLW2000 and Panoptic, as far as they were found, do not align.

opal23's matrices are the intrinsic XYZ of its lists' pitch, yaw, roll, which is D R D with D = diag(-1, -1, 1) and R ours: offsets
and geodesic errors are the same in both.  Its MAE is ``formula=best-triple`` in the XYZ order (`hpbench.metrics.legacy`).

Traps
-----
The fit is part of the score: a face that is missing or turned by 90 degrees and more moves the offset of all others, so here,
and only here, a worse or a missing prediction may improve the mean.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from .rotations import geodesic_deg

__all__ = ["MAX_OFFSET_DEG", "mean_rotation", "rotation_offset", "rotation_offset_of", "without_offset"]

Array = npt.NDArray[np.float64]

MAX_OFFSET_DEG = 90.0  # from here on a difference is a failure of the model: left out of the fit
_LAST_STEP_RAD = 1e-10
_MAX_STEPS = 100
_ROWS = 1 << 14  # of matrices worked on at once: kept are quaternions, which are less than half as large


def mean_rotation(rotations: npt.ArrayLike) -> Array:
    """Karcher mean: the rotation with the least sum of squared geodesic distances.

    Starts from the chordal mean, which lies in every ball of less than 90 degrees that holds all the rotations: where there is
    one, so does the result.  Otherwise (rotations 180 degrees apart, say) it is one of several local minima, or near it.

    Parameters
    ----------
    rotations : (N, 3, 3) array
        At least one.

    Returns
    -------
    (3, 3) float64 array
    """
    from scipy.spatial.transform import Rotation

    return _mean(Rotation.from_matrix(rotations).as_quat())


def _mean(quaternions: Array) -> Array:
    """`mean_rotation` of unit quaternions, (N, 4)."""
    from scipy.spatial.transform import Rotation

    mean = Rotation(quaternions, normalize=False, copy=False).mean()
    for _ in range(_MAX_STEPS):
        total = np.zeros((1, 3))
        for start in range(0, len(quaternions), _ROWS):
            block = Rotation(quaternions[start : start + _ROWS], normalize=False, copy=False)
            total = np.concatenate([total, (mean.inv() * block).as_rotvec()]).sum(axis=0, keepdims=True)  # row by row, as of all at once
        step = total[0] / len(quaternions)
        mean = mean * Rotation.from_rotvec(step)
        if np.linalg.norm(step) < _LAST_STEP_RAD:
            break
    return np.asarray(mean.as_matrix())


def rotation_offset(prediction: Array, truth: Array) -> Array | None:
    """Mean of prediction * truth^T over the pairs that are whole and less than `MAX_OFFSET_DEG` apart.

    Parameters
    ----------
    prediction, truth : (N, 3, 3) arrays
        Rows matched; NaN rows do not count.

    Returns
    -------
    (3, 3) array or None
        The rotation of the camera frame from truth to prediction; None where no pair is left.
    """
    blocks = (slice(start, start + _ROWS) for start in range(0, len(truth), _ROWS))
    return rotation_offset_of((prediction[rows], truth[rows]) for rows in blocks)


def rotation_offset_of(pairs: Iterable[tuple[Array, Array]]) -> Array | None:
    """`rotation_offset` of predictions and truth that come a block of rows at a time."""
    from scipy.spatial.transform import Rotation

    found = []
    for prediction, truth in pairs:
        near = geodesic_deg(prediction, truth) < MAX_OFFSET_DEG  # False for NaN
        if near.any():
            found.append(Rotation.from_matrix(prediction[near] @ truth[near].swapaxes(1, 2)).as_quat())
    if not found:
        return None
    every = np.concatenate(found)
    del found  # the mean takes as much again
    return _mean(every)


def without_offset(prediction: Array, truth: Array, groups: npt.ArrayLike) -> Array:
    """Predictions with the mean offset of their group taken away.

    Parameters
    ----------
    prediction, truth : (N, 3, 3) arrays
        Rows matched.  NaN predictions stay NaN.
    groups : (N,) array
        Names or numbers; a group without an offset (`rotation_offset`) stays as it is.

    Returns
    -------
    (N, 3, 3) array
    """
    _, codes, sizes = np.unique(np.asarray(groups).astype(str), return_inverse=True, return_counts=True)
    aligned = np.array(prediction)
    for rows in np.split(np.argsort(codes, kind="stable"), np.cumsum(sizes)[:-1]):
        if (offset := rotation_offset(prediction[rows], truth[rows])) is not None:
            aligned[rows] = offset.T @ prediction[rows]
    return aligned
