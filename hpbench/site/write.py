"""The folder of a site: what was written last is known, so that stale pages go and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ..atomic import write_atomic
from ..errors import InputError
from ..leaderboard import Board, FoundRecord, Row, boards
from .assets import environment, page_name, slug
from .pages import board_page, index_page, record_page

__all__ = ["MARKER", "site_files", "write_site"]

MARKER = ".hpbench-site"
_SCHEMA = 1


def write_site(
    found: Sequence[FoundRecord], out: Path, *, dataset: str = "", published: bool = True, title: str = "hpbench"
) -> tuple[list[str], list[str]]:
    """Write the boards of records and of published values as a site of static pages.

    Parameters
    ----------
    found : sequence of FoundRecord
        `hpbench.beside.collect_found`.
    out : Path
        A new or empty folder, or one of an earlier site; pages of that which are no longer wanted are removed.
    dataset : str
        Boards of this one only.
    published : bool
        With the catalog's published values.

    Returns
    -------
    written : list of str
        Names below `out`, in order.
    remarks : list of str
        Records and published rows that fit no board.

    Raises
    ------
    InputError
        `out` holds what is no site, or cannot be written.
    """
    from ..catalog.published import published_rows

    before = _written_before(out)
    rows = published_rows() if published else ()
    rows = tuple(row for row in rows if dataset in ("", row.dataset))
    built, remarks = boards(found, dataset, published=rows)
    files = site_files(built, title=title, without_board=sum(row.canonical and not (row.protocol_id and row.metric) for row in rows))
    _note(out, {*before, *files})  # a writing that is cut short leaves a folder that can be written again
    for name, text in files.items():
        write_atomic(out / name, text)
    for name in sorted({*before} - {*files}):
        with suppress(FileNotFoundError):
            (out / name).unlink()
    _note(out, set(files))
    return sorted(files), remarks


def site_files(built: Sequence[Board], *, title: str = "hpbench", without_board: int = 0) -> dict[str, str]:
    """Every file of a site by its name.

    Parameters
    ----------
    built : sequence of Board
    without_board : int
        Published values that no protocol asks for: a number on the index.
    """
    templates = environment()
    page_of = _record_pages(built)
    files = {"index.html": index_page(templates, built, page_of, title, without_board)}
    for board in built:
        name = f"{page_name(board.protocol.reference)}.html"
        files[name] = board_page(templates, board, page_of, title)
        for row in board.rows:
            files[f"records/{page_of(row)}.html"] = record_page(templates, board, row, page_of, title)
            files[f"records/{page_of(row)}.json"] = row.record.to_json()
    return files


def _record_pages(built: Sequence[Board]) -> Callable[[Row], str]:
    """Names of the records' pages, without suffix; found by the row itself, since records hold dictionaries and have no hash."""
    names: dict[int, str] = {}
    for board in built:
        taken: set[str] = set()
        for row in board.rows:
            name = first = f"{page_name(board.protocol.reference)}.{slug(row.title)}"
            while name in taken:
                name = f"{first}-{len(taken) + 1}"
            taken.add(name)
            names[id(row)] = name
    return lambda row: names[id(row)]


def _note(out: Path, names: set[str]) -> None:
    write_atomic(out / MARKER, json.dumps({"hpbench-site": _SCHEMA, "files": sorted(names)}, indent=1) + "\n")


def _written_before(out: Path) -> list[str]:
    """What the last writing left; `InputError` where the folder is another's."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: a site is a folder, and this is a file.")
    if not out.is_dir() or not any(out.iterdir()):
        return []
    marker = out / MARKER
    if not marker.is_file():
        raise InputError(f"{out}: the folder is not empty and holds no site of hpbench: give a new one.")
    try:
        noted = json.loads(marker.read_text(encoding="utf-8"))
        names = [str(name) for name in noted["files"]]
        known = isinstance(noted["files"], list) and noted["hpbench-site"] == _SCHEMA
    except (OSError, ValueError, KeyError, TypeError):
        known, names = False, []
    if not known:
        raise InputError(f"{marker}: does not say what hpbench wrote: damaged? Give a new folder.")
    return [name for name in names if _is_below(out, name)]


def _is_below(out: Path, name: str) -> bool:
    """Whether a name of the marker, which anybody may have edited, is a page or a record in the folder itself."""
    path = PurePosixPath(name)
    ours = path.suffix in (".html", ".json") and path.parent in (PurePosixPath(), PurePosixPath("records")) and "\\" not in name
    return ours and not (out / name).parent.is_symlink() and name == path.as_posix()
