"""Models beside one another: accuracy against speed, rank intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InputError
from ...leaderboard import Speed
from ...metrics import parse_metric
from .marks import number_points, plain_log_ticks
from .picture import COLOURS, Entry, Page, Picture, Row, rounded, shortened, table_mm, width_mm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SpeedPoint", "accuracy_against_speed_figure", "hardware_of", "rank_interval_figure"]


@dataclass(frozen=True)
class SpeedPoint:
    """A model's score and speed on one piece of hardware."""

    name: str
    value: float
    images_per_s: float
    hardware: str


def hardware_of(speed: Speed | None) -> str:
    """What a speed was measured on, and how; "" where there is none."""
    return (speed.machine or "an unnamed machine") if speed is not None else ""


def accuracy_against_speed_figure(
    points: Sequence[SpeedPoint], *, metric: str, title: str = "", name: str = "accuracy-against-speed"
) -> Picture:
    """Score against faces a second with the Pareto front: the models of which none is both faster and better.

    Raises
    ------
    InputError
        Nothing to draw, a speed that is none, or several kinds of hardware: their speeds are not compared.
    """
    hardware = {p.hardware for p in points}
    if len(hardware) != 1:
        kinds = " and ".join(repr(h) for h in sorted(hardware)) or "nothing"
        raise InputError(f"speeds of one hardware are compared, not of {kinds}: a figure each.")
    for p in points:
        if not p.images_per_s > 0 or not np.isfinite(p.value):
            raise InputError(f"{p.name}: a score of {p.value:g} at {p.images_per_s:g} faces a second cannot be drawn.")
    family = parse_metric(metric).family
    sign = -1.0 if family.higher_is_better else 1.0
    ordered = sorted(points, key=lambda p: (sign * p.value, -p.images_per_s, p.name))
    table: list[Row] = []
    fastest = 0.0
    for p in ordered:
        on_front = p.images_per_s > fastest
        fastest = max(fastest, p.images_per_s)
        table.append({
            "model": p.name, "value": rounded(p.value), "images_per_s": rounded(p.images_per_s, 3), "hardware": p.hardware,
            "pareto": int(on_front),
        })  # fmt: skip
    title = title or "Accuracy against speed"
    caption = (
        f"{metric} ({family.unit}) against faces a second, decoding included, on one hardware: {next(iter(hardware))}. Filled and joined: "
        "the Pareto front, models of which no other is both faster and better."
    )
    return Picture(name, title, caption, table, lambda: _draw_speed(table, title, metric, family.unit, family.higher_is_better))


def _draw_speed(rows: Sequence[Row], title: str, metric: str, unit: str, higher: bool) -> Figure:
    entries = []
    for number, row in enumerate(rows, 1):
        cells = (f"{float(row['value'] or 0):.2f}", _speed_text(float(row["images_per_s"] or 0)))
        entries.append(Entry(str(row["model"]), cells, {"text": str(number)}, strong=bool(row["pareto"])))
    headings = (unit, "faces/s")
    page = Page(title, f"{metric}; {rows[0]['hardware']}", 54.0 + table_mm(entries, headings))
    axes = page.axes(10.5, 0.0, 71.5, 45.0)
    points = [(float(r["images_per_s"] or 0), float(r["value"] or 0)) for r in rows]
    front = sorted(p for p, r in zip(points, rows, strict=True) if r["pareto"])
    axes.plot(*zip(*front, strict=True), drawstyle="steps-pre", color=COLOURS[0], linewidth=1.0, zorder=2)
    for (x, y), row in zip(points, rows, strict=True):
        axes.plot([x], [y], "o", ms=4, mfc=COLOURS[0] if row["pareto"] else "white", mec=COLOURS[0] if row["pareto"] else "0.45", zorder=3)
    axes.set_xscale("log")
    speeds, values = [p[0] for p in points], [p[1] for p in points]
    margin = 0.15 * (max(values) - min(values)) or 0.1 * abs(values[0]) or 1.0
    axes.set(xlim=(min(speeds) / 1.6, max(speeds) * 1.6), ylim=(min(values) - margin, max(values) + margin))
    axes.set(xlabel="faces a second", ylabel=f"{unit}, {'higher' if higher else 'lower'} is better")
    plain_log_ticks(axes.xaxis)
    number_points(axes, points, above=higher)
    page.table(54.0, headings, entries)
    return page.figure


