"""`hpbench validate` names every problem of a file, by the readers' own rules, with row and column."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from command_line import hpbench, hpbench_process
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import a_record
from prediction_files import put, put_jsonl, put_npz, some_predictions
from small_study import packed_study, unpack

from hpbench.catalog import catalog_root
from hpbench.errors import InputError
from hpbench.predictions import SUFFIXES, read_predictions, write_predictions
from hpbench.validation import validate

HEADER = "sample_id,yaw_deg,pitch_deg,roll_deg,x0,y0,x1,y1,v0,v1"


def problems(path: Path) -> list[tuple[int | None, int | None, str, str]]:
    """Line, row, column and text of each problem of a file."""
    (check,) = validate([path])
    return [(p.line, p.row, p.column, p.text) for p in check.problems]


def places(path: Path) -> set[tuple[int | None, int | None, str]]:
    return {p[:3] for p in problems(path)}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_good_file_has_none(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"p{suffix}"
    write_predictions(path, some_predictions())
    (check,) = validate([path])
    assert check.ok and check.kind == "predictions"


def test_a_table_without_rows_is_none(tmp_path: Path) -> None:
    ((_, _, _, text),) = problems(put(tmp_path / "p.csv", "# convention=300w-lp\nsample_id,yaw_deg,pitch_deg,roll_deg\n"))
    assert "no rows" in text


def test_every_problem_of_a_table_with_line_row_and_column(tmp_path: Path) -> None:
    rows = [
        "a,1,2,3,10,20,30,40,1,0.5,9",
        "b,abc,2,,10,x,30,40,1,0.5,9",
        "a,1,2,3,10,20,30,40,1.7,0.5,9",
        "c,1,,3,10,20,30,40,1,.5,1",
        "d,1,2",
        ",1,2,3,inf,20,30,40,1,.5,9",
        "e,1,2,3,1e15,20,30,40,1,.5,9",
    ]
    path = put(tmp_path / "p.csv", "\n".join(["# convention=300w-lp", HEADER + ",score", *rows]) + "\n")
    assert places(path) == {
        (None, None, "score"), (4, 2, "yaw_deg"), (4, 2, "y0"), (5, 3, "sample_id"), (5, 3, "visibility"), (6, 4, "euler_deg"), (7, 5, ""),
        (8, 6, "sample_id"), (8, 6, "landmarks"), (9, 7, "landmarks"),
    }  # fmt: skip


def test_every_problem_of_json_lines(tmp_path: Path) -> None:
    path = put_jsonl(
        tmp_path / "p.jsonl",
        {"convention": "300w-pl", "extra": 1},
        {"sample_id": "a", "euler_deg": [1, 2, 3], "landmarks": [[1, 2], [3, 4]]},
        {"sample_id": "b", "euler_deg": [1, 2], "landmarks": [[1, 2], [3, 4]]},
        {"sample_id": 5, "euler_deg": [1, 2, "x"], "quat": [1, 2, 3, 4]},
        {"sample_id": "a", "euler_deg": [1, 2, 4], "landmarks": [[1, 2]]},
    )
    path.write_text(path.read_text() + "nonsense\n")
    assert places(path) == {
        (None, None, "quat"), (None, None, "euler_deg"), (None, None, "extra"), (6, None, ""), (3, 2, "euler_deg"), (4, 3, "sample_id"),
        (4, 3, "euler_deg"), (5, 4, "landmarks"), (5, 4, "sample_id"),
    }  # fmt: skip


def test_every_problem_of_arrays(tmp_path: Path) -> None:
    turns = np.tile(np.eye(3), (600, 1, 1))
    turns[3] *= 2.0
    turns[500] = -np.eye(3)
    points = np.ones((600, 2, 2))
    points[599, 0, 0] = np.inf
    ids = np.array([f"face {i}" for i in range(600)])
    ids[7] = ids[2]
    path = put_npz(tmp_path / "p.npz", sample_id=ids, rotation=turns, landmarks=points, quaternion=np.ones((600, 4)))
    found = {p[1:3]: p[3] for p in problems(path)}
    assert found.keys() == {(None, "quaternion"), (4, "rotation"), (501, "rotation"), (600, "landmarks"), (8, "sample_id")}
    assert "|R R^T - I| = 3 (scaled" in found[4, "rotation"] and "a reflection" in found[501, "rotation"]
    assert "in row 600" in found[600, "landmarks"] and "in rows 3 and 8" in found[8, "sample_id"]


def test_columns_that_contradict_one_another(tmp_path: Path) -> None:
    path = put_npz(
        tmp_path / "p.npz",
        sample_id=["a", "b"],
        euler_deg=[[1.0, 2, 3], [4, 5, 6]],
        rotation=np.tile(np.eye(3), (2, 1, 1)),
        convention="yxz",
    )
    found = problems(path)
    assert [p[1] for p in found] == [1, 2] and all("degrees apart" in p[3] for p in found)


def test_a_missing_convention_hides_no_other_problem(tmp_path: Path) -> None:
    path = put(tmp_path / "p.csv", "sample_id,yaw_deg,pitch_deg,roll_deg,v0\na,1,2,x,1\nb,1,2,3,7\n")
    assert places(path) == {(None, None, "euler_deg"), (2, 1, "roll_deg"), (3, 2, "visibility")}


@settings(max_examples=25)
@given(bad=st.sets(st.integers(0, 19)), suffix=st.sampled_from(SUFFIXES), data=st.data())
def test_exactly_the_broken_rows_are_named(
    bad: set[int], suffix: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A file is refused if and only if it has problems, and then all of its broken rows are named and no other."""
    path = tmp_path_factory.mktemp("broken") / f"p{suffix}"
    visible = np.random.default_rng(0).random((20, 3))
    for row in bad:
        visible[row, data.draw(st.integers(0, 2))] = data.draw(st.sampled_from([-0.5, 1.5, np.inf]))
    ids = [f"f{i}" for i in range(20)]
    if suffix == ".csv":
        put(path, "sample_id,v0,v1,v2\n" + "".join(f"{i},{','.join(map(repr, v))}\n" for i, v in zip(ids, visible.tolist(), strict=True)))
    elif suffix == ".jsonl":
        lines = [
            {"sample_id": i, "visibility": [1e999 if np.isinf(x) else x for x in v]} for i, v in zip(ids, visible.tolist(), strict=True)
        ]
        put(path, "{}\n" + "".join(json.dumps(line).replace("Infinity", "1e999") + "\n" for line in lines))
    elif suffix == ".npz":
        put_npz(path, sample_id=ids, visibility=visible)
    else:
        import h5py

        with h5py.File(path, "w") as file:
            file["sample_id"], file["visibility"] = ids, visible
    assert {p[1] for p in problems(path)} == {row + 1 for row in bad}
    if bad:
        with pytest.raises(InputError):
            read_predictions(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.csv", b"\xff\xfe\x00", "not a text file"),
        ("p.csv", b"", "holds no table"),
        ("p.h5", b"nothing", "cannot be read as HDF5"),
        ("p.npz", b"nothing", "cannot be read as .npz"),
        ("p.jsonl", b"\n", "the first line must be a header object"),
        ("p.txt", b"x", "not a file that is known"),
        ("p.json", b"[", "no valid JSON"),
        ("card.toml", b"= 1", "not valid TOML"),
        ("p.zip", b"PK", "truncated"),
    ],
)
def test_damaged_files(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    found = problems(put(tmp_path / name, content))
    assert len(found) == 1 and words in found[0][3]


# ------------------------------------------------------------------------------------------------- other files


def test_all_that_is_wrong_with_a_record(tmp_path: Path) -> None:
    data = asdict(a_record("net", 5.0))
    path = put(tmp_path / "aflw2000.pose-1969@1.json", json.dumps(data))
    assert problems(path) == []
    data["coverage"], data["scores"][0]["value"], data["scores"][1]["unit"] = 1.5, -1.0, "px"
    assert [p[3].split(" cannot")[0][:30] for p in problems(put(path, json.dumps(data)))] == [
        "a coverage of 1.5", "mae(convention=300w-lp) has a ", f"{data['scores'][1]['metric']} has another unit"[:30],
    ]  # fmt: skip
    del data["model"]
    data["partial"], data["scores"][2]["n_scored"], data["colour"] = "no", 1.5, "red"
    found = problems(put(path, json.dumps(data)))
    assert len(found) == 4 and {p[2] for p in found} == {"colour", "model", "n_scored", "partial"}


def test_the_reader_still_says_the_first_only(tmp_path: Path) -> None:
    from hpbench.records import read_record

    data = {**asdict(a_record("net", 5.0)), "colour": "red", "shape": "round"}
    with pytest.raises(InputError) as caught:
        read_record(put(tmp_path / "r.json", json.dumps(data)))
    assert "'colour'" in str(caught.value) and "'shape'" not in str(caught.value) and len(caught.value.sentences) == 2


def test_cards_and_protocols(tmp_path: Path) -> None:
    folder = tmp_path / "datasets" / "heads"
    shutil.copytree(catalog_root() / "datasets" / "heads", folder, ignore=shutil.ignore_patterns("*.zip"))
    assert all(check.ok for check in validate([folder]))
    (folder / "splits" / "hard.txt").write_text("a\n")
    card = (folder / "card.toml").read_text().replace('default_boxes = "landmarks"', 'default_boxes = "eyes"').replace('"yxz"', '"xyz"', 1)
    (folder / "card.toml").write_text(card)
    assert len(problems(folder / "card.toml")) == 2
    (folder / "card.toml").write_text((catalog_root() / "datasets" / "heads" / "card.toml").read_text())
    protocol = folder / "protocols" / "pose.toml"
    protocol.write_text(protocol.read_text().replace('boxes = "landmarks"', 'boxes = "eyes"').replace('"mae(angle=yaw', '"mea(angle=yaw'))
    found = problems(protocol)
    assert len(found) == 2 and "no box set of heads" in found[0][3] and "mea" in found[1][3]
    assert len(problems(folder / "card.toml")) > len(found), "of a card its lists and protocols too"


def test_a_submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = packed_study(tmp_path)
    monkeypatch.setenv("HPBENCH_CATALOG", str(study / "catalog"))
    folder = unpack(study, tmp_path / "unpacked")
    (check,) = validate([folder])
    assert check.kind == "submission" and check.ok
    card = folder / "card.toml"
    card.write_text(card.read_text() + "\n# another word\n")
    (check,) = validate([folder])
    assert len(check.problems) == 1 and "card.toml was altered after packing" in check.problems[0].text


def test_published_values(tmp_path: Path) -> None:
    folder = tmp_path / "baselines"
    folder.mkdir()
    for name in ("published.csv", "published_works.csv", "published_ced.csv"):
        shutil.copy(catalog_root() / "baselines" / name, folder / name)
    lines = (folder / "published.csv").read_text().splitlines(keepends=True)
    columns = lines[0].strip().split(",")
    cells = [
        "x1"
        if c == "id"
        else "abc"
        if c == "value"
        else "perhaps"
        if c == "comparable"
        else "high"
        if c == "confidence"
        else "own"
        if c == "origin"
        else ""
        for c in columns
    ]
    (folder / "published.csv").write_text("".join([*lines, ",".join(cells) + "\n", "too,few\n"]))
    found = problems(folder / "published.csv")
    assert len(found) == 3 and [p[0] for p in found][-1] == found[0][0] + 1
    assert "is no number" in found[0][3] and "comparable" in found[1][3] and "cells" in found[2][3]


def test_the_command(tmp_path: Path) -> None:
    put(tmp_path / "bad.csv", "sample_id,v0,v1\na,1,1.7\nb,x,0\n")
    write_predictions(tmp_path / "good.npz", some_predictions())
    done = hpbench_process("validate", "bad.csv", "good.npz", cwd=tmp_path)
    assert done.returncode == 1 and "1 of 2 files are wrong." in done.stderr
    assert done.stdout.splitlines() == [
        "bad.csv: predictions, 2 problems",
        "  line 2: visibility of point 1 in row 1 is 1.7: it is a probability, 0 (occluded) to 1 (visible); a score before the sigmoid?",
        "  line 3: row 2, column 'v0': 'x' is no number.",
        "good.npz: predictions, ok",
    ]
    assert hpbench("validate", "good.npz", cwd=tmp_path).returncode == 0
    found = json.loads(hpbench("validate", "bad.csv", "--json", cwd=tmp_path).stdout)
    assert (found["schema"], found["ok"]) == (1, False) and found["files"][0]["problems"][1]["column"] == "v0"
    done = hpbench("validate", "bad.csv", "nowhere.csv", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr == "hpbench: nowhere.csv: there is no such file or folder.\n"
