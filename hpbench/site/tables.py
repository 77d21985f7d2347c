"""What the tables of a site hold: cells with what they sort by, made of boards and records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..leaderboard import Board, Gap, Grid, OverviewLine, PublishedEntry, PublishedLine, Row, find_score
from ..metrics import parse_metric
from ..records import Record, Score
from ..report.cells import NO_VALUE, count_text, headings_and_shared, number_text, percent_text, rank_text, signed_text, speed_text
from ..submissions import level_of
from .assets import page_name, work_url

__all__ = [
    "VERDICTS", "Cell", "Column", "Line", "Source", "Table", "gap_tables", "grid_table", "index_table", "measured_table", "published_table",
    "scores_table",
]  # fmt: skip

VERDICTS = {"yes": "comparable", "unknown": "not known", "no": "not comparable"}

NameOf = Callable[[Row], str]  # of a record's page, without its suffix


@dataclass(frozen=True)
class Source:
    """Where a published value stands, and what else says it."""

    head: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Cell:
    """A cell; `value` is what it sorts by, where that is not its text; `note` stands small below."""

    text: str = ""
    value: float | str | None = None
    note: str = ""
    href: str = ""
    kind: str = ""
    sources: tuple[Source, ...] = ()

    @property
    def key(self) -> float | str:
        return self.value if self.value is not None else "" if self.text == NO_VALUE else self.text


@dataclass(frozen=True)
class Column:
    title: str
    kind: str = ""  # number, wide, prose


@dataclass(frozen=True)
class Line:
    cells: tuple[Cell, ...]
    verdict: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table; with `filters` it has a box to filter by text, and by verdict where its lines have one."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    filters: bool = False
    counted: str = "rows"

    @property
    def verdicts(self) -> dict[str, tuple[str, int]]:
        """Verdict -> what it is called, how many lines have it."""
        found = [line.verdict for line in self.lines]
        return {v: (text, found.count(v)) for v, text in VERDICTS.items() if v in found}


# ------------------------------------------------------------------------------------------------- a board


def measured_table(board: Board, page_of: NameOf) -> tuple[Table, str]:
    """The measured rows of a board in its order, and the metrics' parameters that all columns share."""
    headings, shared = headings_and_shared(board.metrics, " ")
    sized = any(row.parameters is not None for row in board.rows)
    grouped = any(row.group is not None for row in board.rows)
    marked = any(row.marks for row in board.rows)
    columns = [
        Column("rank", "number"),
        Column("model", "wide"),
        *(Column(heading, "number") for heading in headings),
        *[Column("tie group", "number")] * grouped,
        Column("coverage", "number"),
        Column("images/s", "number"),
        *[Column("parameters", "number")] * sized,
        Column("level"),
        *[Column("marks", "wide")] * marked,
    ]
    lines = []
    previous: Row | None = None
    for row in board.rows:
        new_group = previous is not None and row.group != previous.group
        cells = [
            Cell(rank_text(row), row.rank if row.rank is not None else ""),
            Cell(row.title, href=f"records/{page_of(row)}.html"),
            *(_score_cell(find_score(row.record, m), interval=i == 0) for i, m in enumerate(board.metrics)),
            *[Cell(str(row.group or NO_VALUE), row.group if row.group is not None else "")] * grouped,
            _coverage_cell(row.record),
            _speed_cell(row),
            *[Cell(count_text(row.parameters) or NO_VALUE, row.parameters if row.parameters is not None else "")] * sized,
            Cell((level_of(row.path) if row.path else None) or "not submitted"),
            *[Cell(", ".join(row.marks))] * marked,
        ]
        lines.append(Line(tuple(cells), kind="group" if new_group else ""))
        previous = row
    return Table("measured", "Measured, ranked", tuple(columns), tuple(lines), filters=len(lines) > 7, counted="models"), shared


