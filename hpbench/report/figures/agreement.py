"""Signed errors of yaw, pitch and roll: as histograms, and as Bland and Altman draw two measurements of one thing.

Source: Bland and Altman, Statistical methods for assessing agreement between two methods of clinical measurement, Lancet 1986.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...faces import Faces
from ...geometry.rotations import equivalent_euler_deg, wrap_deg
from ...metrics.pose import ANGLES, angles_deg
from .picture import COLOURS, Entry, Page, Picture, Row, dash_of, rounded, table_mm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bland_altman_figure", "error_histogram_figure", "signed_angle_errors_deg"]

Array = npt.NDArray[np.float64]

_LIMITS = 1.96  # standard deviations that hold 95 % of normal differences


def signed_angle_errors_deg(truth: Faces, prediction: Faces, convention: str) -> Array:
    """Predicted less true yaw, pitch and roll of each face on the circle, (N, 3) degrees in (-180, 180]; NaN where one is missing.

    Their sizes are those of ``mae(convention=...)``: a prediction that came as a matrix takes the Euler triple nearer to the label.
    """
    true_deg, _ = angles_deg(truth, convention)
    predicted_deg, raw = angles_deg(prediction, convention)
    found = _on_circle(predicted_deg - true_deg)
    if not raw:
        other = _on_circle(equivalent_euler_deg(predicted_deg, convention) - true_deg)
        nearer = np.abs(other).sum(axis=1) < np.abs(found).sum(axis=1)
        found = np.where(nearer[:, None], other, found)
    return np.where(np.isnan(found).any(axis=1, keepdims=True), np.nan, found)


def _on_circle(difference: Array) -> Array:
    return np.asarray(wrap_deg(difference), dtype=np.float64)


def error_histogram_figure(
    errors_deg: Mapping[str, npt.ArrayLike], *, failed: Mapping[str, int] | None = None, title: str = "", name: str = "error-histograms"
) -> Picture:
    """Histograms of the signed errors of yaw, pitch and roll: a shift is an offset of frames, a width is noise.

    Parameters
    ----------
    errors_deg : mapping of str to (N, 3) array
        By model, predicted less true yaw, pitch, roll (`signed_angle_errors_deg`); NaN = failed or not labelled.
    failed : mapping of str to int, optional
        Faces without a prediction, which are in no bar.

    Raises
    ------
    InputError
        Nothing to draw.
    """
    signed = {model: _signed(model, values) for model, values in errors_deg.items()}
    if not signed:
        raise InputError("histograms of errors need a model.")
    widest = max(float(np.quantile(np.abs(values), 0.98)) for values in signed.values())
    reach = next((r for r in (5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0) if r >= widest), 180.0)
    edges = np.linspace(-reach, reach, 41)
    table: list[Row] = []
    for model, values in signed.items():
        for column, angle in enumerate(ANGLES):
            errors = values[:, column]
            counts, _ = np.histogram(errors, edges)
            facts: Row = {"model": model, "angle": angle, "faces": len(errors), "mean_deg": rounded(float(errors.mean()))}
            facts["sd_deg"] = rounded(float(errors.std(ddof=1))) if len(errors) > 1 else None
            facts["beyond_percent"] = rounded(100.0 * float((np.abs(errors) > reach).mean()))
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
                bar: Row = {"from_deg": rounded(float(low)), "to_deg": rounded(float(high))}
                table.append({**facts, **bar, "faces_percent": rounded(100.0 * count / len(errors))})
    lost = {model: n for model, n in (failed or {}).items() if n}
    caption = f"Signed errors, predicted less true, in percent of the faces with a prediction; the axes end at {reach:g} degrees."
    caption += "".join(f" {model}: {n} faces have no prediction." for model, n in lost.items())
    title = title or "Errors of yaw, pitch and roll"
    return Picture(name, title, caption, table, lambda: _draw_histograms(table, list(signed), lost, edges, title))


def _signed(model: str, values: npt.ArrayLike) -> Array:
    """(M, 3), the faces that have all three."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 3:
        raise InputError(f"{model}: signed errors have shape (N, 3) as yaw, pitch, roll, got {array.shape}.")
    array = array[~np.isnan(array).any(axis=1)]
    if not len(array):
        raise InputError(f"{model}: no face has both a labelled and a predicted pose.")
    return array


def _draw_histograms(rows: list[Row], models: list[str], lost: Mapping[str, int], edges: Array, title: str) -> Figure:
    entries = []
    for i, model in enumerate(models):
        facts = [r for r in rows if r["model"] == model]
        cells = (f"{facts[0]['faces']:,}", *([f"{lost.get(model, 0):,}"] if lost else []))
        entries.append(Entry(model, cells, _outline(i)))
    headings = ("faces", *(["failed"] if lost else []))
    height, gap = 22.0, 3.0
    below = 3 * (height + gap) + 7.5
    page = Page(title, "predicted less true; mean ± standard deviation, deg", below + table_mm(entries, headings))
    for p, angle in enumerate(ANGLES):
        axes = page.axes(10.5, p * (height + gap), 71.5, height)
        axes.axvline(0.0, color="0.4", linewidth=0.6)
        for i, model in enumerate(models):
            of = [r for r in rows if r["model"] == model and r["angle"] == angle]
            axes.stairs([_number(r["faces_percent"]) for r in of], edges, **_outline(i))
            style: dict[str, Any] = {"transform": axes.transAxes, "color": COLOURS[i % len(COLOURS)], "size": 6, "va": "top"}
            mean, sd, beyond = (_number(of[0][key]) for key in ("mean_deg", "sd_deg", "beyond_percent"))
            axes.text(0.01, 0.97 - 0.12 * i, f"{mean:+.1f} ± {sd:.1f}".replace("-", "−"), ha="left", **style)
            if beyond >= 0.05:
                axes.text(0.99, 0.97 - 0.12 * i, f"{beyond:.1f} % beyond", ha="right", **style)
        axes.set(xlim=(edges[0], edges[-1]), ylabel=f"{angle}: faces, %")
        axes.set_ylim(0, None)
        if p < 2:
            axes.tick_params(labelbottom=False)
    axes.set_xlabel("error, deg")
    page.table(below, headings, entries)
    return page.figure


