"""COFW68: labels as stored, matched with COFW's images by number; the authors' published results score as they do."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from miniatures.cofw import drawn_images, drawn_labels, write_cofw

import hpbench
from hpbench.catalog import dataset_card, protocols_of, split_ids
from hpbench.errors import HpbenchError, InputError, MissingDataError
from hpbench.metrics import parse_metric
from hpbench.predictions import Predictions
from hpbench.readers import cofw68, load

NUMBERS = [1, 2, 9, 10, 11, 100, 507]
RNG = np.random.default_rng(8)
POINTS = {k: RNG.uniform(-17, 850, (68, 2)) for k in NUMBERS}
OCCLUDED = {k: (RNG.random((1, 68)) < 0.25).astype(np.uint8) for k in NUMBERS}
BOXES = RNG.integers(-24, 300, (507, 4)).astype(np.int16) + np.array([0, 0, 90, 90], np.int16)


def write_points(folder: Path, number: int, points: np.ndarray, occluded: np.ndarray) -> Path:
    path = folder / f"{number}_points.mat"
    scipy.io.savemat(path, {"Points": points, "Occ": occluded}, do_compression=True)
    return path


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Seven of the 507 faces and all boxes, as the repository has them."""
    folder = tmp_path / "COFW68_Data"
    (folder / "test_annotations").mkdir(parents=True)
    for k in NUMBERS:
        write_points(folder / "test_annotations", k, POINTS[k], OCCLUDED[k])
    scipy.io.savemat(folder / "cofw68_test_bboxes.mat", {"bboxes": BOXES})
    return folder


def test_counts_and_order(faces):
    dataset = load("cofw68", faces)
    assert dataset.found_ids("test") == ["1", "10", "100", "11", "2", "507", "9"] == list(dataset.truth("test").sample_id)
    assert dataset.n_expected("test") == 507 == len(dataset.ids("test")) and dataset.ids("test")[:3] == ["1", "10", "100"]
    assert dataset.image_ids("test") == [] == dataset.foreign_ids()


@pytest.mark.parametrize("number", [1, 100, 507])
def test_labels_as_stored(faces, number):
    for _ in range(2):  # the second time from the cache
        truth = load("cofw68", faces).truth_of([str(number)])
        np.testing.assert_array_equal(truth.landmarks[0], POINTS[number])
        np.testing.assert_array_equal(truth.occlusion[0], OCCLUDED[number][0])
        np.testing.assert_array_equal(truth.visibility[0], 1.0 - OCCLUDED[number][0])  # the file says 1 = occluded
        x, y, w, h = BOXES[number - 1].astype(float)
        np.testing.assert_array_equal(truth.box_xyxy_px[0], [x, y, x + w, y + h])
        assert truth.scheme == "ibug68-contour"


def test_a_changed_file_is_read_anew(faces):
    load("cofw68", faces).truth("test")
    write_points(faces / "test_annotations", 2, POINTS[9], OCCLUDED[9])
    np.testing.assert_array_equal(load("cofw68", faces).truth_of(["2"]).landmarks[0], POINTS[9])


def test_images_are_those_of_the_cofw_file(faces, tmp_path):
    images = drawn_images(11, seed=5)
    (tmp_path / "cofw").mkdir()
    write_cofw(tmp_path / "cofw" / "COFW_test_color.mat", *drawn_labels(11, seed=5), images)
    dataset = load("cofw68", [faces, tmp_path / "cofw"])
    assert dataset.image_ids("test") == ["1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9"]
    samples = {s.sample_id: s for s in dataset.samples("test")}
    assert list(samples) == dataset.found_ids("test")
    for number in (1, 2, 11):
        expected = images[number - 1] if images[number - 1].ndim == 3 else np.stack([images[number - 1]] * 3, axis=2)
        np.testing.assert_array_equal(samples[str(number)].image.read(), expected)
    with pytest.raises(InputError, match="100: the image is missing"):
        samples["100"].image.read()


