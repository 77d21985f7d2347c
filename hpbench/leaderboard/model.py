"""What a board is made of: plain data, nothing formatted, every number with all its digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..catalog import Protocol
from ..catalog.label_agreement import LabelAgreement
from ..catalog.published import PublishedRow, Work
from ..metrics import parse_metric
from ..records import Record, Score

if TYPE_CHECKING:
    from ..submissions import Level
__all__ = ["Board", "Gap", "Lead", "PublishedEntry", "PublishedLine", "Row", "Speed", "decimals_of", "find_score", "is_invisible"]


@dataclass(frozen=True)
class Speed:
    """How fast a model ran; two speeds compare where `machine` is the same, and even then by rule of thumb.

    Attributes
    ----------
    device : str
        Where the model ran: ``cpu``, ``cuda``; "" where the record does not say (``auto``: the model does not tell).
    hardware : str
        "" where the record does not say.
    threads : int or None
        Of a speed record (`hpbench bench`); None where the speed is that of a run over a data set.
    latency_ms : float or None
        Median of one face a call, cropping included; of a speed record.
    """

    images_per_s: float
    device: str
    hardware: str
    threads: int | None = None
    latency_ms: float | None = None

    @property
    def place(self) -> str:
        """Device and hardware in words; "" where the record names neither."""
        return ", ".join(filter(None, [f"device {self.device or 'not stated'}", self.hardware])) if self.device or self.hardware else ""

    @property
    def machine(self) -> str:
        """The place and the way of measuring: what must be equal for speeds to be compared."""
        way = f"hpbench bench with {self.threads} thread{'s' * (self.threads > 1)}" if self.threads is not None else ""
        return ", ".join(filter(None, [self.place, way]))


@dataclass(frozen=True)
class Row:
    """One record on a board.

    Attributes
    ----------
    rank : int or None
        None for what is not ranked; `marks` says why.
    title : str
        The model as its card calls it, as the record does where there is none.
    parameters : int or None
        Of the model, from its card.
    path : Path or None
        Of the record's file.
    best_rank, worst_rank : int or None
        1 + the number of models that are significantly better, and n less the number of those significantly worse (paired
        tests over the faces, Holm's correction over all pairs of the board).  None where the errors of its faces are not there.
    group : int or None
        Counted from 1: a group is its first model and all that follow and are not significantly worse than that one.
    level : {"self-reported", "re-scored", "run here"} or None
        Who says so (`hpbench.submissions.level_of`); None for output that nobody submitted.
    """

    rank: int | None
    record: Record
    marks: tuple[str, ...]
    title: str
    parameters: int | None = None
    speed: Speed | None = None
    path: Path | None = None
    best_rank: int | None = None
    worst_rank: int | None = None
    group: int | None = None
    level: Level | None = None


@dataclass(frozen=True)
class PublishedEntry:
    """A published value: the canonical row of a claim, and what was folded under it.

    Attributes
    ----------
    folded : tuple of PublishedRow
        Quotations, reruns and copies of the claim.
    delta : float or None
        The value less that of the board's `against`, in the metric's unit; None without one.
    """

    row: PublishedRow
    folded: tuple[PublishedRow, ...]
    delta: float | None


@dataclass(frozen=True)
class PublishedLine:
    """Published values of one method that have one verdict.

    Attributes
    ----------
    subset : str
        Of the board's protocol, or ``all``.
    reason : str
        Of the verdict.
    work : Work
        Paper or repository that describes the method.
    entries : mapping of str to PublishedEntry
        By metric text, the board's main first where it is there.
    """

    method: str
    variant: str
    subset: str
    comparable: Literal["yes", "no", "unknown"]
    reason: str
    work: Work
    year: int | None
    entries: Mapping[str, PublishedEntry]

    @property
    def title(self) -> str:
        return self.method if self.variant in ("", self.method) else f"{self.method}, {self.variant}"


@dataclass(frozen=True)
class Lead:
    """The first of a board, compared with another.

    Attributes
    ----------
    first, second : str
        Titles.
    difference : float
        By how much the first is better, in `unit`.
    low, high : float or None
        Of its 95 % interval.
    p : float
        Two-sided, Holm's correction over the `pairs` of the board applied.
    real : bool
        p is at most 0.05.
    minimum_detectable : float or None
        The difference that 80 % of such test sets would show.
    clusters : int
        Faces, or groups of them, that were compared.
    """

    first: str
    second: str
    difference: float
    low: float | None
    high: float | None
    unit: str
    p: float
    test: str
    pairs: int
    real: bool
    minimum_detectable: float | None
    clusters: int

    @property
    def invisible(self) -> bool:
        """Nothing of the difference is left at the digits that are shown: nobody leads by it, however small p."""
        return is_invisible(self.difference, self.unit)


@dataclass(frozen=True)
class Gap:
    """How differently a model does on groups of people, by the main metric.

    Attributes
    ----------
    attribute : str
        What the groups differ in: skin, age.
    scores : mapping of str to Score
        By subset.
    worst, best : str
        Subsets.
    gap : float
        Between them, in the metric's unit.
    low, high : float
        Interval that holds for all pairs of groups at once with 95 %, from the groups' own intervals (MOVER, Bonferroni).
    """

    title: str
    attribute: str
    scores: Mapping[str, Score]
    worst: str
    best: str
    gap: float
    low: float
    high: float


@dataclass(frozen=True)
class Board:
    """All that is known by one protocol.

    Attributes
    ----------
    protocol : Protocol
    metrics : tuple of str
        The columns: main first.
    rows : tuple of Row
        Measured, best first, unranked ones after the ranked.
    published : tuple of PublishedLine
        Never ranked: of the whole first, then by subset; comparable ones first, best first.
    against : Row or None
        What published values are compared with.
    lead : Lead or None
        Over the second.
    lead_beyond_ties : Lead or None
        Where the first does not lead the second: its lead over the first row that it does lead.
    notes : tuple of str
        Why there are no rank intervals, or not for all.
    agreement : tuple of LabelAgreement
        How far two kinds of labels of these faces are apart: what a smaller difference is worth.
    gaps : tuple of Gap
    """

    protocol: Protocol
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    published: tuple[PublishedLine, ...] = ()
    against: Row | None = None
    lead: Lead | None = None
    lead_beyond_ties: Lead | None = None
    notes: tuple[str, ...] = ()
    agreement: tuple[LabelAgreement, ...] = ()
    gaps: tuple[Gap, ...] = ()

    @property
    def task(self) -> str:
        """pose, landmarks or visibility: what the main metric needs."""
        return str(parse_metric(self.protocol.main).family.needs)

    @property
    def subsets(self) -> tuple[str, ...]:
        """Subsets that have published lines, in the protocol's order, ``all`` first."""
        return tuple(dict.fromkeys(line.subset for line in self.published))

    def published_on(self, subset: str = "all") -> tuple[PublishedLine, ...]:
        return tuple(line for line in self.published if line.subset == subset)


def decimals_of(unit: str) -> int:
    """As many as are shown of a value in this unit: two, four of a share of one."""
    return 4 if unit == "1" else 2


def is_invisible(difference: float, unit: str) -> bool:
    """Whether a difference is 0 at the digits that are shown."""
    return round(abs(difference), decimals_of(unit)) == 0


def find_score(record: Record, metric: str, subset: str = "all") -> Score | None:
    """The score of a metric on a subset, None where a record has none."""
    return next((s for s in (record.scores if subset == "all" else record.subsets.get(subset, ())) if s.metric == metric), None)
