"""Prediction files: what goes in comes out of every format; what is wrong is one sentence that names the file."""

from __future__ import annotations

import json
import os
import pickle
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpbench.errors import InputError
from hpbench.faces import Faces
from hpbench.geometry.rotations import CONVENTIONS, rotation_from_euler
from hpbench.predictions import SUFFIXES, Predictions, read_predictions, write_predictions

EYE = np.eye(3)
NAN3 = [np.nan] * 3


def refused(path: Path, *parts: str) -> str:
    """The one sentence with which a file is refused; it must name the file and hold `parts`."""
    with pytest.raises(InputError) as caught:
        read_predictions(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message and "\r" not in message
    assert message.endswith((".", "?", ")"))
    assert len(message) < len(str(path)) + 400
    for part in parts:
        assert part in message
    return message


def put(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def put_h5(path: Path, attributes: dict[str, object] | None = None, **arrays: object) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            file[name] = value
        file.attrs.update(attributes or {})
    return path


def put_npz(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)
    return path


def put_jsonl(path: Path, *rows: object) -> Path:
    return put(path, "".join(json.dumps(row) + "\n" for row in rows))


def some_predictions() -> Predictions:
    """Three faces with everything a file can hold; the second failed."""
    rng = np.random.default_rng(1)
    points, visible = rng.normal(200, 50, (3, 68, 2)), rng.random((3, 68))
    points[1] = visible[1] = np.nan
    points[2, 5] = np.nan
    faces = Faces(
        sample_id=["AFW/a 1", 'né,"w"', "c"],
        euler_deg=[[10.5, -3.25, 1 / 3], NAN3, [170.0, 0.0, -0.0]],
        convention="300w-lp",
        landmarks=points,
        scheme="ibug68-fixed",
        visibility=visible,
        failure=["", "no image", ""],
    )
    return Predictions(faces, boxes="landmarks", model="net, the 2nd")


# ------------------------------------------------------------------------------------------------ round trips

# Anything but line breaks, NUL and lone surrogates, which no format can carry in all readers
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=[chr(c) for c in (*range(32), 127)]), max_size=12)
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


# ----------------------------------------------------------------------------------------------------- bad input


def write_any(path: Path, declarations: dict[str, str], columns: dict[str, object]) -> Path:
    """These columns in the format of the path, with no check at all."""
    arrays = {k: np.array(v) for k, v in columns.items()}
    if path.suffix == ".h5":
        strings = {k: v.astype(object) if v.dtype.kind == "U" else v for k, v in arrays.items()}
        return put_h5(path, declarations, **strings)
    if path.suffix == ".npz":
        return put_npz(path, **arrays, **declarations)
    if path.suffix == ".jsonl":
        none = json.loads(json.dumps({k: v.tolist() for k, v in arrays.items()}).replace("NaN", "null"))
        return put_jsonl(path, declarations, *({k: v[i] for k, v in none.items()} for i in range(len(arrays["sample_id"]))))
    header = {"euler_deg": ["yaw_deg", "pitch_deg", "roll_deg"], "rotation": [f"r{i}{j}" for i in range(3) for j in range(3)]}
    lines = [f"# {k}={v}" for k, v in declarations.items()] + [",".join(sum((header.get(k, [k]) for k in arrays), []))]
    lines += [",".join(str(c) for v in arrays.values() for c in v[i].ravel()) for i in range(len(arrays["sample_id"]))]
    return put(path, "\n".join(lines))


