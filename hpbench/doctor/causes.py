"""What may be wrong with predictions: named causes, each with the way to undo it, and predictions with causes undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Case", "Cause", "Kind", "errors_without", "rows_of", "undone"]

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Chain = tuple["Cause", ...]


@dataclass(frozen=True, eq=False)
class Cause:
    """One mistake.

    Attributes
    ----------
    name : str
        In tables.
    group : str
        Causes of one group exclude one another; a kind's groups are undone in its order.
    says : str
        What is wrong, a clause: "yaw is negated".
    mend : str
        What to change, an imperative: "give -yaw".
    undo : callable
        (predictions, labels, parameters) -> predictions without the mistake.
    fit : callable or None
        (predictions, labels) -> parameters, for a mistake of unknown size; None where there is nothing to fit.
    told : callable or None
        Parameters -> what is wrong and what to change, with their values; `says` and `mend` where None.
    source : (N,) int array or None
        Of a mistake in the rows: the row that holds each face's own prediction, -1 where none does.
    """

    name: str
    group: str
    says: str
    mend: str
    undo: Callable[[Any, Any, Any], Any] = lambda state, labels, parameters: state
    fit: Callable[[Any, Any], Any] | None = None
    told: Callable[[Any], tuple[str, str]] | None = None
    source: Rows | None = None


@dataclass(frozen=True)
class Kind:
    """Pose, landmarks or visibility: how their predictions are held, taken and measured.

    Attributes
    ----------
    name : str
    causes : tuple of Cause
        Preferred ones first: of two that fit alike, the first is told.
    groups : tuple of str
        In the order of undoing.
    take : callable
        (predictions or labels, rows) -> those rows; rows of -1 are NaN.
    errors : callable
        (predictions, labels) -> (n,) error of each face, NaN where there is none.
    halfway : callable or None
        Two predictions of each face -> those in the middle between them.
    single, pair, beside_single : float
        The share of the errors' level that one cause, and two, may leave to be told, and that two may leave of what the better one does
        (`hpbench.doctor.trial`).
    """

    name: str
    causes: tuple[Cause, ...]
    groups: tuple[str, ...]
    take: Callable[[Any, Rows], Any]
    errors: Callable[[Any, Any], Array]
    halfway: Callable[[Any, Any], Any] | None = None
    single: float = 0.7
    pair: float = 0.5
    beside_single: float = 0.65

    def ordered(self, causes: Chain) -> Chain:
        """Causes in the order of undoing."""
        return tuple(sorted(causes, key=lambda cause: self.groups.index(cause.group)))


@dataclass(frozen=True)
class Case:
    """Predictions and labels of the same N faces, the rows that are looked at, and two halves of these.

    Attributes
    ----------
    predictions, labels
        As the kind holds them; N rows.
    looked : (n,) int array
    half : (n,) bool array
        Clusters of faces are never split.
    cluster : (n,) int array
    """

    predictions: Any
    labels: Any
    looked: Rows
    half: Mask
    cluster: Rows


def rows_of(values: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Those rows of an array; -1 is a face that has none, NaN."""
    out = values[rows]
    if (rows < 0).any():
        out[rows < 0] = np.nan
    return out


def undone(kind: Kind, case: Case, chain: Chain, rows: Rows, fitted_on: Mask) -> tuple[Any, list[Any]]:
    """Predictions of some rows with the causes of a chain undone in turn, and the parameters, fitted on a mask of these rows."""
    source = next((cause.source[rows] for cause in chain if cause.source is not None), rows)
    state, labels, parameters = kind.take(case.predictions, source), kind.take(case.labels, rows), []
    inside = np.flatnonzero(fitted_on)
    for cause in chain:
        found = None if cause.fit is None else cause.fit(kind.take(state, inside), kind.take(labels, inside))
        state = cause.undo(state, labels, found)
        parameters.append(found)
    return state, parameters


def errors_without(kind: Kind, case: Case, chain: Chain, begun: dict[Chain, Any]) -> Array:
    """Errors of the faces looked at, (n,), with a chain undone; what is fitted is fitted on the half that a face is not in.

    `begun` keeps predictions with the first cause of a chain undone for the next chain that begins so.
    """
    labels = kind.take(case.labels, case.looked)
    *before, last = chain or (None,)
    if last is not None and last.source is None and all(cause.fit is None for cause in before):
        head = tuple(cause for cause in before if cause is not None)
        if head not in begun:
            begun[head] = undone(kind, case, head, case.looked, case.half)[0]
        rest: Chain = (last,)
        state = begun[head]
    else:
        rest, state = chain, None

    def errors_fitted_on(half: Mask) -> Array:
        if state is None:
            return kind.errors(undone(kind, case, rest, case.looked, half)[0], labels)
        (cause,) = rest
        inside = np.flatnonzero(half)
        found = None if cause.fit is None else cause.fit(kind.take(state, inside), kind.take(labels, inside))
        return kind.errors(cause.undo(state, labels, found), labels)

    if all(cause.fit is None for cause in chain):
        return errors_fitted_on(case.half)
    errors = np.empty(len(case.looked))
    for half in (case.half, ~case.half):
        errors[~half] = errors_fitted_on(half)[~half]
    return errors
