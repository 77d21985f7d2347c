"""A folder of reports: an overview, a page a dataset, figures with the data in them.

What is written follows from the records and the published rows alone: the same input gives the same bytes, but for the pixels of
figures, which differ between versions of matplotlib.  So a figure lies beside its data (JSON), and those are compared.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..atomic import write_atomic
from ..catalog import dataset_card
from ..catalog.published import PublishedCurve, PublishedRow
from ..errors import HpbenchError, InputError
from ..leaderboard import Board, FoundRecord, boards, find_score
from ..readers import Dataset, load
from ..speed import SpeedRecord
from .board_tables import board_markdown, lead_cell
from .cells import count_text, escape, percent_text, score_text, speed_text
from .figures import Measured, Picture, figures_of_records, measured, published_curve_figures, published_figures
from .figures.speeds import speed_figure
from .overview import overview_text
from .speed import by_hardware, speed_markdown

__all__ = ["FigureFormat", "Report", "leads_markdown", "report_of"]

FigureFormat = Literal["svg", "png", "pdf"]
_FIGURES = "figures"
_INDEX = "README.md"
_MARKER = "<!-- hpbench report: "  # and the names of its pages
_PAGE = re.compile(r"[A-Za-z0-9-]+\.md")
_HALF = re.compile(r"\..+\.(json|svg|png|pdf)\.\d+\.tmp")  # `hpbench.atomic`


@dataclass(frozen=True)
class Report:
    """Pages and figures of a report.

    Attributes
    ----------
    pages : mapping of str to str
        Markdown by file name.
    pictures : tuple of Picture
    suffix : str
        Of the figures.
    remarks : tuple of str
        What was left out, and why.
    dataset : str
        The only one that it is of.
    """

    pages: Mapping[str, str]
    pictures: tuple[Picture, ...]
    suffix: FigureFormat
    remarks: tuple[str, ...]
    dataset: str = ""

    def write(self, folder: Path) -> list[str]:
        """Write what differs from what is there, and remove pages and figures of an earlier report; the names of all.

        Raises
        ------
        InputError
            The folder holds something else, or a report of more data sets.
        """
        changed = self.differences(folder)
        # figures before their data, so that one that was not drawn is drawn by the next call
        for picture in self.pictures:
            if self._drawn(picture) in changed:
                (folder / _FIGURES).mkdir(parents=True, exist_ok=True)
                picture.save(folder / self._drawn(picture))
        stale = self._stale(folder)
        for name, text in self._texts(folder).items():
            if name in changed:
                write_atomic(folder / name, text)
        for name in stale:
            (folder / name).unlink()
        return changed

    def differences(self, folder: Path) -> list[str]:
        """Files that are missing in a folder, differ, or are of an earlier report; a figure differs when its data does."""
        more = set(_pages_before(folder)) - set(self.pages)
        if self.dataset and more:
            raise InputError(f"{folder}: holds a report of other data sets too ({', '.join(sorted(more))}): give another folder with -o.")
        found = []
        for name, text in self._texts(folder).items():
            path = folder / name
            if not path.is_file() or path.read_bytes() != text.encode():
                found.append(name)
        drawn = [self._drawn(p) for p in self.pictures if self._data(p) in found or not (folder / self._drawn(p)).is_file()]
        return [*found, *drawn, *self._stale(folder)]

    def _texts(self, folder: Path) -> dict[str, str]:
        index = self.pages[_INDEX] + _neighbours(folder, {*self.pages, *_pages_before(folder)})
        index += f"\n{_MARKER}{' '.join(sorted(self.pages))} -->\n"
        return {**self.pages, _INDEX: index, **{self._data(p): p.data for p in self.pictures}}

    def _drawn(self, picture: Picture) -> str:
        return f"{_FIGURES}/{picture.name}.{self.suffix}"

    @staticmethod
    def _data(picture: Picture) -> str:
        return f"{_FIGURES}/{picture.name}.json"

    def _stale(self, folder: Path) -> list[str]:
        """Pages of an earlier report, figures with their data, and halves of a writing that was killed, that are not ours any more."""
        ours = {self._data(p) for p in self.pictures} | {self._drawn(p) for p in self.pictures} | set(self.pages)
        kept = [p for p in sorted((folder / _FIGURES).glob("*.json")) if _is_of_a_figure(p)]
        there = [f"{_FIGURES}/{p.with_suffix(s).name}" for p in kept for s in (".json", ".svg", ".png", ".pdf")]
        halves = [f"{_FIGURES}/{p.name}" for p in sorted((folder / _FIGURES).glob(".*.tmp")) if _HALF.fullmatch(p.name)]
        return [name for name in (*_pages_before(folder), *there, *halves) if name not in ours and (folder / name).is_file()]


def report_of(
    found: Sequence[FoundRecord],
    *,
    dataset: str = "",
    published: Sequence[PublishedRow] = (),
    curves: Sequence[PublishedCurve] = (),
    speeds: Sequence[SpeedRecord] = (),
    suffix: FigureFormat = "svg",
) -> Report:
    """The report of some records, and of what is published beside them.

    Parameters
    ----------
    found : sequence of FoundRecord
        `hpbench.beside.collect_found`.
    dataset : str
        Only of this one.
    published, curves : sequence
        None of them if left out.
    speeds : sequence of SpeedRecord
        What `hpbench bench` measured: a page of its own.

    Raises
    ------
    InputError
        Nothing to show.
    """
    built, remarks = boards(found, dataset, "", published=published)
    if not built:
        raise InputError(f"there is no record{f' of {dataset}' if dataset else ''} to report on: give files or folders of records.")
    runs, missing = _measured(built)
    pictures, skipped = figures_of_records(runs, curves=curves, rows=published)
    shown = {board.protocol.dataset for board in built}
    drawn = {run.record.protocol.id for run in runs}
    pictures += published_curve_figures([c for c in curves if c.protocol_id not in drawn and c.protocol_id.partition("/")[0] in shown])
    pictures += published_figures([row for row in published if row.dataset in shown])
    by_dataset: dict[str, list[Board]] = {}
    for board in built:
        by_dataset.setdefault(board.protocol.dataset, []).append(board)
    ours: dict[str, list[Picture]] = {name: [] for name in by_dataset}
    for picture in pictures:
        ours[_dataset_of(picture, ours)].append(picture)
    pages = {f"{name}.md": _page(name, of, ours[name], suffix) for name, of in sorted(by_dataset.items())}
    if speeds:
        pages["speed.md"], drawn_speeds = _speed_page(speeds, pictures, suffix)
        pictures += drawn_speeds
    index = {_INDEX: _index(built, speeds=bool(speeds))}
    return Report({**index, **pages}, tuple(pictures), suffix, (*remarks, *missing, *skipped), dataset)


def _measured(built: Sequence[Board]) -> tuple[list[Measured], list[str]]:
    """The ranked records with the errors beside them and, where the data set is at hand, its labels; best first."""
    runs, told = [], []
    data: dict[str, Dataset | None] = {}
    for board in built:
        name = board.protocol.dataset
        if board.rows and name not in data:
            try:
                data[name] = load(name)
            except HpbenchError:
                data[name] = None
        for row in board.rows:
            if row.path is None or row.rank is None or not row.path.with_suffix(".errors.npz").is_file():
                continue
            try:
                runs.append(replace(measured(row.path, data[name]), speed=row.speed))
            except InputError as error:
                told.append(f"{board.protocol.reference}: {row.title} is not drawn: {error}")
    return runs, told


def _dataset_of(picture: Picture, names: Mapping[str, object]) -> str:
    """Names of pictures begin with a dataset's, those of the years with ``years.`` before it; one may begin another."""
    text = picture.name.removeprefix("years.").removeprefix("published.")
    return max((n for n in names if text.startswith((f"{n}.", f"{n}-"))), key=len)


