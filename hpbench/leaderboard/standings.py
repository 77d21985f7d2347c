"""Rank intervals, groups and the lead: what paired tests over the faces say of the order of a board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..beside import Errors, estimator_of
from ..catalog import Protocol
from ..errors import InputError
from ..metrics.all_pairs import AllPairs, all_pairs
from ..metrics.estimators import Estimator
from ..metrics.paired import paired_difference
from ..metrics.statistics import LEVEL
from .model import Lead, Row, is_invisible

__all__ = ["Standings", "standings_of"]

_ALPHA = 1.0 - LEVEL


@dataclass(frozen=True)
class Standings:
    """Rows with rank intervals and groups where there are some; notes say why where there are none."""

    rows: tuple[Row, ...]
    lead: Lead | None
    notes: tuple[str, ...]
    lead_beyond_ties: Lead | None = None


def standings_of(protocol: Protocol, rows: Sequence[Row], errors: Sequence[Errors | None]) -> Standings:
    """Compare the ranked rows of a board, in its order, pair by pair.

    Parameters
    ----------
    errors : sequence of mapping or None
        Per-face errors of each row.
    """
    ranked = [i for i, row in enumerate(rows) if row.rank is not None]
    if len(ranked) < 2:
        return Standings(tuple(rows), None, ())
    have = [i for i in ranked if errors[i] is not None]
    notes = []
    if not have:
        return Standings(tuple(rows), None, ("no rank intervals: no per-face errors lie beside these records",))
    if len(have) < len(ranked):
        missing = ", ".join(rows[i].title for i in ranked if errors[i] is None)
        notes.append(f"no rank interval for {missing}: without the per-face errors that lie beside a record, nothing can be compared")
    estimators = {i: estimator_of(protocol.main, errors[i] or {}) for i in have}
    found = {i: e for i, e in estimators.items() if e is not None}
    if len(found) < len(have):
        notes.append(f"no rank intervals: the errors beside the records do not say which face counts how much in {protocol.main}")
        return Standings(tuple(rows), None, tuple(notes))
    if len(have) < 2:
        return Standings(tuple(rows), None, tuple(notes))
    faces = errors[have[0]] or {}
    for i in have[1:]:
        theirs = errors[i] or {}
        if not all(np.array_equal(faces[name], theirs[name]) for name in ("sample_id", "cluster")):
            notes.append(f"no rank intervals: {rows[i].title} was scored on other faces than {rows[have[0]].title}")
            return Standings(tuple(rows), None, tuple(notes))
    clusters = None if len(set(faces["cluster"].tolist())) == len(faces["cluster"]) else faces["cluster"]
    try:
        pairs = all_pairs([found[i] for i in have], clusters)
    except InputError as error:
        return Standings(tuple(rows), None, (*notes, f"no rank intervals: {error}"))
    better = rows[have[0]].record.main.higher_is_better
    made = _with_intervals(rows, ranked, have, pairs, higher_is_better=better)
    if have[:2] != ranked[:2]:
        return Standings(tuple(made), None, tuple(notes))

    def lead_over(place: int) -> Lead:
        return _lead(made[have[0]], made[have[place]], [found[have[0]], found[have[place]]], clusters, pairs, place)

    unit = rows[have[0]].record.main.unit
    shown = [not is_invisible(float(difference), unit) for difference in pairs.difference[0]]
    clear = next((place for place in range(1, len(have)) if pairs.p_holm[0, place] <= _ALPHA and shown[place]), 1)
    return Standings(tuple(made), lead_over(1), tuple(notes), lead_over(clear) if clear > 1 else None)


def _with_intervals(
    rows: Sequence[Row], ranked: Sequence[int], have: Sequence[int], pairs: AllPairs, *, higher_is_better: bool
) -> list[Row]:
    significant = pairs.p_holm <= _ALPHA
    above = pairs.difference > 0 if higher_is_better else pairs.difference < 0  # the row's model is the better one
    beats = significant & above
    made = list(rows)
    group, first = 1, 0
    for place, i in enumerate(have):
        if beats[first, place]:
            group, first = group + 1, place
        made[i] = replace(rows[i], best_rank=1 + int(beats[:, place].sum()), worst_rank=len(ranked) - int(beats[place].sum()), group=group)
    return made


def _lead(first: Row, second: Row, estimators: Sequence[Estimator], clusters: npt.NDArray[Any] | None, pairs: AllPairs, place: int) -> Lead:
    """The first against the one at `place` of those compared."""
    found = paired_difference(estimators[0], estimators[1], clusters)
    main = first.record.main
    sign = 1.0 if main.higher_is_better else -1.0
    ends = sorted(sign * end for end in (found.low, found.high) if end is not None)
    low, high = ends if ends else (None, None)
    p = float(pairs.p_holm[0, place])
    return Lead(
        first=first.title,
        second=second.title,
        difference=sign * found.difference,
        low=low,
        high=high,
        unit=main.unit,
        p=p,
        test=pairs.test,
        pairs=pairs.pairs,
        real=p <= _ALPHA,
        minimum_detectable=found.minimum_detectable,
        clusters=found.clusters,
    )
