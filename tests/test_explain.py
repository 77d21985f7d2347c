"""Why two numbers differ: steps that add up, whichever way they are walked, and each of them what an independent formula gives."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from explained_study import COUNT, ODD, PLAIN, draw_explained

import hpbench
from hpbench.catalog import protocol_named
from hpbench.catalog.published import published_rows
from hpbench.errors import InputError, MissingDataError
from hpbench.explain import Explanation, Step, end_of, explain
from hpbench.explain.ends import formulas_named
from hpbench.explain.setting import FACTORS, differing, mixed, setting_of, words
from hpbench.predictions import Predictions, read_predictions, write_predictions


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explained")
    draw_explained(folder)
    return folder


@pytest.fixture
def study(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HPBENCH_CATALOG", str(drawn / "catalog"))
    return drawn


def of(study: Path, a: str, b: str, **options: object) -> Explanation:
    return explain(a, b, data=[study / "faces"], **options)  # type: ignore[arg-type]


def end(study: Path, model: str, protocol: str) -> str:
    return f"{study / model / 'predictions.h5'}:{protocol}"


def record(study: Path, model: str, protocol: str) -> str:
    return str(study / model / f"{protocol.replace('/', '.')}@1.json")


def step(found: Explanation, name: str) -> Step:
    return next(s for s in found.steps if s.name == name)


def pairs(study: Path) -> list[tuple[str, str]]:
    """Every kind: settings alone, predictions alone, both; of poses, of points, of labels in the place of predictions."""
    return [
        (end(study, "wound", PLAIN), end(study, "wound", ODD)),
        (end(study, "wound", PLAIN), end(study, "failing", PLAIN)),
        (end(study, "wound", ODD), end(study, "failing", PLAIN)),
        (end(study, "failing", "miniature/landmarks"), end(study, "wound", "miniature/landmarks-binned")),
        (f"labels:{PLAIN}:{PLAIN}", f"labels:{PLAIN}:{ODD}"),
    ]


def test_steps_add_up_and_the_way_back_is_the_same_way(study: Path) -> None:
    for a, b in pairs(study):
        there, back = of(study, a, b), of(study, b, a)
        assert there.difference is not None and back.difference == pytest.approx(-there.difference)
        for found in (there, back):
            assert sum(s.change for s in found.steps) == pytest.approx(found.difference, abs=1e-9)
            assert found.steps[-1].value == pytest.approx(found.b.value)
            assert all(s.name != "not explained" for s in found.steps), "all is at hand"
            assert [d.what for d in found.differences if d.scored] == [
                s for s in FACTORS if s in {n for t in found.steps for n in t.factors}
            ]
        for one in there.steps:  # a change alone from A is what is last on the way from B
            other = step(back, one.name)
            assert one.first is not None and other.last is not None
            assert one.first == pytest.approx(-other.last, abs=1e-9)
        first, last = there.steps[0], there.steps[-1]
        assert first.first == pytest.approx(first.change) and last.last == pytest.approx(last.change)


def test_one_number_twice_has_nothing_to_explain(study: Path) -> None:
    for text in (end(study, "wound", ODD), record(study, "failing", PLAIN)):
        found = of(study, text, text)
        assert found.difference == 0.0 and found.steps == () and found.differences == ()


def test_the_formula_is_the_formula(study: Path) -> None:
    truth = hpbench.load("miniature", study / "faces").truth()
    euler = read_predictions(study / "wound/predictions.h5").faces.euler_deg
    assert truth.euler_deg is not None and euler is not None
    apart = np.abs(euler - truth.euler_deg)
    found = of(study, end(study, "wound", PLAIN), "published:c4")
    wrapped, folded = np.minimum(apart, 360.0 - apart).mean(), np.min([np.abs(apart - k * 180.0) for k in range(3)], axis=0).mean()
    assert found.a.value == pytest.approx(wrapped)
    assert step(found, "formula").change == pytest.approx(folded - wrapped)
    assert step(found, "not explained").change == pytest.approx(3.0 - folded)
    assert found.b.value == 3.0 and {s.name for s in found.steps} == {"formula", "not explained"}


def test_which_faces_fail_is_a_step_of_its_own(study: Path) -> None:
    truth = hpbench.load("miniature", study / "faces").truth()
    found = of(study, record(study, "wound", PLAIN), record(study, "failing", PLAIN))
    assert [s.name for s in found.steps] == ["which faces fail", "the model"]
    euler = read_predictions(study / "wound/predictions.h5").faces.euler_deg
    assert truth.euler_deg is not None and euler is not None
    apart = np.abs(euler - truth.euler_deg)
    errors = np.minimum(apart, 360.0 - apart).mean(axis=1)
    errors[[3, 7, 11]] = 180.0
    assert found.steps[0].value == pytest.approx(errors.mean())
    assert (found.steps[0].a, found.steps[0].b) == ("0 failed rows", "3 failed rows")
    assert {d.what for d in found.differences} >= {"model", "predictions", "coverage"} and "labels' hash" in found.same


def test_faces_and_charges(study: Path) -> None:
    """Steps into a protocol that excludes and charges otherwise are of the faces that are left."""
    truth = hpbench.load("miniature", study / "faces").truth()
    assert truth.euler_deg is not None
    left = int((np.abs(truth.euler_deg) <= 45.0).all(axis=1).sum())
    found = of(study, end(study, "failing", PLAIN), end(study, "failing", ODD))
    assert 0 < left < COUNT and step(found, "faces").faces == left
    assert [s.name for s in found.steps] == ["faces", "labels", "angles", "formula", "alignment", "failures"]
    assert step(found, "labels").change == 0.0, "the same annotation under two names"
    assert step(found, "failures").change < 0.0 and step(found, "failures").b == "charged 40"


def test_a_record_that_was_scored_elsewhere(study: Path, tmp_path: Path) -> None:
    for name in ("predictions.h5", f"{PLAIN.replace('/', '.')}@1.json"):
        (tmp_path / name).write_bytes((study / "wound" / name).read_bytes())
    path = tmp_path / "miniature.pose@1.json"
    data = json.loads(path.read_text())
    data["scores"][0]["value"] += 0.25
    path.write_text(json.dumps(data))
    found = of(study, str(path), end(study, "wound", PLAIN))
    assert [(s.name, s.change) for s in found.steps] == [("scored again", pytest.approx(-0.25))]
    assert [s.change for s in of(study, record(study, "wound", PLAIN), str(path)).steps] == [pytest.approx(0.25)]


def test_without_predictions_what_differs_is_listed_and_others_may_stand_in(study: Path, tmp_path: Path) -> None:
    path = tmp_path / "miniature.pose@1.json"
    path.write_bytes(Path(record(study, "wound", PLAIN)).read_bytes())
    found = of(study, str(path), "published:c4")
    assert found.steps == () and "no predictions are at hand" in found.notes[0]
    assert [d.what for d in found.differences if d.scored] == ["formula"]
    named = of(study, str(path), "published:c4", predictions=[str(study / "wound/predictions.h5")])
    assert named.scored_with == "the predictions of wound"
    other = of(study, str(path), "published:c4", predictions=[str(study / "failing/predictions.h5")])
    assert "stand in" in other.scored_with and sum(s.change for s in other.steps) == pytest.approx(other.difference)
    labels = of(study, "published:c1", "published:c4", predictions=[f"labels:{PLAIN}"])
    assert step(labels, "formula").change == 0.0 and step(labels, "not explained").change == pytest.approx(1.0)


def test_without_data_a_recorded_number_is_listed_and_a_file_is_refused(study: Path) -> None:
    told: list[str] = []
    found = explain(record(study, "wound", PLAIN), record(study, "failing", PLAIN), remark=told.append)
    assert found.steps == () and found.difference is not None and told[0].startswith("nothing is scored")
    with pytest.raises(MissingDataError):
        explain(end(study, "wound", PLAIN), record(study, "failing", PLAIN))


def test_the_same_predictions_by_the_formulas_in_circulation(study: Path) -> None:
    found = of(study, end(study, "wound", PLAIN), "published:c5")
    assert {s.name for s in found.steps} == {"not explained"}, "a doubt is no formula"
    named = {r.variant.name for r in found.readings if r.named}
    assert {"plain difference, no wrap", "folded at 180 deg"} <= named and "difference on the circle" not in named
    distances = [abs(r.distance) for r in found.readings]
    assert distances == sorted(distances) and len({r.variant.setting for r in found.readings}) == len(distances)
    (record_of_plain,) = hpbench.score(
        study / "wound/predictions.h5", protocol=PLAIN, data=study / "faces", out=study / "again",
        metrics=["mae(convention=300w-lp,formula=plain)"],
    )  # fmt: skip
    plain = next(r for r in found.readings if r.variant.name == "plain difference, no wrap")
    assert plain.value == pytest.approx(record_of_plain.scores[-1].value)


def test_what_words_say_of_a_formula() -> None:
    row = next(r for r in published_rows() if r.reason.startswith("errors folded at 180 deg") and r.metric == "mae(convention=300w-lp)")
    assert formulas_named(row) == (("formula=fold180",), False)
    doubt = replace(row, reason="whether errors are plain differences or folded at 180 deg is not stated")
    assert formulas_named(doubt) == (("formula=fold180", "formula=plain"), True)
    assert formulas_named(replace(row, metric="geodesic"))[0] == ()
    for shipped in published_rows():
        formulas_named(shipped)


def test_settings_are_put_together_of_parts(study: Path) -> None:
    a, b = (setting_of(protocol_named(name)) for name in (PLAIN, ODD))
    factors = differing(a, b)
    assert mixed(a, b, factors) == b and mixed(a, b, ()) == a and differing(a, a) == ()
    for n in range(len(factors) + 1):
        for chosen in combinations(factors, n):
            between = mixed(a, b, chosen)
            assert set(differing(a, between)) == set(chosen) and set(differing(between, b)) == set(factors) - set(chosen)
    assert all(words(a, factor) for factor in FACTORS)
    geodesic = a.with_metric("geodesic")
    assert differing(a, geodesic) == ("formula",) and mixed(a, geodesic, ("formula",)).metric.text == "geodesic"


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("{wound}:miniature/pose", "{wound}:miniature/landmarks", "no one quantity"),
        ("{wound}:miniature/landmarks", "{wound}:miniature/landmarks:nothing/here", "unknown"),
        ("{wound}", "published:c1", "say by which protocol"),
        ("{folder}", "published:c1", "is a folder"),
        ("published:c9", "published:c1", "no published row 'c9'"),
        ("published:Frist@miniature/pose", "published:c1", "did you mean 'First'?"),
        ("published:First@miniature/odd", "published:c1", "no published row of 'First'"),
        ("nothing.json", "published:c1", "nothing.json"),
        ("{wound}:heads/pose", "published:c1", "two data sets"),
    ],
)
def test_what_is_refused(study: Path, a: str, b: str, said: str) -> None:
    names = {"wound": study / "wound/predictions.h5", "folder": study / "wound"}
    with pytest.raises(InputError, match=said.replace("?", "\\?")) as caught:
        of(study, a.format(**names), b.format(**names))
    assert "\n" not in str(caught.value)


def test_what_is_said_beside_the_numbers(study: Path, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    for path in sorted((study / "faces").glob("*.mat"))[:5]:
        (tmp_path / "few" / path.name).write_bytes(path.read_bytes())
    found = explain(end(study, "wound", PLAIN), "published:c1", data=[tmp_path / "few"])
    assert found.notes == (f"5 of {COUNT} faces of miniature are here: what is scored is of these",)
    shipped = next(r for r in published_rows() if r.protocol_id == "aflw2000/pose-1969" and r.metric == "mae(convention=300w-lp)")
    other = explain("published:c1", f"published:{shipped.id}")
    assert "two data sets" in other.notes[0] and not {"faces", "labels"} & set(other.same)
    with pytest.raises(InputError, match="profile faces"):
        explain("labels:heads/landmarks:heads/landmarks", "labels:heads/landmarks:heads/landmarks", metric="nme(norm=corners)")


def test_a_row_by_its_method(study: Path) -> None:
    assert end_of("published:first@miniature/pose").row == end_of("published:c1").row


def test_matrices_and_angles_are_not_swapped_for_one_another(study: Path, tmp_path: Path) -> None:
    """Where two files write poses in two ways, no file is half of one and half of the other: the model is one step."""
    given = read_predictions(study / "failing/predictions.h5")
    faces = replace(given.faces, euler_deg=None, convention=None)
    write_predictions(tmp_path / "matrices.h5", Predictions(faces, given.boxes, given.model))
    found = of(study, end(study, "wound", PLAIN), f"{tmp_path / 'matrices.h5'}:{PLAIN}")
    assert [s.name for s in found.steps] == ["the model"]
    assert next(d for d in found.differences if d.what == "poses").b == "matrices"
