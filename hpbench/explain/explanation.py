"""Why two numbers differ: what is not the same, and what each difference moves where there are predictions to score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..catalog import dataset_card, eye_norm_refusal
from ..errors import InputError, MissingDataError
from ..kept import data_of
from ..scoring import Remark, silent
from .circulation import Variant, variants_of
from .differences import Difference, differences
from .ends import End, end_of, formulas_named, predictions_named
from .setting import Bench
from .walk import Hands, Step, steps_between

__all__ = ["Explanation", "Reading", "explain"]

_ALIKE = ({"mae", "geodesic"},)  # metrics of other names whose values are one quantity


@dataclass(frozen=True)
class Reading:
    """The same predictions by a formula in circulation, beside a published value; `named`: the row or the words about it say so."""

    variant: Variant
    value: float
    distance: float
    named: bool


@dataclass(frozen=True)
class Explanation:
    """Why two numbers differ.

    Attributes
    ----------
    a, b : End
        With their values, scored where nothing was recorded.
    unit : str
    differences : tuple of Difference
        All that differs, scored or not.
    same : tuple of str
        Names of what is the same.
    steps : tuple of Step
        They add up to ``b.value - a.value``; empty where nothing could be scored.
    scored_with : str
        Whose predictions were scored along the path.
    readings : tuple of Reading
        Of a published end, nearest first.
    notes : tuple of str
    """

    a: End
    b: End
    unit: str
    differences: tuple[Difference, ...]
    same: tuple[str, ...]
    steps: tuple[Step, ...]
    scored_with: str
    readings: tuple[Reading, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def difference(self) -> float | None:
        return None if self.a.value is None or self.b.value is None else self.b.value - self.a.value


def explain(
    a: str, b: str, *, metric: str = "", predictions: Sequence[str] = (), data: Sequence[Path] = (), remark: Remark = silent
) -> Explanation:
    """Why two numbers differ.

    Parameters
    ----------
    a, b : str
        As `end_of` understands them.
    metric : str
        The metric of both; default: a published row's where the other side has it, else each one's main.
    predictions : sequence of str
        Prediction files: of the records, by their hash, or one that stands in where neither side has predictions.
    data : sequence of Path
        Data roots (`hpbench.kept.data_of`).

    Raises
    ------
    InputError
        An end that is none, or two numbers that are no one quantity.
    MissingDataError
        A number must be scored and its data are not here.
    """
    first, second = (end_of(text, metric=metric, predictions=predictions, data=data) for text in (a, b))
    if not metric:
        first, second = _by_one_metric(first, second)
    _refuse_unlike(first, second)
    _refuse_eye_norms(metric, (first, second))
    told, same = differences(first, second)
    bench = _bench(first, second, data, remark)
    if bench is not None:
        first, second = _valued(first, bench), _valued(second, bench)
    notes: list[str] = []
    if first.dataset != second.dataset:
        notes.append(f"the numbers are of two data sets, {first.dataset} and {second.dataset}: no prediction is of both")
    if bench is not None:
        notes += _not_here(bench, (first, second))
    steps: tuple[Step, ...] = ()
    scored_with = ""
    if first.setting is not None and second.setting is not None and bench is not None:
        hands = _at_hand(first, second, predictions, data)
        if hands is None:
            notes.append("no predictions are at hand: name them with --predictions, or let labels stand in (--predictions labels:PROTOCOL)")
        else:
            try:
                steps, scored_with = steps_between(bench, first, second, hands), hands.words
            except InputError as error:
                notes.append(f"{hands.words} do not serve the setting of A: {error}")
    readings = () if bench is None else _readings(first, second, bench)
    return Explanation(first, second, first.unit, told, same, steps, scored_with, readings, tuple(notes))


# ------------------------------------------------------------------------------------------------- the two ends


def _by_one_metric(a: End, b: End) -> tuple[End, End]:
    """The published side says what is compared."""
    for this, other in ((a, b), (b, a)):
        if this.row is not None and this.row.metric and other.row is None:
            near = other.near(this.row.metric)
            return (this, near) if this is a else (near, this)
    return a, b


def _refuse_unlike(a: End, b: End) -> None:
    names = [e.setting.family if e.setting else "" for e in (a, b)]
    if a.unit != b.unit or (all(names) and names[0] != names[1] and not any({*names} <= alike for alike in _ALIKE)):
        what = [e.setting.metric.text if e.setting else f"a number in {e.unit}" for e in (a, b)]
        raise InputError(f"{what[0]} and {what[1]} are no one quantity: say which number is meant with --metric.")


def _refuse_eye_norms(metric: str, ends: Sequence[End]) -> None:
    for end in ends:
        if metric and end.protocol is not None and not end.protocol.eye_norms:
            if refusal := eye_norm_refusal(dataset_card(end.dataset), metric):
                raise InputError(f"--metric {metric}: {refusal}.")


def _not_here(bench: Bench, ends: Sequence[End]) -> list[str]:
    """What a number that is scored here lacks of one that was of the whole."""
    notes = []
    for split in dict.fromkeys(end.setting.split for end in ends if end.setting is not None):
        here, expected = len(bench.source.found_ids(split)), bench.source.n_expected(split)
        if here < expected:
            notes.append(f"{here} of {expected} faces of {bench.source.card.id} are here: what is scored is of these")
    return notes


def _bench(a: End, b: End, data: Sequence[Path], remark: Remark) -> Bench | None:
    """The labels to score with; None where they are not here and need not be."""
    if a.dataset != b.dataset:
        if None in (a.value, b.value):
            raise InputError(f"the numbers are of two data sets, {a.dataset} and {b.dataset}: no prediction is of both.")
        return None
    if not any(e.setting for e in (a, b)):
        return None
    try:
        return Bench(data_of(a.dataset, data))
    except MissingDataError as error:
        if data or None in (a.value, b.value):
            raise
        remark(f"nothing is scored: {str(error).splitlines()[0]}")
        return None


def _valued(end: End, bench: Bench) -> End:
    if end.value is not None or end.setting is None or end.predictions is None:
        if end.value is None:
            raise InputError(f"{end.text}: it has no value by this metric, and its predictions are not at hand.")
        return end
    return replace(end, value=bench.number(end.setting, end.predictions.faces).value)


def _at_hand(a: End, b: End, named: Sequence[str], data: Sequence[Path]) -> Hands | None:
    ours, theirs = a.predictions, b.predictions
    if ours is not None and theirs is not None:
        if ours.faces.content_sha256() == theirs.faces.content_sha256():
            return Hands((ours.faces, ours.faces), "the same predictions", "both")
        return Hands((ours.faces, theirs.faces), "the predictions of both", "both")
    if ours is not None:
        return Hands((ours.faces, ours.faces), f"the predictions of {a.title}", "a")
    if theirs is not None:
        return Hands((theirs.faces, theirs.faces), f"the predictions of {b.title}", "b")
    if len(named) == 1:
        other = predictions_named(named[0], data)
        return Hands((other.faces, other.faces), f"the predictions of {other.model or Path(named[0]).name}, which stand in", "")
    return None


# ------------------------------------------------------------------------------------------------- what a paper may have meant


def _readings(a: End, b: End, bench: Bench) -> tuple[Reading, ...]:
    """The predictions at hand by the formulas in circulation, beside the published value."""
    sides = [(this, other) for this, other in ((a, b), (b, a)) if this.row is not None and other.predictions is not None]
    if not sides or sides[0][0].setting is None:
        return ()
    this, other = sides[0]
    assert this.setting is not None and this.row is not None and this.value is not None and other.predictions is not None
    named, _ = formulas_named(this.row)
    bins = () if this.protocol is None else tuple(s for s in this.protocol.subsets if s.name in this.protocol.balance)
    faces = other.predictions.faces
    variants = [Variant("", this.setting.metric.text, "the row, as it is filed", this.setting)]
    variants += variants_of(this.setting, bench, faces, bins=bins)
    found = []
    for variant in variants:
        number = bench.number_or_none(variant.setting, faces)
        if number is not None:
            if variant.group == "failures" and not number.n_failed:
                continue
            said = f"{variant.group}={variant.setting.metric.parameters.get(variant.group)}" in named
            found.append(Reading(variant, number.value, number.value - this.value, said or not variant.group))
    return tuple(sorted(found, key=lambda r: abs(r.distance)))
