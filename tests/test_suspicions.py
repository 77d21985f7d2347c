"""Predictions that look like a mistake: each told in one sentence, and nothing said of honest ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from annotation_truth import opal23_truth
from chance_faces import noisy, protocol_of, truth_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hpbench.faces import Faces
from hpbench.geometry.rotations import CONVENTIONS, euler_from_rotation, rotation_from_euler
from hpbench.obstacles import obstacle, suspicions

POSE = protocol_of("mae(convention=300w-lp)")
POINTS = protocol_of("nme(norm=height)")
SEEN = protocol_of("ap")
ALL = protocol_of("geodesic", "nme(norm=height)", "ap")
RESULTS = ("HPM_HelenLfpw_COFW68test", "RCPR-occ_300w")

rng = np.random.default_rng(0)
# a face of 68 points that looks like one, 200 px wide, about (0, 0)
OVAL = np.stack([np.linspace(-100, 100, 17), 120 * np.sin(np.linspace(0, np.pi, 17))], axis=1)
FACE = np.concatenate([OVAL, rng.uniform(-70, 70, (51, 2))])


def labelled_points(n: int = 40, seed: int = 1) -> Faces:
    """Faces of 60 to 300 px that lie anywhere in images of 1200 x 900, each of another shape."""
    chance = np.random.default_rng(seed)
    centre = chance.uniform([200, 200], [1000, 700], (n, 1, 2))
    points = centre + FACE * chance.uniform(0.3, 1.5, (n, 1, 1)) + chance.normal(0, 3, (n, 68, 2))
    return Faces([f"f{i}" for i in range(n)], landmarks=points, scheme="ibug68-contour")


def predicted(truth: Faces, landmarks: np.ndarray) -> Faces:
    return Faces(truth.sample_id, landmarks=landmarks, scheme=truth.scheme)


def in_the_crop(truth: Faces, size: float = 256.0, seed: int = 2) -> np.ndarray:
    """The labels, a little noisy, in the coordinates of square crops around each face."""
    points = truth.landmarks + np.random.default_rng(seed).normal(0, 2, truth.landmarks.shape)
    low, high = truth.landmarks.min(axis=1, keepdims=True), truth.landmarks.max(axis=1, keepdims=True)
    side = 1.3 * (high - low).max(axis=2, keepdims=True)
    return (points - (low + high) / 2 + side / 2) * size / side


# ------------------------------------------------------------------------------------------------------------------ visibility


def test_a_visibility_that_is_one_number_on_the_faces_scored_is_told() -> None:
    truth = truth_of(60)
    visible = np.where(np.arange(60)[:, None] < 40, 1.0, noisy(truth, 1).visibility)
    (note,) = suspicions(SEEN, truth.take(np.arange(60) < 40), Faces(truth.sample_id, visibility=visible))
    assert ": visibility not predicted? " in note


def test_an_inverted_visibility_is_told() -> None:
    truth = truth_of(60)
    good = noisy(truth, 1)
    assert suspicions(SEEN, truth, good) == []
    (note,) = suspicions(SEEN, truth, replace(good, visibility=1 - good.visibility))
    assert "inverted?" in note and "P(visible)" in note and "ROC-AUC 0 %" in note
    (note,) = suspicions(SEEN, truth, replace(good, visibility=1.0 - truth.visibility))  # hard labels
    assert "inverted?" in note
    assert suspicions(POSE, truth, replace(good, visibility=1 - good.visibility)) == []


def test_failed_faces_say_nothing_of_the_polarity() -> None:
    truth = truth_of(60)
    most = np.arange(60)[:, None] % 4 > 0
    assert suspicions(SEEN, truth, Faces(truth.sample_id, visibility=np.where(most, np.nan, noisy(truth, 1).visibility))) == []


def test_a_visibility_of_chance_or_of_few_decisions_is_not_called_inverted() -> None:
    truth = truth_of(60)
    for seed in range(5):
        guess = np.random.default_rng(seed).random((60, 68))
        assert suspicions(SEEN, truth, Faces(truth.sample_id, visibility=guess)) == []
    few = truth.take(np.arange(60) < 9)
    assert suspicions(SEEN, few, Faces(few.sample_id, visibility=1.0 - few.visibility)) == []
    seldom = replace(truth, occlusion=None, visibility=np.where(np.arange(60 * 68).reshape(60, 68) % 100 == 0, 0.0, 1.0))
    assert suspicions(SEEN, seldom, Faces(truth.sample_id, visibility=1.0 - seldom.visibility)) == []


# ---------------------------------------------------------------------------------------------------------------------- angles


def labelled_pose(n: int = 40, degrees: float = 25.0, seed: int = 3) -> Faces:
    euler = np.random.default_rng(seed).normal(0, degrees, (n, 3)).clip(-85, 85)
    return Faces([f"f{i}" for i in range(n)], euler_deg=euler, convention="300w-lp")


def angles(truth: Faces, euler_deg: np.ndarray, convention: str = "300w-lp") -> Faces:
    return Faces(truth.sample_id, euler_deg=euler_deg, convention=convention)


@pytest.mark.parametrize("degrees", [3.0, 25.0])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_radians_are_told(degrees: float, convention: str) -> None:
    truth = labelled_pose(degrees=degrees)
    told = rotation_from_euler(truth.euler_deg, "300w-lp")
    truth = Faces(truth.sample_id, rotation=told)
    radians = np.deg2rad(euler_from_rotation(told, convention) + np.random.default_rng(4).normal(0, degrees / 10, (40, 3)))
    (note,) = suspicions(POSE, truth, angles(truth, radians, convention))
    assert "radians?" in note and "euler_deg is in degrees" in note


def test_bad_radians_of_many_degrees_are_told_by_their_range() -> None:
    truth = labelled_pose()
    guess = np.random.default_rng(5).uniform(-1.5, 1.5, (40, 3))
    assert "radians?" in suspicions(POSE, truth, angles(truth, guess))[0]


def test_rotations_made_of_radians_taken_for_degrees_are_told() -> None:
    truth = labelled_pose()
    matrices = Rotation.from_euler("XYZ", np.deg2rad(truth.euler_deg)[:, [1, 0, 2]] * [-1, 1, 1], degrees=True).as_matrix()
    (note,) = suspicions(POSE, truth, Faces(truth.sample_id, rotation=matrices))
    assert "radians?" in note and "rotations" in note


def test_degrees_converted_to_degrees_again_are_told() -> None:
    truth = labelled_pose()
    (note,) = suspicions(POSE, truth, angles(truth, np.rad2deg(truth.euler_deg)))
    assert "beyond a full turn" in note


@pytest.mark.parametrize("noise", [0.0, 4.0])
def test_transposed_rotations_are_told(noise: float) -> None:
    truth = labelled_pose()
    assert truth.euler_deg is not None
    good = rotation_from_euler(truth.euler_deg + np.random.default_rng(5).normal(0, noise, (40, 3)), "300w-lp")
    (note,) = suspicions(POSE, truth, Faces(truth.sample_id, rotation=good.swapaxes(1, 2)))
    assert ": transposed? rotation is head to camera" in note
    assert suspicions(POSE, truth, Faces(truth.sample_id, rotation=good)) == []
    (note,) = suspicions(POSE, truth, angles(truth, euler_from_rotation(good.swapaxes(1, 2), "300w-lp")))
    assert ": angles of opposite sign? " in note
    few = truth.take(np.arange(40) < 9)
    assert suspicions(POSE, few, Faces(truth.sample_id, rotation=good.swapaxes(1, 2))) == []


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(1.0, 45.0), st.floats(0.0, 90.0), st.floats(0.2, 1.5))
def test_merely_bad_angles_raise_no_suspicion(seed: int, spread: float, error: float, gain: float) -> None:
    truth = labelled_pose(degrees=spread, seed=seed)
    predictions = angles(truth, gain * truth.euler_deg + np.random.default_rng(seed).normal(0, error, (40, 3)))
    assert suspicions(POSE, truth, predictions) == []
    assert suspicions(POSE, truth, Faces(truth.sample_id, rotation=predictions.rotation)) == []


@settings(max_examples=60)
@given(st.lists(st.floats(-8, 8), min_size=3, max_size=3), st.integers(0, 2**32 - 1), st.floats(0.5, 40.0))
def test_a_baseline_that_never_looks_raises_no_suspicion(constant: list[float], seed: int, spread: float) -> None:
    truth = labelled_pose(degrees=spread, seed=seed)
    truth = angles(truth, truth.euler_deg - np.median(truth.euler_deg, axis=0))
    for one in ([0.0, 0.0, 0.0], constant):
        assert suspicions(POSE, truth, angles(truth, np.tile(one, (40, 1)))) == []
    lowered = angles(truth, truth.euler_deg + [0.0, spread, 0.0])  # where a tiny constant would happen to fit better as radians
    assert suspicions(POSE, lowered, angles(truth, np.tile(np.deg2rad([0.0, spread, 0.0]), (40, 1)))) == []


def test_a_small_frontal_set_raises_no_suspicion() -> None:
    for n, seed in ((12, 0), (12, 1), (40, 2)):
        truth = labelled_pose(n, degrees=2.0, seed=seed)
        predictions = angles(truth, truth.euler_deg + np.random.default_rng(seed).normal(0, 1.0, (n, 3)))
        assert suspicions(POSE, truth, predictions) == []


def test_raw_labels_of_several_turns_as_predictions_raise_no_suspicion() -> None:
    truth = labelled_pose()
    euler = truth.euler_deg.copy()
    euler[:3] = [[351.0, -714.0, -972.0]] * 3  # as in AFLW2000's own labels
    assert suspicions(POSE, angles(truth, euler), angles(truth, euler)) == []


# ------------------------------------------------------------------------------------------------------------------- landmarks


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0)])
@pytest.mark.parametrize("of", ["image", "crop"])
def test_normalised_coordinates_are_told(low: float, high: float, of: str) -> None:
    truth = labelled_points()
    unit = truth.landmarks / [1200, 900] if of == "image" else in_the_crop(truth, 1.0)
    (note,) = suspicions(POINTS, truth, predicted(truth, low + (high - low) * unit))
    assert "normalised coordinates?" in note and "pixels of the original image" in note


@pytest.mark.parametrize("size", [64.0, 128.0, 256.0])
def test_crop_coordinates_are_told(size: float) -> None:
    truth = labelled_points()
    (note,) = suspicions(POINTS, truth, predicted(truth, in_the_crop(truth, size)))
    assert "coordinates of the crop" in note and "pixels of the original image" in note


def test_coordinates_of_a_resized_image_are_told() -> None:
    truth = labelled_points()
    (note,) = suspicions(POINTS, truth, predicted(truth, truth.landmarks * 0.5))
    assert "resized image?" in note


def test_unlabelled_points_and_failed_faces_do_not_hide_it() -> None:
    truth = labelled_points()
    labels, points = truth.landmarks.copy(), in_the_crop(truth)
    labels[:, ::5] = np.nan
    labels[3] = points[7] = np.nan
    points[8] = 0.0  # a failure written as a number
    assert "crop" in suspicions(POINTS, predicted(truth, labels), predicted(truth, points))[0]


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 400.0), st.floats(0.0, 0.2), st.floats(0.6, 1.6))
def test_merely_bad_landmarks_raise_no_suspicion(seed: int, noise: float, shift: float, scale: float) -> None:
    truth = labelled_points(seed=seed)
    chance = np.random.default_rng(seed)
    centre = truth.landmarks.mean(axis=1, keepdims=True)
    width = np.ptp(truth.landmarks, axis=1, keepdims=True).max(axis=2, keepdims=True)
    centre_predicted = centre + shift * width * chance.normal(size=(40, 1, 2))
    points = centre_predicted + scale * (truth.landmarks - centre) + chance.normal(0, noise, (40, 68, 2))
    assert suspicions(POINTS, truth, predicted(truth, points)) == []


def test_a_mean_face_in_the_box_raises_no_suspicion() -> None:
    truth = labelled_points()
    low, high = truth.landmarks.min(axis=1, keepdims=True), truth.landmarks.max(axis=1, keepdims=True)
    mean = (FACE - FACE.min(axis=0)) / np.ptp(FACE, axis=0)
    assert suspicions(POINTS, truth, predicted(truth, low + mean * (high - low))) == []


def test_nothing_detected_raises_no_suspicion() -> None:
    truth = labelled_points()
    assert suspicions(POINTS, truth, predicted(truth, np.zeros((40, 68, 2)))) == []
    assert suspicions(POINTS, truth, predicted(truth, np.full((40, 68, 2), np.nan))) == []
    tiny = predicted(truth, truth.landmarks / 1000)  # faces of a pixel: these are no normalised coordinates
    assert suspicions(POINTS, tiny, tiny) == []


def other_shapes(n: int = 60, seed: int = 9) -> Faces:
    """Faces as `labelled_points`, each turned by its own angle: shapes that differ."""
    truth, chance = labelled_points(n, seed), np.random.default_rng(seed)
    turn = Rotation.from_euler("y", chance.uniform(-70, 70, (n, 1)), degrees=True).as_matrix()[:, :2, :2]
    centre = truth.landmarks.mean(axis=1, keepdims=True)
    return predicted(truth, (truth.landmarks - centre) @ turn.swapaxes(1, 2) + centre)


@pytest.mark.parametrize("pixels", [0.0, 4.0])
def test_x_and_y_swapped_are_told(pixels: float) -> None:
    truth = labelled_points()
    points = truth.landmarks + np.random.default_rng(1).normal(0, pixels, truth.landmarks.shape)
    (note,) = suspicions(POINTS, truth, predicted(truth, points[..., ::-1]))
    assert ": x and y swapped? " in note
    assert suspicions(POINTS, truth, predicted(truth, points)) == []
    bad = points + np.random.default_rng(2).normal(0, 80.0, points.shape)  # swapping them explains little
    assert all("swapped" not in note for note in suspicions(POINTS, truth, predicted(truth, bad[..., ::-1])))


@pytest.mark.parametrize("step", [1, -1, 7])
@pytest.mark.parametrize("n", [60, 1500])
def test_rows_of_other_faces_are_told_and_never_called_crops(step: int, n: int) -> None:
    for truth in (labelled_points(n), other_shapes(n)):
        rolled = predicted(truth, np.roll(truth.landmarks + np.random.default_rng(3).normal(0, 2, truth.landmarks.shape), step, axis=0))
        (note,) = suspicions(POINTS, truth, rolled)
        assert ": rows given to the wrong faces? " in note and "crop" not in note


def test_shapes_that_fit_any_face_as_well_are_not_called_crops() -> None:
    """One face put anywhere: moved and scaled it fits, as it would any other face."""
    truth, chance = labelled_points(), np.random.default_rng(4)
    points = FACE * chance.uniform(0.1, 0.2, (40, 1, 1)) + chance.uniform(0, 3000, (40, 1, 2)) + chance.normal(0, 1.0, (40, 68, 2))
    assert suspicions(POINTS, truth, predicted(truth, points)) == []
    in_one_place = FACE * 0.3 + 64.0 + chance.normal(0, 0.5, (40, 68, 2))  # the mean face in every crop
    assert "coordinates of the crop" in suspicions(POINTS, truth, predicted(truth, in_one_place))[0]


@pytest.mark.parametrize("size", [64.0, 256.0])
def test_crops_of_faces_that_differ_are_told(size: float) -> None:
    truth = other_shapes()
    assert "coordinates of the crop" in suspicions(POINTS, truth, predicted(truth, in_the_crop(truth, size)))[0]
    assert "resized image?" in suspicions(POINTS, truth, predicted(truth, 0.4 * truth.landmarks))[0]


# ------------------------------------------------------------------------------------------------------------------ everything


def test_honest_predictions_raise_no_suspicion_in_any_order_or_number() -> None:
    truth = truth_of(60)
    for seed in range(5):
        good = noisy(truth, seed)
        chosen = np.random.default_rng(seed).permutation(60)[: 60 - 10 * seed]
        assert suspicions(ALL, truth, good.take(chosen)) == []
    assert suspicions(ALL, truth, truth) == []
    assert suspicions(ALL, truth, Faces(["other"], rotation=np.eye(3)[None])) == []


def test_suspicions_look_at_matched_faces_only_and_at_every_kind() -> None:
    truth = truth_of(60)
    chosen = np.random.default_rng(6).permutation(60)[:30]
    wrong = Faces(
        truth.sample_id, euler_deg=np.deg2rad(truth.euler_deg), convention="300w-lp",
        landmarks=truth.landmarks / 1000, scheme=truth.scheme, visibility=1.0 - truth.visibility,
    ).take(chosen)  # fmt: skip
    notes = suspicions(ALL, truth, wrong)
    assert [n for n, word in zip(notes, ("radians?", "normalised", "inverted?"), strict=True) if word not in n] == []
    assert all("\n" not in n and len(n) < 250 for n in notes)
    few = suspicions(ALL, truth, wrong.take(np.arange(5)))
    assert [n for n, word in zip(few, ("radians?", "normalised"), strict=True) if word not in n] == []


def test_a_thousand_faces_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpbench.obstacles._FACES_LOOKED_AT", 20)
    seen: list[int] = []
    monkeypatch.setattr("hpbench.obstacles._of_pose", lambda truth, prediction: seen.append(len(truth)) or "")
    truth = labelled_pose(500)
    suspicions(POSE, truth, truth)
    assert seen == [20]


# ------------------------------------------------------------------------------------------------------------ real annotations


def test_real_landmarks_and_predictions(realdata: Path) -> None:
    """300W's faces with SPIGA's predictions and COFW's with noise: nothing to say, until they are put into another frame."""
    folder = realdata / "300w" / "spiga_300wpublic"
    rows = [json.loads((folder / f"{name}.json").read_text()) for name in ("test", "results_300wpublic_test")]
    found = {r["imgpath"]: r for r in rows[1]}
    names = [r["imgpath"] for r in rows[0]]
    spiga = [Faces(names, landmarks=[by[n]["landmarks"] for n in names]) for by in ({r["imgpath"]: r for r in rows[0]}, found)]
    cofw = np.load(realdata / "cofw" / "cofw_test_29_68.npz")
    pairs = [tuple(spiga), *((Faces(landmarks=cofw[k]), Faces(landmarks=cofw[k])) for k in ("phis29", "points68"))]
    for truth, prediction in pairs:
        assert suspicions(POINTS, truth, prediction) == []
        for pixels in (20.0, 200.0):
            bad = prediction.landmarks + np.random.default_rng(7).normal(0, pixels, prediction.landmarks.shape)
            assert suspicions(POINTS, truth, predicted(truth, bad)) == []
        assert "crop" in suspicions(POINTS, truth, predicted(truth, in_the_crop(truth)))[0]
        assert "normalised" in suspicions(POINTS, truth, predicted(truth, in_the_crop(truth, 1.0)))[0]


