"""A private data set with protocols that differ in everything, models with all kinds of faults, and papers that claim things."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from miniatures.aflw2000 import PROTOCOL, draw_aflw2000, draw_catalog, miniature_ids, state_statistics

import hpbench
from hpbench import jobs
from hpbench.catalog.published import PublishedRow
from hpbench.faces import Faces
from hpbench.predictions import Predictions, write_predictions

COUNT = 24
IDS = miniature_ids(COUNT)
PLAIN, ODD = "miniature/pose", "miniature/odd"

_ODD_BODY = """\
title = "Everything otherwise"
labels = "original"
exclude = { rule = "any-angle-above", deg = 45.0 }
align_by = "all"
main = "mae(convention=yxz,formula=fold180)"
metrics = ["mae(convention=yxz,formula=fold180)", "geodesic"]
failures = { "mae(convention=yxz,formula=fold180)" = 40.0 }
"""
_BINNED_BODY = """\
title = "Bins"
labels = "original"
norm_box = "landmarks"
balance = ["yaw 0-30", "yaw 30-60", "yaw 60-90"]
main = "nme(mean=balanced,norm=height)"
metrics = ["nme(mean=balanced,norm=height)", "auc(below=8,norm=height)"]
"""
_CLAIMS = (  # id, method, value, comparable, reason
    ("c1", "First", 2.0, "yes", ""),
    ("c2", "Second", 2.5, "yes", ""),
    ("c3", "Third", 9.0, "yes", ""),
    ("c4", "Folder", 3.0, "no", "errors folded at 180 deg (formula=fold180)"),
    ("c5", "Doubtful", 3.1, "unknown", "whether errors are plain differences or folded at 180 deg is not stated"),
)


def draw_explained(folder: Path) -> None:
    """``faces``, ``catalog`` and the models ``wound`` and ``failing`` below `folder`; HPBENCH_CATALOG must name the catalog afterwards."""
    draw_aflw2000(folder / "faces", COUNT, seed=5)
    draw_catalog(folder / "catalog", IDS)
    protocols = folder / "catalog/datasets/miniature/protocols"
    for name, body in (("odd", _ODD_BODY), ("landmarks-binned", _BINNED_BODY)):
        (protocols / f"{name}.toml").write_text(PROTOCOL.format(name=name, body=body))
    baselines = folder / "catalog/baselines"
    baselines.mkdir()
    _write(baselines / "published_works.csv", ["key", "title", "year", "venue", "arxiv", "doi", "url"], [{"key": "w", "title": "W"}])
    columns = [name for name, f in PublishedRow.__dataclass_fields__.items() if f.init]
    blank = {
        "protocol_id": PLAIN, "subset": "all", "metric": "mae(convention=300w-lp)", "unit": "deg", "paper": "w", "origin": "own",
        "confidence": "high", "dataset": "miniature", "source": "made up",
    }  # fmt: skip
    rows = [{**blank, "id": i, "method": m, "value": v, "comparable": c, "reason": r} for i, m, v, c, r in _CLAIMS]
    _write(baselines / "published.csv", columns, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPBENCH_CATALOG", str(folder / "catalog"))
        state_statistics(folder / "catalog", folder / "faces")
        truth = hpbench.load("miniature", folder / "faces").truth()
        for name, seed, failed in (("wound", 1, ()), ("failing", 2, (3, 7, 11))):
            made = predictions(truth, name, seed, failed)
            (folder / name).mkdir()
            write_predictions(folder / name / "predictions.h5", made)
            jobs.score(folder / name / "predictions.h5", protocol=PLAIN, data=folder / "faces", out=folder / name)


def predictions(truth: Faces, name: str, seed: int, failed: tuple[int, ...]) -> Predictions:
    """The labels with noise, some yaws a turn too far, some heads upside down, some faces not found."""
    rng = np.random.default_rng(seed)
    assert truth.euler_deg is not None and truth.landmarks is not None
    euler = truth.euler_deg + rng.normal(1.0, 3.0, truth.euler_deg.shape)
    euler[1, 0] += 360.0
    euler[2, 1:] += 180.0
    points = truth.landmarks + rng.normal(0.0, 3.0, truth.landmarks.shape)
    euler[list(failed)] = np.nan
    points[list(failed)] = np.nan
    faces = Faces(truth.sample_id, euler_deg=euler, convention="300w-lp", landmarks=points, scheme="ibug68-fixed")
    return Predictions(faces, boxes="landmarks", model=name)


def _write(path: Path, columns: list[str], rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
