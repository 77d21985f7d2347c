"""Files of strangers: an archive or folder that holds the files of a submission and nothing else, none of them larger than it says."""

from __future__ import annotations

import math
import os
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from ..untrusted import check_hdf5
from .manifest import LEVEL, MANIFEST, Manifest, is_known, read_manifest

__all__ = ["MAX_BYTES", "MAX_FILES", "check_arrays", "opened"]

MAX_FILES = 500
MAX_BYTES = 1 << 30  # of all files together, unpacked
_MAX_ERRORS_BYTES = 256 << 20  # of one file of per-face errors, unpacked
_CHUNK = 1 << 20
_FOLDERS = ("records", "predictions")
# of the others, zipfile unpacks a block whole, however large it becomes
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Path, Manifest]]:
    """The folder of a submission, unpacked for the time being where it is an archive, and its manifest.

    The files are those that the manifest names; whether they are the ones that were packed is for their hashes to say.

    Raises
    ------
    InputError
        Not an archive, damaged, encrypted, too large, with links, with names twice, with names no submission has, or with other files
        than the manifest names.
    """
    if path.is_dir():
        yield path, _manifest(path, _names_below(path), path)
    elif path.is_file():
        with tempfile.TemporaryDirectory() as folder:
            names = _unpack(path, Path(folder))
            yield Path(folder), _manifest(Path(folder), names, path)
    else:
        raise InputError(f"{path}: there is no such archive or folder.")


def _manifest(folder: Path, names: set[str], path: Path) -> Manifest:
    if MANIFEST not in names:
        raise InputError(f"{path}: no submission, it has no {MANIFEST}: `hpbench pack` makes one of an output folder.")
    try:
        manifest = read_manifest(folder / MANIFEST)
    except InputError as error:
        raise InputError(str(error).replace(str(folder), str(path))) from None
    odd = names.symmetric_difference({*manifest.files, MANIFEST}) - {LEVEL}
    if odd:
        name = min(odd)
        where = "is not there, but in the manifest" if name in manifest.files else "is not in the manifest"
        raise InputError(f"{path}: {name} {where}.")
    return manifest


def _checked(name: str, path: Path) -> str:
    if not is_known(name):
        shown = name if name.isprintable() else ascii(name)
        raise InputError(f"{path}: {shown:.120} is no file of a submission: was it made by `hpbench pack`, and nothing added?")
    return name


def _names_below(folder: Path) -> set[str]:
    names: set[str] = set()
    size = 0
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            relative = Path(place, name).relative_to(folder).as_posix()
            facts = Path(place, name).lstat()
            if stat.S_ISDIR(facts.st_mode) and relative in _FOLDERS:
                continue
            if not stat.S_ISREG(facts.st_mode):
                raise InputError(f"{folder}: {relative} is a link, a folder or a device, not a file of a submission.")
            names.add(_checked(relative, folder))
            size += facts.st_size
            if len(names) > MAX_FILES or size > MAX_BYTES:
                raise InputError(f"{folder}: more than {MAX_FILES} files or {MAX_BYTES >> 20} MiB is too much for a submission.")
    return names


def _unpack(path: Path, folder: Path) -> set[str]:
    """Unpack into an empty folder; the names of the files."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path)
            for member in members:
                _extract(archive, member, folder, path)
    except InputError:
        raise
    except Exception as error:  # zipfile and zlib raise a dozen kinds for damaged files
        raise InputError(f"{path}: not an archive that can be read: truncated? ({str(error)[:100]})") from None
    return {member.filename for member in members}


def _members(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    """The files in an archive, looked at before anything is written."""
    members: list[zipfile.ZipInfo] = []
    seen: set[str] = set()
    for entry in archive.infolist():
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.is_dir() and entry.filename.rstrip("/") in _FOLDERS and kind in (0, stat.S_IFDIR):
            continue
        name = _checked(entry.filename, path)
        if entry.orig_filename != name or name.casefold() in seen:
            raise InputError(f"{path}: {name} stands in it twice, or under two names.")
        if kind not in (0, stat.S_IFREG):
            raise InputError(f"{path}: {name} is a link or a device, not a file.")
        if entry.flag_bits & 1 or entry.compress_type not in _COMPRESSIONS:
            raise InputError(f"{path}: {name} is encrypted or packed in an unusual way.")
        seen.add(name.casefold())
        members.append(entry)
        if len(members) > MAX_FILES or sum(m.file_size for m in members) > MAX_BYTES:
            raise InputError(f"{path}: more than {MAX_FILES} files or {MAX_BYTES >> 20} MiB unpacked is too much for a submission.")
    return members


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, path: Path) -> None:
    target = folder / member.filename  # a known name: nothing in it climbs
    target.parent.mkdir(exist_ok=True)
    left = member.file_size
    with archive.open(member) as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise InputError(f"{path}: {member.filename} is larger than the archive says.")
            file.write(chunk)
    if left:
        raise InputError(f"{path}: {member.filename} is shorter than the archive says: truncated?")


def check_arrays(errors: Path, predictions: Path) -> None:
    """Before they are read into memory: arrays that take no more of it than `hpbench pack` writes.

    Raises
    ------
    InputError
        Per-face errors that become huge when unpacked; predictions that are packed, or claim more than their file holds.
    """
    import h5py

    try:
        with zipfile.ZipFile(errors) as archive:
            entries = archive.infolist()
    except Exception as error:
        raise InputError(f"{errors}: cannot be read ({str(error)[:100]}).") from None
    if sum(e.file_size for e in entries) > _MAX_ERRORS_BYTES or any(e.compress_type not in _COMPRESSIONS for e in entries):
        raise InputError(f"{errors}: more than {_MAX_ERRORS_BYTES >> 20} MiB of per-face errors, or packed in an unusual way.")
    check_hdf5(predictions)
    try:
        with h5py.File(predictions, "r") as file:
            items = [file.get(name, getclass=True, getlink=True) for name in file]
            arrays = [file[name] for name, kind in zip(file, items, strict=True) if kind is h5py.HardLink]
            plain = len(arrays) == len(items) and all(isinstance(a, h5py.Dataset) and _is_plain(a) for a in arrays)
            claimed = sum(math.prod(a.shape) * a.dtype.itemsize for a in arrays) if plain else 0
    except Exception as error:
        raise InputError(f"{predictions}: cannot be read as HDF5 ({str(error)[:100]}).") from None
    if not plain or claimed > predictions.stat().st_size:
        raise InputError(f"{predictions}: its arrays are not those of `hpbench pack`, which are whole, plain and in the file.")


def _is_plain(array: object) -> bool:
    import h5py

    assert isinstance(array, h5py.Dataset)
    text = h5py.check_string_dtype(array.dtype)
    return array.shape is not None and array.chunks is None and not array.external and not array.is_virtual and (
        array.dtype.kind in "fui" if text is None else text.length is not None
    )  # fmt: skip