# ------------------------------------------------------------------------------------------------- pages


def _speed_page(speeds: Sequence[SpeedRecord], pictures: Sequence[Picture], suffix: FigureFormat) -> tuple[str, list[Picture]]:
    """The page and its figures; figures of accuracy against speed are linked where they are of the same machine."""
    drawn, shown, more = [], {}, {}
    for number, (hardware, of) in enumerate(by_hardware(speeds).items(), 1):
        picture = speed_figure(of, name=f"speed.{number}")
        drawn.append(picture)
        shown[hardware] = _figure(picture, suffix)
        beside = [p for p in pictures if "accuracy-against-speed" in p.name and str(p.table[0]["hardware"]).startswith(hardware)]
        more[hardware] = [f"[{p.title.partition(':')[0]}]({_FIGURES}/{p.name}.{suffix})" for p in beside]
    return speed_markdown(speeds, shown, more), drawn


def _index(built: Sequence[Board], *, speeds: bool) -> str:
    """How to read it, who leads where something was measured, everything at a glance."""
    lines = [
        "# Reports",
        "Written by `hpbench report`; do not edit. A board is a protocol: a list of faces, labels, an Euler convention or a normalisation, "
        "and what a failed face costs (`hpbench protocols show` says it all). Measured models are ranked by paired tests over the same "
        "faces. Published values stand beside them and are never ranked with them: **yes** says that the value was made by the same "
        "protocol, **no** that it was not, **unknown** that its source does not say; each row of a board gives the reason.",
    ]
    if any(row.rank is not None for board in built for row in board.rows):
        lines += ["## Who leads, and is the lead real?", leads_markdown(built)]
    if speeds:
        lines += ["How fast the models are: [speed](speed.md)."]
    return "\n\n".join([*lines, "## All boards", overview_text(built, "markdown", link=_link)]) + "\n"


