"""Every figure that records give, from a run on drawn faces: which there are, and what is said of those that there are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from miniatures.aflw2000 import draw_aflw2000

import hpbench
from hpbench.catalog import dataset_card, split_ids
from hpbench.errors import InputError
from hpbench.predictions import Predictions, write_predictions
from hpbench.report.figures import figures_of_records, measured


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces, and two models' predictions with records beside them; the second has no prediction of two faces."""
    out = tmp_path_factory.mktemp("figures")
    draw_aflw2000(out / "faces", count=12, seed=1, ids=(split_ids(dataset_card("aflw2000"), "all") or [])[:12])
    dataset = hpbench.load("aflw2000", out / "faces")
    truth = dataset.truth()
    for name, offset, missing in (("near", 2.0, 0), ("far", -6.0, 2)):
        angles, points = np.array(truth.euler_deg) + offset, np.array(truth.landmarks) + offset
        angles[:missing], points[:missing] = np.nan, np.nan
        faces = hpbench.Faces(truth.sample_id, euler_deg=angles, convention=truth.convention, landmarks=points, scheme=truth.scheme)
        write_predictions(out / name / "predictions.h5", Predictions(faces, boxes="landmarks", model=name))
        hpbench.score(out / name / "predictions.h5", dataset, out=out / name)
    return out


POSE, POINTS = "aflw2000.pose-2000@1.json", "aflw2000.landmarks-original@1.json"


def test_figures_of_two_models(folder: Path) -> None:
    dataset = hpbench.load("aflw2000", folder / "faces")
    runs = [measured(folder / name / record, dataset) for record in (POSE, POINTS) for name in ("near", "far")]
    pictures, skipped = figures_of_records(runs)
    names = {p.name: p for p in pictures}
    assert set(names) == {
        "aflw2000.landmarks-original.ced-height",
        "aflw2000.landmarks-original.ced-sqrt-wh", "aflw2000.landmarks-original.error-against-yaw",
        "aflw2000.landmarks-original.landmark-errors", "aflw2000.pose-2000.bland-altman-far", "aflw2000.pose-2000.bland-altman-near",
        "aflw2000.pose-2000.error-against-yaw", "aflw2000.pose-2000.error-histograms",
    }  # fmt: skip
    assert skipped == []
    assert [r["bias_deg"] for r in names["aflw2000.pose-2000.bland-altman-near"].table] == pytest.approx([2.0] * 3)
    far = [r for r in names["aflw2000.pose-2000.error-histograms"].table if r["model"] == "far"]
    assert far[0]["faces"] == 10 and far[0]["mean_deg"] == pytest.approx(-6.0)
    ced = names["aflw2000.landmarks-original.ced-sqrt-wh"].table
    scores = {run.name: run.record.score("auc(below=6,norm=sqrt_wh)").value for run in runs if run.record.landmark_errors}
    assert {r["curve"]: r["auc_percent"] for r in ced} == pytest.approx(scores, rel=1e-5)
    again, _ = figures_of_records(runs)
    assert [p.data for p in again] == [p.data for p in pictures]


def test_what_is_not_here_is_named(folder: Path, tmp_path: Path) -> None:
    pictures, skipped = figures_of_records([measured(folder / "near" / POSE)])
    assert not pictures
    assert skipped == [
        "aflw2000.pose-2000.error-against-yaw: the labels are not here, so the yaw of the faces is not known.",
        "aflw2000.pose-2000.error-histograms: near: the labels are not here.",
    ]
    for file in (folder / "near").glob("aflw2000.pose*"):
        shutil.copy(file, tmp_path)
    dataset = hpbench.load("aflw2000", folder / "faces")
    pictures, skipped = figures_of_records([measured(tmp_path / POSE, dataset), measured(tmp_path / POSE, dataset)])
    assert [p.name for p in pictures] == ["aflw2000.pose-2000.error-against-yaw"]
    assert {r["model"] for r in pictures[0].table} == {"near", "near (2)"}
    assert skipped[0] == "aflw2000.pose-2000.error-histograms: near: the predictions are not here."
    aligned = measured(folder / "near" / "aflw2000.pose-1969-aligned@1.json", dataset)
    assert any("aligned protocol" in text for text in figures_of_records([aligned])[1])


def test_other_predictions_and_other_data_are_refused(folder: Path) -> None:
    dataset = hpbench.load("aflw2000", folder / "faces")
    with pytest.raises(InputError, match="not the predictions of the record"):
        measured(folder / "near" / POSE, dataset, folder / "far" / "predictions.h5")
    with pytest.raises(InputError, match="the record is of aflw2000, the data of heads"):
        measured(folder / "near" / POSE, hpbench.load("heads"))
