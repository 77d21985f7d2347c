"""A record with what lies beside it: per-face errors, labels, predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...catalog import Protocol, model_cards, protocol_named
from ...errors import InputError
from ...evaluate import kept_rows
from ...faces import Faces
from ...leaderboard import Speed, speed_of
from ...predictions import SUFFIXES
from ...predictions.given import read_given_predictions
from ...readers import Dataset
from ...records import Record, read_errors, read_record

__all__ = ["Measured", "measured"]


@dataclass(frozen=True, eq=False)
class Measured:
    """A record with what lies beside it.

    Attributes
    ----------
    record : Record
    errors : mapping of str to array
        `hpbench.records.read_errors`.
    truth, prediction : Faces or None
        Rows as in `errors`; None where the data set or the prediction file is not there.
    speed : Speed or None
        The one that its board shows.
    """

    record: Record
    errors: Mapping[str, npt.NDArray[np.generic]]
    truth: Faces | None = None
    prediction: Faces | None = None
    speed: Speed | None = None

    @property
    def name(self) -> str:
        """The model as its card calls it."""
        cards, name = model_cards(), self.record.model.name
        return self.record.model.called(cards[name].title if name in cards else name)


def measured(path: Path | str, dataset: Dataset | None = None, predictions: Path | str | None = None) -> Measured:
    """A record and its per-face errors, with the labels where the data set is given and the predictions where they are found.

    Parameters
    ----------
    path : path
        Of the record.
    dataset : Dataset, optional
        What `hpbench.load` returned.
    predictions : path, optional
        The prediction file; a file ``predictions.*`` beside the record if left out.

    Raises
    ------
    InputError
        No such record, damaged errors, labels or predictions that are not those of the record.
    """
    path = Path(path)
    record, errors = read_record(path), read_errors(path)
    protocol = protocol_named(record.protocol.reference)
    ids = [str(i) for i in errors["sample_id"]]
    truth = _truth(record, protocol, dataset, ids) if dataset is not None else None
    prediction = None
    given = [Path(predictions)] if predictions is not None else [path.with_name(f"predictions{s}") for s in SUFFIXES]
    for file in (f for f in given if f.is_file() or predictions is not None):
        faces = read_given_predictions(file).faces
        if faces.content_sha256() == record.predictions_sha256:
            prediction = faces.aligned_to(ids)
        elif predictions is not None:
            raise InputError(f"{file}: not the predictions of the record {path.name}: their hashes differ.")
    return Measured(record, errors, truth, prediction, speed_of(record))


def _truth(record: Record, protocol: Protocol, dataset: Dataset, ids: list[str]) -> Faces:
    if protocol.dataset != dataset.card.id:
        raise InputError(f"the record is of {protocol.dataset}, the data of {dataset.card.id}.")
    truth = dataset.truth(protocol.split, protocol.labels)
    if protocol.norm_box:
        truth = replace(truth, box_xyxy_px=dataset.boxes_of(protocol.norm_box, [str(i) for i in truth.sample_id]))  # type: ignore[union-attr]
    whole = truth.take(kept_rows(protocol, truth))
    of = f"the record of {record.model.name} on {protocol.reference}"
    if not record.partial and len(whole) == len(ids) and truth.content_sha256() != record.truth_sha256:
        raise InputError(f"the labels of {dataset.card.id} here are not those of {of}.")
    rows = truth.rows_of(ids)
    if (rows < 0).any():
        raise InputError(f"{of} has the face {ids[int(np.argmax(rows < 0))]!r}, whose labels are not here.")
    return truth.take(rows)
