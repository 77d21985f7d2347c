"""Golden numbers of AFLW2000-3D, computed elsewhere with a few lines of numpy from the same public annotation files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from annotation_truth import opal23_truth

import hpbench
from hpbench.catalog import protocol_named
from hpbench.evaluate import evaluate, kept_rows
from hpbench.faces import Faces
from hpbench.geometry.mean_face import MEAN_FACE_VERSION
from hpbench.metrics import parse_metric
from hpbench.metrics.landmarks import landmark_box_xyxy_px
from hpbench.readers.derived_pose import derived_rotation

MAE = "mae(convention=300w-lp)"


@pytest.fixture(scope="module")
def truth(realdata: Path) -> Faces:
    return opal23_truth(realdata)


@pytest.fixture(scope="module")
def frontal(truth: Faces) -> Faces:
    return Faces(truth.sample_id, euler_deg=np.zeros((len(truth), 3)), convention="300w-lp")


def values(protocol: str, truth: Faces, predictions: Faces) -> dict[str, float | None]:
    return {s.metric: s.value for s in evaluate(protocol_named(protocol), truth, predictions, resamples=10).scores}


def test_31_of_2000_are_excluded(truth: Faces, realdata: Path) -> None:
    kept = kept_rows(protocol_named("aflw2000/pose-1969"), truth)
    assert kept.sum() == 1969
    excluded = (realdata / "aflw2000" / "annotations" / "excluded31.txt").read_text().split()
    assert [f"{i}.jpg" for i in truth.sample_id[~kept]] == sorted(excluded)


def test_predict_zero_on_the_1969(truth: Faces, frontal: Faces) -> None:
    found = values("aflw2000/pose-1969", truth, frontal)
    assert found[MAE] == pytest.approx(17.8752348, abs=5e-8)
    angles = [found[f"mae(angle={a},convention=300w-lp)"] for a in ("yaw", "pitch", "roll")]
    assert angles == pytest.approx([26.1733769, 13.9500591, 13.5022684], abs=5e-8)


def test_predict_zero_on_all_2000(truth: Faces, frontal: Faces) -> None:
    """Raw angles, wrapped, and taken back from rotation matrices are three numbers: so truth keeps the raw angles."""
    assert parse_metric("mae(convention=300w-lp,formula=plain)").per_face(truth, frontal).mean() == pytest.approx(19.9604701, abs=5e-8)
    assert values("aflw2000/pose-2000", truth, frontal)[MAE] == pytest.approx(19.0530594, abs=5e-8)
    from_matrices = Faces(truth.sample_id, rotation=truth.rotation)
    assert parse_metric(MAE).per_face(from_matrices, frontal).mean() == pytest.approx(19.0262, abs=5e-5)


def test_frontal_as_matrices_is_the_same_sanity_line(truth: Faces, frontal: Faces) -> None:
    matrices = Faces(truth.sample_id, rotation=frontal.rotation)
    assert values("aflw2000/pose-1969", truth, matrices)[MAE] == pytest.approx(17.8752348, abs=5e-8)


def test_original_against_reannotated_points(truth: Faces, realdata: Path) -> None:
    points = np.load(realdata / "aflw2000" / "annotations" / "AFLW2000-3D-Reannotated.pts68.npy").astype(float).swapaxes(1, 2)
    found = values("aflw2000/landmarks-original", truth, Faces(truth.sample_id, landmarks=points, scheme="ibug68-fixed"))
    assert found["distance_px"] == pytest.approx(5.8581, abs=5e-5)
    assert found["nme(norm=sqrt_wh)"] == pytest.approx(3.0884, abs=5e-5)
    assert found["nme(norm=height)"] == pytest.approx(3.1054, abs=5e-5)


def test_yaw_bins_of_both_files(truth: Faces, realdata: Path) -> None:
    new = np.abs(np.load(realdata / "aflw2000" / "annotations" / "AFLW2000-3D-new.pose.npy"))
    both = Faces(**{**vars(truth), "attributes": {**truth.attributes, "abs_yaw_new_deg": new}})
    subsets = evaluate(protocol_named("aflw2000/landmarks-reannotated"), both, both, resamples=10).subsets
    assert [subsets[f"yaw {b}"][0].n_scored for b in ("0-30", "30-60", "above 60")] == [1312, 383, 305]
    assert [subsets[f"new yaw {b}"][0].n_scored for b in ("0-30", "30-60", "above 60")] == [1306, 462, 232]
    inside = evaluate(protocol_named("aflw2000/pose-1969"), truth, truth, resamples=10).subsets
    assert [s[0].n_scored for s in inside.values()] == [1311, 380, 278]


def test_how_far_the_two_kinds_of_pose_labels_are_apart(truth: Faces, realdata: Path) -> None:
    """POSIT labels from the re-annotated points against the files' own, as aflw2000/pose-derived says; 3.86 with AFLW's mean face."""
    points = np.load(realdata / "aflw2000" / "annotations" / "AFLW2000-3D-Reannotated.pts68.npy").astype(float).swapaxes(1, 2)
    derived = derived_rotation(points, "ibug68-fixed", landmark_box_xyxy_px(truth), MEAN_FACE_VERSION)
    found = values("aflw2000/pose-1969", truth, Faces(truth.sample_id, rotation=derived))
    assert found[MAE] == pytest.approx(2.89, abs=0.005) and found["geodesic"] == pytest.approx(4.95, abs=0.005)
    angles = [found[f"mae(angle={a},convention=300w-lp)"] for a in ("yaw", "pitch", "roll")]
    assert angles == pytest.approx([2.45, 3.86, 2.37], abs=0.006)


@pytest.mark.parametrize("protocol", ["pose-1969", "pose-2000", "landmarks-original"])
@pytest.mark.parametrize("form", ["as given", "matrices only"])
def test_truth_as_prediction_is_perfect(truth: Faces, protocol: str, form: str) -> None:
    prediction = truth if form == "as given" else Faces(truth.sample_id, rotation=truth.rotation, landmarks=truth.landmarks)
    for metric, value in values(f"aflw2000/{protocol}", truth, prediction).items():
        assert value == pytest.approx(100.0 if metric.startswith("auc") else 0.0, abs=1e-9), metric


def test_the_real_files_give_the_same_labels(truth: Faces, realdata: Path) -> None:
    """Pose_Para of the 16 .mat files against the third party's list: order, unit and sign of the reader are right."""
    read = hpbench.load("aflw2000", realdata / "aflw2000").truth()
    listed = truth.take(truth.rows_of(list(read.sample_id)))
    np.testing.assert_allclose(read.euler_deg, listed.euler_deg, atol=2e-5)
    np.testing.assert_allclose(read.landmarks, listed.landmarks, atol=1e-4)


def test_the_public_command_on_2000_label_files(truth: Faces, tmp_path: Path) -> None:
    """The golden lines once more from files in the original format, through `hpbench score`: complete, verified, ranked."""
    from scipy.io import savemat

    (tmp_path / "labels").mkdir()
    radians = np.deg2rad(truth.euler_deg[:, [1, 0, 2]]).astype(np.float32)
    for i, angles, points in zip(truth.sample_id, radians, truth.landmarks, strict=True):
        fields = {"Pose_Para": np.array([[*angles, 0, 0, 0, 1e-3]], np.float32)}
        savemat(tmp_path / "labels" / f"{i}.mat", {**fields, "pt3d_68": np.vstack([points.T, np.zeros(68)]).astype(np.float32)})
    rows = "".join(f"{i},0,0,0\n" for i in truth.sample_id)
    (tmp_path / "zeros.csv").write_text(f"# convention=300w-lp\nsample_id,yaw_deg,pitch_deg,roll_deg\n{rows}")
    command = [sys.executable, "-m", "hpbench", "score", "zeros.csv", "-d", "aflw2000", "--data", "labels", "-o", "out", "--json"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    records = {r["protocol"]["id"]: r for r in json.loads(result.stdout)}
    assert records["aflw2000/pose-1969"]["scores"][0]["value"] == pytest.approx(17.8752348, abs=1e-6)
    assert records["aflw2000/pose-2000"]["scores"][0]["value"] == pytest.approx(19.0530594, abs=1e-6)
    assert records["aflw2000/pose-1969"]["scores"][0]["n_scored"] == 1969
    for record in records.values():
        assert record["dataset"]["verified"] and not record["partial"]
