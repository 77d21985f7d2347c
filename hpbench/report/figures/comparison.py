"""Two records compared, drawn: differences with their intervals, and how far single faces moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...comparison import Comparison
from ...metrics.paired import Difference
from ..cells import headings_and_shared
from .picture import COLOURS, Page, Picture, Row, rounded, shortened, width_mm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["comparison_figure"]

_ROW_MM = 3.8
_BINS = 40


def comparison_figure(found: Comparison, *, name: str = "comparison") -> Picture:
    """A forest plot of all metrics, and of the subsets by the main one, above a histogram of the faces' changes.

    Differences are in percent of the reference's score, positive where NEW is worse; metrics whose reference is 0, or that have no
    interval, are left out.  The table holds the bars of the histogram after the differences.
    """
    rows: list[Row] = []
    headings, shared = headings_and_shared([m.metric for m in found.metrics], " ")
    for m, heading in zip(found.metrics, headings, strict=True):
        rows += _row("metric", heading.rpartition(" [")[0], m.difference, m.ref, m.higher_is_better)
    for s in found.subsets:
        rows += _row("subset", f"{s.name} ({s.n_faces})", s.difference, s.ref, found.main.higher_is_better)
    bars = _bars(found)
    models = [side.record.model.label for side in (found.new, found.ref)]
    title = f"{models[0]} against {models[1]}"
    caption = f"{found.protocol}, {found.n_faces:,} faces: NEW less REF in percent of REF, positive is worse, with 95 % intervals (paired)."
    if bars and found.faces is not None:
        caption += f" Below: how much worse each face got, by {found.faces.metric}."
    return Picture(name, title, caption, rows + bars, lambda: _draw(rows, bars, title, shared, found))


def _row(kind: str, name: str, difference: Difference | None, ref: float | None, higher: bool) -> list[Row]:
    if difference is None or difference.low is None or difference.high is None or not ref:
        return []
    scale = (-100.0 if higher else 100.0) / ref
    low, high = sorted((scale * difference.low, scale * difference.high))
    point = rounded(scale * difference.difference)
    return [{"kind": kind, "name": name, "worse_percent": point, "low": rounded(low), "high": rounded(high)}]


def _bars(found: Comparison) -> list[Row]:
    if found.faces is None:
        return []
    loss = found.faces.loss
    loss = loss[~np.isnan(loss)]
    if not len(loss):
        return []
    reach = float(np.quantile(np.abs(loss), 0.98)) or 1.0
    edges = np.linspace(-reach, reach, _BINS + 1)
    counts, _ = np.histogram(np.clip(loss, -reach, reach), edges)  # those beyond the axis stand in its outermost bars
    return [
        {"kind": "faces", "low": rounded(float(low)), "high": rounded(float(high)), "faces": int(count)}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]


def _draw(rows: list[Row], bars: list[Row], title: str, shared: str, found: Comparison) -> Figure:
    height = _ROW_MM * max(1, len(rows))
    below = height + 10.0 + (32.0 if bars else 0.0)
    page = Page(title, f"{found.protocol}, {found.n_faces:,} faces{'; ' * bool(shared)}{shared}; right of the line is worse", below)
    left = min(38.0, 5.0 + max((width_mm(str(r["name"])) for r in rows), default=0.0))
    axes = page.axes(left, 1.0, page.width_mm - left - 3.0, height)
    _draw_forest(axes, rows, left)
    if bars:
        _draw_bars(page.axes(11.0, height + 12.0, page.width_mm - 14.0, 20.0), bars, found)
    return page.figure


def _draw_forest(axes: Axes, rows: list[Row], left_mm: float) -> None:
    axes.axvline(0.0, color="0.4", linewidth=0.6)
    for y, row in enumerate(rows):
        low, high, point = (float(row[key] or 0.0) for key in ("low", "high", "worse_percent"))
        colour = COLOURS[1] if low > 0 else COLOURS[2] if high < 0 else "0.45"
        axes.plot([low, high], [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
        axes.plot([point], [y], "s" if row["kind"] == "metric" else "o", ms=3.2, color=colour)
        axes.annotate(
            shortened(str(row["name"]), left_mm - 3.0), (0, y), xycoords=("axes fraction", "data"), xytext=(-4, 0),
            textcoords="offset points", ha="right", va="center",
        )  # fmt: skip
    if not rows:
        axes.annotate("no score has an interval", (0.5, 0.5), xycoords="axes fraction", ha="center", va="center")
    axes.set(ylim=(max(len(rows), 1) - 0.5, -0.5), xlabel="worse by, % of the reference")
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def _draw_bars(axes: Axes, bars: list[Row], found: Comparison) -> None:
    assert found.faces is not None
    lows, highs, counts = (np.array([float(r[key] or 0.0) for r in bars]) for key in ("low", "high", "faces"))
    middle = (lows + highs) / 2.0
    colours = [COLOURS[1] if m > 0 else COLOURS[2] for m in middle]
    axes.bar(middle, counts, width=highs - lows, color=colours, linewidth=0)
    axes.axvline(0.0, color="0.4", linewidth=0.6)
    axes.set(xlim=(lows[0], highs[-1]), ylabel="faces", xlabel=f"worse by, {found.faces.unit} ({found.faces.metric}); the rest at the ends")
