"""A board as a plain or markdown table: measured rows, what they are worth, published values beside them.

A table that is wider than what it is printed on is turned over: a metric a line.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from string import ascii_lowercase

from ..leaderboard import Board, Gap, Lead, PublishedLine, find_score
from ..metrics import parse_metric
from .cells import (
    NO_VALUE,
    count_text,
    escape,
    first_that_fits,
    headings_and_shared,
    labelled_lines,
    number_text,
    p_text,
    percent_text,
    prevalence_line,
    rank_text,
    score_text,
    signed_text,
    speed_text,
)

_FEW = 3  # lines of a board in a terminal, where none is comparable

__all__ = ["board_markdown", "board_plain", "lead_cell", "lead_text", "under_board"]


def board_markdown(board: Board, level: int = 3, verdicts: str = "") -> str:
    """Heading (of a level), tables and what is said below them; `verdicts` come before the published values."""
    blocks = [f"{'#' * level} {board.protocol.reference}: {board.protocol.title}"]
    if board.rows:
        headings, shared = headings_and_shared(board.metrics, " ")
        columns, align = _columns(board, headings)
        blocks += [_github(_a_line_a_model(board), columns, align), *map(escape, [*_legend(board, shared), *under_board(board)])]
    elif said := under_board(board):
        blocks += map(escape, said)
    for attribute in dict.fromkeys(gap.attribute for gap in board.gaps):
        rows, columns = _gap_table(board, attribute)
        blocks.append(_github(rows, columns, ["left", *["right"] * (len(columns) - 2), "left"]))
    blocks += [verdicts] * bool(verdicts)
    for subset in board.subsets:
        lines = board.published_on(subset)
        rows, columns = _published_table(board, lines, all_metrics=True)
        rows = [[*row, line.reason] for row, line in zip(rows, lines, strict=True)]
        on = "" if subset == "all" else f" on {subset}"
        blocks.append(f"Published{on}, not ranked{escape(_compared(board))}:")
        blocks.append(_github(rows, [*columns, "why"], ["left", *["right"] * (len(columns) - 4), "left", "left", "left", "left"]))
    return "\n\n".join(blocks)


def board_plain(board: Board, width: int, most_published: int | None = None) -> str:
    """For a terminal; of published lines the whole set's, at most so many of those that are comparable."""

    def whole() -> str:
        headings, shared = headings_and_shared(board.metrics)
        columns, align = _columns(board, headings)
        return "\n".join([_simple(_a_line_a_model(board), columns, align), *_wrapped(_legend(board, shared), width)])

    def tall() -> str:
        return "\n".join([*_a_line_a_score(board, width), *_wrapped(_legend(board, ""), width)])

    parts = [f"{board.protocol.reference}: {board.protocol.title}"]
    if board.rows:
        parts.append(first_that_fits((whole, tall), width))
    parts += _wrapped(under_board(board), width)
    for attribute in dict.fromkeys(gap.attribute for gap in board.gaps):
        gaps = [gap for gap in board.gaps if gap.attribute == attribute]
        parts += _wrapped([f"by {attribute}, worst to best: " + "; ".join(map(_gap_text, gaps))], width)
    return "\n".join([*parts, *_published_plain(board, width, most_published)])


def under_board(board: Board) -> list[str]:
    """What the order of a board is worth, in sentences: the lead, missing comparisons, disagreement of the labels."""
    told = [lead_text(board)] if board.lead else []
    told += [f"{note}." for note in board.notes]
    for line in board.agreement:
        if line.subset == "all" and line.metric == board.protocol.main:
            unit = parse_metric(line.metric).family.unit
            told.append(
                f"Not ranked, label agreement: {number_text(line.value, unit)} {unit} on {line.n:,} faces, {line.what} "
                f"({line.origin}: {line.source})."
            )
    return told


