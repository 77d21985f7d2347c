"""Which record is compared with which, and when two must not be.

A place is a record, a folder of records, or the name of a model that comes with records (``mnn``).  A name wins over a folder that is
called the same: write ``./mnn`` for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..beside import Errors, FoundRecord, disagreement, errors_beside
from ..catalog import model_cards, protocol_named
from ..errors import InputError, did_you_mean
from ..kept import record_paths
from ..records import Record, read_record

__all__ = ["Pair", "Pairs", "Side", "pairs_of", "side_of"]

_SHOWN = 3  # ids or protocols in a sentence


@dataclass(frozen=True, eq=False)
class Side:
    """A record with the per-face errors beside it (`hpbench.records.read_errors`)."""

    record: Record
    path: Path
    errors: Errors

    @property
    def ids(self) -> list[str]:
        return [str(i) for i in self.errors["sample_id"]]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two records by one protocol, over the same faces with the same labels."""

    new: Side
    ref: Side

    @property
    def protocol(self) -> str:
        return self.new.record.protocol.reference


@dataclass(frozen=True, eq=False)
class Pairs:
    """What two places have in common.

    Attributes
    ----------
    pairs : tuple of Pair
        By protocol id.
    unpaired : tuple of str
        Protocols that one of the places has alone, a sentence each.
    remarks : tuple of str
        Files that look like records and are none.
    """

    pairs: tuple[Pair, ...]
    unpaired: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def pairs_of(new: str | Path, ref: str | Path, protocols: Iterable[str] = ()) -> Pairs:
    """The records of two places, protocol by protocol.

    Parameters
    ----------
    new, ref : str or path
        Records, folders of records, or names of shipped models.
    protocols : iterable of str
        Only these (``heads/pose``).

    Raises
    ------
    InputError
        No protocol in common; records that cannot be compared: other protocols, faces or labels, without per-face errors, or with
        scores that these do not give.
    """
    wanted = {protocol_named(text).id for text in protocols}
    (ours, told), (theirs, more) = (_records_at(place, wanted) for place in (new, ref))
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        raise InputError(f"{new} and {ref} have no protocol in common: the one has {_listed(ours)}, the other {_listed(theirs)}.")
    unpaired = [f"{key} is in {new} only" for key in sorted(ours.keys() - theirs.keys())]
    if not _is_record(new):
        unpaired += [f"{key} is in {ref} only" for key in sorted(theirs.keys() - ours.keys())]
    made = []
    for key in common:
        a, b = (_one(found[key], place) for found, place in ((ours, new), (theirs, ref)))
        _refuse_other_protocol(a, b)
        pair = Pair(side_of(a), side_of(b))
        _refuse_other_faces(pair)
        made.append(pair)
    return Pairs(tuple(made), tuple(unpaired), (*told, *more))


def side_of(found: FoundRecord) -> Side:
    """A record with its errors; `InputError` without them, or where the scores are not those that they give."""
    path = found.path
    assert path is not None
    beside = path.with_suffix(".errors.npz")
    errors, problem = errors_beside(path)
    if problem:
        raise InputError(problem)
    if errors is None:
        raise InputError(f"{path}: {beside.name} is not beside it: without the error of every face nothing can be compared face by face.")
    if "sample_id" not in errors or "cluster" not in errors:
        raise InputError(f"{beside}: it does not say whose errors these are: written by something else than hpbench?")
    for name in ("cluster", "bin", *(score.metric for score in found.record.scores)):
        if name in errors and errors[name].shape != errors["sample_id"].shape:
            raise InputError(f"{beside}: {name} is not one value a face: edited by hand?")
    if odd := disagreement(found.record, errors):
        raise InputError(f"{path}: {odd}: edited by hand?")
    return Side(found.record, path, errors)


def _is_record(place: str | Path) -> bool:
    return Path(place).is_file()


def _records_at(place: str | Path, wanted: set[str]) -> tuple[dict[str, list[FoundRecord]], list[str]]:
    """Records of a place by protocol id."""
    path, remarks = _shipped(place) or Path(place), []
    by_protocol: dict[str, list[FoundRecord]] = {}
    if path.is_file():
        read = [FoundRecord(read_record(path), path)]
    elif path.is_dir():
        read = []
        for file in record_paths(path):
            try:
                read.append(FoundRecord(read_record(file), file))
            except InputError as error:
                remarks.append(f"left out: {error}")
        if not read:
            raise InputError(f"{place}: there is no record below this folder{f' ({remarks[0]})' if remarks else ''}.")
    else:
        raise InputError(f"{place}: there is no such record, folder or model that comes with records: {did_you_mean(str(place), _names())}")
    for found in read:
        if not wanted or found.record.protocol.id in wanted:
            by_protocol.setdefault(found.record.protocol.id, []).append(found)
    if not by_protocol:
        raise InputError(f"{place}: there is no record by {_listed(sorted(wanted))}.")
    return by_protocol, remarks


def _shipped(place: str | Path) -> Path | None:
    """The folder of the records that come with a model of this name."""
    card = model_cards().get(place) if isinstance(place, str) else None
    if card is None:
        return None
    folder = card.folder / "results"
    if not folder.is_dir():
        raise InputError(f"the model {place!r} comes without records: {did_you_mean('', _names())}")
    return folder


def _names() -> list[str]:
    return [name for name, card in model_cards().items() if (card.folder / "results").is_dir()]


def _one(found: list[FoundRecord], place: str | Path) -> FoundRecord:
    if len(found) > 1:
        first, second = (f.path for f in found[:2])
        raise InputError(f"{place}: {first} and {second} are by the same protocol: say which of {len(found)} records is meant.")
    return found[0]


def _refuse_other_protocol(new: FoundRecord, ref: FoundRecord) -> None:
    a, b = new.record.protocol, ref.record.protocol
    if a.version != b.version:
        stale = new if a.version < b.version else ref
        raise InputError(f"{new.path} is by {a.reference}, {ref.path} by {b.reference}: `hpbench rescore {stale.path}` scores it again.")
    if a.sha256 != b.sha256:
        raise InputError(
            f"{new.path} and {ref.path} were scored by two texts of {a.reference} (protocol hashes {a.sha256[:12]} and {b.sha256[:12]}): "
            "a protocol file that was edited without a new version?"
        )


def _refuse_other_faces(pair: Pair) -> None:
    new, ref = pair.new, pair.ref
    ours, theirs = set(new.ids), set(ref.ids)
    if not ours & theirs:
        raise InputError(f"{new.path} and {ref.path} have no face in common: records of two data sets under one name?")
    for lacking, other, ids in ((ref, new, ours - theirs), (new, ref, theirs - ours)):
        if ids:
            partial = ": a partial record?" if lacking.record.partial else ""
            of = f"{len(ids)} of the {len(other.ids)} faces of {other.path}"
            raise InputError(f"{lacking.path} lacks {of} ({_listed(sorted(ids))}){partial or ': another list?'}")
    a, b = new.record.truth_sha256, ref.record.truth_sha256
    if a != b:
        hashes = f"truth hashes {a[:12]} and {b[:12]}"
        raise InputError(f"{new.path} and {ref.path} were scored with labels that differ ({hashes}): another release of the data?")
    if new.ids != ref.ids or not np.array_equal(new.errors["cluster"], ref.errors["cluster"]):
        raise InputError(f"{new.path} and {ref.path} have their faces in another order or in other groups: written by something else?")


def _listed(names: Iterable[str]) -> str:
    every: Sequence[str] = list(names)
    return ", ".join(every[:_SHOWN]) + (f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else "")
