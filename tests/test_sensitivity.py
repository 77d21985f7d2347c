"""The same predictions by every choice: each number is what scoring by that choice gives.  And both commands, as they are typed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from explained_study import COUNT, ODD, PLAIN, draw_explained
from hypothesis import given
from hypothesis import strategies as st
from small_study import command

import hpbench
from hpbench.errors import InputError
from hpbench.explain import explain
from hpbench.predictions import read_predictions, write_predictions
from hpbench.report.explanation import explanation_text
from hpbench.report.figures.explanation import waterfall_figure
from hpbench.report.figures.sensitivity import sensitivity_figure
from hpbench.report.sensitivity import sensitivity_text, spread_sentence
from hpbench.sensitivity import Question, Sensitivity, _as_close, sensitivity


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sensitive")
    draw_explained(folder)
    return folder


@pytest.fixture
def study(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HPBENCH_CATALOG", str(drawn / "catalog"))
    return drawn


@pytest.fixture
def found(study: Path) -> Sensitivity:
    return sensitivity(str(study / "failing/predictions.h5"), "miniature", data=[study / "faces"])


def values(question: Question) -> dict[str, float]:
    return {c.variant.name: c.value for c in question.choices}


def test_every_choice_is_what_scoring_by_it_gives(study: Path, found: Sensitivity, tmp_path: Path) -> None:
    pose, points, area = found.questions
    assert (pose.protocol.id, points.protocol.id, area.metric) == (PLAIN, "miniature/landmarks", "auc(below=8,norm=sqrt_wh)")
    metrics = {
        "plain difference, no wrap": "mae(convention=300w-lp,formula=plain)",
        "folded at 180 deg": "mae(convention=300w-lp,formula=fold180)",
        "the better of two triples": "mae(convention=300w-lp,formula=best-triple)",
        "only yaw on the circle": "mae(convention=300w-lp,formula=wrapped-yaw)",
        "angles of yxz": "mae(convention=yxz)",
        "median face": "mae(convention=300w-lp,mean=median)",
        "geodesic": "geodesic",
    }
    file = study / "failing/predictions.h5"
    records = hpbench.score(file, "miniature", data=study / "faces", out=tmp_path, metrics=list(metrics.values()))
    by_id = {r.protocol.id: r for r in records}
    for name, metric in metrics.items():
        assert values(pose)[name] == pytest.approx(by_id[PLAIN].score(metric).value), name
    assert values(pose)["left out"] == pytest.approx(by_id[PLAIN].main.value_detected)
    assert values(pose)["odd"] == pytest.approx(by_id[ODD].main.value)
    assert pose.main.value == by_id[PLAIN].main.value and points.main.value == by_id["miniature/landmarks"].main.value
    assert values(points)["over height"] == pytest.approx(by_id["miniature/landmarks"].score("nme(norm=height)").value)
    assert values(points)["landmarks-binned"] == pytest.approx(by_id["miniature/landmarks-binned"].main.value)
    assert values(area)["over height"] == pytest.approx(by_id["miniature/landmarks-binned"].score("auc(below=8,norm=height)").value)
    assert "landmarks-binned" not in values(area), "the same choice by another name"


def test_spreads_and_published_ranks(found: Sensitivity) -> None:
    pose = found.questions[0]
    assert [r.value for r in pose.published] == [2.0, 2.5, 9.0]
    alike = [pose.main.value, *(c.value for c in pose.choices if c.variant.alike)]
    assert (pose.low, pose.high) == (min(alike), max(alike)) and "geodesic" in values(pose)
    for choice in (pose.main, *pose.choices):
        assert choice.change == pytest.approx(choice.value - pose.main.value)
        expected = 1 + sum(v < choice.value for v in (2.0, 2.5, 9.0)) if choice.variant.alike else None
        assert choice.rank == expected
    assert all(g.low <= pose.main.value <= g.high and g.spread <= pose.spread for g in pose.groups)
    assert [g.spread for g in pose.groups] == sorted((g.spread for g in pose.groups), reverse=True)
    assert pose.ranks == 3 and spread_sentence(pose).endswith("(2.0 to 9.0, 7.00 deg).")


@given(st.lists(st.floats(0, 50), min_size=2, max_size=8).map(sorted), st.floats(0, 60), st.floats(0, 60))
def test_a_wider_spread_covers_no_fewer_ranks(published: list[float], one: float, other: float) -> None:
    narrow, wide = (_as_close(published, spread) for spread in sorted((one, other)))
    assert narrow is not None and wide is not None and 1 <= narrow <= wide <= len(published)
    assert all(value - published[0] < max(one, other) for value in published[1:wide])
    assert _as_close(published[:1], one) is None


def test_labels_as_predictions_are_right_by_every_formula_but_not_by_every_frame(study: Path) -> None:
    (pose, points, area) = sensitivity(f"labels:{PLAIN}", "miniature", data=[study / "faces"]).questions
    assert {c.value for c in pose.choices if c.variant.group == "formula"} == {0.0} and pose.main.value == 0.0
    assert all(c.value == pytest.approx(0.0, abs=1e-9) for c in points.choices) and area.main.value == 100.0
    assert not any(c.variant.group == "failures" for q in (pose, points, area) for c in q.choices)


def test_faces_that_are_not_here_leave_the_published_values_out(study: Path, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    for path in sorted((study / "faces").glob("*.mat"))[: COUNT // 2]:
        (tmp_path / "few" / path.name).write_bytes(path.read_bytes())
    told: list[str] = []
    part = sensitivity(str(study / "failing/predictions.h5"), "miniature", data=[tmp_path / "few"], remark=told.append)
    assert told == [f"{COUNT // 2} of {COUNT} faces of miniature are here: nothing is compared with published values."]
    assert all(q.published == () and q.ranks is None and q.main.rank is None for q in part.questions)


def test_a_choice_of_ones_own(study: Path) -> None:
    file, data = str(study / "failing/predictions.h5"), [study / "faces"]
    (question,) = sensitivity(file, "miniature", protocol="odd", data=data).questions
    assert question.protocol.id == ODD and question.metric == "mae(convention=yxz,formula=fold180)"
    assert "all of the split" in values(question) and "not aligned" in values(question)
    (question,) = sensitivity(file, "miniature", metric="fr(above=8,norm=sqrt_wh)", data=data).questions
    assert question.unit == "%" and "above 5 %" in values(question)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"metric": "ap"}, "hold no visibility|cannot be scored"),
        ({"protocol": "heads/pose"}, "one of heads's"),
        ({"protocol": "nothing"}, "unknown protocol"),
        ({"metric": "mae"}, "needs convention"),
    ],
)
def test_what_is_refused(study: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        sensitivity(str(study / "failing/predictions.h5"), "miniature", data=[study / "faces"], **options)


def test_predictions_of_another_dataset(study: Path, tmp_path: Path) -> None:
    given = read_predictions(study / "wound/predictions.h5")
    ids = [f"other{i}" for i in range(COUNT)]
    write_predictions(tmp_path / "other.h5", replace(given, faces=replace(given.faces, sample_id=ids)))
    with pytest.raises(InputError, match="ids are not in the dataset"):
        sensitivity(str(tmp_path / "other.h5"), "miniature", data=[study / "faces"])


# ------------------------------------------------------------------------------------------------- documents and figures


def test_documents_say_the_same(study: Path, found: Sensitivity) -> None:
    data = json.loads(sensitivity_text(found, "json"))
    assert data["schema"] == 1 and [q["metric"] for q in data["questions"]] == [q.metric for q in found.questions]
    assert data["questions"][0]["published"] == {"comparable": 3, "within_spread": 3, "rank": 4}
    for width in (60, 100, 200):
        text = sensitivity_text(found, "table", width)
        assert max(map(len, text.splitlines())) <= max(width, 80), "the narrowest table is about 80 wide"
    explained = explain(f"{study}/wound/predictions.h5:{PLAIN}", "published:c4", data=[study / "faces"])
    data = json.loads(explanation_text(explained, "json"))
    assert data["schema"] == 1 and sum(s["change"] for s in data["steps"]) == pytest.approx(data["difference"])
    assert data["b"]["published"]["comparable"] == "no"
    assert explanation_text(explained, "markdown").count("\n|") > 8


def test_figures_show_what_tables_say(study: Path, found: Sensitivity, tmp_path: Path) -> None:
    picture = sensitivity_figure(found)
    drawn = [r for r in picture.table if r["group"] not in ("main", "published")]
    assert len(drawn) == sum(len(q.choices) for q in found.questions)
    picture.save(tmp_path / "sensitivity.svg")
    explained = explain(f"{study}/wound/predictions.h5:{PLAIN}", "published:c4", data=[study / "faces"])
    waterfall = waterfall_figure(explained)
    reached = [r["to"] for r in waterfall.table]
    changes = [r["change"] for r in waterfall.table[1:-1]]
    assert np.allclose(np.diff(np.array(reached[:-1], dtype=float)), np.array(changes, dtype=float), atol=1e-5)
    waterfall.save(tmp_path / "waterfall.png")
    assert all((tmp_path / name).stat().st_size for name in ("sensitivity.svg", "waterfall.png"))
    nothing = replace(explained, steps=())
    with pytest.raises(InputError, match="nothing to draw"):
        waterfall_figure(nothing)
    with pytest.raises(InputError, match="nothing to draw"):
        sensitivity_figure(replace(found, questions=()))


# ------------------------------------------------------------------------------------------------- the commands


def test_the_commands(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, data = study / "wound/predictions.h5", study / "faces"
    code, out, err = command(capsys, "explain", f"{file}:{PLAIN}", "published:c4", "--data", data, "--figure", tmp_path / "w.png")
    assert code == 0 and "written to" in err and (tmp_path / "w.png").is_file()
    assert "B is row c4 of published.csv" in out and "not explained" in out and "all steps" in out
    code, out, _ = command(capsys, "explain", f"{file}:{PLAIN}", "published:c4", "--data", data, "--json")
    assert code == 0 and json.loads(out)["unit"] == "deg"
    code, out, err = command(capsys, "sensitivity", file, "-d", "miniature", "--data", data, "--figure", tmp_path / "s.svg")
    assert code == 0 and "the main choice" in out and (tmp_path / "s.svg").is_file()
    code, out, _ = command(capsys, "sensitivity", file, "-d", "miniature", "--data", data, "--format", "markdown")
    assert code == 0 and "| what" in out


def test_the_commands_refuse_in_one_sentence(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, data = study / "wound/predictions.h5", study / "faces"
    for expected, arguments in (
        (2, ("explain", "published:none", "published:c1")),
        (2, ("explain", tmp_path / "none.json", "published:c1")),
        (3, ("explain", f"{file}:{PLAIN}", "published:c1")),
        (2, ("explain", f"{file}:{PLAIN}", "published:c1", "--data", data, "--figure", tmp_path / "w.doc")),
        (2, ("sensitivity", tmp_path / "none.h5", "-d", "miniature", "--data", data)),
        (3, ("sensitivity", file, "-d", "miniature")),
        (2, ("sensitivity", file, "-d", "miniatur", "--data", data)),
    ):
        code, out, err = command(capsys, *arguments)
        assert code == expected and out == "" and err.startswith("hpbench: "), (arguments, err)
