"""Records and published values put together into boards: one board a protocol, ranked rows first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..beside import Errors, FoundRecord, disagreement, errors_beside
from ..catalog import (
    ModelCard,
    Protocol,
    dataset_card,
    dataset_cards,
    model_cards,
    protocol_named,
    protocols_of,
    seen_test_images,
)
from ..catalog.label_agreement import LabelAgreement, label_agreement
from ..catalog.published import PublishedRow, Work, published_works
from ..errors import InputError, did_you_mean
from ..mapped import MAPPED
from ..records import Record
from ..submissions import level_of
from .fairness import gaps_of
from .model import Board, Row
from .published_lines import Claims, published_by_protocol, published_lines
from .speeds import with_speeds
from .standings import standings_of

__all__ = ["boards"]

_GUESS = re.compile(r": ([^:?]{1,60}\?)")  # what `hpbench.obstacles.suspicions` takes predictions for: "...: radians? ..."


def boards(
    records: Iterable[Record | FoundRecord],
    dataset: str = "",
    protocol: str = "",
    *,
    published: Sequence[PublishedRow] = (),
    against: str = "",
) -> tuple[list[Board], list[str]]:
    """Boards of the records and of the published rows, in order of protocol id, and remarks on what fits none.

    Parameters
    ----------
    records : iterable of Record or FoundRecord
        Those found in files are compared face by face, by the errors beside them.
    dataset, protocol : str, optional
        Only boards of this dataset, of this protocol (with or without its version).
    published : sequence of PublishedRow, optional
        `hpbench.catalog.published.published_rows()`; a protocol that only they have has a board.
    against : str, optional
        The model, by name or title, that published values are compared with; by default the first of each board.

    Raises
    ------
    InputError
        An unknown dataset or protocol, or no record of `against`.
    """
    every = {p.id: p for card in dataset_cards().values() for p in protocols_of(card)}
    wanted = _wanted(every, dataset, protocol)
    remarks: list[str] = []
    by_protocol: dict[str, list[FoundRecord]] = {}
    for found in (r if isinstance(r, FoundRecord) else FoundRecord(r) for r in records):
        record = found.record
        if record.protocol.id not in wanted and (dataset or protocol):
            continue
        if problem := _misfit(record, wanted.get(record.protocol.id)):
            remarks.append(f"left out: {record.model.label} on {record.protocol.reference}{problem}")
        else:
            by_protocol.setdefault(record.protocol.id, []).append(found)
    claims, unread = published_by_protocol(published, every) if published else ({}, [])
    remarks += unread
    facts, built = _Facts(model_cards(), published_works() if published else {}, label_agreement()), []
    for key in sorted(wanted):
        if key not in by_protocol and key not in claims:
            continue
        measured, dropped = _newest(by_protocol.get(key, []))
        board, told = _board(wanted[key], measured, claims.get(key, []), facts, against)
        remarks += dropped + told
        built.append(board)
    if against and not any(_is_called(row, against) for board in built for row in board.rows):
        names = {row.title for board in built for row in board.rows}
        raise InputError(f"no record of a model {against!r} to compare with: {did_you_mean(against, names)}")
    return built, remarks


def _wanted(every: dict[str, Protocol], dataset: str, protocol: str) -> dict[str, Protocol]:
    chosen = every
    if dataset:
        dataset_card(dataset)  # refuses an unknown one
        chosen = {k: p for k, p in every.items() if p.dataset == dataset}
    if protocol:
        one = protocol_named(protocol if "/" in protocol or not dataset else f"{dataset}/{protocol}")
        if dataset and one.dataset != dataset:
            raise InputError(f"protocol {one.id!r} is one of {one.dataset}'s, not of {dataset}'s.")
        chosen = {one.id: one}
    return chosen


def _misfit(record: Record, known: Protocol | None) -> str:
    """Why a record is on no board, the end of a sentence; "" where it fits."""
    if known is None:
        return ", a protocol that is not known here."
    if record.protocol.version > known.version:
        return f": the protocol is at version {known.version} here: a newer hpbench has the other."
    if record.protocol.version < known.version:
        return f": the protocol is at version {known.version} by now: score its predictions again."
    if record.protocol.sha256 != known.sha256:
        return f" was scored by another text of the protocol (here {known.reference}): score its predictions again."
    if record.main.metric != known.main:
        return f": its main metric is not {known.main}, the protocol's."
    return ""


def _newest(found: list[FoundRecord]) -> tuple[list[FoundRecord], list[str]]:
    """One record a model: a ranked one before an unranked, the newest of equals; the others are told."""
    newest: dict[tuple[str, str, str | None, str], FoundRecord] = {}
    remarks: list[str] = []
    for item in sorted(found, key=lambda f: (f.record.ranked, f.record.date)):
        record = item.record
        key = (record.model.label, record.model.version, record.model.weights_sha256, record.detector)
        if key in newest:
            older = newest[key].record
            kind = "an older" if older.ranked == record.ranked else "a partial or unverified"
            remarks.append(f"left out: {kind} record of {record.model.name} on {record.protocol.reference} ({older.date}).")
        newest[key] = item
    return list(newest.values()), remarks


@dataclass(frozen=True)
class _Facts:
    """What all boards need, read once."""

    cards: Mapping[str, ModelCard]
    works: Mapping[str, Work]
    agreement: tuple[LabelAgreement, ...]
    _seen: dict[tuple[tuple[str, ...], str, str], bool] = field(default_factory=dict)

    def saw_test_images(self, record: Record, protocol: Protocol) -> bool:
        card = self.cards.get(record.model.name)
        trained_on = record.model.trained_on or (card.trained_on if card else ())
        key = (trained_on, protocol.dataset, protocol.split)
        if key not in self._seen:
            self._seen[key] = bool(seen_test_images(*key))
        return self._seen[key]


def _board(protocol: Protocol, found: list[FoundRecord], claims: Claims, facts: _Facts, against: str) -> tuple[Board, list[str]]:
    remarks: list[str] = []
    read: list[tuple[FoundRecord, Errors | None]] = []
    for item in found:
        errors, problem = errors_beside(item.path)
        if problem:
            remarks.append(problem)
        elif errors is not None and (odd := disagreement(item.record, errors)):
            remarks.append(f"left out: {item.path}: {odd}: edited by hand?")
            continue
        read.append((item, errors))

    def key(pair: tuple[FoundRecord, Errors | None]) -> tuple[bool, bool, float, str]:
        record = pair[0].record
        main = record.main
        value = main.value if main.value is not None else 0.0
        return not (record.ranked and _is_held(*pair)), main.value is None, -value if main.higher_is_better else value, record.model.name

    read.sort(key=key)
    rows: list[Row] = []
    for item, errors in read:
        record, rank = item.record, None
        if record.ranked and _is_held(item, errors):
            previous = rows[-1] if rows else None
            tied = previous is not None and previous.record.main.value == record.main.value
            rank = previous.rank if previous is not None and tied else len(rows) + 1
        row = _row(item, rank, protocol, facts)
        rows.append(row if _is_held(item, errors) else replace(row, marks=(*row.marks, "errors missing")))
    notes: tuple[str, ...] = ()
    lead = beyond = None
    if len({row.record.truth_sha256 for row in rows if row.rank is not None}) > 1:
        # the same protocol on labels that differ: not one ranking, whoever is right
        rows = [replace(row, rank=None, marks=(*row.marks, "labels differ")) if row.rank is not None else row for row in rows]
        notes = ("no ranks: the records were scored with labels that differ",)
    else:
        standings = standings_of(protocol, rows, [errors for _, errors in read])
        rows, lead, beyond, notes = list(standings.rows), standings.lead, standings.lead_beyond_ties, standings.notes
    rows, told = with_speeds(rows)
    remarks += told
    compared = next((row for row in rows if (_is_called(row, against) if against else row.rank is not None)), None)
    board = Board(
        protocol=protocol,
        metrics=(protocol.main, *(m for m in protocol.metrics if m != protocol.main)),
        rows=tuple(rows),
        published=published_lines(protocol, claims, facts.works, compared),
        against=compared,
        lead=lead,
        lead_beyond_ties=beyond,
        notes=notes,
        agreement=tuple(line for line in facts.agreement if line.protocol_id == protocol.id),
        gaps=tuple(gap for row in rows for gap in gaps_of(protocol, row)),
    )
    return board, remarks


def _is_held(item: FoundRecord, errors: Errors | None) -> bool:
    """Whether the scores of a record in a file are held by the errors beside it; one that is in no file is its maker's."""
    return item.path is None or bool(errors)