R45 = rotation_from_euler([[45, 30, 10]], "yxz")[0]
HOLE = np.where(np.arange(9).reshape(3, 3) == 5, np.nan, R45)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("declarations", "columns", "parts"),
    [
        ({}, {"euler_deg": [[1, 2, 3], [4, 5, 6]]}, ["needs its convention", "300w-lp"]),
        ({"convention": "300wlp"}, {"euler_deg": [[1, 2, 3], [4, 5, 6]]}, ["'300wlp'", "did you mean '300w-lp'?"]),
        ({"convention": "yxz"}, {"euler_deg": [[1, 2, 3], [4, np.nan, 6]]}, ["face 'b'", "angles", "NaN"]),
        ({"convention": "yxz"}, {"euler_deg": [[1, 2, 3], [4, 1e999, 6]]}, ["infinite", "row 2"]),
        ({}, {"rotation": [EYE, [[1, 0, 0], [0.5, 1, 0], [0, 0, 1]]]}, ["face 'b'", "no rotation", "(1 such rows"]),
        ({}, {"rotation": [EYE, np.diag([1, 1, -1.0])]}, ["face 'b'", "reflection"]),
        ({}, {"rotation": [R45, 1.02 * R45]}, ["face 'b'", "scaled"]),
        ({}, {"rotation": [R45, HOLE]}, ["face 'b'", "NaN"]),
        ({}, {"rotation": [EYE, [[1e200, 1e200, 0], [1e200, -1e200, 0], [0, 0, 1]]]}, ["face 'b'", "no rotation"]),
        ({"convention": "yxz"}, {"rotation": [EYE, EYE], "euler_deg": [[0, 0, 0], [4, 0, 0]]}, ["face 'b'", "4.0 degrees apart"]),
        ({"convention": "yxz"}, {"rotation": [EYE, EYE], "euler_deg": [[0, 0, 0], NAN3]}, ["face 'b'", "matrix but no angles"]),
        ({"convention": "yxz"}, {"rotation": [EYE, NAN3 * 3], "euler_deg": [[0, 0, 0]] * 2}, ["face 'b'", "angles but no matrix"]),
        ({}, {"rotation": [EYE, EYE], "sample_id": ["b", "b"]}, ["'b'", "rows 1 and 2"]),
        ({"scheme": "ibug-68"}, {"rotation": [EYE, EYE]}, ["'ibug-68'", "did you mean 'ibug68-"]),
        ({"scheme": "ibug68-fixed"}, {"v0": [0, 1]}, ["scheme 'ibug68-fixed' has 68"]),
        ({"modell": "x"}, {"rotation": [EYE, EYE]}, ["'modell'", "did you mean 'model'?"]),
        ({"sample_id": "x"}, {"rotation": [EYE, EYE]}, []),
        ({}, {"rotations": [0, 1]}, ["'rotations'", "rotation"]),
        ({}, {"yaw": [0, 1]}, ["unknown", "'yaw'"]),
        ({}, {}, ["no predictions in it"]),
    ],
)
def test_wrong_content_is_one_sentence_in_every_format(
    tmp_path: Path, suffix: str, declarations: dict[str, str], columns: dict[str, list[object]], parts: list[str]
) -> None:
    columns = {k: [np.reshape(m, (3, 3)) for m in v] if k == "rotation" else v for k, v in columns.items()}
    if "v0" in columns and suffix != ".csv":
        columns = {"visibility": [[v] for v in columns["v0"]]}
    if suffix == ".jsonl" and "infinite" in parts:
        put(tmp_path / "a.jsonl", '{"convention": "yxz"}\n{"sample_id":"a","euler_deg":[1,2,3]}\n{"sample_id":"b","euler_deg":[1,1e999,3]}')
    elif suffix == ".npz" and "sample_id" in declarations:
        put_npz(tmp_path / "a.npz", sample_id="x", rotation=[EYE])
    else:
        write_any(tmp_path / f"a{suffix}", declarations, {"sample_id": ["a", "b"], **columns})
    refused(tmp_path / f"a{suffix}", *parts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sample_id,yaw_deg,pitch_deg,roll_deg\na,1,2,3\n", ["needs its convention"]),
        ("#convention=yxz\nsample_id,yaw_deg,pitch_deg\na,1,2\n", ["euler_deg", "roll_deg is missing"]),
        ("#convention=yxz\nsample_id,yaw_deg,pitch_deg,roll_deg\na,1,2,3\nb,1,2\n", ["row 2 has 3 cells, the header 4"]),
        ("#convention=yxz\nsample_id,yaw_deg,pitch_deg,roll_deg\na,1,2,3\nb,1,x y,3\n", ["row 2", "'pitch_deg'", "'x y' is no number"]),
        ("#convention=yxz\nsample_id,yaw_deg,pitch_deg,roll_deg\na,1,2,1_0\n", ["row 1", "'roll_deg'", "'1_0'"]),
        ("#convention=yxz\nsample_id,yaw_deg,pitch_deg,roll_deg\na,1,2,inf\n", ["infinite", "row 1"]),
        ("#convention=yxz\nsample_id,yaw_deg,pitch_deg,roll_deg,yaw_deg\na,1,2,3,1\n", ["'yaw_deg' stands twice"]),
        ("#convention=yxz\nsample_id;yaw_deg;pitch_deg;roll_deg\na;1,5;2;3\n", ["separated by ';'"]),
        ("#convention=yxz\nsample_id,yaw,pitch_deg,roll_deg\na,1,2,3\n", ["'yaw'", "did you mean 'yaw_deg'?"]),
        ("#convension=yxz\nsample_id,yaw_deg,pitch_deg,roll_deg\na,1,2,3\n", ["line 1", "'convension'", "did you mean 'convention'?"]),
        ("\n#convention=yxz\n# convention=yxz\nsample_id,yaw_deg,pitch_deg,roll_deg\na,1,2,3\n", ["line 3", "again"]),
        ("# made by me\nsample_id,v0\na,1\n", ["line 1", "# key=value"]),
        ("sample_id,x0,y0,x1\na,1,2,3\n", ["landmarks", "y1 is missing"]),
        ("sample_id,x0,y0,x2,y2\na,1,2,3,4\n", ["landmarks", "x1 is missing"]),
        ("sample_id,x1,y1\na,1,2\n", ["landmarks", "x0 is missing"]),
        ("sample_id,v01\na,1\n", ["visibility", "v0 is missing"]),
        ("sample_id,r00,r01\na,1,0\n", ["rotation", "r02 is missing"]),
        ("sample_id,x0,y0,v0,v1\na,1,2,3,4\n", ["landmarks has 1", "visibility has 2"]),
        ("v0\n1\n", ["no sample_id", "by id"]),
        ("sample_id\na\n", ["no predictions"]),
        ('sample_id,v0\na,1\n"b,2\n', ["line 3", "not readable as CSV"]),
        ("sample_id,v0\n,1\n", ["row 1", "is empty"]),
        ("# model=x\n", ["no table"]),
        ("\n\n", ["no table"]),
        (f"sample_id,{'v' * 100_000}\n", ["unknown column"]),
        (b"\xff\xfes\0a\0", ["UTF-8"]),
    ],
)
def test_bad_csv(tmp_path: Path, text: str | bytes, parts: list[str]) -> None:
    refused(put(tmp_path / "a.csv", text), *parts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"sample_id": "a", "rotation": null}\n', ["first line", "header"]),
        ("{}\n", ["no sample_id"]),
        ('{}\n{"sample_id": "a", "rotation": [[1,0,0],[0,1,0],[0,0,1]]', ["line 2 is no JSON"]),
        ('{}\n\n[1, 2]\n', ["line 3 is no object"]),
        ('{}\n{"sample_id": "a", "rot": 1}\n', ["'rot'", "did you mean 'rotation'?"]),
        ('{"conventions": "yxz"}\n{"sample_id": "a", "visibility": [1]}\n', ["'conventions'", "did you mean 'convention'?"]),
        ('{"model": ["a\\n", "b"]}\n{"sample_id": "a", "visibility": [1]}\n', ["model must be text"]),
        ('{}\n{"sample_id": "a", "convention": "yxz", "visibility": [1]}\n', ["'convention'"]),
        ('{}\n{"sample_id": 7, "visibility": [1]}\n', ["row 1", "sample_id"]),
        ('{}\n{"sample_id": "a", "visibility": [1]}\n{"visibility": [1]}\n', ["row 2", "sample_id"]),
        ('{}\n{"sample_id": "a", "visibility": [1, "x"]}\n', ["row 1", "visibility"]),
        ('{}\n{"sample_id": "a", "visibility": {"x": 1}}\n', ["row 1", "visibility"]),
        ('{}\n{"sample_id": "a", "visibility": [[1], [1, 2]]}\n', ["row 1", "visibility"]),
        ('{}\n{"sample_id": "a", "visibility": [1' + "0" * 400 + "]}\n", ["row 1", "visibility"]),
        ('{}\n{"sample_id": "a", "visibility": [NaN]}\n', ["line 2", "NaN", "null"]),
        ('{}\n{"sample_id": "a", "visibility": [1e999]}\n', ["infinite", "row 1"]),
        ('{}\n{"sample_id": "a", "visibility": [1]}\n{"sample_id": "b", "visibility": [1, 0]}\n{"sample_id": "c", "visibility": [1]}\n',
         ["row 2", "shape (2,)"]),
        ('{}\n{"sample_id": "a", "rotation": [1, 0, 0]}\n', ["rotation", "Euler angles?"]),
        ('{"convention": "yxz"}\n{"sample_id": "a", "euler_deg": [1, 0]}\n', ["euler_deg must have shape (1, 3), got (1, 2)"]),
        ('{}\n' + "[" * 100_000, ["line 2"]),
        ('{}\n{"sample_id": "a", "visibility": ' + "[" * 200 + "]" * 200 + "}", ["row 1"]),
    ],
)  # fmt: skip
def test_bad_jsonl(tmp_path: Path, text: str, parts: list[str]) -> None:
    refused(put(tmp_path / "a.jsonl", text), *parts)


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
@pytest.mark.parametrize(
    ("columns", "parts"),
    [
        ({"rotation": np.zeros((2, 9))}, ["rotation must have shape (2, 3, 3), got (2, 9)"]),
        ({"rotation": np.zeros((3, 3))}, ["rotation must have shape"]),
        ({"landmarks": np.zeros((2, 2, 68))}, ["landmarks", "transposed"]),
        ({"landmarks": np.zeros((5, 68, 2))}, ["(2, L, 2)", "(5, 68, 2)"]),
        ({"visibility": np.float64(1)}, ["visibility"]),
        ({"visibility": np.array([[b"x"], [b"y"]])}, ["visibility", "numbers"]),
        ({"sample_id": np.arange(2), "visibility": np.ones((2, 1))}, ["sample_id must be a list of texts"]),
        ({"sample_id": np.array([[b"a"], [b"b"]]), "visibility": np.ones((2, 1))}, ["sample_id must be a list of texts"]),
        ({"sample_id": np.array([b"a", b"\xff"]), "visibility": np.ones((2, 1))}, ["UTF-8", "sample_id"]),
        ({"convention": np.array([b"yxz"]), "euler_deg": np.zeros((2, 3))}, ["convention is a declaration"]),
        ({"failure": np.array([b"why"]), "visibility": np.ones((2, 1))}, ["failure has 1 entries for 2"]),
    ],
)
def test_bad_arrays(tmp_path: Path, suffix: str, columns: dict[str, object], parts: list[str]) -> None:
    arrays = {"sample_id": np.array([b"a", b"b"]), **columns}
    refused((put_h5 if suffix == ".h5" else put_npz)(tmp_path / f"a{suffix}", **arrays), *parts)


