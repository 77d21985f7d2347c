"""What is drawn on faces: boxes, points and head axes, in colours that the common colour blindnesses keep apart.

Pictures are (H, W, 3) uint8 arrays, RGB; the functions draw into the one they are given, which is the caller's own copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["AXIS_COLOURS", "BOX_COLOUR", "EDGE_COLOUR", "HIDDEN_COLOUR", "POINT_COLOUR", "draw_axes", "draw_face", "pixel"]

Array = npt.NDArray[Any]

BOX_COLOUR, POINT_COLOUR, HIDDEN_COLOUR, EDGE_COLOUR = (255, 255, 255), (86, 180, 233), (213, 94, 0), (0, 0, 0)
RING_COLOUR = (255, 190, 40)  # a hidden point as a ring: thin, so brighter than skin
AXIS_COLOURS = ((213, 94, 0), (0, 158, 115), (0, 114, 178))  # x to the subject's left, y down, and out of the face


def pixel(point: npt.ArrayLike) -> tuple[int, int]:
    """A point as OpenCV takes it, kept within what it can."""
    x, y = np.clip(np.rint(np.asarray(point, dtype=np.float64)), -10_000, 10_000)
    return int(x), int(y)


def draw_axes(picture: Array, origin: npt.ArrayLike, rotation: Array, length_px: float, width_px: int = 2, *, edge: bool = False) -> None:
    """A head's axes as arrows: to the subject's left, down, and out of the face.

    Parameters
    ----------
    origin : (2,) array
        In pixels.
    rotation : (3, 3) array
        Head -> camera.
    edge : bool
        With dark edges, so that they are seen on any picture.
    """
    import cv2

    start = pixel(origin)
    axes = rotation.T * [[1.0], [1.0], [-1.0]]  # the head's z points into it
    ends = [pixel(np.array(start) + length_px * axis[:2]) for axis in axes]
    nearest_last = np.argsort(-axes[:, 2], kind="stable") if edge else range(3)
    for i in nearest_last:
        if edge:
            cv2.arrowedLine(picture, start, ends[i], EDGE_COLOUR, width_px + 2, cv2.LINE_AA, tipLength=0.15)
        cv2.arrowedLine(picture, start, ends[i], AXIS_COLOURS[i], width_px, cv2.LINE_AA, tipLength=0.15)


def draw_face(
    picture: Array,
    box_xyxy_px: Array,
    *,
    rotation: Array | None = None,
    landmarks: Array | None = None,
    visibility: Array | None = None,
    text: str = "",
) -> None:
    """One face where it is in a picture; lines grow with its box.

    Parameters
    ----------
    box_xyxy_px : (4,) array
    rotation : (3, 3) array, optional
        Head -> camera.
    landmarks : (L, 2) array, optional
        In pixels; NaN is left out.
    visibility : (L,) array, optional
        Points with P(visible) < 0.5 are rings, the others discs.
    text : str
        Written above the box.
    """
    import cv2

    box = np.asarray(box_xyxy_px, dtype=np.float64)
    side = float((box[2:] - box[:2]).max())
    width_px = int(np.clip(round(side / 150), 1, 12))
    for colour, width in ((EDGE_COLOUR, width_px + 2), (BOX_COLOUR, width_px)):
        cv2.rectangle(picture, pixel(box[:2]), pixel(box[2:]), colour, width, cv2.LINE_AA)
    if landmarks is not None:
        hidden = visibility < 0.5 if visibility is not None else np.zeros(len(landmarks), dtype=bool)
        radius = int(np.clip(round(side / 80), 2, 14))
        for point, is_hidden in zip(landmarks, hidden, strict=True):
            if np.isfinite(point).all():
                _draw_point(picture, pixel(point), radius, hidden=bool(is_hidden))
    if rotation is not None and np.isfinite(rotation).all():
        draw_axes(picture, (box[:2] + box[2:]) / 2, rotation, 0.45 * side, max(2, width_px + 1), edge=True)
    if text:
        _write_above(picture, box, text)


def _draw_point(picture: Array, place: tuple[int, int], radius: int, *, hidden: bool) -> None:
    import cv2

    if hidden:
        line = max(1, radius // 2)
        cv2.circle(picture, place, radius + 1, EDGE_COLOUR, line + 2, cv2.LINE_AA)
        cv2.circle(picture, place, radius + 1, RING_COLOUR, line, cv2.LINE_AA)
    else:
        cv2.circle(picture, place, radius + 1, EDGE_COLOUR, -1, cv2.LINE_AA)
        cv2.circle(picture, place, radius, POINT_COLOUR, -1, cv2.LINE_AA)


def _write_above(picture: Array, box: Array, text: str) -> None:
    """White letters on black, above the box or, where there is no room, inside its upper edge; never beyond the picture's sides."""
    import cv2

    height, width = picture.shape[:2]
    font = cv2.FONT_HERSHEY_SIMPLEX
    plain = text.encode("ascii", "replace").decode()  # all that OpenCV's letters have
    size = float(np.clip((box[2] - box[0]) / 330, 0.36, 3.0))
    size *= min(1.0, (width - 4) / cv2.getTextSize(plain, font, size, 1)[0][0])
    line = max(1, round(1.6 * size))
    (w, h), below = cv2.getTextSize(plain, font, size, line)
    x = int(np.clip(box[0], 2, max(2, width - w - 2)))
    y = int(box[1]) - below - 3
    y = int(np.clip(y if y - h >= 2 else box[1] + h + 5, h + 2, max(h + 2, height - below)))
    cv2.rectangle(picture, (x - 2, y - h - 2), (x + w + 1, y + below), EDGE_COLOUR, -1)
    cv2.putText(picture, plain, (x, y), font, size, (255, 255, 255), line, cv2.LINE_AA)
