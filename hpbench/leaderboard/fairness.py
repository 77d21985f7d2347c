"""How differently a model does on groups of people: the largest gap between the subsets of one attribute.

The groups are other people, so their scores are independent, and an interval of the difference follows from those of the two
(MOVER: Zou and Donner, Construction of confidence limits about effect measures, Statistics in Medicine 2008): with scores a > b,
low = a - b - sqrt((a - a_low)^2 + (b_high - b)^2), high alike.  The largest of several gaps is chosen after the fact: the arms
are those that hold for all pairs of groups at once (Bonferroni, normal quantiles).
"""

from __future__ import annotations

import math

from ..catalog import Protocol
from ..metrics.statistics import LEVEL
from .model import Gap, Row

__all__ = ["ATTRIBUTES", "gaps_of"]

ATTRIBUTES = ("skin", "age")  # of people; other subsets are of pictures


def gaps_of(protocol: Protocol, row: Row) -> list[Gap]:
    """One gap an attribute that the protocol has subsets of, where two of them or more have an interval."""
    if protocol.cluster_by:  # one person may be in two groups: no independent scores
        return []
    gaps = []
    for attribute in ATTRIBUTES:
        scores = {}
        for name in (s.name for s in protocol.subsets if s.attribute == attribute):
            score = next((s for s in row.record.subsets.get(name, ()) if s.metric == protocol.main), None)
            if score is not None and score.value is not None and score.ci95 is not None:
                scores[name] = score
        if len(scores) < 2:
            continue
        values = {name: score.value or 0.0 for name, score in scores.items()}
        top, bottom = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
        (top_low, top_high), (bottom_low, bottom_high) = scores[top].ci95 or (0.0, 0.0), scores[bottom].ci95 or (0.0, 0.0)
        gap, wider = values[top] - values[bottom], _wider(len(scores))
        low = gap - wider * math.hypot(values[top] - top_low, bottom_high - values[bottom])
        high = gap + wider * math.hypot(top_high - values[top], values[bottom] - bottom_low)
        worst, best = (bottom, top) if row.record.main.higher_is_better else (top, bottom)
        gaps.append(Gap(row.title, attribute, scores, worst, best, gap, low, high))
    return gaps


def _wider(groups: int) -> float:
    """By how much an interval of one pair of groups grows that is to hold for all pairs."""
    from scipy.special import ndtri

    tail = (1.0 - LEVEL) / 2.0
    return float(ndtri(tail / math.comb(groups, 2)) / ndtri(tail))
