"""WFLW: a face is a row of a list; several faces share an image; nothing the lists name leads out of the data."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hpbench
from hpbench.catalog import dataset_card, protocols_of
from hpbench.errors import HpbenchError, InputError, MissingDataError
from hpbench.faces import Faces
from hpbench.metrics import parse_metric
from hpbench.predictions import Predictions
from hpbench.readers import load
from hpbench.readers.wflw import ATTRIBUTES

TEST, TRAIN = "list_98pt_rect_attr_test.txt", "list_98pt_rect_attr_train.txt"
SIZES = {"pose": 326, "expression": 314, "illumination": 698, "makeup": 206, "occlusion": 736, "blur": 773}
PATHS = ["37--Soccer/37_Soccer_soccer_ball_37_45.jpg", "0--Parade/0_Parade a b_0_904.jpg", "37--Soccer/37_Soccer_Soccer_37_50.jpg"]


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Points (count, 98, 2), boxes, flags, image paths: three images that hold all faces in turn, one path with a blank."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(-20, 400, (count, 1, 2))
    points = np.round(corner + rng.uniform(0, 150, (count, 98, 2)), 6)
    boxes = np.concatenate([points.min(axis=1) // 1, points.max(axis=1) // 1], axis=1)
    return points, boxes, rng.integers(0, 2, (count, 6)), [PATHS[k % 3] for k in range(count)]


def row(points: np.ndarray, box: np.ndarray, flags: np.ndarray, path: str, gap: str = " ") -> str:
    """A line as the lists have it: six decimals, whole boxes."""
    return gap.join([*(f"{v:.6f}" for v in points.ravel()), *(f"{v:.0f}" for v in box), *map(str, flags), path])


LABELS = drawn(11, seed=4)
ROWS = [row(*face) for face in zip(*LABELS, strict=True)]


def write_lists(folder: Path, test: list[str], train: list[str] = (), end: str = "\n") -> Path:
    lists = folder / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
    lists.mkdir(parents=True, exist_ok=True)
    (lists / TEST).write_bytes("".join(line + end for line in test).encode())
    if train:
        (lists / TRAIN).write_bytes("".join(line + end for line in train).encode())
    return lists / TEST


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """11 test and 4 training rows over three images, of which the first pixel tells which."""
    folder = tmp_path / "WFLW"
    write_lists(folder, ROWS, ROWS[:4])
    for k, path in enumerate(PATHS):
        target = folder / "WFLW_images" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(target), np.full((48, 64, 3), 60 * k, np.uint8))
    return folder


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(InputError) as error:
        load("wflw", folder).truth("test")
    text = str(error.value)
    assert "\n" not in text and all(word in text for word in (TEST, *words)), text


# ------------------------------------------------------------------------------------------------- what is read


def test_counts_and_order(faces):
    dataset = load("wflw", faces)
    assert dataset.found_ids("test") == sorted(f"test/{k}" for k in range(1, 12)) == list(dataset.truth("test").sample_id)
    assert dataset.found_ids("train") == [f"train/{k}" for k in range(1, 5)]
    assert (
        (dataset.n_expected("test"), dataset.n_expected("train")) == (2500, 7500) == (len(dataset.ids("test")), len(dataset.ids("train")))
    )
    assert dataset.image_ids("test") == dataset.found_ids("test") and dataset.foreign_ids() == []


@pytest.mark.parametrize("number", [1, 6, 11])
@pytest.mark.parametrize("cached", [False, True])
def test_labels_as_stored(faces, number, cached):
    if cached:
        load("wflw", faces).truth("test")
    truth = load("wflw", faces).truth_of([f"test/{number}"])
    points, boxes, flags, _ = LABELS
    np.testing.assert_array_equal(truth.landmarks[0], points[number - 1])
    np.testing.assert_array_equal(truth.box_xyxy_px[0], boxes[number - 1])
    assert [int(truth.attributes[name][0]) for name in ATTRIBUTES] == list(flags[number - 1])
    assert truth.scheme == "wflw98" and truth.visibility is None and truth.occlusion is None


def test_faces_of_one_image_are_faces_of_their_own(faces):
    samples = {s.sample_id: s for s in load("wflw", faces).samples("test")}
    assert list(samples) == sorted(samples) and len(samples) == 11
    for number, sample in ((int(i[5:]), s) for i, s in samples.items()):
        assert sample.image.name.endswith(PATHS[(number - 1) % 3])
        assert abs(int(sample.image.read()[0, 0, 0]) - 60 * ((number - 1) % 3)) <= 2
        np.testing.assert_array_equal(sample.box_xyxy_px, LABELS[1][number - 1])
    assert not np.array_equal(samples["test/1"].box_xyxy_px, samples["test/4"].box_xyxy_px)


@pytest.mark.parametrize("variant", ["crlf", "no final newline", "two spaces", "byte order mark", "blank end", "tabs"])
def test_lists_in_all_variants(tmp_path, variant):
    gap = {"two spaces": "  ", "tabs": "\t"}.get(variant, " ")
    end = "\r\n" if variant == "crlf" else "\n"
    text = "".join(row(*face, gap) + end for face in zip(*LABELS, strict=True))
    text = {"no final newline": text[:-1], "byte order mark": "\ufeff" + text, "blank end": text + "\n \n"}.get(variant, text)
    (tmp_path / TEST).write_bytes(text.encode())
    truth = load("wflw", tmp_path).truth_of([f"test/{k}" for k in range(1, 12)])
    np.testing.assert_array_equal(truth.landmarks, LABELS[0])
    assert len(load("wflw", tmp_path).truth("test")) == 11


def test_the_annotations_in_their_archive(faces, tmp_path):
    archive = tmp_path / "official" / "WFLW_annotations.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as file:
        file.add(faces / "WFLW_annotations", "WFLW_annotations")
    expected = load("wflw", faces).truth("test")
    for data in (archive, archive.parent, [archive.parent, faces], [archive, faces / "WFLW_images"]):
        dataset = load("wflw", data)
        np.testing.assert_array_equal(dataset.truth("test").landmarks, expected.landmarks)
        assert bool(dataset.image_ids("test")) is isinstance(data, list)


def test_images_in_an_archive(faces, tmp_path):
    with tarfile.open(tmp_path / "WFLW_images.tar.gz", "w:gz") as file:
        file.add(faces / "WFLW_images", "WFLW_images")
    shutil.rmtree(faces / "WFLW_images")
    dataset = load("wflw", [faces, tmp_path / "WFLW_images.tar.gz"])
    assert next(dataset.samples("test")).image.read().shape == (48, 64, 3)


def test_the_images_are_those_below_wflw_images(faces):
    """Crops that somebody made beside them, under the same names, are other images."""
    for path in PATHS:
        other = faces / "crops" / path
        other.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(other), np.zeros((8, 8, 3), np.uint8))
    assert next(load("wflw", faces).samples("test")).image.read().shape == (48, 64, 3)
    (faces / "WFLW_images").rename(faces / "images")
    with pytest.raises(InputError, match="different content"):
        load("wflw", faces).image_ids("test")
    shutil.rmtree(faces / "crops")
    assert len(load("wflw", faces).image_ids("test")) == 11


def test_a_missing_image_is_told_when_it_is_read(faces):
    (faces / "WFLW_images" / PATHS[1]).unlink()
    dataset = load("wflw", faces)
    assert dataset.image_ids("test") == [i for i in dataset.found_ids("test") if int(i[5:]) % 3 != 2]
    samples = {s.sample_id: s for s in dataset.samples("test")}
    with pytest.raises(InputError, match="test/2: the image is missing"):
        samples["test/2"].image.read()


def test_more_rows_than_listed_are_told(tmp_path):
    (tmp_path / TEST).write_text("\n".join(ROWS[:1] * 2502))
    dataset = load("wflw", tmp_path)
    assert len(dataset.found_ids("test")) == 2500 and dataset.foreign_ids() == ["test/2501", "test/2502"]


# ------------------------------------------------------------------------------------------------- scoring


@pytest.mark.parametrize("with_images", [True, False])
def test_truth_as_prediction_is_perfect(faces, tmp_path, with_images):
    if not with_images:
        shutil.rmtree(faces / "WFLW_images")
    dataset = load("wflw", faces)
    truth = dataset.truth("test", "derived-pose")
    assert truth.rotation is not None and np.isfinite(truth.rotation).all()
    records = hpbench.score(Predictions(truth, "given", "truth"), dataset, out=tmp_path / "out")
    assert sorted(r.protocol.id for r in records) == ["wflw/pose", "wflw/test"]
    for record in records:
        six = ["pose", "expression", "illumination", "make-up", "occlusion", "blur"]
        yaw = ["yaw 0-30", "yaw 30-60", "yaw above 60"] if record.protocol.id == "wflw/pose" else []
        assert list(record.subsets) == [*six, *yaw]
        sizes = [record.subsets[name][0].n_scored for name in six]
        assert sizes == list(LABELS[2].sum(axis=0)) and not record.failures
        for score in (s for table in (record.scores, *record.subsets.values()) for s in table):
            assert score.value == pytest.approx(100.0 if score.metric.startswith("auc") else 0.0, abs=1e-6), score


def test_protocols_are_canonical():
    for protocol in protocols_of(dataset_card("wflw")):
        assert [parse_metric(m).text for m in protocol.metrics] == list(protocol.metrics)


def test_subset_sizes_tell_whose_flags_they_are(tmp_path, monkeypatch):
    """2,500 rows with the published number of flags are verified; with two columns changed about they are not."""
    flags = np.zeros((2500, 6), int)
    for column, size in enumerate(SIZES.values()):
        flags[-size:, column] = 1
    points, boxes, _, _ = drawn(2500, seed=1)
    head = [row(p, b, f, PATHS[0]) for p, b, f in zip(points[:, :98], boxes, flags, strict=True)]
    (tmp_path / TEST).write_text("\n".join(head))
    dataset = load("wflw", tmp_path)
    truth = dataset.truth("test")
    assert dataset.wrong_statistics("test", "", truth) == []
    (record,) = hpbench.score(Predictions(Faces(truth.sample_id, landmarks=truth.landmarks), "given", "t"), dataset, out=tmp_path / "out")
    assert record.dataset.verified and not record.partial
    assert [s[0].n_scored for s in record.subsets.values()] == list(SIZES.values())
    swapped = Faces(truth.sample_id, attributes={**truth.attributes, "pose": truth.attributes["blur"]})
    assert dataset.wrong_statistics("test", "", swapped) == ["count_pose is 773.0000, not 326.0000"]
    monkeypatch.setattr("hpbench.readers.wflw._parsed", lambda _: pytest.fail("it was parsed again"))
    assert len(load("wflw", tmp_path).truth("test")) == 2500


# ------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("name", ["holiday.png", "list_98pt_test.txt", "LIST_98PT_RECT_ATTR_TEST.TXT", ""])
def test_nothing_of_the_set_is_there(tmp_path, name):
    if name:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(MissingDataError, match=name or "no files") as error:
        load("wflw", tmp_path)
    assert error.value.exit_code == 3 and "WFLW_annotations.tar.gz" in str(error.value) and "Licence" in str(error.value)


def changed(at: int, text: str) -> str:
    columns = ROWS[2].split(" ")
    columns[at] = text
    return " ".join(columns)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (ROWS[2][:300], ("row 3", "expected 207", "truncated")),
        (" ".join([*ROWS[2].split()[:196], PATHS[0]]), ("197 columns", "list_98pt_test.txt")),
        ("", ("row 3", "0 columns")),
        (changed(7, "12,5"), ("row 3", "column 8", "'12,5'")),
        (changed(0, "nan"), ("row 3", "column 1", "not finite")),
        (changed(199, "1e999"), ("row 3", "column 200", "not finite")),
        (changed(205, "2"), ("row 3", "flag blur is 2")),
        (changed(200, "-1"), ("row 3", "flag pose is -1")),
        (changed(206, "/etc/passwd"), ("row 3", "/etc/passwd", "not to be trusted")),
        (changed(206, "../../secret.jpg"), ("row 3", "not to be trusted")),
        (changed(206, "0--Parade\\..\\..\\secret.jpg"), ("row 3", "not to be trusted")),
        (changed(206, "C:\\secret.jpg"), ("row 3", "not to be trusted")),
        (changed(206, "x" * 5000), ("row 3", "no path")),
        (changed(206, "a\0b.jpg"), ("row 3", "no path")),
    ],
    ids=lambda value: None if isinstance(value, tuple) else "line",
)  # fmt: skip
def test_bad_rows(tmp_path, line, words):
    write_lists(tmp_path, [*ROWS[:2], line, *ROWS[3:]])
    refused(tmp_path, *words)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\0x", b"\x1f\x8b" + bytes(50), b"<html>" * 40, "x".encode("utf-16")])
def test_files_that_are_no_list(tmp_path, content):
    (tmp_path / TEST).write_bytes(content)
    refused(tmp_path)


def test_width_and_height_instead_of_the_far_corner(tmp_path):
    points, boxes, flags, paths = drawn(6, seed=2)
    boxes[:, :2] += 300
    write_lists(tmp_path, [row(*face) for face in zip(points, np.c_[boxes[:, :2], np.full((6, 2), 99)], flags, paths, strict=True)])
    refused(tmp_path, "row 1", "width, height")


def test_a_single_odd_box_is_kept(tmp_path):
    write_lists(tmp_path, [*ROWS[:2], changed(198, "-999"), *ROWS[3:]])
    assert load("wflw", tmp_path).truth_of(["test/3"]).box_xyxy_px[0, 2] == -999


def test_one_list_twice_with_other_content(faces):
    (faces / TEST).write_text("\n".join(ROWS[:3]))
    with pytest.raises(InputError, match="different content"):
        load("wflw", faces)


def test_an_archive_that_climbs(tmp_path):
    with tarfile.open(tmp_path / "WFLW_annotations.tar.gz", "w:gz") as file:
        content = "\n".join(ROWS).encode()
        member = tarfile.TarInfo(f"../{TEST}")
        member.size = len(content)
        file.addfile(member, io.BytesIO(content))
    with pytest.raises(InputError, match="climbs out"):
        load("wflw", tmp_path)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_damage_is_one_sentence(tmp_path, data):
    content = bytearray("\n".join(ROWS[:3]).encode())
    kind = data.draw(st.sampled_from(["bytes", "cut", "noise"]))
    if kind == "cut":
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    elif kind == "noise":
        content = bytearray(data.draw(st.binary(max_size=300)))
    else:
        for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=6)):
            content[at] = value
    (tmp_path / TEST).write_bytes(content)
    try:
        dataset = load("wflw", tmp_path)
        assert len(dataset.truth("test")) == len(list(dataset.samples("test")))
    except HpbenchError as error:
        assert TEST in str(error) and "\n" not in str(error)


# ------------------------------------------------------------------------------------------------- the real files


def test_rows_written_from_real_annotations(realdata, tmp_path):
    """Four real faces in two photographs, as rows of the list: pixels, points and boxes come back."""
    coco = json.loads((realdata / "wflw" / "images" / "test_wflw.json").read_text())
    names = {image["id"]: (image["file_name"], image["width"], image["height"]) for image in coco["images"]}
    lines, expected = [], []
    for face in coco["annotations"]:
        points = np.array(face["keypoints"]).reshape(98, 3)[:, :2]
        x, y, w, h = face["bbox"]
        lines.append(row(points, np.array([x, y, x + w, y + h]), np.zeros(6, int), "0--Parade/" + names[face["image_id"]][0]))
        expected.append((points, names[face["image_id"]]))
    write_lists(tmp_path, lines)
    (tmp_path / "WFLW_images").mkdir()
    shutil.copytree(realdata / "wflw" / "images", tmp_path / "WFLW_images" / "0--Parade")
    dataset = load("wflw", tmp_path)
    assert len(lines) == 4 == len(dataset.truth("test"))
    for sample, (points, (name, width, height)) in zip(dataset.samples("test"), expected, strict=True):
        assert sample.image.name.endswith(name) and sample.image.read().shape == (height, width, 3)
        landmarks = dataset.truth_of([sample.sample_id]).landmarks[0]
        np.testing.assert_allclose(landmarks, points, atol=1e-6)
        assert 0 < landmarks.min() and (landmarks.max(axis=0) < [width, height]).all()


def test_subset_sizes_are_those_of_the_official_lists(realdata):
    folder = realdata / "wflw" / "subsets"
    indices = json.loads((folder / "spiga_wflw_db_info.json").read_text())["test_subsets"]
    card = {name.removeprefix("count_"): int(size) for name, size in dataset_card("wflw").statistics["test"]["default"].items()}
    assert card == SIZES == {name: len(set(rows)) for name, rows in indices.items()}
    assert all(0 <= min(rows) and max(rows) < 2500 for rows in indices.values())
    lines = {name: len((folder / f"WFLW256_{'largepose' if name == 'pose' else name}.txt").read_text().splitlines()) for name in SIZES}
    assert lines == SIZES


def test_real_subset_rows_give_the_official_subsets(realdata, tmp_path):
    """Flags set at the official rows (0-based there, from 1 here), read back through the list."""
    indices = json.loads((realdata / "wflw" / "subsets" / "spiga_wflw_db_info.json").read_text())["test_subsets"]
    flags = np.zeros((2500, 6), int)
    for column, name in enumerate(ATTRIBUTES):
        flags[indices[name], column] = 1
    (tmp_path / TEST).write_text("\n".join(row(LABELS[0][0], LABELS[1][0], f, PATHS[0]) for f in flags))
    dataset = load("wflw", tmp_path)
    truth = dataset.truth("test")
    assert dataset.wrong_statistics("test", "", truth) == []
    for name in ATTRIBUTES:
        chosen = {int(str(i)[5:]) - 1 for i in truth.sample_id[truth.attributes[name] == 1]}
        assert chosen == set(indices[name])
