"""Readers: one file a dataset format, from the original raw files to samples and truth."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from ..catalog import dataset_card
from ..errors import InputError, did_you_mean
from .dataset import Dataset
from .files.sources import data_roots

__all__ = ["READERS", "Dataset", "load"]

READERS = {  # the name a card gives -> code, imported when asked for
    "300w-lp": "w300lp:W300LP",
    "panoptic": "panoptic:Panoptic",
    "table": "generic:Table",
    "aflw": "aflw:AFLW",
    "aflw-release": "aflw_release:AFLWRelease",
    "aflw2000": "aflw2000:AFLW2000",
    "biwi": "biwi:Biwi",
    "merl-rav": "merl_rav:MERLRAV",
    "300w": "ibug300w:IBUG300W",
    "menpo": "menpo:Menpo",
    "cofw": "cofw:COFW",
    "cofw68": "cofw68:COFW68",
    "wflw": "wflw:WFLW",
    "heads": "heads:Heads",
}


def load(dataset: str, data: str | Path | Iterable[str | Path] | None = None) -> Dataset:
    """A dataset from its original files.

    Parameters
    ----------
    dataset : str
        Id of a dataset card, e.g. ``"aflw2000"``.
    data : path or list of paths, optional
        Folders or official archives; without it ``$HPBENCH_DATA/<dataset>``.

    Raises
    ------
    InputError
        Unknown dataset, or files that are there and cannot be read.
    MissingDataError
        No files of the dataset: the message says what to get, where and under which licence.
    """
    card = dataset_card(dataset)
    if card.reader not in READERS:
        raise InputError(f"{card.folder / 'card.toml'}: unknown reader {card.reader!r}: {did_you_mean(card.reader, READERS)}")
    module, _, name = READERS[card.reader].partition(":")
    reader: type[Dataset] = getattr(import_module(f".{module}", __name__), name)
    paths = [data] if isinstance(data, (str, Path)) else list(data or [])
    return reader(card, data_roots(card, [Path(p) for p in paths]))
