"""Marks on axes that several figures share: numbers beside points, ticks of logarithmic axes in plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = ["number_points", "plain_log_ticks"]


def number_points(axes: Axes, points: Sequence[tuple[float, float]], others: Sequence[tuple[float, float]] = (), *, above: bool) -> None:
    """Numbers 1, 2, ... beside points, on the better side where there is room; the axes' limits must be set."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=1.8, foreground="white")]
    places, marks = (axes.transData.transform(np.array(p)) / axes.figure.dpi * 72.0 for p in (points, [*points, *others]))
    taken: list[tuple[float, float]] = []
    around = [(0, 7), (7, 5), (-7, 5), (8, -1), (-8, -1), (7, -6), (-7, -6), (0, -7), (0, 13), (13, 8), (-13, 8), (13, -8), (-13, -8)]
    tries = around if above else [(dx, -dy) for dx, dy in around]

    def free(x: float, y: float) -> bool:
        return all(abs(x - a) > 6.5 or abs(y - b) > 6.0 for a, b in taken) and all(abs(x - a) > 4.5 or abs(y - b) > 5.0 for a, b in marks)

    for number, (x, y) in enumerate(places, 1):
        dx, dy = next(((dx, dy) for dx, dy in tries if free(x + dx, y + dy)), tries[0])
        taken.append((x + dx, y + dy))
        axes.annotate(
            str(number), points[number - 1], xytext=(dx, dy), textcoords="offset points", size=6.5, weight="bold", ha="center", va="center",
            path_effects=halo,
        )  # fmt: skip


def plain_log_ticks(axis: Axis) -> None:
    """100 and 2,000 in place of powers of ten."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    low, high = axis.get_view_interval()
    decades = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 4, 5, 7)):
        ticks = [s * 10.0**d for d in decades for s in steps if low <= s * 10.0**d <= high]
        if len(ticks) >= 3:
            break
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_ticks(ticks, labels=[f"{t:,.4g}" for t in ticks])
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
