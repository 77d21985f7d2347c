"""The doctor on landmarks and visibility, through the command line, and the hint of run and score."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import command_line
import numpy as np
import pytest
from chance_faces import noisy, truth_of
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import a_record
from spoilt import POINTS, SEEN, boxes_of, labelled_points, moved, names, of_points, points

import hpbench
from hpbench.doctor import diagnose, doctor_hint
from hpbench.doctor.examination import examine
from hpbench.doctor.pixels import pixel_offset
from hpbench.doctor.points import Labelled, mirror_order
from hpbench.errors import InputError
from hpbench.evaluate import evaluate
from hpbench.faces import Faces
from hpbench.landmarks import SCHEMES
from hpbench.predictions import Predictions, write_predictions
from hpbench.report.doctor import confusion_markdown, confusion_summary, diagnosis_markdown, diagnosis_text

TRUTH = labelled_points()
GOOD = moved(TRUTH)
BOX = boxes_of(TRUTH)[:, None]
SIDE, MIDDLE = BOX[..., 2:] - BOX[..., :2], (BOX[..., 2:] + BOX[..., :2]) / 2
SCORE = evaluate(POINTS, TRUTH, points(TRUTH, GOOD), resamples=0).scores[0].value
CHANCE = np.random.default_rng(7)

EXACT = {
    "x and y swapped": GOOD[..., ::-1],
    "left and right points swapped": GOOD[:, mirror_order("ibug68-fixed")],
    "image mirrored": np.stack([1199 - GOOD[..., 0], GOOD[..., 1]], axis=2),
    "y upwards": np.stack([GOOD[..., 0], 899 - GOOD[..., 1]], axis=2),
    "rows reversed": GOOD[np.argsort(TRUTH.sample_id)][::-1][np.argsort(np.argsort(TRUTH.sample_id))],
    "rows shuffled": GOOD[CHANCE.permutation(len(GOOD))],
}
FITTED = {  # name -> coordinates, and words of what was done
    "constant shift": (GOOD - [300.0, 200.0], "all points are shifted by"),
    "constant scale": (GOOD / 2.0, "0.5 times"),
    "coordinates relative to the box": (GOOD - BOX[..., :2], "relative to the corner of the face box"),
    "coordinates of the crop (box)": ((GOOD - BOX[..., :2]) / SIDE * 112.0, "of the face box and resized to about 11"),
    "coordinates of the crop (square)": (
        ((GOOD - MIDDLE) / (1.5 * SIDE.max(axis=2, keepdims=True)) + 0.5) * 256.0, "of a square about the face box, enlarged to 1.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_a_mistake_without_a_size_is_named_and_undone(name: str) -> None:
    found = of_points(TRUTH, EXACT[name], sizes=True)
    assert name in names(found)
    assert found.explanation is not None and found.explanation.after == pytest.approx(SCORE, abs=1e-9)


@pytest.mark.parametrize("name", FITTED)
def test_a_mistake_of_unknown_size_is_named_measured_and_undone(name: str) -> None:
    landmarks, words = FITTED[name]
    found = of_points(TRUTH, landmarks)
    assert name in names(found)
    assert found.explanation is not None and found.explanation.after == pytest.approx(SCORE, rel=0.1)
    assert words in found.explanation.says


def test_normalised_coordinates_say_of_what() -> None:
    found = of_points(TRUTH, (GOOD - BOX[..., :2]) / SIDE)
    assert found.explanation is not None and "normalised to 0..1 of the face box" in found.explanation.says
    unit = GOOD / [1200, 900]
    for landmarks, words in ((unit, "normalised to 0..1 of the image"), (2 * unit - 1, "-1..1 about the middle of the image")):
        found = of_points(TRUTH, landmarks, sizes=True)
        assert found.explanation is not None and words in found.explanation.says, found


def test_one_pixel_is_told_by_what_does_not_grow_with_the_face() -> None:
    truth = labelled_points(200)
    good, labels = moved(truth, 0.02), Labelled(truth.landmarks, boxes_of(truth), None)
    for offset in (1.0, -1.0, 0.5, -0.5):
        cause, p = pixel_offset(good + offset, labels) or (None, 1.0)
        assert cause is not None and cause.name == f"pixels off by {offset:+g}" and p < 1e-6
        assert cause.undo(good + offset, labels, None) == pytest.approx(good)
    for bias in (0.0, 0.005, 0.01, 0.02):  # a model's bias, of about a pixel, too
        assert pixel_offset(good + bias * labels.size_px[:, None, None], labels) is None
    assert pixel_offset(good + [1.0, 0.0], labels) is None
    few = truth.take(np.arange(30))
    assert pixel_offset(good[:30] + 1.0, Labelled(few.landmarks, boxes_of(few), None)) is None
    found = of_points(truth, good + 1.0)
    assert found.explanation is not None and found.explanation.causes == ("pixels off by +1",)
    assert found.explanation.after < found.explanation.before


def test_two_mistakes_are_named_together() -> None:
    found = of_points(TRUTH, FITTED["coordinates of the crop (square)"][0][..., ::-1])
    assert found.explanation is not None
    assert set(found.explanation.causes) == {"x and y swapped", "coordinates of the crop (square)"}
    assert found.explanation.after == pytest.approx(SCORE, rel=0.1)
    found = of_points(TRUTH, EXACT["image mirrored"][CHANCE.permutation(len(GOOD))], sizes=True)
    assert found.explanation is not None and set(found.explanation.causes) == {"image mirrored", "rows shuffled"}
    assert found.explanation.after == pytest.approx(SCORE, abs=1e-9)


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.5), st.floats(0.0, 0.3), st.floats(0.5, 1.6))
def test_merely_bad_landmarks_are_not_accused(seed: int, noise: float, shift: float, scale: float) -> None:
    rng = np.random.default_rng([seed, 1])  # another stream than the labels have
    truth = labelled_points(40, seed % 1000)
    side = np.ptp(truth.landmarks, axis=1, keepdims=True)
    centre = truth.landmarks.mean(axis=1, keepdims=True)
    away = shift * rng.normal(size=(40, 1, 2)) + noise * rng.normal(0, 0.3, (40, 68, 2))
    landmarks = centre + scale * (truth.landmarks - centre) + side * away
    assert of_points(truth, landmarks).explanation is None


def test_a_mean_face_in_the_box_is_not_accused() -> None:
    mean = ((TRUTH.landmarks - BOX[..., :2]) / SIDE).mean(axis=0)
    assert of_points(TRUTH, mean * SIDE + BOX[..., :2], sizes=True).explanation is None
    assert of_points(TRUTH, GOOD, sizes=True).explanation is None


def test_visibility() -> None:
    truth = truth_of(80)
    good = noisy(truth, 1, doubt=0.7)
    alone = Faces(truth.sample_id, visibility=good.visibility)
    assert examine("visibility", SEEN, truth, alone)[0].explanation is None
    found, _ = examine("visibility", SEEN, truth, replace(alone, visibility=1.0 - good.visibility))
    assert found.explanation is not None and found.explanation.causes == ("visibility inverted",)
    assert found.explanation.before == pytest.approx(100.0 - found.explanation.after)
    swapped = replace(alone, visibility=good.visibility[:, mirror_order("ibug68-fixed")])
    assert "left and right points swapped" in names(examine("visibility", SEEN, truth, swapped)[0])
    for seed in range(3):
        guess = np.random.default_rng(seed).random((80, 68))
        assert examine("visibility", SEEN, truth, Faces(truth.sample_id, visibility=guess))[0].explanation is None


def test_mirror_orders_undo_themselves() -> None:
    for name, scheme in SCHEMES.items():
        order = mirror_order(name)
        assert (order is None) == (not scheme.pairs)
        if order is not None:
            assert (order[order] == np.arange(scheme.n_points)).all() and (order != np.arange(scheme.n_points)).any()


def test_rows_that_landmarks_show_are_tried_for_the_pose(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = labelled_points(100)
    rotation = hpbench.Faces(euler_deg=np.random.default_rng(1).normal(0, 25, (100, 3)), convention="300w-lp").rotation
    truth = replace(truth, rotation=rotation)
    shuffle = np.random.default_rng(2).permutation(100)
    mixed = Faces(truth.sample_id, landmarks=moved(truth)[shuffle], rotation=rotation[shuffle])
    _, shown = examine("landmarks", POINTS, truth, mixed)
    assert shown is not None
    from spoilt import POSE

    assert examine("pose", POSE, truth, mixed)[0].explanation is None
    assert "rows shuffled" in names(examine("pose", POSE, truth, mixed, known=shown)[0])


# ----------------------------------------------------------------------------------------------------------- the command line


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predictions of the rendered heads: labels with noise, good and with a yaw and a polarity that are wrong."""
    folder = tmp_path_factory.mktemp("doctor")
    heads = hpbench.load("heads")
    truth = heads.truth("test").take(np.arange(100))
    rng = np.random.default_rng(3)
    euler = hpbench.Faces(truth.sample_id, rotation=truth.rotation)
    from hpbench.geometry.rotations import euler_from_rotation

    angles = euler_from_rotation(euler.rotation, "yxz") + rng.normal(0, 4, (100, 3))
    seen = np.clip(truth.visibility + rng.normal(0, 0.4, truth.visibility.shape), 0, 1)
    for name, sign, visible in (("good.csv", 1.0, seen), ("wrong.csv", -1.0, 1.0 - seen)):
        faces = Faces(truth.sample_id, euler_deg=angles * [sign, 1, 1], convention="yxz", visibility=visible)
        write_predictions(folder / name, Predictions(faces, "landmarks", "net"))
    return folder


