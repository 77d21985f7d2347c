"""Cropping: the window, its borders, and the exact way back to image pixels."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpbench.errors import InputError
from hpbench.models.crop import Crop, CropSpec, crop_face


def ramp(width: int, height: int) -> np.ndarray:
    """An image whose red is its column and whose green is its row (below 256)."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([x, y, 0 * x], axis=-1).astype(np.uint8)


def crop(image, box, size_px=(8, 8), **keys) -> Crop:
    result = crop_face(image, np.array(box, dtype=float), CropSpec(**keys), size_px)
    assert isinstance(result, Crop), result
    return result


def test_unscaled_crop_is_a_piece_of_the_image():
    image = ramp(40, 30)
    piece = crop(image, [10.0, 5.0, 17.9, 12.9])
    assert np.array_equal(piece.pixels, image[5:13, 10:18])
    assert np.allclose(piece.to_image([[0.0, 0.0], [7.0, 3.5]]), [[10.0, 5.0], [17.0, 8.5]], atol=1e-12)


@pytest.mark.parametrize("box", [[20.3, 30.7, 60.2, 85.1], [-7.4, -3.0, 45.0, 60.0], [70.0, 66.0, 99.0, 140.0]])
def test_rectangle_clip_is_the_public_test_code(box):
    image = np.random.default_rng(0).integers(0, 256, (100, 90, 3), dtype=np.uint8)
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    a, b = max(int(x0 - 0.6 * w), 0), max(int(y0 - 0.6 * h), 0)
    c, d = min(int(x1 + 0.6 * w), 89), min(int(y1 + 0.6 * h), 99)
    assert np.array_equal(crop(image, box, (64, 64), margin=0.6).pixels, cv2.resize(image[b : d + 1, a : c + 1], (64, 64)))


@pytest.mark.parametrize("shape", ["rectangle", "square"])
@pytest.mark.parametrize("border", ["clip", "constant", "replicate"])
@pytest.mark.parametrize("interpolation", ["linear", "area", "cubic"])
def test_the_way_back_agrees_with_the_pixels(shape, border, interpolation):
    """A ramp's value *is* its coordinate, so the crop's pixels say where they were taken."""
    image = ramp(200, 220)
    for box in ([60.2, 50.9, 151.3, 123.4], [-20.0, 40.0, 60.0, 90.0], [150.0, 180.0, 230.0, 240.0]):
        piece = crop(image, box, (24, 16), margin=0.1, shape=shape, border=border, interpolation=interpolation)
        x, y = np.meshgrid(np.arange(24.0), np.arange(16.0))
        there = piece.to_image(np.stack([x, y], axis=-1).reshape(-1, 2))
        taken = piece.pixels.reshape(-1, 3)[:, :2].astype(float)
        inner = ((there > 8) & (there < [191, 211])).all(axis=1)  # away from borders, where interpolation sees other pixels
        assert inner.any()
        # OpenCV's linear resize of uint8 loses up to 0.75 grey values; half a crop pixel would be 2
        assert np.abs(there - taken)[inner].max() <= 0.75


def test_area_averages_where_it_shrinks():
    image = np.zeros((32, 32, 3), np.uint8)
    image[::2, ::2] = 200
    assert np.all(crop(image, [0, 0, 31.5, 31.5], (8, 8), interpolation="area").pixels == 50)


def test_borders():
    image = np.full((10, 10, 3), 90, np.uint8)
    box = [-5.0, 0.0, 4.9, 9.9]
    assert np.array_equal(crop(image, box, (10, 10), border="constant").pixels[:, :, 0], [[0] * 5 + [90] * 5] * 10)
    assert np.all(crop(image, box, (10, 10), border="replicate").pixels == 90)
    clipped = crop(image, box, (10, 10), border="clip")
    assert np.all(clipped.pixels == 90)
    assert np.allclose(clipped.to_image([[-0.5, -0.5], [9.5, 9.5]]), [[-0.5, -0.5], [4.5, 9.5]])
    padded = crop(image, box, (10, 10), border="constant")
    assert np.allclose(padded.to_image([[-0.5, -0.5], [9.5, 9.5]]), [[-5.5, -0.5], [4.5, 9.5]])