def test_the_zip_of_the_repository(faces, tmp_path):
    archive = tmp_path / "zip" / "cofw68-benchmark-master.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(faces.rglob("*.mat")):
            file.write(path, Path("cofw68-benchmark-master", "COFW68_Data", path.relative_to(faces)))
    for data in (archive, archive.parent):
        np.testing.assert_array_equal(load("cofw68", data).truth("test").landmarks, load("cofw68", faces).truth("test").landmarks)


def test_without_boxes_labels_can_be_scored(faces):
    (faces / "cofw68_test_bboxes.mat").unlink()
    dataset = load("cofw68", faces)
    assert dataset.truth("test").box_xyxy_px is None
    with pytest.raises(MissingDataError, match="cofw68_test_bboxes.mat"):
        list(dataset.samples("test"))


def test_truth_as_prediction_is_perfect(faces, tmp_path):
    dataset = load("cofw68", faces)
    truth = dataset.truth("test", "derived-pose")
    records = hpbench.score(Predictions(truth, "given", "truth"), dataset, out=tmp_path / "out")
    assert [r.protocol.id for r in records] == ["cofw68/pose", "cofw68/test", "cofw68/visibility"]
    for record in records:
        assert record.partial and record.dataset.n_found == 7
        for score in record.scores:
            assert score.value == pytest.approx(100.0 if score.higher_is_better else 0.0, abs=1e-9), score


def test_protocols_are_canonical():
    protocols = {p.id: p for p in protocols_of(dataset_card("cofw68"))}
    assert protocols["cofw68/test"].main == "nme(norm=corners)" and protocols["cofw68/visibility"].main == "recall(precision=80)"
    for protocol in protocols.values():
        assert [parse_metric(m).text for m in protocol.metrics] == list(protocol.metrics)


# ------------------------------------------------------------------------------------------------- bad input


def test_nothing_of_the_set_is_there(tmp_path):
    for name in ("holiday.png", "508_points.mat", "007_points.mat", "1_points.mat.bak"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(MissingDataError, match="other files") as error:
            load("cofw68", tmp_path)
        assert error.value.exit_code == 3 and "cofw68-benchmark" in str(error.value) and "Licence" in str(error.value)


def test_faces_on_no_list_are_told(faces):
    write_points(faces / "test_annotations", 508, POINTS[1], OCCLUDED[1])
    dataset = load("cofw68", faces)
    assert dataset.foreign_ids() == ["508"] and "508" not in dataset.truth("test").sample_id


def test_one_face_twice(faces):
    (faces / "old").mkdir()
    write_points(faces / "old", 1, POINTS[2], OCCLUDED[1])
    with pytest.raises(InputError, match="1_points.mat.*different content"):
        load("cofw68", faces)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"Points": np.zeros((29, 2)), "Occ": np.zeros((1, 29))}, "Points has shape"),
        ({"Points": np.zeros((2, 68)), "Occ": np.zeros((1, 68))}, "Points has shape"),
        ({"Points": np.zeros((68, 2))}, "no Occ"),
        ({"Occ": np.zeros((1, 68))}, "no Points"),
        ({"Points": np.zeros((68, 2)), "Occ": np.full((1, 68), 2)}, "Occ of point 0 is 2"),
        ({"Points": np.full((68, 2), np.nan), "Occ": np.zeros((1, 68))}, "not finite"),
    ],
)  # fmt: skip
def test_wrong_variables(faces, labels, words):
    scipy.io.savemat(faces / "test_annotations" / "9_points.mat", labels)
    with pytest.raises(InputError, match=f"9_points.mat.*{words}"):
        load("cofw68", faces).truth("test")


def test_wrong_boxes(faces):
    scipy.io.savemat(faces / "cofw68_test_bboxes.mat", {"bboxes": BOXES[:506]})
    with pytest.raises(InputError, match=r"cofw68_test_bboxes.mat: bboxes has shape \(506, 4\)"):
        load("cofw68", faces).truth("test")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_damage_is_one_sentence(tmp_path, data):
    path = write_points(tmp_path, 1, POINTS[1], OCCLUDED[1])
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=5)):
        if content:
            content[at % len(content)] = value
    path.write_bytes(content)
    try:
        load("cofw68", tmp_path).truth("test")
    except HpbenchError as error:
        assert "1_points.mat" in str(error) and "\n" not in str(error)


