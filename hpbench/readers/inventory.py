"""What of a dataset is there, and whether it is what the card describes: the substance of ``hpbench datasets check``."""

from __future__ import annotations

from dataclasses import dataclass

from ..catalog import protocols_of
from .dataset import Dataset

__all__ = ["Inventory", "SplitCount", "inventory"]

_FIRST = 5  # missing ids that are named


@dataclass(frozen=True)
class SplitCount:
    """Counts of one split with one annotation.

    Attributes
    ----------
    labels : str
        The annotation; "" is the default one.
    expected, labelled, images : int
        Faces when complete; with labels here; with labels and an image here.
    first_missing : tuple of str
        The first few ids without labels (a listed split only).
    """

    split: str
    labels: str
    expected: int
    labelled: int
    images: int
    first_missing: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return self.labelled == self.expected


@dataclass(frozen=True)
class Inventory:
    """See `inventory`.

    Attributes
    ----------
    wrong_statistics : tuple of str
        How the labels of complete splits differ from the card's facts.
    statistics_checked : bool
        Whether any could be compared: the card states some of a split that is complete.
    foreign : tuple of str
        Label files that are on no list of the dataset.
    """

    dataset: str
    splits: tuple[SplitCount, ...]
    wrong_statistics: tuple[str, ...]
    statistics_checked: bool
    foreign: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """What is here of the labels, then of the images.

        ``verified`` (complete, and what the card says of them is true), ``complete`` (nothing to compare with),
        ``partial``, ``no faces`` or ``other labels``.
        """
        present = [s for s in self.splits if s.labelled and not s.labels]
        if self.wrong_statistics:
            labels = "other labels"
        elif not present:
            return "no faces"
        elif not all(s.complete for s in present):
            labels = "partial"
        else:
            labels = "verified" if self.statistics_checked else "complete"
        if all(s.images == s.labelled for s in present):
            return labels
        return f"labels {labels}, " + ("no images" if not any(s.images for s in present) else "images missing")

    @property
    def ok(self) -> bool:
        """Everything there and as it must be."""
        return self.verdict in ("verified", "complete")


def inventory(dataset: Dataset) -> Inventory:
    """Count every split with every annotation its protocols use, and compare the label statistics with the card."""
    card = dataset.card
    wanted = {(split, "") for split in card.splits} | {(p.split, p.labels) for p in protocols_of(card)}
    counts = []
    for split, labels in sorted(wanted):
        found = dataset.found_ids(split, labels)
        with_image = set(dataset.image_ids(split))
        missing = sorted(set(dataset.ids(split)) - set(found)) if split not in card.open_splits else []
        images = sum(i in with_image for i in found)
        counts.append(SplitCount(split, labels, dataset.n_expected(split), len(found), images, tuple(missing[:_FIRST])))
    for c in counts:
        if c.labelled and not c.labels:
            dataset.truth(c.split)  # a label file that is damaged is told here and not in the middle of a run
    compared = [c for c in counts if c.complete and dataset.stated_statistics(c.split, c.labels)]
    wrong: list[str] = []
    for c in compared:
        where = f"{c.split} {c.labels}".strip()
        wrong += [f"{where}: {text}" for text in dataset.wrong_statistics(c.split, c.labels, dataset.truth(c.split, c.labels))]
    return Inventory(card.id, tuple(counts), tuple(wrong), bool(compared), tuple(dataset.foreign_ids()))
