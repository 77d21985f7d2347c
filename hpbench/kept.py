"""Predictions kept with their records, and records made of them once more: what checking a submission and rescoring have in common."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .catalog import Protocol, dataset_card, protocol_named
from .errors import HpbenchError, InputError, MissingDataError
from .predictions import SUFFIXES, Predictions
from .predictions.given import read_given_predictions
from .readers import Dataset, load
from .records import Record
from .scoring import score_protocols

__all__ = ["ARCHIVE", "data_of", "known_protocol", "prediction_files", "predictions_by_hash", "record_paths", "score_again"]

ARCHIVE = "archive"  # folder of superseded records, below the folder that was rescored


def record_paths(folder: Path) -> list[Path]:
    """Files below a folder that are named like records (``<dataset>.<name>@<version>.json``), sorted, without the superseded."""
    return [path for path in _files_below(folder) if path.suffix == ".json" and "@" in path.name]


def prediction_files(folder: Path) -> list[Path]:
    """Files below a folder that may hold predictions, sorted; neither per-face errors nor the parts of an unfinished run."""
    return [path for path in _files_below(folder) if path.suffix.lower() in SUFFIXES and not path.name.endswith(".errors.npz")]


def _files_below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f != ARCHIVE and not f.startswith(".") and not f.endswith(".parts"))
        yield from (Path(place, name) for name in sorted(files) if not name.startswith("."))


def predictions_by_hash(files: Iterable[Path]) -> dict[str, Path]:
    """Prediction files by the hash that records know them by; what cannot be read as predictions is passed over."""
    found: dict[str, Path] = {}
    for path in files:
        try:
            found.setdefault(read_given_predictions(path).faces.content_sha256(), path)
        except HpbenchError:  # somebody's table: it is no record's
            continue
    return found


def known_protocol(record: Record) -> Protocol | None:
    """The present protocol of a record's id, whatever its version and text; None where the catalog has none."""
    try:
        return protocol_named(record.protocol.id)
    except InputError:
        return None


def data_of(dataset: str, data: Sequence[Path]) -> Dataset:
    """A dataset out of data roots for several: a folder that has one called like the dataset stands for that one.

    Data that come with hpbench need no root, and where none of the roots is theirs they are taken all the same.

    Raises
    ------
    MissingDataError, InputError
        As `hpbench.load`.
    """
    card = dataset_card(dataset)
    own = [path / card.id for path in data if (path / card.id).is_dir()]
    return load(card.id, own or ([] if card.embedded else list(data)))


def score_again(
    record: Record,
    predictions: Predictions,
    protocol: Protocol,
    source: Dataset,
    folder: Path,
    *,
    limit_ids: Sequence[str] | None = None,
    metrics: Sequence[str] = (),
) -> Record:
    """What a record would be if its predictions were scored here and now; written to `folder` with the per-face errors.

    Model and timing are the old record's: predictions do not show them.

    Parameters
    ----------
    limit_ids : sequence of str or None
        The only faces to score: of a partial record.
    metrics : sequence of str
        Metric texts besides the protocol's.

    Raises
    ------
    MissingDataError
        Fewer labels are here than the record had.
    InputError
        The predictions do not serve the protocol (any more).
    """
    here = len(source.found_ids(protocol.split, protocol.labels))
    if here < record.dataset.n_found:
        raise MissingDataError(f"{here} faces of {source.card.id} are in the data given, the record had {record.dataset.n_found}.")
    mixed = any(note.startswith("schemes mixed") for note in record.notes)
    return score_protocols(
        predictions, source, [protocol], record.model, folder,
        limit_ids=None if limit_ids is None else list(limit_ids), timing=record.timing, mix_schemes=mixed, metrics=metrics, named=True,
    )[0]  # fmt: skip
