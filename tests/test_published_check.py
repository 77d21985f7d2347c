"""Every rule of the checker of published rows, broken in a table of a few lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpbench.catalog import published_check
from hpbench.catalog.published import PublishedCurve, PublishedRow
from hpbench.catalog.published_check import check_curves, check_published


@pytest.fixture(scope="module", autouse=True)
def read_once() -> Iterator[None]:
    """The catalog's protocols are the same for every table here."""
    with pytest.MonkeyPatch.context() as patch:
        known = published_check._known()
        patch.setattr(published_check, "_known", lambda: known)
        yield


def row(id_: str = "a", /, **change: Any) -> PublishedRow:
    """A row without a problem, with changes; `value` may be text, as printed."""
    printed = str(change.pop("value", "4.53"))
    columns: dict[str, Any] = {
        "id": id_, "protocol_id": "biwi/depth-70-30", "subset": "all", "metric": "mae(convention=300w-lp)", "value": float(printed),
        "unit": "deg", "method": "Mine", "variant": "", "paper": "mine2026", "origin": "own", "quotes": "", "comparable": "yes",
        "reason": "", "paper_text": "as hpbench does", "source": "Table 1", "confidence": "high", "note": "", "dataset": "biwi",
        "paper_metric": "",
    }  # fmt: skip
    made = PublishedRow(**(columns | change))
    for name, value in {"printed": printed, "path": Path("published.csv"), "line": 2}.items():
        object.__setattr__(made, name, value)
    return made


def rules(*rows: PublishedRow) -> list[str]:
    """The rules that rows break, by row."""
    problems = check_published(rows)
    assert all(str(p).startswith("published.csv: line 2 (") and str(p).endswith(".") and "\n" not in str(p) for p in problems)
    return [f"{p.id} {p.rule}" for p in problems]


def full(id_: str, subset: str = "all", norm: str = "corners", **change: Any) -> PublishedRow:
    given_ = {"metric": f"nme(norm={norm})", "unit": "%"} | change
    return row(id_, protocol_id="300w/full", dataset="300w", subset=subset, **given_)


def test_a_good_row() -> None:
    assert rules(row()) == []


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"protocol_id": "biwi/depth-70-20"}, "protocol"),
        ({"dataset": "aflw2000"}, "protocol"),
        ({"protocol_id": "", "dataset": "bivi", "comparable": "no", "reason": "r"}, "dataset"),
        ({"subset": "yaw 0-31"}, "subset"),
        ({"subset": "full"}, "subset"),
        ({"metric": "mae_mean"}, "metric"),
        ({"metric": "mae"}, "metric"),
        ({"metric": "mae(angle=mean,convention=300w-lp)"}, "metric"),  # not as the grammar writes it
        ({"metric": "", "comparable": "no", "reason": "r"}, "metric"),
        ({"paper_metric": "MAE"}, "metric"),
        ({"metric": "nme(norm=corners)", "unit": "%"}, "metric"),  # landmarks by a protocol of pose
        ({"unit": "rad"}, "unit"),
        ({"value": "-1"}, "range"),
        ({"value": "181"}, "range"),
        ({"comparable": "unknown"}, "reason"),
        ({"comparable": "no"}, "reason"),
        ({"confidence": "low"}, "reason"),
        ({"source": ""}, "reason"),
        ({"paper_text": "same split; norm = eyes"}, "dangling"),
        ({"paper_text": "as above, aligned"}, "dangling"),
        ({"note": "Ibid."}, "dangling"),
        ({"quotes": "b"}, "quotes"),
        ({"quotes": "a"}, "quotes"),
    ],
)
def test_a_row_alone(change: dict[str, Any], rule: str) -> None:
    assert f"a {rule}" in rules(row(**change))


@pytest.mark.parametrize("metric", ["auc(norm=corners)", "fr(norm=pupils)", "auc", "auc(below=10)"])
def test_a_missing_threshold_or_norm(metric: str) -> None:
    (problem,) = check_published([full("a", metric=metric)])
    assert problem.rule == "metric" and "needs" in problem.text


def test_what_a_protocol_cannot_score() -> None:
    assert rules(full("a", metric="nme(mean=balanced,norm=sqrt_wh)")) == ["a metric"]
    assert rules(row(protocol_id="wflw/test", dataset="wflw", metric="nme(norm=height)", unit="%")) == ["a metric"]
    other = row(protocol_id="", dataset="biwi", metric="", paper_metric="ADD", unit="mm", comparable="no", reason="needs translations")
    assert rules(other) == [] and rules(replace_row(other, reason="")) == ["a reason", "a reason"]


def replace_row(old: PublishedRow, **change: Any) -> PublishedRow:
    new = replace(old, **change)
    for name in ("printed", "path", "line"):
        object.__setattr__(new, name, getattr(old, name))
    return new


def test_one_canonical_row_a_claim() -> None:
    assert rules(row("a"), row("b", source="Table 2")) == ["b canonical"]
    assert rules(row("a"), row("b", source="Table 2", quotes="a")) == []
    assert rules(row("a"), row("b", source="Table 2", variant="large")) == []


