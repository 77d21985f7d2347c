"""Archives read without unpacking: .zip, .tar, .tar.gz.

A member whose name climbs out of the archive refuses the whole archive.  A compressed tar cannot be read at a place of
one's choice: its members are kept in memory, up to `MAX_TAR_BYTES`; a larger one must be unpacked by the user.
"""

from __future__ import annotations

import os
import re
import tarfile
import threading
import zipfile
from pathlib import Path, PurePosixPath

from ...errors import InputError
from ...untrusted import is_bomb_in
from .datafile import MAX_DEPTH, MAX_FILE_BYTES, DataFile, stamp_of

__all__ = ["archive_members"]

MAX_TAR_BYTES = 512 << 20
MAX_MEMBERS = 200_000

_PART = re.compile(r".*\.(zip\.\d{3}|z\d{2})", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")
# of the others, zipfile unpacks a block whole, however large it becomes; no official archive uses them
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def archive_members(path: Path) -> list[DataFile]:
    """The files of an archive; `InputError` naming it where it cannot be read or is not to be trusted."""
    if _PART.fullmatch(path.name):
        raise InputError(f"{path}: one part of a split archive: join all its parts to one file first, in their order.")
    try:
        is_tar = not zipfile.is_zipfile(path) and tarfile.is_tarfile(path)
    except Exception as error:  # what a damaged file makes of a guess
        raise InputError(f"{path}: not an archive that can be read ({error}).") from None
    return _tar_members(path) if is_tar else _zip_members(path)


def _is_wanted(member: str, path: Path) -> PurePosixPath | None:
    """The relative path of a member; None for one that is passed over."""
    relative = PurePosixPath(member.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts or _DRIVE.match(str(relative)):
        raise InputError(f"{path}: member {member!r} climbs out of the archive: this file is not to be trusted.")
    hidden = any(folder.startswith(".") for folder in relative.parts[:-1])
    return None if hidden or len(relative.parts) > MAX_DEPTH + 1 else relative


def _label(path: Path, member: str) -> str:
    return f"{path}:{member if member.isprintable() else ascii(member)}"


def _zip_members(path: Path) -> list[DataFile]:
    try:
        archive = zipfile.ZipFile(path)  # kept open: members are read when asked for; reads are locked inside
        members = archive.infolist()
    except Exception as error:  # zipfile raises a dozen kinds for damaged files
        raise InputError(f"{path}: not a zip archive that can be read ({error}): give a folder, or the official .zip.") from None
    files: list[DataFile] = []
    facts = os.stat(path)
    stamp = stamp_of(facts)
    for member in members:
        relative = _is_wanted(member.filename, path)
        if relative is None or not member.filename or member.is_dir():
            continue
        name = _label(path, member.filename)
        fetch = lambda member=member, name=name: _read_member(archive, facts.st_size, member, name)  # noqa: E731
        files.append(DataFile(name, str(relative), member.file_size, fetch, f"{stamp}.{member.header_offset}"))
    return files


def _read_member(archive: zipfile.ZipFile, archive_bytes: int, member: zipfile.ZipInfo, name: str) -> bytes:
    if member.file_size > MAX_FILE_BYTES:
        raise InputError(f"{name}: claims {member.file_size} bytes, more than {MAX_FILE_BYTES >> 30} GiB.")
    if is_bomb_in(archive_bytes, member):
        raise InputError(f"{name}: claims that {member.compress_size} bytes unpack to {member.file_size}: damaged, or not to be trusted.")
    if member.compress_type not in _COMPRESSIONS:
        raise InputError(f"{name}: compressed by a method that is not read here: unpack the archive and give the folder.")
    try:
        with archive.open(member) as file:
            return file.read(member.file_size)
    except Exception as error:  # zlib.error, struct.error, EOFError ... are no OSError
        reason = str(error)[:100] or type(error).__name__
        raise InputError(f"{name}: cannot be read from the archive ({reason}).") from None


def _tar_members(path: Path) -> list[DataFile]:
    archive = _Tar(path)
    files: list[DataFile] = []
    for name, (_, size) in archive.places.items():
        relative = _is_wanted(name, path)
        if relative is not None:
            fetch = lambda name=name: archive.read(name)  # noqa: E731
            files.append(DataFile(_label(path, name), str(relative), size, fetch, f"{archive.stamp}.{name}"))
    return files


class _Tar:
    """Regular members of a tar by name: where their bytes lie in the file (plain), or the bytes (compressed)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stamp = stamp_of(os.stat(path))
        self.places: dict[str, tuple[int, int]] = {}
        self._content: dict[str, bytes] = {}
        self._lock = threading.Lock()
        try:
            with tarfile.open(path, "r|*") as probe:  # a stream: it never seeks, so it cannot be led in circles
                plain = _is_plain(path)
                total = 0
                for member in probe:
                    if member.islnk():
                        raise InputError(f"{path}: member {member.name!r:.100} is a link to another: unpack it and give the folder.")
                    if not member.isreg():
                        continue
                    if member.name in self.places:
                        raise InputError(f"{path}: member {member.name!r:.100} stands twice in it: which one is meant?")
                    if len(self.places) >= MAX_MEMBERS:
                        raise InputError(f"{path}: more than {MAX_MEMBERS} files: unpack it and give the folder.")
                    total += member.size
                    if not plain and total > MAX_TAR_BYTES:
                        raise InputError(f"{path}: unpacks to more than {MAX_TAR_BYTES >> 20} MiB: unpack it and give the folder.")
                    self.places[member.name] = (member.offset_data, member.size)
                    if not plain and _is_wanted(member.name, path) is not None:
                        extracted = probe.extractfile(member)
                        self._content[member.name] = extracted.read() if extracted else b""
        except InputError:
            raise
        except Exception as error:  # tarfile, zlib, lzma and EOF errors of a damaged file
            raise InputError(f"{path}: not a tar archive that can be read ({str(error)[:100]}).") from None

    def read(self, name: str) -> bytes:
        if name in self._content:
            return self._content[name]
        offset, size = self.places[name]
        if size > MAX_FILE_BYTES:
            raise InputError(f"{self.path}:{name}: claims {size} bytes, more than {MAX_FILE_BYTES >> 30} GiB.")
        try:
            with self._lock, self.path.open("rb") as file:
                file.seek(offset)
                data = file.read(size)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror}).") from None
        if len(data) < size:
            raise InputError(f"{self.path}:{name}: the archive is truncated.")
        return data


def _is_plain(path: Path) -> bool:
    """Whether a tar is not compressed: then its header magic stands at byte 257."""
    with path.open("rb") as file:
        return file.read(262)[257:262] == b"ustar"
