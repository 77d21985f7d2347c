"""How far face boxes are the same: intersection over union, and a detector's many boxes of one face made one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["iou_xyxy", "without_overlaps"]


def iou_xyxy(boxes_xyxy_px: npt.ArrayLike, box_xyxy_px: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Intersection over union of each box with one box.

    Parameters
    ----------
    boxes_xyxy_px : (K, 4) array
    box_xyxy_px : (4,) array

    Returns
    -------
    (K,) float64 array
        0 where one of the two is empty or NaN.
    """
    boxes = np.asarray(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4)
    box = np.asarray(box_xyxy_px, dtype=np.float64)
    common = np.clip(np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2]), 0.0, None).prod(axis=1)
    areas = np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None).prod(axis=1)
    union = areas + np.clip(box[2:] - box[:2], 0.0, None).prod() - common
    with np.errstate(invalid="ignore", divide="ignore"):
        iou: npt.NDArray[np.float64] = np.where(common > 0.0, common / union, 0.0)
    return iou


def without_overlaps(boxes_xyxy_px: npt.ArrayLike, scores: npt.ArrayLike, max_iou: float) -> npt.NDArray[np.int64]:
    """Greedy non-maximum suppression: rows to keep, the highest score first, none of which overlap by more than `max_iou`.

    Parameters
    ----------
    boxes_xyxy_px : (K, 4) array
    scores : (K,) array
        Of equal ones the first row is kept.
    """
    boxes = np.asarray(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4)
    left = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    kept = []
    while len(left):
        kept.append(int(left[0]))
        left = left[1:][iou_xyxy(boxes[left[1:]], boxes[left[0]]) <= max_iou]
    return np.array(kept, dtype=np.int64)