def test_the_command_tells_and_fails(files: Path) -> None:
    result = command_line.hpbench_process("doctor", "wrong.csv", "-d", "heads", "--json", cwd=files)
    assert result.returncode == 1 and result.stderr == "", result.stderr
    document = json.loads(result.stdout)
    assert document["schema"] == 1 and document["found"] and document["dataset"] == "heads"
    found = {e["kind"]: e["explanation"] for e in document["examinations"]}
    assert found["pose"]["causes"] == ["yaw negated"] and found["visibility"]["causes"] == ["visibility inverted"]
    assert found["pose"]["after"] < 10 < 50 < found["pose"]["before"]


def test_the_command_is_content_with_good_ones(files: Path) -> None:
    result = command_line.hpbench("doctor", "good.csv", "--protocol", "heads/pose", cwd=files)
    assert result.returncode == 0, result.stderr
    assert "explanations were tried" in result.stdout and "visibility not examined" in result.stdout


def test_text_and_markdown(files: Path) -> None:
    found = diagnose(files / "wrong.csv", "heads")
    text = diagnosis_text(found, 120)
    assert "yaw is negated: geodesic " in text and "To mend it: give -yaw" in text and max(map(len, text.splitlines())) <= 120
    assert max(map(len, diagnosis_text(found, 60).splitlines()[3:])) <= 60
    assert "| pose | geodesic, heads/pose@1 | 100 |" in diagnosis_markdown(found)


