"""Which faces of a record are in which subset: the labels say it, the errors beside a record do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..catalog import protocol_named
from ..errors import HpbenchError, InputError
from ..evaluate import in_subset
from ..kept import data_of
from ..readers import Dataset
from .pairs import Pair, Side

__all__ = ["Members", "labels_of", "subset_members"]

Members = Mapping[str, npt.NDArray[np.bool_]]


def subset_members(side: Side, source: Dataset) -> Members | None:
    """Subsets by name, (N,) bool over the faces of a record; None where the labels here are not those that it was scored with."""
    protocol = protocol_named(side.record.protocol.id)
    truth = source.truth(protocol.split, protocol.labels)
    if protocol.norm_box:
        truth = replace(truth, box_xyxy_px=source.boxes_of(protocol.norm_box, [str(i) for i in truth.sample_id]))  # type: ignore[union-attr]
    rows = truth.rows_of(side.ids)
    if (rows < 0).any():
        return None
    if not side.record.partial and truth.content_sha256() != side.record.truth_sha256:
        return None
    kept = truth.take(rows)
    return {s.name: in_subset(s, kept) for s in protocol.subsets if s.attribute in kept.attributes}


def labels_of(pairs: Sequence[Pair], data: Sequence[Path] = ()) -> dict[str, Members]:
    """Subsets by protocol reference, of the pairs whose labels are here.

    Parameters
    ----------
    data : sequence of path
        Where labels may lie (`hpbench.kept.data_of`).

    Raises
    ------
    HpbenchError
        Data were given and are not the labels.
    """
    found: dict[str, Members] = {}
    sources: dict[str, Dataset] = {}
    for pair in pairs:
        if not pair.new.record.subsets:
            continue
        try:
            protocol = protocol_named(pair.new.record.protocol.id)
            if protocol.dataset not in sources:
                sources[protocol.dataset] = data_of(protocol.dataset, data)
            members = subset_members(pair.new, sources[protocol.dataset])
        except HpbenchError:
            if data:
                raise
            continue  # no labels here: nobody said that there were
        if members is not None:
            found[pair.protocol] = members
        elif data:
            raise InputError(f"the labels in the data given are not those that {pair.new.path} was scored with: another release?")
    return found