# ------------------------------------------------------------------------------------------------- the real files


@pytest.fixture
def real(realdata: Path) -> Path:
    return realdata / "cofw68" / "COFW68_Data"


def published(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Ids, points (N, 68, 2) and occlusion (N, 68) of a result file: four lines a face, in any order of the faces."""
    lines = path.read_text().splitlines()
    x, y, occluded = (np.array([line.split() for line in lines[k::4]], dtype=float) for k in (1, 2, 3))
    return [str(int(line)) for line in lines[0::4]], np.stack([x, y], axis=2), occluded


def test_all_507_real_annotations(real, realdata):
    dataset = load("cofw68", real)
    truth = dataset.truth("test")
    assert list(truth.sample_id) == split_ids(dataset_card("cofw68"), "test")
    boxes = scipy.io.loadmat(real / "cofw68_test_bboxes.mat")["bboxes"].astype(float)
    for row, sample_id in enumerate(truth.sample_id):
        raw = scipy.io.loadmat(real / "test_annotations" / f"{sample_id}_points.mat")
        np.testing.assert_array_equal(truth.landmarks[row], raw["Points"])
        np.testing.assert_array_equal(truth.occlusion[row], raw["Occ"][0])
        x, y, w, h = boxes[int(sample_id) - 1]
        np.testing.assert_array_equal(truth.box_xyxy_px[row], [x, y, x + w, y + h])
    assert dataset.wrong_statistics("test", "", truth) == [] and truth.occlusion.sum() == 7896
    swapped = replace(truth, occlusion=1 - truth.occlusion)
    assert dataset.wrong_statistics("test", "", swapped) == ["occluded_points is 26580.0000, not 7896.0000"]


def test_the_second_start_does_not_parse(real, monkeypatch):
    before = load("cofw68", real).truth("test")
    monkeypatch.setattr(cofw68, "_parsed", lambda files: pytest.fail("the files are parsed again"))
    np.testing.assert_array_equal(load("cofw68", real).truth("test").landmarks, before.landmarks)


def test_faces_are_in_the_order_of_cofw(real, realdata):
    """So image K of COFW's test file is face K: the 29 and the 68 points lie on each other."""
    with np.load(realdata / "cofw" / "cofw_test_29_68.npz") as both:
        points29 = both["phis29"]
    truth = load("cofw68", real).truth("test")
    rows = truth.rows_of([str(k) for k in range(1, 508)])
    corners = np.linalg.norm(truth.landmarks[rows][:, [36, 45]] - points29[:, [8, 9]], axis=2)
    assert np.median(corners) < 4 and (corners.max(axis=1) < 30).mean() > 0.99


@pytest.mark.parametrize(
    ("file", "nme", "failures"),
    [("HPM_HelenLfpw_COFW68test.txt", 6.7167026768, 6.7061143984), ("RCPR-occ_300w.txt", 8.7557042473, 20.1183431953)],
)
def test_published_results_through_the_command_line(real, realdata, tmp_path, file, nme, failures):
    ids, points, _ = published(realdata / "cofw68" / "Results" / file)
    assert sorted(ids) == split_ids(dataset_card("cofw68"), "test")
    with (tmp_path / "predictions.csv").open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["sample_id", *(f"{axis}{k}" for k in range(68) for axis in "xy")])
        rows.writerows([i, *map(repr, p.ravel().tolist())] for i, p in zip(ids, points, strict=True))
    command = [sys.executable, "-m", "hpbench", "score", "predictions.csv", "-d", "cofw68", "--data", str(real), "-o", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "cofw68.test@1.json").read_text())
    scores = {s["metric"]: s["value"] for s in record["scores"]}
    assert scores["nme(norm=corners)"] == pytest.approx(nme, abs=5e-11)
    assert scores["fr(above=10,norm=corners)"] == pytest.approx(failures, abs=5e-11)
    assert record["dataset"] == {"n_expected": 507, "n_found": 507, "verified": True} and not record["partial"]