def _is_called(row: Row, name: str) -> bool:
    return name in (row.title, row.record.model.name, row.record.model.label)


def _row(item: FoundRecord, rank: int | None, protocol: Protocol, facts: _Facts) -> Row:
    record = item.record
    card = facts.cards.get(record.model.name)
    return Row(
        rank=rank,
        record=record,
        marks=_marks(record, facts.saw_test_images(record, protocol)),
        title=record.model.called(card.title if card else record.model.name),
        parameters=card.parameters if card else None,
        path=item.path,
        level=level_of(item.path.absolute()) if item.path is not None else None,
    )


def _marks(record: Record, saw_test_images: bool) -> tuple[str, ...]:
    marks = []
    if record.partial:
        marks.append("partial")
    elif record.dataset.verified is False:
        marks.append("unverified")
    elif record.dataset.verified is None:
        marks.append("labels not compared")
    if saw_test_images:
        marks.append("saw test images")
    if record.detector:
        marks.append(f"boxes of {record.detector}")
    told = ("boxes not stated", "scheme not stated", "schemes mixed", MAPPED, "visibility is hard")
    for note in record.notes:
        if note.startswith(told):
            marks.append(note.partition(":")[0])
        elif guess := _GUESS.search(note):
            marks.append(guess[1])
    return tuple(marks)
