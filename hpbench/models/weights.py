"""Locating weight files and making sure that they are the right ones.

A file is read once and hashed as read: the bytes that were checked are the bytes that are loaded.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cache import cache_folder
from ..errors import InputError, MissingDataError

__all__ = ["WeightFile", "combined_sha256", "find_weights"]


@dataclass(frozen=True)
class WeightFile:
    """A weight file that was found and whose hash is right."""

    path: Path
    data: bytes
    sha256: str


def find_weights(
    files: Sequence[str],
    sha256: Sequence[str],
    *,
    model_id: str,
    weights: Path | None = None,
    card_folder: Path | None = None,
    obtain: str = "",
    licence: str = "",
) -> list[WeightFile]:
    """Find, read and verify the weight files of a model.

    With `weights` only that file or folder is looked at.  Without, each file is taken from the first of these that has
    it: ``$HPBENCH_WEIGHTS/<model id>``, ``$HPBENCH_WEIGHTS``, ``<cache>/weights/<model id>``, the card's own folder.

    Parameters
    ----------
    files : sequence of str
        File names without folders.
    sha256 : sequence of str
        Expected hashes (64 hexadecimal digits), one a file.
    model_id : str
    weights : Path, optional
        What ``--weights`` names: the file (under whatever name) if there is one, or the folder that holds all.
    card_folder : Path, optional
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
        places = _places(model_id, card_folder)
    found = {name: next((p / name for p in places if (p / name).is_file()), None) for name in files}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        hashes = ", ".join(f"{name} (sha256 {digest})" for name, digest in zip(files, sha256, strict=True) if name in missing)
        advice = f"; how to get it: {obtain.strip().rstrip('.')}" if obtain else ""
        terms = f"; licence: {licence.strip().rstrip('.')}" if licence else ""
        raise MissingDataError(
            f"model {model_id!r}: weights missing: {hashes}; looked in {', '.join(map(str, places))}{advice}{terms}; "
            "then name the file or its folder with --weights, or put it in one of these places."
        )
    return [_verified(path, digest, model_id) for path, digest in zip(found.values(), sha256, strict=True) if path is not None]


def combined_sha256(digests: Sequence[str]) -> str:
    """One hash for a model: that of its only file, or of its files' concatenated hexadecimal digests."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _places(model_id: str, card_folder: Path | None) -> list[Path]:
    places = []
    if named := os.environ.get("HPBENCH_WEIGHTS", ""):
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise MissingDataError(f"HPBENCH_WEIGHTS names {named!r}, which is no folder.")
        places += [folder / model_id, folder]
    places.append(cache_folder() / "weights" / model_id)
    if card_folder is not None:
        places.append(card_folder)
    return places


def _verified(path: Path, expected: str, model_id: str) -> WeightFile:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingDataError(f"{path}: cannot be read ({error.strerror}).") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected.lower():
        lfs = " (a Git LFS pointer, not the file itself: fetch it with git lfs pull)" if data.startswith(b"version https://git-lfs") else ""
        raise MissingDataError(
            f"{path}: these are not the weights of model {model_id!r}{lfs}: expected sha256 {expected.lower()}, found {digest}; "
            "another version, or a damaged download?"
        )
    return WeightFile(path, data, digest)
