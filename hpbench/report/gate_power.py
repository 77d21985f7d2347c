"""What benchmarks/proofs/gate.py found of a gate's errors: a table, and the power curve."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .figures.picture import COLOURS, MARKERS, Entry, Page, Picture, Row, dash_of, rounded, table_mm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["gate_errors_markdown", "gate_power_figure", "read_gate_power"]

_TITLE = "What a gate finds"


def read_gate_power(path: Path) -> list[Row]:
    """The rows of gate_power.csv."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{k: v if k in ("data", "policy") else float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def gate_errors_markdown(rows: Sequence[Row]) -> str:
    """How often a gate errs where it errs most: at a true loss that is the tolerance.  2.5 % is the promise."""
    lines = ["| data | rules | policy | tolerance, deg | true loss, deg | errs in |", "| --- | ---: | --- | ---: | ---: | ---: |"]
    for row in rows:
        if row["loss_deg"] != row["tolerance_deg"]:
            continue
        failed = _number(row, "failed_percent")
        wrong = failed if row["policy"] == "regression" else 100.0 - failed
        what = "fails" if row["policy"] == "regression" else "passes"
        cells = (row["data"], f"{_number(row, 'rules'):.0f}", row["policy"], f"{row['tolerance_deg']:g}", f"{row['loss_deg']:g}")
        lines.append(f"| {' | '.join(map(str, cells))} | {what} {wrong:.1f} % |")
    return "\n".join(lines)


def gate_power_figure(rows: Sequence[Row], *, name: str = "gate-power") -> Picture:
    """Share of the test sets that fail against the true loss, a curve a situation and policy."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        of = f"{row['data']}, {_number(row, 'rules'):.0f} rule{'s' * (row['rules'] != 1)}: {row['policy']}, {row['tolerance_deg']:g} deg"
        curves.setdefault(of, []).append((_number(row, "loss_deg"), _number(row, "failed_percent")))
    curves = {of: sorted(points) for of, points in curves.items() if len(points) > 2}
    table: list[Row] = [
        {"curve": of, "loss_deg": rounded(x), "failed_percent": rounded(y)} for of, points in curves.items() for x, y in points
    ]
    caption = (
        "Share of simulated test sets on which the gate fails, against the true loss; dotted: 2.5 and 97.5 % (benchmarks/proofs/gate.py)."
    )
    return Picture(name, _TITLE, caption, table, lambda: _draw(curves))


def _draw(curves: dict[str, list[tuple[float, float]]]) -> Figure:
    styles = [
        {"color": COLOURS[i % len(COLOURS)], "linestyle": dash_of(i), "marker": MARKERS[i % len(MARKERS)], "ms": 2.5}
        for i in range(len(curves))
    ]
    entries = [Entry(of, (), style) for of, style in zip(curves, styles, strict=True)]
    page = Page(_TITLE, "simulated; the tolerance stands behind the policy", 60.0 + table_mm(entries))
    axes = page.axes(11.0, 0.0, 71.0, 50.0)
    for points, style in zip(curves.values(), styles, strict=True):
        axes.plot(*zip(*points, strict=True), **style)
    for level in (2.5, 97.5):
        axes.axhline(level, color="0.4", linewidth=0.6, linestyle=":")
    axes.set(xlabel="true loss, deg", ylabel="test sets that fail, %", ylim=(-3, 103))
    page.table(60.0, (), entries)
    return page.figure


def _number(row: Row, key: str) -> float:
    return float(row[key] or 0.0)
