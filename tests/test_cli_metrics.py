"""`--metric` and `--eye-norms`: metrics besides a protocol's, through the command's entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import command_line
import numpy as np
import pytest
from miniatures.aflw2000 import draw_aflw2000
from miniatures.cofw import drawn_images, drawn_labels, write_cofw

import hpbench
import hpbench.errors
from hpbench.catalog import dataset_card, split_ids
from hpbench.readers import load

FOLD = "mae(convention=300w-lp,formula=fold180)"


def score(folder: Path, out: str, *options: str) -> command_line.Done:
    return command_line.hpbench("score", "pred.csv", "--data", "faces", "--json", "-o", out, *options, cwd=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces and the labels as predictions, with the landmarks moved by two pixels."""
    root = tmp_path_factory.mktemp("metrics")
    draw_aflw2000(root / "faces", count=12, seed=0, ids=split_ids(dataset_card("aflw2000"), "all")[:12])
    truth = load("aflw2000", root / "faces").truth("all")
    assert truth.landmarks is not None and truth.euler_deg is not None
    names = [f"{axis}{i}" for i in range(68) for axis in "xy"]
    lines = ["# convention=300w-lp", "# boxes=landmarks", ",".join(["sample_id", "yaw_deg", "pitch_deg", "roll_deg", *names])]
    for name, angles, points in zip(truth.sample_id, truth.euler_deg, truth.landmarks + 2.0, strict=True):  # type: ignore[arg-type]
        turned = [angles[0], angles[1] + 180.0, angles[2]]
        lines.append(",".join([str(name), *map(repr, map(float, [*turned, *points.ravel()]))]))
    (root / "pred.csv").write_text("\n".join(lines) + "\n")
    return root


def test_a_legacy_formula_beside_the_protocols(folder: Path) -> None:
    result = score(folder, "a", "--protocol", "aflw2000/pose-2000", "--metric", FOLD)
    assert result.returncode == 0, result.stderr
    (record,) = json.loads(result.stdout)
    values = {s["metric"]: s["value"] for s in record["scores"]}
    assert record["scores"][-1]["metric"] == FOLD
    assert values["mae(convention=300w-lp)"] == pytest.approx(60.0) and values[FOLD] == pytest.approx(0.0, abs=1e-9)


def test_a_metric_goes_to_the_protocols_of_its_kind(folder: Path) -> None:
    result = score(folder, "b", "-d", "aflw2000", "--metric", "fr(above=1,norm=height)")
    assert result.returncode == 0, result.stderr
    for record in json.loads(result.stdout):
        metrics = [s["metric"] for s in record["scores"]]
        assert ("fr(above=1,norm=height)" in metrics) == ("landmarks" in record["protocol"]["id"])


def test_eye_norms_need_asking_on_profile_faces(folder: Path) -> None:
    refused = score(folder, "c", "-d", "aflw2000", "--metric", "nme(norm=corners)")
    assert refused.returncode == 2 and "--eye-norms" in refused.stderr and "Traceback" not in refused.stderr
    asked = score(folder, "c", "-d", "aflw2000", "--metric", "nme(norm=corners)", "--eye-norms")
    assert asked.returncode == 0, asked.stderr
    assert any(s["metric"] == "nme(norm=corners)" for r in json.loads(asked.stdout) for s in r["scores"])


def test_a_metric_of_a_kind_that_is_not_scored_is_told(folder: Path) -> None:
    lines = (folder / "pred.csv").read_text().splitlines()
    (folder / "points.csv").write_text(
        "\n".join([lines[1], *(",".join(c for i, c in enumerate(line.split(",")) if i not in (1, 2, 3)) for line in lines[2:])])
    )
    common = ("score", "points.csv", "-d", "aflw2000", "--data", "faces", "-o", "points")
    result = command_line.hpbench(*common, "--metric", FOLD, "--metric", "distance_px", cwd=folder)
    assert result.returncode == 0, result.stderr
    told = [line for line in result.stderr.splitlines() if line.startswith("--metric")]
    assert len(told) == 1 and told[0].startswith(f"--metric {FOLD} is not computed: aflw2000/pose-1969@")
    assert told[0].endswith("is not scored, the predictions hold no pose.")


