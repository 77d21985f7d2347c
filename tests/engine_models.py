"""Faces and models for tests of the engine: small, drawn, and different from each other, so that a mix-up shows."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from hpbench.faces import Faces, Sample
from hpbench.images import ImageRef, encode_jpeg
from hpbench.models.interface import Array, Model


class MeanColour(Model):
    """Angles from the mean colour of the image and from the box."""

    name = "mean-colour"

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        euler = [[i.mean() / 3, b[0] / 10, i[..., 0].mean() / 5] for i, b in zip(images, boxes_xyxy_px, strict=True)]
        return Faces(euler_deg=np.array(euler, dtype=float).reshape(-1, 3), convention="300w-lp")


def picture(i: int, side: int = 24) -> bytes:
    """A JPEG of one colour."""
    return encode_jpeg(np.full((side, side, 3), np.random.default_rng(i).integers(0, 255, 3), dtype=np.uint8))


def samples_of(n: int, fetch: Callable[[int], bytes] = picture) -> list[Sample]:
    """f000, f001, ...: `fetch` gives the bytes of the image by number."""
    return [Sample(f"f{i:03d}", ImageRef(f"f{i:03d}.jpg", lambda i=i: fetch(i)), np.array([i, 0, i + 10, 10.0])) for i in range(n)]


def spot(width: int, height: int, centre_px: tuple[float, float], sigma_px: float = 12.0) -> Array:
    """A picture (height, width, 3) with one round bright spot: its centroid is its centre."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    bright = 255 * np.exp(-((x - centre_px[0]) ** 2 + (y - centre_px[1]) ** 2) / (2 * sigma_px**2))
    return np.repeat(np.round(bright).astype(np.uint8)[..., None], 3, axis=2)


class Centroid(Model):
    """One landmark, the centroid of what is bright (in a scheme of 19, all in one place); keeps the sizes of what it saw."""

    name = "centroid"

    def __init__(self, input_px: int) -> None:
        self.input_px = input_px
        self.seen: list[tuple[int, ...]] = []
        self.boxes: list[Array] = []

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        points = []
        for image in images:
            self.seen.append(image.shape[:2])
            weights = image[..., 1].astype(float) ** 2
            y, x = np.indices(weights.shape)
            points.append([(weights * x).sum() / weights.sum(), (weights * y).sum() / weights.sum()])
        self.boxes += list(boxes_xyxy_px)
        return Faces(landmarks=np.repeat(np.array(points)[:, None], 19, axis=1), scheme="aflw19")


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG whose EXIF says that it is to be turned."""
    tiff = b"MM\x00*\x00\x00\x00\x08" + b"\x00\x01" + b"\x01\x12\x00\x03\x00\x00\x00\x01" + bytes([0, orientation, 0, 0]) + bytes(4)
    exif = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]


def png(image: Array) -> bytes:
    """An RGB picture as PNG."""
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()
