"""BIWI: depth images, the boxes they give, and the lists of boxes in circulation."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from miniatures.biwi import (
    ALL,
    CARD,
    DEPTH_K,
    FIRST,
    IDS,
    LISTS,
    RGB_K,
    camera_text,
    drawn_person,
    encode_depth,
    in_memory,
    one_sentence,
    opal_text,
)

from hpbench.errors import InputError, MissingDataError
from hpbench.readers import load
from hpbench.readers.biwi_boxes import depth_box, listed_boxes
from hpbench.readers.biwi_files import Calibration, decode_depth, read_calibration

# ------------------------------------------------------------------------------------------------- depth


def small_depth() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 4, (6, 8)).astype(np.int16) * 300


@given(st.lists(st.integers(0, 1200), min_size=1, max_size=60))
def test_depth_survives_its_encoding(values):
    image = (np.array(values, np.int16) * (np.array(values) > 300)).reshape(1, -1)
    np.testing.assert_array_equal(decode_depth(encode_depth(image), "d"), image)


def test_depth_with_an_empty_last_run():
    image = small_depth()
    image[-1] = 0
    data = encode_depth(image)
    assert data[-4:] == struct.pack("<i", 0)
    np.testing.assert_array_equal(decode_depth(data, "d"), image)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\0" * 7, struct.pack("<ii", 640, 480), struct.pack("<iiii", 640, 480, 5, 10**9), struct.pack("<ii", 10**9, 10**9),
        struct.pack("<ii", -640, 480), struct.pack("<iiii", 8, 6, 10**9, 0), struct.pack("<iiii", 8, 6, -1, 0),
        struct.pack("<iiii", 8, 6, 49, 0), struct.pack("<iiii", 8, 6, 48, 0) + b"\0", struct.pack("<iiii", 8, 6, 48, 0) + bytes(600),
        struct.pack("<ii", 2, 1) + struct.pack("<iihh", 0, 2, -5, 7), b"\x89PNG\r\n\x1a\n" + bytes(100), b"0.99 0.02 0.05 \n" * 9,
        encode_depth(small_depth())[:-1], encode_depth(small_depth())[:-2], encode_depth(small_depth())[:31],
    ],
)  # fmt: skip
def test_damaged_depth_is_one_sentence(data):
    with pytest.raises(InputError) as error:
        decode_depth(data, "01/frame_00003_depth.bin")
    one_sentence(error, "frame_00003_depth.bin")


@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_are_depth_or_one_sentence(data, headed):
    try:
        image = decode_depth((struct.pack("<ii", 4, 4) if headed else b"") + data, "d.bin")
    except InputError as error:
        assert "d.bin" in str(error)
    else:
        assert image.dtype == np.dtype("<i2") and (image >= 0).all()


def test_depth_box_is_the_head_of_the_largest_foreground(drawn):
    dataset = load("biwi", drawn)
    cameras = (
        Calibration(np.array(DEPTH_K), np.zeros(4), np.eye(3), np.zeros(3)),
        read_calibration(in_memory(camera_text(RGB_K, *FIRST).encode(), "rgb.cal")),
    )
    image = drawn_person()
    box = depth_box(image, *cameras)
    corners = np.array([[354 - 50 - 0.5, 169.5], [354 + 49 + 0.5, 169.5 + 575.816 * 220 / 880]])  # in the depth image
    for edge, (u, v) in zip(box.reshape(2, 2), corners, strict=True):
        point = cameras[1].rotation @ (880.0 * np.array([(u - 320) / 575.816, (v - 240) / 575.816, 1.0])) + cameras[1].translation
        np.testing.assert_allclose(edge, (np.array(RGB_K) @ point)[:2] / point[2], atol=1e-6)
    np.testing.assert_allclose(dataset.boxes_of("depth", IDS[:2]), [box, box], atol=1e-9)
    image[20:60, 20:60] = 900  # something smaller in the background, and what lies beyond the foreground
    image[:, 600:] = 1500
    image[100, 354] = 880  # a single pixel above the head
    np.testing.assert_allclose(depth_box(image, *cameras), box, atol=1e-9)
    for nothing in (np.zeros_like(image), np.full_like(image, 2000), np.eye(480, 640, dtype=np.int16) * 900):
        assert np.isnan(depth_box(nothing, *cameras)).all()


def test_depth_boxes_read_only_what_is_asked_for(frames):
    (frames / "hpdb" / f"{IDS[3]}_depth.bin").write_bytes(b"damaged")
    (frames / "hpdb" / f"{IDS[4]}_depth.bin").unlink()
    dataset = load("biwi", frames)
    assert np.isfinite(dataset.boxes_of("depth", IDS[:3])).all()
    with pytest.raises(InputError, match=f"{IDS[3]}_depth.bin"):
        dataset.boxes_of("depth", IDS[:4])
    with pytest.raises(MissingDataError, match=f"{IDS[4]}_depth.bin"):
        dataset.boxes_of("depth", IDS)


# ------------------------------------------------------------------------------------------------- lists of boxes


def test_lists_of_both_formats(frames):
    corners = np.arange(48).reshape(12, 4) + [0, 0, 100, 120]
    shuffled = np.random.default_rng(0).permutation(12)
    (frames / LISTS[0]).write_text(opal_text([IDS[i] for i in shuffled], corners[shuffled]))
    sizes = corners.astype(float)
    sizes[:, 2:] -= sizes[:, :2]
    for name, dtype in zip(LISTS[1:], (np.int64, np.float64, np.int64, np.int32), strict=True):
        images = np.array([f"{i}_rgb.png" for i in IDS[:10]])
        np.savez(
            frames / name,
            images=images,
            bbox=sizes[:10].astype(dtype),
            ypr=np.zeros((10, 3)),
            ids=np.zeros(10, np.int64),
            date=np.array("x"),
        )
    dataset = load("biwi", frames)
    names = {n: b.source.removeprefix("list:") for n, b in CARD.boxes.items() if b.source.startswith("list:")}
    assert set(names.values()) == set(LISTS)
    for name, file in names.items():
        boxes = dataset.boxes_of(name, IDS)
        listed = 12 if file.endswith(".txt") else 10
        np.testing.assert_array_equal(boxes[:listed], corners[:listed])
        assert np.isnan(boxes[listed:]).all()  # frames that the detector missed


def test_missing_list_names_the_file(drawn):
    with pytest.raises(MissingDataError, match=r"opal23_biwi_ann\.txt") as error:
        load("biwi", drawn).samples(boxes="mtcnn").__next__()
    assert error.value.exit_code == 3


def npz_bytes(tmp_path: Path, **arrays) -> bytes:
    np.savez(tmp_path / "list.npz", **arrays)
    return (tmp_path / "list.npz").read_bytes()


def test_bad_lists_are_one_sentence(tmp_path):
    box, header = [1, 2, 30, 40], opal_text([], [])
    image = np.array([f"{IDS[0]}_rgb.png"])
    whole = npz_bytes(tmp_path, images=image, bbox=np.array([box]))
    text = opal_text([IDS[0]], [box])
    bad = [
        b"", b"PK", b"\xff\xfe\0\0", b"<html>", whole[:40], whole[:-30], b"PK" + bytes(50), header[1:].encode(),
        text.replace("kinect_head_pose_db", "../hpdb").encode(), text.replace("kinect_head_pose_db", "/etc").encode(),
        text.replace("kinect_head_pose_db", "C:\\db").encode(), text.replace("01/", "25/").encode(), (text + text.splitlines()[1]).encode(),
        text.replace(";30;", ";x;").encode(), text.replace(";30;", ";nan;").encode(), text.replace(";30;", ";").encode(),
        text.replace(";30;", ";0;").encode(), text.replace(";30;", ";inf;").encode(),
        npz_bytes(tmp_path, images=image), npz_bytes(tmp_path, images=image, bbox=np.zeros((2, 4))),
        npz_bytes(tmp_path, images=image, bbox=np.array([["1", "2", "3", "4"]])),
        npz_bytes(tmp_path, images=np.array([1]), bbox=np.array([box])),
        npz_bytes(tmp_path, images=np.array([image[0]], object), bbox=np.array([box])),
        npz_bytes(tmp_path, images=np.array(["../../x_rgb.png"]), bbox=np.array([box])),
        npz_bytes(tmp_path, images=image, bbox=np.array([[1, 2, 0, 4]])),
    ]  # fmt: skip
    for number, data in enumerate(bad):
        with pytest.raises(InputError) as error:
            table = listed_boxes(in_memory(data, "opal23_biwi_ann.txt"), set(ALL))
            pytest.fail(f"case {number} was read: {table}")
        one_sentence(error, "opal23_biwi_ann.txt")


def test_npz_that_claims_a_billion_rows(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 4), }"
    claim = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "l.npz", "w") as archive:
        archive.writestr("images.npy", claim)
        archive.writestr("bbox.npy", claim)
    with pytest.raises(InputError, match="1000000000"):
        listed_boxes(in_memory((tmp_path / "l.npz").read_bytes(), "l.npz"), set(ALL))
    with pytest.raises(InputError, match="too many"):
        listed_boxes(in_memory(b"PK", "l.npz", size=1 << 30), set(ALL))


@given(st.binary(max_size=300), st.sampled_from(["raw", "zip", "text"]))
def test_random_lists_are_read_or_one_sentence(data, kind):
    start = {"raw": b"", "zip": b"PK\3\4", "text": opal_text([], []).encode()}[kind]
    try:
        table = listed_boxes(in_memory(start + data, "list"), set(ALL))
    except InputError as error:
        assert "list" in str(error) and "\n" not in str(error)
    else:
        assert len(table) == 0
