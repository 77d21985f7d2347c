"""The speeds of models on one machine: alone, with their cropping, from file to prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...speed import SpeedRecord
from ..speed import STAGE_TITLES, title_of
from .marks import plain_log_ticks
from .picture import COLOURS, MARKERS, Page, Picture, Row, rounded, shortened, width_mm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["speed_figure"]

_ROW_MM = 4.2


def speed_figure(records: Sequence[SpeedRecord], *, name: str = "speed") -> Picture:
    """Faces a second of each stage at the best batch, with most threads; what lies between two marks is what the next step costs.

    Raises
    ------
    InputError
        Nothing to draw, or several machines: their speeds are not compared.
    """
    hardware = {record.hardware for record in records}
    if len(hardware) != 1:
        kinds = " and ".join(repr(h) for h in sorted(hardware)) or "nothing"
        raise InputError(f"speeds of one hardware are compared, not of {kinds}: a figure each.")
    threads = max(run.threads for record in records for run in record.runs)
    runs = [(record, run) for record in records for run in record.runs if run.threads == threads]
    table: list[Row] = []
    for record, run in runs:
        rates = {stage: found.faces_per_s if (found := run.best(stage)) is not None else None for stage in STAGE_TITLES}
        table.append({"model": title_of(record), "threads": threads, **{stage: rounded(rate, 3) for stage, rate in rates.items()}})
    table.sort(key=lambda row: (-float(row["end_to_end"] or 0), str(row["model"])))
    where = f"{next(iter(hardware))}, {threads} thread{'s' * (threads > 1)}"
    caption = (
        f"Faces a second at the best batch on one hardware: {where}. The network alone where the model gives it, with cropping, and from "
        "image file to prediction."
    )
    return Picture(name, "Speed by stage", caption, table, lambda: _draw(table, where))


def _draw(rows: Sequence[Row], where: str) -> Figure:
    left = min(45.0, 4.0 + max(width_mm(str(row["model"])) for row in rows))
    height = _ROW_MM * len(rows)
    page = Page("Speed by stage", where, height + 14.5)
    axes = page.axes(left, 5.0, page.width_mm - left - 3.0, height)
    for y, row in enumerate(rows):
        rates = [(stage, float(row[stage] or 0)) for stage in STAGE_TITLES if row[stage]]
        axes.plot([min(r for _, r in rates), max(r for _, r in rates)], [y, y], color="0.75", linewidth=1.2, zorder=1)
        for stage, rate in rates:
            axes.plot([rate], [y], zorder=2, **_mark(stage))
        axes.annotate(
            shortened(str(row["model"]), left - 3.0), (0, y), xycoords=("axes fraction", "data"), xytext=(-4, 0),
            textcoords="offset points", ha="right", va="center",
        )  # fmt: skip
    for stage, title in STAGE_TITLES.items():
        axes.plot([], [], label=title, **_mark(stage))
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, frameon=False, borderpad=0.1, handletextpad=0.2, columnspacing=1.0)
    axes.set_xscale("log")
    every = [float(row[stage] or 0) for row in rows for stage in STAGE_TITLES if row[stage]]
    axes.set(xlim=(min(every) / 1.5, max(every) * 1.5), ylim=(len(rows) - 0.5, -0.5), xlabel="faces a second")
    plain_log_ticks(axes.xaxis)
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    return page.figure


def _mark(stage: str) -> dict[str, Any]:
    number = list(STAGE_TITLES).index(stage)
    colour = COLOURS[number]
    return {"linestyle": "none", "marker": MARKERS[number], "ms": 4, "mfc": "none" if number == 0 else colour, "mec": colour}
