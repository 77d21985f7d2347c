"""Golden numbers of occlusion on COFW68: the authors' published results, scored as they are (hard labels)."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hpbench.faces import Faces
from hpbench.metrics import parse_metric
from hpbench.metrics.visibility import decisions_of, is_constant, is_hard, precision_recall_curve
from hpbench.readers import load

PRECISION, RECALL = 80.6538692, 34.0552178  # HPM, of points called occluded
TOLERANCE = 5e-8


@pytest.fixture(scope="module")
def truth(realdata: Path) -> Faces:
    return load("cofw68", realdata / "cofw68" / "COFW68_Data").truth("test")


def published(realdata: Path, name: str) -> Faces:
    """Points and visibility (1 - occlusion) of a result file: four lines a face, in any order of the faces."""
    lines = (realdata / "cofw68" / "Results" / name).read_text().splitlines()
    x, y, occluded = (np.array([line.split() for line in lines[k::4]], dtype=float) for k in (1, 2, 3))
    ids = [str(int(line)) for line in lines[0::4]]
    return Faces(ids, landmarks=np.stack([x, y], axis=2), visibility=1.0 - occluded)


@pytest.fixture(scope="module")
def hpm(realdata: Path) -> Faces:
    return published(realdata, "HPM_HelenLfpw_COFW68test.txt")


def score(metric: str, truth: Faces, prediction: Faces) -> float:
    decisions, labelled, failed = decisions_of(truth, prediction.aligned_to(list(truth.sample_id)))
    assert labelled.all() and not failed.any() and len(decisions) == 507 * 68
    return parse_metric(metric).of_decisions(decisions).point()


def test_occlusion_of_hpm(truth: Faces, hpm: Faces) -> None:
    assert is_hard(hpm) and not is_constant(hpm)
    assert score("precision(threshold=0.5)", truth, hpm) == pytest.approx(PRECISION, abs=TOLERANCE)
    assert score("recall(threshold=0.5)", truth, hpm) == pytest.approx(RECALL, abs=TOLERANCE)
    # its one operating point is just precise enough to be the recall at 80 % precision
    assert score("recall(precision=80)", truth, hpm) == pytest.approx(RECALL, abs=TOLERANCE)
    assert score("recall(precision=80.7)", truth, hpm) == 0.0
    assert score("best_f1", truth, hpm) == pytest.approx(2 / (1 / PRECISION + 1 / RECALL), abs=TOLERANCE)


def test_the_curve_of_hpm_has_one_corner(truth: Faces, hpm: Faces) -> None:
    recall, precision, threshold = precision_recall_curve(truth, hpm.aligned_to(list(truth.sample_id)))
    prevalence = 100 * 7896 / (507 * 68)
    assert recall == pytest.approx([RECALL, 100.0], abs=TOLERANCE)
    assert precision == pytest.approx([PRECISION, prevalence], abs=TOLERANCE)
    assert list(threshold) == [1.0, 0.0]


def test_rcpr_has_no_occlusion(truth: Faces, realdata: Path) -> None:
    """Its column is 0 everywhere: not predicted, rather than every point visible."""
    assert is_constant(published(realdata, "RCPR-occ_300w.txt"))


def test_truth_is_perfect(truth: Faces) -> None:
    for metric in ("recall(precision=80)", "recall(threshold=0.5)", "precision(threshold=0.5)", "ap", "best_f1", "roc_auc"):
        assert score(metric, truth, truth) == 100.0
    assert score("ece", truth, truth) == score("brier", truth, truth) == 0.0


def test_hpm_through_the_command_line(hpm: Faces, realdata: Path, tmp_path: Path) -> None:
    with (tmp_path / "predictions.csv").open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["sample_id", *(f"{axis}{k}" for k in range(68) for axis in "xy"), *(f"v{k}" for k in range(68))])
        for i, points, visible in zip(hpm.sample_id, hpm.landmarks, hpm.visibility, strict=True):
            rows.writerow([i, *map(repr, points.ravel().tolist()), *visible.astype(int)])
    data = realdata / "cofw68" / "COFW68_Data"
    command = [sys.executable, "-m", "hpbench", "score", "predictions.csv", "-d", "cofw68", "--protocol", "cofw68/visibility"]
    done = subprocess.run([*command, "--data", str(data), "-o", "out"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "cofw68.visibility@1.json").read_text())
    scores = {s["metric"]: s for s in record["scores"]}
    assert list(scores)[0] == "recall(precision=80)" and record["dataset"]["verified"] and not record["partial"]
    for metric, value in ("precision(threshold=0.5)", PRECISION), ("recall(threshold=0.5)", RECALL), ("recall(precision=80)", RECALL):
        assert scores[metric]["value"] == pytest.approx(value, abs=TOLERANCE)
        assert scores[metric]["n_failed"] == 0 and scores[metric]["ci95"] is not None
    assert record["diagnostics"]["occluded_percent"] == pytest.approx(100 * 7896 / (507 * 68))
