"""Charts as inline SVG: marks that a pointer, a finger or the arrow keys can ask, in colours of Okabe and Ito.

What a mark says stands in its ``<title>``, which browsers show without a script.  Nothing is only in a chart: the tables have it all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..leaderboard import Board, find_score
from ..metrics import parse_metric
from ..report.cells import number_text
from ..report.figures import SpeedPoint, accuracy_against_speed_figure, best_over_years_figure, hardware_of, years_of
from ..report.figures.picture import method_title

__all__ = ["Chart", "charts_of", "nice_ticks"]

_WIDTH = 720
_MOST = 40  # lines of a forest chart; the table below has the others


@dataclass(frozen=True)
class Chart:
    """A chart with its heading, what it shows in words, and the names of numbered marks."""

    name: str
    title: str
    caption: str
    svg: Markup
    key: tuple[str, ...] = ()


def charts_of(board: Board) -> list[Chart]:
    """What a board has the data for."""
    return [chart for chart in (_forest(board), _years(board), *_speeds(board)) if chart is not None]


# ------------------------------------------------------------------------------------------------- intervals


@dataclass(frozen=True)
class _Dot:
    label: str
    value: float
    printed: str
    text: str
    ends: tuple[float, float] | None
    kind: str


def _forest(board: Board) -> Chart | None:
    """The main metric with its interval, and comparable published values, which have none."""
    main = board.protocol.main
    family = parse_metric(main).family
    unit, dots = family.unit, []
    for row in board.rows:
        score = find_score(row.record, main)
        if score is not None and score.value is not None:
            text, place = number_text(score.value, unit), "not ranked" if row.rank is None else f"rank {row.rank}"
            interval = f" [{number_text(score.ci95[0], unit)}, {number_text(score.ci95[1], unit)}]" if score.ci95 else ""
            dots.append(_Dot(row.title, score.value, text, f"{text}{interval} {unit}, measured, {place}", score.ci95, "measured"))
    for line in board.published_on():
        if line.comparable == "yes" and main in line.entries:
            told = line.entries[main].row
            text = f"{told.printed} {unit}, published {line.year or ''}".rstrip()
            dots.append(_Dot(line.title, told.value, told.printed, text, None, "published"))
    if len(dots) < 2:
        return None
    dots.sort(key=lambda dot: -dot.value if family.higher_is_better else dot.value)
    shown = dots[:_MOST]
    ends = [e for dot in shown for e in (dot.value, *(dot.ends or ()))]
    ticks = nice_ticks(min(ends), max(ends))
    left, right, step, top = 280, 60, 24, 6
    height = top + step * len(shown) + 42

    def x(value: float) -> float:
        return left + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (_WIDTH - left - right)

    bottom = top + step * len(shown)
    parts = [_line(x(t), top, x(t), bottom, "grid") for t in ticks] + [_text(x(t), bottom + 16, _tick(t), "middle", "tick") for t in ticks]
    parts.append(_text((left + _WIDTH - right) / 2, height - 6, _axis(main, unit, family.higher_is_better), "middle", "tick"))
    for i, dot in enumerate(shown):
        y = top + step * (i + 0.5)
        marks = [_line(x(dot.ends[0]), y, x(dot.ends[1]), y, "interval")] if dot.ends else []
        marks.append(_dot(x(dot.value), y, dot.kind))
        parts.append(_text(left - 10, y + 4, _short(dot.label, 33), "end", "label strong" if dot.kind == "measured" else "label"))
        parts.append(_text(_WIDTH, y + 4, dot.printed, "end", "label"))
        parts.append(_mark(f"{dot.label}: {dot.text}", [_rect(0, y - step / 2, _WIDTH, step), *marks]))
    kinds = {dot.kind for dot in dots}
    caption = "Measured, with 95 % intervals (filled), and comparable published values (open), which have none."
    if len(kinds) == 1:
        nothing = "Published values that are comparable; nothing was measured here, so there are no intervals."
        caption = "Measured, with 95 % intervals." if kinds == {"measured"} else nothing
    caption += f" The first {_MOST} of {len(dots)}." if len(dots) > _MOST else ""
    return Chart("intervals", "Values side by side", caption, _svg(height, "Values side by side", parts))


# ------------------------------------------------------------------------------------------------- years


def _years(board: Board) -> Chart | None:
    """Published values by year; the groups and what was the best when it came out are those of the figure."""
    protocol = board.protocol
    rows = [e.row for line in board.published_on() for e in line.entries.values() if e.row.metric == protocol.main]
    found = next(iter(years_of(rows).values()), None)
    if found is None:
        return None
    family = parse_metric(protocol.main).family
    table = best_over_years_figure(found).table
    points = [(int(r["year"] or 0), float(r["value"] or 0), r) for r in table]
    values = [v for _, v, _ in points]
    low, high = _reach(values, higher=family.higher_is_better)
    ticks = nice_ticks(low, high)
    inside = [p for p in points if ticks[0] <= p[1] <= ticks[-1]]
    years = range(min(p[0] for p in inside), max(p[0] for p in inside) + 1)
    left, top, right, bottom = 54, 10, _WIDTH - 14, 300

    def x(year: float) -> float:
        return left + (year - years[0] + 0.6) / (len(years) + 0.2) * (right - left)

    def y(value: float) -> float:
        return bottom - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (bottom - top)

    every = -(-len(years) // 12)
    parts = [_line(left, y(t), right, y(t), "grid") for t in ticks] + [_text(left - 8, y(t) + 4, _tick(t), "end", "tick") for t in ticks]
    parts += [_text(x(year), bottom + 18, str(year), "middle", "tick") for year in years[::every]]
    for flag, kind in (("best_so_far", "any"), ("best_comparable_so_far", "best")):
        steps = [(year, value) for year, value, r in inside if r[flag]]
        if steps:
            path = f"M{x(steps[0][0]):.1f} {y(steps[0][1]):.1f}" + "".join(f"H{x(a):.1f}V{y(b):.1f}" for a, b in steps[1:]) + f"H{right}"
            parts.append(Markup('<path class="step {}" d="{}"/>').format(kind, path))
    for year, value, r in inside:
        told = "comparable" if r["comparable"] == "yes" else "not known whether comparable"
        text = f"{method_title(str(r['method']), str(r['variant']))}, {year}: {r['printed']} {family.unit}, {told}"
        kind = "yes" if r["comparable"] == "yes" else "unknown"
        parts.append(_mark(text, [_hit(x(year), y(value)), _dot(x(year), y(value), kind)]))
    outside = len(points) - len(inside)
    caption = (
        f"{_axis(protocol.main, family.unit, family.higher_is_better)}, by year of the work. Filled: comparable; open: not known. "
        "Solid line: best comparable so far; dotted: best of both. Values that are not comparable are left out."
    )
    caption += f" {outside} far worse {'value is' if outside == 1 else 'values are'} beyond the frame." if outside else ""
    return Chart("years", "Published over the years", caption, _svg(bottom + 26, "Published over the years", parts))


def _reach(values: Sequence[float], *, higher: bool) -> tuple[float, float]:
    """All values but those that are far worse than the median is: progress would not be seen beside them."""
    best, median = (max if higher else min)(values), sorted(values)[len(values) // 2]
    far = best + 3.0 * (median - best)
    shown = [v for v in values if (v >= far if higher else v <= far)]
    return min(shown), max(shown)


# ------------------------------------------------------------------------------------------------- speed


def _speeds(board: Board) -> Iterable[Chart]:
    """A chart for each kind of hardware that two models or more ran on."""
    by_hardware: dict[str, list[SpeedPoint]] = {}
    for row in board.rows:
        value, hardware = row.record.main.value, hardware_of(row.speed)
        if value is not None and row.speed is not None:
            by_hardware.setdefault(hardware, []).append(SpeedPoint(row.title, value, row.speed.images_per_s, hardware))
    for number, (hardware, points) in enumerate(sorted(by_hardware.items()), 1):
        if len(points) > 1:
            yield _speed_chart(board, points, hardware, f"speed-{number}")


def _speed_chart(board: Board, points: Sequence[SpeedPoint], hardware: str, name: str) -> Chart:
    main = board.protocol.main
    family = parse_metric(main).family
    table = accuracy_against_speed_figure(points, metric=main).table
    spots = [(float(r["images_per_s"] or 0), float(r["value"] or 0), r) for r in table]
    low, high = min(s[1] for s in spots), max(s[1] for s in spots)
    margin = 0.1 * (high - low) or 0.1 * abs(high) or 1.0
    ticks = nice_ticks(low - margin if low > margin else low, high + margin)
    slowest, fastest = min(s[0] for s in spots) / 1.3, max(s[0] for s in spots) * 1.3
    left, top, right, bottom = 54, 16, _WIDTH - 14, 230

    def x(speed: float) -> float:
        return left + math.log(speed / slowest) / math.log(fastest / slowest) * (right - left)

    def y(value: float) -> float:
        return bottom - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (bottom - top)

    parts = [_line(left, y(t), right, y(t), "grid") for t in ticks] + [_text(left - 8, y(t) + 4, _tick(t), "end", "tick") for t in ticks]
    parts += [_text(x(s), bottom + 18, f"{s:,g}", "middle", "tick") for s in _speed_ticks(slowest, fastest)]
    parts.append(_text((left + right) / 2, bottom + 36, "images a second, decoding included", "middle", "tick"))
    key = []
    for number, (speed, value, r) in enumerate(spots, 1):
        text = f"{r['model']}: {number_text(value, family.unit)} {family.unit} at {_speed_text(speed)} images a second"
        key.append(text)
        kind = "yes" if r["pareto"] else "unknown"
        label = _text(x(speed) + 8, y(value) - 7, str(number), "start", "label")
        parts.append(_mark(text, [_hit(x(speed), y(value)), _dot(x(speed), y(value), kind), label]))
    caption = (
        f"{_axis(main, family.unit, family.higher_is_better)}, against speed on one hardware: {hardware}. "
        "Filled: no other model is both faster and better."
    )
    return Chart(name, "Accuracy against speed", caption, _svg(bottom + 42, "Accuracy against speed", parts), tuple(key))


def _speed_text(images_per_s: float) -> str:
    return f"{images_per_s:,.0f}" if images_per_s >= 99.5 else f"{images_per_s:.3g}"


def _speed_ticks(low: float, high: float) -> list[float]:
    every = [m * 10.0**e for e in range(-3, 7) for m in (1, 1.5, 2, 3, 5, 7)]
    inside = [t for t in every if low <= t <= high]
    return inside if len(inside) < 9 else [t for t in inside if f"{t:e}"[0] in "125" and "1.5" not in f"{t:e}"]


# ------------------------------------------------------------------------------------------------- SVG


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers, evenly spaced, that reach from below `low` to above `high`."""
    size = max(abs(low), abs(high))
    size = size if size > 1e-300 else 1.0  # below, a tenth of it is nothing
    span = high - low if high - low > 1e-6 * size else size  # of what is as good as equal, round numbers around it
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(m * power for m in (1, 2, 2.5, 5, 10, 20) if span / (m * power) <= most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, max(last, first + 1) + 1)]


