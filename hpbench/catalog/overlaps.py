"""Which training sets hold images of which test sets: ``datasets/overlaps.csv``."""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields

from ..errors import InputError
from .roots import catalog_roots

__all__ = ["Overlap", "overlaps", "seen_test_images"]


@dataclass(frozen=True)
class Overlap:
    """A line of ``datasets/overlaps.csv``: what a model trained on one set has seen of another.

    Attributes
    ----------
    share : str
        all, most, some or none (a pair that looks like an overlap and is fair).
    certainty : str
        proved (on files), stated (by the authors) or likely.
    """

    trained_on: str
    tested_on: str
    share: str
    certainty: str
    reason: str
    source: str


def overlaps() -> list[Overlap]:
    """All known overlaps of training and test images, of every catalog root."""
    found = []
    names = {f.name for f in fields(Overlap)}
    for root in catalog_roots():
        path = root / "datasets" / "overlaps.csv"
        if not path.is_file():
            continue
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                if set(row) != names or None in row.values():
                    raise InputError(f"{path}: line {number} does not have the columns {', '.join(sorted(names))}.")
                found.append(Overlap(**row))
    return found


def seen_test_images(trained_on: tuple[str, ...], tested_on: str) -> list[Overlap]:
    """The overlaps that make a model's result on a dataset doubtful."""
    return [o for o in overlaps() if o.trained_on in trained_on and o.tested_on == tested_on and o.share != "none"]
