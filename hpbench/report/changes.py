"""What a protocol's new version has moved: the board that was, and ranks and values before and after, as markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..catalog import Protocol
from ..records import Record
from .cells import NO_VALUE, escape, score_text

__all__ = ["Rescored", "board_text", "changes_text"]


@dataclass(frozen=True)
class Rescored:
    """One stale record.

    Attributes
    ----------
    path : Path
        Where it stood.
    old : Record
    new : Record or None
        None where it was not scored: a dry run, or `reason`.
    protocol : Protocol or None
        The present one.
    reason : str
        Why it cannot be scored.
    missing : bool
        The reason is that data are not here.
    """

    path: Path
    old: Record
    new: Record | None
    protocol: Protocol | None
    reason: str = ""
    missing: bool = False


def _ranks(records: Sequence[Record]) -> dict[int, int]:
    """Place of each record (by its position) among those that may be ranked, the newest of a model; equal values share a rank."""
    newest: dict[tuple[str, str, str | None], int] = {}
    for n in sorted((n for n, record in enumerate(records) if record.ranked), key=lambda n: records[n].date):
        model = records[n].model
        newest[model.label, model.version, model.weights_sha256] = n
    mains = {n: records[n].main for n in newest.values()}
    values = {n: (-s.value if s.higher_is_better else s.value) for n, s in mains.items() if s.value is not None}
    return {n: 1 + sum(other < value for other in values.values()) for n, value in values.items()}


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, ["---"] * len(headings), *rows))


def board_text(reference: str, sha256: str, records: Sequence[Record]) -> str:
    """The board as it stood."""
    ranks = _ranks(records)
    order = sorted(range(len(records)), key=lambda n: (ranks.get(n, len(records) + 1), records[n].model.label, records[n].date))
    rows = []
    for n in order:
        record = records[n]
        main = record.main
        rows.append([
            str(ranks.get(n, NO_VALUE)), escape(record.model.label), score_text(main, interval=True), str(main.n_scored), record.date[:10],
        ])  # fmt: skip
    metrics = ", ".join(sorted({f"`{r.main.metric}` in {r.main.unit}" for r in records}))
    versions = ", ".join(sorted({r.hpbench for r in records}))
    said = f"Superseded; protocol text {sha256}, {metrics}, hpbench {versions}."
    return f"# {reference}\n\n{said}\n\n{_table(['#', 'model', 'value', 'faces', 'date'], rows)}\n"


def changes_text(items: Sequence[Rescored], protocol: Protocol, now: Sequence[Record]) -> str:
    """Rank and value of each record before and after, and what could not be scored."""
    before, after = _ranks([item.old for item in items]), _ranks(now)
    rows = []
    for n, item in enumerate(items):
        m = next((m for m, record in enumerate(now) if record is item.new), None)
        old_rank, new_rank = before.get(n), after.get(m) if m is not None else None
        move = "" if old_rank is None or new_rank is None else "=" if old_rank == new_rank else f"{old_rank - new_rank:+d}"
        same = item.new is not None and item.old.main.metric == item.new.main.metric
        values = (item.old.main.value, item.new.main.value if item.new is not None else None)
        change = f"{values[1] - values[0]:+.2f}" if same and values[0] is not None and values[1] is not None else NO_VALUE
        cells = [score_text(record.main, interval=True) if record is not None else NO_VALUE for record in (item.old, item.new)]
        rows.append([escape(item.old.model.label), str(old_rank or NO_VALUE), str(new_rank or NO_VALUE), move, *cells, change])
    rows.sort(key=lambda row: (row[2] == NO_VALUE, len(row[2]), row[2], row[0]))
    old = items[0].old
    metrics = f"`{old.main.metric}`" + (f", now `{protocol.main}`" if old.main.metric != protocol.main else "")
    others = sum(record.ranked for record in now) - len([i for i in items if i.new is not None and i.new.ranked])
    lines = [
        f"# {old.protocol.reference} → {protocol.reference}",
        f"Protocol text {old.protocol.sha256[:8]} → {protocol.sha256[:8]}; {metrics} ({old.main.unit}).",
        _table(["model", "rank before", "after", "up", "value before", "after", "change"], rows),
    ]
    if others:
        lines.append(f"The board after has {others} more.")
    if reasons := [f"- {escape(item.old.model.label)} ({item.path.name}): {item.reason}." for item in items if item.reason]:
        lines.append("Not scored again, off the board until they are:\n\n" + "\n".join(reasons))
    return "\n\n".join(lines) + "\n"
