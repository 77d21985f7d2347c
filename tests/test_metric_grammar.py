"""The metric grammar: one text a metric, and a sentence for everything else."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpbench.errors import InputError
from hpbench.metrics.grammar import parse_metric
from hpbench.metrics.table import METRICS, Family


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("geodesic", "geodesic"),
        (" geodesic ( ) ", "geodesic"),
        ("mae(convention=300w-lp)", "mae(convention=300w-lp)"),
        ("mae(convention=300w-lp,angle=yaw)", "mae(angle=yaw,convention=300w-lp)"),
        ("mae( formula = wrap , convention = yxz , angle = mean )", "mae(convention=yxz)"),
        ("mae(formula=fold180,convention=yxz,)", "mae(convention=yxz,formula=fold180)"),
        ("nme(norm=height,mean=image)", "nme(norm=height)"),
        ("nme(norm=height,mean=balanced)", "nme(mean=balanced,norm=height)"),
        ("auc(norm=pupils,below=8)", "auc(below=8,norm=pupils)"),
        ("auc(norm=pupils,below=8.00)", "auc(below=8,norm=pupils)"),
        ("auc(norm=pupils,below=+0.50e1)", "auc(below=5,norm=pupils)"),
        ("fr(above=.1,norm=corners)", "fr(above=0.1,norm=corners)"),
        ("fr(above=1e-7,norm=corners)", "fr(above=1e-07,norm=corners)"),
        ("distance_px\n", "distance_px"),
    ],
)
def test_canonical_form(text: str, canonical: str) -> None:
    metric = parse_metric(text)
    assert metric.text == str(metric) == canonical
    assert parse_metric(canonical) == metric


def test_all_parameters_are_set() -> None:
    assert parse_metric("mae(convention=yxz)").parameters == {"angle": "mean", "convention": "yxz", "formula": "wrap", "mean": "image"}
    assert parse_metric("fr(above=8,norm=pupils)").parameters == {"above": 8.0, "formula": "exact", "norm": "pupils"}
    assert parse_metric("nme(mean=balanced,norm=height)").balanced and not parse_metric("nme(norm=height)").balanced


def test_metrics_that_differ_have_texts_that_differ() -> None:
    near = parse_metric("auc(below=8.0000000000000018,norm=pupils)")
    assert near.parameters["below"] != 8.0
    assert near.text != "auc(below=8,norm=pupils)"
    assert parse_metric(near.text) == near
    assert parse_metric("auc(below=0.30000000000000004,norm=pupils)").text == "auc(below=0.30000000000000004,norm=pupils)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("maee(convention=yxz)", "unknown metric 'maee': did you mean 'mae'?"),
        ("zzz", "unknown metric 'zzz': known are ap, auc, best_f1, "),
        ("mae(konvention=yxz)", "metric 'mae(konvention=yxz)': mae has no parameter 'konvention': did you mean 'convention'?"),
        ("geodesic(norm=height)", "metric 'geodesic(norm=height)': geodesic has no parameter 'norm': known are mean."),
        ("distance_px(norm=height)", "metric 'distance_px(norm=height)': distance_px has no parameter 'norm': there are none."),
        ("nme(norm=heigth)", "metric 'nme(norm=heigth)': norm 'heigth': did you mean 'height'?"),
        ("mae(convention=300W-LP)", "metric 'mae(convention=300W-LP)': convention '300W-LP': "),
        ("mae", "metric 'mae' needs convention, e.g. mae(convention=300w-lp)."),
        ("nme(mean=image)", "metric 'nme(mean=image)' needs norm, e.g. nme(norm=height)."),
        ("auc(norm=height)", "metric 'auc(norm=height)' needs below, e.g. auc(below=8,norm=height)."),
        ("nme(norm=height,norm=height)", "metric 'nme(norm=height,norm=height)': norm is given twice."),
        ("nme(height)", "metric 'nme(height)': 'height' is no key=value."),
        ("nme(norm=)", "metric 'nme(norm=)': 'norm=' is no key=value."),
        ("nme(=height)", "metric 'nme(=height)': nme has no parameter ''"),
        ("auc(below=eight,norm=height)", "metric 'auc(below=eight,norm=height)': below 'eight' is no number."),
        ("auc(below=0,norm=height)", "metric 'auc(below=0,norm=height)': below must be a positive number, got 0."),
        ("auc(below=-1,norm=height)", "metric 'auc(below=-1,norm=height)': below must be a positive number, got -1."),
        ("auc(below=nan,norm=height)", "metric 'auc(below=nan,norm=height)': below must be a positive number"),
        ("auc(below=inf,norm=height)", "metric 'auc(below=inf,norm=height)': below must be a positive number"),
        ("auc(below=1e-999,norm=height)", "metric 'auc(below=1e-999,norm=height)': below must be a positive number"),
        ("recall(precision=0.8)", "metric 'recall(precision=0.8)': precision is in percent, got 0.8: did you mean 80?"),
        ("recall(precision=1)", "metric 'recall(precision=1)': precision is in percent, got 1: did you mean 100?"),
        ("recall(threshold=5)", "metric 'recall(threshold=5)': threshold must be at most 1, got 5: a percentage? 0.05 is the share."),
        ("auc(below=1_0,norm=height)", "metric 'auc(below=1_0,norm=height)': below '1_0' is no number."),
        ("auc(below=\u0661\u0662,norm=height)", "metric 'auc(below=\u0661\u0662,norm=height)': below '\u0661\u0662' is no number."),
        ("mae(convention=yxz,formula=aligned)", "metric 'mae(convention=yxz,formula=aligned)': formula 'aligned': taking a rotation away"),
        ("ced(norm=height)", "ced is no metric: the cumulative error curve is a figure, not a number: `hpbench.metrics.curves`"),
        ("mea(convention=yxz)", "unknown metric 'mea': did you mean 'mae'?"),
        ("mae(convention=300W_LP)", "metric 'mae(convention=300W_LP)': convention '300W_LP': did you mean '300w-lp'?"),
        ("", "metric '' cannot be read"),
        ("nme(norm=height", "metric 'nme(norm=height' cannot be read"),
        ("nme norm=height", "metric 'nme norm=height' cannot be read"),
        ("nme(norm=height)x", "metric 'nme(norm=height)x' cannot be read"),
        ("nme(norm=height))", "metric 'nme(norm=height))': norm 'height)': did you mean 'height'?"),
        ("mean = 3", "metric 'mean = 3' cannot be read"),
    ],
)
def test_what_is_no_metric(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_metric(text)
    assert str(caught.value).startswith(message)
    assert not str(caught.value).endswith(("?.", ".."))


def test_thresholds_below_one_percent_may_be_meant() -> None:
    for text in ("auc(below=0.2,norm=height)", "fr(above=0.05,norm=height)", "recall(precision=1.5)"):
        assert parse_metric(text).text == text


def choices_of(family: Family) -> list[list[tuple[str, str | None]]]:
    """For each parameter, all that may be written for it; None where it may be left out."""
    found = []
    for key, parameter in family.parameters.items():
        least = 1.0 if parameter.percentage else 0.0
        numbers = [v for v in ("8", "0.07", "1e300") if least < float(v) <= parameter.maximum and not (parameter.whole and float(v) % 1)]
        values: list[str | None] = list(parameter.choices) or [*numbers]
        found.append([(key, v) for v in (values if parameter.required else [*values, None])])
    return found


@pytest.mark.parametrize("family", METRICS.values(), ids=METRICS)
def test_every_choice_has_one_text(family: Family) -> None:
    seen: dict[str, dict[str, object]] = {}
    for chosen in itertools.product(*choices_of(family)):
        if family.one_of and sum(k in family.one_of and v is not None for k, v in chosen) != 1:
            continue
        given_ = [f"{k}={v}" for k, v in chosen if v is not None]
        metrics = [parse_metric(f"{family.name}({','.join(order)})") for order in (given_, given_[::-1])]
        text = metrics[0].text
        assert metrics[0] == metrics[1] == parse_metric(text)
        assert parse_metric(text).text == text
        assert seen.setdefault(text, dict(metrics[0].parameters)) == metrics[0].parameters
    assert len({str(p) for p in seen.values()}) == len(seen)
    assert parse_metric(family.example).text == family.example


@given(st.floats(min_value=0, max_value=1000, exclude_min=True))
def test_every_threshold_survives(value: float) -> None:
    metric = parse_metric(f"auc(below={value!r},norm=height)")
    assert metric.parameters["below"] == value
    assert parse_metric(metric.text) == metric


@given(st.text(max_size=30) | st.from_regex(r"(mae|nme|auc|geodesic)\([a-z0-9=,() -]{0,20}\)?", fullmatch=True))
def test_any_text_is_a_metric_or_a_sentence(text: str) -> None:
    try:
        metric = parse_metric(text)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert parse_metric(metric.text) == metric
