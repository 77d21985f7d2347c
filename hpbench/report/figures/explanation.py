"""From one number to another as a waterfall: a bar a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...explain import Explanation
from ...explain.walk import REST
from ..cells import number_text, signed_text
from .picture import COLOURS, Page, Picture, Row, rounded, shortened, width_mm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["waterfall_figure"]

_WIDTH_MM = 120.0
_ROW_MM = 5.0
_RIGHT_MM = 15.0


def waterfall_figure(found: Explanation, name: str = "waterfall") -> Picture:
    """The steps from A to B (`hpbench.explain.explain`), in their order, as floating bars that add up.

    Raises
    ------
    InputError
        Nothing was scored: there are no steps.
    """
    if not found.steps or found.a.value is None or found.b.value is None:
        raise InputError("there is nothing to draw: no step between the two numbers could be scored.")
    table: list[Row] = [{"step": f"A: {found.a.title}", "from": None, "to": rounded(found.a.value), "change": None}]
    value = found.a.value
    for step in found.steps:
        table.append({"step": step.name, "from": rounded(value), "to": rounded(step.value), "change": rounded(step.change)})
        value = step.value
    table.append({"step": f"B: {found.b.title}", "from": None, "to": rounded(found.b.value), "change": None})
    title = f"Why {number_text(found.a.value, found.unit)} and {number_text(found.b.value, found.unit)} {found.unit} differ"
    metrics = dict.fromkeys(end.setting.metric.text for end in (found.a, found.b) if end.setting is not None)
    caption = "One thing changed a step, in this order; the steps add up. Hatched: what scoring does not show."
    subtitle = f"{' → '.join(metrics)}; scored: {found.scored_with}"
    return Picture(name, title, caption, table, lambda: _draw(table, title, subtitle, found.unit))


def _draw(rows: list[Row], title: str, subtitle: str, unit: str) -> Figure:
    left = min(50.0, 4.0 + max(width_mm(str(row["step"]), bold=True) for row in rows))
    height = _ROW_MM * len(rows)
    page = Page(title, subtitle, height + 13.0, _WIDTH_MM)
    axes = page.axes(left, 3.0, page.width_mm - left - _RIGHT_MM, height)
    reached = [_number(row["to"]) for row in rows]
    low, high = min(reached), max(reached)
    margin = 0.06 * (high - low or 1.0)
    for y, row in enumerate(rows):
        end = row["change"] is None
        to = _number(row["to"])
        if end:
            axes.plot([to], [y], marker="D", markersize=4.5, color="black", linestyle="none", zorder=4)
        else:
            start = _number(row["from"])
            colour = COLOURS[1] if to > start else COLOURS[0]
            hatch: dict[str, Any] = (
                {"facecolor": "white", "edgecolor": colour, "hatch": "//////"} if row["step"] == REST else {"color": colour}
            )
            axes.plot([to, to], [y - 0.275, y + 0.275], color=colour, linewidth=0.8, solid_capstyle="butt")  # where nothing moves
            axes.barh(y, to - start, left=start, height=0.55, linewidth=0.8, **hatch)
        if y + 1 < len(rows):
            axes.plot([to, to], [y + 0.275, y + 0.725], color="0.5", linewidth=0.6, zorder=1)
        weight = "bold" if end else "normal"
        label = shortened(str(row["step"]), left - 3.0, bold=end)
        axes.annotate(
            label,
            (0, y),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            weight=weight,
        )
        text = number_text(to, unit) if end else signed_text(_number(row["change"]), unit).replace("-", "−")
        axes.annotate(
            text, (1, y), xycoords=("axes fraction", "data"), xytext=(_RIGHT_MM / 25.4 * 72 - 5, 0), textcoords="offset points",
            ha="right", va="center", weight=weight, annotation_clip=False,
        )  # fmt: skip
    axes.set(xlim=(low - margin, high + margin), ylim=(len(rows) - 0.5, -0.5), xlabel=unit)
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    return page.figure


def _number(value: str | float | None) -> float:
    return float("nan") if value is None else float(value)
