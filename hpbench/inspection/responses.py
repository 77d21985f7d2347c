"""How a score answers to a change of the input: of the colours, of the size or place of the box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..charging import Column
from ..faces import Faces
from ..metrics.estimators import clustered
from ..metrics.paired import paired_differences
from ..metrics.resampling import resampled
from ..metrics.statistics import LEVEL, cluster_codes, intervals
from .specimens import Yardstick

__all__ = ["LEAST_SHARE", "Response", "least_between", "responses_to"]

LEAST_SHARE = 0.05  # of the error as given: a smaller gain is a taste, where wrong colours and margins cost 20 % and more
_RESAMPLES = 2000
_SEED = 20250602


@dataclass(frozen=True)
class Response:
    """One score under one change of the input.

    Attributes
    ----------
    change : str
        ``box scale``, ``box shift x``, ``box shift y``, or ``colour``.
    amount : float
        Of a scale the factor, of a shift the share of the box's width or height (+ to the image's right, or down); 1 of swapped colours.
    metric, unit : str
    value, low, high : float
        The score, failures charged, and its 95 % interval (None where one cluster shows no spread).
    value_detected : float or None
        Without the failed faces.
    n_faces, n_failed : int
    difference, difference_low, difference_high : float or None
        The score less that as given, of the same faces, and its 95 % interval.
    least_share : float
        In which share of the resamples the error is least at this amount, of all amounts of the change.
    """

    change: str
    amount: float
    metric: str
    unit: str
    value: float
    low: float | None
    high: float | None
    value_detected: float | None
    n_faces: int
    n_failed: int
    difference: float
    difference_low: float | None
    difference_high: float | None
    least_share: float

    @property
    def better(self) -> bool:
        """Whether the change lowers the error: beyond its interval, and by more than `LEAST_SHARE` of what it was."""
        before = self.value - self.difference
        return self.difference_high is not None and self.difference_high < 0.0 and -self.difference > LEAST_SHARE * before


def responses_to(yardstick: Yardstick, given: Faces, change: str, changed: Sequence[tuple[float, Faces]], at: float) -> list[Response]:
    """Every score under every amount of a change, by metric and amount; the inputs as given stand among them at their amount.

    Parameters
    ----------
    given : Faces
        Predictions for the inputs as they are.
    changed : sequence of (amount, Faces)
        Predictions for the changed inputs.
    at : float
        The amount that changes nothing: 1 of a scale, 0 of a shift.
    """
    before = yardstick.columns(given)
    amounts = sorted([(at, before), *((amount, yardstick.columns(faces)) for amount, faces in changed)], key=lambda pair: pair[0])
    found = []
    for number, column in enumerate(before):
        columns = [(amount, of[number]) for amount, of in amounts]
        found += _responses(column, columns, change, yardstick.clusters)
    return found


def _responses(
    given: Column, columns: Sequence[tuple[float, Column]], change: str, clusters: npt.NDArray[np.object_] | None
) -> list[Response]:
    everyone = np.ones(len(given.labelled), dtype=bool)
    if not given.labelled.any():
        return []
    estimators = [column.estimator([everyone]) for _, column in columns]
    share = given.metric.family.share
    ends = intervals(estimators, clusters, shares=[share] * len(columns))
    base = given.estimator([everyone])
    apart = paired_differences([(e, base) for e in estimators], clusters, resamples=1)  # p, which takes resamples, decides nothing here
    units = estimators
    if clusters is not None:
        units = clustered(estimators, *cluster_codes(clusters))
    drawn = np.stack(resampled(units, _RESAMPLES, _SEED)[0])
    least = drawn == np.nanmin(drawn, axis=0)
    shares = (least / least.sum(axis=0)).mean(axis=1)  # equal amounts share a resample
    found = []
    for (amount, column), estimator, interval, d, chance in zip(columns, estimators, ends, apart, shares, strict=True):
        detected = column.estimator([~column.failed]).point()
        found.append(
            Response(
                change, amount, column.metric.text, column.metric.family.unit,
                estimator.point(), interval.low if interval else None, min(interval.high, column.metric.highest) if interval else None,
                None if np.isnan(detected) else detected, int(column.labelled.sum()), int(column.failed.sum()),
                d.difference, d.low, d.high, float(chance),
            )
        )  # fmt: skip
    return found


def least_between(curve: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Between which amounts the error is least in 95 % of the resamples.

    Parameters
    ----------
    curve : sequence of (amount, least_share)
        By amount.
    """
    amounts = np.array([amount for amount, _ in curve])
    below = np.cumsum([share for _, share in curve])
    tail = (1.0 - LEVEL) / 2.0
    low, high = (amounts[min(int(np.searchsorted(below, p)), len(amounts) - 1)] for p in (tail, 1.0 - tail))
    return float(low), float(high)
