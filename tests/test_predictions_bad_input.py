"""Prediction files that are wrong: each is one sentence that names the file, the row, the column."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from prediction_files import EYE, NAN3, put, put_h5, put_jsonl, put_npz, refused, some_predictions

from hpbench.geometry.rotations import rotation_from_euler
from hpbench.predictions import SUFFIXES, write_predictions

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
        ({}, {"Pitch_Rad": [0, 1]}, ["unknown", "'Pitch_Rad'", "angles are in degrees: give "]),
        ({}, {"qw": [0, 1]}, ["unknown", "'qw'", "quaternions are not read: give "]),
        ({}, {"q3": [0, 1]}, ["unknown", "'q3'", "quaternions are not read: give "]),
        ({}, {"quaternions": [0, 1]}, ["unknown", "'quaternions'", "quaternions are not read: give "]),
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
        ("sample_id,qw,qx,qy,qz\na,1,0,0,0\n", ["'qw'", "give the rotation matrix, r00 ... r22."]),
        ("sample_id,yaw_rad,pitch_rad,roll_rad\na,1,0,0\n", ["'yaw_rad'", "angles are in degrees: give yaw_deg, pitch_deg, roll_deg."]),
        ("sample_id,euler\na,1\n", ["'euler'", "give yaw_deg, pitch_deg, roll_deg."]),
        ("sample_id,quality\na,1\n", ["'quality'", "remove what is no prediction"]),
        ("sample_id,r00,r01,r02,r03\na,1,0,0,0\n", ["'r03'", "translation?", "upper left 3x3"]),
        ("sample_id,v0,v1\na,95,7\n", ["visibility of point 0 in row 1 is 95", "percent? divide by 100"]),
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
        ('{}\n{"sample_id": "a", "rotation": [1, 0, 0, 0]}\n', ["rotation must have shape (1, 3, 3), got (1, 4): a quaternion?"]),
        ('{}\n{"sample_id": "a", "yaw": 1, "pitch": 2, "roll": 3}\n', ["'yaw'", "give euler_deg, (N, 3) as yaw, pitch, roll."]),
        ('{}\n{"sample_id": "a", "quat": [1, 0, 0, 0]}\n', ["'quat'", "give rotation, (N, 3, 3) matrices."]),
        ('{}\n{"sample_id": "a", "visibility": [3.5, -2.25]}\n', ["point 0", "3.5", "before the sigmoid?"]),
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
        ({"rotation": np.zeros((2, 9))}, ["rotation must have shape (2, 3, 3), got (2, 9): a flattened matrix?"]),
        ({"rotation": np.zeros((2, 4))}, ["got (2, 4): a quaternion? give its 3x3 matrix."]),
        ({"rotation": np.zeros((2, 3))}, ["Euler angles? give them as euler_deg with their convention."]),
        ({"rotation": np.zeros((2, 6))}, ["six-number representation?"]),
        ({"rotation": np.zeros((2, 4, 4))}, ["homogeneous", "upper left 3x3"]),
        ({"rotation": np.zeros((2, 3, 4))}, ["translation?", "left 3x3"]),
        ({"rotation": np.zeros((2, 5))}, ["rotation must have shape (2, 3, 3), got (2, 5)."]),
        ({"rotation": np.zeros((3, 3))}, ["rotation must have shape", "3 rows for 2 faces"]),
        ({"rotation": np.zeros((4, 3, 3))}, ["4 rows for 2 faces"]),
        ({"rotation": np.float64(1)}, ["rotation must have shape (2, 3, 3), got ()"]),
        ({"euler_deg": np.zeros((2, 4)), "convention": "yxz"}, ["euler_deg must have shape", "a quaternion?", "as rotation."]),
        ({"euler_deg": np.zeros((2, 3, 3)), "convention": "yxz"}, ["matrices? give them as rotation."]),
        ({"landmarks": np.zeros((2, 2, 68))}, ["landmarks", "transposed"]),
        ({"landmarks": np.zeros((5, 68, 2))}, ["(2, L, 2)", "(5, 68, 2)", "5 rows for 2 faces"]),
        ({"landmarks": np.zeros((2, 68, 3))}, ["(2, 68, 3): with a depth or a score? give x, y alone."]),
        ({"landmarks": np.zeros((2, 136))}, ["(2, 136): flattened? reshape them to (N, 68, 2)."]),
        ({"landmarks": np.zeros((2, 68, 2)), "visibility": np.ones((2, 66))}, ["landmarks has 68, visibility has 66"]),
        ({"landmarks": np.zeros((2, 98, 2)), "scheme": "ibug68-contour"}, ["98 points a face", "a scheme of 98 points is wflw98"]),
        ({"visibility": np.zeros((2, 68, 2))}, ["scores of two classes? give P(visible) alone."]),
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


def test_one_face_without_its_axis(tmp_path: Path) -> None:
    for name, shape in (("rotation", (3, 3)), ("landmarks", (68, 2)), ("visibility", (68,)), ("euler_deg", (3,))):
        path = put_npz(tmp_path / "a.npz", sample_id=["a"], convention="yxz", **{name: np.zeros(shape)})
        refused(path, f"{name} must have shape (1, ", f"got {shape}: of one face? The first axis counts faces.")


@pytest.mark.parametrize(
    ("values", "guess"),
    [
        ([97.0, 3.0], "percent? divide by 100."),
        ([100.0, 0.0], "percent? divide by 100."),
        ([2.5, 0.5], "a score before the sigmoid?"),
        ([-4.0, 6.0], "a score before the sigmoid?"),
        ([97.0, -3.0], "a score before the sigmoid?"),
        ([-4.0, 0.5], "a score before the sigmoid?"),
        ([255.0, 0.0], "a score before the sigmoid?"),
        ([1.0000001, 0.5], "a score that is not clipped?"),
        ([-0.03, 1.02], "a score that is not clipped?"),
        ([2.0, 1.0], "COCO's flags, 0 not labelled, 1 occluded, 2 visible?"),
        ([-1.0, 1.0], "-1 for occluded? write 0."),
    ],
)
def test_a_visibility_beyond_a_probability_is_told_by_its_range(tmp_path: Path, values: list[float], guess: str) -> None:
    visibility = np.array([[0.0, 1.0], [np.nan, np.nan], values]) if guess.startswith("percent") else np.array([[np.nan] * 2, values])
    path = put_npz(tmp_path / "a.npz", sample_id=list("abc")[: len(visibility)], visibility=visibility)
    refused(path, "it is a probability, 0 (occluded) to 1 (visible)", guess)


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
