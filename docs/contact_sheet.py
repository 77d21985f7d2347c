"""Draws docs/heads.jpg: heads of the embedded test set with axes, points and hidden points.

    python docs/contact_sheet.py [OUT [SHARDS]]

SHARDS: a folder of `hpbench render heads`, or one of its files; else the embedded test set.

Axes: x (to the subject's left) red, y (down) green, nose direction blue.  Points: visible green, hidden by the head itself red,
by a thing or hair yellow; jaw points on the contour are small and cyan.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from hpbench.heads.stream import Head, PackedHeads

COLUMNS, ROWS, STEP = 10, 6, 8  # every STEP-th head, so that the sheet is a fair sample
BGR = {0: (60, 220, 60), 1: (0, 215, 255), 2: (60, 60, 255)}
AXES = ((0, (60, 60, 255), 1.0), (1, (60, 220, 60), 1.0), (2, (255, 120, 40), -1.0))


def main(out: Path, shards: Path) -> None:
    """The sheet."""
    heads = PackedHeads(shards)
    step = min(STEP, max(1, len(heads) // (COLUMNS * ROWS)))
    tiles = [drawn(heads[i]) for i in range(0, len(heads), step)[: COLUMNS * ROWS]]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.concatenate(tiles[i : i + COLUMNS], axis=1) for i in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(out), np.concatenate(rows), [cv2.IMWRITE_JPEG_QUALITY, 82])


def drawn(head: Head) -> np.ndarray:
    """One head, BGR."""
    image, labels = np.ascontiguousarray(head.image[:, :, ::-1]), head.labels
    points = labels["landmarks_fixed_px"]
    for (x, y), kind in zip(points, labels["occlusion_fixed"], strict=True):
        cv2.circle(image, at(x, y), 2, BGR[int(kind)], -1, cv2.LINE_AA)
    for x, y in labels["landmarks_contour_px"][:17]:
        cv2.circle(image, at(x, y), 1, (230, 230, 60), -1, cv2.LINE_AA)
    length = 0.35 * np.ptp(points[:, 1])
    for axis, colour, sign in AXES:
        tip = points[27] + sign * length * labels["rotation_crop_ray"][:2, axis]
        cv2.line(image, at(*points[27]), at(*tip), colour, 2, cv2.LINE_AA)
    return image


def at(x: float, y: float) -> tuple[int, int]:
    """A pixel."""
    return round(float(x)), round(float(y))


if __name__ == "__main__":
    here = Path(__file__).resolve()
    usual = [str(here.with_name("heads.jpg")), str(here.parents[1] / "datasets" / "heads" / "heads-test-1-0000000.zip")]
    main(*map(Path, sys.argv[1:3] + usual[len(sys.argv[1:3]) :]))
