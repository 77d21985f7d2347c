"""Which training sets hold images of which test sets: ``datasets/overlaps.csv``."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import InputError
from .datasets import DatasetCard, dataset_card, split_ids
from .roots import catalog_roots
from .rows import rows_of

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
        for number, row in rows_of(path):
            if set(row) != names or None in row.values():
                raise InputError(f"{path}: line {number} does not have the columns {', '.join(sorted(names))}.")
            found.append(Overlap(**row))
    return found


def seen_test_images(trained_on: tuple[str, ...], tested_on: str, split: str = "") -> list[Overlap]:
    """The overlaps that make a model's result on a dataset doubtful.

    Parameters
    ----------
    trained_on : tuple of str
        Names of training sets as ``overlaps.csv`` has them, or a dataset's split as own weights state it: ``cofw:train``.
    tested_on, split : str
        Dataset, and which of its splits.
    """
    others = {name for name, _, _ in (entry.partition(":") for entry in trained_on) if name != tested_on}
    names = {*trained_on, *others}
    found = [o for o in overlaps() if o.trained_on in names and o.tested_on == tested_on and o.share != "none"]
    for entry in trained_on:
        dataset, _, part = entry.partition(":")
        if part and split and dataset == tested_on and _share_faces(dataset_card(dataset), part, split):
            found.append(Overlap(entry, tested_on, "some", "proved", "trained on faces of this very split", "the weights' own statement"))
    return found


def _share_faces(card: DatasetCard, one: str, other: str) -> bool:
    if not {one, other} <= set(card.splits):
        return one == other
    a, b = split_ids(card, one), split_ids(card, other)
    if a is None or b is None:  # an open split: it has no list, and one called `all` holds the others
        return one == other or (a is None and one == "all") or (b is None and other == "all")
    return not set(a).isdisjoint(b)