def test_a_row_that_stands_twice() -> None:
    assert rules(row("a"), row("b", source="x", quotes="a"), row("c", source="x", quotes="a")) == ["b duplicate", "c duplicate"]


def test_values_that_contradict_one_another_need_a_note() -> None:
    quoted = {"origin": "quoted", "source": "another paper", "quotes": "a"}
    said = rules(row("a"), row("b", value="4.73", **quoted))
    assert said and set(said) == {"b contradiction"}
    assert rules(row("a"), row("b", value="4.73", note="a slip of the pen", **quoted)) == []
    assert rules(row("a", value="4.534"), row("b", value="4.53", **quoted)) == []  # rounded
    assert set(rules(row("a", value="4.54"), row("b", value="4.53", **quoted))) == {"b contradiction"}
    assert rules(row("a", value="36.23"), row("b", value="36.2", **quoted)) == []  # three digits


def test_quotes() -> None:
    third = {"origin": "leaderboard", "source": "a board"}
    assert rules(row("a"), row("b", source="x", quotes="a"), row("c", quotes="b", **third)) == ["c quotes"]
    assert "b quotes" in rules(row("a"), row("b", method="Yours", quotes="a", **third))
    assert rules(row("a"), row("b", metric="geodesic", quotes="a", **third)) == ["b quotes"]
    assert rules(row("a"), row("b", metric="geodesic", quotes="a", note="filed as geodesic", **third)) == []


def triple(*values: str, **change: Any) -> list[PublishedRow]:
    names = ("yaw", "pitch", "roll", "")
    metrics = [f"mae({f'angle={name},' if name else ''}convention=300w-lp)" for name in names]
    return [row(m, metric=m, value=v, **change) for m, v in zip(metrics, values, strict=True)]


def test_the_mean_of_a_triple() -> None:
    assert rules(*triple("4.78", "6.24", "3.31", "4.31")) == ["mae(convention=300w-lp) triple"]
    assert rules(*triple("4.78", "6.24", "3.31", "4.31", note="its angles give 4.78")) == []
    assert rules(*triple("4.78", "6.24", "3.31", "4.78")) == []
    assert rules(*triple("36.2", "12.3", "8.78", "19.1")) == []  # three digits
    assert rules(*triple("8.8", "17.3", "16.2", "13.9")) == ["mae(convention=300w-lp) triple"]


@given(st.lists(st.floats(0.5, 9.9), min_size=3, max_size=3))
def test_rounding_alone_breaks_no_triple(angles: list[float]) -> None:
    printed = [f"{v:.2f}" for v in (*angles, sum(angles) / 3)]
    assert rules(*triple(*printed)) == []


def test_the_halves_of_300w() -> None:
    good = [full("a", value="3.13"), full("b", "common", value="2.69"), full("c", "challenging", value="4.92")]
    assert rules(*good) == []
    assert rules(full("a", value="3.19"), *good[1:]) == ["a halves"]
    assert rules(full("a", value="3.19", note="common and challenging give 3.13"), *good[1:]) == []


def test_a_column_under_the_wrong_norm() -> None:
    assert rules(full("a", value="2.99"), full("b", norm="pupils", value="4.20")) == []
    assert rules(full("a", value="3.49"), full("b", norm="pupils", value="4.12")) == ["b norms"]
    assert rules(full("a", value="3.49"), full("b", norm="pupils", value="4.12", note="impossible")) == []


def test_an_auc_that_cannot_be() -> None:
    def cofw(id_: str, metric: str, value: str, **change: Any) -> PublishedRow:
        return row(id_, protocol_id="cofw/test", dataset="cofw", metric=metric, value=value, unit="%", **change)

    nme, fr = cofw("a", "nme(norm=pupils)", "4.94"), cofw("b", "fr(above=10,norm=pupils)", "0.99")
    assert rules(nme, fr, cofw("c", "auc(below=10,norm=pupils)", "50.9")) == []
    assert rules(nme, fr, cofw("c", "auc(below=10,norm=pupils)", "64.4")) == ["c curve"]
    assert rules(nme, cofw("c", "auc(below=10,norm=pupils)", "45.0")) == ["c curve"]
    assert rules(nme, fr, cofw("c", "auc(below=10,norm=pupils)", "64.4", note="another norm")) == []


def test_curves_and_their_rows() -> None:
    curve = PublishedCurve("cofw/test", "Mine", "", "pupils", 8.0, 4, "s", (0.0, 0.0, 50.0, 75.0, 75.0))
    said = {"protocol_id": "cofw/test", "dataset": "cofw", "unit": "%", "origin": "recomputed"}
    auc = row("a", metric="auc(below=8,norm=pupils)", value="40", **said)
    fr = row("b", metric="fr(above=8,norm=pupils)", value="25", **said)
    assert check_curves([curve], [auc, fr]) == []
    (no_fr,) = check_curves([curve], [auc])
    assert "Mine on cofw/test: fr(above=8,norm=pupils) is 25.00" in no_fr and "no value" in no_fr
    (wrong,) = check_curves([curve], [replace_row(auc, value=51.0), fr])
    assert "31.25 to 50.00" in wrong and "51" in wrong
