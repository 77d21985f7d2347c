"""`read_mat`: the variables asked for, or one sentence; never anything else, whatever the bytes are."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zlib

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from hpbench.errors import InputError
from hpbench.readers.files.matlab import MAX_MAT_BYTES, read_mat

SHAPES = {"Pose_Para": (1, 7), "pt3d_68": (3, 68)}
RNG = np.random.default_rng(5)
POSE = RNG.normal(0, 1, (1, 7)).astype(np.float32)
POINTS = RNG.uniform(0, 450, (3, 68)).astype(np.float32)


def labels() -> dict[str, object]:
    """The variables of an AFLW2000-3D label file, in its order, with its types."""
    return {
        "pt2d": RNG.uniform(0, 450, (2, 21)),
        "Illum_Para": RNG.uniform(0, 1, (1, 10)),
        "Color_Para": np.ones((1, 7), np.float32),
        "Tex_Para": RNG.normal(0, 1, (199, 1)),
        "Shape_Para": RNG.normal(0, 1e5, (199, 1)),
        "Exp_Para": RNG.normal(0, 1, (29, 1)),
        "Pose_Para": POSE,
        "roi": np.array([[-20, 30, 429, 479]], np.int16),
        "pt3d_68": POINTS,
    }


def mat(variables: dict[str, object], **keys: object) -> bytes:
    out = io.BytesIO()
    scipy.io.savemat(out, variables, **keys)
    return out.getvalue()


def with_pose(value: object, **keys: object) -> bytes:
    return mat({"Pose_Para": value, "pt3d_68": POINTS}, **keys)


def refused(data: bytes, shapes: dict[str, tuple[int, ...]] = SHAPES) -> str:
    with pytest.raises(InputError) as error:
        read_mat(data, "in/image00002.mat", shapes)
    text = str(error.value)
    assert text.startswith("in/image00002.mat: ") and "\n" not in text and len(text) < 400
    return text


PACKED, PLAIN = mat(labels(), do_compression=True), mat(labels(), do_compression=False)
V4 = mat({"Pose_Para": POSE, "pt3d_68": POINTS}, format="4")

# ------------------------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize("data", [PACKED, PLAIN, V4], ids=["compressed v5", "plain v5", "v4"])
def test_values_are_those_written(data):
    read = read_mat(data, "a.mat", SHAPES)
    assert list(read) == ["Pose_Para", "pt3d_68"]
    np.testing.assert_array_equal(read["Pose_Para"], POSE.astype(np.float64))
    np.testing.assert_array_equal(read["pt3d_68"], POINTS.astype(np.float64))
    assert {a.dtype for a in read.values()} == {np.dtype(np.float64)}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_numeric_types(dtype, packed):
    value = np.arange(7).astype(dtype)[None]
    read = read_mat(with_pose(value, do_compression=packed), "a.mat", SHAPES)["Pose_Para"]
    assert read.dtype == np.float64
    np.testing.assert_array_equal(read, np.arange(7.0)[None])


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u2", "i4", "u1"])
def test_numeric_types_of_v4(dtype):
    read = read_mat(mat({"a": np.arange(6).astype(dtype).reshape(2, 3)}, format="4"), "a.mat", {"a": (2, 3)})
    np.testing.assert_array_equal(read["a"], np.arange(6.0).reshape(2, 3))


def test_big_endian_file():
    value = np.arange(7, dtype=">f8")
    name = b"Pose_Para" + bytes(7)
    body = struct.pack(">4I", 6, 8, 6, 0) + struct.pack(">2I2i", 5, 8, 1, 7) + struct.pack(">2I", 1, 9) + name
    body += struct.pack(">2I", 9, value.nbytes) + value.tobytes()
    head = b"MATLAB 5.0 MAT-file, Platform: SOL2".ljust(124) + b"\1\0MI"
    element = struct.pack(">2I", 14, len(body)) + body
    for tail in (element, struct.pack(">2I", 15, len(zlib.compress(element))) + zlib.compress(element)):
        np.testing.assert_array_equal(read_mat(head + tail, "a.mat", {"Pose_Para": (1, 7)})["Pose_Para"], np.arange(7.0)[None])


def test_variables_nobody_asked_for_may_be_anything():
    others = {"c": np.array([[1, "a"]], object), "s": {"deep": {"er": 1}}, "t": "text", "z": np.array([[1j]]), "n": np.full((2, 2), np.nan)}
    for packed in (False, True):
        read = read_mat(mat({**others, **labels()}, do_compression=packed), "a.mat", SHAPES)
        np.testing.assert_array_equal(read["Pose_Para"], POSE.astype(np.float64))


# ------------------------------------------------------------------------------------------------- what is refused


def test_missing_variable_is_named_with_what_is_there():
    text = refused(mat({"Pose_Para": POSE, "pt2d": np.zeros((2, 68))}))
    assert "no pt3d_68" in text and "Pose_Para, pt2d" in text
    assert "it holds nothing" in refused(mat({}))
    assert "no pt3d_68" in refused(mat({"Pose_Para": POSE, **{f"v{k:03d}": 1.0 for k in range(200)}}))  # and is short


@pytest.mark.parametrize("shape", [(7, 1), (1, 6), (1, 8), (7, 7), (1, 7, 2), (0, 7)])
def test_wrong_shape_is_named(shape):
    for packed in (False, True):
        assert f"shape {shape}, expected (1, 7)" in refused(with_pose(np.zeros(shape), do_compression=packed))
    if len(shape) == 2 and shape[0]:
        assert f"shape {shape}" in refused(mat({"Pose_Para": np.zeros(shape), "pt3d_68": POINTS}, format="4"))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("value", "word"),
    [
        (POSE + 1j, "real numbers"),
        (np.array(["abcdefg"]), "char"),
        (np.array([list("abcdefg")]), "char"),
        (np.array([[POSE] * 7 + [None]], object)[:, :7], "cell"),
        (np.zeros((1, 7), [("field", object)]), "struct"),
        (scipy.sparse.csc_matrix(POSE.astype(float)), "sparse"),
        (np.ones((1, 7), bool), "logical"),
    ],
    ids=["complex", "text", "letters", "cell", "struct", "sparse", "logical"],
)
def test_not_real_numbers(value, word, packed):
    assert word in refused(with_pose(value, do_compression=packed))


@pytest.mark.parametrize("value", [POSE + 1j, np.array([list("abcdefg")]), scipy.sparse.csc_matrix(POSE.astype(float))])
def test_not_real_numbers_in_v4(value):
    refused(mat({"Pose_Para": value, "pt3d_68": POINTS}, format="4"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(value):
    pose = POSE.copy()
    pose[0, 6] = value
    assert "Pose_Para holds a number that is not finite" in refused(with_pose(pose))


def test_a_variable_twice():
    other = mat({"Pose_Para": POSE + 1})[128:]
    assert "Pose_Para is in it twice" in refused(PLAIN + other)
    read_mat(PLAIN + mat({"other": POSE})[128:] * 2, "a.mat", SHAPES)  # nobody asked for that one


def test_version_73_is_named():
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["Pose_Para"] = POSE
    plain = out.getvalue()
    head = b"MATLAB 7.3 MAT-file, Platform: PCWIN64, Created on: Tue Mar 29 22:50:27 2016 HDF5 schema 1.00 .".ljust(124) + b"\0\2IM"
    for data in (plain, head.ljust(512, b"\0") + plain, head + b"MAT"):
        assert "v7.3" in refused(data) and "HDF5" in refused(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\0", b"M", b"\0" * 127, b"\0" * 128, b"\0" * 4096, b"<html><body>404 Not Found</body></html>" * 9, b"\xff\xd8\xff\xe0" * 99,
        PACKED[:128] + b"\0" * 64, PACKED[:124] + b"\0\7IM" + PACKED[128:],
    ],
)  # fmt: skip
def test_another_kind_of_file(data):
    refused(data)


def test_empty_file():
    assert refused(b"") == "in/image00002.mat: the file is empty."


@pytest.mark.parametrize("data", [PACKED, PLAIN, V4], ids=["compressed v5", "plain v5", "v4"])
def test_truncated_anywhere(data):
    for size in [*range(0, len(data), 64), len(data) - 1]:
        refused(data[:size])


# ------------------------------------------------------------------------------------------------- hostile files


def bounded(data: bytes, shapes: dict[str, tuple[int, ...]] = SHAPES, seconds: float = 5.0, mib: int = 300) -> str:
    """The refusal, in bounded time and memory (as far as Python's allocators see it)."""
    tracemalloc.start()
    started = time.process_time()
    try:
        text = refused(data, shapes)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < seconds
    assert peak < mib << 20
    return text


def element(name: bytes, dims: tuple[int, ...], data: bytes, klass: int = 6, size: int | None = None) -> bytes:
    """A v5 matrix of doubles (class 6) whose data element states `size` bytes."""
    pad = -len(name) % 8
    body = struct.pack("<4I", 6, 8, klass, 0) + struct.pack(f"<2I{len(dims)}i", 5, 4 * len(dims), *dims) + bytes(4 * (len(dims) % 2))
    body += struct.pack("<2I", 1, len(name)) + name + bytes(pad)
    body += struct.pack("<2I", 9, len(data) if size is None else size) + data
    return struct.pack("<2I", 14, len(body)) + body


def packed_element(content: bytes) -> bytes:
    data = zlib.compress(content)
    return struct.pack("<2I", 15, len(data)) + data


def zeros(name: bytes, dims: tuple[int, ...], mib: int) -> bytes:
    """A compressed matrix whose data is really that long."""
    head = element(name, dims, b"", size=mib << 20)
    pack = zlib.compressobj(9)
    data = pack.compress(struct.pack("<2I", 14, len(head) - 8 + (mib << 20)) + head[8:])
    data += b"".join(pack.compress(bytes(1 << 20)) for _ in range(mib)) + pack.flush()
    return struct.pack("<2I", 15, len(data)) + data


HEAD = PACKED[:128]


def test_the_writer_of_these_tests_writes_what_is_read():
    data = np.arange(7.0).tobytes()
    for plain in (HEAD + element(b"a", (1, 7), data), HEAD + packed_element(element(b"a", (1, 7), data))):
        np.testing.assert_array_equal(read_mat(plain, "a.mat", {"a": (1, 7)})["a"], np.arange(7.0)[None])
    read_mat(HEAD + zeros(b"a", (1, 131072), 1), "a.mat", {"a": (1, 131072)})


@pytest.mark.parametrize("dims", [(10**9, 1), (1, 2**31 - 1), (-1, 7), (10**9, 10**9), (1,) * 200])
def test_header_that_claims_many_entries(dims):
    for klass in (1, 2, 4, 5, 6, 7, 16, 17):  # cell, struct, char, sparse, double, single, function, opaque
        one = element(b"Pose_Para", dims, bytes(56), klass)
        bounded(HEAD + one, seconds=2, mib=20)
        bounded(HEAD + packed_element(one), seconds=2, mib=20)


@pytest.mark.parametrize("size", [2**31 - 8, 2**32 - 1, 10**9])
def test_data_that_claims_gigabytes(size):
    one = element(b"Pose_Para", (1, 7), bytes(56), size=size)
    bounded(HEAD + one, {"Pose_Para": (1, 7)}, seconds=2, mib=20)
    bounded(HEAD + packed_element(one), {"Pose_Para": (1, 7)}, seconds=2, mib=20)
    huge_tag = struct.pack("<2I", 14, size) + one[8:]
    bounded(HEAD + huge_tag, {"Pose_Para": (1, 7)}, seconds=2, mib=20)
    bounded(HEAD + packed_element(huge_tag), {"Pose_Para": (1, 7)}, seconds=2, mib=20)


def test_zip_bomb_under_the_wanted_name_and_beside_it():
    for name in (b"Pose_Para", b"Tex_Para"):
        bomb = zeros(name, (1, 7), 256)
        assert len(bomb) < 1 << 20
        assert "unpacks to more than 64 MiB" in bounded(HEAD + bomb + PACKED[128:], mib=3 * (MAX_MAT_BYTES >> 20))


def test_many_small_bombs_share_the_limit():
    assert "unpacks to more than" in bounded(HEAD + zeros(b"v", (1, 7), 16) * 60 + PACKED[128:], mib=3 * (MAX_MAT_BYTES >> 20))


def test_bomb_within_a_bomb():
    inner = zeros(b"Pose_Para", (1, 7), 200)
    bounded(HEAD + packed_element(inner), seconds=2, mib=20)


def test_many_variables():
    assert "more than 10000 variables" in bounded(HEAD + element(b"v", (1, 1), bytes(8)) * 200_000)
    bounded(HEAD + struct.pack("<2I", 14, 0) * 200_000)


def test_v4_whose_sizes_lead_in_a_circle():
    loop = struct.pack("<5i", 50, -22, 1, 0, 2) + b"a\0"  # the next variable begins 22 bytes before this one's data: here
    assert "circle" in bounded(loop, {"a": (1, 7)})
    assert "circle" in bounded(loop + bytes(1 << 20), {"a": (1, 7)})
    whole = struct.pack("<5i", 50, -(22 + (1 << 20)), 1, 0, 2 + (1 << 20)) + b"a\0" + bytes(1 << 20)  # reads itself each time
    bounded(whole, {"a": (1, 7)})


@pytest.mark.parametrize("rows", [10**9, 2**31 - 1])
def test_v4_that_claims_many_entries(rows):
    bounded(struct.pack("<5i", 0, rows, 1, 0, 2) + b"a\0" + bytes(56), {"a": (1, 7)}, seconds=2, mib=20)
    bounded(struct.pack("<5i", 0, 1, 7, 0, rows) + b"a\0" + bytes(56), {"a": (1, 7)}, seconds=2, mib=20)


def test_file_larger_than_any_label_file():
    assert "no label file" in bounded(PLAIN + bytes(MAX_MAT_BYTES), seconds=1)


def read_or_refused(data: bytes) -> None:
    started = time.process_time()
    try:
        read = read_mat(data, "a.mat", SHAPES)
    except InputError as error:
        assert str(error).startswith("a.mat: ") and "\n" not in str(error)
    else:
        assert {k: v.shape for k, v in read.items()} == SHAPES
        assert all(np.isfinite(v).all() for v in read.values())
    assert time.process_time() - started < 5.0


@given(st.binary(max_size=600))
def test_random_bytes(data):
    read_or_refused(data)


@given(st.binary(max_size=600))
def test_random_elements(data):
    read_or_refused(HEAD + data)
    read_or_refused(HEAD + packed_element(data))


@given(st.sampled_from([PACKED, PLAIN, V4]), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 7)), min_size=1, max_size=4))
def test_flipped_bits(data, flips):
    damaged = bytearray(data)
    for position, bit in flips:
        damaged[position % len(data)] ^= 1 << bit
    read_or_refused(bytes(damaged))


def test_every_bit_of_the_headers_flipped():
    one = mat({"Pose_Para": POSE, "pt3d_68": POINTS})
    headers = [*range(112, 128), *range(128, 200), *range(232, 300)]
    for data, places in ((one, headers), (V4, range(40)), (packed_element_file(one), range(112, 150))):
        for place in places:
            for bit in range(8):
                damaged = bytearray(data)
                damaged[place] ^= 1 << bit
                read_or_refused(bytes(damaged))


def packed_element_file(plain: bytes) -> bytes:
    """Each element of a plain file as it is, compressed."""
    out, at = plain[:128], 128
    while at < len(plain):
        size = 8 + struct.unpack_from("<I", plain, at + 4)[0]
        out += packed_element(plain[at : at + size])
        at += size
    return out
