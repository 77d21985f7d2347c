"""Tables of records and boards.  Values are rounded only here; CSV and JSON keep every digit."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from ..leaderboard import Board, Row, find_score
from ..metrics import parse_metric
from ..metrics.pose import ANGLES
from ..records import Record, Score

__all__ = ["FORMATS", "boards_text", "records_text"]

Format = Literal["table", "markdown", "csv", "json"]
FORMATS: tuple[Format, ...] = ("table", "markdown", "csv", "json")
_NO_VALUE = "—"


def records_text(records: Sequence[Record]) -> str:
    """What a run prints: one table a protocol, a line a subset, its notes and failures below."""
    return "\n\n".join(_record_text(record) for record in records)


def _record_text(record: Record) -> str:
    import tabulate

    metrics = [s.metric for s in record.scores]
    rows = []
    for name, scores in {"all": record.scores, **record.subsets}.items():
        by_metric = {s.metric: s for s in scores}
        cells = [_cell(by_metric.get(m), interval=name == "all") for m in metrics]
        rows.append([name, scores[0].n_scored, *cells])
    if record.main.n_failed:
        rows.insert(
            1, ["  detected only", record.main.n_scored - record.main.n_failed, *[_number(s.value_detected) for s in record.scores]]
        )
    headings, shared = _headings(metrics)
    table = tabulate.tabulate(rows, ["faces", "n", *headings], tablefmt="simple", disable_numparse=True, stralign="right")
    mark = "partial, not ranked" if record.partial else "unverified, not ranked" if record.dataset.verified is False else ""
    title = f"{record.model.label} on {record.protocol.reference}" + (f" ({mark})" if mark else "")
    lines = [f"{title}; {shared}" if shared else title, table]
    if record.main.n_failed:
        lines.append(
            f"{record.main.n_failed} of {record.main.n_scored} faces failed (coverage {_percent(record.coverage)}) and are charged; "
            + "; ".join(f"the first: {f.sample_id}: {f.reason}" for f in record.failures[:1])
        )
    lines += [f"beside: {text}" for text in _diagnostics(record)]
    lines += [f"note: {note}" for note in record.notes]
    return "\n".join(lines)


def _diagnostics(record: Record) -> list[str]:
    """The unranked numbers of a record, in words."""
    found = record.diagnostics
    texts = []
    if "mean_offset_deg" in found:
        angles = ", ".join(f"{a} {found[f'mean_offset_{a}_deg']:.2f}" for a in ANGLES if f"mean_offset_{a}_deg" in found)
        texts.append(f"mean rotation from labels to predictions {found['mean_offset_deg']:.2f} deg ({angles})")
    if "occluded_percent" in found:
        texts.append(f"{found['occluded_percent']:.2f} % of {found['decisions']:,.0f} points are occluded: the precision of a guess")
    return texts


def boards_text(boards: Sequence[Board], style: Format) -> str:
    """Boards in a format; JSON is one document, CSV one table, the others one table a board."""
    if style == "json":
        return json.dumps([_board_data(b) for b in boards], indent=1, allow_nan=False, ensure_ascii=False)
    if style == "csv":
        return _csv(boards)
    return "\n\n".join(_board_table(b, style) for b in boards)


def _board_table(board: Board, style: Format) -> str:
    import tabulate

    markdown = style == "markdown"
    headings, shared = _headings(board.metrics, " " if markdown else "\n")
    rows = [
        [
            row.rank or _NO_VALUE,
            _escape(row.record.model.label) if markdown else row.record.model.label,
            *[_cell(find_score(row.record, m), interval=i == 0) for i, m in enumerate(board.metrics)],
            row.record.main.n_scored,
            _percent(row.record.coverage),
            _speed(row.record),
            _escape(", ".join(row.marks)) if markdown else ", ".join(row.marks),
        ]
        for row in board.rows
    ]
    columns = ["#", "model", *headings, "faces", "coverage", "images/s", "marks"]
    left = ["right", "left", *["right"] * (len(headings) + 3), "left"]
    table = tabulate.tabulate(rows, columns, tablefmt="github" if markdown else "simple", disable_numparse=True, colalign=left)
    title = f"{board.protocol.reference}: {board.protocol.title}"
    legend = (
        f"{shared} where it applies. " if shared else ""
    ) + f"95 % intervals; failed faces are charged; {_NO_VALUE} is not ranked."
    return f"### {title}\n\n{table}\n\n{legend}" if markdown else f"{title}\n{table}\n{legend}"


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
        "timing": record.timing,
        "date": record.date,
    }


def _csv(boards: Sequence[Board]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    score_columns = ["metric", "value", "ci95_low", "ci95_high", "unit", "n_scored", "n_failed", "n_unlabelled", "value_detected"]
    writer.writerow(["protocol", "rank", "model", "version", *score_columns, "coverage", "images_per_s", "marks"])
    for board in boards:
        for row in board.rows:
            record, timing = row.record, row.record.timing or {}
            for s in record.scores:
                low, high = s.ci95 or (None, None)
                metric, unit = _harmless(s.metric), _harmless(s.unit)
                cells = [metric, s.value, low, high, unit, s.n_scored, s.n_failed, s.n_unlabelled, s.value_detected]
                start = [board.protocol.reference, row.rank, _harmless(record.model.label), _harmless(record.model.version)]
                speed = timing.get("images_per_s")
                speed = speed if isinstance(speed, (int, float)) else None
                writer.writerow([*start, *cells, record.coverage, speed, "; ".join(row.marks)])
    return out.getvalue().rstrip("\n")


def _headings(metrics: Sequence[str], separator: str = "\n") -> tuple[list[str], str]:
    """Column headings (name, parameters, unit) and the parameters that all columns share, which are said once.

    Headings and shared parameters together are the metric texts: nothing is lost.
    """
    parameters = {m: [f"{k}={p.show(v)}" for k, v, p in _shown(m)] for m in metrics}
    shared = [p for p in dict.fromkeys(sum(parameters.values(), [])) if _is_shared(p, metrics, parameters)]
    headings = []
    for metric in metrics:
        own = [p for p in parameters[metric] if p not in shared]
        headings.append(separator.join([metric.partition("(")[0], *own, f"[{parse_metric(metric).family.unit}]"]))
    return headings, ", ".join(shared)


def _shown(metric: str) -> list[tuple[str, Any, Any]]:
    found = parse_metric(metric)
    table = found.family.parameters
    return [(k, v, table[k]) for k, v in found.parameters.items() if table[k].required or v != table[k].default]


def _is_shared(parameter: str, metrics: Sequence[str], parameters: dict[str, list[str]]) -> bool:
    key = parameter.partition("=")[0]
    having = [m for m in metrics if key in parse_metric(m).family.parameters]
    return len(having) > 1 and all(parameter in parameters[m] for m in having)


def _cell(score: Score | None, *, interval: bool) -> str:
    if score is None:
        return ""
    if not interval or score.value is None:
        return _number(score.value)
    if score.ci95 is None:
        return f"{_number(score.value)} [no interval]"
    return f"{_number(score.value)} [{_number(score.ci95[0])}, {_number(score.ci95[1])}]"


def _number(value: float | None) -> str:
    return _NO_VALUE if value is None else f"{value:.2f}"


def _percent(share: float | None) -> str:
    if share is None:
        return _NO_VALUE
    text = f"{100 * share:.1f} %"
    return "99.9 %" if text == "100.0 %" and share < 1 else text  # never rounded up to complete


def _speed(record: Record) -> str:
    speed = (record.timing or {}).get("images_per_s")
    return f"{speed:.0f}" if isinstance(speed, (int, float)) and speed >= 10 else f"{speed:.1f}" if isinstance(speed, (int, float)) else ""


def _escape(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())


def _harmless(text: str) -> str:
    """A spreadsheet would run a cell that begins like a formula."""
    return f"'{text}" if text[:1] in tuple("=+-@\t\r\n") else text