def lead_text(board: Board) -> str:
    """Whether the lead is real, in one line; where it is not, over whom the first does lead."""
    lead, beyond = board.lead, board.lead_beyond_ties
    if lead is None:
        return ""
    if lead.real and not lead.invisible:
        return f"{lead.first} leads {lead.second} by {_found(board, lead)}: the lead is real on faces of this kind."
    if lead.invisible:
        text = f"{lead.first} and {lead.second} are equal to the last digit shown: nobody leads"
    else:
        seen = f"; {number_text(lead.minimum_detectable, lead.unit)} would be seen" if lead.minimum_detectable is not None else ""
        text = f"{lead.first} and {lead.second} are level: {_found(board, lead)}: the lead may be chance{seen}"
    if others := [row.title for row in board.rows[2:] if row.group == 1]:
        text += f"; level with them: {', '.join(others)}"
    return f"{text}." + (f" {beyond.first} leads {beyond.second} by {_found(board, beyond)}, which is real." if beyond else "")


def lead_cell(board: Board) -> str:
    """As `lead_text`, in a few words, models by their ids."""
    ids = {row.title: row.record.model.label for row in board.rows}
    lead, beyond = board.lead, board.lead_beyond_ties
    if lead is None:
        return board.notes[0] if board.notes else "only one model"
    if lead.real and not lead.invisible:
        return f"yes: {_ahead(lead)} ahead of {ids[lead.second]}, {p_text(lead.p)}"
    level = ", ".join(ids[row.title] for row in board.rows[1:] if row.group == 1) or ids[lead.second]
    more = f"; {_ahead(beyond)} ahead of {ids[beyond.second]}, {p_text(beyond.p)}" if beyond else ""
    return f"no: level with {level}{more}"


def _ahead(lead: Lead) -> str:
    interval = "" if lead.low is None else f" [{number_text(lead.low, lead.unit)}, {number_text(lead.high, lead.unit)}]"
    return f"{number_text(lead.difference, lead.unit)} {lead.unit}{interval}"


def _found(board: Board, lead: Lead) -> str:
    """The difference with its interval and test."""
    over = f"{lead.test} over {lead.clusters:,} {'faces' if board.protocol.cluster_by == '' else 'clusters'}"
    pairs = f", corrected for {lead.pairs} pairs" if lead.pairs > 1 else ""
    return f"{_ahead(lead)}, {p_text(lead.p)} ({over}{pairs})"


# ------------------------------------------------------------------------------------------------- measured


def _columns(board: Board, headings: Sequence[str]) -> tuple[list[str], list[str]]:
    sizes = ["params"] * _sized(board)
    columns = ["#", "model", *headings, "faces", "coverage", "images/s", *sizes, *["level"] * _levelled(board), "marks"]
    return columns, ["right", "left", *["right"] * (len(columns) - 3 - _levelled(board)), *["left"] * (1 + _levelled(board))]


def _levelled(board: Board) -> bool:
    """Whether a row is of a submission that was not run here: of the others there is nothing to tell."""
    return any(row.level not in (None, "run here") for row in board.rows)


def _sized(board: Board) -> bool:
    return any(row.parameters is not None for row in board.rows)


def _a_line_a_model(board: Board) -> list[list[object]]:
    return [
        [
            rank_text(row),
            row.title,
            *[score_text(find_score(row.record, m), interval=i == 0) or NO_VALUE for i, m in enumerate(board.metrics)],
            row.record.main.n_scored,
            percent_text(row.record.coverage),
            speed_text(row.speed),
            *([count_text(row.parameters)] * _sized(board)),
            *([row.level or NO_VALUE] * _levelled(board)),
            ", ".join(row.marks),
        ]
        for row in board.rows
    ]