def test_score_hints_and_does_not_for_good_ones(files: Path) -> None:
    wrong = command_line.hpbench("score", "wrong.csv", "-d", "heads", "--protocol", "heads/pose", "-o", "w", cwd=files)
    assert "hpbench doctor wrong.csv --protocol heads/pose tries explanations" in wrong.stderr and wrong.returncode == 0
    record = a_record("net", 80.0)
    assert doctor_hint([record], "p.h5") == ""
    suspected = replace(record, notes=("the angles fit far better: radians? euler_deg is in degrees",))
    assert "doctor p.h5" in doctor_hint([suspected], "p.h5")


def test_bad_input_is_one_sentence(files: Path, tmp_path: Path) -> None:
    for arguments, code, words in (
        (("doctor", "none.csv", "-d", "heads"), 2, "there is no such file"),
        (("doctor", files / "good.csv"), 2, "say which dataset"),
        (("doctor", files / "good.csv", "-d", "aflw2000"), 3, "aflw2000"),
    ):
        result = command_line.hpbench(*arguments, cwd=tmp_path)
        assert result.returncode == code and words in result.stderr and "Traceback" not in result.stderr, result.stderr
    with pytest.raises(InputError, match="ids are not in the dataset"):
        diagnose(Predictions(Faces(["x"], rotation=np.eye(3)[None])), "heads")
    with pytest.raises(InputError, match="not of heads"):
        diagnose(files / "good.csv", "heads", protocol="biwi/depth-15678")
    with pytest.raises(InputError, match="nothing can be examined"):
        diagnose(Predictions(Faces(["test-1-0000001"], landmarks=np.zeros((1, 5, 2)))), "heads")


def test_the_confusion_table_counts(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(
        "group,kind,source,given,named,right,cases\nsingle mistakes,pose,A,radians,radians,yes,3\nsingle mistakes,pose,B,radians,,no,1\n"
        "unspoilt,pose,A,,,yes,2\n"
    )
    assert confusion_summary(path) == {"single mistakes": (3, 4), "unspoilt": (2, 2)}
    assert "| pose | radians | 4 | 3 | nothing 1 |" in confusion_markdown(path)
