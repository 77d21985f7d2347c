"""What a figure is: a table of what it shows, and how it is drawn and written.

Conventions
-----------
Figures are 85 mm wide, a column of a paper, and laid out in millimetres from the top left corner, so that nothing is moved by what
stands in it.  Names stand in a table below the axes rather than in them, where long ones would hide the curves.  Colours are
those of Okabe and Ito, which the common colour blindnesses keep apart, and never the only difference.

The same input gives the same bytes under one version of matplotlib: no dates, a fixed salt, no settings of the user's.  Between
versions pixels differ; `Picture.data` does not.

Source: Okabe and Ito, Color Universal Design, 2008 (colours).
"""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS", "DASHES", "MARKERS", "WIDTH_MM", "Entry", "Page", "Picture", "Row", "dash_of", "method_title", "rounded", "save_figure",
    "shortened", "table_mm", "width_mm",
]  # fmt: skip

Row = dict[str, str | int | float | None]

WIDTH_MM = 85.0
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = (
    *("-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1.2, 1, 1.2, 1, 1.2)), (0, (8, 2)), (0, (1, 2.5))),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_MM_PER_INCH = 25.4
_DPI = 300
_TEXT_PT, _SMALL_PT, _TITLE_PT = 6.5, 6.0, 7.5
_LINE_MM = 3.2  # of a table's row
_FORMATS: Mapping[str, dict[str, Any]] = {
    "png": {"metadata": {"Software": None}},
    "svg": {"metadata": {"Date": None, "Creator": "hpbench"}},
    "pdf": {"metadata": {"CreationDate": None, "Creator": "hpbench", "Producer": None}},
    "jpg": {},
}
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "0.3",
    "axes.grid": True,
    "axes.labelpad": 2.0,
    "axes.labelsize": _TEXT_PT,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": _TEXT_PT,
    "errorbar.capsize": 1.5,
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": _TEXT_PT,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "legend.fontsize": _SMALL_PT,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,  # publishers refuse type 3
    "svg.fonttype": "path",
    "svg.hashsalt": "hpbench",
    "text.hinting": "none",  # as wide as it was measured
    "text.parse_math": False,  # a model may be called $x$
    "xtick.labelsize": _SMALL_PT,
    "xtick.major.size": 2.0,
    "xtick.major.width": 0.5,
    "xtick.minor.size": 1.0,
    "ytick.labelsize": _SMALL_PT,
    "ytick.major.size": 2.0,
    "ytick.major.width": 0.5,
    "ytick.minor.size": 1.0,
}


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure and the data in it.

    Attributes
    ----------
    name : str
        What its files are called.
    title : str
    caption : str
        What is shown, in a sentence or two: for the text below, and for those who cannot see it.
    table : list of dict
        What is drawn, a row a mark; numbers rounded to six digits, None for what there is none of.
    draw : callable
        Makes the figure; called within the style.
    """

    name: str
    title: str
    caption: str
    table: list[Row]
    draw: Callable[[], Figure] = field(repr=False)

    def figure(self) -> Figure:
        """The figure, drawn anew; belongs to no window and to nothing global."""
        with _style():
            return self.draw()

    @property
    def data(self) -> str:
        """Title, caption and table as JSON: what to compare when pixels may differ."""
        content = {"name": self.name, "title": self.title, "caption": self.caption, "table": self.table}
        return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    def csv(self) -> str:
        """The table, with a line of column names."""
        columns = list(dict.fromkeys(key for row in self.table for key in row))
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.table)
        return buffer.getvalue()

    def save(self, path: Path) -> None:
        """Write the figure to a .png, .svg, .pdf or .jpg; `InputError` for another suffix."""
        save_figure(self.figure(), path)


@dataclass(frozen=True)
class Entry:
    """A line of the table below a figure.

    Attributes
    ----------
    name : str
    cells : tuple of str
        One a heading.
    mark : mapping
        Keywords of `matplotlib.lines.Line2D`, or ``text`` for a number that stands beside marks.
    strong : bool
        In bold: measured here.
    """

    name: str
    cells: tuple[str, ...] = ()
    mark: Mapping[str, Any] = field(default_factory=dict)
    strong: bool = False


class Page:
    """A figure laid out in millimetres from its top left corner.

    Parameters
    ----------
    title, subtitle : str
        Wrapped to the width.
    below_mm : float
        Height of what follows.

    Attributes
    ----------
    figure : matplotlib Figure
    top_mm : float
        Where the free part begins.
    """

    def __init__(self, title: str, subtitle: str, below_mm: float, width_mm: float = WIDTH_MM) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        inner = width_mm - 3.0
        lines = [(line, _TITLE_PT, "bold", "0") for line in _wrapped(title, inner, _TITLE_PT, bold=True)]
        lines += [(line, _SMALL_PT, "normal", "0.35") for line in _wrapped(subtitle, inner, _SMALL_PT)]
        self.width_mm, self.top_mm = width_mm, 1.5
        heights = [3.6 if weight == "bold" else 2.9 for _, _, weight, _ in lines]
        self.height_mm = self.top_mm + sum(heights) + 1.5 + below_mm
        self.figure = Figure(figsize=(width_mm / _MM_PER_INCH, self.height_mm / _MM_PER_INCH), dpi=_DPI)
        FigureCanvasAgg(self.figure)
        for (line, size, weight, colour), height in zip(lines, heights, strict=True):
            place = 1.5 / width_mm, 1.0 - self.top_mm / self.height_mm
            self.figure.text(*place, line, size=size, weight=weight, color=colour, va="top", ha="left")
            self.top_mm += height
        self.top_mm += 1.5

    def axes(self, left_mm: float, top_mm: float, width_mm: float, height_mm: float) -> Axes:
        """Axes whose frame begins so far right of the left edge and below the head."""
        bottom = self.height_mm - self.top_mm - top_mm - height_mm
        w, h = self.width_mm, self.height_mm
        return self.figure.add_axes((left_mm / w, bottom / h, width_mm / w, height_mm / h))

    def table(self, top_mm: float, headings: Sequence[str], entries: Sequence[Entry]) -> None:
        """Names with their marks and values, the values flush right; `table_mm` says how high it gets."""
        from matplotlib.lines import Line2D

        height = table_mm(entries, headings)
        axes = self.axes(0, top_mm, self.width_mm, height)
        axes.set(xlim=(0, self.width_mm), ylim=(height, 0))
        axes.set_axis_off()
        columns = list(zip(*[entry.cells for entry in entries], strict=True))
        widths = [
            max(width_mm(text, _TEXT_PT, bold=True) for text in (heading, *cells)) for heading, cells in zip(headings, columns, strict=True)
        ]
        rights = [self.width_mm - 2.0 - sum(w + 2.5 for w in widths[i + 1 :]) for i in range(len(widths))]
        room = (rights[0] - widths[0] if rights else self.width_mm) - 13.0
        y = 0.5 * _LINE_MM
        for heading, right in zip(headings, rights, strict=True):
            axes.text(right, y, heading, size=_SMALL_PT, color="0.35", ha="right", va="center")
        y += _LINE_MM if any(headings) else 0.0
        for entry in entries:
            weight = "bold" if entry.strong else "normal"
            if "text" in entry.mark:
                axes.text(8.5, y, entry.mark["text"], size=_TEXT_PT, weight=weight, ha="right", va="center")
            else:
                style = {"markersize": 3.5, "linewidth": 1.2, **entry.mark}
                axes.add_line(Line2D([2.0, 5.5, 9.0], [y, y, y], markevery=[1], **style))
            axes.text(11.0, y, shortened(entry.name, room, _TEXT_PT, bold=entry.strong), size=_TEXT_PT, weight=weight, va="center")
            for cell, right in zip(entry.cells, rights, strict=True):
                axes.text(right, y, cell, size=_TEXT_PT, weight=weight, ha="right", va="center")
            y += _LINE_MM


def table_mm(entries: Sequence[Entry], headings: Sequence[str] = ()) -> float:
    """Height of `Page.table`, with a little room below."""
    return _LINE_MM * (len(entries) + any(headings)) + 1.5


def dash_of(number: int) -> Any:
    """A line style; with the colours, which repeat after seven too, 49 kinds of lines."""
    return DASHES[(number + number // len(COLOURS)) % len(DASHES)]


def method_title(method: str, variant: str) -> str:
    """A published method with its variant, which often repeats the name."""
    if variant.startswith(method):
        return variant
    return f"{method} ({variant})" if variant else method


def rounded(value: float | None, digits: int = 6) -> float | None:
    """To significant digits, so that tables are the same on every machine; None for NaN and infinities."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.{digits}g}") + 0.0


