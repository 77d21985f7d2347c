"""Data roots: the files of folders and archives by relative name, read without unpacking.

Nothing outside a root is ever read: an archive whose member names climb out of it is refused, and so is a symbolic link
that leads out of its folder.  Sizes are checked before reading.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from ...catalog import DatasetCard
from ...errors import InputError, MissingDataError
from .archives import archive_members
from .datafile import MAX_DEPTH, MAX_FILE_BYTES, DataFile, stamp_of

__all__ = ["DataFile", "data_roots", "find_by_key", "find_by_name", "how_to_obtain"]


def data_roots(card: DatasetCard, paths: list[Path]) -> list[DataFile]:
    """All files of the data roots; without `paths`, of the data that come with the card, or of ``$HPBENCH_DATA/<dataset id>``.

    An official archive (by the names on the card) lying in a folder is opened too.
    """
    if not paths:
        paths = [card.folder / name for name in card.embedded]
    if not paths:
        home = os.environ.get("HPBENCH_DATA", "")
        if not home:
            raise MissingDataError(f"no data for {card.id}: give --data PATH or set HPBENCH_DATA.\n{how_to_obtain(card)}")
        paths = [Path(os.path.expanduser(home)) / card.id]
    files: list[DataFile] = []
    for path in paths:
        if os.path.isdir(path):  # False, where Path.is_dir raises, for a folder that may not be entered
            found = _walk(path)
            files += found
            official = [a for a in found if any(fnmatchcase(a.file_name, name) for name in card.archives)]
            files += [f for a in official for f in archive_members(path / a.relative)]
        elif os.path.isfile(path):
            files += archive_members(path)
        else:
            raise MissingDataError(f"{path}: there is no such folder or archive.\n{how_to_obtain(card)}")
    return files


def how_to_obtain(card: DatasetCard) -> str:
    """What to get, where, under which licence, and how it must lie: the end of every "no data" message."""
    then = "" if card.embedded else f"\nThen: --data FOLDER_OR_ARCHIVE, or put it in $HPBENCH_DATA/{card.id}."
    return f"{card.title}: {card.obtain.strip()}\nLicence: {card.licence.strip()}\nLayout: {card.layout.strip()}{then}"


def find_by_name(files: Iterable[DataFile], pattern: re.Pattern[str]) -> dict[str, DataFile]:
    """Files whose name (without its folders) matches, by name.

    The same name in two places is one file if the bytes are equal and an error otherwise.
    """
    return find_by_key((file.file_name, file) for file in files if pattern.fullmatch(file.file_name))


def find_by_key(keyed: Iterable[tuple[str, DataFile]]) -> dict[str, DataFile]:
    """Files by whatever a reader knows them by; one key for two files is an error unless their bytes are equal."""
    found: dict[str, DataFile] = {}
    for key, file in keyed:
        other = found.setdefault(key, file)
        if other is not file and (other.size != file.size or other.fetch() != file.fetch()):
            raise InputError(f"{other.name} and {file.name} have one name and different content: which one is meant?")
    return found


def _walk(root: Path) -> list[DataFile]:
    files: list[DataFile] = []
    inside = root.resolve()

    def visit(folder: Path, above: str, depth: int) -> None:
        try:
            entries = sorted(os.scandir(folder), key=lambda e: e.name)
        except OSError as error:
            raise InputError(f"{folder}: the folder cannot be read ({error.strerror}).") from None
        shown = "" if str(folder) == "." else os.path.join(folder, "")
        for entry in entries:  # tens of thousands: text is joined here, a Path each would take most of the time
            path = shown + entry.name
            link = entry.is_symlink()
            if link and not Path(os.path.realpath(path)).is_relative_to(inside):
                raise InputError(f"{path}: a symbolic link that leads out of {root}: give its target with --data instead.")
            try:
                facts = entry.stat()
            except OSError as error:
                if link:  # to nothing, or in a circle
                    continue
                raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
            if stat.S_ISDIR(facts.st_mode):
                # a link to a folder inside the root is a second way to files that are found anyway
                if depth < MAX_DEPTH and not entry.name.startswith(".") and not link:
                    visit(folder / entry.name, f"{above}{entry.name}/", depth + 1)
            elif stat.S_ISREG(facts.st_mode):
                files.append(DataFile(path, above + entry.name, facts.st_size, partial(_read_file, path), stamp_of(facts)))

    visit(root, "", 0)
    return files


def _read_file(path: str) -> bytes:
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))  # half the time of open() for a small file
        try:
            size = os.fstat(file).st_size
            if size > MAX_FILE_BYTES:
                raise InputError(f"{path}: larger than {MAX_FILE_BYTES >> 30} GiB.")
            data = os.read(file, size + 1)
            while len(data) < size and (more := os.read(file, size + 1 - len(data))):
                data += more
            return data
        finally:
            os.close(file)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
