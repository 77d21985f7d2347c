"""Prediction files: what goes in comes out of every format; what is wrong is one sentence that names the file."""

from __future__ import annotations

import json
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prediction_files import EYE, NAN3, put, put_h5, put_jsonl, put_npz, refused, some_predictions

from hpbench.columns import CONTROL
from hpbench.errors import InputError
from hpbench.faces import Faces
from hpbench.geometry.rotations import CONVENTIONS, rotation_from_euler
from hpbench.predictions import SUFFIXES, Predictions, read_predictions, write_predictions

# ------------------------------------------------------------------------------------------------ round trips

# Anything but line breaks, NUL and lone surrogates, which no format can carry in all readers
texts = st.text(st.characters(exclude_categories=["Cs"]).filter(lambda c: not CONTROL.search(c)), max_size=12)
ids = texts.filter(bool) | st.sampled_from(["a,b", 'a"b', "#a", " a ", "=1+1", "\u2028", "\x85", "日本/é", "0001", "nan", "'", "\ufeff"])
names = st.sampled_from(["", "net", "landmarks", "my net: v=2", 'the "best", 1st', "#1", "naïve"])
degrees = st.floats(-1000, 1000) | st.sampled_from([-0.0, 5e-324, 0.1 + 0.2])


@st.composite
def predictions(draw: st.DrawFn) -> Predictions:
    sample_id = draw(st.lists(ids, min_size=1, max_size=5, unique=True))
    n = len(sample_id)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    failed = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    columns: dict[str, object] = {}
    pose = draw(st.sampled_from(["euler", "rotation", "none"]))
    if pose == "euler":
        columns["convention"] = draw(st.sampled_from(sorted(CONVENTIONS)))
        columns["euler_deg"] = np.array([NAN3 if f else draw(st.tuples(degrees, degrees, degrees)) for f in failed])
    elif pose == "rotation":
        columns["rotation"] = np.where(failed[:, None, None], np.nan, rotation_from_euler(rng.uniform(-90, 90, (n, 3)), "yxz"))
    points = draw(st.sampled_from([1, 3, 68]))
    if draw(st.booleans()) or pose == "none":
        landmarks = rng.normal(0, 1e3, (n, points, 2))
        landmarks[rng.random((n, points)) < 0.1] = np.nan
        landmarks[failed] = np.nan
        columns["landmarks"] = landmarks
        columns["scheme"] = draw(st.sampled_from([None, "ibug68-fixed", "ibug68-contour"])) if points == 68 else None
    if draw(st.booleans()):
        columns["visibility"] = np.where(failed[:, None], np.nan, rng.random((n, points)))
    if draw(st.booleans()):
        columns["failure"] = [draw(texts) or "why" if f else "" for f in failed]
    return Predictions(Faces(sample_id=sample_id, **columns), boxes=draw(names), model=draw(names))


ALL_FAILED = Predictions(
    Faces(["a", "b"], euler_deg=[NAN3] * 2, convention="yxz", landmarks=np.full((2, 5, 2), np.nan), visibility=np.full((2, 5), np.nan))
)


@settings(max_examples=60)
@given(predictions())
@example(ALL_FAILED)
@example(Predictions(Faces(["a"], rotation=[np.full((3, 3), np.nan)])))
@example(some_predictions())
def test_every_format_gives_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, written: Predictions) -> None:
    folder = tmp_path_factory.getbasetemp()
    for suffix in SUFFIXES:
        path = folder / f"round{suffix}"
        write_predictions(path, written)
        read = read_predictions(path)
        assert read.faces.content_sha256() == written.faces.content_sha256(), suffix
        assert (read.boxes, read.model) == (written.boxes, written.model)
        assert (read.faces.convention, read.faces.scheme) == (written.faces.convention, written.faces.scheme)
        assert list(read.faces.sample_id) == list(written.faces.sample_id)
        for name in ("rotation", "euler_deg", "landmarks", "visibility"):
            expected, found = getattr(written.faces, name), getattr(read.faces, name)
            assert (found is None) == (expected is None)
            if expected is not None:
                np.testing.assert_array_equal(found, expected)
        if written.faces.failure is not None and any(written.faces.failure):
            assert list(read.faces.failure) == list(written.faces.failure)
        else:
            assert read.faces.failure is None
        again = path.with_name(f"again{suffix}")
        write_predictions(again, read)
        assert again.read_bytes() == path.read_bytes()


