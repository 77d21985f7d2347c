"""Records put together into boards: one board a protocol, ranked rows first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .catalog import (
    Protocol,
    catalog_roots,
    dataset_card,
    dataset_cards,
    model_cards,
    protocol_named,
    protocols_of,
    seen_test_images,
)
from .errors import InputError
from .records import Record, Score, read_record

__all__ = ["Board", "Row", "boards", "collect_records", "find_score"]


_GUESS = re.compile(r": ([^:?]{1,60}\?)")  # what `hpbench.obstacles.suspicions` takes predictions for: "...: radians? ..."


@dataclass(frozen=True)
class Row:
    """One record on a board; `rank` is None for what is not ranked, `marks` says why."""

    rank: int | None
    record: Record
    marks: tuple[str, ...]

    @property
    def title(self) -> str:
        """The model as its card calls it, as the record does where there is none."""
        cards = model_cards()
        name = self.record.model.name
        return self.record.model.called(cards[name].title if name in cards else name)


@dataclass(frozen=True)
class Board:
    """All records of one protocol, best first, unranked ones after the ranked.

    Attributes
    ----------
    protocol : Protocol
    metrics : tuple of str
        The columns: main first.
    rows : tuple of Row
    """

    protocol: Protocol
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]


def collect_records(paths: Sequence[Path] = ()) -> tuple[list[Record], list[str]]:
    """Records from files and folders (searched below); without any, the shipped baselines.

    Returns
    -------
    records : list of Record
    remarks : list of str
        Files in a folder that look like records and are none.  A file named outright must be a record.
    """
    records: list[Record] = []
    remarks: list[str] = []
    for path in paths or [root / "baselines" for root in catalog_roots()]:
        if path.is_file():
            records.append(read_record(path))
        elif path.is_dir():
            for file in sorted(path.rglob("*.json")):
                if "@" not in file.name or not file.is_file():  # run.json and other people's files
                    continue
                try:
                    records.append(read_record(file))
                except InputError as error:
                    remarks.append(f"left out: {error}")
        elif paths:
            raise InputError(f"{path}: there is no such record or folder.")
    return records, remarks


def boards(records: Iterable[Record], dataset: str = "", protocol: str = "") -> tuple[list[Board], list[str]]:
    """Boards of the records, in order of protocol id, and remarks on records that fit none.

    Parameters
    ----------
    dataset, protocol : str, optional
        Only boards of this dataset, of this protocol (with or without its version).

    Raises
    ------
    InputError
        An unknown dataset or protocol.
    """
    if dataset:
        cards = [dataset_card(dataset)]
    else:
        cards = list(dataset_cards().values())
    protocols = {p.id: p for card in cards for p in protocols_of(card)}
    if protocol:
        wanted = protocol_named(protocol if "/" in protocol or not dataset else f"{dataset}/{protocol}")
        if dataset and wanted.dataset != dataset:
            raise InputError(f"protocol {wanted.id!r} is one of {wanted.dataset}'s, not of {dataset}'s.")
        protocols = {k: v for k, v in protocols.items() if k == wanted.id}
    remarks: list[str] = []
    by_protocol: dict[str, list[Record]] = {key: [] for key in sorted(protocols)}
    for record in records:
        known = protocols.get(record.protocol.id)
        if known is None:
            if not dataset and not protocol:
                remarks.append(f"left out: {record.model.name} on {record.protocol.reference}, a protocol that is not known here.")
            continue
        if record.protocol.sha256 != known.sha256:
            remarks.append(
                f"left out: {record.model.name} on {record.protocol.reference} was scored by another text of the protocol "
                f"(here {known.reference}): score its predictions again."
            )
            continue
        if record.main.metric != known.main:
            remarks.append(
                f"left out: {record.model.label} on {record.protocol.reference}: its main metric is not {known.main}, the protocol's."
            )
            continue
        by_protocol[known.id].append(record)
    built = []
    for key, rows in by_protocol.items():
        if rows:
            rows, dropped = _newest(rows)
            remarks += dropped
            built.append(_board(protocols[key], rows))
    return built, remarks


def _newest(records: list[Record]) -> tuple[list[Record], list[str]]:
    """One record a model: a ranked one before an unranked, the newest of equals; the others are told."""
    newest: dict[tuple[str, str, str | None], Record] = {}
    remarks: list[str] = []
    for record in sorted(records, key=lambda r: (r.ranked, r.date)):
        key = (record.model.label, record.model.version, record.model.weights_sha256)
        if key in newest:
            older = newest[key]
            kind = "an older" if older.ranked == record.ranked else "a partial or unverified"
            remarks.append(f"left out: {kind} record of {record.model.name} on {record.protocol.reference} ({newest[key].date}).")
        newest[key] = record
    return list(newest.values()), remarks


def _board(protocol: Protocol, records: list[Record]) -> Board:
    metrics = (protocol.main, *(m for m in protocol.metrics if m != protocol.main))

    def key(record: Record) -> tuple[bool, bool, float, str]:
        main = record.main
        value = main.value if main.value is not None else 0.0
        return not record.ranked, main.value is None, -value if main.higher_is_better else value, record.model.name

    rows: list[Row] = []
    for record in sorted(records, key=key):
        rank = None
        if record.ranked:
            previous = rows[-1] if rows else None
            tied = previous is not None and previous.record.main.value == record.main.value
            rank = previous.rank if previous is not None and tied else len(rows) + 1
        rows.append(Row(rank, record, _marks(record)))
    if len({row.record.truth_sha256 for row in rows if row.rank is not None}) > 1:
        # the same protocol on labels that differ: not one ranking, whoever is right
        rows = [Row(None, row.record, (*row.marks, "labels differ")) if row.rank is not None else row for row in rows]
    return Board(protocol, metrics, tuple(rows))


def _marks(record: Record) -> tuple[str, ...]:
    marks = []
    if record.partial:
        marks.append("partial")
    elif record.dataset.verified is False:
        marks.append("unverified")
    elif record.dataset.verified is None:
        marks.append("labels not compared")
    cards, protocol = model_cards(), protocol_named(record.protocol.id)
    trained_on = record.model.trained_on or (cards[record.model.name].trained_on if record.model.name in cards else ())
    if seen_test_images(trained_on, protocol.dataset, protocol.split):
        marks.append("saw test images")
    told = ("boxes not stated", "scheme not stated", "schemes mixed", "visibility is hard")
    for note in record.notes:
        if note.startswith(told):
            marks.append(note.partition(":")[0])
        elif guess := _GUESS.search(note):
            marks.append(guess[1])
    return tuple(marks)


def find_score(record: Record, metric: str) -> Score | None:
    """The score of a metric, None where a record has none."""
    return next((s for s in record.scores if s.metric == metric), None)