def _outline(number: int) -> dict[str, Any]:
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": dash_of(number), "linewidth": 1.2}


def bland_altman_figure(
    true_deg: npt.ArrayLike, errors_deg: npt.ArrayLike, *, model: str = "", title: str = "", name: str = "bland-altman"
) -> Picture:
    """Bland and Altman's plot of yaw, pitch and roll: difference against mean of label and prediction, bias, limits of agreement.

    Parameters
    ----------
    true_deg : (N, 3) array
        Labelled yaw, pitch, roll.
    errors_deg : (N, 3) array
        Predicted less true (`signed_angle_errors_deg`); NaN = failed or not labelled.

    Raises
    ------
    InputError
        Arrays of other shapes, or fewer than two faces with both poses.
    """
    truth, errors = np.asarray(true_deg, dtype=np.float64), np.asarray(errors_deg, dtype=np.float64)
    if truth.ndim != 2 or truth.shape[1] != 3 or truth.shape != errors.shape:
        raise InputError(f"labels and errors have shape (N, 3) as yaw, pitch, roll, got {truth.shape} and {errors.shape}.")
    both = ~np.isnan(truth + errors).any(axis=1)
    truth, errors = truth[both], errors[both]
    if len(truth) < 2:
        raise InputError("limits of agreement need two faces with a labelled and a predicted pose.")
    table: list[Row] = []
    for column, angle in enumerate(ANGLES):
        bias, spread = float(errors[:, column].mean()), float(errors[:, column].std(ddof=1))
        table.append({
            "angle": angle, "faces": len(truth), "bias_deg": rounded(bias), "sd_deg": rounded(spread),
            "low_deg": rounded(bias - _LIMITS * spread), "high_deg": rounded(bias + _LIMITS * spread),
        })  # fmt: skip
    caption = (
        "Difference of predicted and true angle against their mean, a point a face. Solid: bias. Dashed: limits of agreement, bias ± 1.96 "
        "standard deviations. Triangles are faces beyond the axis. Failed faces are not shown."
    )
    title = title or (f"Agreement with the labels: {model}" if model else "Agreement with the labels")
    middle = truth + errors / 2.0
    return Picture(name, title, caption, table, lambda: _draw_bland_altman(table, middle, errors, title))


def _draw_bland_altman(rows: Sequence[Row], middle: Array, errors: Array, title: str) -> Figure:
    height, gap = 30.0, 7.5
    page = Page(title, f"{len(errors):,} faces", 3 * (height + gap) + 2.0)
    size, alpha = (4.0, 0.5) if len(errors) < 2000 else (1.5, 0.25)
    for p, row in enumerate(rows):
        axes = page.axes(12.5, p * (height + gap), 50.5, height)
        bias, low, high = (_number(row[key]) for key in ("bias_deg", "low_deg", "high_deg"))
        reach = max(1.0, 2.0 * (high - bias))
        x, y = middle[:, p], errors[:, p]
        inside = np.abs(y - bias) <= reach
        axes.scatter(x[inside], y[inside], s=size, color=COLOURS[0], alpha=alpha, linewidths=0, rasterized=len(x) > 2000)
        for above in (True, False):
            out = ~inside & ((y > bias) == above)
            edge = np.full(int(out.sum()), bias + (reach if above else -reach))
            axes.scatter(x[out], edge, s=9, marker="^" if above else "v", color=COLOURS[1], linewidths=0, clip_on=False, zorder=4)
        axes.axhline(0.0, color="0.6", linewidth=0.5)
        axes.axhline(bias, color="black", linewidth=1.0)
        places = _apart([high, bias, low], 0.10 * 2 * reach)
        for value, place, text in zip((high, bias, low), places, ("+1.96 SD", "bias", "−1.96 SD"), strict=True):
            if text != "bias":
                axes.axhline(value, color="black", linewidth=0.8, linestyle=(0, (4, 2)))
            axes.annotate(
                f"{text} {value:+.1f}".replace("-", "−"), (1.0, place), xycoords=("axes fraction", "data"),
                xytext=(2.5, 0), textcoords="offset points", size=6, va="center", annotation_clip=False,
            )  # fmt: skip
        axes.set(ylim=(bias - reach, bias + reach), ylabel=f"{row['angle']}: difference, deg")
        axes.margins(x=0.03)
    axes.set_xlabel("mean of predicted and true angle, deg")
    return page.figure


def _apart(falling: Sequence[float], least: float) -> list[float]:
    """Three heights, moved apart from the middle one."""
    top, middle, bottom = falling
    return [max(top, middle + least), middle, min(bottom, middle - least)]


def _number(value: str | float | None) -> float:
    return float("nan") if value is None else float(value)
