"""Curves over thresholds: cumulative errors, and precision against recall of occluded points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...catalog import PublishedCurve, PublishedRow
from ...errors import InputError
from ...metrics.curves import cumulative_error_curve
from ...metrics.decisions import Decisions
from ...metrics.visibility import average_precision, recall
from .picture import COLOURS, Entry, Page, Picture, Row, dash_of, method_title, rounded, table_mm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ced_figure", "decisions_of_errors", "precision_recall_figure"]

Array = npt.NDArray[np.float64]

NORMS = {
    "corners": "the distance of the outer eye corners",
    "pupils": "the distance of the pupils",
    "height": "the height of the box",
    "sqrt_wh": "√(w h) of the box",
    "diagonal": "the diagonal of the box",
}
_STEPS = 50  # of the table
_TARGET = 80.0  # percent precision


class _Curve(NamedTuple):
    name: str
    measured: bool
    x: Array
    y: Array
    auc: float
    fr: float
    faces: int


class _Ranking(NamedTuple):
    name: str
    number: int
    x: Array
    y: Array
    recall_at_target: float
    ap: float


def ced_figure(
    errors: Mapping[str, npt.ArrayLike],
    *,
    norm: str,
    below: float,
    published: Sequence[PublishedCurve] = (),
    title: str = "",
    name: str = "ced",
) -> Picture:
    """Cumulative error curves, those measured over those published, best AUC first in the legend.

    Parameters
    ----------
    errors : mapping of str to (N,) array
        By model, the error of each face in percent of the norm, failures charged; NaN = not labelled.
    norm : str
        What errors are divided by.
    below : float
        Where curves end and AUC and FR are taken, percent.
    published : sequence of PublishedCurve
        Of the same norm and end; their AUC is the middle of its bounds.

    Raises
    ------
    InputError
        Nothing to draw, no labelled face, or a published curve of another norm or end.
    """
    curves = [_measured(model, np.asarray(values, dtype=np.float64), below) for model, values in errors.items()]
    for curve in published:
        label = method_title(curve.method, curve.variant)
        if (curve.norm, curve.below) != (norm, below):
            raise InputError(
                f"the published curve of {label} is of norm={curve.norm} up to {curve.below:g} %, not of norm={norm} up to {below:g} %: "
                "they cannot stand in one figure."
            )
        x, y = np.array(curve.errors_percent), np.array(curve.percent_within)
        curves.append(_Curve(label, False, x, y, curve.auc, curve.fr, curve.faces))
    if not curves:
        raise InputError("a figure of cumulative errors needs a curve.")
    order = {model: number for number, model in enumerate(errors)}  # a model's colour is that of its place, here and elsewhere
    curves.sort(key=lambda c: (-c.auc, c.name))
    grid = np.linspace(0.0, below, _STEPS + 1)
    table: list[Row] = []
    for c in curves:
        at = cumulative_error_curve(np.asarray(errors[c.name], np.float64), grid) if c.measured else np.interp(grid, c.x, c.y)
        facts = {"origin": "measured" if c.measured else "published", "auc_percent": rounded(c.auc), "fr_percent": rounded(c.fr)}
        table += [
            {"curve": c.name, **facts, "faces": c.faces, "error_percent": rounded(float(e)), "faces_percent": rounded(float(p))}
            for e, p in zip(grid, at, strict=True)
        ]
    caption = (
        f"Share of the faces whose error, in percent of {NORMS.get(norm, norm)}, is at most x. AUC below {below:g} % and failure rate (FR) "
        f"above it, percent; failed faces count as failures."
    )
    if published:
        caption += " Thin grey lines are published curves, read at steps."
    title = title or "Cumulative errors"
    return Picture(name, title, caption, table, lambda: _draw_ced(curves, order, title, norm, below))


def _measured(model: str, errors: Array, below: float) -> _Curve:
    counted = np.sort(errors[~np.isnan(errors)])
    if not len(counted):
        raise InputError(f"{model}: no face is labelled, so there is no cumulative error curve.")
    x = np.unique(np.concatenate([[0.0], counted[counted <= below], [below]]))
    area = 100.0 * float(np.maximum(0.0, below - counted).mean()) / below
    return _Curve(model, True, x, cumulative_error_curve(counted, x), area, 100.0 * float((counted > below).mean()), len(counted))


def _draw_ced(curves: Sequence[_Curve], order: Mapping[str, int], title: str, norm: str, below: float) -> Figure:
    headings = ("faces", "AUC", "FR") if len({c.faces for c in curves}) > 1 else ("AUC", "FR")
    entries, theirs = [], 0
    counts = sorted({c.faces for c in curves})
    page_entries: list[tuple[_Curve, dict[str, Any]]] = []
    for c in curves:
        if c.measured:
            i = order[c.name]
            style = {"color": COLOURS[i % len(COLOURS)], "linestyle": dash_of(i), "linewidth": 1.6, "zorder": 3}
        else:
            style = {"color": ("0.35", "0.62")[theirs % 2], "linestyle": dash_of(theirs // 2), "linewidth": 0.8, "zorder": 2}
            theirs += 1
        page_entries.append((c, style))
        cells = (*((f"{c.faces:,}",) if len(headings) == 3 else ()), f"{c.auc:.2f}", f"{c.fr:.2f}")
        entries.append(Entry(c.name, cells, {**style, "zorder": 1}, strong=c.measured))
    subtitle = f"{counts[0]:,} faces" if len(counts) == 1 else ""
    page = Page(title, subtitle, 59.0 + table_mm(entries, headings))
    axes = page.axes(10.5, 0.0, 71.5, 49.0)
    for c, style in page_entries:
        axes.plot(c.x, c.y, drawstyle="steps-post" if c.measured else "default", **style)
    axes.set(xlim=(0, below), ylim=(0, 100), xlabel=f"error, % of {NORMS.get(norm, norm)}", ylabel="faces, %")
    page.table(59.0, headings, entries)
    return page.figure


def decisions_of_errors(errors: Mapping[str, npt.NDArray[Any]], view: str = "occluded") -> Decisions:
    """The decisions that lie beside a record (`hpbench.records.read_errors`), failed faces charged as in the scores.

    Raises
    ------
    InputError
        There are none: the protocol does not measure visibility.
    """
    if "decision_face" not in errors:
        raise InputError("the per-face errors hold no decisions on visibility: another kind of protocol?")
    face, kind, visible = (errors[f"decision_{name}"] for name in ("face", "kind", "visible"))
    positive = {"occluded": (kind == 1) | (kind == 2), "external": kind == 1, "self": kind == 2}[view]
    kept = positive | (kind == 0)
    face, positive, visible = face[kept].astype(np.int64), positive[kept], visible[kept].astype(np.float64)
    n_faces = len(errors["sample_id"])
    failed = np.bincount(face, np.isnan(visible), n_faces) > 0
    charged = np.where(failed[face], np.where(positive, np.inf, -np.inf), visible)
    order = np.argsort(charged, kind="stable")
    return Decisions(face[order], charged[order], positive[order], n_faces)


def precision_recall_figure(
    decisions: Mapping[str, Decisions],
    *,
    published: Sequence[PublishedRow] = (),
    title: str = "",
    name: str = "precision-recall",
) -> Picture:
    """Precision against recall of occluded points, with the line of 80 % precision.

    Parameters
    ----------
    decisions : mapping of str to Decisions
        By model; failed faces charged (`hpbench.metrics.visibility.decisions_of`, `decisions_of_errors`).
    published : sequence of PublishedRow
        Of recall(precision=80): they are marks on that line.

    Raises
    ------
    InputError
        Nothing to draw, no point labelled occluded, or a published row of another metric.
    """
    if not decisions:
        raise InputError("a figure of precision and recall needs a model.")
    for row in published:
        if row.metric != "recall(precision=80)":
            raise InputError(f"published row {row.id} is of {row.metric or row.paper_metric}, not of recall(precision=80).")
    curves: list[_Ranking] = []
    prevalence = 0.0
    for model, found in decisions.items():
        if not found.positive.any():
            raise InputError(f"{model}: no point is labelled occluded, so there is no recall.")
        prevalence = 100.0 * float(found.positive.mean())
        points = found.operating_points(every=True)
        x = 100.0 * points.true_positives[0] / points.positives[0]
        ap, at_target = average_precision(found).point(), recall(found, precision=_TARGET).point()
        curves.append(_Ranking(model, len(curves), x, 100.0 * points.precision[0], at_target, ap))
    curves.sort(key=lambda c: (-c.recall_at_target, -c.ap, c.name))
    table: list[Row] = []
    for c in curves:
        facts = {"recall_at_80_precision": rounded(c.recall_at_target), "ap": rounded(c.ap)}
        for i in np.unique(np.linspace(0, len(c.x) - 1, min(len(c.x), _STEPS + 1)).astype(int)):
            at: Row = {"recall": rounded(float(c.x[i])), "precision": rounded(float(c.y[i]))}
            table.append({"model": c.name, "origin": "measured", **facts, **at})
    marks = sorted(published, key=lambda r: -r.value)
    table += [{"model": _method(r), "origin": "published", "recall_at_80_precision": rounded(r.value)} for r in marks]
    caption = (
        f"Precision against recall of the points labelled occluded, percent, over all thresholds. Dashed: 80 % precision, where recall "
        f"(R80) is compared. Dotted: the precision of a guess, {prevalence:.1f} %."
    )
    title = title or "Occluded points: precision and recall"
    return Picture(name, title, caption, table, lambda: _draw_precision_recall(curves, marks, prevalence, title))


def _draw_precision_recall(curves: Sequence[_Ranking], marks: Sequence[PublishedRow], prevalence: float, title: str) -> Figure:
    headings = ("R80", "AP")
    entries = []
    styles: list[dict[str, Any]] = []
    for c in curves:
        style: dict[str, Any] = {"color": COLOURS[c.number % len(COLOURS)], "linestyle": dash_of(c.number), "linewidth": 1.5}
        if len(c.x) < 10:  # hard labels: points, and lines only to lead the eye
            style |= {"marker": "o", "markersize": 3.0, "linewidth": 0.8}
        styles.append(style)
        entries.append(Entry(c.name, (f"{c.recall_at_target:.2f}", f"{c.ap:.2f}"), style, strong=True))
    for i, row in enumerate(marks):
        mark = {"marker": _published_marker(i), "linestyle": "", "color": "0.3", "markerfacecolor": "white"}
        entries.append(Entry(_method(row), (row.printed or f"{row.value:g}", "—"), mark))
    page = Page(title, "", 65.0 + table_mm(entries, headings))
    axes = page.axes(10.5, 0.0, 71.5, 55.0)
    axes.axhline(_TARGET, color="0.4", linewidth=0.7, linestyle=(0, (4, 2)), zorder=1)
    axes.axhline(prevalence, color="0.4", linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
    axes.text(1.0, prevalence + 1.0, "a guess", size=6, color="0.35", va="bottom")
    for c, style in zip(curves, styles, strict=True):
        axes.plot(c.x, c.y, zorder=3, **style)
        if c.recall_at_target > 0:
            axes.plot([c.recall_at_target], [_TARGET], marker="o", markersize=3.5, color=style["color"], zorder=4, clip_on=False)
    for i, row in enumerate(marks):
        axes.plot([row.value], [_TARGET], _published_marker(i), markersize=4, color="0.3", markerfacecolor="white", zorder=5)
    axes.set(xlim=(0, 100), ylim=(0, 102), xlabel="recall, % of the occluded points", ylabel="precision, % of the points called occluded")
    page.table(65.0, headings, entries)
    return page.figure


def _published_marker(number: int) -> str:
    return "Dsv^Pp*hX"[number % 9]


def _method(row: PublishedRow) -> str:
    return f"{method_title(row.method, row.variant)}, {row.year or 'year unknown'}, published"
