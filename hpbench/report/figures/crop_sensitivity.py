"""The error against the scale of the given box and against its shift to the side and up or down: a curve a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ..cells import number_text
from .marks import plain_log_ticks
from .picture import COLOURS, MARKERS, Entry, Page, Picture, Row, dash_of, rounded, table_mm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["crop_sensitivity_figure", "drawn_metrics", "number"]

_LABELS = {
    "box scale": "scale of the given box",
    "box shift x": "shift to the right, of its width",
    "box shift y": "shift down, of its height",
}
_AT = {"box scale": 1.0, "box shift x": 0.0, "box shift y": 0.0}
_WIDTH_MM = 178.0
_LEFT_MM, _PANEL_MM, _GAP_MM, _HIGH_MM, _ROW_MM = 12.0, 50.0, 4.5, 40.0, 53.0
_LOGARITHMIC = 5.0  # the largest value over the smallest


def crop_sensitivity_figure(rows: Sequence[Row], name: str = "crop_sensitivity") -> Picture:
    """Error against scale and shifts of the box, a line of panels a kind of error.

    Parameters
    ----------
    rows : sequence of dict
        Of `hpbench.report.crop_sensitivity.response_rows`, of one model or many; the first metric of each unit is drawn.

    Raises
    ------
    InputError
        No row is of a changed box.
    """
    drawn = [r for r in rows if r["change"] in _LABELS]
    if not drawn:
        raise InputError("there is nothing to draw: no error was measured with changed boxes.")
    models = list(dict.fromkeys(str(r["model"]) for r in drawn))
    metrics = drawn_metrics(drawn)
    keys = ("model", "metric", "unit", "change", "amount", "value", "low", "high", "n_failed")
    table: list[Row] = [
        {k: rounded(v) if isinstance(v := r[k], float) else v for k in keys} for r in drawn if r["metric"] in metrics
    ]  # fmt: skip
    title = "Crop sensitivity" + (f" of {models[0]}" if len(models) == 1 else "")
    faces = max(number(r["n_faces"]) for r in drawn)
    subtitle = f"{faces:.0f} faces, failed ones charged; bands: 95 % intervals"
    caption = f"Error against the scale of the given box and against its shift; {subtitle}. {', '.join(metrics)} of {', '.join(models)}."
    return Picture(name, title, caption, table, lambda: _draw(table, title, subtitle))


def drawn_metrics(rows: Sequence[Row]) -> list[str]:
    """The first metric of each unit: geodesic before MAE, and NME."""
    return list({str(r["unit"]): str(r["metric"]) for r in reversed(rows)}.values())[::-1]


def _draw(table: list[Row], title: str, subtitle: str) -> Figure:
    models = list(dict.fromkeys(str(r["model"]) for r in table))
    metrics = list(dict.fromkeys(str(r["metric"]) for r in table))
    styles: list[dict[str, Any]] = [
        {"color": COLOURS[i % len(COLOURS)], "linestyle": dash_of(i), "marker": MARKERS[i % len(MARKERS)], "markersize": 2.5}
        for i in range(len(models))
    ]
    headings = ["given box:", *(f"{m} [{_unit(table, m)}]" for m in metrics)]
    entries = [Entry(model, ("", *(_given(table, model, m) for m in metrics)), s) for model, s in zip(models, styles, strict=True)]
    page = Page(title, subtitle, _ROW_MM * len(metrics) + table_mm(entries, headings), _WIDTH_MM)
    for line, metric in enumerate(metrics):
        of_metric = [r for r in table if r["metric"] == metric]
        values = [number(r["value"]) for r in of_metric]
        ends = values + [number(r[end]) for r in of_metric for end in ("low", "high") if r[end] is not None]
        low, high = min(ends), max(ends)
        logarithmic = low > 0 and max(values) > _LOGARITHMIC * min(values)
        margin = 0.04 * (high - low or 1.0)
        limits = (low / 1.1, high * 1.1) if logarithmic else (max(0.0, low - margin), high + margin)
        for place, change in enumerate(_LABELS):
            axes = page.axes(_LEFT_MM + place * (_PANEL_MM + _GAP_MM), 2.0 + line * _ROW_MM, _PANEL_MM, _HIGH_MM)
            for model, style in zip(models, styles, strict=True):
                _curve(axes, [r for r in of_metric if r["model"] == model and r["change"] == change], style)
            axes.axvline(_AT[change], color="0.55", linewidth=0.6, zorder=0)
            axes.set(xlabel=_LABELS[change], ylim=limits)
            if logarithmic:
                axes.set_yscale("log")
                axes.set_ylim(limits)
                plain_log_ticks(axes.yaxis)
            if place == 0:
                axes.set_ylabel(f"{metric}, {_unit(table, metric)}")
            else:
                axes.tick_params(labelleft=False)
    page.table(_ROW_MM * len(metrics), headings, entries)
    return page.figure


def _curve(axes: Axes, rows: list[Row], style: dict[str, Any]) -> None:
    if not rows:
        return
    amounts = [number(r["amount"]) for r in rows]
    axes.plot(amounts, [number(r["value"]) for r in rows], **style)
    if all(r["low"] is not None for r in rows):
        low, high = ([number(r[end]) for r in rows] for end in ("low", "high"))
        axes.fill_between(amounts, low, high, color=style["color"], alpha=0.12, linewidth=0)


def _unit(table: Sequence[Row], metric: str) -> str:
    return str(next(r["unit"] for r in table if r["metric"] == metric))


def _given(table: Sequence[Row], model: str, metric: str) -> str:
    """The error at the given box, and how many faces fail there."""
    row = next((r for r in table if (r["model"], r["metric"], r["change"], r["amount"]) == (model, metric, "box scale", 1.0)), None)
    if row is None:
        return ""
    failed = f" ({number(row['n_failed']):.0f} failed)" if row["n_failed"] else ""
    return number_text(number(row["value"]), str(row["unit"])) + failed


def number(value: str | float | None) -> float:
    """A cell of a row as a number; NaN where there is none."""
    return float("nan") if value is None else float(value)