def _link(board: Board) -> str:
    return f"{board.protocol.dataset}.md#{_anchor(board)}"


def _anchor(board: Board) -> str:
    """As a heading's own anchor would be, but known: dots and slashes go."""
    return board.protocol.reference.replace("/", "-").replace("@", "-")


def leads_markdown(built: Sequence[Board], folder: str = "") -> str:
    """The first of every board that something was measured on, and whether its lead is real; links go to the report in `folder`."""
    from tabulate import tabulate

    rows = []
    for board in built:
        first = next((row for row in board.rows if row.rank is not None), None)
        if first is None:
            continue
        score = find_score(first.record, board.protocol.main)
        shown = [first.title, f"{score_text(score, interval=True)} {score.unit if score else ''}", percent_text(first.record.coverage)]
        shown += [speed_text(first.speed), count_text(first.parameters), lead_cell(board)]
        rows.append([f"[{board.protocol.reference}]({folder}{_link(board)})", escape(board.protocol.main), *map(escape, shown)])
    columns = ["board", "metric", "first", "score", "coverage", "images/s", "parameters", "is the lead real?"]
    return tabulate(rows, columns, tablefmt="github", disable_numparse=True)


def _page(name: str, of: Sequence[Board], pictures: Sequence[Picture], suffix: FigureFormat) -> str:
    card = dataset_card(name)
    parts = [f"# {card.title}", f"[All reports]({_INDEX})"]
    for board in of:
        parts += [f'<a id="{_anchor(board)}"></a>', board_markdown(board, level=2, verdicts=_verdicts(board))]
        parts += [_figure(p, suffix) for p in pictures if _shown_with(p, board)]
    left = [p for p in pictures if not any(_shown_with(p, board) for board in of)]
    if left:
        parts += ["## Figures", *(_figure(p, suffix) for p in left)]
    return "\n\n".join(parts) + "\n"


def _shown_with(picture: Picture, board: Board) -> bool:
    """By their names, those of published values with a word before it."""
    of = board.protocol.id.replace("/", ".")
    return picture.name.startswith((f"{of}.", f"published.{of}.", f"years.{of}-"))


def _figure(picture: Picture, suffix: FigureFormat) -> str:
    path = f"{_FIGURES}/{picture.name}.{suffix}"
    shown = f"[{escape(picture.title)}]({path})" if suffix == "pdf" else f"![{escape(picture.caption)}]({path})"
    return f"{shown}\n\n{escape(picture.caption)} [The numbers]({_FIGURES}/{picture.name}.json)."


def _verdicts(board: Board) -> str:
    """How many published results compare, and what keeps the others from it."""
    if not board.published:
        return ""
    counts = Counter(line.comparable for line in board.published)
    reasons = Counter((line.comparable, line.reason) for line in board.published if line.comparable != "yes")
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("yes", "unknown", "no") if counts[verdict])
    lines = [f"Comparable, of {len(board.published)} published lines: {told}."]
    if reasons:
        lines += ["Why the others are not:", "\n".join(f"- {n} × {v}: {escape(reason)}" for (v, reason), n in reasons.most_common())]
    return "\n\n".join(lines)


def _pages_before(folder: Path) -> list[str]:
    """The pages that an earlier report says it wrote; `InputError` where the folder's index is somebody else's."""
    if (folder / _FIGURES).is_symlink():
        raise InputError(f"{folder / _FIGURES}: is a link: give a folder of its own with -o.")
    index = folder / _INDEX
    if not index.is_file():
        return []
    _, marker, names = index.read_text(encoding="utf-8", errors="replace").rpartition(_MARKER)
    if not marker:
        raise InputError(f"{index}: is no report of hpbench, and would be lost: give another folder with -o.")
    return [name for name in names.partition("-->")[0].split() if _PAGE.fullmatch(name)]


def _is_of_a_figure(path: Path) -> bool:
    """Whether a JSON file is the data of a figure of its name."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and data.get("name") == path.stem and "table" in data


def _neighbours(folder: Path, ours: Collection[str]) -> str:
    """Links to the other reports of the folder, by their first heading."""
    found = []
    for path in sorted(folder.glob("*.md")):
        if path.name in ours:
            continue
        with path.open(encoding="utf-8", errors="replace") as file:
            heading = next((line[2:].strip() for line in file if line.startswith("# ")), path.stem)
        found.append(f"- [{heading}]({path.name})")
    return "\n## More\n\n" + "\n".join(found) + "\n" if found else ""