def published_table(board: Board, lines: Sequence[PublishedLine], name: str, caption: str) -> Table:
    """Published lines: the first metric with its verdict, the other metrics behind; the sources under who says so."""
    there = {m for line in lines for m in line.entries}
    metrics = [m for m in board.metrics if m in there] + sorted(there - set(board.metrics))
    headings, _ = headings_and_shared(metrics, " ")
    subsets, against = {line.subset for line in lines} != {"all"}, board.against
    first, *others = metrics
    unit = parse_metric(first).family.unit
    columns = [
        Column("method", "wide"),
        *[Column("faces")] * subsets,
        Column(headings[0], "number"),
        *([Column(f"less {against.title} [{unit}]", "number")] if against else []),
        Column("comparable"),
        Column("why not, or why not known", "prose"),
        Column("year", "number"),
        Column("said by"),
        *(Column(heading, "number") for heading in headings[1:]),
    ]
    rows = []
    for line in lines:
        main = line.entries.get(first)
        delta = main.delta if main else None
        cells = [
            Cell(line.title, href=work_url(line.work.url, line.work.arxiv, line.work.doi)),
            *[Cell(line.subset)] * subsets,
            _printed_cell(main),
            *[Cell(signed_text(delta, unit) or NO_VALUE, delta if delta is not None else "")] * (against is not None),
            Cell(line.comparable, f"{list(VERDICTS).index(line.comparable)}", kind=f"verdict {line.comparable}"),
            Cell(line.reason),
            Cell(str(line.year or NO_VALUE), line.year if line.year is not None else ""),
            _sources_cell(line),
            *(_printed_cell(line.entries.get(m)) for m in others),
        ]
        rows.append(Line(tuple(cells), line.comparable))
    return Table(name, caption, tuple(columns), tuple(rows), filters=True, counted="published results")


def gap_tables(board: Board) -> list[Table]:
    """How models do on groups of people: a table an attribute."""
    return [_gap_table(board, attribute) for attribute in dict.fromkeys(gap.attribute for gap in board.gaps)]


def _gap_table(board: Board, attribute: str) -> Table:
    gaps = [gap for gap in board.gaps if gap.attribute == attribute]
    groups = list(dict.fromkeys(name for gap in gaps for name in gap.scores))
    unit = parse_metric(board.protocol.main).family.unit
    values = [Column(f"{name} [{unit}]", "number") for name in (*groups, "largest gap")]
    columns = (Column("model", "wide"), *values, Column("between", "wide"))

    def cells(gap: Gap) -> tuple[Cell, ...]:
        return (
            Cell(gap.title),
            *(_score_cell(gap.scores.get(g), interval=False) for g in groups),
            Cell(number_text(gap.gap, unit), gap.gap, _interval(gap.low, gap.high, unit)),
            Cell(f"{gap.worst} to {gap.best}" + ("" if gap.low > 0 else ", may be chance")),
        )

    return Table(f"gaps-{attribute}", f"By {attribute}", columns, tuple(Line(cells(gap)) for gap in gaps))


# ------------------------------------------------------------------------------------------------- index and records


def index_table(lines: Iterable[OverviewLine]) -> Table:
    """Task, dataset, protocol with the best of each board."""
    values = ("best measured", "best comparable published", "measured", "comparable", "not known", "not comparable")
    named = (Column("task"), Column("dataset"), Column("protocol", "wide"), Column("metric"))
    rows = []
    for line in lines:
        protocol = line.board.protocol
        unit = parse_metric(protocol.main).family.unit
        measured, published = line.best_measured, line.best_published
        ours, theirs = Cell(NO_VALUE), Cell(NO_VALUE)
        if measured:
            ours = _value_cell(measured.record.main.value, unit, measured.title)
        if published:
            told = published.entries[protocol.main].row
            theirs = Cell(told.printed, told.value, ", ".join(filter(None, [published.title, str(published.year or "")])))
        cells = (
            Cell(line.task),
            Cell(line.dataset),
            Cell(protocol.reference.partition("/")[2], note=protocol.title, href=f"{page_name(protocol.reference)}.html"),
            Cell(f"{protocol.main} [{unit}]", kind="metric"),
            ours,
            theirs,
            _count_cell(line.measured),
            *(_count_cell(line.published[verdict]) for verdict in VERDICTS),
        )
        rows.append(Line(cells))
    return Table("boards", "Boards", (*named, *(Column(c, "number") for c in values)), tuple(rows), filters=True, counted="boards")