def _a_line_a_score(board: Board, width: int) -> list[str]:
    """A line or more for what each model is, then a line a metric."""
    names = {m: f"{m} [{parse_metric(m).family.unit}]" for m in board.metrics}
    column, lines = max(map(len, names.values())), []
    for row in board.rows:
        record = row.record
        images_per_s, size = speed_text(row.speed), count_text(row.parameters)
        facts = [
            f"{record.main.n_scored} faces",
            f"coverage {percent_text(record.coverage)}",
            *([f"{images_per_s} images/s"] * bool(images_per_s)),
            *([f"{size} parameters"] * bool(size)),
            *([row.level] if row.level and _levelled(board) else []),
        ]
        head, rank = f"{row.title}: {', '.join([*facts, *row.marks])}", f"{rank_text(row):>3}  "
        lines += textwrap.wrap(head, max(width, 40), initial_indent=rank, subsequent_indent=" " * 5, break_on_hyphens=False)
        for i, (metric, name) in enumerate(names.items()):
            lines.append(f"     {name:<{column}}  {score_text(find_score(record, metric), interval=i == 0) or NO_VALUE}".rstrip())
    return lines


def _legend(board: Board, shared: str) -> list[str]:
    """What is said below a board: of all its rows, or of the models that it holds for."""
    start = f"{shared} where it applies. " if shared else ""
    said: dict[str, list[str]] = {}
    for row in board.rows:
        known = [m for m in board.metrics if find_score(row.record, m)]
        for text in (*labelled_lines(row.record, known, {}), prevalence_line(row.record, known)):
            said.setdefault(text, []).append(row.title)
    beside = [text if len(of) == len(board.rows) else f"{', '.join(of)}: {text}" for text, of in said.items() if text]
    ranks = " (a–b) after a rank: ranks that paired tests leave open." if any("(" in rank_text(row) for row in board.rows) else ""
    first = f"{start}95 % intervals; failed faces are charged; {NO_VALUE} is not ranked, or not there.{ranks}"
    levels = "level: who says so (docs/submit.md); a speed that was not run here is the submitter's word."
    return [first, *beside, *_speeds(board), *([levels] * _levelled(board))]


def _speeds(board: Board) -> list[str]:
    """On what the models ran, and how it was measured: speeds of unlike machines or ways stand side by side and do not compare."""
    machines: dict[str, list[str]] = {}
    for row in board.rows:
        if row.speed is not None:
            machines.setdefault(row.speed.machine or "an unnamed machine", []).append(row.title)
    if len(machines) < 2:
        return [f"images/s: {where}." for where in machines if where != "an unnamed machine"]
    each = "; ".join(f"{', '.join(of)}: {where}" for where, of in machines.items())
    return [f"images/s of unlike machines, or measured in unlike ways, do not compare: {each}."]


# ------------------------------------------------------------------------------------------------- groups of people


def _gap_table(board: Board, attribute: str) -> tuple[list[list[object]], list[str]]:
    gaps = [gap for gap in board.gaps if gap.attribute == attribute]
    groups = list(dict.fromkeys(name for gap in gaps for name in gap.scores))
    unit = parse_metric(board.protocol.main).family.unit
    rows: list[list[object]] = []
    for gap in gaps:
        cells = [score_text(gap.scores.get(name), interval=False) or NO_VALUE for name in groups]
        largest = f"{number_text(gap.gap, unit)} [{number_text(gap.low, unit)}, {number_text(gap.high, unit)}]"
        rows.append([gap.title, *cells, largest, f"{gap.worst} to {gap.best}" + ("" if gap.low > 0 else ", may be chance")])
    return rows, ["model", *groups, f"largest gap [{unit}]", "between"]


def _gap_text(gap: Gap) -> str:
    unit = next(iter(gap.scores.values())).unit
    ends = f"[{number_text(gap.low, unit)}, {number_text(gap.high, unit)}]"
    chance = "" if gap.low > 0 else ", may be chance"
    return f"{gap.title} {number_text(gap.gap, unit)} {unit} {ends} ({gap.worst} to {gap.best}{chance})"


# ------------------------------------------------------------------------------------------------- published


