"""Published values as lines of boards: beside what was measured, never ranked with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..catalog import Protocol
from ..catalog.published import PublishedRow, Work
from ..errors import InputError, did_you_mean
from ..metrics import parse_metric
from .model import PublishedEntry, PublishedLine, Row, find_score

__all__ = ["HALVES", "published_by_protocol", "published_lines"]

# protocols whose faces are a subset of another's, where published.csv files them (docs/published.md)
HALVES = {"300w/common": ("300w/full", "common"), "300w/challenging": ("300w/full", "challenging")}

_VERDICTS = ("yes", "unknown", "no")

Claims = list[tuple[PublishedRow, tuple[PublishedRow, ...]]]


def published_by_protocol(rows: Sequence[PublishedRow], protocols: Mapping[str, Protocol]) -> tuple[dict[str, Claims], list[str]]:
    """Canonical rows with what folds under them, by protocol id, and remarks on rows that no board can show.

    Parameters
    ----------
    protocols : mapping of str to Protocol
        All that are known here.
    """
    folded: dict[str, list[PublishedRow]] = {}
    for row in rows:
        if not row.canonical:
            folded.setdefault(row.quotes, []).append(row)
    found: dict[str, Claims] = {}
    remarks: list[str] = []
    sound: dict[str, str] = {}
    for row in rows:
        if not row.canonical or not row.protocol_id or not row.metric:
            continue
        where = f"left out: {row.path}: line {row.line} ({row.id}, {row.method})"
        protocol = protocols.get(row.protocol_id)
        if row.metric not in sound:
            sound[row.metric] = _problem_of(row.metric)
        if protocol is None:
            remarks.append(f"{where}: unknown protocol {row.protocol_id!r}: {did_you_mean(row.protocol_id, protocols)}")
        elif sound[row.metric]:
            remarks.append(f"{where}: {sound[row.metric]}")
        elif row.subset not in (names := ["all", *(s.name for s in protocol.subsets)]):
            remarks.append(f"{where}: unknown subset {row.subset!r} of {row.protocol_id}: {did_you_mean(row.subset, names)}")
        else:
            claim = (row, tuple(folded.get(row.id, ())))
            found.setdefault(row.protocol_id, []).append(claim)
            for half, whole in HALVES.items():
                if (row.protocol_id, row.subset) == whole:
                    found.setdefault(half, []).append((replace_subset(row), claim[1]))
    return found, remarks


def replace_subset(row: PublishedRow) -> PublishedRow:
    """The row as one of the whole of its half."""
    other = replace(row, subset="all")
    for name in ("printed", "year", "path", "line"):
        object.__setattr__(other, name, getattr(row, name))
    return other


def published_lines(protocol: Protocol, claims: Claims, works: Mapping[str, Work], against: Row | None) -> tuple[PublishedLine, ...]:
    """Lines of one board, in its order: subsets as the protocol has them, comparable ones first, best first."""
    groups: dict[tuple[str, ...], list[PublishedEntry]] = {}
    for row, folded in claims:
        key = (row.subset, row.comparable, row.reason, row.method, row.variant, row.paper)
        groups.setdefault(key, []).append(PublishedEntry(row, folded, _delta(row, against)))
    order = {metric: place for place, metric in enumerate((protocol.main, *protocol.metrics))}
    subsets = ["all", *(s.name for s in protocol.subsets)]
    higher = parse_metric(protocol.main).family.higher_is_better

    def place(line: PublishedLine) -> tuple[int, int, bool, float, str]:
        main = line.entries.get(protocol.main)
        value = main.row.value if main else next(iter(line.entries.values())).row.value
        return (
            subsets.index(line.subset),
            _VERDICTS.index(line.comparable),
            main is None,
            -value if higher else value,
            line.title.casefold(),
        )

    return tuple(sorted((_line(entries, works, order) for entries in groups.values()), key=place))


def _line(entries: Iterable[PublishedEntry], works: Mapping[str, Work], order: Mapping[str, int]) -> PublishedLine:
    by_metric = {e.row.metric: e for e in sorted(entries, key=lambda e: (order.get(e.row.metric, len(order)), e.row.metric))}
    row = next(iter(by_metric.values())).row
    work = works.get(row.paper, Work(row.paper, "", "", "", "", "", ""))
    return PublishedLine(row.method, row.variant, row.subset, row.comparable, row.reason, work, row.year, by_metric)


def _delta(row: PublishedRow, against: Row | None) -> float | None:
    score = find_score(against.record, row.metric, row.subset) if against else None
    return row.value - score.value if score is not None and score.value is not None else None


def _problem_of(metric: str) -> str:
    try:
        parse_metric(metric)
    except InputError as error:
        return str(error)
    return ""
