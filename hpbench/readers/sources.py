"""Data roots: the files of folders and archives by relative name, read without unpacking.

Nothing outside a root is ever read: an archive whose member names climb out of it is refused, and so is a symbolic link
that leads out of its folder.  Sizes are checked before reading.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..catalog import DatasetCard
from ..errors import InputError, MissingDataError

__all__ = ["DataFile", "data_roots", "find_by_name", "how_to_obtain"]

MAX_DEPTH = 4  # folders between a root and a file
MAX_FILE_BYTES = 1 << 30

_DRIVE = re.compile(r"[A-Za-z]:")
# of the others, zipfile unpacks a block whole, however large it becomes; no official archive uses them
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class DataFile:
    """A file of a data root.

    Attributes
    ----------
    name : str
        What messages call it: a path, or ``archive.zip:member``.
    relative : PurePosixPath
        Path below its root.
    size : int
        Bytes.
    fetch : callable
        Returns the content; `InputError` where it cannot be read.
    """

    name: str
    relative: PurePosixPath
    size: int
    fetch: Callable[[], bytes]


def data_roots(card: DatasetCard, paths: list[Path]) -> list[DataFile]:
    """All files of the data roots; without `paths`, of ``$HPBENCH_DATA/<dataset id>``.

    An official archive (by the names on the card) lying in a folder is opened too.
    """
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
            files += [f for a in found if a.relative.name in card.archives for f in _zip_members(path / a.relative)]
        elif os.path.isfile(path):
            files += _zip_members(path)
        else:
            raise MissingDataError(f"{path}: there is no such folder or archive.\n{how_to_obtain(card)}")
    return files


def how_to_obtain(card: DatasetCard) -> str:
    """What to get, where, under which licence, and how it must lie: the end of every "no data" message."""
    return (
        f"{card.title}: {card.obtain.strip()}\n"
        f"Licence: {card.licence.strip()}\n"
        f"Layout: {card.layout.strip()}\n"
        f"Then: --data FOLDER_OR_ARCHIVE, or put it in $HPBENCH_DATA/{card.id}."
    )


def find_by_name(files: Iterable[DataFile], pattern: re.Pattern[str]) -> dict[str, DataFile]:
    """Files whose name (without its folders) matches, by name.

    The same name in two places is one file if the bytes are equal and an error otherwise.
    """
    found: dict[str, DataFile] = {}
    for file in files:
        name = file.relative.name
        if not pattern.fullmatch(name):
            continue
        other = found.setdefault(name, file)
        if other is not file and (other.size != file.size or other.fetch() != file.fetch()):
            raise InputError(f"{other.name} and {file.name} have one name and different content: which one is meant?")
    return found


def _walk(root: Path) -> list[DataFile]:
    files: list[DataFile] = []
    inside = root.resolve()

    def visit(folder: Path, depth: int) -> None:
        try:
            entries = sorted(os.scandir(folder), key=lambda e: e.name)
        except OSError as error:
            raise InputError(f"{folder}: the folder cannot be read ({error.strerror}).") from None
        for entry in entries:
            path = Path(entry.path)
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
                if depth < MAX_DEPTH and not entry.name.startswith(".") and not link:
                    visit(path, depth + 1)
            elif stat.S_ISREG(facts.st_mode):
                relative = PurePosixPath(path.relative_to(root).as_posix())
                files.append(DataFile(str(path), relative, facts.st_size, lambda path=path: _read_file(path)))  # type: ignore[misc]

    visit(root, 0)
    return files


def _read_file(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{path}: larger than {MAX_FILE_BYTES >> 30} GiB.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None


def _zip_members(path: Path) -> list[DataFile]:
    try:
        archive = zipfile.ZipFile(path)  # kept open: members are read when asked for; reads are locked inside
        members = archive.infolist()
    except Exception as error:  # zipfile raises a dozen kinds for damaged files
        raise InputError(f"{path}: not a zip archive that can be read ({error}): give a folder, or the official .zip.") from None
    files: list[DataFile] = []
    for member in members:
        relative = PurePosixPath(member.filename.replace("\\", "/"))
        if relative.is_absolute() or ".." in relative.parts or _DRIVE.match(str(relative)):
            raise InputError(f"{path}: member {member.filename!r} climbs out of the archive: this file is not to be trusted.")
        hidden = any(folder.startswith(".") for folder in relative.parts[:-1])
        if member.is_dir() or hidden or len(relative.parts) > MAX_DEPTH + 1:
            continue
        name = f"{path}:{member.filename if member.filename.isprintable() else ascii(member.filename)}"
        files.append(DataFile(name, relative, member.file_size, lambda member=member, name=name: _read_member(archive, member, name)))  # type: ignore[misc]
    return files


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> bytes:
    if member.file_size > MAX_FILE_BYTES:
        raise InputError(f"{name}: claims {member.file_size} bytes, more than {MAX_FILE_BYTES >> 30} GiB.")
    if member.compress_type not in _COMPRESSIONS:
        raise InputError(f"{name}: compressed by a method that is not read here: unpack the archive and give the folder.")
    try:
        with archive.open(member) as file:
            return file.read(member.file_size)
    except Exception as error:  # zlib.error, struct.error, EOFError ... are no OSError
        reason = str(error)[:100] or type(error).__name__
        raise InputError(f"{name}: cannot be read from the archive ({reason}).") from None
