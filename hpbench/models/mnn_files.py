"""Where the weights of the MNN models come from: with hpbench, by the hashes on the card ``mnn``, or from the user."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from ..catalog import model_cards
from ..errors import InputError, MissingDataError
from .weights import WeightFile, find_weights

__all__ = ["NETWORK", "TREES", "MnnFiles", "find_mnn_files", "load_mnn", "trained_on_of"]

NETWORK, TREES = "mnn.safetensors", "trees.safetensors"  # names of what comes with hpbench, in baselines/mnn

_OWN_NETWORK = ("best.safetensors", NETWORK)  # what is looked for in a user's folder


class MnnFiles(NamedTuple):
    """The files of a model.

    Attributes
    ----------
    network : WeightFile
    trees : WeightFile or None
        Only where they were asked for.
    shipped : bool
        They are, by their hashes, what comes with hpbench.
    """

    network: WeightFile
    trees: WeightFile | None
    shipped: bool

    @property
    def all(self) -> list[WeightFile]:
        return [self.network] if self.trees is None else [self.network, self.trees]


def find_mnn_files(model: str, weights: Path | None, *, trees: bool = False) -> MnnFiles:
    """Find and read the files of a model.

    Parameters
    ----------
    model : str
        Its id, for errors.
    weights : Path, optional
        A network's file, or a folder with ``best.safetensors`` and, where `trees` are asked for, ``trees.safetensors``.
    trees : bool
        With the regression trees.

    Raises
    ------
    InputError
        The trees are asked for and a single file is named.
    MissingDataError
        A file is missing, or has not the hash of the card.
    """
    card = model_cards()["mnn"]
    if weights is None:
        names = [NETWORK, TREES] if trees else [NETWORK]
        if absent := [name for name in names if name not in card.files]:
            raise MissingDataError(
                f"model {model!r}: this hpbench comes without {' and '.join(absent)}: name your own with --weights (hpbench train mnn)."
            )
        found = find_weights(names, [card.files[n] for n in names], model_id=card.id, card_folder=card.folder, licence=card.licence)
        return MnnFiles(found[0], found[1] if trees else None, shipped=True)
    weights = weights.expanduser()
    if trees and weights.is_file():
        raise InputError(f"--weights {weights}: {model!r} takes two files: name the folder that holds {_OWN_NETWORK[0]} and {TREES}.")
    files = [_read(_named(weights, _OWN_NETWORK))]
    if trees:
        files.append(_read(_named(weights, (TREES,))))
    shipped = all(card.files.get(name) == file.sha256 for name, file in zip((NETWORK, TREES), files, strict=False))
    return MnnFiles(files[0], files[1] if trees else None, shipped)


def load_mnn(files: MnnFiles, *, encoder_only: bool = False) -> Any:
    """The network of the files, a `hpbench.mnn.network.Network` in full precision.

    Raises
    ------
    InputError
        Other weights, or those of a network without decoder where one is needed.
    """
    from ..mnn.checkpoint import network_of

    network = network_of(files.network.data, str(files.network.path), encoder_only=encoder_only)
    if not (encoder_only or network.config.dense):
        raise InputError(f"{files.network.path}: this network has no decoder, it knows poses only: run it as mnn-encoder.")
    return network


def trained_on_of(files: MnnFiles) -> tuple[str, ...]:
    """The datasets and splits that network and trees say they were trained on, sorted."""
    from ..mnn.checkpoint import training_facts

    stated = {*training_facts(files.network.data, str(files.network.path)).get("trained_on", ())}
    if files.trees is not None:
        from ..mnn.or_file import load_notes

        stated.update(load_notes(files.trees.data).get("trained_on", ()))
    return tuple(sorted(stated))


def _named(weights: Path, names: tuple[str, ...]) -> Path:
    if weights.is_dir():
        for name in names:
            if (weights / name).is_file():
                return weights / name
        raise MissingDataError(f"--weights {weights}: there is no {' or '.join(names)} in this folder.")
    if not weights.is_file():
        raise MissingDataError(f"--weights {weights}: there is no such file or folder.")
    return weights


def _read(path: Path) -> WeightFile:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingDataError(f"{path}: cannot be read ({error.strerror}).") from None
    return WeightFile(path, data, hashlib.sha256(data).hexdigest())
