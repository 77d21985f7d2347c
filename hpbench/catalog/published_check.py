"""Whether published rows can be right and are told apart: every problem of a table at once, each with its row."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from ..errors import InputError, did_you_mean
from ..metrics import Metric, parse_metric
from .datasets import dataset_cards
from .protocols import Protocol, protocols_of
from .published import PublishedCurve, PublishedRow

__all__ = ["Problem", "check_curves", "check_published"]

_DANGLING = re.compile(r"\b(same (split|protocol|setting)|as (above|before|below)|see (above|below|md)|ibid|idem|ditto)\b", re.IGNORECASE)
_MARGIN = 1e-3  # beside what rounding explains
_COMMON, _CHALLENGING = 554, 135  # faces of 300W's public test set
# over pupils (means of six points) / over outer corners, on 300W: 1.40; a column under the wrong name is far outside
_PUPILS_OVER_CORNERS = (1.33, 1.48)


@dataclass(frozen=True)
class Problem:
    """What is wrong with a row: the rule broken, and a sentence that names file and line."""

    id: str
    rule: str
    text: str

    def __str__(self) -> str:
        return self.text


def check_published(rows: Sequence[PublishedRow]) -> list[Problem]:
    """Every problem of the rows, in their order; none where the table can be trusted to be consistent.

    The rules are those of docs/published.md, by name: dataset, protocol, subset, metric, unit, range, reason, dangling, duplicate,
    canonical, quotes, contradiction, triple, halves, norms and curve.
    """
    datasets, protocols = _known()
    found = [p for row in rows for p in _of_one_row(row, datasets, protocols)]
    found += [*_claims(rows), *_quotes(rows), *_triples(rows), *_halves(rows), *_norms(rows), *_impossible_curves(rows)]
    order = {row.id: place for place, row in enumerate(rows)}
    return sorted(found, key=lambda problem: order[problem.id])


def check_curves(curves: Sequence[PublishedCurve], rows: Sequence[PublishedRow]) -> list[str]:
    """Curves whose AUC or FR cannot be that of their recomputed rows, or that have none; one sentence each."""
    values: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for row in rows:
        if row.origin == "recomputed":
            values[(row.protocol_id, row.method, row.variant, row.metric)].append(row.value)
    sentences = []
    for curve in curves:
        for metric, (low, high) in zip(curve.metrics, (curve.auc_bounds, (curve.fr, curve.fr)), strict=True):
            theirs = values[(curve.protocol_id, curve.method, curve.variant, metric)]
            if not theirs or any(not low - 0.01 <= value <= high + 0.01 for value in theirs):  # rows have two decimals
                said = ", ".join(f"{v:g}" for v in theirs) or "no value"
                ours = f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
                who = f"{curve.method} on {curve.protocol_id}"
                sentences.append(f"{curve.path}: line {curve.line}: {who}: {metric} is {ours}, its recomputed rows say {said}.")
    return sentences


def _known() -> tuple[set[str], dict[str, Protocol]]:
    cards = dataset_cards()
    return set(cards), {p.id: p for card in cards.values() for p in protocols_of(card)}


def _problem(row: PublishedRow, rule: str, text: str) -> Problem:
    return Problem(row.id, rule, f"{row.path}: line {row.line} ({row.id}): {text}.")


@cache
def _parsed(text: str) -> Metric | str:
    """The metric, or what is wrong with its text: a table says few metrics many times."""
    try:
        return parse_metric(text)
    except InputError as error:
        return str(error).removesuffix(".")


def _of_one_row(row: PublishedRow, datasets: set[str], protocols: dict[str, Protocol]) -> Iterator[Problem]:
    protocol = protocols.get(row.protocol_id)
    if row.dataset and row.dataset not in datasets:
        yield _problem(row, "dataset", f"unknown dataset {row.dataset!r}: {did_you_mean(row.dataset, datasets)}"[:-1])
    if row.protocol_id and protocol is None:
        yield _problem(row, "protocol", f"unknown protocol {row.protocol_id!r}: {did_you_mean(row.protocol_id, protocols)}"[:-1])
    elif protocol is not None and protocol.dataset != row.dataset:
        yield _problem(row, "protocol", f"the protocol {row.protocol_id} is one of {protocol.dataset}'s, not of {row.dataset!r}")
    names = ["all", *(s.name for s in protocol.subsets)] if protocol is not None else ["all"]
    if row.subset not in names and (protocol is not None or not row.protocol_id):
        yield _problem(row, "subset", f"unknown subset {row.subset!r}: {did_you_mean(row.subset, names)}"[:-1])
    yield from _metric(row, protocol)
    for column in ("method", "source", "unit"):
        if not getattr(row, column):
            yield _problem(row, "reason", f"{column} is empty")
    if row.comparable != "yes" and not row.reason:
        yield _problem(row, "reason", f"comparable = {row.comparable} needs a reason")
    if row.comparable == "yes" and (protocol is None or not row.metric or row.confidence == "low"):
        yield _problem(row, "reason", "without a protocol or a metric of ours, or from a doubtful source, nothing is comparable")
    if not row.protocol_id and not row.reason:
        yield _problem(row, "reason", "a row without a protocol needs a reason")
    for column in ("paper_text", "reason", "note"):
        if said := _DANGLING.search(getattr(row, column)):
            yield _problem(row, "dangling", f"{column} says {said[0]!r}, which means nothing in a row of its own")


def _metric(row: PublishedRow, protocol: Protocol | None) -> Iterator[Problem]:
    if not row.metric:
        if not row.paper_metric:
            yield _problem(row, "metric", "neither metric nor paper_metric says what the value is")
        return
    if row.paper_metric:
        yield _problem(row, "metric", "paper_metric is for what is no metric of hpbench: leave it empty")
    metric = _parsed(row.metric)
    if isinstance(metric, str):
        yield _problem(row, "metric", metric)
        return
    if metric.text != row.metric:
        yield _problem(row, "metric", f"write the metric {row.metric!r} as {metric.text!r}")
    unit = {"percent": "%"}.get(metric.family.unit, metric.family.unit)
    if row.unit != unit:
        yield _problem(row, "unit", f"{metric.text} is in {unit}, not in {row.unit!r}")
    if not 0.0 <= row.value <= metric.highest:
        yield _problem(row, "range", f"{row.printed} is no value of {metric.text}")
    if protocol is not None and (wrong := _cannot_score(protocol, metric)):
        yield _problem(row, "metric", f"{metric.text} is no metric of {protocol.id}: {wrong}")


def _cannot_score(protocol: Protocol, metric: Metric) -> str:
    main = _parsed(protocol.main)
    if isinstance(main, Metric) and main.family.needs != metric.family.needs:
        return f"it is about {main.family.needs}"
    if metric.balanced and not protocol.balance:
        return "it has no bins to balance"
    if metric.parameters.get("norm") in ("height", "sqrt_wh", "diagonal") and not protocol.norm_box:
        return "it has no norm_box"
    return ""


def _claims(rows: Sequence[PublishedRow]) -> Iterator[Problem]:
    """One canonical row a claim, each other value with a note, no row twice."""
    canonical: dict[tuple[str, ...], PublishedRow] = {}
    for row in rows:
        if row.canonical:
            first = canonical.setdefault(row.claim, row)
            if first is not row:
                yield _problem(row, "canonical", f"{first.id} makes the same claim: one of them quotes the other")
    whole = Counter((*row.claim, row.value, row.origin, row.source, row.paper_text) for row in rows)
    for row in rows:
        if whole[(*row.claim, row.value, row.origin, row.source, row.paper_text)] > 1 and not row.canonical:
            yield _problem(row, "duplicate", "the row stands here twice")
    values: dict[tuple[str, ...], set[float]] = defaultdict(set)
    for row in rows:
        values[(*row.claim, row.paper)].add(row.value)
    for row in rows:
        head = canonical.get(row.claim)
        if len(values[(*row.claim, row.paper)]) > 1 and head is not None and row.value != head.value and not row.note:
            if not _same_rounded(row, head):
                yield _problem(row, "contradiction", f"{row.printed} here, {head.printed} in {head.id}, and no note")


def _quotes(rows: Sequence[PublishedRow]) -> Iterator[Problem]:
    by_id = {row.id: row for row in rows}
    for row in rows:
        if row.canonical:
            continue
        target = by_id.get(row.quotes)
        if target is None or target is row:
            yield _problem(row, "quotes", f"quotes {row.quotes!r}, which is no other row")
        elif not target.canonical:
            yield _problem(row, "quotes", f"quotes {target.id}, which quotes {target.quotes} itself: quote that")
        elif (target.dataset, target.method) != (row.dataset, row.method):
            yield _problem(row, "quotes", f"quotes {target.id}, which is about {target.method} on {target.dataset}")
        elif target.claim != row.claim and not row.note:
            yield _problem(row, "quotes", f"quotes {target.id}, a claim of another protocol, subset, metric or variant, and no note")
        elif row.value != target.value and not row.note and not _same_rounded(row, target):
            yield _problem(row, "contradiction", f"{row.printed} here, {target.printed} in {target.id}, and no note")


def _triples(rows: Sequence[PublishedRow]) -> Iterator[Problem]:
    """The mean of yaw, pitch and roll is their mean."""
    tables: dict[tuple[str, ...], dict[str, list[PublishedRow]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.metric.startswith("mae("):
            angle = re.search(r"angle=(\w+),", row.metric)
            rest = row.metric.replace(angle[0], "") if angle else row.metric
            key = (row.dataset, row.protocol_id, row.subset, rest, row.method, row.variant, row.source, row.paper_text)
            tables[key][angle[1] if angle else "mean"].append(row)
    for table in tables.values():
        if any(len(table[name]) != 1 for name in ("yaw", "pitch", "roll", "mean")):
            continue
        angles = [table[name][0] for name in ("yaw", "pitch", "roll")]
        mean, expected = table["mean"][0], sum(row.value for row in angles) / 3
        slack = sum(map(_rounding, angles)) / 3 + _rounding(mean) + _MARGIN
        if abs(mean.value - expected) > slack and not mean.note:
            yield _problem(mean, "triple", f"the mean of yaw, pitch and roll is {expected:.3f}, not {mean.printed}, and no note")


def _halves(rows: Sequence[PublishedRow]) -> Iterator[Problem]:
    """300W's full set is its common and its challenging faces."""
    tables: dict[tuple[str, ...], dict[str, PublishedRow]] = defaultdict(dict)
    for row in rows:
        if row.protocol_id == "300w/full" and row.metric:
            tables[(row.metric, row.method, row.variant, row.source)][row.subset] = row
    for table in tables.values():
        if {"all", "common", "challenging"} <= table.keys():
            common, challenging, full = table["common"], table["challenging"], table["all"]
            expected = (_COMMON * common.value + _CHALLENGING * challenging.value) / (_COMMON + _CHALLENGING)
            slack = _rounding(full) + max(_rounding(common), _rounding(challenging)) + _MARGIN
            if abs(full.value - expected) > slack and not full.note:
                yield _problem(full, "halves", f"common and challenging give {expected:.3f}, not {full.printed}, and no note")


