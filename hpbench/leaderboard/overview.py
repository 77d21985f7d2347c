"""All boards at a glance: the best of each, and models by boards.  Boards are never averaged: their metrics and faces differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .model import Board, PublishedLine, Row

__all__ = ["Grid", "OverviewLine", "grid", "overview"]

_TASKS = ("pose", "landmarks", "visibility")


@dataclass(frozen=True)
class OverviewLine:
    """A board in one line.

    Attributes
    ----------
    best_measured : Row or None
        The first ranked row.
    best_published : PublishedLine or None
        The best of those that are comparable and have the main metric over all faces.
    measured, ranked : int
    published : mapping of str to int
        Lines over all faces by verdict: yes, unknown, no.
    """

    task: str
    dataset: str
    board: Board
    best_measured: Row | None
    best_published: PublishedLine | None
    measured: int
    ranked: int
    published: dict[str, int]


def overview(boards: Sequence[Board]) -> list[OverviewLine]:
    """One line a board, by task, dataset, protocol."""
    lines = []
    for board in boards:
        whole = board.published_on()
        comparable = [line for line in whole if line.comparable == "yes" and board.protocol.main in line.entries]
        ranked = [row for row in board.rows if row.rank is not None]
        lines.append(
            OverviewLine(
                task=board.task,
                dataset=board.protocol.dataset,
                board=board,
                best_measured=ranked[0] if ranked else None,
                best_published=comparable[0] if comparable else None,
                measured=len(board.rows),
                ranked=len(ranked),
                published={verdict: sum(line.comparable == verdict for line in whole) for verdict in ("yes", "unknown", "no")},
            )
        )
    return sorted(lines, key=lambda line: (_TASKS.index(line.task), line.dataset, line.board.protocol.id))


@dataclass(frozen=True)
class Grid:
    """Models by boards: `cells` has a line a model and a column a board, None where there is no row.  No averages."""

    boards: tuple[Board, ...]
    models: tuple[str, ...]
    cells: tuple[tuple[Row | None, ...], ...]


def grid(boards: Sequence[Board], task: str = "") -> Grid:
    """Which model was measured where; boards without measured rows are left out.

    Of several rows of one title on a board (versions, weights) the first counts.
    """
    chosen = tuple(line.board for line in overview(boards) if line.measured and task in ("", line.task))
    models = tuple(sorted({row.title for board in chosen for row in board.rows}, key=str.casefold))
    cells = tuple(tuple(next((row for row in board.rows if row.title == model), None) for board in chosen) for model in models)
    return Grid(chosen, models, cells)
