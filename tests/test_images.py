"""Decoding: the stored pixels as (H, W, 3) uint8 RGB, or one sentence; nothing large is decoded to find out that it is large."""

from __future__ import annotations

import io
import struct
import time
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpbench.errors import InputError
from hpbench.images import MAX_IMAGE_PIXELS, ImageRef, decode_image, encode_jpeg

RED, GREEN, BLUE, WHITE = (250, 10, 20), (10, 240, 20), (10, 20, 230), (255, 255, 255)


def quarters(height: int = 48, width: int = 80) -> np.ndarray:
    """Red and green above blue and white: no flip, turn or swap of channels leaves it as it is."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2], image[: height // 2, width // 2 :] = RED, GREEN
    image[height // 2 :, : width // 2], image[height // 2 :, width // 2 :] = BLUE, WHITE
    return image


def encoded(image: np.ndarray, suffix: str, *flags: int) -> bytes:
    """By OpenCV, from RGB, RGBA or grey."""
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    done, data = cv2.imencode(suffix, np.ascontiguousarray(image), flags)
    assert done
    return data.tobytes()


def noisy(height: int = 60, width: int = 70) -> np.ndarray:
    return cv2.GaussianBlur(np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8), (0, 0), 1.5)


def refused(data: bytes) -> str:
    with pytest.raises(InputError) as error:
        decode_image(data, "in/a.jpg")
    text = str(error.value)
    assert text.startswith("in/a.jpg: ") and "\n" not in text
    return text


def assert_image(image: np.ndarray, height: int, width: int) -> None:
    assert image.shape == (height, width, 3) and image.dtype == np.uint8 and image.flags.c_contiguous


def with_segment(jpeg: bytes, marker: int, payload: bytes) -> bytes:
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + jpeg[2:]


def exif(orientation: int, thumbnail: bytes = b"") -> bytes:
    """Payload of an APP1 segment: one directory entry, Orientation (0x0112, SHORT), then a thumbnail."""
    return b"Exif\0\0" + b"MM\0\x2a" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0) + thumbnail


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(width: int, height: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


# ------------------------------------------------------------------------------------------------- what is decoded


@pytest.mark.parametrize(("suffix", "tolerance"), [(".jpg", 12), (".png", 0), (".bmp", 0), (".webp", 40)])
def test_channels_are_red_green_blue_and_rows_come_first(suffix, tolerance):
    image = decode_image(encoded(quarters(), suffix), "a")
    assert_image(image, 48, 80)
    for (row, column), colour in {(8, 8): RED, (8, 70): GREEN, (40, 8): BLUE, (40, 70): WHITE}.items():
        assert np.abs(image[row, column].astype(int) - colour).max() <= tolerance


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_lossless_formats_give_every_pixel(suffix):
    np.testing.assert_array_equal(decode_image(encoded(noisy(), suffix), "a"), noisy())


def test_progressive_jpeg():
    data = encoded(noisy(), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert b"\xff\xc2" in data
    assert np.abs(decode_image(data, "a").astype(int) - noisy()).mean() < 3


def test_own_jpeg_comes_back():
    image = decode_image(encode_jpeg(noisy(), 98), "a")
    assert np.abs(image.astype(int) - noisy()).mean() < 3
    assert len(encode_jpeg(noisy(), 50)) < len(encode_jpeg(noisy(), 98))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_ignored(orientation):
    plain = encoded(quarters(), ".jpg")
    turned = with_segment(plain, 0xE1, exif(orientation))
    np.testing.assert_array_equal(decode_image(turned, "a"), decode_image(plain, "a"))
    honoured = cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR)
    ignored = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(honoured, ignored) == (orientation == 1)  # the tag is one that decoders understand


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_grey_becomes_three_equal_channels(suffix):
    grey = np.tile(np.arange(0, 240, 3, dtype=np.uint8), (48, 1))
    image = decode_image(encoded(grey, suffix), "a")
    assert_image(image, 48, 80)
    assert np.abs(image.astype(int) - grey[..., None]).max() <= 3


def test_alpha_is_dropped():
    alpha = np.dstack([quarters(), np.full((48, 80), 7, np.uint8)])
    np.testing.assert_array_equal(decode_image(encoded(alpha, ".png"), "a"), quarters())


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_become_eight(channels):
    deep = (quarters().astype(np.uint16) * 257)[..., :channels]
    image = decode_image(encoded(deep if channels == 3 else deep[..., 0], ".png"), "a")
    assert_image(image, 48, 80)
    assert np.abs(image.astype(int) - quarters()[..., :channels]).max() <= 1


def test_palette_and_one_bit_png():
    pillow = pytest.importorskip("PIL.Image")
    for mode, tolerance in (("P", 0), ("1", 0)):
        source = quarters() if mode == "P" else np.where(quarters().sum(axis=2, keepdims=True) > 300, 255, 0).astype(np.uint8).repeat(3, 2)
        out = io.BytesIO()
        pillow.fromarray(source).convert(mode).save(out, "PNG")
        image = decode_image(out.getvalue(), "a")
        assert_image(image, 48, 80)
        expected = np.asarray(pillow.open(io.BytesIO(out.getvalue())).convert("RGB"))
        assert np.abs(image.astype(int) - expected).max() <= tolerance


def test_cmyk_jpeg():
    pillow = pytest.importorskip("PIL.Image")
    out = io.BytesIO()
    pillow.fromarray(quarters()).convert("CMYK").save(out, "JPEG", quality=95)
    image = decode_image(out.getvalue(), "a")
    assert_image(image, 48, 80)
    assert np.abs(image[8, 8].astype(int) - RED).max() < 30 and np.abs(image[40, 8].astype(int) - BLUE).max() < 30


def test_smallest_image():
    for suffix in (".jpg", ".png", ".bmp", ".webp"):
        assert_image(decode_image(encoded(quarters()[:1, :1], suffix), "a"), 1, 1)


@pytest.mark.parametrize("name", ["VP8 ", "VP8L", "VP8X"])
def test_every_kind_of_webp(name):
    pillow = pytest.importorskip("PIL.Image")
    source, out = pillow.fromarray(quarters()), io.BytesIO()
    if name == "VP8X":
        source.save(out, "WEBP", exif=exif(6))
    else:
        source.save(out, "WEBP", lossless=name == "VP8L")
    assert out.getvalue()[12:16] == name.encode()
    assert_image(decode_image(out.getvalue(), "a"), 48, 80)


def test_bytes_after_the_end_are_no_harm():
    for suffix in (".jpg", ".png", ".bmp"):
        data = encoded(noisy(), suffix)
        np.testing.assert_array_equal(decode_image(data + b"\0" * 3 * len(data), "a"), decode_image(data, "a"))


def test_filling_between_jpeg_segments_is_allowed():
    data = encoded(noisy(), ".jpg")
    np.testing.assert_array_equal(decode_image(data[:2] + b"\xff\xff\xff" + data[2:], "a"), decode_image(data, "a"))


def test_reference_reads_when_asked():
    calls = []

    def fetch() -> bytes:
        calls.append(1)
        return encoded(quarters(), ".png")

    reference = ImageRef("a.zip:b.png", fetch)
    assert not calls
    np.testing.assert_array_equal(reference.read(), quarters())
    reference.read()
    assert len(calls) == 2
    with pytest.raises(InputError, match=r"^a\.zip:b\.png: the file is empty"):
        ImageRef("a.zip:b.png", lambda: b"").read()


# ------------------------------------------------------------------------------------------------- what is refused


def test_empty_file():
    assert refused(b"") == "in/a.jpg: the file is empty."


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 500, b"<html>404</html>" * 30, b"\xff", b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF",
        b"RIFF\0\0\0\0WEBP", b"GIF89a",
    ],
)  # fmt: skip
def test_another_kind_of_file(data):
    refused(data)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
def test_truncated_in_many_places(suffix):
    data = encoded(noisy(), suffix)
    for size in [*range(1, 40), *range(40, len(data), max(1, len(data) // 40)), len(data) * 95 // 100]:
        refused(data[:size])


def test_truncated_progressive_jpeg():
    data = encoded(noisy(), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    for size in range(40, len(data) - 1, len(data) // 40):
        refused(data[:size])


def test_truncated_jpeg_with_a_thumbnail():
    thumbnail = encoded(noisy(40, 40), ".jpg")  # has an end marker of its own
    data = with_segment(encoded(noisy(), ".jpg"), 0xE1, exif(1, thumbnail))
    assert_image(decode_image(data, "a"), 60, 70)
    for size in range(40, len(data) - 1, len(data) // 60):
        refused(data[:size])
    assert "truncated" in refused(data[: len(data) - 300])


def test_truncated_names_itself_so():
    for suffix in (".jpg", ".png"):
        data = encoded(noisy(), suffix)
        assert "truncated" in refused(data[: len(data) // 2])


@pytest.mark.parametrize("size", [(60_000, 60_000), (30_000, 30_000), (10_001, 10_000), (2**31 - 1, 1)])
def test_huge_png_is_refused_by_its_header(size, monkeypatch):
    def decode(*_: object) -> None:
        pytest.fail("it was handed to the decoder")

    monkeypatch.setattr(cv2, "imdecode", decode)
    started = time.process_time()
    assert f"{size[0]} x {size[1]} pixels is over the limit" in refused(png_of(*size, zlib.compress(bytes(1000))))
    assert time.process_time() - started < 0.5


def stated(width: int, height: int) -> dict[str, bytes]:
    """Images of every kind that state this size; their content is that of a small one."""
    jpeg, bmp, lossy = (bytearray(encoded(quarters(), s)) for s in (".jpg", ".bmp", ".webp"))
    frame = jpeg.index(b"\xff\xc0")
    struct.pack_into(">HH", jpeg, frame + 5, min(height, 65535), min(width, 65535))
    struct.pack_into("<ii", bmp, 18, width, -height)  # rows from the top
    assert lossy[12:16] in (b"VP8 ", b"VP8L")
    extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    os2 = b"BM" + bytes(12) + struct.pack("<IHHHH", 12, min(width, 65535), min(height, 65535), 1, 24) + bytes(100)
    return {"jpeg": bytes(jpeg), "bmp": bytes(bmp), "os2": os2, "webp": extended + bytes(50), "png": png_of(width, height, b"")}


@pytest.mark.parametrize("kind", ["jpeg", "bmp", "os2", "webp", "png"])
def test_huge_images_of_every_kind_are_not_decoded(kind, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was handed to the decoder"))
    assert "20000 x 30000 pixels is over the limit of 100 megapixels" in refused(stated(20_000, 30_000)[kind])


@pytest.mark.parametrize("kind", ["VP8 ", "VP8L"])
def test_huge_webp_is_not_decoded(kind, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was handed to the decoder"))
    side = 16_383
    lossy = bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", side, side)
    lossless = b"\x2f" + struct.pack("<I", side - 1 | (side - 1) << 14)
    body = bytes(4) + (lossy if kind == "VP8 " else lossless) + bytes(50)
    assert "16383 x 16383" in refused(b"RIFF\0\0\0\0WEBP" + kind.encode() + body)


def test_limit_is_a_hundred_megapixels():
    rows = zlib.compress(bytes(10))
    assert MAX_IMAGE_PIXELS == 100_000_000
    assert "over the limit" not in refused(png_of(1, 100_000_000, rows))
    assert "over the limit" in refused(png_of(1, 100_000_001, rows))


def test_jpeg_without_a_frame_or_without_an_image():
    data = encoded(noisy(), ".jpg")
    frame = data.index(b"\xff\xc0")
    length = 2 + struct.unpack_from(">H", data, frame + 2)[0]
    assert "no frame header" in refused(data[:frame] + data[frame + length :])
    assert "holds no image" in refused(b"\xff\xd8\xff\xd9" + data[2:])


def image_or_refusal(data: bytes) -> None:
    try:
        image = decode_image(data, "a")
    except InputError as error:
        assert str(error).startswith("a: ") and "\n" not in str(error)
    else:
        assert image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8 and image.size


WHOLE = {suffix: encoded(noisy(), suffix) for suffix in (".jpg", ".png", ".bmp", ".webp")}


@given(st.sampled_from(sorted(WHOLE)), st.floats(0, 1))
def test_any_truncation(suffix, part):
    data = WHOLE[suffix]
    image_or_refusal(data[: round(part * len(data))])


@given(st.sampled_from(sorted(WHOLE)), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 7)), min_size=1, max_size=3))
def test_any_flipped_bits(suffix, flips):
    data = bytearray(WHOLE[suffix])
    for position, bit in flips:
        data[position % min(len(data), 700)] ^= 1 << bit  # the headers are there
    image_or_refusal(bytes(data))


STARTS = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"BM", b"RIFF\0\0\0\0WEBPVP8"]


@given(st.sampled_from(STARTS), st.binary(max_size=300))
def test_random_bytes(start, rest):
    image_or_refusal(start + rest)
