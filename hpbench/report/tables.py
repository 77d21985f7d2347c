"""Tables of records and boards.  Values are rounded only here; CSV and JSON keep every digit.

A table that is wider than what it is printed on is turned over: a metric a line.
"""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from ..catalog import protocol_named
from ..errors import InputError
from ..leaderboard import Board, Row, find_score
from ..metrics import parse_metric
from ..metrics.pose import ANGLES
from ..records import Record, Score
from .cells import (
    NO_VALUE,
    escape,
    first_that_fits,
    harmless,
    headings_and_shared,
    labelled_lines,
    number_text,
    percent_text,
    prevalence_line,
    score_text,
    speed_text,
    view_of,
)

__all__ = ["FORMATS", "WIDTH", "boards_text", "records_text"]

Format = Literal["table", "markdown", "csv", "json"]
FORMATS: tuple[Format, ...] = ("table", "markdown", "csv", "json")
WIDTH = 140  # of what is no terminal


# ------------------------------------------------------------------------------------------------- records


def records_text(records: Sequence[Record], width: int = WIDTH) -> str:
    """What a run prints: one table a protocol, a line a subset or a metric, what stands beside it and its notes below."""
    return "\n\n".join(_record_text(record, width) for record in records)


def _record_text(record: Record, width: int) -> str:
    mark = "partial, not ranked" if record.partial else "unverified, not ranked" if record.dataset.verified is False else ""
    title = f"{record.model.label} on {record.protocol.reference}" + (f" ({mark})" if mark else "")
    lines = [
        first_that_fits(
            (lambda: _a_line_a_subset(record, title), lambda: _a_line_a_metric(record, title), lambda: _all(record, title)), width
        )
    ]
    if record.main.n_failed:
        lines.append(
            f"{record.main.n_failed} of {record.main.n_scored} faces failed (coverage {percent_text(record.coverage)}) and are charged; "
            + "; ".join(f"the first: {f.sample_id}: {f.reason}" for f in record.failures[:1])
        )
    metrics = [s.metric for s in record.scores]
    for text in (
        *labelled_lines(record, metrics, record.subsets),
        *filter(None, (_offset(record), prevalence_line(record, metrics), _parts(record))),
    ):
        lines += textwrap.wrap(f"beside: {text}", max(width, 40), subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
    lines += [f"note: {note}" for note in record.notes]
    return "\n".join(lines)


def _rows(record: Record, subsets: Mapping[str, Sequence[Score]]) -> list[tuple[str, int, list[str]]]:
    """Name, number of faces and cells, a metric each, of the whole, the detected faces and the subsets."""
    metrics = [s.metric for s in record.scores]
    rows = []
    for name, scores in {"all": record.scores, **subsets}.items():
        by_metric = {s.metric: s for s in scores}
        rows.append((name, scores[0].n_scored, [score_text(by_metric.get(m), interval=name == "all") for m in metrics]))
    if record.main.n_failed:
        detected = [number_text(s.value_detected, s.unit) for s in record.scores]
        rows.insert(1, ("  detected only", record.main.n_scored - record.main.n_failed, detected))
    return rows


def _a_line_a_subset(record: Record, title: str) -> str:
    headings, shared = headings_and_shared([s.metric for s in record.scores])
    rows = [[name, n, *cells] for name, n, cells in _rows(record, record.subsets)]
    return f"{title}{'; ' * bool(shared)}{shared}\n{_simple(rows, ['faces', 'n', *headings])}"


def _a_line_a_metric(record: Record, title: str, subsets: Mapping[str, Sequence[Score]] | None = None) -> str:
    columns = _rows(record, record.subsets if subsets is None else subsets)
    names = [f"{s.metric} [{s.unit}]" for s in record.scores]
    cells = [[name, *(column[2][i] for column in columns)] for i, name in enumerate(names)]
    rows = [["n", *(str(n) for _, n, _ in columns)], *cells]
    return f"{title}\n{_simple(rows, ['faces', *(name.strip() for name, _, _ in columns)], first='left')}"


def _all(record: Record, title: str) -> str:
    left_out = f"\n{len(record.subsets)} subsets are not shown: they are in {record.file_name}" if record.subsets else ""
    return _a_line_a_metric(record, title, {}) + left_out


def _simple(rows: Sequence[Sequence[object]], headings: Sequence[str], first: str = "right") -> str:
    import tabulate

    align = [first, *["right"] * (len(headings) - 1)]
    return tabulate.tabulate(rows, headings, tablefmt="simple", disable_numparse=True, colalign=align)


# ------------------------------------------------------------------------------------------------- what stands beside


def _offset(record: Record) -> str:
    """The mean rotation from labels to predictions, and whether it still is in the scores."""
    found = record.diagnostics
    if "mean_offset_deg" not in found:
        return ""
    angles = ", ".join(f"{a} {found[f'mean_offset_{a}_deg']:.2f}" for a in ANGLES if f"mean_offset_{a}_deg" in found)
    text = f"mean rotation from labels to predictions {found['mean_offset_deg']:.2f} deg ({angles})"
    try:
        align_by = protocol_named(record.protocol.id).align_by
    except InputError:  # a protocol that is not known here
        align_by = ""
    if align_by == "all":
        return f"{text}, which was taken away"
    return f"{text} over all; taken away was that of each {align_by}, which is another" if align_by else text


def _parts(record: Record) -> str:
    if record.landmark_errors is None or not record.landmark_errors.parts:
        return ""
    errors = ", ".join(f"{part} {number_text(value)}" for part, value in record.landmark_errors.parts.items())
    return f"{record.landmark_errors.metric} by part, %: {errors}"


# ------------------------------------------------------------------------------------------------- boards


def boards_text(boards: Sequence[Board], style: Format, width: int = WIDTH) -> str:
    """Boards in a format; JSON is one document, CSV one table, the others one table a board, `width` that of a plain table."""
    if style == "json":
        return json.dumps([_board_data(b) for b in boards], indent=1, allow_nan=False, ensure_ascii=False)
    if style == "csv":
        return _csv(boards)
    return "\n\n".join(_board_markdown(b) if style == "markdown" else _board_plain(b, width) for b in boards)


def _board_markdown(board: Board) -> str:
    import tabulate

    headings, shared = headings_and_shared(board.metrics, " ")
    rows = [[escape(str(cell)) for cell in row] for row in _a_line_a_model(board)]
    columns, align = _board_columns(headings)
    table = tabulate.tabulate(rows, columns, tablefmt="github", disable_numparse=True, colalign=align)
    legend = "\n\n".join(map(escape, _legend(board, shared)))
    return f"### {board.protocol.reference}: {board.protocol.title}\n\n{table}\n\n{legend}"


def _board_plain(board: Board, width: int) -> str:
    import tabulate

    def whole() -> str:
        headings, shared = headings_and_shared(board.metrics)
        columns, align = _board_columns(headings)
        table = tabulate.tabulate(_a_line_a_model(board), columns, tablefmt="simple", disable_numparse=True, colalign=align)
        return "\n".join([table, *_wrapped(_legend(board, shared), width)])

    def tall() -> str:
        return "\n".join([*_a_line_a_score(board, width), *_wrapped(_legend(board, ""), width)])

    return f"{board.protocol.reference}: {board.protocol.title}\n{first_that_fits((whole, tall), width)}"


def _board_columns(headings: Sequence[str]) -> tuple[list[str], list[str]]:
    """Headings of a board with a line a model, and how its columns are aligned."""
    return ["#", "model", *headings, "faces", "coverage", "images/s", "marks"], ["right", "left", *["right"] * (len(headings) + 3), "left"]


def _a_line_a_model(board: Board) -> list[list[object]]:
    return [
        [
            row.rank or NO_VALUE,
            row.title,
            *[score_text(find_score(row.record, m), interval=i == 0) for i, m in enumerate(board.metrics)],
            row.record.main.n_scored,
            percent_text(row.record.coverage),
            speed_text(row.record),
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
        images_per_s = speed_text(record)
        facts = [
            f"{record.main.n_scored} faces",
            f"coverage {percent_text(record.coverage)}",
            *([f"{images_per_s} images/s"] * bool(images_per_s)),
        ]
        head, rank = f"{row.title}: {', '.join([*facts, *row.marks])}", f"{row.rank or NO_VALUE:>3}  "
        lines += textwrap.wrap(head, max(width, 40), initial_indent=rank, subsequent_indent=" " * 5, break_on_hyphens=False)
        for i, (metric, name) in enumerate(names.items()):
            lines.append(f"     {name:<{column}}  {score_text(find_score(record, metric), interval=i == 0)}".rstrip())
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
    return [f"{start}95 % intervals; failed faces are charged; {NO_VALUE} is not ranked.", *beside]


def _wrapped(lines: Iterable[str], width: int) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, max(width, 40), break_on_hyphens=False, break_long_words=False)]


def _board_data(board: Board) -> dict[str, Any]:
    return {
        "protocol": board.protocol.reference,
        "protocol_sha256": board.protocol.sha256,
        "title": board.protocol.title,
        "main": board.protocol.main,
        "rows": [_row_data(row) for row in board.rows],
    }


def _row_data(row: Row) -> dict[str, Any]:
    record = row.record
    return {
        "rank": row.rank,
        "model": asdict(record.model),
        "marks": list(row.marks),
        "scores": [asdict(s) for s in record.scores],
        "coverage": record.coverage,
        "diagnostics": record.diagnostics,
        "timing": record.timing,
        "date": record.date,
    }


def _csv(boards: Sequence[Board]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    score_columns = ["metric", "value", "ci95_low", "ci95_high", "unit", "n_scored", "n_failed", "n_unlabelled", "value_detected"]
    writer.writerow(["protocol", "rank", "model", "version", *score_columns, "prevalence_percent", "coverage", "images_per_s", "marks"])
    for board in boards:
        views = {metric: view_of(metric) for metric in board.metrics}
        for row in board.rows:
            record, timing = row.record, row.record.timing or {}
            for s in record.scores:
                low, high = s.ci95 or (None, None)
                metric, unit = harmless(s.metric), harmless(s.unit)
                cells = [metric, s.value, low, high, unit, s.n_scored, s.n_failed, s.n_unlabelled, s.value_detected]
                cells.append(record.diagnostics.get(f"{views.get(s.metric)}_percent"))
                start = [board.protocol.reference, row.rank, harmless(record.model.label), harmless(record.model.version)]
                speed = timing.get("images_per_s")
                speed = speed if isinstance(speed, (int, float)) else None
                writer.writerow([*start, *cells, record.coverage, speed, harmless("; ".join(row.marks))])
    return out.getvalue().rstrip("\n")
