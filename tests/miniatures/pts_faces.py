"""Faces as iBUG's data sets hold them: an image and a .pts file each, of our own making."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from hpbench.geometry.mean_face import mean_face_68
from hpbench.geometry.rotations import rotation_from_euler

__all__ = ["draw_faces", "pts_bytes", "write_face", "write_pts"]

# what the files vary in: version, spaces, newline, final newline
VARIANTS = (
    ("1", "  ", "\n", ""),
    ("1", "  ", "\n", "\n"),
    ("1.0", " ", "\r\n", "\r\n"),
    ("1", " ", "\r\n", ""),
)


def draw_faces(count: int, seed: int, n_points: int = 68) -> np.ndarray:
    """Points of turned mean faces, (count, n_points, 2) in the files' own pixels (from 1), some of them outside the image.

    39 points are the left half of the 68 and a few more: any 39 points will do, for the reader knows nothing of them.
    """
    rng = np.random.default_rng(seed)
    euler = rng.uniform([-40, -20, -30], [40, 20, 30], (count, 3))
    turned = mean_face_68() @ np.swapaxes(rotation_from_euler(euler, "yxz"), 1, 2)
    points = turned[..., :2] * rng.uniform(0.3, 3.0, (count, 1, 1)) + rng.uniform(30, 300, (count, 1, 2))
    return np.round(points + rng.normal(0, 0.3, points.shape), 6)[:, :n_points]


def pts_bytes(points: np.ndarray, variant: int = 0) -> bytes:
    """A .pts file with six decimals, in one of the spellings that circulate."""
    version, space, newline, end = VARIANTS[variant % len(VARIANTS)]
    lines = [f"version: {version}", f"n_points:{space}{len(points)}", "{", *(f"{x:.6f} {y:.6f}" for x, y in points), "}"]
    return (newline.join(lines) + end).encode()


def write_pts(path: Path, points: np.ndarray, variant: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pts_bytes(points, variant))


def write_face(image: Path, points: np.ndarray, grey: int, variant: int = 0) -> None:
    """An image whose pixels are all `grey`, and the .pts file beside it."""
    write_pts(image.with_suffix(".pts"), points, variant)
    cv2.imwrite(str(image), np.full((24, 32, 3), grey, np.uint8))


def write_full_precision(path: Path, points: Iterable[tuple[float, float]]) -> None:
    """A .pts file that loses nothing: every number with all its digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{x!r} {y!r}\n" for x, y in points)
    path.write_text(f"version: 1\nn_points:  68\n{{\n{rows}}}\n", newline="\n")