def test_the_same_predictions_are_the_same_bytes_at_any_time(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        write_predictions(tmp_path / f"first{suffix}", some_predictions())
    time.sleep(2.1)  # zip archives count in steps of two seconds, HDF5 in seconds
    for suffix in SUFFIXES:
        write_predictions(tmp_path / f"second{suffix}", some_predictions())
        assert (tmp_path / f"first{suffix}").read_bytes() == (tmp_path / f"second{suffix}").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f"{n}{s}" for n in ("first", "second") for s in SUFFIXES)


def test_a_reason_of_several_lines_becomes_one_in_every_format(tmp_path: Path) -> None:
    faces = Faces(["a", "b"], euler_deg=[NAN3, [0, 0, 0]], convention="yxz", failure=["RuntimeError:\r\n\tboom \udc80\0\n", ""])
    assert list(faces.failure) == ["RuntimeError: boom", ""]
    for suffix in SUFFIXES:
        write_predictions(tmp_path / f"a{suffix}", Predictions(faces))
        assert list(read_predictions(tmp_path / f"a{suffix}").faces.failure) == ["RuntimeError: boom", ""]


@pytest.mark.parametrize("bad", ["", "a\nb", "a\rb", "a\tb", "a\0", "\udc80"])
def test_ids_that_no_list_can_hold_are_refused(tmp_path: Path, bad: str) -> None:
    with pytest.raises(InputError, match="in row 2 (is empty|holds a line break)"):
        Faces(["a", bad], rotation=[EYE, EYE])
    refused(put_jsonl(tmp_path / "a.jsonl", {}, {"sample_id": "a", "rotation": EYE.tolist()}, {"sample_id": bad}), "row 2")


@pytest.mark.parametrize("name", ["two\nlines", " net", "net\xa0", "net,", "\udc80"])
def test_names_that_no_header_line_can_hold_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="is no name"):
        Predictions(Faces(["a"], rotation=[EYE]), model=name)


def test_a_convention_beside_matrices_changes_nothing(tmp_path: Path) -> None:
    plain, declared = Faces(["a"], rotation=[EYE]), Faces(["a"], rotation=[EYE], convention="300w-lp")
    assert plain.content_sha256() == declared.content_sha256()
    write_predictions(tmp_path / "a.h5", Predictions(declared))
    assert read_predictions(tmp_path / "a.h5").faces.content_sha256() == declared.content_sha256()


def test_angles_win_over_a_rounded_matrix_so_that_a_file_scores_like_memory(tmp_path: Path) -> None:
    euler = np.array([[30.0, 20.0, 10.0]])
    faces = Faces(["a"], euler_deg=euler, convention="yxz", rotation=rotation_from_euler(euler, "yxz").round(3))
    write_predictions(tmp_path / "a.csv", Predictions(faces))
    np.testing.assert_array_equal(read_predictions(tmp_path / "a.csv").faces.rotation, faces.rotation)


def test_writing_where_nothing_can_be_written_is_one_sentence(tmp_path: Path) -> None:
    put(tmp_path / "file", "x")
    for suffix in SUFFIXES:
        with pytest.raises(InputError, match="cannot be written") as caught:
            write_predictions(tmp_path / "file" / f"a{suffix}", some_predictions())
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"ends in \.h5, \.npz, \.csv, \.jsonl, not '\.txt'"):
        write_predictions(tmp_path / "a.txt", some_predictions())


# --------------------------------------------------------------------------------------------- files of outsiders


