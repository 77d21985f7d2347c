"""A run with a detector's boxes: which box a face gets, what becomes of faces without one, and what records and boards say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import command_line
import numpy as np
import pytest
from made_records import a_record
from tiny_detector import FixedDetector, know_rfb, save_rfb

import hpbench
from hpbench.batches import Watch, predict_batch
from hpbench.cli import main
from hpbench.detectors.cards import CARDS
from hpbench.detectors.chosen import MIN_IOU, DetectedBoxes
from hpbench.errors import InputError, RunStoppedError
from hpbench.faces import Sample
from hpbench.images import ImageRef
from hpbench.jobs import default_output
from hpbench.leaderboard import boards
from hpbench.predictions import read_predictions
from hpbench.report.latex import boards_latex

POSE = "heads/pose"
CARD = CARDS["rfb320"]
GREY = np.full((100, 100, 3), 90, np.uint8)


class Echo(hpbench.Model):
    """Answers with the corners of the box it is given."""

    name = "echo"
    batch_size = 4

    def predict(self, images, boxes_xyxy_px):
        points = np.zeros((len(images), 68, 2))
        points[:, :34], points[:, 34:] = boxes_xyxy_px[:, None, :2], boxes_xyxy_px[:, None, 2:]
        return hpbench.Faces(landmarks=points, scheme="ibug68-fixed", rotation=np.tile(np.eye(3), (len(images), 1, 1)))


def sample(number, box):
    return Sample(str(number), ImageRef("picture", lambda: b""), np.array(box, dtype=float))


def answered(detector, *boxes, image=GREY):
    batch = [(sample(n, box), image) for n, box in enumerate(boxes)]
    return predict_batch(Watch(Echo()), batch, DetectedBoxes(CARD, detector))[0]


# -------------------------------------------------------------------------------------------------- which box


def test_the_box_that_overlaps_best_is_the_faces():
    faces = answered(
        FixedDetector([[60, 60, 90, 90], [10, 10, 40, 40], [14, 12, 44, 42]]), [13, 12, 43, 42], [58, 62, 88, 92], [0, 70, 20, 90]
    )
    assert faces.landmarks[:2, [0, -1]].reshape(2, 4).tolist() == [[14, 12, 44, 42], [60, 60, 90, 90]]
    assert np.isnan(faces.landmarks[2]).all()
    assert list(faces.failure) == ["", "", "detector rfb320 found no face here"]


@pytest.mark.parametrize(("width", "found"), [(30.0, True), (30.0 / MIN_IOU * 0.999, True), (30.0 / MIN_IOU * 1.001, False)])
def test_the_least_overlap(width, found):
    box = DetectedBoxes(CARD, FixedDetector([[0, 0, 30, 10]])).box_near(GREY, [0, 0, width, 10])
    assert (box is not None) == found


def test_a_picture_that_breaks_the_detector_costs_its_face():
    detected = DetectedBoxes(CARD, FixedDetector([[10, 10, 40, 40]]))
    batch = [(sample(0, [10, 10, 40, 40]), np.zeros_like(GREY)), (sample(1, [10, 10, 40, 40]), GREY)]
    faces, _ = predict_batch(Watch(Echo()), batch, detected)
    assert list(faces.failure) == ["detector:rfb320 raised ValueError: black", ""]


def test_faces_without_a_box_and_unreadable_pictures_are_not_searched():
    def never(image):
        raise AssertionError("searched")

    detected = DetectedBoxes(CARD, FixedDetector(blind_to=never))
    batch = [(sample(0, [np.nan] * 4), GREY), (sample(1, [0, 0, 9, 9]), InputError("no picture"))]
    faces, _ = predict_batch(Watch(Echo()), batch, detected)
    assert list(faces.failure) == ["the data has no box of this face", "unreadable image: no picture"]


# -------------------------------------------------------------------------------------------------- a whole run


@pytest.fixture
def blind(monkeypatch):
    """A detector for heads: a box in the middle, but nobody in pictures with an odd sum, which no label knows of."""
    detector = FixedDetector([[78, 70, 178, 190]], blind_to=lambda image: int(image.sum()) % 2)
    monkeypatch.setattr("hpbench.detectors.chosen.create_detector", lambda card: detector)
    return detector


def expected(detector, limit):
    """What of the first faces is found: recomputed from pictures and boxes."""
    out = {}
    for s in hpbench.load("heads").samples("test", limit=limit):
        box = detector.boxes[0]
        low, high = np.maximum(s.box_xyxy_px[:2], box[:2]), np.minimum(s.box_xyxy_px[2:], box[2:])
        common = np.clip(high - low, 0, None).prod()
        union = (s.box_xyxy_px[2:] - s.box_xyxy_px[:2]).prod() + (box[2:] - box[:2]).prod() - common
        out[s.sample_id] = int(s.image.read().sum()) % 2 == 0 and common / union >= 0.2
    return out


def test_a_run_is_charged_for_what_is_not_found(blind, tmp_path):
    records = hpbench.run(Echo(), "heads", protocol="pose", boxes="detector:rfb320", out=tmp_path, limit=24)
    found = expected(blind, 24)
    assert 4 <= sum(found.values()) <= 20
    made = read_predictions(tmp_path / "predictions.h5")
    assert made.boxes == "detector:rfb320" and made.model == "echo"
    for sample_id, points, reason in zip(made.faces.sample_id, made.faces.landmarks, made.faces.failure, strict=True):
        assert (reason == "") == found[sample_id]
        if found[sample_id]:
            assert [*points[0], *points[-1]] == blind.boxes[0].tolist()
        else:
            assert np.isnan(points).all() and reason == "detector rfb320 found no face here"
    (record,) = records
    assert record.detector == "detector:rfb320" and not record.ranked
    assert record.main.n_failed == 24 - sum(found.values()) and record.coverage == pytest.approx(sum(found.values()) / 24)
    assert any(n.startswith("boxes of detector:rfb320 (sha256 34cd7e60") for n in record.notes)
    again = hpbench.score(tmp_path / "predictions.h5", "heads", protocol="pose", out=tmp_path / "again")
    assert replace(again[0], partial=True).scores[0].n_failed >= record.main.n_failed and again[0].detector == record.detector


def test_a_stopped_run_goes_on_to_the_same_bytes(blind, tmp_path, monkeypatch):
    monkeypatch.setattr("hpbench.parts._FACES_PER_PART", 4)
    hpbench.run(Echo(), "heads", protocol="pose", boxes="detector:rfb320", out=tmp_path / "whole", limit=24)
    with pytest.raises(RunStoppedError):
        hpbench.run(Echo(), "heads", protocol="pose", boxes="detector:rfb320", out=tmp_path / "cut", limit=24, max_failures=5)
    assert list((tmp_path / "cut").glob("*.parts/part-*.h5"))
    with pytest.raises(InputError, match="boxes is 'detector:rfb320' and not 'landmarks'"):
        hpbench.run(Echo(), "heads", protocol="pose", out=tmp_path / "cut", limit=24)
    hpbench.run(Echo(), "heads", protocol="pose", boxes="detector:rfb320", out=tmp_path / "cut", limit=24)
    whole, cut = ((tmp_path / name / "predictions.h5").read_bytes() for name in ("whole", "cut"))
    assert whole == cut


def test_nobody_found_in_any_picture(monkeypatch, tmp_path):
    monkeypatch.setattr("hpbench.detectors.chosen.create_detector", lambda card: FixedDetector())
    with pytest.raises(InputError, match=r"none of the 12 faces has a prediction \(detector rfb320 found no face here\)"):
        hpbench.run(Echo(), "heads", protocol="pose", boxes="detector:rfb320", out=tmp_path, limit=12)
    assert set(read_predictions(tmp_path / "predictions.h5").faces.failure) == {"detector rfb320 found no face here"}


# ---------------------------------------------------------------------------------------------- records and boards


def test_boards_show_detector_boxes_unranked_beside_the_protocols():
    note = "boxes of detector:rfb320 (sha256 34cd)"
    board = boards([a_record("a", 5.0), a_record("a", 4.0, notes=(note,)), a_record("b", 6.0)])[0][0]
    assert [(row.rank, row.record.model.name, row.marks) for row in board.rows] == [
        (1, "a", ()), (2, "b", ()), (None, "a", ("boxes of detector:rfb320",)),
    ]  # fmt: skip
    latex = boards_latex([board])  # what ends up in papers says it as well
    assert r"--- & a\textsuperscript{a}" in latex and "a: boxes of detector:rfb320." in latex


def test_an_older_one_of_the_same_boxes_is_left_out():
    note = "boxes of detector:mine"
    newer = a_record("a", 4.0, notes=(note,), date="2026-01-01T00:00:00+00:00")
    found, remarks = boards([newer, a_record("a", 3.0, notes=(note,)), a_record("a", 5.0)])
    assert [row.record.main.value for row in found[0].rows] == [5.0, 4.0] and len(remarks) == 1


def test_output_folders_are_told_apart():
    assert default_output("m", "heads", "landmarks") == default_output("m", "heads") == Path("hpbench-out/m/heads")
    assert default_output("m", "heads", "detector:rfb320") == Path("hpbench-out/m/heads-detector-rfb320")


# ------------------------------------------------------------------------------------------------ the command line


def test_predictions_with_boxes_of_ones_own_detector_are_scored(tmp_path):
    ids = hpbench.load("heads").found_ids("test")[:30]
    rows = "".join(f"{i},1,2,3\n" for i in ids)
    file = tmp_path / "mine.csv"
    file.write_text(f"# convention=yxz\n# boxes=detector:mine\n# model=mine\nsample_id,yaw_deg,pitch_deg,roll_deg\n{rows}")
    done = command_line.hpbench("score", file, "-d", "heads", "--protocol", POSE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "(boxes of detector:mine, not ranked)" in done.stdout and "note: boxes of detector:mine\n" in done.stdout + "\n"
    (record,) = (tmp_path / "hpbench-out" / "mine" / "heads-detector-mine").glob("*.json")
    assert "boxes of detector:mine" in json.loads(record.read_text())["notes"]
    board = command_line.hpbench("leaderboard", tmp_path / "hpbench-out", "-d", "heads", "--protocol", POSE, cwd=tmp_path)
    assert "boxes of detector:mine" in board.stdout


@pytest.mark.parametrize(("boxes", "code", "words"), [
    ("detector:rfb", 2, "did you mean 'rfb320'"), ("detector:", 2, "unknown detector ''"), ("detector:rfb320", 3, "sha256 34cd7e60"),
])  # fmt: skip
def test_what_cannot_be_had_is_one_sentence(boxes, code, words, tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["hpbench", "run", "-m", "frontal", "-d", "heads", "--boxes", boxes, "--limit", "2"])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    assert end.value.code == code and words in said.err and said.err.count("\n") == 1 and not said.out
    assert not (tmp_path / "hpbench-out").exists()


def test_the_real_detector_runs_end_to_end(realdata, tmp_path):
    pytest.importorskip("onnxruntime")
    weights = {"HPBENCH_WEIGHTS": str(realdata / "models")}
    done = command_line.hpbench(
        "run", "-m", "frontal", "-d", "aflw2000", "--data", realdata / "aflw2000" / "images", "--boxes", "detector:rfb320",
        "--protocol", "pose-1969", "--json", cwd=tmp_path, **weights,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (record,) = json.loads(done.stdout)
    assert record["coverage"] == 1.0
    assert read_predictions(tmp_path / "hpbench-out/frontal/aflw2000-detector-rfb320/predictions.h5").boxes == "detector:rfb320"


def test_a_network_in_place_of_the_real_one(monkeypatch, tmp_path):
    pytest.importorskip("onnxruntime")
    save_rfb(tmp_path / "net.onnx", [[0.3, 0.2, 0.7, 0.8]], [0.9])
    know_rfb(monkeypatch, tmp_path / "net.onnx")
    hpbench.run(Echo(), "heads", protocol="pose", boxes="detector:rfb320", out=tmp_path / "out", limit=8)
    points = read_predictions(tmp_path / "out" / "predictions.h5").faces.landmarks
    found = points[~np.isnan(points[:, 0, 0])]
    assert len(found) and np.unique(found[:, [0, -1]].reshape(len(found), 4), axis=0).shape == (1, 4)
