"""Figures of plain data: what stands in their tables, what they refuse, that nothing is cut, and that the same data are the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpbench.catalog import PublishedRow, published_curves, published_rows
from hpbench.errors import InputError
from hpbench.faces import Faces
from hpbench.geometry.rotations import rotation_from_euler
from hpbench.metrics.matched import Matched
from hpbench.metrics.pose import angle_errors_deg
from hpbench.metrics.visibility import decision_table, decisions_of
from hpbench.records import LandmarkErrors
from hpbench.report.figures import (
    Picture,
    SpeedPoint,
    accuracy_against_speed_figure,
    best_over_years_figure,
    bland_altman_figure,
    ced_figure,
    decisions_of_errors,
    error_against_yaw_figure,
    error_histogram_figure,
    landmark_error_figure,
    precision_recall_figure,
    published_figures,
    rank_interval_figure,
    signed_angle_errors_deg,
    years_of,
)
from hpbench.report.figures.picture import shortened, width_mm

LONG = "a model $with a long_name, of which {the} end tells it from the others \\alpha (input_px=192, precision=bf16)"
RNG = np.random.default_rng(5)
ERRORS = np.append(RNG.gamma(4.0, 1.2, 300), [100.0, 100.0, np.nan])  # two failed faces, charged; one not labelled
CURVES = [c for c in published_curves() if (c.protocol_id, c.norm) == ("300w/full", "pupils")]
SIGNED = RNG.normal((2.0, -1.0, 0.5), (8.0, 5.0, 3.0), (300, 3))
TRUTH_DEG = RNG.uniform(-89.0, 89.0, (300, 3))


def faces_with_visibility(n: int = 60, failed: int = 4) -> tuple[Faces, Faces]:
    rng = np.random.default_rng(2)
    visible = (rng.random((n, 5)) > 0.3).astype(float)
    predicted = np.clip(visible * 0.5 + rng.random((n, 5)) * 0.6, 0.0, 1.0)
    predicted[:failed] = np.nan
    labels = np.where(rng.random((n, 5)) < 0.1, np.nan, visible)
    return Faces(visibility=labels), Faces(visibility=predicted)


def row(
    value: float, year: int | None, comparable: str = "yes", metric: str = "nme(norm=corners)", quotes: str = "", method: str = ""
) -> Any:
    text = {"variant": "", "paper": "x", "origin": "own", "reason": "another box", "paper_text": "", "source": "s", "confidence": "high"}
    found = PublishedRow(
        id=f"r{value}-{year}", protocol_id="wflw/test", subset="all", metric=metric, value=value, unit="%", method=method or f"m{value}",
        quotes=quotes, comparable=comparable, note="", dataset="wflw", paper_metric="", **text,  # type: ignore[arg-type]
    )  # fmt: skip
    object.__setattr__(found, "year", year)
    return found


def every_picture() -> dict[str, Picture]:
    """One of each kind, with names that do not fit."""
    truth, prediction = faces_with_visibility()
    decisions = decisions_of(truth, prediction)[0]
    points = LandmarkErrors("nme(norm=corners)", (None, *np.linspace(1.0, 6.0, 67).tolist()), {})
    years = [r for r in published_rows() if (r.protocol_id, r.subset, r.metric) == ("300w/full", "all", "nme(norm=corners)")]
    speeds = [SpeedPoint(LONG, 3.0, 10.0, "cpu"), SpeedPoint("b", 4.0, 25_000.0, "cpu"), SpeedPoint("c", 5.0, 90.0, "cpu")]
    yaw = {angle: {LONG: np.abs(SIGNED[:, i]), "b": np.abs(SIGNED[:, i]) + 1.0} for i, angle in enumerate(("yaw", "pitch", "roll"))}
    return {
        "ced": ced_figure(
            {LONG: ERRORS, "b": ERRORS * 1.2}, norm="pupils", below=8, published=CURVES, title=f"A title of some length: {LONG}"
        ),
        "pr": precision_recall_figure({LONG: decisions}, published=[row(72.12, 2020, metric="recall(precision=80)")]),
        "yaw": error_against_yaw_figure(yaw, TRUTH_DEG[:, 0]),
        "years": best_over_years_figure([r for r in years if r.canonical and r.comparable != "no" and r.year]),
        "speed": accuracy_against_speed_figure(speeds, metric="geodesic"),
        "histograms": error_histogram_figure({LONG: SIGNED, "b": SIGNED * 12.0}, failed={LONG: 3}),
        "bland-altman": bland_altman_figure(TRUTH_DEG, SIGNED * 12.0, model=LONG),
        "landmarks": landmark_error_figure({LONG: points, "b": points, "c": points}, "ibug68-contour"),
        "ranks": rank_interval_figure(
            [LONG, "b", "c"], [1, 2, 3], [1, 1, 3], [2, 2, 14], values=["3.00", "3.10", "104.55"], heading="MAE, deg"
        ),
    }


@pytest.fixture(scope="module")
def pictures() -> dict[str, Picture]:
    return every_picture()


def test_nothing_is_cut_and_figures_are_a_column_wide(pictures: dict[str, Picture]) -> None:
    from matplotlib.text import Text

    for name, picture in pictures.items():
        figure = picture.figure()
        assert abs(figure.get_figwidth() * 25.4 - 85.0) < 1e-6
        drawn, slack = figure.get_tightbbox(), 0.01  # inches
        assert drawn.x0 >= -slack and drawn.y0 >= -slack, (name, drawn)
        assert drawn.x1 <= figure.get_figwidth() + slack and drawn.y1 <= figure.get_figheight() + slack, (name, drawn)
        assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip()) >= 6.0, name
        assert picture.table and picture.title and picture.caption
        assert json.loads(picture.data)["table"] == picture.table
        assert len(picture.csv().splitlines()) == len(picture.table) + 1


def test_the_same_data_are_the_same_bytes(tmp_path: Path, pictures: dict[str, Picture]) -> None:
    """In another process, with other hashes and another taste."""
    import matplotlib

    kinds = ("ced",)
    code = (
        "import sys, matplotlib; sys.path.insert(0, sys.argv[1]); matplotlib.rcParams.update({'font.size': 20, 'lines.linewidth': 9});"
        "from pathlib import Path; from test_figures import every_picture; all = every_picture();"
        f"[all[k].save(Path(sys.argv[2]) / f'{{k}}.{{s}}') for k in {kinds} for s in ('png', 'svg', 'pdf')]"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path / "other")]
    done = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before = dict(matplotlib.rcParams)
    for kind in kinds:
        for suffix in ("png", "svg", "pdf"):
            path = tmp_path / f"{kind}.{suffix}"
            pictures[kind].save(path)
            assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes(), path.name
            assert b"CreationDate" not in path.read_bytes() and b"dc:date" not in path.read_bytes()
    assert dict(matplotlib.rcParams) == before
    with pytest.raises(InputError, match=r"ends in .png"):
        pictures["ced"].save(tmp_path / "x.gif")
    assert sorted(p.suffix for p in tmp_path.iterdir()) == sorted([".png", ".svg", ".pdf", ""])


def test_long_names_keep_both_ends() -> None:
    for room in (10.0, 25.0, 60.0):
        short = shortened(LONG, room)
        assert width_mm(short) <= room and short[0] == LONG[0] and short[-1] == LONG[-1] and "…" in short
    assert shortened("MNN+OR", 20.0) == "MNN+OR"


def test_cumulative_errors_say_what_the_metrics_say() -> None:
    picture = ced_figure({"mine": ERRORS}, norm="pupils", below=8, published=CURVES)
    mine = [r for r in picture.table if r["curve"] == "mine"]
    counted = ERRORS[~np.isnan(ERRORS)]
    at = (np.arange(80_000) + 0.5) / 10_000
    area = 100.0 * (np.searchsorted(np.sort(counted), at) / len(counted)).mean()
    assert mine[0]["auc_percent"] == pytest.approx(area, abs=1e-3) and mine[0]["faces"] == 302
    assert mine[0]["fr_percent"] == pytest.approx(100.0 * np.mean(counted > 8), rel=1e-5)
    assert [r["faces_percent"] for r in mine] == pytest.approx([100.0 * np.mean(counted <= e) for e in np.linspace(0, 8, 51)], rel=1e-5)
    order = [a for a, b in zip(picture.table, [None, *picture.table], strict=False) if b is None or a["curve"] != b["curve"]]
    assert len(order) == len(CURVES) + 1 and [r["auc_percent"] for r in order] == sorted((r["auc_percent"] for r in order), reverse=True)
    ours = next(c for c in CURVES if c.variant == "MNN+OR")
    assert next(r for r in order if r["curve"] == "MNN+OR")["auc_percent"] == pytest.approx(ours.auc, rel=1e-5)
    with pytest.raises(InputError, match="norm=pupils up to 8 %, not of norm=corners"):
        ced_figure({"mine": ERRORS}, norm="corners", below=8, published=CURVES)
    with pytest.raises(InputError, match="no face is labelled"):
        ced_figure({"mine": [np.nan]}, norm="corners", below=8)
    with pytest.raises(InputError, match="needs a curve"):
        ced_figure({}, norm="corners", below=8)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.0, 200.0), min_size=1, max_size=40))
def test_a_cumulative_curve_rises_to_what_the_failure_rate_leaves(errors: list[float]) -> None:
    table = ced_figure({"m": errors}, norm="height", below=10).table
    heights = [float(r["faces_percent"]) for r in table]  # type: ignore[arg-type]
    assert heights == sorted(heights)
    assert heights[-1] == pytest.approx(100.0 - float(table[0]["fr_percent"]), abs=1e-3)  # type: ignore[arg-type]


def test_decisions_beside_a_record_are_those_of_the_faces() -> None:
    truth, prediction = faces_with_visibility()
    errors = {"sample_id": np.array(truth.sample_id), **decision_table(truth, prediction)}
    ours, theirs = decisions_of_errors(errors), decisions_of(truth, prediction)[0]
    for name in ("face", "visible", "positive"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    with pytest.raises(InputError, match="no decisions"):
        decisions_of_errors({"sample_id": np.array(["a"])})


def test_precision_and_recall() -> None:
    truth, prediction = faces_with_visibility(failed=0)
    table = precision_recall_figure(
        {"m": decisions_of(truth, prediction)[0]}, published=[row(40.0, 2013, metric="recall(precision=80)")]
    ).table
    assert truth.visibility is not None and prediction.visibility is not None
    labelled = ~np.isnan(truth.visibility)
    occluded, score = truth.visibility[labelled] < 0.5, 1.0 - prediction.visibility[labelled]
    called = [score >= t for t in np.unique(score)]
    best = max(100.0 * occluded[c].sum() / occluded.sum() for c in called if occluded[c].mean() >= 0.8)
    assert table[0]["recall_at_80_precision"] == pytest.approx(best, rel=1e-5)
    assert table[-1]["origin"] == "published" and table[-1]["recall_at_80_precision"] == 40.0
    with pytest.raises(InputError, match=r"not of recall\(precision=80\)"):
        precision_recall_figure({"m": decisions_of(truth, prediction)[0]}, published=[row(4.0, 2013)])
    with pytest.raises(InputError, match="no point is labelled occluded"):
        precision_recall_figure({"m": decisions_of(Faces(visibility=np.ones((3, 5))), Faces(visibility=np.ones((3, 5))))[0]})
    with pytest.raises(InputError, match="needs a model"):
        precision_recall_figure({})


def test_errors_against_yaw_are_means_of_bins() -> None:
    yaw, errors = TRUTH_DEG[:, 0].copy(), np.abs(SIGNED[:, 0])
    yaw[:3] = [89.5, 14.999, 15.0]
    yaw[3], errors[4] = np.nan, np.nan
    table = error_against_yaw_figure({"yaw": {"m": errors}}, yaw).table
    assert [r["yaw_from_deg"] for r in table] == list(np.arange(-90.0, 90.0, 15.0))
    for line in table:
        inside = (yaw >= line["yaw_from_deg"]) & (yaw < line["yaw_to_deg"]) & ~np.isnan(errors)
        assert line["faces"] == inside.sum() and line["error"] == pytest.approx(errors[inside].mean(), rel=1e-5)
        assert line["low"] < line["error"] < line["high"]  # type: ignore[operator]
    few = error_against_yaw_figure({"yaw": {"m": np.ones(4)}}, np.zeros(4)).table
    assert few[0]["faces"] == 4 and few[0]["error"] is None
    assert error_against_yaw_figure({"yaw": {"m": np.ones(9)}}, np.linspace(-170, 170, 9)).table[0]["yaw_to_deg"] == -150.0
    people = error_against_yaw_figure({"yaw": {"m": errors}}, yaw, clusters=np.arange(300) % 4).table
    assert any(p["low"] != t["low"] for p, t in zip(people, table, strict=True))
    with pytest.raises(InputError, match="3 errors .* for 300 faces"):
        error_against_yaw_figure({"yaw": {"m": np.ones(3)}}, yaw)
    with pytest.raises(InputError, match="yaw is labelled"):
        error_against_yaw_figure({"yaw": {"m": np.ones(2)}}, [np.nan, np.nan])


@pytest.mark.parametrize("kind", ["angles", "matrices"])
def test_signed_errors_have_the_sizes_of_the_metric(kind: str) -> None:
    rng = np.random.default_rng(8)
    true_deg = rng.uniform(-180.0, 180.0, (200, 3)) * [1.0, 0.6, 1.0]
    other = true_deg + rng.normal(0.0, 30.0, (200, 3))
    truth = Faces(euler_deg=true_deg, convention="300w-lp")
    given = {"euler_deg": other, "convention": "300w-lp"} if kind == "angles" else {"rotation": rotation_from_euler(other, "300w-lp")}
    found = signed_angle_errors_deg(truth, Faces(**given), "300w-lp")  # type: ignore[arg-type]
    expected = angle_errors_deg(Matched(truth, Faces(**given)), convention="300w-lp", formula="wrap")  # type: ignore[arg-type]
    np.testing.assert_allclose(np.abs(found), expected, atol=1e-9)


def test_histograms_and_limits_of_agreement() -> None:
    values = np.array([[1.0, -2.0, 0.0], [3.0, -4.0, 0.0], [np.nan] * 3])
    table = error_histogram_figure({"m": values}).table
    of_yaw = [r for r in table if r["angle"] == "yaw"]
    assert of_yaw[0]["mean_deg"] == 2.0 and of_yaw[0]["sd_deg"] == pytest.approx(2**0.5, rel=1e-5) and of_yaw[0]["faces"] == 2
    assert sum(float(r["faces_percent"]) for r in of_yaw) == pytest.approx(100.0)  # type: ignore[arg-type]
    lines = bland_altman_figure(np.zeros((3, 3)), values).table
    assert lines[1]["bias_deg"] == -3.0 and lines[1]["high_deg"] == pytest.approx(-3.0 + 1.96 * 2**0.5, rel=1e-5) and lines[1]["faces"] == 2
    for bad, message in ((np.zeros((3, 2)), "yaw, pitch, roll"), (np.full((3, 3), np.nan), "no face has both")):
        with pytest.raises(InputError, match=message):
            error_histogram_figure({"m": bad})
    with pytest.raises(InputError, match="two faces"):
        bland_altman_figure(np.zeros((3, 3)), np.full((3, 3), np.nan))


def test_the_best_so_far_over_the_years() -> None:
    rows = [row(5.0, 2015), row(4.0, 2016, "unknown"), row(4.5, 2017), row(4.6, 2017), row(3.0, 2019)]
    table = best_over_years_figure(rows[::-1]).table
    assert [(r["value"], r["best_comparable_so_far"], r["best_so_far"]) for r in table] == [
        (5.0, 1, 1), (4.0, 0, 1), (4.5, 1, 0), (4.6, 0, 0), (3.0, 1, 1),
    ]  # fmt: skip
    recalls = [row(40.0, 2013, metric="recall(precision=80)"), row(72.0, 2020, metric="recall(precision=80)")]
    assert [r["best_so_far"] for r in best_over_years_figure(recalls).table] == [1, 1]
    for bad, message in (
        ([row(5.0, None)], "has no year"),
        ([row(5.0, 2015, "no")], r"not comparable \(another box\)"),
        ([rows[0], replace(rows[1], subset="pose")], "not of 2"),
        ([], "not of 0"),
    ):
        with pytest.raises(InputError, match=message):
            best_over_years_figure(bad)
    shown = years_of([*rows, row(2.0, 2020, "no"), row(1.0, 2020, quotes="r1"), row(1.5, None)])
    assert [len(found) for found in shown.values()] == [5] and not years_of(rows[:2])


def test_every_data_set_that_has_years_has_a_figure() -> None:
    found = published_figures()
    assert len({p.name for p in found}) == len(found) > 8
    best = next(p for p in found if p.name.startswith("years.cofw.visibility"))
    assert {"MNN", "3DDE", "RCPR"} <= {r["method"] for r in best.table}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0.5, 50.0), st.floats(0.5, 5000.0)), min_size=1, max_size=12), st.booleans())
def test_nothing_on_the_front_is_beaten(points: list[tuple[float, float]], higher: bool) -> None:
    metric = "ap" if higher else "geodesic"
    table = accuracy_against_speed_figure([SpeedPoint(f"m{i}", v, s, "cpu") for i, (v, s) in enumerate(points)], metric=metric).table
    for line in table:
        value, speed = points[int(str(line["model"])[1:])]
        beaten = any((v > value if higher else v < value) and s >= speed or v == value and s > speed for v, s in points)
        assert not (beaten and line["pareto"]) and (beaten or line["pareto"] or points.count((value, speed)) > 1)


def test_unlike_things_are_not_put_side_by_side() -> None:
    with pytest.raises(InputError, match="'cpu' and 'cuda'"):
        accuracy_against_speed_figure([SpeedPoint("a", 1.0, 1.0, "cpu"), SpeedPoint("b", 1.0, 1.0, "cuda")], metric="geodesic")
    with pytest.raises(InputError, match="cannot be drawn"):
        accuracy_against_speed_figure([SpeedPoint("a", 1.0, 0.0, "cpu")], metric="geodesic")
    with pytest.raises(InputError, match="rank 3 lies outside its interval, 1 to 2"):
        rank_interval_figure(["a"], [3], [1], [2])
    with pytest.raises(InputError, match="equal numbers"):
        rank_interval_figure(["a", "b"], [1], [1], [2])
    points = LandmarkErrors("nme(norm=corners)", (1.0,) * 29, {})
    assert [r["error_percent"] for r in landmark_error_figure({"a": points}, "cofw29").table] == [1.0] * 29
    for errors, scheme, message in (
        ({"a": points}, "wflw98", "29 landmarks, but wflw98 has 98"),
        ({"a": points, "b": replace(points, metric="nme(norm=pupils)")}, "cofw29", "no common scale"),
        ({"a": points}, "menpo39", "not drawn"),
        ({}, "cofw29", "needs a model"),
    ):
        with pytest.raises(InputError, match=message):
            landmark_error_figure(errors, scheme)  # type: ignore[arg-type]