def _published_plain(board: Board, width: int, most: int | None) -> list[str]:
    lines = board.published_on()
    if not board.published:
        return []
    shown = list(lines) if most is None else [line for line in lines if line.comparable == "yes"][:most] or list(lines[:_FEW])
    parts = [f"Published, not ranked{_compared(board)}:"]
    if shown:
        letters = _letters([line.reason for line in shown if line.reason])

        def table(all_metrics: bool) -> str:
            # in a narrow table the first metric alone, and the lines that have it
            first = next((m for m in board.metrics if any(m in line.entries for line in shown)), "")
            told = [line for line in shown if all_metrics or first in line.entries or not first]
            rows, columns = _published_table(board, told, all_metrics=all_metrics)
            for row, line in zip(rows, told, strict=True):
                row[-3] = f"{line.comparable} {letters.get(line.reason, '')}".rstrip()
            return "\n" + _simple(rows, columns, ["left", *["right"] * (len(columns) - 4), "left", "left", "left"])

        parts.append(first_that_fits((lambda: table(True), lambda: table(False)), width).lstrip("\n"))
        parts += _wrapped([f"{letter}: {reason}" for reason, letter in letters.items()], width)
    if len(shown) < len(board.published):
        counts = {verdict: sum(x.comparable == verdict for x in lines if x not in shown) for verdict in ("yes", "unknown", "no")}
        more = [f"{n} {what}" for n, what in zip(counts.values(), ("comparable", "unknown", "not comparable"), strict=True) if n]
        more += [f"{len(board.published_on(s))} on {s}" for s in board.subsets if s != "all"]
        parts += _wrapped([f"and {', '.join(more)}: with their reasons in --format markdown."], width)
    return parts


def _published_table(board: Board, lines: Sequence[PublishedLine], *, all_metrics: bool) -> tuple[list[list[object]], list[str]]:
    """Cells and columns of published lines; the last three columns are verdict, year and who says so."""
    there = {m for line in lines for m in line.entries}
    metrics = [m for m in board.metrics if m in there] + sorted(there - set(board.metrics))
    if not all_metrics:
        metrics = metrics[:1]
    main = metrics[0] if metrics else board.protocol.main
    headings = [f"{metric} [{parse_metric(metric).family.unit}]" for metric in metrics]
    unit = parse_metric(main).family.unit
    rows: list[list[object]] = []
    for line in lines:
        first = line.entries.get(main)
        folded = len((first or next(iter(line.entries.values()))).folded)
        origin = ", ".join(dict.fromkeys(entry.row.origin for entry in line.entries.values())) + (f", {folded} more" if folded else "")
        cells = [line.entries[m].row.printed if m in line.entries else NO_VALUE for m in metrics]
        delta = [signed_text(first.delta if first else None, unit)] * (board.against is not None)
        rows.append([line.title, *cells, *delta, line.comparable, str(line.year or ""), origin])
    return rows, ["published", *headings, *(["difference"] * (board.against is not None)), "comparable", "year", "said by"]


def _compared(board: Board) -> str:
    return f"; difference: less {board.against.title}" if board.against else ""


def _letters(reasons: Iterable[str]) -> dict[str, str]:
    letters = [*ascii_lowercase, *(a + b for a in ascii_lowercase for b in ascii_lowercase)]
    return dict(zip(dict.fromkeys(reasons), letters, strict=False))


# ------------------------------------------------------------------------------------------------- tables


def _github(rows: Sequence[Sequence[object]], columns: Sequence[str], align: Sequence[str]) -> str:
    import tabulate

    cells = [[escape(str(cell)) for cell in row] for row in rows]
    return tabulate.tabulate(cells, list(map(escape, columns)), tablefmt="github", disable_numparse=True, colalign=align)


def _simple(rows: Sequence[Sequence[object]], columns: Sequence[str], align: Sequence[str]) -> str:
    import tabulate

    return tabulate.tabulate(rows, columns, tablefmt="simple", disable_numparse=True, colalign=align)


def _wrapped(lines: Iterable[str], width: int) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, max(width, 40), break_on_hyphens=False, break_long_words=False)]
