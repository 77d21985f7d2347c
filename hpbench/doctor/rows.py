"""Rows given to the wrong faces: orders that lists of files come in, and shapes that fit the labels of other faces."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .causes import Cause

__all__ = ["row_causes"]

Rows = npt.NDArray[np.int64]


def row_causes(ids: Sequence[str], in_file: Sequence[str], known: dict[str, str] | None = None) -> list[Cause]:
    """Row orders that may have been mixed up.

    Predictions made in one order were written beside the ids in another; or all are some places off.

    Parameters
    ----------
    ids : sequence of str
        Of the faces, sorted.
    in_file : sequence of str
        Those of them that have a row, in the order of the file.
    known : dict or None
        For some faces the id under which their prediction was found already, by another kind of prediction.
    """
    place = {face: row for row, face in enumerate(ids)}
    orders = {"sorted": sorted(in_file), "natural": sorted(in_file, key=_natural), "file": list(in_file)}
    orders |= {"reversed": orders["sorted"][::-1]}
    mend = "write each prediction beside the id of the face it was made for"
    rows, unmoved = [place[face] for face in in_file], np.full(len(ids), -1)
    unmoved[rows] = rows  # an order that moves nothing is no cause
    found: dict[bytes, Cause] = {unmoved.tobytes(): Cause("", "", "", "")}

    def add(name: str, says: str, owners: Sequence[str], written: Sequence[str]) -> None:
        source = np.full(len(ids), -1)
        for face, row in zip(owners, written, strict=True):
            source[place[face]] = place[row]
        found.setdefault(source.tobytes(), Cause(name, "rows", says, mend, source=source))

    for what in ("sorted", "file", "natural"):
        listed = orders[what]
        for k in (1, -1):
            if len(listed) > 2:
                where = {"sorted": "in sorted order", "file": "in the order of the file", "natural": "in the order of the numbers"}[what]
                says = f"each row holds the prediction of the face {'after' if k > 0 else 'before'} it {where}"
                add(f"rows shifted by {k}" + (f" ({what})" if what != "sorted" else ""), says, np.roll(listed, -k).tolist(), listed)
    names = {"sorted": "sorted as text", "natural": "sorted by number", "file": "in the order of the file", "reversed": "in reverse"}
    for made, written in (("natural", "sorted"), ("sorted", "natural"), ("file", "sorted"), ("sorted", "file"), ("reversed", "sorted"),
                          ("natural", "file"), ("file", "natural")):  # fmt: skip
        says = f"the rows were predicted {names[made]} and the ids are {names[written]}"
        add("rows reversed" if made == "reversed" else f"rows in {made} for {written} order", says, orders[made], orders[written])
    if known:
        owners = [face for face in ids if known.get(face) in place]
        add("rows shuffled", "the rows are those of other faces", owners, [known[face] for face in owners])
    return list(found.values())[1:]


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Key of the order in which 10 comes after 9."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]
