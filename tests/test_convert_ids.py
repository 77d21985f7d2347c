"""Names in other tools' files find the faces they are of; and `hpbench convert` from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import hpbench, hpbench_process
from foreign_files import openface_table, some_points
from hypothesis import given
from hypothesis import strategies as st

from hpbench import jobs
from hpbench.catalog import dataset_card, split_ids
from hpbench.conversion import convert, match_names
from hpbench.errors import InputError
from hpbench.faces import Faces
from hpbench.predictions import Predictions, write_predictions
from hpbench.readers import load

HEADS = split_ids(dataset_card("heads"), "test") or []
KNOWN = [
    "helen/testset/1_1",
    "lfpw/testset/image_0001",
    "lfpw/trainset/image_0001",
    "ibug/image_092 _01",
    "01/frame_00003",
    "01/frame_00007",
]


@pytest.mark.parametrize(
    ("name", "sample_id"),
    [
        ("helen/testset/1_1", "helen/testset/1_1"),  # as it stands
        ("./helen/testset/1_1.jpg", "helen/testset/1_1"),
        ("C:\\data\\helen\\testset\\1_1.png", "helen/testset/1_1"),  # ends like the id
        ("testset/1_1.JPG", "helen/testset/1_1"),  # the id ends like it
        ("images/test/1_1.jpg", "helen/testset/1_1"),  # other folders, one such file
        ("/x/lfpw/trainset/image_0001.png", "lfpw/trainset/image_0001"),
        ("image_092_01.jpg", "ibug/image_092 _01"),  # a blank that copies lose
        ("hpdb/01/frame_00003_rgb.png", "01/frame_00003"),
        ("01#2", "01/frame_00007"),  # the second of the folder, of two
    ],
)
def test_a_name_finds_its_face(name: str, sample_id: str) -> None:
    found = match_names([name], KNOWN)
    assert found.ids == [sample_id] and not found.problems


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["image_0001.png"], "may be lfpw/testset/image_0001 or lfpw/trainset/image_0001"),
        (["nobody.png"], "no id is like it"),
        (["a/1_1.jpg", "b/1_1.jpg"], "would both be helen/testset/1_1"),
        (["01#1", "01#2", "01#3"], "no id is like it"),  # more frames than faces: which are which?
    ],
)
def test_what_cannot_be_told_is_no_match(names: list[str], words: str) -> None:
    found = match_names(names, KNOWN)
    assert found.ids == [""] * len(names) and set(found.problems) == set(names)
    assert all(words in why for why in found.problems.values())


@given(
    st.lists(st.sampled_from(HEADS), unique=True, min_size=1),
    st.sampled_from(["", ".jpg", ".PNG", ".pts"]),
)
def test_ids_with_any_suffix_and_folder_are_found_in_any_order(ids: list[str], suffix: str) -> None:
    found = match_names([f"some/where/{i}{suffix}" for i in ids], HEADS)
    assert found.ids == ids and not found.problems


# ------------------------------------------------------------------------------------------------- from end to end


@pytest.fixture(scope="module")
def truth() -> Faces:
    return load("heads").truth("test").take(np.arange(40))


@pytest.fixture
def openface_folder(truth: Faces, tmp_path: Path) -> Path:
    folder = tmp_path / "openface"
    folder.mkdir()
    for k, name in enumerate(truth.sample_id):
        (folder / f"{name}.csv").write_text(openface_table(truth.rotation[k : k + 1], truth.landmarks[k : k + 1], frames=False))
    return folder


def test_from_openface_to_a_perfect_score(openface_folder: Path, tmp_path: Path) -> None:
    options = ("-d", "heads", "--scheme", "ibug68-fixed", "--boxes", "landmarks", "--model", "openface", "-o", "predictions.csv")
    done = hpbench_process("convert", openface_folder, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "predictions.csv: 40 faces (0 failed) with rotation, landmarks; convention 300w-lp, scheme ibug68-fixed\n"
    for words in ("looks like openface", "left out: gaze", "460 of the 500 faces of heads (test) have no row",
                  "next: hpbench score predictions.csv -d heads", "hpbench doctor predictions.csv -d heads"):  # fmt: skip
        assert words in done.stderr
    records = {r.protocol.id: r for r in jobs.score(tmp_path / "predictions.csv", "heads", out=tmp_path / "out")}
    assert records["heads/pose-camera"].model.name == "openface" and records["heads/pose"].main.n_failed == 460
    assert records["heads/pose"].main.value_detected == pytest.approx(0.0, abs=1e-5)
    assert records["heads/landmarks"].main.value_detected == pytest.approx(0.0, abs=1e-5)


def test_the_same_as_json(openface_folder: Path, tmp_path: Path) -> None:
    done = hpbench("convert", openface_folder, "--from", "openface", "-d", "heads", "-o", "p.h5", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert (found["schema"], found["format"], found["guessed"], found["faces"], found["failed"]) == (1, "openface", False, 40, 0)
    assert found["then"] == ["hpbench score p.h5 -d heads", "hpbench doctor p.h5 -d heads"] and done.stderr == ""
    assert any("left out" in text for text in found["told"])


def test_bad_usage_is_one_sentence(openface_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("image,yaw,pitch,roll\ntest-1-0000000.png,1,2,3\nnobody.png,1,2,3\n")
    for arguments, words in (
        (["odd.csv", "-d", "heads", "-o", "p.csv"], "name it with --convention (300w-lp, yxz, 6drepnet, opal23)"),
        (["odd.csv", "-d", "heads", "--convention", "yxz", "-o", "p.csv"], "1 of 2 names match no face of heads: 'nobody.png'"),
        (["odd.csv", "--convention", "yxz", "--column", "yaw", "-o", "p.csv"], "write it as ours=theirs"),
        (["nowhere", "-o", "p.csv"], "there is no such file or folder"),
    ):
        done = hpbench("convert", *arguments, cwd=tmp_path)
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr, done.stderr
        assert not (tmp_path / "p.csv").exists()


def test_unmatched_faces_are_left_out_when_asked(tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("image,yaw,pitch,roll\ntest-1-0000000.png,1,2,3\nnobody.png,1,2,3\n")
    done = convert(tmp_path / "odd.csv", dataset="heads", convention="yxz", allow_unmatched=True)
    assert list(done.predictions.faces.sample_id) == ["test-1-0000000"]
    assert any("left out: 1 of 2 names match no face" in text for text in done.told)
    (tmp_path / "odd.csv").write_text("image,yaw,pitch,roll\nnobody.png,1,2,3\n")
    with pytest.raises(InputError, match="no name matches"):
        convert(tmp_path / "odd.csv", dataset="heads", convention="yxz", allow_unmatched=True)


def test_our_own_predictions_get_the_datasets_ids(tmp_path: Path) -> None:
    names = ["x/test-1-0000001.png", "x/test-1-0000000.png"]
    write_predictions(tmp_path / "p.npz", Predictions(Faces(names, landmarks=some_points(2))))
    assert list(convert(tmp_path / "p.npz", dataset="heads").predictions.faces.sample_id) == ["test-1-0000001", "test-1-0000000"]
