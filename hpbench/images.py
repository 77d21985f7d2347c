"""References to images: read when asked, from a file or from a member of an archive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError

__all__ = ["ImageRef", "decode_image", "encode_jpeg"]

Array = npt.NDArray[Any]

MAX_IMAGE_PIXELS = 100_000_000  # a larger one is a decompression bomb or a mistake


@dataclass(frozen=True)
class ImageRef:
    """An image that can be read.

    Attributes
    ----------
    name : str
        What messages call it: a path, or ``archive.zip:member``.
    fetch : callable
        Returns the encoded bytes; raises `InputError` where they cannot be had.
    """

    name: str
    fetch: Callable[[], bytes]

    def read(self) -> Array:
        """The image, (H, W, 3) uint8 RGB, pixels as stored (an EXIF orientation is ignored: labels are in stored pixels).

        Raises
        ------
        InputError
            Empty, truncated, not an image, or larger than 100 megapixels.
        """
        return decode_image(self.fetch(), self.name)


def decode_image(data: bytes, name: str) -> Array:
    """Decode an encoded image; `name` is what an error calls it.  See `ImageRef.read`."""
    import cv2

    if not data:
        raise InputError(f"{name}: the file is empty.")
    if data[:2] == b"\xff\xd8" and data.rfind(b"\xff\xd9") < len(data) // 2:
        # libjpeg fills the missing rows of a cut-off file with grey and only warns
        raise InputError(f"{name}: the JPEG is truncated (no end marker).")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise InputError(f"{name}: cannot be decoded ({str(error).strip().splitlines()[-1]}).") from None
    if image is None:
        raise InputError(f"{name}: not an image that can be decoded (damaged, or another kind of file?).")
    if image.shape[0] * image.shape[1] > MAX_IMAGE_PIXELS:
        raise InputError(f"{name}: {image.shape[1]} x {image.shape[0]} pixels is over the limit of 100 megapixels.")
    return image


def encode_jpeg(image: Array, quality: int = 95) -> bytes:
    """An (H, W, 3) uint8 RGB image as JPEG bytes."""
    import cv2

    ok, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise InputError(f"an image of shape {image.shape} cannot be written as JPEG.")
    return data.tobytes()