def test_a_csv_with_its_columns_in_another_order(tmp_path: Path) -> None:
    path = put(tmp_path / "a.CSV", "# convention=300w-lp\n\nroll_deg, yaw_deg ,sample_id,pitch_deg\n3,1,b,2\n\n6,4,a,5\n")
    faces = read_predictions(path).faces
    assert list(faces.sample_id) == ["b", "a"]
    np.testing.assert_array_equal(faces.euler_deg, [[1, 2, 3], [4, 5, 6]])
    assert faces.convention == "300w-lp"


def test_a_csv_from_a_spreadsheet(tmp_path: Path) -> None:
    """A byte order mark, CRLF, declarations quoted and padded with commas, empty cells and an empty last row."""
    lines = ['"# model=net, 2nd",,,', "#convention = 300w-lp ,,,", ",,,", "sample_id,yaw_deg,pitch_deg,roll_deg", "a,1,2.5,-3E0", "b,,,"]
    read = read_predictions(put(tmp_path / "a.csv", "\ufeff" + "\r\n".join(lines) + "\r\n"))
    assert (read.model, read.faces.convention) == ("net, 2nd", "300w-lp")
    np.testing.assert_array_equal(read.faces.euler_deg, [[1, 2.5, -3], NAN3])


def test_a_csv_with_points_and_matrices(tmp_path: Path) -> None:
    names = [f"r{i}{j}" for j in range(3) for i in range(3)]  # column by column
    header = ",".join(["v1", "y0", "x1", "x0", "y1", "sample_id", "v0", *names])
    faces = read_predictions(put(tmp_path / "a.csv", f"{header}\n0.75,2,3,1,4,a,0.25,{','.join(map(str, EYE[[1, 2, 0]].ravel()))}\n")).faces
    np.testing.assert_array_equal(faces.landmarks, [[[1, 2], [3, 4]]])
    np.testing.assert_array_equal(faces.visibility, [[0.25, 0.75]])
    np.testing.assert_array_equal(faces.rotation, [EYE[[1, 2, 0]].T])


