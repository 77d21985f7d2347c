"""The catalog: dataset cards, protocols and model cards, found by path, read and checked.

Content lies outside the code (``datasets/`` and ``baselines/`` of a checkout); in an installed package it lies in
``hpbench/_catalog/``.  ``HPBENCH_CATALOG`` (folders separated like PATH) adds private roots of the same layout.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .checked import build, read_toml
from .errors import InputError, did_you_mean

__all__ = [
    "BoxSet", "DatasetCard", "Exclude", "ModelCard", "Protocol", "Subset", "catalog_root", "catalog_roots", "dataset_card",
    "dataset_cards", "model_card_from", "model_cards", "protocol_named", "protocols_of", "split_ids",
]  # fmt: skip


def catalog_root() -> Path:
    """The catalog that came with this hpbench: the packaged copy, else the checkout (known by its setup.cfg)."""
    here = Path(__file__).resolve().parent
    packaged = here / "_catalog"
    if (packaged / "datasets").is_dir():
        return packaged
    if (here.parent / "setup.cfg").is_file() and (here.parent / "datasets").is_dir():
        return here.parent
    raise InputError(f"{here}: this installation of hpbench has no catalog (datasets/ and baselines/): install it again.")


def catalog_roots() -> list[Path]:
    """Our own catalog, then the private ones of ``HPBENCH_CATALOG``."""
    roots = [catalog_root()]
    for entry in filter(None, os.environ.get("HPBENCH_CATALOG", "").split(os.pathsep)):
        path = Path(entry).expanduser()
        if not path.is_dir():
            raise InputError(f"HPBENCH_CATALOG names {entry!r}, which is no folder.")
        if not (path / "datasets").is_dir() and not (path / "baselines").is_dir():
            raise InputError(f"HPBENCH_CATALOG names {entry!r}, which has neither datasets/ nor baselines/ in it.")
        roots.append(path)
    return roots


# ---------------------------------------------------------------------------------------------------- datasets


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
    archives : tuple of str
        Names under which the official archive circulates.
    statistics : mapping of str to float
        Facts about the complete labels, checked by `hpbench.readers`: a data set whose labels differ is unverified.
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
    archives: tuple[str, ...] = ()
    statistics: dict[str, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    folder: Path = field(default=Path(), init=False)

    def split_path(self, split: str) -> Path:
        if split not in self.splits:
            raise InputError(f"dataset {self.id!r} has no split {split!r}: {did_you_mean(split, self.splits)}")
        return self.folder / "splits" / f"{split}.txt"


def dataset_cards() -> dict[str, DatasetCard]:
    """All dataset cards by id, sorted."""
    cards: dict[str, DatasetCard] = {}
    for path in _content_files("datasets", "card.toml"):
        card = build(DatasetCard, read_toml(path), str(path))
        _check_id(card.id, path)
        if card.id in cards:
            raise InputError(f"{path}: a dataset {card.id!r} exists already in {cards[card.id].folder}.")
        if card.default_boxes not in card.boxes:
            raise InputError(f"{path}: default_boxes {card.default_boxes!r} is none of its boxes ({', '.join(card.boxes)}).")
        object.__setattr__(card, "folder", path.parent)
        cards[card.id] = card
    return dict(sorted(cards.items()))


def dataset_card(dataset_id: str) -> DatasetCard:
    """The card of this dataset; `InputError` with the nearest id if there is none."""
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


# ---------------------------------------------------------------------------------------------------- protocols


@dataclass(frozen=True)
class Exclude:
    """Faces a protocol leaves out.

    ``rule = "any-angle-above"`` with ``deg``: any |yaw|, |pitch| or |roll| of the raw, unwrapped labels is greater.
    """

    rule: Literal["any-angle-above"]
    deg: float


@dataclass(frozen=True)
class Subset:
    """A named part of a protocol's faces: those whose `attribute` lies in a range or in a list of values.

    ``above < value <= up_to`` (either may be left out), or ``value in one_of``.
    """

    name: str
    attribute: str
    above: float | None = None
    up_to: float | None = None
    one_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Protocol:
    """How a dataset is scored: ``datasets/<dataset>/protocols/<name>.toml``, versioned and hashed.

    Attributes
    ----------
    id : str
        ``<dataset>/<name>``.
    version : int
        Bumped by any change that moves a number.
    labels : str
        Which annotation is the truth, where a dataset has several.
    boxes : str
        The box set that the model must have been given.
    metrics : tuple of str
        Metric texts; `main` is one of them.
    norm_box : str
        The box whose height, sqrt(w h) or diagonal normalises landmark errors.
    balance : tuple of str
        Subsets whose means are averaged by ``mean=balanced``.
    cluster_by, align_by : str
        ``person`` or ``sequence``: what resampling clusters by, what aligned variants group by.
    failures : mapping of str to float
        Another worst value for a metric than the metric's own.
    trained_on, citation, differs : str
        Prose: the training set the protocol presumes, its source, how it differs from others in circulation.
    """

    id: str
    version: int
    title: str
    dataset: str
    split: str
    metrics: tuple[str, ...]
    main: str
    boxes: str
    labels: str = ""
    norm_box: str = ""
    exclude: Exclude | None = None
    subsets: tuple[Subset, ...] = ()
    balance: tuple[str, ...] = ()
    cluster_by: Literal["", "person", "sequence"] = ""
    align_by: Literal["", "person", "sequence"] = ""
    failures: dict[str, float] = field(default_factory=dict)
    trained_on: str = ""
    citation: str = ""
    differs: str = ""
    sha256: str = field(default="", init=False)

    @property
    def reference(self) -> str:
        """``<dataset>/<name>@<version>``."""
        return f"{self.id}@{self.version}"


def protocols_of(card: DatasetCard) -> list[Protocol]:
    """The protocols of a dataset, sorted by id."""
    return [_read_protocol(path, card) for path in sorted((card.folder / "protocols").glob("*.toml"))]


def protocol_named(text: str) -> Protocol:
    """The protocol ``<dataset>/<name>`` or ``<dataset>/<name>@<version>``."""
    name, _, version = text.partition("@")
    dataset = name.partition("/")[0]
    protocols = {p.id: p for p in protocols_of(dataset_card(dataset))}
    if name not in protocols:
        raise InputError(f"unknown protocol {text!r}: {did_you_mean(name, protocols)}")
    protocol = protocols[name]
    if version and version != str(protocol.version):
        raise InputError(f"protocol {name!r} is at version {protocol.version} here, not {version}: install the hpbench that has it.")
    return protocol


def _read_protocol(path: Path, card: DatasetCard) -> Protocol:
    data = read_toml(path)
    protocol = build(Protocol, data, str(path))
    if protocol.id != f"{card.id}/{path.stem}" or protocol.dataset != card.id:
        raise InputError(f"{path}: id {protocol.id!r} and dataset {protocol.dataset!r} do not fit the file's place.")
    names = [s.name for s in protocol.subsets]
    for problem in (
        (protocol.main not in protocol.metrics, f"main {protocol.main!r} is none of its metrics"),
        (len(set(names)) < len(names), "two subsets have one name"),
        ("all" in names, "a subset cannot be called 'all', which is the whole"),
        (bool(set(protocol.balance) - set(names)), f"balance {list(protocol.balance)} names a subset that is not there"),
        (protocol.boxes not in card.boxes, f"boxes {protocol.boxes!r} is no box set of {card.id}"),
        (protocol.norm_box not in ("", *card.boxes), f"norm_box {protocol.norm_box!r} is no box set of {card.id}"),
    ):  # fmt: skip
        if problem[0]:
            raise InputError(f"{path}: {problem[1]}.")
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    digest = hashlib.sha256(canonical)
    # the list as text, not as a file's bytes: a checkout with CRLF is the same protocol
    listed = split_ids(card, protocol.split)
    digest.update("\n".join(listed if listed is not None else [f"open: {card.splits[protocol.split]}"]).encode())
    object.__setattr__(protocol, "sha256", digest.hexdigest())
    return protocol


# ---------------------------------------------------------------------------------------------------- models


@dataclass(frozen=True)
class ModelCard:
    """A model as described by ``baselines/<id>/card.toml`` (or a user's own card).

    Either `target` names code (``package.module:Class``), or `onnx` describes ONNX files (`hpbench.models.onnx_card`).
    """

    id: str
    title: str
    version: str = "1"
    paper: str = ""
    citation: str = ""
    licence: str = ""
    trained_on: tuple[str, ...] = ()
    weights: str = ""
    extra: str = ""
    target: str = ""
    onnx: dict[str, Any] = field(default_factory=dict)
    folder: Path = field(default=Path(), init=False)

    file_name: str = field(default="card.toml", init=False)

    @property
    def path(self) -> Path:
        return self.folder / self.file_name


def model_cards() -> dict[str, ModelCard]:
    """All model cards of the catalog by id, sorted."""
    cards: dict[str, ModelCard] = {}
    for path in _content_files("baselines", "card.toml"):
        card = model_card_from(path)
        if card.id in cards:
            raise InputError(f"{path}: a model {card.id!r} exists already in {cards[card.id].folder}.")
        cards[card.id] = card
    return dict(sorted(cards.items()))


def model_card_from(path: Path) -> ModelCard:
    """Read one model card."""
    card = build(ModelCard, read_toml(path), str(path))
    _check_id(card.id, path, folder_named_so=False)
    if bool(card.target) == bool(card.onnx):
        raise InputError(f"{path}: a model card has either a target (package.module:Class) or an [onnx] table.")
    object.__setattr__(card, "folder", path.parent)
    object.__setattr__(card, "file_name", path.name)
    return card


def _content_files(kind: str, name: str) -> list[Path]:
    return [path for root in catalog_roots() for path in sorted((root / kind).glob(f"*/{name}"))]


def _check_id(identifier: str, path: Path, folder_named_so: bool = True) -> None:
    if not identifier or not all(c.isalnum() or c in "-_.+" for c in identifier) or identifier.startswith("."):
        raise InputError(f"{path}: id {identifier!r} may hold letters, digits and - _ . + only.")
    if folder_named_so and identifier != path.parent.name:
        raise InputError(f"{path}: id {identifier!r} must be the name of its folder ({path.parent.name!r}).")