def _tick(value: float) -> str:
    return f"{value:.6g}"


def _axis(metric: str, unit: str, higher: bool) -> str:
    return f"{metric} [{unit}], {'higher' if higher else 'lower'} is better"


def _short(text: str, most: int) -> str:
    """The middle left out: both ends of a long name tell it from others."""
    return text if len(text) <= most else f"{text[: most - most // 2 - 1]}…{text[-(most // 2) :]}"


def _svg(height: float, label: str, parts: Iterable[Markup]) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {:.0f}" role="group" aria-label="{}">').format(_WIDTH, height, label)
    return head + Markup("\n").join(parts) + Markup("</svg>")


def _mark(text: str, parts: Iterable[Markup]) -> Markup:
    return Markup('<g class="mark"><title>{}</title>{}</g>').format(text, Markup("").join(parts))


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(kind, x1, y1, x2, y2)


def _text(x: float, y: float, text: str, anchor: str, kind: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(kind, x, y, anchor, text)


def _dot(x: float, y: float, kind: str) -> Markup:
    return Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="4.5"/>').format(kind, x, y)


def _hit(x: float, y: float) -> Markup:
    return Markup('<circle class="hit" cx="{:.1f}" cy="{:.1f}" r="9"/>').format(x, y)


def _rect(x: float, y: float, width: float, height: float) -> Markup:
    return Markup('<rect class="hit" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(x, y, width, height)