def test_square_keeps_the_aspect():
    for box in ([20.1, 20.2, 40.3, 71.9], [30.0, 33.0, 90.5, 41.0]):
        back = crop(ramp(120, 120), box, (32, 32), shape="square", border="constant", margin=0.25).image_from_crop
        assert back[0, 0] == back[1, 1]


def test_four_margins():
    back = crop(ramp(100, 100), [40, 40, 59.9, 49.9], (10, 10), margin=(0.5, 1.0, 0.0, 2.0), border="constant")
    assert np.allclose(back.to_image([[-0.5, -0.5]]), [[30 - 0.5 + 0, 30 - 0.5]], atol=1.0)
    assert np.allclose(back.to_image([[9.5, 9.5]]), [[59.5, 69.5]], atol=1.0)


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([math.nan, 0, 5, 5], "not a number"),
        ([0, 0, math.inf, 5], "not a number"),
        ([5, 5, 5, 9], "empty"),
        ([9, 5, 5, 9], "empty"),
        ([40, 0, 50, 9], "outside"),
        ([-9, 0, -1, 9], "outside"),
        ([0, 0, 1e9, 1e9], "asks for a crop"),
    ],
)
def test_no_crop_has_a_reason(box, reason):
    result = crop_face(ramp(40, 30), np.array(box, dtype=float), CropSpec(border="constant"), (8, 8))
    assert isinstance(result, str) and reason in result


def test_huge_box_can_be_clipped():
    assert np.array_equal(crop(ramp(8, 8), [-1e12, -1e12, 1e12, 1e12]).pixels, ramp(8, 8))


@pytest.mark.parametrize("margin", [math.nan, -0.5, (-0.6, 0.0, -0.4, 0.0)])
def test_margins_that_leave_nothing(margin):
    with pytest.raises(InputError, match="leaves nothing"):
        CropSpec(margin=margin).validate("card")


coordinates = st.floats(-60, 120, allow_nan=False)


@given(
    st.tuples(coordinates, coordinates, coordinates, coordinates),
    st.sampled_from(["rectangle", "square"]),
    st.sampled_from(["clip", "constant", "replicate"]),
    st.floats(-0.4, 1.0),
)
def test_any_box_gives_a_crop_or_a_reason(box, shape, border, margin):
    result = crop_face(ramp(50, 40), box, CropSpec(margin, shape, border), (16, 12))
    if isinstance(result, str):
        assert result
        return
    assert result.pixels.shape == (12, 16, 3)
    corners = result.to_image([[-0.5, -0.5], [15.5, 11.5]])
    assert np.allclose(corners, np.round(corners + 0.5) - 0.5, atol=1e-6)  # edges of whole pixels
    if border == "clip":
        assert (corners >= -0.5 - 1e-6).all() and (corners <= np.array([49.5, 39.5]) + 1e-6).all()
    elif shape == "rectangle" and margin >= 0:
        assert (corners[0] <= np.array(box[:2]) + 0.5 + 1e-6).all() and (corners[1] >= np.array(box[2:]) - 0.5 - 1e-6).all()


@given(st.integers(-20, 20), st.integers(-20, 20))
def test_moving_image_and_box_moves_the_crop_only(dx, dy):
    rng = np.random.default_rng(5)
    face = rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)
    box = np.array([3.3, 4.1, 20.7, 25.2])
    image = np.zeros((120, 120, 3), np.uint8)
    image[40 + dy : 70 + dy, 40 + dx : 70 + dx] = face
    still = np.zeros((120, 120, 3), np.uint8)
    still[40:70, 40:70] = face
    spec = CropSpec(0.2, "square", "constant")
    a = crop_face(still, box + 40, spec, (16, 16))
    b = crop_face(image, box + 40 + [dx, dy, dx, dy], spec, (16, 16))
    assert isinstance(a, Crop) and isinstance(b, Crop)
    assert np.array_equal(a.pixels, b.pixels)
    assert np.allclose(b.image_from_crop[:, 2] - a.image_from_crop[:, 2], [dx, dy])
