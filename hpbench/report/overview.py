"""All boards at a glance, as text: the best of each, and models by boards."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Literal

from ..leaderboard import Board, Grid, OverviewLine, find_score, grid, overview
from ..metrics import parse_metric
from .cells import NO_VALUE, escape, number_text, rank_text

__all__ = ["overview_text"]


def overview_text(
    boards: Sequence[Board], style: Literal["table", "markdown", "json"], *, link: Callable[[Board], str] | None = None
) -> str:
    """Task, dataset and protocol with the best measured and the best comparable published value; below, models by boards.

    A model that was not measured somewhere has a dash there; there is no average over boards.  In markdown protocols can be links.
    """
    lines = overview(boards)
    if style == "json":
        return json.dumps([_data(line) for line in lines], indent=1, allow_nan=False, ensure_ascii=False)
    columns = [
        "task",
        "dataset",
        "protocol",
        "metric",
        "best measured",
        "best comparable published",
        "measured",
        "published (yes/unknown/no)",
    ]
    rows = [_cells(line) for line in lines]
    if style == "markdown":
        rows = [[escape(cell) for cell in row] for row in rows]
    if link:
        rows = [[*row[:2], f"[{row[2]}]({link(line.board)})", *row[3:]] for row, line in zip(rows, lines, strict=True)]
    parts = [_table(rows, columns, style)]
    found = grid(boards)
    if len(found.boards) > 1:
        cells = _grid_cells(found)
        if style == "markdown":
            cells = [[escape(cell) for cell in row] for row in cells]
        parts.append(_table(cells, ["model", *(board.protocol.id for board in found.boards)], style))
    return "\n\n".join(parts)


def _cells(line: OverviewLine) -> list[str]:
    main = line.board.protocol.main
    unit = parse_metric(main).family.unit
    measured, published = line.best_measured, line.best_published
    ours = f"{number_text(measured.record.main.value, unit)} {measured.title}" if measured else NO_VALUE
    theirs = f"{published.entries[main].row.printed} {published.title}" if published else NO_VALUE
    counts = "/".join(str(line.published[verdict]) for verdict in ("yes", "unknown", "no"))
    rows = str(line.measured) if line.measured == line.ranked else f"{line.measured} ({line.ranked} ranked)"
    name = line.board.protocol.reference.partition("/")[2]
    return [line.task, line.dataset, name, f"{main} [{unit}]", ours, theirs, rows, counts]


def _grid_cells(found: Grid) -> list[list[str]]:
    cells = []
    for model, rows in zip(found.models, found.cells, strict=True):
        line = [model]
        for row in rows:
            score = find_score(row.record, row.record.main.metric) if row else None
            text = number_text(score.value, score.unit) if score else NO_VALUE
            line.append(text if row is None or row.rank is None else f"{text} (#{rank_text(row)})")
        cells.append(line)
    return cells


def _data(line: OverviewLine) -> dict[str, object]:
    measured, published = line.best_measured, line.best_published
    return {
        "task": line.task,
        "dataset": line.dataset,
        "protocol": line.board.protocol.reference,
        "main": line.board.protocol.main,
        "best_measured": {"model": measured.title, "value": measured.record.main.value} if measured else None,
        "best_published": (
            {"method": published.title, "value": published.entries[line.board.protocol.main].row.value, "year": published.year}
            if published
            else None
        ),
        "measured": line.measured,
        "ranked": line.ranked,
        "published": line.published,
    }


def _table(rows: Sequence[Sequence[str]], columns: Sequence[str], style: str) -> str:
    import tabulate

    return tabulate.tabulate(rows, columns, tablefmt="github" if style == "markdown" else "simple", disable_numparse=True)
