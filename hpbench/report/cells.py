"""What tables are made of: headings, cells, and the sentences below that hold for records and boards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..leaderboard import Row, Speed, decimals_of
from ..metrics import parse_metric
from ..records import Record, Score

__all__ = [
    "NO_VALUE", "count_text", "escape", "first_that_fits", "harmless", "headings_and_shared", "labelled_lines", "number_text", "p_text",
    "percent_text", "prevalence_line", "rank_text", "score_text", "signed_text", "speed_text", "view_of",
]  # fmt: skip

NO_VALUE = "—"


def first_that_fits(tables: Iterable[Callable[[], str]], width: int) -> str:
    """The first of several ways to say the same that is not too wide, their first lines apart, which are titles; else the last."""
    text = ""
    for table in tables:
        text = table()
        if max(map(len, text.splitlines()[1:])) <= width:
            break
    return text


def headings_and_shared(metrics: Sequence[str], separator: str = "\n") -> tuple[list[str], str]:
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


def score_text(score: Score | None, *, interval: bool) -> str:
    if score is None:
        return ""
    value = number_text(score.value, score.unit)
    if not interval or score.value is None:
        return value
    if score.ci95 is None:
        return f"{value} [no interval]"
    return f"{value} [{number_text(score.ci95[0], score.unit)}, {number_text(score.ci95[1], score.unit)}]"


def number_text(value: float | None, unit: str = "%") -> str:
    """With the decimals that are shown of such a value."""
    return NO_VALUE if value is None else f"{value:.{decimals_of(unit)}f}"


def signed_text(value: float | None, unit: str = "%") -> str:
    """A difference: with its sign, "" where there is none."""
    if value is None:
        return ""
    text = number_text(value, unit)
    return text if text.startswith("-") else f"+{text}"


def p_text(p: float) -> str:
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.4f}" if p < 0.1 else f"p = {p:.2f}"


def rank_text(row: Row) -> str:
    """The rank, and the ranks that paired tests leave open where they are more than this one."""
    if row.rank is None:
        return NO_VALUE
    if row.best_rank is None or row.best_rank == row.worst_rank == row.rank:
        return str(row.rank)
    return f"{row.rank} ({row.best_rank}–{row.worst_rank})"


def count_text(count: int | None) -> str:
    """A number of parameters in three digits; "" where it is not known."""
    if count is None:
        return ""
    for size, letter in ((10**9, " G"), (10**6, " M"), (10**3, " k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return str(count)


def percent_text(share: float | None) -> str:
    if share is None:
        return NO_VALUE
    text = f"{100 * share:.1f} %"
    return "99.9 %" if text == "100.0 %" and share < 1 else text  # never rounded up to complete


def speed_text(speed: Speed | None) -> str:
    """Images a second; "" where that is not known."""
    return "" if speed is None else f"{speed.images_per_s:.{0 if speed.images_per_s >= 10 else 1}f}"


def escape(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("](", "]\\(").split())


def harmless(text: str) -> str:
    """A spreadsheet would run a cell that begins like a formula."""
    return f"'{text}" if text[:1] in tuple("=+-@\t\r\n") else text


def labelled_lines(record: Record, metrics: Sequence[str], subsets: Mapping[str, Sequence[Score]]) -> list[str]:
    """Of metrics that some faces have no label for, how many have one: all, then by subset."""
    groups: dict[str, list[str]] = {}
    for metric in metrics:
        counts = []
        for name, scores in {"all": record.scores, **subsets}.items():
            counts += [
                (name, f"{s.n_scored:,} of {s.n_scored + s.n_unlabelled:,}") for s in scores if s.metric == metric and s.n_unlabelled
            ]
        if counts:
            parts = "; ".join(f"{name} {of}" for name, of in counts if name != "all")
            groups.setdefault(f"{counts[0][1]} faces labelled" + (f" ({parts})" if parts else ""), []).append(metric)
    return [f"{'all metrics' if len(of) == len(metrics) else ', '.join(of)}: {text}" for text, of in groups.items()]


def prevalence_line(record: Record, metrics: Sequence[str]) -> str:
    """The share of occluded points in each view that a column uses."""
    found, views = record.diagnostics, dict.fromkeys(view_of(metric) for metric in metrics)
    shares = []
    for view in filter(None, views):
        if f"{view}_percent" in found:
            of = f"{found.get('decisions', 0):,.0f} points" if view == "occluded" else f"the points in view={view}"
            shares.append(f"{found[f'{view}_percent']:.2f} % of {of}")
    *others, last = shares or [""]
    return f"{', '.join(others)}{' and ' * bool(others)}{last} are occluded: the precision of a guess" if shares else ""


def view_of(metric: str) -> str | None:
    view: str | None = parse_metric(metric).parameters.get("view")
    return view
