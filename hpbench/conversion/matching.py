"""Which face of a dataset a name in somebody's file is of."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Matched", "bare_name", "match_names"]

_SUFFIX = re.compile(r"\.(jpe?g|png|bmp|webp|tiff?|mat|pts|txt|json)$", re.IGNORECASE)
_MAX_DIGITS = 9  # of a frame's number
_RGB = re.compile(r"_rgb$")  # BIWI's images: frame_00003_rgb.png


@dataclass(frozen=True)
class Matched:
    """Names and the ids they are of.

    Attributes
    ----------
    ids : list of str
        One a name; "" where there is none, or none that can be told.
    problems : mapping of str to str
        Name -> why it has none.
    by_stem : int
        How many were matched by the file's name alone, their folders being others than the dataset's.
    """

    ids: list[str]
    problems: dict[str, str]
    by_stem: int = 0


def bare_name(name: str) -> str:
    """A name without what makes it a file: backslashes, leading dots and slashes, an image's suffix."""
    plain = re.sub(r"^(\./|/)+", "", name.strip().replace("\\", "/"))
    return _RGB.sub("", _SUFFIX.sub("", plain))


def match_names(names: Sequence[str], known: Sequence[str]) -> Matched:
    """Match names of images with the ids of a dataset.

    A name is an id, or ends like one, or one ends like it (whole folders are compared); else its last part is that of exactly one
    id.  Blanks and capitals do not count, as copies of data sets change them.  ``folder#3`` is the third of the ids in that folder, if the
    file's names go up to their number: so tools that see a folder of images as a video count.
    """
    ids = set(known)
    by_tail: dict[str, list[str]] = defaultdict(list)
    for sample_id in known:
        by_tail[_plain(sample_id).rpartition("/")[2]].append(sample_id)
    frames = _frames(names, known)
    found: list[str] = []
    problems: dict[str, str] = {}
    by_stem = 0
    for name in names:
        bare = bare_name(name)
        exact = name if name in ids else bare if bare in ids else frames.get(name, "")
        if exact:
            found.append(exact)
            continue
        candidates = by_tail.get(_plain(bare).rpartition("/")[2], [])
        alike = [c for c in candidates if _ends(_plain(bare), _plain(c))]
        chosen = alike if alike else candidates
        by_stem += len(chosen) == 1 and not alike
        if len(chosen) != 1:
            problems[name] = f"may be {' or '.join(chosen[:3])}{' ...' if len(chosen) > 3 else ''}" if chosen else "no id is like it"
        found.append(chosen[0] if len(chosen) == 1 else "")
    for sample_id, theirs in _twice(names, found).items():
        for name in theirs:
            problems[name] = f"{' and '.join(theirs[:3])} would both be {sample_id}"
    return Matched(["" if name in problems else i for name, i in zip(names, found, strict=True)], problems, by_stem)


def _twice(names: Sequence[str], found: Sequence[str]) -> dict[str, list[str]]:
    of: dict[str, list[str]] = defaultdict(list)
    for name, sample_id in zip(names, found, strict=True):
        if sample_id and name not in of[sample_id]:
            of[sample_id].append(name)
    return {sample_id: theirs for sample_id, theirs in of.items() if len(theirs) > 1}


def _plain(name: str) -> str:
    return "".join(name.split()).casefold()


def _ends(name: str, sample_id: str) -> bool:
    short, long = sorted((name.split("/"), sample_id.split("/")), key=len)
    return long[-len(short) :] == short


def _frames(names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """``folder#k`` -> id, for folders of exactly as many ids as frames."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for name in names:
        folder, mark, number = name.rpartition("#")
        if mark and number.isascii() and number.isdecimal() and len(number) <= _MAX_DIGITS:
            numbers[folder].append(int(number))
    members = {folder: sorted(i for i in known if i.startswith(f"{folder}/")) for folder in numbers}
    return {
        f"{folder}#{k}": members[folder][k - 1]
        for folder, found in numbers.items()
        if members[folder] and max(found) == len(members[folder]) and min(found) >= 1
        for k in found
    }
