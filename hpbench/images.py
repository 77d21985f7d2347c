"""References to images: read when asked, from a file or from a member of an archive."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError, RunStoppedError

__all__ = ["REDUCTIONS", "ImageRef", "decode_image", "decode_reduced", "encode_jpeg"]

Array = npt.NDArray[Any]

MAX_IMAGE_PIXELS = 100_000_000  # a larger one is a decompression bomb or a mistake
REDUCTIONS = (2, 4, 8)  # of a JPEG that is decoded smaller than it is


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

        JPEG, PNG, BMP and WebP: of these the size is known before anything is decoded.

        Raises
        ------
        InputError
            Empty, truncated, not an image, or larger than 100 megapixels.
        """
        return decode_image(self.fetch(), self.name)


def decode_image(data: bytes, name: str, *, upright: bool = False) -> Array:
    """Decode an encoded image; `name` is what an error calls it, `upright` turns it as EXIF says.  See `ImageRef.read`."""
    return _decoded(data, name, 1, upright=upright)


def decode_reduced(data: bytes, name: str, by: int) -> tuple[Array, int]:
    """As `decode_image`, a JPEG at ``1 / by`` of its size (by the decoder, from the low frequencies: quicker); any other in full.

    Parameters
    ----------
    by : int
        1 or one of `REDUCTIONS`.

    Returns
    -------
    image : (h, w, 3) uint8 array, RGB
        A point (x, y) of the full image is at ``(x + 0.5) / by - 0.5`` in it, likewise y.
    by : int
        1 where the image is there in full.
    """
    if data[:3] != b"\xff\xd8\xff":
        by = 1
    return _decoded(data, name, by), by


def _decoded(data: bytes, name: str, by: int, *, upright: bool = False) -> Array:
    cv2 = _opencv()
    if not data:
        raise InputError(f"{name}: the file is empty.")
    try:
        width, height = _stated_size(data)
    except (struct.error, IndexError):
        raise InputError(f"{name}: the image is truncated within its header.") from None
    except ValueError as error:
        raise InputError(f"{name}: {error}.") from None
    if width * height > MAX_IMAGE_PIXELS:
        raise InputError(f"{name}: {width} x {height} pixels is over the limit of 100 megapixels.")
    try:
        how = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}[by]
        flags = how if upright else how | cv2.IMREAD_IGNORE_ORIENTATION
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise InputError(f"{name}: cannot be decoded ({reason}).") from None
    if image is None:
        raise InputError(f"{name}: not an image that can be decoded (damaged, or another kind of file?).")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def _opencv() -> Any:
    """OpenCV; `RunStoppedError` where another build of it has taken the headless one's place and lacks its libraries."""
    try:
        import cv2
    except ImportError as error:
        raise RunStoppedError(
            f"OpenCV cannot be loaded ({str(error)[:150]}): apt-get install libgl1 libglib2.0-0, "
            "or pip install --force-reinstall --no-deps opencv-python-headless."
        ) from None
    return cv2


def _stated_size(data: bytes) -> tuple[int, int]:
    """Width and height by the file's header; `ValueError` for another kind of file and for a JPEG or PNG without its end."""
    if data[:3] == b"\xff\xd8\xff":
        return _jpeg_size(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        if data[12:16] != b"IHDR":
            raise ValueError("the PNG does not begin with its header")
        size = struct.unpack_from(">II", data, 16)
        if b"IEND" not in data:  # some decoders return the rows that are there
            raise ValueError("the PNG is truncated (no end chunk)")
        return size
    if data[:2] == b"BM":
        if struct.unpack_from("<I", data, 14) == (12,):  # OS/2
            return struct.unpack_from("<HH", data, 18)
        width, height = struct.unpack_from("<ii", data, 18)
        return abs(width), abs(height)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        if data[12:16] == b"VP8X":
            return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        if data[12:16] == b"VP8L":
            (bits,) = struct.unpack_from("<I", data, 21)
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("not an image that can be decoded (JPEG, PNG, BMP or WebP; damaged, or another kind of file?)")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    size, at = None, 2
    while True:
        at = data.find(b"\xff", at)
        if at < 0:
            raise IndexError
        marker = data[at + 1]
        if marker in (0x00, 0xFF, 0x01) or 0xD0 <= marker <= 0xD8:  # filling, or a marker without a length
            at += 1 if marker == 0xFF else 2
            continue
        if marker == 0xDA:  # the first scan; an end marker before it belongs to an EXIF thumbnail
            # libjpeg fills the missing rows of a cut-off file with grey and only warns
            if data.find(b"\xff\xd9", at) < 0:
                raise ValueError("the JPEG is truncated (no end marker)")
            if size is None:
                raise ValueError("the JPEG has no frame header")
            return size
        if marker == 0xD9:
            raise ValueError("the JPEG holds no image")
        (length,) = struct.unpack_from(">H", data, at + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and size is None:
            height, width = struct.unpack_from(">HH", data, at + 5)
            size = width, height
        at += 2 + length


def encode_jpeg(image: Array, quality: int = 95) -> bytes:
    """An (H, W, 3) uint8 RGB image as JPEG bytes."""
    import cv2

    ok, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise InputError(f"an image of shape {image.shape} cannot be written as JPEG.")
    return data.tobytes()
