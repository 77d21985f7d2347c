"""What a comparison is made of: plain data, nothing formatted, every number with all its digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..metrics.paired import Difference
from .pairs import Side

__all__ = ["Comparison", "Coverage", "FaceChange", "FaceValues", "MetricDifference", "Speed", "SubsetDifference"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MetricDifference:
    """One metric of two records.

    Attributes
    ----------
    new, ref : float or None
        The scores.
    difference : Difference or None
        NEW less REF; None where the per-face errors do not give it: `reason` says why.
    p_holm : float or None
        Corrected for the metrics that were tested.
    wins, ties, losses : int or None
        Faces on which NEW is better, the same, worse; None for metrics that single faces do not have.
    """

    metric: str
    unit: str
    higher_is_better: bool
    new: float | None
    ref: float | None
    difference: Difference | None
    p_holm: float | None = None
    wins: int | None = None
    ties: int | None = None
    losses: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class SubsetDifference:
    """The main metric on a subset; `p_holm` is corrected for the subsets."""

    name: str
    n_faces: int
    new: float | None
    ref: float | None
    difference: Difference | None
    p_holm: float | None = None


@dataclass(frozen=True)
class FaceChange:
    """A face and its two values."""

    sample_id: str
    new: float
    ref: float


@dataclass(frozen=True, eq=False)
class FaceValues:
    """Values of every face by one metric: the main one where single faces have it.

    Attributes
    ----------
    metric : str
        Of visibility, where the main metric ranks all points together, ``brier``.
    sample_id : (N,) array of str
    new, ref : (N,) arrays
        NaN = not labelled; failed faces have their charge.
    """

    metric: str
    unit: str
    higher_is_better: bool
    sample_id: npt.NDArray[np.str_]
    new: Array
    ref: Array

    @property
    def loss(self) -> Array:
        """How much worse NEW is, (N,); negative where it is better, NaN where there is no label."""
        return self.ref - self.new if self.higher_is_better else self.new - self.ref

    def changed_most(self, n: int) -> tuple[list[FaceChange], list[FaceChange]]:
        """The n faces that got better by most and those that got worse by most; those that did not change are neither."""
        loss = np.nan_to_num(self.loss)
        order = np.argsort(loss, kind="stable")
        better, worse = (
            [FaceChange(str(self.sample_id[i]), float(self.new[i]), float(self.ref[i])) for i in rows]
            for rows in ([i for i in order[:n] if loss[i] < 0], [i for i in order[::-1][:n] if loss[i] > 0])
        )
        return better, worse


@dataclass(frozen=True)
class Coverage:
    """Shares of the labelled faces that have a prediction, and which faces changed: failed now, or found now."""

    new: float | None
    ref: float | None
    failed_now: tuple[str, ...]
    found_now: tuple[str, ...]


@dataclass(frozen=True)
class Speed:
    """Images a second of two runs; `reason` says why they are not compared, "" where the hardware is equal as far as records say."""

    new: float | None
    ref: float | None
    hardware: str = ""
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that differs between two records by one protocol.

    Attributes
    ----------
    protocol : str
        ``<dataset>/<name>@<version>``.
    clusters : int or None
        Number of the groups that are drawn together; None where faces are.
    cluster_by : str
    metrics : tuple of MetricDifference
        The main first.
    subsets : tuple of SubsetDifference
        By the main metric.
    faces : FaceValues or None
    notes : tuple of str
    """

    protocol: str
    new: Side
    ref: Side
    n_faces: int
    clusters: int | None
    cluster_by: str
    metrics: tuple[MetricDifference, ...]
    subsets: tuple[SubsetDifference, ...]
    faces: FaceValues | None
    coverage: Coverage
    speed: Speed
    notes: tuple[str, ...] = ()

    @property
    def main(self) -> MetricDifference:
        return self.metrics[0]
