"""Boards as LaTeX tables for papers (booktabs): the best of a column in bold, the second underlined.

Only what may be compared is marked: ranked rows, or where a board has none, the comparable published ones.  Of published values
only the comparable ones are shown; how many are not stands in a comment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..leaderboard import Board, PublishedLine, Row, find_score
from ..metrics import parse_metric
from .cells import NO_VALUE, headings_and_shared, number_text

__all__ = ["boards_latex", "latex_text"]

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "^": r"\textasciicircum{}", "_": r"\_",
    "~": r"\textasciitilde{}", "%": r"\%", "[": "{[}", "]": "{]}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "—": "---", "–": "--", '"': "''",
}  # fmt: skip


def latex_text(text: str) -> str:
    """Text as LaTeX shows it: nothing in it is a command, begins a comment or ends a cell."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return "".join(_SPECIAL.get(c, c) for c in " ".join(printable.split()))


def boards_latex(boards: Sequence[Board], *, intervals: bool = True) -> str:
    """One table environment a board; `intervals` = the main metric with its interval."""
    return "\n\n".join(["% needs \\usepackage{booktabs}", *(_table(board, intervals) for board in boards)])


def _table(board: Board, intervals: bool) -> str:
    published = [line for line in board.published_on() if line.comparable == "yes"]
    metrics = [m for m in board.metrics if board.rows or any(m in line.entries for line in published)] or [board.protocol.main]
    headings, shared = headings_and_shared(metrics, " ")
    ranked = [row for row in board.rows if row.rank is not None]
    best: dict[str, list[float]] = {}
    for metric in metrics:
        scores = (find_score(row.record, metric) for row in ranked)
        values = {float(number_text(s.value, s.unit)) for s in scores if s is not None and s.value is not None}
        if not ranked:
            values = {line.entries[metric].row.value for line in published if metric in line.entries}
        best[metric] = sorted(values, reverse=parse_metric(metric).family.higher_is_better)[:2]
    letters = _letters(board)
    left = len(board.published) - len(published)
    told = [f"% {' '.join(board.protocol.reference.split())}"]
    if left:
        told.append(f"% {left} published lines are left out: not comparable, not known to be, or on subsets")
    if not board.rows and not published:
        return "\n".join(told)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_text(_caption(board, shared, intervals))}}}",
        rf"\begin{{tabular}}{{rl{'r' * len(metrics)}}}",
        r"\toprule",
        " & ".join(["", "model", *(latex_text(heading) for heading in headings)]) + r" \\",
        *([r"\midrule"] if board.rows else []),
        *(_measured(row, metrics, best, intervals, letters.get(id(row), (row, ""))[1]) for row in board.rows),
        *([r"\midrule"] if published else []),
        *(_published(line, metrics, {} if ranked else best) for line in published),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\\{{\footnotesize {latex_text(note)}}}" for note in _notes(board)),
        r"\end{table}",
    ]
    return "\n".join([*told, *lines])


def _caption(board: Board, shared: str, intervals: bool) -> str:
    told = [f"{board.protocol.reference}: {board.protocol.title}", *([shared] if shared else [])]
    if board.rows and intervals:
        told.append("95 % intervals")
    if board.published_on():
        told.append("below the rule, as published" if board.rows else "as published")
    return "; ".join(told) + "."


def _notes(board: Board) -> list[str]:
    """What a reader must know of a row: why it has no rank, landmarks that were mapped; a letter leads from the row to it."""
    return [f"{letter}: {'; '.join(row.marks)}." for row, letter in _letters(board).values()]


def _letters(board: Board) -> dict[int, tuple[Row, str]]:
    marked = [row for row in board.rows if row.marks]
    return {id(row): (row, chr(ord("a") + i) if i < 26 else str(i + 1)) for i, row in enumerate(marked)}


def _measured(row: Row, metrics: Sequence[str], best: Mapping[str, list[float]], intervals: bool, letter: str) -> str:
    title = latex_text(row.title) + (rf"\textsuperscript{{{letter}}}" if letter else "")
    cells = [str(row.rank) if row.rank is not None else latex_text(NO_VALUE), title]
    for i, metric in enumerate(metrics):
        score = find_score(row.record, metric)
        text = number_text(score.value if score else None, score.unit if score else "%")
        cell = _marked(text, float(text), best[metric]) if row.rank is not None and text != NO_VALUE else latex_text(text)
        if i == 0 and intervals and score is not None and score.ci95 is not None:
            cell += f" {{\\footnotesize {{[}}{number_text(score.ci95[0], score.unit)}, {number_text(score.ci95[1], score.unit)}{{]}}}}"
        cells.append(cell)
    return " & ".join(cells) + r" \\"


def _published(line: PublishedLine, metrics: Sequence[str], best: Mapping[str, list[float]]) -> str:
    cells = ["", latex_text(line.title + (f" ({line.year})" if line.year else ""))]
    for metric in metrics:
        entry = line.entries.get(metric)
        cells.append(_marked(latex_text(entry.row.printed), entry.row.value, best.get(metric, [])) if entry else latex_text(NO_VALUE))
    return " & ".join(cells) + r" \\"


def _marked(text: str, value: float, best: list[float]) -> str:
    if best and value == best[0]:
        return rf"\textbf{{{text}}}"
    return rf"\underline{{{text}}}" if value in best else text
