"""Galleries: the faces on them are the worst, what is drawn is seen, and photographs do not get into what is passed on."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from miniatures.aflw2000 import draw_aflw2000

import hpbench
from hpbench.catalog import catalog_root, dataset_card, split_ids
from hpbench.errors import InputError
from hpbench.predictions import Predictions, write_predictions
from hpbench.records import read_errors
from hpbench.report.figures import draw_comparison
from hpbench.report.gallery import gallery

RECORD = "aflw2000.landmarks-original@1.json"
BLUE, ORANGE = (86, 180, 233), (230, 159, 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gallery")
    draw_aflw2000(out / "faces", count=12, seed=3, ids=(split_ids(dataset_card("aflw2000"), "all") or [])[:12])
    dataset = hpbench.load("aflw2000", out / "faces")
    truth = dataset.truth()
    for name, seed in (("a", 1), ("b", 2)):
        points = np.array(truth.landmarks) + np.random.default_rng(seed).uniform(0, 20, (12, 1, 1))
        if name == "a":
            points[[2, 5]] = np.nan
        faces = hpbench.Faces(truth.sample_id, landmarks=points, scheme=truth.scheme)
        write_predictions(out / name / "predictions.h5", Predictions(faces, boxes="landmarks", model=name))
        hpbench.score(out / name / "predictions.h5", dataset, out=out / name)
    return out


def test_the_worst_the_grown_and_the_failed(folder: Path, tmp_path: Path) -> None:
    dataset = hpbench.load("aflw2000", folder / "faces")
    written = gallery(folder / "a" / RECORD, dataset, tmp_path, count=4, reference=folder / "b" / RECORD)
    assert {"worst.png", "worse-than-reference.png", "failed.png", "index.csv"} <= {p.name for p in written}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in written)
    rows = list(csv.DictReader((tmp_path / "index.csv").open()))
    assert {r["sheet"] for r in rows} | {"index.csv"} == {p.name for p in written}
    metric = rows[0]["metric"]
    errors, before = (read_errors(folder / m / RECORD) for m in "ab")
    ids = [str(i) for i in errors["sample_id"]]
    failed = {ids[2], ids[5]}
    by_size = sorted((i for i in ids if i not in failed), key=lambda i: -errors[metric][ids.index(i)])
    change = {i: errors[metric][ids.index(i)] - before[metric][ids.index(i)] for i in by_size}
    on = lambda sheet: [r["sample_id"] for r in rows if r["sheet"] == f"{sheet}.png"]  # noqa: E731
    assert on("worst") == by_size[:4] and set(on("failed")) == failed
    assert on("worse-than-reference") == sorted((i for i in change if change[i] > 0), key=lambda i: -change[i])[:4]
    assert all(r["failure"] for r in rows if r["sample_id"] in failed) and all(float(r["error"]) >= 0 for r in rows)
    for path in written[:-1]:
        picture = cv2.imread(str(path))
        assert picture is not None and picture.shape[1] == 1200 and picture.std() > 20


def test_labels_are_blue_and_predictions_orange() -> None:
    image, box = np.zeros((200, 200, 3), np.uint8), np.array([50.0, 50.0, 150.0, 150.0])
    where = np.full((1, 29, 2), np.nan)
    where[0, 0] = 80.0, 100.0
    moved = where + 30.0
    visible = np.ones((1, 29))
    kinds = {"truth": hpbench.Faces(landmarks=where, scheme="cofw29"), "seen": hpbench.Faces(landmarks=moved, scheme="cofw29")}
    hidden = hpbench.Faces(landmarks=moved, visibility=visible * 0.2, scheme="cofw29")
    nothing = hpbench.Faces(["0"])

    def centre(faces: tuple[hpbench.Faces, hpbench.Faces], colour: tuple[int, int, int]) -> tuple[float, int]:
        rows, columns = np.nonzero(np.abs(draw_comparison(image, box, *faces).astype(int) - colour).sum(axis=2) < 150)
        return (float(columns.mean()), len(columns)) if len(columns) else (np.nan, 0)

    at, disc = centre((kinds["truth"], kinds["seen"]), BLUE)
    assert at < centre((kinds["truth"], kinds["seen"]), ORANGE)[0] and disc > 10
    assert 0 < centre((kinds["truth"], hidden), ORANGE)[1] < disc, "a ring has fewer pixels than a disc"
    assert centre((kinds["truth"], nothing), ORANGE)[1] == 0
    turned = hpbench.Faces(euler_deg=[[50.0, 0.0, 0.0]], convention="300w-lp")
    assert centre((nothing, turned), ORANGE)[0] < 150, "yaw + is nose to the image's left"


def test_photographs_stay_out_of_what_is_passed_on(folder: Path, tmp_path: Path) -> None:
    dataset = hpbench.load("aflw2000", folder / "faces")
    for place in ("reports", "docs/figures"):
        with pytest.raises(InputError, match="which is passed on"):
            gallery(folder / "a" / RECORD, dataset, catalog_root() / place)
    for arguments, message in (
        ({"count": 0}, "at least one face"),
        ({"metric": "geodesic"}, "no per-face errors 'geodesic'"),
        ({"predictions": folder / "b" / "predictions.h5"}, "not the predictions of the record"),
        ({"reference": folder / "b" / "aflw2000.landmarks-reannotated@1.json"}, "no"),
    ):
        with pytest.raises(InputError, match=message):
            gallery(folder / "a" / RECORD, dataset, tmp_path / "x", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()
