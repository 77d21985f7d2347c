"""Many faces: tables read and scored in blocks are those read and scored whole, and memory is that of the columns."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
import pytest

from hpbench import evaluate as evaluation
from hpbench.catalog import protocol_named
from hpbench.columns import known_ids
from hpbench.errors import InputError
from hpbench.faces import Faces
from hpbench.geometry import alignment
from hpbench.geometry.rotations import rotation_defect, rotation_from_euler
from hpbench.predictions import Predictions, read_predictions, rows, write_predictions
from hpbench.readers.files.datafile import DataFile
from hpbench.readers.generic_files import read_csv_rows, read_jsonl_rows

T = TypeVar("T")


def poses(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform((-70, -40, -30), (70, 40, 30), (n, 3))


def ids_of(n: int) -> list[str]:
    return [f"f{i:06d}" for i in range(n)]


def label_file(name: str, text: str) -> DataFile:
    return DataFile(name, str(PurePosixPath(name)), len(text.encode()), text.encode)


@pytest.mark.parametrize("block", (1, 2, 3, 7))
@pytest.mark.parametrize("suffix", (".csv", ".jsonl"))
def test_predictions_read_in_blocks_are_those_read_whole(suffix: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(1).normal(size=(7, 5, 2))
    points[2] = np.nan
    path = tmp_path / f"p{suffix}"
    failure = ["", "", "no face", "", "", "", "no face"]
    given = Faces(sample_id=ids_of(7), euler_deg=poses(7), convention="300w-lp", landmarks=points, failure=failure)
    write_predictions(path, Predictions(given, "drawn", "m"))
    whole = read_predictions(path)
    monkeypatch.setattr(rows, "_ROWS", block)
    parted = read_predictions(path)
    assert parted.faces.content_sha256() == whole.faces.content_sha256() == given.content_sha256()
    assert list(parted.faces.failure) == failure and (parted.boxes, parted.model) == ("drawn", "m")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "lines", "says"),
    (
        ("p.csv", ["sample_id,yaw_deg,pitch_deg,roll_deg", *(f"f{i},1,2,3" for i in range(5)), "f5,1,2"], "row 6 has 3 cells"),
        ("p.csv", ["sample_id,yaw_deg,pitch_deg,roll_deg", *(f"f{i},1,2,3" for i in range(5)), "f5,1,x,3"], "row 6, column 'pitch_deg'"),
        ("p.csv", ["sample_id,x0,y0", *(f"f{i},1,2" for i in range(5)), 'f5,1,"2'], "line 7 is not readable as CSV"),
        ("p.jsonl", ["{}", *(f'{{"sample_id": "f{i}"}}' for i in range(5)), '{"sample_id": 5}'], "row 6 has no sample_id"),
        ("p.jsonl", ["{}", *(f'{{"visibility": [{i}]}}' for i in range(3)), '{"sample_id": "a"}'], "row 1 has no sample_id"),
        (
            "p.jsonl",
            ["{}", *(f'{{"sample_id": "f{i}", "visibility": [1, 0]}}' for i in range(5)), '{"sample_id": "f5", "visibility": [1]}'],
            r"row 6: visibility has shape \(1,\), the other rows \(2,\)",
        ),
        ("p.jsonl", ["{}", *(f'{{"sample_id": "f{i}"}}' for i in range(5)), '{"sample_id": "f5", "yaw": 1}'], "unknown key 'yaw'"),
        ("p.jsonl", ["{}", *(f'{{"sample_id": "f{i}"}}' for i in range(5)), '{"sample_id": "f5", "'], "line 7 is no JSON"),
        ("p.jsonl", ["{}", *(f'{{"sample_id": "f{i}", "visibility": null}}' for i in range(5))], "visibility is null in every row"),
    ),
)  # fmt: skip
def test_what_is_wrong_with_a_later_block_names_the_row_of_the_file(
    name: str, lines: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_ROWS", 2)
    (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=says):
        read_predictions(tmp_path / name)


def test_a_key_that_begins_late_was_nothing_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_ROWS", 2)
    body = [{"sample_id": f"f{i}", "visibility": [1, 0] if i == 3 else None} | ({"failure": "no face"} if i == 4 else {}) for i in range(5)]
    path = tmp_path / "p.jsonl"
    path.write_text("\n".join(map(json.dumps, [{}, *body])), encoding="utf-8")
    faces = read_predictions(path).faces
    assert list(faces.failure) == ["", "", "", "", "no face"]  # type: ignore[arg-type]
    np.testing.assert_array_equal(faces.visibility, [[np.nan] * 2] * 3 + [[1, 0]] + [[np.nan] * 2])


def test_labels_read_in_blocks_keep_their_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    header = "sample_id,image,yaw_deg,pitch_deg,roll_deg,person,age,seen\r\n"
    table = header + "".join(f"f{i},a.png,{i},2,3,p{i // 3},{'' if i == 1 else i},{'yes' if i == 5 else i}\r\n" for i in range(6))
    objects = [
        {"sample_id": f"f{i}", "euler_deg": [i, 2, 3], "flag": [True, 1, 1.0][i % 3]} | ({"late": 7} if i > 3 else {}) for i in range(6)
    ]
    whole = read_csv_rows(label_file("labels.csv", table))
    monkeypatch.setattr(rows, "_ROWS", 4)
    found = read_csv_rows(label_file("labels.csv", table))
    assert found.n == 6 and found.texts == whole.texts and found.texts["person"] == ["p0"] * 3 + ["p1"] * 3
    assert len({id(text) for text in found.texts["image"]}) == 1  # repeated texts are kept once
    np.testing.assert_array_equal(found.arrays["euler_deg"], whole.arrays["euler_deg"])
    np.testing.assert_array_equal(found.attributes["age"], [0, np.nan, 2, 3, 4, 5])
    assert list(found.attributes["seen"]) == ["0", "1", "2", "3", "4", "yes"]
    read = read_jsonl_rows(label_file("labels.jsonl", "\n".join(map(json.dumps, [{}, *objects]))))
    assert list(read.attributes["flag"]) == ["true", "1", "1.0"] * 2  # equal values of other kinds stay what they are
    np.testing.assert_array_equal(read.attributes["late"], [np.nan] * 4 + [7, 7])


@pytest.mark.parametrize("order", ("sorted", "shuffled"))
def test_rows_are_found_however_the_table_is_ordered(order: str) -> None:
    rng = np.random.default_rng(2)
    ids = ids_of(50)
    if order == "shuffled":
        rng.shuffle(ids)
    faces = Faces(sample_id=ids, euler_deg=poses(50), convention="300w-lp")
    asked = [*rng.permutation(ids_of(60)), "", "zz", "f000003"]
    assert [ids[row] if row >= 0 else None for row in faces.rows_of(asked)] == [i if i in ids else None for i in asked]
    assert faces.rows_of(ids).tolist() == list(range(50)) and faces.rows_of([]).tolist() == []
    assert Faces(sample_id=[], failure=[]).rows_of(["a"]).tolist() == [-1]


def test_read_only_arrays_are_shared_and_others_copied() -> None:
    angles = poses(4)
    faces = Faces(sample_id=ids_of(4), euler_deg=angles, convention="300w-lp", attributes={"age": angles[:, 0]})
    before = faces.euler_deg.copy()  # type: ignore[union-attr]
    angles[:] = 0.0
    np.testing.assert_array_equal(faces.euler_deg, before)
    np.testing.assert_array_equal(faces.attributes["age"], before[:, 0])
    assert faces.take(range(4)) is faces and faces.take([True] * 4) is faces
    again = Faces(sample_id=faces.sample_id, rotation=faces.rotation, euler_deg=faces.euler_deg, convention="300w-lp")
    assert np.shares_memory(again.euler_deg, faces.euler_deg)  # type: ignore[arg-type]
    assert again.given("rotation") is None and not faces.rotation.flags.writeable  # type: ignore[union-attr]
    turned = Faces(sample_id=faces.sample_id, rotation=faces.rotation)
    assert np.shares_memory(turned.rotation, turned.take([0, 1, 2, 3]).rotation)  # type: ignore[arg-type]


def test_the_offset_of_many_blocks_is_that_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = rotation_from_euler(poses(500), "300w-lp")
    prediction = rotation_from_euler(poses(500) + np.random.default_rng(3).normal(4, 3, (500, 3)), "300w-lp")
    prediction[7] = np.nan
    whole = alignment.rotation_offset(prediction, truth)
    monkeypatch.setattr(alignment, "_ROWS", 64)
    np.testing.assert_array_equal(alignment.rotation_offset(prediction, truth), whole)


def test_defects_are_those_of_each_matrix() -> None:
    matrices = rotation_from_euler(poses(9000), "300w-lp")  # more than a block
    matrices[8500] *= 1.1
    matrices[8600, :, 0] *= -1.0
    defects = rotation_defect(matrices)
    assert defects[8500] == pytest.approx(0.21) and defects[8600] == 2.0 and np.delete(defects, (8500, 8600)).max() < 1e-12
    assert rotation_defect(np.eye(3)).shape == () and rotation_defect(matrices.reshape(90, 100, 3, 3)).shape == (90, 100)


def test_scores_of_many_faces_do_not_depend_on_how_their_intervals_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    n = 20_500  # above where resampling ends
    truth = Faces(sample_id=ids_of(n), euler_deg=poses(n), convention="300w-lp")
    noisy = poses(n) + np.random.default_rng(4).normal(0, 5, (n, 3))
    noisy[::500] = np.nan
    predictions = Faces(sample_id=ids_of(n), euler_deg=noisy, convention="300w-lp")
    protocol = protocol_named("aflw2000/pose-1969")
    apart = evaluation.evaluate(protocol, truth, predictions)
    monkeypatch.setattr(evaluation, "MANY", 1 << 60)
    together = evaluation.evaluate(protocol, truth, predictions)
    assert apart.scores == together.scores and apart.subsets == together.subsets
    assert all(score.ci95 is not None and score.ci_method == "normal" for score in apart.scores if score.n_failed)


def test_reading_a_table_takes_little_more_memory_than_its_columns(tmp_path: Path) -> None:
    n = 30_000
    path = tmp_path / "p.csv"
    angles = poses(n).round(3)
    with path.open("w", encoding="utf-8") as file:
        file.write("# convention=300w-lp\nsample_id,yaw_deg,pitch_deg,roll_deg\n")
        file.writelines(f"f{i:06d},{yaw},{pitch},{roll}\n" for i, (yaw, pitch, roll) in enumerate(angles))
    read_predictions(path)  # imports
    faces, kept, peak = traced(lambda: read_predictions(path).faces)
    assert len(faces) == n
    assert kept < 130 * n  # ids 64 + 8, angles 24
    assert peak < 200 * n
    again, kept, peak = traced(lambda: read_predictions(path).faces)
    assert again.sample_id is faces.sample_id
    assert kept < 40 * n and peak < 120 * n  # the ids are those in memory


def test_scoring_takes_less_memory_than_a_rotation_and_its_parts() -> None:
    n = 60_000
    ids, angles = ids_of(n), poses(n)
    protocol = protocol_named("aflw2000/pose-1969")

    def scored(n: int) -> evaluation.Evaluation:
        truth, predictions = (Faces(sample_id=list(ids[:n]), euler_deg=angles[:n] + turned, convention="300w-lp") for turned in (0.0, 1.0))
        return evaluation.evaluate(protocol, truth, predictions)

    scored(50)  # imports
    found, kept, peak = traced(lambda: scored(n))
    assert len(found.errors["sample_id"]) > n / 2
    assert kept < 80 * n and peak < 200 * n  # of both tables angles and ids, 56; of the errors names and values; matrices would be 144 more


def test_ids_in_memory_are_shared_row_by_row() -> None:
    ids = [f"shared {i}" for i in range(40_000)]  # more than any table that another test has left
    table = Faces(sample_id=ids, failure=[""] * len(ids))
    given = [f"shared {i}" for i in (100, 101, 7, 103, 104)]
    found = known_ids(given, 100)
    assert found == given
    assert [one is ids[100 + i] for i, one in enumerate(found)] == [True, True, False, True, True]
    assert known_ids(["shared 39999", "more"], 39_999) == ["shared 39999", "more"]
    assert Faces(sample_id=list(map(str, ids)), failure=table.failure).sample_id is table.sample_id
    other = Faces(sample_id=ids[::-1], failure=table.failure)
    assert list(other.sample_id) == ids[::-1]  # type: ignore[arg-type]


def traced(compute: Callable[[], T]) -> tuple[T, int, int]:
    """What a function returns, the bytes that are kept of it and the most it had."""
    gc.collect()
    tracemalloc.start()
    try:
        found = compute()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return found, kept, peak
