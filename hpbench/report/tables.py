"""Tables of records and boards.  Values are rounded only here; CSV and JSON keep every digit.

A table that is wider than what it is printed on is turned over: a metric a line.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from ..catalog import protocol_named
from ..errors import InputError
from ..leaderboard import Board
from ..metrics.pose import ANGLES
from ..records import Record, Score
from .board_data import boards_csv, boards_json
from .board_tables import board_markdown, board_plain
from .cells import first_that_fits, headings_and_shared, labelled_lines, number_text, percent_text, prevalence_line, score_text
from .exporters import model_index_yaml, results_json
from .latex import boards_latex

__all__ = ["FORMATS", "WIDTH", "boards_text", "records_text"]

Format = Literal["table", "markdown", "latex", "csv", "json", "model-index", "results"]
FORMATS: tuple[Format, ...] = get_args(Format)
WIDTH = 140  # of what is no terminal
_MOST_PUBLISHED = 10  # lines of a board among others in a terminal


# ------------------------------------------------------------------------------------------------- records


def records_text(records: Sequence[Record], width: int = WIDTH) -> str:
    """What a run prints: one table a protocol, a line a subset or a metric, what stands beside it and its notes below."""
    return "\n\n".join(_record_text(record, width) for record in records)


def _record_text(record: Record, width: int) -> str:
    mark = "partial, not ranked" if record.partial else "unverified, not ranked" if record.dataset.verified is False else ""
    mark = mark or (f"boxes of {record.detector}, not ranked" if record.detector else "")
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


def boards_text(boards: Sequence[Board], style: Format, width: int = WIDTH, *, intervals: bool = True) -> str:
    """Boards in a format: JSON is one document, CSV one table; of the measured records alone, the ``model-index`` of a card and the
    neutral file (`hpbench.report.exporters`); the others are one table a board.

    Parameters
    ----------
    width : int
        Of a plain table.
    intervals : bool
        Of LaTeX: whether the main metric has its interval.

    Raises
    ------
    InputError
        For ``model-index``: records of several models, or none that may be ranked.
    """
    if style == "json":
        return boards_json(boards)
    if style == "csv":
        return boards_csv(boards)
    if style == "latex":
        return boards_latex(boards, intervals=intervals)
    if style in ("model-index", "results"):
        measured = [row.record for board in boards for row in board.rows]
        return (model_index_yaml if style == "model-index" else results_json)(measured).rstrip("\n")
    most = None if len(boards) == 1 else _MOST_PUBLISHED
    return "\n\n".join(board_markdown(b) if style == "markdown" else board_plain(b, width, most) for b in boards)
