"""How far the choice of protocol moves a score: the same predictions by every protocol of a dataset, and by every formula in circulation.

One choice is changed at a time, from the protocol of a dataset whose published numbers are the most comparable.  Nothing here ranks: it
says what a difference between two papers is worth when only the difference is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .catalog import Protocol, PublishedRow, dataset_card, eye_norm_refusal, protocol_named, protocols_of, published_rows
from .errors import HpbenchError, InputError
from .explain.circulation import Variant, variants_of
from .explain.ends import predictions_named
from .explain.setting import Bench, Number, Setting, setting_of
from .faces import Faces
from .kept import data_of
from .metrics import parse_metric
from .obstacles import mixes_schemes, protocol_needs, refuse_unknown_ids
from .scoring import Remark, silent

__all__ = ["Choice", "Group", "Question", "Sensitivity", "sensitivity"]

_PREFERRED = ("mae", "nme", "recall")  # what papers print, where a protocol has it beside its main metric
_KINDS = ("pose", "landmarks", "visibility")


@dataclass(frozen=True)
class Choice:
    """A number by one choice.

    Attributes
    ----------
    variant : Variant
        What is chosen, and who chooses so.
    value : float
    change : float
        From the main choice.
    faces, failed : int
    rank : int or None
        One more than the comparable published values of the main board that are better, where there are two: the place to read it at.
    """

    variant: Variant
    value: float
    change: float
    faces: int
    failed: int
    rank: int | None


@dataclass(frozen=True)
class Group:
    """Choices of one kind, the main one among them: `low` to `high`, and as many of the best published values as lie as close together."""

    name: str
    low: float
    high: float
    ranks: int | None

    @property
    def spread(self) -> float:
        return self.high - self.low


@dataclass(frozen=True)
class Question:
    """One number and what it could have been.

    Attributes
    ----------
    protocol, metric : Protocol, str
        The main choice's.
    unit, higher_is_better
        Of the metric.
    main : Choice
    choices : tuple of Choice
        The others, in groups, each group by value.
    groups : tuple of Group
        Widest first; choices that bear another name count in none.
    published : tuple of PublishedRow
        Comparable values of the main board, best first; none where faces of it are not here.
    ranks : int or None
        The first and the ``ranks``-th published value are less apart than all choices together; None with fewer than two.
    """

    protocol: Protocol
    metric: str
    unit: str
    higher_is_better: bool
    main: Choice
    choices: tuple[Choice, ...]
    groups: tuple[Group, ...]
    published: tuple[PublishedRow, ...] = field(default=(), repr=False)
    ranks: int | None = None

    @property
    def low(self) -> float:
        return min(c.value for c in (self.main, *self.choices) if c.variant.alike)

    @property
    def high(self) -> float:
        return max(c.value for c in (self.main, *self.choices) if c.variant.alike)

    @property
    def spread(self) -> float:
        """Between the least and the greatest of the numbers that bear one name."""
        return self.high - self.low


@dataclass(frozen=True)
class Sensitivity:
    """The questions that predictions answer: one a kind (pose, landmarks, visibility), and the area under the error curve."""

    title: str
    dataset: str
    predictions_sha256: str
    questions: tuple[Question, ...]


def sensitivity(
    predictions: str, dataset: str, *, protocol: str = "", metric: str = "", data: Sequence[Path] = (), remark: Remark = silent
) -> Sensitivity:
    """Score predictions by every protocol of a dataset and by every formula in circulation.

    Parameters
    ----------
    predictions : str
        A prediction file, or ``labels:PROTOCOL`` (`hpbench.explain.predictions_named`).
    dataset : str
    protocol : str
        The main protocol; default: of each kind the one with the most comparable published values.
    metric : str
        The metric of it; default: MAE, NME or recall where the protocol has them, else its main one.
    data : sequence of Path

    Raises
    ------
    InputError, MissingDataError
        No protocol of the dataset can be served; the data are not here.
    """
    card = dataset_card(dataset)
    given = predictions_named(predictions, data)
    bench = Bench(data_of(dataset, data))
    refuse_unknown_ids(given.faces, bench.source.all_ids(), predictions)
    every = protocols_of(card)
    asked = _asked(protocol, dataset)
    rows = published_rows()
    questions = []
    for kind in _KINDS:
        able = [p for p in every if protocol_needs(p, kind)]
        wanted = [p for p in able if asked is None or p.id == asked.id]
        if metric and parse_metric(metric).family.needs != kind:
            continue
        served = [(p, n) for p in wanted if (n := _number(bench, p, kind, metric, given.faces)) is not None]
        if not served:
            continue
        main, number = max(
            served,
            key=lambda pair: (
                not mixes_schemes(pair[0], bench.source.scheme(pair[0].labels), given.faces),
                *_standing(pair[0], _metric_of(pair[0], kind, metric), rows),
            ),
        )
        if metric and (refusal := eye_norm_refusal(card, metric)) and not main.eye_norms:
            raise InputError(f"--metric {metric}: {refusal}.")
        questions.append(_question(bench, main, _metric_of(main, kind, metric), number, given.faces, able, rows))
        area = _area(main, rows) if not metric else ""
        if area and (of_area := _number(bench, main, kind, area, given.faces)) is not None:
            questions.append(_question(bench, main, area, of_area, given.faces, able, rows))
    if not questions:
        of = asked.reference if asked is not None else f"any protocol of {dataset}"
        by = f" by {metric}" if metric else ""
        raise InputError(f"{predictions}: cannot be scored{by} by {of}: {_why(bench, [asked] if asked else every, metric, given.faces)}")
    for split in dict.fromkeys(question.protocol.split for question in questions):
        if not _complete(bench, split):
            here = f"{len(bench.source.found_ids(split))} of {bench.source.n_expected(split)} faces of {dataset} are here"
            remark(f"{here}: nothing is compared with published values.")
    return Sensitivity(given.model or Path(predictions).name, dataset, given.faces.content_sha256(), tuple(questions))


# ------------------------------------------------------------------------------------------------- the main choice


def _asked(protocol: str, dataset: str) -> Protocol | None:
    if not protocol:
        return None
    found = protocol_named(protocol if "/" in protocol else f"{dataset}/{protocol}")
    if found.dataset != dataset:
        raise InputError(f"protocol {found.id!r} is one of {found.dataset}'s, not of {dataset}'s.")
    return found


def _metric_of(protocol: Protocol, kind: str, metric: str) -> str:
    """The metric of a kind that papers print: the main one where it has their name, else the first that has."""
    if metric:
        return parse_metric(metric).text
    of_kind = [t for t in dict.fromkeys((protocol.main, *protocol.metrics)) if parse_metric(t).family.needs == kind]
    return next((t for t in of_kind if t.partition("(")[0] in _PREFERRED), of_kind[0])


def _area(protocol: Protocol, rows: Sequence[PublishedRow]) -> str:
    """The area under the error curve that most papers print; "" where the protocol has none."""
    areas = [t for t in protocol.metrics if t.startswith("auc(")]
    return max(areas, key=lambda t: len(_published(protocol, t, rows)), default="")


def _number(bench: Bench, protocol: Protocol, kind: str, metric: str, faces: Faces) -> Number | None:
    try:
        setting = setting_of(protocol, _metric_of(protocol, kind, metric))
    except InputError:
        return None
    here = set(bench.source.found_ids(protocol.split, protocol.labels))
    if here.isdisjoint(map(str, faces.sample_id)):  # type: ignore[arg-type]
        return None
    return bench.number_or_none(setting, faces)


def _standing(protocol: Protocol, metric: str, rows: Sequence[PublishedRow]) -> tuple[float, ...]:
    """The most comparable published values; then the plainest protocol."""
    plain = (not protocol.align_by, not protocol.labels, protocol.exclude is None, -len(protocol.id))
    return (len(_published(protocol, metric, rows)), *map(float, plain))


def _why(bench: Bench, protocols: Iterable[Protocol], metric: str, faces: Faces) -> str:
    for protocol in protocols:
        try:
            bench.number(setting_of(protocol, metric), faces)
        except HpbenchError as error:
            return str(error)
    return "none of its faces is here."


def _published(protocol: Protocol, metric: str, rows: Sequence[PublishedRow]) -> list[PublishedRow]:
    found = [
        row for row in rows
        if row.protocol_id == protocol.id and row.metric == metric and row.canonical and row.comparable == "yes" and row.subset == "all"
    ]  # fmt: skip
    return sorted(found, key=lambda r: r.value, reverse=parse_metric(metric).family.higher_is_better)


# ------------------------------------------------------------------------------------------------- the other choices


def _question(
    bench: Bench, protocol: Protocol, metric: str, number: Number, faces: Faces, protocols: Iterable[Protocol], rows: Sequence[PublishedRow]
) -> Question:
    base = setting_of(protocol, metric)
    family = base.metric.family
    published = _published(protocol, base.metric.text, rows) if _complete(bench, protocol.split) else []
    values = [row.value for row in published]

    def choice(variant: Variant, found: Number) -> Choice:
        better = sum(v > found.value if family.higher_is_better else v < found.value for v in values)
        rank = 1 + better if len(values) > 1 and variant.alike else None
        return Choice(variant, found.value, found.value - number.value, found.n_faces, found.n_failed, rank)

    bins = tuple(s for s in protocol.subsets if s.name in protocol.balance)
    others = [p for p in protocols if p.id != protocol.id]
    choices = []
    for variant in variants_of(base, bench, faces, others, bins):
        if variant.group == "failures" and not number.n_failed:
            continue
        found = bench.number_or_none(variant.setting, faces) if _has_faces(bench, variant.setting, faces) else None
        if found is not None:
            choices.append(choice(variant, found))
    main = choice(Variant("main", metric, "", base), number)
    groups = _groups(main, choices, values)
    order = {group.name: place for place, group in enumerate(groups)}
    choices.sort(key=lambda c: (order.get(c.variant.group, len(order)), c.variant.group, c.value))
    shown = tuple(choices), tuple(groups), tuple(published)
    question = Question(protocol, base.metric.text, family.unit, family.higher_is_better, main, *shown)
    return replace(question, ranks=_as_close(values, question.spread))


def _complete(bench: Bench, split: str) -> bool:
    return len(bench.source.found_ids(split)) == bench.source.n_expected(split)


def _has_faces(bench: Bench, setting: Setting, faces: Faces) -> bool:
    """Whether the predictions are of this split at all: another split's faces are no failures."""
    return not set(bench.source.found_ids(setting.split, setting.labels)).isdisjoint(map(str, faces.sample_id))  # type: ignore[arg-type]


def _groups(main: Choice, choices: Sequence[Choice], published: Sequence[float]) -> list[Group]:
    groups = []
    for name in dict.fromkeys(c.variant.group for c in choices if c.variant.alike):
        values = [main.value, *(c.value for c in choices if c.variant.group == name and c.variant.alike)]
        groups.append(Group(name, min(values), max(values), _as_close(published, max(values) - min(values))))
    return sorted(groups, key=lambda g: (-g.spread, g.name))


def _as_close(published: Sequence[float], spread: float) -> int | None:
    """How many of the best published values lie within a spread of the first; None of fewer than two values."""
    if len(published) < 2:
        return None
    return sum(abs(value - published[0]) < spread for value in published) or 1