def test_a_reason_with_a_line_break_in_a_quoted_cell(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", '# convention=yxz\nsample_id,failure,yaw_deg,pitch_deg,roll_deg\na,"two\nlines, ""q""",,,\nb,,1,2,3\n')
    assert list(read_predictions(path).faces.failure) == ['two lines, "q"', ""]


def test_ids_with_unicode_line_separators_do_not_break_lines(tmp_path: Path) -> None:
    for text in ("a\u2028b", "a\x85b"):
        row = json.dumps({"sample_id": text, "rotation": EYE.tolist()}, ensure_ascii=False)
        assert list(read_predictions(put(tmp_path / "a.jsonl", f"{{}}\n{row}\n")).faces.sample_id) == [text]


def test_jsonl_with_nulls(tmp_path: Path) -> None:
    path = put_jsonl(
        tmp_path / "a.jsonl",
        {"convention": "yxz", "boxes": "landmarks"},
        {"sample_id": "a", "euler_deg": None, "failure": "no face", "landmarks": None},
        {"landmarks": [[1, 2], [None, None]], "euler_deg": [1, 2, 3], "sample_id": "b", "failure": None},
        {"sample_id": "c", "landmarks": [[1, 2], [3, 4]]},
    )
    read = read_predictions(path)
    np.testing.assert_array_equal(read.faces.euler_deg, [NAN3, [1, 2, 3], NAN3])
    np.testing.assert_array_equal(read.faces.landmarks[1:], [[[1, 2], [np.nan, np.nan]], [[1, 2], [3, 4]]])
    assert np.isnan(read.faces.landmarks[0]).all()
    assert list(read.faces.failure) == ["no face", "", ""] and read.boxes == "landmarks"


def test_jsonl_where_every_pose_failed(tmp_path: Path) -> None:
    path = put_jsonl(tmp_path / "a.jsonl", {}, {"sample_id": "a", "rotation": None})
    assert np.isnan(read_predictions(path).faces.rotation).all()
    refused(put_jsonl(tmp_path / "b.jsonl", {}, {"sample_id": "a", "landmarks": None}), "landmarks is null in every row")


def test_an_npz_of_plain_arrays(tmp_path: Path) -> None:
    euler = np.array([[1, 2, 3], [4, 5, 6]])
    for sample_id in (np.array(["a", "bé"]), np.array(["a", "bé"], dtype="U64"), np.array([b"a", "bé".encode()])):
        read = read_predictions(put_npz(tmp_path / "a.npz", sample_id=sample_id, euler_deg=euler, convention="yxz", model=b"net"))
        assert list(read.faces.sample_id) == ["a", "bé"] and read.model == "net"
        np.testing.assert_array_equal(read.faces.euler_deg, euler)
    np.savez_compressed(tmp_path / "b.npz", sample_id=sample_id, euler_deg=euler.astype(">f4"), convention=np.array("yxz"))
    assert read_predictions(tmp_path / "b.npz").faces.content_sha256() == read.faces.content_sha256()


def test_an_h5_of_variable_strings_and_single_precision(tmp_path: Path) -> None:
    euler = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
    variable = np.array(["a", "bé"], dtype=h5py.string_dtype())
    bytewise = np.array([b"a", "bé".encode()])  # declared as ASCII by h5py, UTF-8 in fact
    for sample_id in (variable, bytewise):
        for declared in ("yxz", np.bytes_("yxz"), b"yxz"):
            faces = read_predictions(put_h5(tmp_path / "a.h5", {"convention": declared}, sample_id=sample_id, euler_deg=euler)).faces
            assert list(faces.sample_id) == ["a", "bé"] and faces.convention == "yxz"
            np.testing.assert_array_equal(faces.euler_deg, euler)
            assert faces.euler_deg.dtype == np.float64
    compressed = tmp_path / "b.h5"
    with h5py.File(compressed, "w") as file:
        file.create_dataset("sample_id", data=["a", "bé"])
        file.create_dataset("euler_deg", data=euler, chunks=(1, 3), compression="gzip")
        file["convention"] = "yxz"  # a text dataset instead of an attribute
    assert read_predictions(compressed).faces.content_sha256() == faces.content_sha256()


# --------------------------------------------------------------------------------------------------------- fuzz


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, bytes]]:
    """Of each suffix, a path to write to and the bytes of a whole file."""
    folder = tmp_path_factory.mktemp("fuzz")
    for suffix in SUFFIXES:
        write_predictions(folder / f"whole{suffix}", some_predictions())
    return {suffix: (folder / f"damaged{suffix}", (folder / f"whole{suffix}").read_bytes()) for suffix in SUFFIXES}


def refused_or_read(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    started = time.process_time()
    try:
        found = read_predictions(path)
    except InputError as error:
        assert str(error).startswith(f"{path}: ")
        assert "\n" not in str(error) and len(str(error)) < len(str(path)) + 400
    else:
        found.faces.content_sha256()
    assert time.process_time() - started < 5


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=60)
@given(data=st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_random_bytes_are_refused_or_read(whole: dict[str, tuple[Path, bytes]], suffix: str, data: bytes) -> None:
    refused_or_read(whole[suffix][0], data)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_cut_files_are_refused_or_read(whole: dict[str, tuple[Path, bytes]], suffix: str) -> None:
    path, data = whole[suffix]
    for length in np.random.default_rng(2).integers(0, len(data), 60):
        refused_or_read(path, data[:length])
    if suffix in (".h5", ".npz"):
        refused(put(path, data[: len(data) // 2]), "truncated")


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=200)
@given(positions=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4), near=st.booleans())
def test_damaged_files_are_refused_or_read(
    whole: dict[str, tuple[Path, bytes]], suffix: str, positions: list[tuple[float, int]], near: bool
) -> None:
    """Other bits anywhere, or in the first 3000 bytes, where headers are."""
    path, data = whole[suffix]
    damaged = bytearray(data)
    for position, bits in positions:
        damaged[int(position * (min(len(data), 3000) if near else len(data)))] ^= bits
    refused_or_read(path, bytes(damaged))
