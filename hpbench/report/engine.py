"""What benchmarks/ and the campaigns of tests/ found of the engine: speed, memory, faults and fuzzed inputs."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .cells import escape
from .figures.marks import plain_log_ticks
from .figures.picture import COLOURS, MARKERS, Entry, Page, Picture, Row, dash_of, rounded, table_mm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["engine_markdown", "growth", "million_figure", "read_million"]

_TITLE = "Memory and time of many faces"
_MIB = 1 << 20


def engine_markdown(folder: Path, figures: str = "../benchmarks/results") -> str:
    """A section for each of million.csv, pipeline.csv, faults.csv and fuzz.csv in a folder; the page finds its figures in `figures`."""
    sections = []
    for name, (title, make) in _SECTIONS.items():
        if (path := folder / name).is_file():
            drawn = f"\n\n![{title}]({figures}/{path.stem}.svg)" if path.with_suffix(".svg").is_file() else ""
            sections.append(f"## {title}\n\n{make(path)}{drawn}")
    return "\n\n".join(sections) or "Nothing is measured yet."


def read_million(path: Path) -> list[Row]:
    """The rows of million.csv: ``command``, and as numbers ``faces``, ``seconds``, ``peak_mib``."""
    return [{k: v if k == "command" else float(v) for k, v in row.items()} for row in _read(path)]


def growth(rows: Sequence[Row], command: str) -> tuple[float, float]:
    """What a face more costs a command, of its two largest runs.

    Returns
    -------
    bytes_a_face : float
        Peak memory of the larger run less that of the smaller, a face between them.
    seconds_ratio : float
        Seconds a face of the larger run by those of the smaller: 1 where time is linear.

    Raises
    ------
    ValueError
        Fewer than two runs of the command.
    """
    runs = sorted((_number(r, "faces"), _number(r, "seconds"), _number(r, "peak_mib")) for r in rows if r["command"] == command)
    if len(runs) < 2:
        raise ValueError(f"{command} was run with one number of faces only")
    (few, short, low), (many, long, high) = runs[-2:]
    return (high - low) * _MIB / (many - few), (long / many) / (short / few)


def million_figure(rows: Sequence[Row], *, name: str = "million") -> Picture:
    """Peak memory and time of each command against the number of faces, on logarithmic axes."""
    curves: dict[str, list[tuple[float, float, float]]] = {}
    for row in rows:
        curves.setdefault(str(row["command"]), []).append((_number(row, "faces"), _number(row, "peak_mib"), _number(row, "seconds")))
    curves = {command: sorted(points) for command, points in curves.items()}
    table: list[Row] = [
        {"command": command, "faces": rounded(n), "peak_mib": rounded(mib), "seconds": rounded(s)}
        for command, points in curves.items()
        for n, mib, s in points
    ]
    caption = "Peak memory (left) and time (right) of a command in a process of its own, against the number of faces; all axes logarithmic."
    return Picture(name, _TITLE, caption, table, lambda: _draw(curves))


def _draw(curves: Mapping[str, Sequence[tuple[float, float, float]]]) -> Figure:
    styles = [{"color": COLOURS[i], "linestyle": dash_of(i), "marker": MARKERS[i], "ms": 2.5} for i in range(len(curves))]
    entries = [Entry(command, (), style) for command, style in zip(curves, styles, strict=True)]
    page = Page(_TITLE, "labels of pose without pixels, the constant model", 45.0 + table_mm(entries))
    for column, (left, label) in enumerate(((11.0, "peak memory, MiB"), (53.0, "time, s")), 1):
        axes = page.axes(left, 0.0, 29.0, 35.0)
        for points, style in zip(curves.values(), styles, strict=True):
            axes.plot([point[0] for point in points], [point[column] for point in points], **style)
        axes.set(xscale="log", yscale="log", xlabel="faces", ylabel=label)
        plain_log_ticks(axes.yaxis)
    page.table(45.0, (), entries)
    return page.figure


def _million(path: Path) -> str:
    rows = read_million(path)
    commands = list(dict.fromkeys(str(row["command"]) for row in rows))
    lines = ["| command | faces | seconds | peak memory, MiB |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {escape(str(r['command']))} | {_number(r, 'faces'):,.0f} | {_number(r, 'seconds'):,.1f} | {_number(r, 'peak_mib'):,.0f} |"
        for r in rows
    ]
    told = []
    for command in commands:
        if sum(row["command"] == command for row in rows) > 1:
            memory, time = growth(rows, command)
            told.append(f"* `{command}`: {memory:,.0f} bytes a face more; seconds a face {time:.2f} times those of the next smaller run.")
    return "\n".join([*lines, "", *told]) if told else "\n".join(lines)


def _pipeline(path: Path) -> str:
    return _table(
        _read(path), {"bare_ms": "bare model, ms", "end_to_end_ms": "end to end, ms", "bare_busy": "cores busy, bare", "busy": "cores busy"}
    )


def _faults(path: Path) -> str:
    rows = _read(path)
    rounds, identical = (sum(int(row[name]) for row in rows) for name in ("rounds", "identical"))
    told = f"Of {rounds:,} rounds {identical:,} ended in the bytes of an undisturbed run."
    return f"{_table(rows, {'identical': 'identical result'})}\n\n{told}"


def _fuzz(path: Path) -> str:
    rows = _read(path)
    inputs, still, mended = (sum(int(row[name]) for row in rows) for name in ("inputs", "findings_open", "findings_mended"))
    told = f"{inputs:,} inputs: {still:,} findings are open, {mended:,} are mended and have become tests."
    return f"{_table(rows, {'peak_mib': 'peak memory, MiB'})}\n\n{told}"


_SECTIONS: dict[str, tuple[str, Callable[[Path], str]]] = {
    "million.csv": ("A million faces", _million),
    "pipeline.csv": ("End to end against the bare model", _pipeline),
    "faults.csv": ("Faults survived", _faults),
    "fuzz.csv": ("Odd and hostile inputs", _fuzz),
}


def _table(rows: Sequence[Mapping[str, str]], headings: Mapping[str, str]) -> str:
    """The rows as they are, columns of numbers flush right."""
    columns = list(rows[0]) if rows else []
    lines = [_line([headings.get(name, name.replace("_", " ")) for name in columns])]
    lines.append(_line(["---:" if all(_is_number(row[name]) for row in rows) else "---" for name in columns]))
    return "\n".join([*lines, *(_line([escape(row[name]) for name in columns]) for row in rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(row: Row, key: str) -> float:
    return float(row[key] or 0.0)


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