def test_real_poses(realdata: Path) -> None:
    truth = opal23_truth(realdata)
    frontal = angles(truth, np.zeros((len(truth), 3)))
    noise = np.random.default_rng(8).normal(0, 15.0, (len(truth), 3))
    for honest in (truth, frontal, angles(truth, frontal.euler_deg + [-0.6, -2.5, 0.1]), angles(truth, truth.euler_deg + noise)):
        assert suspicions(POSE, truth, honest) == []
    radians = np.deg2rad(truth.euler_deg)
    assert "radians?" in suspicions(POSE, truth, angles(truth, radians.clip(-1.6, 1.6)))[0]
    assert "full turn" in suspicions(POSE, truth, angles(truth, np.rad2deg(truth.euler_deg)))[0]


def test_real_visibility(realdata: Path) -> None:
    """COFW68: HPM's hard labels are honest, RCPR's column of zeros was never predicted."""
    labels = np.load(realdata / "cofw" / "cofw_test_29_68.npz")["occluded68"]
    truth = Faces(visibility=1.0 - labels)
    lines = {name: (realdata / "cofw68" / "Results" / f"{name}.txt").read_text().splitlines() for name in RESULTS}
    hpm, rcpr = (Faces(visibility=1.0 - np.array([line.split() for line in lines[n][3::4]], dtype=float)) for n in RESULTS)
    assert "is 1: not predicted?" in obstacle(SEEN, "ibug68-contour", rcpr, "")
    assert obstacle(SEEN, "ibug68-contour", hpm, "") == "" and suspicions(SEEN, truth, hpm) == []
    assert "inverted?" in suspicions(SEEN, truth, Faces(visibility=1.0 - hpm.visibility))[0]
