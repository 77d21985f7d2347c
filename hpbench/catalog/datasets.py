"""Dataset cards, their splits, and who has seen whose test images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..checked import build, read_toml
from ..errors import InputError, collecting, did_you_mean
from ..geometry.rotations import convention_named
from ..landmarks import scheme_named
from .roots import check_id, content_files

__all__ = ["BoxSet", "DatasetCard", "dataset_card", "dataset_card_from", "dataset_cards", "split_ids"]


@dataclass(frozen=True)
class BoxSet:
    """A named set of face boxes: where they come from (``landmarks``, ``official:FILE``, ``list:FILE``, ...)."""

    source: str
    description: str = ""


@dataclass(frozen=True)
class DatasetCard:
    """A dataset as described by ``datasets/<id>/card.toml``.

    Attributes
    ----------
    id, title, homepage, licence, redistribution, obtain, layout, citation : str
        Prose for people; `citation` is BibTeX.
    reader : str
        A key of `hpbench.readers.READERS`.
    splits : mapping of str to int
        Number of faces of each split.  Its ids are listed in ``splits/<name>.txt``.
    open_splits : tuple of str
        Splits without a list: they hold what the reader finds, and the number says whether that is all.
    default_boxes : str
        The box set a run uses unless told otherwise.
    boxes : mapping of str to BoxSet
    pose : str
        Kind of rotation label: ``camera`` or ``crop_ray`` (relative to the ray through the box centre), or "".
    convention : str
        Euler convention of the files' angles.
    scheme : str
        Landmark scheme of the labels.
    profile_faces : bool
        Whether it has faces turned so far that the distance of the eyes shrinks to nothing: eye norms are refused unless
        asked for.
    archives : tuple of str
        Names under which the official archives circulate; ``*`` stands for any part.
    embedded : tuple of str
        The files beside the card that hold the data, where they come with hpbench.
    statistics : mapping
        Split -> annotation ("default" for a data set with one) -> facts about the complete labels, those of
        `hpbench.readers.dataset.label_statistics`: a data set whose labels differ is unverified.
    options : table
        For the reader.
    """

    id: str
    title: str
    reader: str
    licence: str
    redistribution: str
    homepage: str
    obtain: str
    layout: str
    citation: str
    splits: dict[str, int]
    default_boxes: str
    boxes: dict[str, BoxSet]
    open_splits: tuple[str, ...] = ()
    pose: Literal["camera", "crop_ray", ""] = ""
    convention: str = ""
    scheme: str = ""
    profile_faces: bool = False
    archives: tuple[str, ...] = ()
    embedded: tuple[str, ...] = ()
    statistics: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    folder: Path = field(default=Path(), init=False)

    def split_path(self, split: str) -> Path:
        if split not in self.splits:
            raise InputError(f"dataset {self.id!r} has no split {split!r}: {did_you_mean(split, self.splits)}")
        return self.folder / "splits" / f"{split}.txt"


def dataset_cards() -> dict[str, DatasetCard]:
    """All dataset cards by id, sorted."""
    cards: dict[str, DatasetCard] = {}
    for path in content_files("datasets", "card.toml"):
        card = dataset_card_from(path)
        if card.id in cards:
            raise InputError(f"{path}: a dataset {card.id!r} exists already in {cards[card.id].folder}.")
        cards[card.id] = card
    return dict(sorted(cards.items()))


def dataset_card_from(path: Path) -> DatasetCard:
    """Read one dataset card."""
    card = build(DatasetCard, read_toml(path), str(path))
    wrong: list[str] = []
    with collecting(wrong):
        check_id(card.id, path)
    if card.default_boxes not in card.boxes:
        wrong.append(f"{path}: default_boxes {card.default_boxes!r} is none of its boxes ({', '.join(card.boxes)}).")
    for name, named in ((card.convention, convention_named), (card.scheme, scheme_named)):
        try:
            if name:
                named(name)
        except InputError as error:
            wrong.append(f"{path}: {error}")
    if wrong:
        raise InputError(*wrong)
    object.__setattr__(card, "folder", path.parent)
    return card


def dataset_card(dataset_id: str) -> DatasetCard:
    """The card of this dataset; `InputError` with the nearest id if there is none."""
    named_so = [path for path in content_files("datasets", "card.toml") if path.parent.name == dataset_id]  # a card's folder has its id
    if len(named_so) == 1:
        return dataset_card_from(named_so[0])
    cards = dataset_cards()
    if dataset_id not in cards:
        raise InputError(f"unknown dataset {dataset_id!r}: {did_you_mean(dataset_id, cards)}")
    return cards[dataset_id]


def split_ids(card: DatasetCard, split: str) -> list[str] | None:
    """The sample ids of a split, sorted, as its file lists them; None for an open split, which has no list."""
    path = card.split_path(split)
    if split in card.open_splits:
        return None
    try:
        ids = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise InputError(f"{path}: the split list cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8.") from None
    ids = [i for i in ids if i]
    if ids != sorted(set(ids)):
        raise InputError(f"{path}: the ids must be sorted and unique.")
    if len(ids) != card.splits[split]:
        raise InputError(f"{path}: {len(ids)} ids, but card.toml says {card.splits[split]}.")
    return ids
