"""The unranked numbers of a record: the mean offset with its signs, the prevalence of occlusion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from chance_faces import noisy, protocol_of, truth_of

from hpbench.diagnostics import occlusion_diagnostics, pose_diagnostics
from hpbench.errors import InputError
from hpbench.evaluate import evaluate
from hpbench.faces import Faces
from hpbench.geometry.rotations import CONVENTIONS, rotation_from_euler

ANGLES = ("yaw", "pitch", "roll")


def pose(euler_deg: np.ndarray, convention: str = "300w-lp") -> Faces:
    return Faces(euler_deg=euler_deg, convention=convention)


def frontal(n: int = 200, degrees: float = 5.0) -> np.ndarray:
    return np.random.default_rng(0).normal(0, degrees, (n, 3))


# --------------------------------------------------------------------------------------------------------------- the offset


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("angle", ANGLES)
def test_five_degrees_too_much_everywhere_are_an_offset_of_five(convention: str, angle: str) -> None:
    """Of the sign of the predicted angle, whichever way the predictions are written."""
    labels = frontal()
    extra = 5.0 * (np.array(ANGLES) == angle)
    found = pose_diagnostics(pose(labels, convention), pose(labels + extra, convention), convention)
    matrices = Faces(rotation=rotation_from_euler(labels + extra, convention))
    assert pose_diagnostics(pose(labels, convention), matrices, convention) == pytest.approx(found, abs=1e-9)
    assert found["mean_offset_deg"] == pytest.approx(5.0, abs=0.1)
    for name in ANGLES:
        assert found[f"mean_offset_{name}_deg"] == pytest.approx(5.0 if name == angle else 0.0, abs=0.1)


def test_the_outermost_angle_is_exact_at_any_pose() -> None:
    labels = np.random.default_rng(1).uniform(-80, 80, (50, 3))
    for convention, column in (("yxz", 0), ("300w-lp", 1), ("6drepnet", 2)):
        found = pose_diagnostics(pose(labels, convention), pose(labels + 7.0 * (np.arange(3) == column), convention), convention)
        expected = {"mean_offset_deg": 7.0, **{f"mean_offset_{a}_deg": 7.0 * (i == column) for i, a in enumerate(ANGLES)}}
        assert found == pytest.approx(expected, abs=1e-7)


def test_errors_without_direction_are_no_offset() -> None:
    labels = frontal(4000, 20.0)
    found = pose_diagnostics(pose(labels), pose(labels + np.random.default_rng(2).normal(0, 8.0, labels.shape)), "300w-lp")
    assert found["mean_offset_deg"] < 0.7


def test_predictions_against_themselves_have_none() -> None:
    found = pose_diagnostics(pose(frontal()), pose(frontal()), "yxz")
    assert set(found) == {"mean_offset_deg", *(f"mean_offset_{a}_deg" for a in ANGLES)}
    assert list(found.values()) == pytest.approx([0.0] * 4, abs=1e-9)


def test_where_no_pair_is_left_there_is_no_offset() -> None:
    labels = frontal(4)
    missing, flipped = np.full((4, 3), np.nan), labels + np.array([0.0, 180.0, 0.0])
    for prediction in (pose(missing), pose(flipped), Faces(landmarks=np.zeros((4, 68, 2)))):
        assert pose_diagnostics(pose(labels), prediction, "300w-lp") == {}
    assert pose_diagnostics(Faces(landmarks=np.zeros((4, 68, 2))), pose(labels), "300w-lp") == {}


def test_missing_faces_do_not_count() -> None:
    labels = frontal()
    predicted = labels + np.array([5.0, 0, 0])
    holed = predicted.copy()
    holed[::3] = np.nan
    kept = np.arange(200) % 3 != 0
    found = pose_diagnostics(pose(labels), pose(holed), "300w-lp")
    assert found == pytest.approx(pose_diagnostics(pose(labels[kept]), pose(predicted[kept]), "300w-lp"))


# --------------------------------------------------------------------------------------------------------------- prevalence


def test_prevalence_of_three_way_labels_by_view() -> None:
    occlusion = np.array([[0, 0, 0, 1], [0, 1, 2, 3], [2, 2, 3, 3]], dtype=np.uint8)  # 4 visible, 2 external, 3 self, 3 unlabelled
    truth = Faces(visibility=np.where(occlusion == 3, np.nan, occlusion == 0), occlusion=occlusion)
    expected = {"decisions": 9.0, "occluded_percent": 500 / 9, "external_percent": 200 / 6, "self_percent": 300 / 7}
    assert occlusion_diagnostics(truth) == pytest.approx(expected)


def test_prevalence_of_labels_that_do_not_tell_the_kinds_apart() -> None:
    truth = Faces(visibility=[[1, 1, 0, np.nan], [1, 1, 1, 1]])
    assert occlusion_diagnostics(truth) == pytest.approx({"decisions": 7.0, "occluded_percent": 100 / 7})


def two_way(truth: Faces) -> Faces:
    """The labels as COFW writes them: 1 for every occluded point, whatever hides it."""
    assert truth.occlusion is not None
    return replace(truth, occlusion=np.minimum(truth.occlusion, 1))


def test_codes_without_a_self_occluded_point_do_not_tell_the_kinds_apart() -> None:
    found = occlusion_diagnostics(two_way(truth_of()))
    assert found == {k: v for k, v in occlusion_diagnostics(truth_of()).items() if k in ("decisions", "occluded_percent")}


@pytest.mark.parametrize("view", ["external", "self"])
def test_a_view_that_the_labels_do_not_have_is_refused(view: str) -> None:
    truth, prediction, metric = truth_of(), noisy(truth_of(), 1), f"ap(view={view})"
    with pytest.raises(InputError) as caught:
        evaluate(protocol_of("ap"), two_way(truth), prediction, metrics=[metric], resamples=2)
    assert str(caught.value) == f"{metric}: the labels of toy do not tell external from self-occlusion: leave the view out."
    assert evaluate(protocol_of("ap"), truth, prediction, metrics=[metric], resamples=2).scores[-1].value is not None
    # a protocol that has the views says that its labels tell: of a few faces none may be self-occluded
    assert evaluate(protocol_of("ap", "ap(view=external)"), two_way(truth), prediction, metrics=[metric], resamples=2)


@pytest.mark.parametrize("truth", [Faces(visibility=np.full((2, 3), np.nan)), Faces(landmarks=np.zeros((2, 3, 2)))])
def test_prevalence_of_nothing(truth: Faces) -> None:
    assert occlusion_diagnostics(truth) == {}


def test_prevalence_where_all_labelled_points_are_hidden_in_one_way() -> None:
    truth = Faces(visibility=np.zeros((2, 3)), occlusion=np.ones((2, 3), dtype=np.uint8))
    assert occlusion_diagnostics(truth) == {"decisions": 6.0, "occluded_percent": 100.0}


def test_the_prevalence_is_the_precision_of_calling_every_point_occluded() -> None:
    truth = truth_of()
    assert truth.occlusion is not None
    found = occlusion_diagnostics(truth)
    everything = Faces(truth.sample_id, visibility=np.zeros(truth.occlusion.shape))
    for view, key in (("occluded", "occluded_percent"), ("external", "external_percent"), ("self", "self_percent")):
        metric = "precision(threshold=0.5)" if view == "occluded" else f"precision(threshold=0.5,view={view})"
        assert evaluate(protocol_of(metric), truth, everything, resamples=2).scores[0].value == pytest.approx(found[key])


# ------------------------------------------------------------------------------------------------------------------- records


def test_a_record_has_the_diagnostics_of_its_kinds() -> None:
    truth, prediction = truth_of(), noisy(truth_of(), 1)
    found = evaluate(protocol_of("geodesic"), truth, prediction, resamples=2).diagnostics
    assert set(found) == {"mean_offset_deg", *(f"mean_offset_{a}_deg" for a in ANGLES)}
    assert "decisions" in evaluate(protocol_of("ap"), truth, prediction, resamples=2).diagnostics
    assert evaluate(protocol_of("nme(norm=height)"), truth, prediction, resamples=2).diagnostics == {}


def test_a_records_offset_is_in_the_protocols_convention_and_matched_by_id() -> None:
    truth = truth_of()
    prediction = Faces(truth.sample_id, rotation=rotation_from_euler([0, 8.0, 0], "yxz") @ truth.rotation)
    shuffled = prediction.take(np.random.default_rng(3).permutation(30))
    found = evaluate(protocol_of("mae(convention=yxz)"), truth, shuffled, resamples=2).diagnostics
    assert found["mean_offset_pitch_deg"] == pytest.approx(8.0)
    turned = Faces(truth.sample_id, rotation=rotation_from_euler([8.0, 0, 0], "yxz") @ truth.rotation)
    for convention, yaw in {"300w-lp": 8.0, "yxz": 8.0, "6drepnet": 8.0, "opal23": -8.0}.items():
        found = evaluate(protocol_of(f"mae(convention={convention})"), truth, turned, resamples=2).diagnostics
        assert found["mean_offset_yaw_deg"] == pytest.approx(yaw)
