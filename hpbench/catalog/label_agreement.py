"""How far two kinds of labels of the same faces are apart: ``baselines/label_agreement.csv``.

A model that is nearer to one kind of label than the other kind is has learned its way of labelling, not only the faces.  Only
aggregates are kept; benchmarks/label_agreement.py computes them from the label files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from ..errors import InputError
from .roots import catalog_roots
from .rows import rows_of

__all__ = ["LabelAgreement", "label_agreement"]


@dataclass(frozen=True)
class LabelAgreement:
    """A line of ``baselines/label_agreement.csv``.

    Attributes
    ----------
    protocol_id, subset, metric : str
        As of a record; the protocol's labels are the truth, the other kind is scored as if predicted.
    value : float
        In the metric's unit.
    n : int
        Faces.
    origin : str
        ``computed`` by hpbench's code, or ``noted`` from elsewhere.
    what : str
        The other kind of label, and how it was made.
    source : str
    """

    protocol_id: str
    subset: str
    metric: str
    value: float
    n: int
    origin: str
    what: str
    source: str


def label_agreement() -> tuple[LabelAgreement, ...]:
    """The lines of every catalog root, in the files' order."""
    found = []
    names = [f.name for f in fields(LabelAgreement)]
    for root in catalog_roots():
        path = root / "baselines" / "label_agreement.csv"
        if not path.is_file():
            continue
        for number, row in rows_of(path):
            if set(row) != set(names) or None in row.values():
                raise InputError(f"{path}: line {number} does not have the columns {', '.join(names)}.")
            try:
                read: dict[str, Any] = {**row, "value": float(row["value"]), "n": int(row["n"])}
            except ValueError:
                read = {"value": math.nan}
            if not math.isfinite(read["value"]) or row["origin"] not in ("computed", "noted"):
                raise InputError(f"{path}: line {number}: value and n are numbers, origin is computed or noted.")
            found.append(LabelAgreement(**read))
    return tuple(found)
