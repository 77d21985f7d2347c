"""Gates: is a model worse than a reference by more than is tolerated?  A decision of the paired difference on the same faces.

The loss is the difference in the bad direction: NEW less REF where lower is better, REF less NEW where higher is.

Policies
--------
``regression`` : fails where the lower bound of the loss exceeds the tolerance: only what is shown to be worse fails.  A gate that sees
    little passes much: the smallest loss that it would find in 80 % of such test sets stands beside.  A change that tables show as
    0.00 is none: another processor changes the last bits of all faces in one direction, which would be significant.
``non-inferior`` : fails unless the upper bound is below the tolerance, here called margin: only what is shown to be no worse passes.

Error rates
-----------
Bounds are those of two-sided 95 % intervals, so one rule errs in 2.5 %: ``regression`` fails a model whose true loss is the
tolerance, ``non-inferior`` passes one whose true loss is the margin.  Of several rules: ``regression`` fails when one of k fails,
so its intervals are widened to hold all at once with 95 % (Bonferroni: k intervals at 1 - 0.05 / k), and all of them
together err in at most 2.5 %.  ``non-inferior`` passes only when all pass, which needs no correction (an intersection-union test,
Berger 1982): to wrongly pass the whole is no likelier than to wrongly pass the one rule that should fail.
benchmarks/proofs/gate.py simulates both.

A relative tolerance is that share of the reference's score on these faces, taken as known.  Bounds of the value itself, coverage and
throughput are compared as they are, without interval.

Source: Berger, Multiparameter hypothesis testing and acceptance sampling, Technometrics 1982.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from ..errors import InputError, did_you_mean
from ..metrics.paired import Difference, minimum_detectable_difference
from ..metrics.statistics import LEVEL
from ..records import Score
from .differences import differences_of, speed_of
from .pairs import Pair, Pairs
from .rules import COVERAGE, THROUGHPUT, Amount, Rule, metric_of

__all__ = ["POLICIES", "Check", "GateResult", "Policy", "Verdict", "bounds", "decide", "gate"]

Policy = Literal["regression", "non-inferior"]
Verdict = Literal["passed", "failed", "not checked"]
POLICIES: tuple[Policy, ...] = get_args(Policy)

_ALPHA = 1.0 - LEVEL
_SHOWN = {"1": 0.00005}  # half of the last digit that tables show; 0.005 in other units


@dataclass(frozen=True)
class Check:
    """A rule on one protocol.

    Attributes
    ----------
    quantity : str
        The metric text, ``coverage`` or ``throughput``.
    new, ref : float or None
    change, low, high : float or None
        NEW less REF in `unit`, and its interval; None for what has none.
    limit : float
        Of the change in `unit`, or of NEW itself where `of_value`.
    detectable : float or None
        The true difference that would be found in 80 % of such test sets, where ``regression`` passed without showing that the loss
        is within the tolerance; else None.
    reason : str
        Why it failed or was not checked, part of a sentence; "" where it passed.
    """

    protocol: str
    rule: str
    quantity: str
    unit: str
    higher_is_better: bool
    new: float | None
    ref: float | None
    change: float | None
    low: float | None
    high: float | None
    limit: float
    of_value: bool
    verdict: Verdict
    detectable: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class GateResult:
    """All checks of a gate.

    Attributes
    ----------
    new, ref : str
        Models.
    against : str
        The reference as it was given.
    tests : int
        Rules that have intervals, on all protocols together: what these are widened for.
    strict : bool
        What was not checked counts as failed.
    unpaired : tuple of str
        Protocols that only one of the two has; with `strict` a failure.
    """

    policy: Policy
    new: str
    ref: str
    against: str
    checks: tuple[Check, ...]
    tests: int
    strict: bool
    unpaired: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Check, ...]:
        bad = ("failed", "not checked") if self.strict else ("failed",)
        return tuple(check for check in self.checks if check.verdict in bad)

    @property
    def passed(self) -> bool:
        return not self.failed and not (self.strict and self.unpaired)


def gate(
    pairs: Pairs,
    rules: Sequence[Rule] = (),
    *,
    policy: Policy = "regression",
    tolerance: Amount | None = None,
    strict: bool = False,
    against: str = "",
) -> GateResult:
    """Check the rules on every pair of records.

    Parameters
    ----------
    rules : sequence of Rule
        Without any: no protocol's main metric may be worse by more than the tolerance.
    tolerance : Amount or None
        Of the rules that stand in for none; 0 unless given.
    strict : bool
        Whether what cannot be checked counts as failed: speeds on other hardware, protocols that one side lacks.
    against : str
        What to call the reference.

    Raises
    ------
    InputError
        A partial record; a rule that no protocol can serve or whose metric has no interval; no margin for ``non-inferior``.
    """
    for pair in pairs.pairs:
        for side in (pair.new, pair.ref):
            if side.record.partial:
                raise InputError(f"{side.path} is a partial record: a gate decides on whole test sets.")
    if rules and tolerance is not None:
        raise InputError("--tolerance is that of the main metrics; with --fail-if every rule has its own amount: leave one of the two out.")
    if not rules and policy == "non-inferior" and tolerance is None:
        raise InputError("non-inferior needs a margin: how much worse is still no worse? Write --tolerance 2%, or --fail-if 'mae > +0.1'.")
    if tolerance is not None and tolerance.value < 0:
        raise InputError(f"a tolerance of {tolerance.value:g} is none: to demand that a model is better, write a rule, 'mae > -0.1'.")
    asked = [(pair, rule) for pair in pairs.pairs for rule in rules or [_default_rule(pair, tolerance or Amount(0.0, True, False))]]
    wanted = [(pair, rule, metric_of(rule, pair.new.record) if rule.of_metric else rule.quantity) for pair, rule in asked]
    _refuse_useless(wanted)
    differences: dict[str, dict[str, Difference]] = {}
    for pair in pairs.pairs:
        metrics = [m for p, rule, m in wanted if p is pair and m is not None and rule.of_metric and rule.amount.change]
        differences[pair.protocol] = differences_of(pair, list(dict.fromkeys(metrics)))
    tests = sum(m is not None and rule.of_metric and rule.amount.change for _, rule, m in wanted)
    checks = tuple(_check(pair, rule, m, differences[pair.protocol], policy, tests) for pair, rule, m in wanted if m is not None)
    first = pairs.pairs[0]
    models = [side.record.model.label for side in (first.new, first.ref)]
    return GateResult(policy, models[0], models[1], against or str(first.ref.path), checks, tests, strict, pairs.unpaired)


def _default_rule(pair: Pair, tolerance: Amount) -> Rule:
    main = pair.new.record.main
    amount = Amount(-tolerance.value if main.higher_is_better else tolerance.value, True, tolerance.percent)
    sign, percent = "-" if main.higher_is_better else "+", "%" * tolerance.percent
    text = f"{main.metric} {'<' if main.higher_is_better else '>'} {sign}{tolerance.value:g}{percent}"
    return Rule(text, main.metric, main.higher_is_better, amount)


def _refuse_useless(wanted: Sequence[tuple[Pair, Rule, str | None]]) -> None:
    """A rule that nothing here can serve is a slip of the pen: it would pass for ever."""
    for rule in dict.fromkeys(rule for _, rule, _ in wanted):
        if all(metric is None for _, other, metric in wanted if other == rule):
            known = list(dict.fromkeys(score.metric for pair, _, _ in wanted for score in pair.new.record.scores))
            of = ", ".join(dict.fromkeys(pair.protocol for pair, _, _ in wanted))
            raise InputError(f"rule {rule.text!r}: {of} has no such metric: {did_you_mean(rule.quantity, known)}")


def _check(pair: Pair, rule: Rule, quantity: str, differences: dict[str, Difference], policy: Policy, tests: int) -> Check:
    if quantity == COVERAGE:
        shares = [side.record.coverage for side in (pair.new, pair.ref)]
        new, ref = (None if share is None else 100.0 * share for share in shares)
        return _compared(_values(pair, rule, COVERAGE, "%", new, ref), rule, "no face is labelled")
    if quantity == THROUGHPUT:
        speed = speed_of(pair.new.record, pair.ref.record)
        made = _values(pair, rule, THROUGHPUT, "images/s", speed.new, speed.ref)
        if rule.amount.change and speed.reason:
            return replace(made, verdict="not checked", reason=speed.reason)
        return _compared(made, rule, "NEW has no timing")
    score, theirs = pair.new.record.score(quantity), _score_of_reference(pair, quantity)
    made = _values(pair, rule, quantity, score.unit, score.value, theirs.value)
    if not rule.amount.change:
        return _compared(made, rule, "no face is labelled")
    difference = differences.get(quantity)
    if difference is None or difference.low is None or difference.high is None:
        why = difference.reason if difference else "the errors beside the records do not say what each face counts"
        raise InputError(f"rule {rule.text!r}: {pair.protocol} has no interval for {quantity}: {why}.")
    return _decided(made, difference, policy, tests)


def _score_of_reference(pair: Pair, metric: str) -> Score:
    try:
        return pair.ref.record.score(metric)
    except InputError:
        raise InputError(f"{pair.ref.path} has no {metric}, which {pair.new.path} has: score it again with --metric '{metric}'.") from None


def _values(pair: Pair, rule: Rule, quantity: str, unit: str, new: float | None, ref: float | None) -> Check:
    """The check with its numbers, not yet decided."""
    change = None if new is None or ref is None else new - ref
    limit = rule.amount.value
    if rule.limit_relative is not None:
        if not ref:
            what = "0" if ref == 0 else "not there"
            raise InputError(f"rule {rule.text!r}: the reference's {quantity} is {what}, which has no share: write the amount in {unit}.")
        limit = rule.limit_relative * ref
    return Check(
        pair.protocol, rule.text, quantity, unit, rule.higher_is_better, new, ref, change, None, None, limit,
        of_value=not rule.amount.change, verdict="passed",
    )  # fmt: skip


def _compared(made: Check, rule: Rule, without: str) -> Check:
    """A plain comparison."""
    value = made.change if rule.amount.change else made.new
    if value is None:
        return replace(made, verdict="not checked", reason=without)
    slack = 1e-9 * max(1.0, abs(made.limit))  # a share of the faces that is exactly the limit
    if value >= made.limit - slack if made.higher_is_better else value <= made.limit + slack:
        return made
    what = "the change" if rule.amount.change else "the value"
    return replace(made, verdict="failed", reason=f"{what} is {'below' if made.higher_is_better else 'above'} the limit")


def _decided(made: Check, difference: Difference, policy: Policy, tests: int) -> Check:
    low, high, detectable = bounds(difference, tests if policy == "regression" else 1)
    made = replace(made, change=difference.difference, low=low, high=high)
    loss = (-high, -low) if made.higher_is_better else (low, high)
    tolerance = -made.limit if made.higher_is_better else made.limit
    if policy == "regression" and loss[0] <= tolerance < loss[1]:
        made = replace(made, detectable=detectable)
    invisible = policy == "regression" and tolerance >= 0.0 and abs(difference.difference) < _SHOWN.get(made.unit, 0.005)
    if decide(loss, tolerance, policy) or invisible:  # where an improvement is asked for, none is too little
        return made
    if policy == "regression":
        return replace(made, verdict="failed", reason="worse by more than the tolerance, also at the better end of the interval")
    return replace(made, verdict="failed", reason="not shown to be within the margin: the worse end of the interval is beyond it")


def decide(loss: tuple[float, float], tolerance: float, policy: Policy) -> bool:
    """Whether an interval of the loss passes.

    Without any spread (a model against itself) both bounds are the loss itself: a loss that is the tolerance passes.
    """
    low, high = loss
    if policy == "regression" or low == high:
        return low <= tolerance
    return high < tolerance


def bounds(difference: Difference, tests: int) -> tuple[float, float, float | None]:
    """Of a difference that has an interval: that which holds with as many others at once, and the difference that it finds in 80 %."""
    from scipy.special import stdtrit

    point, low, high = difference.difference, difference.low, difference.high
    assert low is not None and high is not None
    degrees = max(1, difference.clusters - 1)
    single = float(stdtrit(degrees, 1.0 - _ALPHA / 2.0))
    wider = float(stdtrit(degrees, 1.0 - _ALPHA / 2.0 / tests)) / single
    detectable = None
    if difference.minimum_detectable is not None:
        detectable = minimum_detectable_difference((high - low) / 2.0 / single, degrees, level=_ALPHA / tests)
    return point - wider * (point - low), point + wider * (high - point), detectable
