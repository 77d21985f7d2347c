"""What a camera and a file do to a picture: blur, low resolution, noise, grey, JPEG."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Damage", "damaged", "draw_damage"]

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Damage:
    """Lengths are for a picture of 256 pixels and grow with it.

    Attributes
    ----------
    defocus_px : float, standard deviation of a Gaussian
    motion_px, motion_deg : float, length and direction of a streak
    resolution_share : float, share of the pixels along a side that the sensor had
    noise_shot, noise_read : float, noise in grey levels: its variance is ``noise_shot * value + noise_read^2``
    grey : bool
    jpeg_quality : int, quality; 100 is no file
    """

    defocus_px: float = 0.0
    motion_px: float = 0.0
    motion_deg: float = 0.0
    resolution_share: float = 1.0
    noise_shot: float = 0.0
    noise_read: float = 0.0
    grey: bool = False
    jpeg_quality: int = 100


def draw_damage(rng: np.random.Generator, *, heavy: bool = False) -> Damage:
    """Random damage; `heavy`: always noisy, and blurred or of low resolution."""
    blurred, moved, small = rng.random(3) < ((0.5, 0.3, 0.5) if heavy else (0.25, 0.1, 0.22))
    noisy = heavy or rng.random() < 0.6
    if heavy and not (blurred or moved or small):
        small = np.True_
    return Damage(
        defocus_px=float(rng.uniform(0.3, 2.0)) if blurred else 0.0,
        motion_px=float(rng.uniform(2.0, 9.0)) if moved else 0.0,
        motion_deg=float(rng.uniform(0, 180)),
        resolution_share=float(rng.uniform(0.14, 0.4) if heavy else rng.uniform(0.25, 0.8)) if small else 1.0,
        noise_shot=float(rng.uniform(0, 0.6)) * noisy,
        noise_read=float(rng.uniform(5, 16) if heavy else rng.uniform(0, 6)) * noisy,
        grey=bool(rng.random() < 0.1),
        jpeg_quality=int(rng.integers(30, 96)) if rng.random() < 0.7 else 100,
    )


def damaged(picture: Array, damage: Damage, rng: np.random.Generator) -> Array:
    """A display picture (H, W, 3), float in [0, 1], as the 8-bit RGB picture (H, W, 3) that a camera would have filed."""
    import cv2

    size = picture.shape[0]
    unit = size / 256
    values = np.clip(picture, 0, 1).astype(np.float32) * 255
    if damage.defocus_px:
        values = cv2.GaussianBlur(values, (0, 0), damage.defocus_px * unit)
    if damage.motion_px:
        values = cv2.filter2D(values, -1, _streak(damage.motion_px * unit, damage.motion_deg), borderType=cv2.BORDER_REFLECT)
    if damage.resolution_share < 1:
        small = max(int(size * damage.resolution_share), 8)
        values = cv2.resize(values, (small, small), interpolation=cv2.INTER_AREA)
        values = cv2.resize(values, (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    if damage.noise_shot or damage.noise_read:
        noise = rng.standard_normal(values.shape, dtype=np.float32)
        values = values + noise * np.sqrt(damage.noise_shot * values + damage.noise_read**2)
    if damage.grey:
        values = np.repeat(values @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=2)
    out = (values + 0.5).clip(0, 255).astype(np.uint8)
    if damage.jpeg_quality < 100:
        _, file = cv2.imencode(".jpg", out[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, damage.jpeg_quality])
        out = np.ascontiguousarray(np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))[..., ::-1])
    return out


def _streak(length_px: float, direction_deg: float) -> Array:
    """Kernel of a straight movement, by sampling it finely."""
    half = int(np.ceil(length_px / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    steps = np.linspace(-length_px / 2, length_px / 2, 64)
    turn = np.radians(direction_deg)
    np.add.at(kernel, (half + np.rint(steps * np.sin(turn)).astype(int), half + np.rint(steps * np.cos(turn)).astype(int)), 1)
    return kernel / kernel.sum()
