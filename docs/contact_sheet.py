"""Draws docs/heads.jpg: heads of the embedded test set with axes, points and hidden points.

    python docs/contact_sheet.py [OUT]

Axes: x (to the subject's left) red, y (down) green, nose direction blue.  Points: visible green, hidden by the head itself red,
by a thing or hair yellow; jaw points on the contour are small and cyan.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

import hpbench
from hpbench.faces import Faces

COLUMNS, ROWS, STEP = 10, 6, 8  # every STEP-th head, so that the sheet is a fair sample
BGR = {0: (60, 220, 60), 1: (0, 215, 255), 2: (60, 60, 255)}
AXES = ((0, (60, 60, 255), 1.0), (1, (60, 220, 60), 1.0), (2, (255, 120, 40), -1.0))


def main(out: Path) -> None:
    """The sheet."""
    dataset = hpbench.load("heads")
    fixed, contour = dataset.truth("test"), dataset.truth("test", "contour")
    tiles = [
        drawn(sample.image.read(), fixed, contour, row)
        for row, sample in enumerate(dataset.samples("test"))
        if row % STEP == 0 and row // STEP < COLUMNS * ROWS
    ]
    rows = [np.concatenate(tiles[i : i + COLUMNS], axis=1) for i in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(out), np.concatenate(rows), [cv2.IMWRITE_JPEG_QUALITY, 82])


def drawn(image_rgb: np.ndarray, fixed: Faces, contour: Faces, row: int) -> np.ndarray:
    """One head, BGR."""
    assert fixed.landmarks is not None and contour.landmarks is not None and fixed.rotation is not None and fixed.occlusion is not None
    image = np.ascontiguousarray(image_rgb[:, :, ::-1])
    for x, y in contour.landmarks[row][:17]:
        cv2.circle(image, at(x, y), 1, (230, 230, 60), -1, cv2.LINE_AA)
    for (x, y), kind in zip(fixed.landmarks[row], fixed.occlusion[row], strict=True):
        cv2.circle(image, at(x, y), 2, BGR[int(kind)], -1, cv2.LINE_AA)
    origin = fixed.landmarks[row][27]
    length = 0.35 * np.ptp(fixed.landmarks[row][:, 1])
    for axis, colour, sign in AXES:
        tip = origin + sign * length * fixed.rotation[row][:2, axis]
        cv2.line(image, at(*origin), at(*tip), colour, 2, cv2.LINE_AA)
    return image


def at(x: float, y: float) -> tuple[int, int]:
    """A pixel."""
    return round(float(x)), round(float(y))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("heads.jpg"))