def shortened(text: str, room_mm: float, size_pt: float = _TEXT_PT, *, bold: bool = False) -> str:
    """The text, its middle left out where it is wider than the room: both ends of a long name tell it from others."""
    if width_mm(text, size_pt, bold=bold) <= room_mm:
        return text
    for kept in range(len(text) - 1, 1, -1):
        tail = kept // 2
        short = f"{text[: kept - tail]}…{text[len(text) - tail :]}"
        if width_mm(short, size_pt, bold=bold) <= room_mm:
            return short
    return "…"


def save_figure(figure: Figure, path: Path, dpi: int = _DPI) -> None:
    """Write a figure to a .png, .svg, .pdf or .jpg, whole or not at all."""
    from ...atomic import atomic_path

    suffix = path.suffix.lower().lstrip(".")
    if suffix not in _FORMATS:
        raise InputError(f"{path}: a figure ends in {', '.join('.' + s for s in _FORMATS)}.")
    with _style(), atomic_path(path) as temporary:
        figure.savefig(temporary, format=suffix, dpi=dpi, **_FORMATS[suffix])


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def _wrapped(text: str, room_mm: float, size_pt: float, *, bold: bool = False) -> list[str]:
    if not text:
        return []
    for columns in range(len(text), 10, -1):
        lines = textwrap.wrap(text, columns)
        if all(width_mm(line, size_pt, bold=bold) <= room_mm for line in lines):
            return lines
    return [shortened(text, room_mm, size_pt, bold=bold)]


@lru_cache(maxsize=4096)
def width_mm(text: str, size_pt: float = _TEXT_PT, *, bold: bool = False) -> float:
    """How wide a text is drawn."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal", size=size_pt)
    width, _, _ = TextToPath().get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72.0 * _MM_PER_INCH
