"""The pages of a site: what the index, a board and a record say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..catalog import dataset_card
from ..citations import cite
from ..leaderboard import Board, PublishedLine, Row, grid, overview
from ..metrics import parse_metric
from ..records import Record
from ..report.board_tables import under_board
from ..report.cells import labelled_lines, number_text, percent_text, prevalence_line
from ..report.protocols import condition_of, metric_rows, points_of, protocol_facts
from .assets import page_name
from .charts import charts_of
from .tables import VERDICTS, Table, gap_tables, grid_table, index_table, measured_table, published_table, scores_table

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["board_page", "index_page", "record_page"]

PageOf = Callable[[Row], str]

_MOST_FAILURES = 20


def index_page(templates: Environment, built: Sequence[Board], page_of: PageOf, title: str, without_board: int) -> str:
    """Every board in a line, and models by boards."""
    found = grid(built)
    published = sum(len(board.published) for board in built)
    return templates.get_template("index.html").render(
        title=title,
        heading=title,
        root="",
        version=__version__,
        boards=index_table(overview(built)),
        grid=grid_table(found, page_of) if found.boards else None,
        measured=sum(len(board.rows) for board in built),
        published=published,
        without_board=without_board,
    )


def board_page(templates: Environment, board: Board, page_of: PageOf, title: str) -> str:
    """One protocol: measured, published, why they differ, charts, the protocol, how to cite."""
    protocol, card = board.protocol, dataset_card(board.protocol.dataset)
    measured, shared = measured_table(board, page_of) if board.rows else (None, "")
    whole, parts = board.published_on(), tuple(line for line in board.published if line.subset != "all")
    published: list[Table] = []
    if whole:
        published.append(published_table(board, whole, "published", "Published, on all faces"))
    if parts:
        published.append(published_table(board, parts, "published-subsets", "Published, on some of the faces"))
    return templates.get_template("board.html").render(
        title=f"{protocol.reference} · {title}",
        heading=title,
        root="",
        version=__version__,
        board=board,
        summary=_summary(board, whole),
        said=under_board(board),
        measured=measured,
        legend=_legend(board, shared),
        gaps=gap_tables(board),
        published=published,
        reasons=_reasons(board.published),
        charts=charts_of(board),
        facts=protocol_facts(protocol, card),
        metrics=metric_rows(protocol),
        subsets=[(s.name, condition_of(s)) for s in protocol.subsets],
        differs=points_of(protocol.differs),
        citation=cite([protocol.dataset, protocol.id]),
    )


def record_page(templates: Environment, board: Board, row: Row, page_of: PageOf, title: str) -> str:
    """One record: scores by subset, what was left out or failed, and what it was made of."""
    record = row.record
    metrics = [s.metric for s in record.scores]
    said = [*labelled_lines(record, metrics, record.subsets), prevalence_line(record, metrics)]
    return templates.get_template("record.html").render(
        title=f"{row.title} on {record.protocol.reference} · {title}",
        heading=title,
        root="../",
        version=__version__,
        board=board,
        board_page=f"{page_name(board.protocol.reference)}.html",
        row=row,
        record=record,
        json_name=f"{page_of(row)}.json",
        scores=scores_table(record),
        said=[text for text in said if text],
        diagnostics=sorted(record.diagnostics.items()),
        provenance=_provenance(record),
        failures=record.failures[:_MOST_FAILURES],
    )


def _summary(board: Board, whole: Sequence[PublishedLine]) -> list[str]:
    """What a board comes to, in sentences."""
    main, unit = board.protocol.main, parse_metric(board.protocol.main).family.unit
    told = []
    first = [row for row in board.rows if row.rank == 1]
    if first:
        names = [f"{row.title}" + (f" at {row.speed.images_per_s:,.0f} images a second" if row.speed else "") for row in first]
        each = " each" * (len(first) > 1)
        told.append(f"Measured first: {'; '.join(names)}: {number_text(first[0].record.main.value, unit)} {unit}{each}.")
    elif not board.rows:
        told.append("No model has been measured here by this protocol.")
    if whole:
        n = Counter(line.comparable for line in whole)
        counted = f"{n['yes']} {'is' if n['yes'] == 1 else 'are'} comparable, {n['no']} {'is' if n['no'] == 1 else 'are'} not"
        told.append(f"Of {len(whole)} published results on all faces {counted}, and of {n['unknown']} it is not known.")
        best = next((line for line in whole if line.comparable == "yes" and main in line.entries), None)
        if best:
            told.append(f"Best comparable published: {best.title}, {best.entries[main].row.printed} {unit} ({best.year or 'no year'}).")
    return told


def _legend(board: Board, shared: str) -> list[str]:
    """What stands below the measured table."""
    if not board.rows:
        return []
    better = "higher" if parse_metric(board.protocol.main).family.higher_is_better else "lower"
    told = [f"Ranked by {board.protocol.main}, {better} is better. Failed faces are charged; — is not ranked, or not there."]
    if shared:
        told.append(f"In the columns where it applies: {shared}.")
    if any(row.best_rank is not None for row in board.rows):
        told.append("1 (1–3) is a rank and the ranks that paired tests over the faces leave open; within a tie group no model is "
                    "significantly worse than the group's first.")  # fmt: skip
    told.append("Speeds compare on one device and hardware only. Levels: run here, re-scored from predictions, or self-reported.")
    beside: dict[str, list[str]] = {}
    for row in board.rows:
        known = [m for m in board.metrics if any(s.metric == m for s in row.record.scores)]
        for text in (*labelled_lines(row.record, known, {}), prevalence_line(row.record, known)):
            beside.setdefault(text, []).append(row.title)
    told += [f"{text}." if len(of) == len(board.rows) else f"{', '.join(of)}: {text}." for text, of in beside.items() if text]
    return told


def _reasons(lines: Sequence[PublishedLine]) -> list[tuple[str, str, list[tuple[int, str]]]]:
    """Verdict, what it is called, and its distinct reasons with the number of rows, the commonest first."""
    found = []
    for verdict, called in VERDICTS.items():
        counts = Counter(line.reason for line in lines if line.comparable == verdict and line.reason)
        if counts:
            found.append((verdict, called, sorted(((n, reason) for reason, n in counts.items()), key=lambda pair: (-pair[0], pair[1]))))
    return found


def _provenance(record: Record) -> list[tuple[str, str]]:
    """Where a record comes from, as far as it says."""
    git, timing, dataset, model = record.git or {}, record.timing or {}, record.dataset, record.model
    verified = {True: "labels as the card describes", False: "not verified", None: "complete, labels not compared"}[dataset.verified]
    facts = [
        ("protocol", f"{record.protocol.reference}, sha256 {record.protocol.sha256}"),
        ("faces", f"{dataset.n_found:,} of {dataset.n_expected:,}; {verified}"),
        ("coverage", percent_text(record.coverage)),
        ("model", f"{model.label}{f', version {model.version}' if model.version else ''}"),
        ("weights sha256", model.weights_sha256 or ""),
        ("trained on", ", ".join(model.trained_on)),
        ("predictions sha256", record.predictions_sha256),
        ("labels sha256", record.truth_sha256),
        ("timing", _flat(timing)),
        ("environment", _flat(record.environment)),
        ("hpbench", record.hpbench),
        ("commit", f"{git.get('commit', '')}{' with changes' if git.get('dirty') else ''}"),
        ("date", record.date),
    ]
    return [(name, text) for name, text in facts if text]


def _flat(facts: Mapping[str, Any]) -> str:
    shown = {k: _flat(v) if isinstance(v, Mapping) else f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in facts.items()}
    return ", ".join(f"{k} {v}" for k, v in shown.items())
