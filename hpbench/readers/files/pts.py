"""``.pts``: the landmark files of iBUG (300W, 300VW, Menpo) and of MERL-RAV.

::

    version: 1
    n_points:  68
    {
    747.258354 725.181223
    ...
    }

What varies: ``version: 1`` or ``1.0``, one or two spaces after a colon, LF or CRLF, a final newline or none.

Conventions
-----------
The files count pixels from 1 (MATLAB): `pixels_of` takes the 1 away, so that (0, 0) is the centre of the top-left pixel.
`parse_pts` returns the numbers as they stand, for MERL-RAV keeps a flag in their sign.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from .datafile import DataFile

__all__ = ["IMAGE_SUFFIXES", "best_image", "is_resource_fork", "outer_names", "parse_pts", "pixels_of", "read_pts", "shown"]

Array = npt.NDArray[np.float64]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")

_MAX_BYTES = 1 << 16  # 68 points take 2 kB
_MAX_PIXEL = 1e6  # no photograph is that large
_HEADER = re.compile(r"\s*(?:version:\s*(\S+)\s+)?n_points:\s*([^\s{]+)\s*\{", re.IGNORECASE)


def read_pts(file: DataFile, n_points: Collection[int] = (68,)) -> Array:
    """`parse_pts` of a file of a data root; its size is looked at first."""
    _check_size(file.size, file.name)
    return parse_pts(file.fetch(), file.name, n_points)


def parse_pts(data: bytes, name: str, n_points: Collection[int] = (68,)) -> Array:
    """The points of a .pts file, as they stand in it.

    Parameters
    ----------
    data : bytes
    name : str
        What a message calls the file.
    n_points : collection of int
        How many points it may hold.

    Returns
    -------
    (L, 2) float64 array, x and y in pixels counted from 1 (see `pixels_of`), finite.

    Raises
    ------
    InputError
        Empty, truncated, not a .pts file, another number of points, or numbers that are none.
    """
    _check_size(len(data), name)
    if not data.strip():
        raise InputError(f"{name}: the file is empty.")
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("ascii")  # editors of Windows add that mark
    except UnicodeDecodeError:
        raise InputError(f"{name}: not a text file, so no .pts file of landmarks: an image, or an archive?") from None
    header = _HEADER.match(text)
    if header is None:
        raise InputError(f"{name}: does not begin with version:, n_points: and a brace: truncated, or another kind of file?")
    version, count = header.groups()
    if version not in (None, "1", "1.0"):
        raise InputError(f"{name}: .pts version {version[:20]!r} is not known, only 1.")
    expected = " or ".join(map(str, sorted(n_points)))
    if not re.fullmatch(r"\d{1,9}", count) or int(count) not in n_points:
        raise InputError(f"{name}: n_points is {count[:20]}, expected {expected}: a face of another data set?")
    body, brace, rest = text[header.end() :].partition("}")
    rows = [row for line in body.splitlines() if (row := line.split())]
    if not brace or len(rows) < int(count):
        raise InputError(
            f"{name}: n_points is {count}, but there are {len(rows)} rows{'' if brace else ' and no closing brace'}: truncated?"
        )
    if len(rows) > int(count) or rest.strip():
        raise InputError(f"{name}: n_points is {count}, but more follows: two files in one?")
    try:
        points = np.array([(float(x), float(y)) for x, y in rows])
    except ValueError:
        bad = next(i for i, row in enumerate(rows) if not _is_point(row))
        raise InputError(f"{name}: point {bad + 1} is {' '.join(rows[bad])[:60]!r}: expected x and y with decimal points.") from None
    if (wrong := np.flatnonzero(~(np.abs(points) <= _MAX_PIXEL).all(axis=1))).size:
        raise InputError(f"{name}: point {wrong[0] + 1} is {' '.join(rows[wrong[0]])[:60]!r}, which is no place in an image.")
    return points


def pixels_of(points: npt.ArrayLike) -> Array:
    """Coordinates of a .pts file, counted from 1, as pixels counted from 0."""
    return np.asarray(points, dtype=np.float64) - 1.0


def _check_size(size: int, name: str) -> None:
    if size > _MAX_BYTES:
        raise InputError(f"{name}: {size} bytes are no .pts file of a face, which takes about 2000.")


def _is_point(row: list[str]) -> bool:
    try:
        return len([float(v) for v in row]) == 2
    except ValueError:
        return False


# ------------------------------------------------------------------------------------------- files of a data root


def outer_names(file: DataFile) -> tuple[str, ...]:
    """What the root of a file is called: the last two folders' names, or an archive's name without its suffix.

    A root may be the very folder that gives a file its id (``--data 300W/helen``), and ``helen.zip`` holds
    ``trainset/...`` without the folder ``helen``.
    """
    return _root_names(file.name.replace("\\", "/").removesuffix(file.relative.as_posix()))


@lru_cache(maxsize=256)  # thousands of files lie in one root
def _root_names(head: str) -> tuple[str, ...]:
    if archive := re.fullmatch(r"(.*):(?:\./)*", head, re.DOTALL):  # path.zip:member
        return (PurePosixPath(archive[1]).name.partition(".")[0],)
    return Path(head).absolute().parts[-2:]


def is_resource_fork(file: DataFile) -> bool:
    """``._name``: what macOS packs beside a file; never data."""
    return file.file_name.startswith("._")


def best_image(images: list[DataFile], suffix: str) -> DataFile | None:
    """The image of a face among those found: the one with the official suffix if there are two kinds.

    Two files of one kind must be equal; whether they are is seen when the image is read, for there are gigabytes of them.
    """
    official = [f for f in images if f.relative.suffix.lower() == suffix] or images
    kinds = {f.relative.suffix.lower() for f in official}
    chosen = [f for f in official if f.relative.suffix.lower() == min(kinds)]
    if len(chosen) < 2:
        return chosen[0] if chosen else None
    return replace(chosen[0], fetch=_equal_content(chosen))


def _equal_content(files: list[DataFile]) -> Callable[[], bytes]:
    def fetch() -> bytes:
        data = files[0].fetch()
        for other in files[1:]:
            if other.size != files[0].size or other.fetch() != data:
                raise InputError(f"{files[0].name} and {other.name} have one id and different content: which one is meant?")
        return data

    return fetch


def shown(text: str) -> str:
    """A file's name fit for a message."""
    return text if text.isprintable() else ascii(text)