def _norms(rows: Sequence[PublishedRow]) -> Iterator[Problem]:
    """Errors over the pupils are 1.40 times those over the corners."""
    tables: dict[tuple[str, ...], dict[str, PublishedRow]] = defaultdict(dict)
    for row in rows:
        if row.protocol_id == "300w/full" and row.metric in ("nme(norm=corners)", "nme(norm=pupils)"):
            tables[(row.subset, row.method, row.variant, row.source)][row.metric] = row
    low, high = _PUPILS_OVER_CORNERS
    for table in tables.values():
        if len(table) == 2 and table["nme(norm=corners)"].value > 0:
            pupils = table["nme(norm=pupils)"]
            ratio = pupils.value / table["nme(norm=corners)"].value
            if not low < ratio < high and not pupils.note:
                yield _problem(pupils, "norms", f"{ratio:.2f} times the value over the corners, which is 1.40 elsewhere, and no note")


def _impossible_curves(rows: Sequence[PublishedRow]) -> Iterator[Problem]:
    """No AUC is below 1 - NME/t, nor so far above it that the failures would be wrong by more than a whole norm each."""
    tables: dict[tuple[str, ...], dict[str, PublishedRow]] = defaultdict(dict)
    for row in rows:
        if said := re.fullmatch(r"(nme|auc|fr)\((?:(?:below|above)=([\d.]+),)?norm=(\w+)\)", row.metric):
            key = (row.protocol_id, row.subset, row.method, row.variant, row.source, said[3])
            tables[key][f"{said[1]}{said[2] or ''}"] = row
    for table in tables.values():
        for name in (n for n in table if n.startswith("auc") and "nme" in table):
            auc, nme, fr, limit = table[name], table["nme"], table.get(f"fr{name[3:]}"), float(name[3:])
            least = 100.0 * (1.0 - nme.value / limit)
            most = least + fr.value * 100.0 / limit if fr is not None else 100.0
            slack = 0.5 + _rounding(auc)  # grids shift AUC by some tenths
            if not least - slack <= auc.value <= most + slack and not auc.note:
                said_so = f"{auc.printed} cannot be beside an NME of {nme.printed} ({least:.1f} to {most:.1f})"
                yield _problem(auc, "curve", f"{said_so}, and no note")


def _rounding(row: PublishedRow) -> float:
    """Half of the last digit that was printed; tables drop zeros, but give three digits of numbers from 10 on."""
    decimals = len(row.printed.partition(".")[2])
    return 0.05 if decimals <= 1 and row.value >= 10 else 0.5 * 10.0 ** -max(decimals, 2)


def _same_rounded(a: PublishedRow, b: PublishedRow) -> bool:
    """One value is the other with fewer digits."""
    return abs(a.value - b.value) <= max(_rounding(a), _rounding(b)) + 1e-9