def grid_table(found: Grid, page_of: NameOf) -> Table:
    """Models by boards."""
    columns = [Column("model", "wide")]
    for board in found.boards:
        main = board.protocol.main
        columns.append(Column(f"{board.protocol.id} {main.partition('(')[0]} [{parse_metric(main).family.unit}]", "number"))
    lines = []
    for model, rows in zip(found.models, found.cells, strict=True):
        cells = [Cell(model)]
        for row in rows:
            score = row.record.main if row else None
            if row is None or score is None or score.value is None:
                cells.append(Cell(NO_VALUE))
            else:
                rank = f"#{rank_text(row)}" if row.rank is not None else "not ranked"
                cells.append(Cell(number_text(score.value, score.unit), score.value, rank, f"records/{page_of(row)}.html"))
        lines.append(Line(tuple(cells)))
    return Table("grid", "Models by boards", tuple(columns), tuple(lines))


def scores_table(record: Record) -> Table:
    """The scores of a record over all faces, over the detected ones, and by subset."""
    metrics = [s.metric for s in record.scores]
    headings, _ = headings_and_shared(metrics, " ")
    columns = (Column("faces"), Column("n", "number"), *(Column(h, "number") for h in headings))
    lines = []
    for name, scores in {"all": record.scores, **record.subsets}.items():
        by_metric = {s.metric: s for s in scores}
        n = scores[0].n_scored
        lines.append(Line((Cell(name), Cell(f"{n:,}", n), *(_score_cell(by_metric.get(m), interval=True) for m in metrics))))
    if record.main.n_failed:
        n = record.main.n_scored - record.main.n_failed
        values = (_value_cell(s.value_detected, s.unit) for s in record.scores)
        lines.insert(1, Line((Cell("detected only, never ranked"), Cell(f"{n:,}", n), *values)))
    return Table("scores", "Scores, with 95 % intervals", columns, tuple(lines))


# ------------------------------------------------------------------------------------------------- cells


def _value_cell(value: float | None, unit: str, note: str = "") -> Cell:
    return Cell(NO_VALUE) if value is None else Cell(number_text(value, unit), value, note)


def _score_cell(score: Score | None, *, interval: bool) -> Cell:
    if score is None:
        return Cell(NO_VALUE)
    ends = score.ci95 if interval else None
    return _value_cell(score.value, score.unit, _interval(*ends, score.unit) if ends else "")


def _interval(low: float, high: float, unit: str) -> str:
    return f"[{number_text(low, unit)},\u00a0{number_text(high, unit)}]"  # never broken


def _coverage_cell(record: Record) -> Cell:
    failed = f"{record.main.n_failed:,} of {record.main.n_scored:,} failed" if record.main.n_failed else f"{record.main.n_scored:,} faces"
    return Cell(percent_text(record.coverage), record.coverage if record.coverage is not None else "", failed)


def _speed_cell(row: Row) -> Cell:
    if row.speed is None:
        return Cell(NO_VALUE)
    return Cell(speed_text(row.speed), row.speed.images_per_s, row.speed.machine or "an unnamed machine")


def _printed_cell(entry: PublishedEntry | None) -> Cell:
    return Cell(entry.row.printed, entry.row.value) if entry else Cell(NO_VALUE)


def _count_cell(count: int) -> Cell:
    return Cell(str(count), count) if count else Cell(NO_VALUE)


def _sources_cell(line: PublishedLine) -> Cell:
    """Who says it; behind that the work, and for each value where, in which words, and what was folded under it.

    Equal sources are said once.
    """
    work = ", ".join(filter(None, [line.work.title, line.work.venue, line.work.year]))
    entries = list(line.entries.values())
    folded = max(len(entry.folded) for entry in entries)
    text = ", ".join(dict.fromkeys(entry.row.origin for entry in entries)) + (f", {folded} more" if folded else "")
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for entry in entries:
        groups.setdefault(_facts(entry), []).append(f"{entry.row.printed} {entry.row.unit} {entry.row.metric}")
    return Cell(text, text, sources=(Source(work, ()), *(Source("; ".join(heads), facts) for facts, heads in groups.items())))


def _facts(entry: PublishedEntry) -> tuple[tuple[str, str], ...]:
    row = entry.row
    facts = [("source", row.source), ("in its words", row.paper_text), ("note", row.note)]
    facts.append(("confidence in the reading", row.confidence if row.confidence != "high" else ""))
    facts += [("also", f"{r.printed} {r.origin}, {r.source}" + (f" ({r.variant})" if r.variant else "")) for r in entry.folded]
    return tuple((name, text) for name, text in facts if text)
