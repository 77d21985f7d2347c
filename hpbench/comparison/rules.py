"""What a gate fails on: ``METRIC OP AMOUNT``, as text.

METRIC is a metric text (``nme(norm=height)``), the bare name of a metric (``mae``: the one of that name that the protocol is about),
``coverage`` in percent, or ``throughput`` in images a second.  OP is > or <, towards the worse side.  AMOUNT with a sign is a change
against the reference, in the metric's unit or, with %, relative to the reference's value; without a sign it is a bound for the value.

    mae > +0.1                  the MAE grows by more than 0.1 degrees
    nme(norm=height) > +2%      the NME grows by more than 2 % of the reference's
    coverage < 99%              fewer than 99 % of the faces have a prediction
    throughput < -10%           more than 10 % slower than the reference
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ..errors import InputError, did_you_mean
from ..metrics import METRICS, Metric, parse_metric
from ..records import Record

__all__ = ["COVERAGE", "THROUGHPUT", "Amount", "Rule", "metric_of", "parse_amount", "parse_rule"]

COVERAGE, THROUGHPUT = "coverage", "throughput"
_UNITS = {COVERAGE: "%", THROUGHPUT: "images/s"}

_RULE = re.compile(r"\s*(?P<quantity>[^<>=]*?(?:\([^<>]*\))?)\s*(?P<op>[<>])\s*(?P<amount>[^<>]*?)\s*")
_AMOUNT = re.compile(r"([+-]?)\s*(\d+(?:\.\d*)?|\.\d+)\s*(%?)", re.ASCII)


@dataclass(frozen=True)
class Amount:
    """A number of a rule.

    Attributes
    ----------
    value : float
        With its sign; 2 for 2 %.
    change : bool
        Against the reference, not of the value itself.
    percent : bool
    """

    value: float
    change: bool
    percent: bool


@dataclass(frozen=True)
class Rule:
    """What a gate fails on.

    Attributes
    ----------
    text : str
        As it was written.
    quantity : str
        A canonical metric text, the bare name of a metric, `COVERAGE` or `THROUGHPUT`.
    higher_is_better : bool
    amount : Amount
    """

    text: str
    quantity: str
    higher_is_better: bool
    amount: Amount

    @property
    def of_metric(self) -> bool:
        return self.quantity not in _UNITS

    @property
    def limit_relative(self) -> float | None:
        """The amount as a share of the reference's value; None where it is in the unit."""
        return self.amount.value / 100.0 if self.amount.change and self.amount.percent else None


def parse_amount(text: str, where: str = "--tolerance") -> Amount:
    """A number, with a sign for a change and % for a share; `InputError` with a guess for anything else."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        guess = "the metric's unit is meant without being named" if re.match(r"[+-]?[\d.]+\s*[a-z]", text.strip()) else "a number"
        raise InputError(f"{where} {text!r} cannot be read: write 0.1 or 2% ({guess}).")
    sign, number, percent = match.groups()
    value = float(f"{sign}{number}")
    if not math.isfinite(value):
        raise InputError(f"{where} {text!r} is no finite number.")
    return Amount(value, bool(sign), bool(percent))


def parse_rule(text: str) -> Rule:
    """A rule from its text; `InputError` with a guess for one that cannot be read or would fail what is better."""
    if re.search(r"[<>]\s*=|[≤≥]", text):
        raise InputError(f"rule {text!r}: write > or <, a value on the limit passes.")
    match = _RULE.fullmatch(text)
    if match is None or not match["quantity"]:
        raise InputError(f"rule {text!r} cannot be read: write METRIC > AMOUNT, e.g. 'mae > +0.1' or 'coverage < 99%'.")
    amount = parse_amount(match["amount"], f"rule {text!r}: the amount")
    quantity, higher = _quantity(match["quantity"], text)
    if (match["op"] == "<") != higher:
        worse, op = ("falls", "<") if higher else ("grows", ">")
        raise InputError(f"rule {text!r} fails what is better: {quantity} is worse when it {worse}, write {op}.")
    if not amount.change:
        _refuse_odd_bound(text, quantity, amount)
    return Rule(text.strip(), quantity, higher, amount)


def _quantity(name: str, text: str) -> tuple[str, bool]:
    if name in _UNITS:
        return name, True
    if name in METRICS and METRICS[name].parameters:
        return name, METRICS[name].higher_is_better
    bare = name.partition("(")[0].strip()
    if bare not in METRICS:
        raise InputError(f"rule {text!r}: unknown metric {bare!r}: {did_you_mean(bare, [*METRICS, *_UNITS])}")
    metric = parse_metric(name)
    return metric.text, metric.family.higher_is_better


def _refuse_odd_bound(text: str, quantity: str, amount: Amount) -> None:
    unit = _UNITS.get(quantity) or METRICS[quantity.partition("(")[0]].unit
    if amount.percent and unit != "%":
        raise InputError(f"rule {text!r}: {quantity} is in {unit}; a change of {amount.value:g} % against the reference has a sign.")
    if quantity == COVERAGE and not amount.percent and amount.value <= 1:
        raise InputError(f"rule {text!r}: coverage is in percent: did you mean {100 * amount.value:g}%?")


def metric_of(rule: Rule, record: Record) -> str | None:
    """Which metric of a record a rule means; None where it has none such.

    A bare name means the main metric, where that has the name; else the one of that name whose parameters all others of it have too.

    Raises
    ------
    InputError
        The name fits several, none of which is the general one.
    """
    texts = [score.metric for score in record.scores]
    if rule.quantity in texts:
        return rule.quantity
    named = [m for m in map(parse_metric, texts) if m.family.name == rule.quantity]
    if not named:
        return None
    if named[0].text == record.main.metric:
        return record.main.metric
    general = [m for m in named if all(_given(m) <= _given(other) for other in named)]
    if len(general) != 1:
        listed = ", ".join(m.text for m in named)
        raise InputError(f"rule {rule.text!r}: {record.protocol.reference} has several {rule.quantity}: say which of {listed}.")
    return general[0].text


def _given(metric: Metric) -> set[tuple[str, object]]:
    """The parameters that are not as they are unless given."""
    table = metric.family.parameters
    return {(k, v) for k, v in metric.parameters.items() if v != table[k].default}
