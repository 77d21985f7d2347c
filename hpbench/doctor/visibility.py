"""What may be wrong with visibility: its polarity, left and right exchanged, faces exchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .causes import Cause, Kind, rows_of
from .points import mirror_order

__all__ = ["GROUPS", "visibility_kind"]

Array = npt.NDArray[np.float64]

GROUPS = ("rows", "indices", "polarity")


def visibility_kind(scheme: str, rows: list[Cause]) -> Kind:
    """The causes that visibilities may have.  Labels are 1 visible, 0 occluded, NaN not labelled, (n, L)."""
    order = mirror_order(scheme)
    causes = [
        Cause("visibility inverted", "polarity", "visibility is inverted: it is P(occluded)", "give 1 - v: P(visible)",
              lambda s, labels, p: 1.0 - s),
        *([] if order is None else [Cause(
            "left and right points swapped", "indices", "the points of the left side have the numbers of the right side",
            f"reorder the points as {scheme} numbers them (hpbench.landmarks.SCHEMES[{scheme!r}].pairs); left is the subject's own",
            lambda s, labels, p: s[:, order],
        )]),
        *rows,
    ]  # fmt: skip
    return Kind("visibility", tuple(causes), GROUPS, rows_of, _errors, single=0.8, pair=0.8, beside_single=0.8)  # of 1 - ROC-AUC


def _errors(visible: Array, labels: Array) -> Array:
    """How often a face's points rank on the wrong side of the points of the other label of all faces, (n,), 0 to 1.

    Half the mean over its occluded points and half that over its visible ones; over all faces about 1 - ROC-AUC.  NaN for a face
    without one of the two labels.
    """
    known = ~np.isnan(labels + visible)
    occluded, seen = known & (labels < 0.5), known & (labels >= 0.5)
    wrong = np.full(visible.shape, np.nan)
    for mine, other, ascending in ((occluded, seen, True), (seen, occluded, False)):
        pool = np.sort(visible[other])
        if len(pool):
            below, up_to = (np.searchsorted(pool, visible[mine], side) / len(pool) for side in ("left", "right"))
            share = (below + up_to) / 2.0
            wrong[mine] = share if ascending else 1.0 - share
    means = [_mean(np.where(mine, wrong, 0.0), mine) for mine in (occluded, seen)]
    return (means[0] + means[1]) / 2.0


def _mean(values: Array, of: npt.NDArray[np.bool_]) -> Any:
    n = of.sum(axis=1)
    return np.where(n > 0, values.sum(axis=1) / np.maximum(n, 1), np.nan)
