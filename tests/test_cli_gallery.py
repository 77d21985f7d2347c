"""`hpbench gallery` through its entry point: what is drawn, said and refused, and that nothing is written elsewhere."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from miniatures.aflw2000 import draw_aflw2000
from small_study import command

import hpbench
from hpbench.catalog import catalog_root, dataset_card, split_ids
from hpbench.predictions import Predictions, write_predictions
from hpbench.records import read_errors, read_record

POSE = "aflw2000.pose-1969@1.json"
COUNT = 10

Gallery = Callable[..., tuple[int, str, str]]


@pytest.fixture
def gallery(capsys: pytest.CaptureFixture[str]) -> Gallery:
    """Exit code, stdout and stderr of ``hpbench gallery ...``."""
    return partial(command, capsys, "gallery")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces, and two models that turn the labels by 1 to 10 degrees, in opposite orders."""
    out = tmp_path_factory.mktemp("cli-gallery")
    draw_aflw2000(out / "faces", count=COUNT, seed=3, ids=(split_ids(dataset_card("aflw2000"), "all") or [])[:COUNT])
    dataset = hpbench.load("aflw2000", out / "faces")
    truth = dataset.truth()
    for name, degrees in (("a", np.arange(1.0, COUNT + 1)), ("b", np.arange(COUNT, 0.0, -1))):
        turned = np.array(truth.euler_deg) + np.stack([degrees, 0 * degrees, 0 * degrees], axis=1)
        faces = hpbench.Faces(truth.sample_id, euler_deg=turned, convention=truth.convention)
        write_predictions(out / name / "predictions.h5", Predictions(faces, boxes="landmarks", model=name))
        hpbench.score(out / name / "predictions.h5", dataset, out=out / name)
    return out


def test_sheets_are_in_the_folder_and_nowhere_else(folder: Path, tmp_path: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    code, out, err = gallery(
        folder / "a" / POSE, "--data", folder / "faces", "-o", "mine/sheets", "--worst", 3, "--against", folder / "b" / POSE
    )
    assert code == 0, err
    assert err == "photographs of AFLW2000-3D: for you alone, not to be published or passed on.\n"
    written = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert written == sorted(tmp_path / line for line in out.split()) and {p.parent for p in written} == {tmp_path / "mine" / "sheets"}
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    rows = list(csv.DictReader((tmp_path / "mine/sheets/index.csv").open()))
    errors = read_errors(folder / "a" / POSE)
    kept = [str(i) for i in errors["sample_id"]]
    worst = [row["sample_id"] for row in rows if row["sheet"] == "worst.png"]
    assert worst == sorted(kept, key=lambda i: -errors[rows[0]["metric"]][kept.index(i)])[:3]
    grown = [row for row in rows if row["sheet"] == "worse-than-reference.png"]
    assert grown and all(float(row["error"]) > float(row["reference_error"]) for row in grown)
    for path in written:
        assert path.suffix == ".csv" or cv2.imread(str(path)) is not None


def test_another_metric_and_predictions_that_lie_elsewhere(folder: Path, tmp_path: Path, gallery: Gallery) -> None:
    for name in (POSE, POSE.replace(".json", ".errors.npz")):
        (tmp_path / name).write_bytes((folder / "a" / name).read_bytes())
    given = (tmp_path / POSE, "-d", "aflw2000", "--data", folder / "faces", "-o", tmp_path / "out")
    code, _, err = gallery(*given)
    assert code == 2 and "its predictions are not beside it" in err and not (tmp_path / "out").exists()
    metric = "mae(angle=yaw,convention=300w-lp)"
    code, _, err = gallery(*given, "--predictions", folder / "a" / "predictions.h5", "--metric", metric)
    assert code == 0, err
    assert {row["metric"] for row in csv.DictReader((tmp_path / "out/index.csv").open())} == {metric}


def test_what_is_refused_is_one_sentence(folder: Path, tmp_path: Path, gallery: Gallery) -> None:
    record = folder / "a" / POSE
    (tmp_path / "empty").mkdir()
    moved = replace(read_record(folder / "b" / POSE), truth_sha256="0" * 64)
    moved.write(tmp_path / "moved", read_errors(folder / "b" / POSE))
    shipped = catalog_root() / "reports" / "gallery"
    for arguments, code, words in (
        ((folder / "a",), 2, f"a folder, where a record is expected: name one of its records, e.g. {folder / 'a'}"),
        ((tmp_path / "empty",), 2, "there is no record in it"),
        ((tmp_path / "gone.json",), 2, "cannot be read"),
        ((record, "-d", "aflw"), 2, "a record of aflw2000, not of aflw: leave --dataset out"),
        ((record, "--worst", 0), 2, "at least one face a sheet, got 0"),
        ((record, "--metric", "nme(norm=height)"), 2, "has no per-face errors"),
        ((record, "--against", folder / "b" / POSE.replace("1969", "2000")), 2, "a record by aflw2000/pose-2000@1, not by"),
        ((record, "--against", tmp_path / "moved" / POSE), 2, "of other labels than those of a"),
        ((record, "-o", shipped), 2, "which is passed on: choose a folder of your own"),
    ):
        found, out, err = gallery(*arguments, "--data", folder / "faces", *(() if "-o" in arguments else ("-o", tmp_path / "out")))
        assert (found, out, err.count("\n")) == (code, "", 1) and words in err, (arguments, err)
    assert not (tmp_path / "out").exists() and not shipped.exists()
    code, out, err = gallery(record, "--data", tmp_path / "empty", "-o", tmp_path / "out")
    assert code == 3 and out == "" and not (tmp_path / "out").exists()


def test_heads_may_be_shown(tmp_path: Path, gallery: Gallery) -> None:
    hpbench.run("frontal", "heads", protocol="heads/pose", limit=5, out=tmp_path)
    code, out, err = gallery(tmp_path / "heads.pose@1.json", "-o", tmp_path / "sheets")
    assert (code, err) == (0, "") and str(tmp_path / "sheets" / "worst.png") in out.split()
