"""The photographs of AFLW: ``flickr/{0,2,3}/imageNNNNN.jpg``, which AFLW, its 19-point release and MERL-RAV label alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from ..errors import InputError
from .files.sources import DataFile

__all__ = ["find_image", "flickr_images", "image_path"]

FOLDERS = ("0", "2", "3")
SUFFIXES = (".jpg", ".jpeg", ".png")


def flickr_images(files: Iterable[DataFile]) -> dict[str, DataFile]:
    """Images that lie in a folder 0, 2 or 3, by folder and name (``3/image00035.jpg``).

    AFLW2000-3D has other images (crops) under the same names: the folder tells them apart.
    """
    found: dict[str, DataFile] = {}
    for file in files:
        parts = file.relative.parts
        if len(parts) < 2 or parts[-2] not in FOLDERS or not parts[-1].lower().endswith(SUFFIXES) or parts[-1].startswith("."):
            continue
        other = found.setdefault("/".join(parts[-2:]), file)
        if other is not file and (other.size != file.size or other.fetch() != file.fetch()):
            raise InputError(f"{other.name} and {file.name} have one name and different content: which one is meant?")
    return found


def image_path(path: str, where: str) -> str:
    """The path of an image as a label file gives it, ``3/image00035.jpg``; `InputError` for one that leads elsewhere."""
    relative = PurePosixPath(path)
    if not path or not path.isprintable() or "\\" in path or ":" in path or relative.is_absolute() or ".." in relative.parts:
        raise InputError(f"{where}: {path[:80]!r} is no path of an image below flickr/: this file is not to be trusted.")
    return str(relative)


def find_image(images: Mapping[str, DataFile], path: str) -> DataFile | None:
    """The image of a label file's path, None where it is not here."""
    return images.get("/".join(PurePosixPath(path).parts[-2:]))
