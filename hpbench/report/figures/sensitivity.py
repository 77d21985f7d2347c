"""The same predictions by every choice in circulation: a dot a choice, in groups, with the published values of the board below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...sensitivity import Question, Sensitivity
from ..cells import number_text
from ..sensitivity import spread_sentence
from .picture import COLOURS, MARKERS, Page, Picture, Row, rounded, shortened, width_mm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["sensitivity_figure"]

_WIDTH_MM = 120.0
_ROW_MM = 3.8
_GROUP_MM = 15.0  # room of a group's name
_RIGHT_MM = 13.0
_HEAD_MM, _FOOT_MM = 7.0, 10.0
_PUBLISHED = "published"


def sensitivity_figure(found: Sensitivity, name: str = "sensitivity") -> Picture:
    """Every choice of `hpbench.sensitivity.sensitivity`, a panel a question.

    Raises
    ------
    InputError
        No question has a choice.
    """
    questions = [q for q in found.questions if q.choices]
    if not questions:
        raise InputError("there is nothing to draw: no choice changes anything for these predictions.")
    table: list[Row] = []
    for q in questions:
        facts: Row = {"protocol": q.protocol.id, "metric": q.metric, "unit": q.unit}
        table.append({**facts, "group": "main", "choice": "the main choice", "value": rounded(q.main.value), "same_name": 1})
        for c in q.choices:
            marks: Row = {"group": c.variant.group, "choice": c.variant.name, "value": rounded(c.value), "same_name": int(c.variant.alike)}
            table.append({**facts, **marks})
        for row in q.published:
            table.append({**facts, "group": _PUBLISHED, "choice": row.method, "value": rounded(row.value), "same_name": 1})
    title = f"{found.title} on {found.dataset}: one set of predictions, and what it can be said to score"
    caption = " ".join(f"{q.protocol.id}, {q.metric}: {spread_sentence(q)}" for q in questions)
    return Picture(name, title, caption, table, lambda: _draw(table, questions, title))


def _draw(table: list[Row], questions: list[Question], title: str) -> Figure:
    panels = [[r for r in table if (r["protocol"], r["metric"]) == (q.protocol.id, q.metric)] for q in questions]
    rows = [[r for r in panel if r["group"] not in ("main", _PUBLISHED)] for panel in panels]
    heights = [_ROW_MM * (len(r) + 1) + (3.0 if q.published else 0.0) for r, q in zip(rows, questions, strict=True)]
    subtitle = "a dot a choice made otherwise; diamond and line: the main choice; hollow: goes by another name"
    page = Page(title, subtitle, sum(heights) + (_HEAD_MM + _FOOT_MM) * len(questions), _WIDTH_MM)
    widest = max(width_mm(str(r["choice"])) for panel in rows for r in panel)
    groups = list(dict.fromkeys(str(r["group"]) for panel in rows for r in panel))
    left = _GROUP_MM + min(48.0, 3.0 + widest)
    top = 0.0
    for panel, choices, question, height in zip(panels, rows, questions, heights, strict=True):
        axes = page.axes(left, top + _HEAD_MM, page.width_mm - left - _RIGHT_MM, height)
        published = [_number(r["value"]) for r in panel if r["group"] == _PUBLISHED]
        _panel(axes, panel[0], choices, question, published, left, groups)
        top += height + _HEAD_MM + _FOOT_MM
    return page.figure


def _panel(axes: Axes, main: Row, rows: list[Row], question: Question, published: list[float], left: float, groups: list[str]) -> None:
    unit, centre = question.unit, _number(main["value"])
    values = [centre, *(_number(r["value"]) for r in rows)]
    low, high = min(values), max(values)
    margin = 0.06 * (high - low or 1.0)
    last = len(rows) + 0.5 + (0.8 if published else 0.0)
    heading = f"{question.protocol.id}, {question.metric}, {unit}"
    axes.annotate(heading, (0, 1), xycoords="axes fraction", xytext=(-left / 25.4 * 72 + 5, 4), textcoords="offset points", weight="bold",
                  va="bottom", annotation_clip=False)  # fmt: skip
    axes.axvline(centre, color="0.45", linewidth=0.7, zorder=1)
    alike = [v for v, r in zip(values, [main, *rows], strict=True) if r["same_name"]]
    axes.axvspan(min(alike), max(alike), color="0.955", zorder=0, linewidth=0)
    axes.plot([centre], [0], marker="D", markersize=4.5, color="black", linestyle="none", zorder=4)
    _label(axes, 0, "the main choice", number_text(centre, unit), left, "bold")
    for y, row in enumerate(rows, 1):
        number = groups.index(str(row["group"]))
        colour, value = COLOURS[number % len(COLOURS)], _number(row["value"])
        fill: dict[str, Any] = {} if row["same_name"] else {"markerfacecolor": "white"}
        axes.plot([centre, value], [y, y], color=colour, linewidth=0.8, zorder=2)
        axes.plot([value], [y], marker=MARKERS[number % len(MARKERS)], markersize=3.6, color=colour, linestyle="none", zorder=3, **fill)
        _label(axes, y, str(row["choice"]), number_text(value, unit), left)
        if y == 1 or rows[y - 2]["group"] != row["group"]:
            axes.annotate(str(row["group"]), (0, y), xycoords=("axes fraction", "data"), xytext=(-left / 25.4 * 72 + 5, 0),
                          textcoords="offset points", va="center", color=colour, annotation_clip=False)  # fmt: skip
            axes.axhline(y - 0.5, color="0.85", linewidth=0.4, zorder=0)
    if published:
        inside = [v for v in published if low - margin <= v <= high + margin]
        axes.plot(inside, [len(rows) + 0.9] * len(inside), "|", color="0.25", markersize=5.0, markeredgewidth=0.7)
        _label(axes, len(rows) + 0.9, f"{len(published)} published, comparable", "", left)
    axes.set(xlim=(low - margin, high + margin), ylim=(last, -0.5))
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def _label(axes: Axes, y: float, text: str, value: str, left: float, weight: str = "normal") -> None:
    style: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "right", "va": "center"}
    short = shortened(text, left - _GROUP_MM - 2.0, bold=weight == "bold")
    axes.annotate(short, (0, y), xytext=(-4, 0), weight=weight, annotation_clip=False, **style)
    axes.annotate(value, (1, y), xytext=(_RIGHT_MM / 25.4 * 72 - 5, 0), weight=weight, annotation_clip=False, **style)


def _number(value: str | float | None) -> float:
    return float("nan") if value is None else float(value)
