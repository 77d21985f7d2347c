"""Boards as JSON and CSV: every digit, published values included.

The JSON is a list of boards, each with ``schema`` = 1: keys are added under a number, and change or go only with a new one.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..leaderboard import Board, Gap, PublishedEntry, PublishedLine, Row
from .cells import harmless, view_of

__all__ = ["SCHEMA", "board_data", "boards_csv", "boards_json"]

SCHEMA = 1


def boards_json(boards: Sequence[Board]) -> str:
    return json.dumps([board_data(b) for b in boards], indent=1, allow_nan=False, ensure_ascii=False)


def board_data(board: Board) -> dict[str, Any]:
    """A board as JSON has it: dictionaries, lists, texts and numbers."""
    return {
        "schema": SCHEMA,
        "protocol": board.protocol.reference,
        "protocol_sha256": board.protocol.sha256,
        "title": board.protocol.title,
        "task": board.task,
        "dataset": board.protocol.dataset,
        "main": board.protocol.main,
        "metrics": list(board.metrics),
        "rows": [_row_data(row) for row in board.rows],
        "lead": asdict(board.lead) if board.lead else None,
        "lead_beyond_ties": asdict(board.lead_beyond_ties) if board.lead_beyond_ties else None,
        "notes": list(board.notes),
        "gaps": [_gap_data(gap) for gap in board.gaps],
        "label_agreement": [asdict(line) for line in board.agreement],
        "against": board.against.title if board.against else None,
        "published": [_line_data(line) for line in board.published],
    }


def _row_data(row: Row) -> dict[str, Any]:
    record = row.record
    return {
        "rank": row.rank,
        "best_rank": row.best_rank,
        "worst_rank": row.worst_rank,
        "group": row.group,
        "level": row.level,
        "title": row.title,
        "model": asdict(record.model),
        "marks": list(row.marks),
        "scores": [asdict(s) for s in record.scores],
        "subsets": {name: [asdict(s) for s in scores] for name, scores in record.subsets.items()},
        "coverage": record.coverage,
        "diagnostics": record.diagnostics,
        "parameters": row.parameters,
        "speed": asdict(row.speed) if row.speed else None,
        "timing": record.timing,
        "date": record.date,
    }


def _gap_data(gap: Gap) -> dict[str, Any]:
    found = {"title": gap.title, "attribute": gap.attribute, "worst": gap.worst, "best": gap.best, "gap": gap.gap}
    return {**found, "low": gap.low, "high": gap.high, "values": {name: score.value for name, score in gap.scores.items()}}


def _line_data(line: PublishedLine) -> dict[str, Any]:
    found = {name: getattr(line, name) for name in ("method", "variant", "subset", "comparable", "reason", "year")}
    return {**found, "work": asdict(line.work), "values": [_entry_data(entry) for entry in line.entries.values()]}


def _entry_data(entry: PublishedEntry) -> dict[str, Any]:
    names = ("id", "metric", "value", "unit", "printed", "origin", "source", "confidence", "note", "paper_text")
    folded = [
        {name: getattr(row, name) for name in ("id", "value", "unit", "method", "variant", "origin", "source")} for row in entry.folded
    ]
    return {**{name: getattr(entry.row, name) for name in names}, "delta": entry.delta, "folded": folded}


_COLUMNS = (
    "kind", "protocol", "subset", "rank", "best_rank", "worst_rank", "model", "version", "metric", "value", "ci95_low", "ci95_high", "unit",
    "n_scored", "n_failed", "n_unlabelled", "value_detected", "prevalence_percent", "coverage", "images_per_s", "device", "parameters",
    "level", "marks", "comparable", "reason", "delta", "origin", "year", "folded", "source", "confidence", "note", "id",
)  # fmt: skip


def boards_csv(boards: Sequence[Board]) -> str:
    """One table, a score a line: kind is measured (over all faces), published or label agreement."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for board in boards:
        common = {"protocol": board.protocol.reference, "subset": "all"}
        views = {metric: view_of(metric) for metric in board.metrics}
        lines = [line for row in board.rows for line in _measured(row, views)]
        lines += [line for published in board.published for line in _published(published)]
        for found in board.agreement:
            facts = {"kind": "label agreement", "model": found.what, "n_scored": found.n}
            lines.append({**facts, **{k: getattr(found, k) for k in ("subset", "metric", "value", "origin", "source")}})
        for cells in lines:
            writer.writerow({k: harmless(v) if isinstance(v, str) else v for k, v in {**common, **cells}.items()})
    return out.getvalue().rstrip("\n")


def _measured(row: Row, views: dict[str, str | None]) -> list[dict[str, Any]]:
    record, speed = row.record, row.speed
    whole = {
        "kind": "measured", "rank": row.rank, "best_rank": row.best_rank, "worst_rank": row.worst_rank, "model": record.model.label,
        "version": record.model.version, "coverage": record.coverage, "images_per_s": speed.images_per_s if speed else None,
        "device": speed.device if speed else None, "parameters": row.parameters, "level": row.level, "marks": "; ".join(row.marks),
    }  # fmt: skip
    lines = []
    for s in record.scores:
        low, high = s.ci95 or (None, None)
        score = {k: getattr(s, k) for k in ("metric", "value", "unit", "n_scored", "n_failed", "n_unlabelled", "value_detected")}
        prevalence = record.diagnostics.get(f"{views.get(s.metric)}_percent")
        lines.append({**whole, **score, "ci95_low": low, "ci95_high": high, "prevalence_percent": prevalence})
    return lines


def _published(line: PublishedLine) -> list[dict[str, Any]]:
    whole = {"kind": "published", "subset": line.subset, "model": line.title, "comparable": line.comparable, "reason": line.reason}
    found = []
    for metric, entry in line.entries.items():
        row = {k: getattr(entry.row, k) for k in ("value", "unit", "origin", "source", "confidence", "note", "id")}
        found.append({**whole, **row, "metric": metric, "delta": entry.delta, "year": line.year, "folded": len(entry.folded)})
    return found