def _speed_text(images_per_s: float) -> str:
    return f"{images_per_s:,.0f}" if images_per_s >= 99.5 else f"{images_per_s:.3g}"


def rank_interval_figure(
    names: Sequence[str],
    ranks: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    *,
    values: Sequence[str] = (),
    heading: str = "",
    title: str = "",
    name: str = "ranks",
) -> Picture:
    """Ranks with their intervals, best first: models whose intervals meet are not told apart by these faces.

    Parameters
    ----------
    names, ranks, low, high : sequences of equal length
        ``low <= rank <= high``.
    values : sequence of str, optional
        Scores as text, `heading` above them.

    Raises
    ------
    InputError
        Nothing to draw, lists of different lengths, or a rank outside its interval.
    """
    if not names or len({len(names), len(ranks), len(low), len(high), len(values) or len(names)}) != 1:
        raise InputError("rank intervals need names, ranks and both ends of every interval, in equal numbers.")
    for who, rank, a, b in zip(names, ranks, low, high, strict=True):
        if not 1 <= a <= rank <= b:
            raise InputError(f"{who}: rank {rank} lies outside its interval, {a} to {b}.")
    order = sorted(range(len(names)), key=lambda i: (ranks[i], low[i], high[i], names[i]))
    table: list[Row] = [
        {"model": names[i], "rank": ranks[i], "low": low[i], "high": high[i], **({"value": values[i]} if values else {})} for i in order
    ]
    title = title or "Ranks"
    caption = "Rank and its 95 % interval, from paired comparisons on the same faces; where intervals meet, the order is not certain."
    return Picture(name, title, caption, table, lambda: _draw_ranks(table, title, heading))


def _draw_ranks(rows: Sequence[Row], title: str, heading: str) -> Figure:
    row_mm = 4.2
    left = min(45.0, 4.0 + max(width_mm(str(row["model"])) for row in rows))
    height = row_mm * len(rows)
    page = Page(title, "rank and 95 % interval", height + 13.0)
    right = 14.0 if "value" in rows[0] else 3.0
    axes = page.axes(left, 3.0, page.width_mm - left - right, height)
    last = max(int(float(r["high"] or 1)) for r in rows)
    for y, row in enumerate(rows):
        if y % 2 == 0:
            axes.axhspan(y - 0.5, y + 0.5, color="0.955", zorder=0, linewidth=0)
        ends = float(row["low"] or 1), float(row["high"] or 1)
        axes.plot(ends, [y, y], color=COLOURS[0], linewidth=2.2, solid_capstyle="round", alpha=0.55)
        axes.plot([float(row["rank"] or 1)], [y], "o", ms=4, color=COLOURS[0])
        label = shortened(str(row["model"]), left - 3.0)
        axes.annotate(
            label, (0, y), xycoords=("axes fraction", "data"), xytext=(-4, 0), textcoords="offset points", ha="right", va="center"
        )
        if "value" in row:
            axes.annotate(
                str(row["value"]), (1, y), xycoords=("axes fraction", "data"), xytext=(right / 25.4 * 72 - 4, 0),
                textcoords="offset points", ha="right", va="center", annotation_clip=False,
            )  # fmt: skip
    if heading and "value" in rows[0]:
        axes.annotate(
            heading, (1, 1), xycoords="axes fraction", xytext=(right / 25.4 * 72 - 4, 2), textcoords="offset points",
            ha="right", va="bottom", size=6, color="0.35", annotation_clip=False,
        )  # fmt: skip
    step = max(1, -(-last // 12))
    axes.set(xlim=(0.5, last + 0.5), ylim=(len(rows) - 0.5, -0.5), xlabel="rank")
    axes.set_xticks(range(1, last + 1, step))
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    return page.figure
