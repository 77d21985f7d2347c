"""What papers and leaderboards say: ``baselines/published.csv``, the works it names, and published error curves.

A claim is a value of a method's variant, by a metric, on a subset of a protocol.  One row of a claim is canonical (it quotes nothing);
quotations, reruns and leaderboard copies quote it and keep their own sources.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from ..errors import InputError, did_you_mean
from .roots import catalog_roots

__all__ = ["PublishedCurve", "PublishedRow", "Work", "published_curves", "published_rows", "published_works"]

T = TypeVar("T")


@dataclass(frozen=True)
class Work:
    """A paper or a repository that describes a method; what is not known is ""."""

    key: str
    title: str
    year: str
    venue: str
    arxiv: str
    doi: str
    url: str


@dataclass(frozen=True)
class PublishedRow:
    """A line of ``baselines/published.csv``.

    Attributes
    ----------
    id : str
        What other rows quote it by.
    protocol_id : str
        Of the protocol that asks what this answers; "" where there is none, or where it is not known which.
    dataset : str
        The protocol's, or that of the faces where there is no protocol; "" for what is about no dataset.
    subset : str
        A subset's name, or ``all``.
    metric : str
        Canonical text of the metric grammar; "" where hpbench has no such metric, and `paper_metric` says in words what it is.
    value : float
        In `unit`, the metric's: deg, %, ...
    method, variant : str
        The variant is "" where there is one only, or where the paper's own is meant.
    paper : str
        Key of the work that describes the method.
    origin : str
        Who says so: the method's authors (``own``), another paper or repository (``quoted``), others who ran it (``rerun``), a
        leaderboard, or numbers that were computed from the authors' predictions or curves (``recomputed``).
    quotes : str
        Id of the canonical row that this one says again or runs again; "" for a canonical row.
    comparable : str
        Whether the value may stand beside measured ones of the protocol.
    reason : str
        What differs or is not known.
    paper_text : str
        The protocol in the source's words.
    source : str
    confidence : str
        That the value is what the source means.
    note : str
        Errors known, names under which the row circulates, values that differ.
    printed : str
        The value as it stands in the file: its decimals.
    year : int or None
        Of the work.
    path, line : Path, int
        Where the row stands.
    """

    id: str
    protocol_id: str
    subset: str
    metric: str
    value: float
    unit: str
    method: str
    variant: str
    paper: str
    origin: Literal["own", "quoted", "rerun", "leaderboard", "recomputed"]
    quotes: str
    comparable: Literal["yes", "no", "unknown"]
    reason: str
    paper_text: str
    source: str
    confidence: Literal["high", "medium", "low"]
    note: str
    dataset: str
    paper_metric: str
    printed: str = field(default="", init=False)
    year: int | None = field(default=None, init=False)
    path: Path = field(default=Path(), init=False)
    line: int = field(default=0, init=False)

    @property
    def canonical(self) -> bool:
        return not self.quotes

    @property
    def claim(self) -> tuple[str, ...]:
        """What a value is claimed for."""
        return self.dataset, self.protocol_id, self.subset, self.metric, self.paper_metric, self.method, self.variant


@dataclass(frozen=True)
class PublishedCurve:
    """A line of ``baselines/published_ced.csv``: a cumulative error curve, read at equal steps.

    Attributes
    ----------
    protocol_id, method, variant : str
        As of the rows of `PublishedRow` that hold its AUC and FR.
    norm : str
        What errors are divided by.
    below : float
        Where the curve ends, in percent of the norm; it begins at 0.
    faces : int
    source : str
    percent_within : tuple of float
        Percent of the faces whose error is at most 0, ..., `below`.
    """

    protocol_id: str
    method: str
    variant: str
    norm: str
    below: float
    faces: int
    source: str
    percent_within: tuple[float, ...]
    path: Path = field(default=Path(), init=False)
    line: int = field(default=0, init=False)

    @property
    def metrics(self) -> tuple[str, str]:
        """Texts of its AUC and FR."""
        return f"auc(below={self.below:g},norm={self.norm})", f"fr(above={self.below:g},norm={self.norm})"

    @property
    def errors_percent(self) -> tuple[float, ...]:
        steps = len(self.percent_within) - 1
        return tuple(self.below * i / steps for i in range(steps + 1))

    @property
    def fr(self) -> float:
        """Percent of the faces beyond the curve's end; exact."""
        return 100.0 - self.percent_within[-1]

    @property
    def auc_bounds(self) -> tuple[float, float]:
        """The exact AUC is between these, in percent: each face's error lies somewhere between two points of the curve."""
        inner = sum(self.percent_within[1:-1])
        steps = len(self.percent_within) - 1
        return (self.percent_within[0] + inner) / steps, (inner + self.percent_within[-1]) / steps

    @property
    def auc(self) -> float:
        """The middle of `auc_bounds`, as if errors were spread evenly between two points of the curve."""
        return sum(self.auc_bounds) / 2.0