def test_bad_h5_declarations(tmp_path: Path) -> None:
    path = put_h5(tmp_path / "a.h5", {"model": np.arange(40).reshape(4, 10)}, sample_id=[b"a"], visibility=[[1.0]])
    refused(path, "model must be text")
    refused(put_h5(tmp_path / "a.h5", {"modle": "x"}, sample_id=[b"a"], visibility=[[1.0]]), "'modle'", "did you mean 'model'?")


def test_an_npz_is_never_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.savez(tmp_path / "a.npz", sample_id=np.array([Trap(), "b"], dtype=object), rotation=[EYE, EYE])
    refused(tmp_path / "a.npz", "Python objects")
    put(tmp_path / "b.npz", pickle.dumps({"sample_id": Trap()}))
    refused(tmp_path / "b.npz", "cannot be read as .npz")
    assert not (tmp_path / "sprung").exists()


def npy_claiming(shape: str) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"\0" * 64


@pytest.mark.parametrize("shape", ["(10000000000, 3)", "(4611686018427387904, 3)", f"(1{'0' * 30},)", "(-1, 3)", "()", "(1,"])
def test_an_npz_whose_array_claims_more_than_there_is(tmp_path: Path, shape: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("rotation.npy", npy_claiming(shape))
    refused(tmp_path / "a.npz")


def test_an_npz_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", sample_id=["a"], landmarks=np.zeros((1, 100_000, 2)))
    assert (tmp_path / "a.npz").stat().st_size < 10_000
    monkeypatch.setattr("hpbench.predictions.binary.MAX_ARRAY_BYTES", 1 << 20)
    refused(tmp_path / "a.npz", "claims 1600")


def test_an_npz_with_a_member_that_is_no_array(tmp_path: Path) -> None:
    put_npz(tmp_path / "a.npz", sample_id=["a"], rotation=[EYE])
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("notes.txt", "hello")
    refused(tmp_path / "a.npz", "'notes.txt'", "no array")


def test_an_h5_that_claims_ten_thousand_million_rows(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["sample_id"] = [b"a"]
        file.create_dataset("euler_deg", shape=(10**10, 3), chunks=(1024, 3), dtype="f8")
    assert (tmp_path / "a.h5").stat().st_size < 100_000
    refused(tmp_path / "a.h5", "'euler_deg'", "(10000000000, 3)", "GiB")
    with h5py.File(tmp_path / "b.h5", "w") as file:  # 2**64 numbers, which is 0 in a 64-bit product
        file.create_dataset("rotation", shape=(2**40, 2**24), chunks=(1024, 3), dtype="f8")
    refused(tmp_path / "b.h5", "'rotation'", "GiB")


@pytest.mark.parametrize("trick", ["external link", "soft link", "external storage", "virtual", "group", "empty", "named type"])
def test_an_h5_reads_nothing_but_arrays_inside_itself(tmp_path: Path, trick: str) -> None:
    put_h5(tmp_path / "other.h5", visibility=np.ones((1, 3)))
    put(tmp_path / "other.bin", np.ones(3).tobytes())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["sample_id"] = [b"a"]
        if trick == "external link":
            file["visibility"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/visibility")
        elif trick == "soft link":
            file["visibility"] = h5py.SoftLink("/sample_id")
        elif trick == "external storage":
            storage = [(str(tmp_path / "other.bin"), 0, h5py.h5f.UNLIMITED)]
            file.create_dataset("visibility", shape=(1, 3), dtype="f8", external=storage)
        elif trick == "virtual":
            layout = h5py.VirtualLayout(shape=(1, 3), dtype="f8")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "visibility", shape=(1, 3))
            file.create_virtual_dataset("visibility", layout)
        elif trick == "group":
            file["visibility/x"] = [1.0]
        elif trick == "empty":
            file["visibility"] = h5py.Empty("f8")
        else:
            file["visibility"] = np.dtype("f8")
    refused(tmp_path / "a.h5", "'visibility' is not an array inside the file")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_that_are_none(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    refused(path, "there is no such file")
    refused(tmp_path / f"{'a' * 3000}{suffix}", "there is no such file")
    refused(put(path, b""))
    for kind in SUFFIXES:
        write_predictions(tmp_path / f"b{kind}", some_predictions())
        if kind != suffix:
            refused(put(path, (tmp_path / f"b{kind}").read_bytes()))
    refused(put(path, b"\x89PNG\r\n\x1a\n" + bytes(range(256))))
    (tmp_path / f"folder{suffix}").mkdir()
    refused(tmp_path / f"folder{suffix}", "is a folder")


@pytest.mark.parametrize("name", ["a.txt", "a.hdf5", "a", "a.csv.gz", ".csv"])
def test_wrong_suffixes(tmp_path: Path, name: str) -> None:
    refused(put(tmp_path / name, "x"), ".h5, .npz, .csv, .jsonl")


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
    started = time.perf_counter()
    try:
        found = read_predictions(path)
    except InputError as error:
        assert str(error).startswith(f"{path}: ")
        assert "\n" not in str(error) and len(str(error)) < len(str(path)) + 400
    else:
        found.faces.content_sha256()
    assert time.perf_counter() - started < 5


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
