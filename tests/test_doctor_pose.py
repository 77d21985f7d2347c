"""The doctor on poses: each mistake is named, what is undone scores as before it, and nobody else is accused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from annotation_truth import opal23_truth
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.transform import Rotation
from spoilt import POSE, angles, labelled_pose, names, of_pose, turned

from hpbench.doctor.causes import rows_of
from hpbench.doctor.examination import examine
from hpbench.doctor.rows import row_causes
from hpbench.doctor.trial import halves, p_of_gain
from hpbench.evaluate import evaluate
from hpbench.faces import Faces
from hpbench.geometry.rotations import euler_from_rotation, rotation_from_euler

TRUTH = labelled_pose()
GOOD = turned(TRUTH)
EULER, MATRICES = np.array(GOOD.euler_deg), np.array(GOOD.rotation)
SCORE = evaluate(POSE, TRUTH, GOOD, resamples=0).scores[0].value
ABOUT_X = np.diag([1.0, -1.0, -1.0])

ON_ANGLES = {
    "yaw negated": EULER * [-1, 1, 1],
    "pitch negated": EULER * [1, -1, 1],
    "roll negated": EULER * [1, 1, -1],
    "yaw and roll negated": EULER * [-1, 1, -1],
    "yaw and pitch swapped": EULER[:, [1, 0, 2]],
    "pitch and roll swapped": EULER[:, [0, 2, 1]],
    "columns roll, yaw, pitch": EULER[:, [2, 0, 1]],
    "columns pitch, roll, yaw": EULER[:, [1, 2, 0]],
    "radians": np.deg2rad(EULER),
    "degrees converted twice": np.rad2deg(EULER),
    "divided by 90": EULER / 90.0,
    "divided by 180": EULER / 180.0,
    "convention opal23": EULER * [-1, 1, 1],
    "convention 6drepnet": euler_from_rotation(MATRICES, "6drepnet"),
    # Ry(yaw) Rz(roll) Rx(-pitch)
    "order yaw, roll, pitch": Rotation.from_matrix(MATRICES).as_euler("YZX", degrees=True)[:, [0, 2, 1]] * [1, -1, 1],
    "rows shifted by 1": np.roll(EULER[np.argsort(TRUTH.sample_id)], -1, axis=0)[np.argsort(np.argsort(TRUTH.sample_id))],
}
ON_MATRICES = {
    "transposed": MATRICES.swapaxes(1, 2),
    "camera frame turned about x": ABOUT_X @ MATRICES,
    "head frame turned about x": MATRICES @ ABOUT_X,
    "yaw and roll negated": ABOUT_X @ MATRICES @ ABOUT_X,
    "radians": rotation_from_euler(np.deg2rad(EULER), "300w-lp"),
    "constant turn of the head frame": MATRICES @ Rotation.from_rotvec([0.1, 0.6, 0.0]).as_matrix(),
    "constant turn of the camera frame": Rotation.from_rotvec([0.1, 0.6, 0.0]).as_matrix() @ MATRICES,
}


@pytest.mark.parametrize("name", ON_ANGLES)
def test_a_mistake_in_the_angles_is_named_and_undone(name: str) -> None:
    found = of_pose(TRUTH, angles(GOOD, ON_ANGLES[name]))
    assert name in names(found)
    assert found.explanation is not None and found.explanation.before == found.score > 1.2 * SCORE
    if "shifted" not in name:  # one row has no face
        assert found.explanation.after == pytest.approx(SCORE, abs=1e-9)
    assert found.explanation.p < 1e-3 and found.explanation.says and found.explanation.mend


@pytest.mark.parametrize("angle", range(3))
@pytest.mark.parametrize("convention", ["6drepnet", "300w-lp", "opal23", "yxz"])
def test_an_angle_that_is_not_predicted_is_no_wrong_order(angle: int, convention: str) -> None:
    euler = euler_from_rotation(MATRICES, convention)
    euler[:, angle] = np.random.default_rng(5).normal(0.0, 1.0, len(euler))
    assert not [name for name in names(of_pose(TRUTH, angles(GOOD, euler, convention))) if name.startswith(("convention", "order"))]


def test_a_face_that_has_no_row_gets_nobodys() -> None:
    np.testing.assert_array_equal(rows_of(np.array([1.0, 2.0, 3.0]), np.array([2, -1, 0])), [3.0, np.nan, 1.0])


def test_faces_that_are_not_in_the_file_are_not_moved() -> None:
    ids = [f"f{i:03d}" for i in range(40)]
    assert all("natural" not in cause.name for cause in row_causes(ids, ids[::4]))


@pytest.mark.parametrize("name", ON_MATRICES)
def test_a_mistake_in_the_matrices_is_named_and_undone(name: str) -> None:
    found = of_pose(TRUTH, Faces(TRUTH.sample_id, rotation=ON_MATRICES[name]))
    assert name in names(found)
    assert found.explanation is not None
    close = {"abs": 0.2} if "constant" in name else {"abs": 1e-9}  # a constant is fitted: it takes a chance offset along
    assert found.explanation.after == pytest.approx(SCORE, **close)


def test_a_named_convention_is_said_with_its_mend() -> None:
    found = of_pose(TRUTH, angles(GOOD, EULER * [-1, 1, 1]))
    assert found.explanation is not None
    assert found.explanation.causes == ("yaw negated",) and "convention opal23" in found.explanation.equivalents
    assert found.explanation.says == "yaw is negated" and "declare convention=opal23" in found.explanation.mend


def test_two_mistakes_are_named_together() -> None:
    for spoilt, wanted in (
        (angles(GOOD, np.deg2rad(EULER * [1, -1, 1])), {"radians", "pitch negated"}),
        (angles(GOOD, (EULER * [1, 1, -1])[:, [1, 0, 2]]), {"yaw and pitch swapped", "roll negated"}),
        (Faces(TRUTH.sample_id, rotation=(ABOUT_X @ MATRICES).swapaxes(1, 2)), {"camera frame turned about x", "transposed"}),
    ):
        found = of_pose(TRUTH, spoilt)
        assert any(set(name.split(" and ")) == wanted or wanted == set(name.rsplit(" and ", 1)) for name in names(found)), names(found)
        assert found.explanation is not None and found.explanation.after == pytest.approx(SCORE, abs=1e-9)


def test_good_predictions_are_not_accused_in_any_convention() -> None:
    for convention in ("300w-lp", "yxz", "opal23"):
        found = of_pose(TRUTH, angles(GOOD, euler_from_rotation(MATRICES, convention), convention))
        assert found.explanation is None and found.reason and found.score == pytest.approx(SCORE)
    assert of_pose(TRUTH, Faces(TRUTH.sample_id, rotation=TRUTH.rotation)).explanation is None


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 60.0), st.floats(0.0, 1.2), st.floats(0.0, 8.0))
def test_merely_bad_poses_are_not_accused(seed: int, noise: float, gain: float, bias: float) -> None:
    rng = np.random.default_rng([seed, 1])  # another stream than the labels have
    truth = labelled_pose(60, seed % 1000)
    euler = gain * euler_from_rotation(truth.rotation, "300w-lp") + bias * rng.choice([-1, 1], 3) + rng.normal(0, noise + bias, (60, 3))
    found = of_pose(truth, angles(truth, euler))
    assert found.explanation is None, found


def test_baselines_are_not_accused() -> None:
    for rotation in (np.tile(np.eye(3), (120, 1, 1)), Rotation.random(120, random_state=1).as_matrix(),
                     np.tile(Rotation.from_matrix(TRUTH.rotation).mean().as_matrix(), (120, 1, 1))):  # fmt: skip
        assert of_pose(TRUTH, Faces(TRUTH.sample_id, rotation=rotation)).explanation is None


def test_few_faces_are_told_only_when_it_is_overwhelming() -> None:
    for n, told in ((6, False), (12, True), (18, True)):
        found = of_pose(TRUTH.take(np.arange(n)), Faces(TRUTH.sample_id[:n], rotation=ABOUT_X @ MATRICES[:n]))
        assert (found.explanation is not None) == told, found
    assert "6 faces are too few to tell" in of_pose(TRUTH.take(np.arange(6)), angles(GOOD, EULER * [-1, 1, 1])).reason
    bad = turned(TRUTH, 30.0).take(np.arange(14))
    assert of_pose(TRUTH.take(np.arange(14)), angles(bad, bad.euler_deg * [1, 1, -1])).explanation is None


def test_failed_faces_say_nothing() -> None:
    euler = EULER * [-1, 1, 1]
    euler[::3] = np.nan
    found = of_pose(TRUTH, angles(GOOD, euler))
    assert found.n_faces == 80 and "yaw negated" in names(found)
    assert of_pose(TRUTH, angles(GOOD, np.full((120, 3), np.nan))).reason == "0 faces are too few to tell"


def test_video_of_few_people_takes_more() -> None:
    people = replace(TRUTH, person=[f"p{i % 3}" for i in range(120)])
    spoilt = angles(GOOD, turned(TRUTH, 8.0).euler_deg * [1, 1, -1])
    assert names(examine("pose", POSE, people, spoilt)[0])
    found, _ = examine("pose", replace(POSE, cluster_by="person"), people, spoilt)
    assert found.explanation is None and "of few people" in found.reason


@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
@settings(max_examples=25)
def test_p_is_that_of_the_paired_t_test_and_halves_keep_clusters(seed: int, clusters: int) -> None:
    rng = np.random.default_rng([seed, 1])  # another stream than the labels have
    gain, cluster = rng.normal(0.3, 1.0, 90), np.arange(90) % clusters
    means = [gain[cluster == k].mean() for k in range(clusters)]
    assert p_of_gain(gain, cluster) == pytest.approx(stats.ttest_1samp(means, 0.0, alternative="greater").pvalue)
    half, codes = halves([f"c{k}" for k in cluster], 90, seed)
    assert all(len(set(half[codes == k])) == 1 for k in set(codes)) and 0 < half.sum() < 90


def test_row_orders_say_whose_prediction_a_row_holds() -> None:
    ids = sorted(f"image{i}" for i in range(1, 13))  # image1, image10, image11, image12, image2, ...
    causes = {c.name: c.source for c in row_causes(ids, ids)}
    assert [ids[r] for r in causes["rows shifted by 1"]] == [ids[-1], *ids[:-1]]  # of face k its own lies in the row before
    by_number = sorted(ids, key=lambda i: int(i[5:]))
    written = dict(zip(ids, by_number, strict=True))  # the id written -> the face it was predicted for
    source = causes["rows in natural for sorted order"]
    assert all(written[ids[source[row]]] == face for row, face in enumerate(ids))
    assert len({s.tobytes() for s in causes.values()}) == len(causes)


def test_a_list_in_circulation_is_explained(realdata: Path) -> None:
    truth = opal23_truth(realdata).take(np.arange(0, 2000, 10))
    as_listed = angles(truth, truth.euler_deg * [-1.0, 1.0, 1.0])  # its yaw is minus Pose_Para's
    found = of_pose(truth, as_listed)
    assert found.explanation is not None and found.explanation.causes == ("yaw negated",)
    assert found.explanation.equivalents[0] == "convention opal23" and found.explanation.after == pytest.approx(0.0, abs=1e-6)
