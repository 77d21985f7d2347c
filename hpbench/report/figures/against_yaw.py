"""Mean errors in bins of the yaw of the face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...metrics.estimators import mean_of_means
from ...metrics.statistics import intervals
from .picture import COLOURS, MARKERS, Entry, Page, Picture, Row, dash_of, rounded, table_mm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["error_against_yaw_figure"]

Array = npt.NDArray[np.float64]

_STEP_DEG, _WIDE_STEP_DEG = 15.0, 30.0
_FEW = 5  # faces: a bin of fewer says nothing


def error_against_yaw_figure(
    errors: Mapping[str, Mapping[str, npt.ArrayLike]],
    yaw_deg: npt.ArrayLike,
    *,
    unit: str = "deg",
    clusters: npt.ArrayLike | None = None,
    convention: str = "",
    title: str = "",
    name: str = "error-against-yaw",
) -> Picture:
    """Mean error in bins of the true yaw with 95 % intervals, a panel a kind of error, and how many faces each bin holds.

    Parameters
    ----------
    errors : mapping of str to mapping of str to (N,) array
        By panel (yaw, pitch, roll, say) and model; failures charged, NaN = not labelled.
    yaw_deg : (N,) array
        Of the labels; NaN = not labelled.
    unit : str
        Of the errors.
    clusters : (N,) array, optional
        What is drawn together (people, sequences); each face by itself if left out.

    convention : str
        Of the yaw, for axis and caption.

    Raises
    ------
    InputError
        Nothing to draw, or arrays of different lengths.
    """
    yaw = np.asarray(yaw_deg, dtype=np.float64)
    labelled = yaw[np.isfinite(yaw)]
    models = list(dict.fromkeys(model for panel in errors.values() for model in panel))
    if not models or not len(labelled):
        raise InputError("errors against yaw need a model, and faces whose yaw is labelled.")
    step = _STEP_DEG if np.ptp(labelled) <= 14 * _STEP_DEG else _WIDE_STEP_DEG
    edges = np.arange(np.floor(labelled.min() / step), np.floor(labelled.max() / step) + 2) * step
    table: list[Row] = []
    for panel, by_model in errors.items():
        for model, values in by_model.items():
            column = np.asarray(values, dtype=np.float64)
            if column.shape != yaw.shape:
                raise InputError(f"{model}: {len(column)} errors ({panel}) for {len(yaw)} faces: of other faces?")
            table += _binned(panel, model, column, yaw, edges, clusters)
    of = f" ({convention})" if convention else ""
    caption = (
        f"Mean error in bins of {step:g} degrees of true yaw{of} with 95 % intervals; failed faces are charged. Bins of fewer than {_FEW} "
        "faces are left out. Positive yaw is towards the image's left."
    )
    title = title or "Error against yaw"
    return Picture(name, title, caption, table, lambda: _draw_against_yaw(table, list(errors), models, unit, edges, title, of))


def _binned(panel: str, model: str, errors: Array, yaw: Array, edges: Array, clusters: npt.ArrayLike | None) -> list[Row]:
    """A row a bin; the last is closed above by its own edge, which no yaw reaches."""
    columns = [np.where((yaw >= low) & (yaw < high), errors, np.nan) for low, high in zip(edges[:-1], edges[1:], strict=True)]
    ones = np.ones(len(errors))
    found = intervals([mean_of_means([(column, ones)]) for column in columns], clusters, method="cluster-t")
    rows: list[Row] = []
    for low, high, column, interval in zip(edges[:-1], edges[1:], columns, found, strict=True):
        n = int((~np.isnan(column)).sum())
        shown = n >= _FEW
        rows.append({
            "panel": panel, "model": model, "yaw_from_deg": float(low), "yaw_to_deg": float(high), "faces": n,
            "error": rounded(float(np.nanmean(column))) if shown else None,
            "low": rounded(interval.low) if shown and interval else None, "high": rounded(interval.high) if shown and interval else None,
        })  # fmt: skip
    return rows


def _draw_against_yaw(rows: list[Row], panels: list[str], models: list[str], unit: str, edges: Array, title: str, of: str) -> Figure:
    entries = [Entry(model, mark=_marked(i)) for i, model in enumerate(models)]
    height, gap, counts = (26.0, 3.5, 9.0) if len(panels) > 1 else (42.0, 3.5, 9.0)
    below = len(panels) * (height + gap) + counts + 9.0
    page = Page(title, "mean and 95 % interval", below + table_mm(entries))
    step = float(edges[1] - edges[0])
    spread = 0.5 * step / max(len(models), 2)
    tops: list[float] = []
    for p, panel in enumerate(panels):
        axes = page.axes(10.5, p * (height + gap), 71.5, height)
        for i, model in enumerate(models):
            binned = [r for r in rows if r["panel"] == panel and r["model"] == model]
            if not binned:
                continue
            x = np.array([_number(r["yaw_from_deg"]) for r in binned]) + step / 2 + (i - (len(models) - 1) / 2) * spread
            y, low, high = (np.array([_number(r[key]) for r in binned]) for key in ("error", "low", "high"))
            style = _marked(i)
            axes.plot(x, y, **{**style, "linewidth": 1.0})
            axes.vlines(x, low, high, color=style["color"], linewidth=0.8)
            tops.append(float(np.nanmax(np.where(np.isnan(high), y, high), initial=0.0)))
        label = f"{panel or 'error'}, {unit}"
        axes.set(xlim=(edges[0], edges[-1]), ylabel=label)
        axes.set_ylim(0, None)
        _yaw_ticks(axes, edges, labels=False)
    axes = page.axes(10.5, len(panels) * (height + gap), 71.5, counts)
    most = [max(int(_number(r["faces"])) for r in rows if r["yaw_from_deg"] == low) for low in edges[:-1]]
    axes.bar(edges[:-1] + step / 2, most, width=0.86 * step, color="0.75")
    axes.set(xlim=(edges[0], edges[-1]), ylabel="faces", xlabel=f"true yaw{of}, deg")
    axes.set_yticks([0, max(most)])
    axes.grid(visible=False)
    _yaw_ticks(axes, edges, labels=True)
    page.table(below, (), entries)
    return page.figure


def _yaw_ticks(axes: Any, edges: Array, *, labels: bool) -> None:
    apart = 30.0 if edges[-1] - edges[0] <= 240 else 60.0
    ticks = [t for t in np.arange(-360.0, 361.0, apart) if edges[0] <= t <= edges[-1]]
    axes.set_xticks(ticks, [f"{t:g}".replace("-", "−") for t in ticks] if labels else [])


def _marked(number: int) -> dict[str, Any]:
    marker = MARKERS[number % len(MARKERS)]
    return {"color": COLOURS[number % len(COLOURS)], "marker": marker, "markersize": 2.8, "linestyle": dash_of(number)}


def _number(value: str | float | None) -> float:
    return float("nan") if value is None else float(value)
