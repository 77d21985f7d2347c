"""All checks of an installation, or of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..catalog import Protocol, dataset_card, dataset_cards, protocol_named, protocols_of
from ..errors import InputError
from ..readers import load
from .installation import installation_checks
from .laws import Check, laws_of

__all__ = ["selfcheck"]


def selfcheck(dataset: str = "", data: Iterable[Path | str] = (), protocol: Sequence[str] = ()) -> list[Check]:
    """The laws of scoring on a data set's labels; without one, on those that are shipped, and the installation itself.

    Parameters
    ----------
    dataset : str
        May be left out when `protocol` names it.
    data : paths
        Its data roots; without them ``$HPBENCH_DATA/<dataset>``.
    protocol : sequence of str
        Only these protocols.

    Raises
    ------
    MissingDataError
        The data set's files are not here.
    InputError
        Unknown names, or protocols of several data sets.
    """
    if not dataset and not protocol:
        shipped = [card for card in dataset_cards().values() if card.embedded]
        return [*installation_checks(), *(check for card in shipped for check in _dataset_checks(card.id, [], protocols_of(card)))]
    if not dataset:
        dataset = protocol_named(protocol[0]).dataset
    card = dataset_card(dataset)
    chosen = [protocol_named(name if "/" in name else f"{dataset}/{name}") for name in protocol] or protocols_of(card)
    for each in chosen:
        if each.dataset != dataset:
            raise InputError(f"protocol {each.id!r} is one of {each.dataset}'s, not of {dataset}'s.")
    return _dataset_checks(dataset, [Path(d) for d in data], chosen)


def _dataset_checks(dataset: str, data: list[Path], protocols: Sequence[Protocol]) -> list[Check]:
    source = load(dataset, data)
    return [check for protocol in protocols for check in laws_of(source, protocol)]
