"""Published values over the years."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...catalog import PublishedRow
from ...errors import InputError
from ...metrics import parse_metric
from .marks import number_points, plain_log_ticks
from .picture import COLOURS, Entry, Page, Picture, Row, method_title, table_mm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["best_over_years_figure", "years_of"]


def years_of(rows: Sequence[PublishedRow], *, least: int = 3) -> dict[tuple[str, str, str, str], list[PublishedRow]]:
    """What `best_over_years_figure` can draw: canonical rows whose value may be comparable, by dataset, protocol, subset and metric.

    Parameters
    ----------
    least : int
        Groups of fewer methods, or of one year only, are left out.
    """
    groups: dict[tuple[str, str, str, str], list[PublishedRow]] = {}
    for row in rows:
        if row.canonical and row.comparable != "no" and row.metric and row.year is not None:
            groups.setdefault((row.dataset, row.protocol_id, row.subset, row.metric), []).append(row)
    return {
        key: found for key, found in sorted(groups.items()) if len({r.method for r in found}) >= least and len({r.year for r in found}) > 1
    }


def best_over_years_figure(rows: Sequence[PublishedRow], *, title: str = "", name: str = "best-over-years") -> Picture:
    """Published values of one dataset and metric by year, and the best so far.

    Values known to be comparable are filled, those of which it is not known are open; what is known not to be must be left out.

    Parameters
    ----------
    rows : sequence of PublishedRow
        Of one dataset, protocol, subset and metric (`years_of`).

    Raises
    ------
    InputError
        Rows of several metrics, without a year, or not comparable.
    """
    kinds = {(r.dataset, r.protocol_id, r.subset, r.metric) for r in rows}
    if len(kinds) != 1:
        raise InputError(f"a figure over the years is of one dataset, protocol, subset and metric, not of {len(kinds)}.")
    for row in rows:
        if row.comparable == "no" or row.year is None:
            why = "has no year" if row.year is None else f"is not comparable ({row.reason})"
            raise InputError(f"published row {row.id} ({row.method}) {why}: it has no place in a figure over the years.")
    dataset, protocol, subset, metric = next(iter(kinds))
    family = parse_metric(metric).family
    sign = -1.0 if family.higher_is_better else 1.0
    ordered = sorted(rows, key=lambda r: (r.year or 0, sign * r.value, r.method, r.variant))
    table: list[Row] = []
    best: dict[str, float] = {"yes": np.inf, "any": np.inf}
    for row in ordered:
        leads = sign * row.value < best["any"]
        leads_yes = row.comparable == "yes" and sign * row.value < best["yes"]
        best["any"] = min(best["any"], sign * row.value)
        if row.comparable == "yes":
            best["yes"] = min(best["yes"], sign * row.value)
        table.append({
            "id": row.id, "method": row.method, "variant": row.variant, "year": row.year, "value": row.value, "printed": row.printed,
            "comparable": row.comparable, "best_comparable_so_far": int(leads_yes), "best_so_far": int(leads),
        })  # fmt: skip
    which = " ".join(filter(None, (protocol or dataset, f"({subset})" if subset != "all" else "")))
    title = title or f"Published over the years: {which}"
    caption = (
        f"Published {metric} of {which} by year of the work. Filled: comparable with the protocol; open: not known. Solid line: best "
        "comparable so far; dotted: best of both. Values known not to be comparable are left out. Numbers are those of the list, which "
        "names the values that were the best when they came out."
    )
    return Picture(name, title, caption, table, lambda: _draw_years(table, title, metric, family.unit, family.higher_is_better))


def _draw_years(rows: Sequence[Row], title: str, metric: str, unit: str, higher: bool) -> Figure:
    values = [float(row["value"] or 0) for row in rows]
    years = [int(row["year"] or 0) for row in rows]
    leaders = [i for i, row in enumerate(rows) if row["best_comparable_so_far"] or row["best_so_far"]]
    entries = []
    for number, i in enumerate(leaders, 1):
        row = rows[i]
        cells = (str(row["year"]), str(row["printed"] or row["value"]), {"yes": "yes", "unknown": "?"}[str(row["comparable"])])
        entries.append(Entry(method_title(str(row["method"]), str(row["variant"])), cells, {"text": str(number)}))
    headings = ("year", unit, "comparable")
    low, high = _reach(values, [values[i] for i in leaders], higher=higher)
    hidden = sum(not low <= v <= high for v in values)
    subtitle = f"{metric}; {len(rows)} values" + (f", {hidden} {'lower' if higher else 'higher'} not shown" if hidden else "")
    page = Page(title, subtitle, 63.0 + table_mm(entries, headings))
    axes = page.axes(10.5, 0.0, 71.5, 48.0)
    last = max(years) + 0.5
    for key, label, style, colour in (
        ("best_so_far", "best of both so far", (0, (1, 1.5)), "0.45"),
        ("best_comparable_so_far", "best comparable so far", "-", COLOURS[0]),
    ):
        steps = [(years[i], values[i]) for i in leaders if rows[i][key]]
        if steps:
            x, y = [year for year, _ in steps] + [last], [value for _, value in steps] + [steps[-1][1]]
            axes.plot(x, y, drawstyle="steps-post", color=colour, linestyle=style, linewidth=1.1, zorder=2, label=label)
    for sure, label, mark in ((True, "comparable", "o"), (False, "not known whether comparable", "D")):
        of = [i for i, row in enumerate(rows) if (row["comparable"] == "yes") == sure]
        if of:
            colour, size = (COLOURS[0], 3.6) if sure else ("0.45", 3.2)
            axes.plot(
                [years[i] for i in of],
                [values[i] for i in of],
                mark,
                ms=size,
                mfc=colour if sure else "white",
                mec=colour,
                mew=0.8,
                zorder=3,
                label=label,
            )
    axes.set(xlim=(min(years) - 0.7, last), ylabel=f"{unit}, {'higher' if higher else 'lower'} is better")
    if not higher and low > 0 and high > 4.0 * low:
        axes.set_yscale("log")
        low, high = low / 1.1, high * 1.05
    axes.set_ylim(low, high)
    if axes.get_yscale() == "log":
        plain_log_ticks(axes.yaxis)
    number_points(axes, [(years[i], values[i]) for i in leaders], list(zip(years, values, strict=True)), above=higher)
    every = max(1, -(-(max(years) - min(years) + 1) // 9))
    axes.set_xticks(range(min(years), max(years) + 1, every))
    axes.legend(loc="upper left", bbox_to_anchor=(-0.13, -0.085), ncols=2, frameon=False, handlelength=1.8, columnspacing=1.5)
    page.table(63.0, headings, entries)
    return page.figure


def _reach(values: Sequence[float], kept: Sequence[float], *, higher: bool) -> tuple[float, float]:
    """The range shown: all leaders, and of the others those not far worse, so that progress can be seen."""
    median, best = float(np.median(values)), (max if higher else min)(values)
    far = best + 3.0 * (median - best)
    shown = [v for v in values if (v >= far if higher else v <= far)] + list(kept)
    low, high = min(shown), max(shown)
    margin = 0.09 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin
