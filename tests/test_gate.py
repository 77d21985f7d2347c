"""Gates: rules are read as they were meant, decisions follow from the intervals, error rates are what the docs promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compared_records import MAE, pair_of, some_errors
from hypothesis import given
from hypothesis import strategies as st
from made_records import POSE, a_record
from scipy.stats import t, ttest_rel

from hpbench.comparison import GateResult, Pairs, gate, pairs_of, parse_amount, parse_rule
from hpbench.comparison.gate import bounds, decide
from hpbench.comparison.rules import metric_of
from hpbench.errors import InputError
from hpbench.metrics.paired import paired_means


def gated(tmp_path: Path, shift: float, *rules: str, policy: str = "regression", **options: object) -> GateResult:
    """A gate on a model that is worse by `shift`."""
    pairs = Pairs((pair_of(tmp_path, *some_errors(shift)),))
    return gate(pairs, [parse_rule(r) for r in rules], policy=policy, **options)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------- rules


@pytest.mark.parametrize(
    ("text", "quantity", "value", "change", "percent"),
    [
        ("mae > +0.1", "mae", 0.1, True, False),
        ("nme(norm=height) > +2%", "nme(norm=height)", 2.0, True, True),
        ("nme( norm = height )>+2 %", "nme(norm=height)", 2.0, True, True),
        ("coverage < 99%", "coverage", 99.0, False, True),
        ("throughput < -10%", "throughput", -10.0, True, True),
        ("auc(norm=height,below=8) < -1", "auc(below=8,norm=height)", -1.0, True, False),
        ("geodesic > 6", "geodesic", 6.0, False, False),
        ("mae > -0.5", "mae", -0.5, True, False),
    ],
)
def test_rules(text: str, quantity: str, value: float, change: bool, percent: bool) -> None:
    rule = parse_rule(text)
    assert (rule.quantity, rule.amount.value, rule.amount.change, rule.amount.percent) == (quantity, value, change, percent)
    assert parse_rule(rule.text) == rule


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("mae", "write METRIC > AMOUNT"),
        ("> 3", "write METRIC > AMOUNT"),
        ("mae > ", "cannot be read"),
        ("mae > +0.1 deg", "meant without being named"),
        ("mae > +0,1", "cannot be read"),
        ("mae > 1e", "cannot be read"),
        ("mae > +٣", "cannot be read"),
        ("mae > +1" + "0" * 400, "no finite number"),
        ("mae >= +0.1", "a value on the limit passes"),
        ("mae ≥ 3", "a value on the limit passes"),
        ("mea > +0.1", "did you mean 'mae'"),
        ("nme(norm=hight) > +1", "did you mean 'height'"),
        ("mae < +0.1", "mae is worse when it grows, write >"),
        ("coverage > 99%", "coverage is worse when it falls, write <"),
        ("mae > 5%", "a change of 5 % against the reference has a sign"),
        ("coverage < 0.99", "did you mean 99%"),
    ],
)
def test_rules_that_cannot_be_meant(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_rule(text)
    assert sentence in str(caught.value) and text.partition(" ")[0] in str(caught.value)


@given(st.text(alphabet="mae(n=hegt)<>+-.%0123 \n", max_size=30))
def test_any_text_is_a_rule_or_one_sentence(text: str) -> None:
    try:
        parse_rule(text)
    except InputError as error:
        assert "Traceback" not in str(error)


@given(st.floats(0, 1e6), st.sampled_from(["", "+", "-"]), st.booleans())
def test_amounts_round_trip(value: float, sign: str, percent: bool) -> None:
    text = f"{sign}{value:.6f}{'%' * percent}"
    found = parse_amount(text)
    assert found.value == float(f"{sign}{value:.6f}") and found.change == bool(sign) and found.percent == percent


def test_a_bare_name_is_the_general_metric_of_that_name() -> None:
    (pair,) = pairs_of("mnn", "mnn", ["heads/pose"]).pairs
    assert metric_of(parse_rule("mae > +1"), pair.new.record) == "mae(convention=yxz)"  # not that of one angle
    (pair,) = pairs_of("mnn", "mnn", ["heads/landmarks"]).pairs
    assert metric_of(parse_rule("nme > +1"), pair.new.record) == pair.new.record.main.metric
    assert metric_of(parse_rule("mae > +1"), pair.new.record) is None
    record = a_record("a", 1.0, POSE)
    two = tuple(replace(record.main, metric=f"nme(norm={norm})", unit="%") for norm in ("height", "diagonal"))
    with pytest.raises(InputError, match=r"several nme: say which of nme\(norm=height\), nme\(norm=diagonal\)"):
        metric_of(parse_rule("nme > +1"), replace(record, scores=(record.main, *two)))


# ------------------------------------------------------------------------------------------------- decisions


def test_the_decision_is_that_of_the_t_interval(tmp_path: Path) -> None:
    new, ref = some_errors(0.3)
    low, high = ttest_rel(new, ref).confidence_interval(0.95)
    for policy, bound in (("regression", low), ("non-inferior", high)):
        for nudge, passed in ((0.001, True), (-0.001, False)):
            found = gated(tmp_path, 0.3, f"mae > +{bound + nudge:.12f}", policy=policy)
            assert found.passed == passed, (policy, nudge)
            assert (found.checks[0].low, found.checks[0].high) == pytest.approx((low, high))


def test_an_improvement_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    assert not gated(tmp_path, 0.0, "mae > -0.5").passed
    assert gated(tmp_path, 0.0, "mae > +0").passed and gated(tmp_path, -3.0, "mae > -0.5").passed


def test_a_share_is_one_of_the_reference(tmp_path: Path) -> None:
    _, ref = some_errors(0.3)
    check = gated(tmp_path, 0.3, "mae > +2%").checks[0]
    assert check.limit == pytest.approx(0.02 * ref.mean()) and not check.of_value
    assert gated(tmp_path, 0.0, f"mae > {ref.mean() + 1:.3f}").passed and not gated(tmp_path, 2.0, f"mae > {ref.mean() + 1:.3f}").passed


def test_higher_is_better_is_the_mirror_image() -> None:
    loss = st.tuples(st.floats(-5, 5), st.floats(0.01, 5))

    @given(loss, st.floats(0, 3))
    def law(middle_and_half: tuple[float, float], tolerance: float) -> None:
        low, high = middle_and_half[0] - middle_and_half[1], middle_and_half[0] + middle_and_half[1]
        assert decide((low, high), tolerance, "regression") == (low <= tolerance)
        assert decide((low, high), tolerance, "non-inferior") == (high < tolerance)
        if decide((low, high), tolerance, "non-inferior"):
            assert decide((low, high), tolerance, "regression")  # what is shown to be no worse is not shown to be worse

    law()
    (pair,) = pairs_of("dlib68", "dlib68", ["heads/landmarks-contour"]).pairs
    auc = next(s.metric for s in pair.new.record.scores if s.metric.startswith("auc"))
    lost = {**pair.new.errors, auc: np.where(np.arange(500) % 2, 0.0, pair.new.errors[auc])}
    worse = replace(pair, new=replace(pair.new, errors=lost))
    assert gate(Pairs((pair,)), [parse_rule(f"{auc} < -1")]).passed
    found = gate(Pairs((worse,)), [parse_rule(f"{auc} < -1")])
    assert not found.passed and found.checks[0].limit == -1 and found.checks[0].high < -1  # type: ignore[operator]


def test_a_model_is_not_worse_than_itself(tmp_path: Path) -> None:
    _, ref = some_errors()
    pairs = Pairs((pair_of(tmp_path, ref, ref),))
    assert gate(pairs).passed
    assert gate(pairs, [parse_rule("mae > +0.1")], policy="non-inferior").passed
    nearly = Pairs((pair_of(tmp_path, ref + 1e-7, ref),))  # another processor: significant, and nothing
    assert gate(nearly).passed and nearly.pairs[0].new.record.main.value != nearly.pairs[0].ref.record.main.value


def test_more_rules_widen_the_intervals_of_a_regression_only(tmp_path: Path) -> None:
    new, ref = some_errors(0.3)
    one = gated(tmp_path, 0.3, "mae > +9").checks[0]
    rules = ("mae > +9", "mae > +8", f"{MAE} > +7")
    three, proof = (gated(tmp_path, 0.3, *rules, policy=policy) for policy in ("regression", "non-inferior"))
    half = t.ppf(1 - 0.025 / 3, 199) * (new - ref).std(ddof=1) / np.sqrt(200)
    assert three.tests == 3 and three.checks[0].high == pytest.approx((new - ref).mean() + half)
    assert proof.checks[0].high == one.high


def test_plain_comparisons(tmp_path: Path) -> None:
    pair = pair_of(tmp_path, *some_errors())
    slow = replace(pair.new.record, timing={"images_per_s": 85.0, "device": "cpu"}, coverage=0.985)
    pairs = Pairs((replace(pair, new=replace(pair.new, record=slow)),))
    verdicts = {
        "throughput < -10%": "failed", "throughput < -20%": "passed", "throughput < -14": "failed", "throughput < 80": "passed",
        "coverage < 99%": "failed", "coverage < 98%": "passed", "coverage < -1": "failed", "coverage < -2": "passed",
    }  # fmt: skip
    for rule, verdict in verdicts.items():
        assert gate(pairs, [parse_rule(rule)]).checks[0].verdict == verdict, rule


def test_speed_elsewhere_is_not_checked_and_fails_the_strict(tmp_path: Path) -> None:
    pair = pair_of(tmp_path, *some_errors())
    elsewhere = replace(pair.new.record, timing={"images_per_s": 5.0, "device": "cuda"})
    pairs = Pairs((replace(pair, new=replace(pair.new, record=elsewhere)),), unpaired=())
    rules = [parse_rule("throughput < -10%")]
    assert gate(pairs, rules).passed and gate(pairs, rules).checks[0].verdict == "not checked"
    assert not gate(pairs, rules, strict=True).passed
    lonely = replace(Pairs((pair,)), unpaired=("heads/pose is in mnn only",))
    assert gate(lonely).passed and not gate(lonely, strict=True).passed


def test_what_a_gate_cannot_decide_is_refused(tmp_path: Path) -> None:
    new, ref = some_errors()
    pair = pair_of(tmp_path, new, ref)
    whole = Pairs((pair,))
    for options, sentence in (
        ({"rules": ["nme > +1"]}, "has no such metric: known are"),
        ({"rules": ["mae > +1"], "tolerance": parse_amount("0.1")}, "leave one of the two out"),
        ({"policy": "non-inferior"}, "non-inferior needs a margin"),
        ({"tolerance": parse_amount("-1")}, "a tolerance of -1 is none"),
    ):
        rules = [parse_rule(text) for text in options.pop("rules", [])]
        with pytest.raises(InputError, match=sentence):
            gate(whole, rules, **options)
    partial = replace(pair, ref=replace(pair.ref, record=replace(pair.ref.record, partial=True)))
    with pytest.raises(InputError, match="is a partial record"):
        gate(Pairs((partial,)))
    perfect = replace(pair, ref=replace(pair.ref, record=replace(pair.ref.record, scores=(replace(pair.ref.record.main, value=0.0),))))
    with pytest.raises(InputError, match="is 0, which has no share"):
        gate(Pairs((perfect,)), [parse_rule("mae > +2%")])
    lone = pair_of(tmp_path, new, ref, clusters=["one"] * len(new))
    with pytest.raises(InputError, match="one cluster contributes"):
        gate(Pairs((lone,)))
    fewer = replace(
        pair, ref=replace(pair.ref, record=replace(pair.ref.record, scores=(replace(pair.ref.record.main, metric="geodesic"),)))
    )
    with pytest.raises(InputError, match="score it again with --metric"):
        gate(Pairs((fewer,)), [parse_rule("mae > +2%")])


# ------------------------------------------------------------------------------------------------- error rates


@pytest.mark.parametrize(("people", "sets"), [(0, 600), (20, 600)])
def test_error_rates_are_the_stated_ones(people: int, sets: int) -> None:
    """At a true loss that is the tolerance both policies err in 2.5 %; a bound of 4 standard errors."""
    rng = np.random.default_rng(people)
    clusters = None if not people else np.repeat(np.arange(people), 15)
    wrong = np.zeros(2)
    for _ in range(sets):
        d = rng.standard_normal(300) if clusters is None else rng.standard_normal(people)[clusters] + rng.standard_normal(300)
        low, high, _ = bounds(paired_means(10.5 + d, np.full(300, 10.0), clusters, resamples=1), 1)
        wrong += (not decide((low, high), 0.5, "regression"), decide((low, high), 0.5, "non-inferior"))
    assert np.all(wrong / sets <= 0.025 + 4 * np.sqrt(0.025 * 0.975 / sets))
    assert np.all(wrong > 0)


def test_five_rules_together_err_no_more_often_than_one() -> None:
    rng, sets, wrong = np.random.default_rng(5), 400, np.zeros(2)
    for _ in range(sets):
        found = [paired_means(d + 10.0, np.full(100, 10.0), resamples=1) for d in rng.standard_normal((5, 100))]
        wrong += [not all(decide(bounds(d, k)[:2], 0.0, "regression") for d in found) for k in (5, 1)]
    assert wrong[0] / sets <= 0.025 + 4 * np.sqrt(0.025 * 0.975 / sets) < wrong[1] / sets