def test_a_view_that_the_labels_do_not_have_is_refused_before_a_model_runs(tmp_path: Path) -> None:
    phis, boxes = drawn_labels(4, seed=3)
    write_cofw(tmp_path / "COFW_test_color.mat", phis, boxes, drawn_images(4, seed=3))
    dataset = hpbench.load("cofw", tmp_path)

    class Guess(hpbench.Model):
        calls = 0

        def predict(self, images: list[np.ndarray], boxes_xyxy_px: np.ndarray) -> hpbench.Faces:
            Guess.calls += 1
            return hpbench.Faces(visibility=np.random.default_rng(0).random((len(images), 29)))

    for metric in ("ap(view=self)", "ece(bins=10,view=external)"):
        with pytest.raises(hpbench.errors.InputError) as caught:
            hpbench.run(Guess(), dataset, out=tmp_path / "out", metrics=metric)
        told = f"--metric {metric}: the labels of cofw do not tell external from self-occlusion: leave the view out."
        assert str(caught.value) == told and Guess.calls == 0
    (record,) = hpbench.run(Guess(), dataset, out=tmp_path / "out", metrics="ece(bins=10)")
    assert record.score("ece(bins=10)").value is not None and "self_percent" not in record.diagnostics


def test_a_file_without_rows(folder: Path) -> None:
    (folder / "empty.csv").write_text("# convention=300w-lp\nsample_id,yaw_deg,pitch_deg,roll_deg\n")
    for protocol in ((), ("--protocol", "aflw2000/pose-2000")):
        common = ("score", "empty.csv", "-d", "aflw2000", "--data", "faces", "-o", "empty")
        result = command_line.hpbench(*common, *protocol, cwd=folder)
        assert result.returncode == 2 and "hpbench: empty.csv: the file has no rows: " in result.stderr


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("maee(convention=yxz)", "did you mean 'mae'"),
        ("auc(below=1e300,formula=grid,norm=height)", "at most 1000"),
        ("ap", "--metric ap measures visibility, which none of the protocols to be scored does."),
        ("recall", "exactly one of"),
    ],
)
def test_metrics_that_cannot_be(folder: Path, metric: str, said: str) -> None:
    result = score(folder, "d", "-d", "aflw2000", "--metric", metric)
    assert result.returncode == 2 and said in result.stderr and "Traceback" not in result.stderr and result.stdout == ""


def test_errors_landmark_by_landmark_add_up(folder: Path) -> None:
    """Every point is off by two pixels, in x and in y: every point's mean error is the (plain) NME, and so is every part's."""
    result = score(folder, "e", "--protocol", "aflw2000/landmarks-original")
    (record,) = json.loads(result.stdout)
    found, scores = record["landmark_errors"], {s["metric"]: s["value"] for s in record["scores"]}
    assert len(found["points"]) == 68 and len(found["parts"]) > 3
    assert [*found["points"], *found["parts"].values()] == pytest.approx([scores[found["metric"]]] * (68 + len(found["parts"])))
    assert scores["distance_px"] == pytest.approx(2.0 * 2.0**0.5, abs=1e-6)


def test_a_table_keeps_to_the_width_of_the_terminal(folder: Path) -> None:
    """Of a terminal of 60 columns; what is no terminal has its own width, whatever COLUMNS says."""
    common = ("score", "pred.csv", "-d", "aflw2000", "--data", "faces", "-o", "wide", "--protocol", "pose-2000")
    piped = command_line.hpbench_process(*common, cwd=folder, COLUMNS="60").stdout
    assert 60 < max(map(len, piped.splitlines())) <= 140
    shown = subprocess.run(
        [sys.executable, "-c", "import sys, hpbench.cli.common as c; sys.stdout.isatty = lambda: True; print(c.terminal_width())"],
        capture_output=True, text=True, env={**os.environ, "COLUMNS": "60"},
    ).stdout  # fmt: skip
    assert shown == "60\n"