def published_works(roots: Sequence[Path] | None = None) -> dict[str, Work]:
    """The works of every catalog root by key, sorted."""
    works: dict[str, Work] = {}
    wrong: list[str] = []
    for work, path, line in _lines(Work, "published_works.csv", roots, {}, wrong):
        if work.key in works:
            wrong.append(f"{path}: line {line}: there is a work {work.key!r} already.")
        if not work.key or (work.year and not (work.year.isascii() and work.year.isdecimal() and len(work.year) == 4)):
            wrong.append(f"{path}: line {line}: a work needs a key, and a year of four digits or none (got {work.year!r}).")
        works[work.key] = work
    _raise_all(wrong)
    return dict(sorted(works.items()))


def published_rows(roots: Sequence[Path] | None = None) -> tuple[PublishedRow, ...]:
    """The published values of every catalog root, in the files' order; what they mean is `check_published`'s to check.

    Parameters
    ----------
    roots : sequence of Path, optional
        Folders with ``baselines/published.csv`` in them, or without; by default the catalog's, private ones included.

    Raises
    ------
    InputError
        A file that is no such table, a word that is no choice, a number that is none, an unknown work, or an id given twice.
    """
    works = published_works(roots)
    seen: dict[str, PublishedRow] = {}
    wrong: list[str] = []
    for row, path, line in _lines(PublishedRow, "published.csv", roots, {"value": _number}, wrong):
        if row.id in seen or not row.id:
            wrong.append(f"{path}: line {line}: the id {row.id!r} is " + ("taken already." if row.id else "missing."))
        if row.paper not in works:
            wrong.append(f"{path}: line {line}: unknown work {row.paper!r}: {did_you_mean(row.paper, works)}")
        else:
            object.__setattr__(row, "year", int(works[row.paper].year) if works[row.paper].year else None)
        seen[row.id] = row
    _raise_all(wrong)
    return tuple(seen.values())


def published_curves(roots: Sequence[Path] | None = None) -> tuple[PublishedCurve, ...]:
    """The published cumulative error curves of every catalog root.

    Raises
    ------
    InputError
        As of `published_rows`, and a curve that falls or leaves 0 to 100.
    """
    readers = {"below": _number, "faces": _whole, "percent_within": lambda text: tuple(map(_number, text.split()))}
    curves = []
    wrong: list[str] = []
    for curve, path, line in _lines(PublishedCurve, "published_ced.csv", roots, readers, wrong):
        heights = curve.percent_within
        if len(heights) < 2 or list(heights) != sorted(heights) or heights[0] < 0 or heights[-1] > 100 or curve.below <= 0:
            wrong.append(f"{path}: line {line}: a curve rises from 0 to at most 100 percent over two points or more, up to below > 0.")
        curves.append(curve)
    _raise_all(wrong)
    return tuple(curves)


def _raise_all(wrong: list[str]) -> None:
    if wrong:
        raise InputError(*wrong)


def _lines(
    cls: type[T], name: str, roots: Sequence[Path] | None, readers: Mapping[str, Callable[[str], Any]], wrong: list[str]
) -> Iterator[tuple[T, Path, int]]:
    """The lines of ``baselines/<name>`` of every root as instances, with file and line number; `wrong` gets what is wrong with others."""
    columns = [f.name for f in fields(cls) if f.init]  # type: ignore[arg-type]
    own = {f.name for f in fields(cls) if not f.init}  # type: ignore[arg-type]
    choices = {k: get_args(hint) for k, hint in get_type_hints(cls).items() if get_origin(hint) is Literal}
    for root in catalog_roots() if roots is None else roots:
        path = root / "baselines" / name
        if not path.is_file():
            continue
        try:
            with path.open(encoding="utf-8", newline="") as file:
                table = csv.DictReader(file, strict=True)
                if sorted(table.fieldnames or ()) != sorted(columns):
                    odd = sorted(set(table.fieldnames or ()) ^ set(columns)) or ["a column twice"]
                    raise InputError(f"{path}: its columns must be {', '.join(columns)} (look at {', '.join(odd)}).")
                for cells in table:
                    line = table.line_num
                    if None in cells or None in cells.values():
                        wrong.append(f"{path}: line {line} has not {len(columns)} cells: a comma that is not in quotes?")
                        continue
                    where = f"{path}: line {line}"
                    before = len(wrong)
                    values: dict[str, Any] = dict(cells)
                    for key, read in readers.items():
                        try:
                            values[key] = read(cells[key])
                        except ValueError as error:
                            wrong.append(f"{where}: {error}.")
                    for key, words in choices.items():
                        if values[key] not in words:
                            wrong.append(f"{where}: {key} {values[key]!r}: {did_you_mean(values[key], words)}")
                    if len(wrong) > before:
                        continue
                    row = cls(**values)
                    for key, place in {"path": path, "line": line, "printed": cells.get("value", "")}.items():
                        if key in own:
                            object.__setattr__(row, key, place)
                    yield row, path, line
        except UnicodeDecodeError:
            raise InputError(f"{path}: not a text file in UTF-8.") from None
        except csv.Error as error:
            raise InputError(f"{path}: not a CSV file: {error}.") from None


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:
        raise ValueError(f"{text!r} is no number")
    return value


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise ValueError(f"{text!r} is no whole number")
    return int(text)
