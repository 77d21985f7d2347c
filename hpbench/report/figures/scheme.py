"""Landmark schemes drawn on the mean face: their indices, and how far off each landmark is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...geometry.mean_face import mean_face
from ...landmarks import scheme_named
from ...records import LandmarkErrors
from .picture import Page, Picture, Row, rounded, save_figure, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["landmark_error_figure", "scheme_figure", "scheme_layout"]

Array = npt.NDArray[Any]


def scheme_layout(scheme: str) -> Array:
    """Where the points of a scheme lie on a frontal mean face, (L, 2), x to the image's right, y down.

    Raises
    ------
    InputError
        For a scheme that is not drawn on a frontal face (menpo39).
    """
    if scheme == "menpo39":
        raise InputError(f"the scheme {scheme} is not one of a frontal face: it is not drawn.")
    points: Array = mean_face(scheme)[:, :2]
    if scheme == "aflw21":  # the ears, which the mean face lacks: where the jaw begins
        points[[12, 16]] = mean_face("ibug68-fixed")[[0, 16], :2]
    return points


def scheme_figure(schemes: Sequence[str], path: Path) -> None:
    """Draw schemes with their point indices, one panel each, into an image or PDF file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layouts = [scheme_layout(name) for name in schemes]
    figure = Figure(figsize=(7 * len(schemes), 8), layout="tight")
    FigureCanvasAgg(figure)
    for axis, name, points in zip(figure.subplots(1, len(schemes), squeeze=False)[0], schemes, layouts, strict=True):
        scheme = scheme_named(name)
        for number, (part, members) in enumerate(scheme.parts.items()):
            xy = points[list(members)]
            axis.scatter(*xy.T, s=14, color=f"C{number % 10}", label=part)
        for index, (x, y) in enumerate(points):
            axis.annotate(str(index), (x, y), xytext=(2, 2), textcoords="offset points", fontsize=7)
        axis.set_title(f"{name}: {scheme.n_points} points (0-based)")
        axis.set_xlabel("the subject's right is on the left, as in a frontal photograph")
        axis.set_aspect("equal")
        axis.invert_yaxis()
        axis.set_xticks([])
        axis.set_yticks([])
        axis.legend(loc="lower center", bbox_to_anchor=(0.5, -0.16), ncols=4, fontsize=7, frameon=False)
    save_figure(figure, path, dpi=110)


def landmark_error_figure(errors: Mapping[str, LandmarkErrors], scheme: str, *, title: str = "", name: str = "landmark-errors") -> Picture:
    """How far off each landmark is, as a disc on the mean face; one face a model, one scale for all.

    Parameters
    ----------
    errors : mapping of str to LandmarkErrors
        By model, of the same metric.
    scheme : str

    Raises
    ------
    InputError
        Nothing to draw, several metrics, a scheme that is not drawn, or another number of points.
    """
    if not errors:
        raise InputError("a figure of landmark errors needs a model.")
    layout = scheme_layout(scheme)
    metrics = {found.metric for found in errors.values()}
    if len(metrics) > 1:
        raise InputError(f"landmark errors of {' and '.join(sorted(metrics))} have no common scale.")
    part_of = {point: part for part, members in scheme_named(scheme).parts.items() for point in members}
    table: list[Row] = []
    for model, found in errors.items():
        if len(found.points) != len(layout):
            raise InputError(f"{model}: errors of {len(found.points)} landmarks, but {scheme} has {len(layout)}.")
        for i, (value, (x, y)) in enumerate(zip(found.points, layout.tolist(), strict=True)):
            place: Row = {"model": model, "landmark": i, "part": part_of.get(i, "")}
            table.append({**place, "error_percent": rounded(value), "x_mm": rounded(x), "y_mm": rounded(y)})
    metric = metrics.pop()
    title = title or "Error of each landmark"
    caption = (
        f"{metric} of each landmark, percent, on the mean face of {scheme}, seen from the front: the subject's right is on the left. The "
        "darker and larger, the farther off; a cross is a landmark that is never labelled."
    )
    return Picture(name, title, caption, table, lambda: _draw_landmarks(errors, layout, scheme, metric, title))


def _draw_landmarks(errors: Mapping[str, LandmarkErrors], layout: Array, scheme: str, metric: str, title: str) -> Figure:
    import matplotlib
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    columns = min(2, len(errors))
    rows = -(-len(errors) // columns)
    cell_mm = 62.0 if columns == 1 else 40.5
    below = rows * (cell_mm + 4.5) + 13.0
    page = Page(title, f"{metric}, failed faces charged; {scheme}", below)
    known = np.array([v for found in errors.values() for v in found.points if v is not None])
    top = float(known.max()) if len(known) else 1.0
    least = float(known.min()) if len(known) else 0.0
    ends = 0.0 if least < top / 2 else least, top or 1.0  # where all are far off, what still differs
    scale = Normalize(*ends)
    whole = matplotlib.colormaps["cividis_r"]
    # its palest tenth cannot be seen on white
    colours = LinearSegmentedColormap.from_list("cividis_r 10-100 %", whole(np.linspace(0.1, 1.0, 64)))
    low, high = np.nanmin(layout, axis=0), np.nanmax(layout, axis=0)
    centre, half = (low + high) / 2, 0.56 * float((high - low).max())
    left = (page.width_mm - columns * cell_mm) / (columns + 1)
    for number, (model, found) in enumerate(errors.items()):
        axes = page.axes(left + (number % columns) * (cell_mm + left), (number // columns) * (cell_mm + 4.5) + 4.0, cell_mm, cell_mm)
        axes.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] + half, centre[1] - half))
        axes.set_axis_off()
        mean = np.mean([v for v in found.points if v is not None]) if any(v is not None for v in found.points) else np.nan
        axes.set_title(f"{shortened(model, cell_mm - 12.0, bold=True)}  {mean:.2f} %", size=6.5, weight="bold", pad=2)
        for members in scheme_named(scheme).parts.values():
            if len(members) > 3:
                axes.plot(*layout[list(members)].T, color="0.85", linewidth=0.6, zorder=1)
        values = np.array([np.nan if v is None else v for v in found.points])
        there = ~np.isnan(values)
        largest = (cell_mm / 62.0) ** 2 * (90.0 if len(layout) > 30 else 130.0)
        sizes = largest * (0.15 + 0.85 * scale(values[there]))
        order = np.argsort(-values[there], kind="stable")  # small discs over large ones
        xy = layout[there][order]
        axes.scatter(
            xy[:, 0], xy[:, 1], s=sizes[order], c=colours(scale(values[there][order])), edgecolors="white", linewidths=0.4, zorder=2
        )
        axes.scatter(layout[~there, 0], layout[~there, 1], s=8, marker="x", color="0.5", linewidths=0.7, zorder=2)
    bar = page.axes(15.0, below - 11.0, page.width_mm - 30.0, 2.0)
    bar.imshow(np.linspace(0.0, 1.0, 256)[None], aspect="auto", cmap=colours, extent=(*ends, 0.0, 1.0))
    bar.set(yticks=[], xlabel="error, %")
    bar.grid(visible=False)
    return page.figure
