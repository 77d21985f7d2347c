"""The one table of metrics: name, parameters, unit, direction, what a failed face is charged, and the function."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import InputError, did_you_mean
from ..geometry.rotations import CONVENTIONS
from . import landmarks, pose, visibility

__all__ = ["METRICS", "NO_METRICS", "Family", "Parameter"]


@dataclass(frozen=True)
class Parameter:
    """A metric parameter: one of `choices`, or where there are none a positive number, at most `maximum`, maybe `whole`.

    A `percentage` of at most 1 is taken for a share and refused; `elsewhere` says of values that are no choice where to look.
    """

    choices: tuple[str, ...] = ()
    default: Any = None
    required: bool = False
    maximum: float = math.inf
    whole: bool = False
    percentage: bool = False
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def read(self, text: str, where: str) -> Any:
        if self.choices:
            if text in self.elsewhere:
                raise InputError(f"{where} {text!r}: {self.elsewhere[text]}.")
            if text not in self.choices:
                raise InputError(f"{where} {text!r}: {did_you_mean(text, self.choices)}")
            return text
        try:
            if not text.isascii() or "_" in text:  # which Python reads
                raise ValueError
            value = float(text)
        except ValueError:
            raise InputError(f"{where} {text!r} is no number.") from None
        if not math.isfinite(value) or value <= 0:
            raise InputError(f"{where} must be a positive number, got {text}.")
        if value > self.maximum:
            guess = f": a percentage? {self.show(value / 100)} is the share" if self.maximum == 1 and value <= 100 else ""
            raise InputError(f"{where} must be at most {self.maximum:g}, got {text}{guess}.")
        if self.percentage and value <= 1:
            raise InputError(f"{where} is in percent, got {text}: did you mean {self.show(100 * value)}?")
        if self.whole and value != int(value):
            raise InputError(f"{where} must be a whole number, got {text}.")
        return int(value) if self.whole else value

    def show(self, value: Any) -> str:
        if self.choices:
            return str(value)
        short = f"{value:.12g}"
        return short if float(short) == value else repr(value)


@dataclass(frozen=True)
class Family:
    """A metric before its parameters are set.

    Attributes
    ----------
    needs : str
        What the prediction must hold: ``pose``, ``landmarks`` or ``visibility``.
    worst : float or callable
        Charged for a failed face, in the metric's unit; of a metric of pooled decisions, the worst score there is (its
        failed faces are ranked worst).
    per_face : callable or None
        (pair, **parameters but ``mean``) -> (N,) values, whose mean is the score: NaN = not labelled, infinite = failed.
    weight : callable or None
        (truth, **parameters) -> (N,) weights of that mean; equal where None.
    whole : callable or None
        (**parameters) -> a function of all per-face values that replaces the mean, or None: legacy formulas.
    of_decisions : callable or None
        (decisions, **parameters) -> estimator, in place of `per_face`.
    one_of : tuple of str
        Parameters of which exactly one must be given.
    highest : float
        The largest value there is: no interval goes beyond.
    share : bool
        A share of the faces, each of which counts 0 or 100.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    needs: Literal["pose", "landmarks", "visibility"]
    worst: float | Callable[..., Any]
    example: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    per_face: Callable[..., Any] | None = None
    weight: Callable[..., Any] | None = None
    whole: Callable[..., Any] | None = None
    of_decisions: Callable[..., Any] | None = None
    one_of: tuple[str, ...] = ()
    highest: float = math.inf
    share: bool = False


_CONVENTION = Parameter(choices=tuple(CONVENTIONS), required=True)
_OVER_FACES = Parameter(choices=("image", "median"), default="image")  # "image" is the field's word: the mean over faces
_NORM = Parameter(choices=landmarks.NORMS, required=True)
_THRESHOLD = Parameter(required=True, maximum=1000.0)  # percent of a length of the face
_VIEW = Parameter(choices=visibility.VIEWS, default="occluded")
_OCCLUDED_FROM = Parameter(required=True, maximum=1.0)
_ALIGNED = (
    "taking a rotation away is a matter of the protocol, not of the formula: score by one whose name ends in -aligned "
    "(`hpbench protocols list`), where formula=best-triple is the authors'"
)
_BINS = Parameter(default=15, maximum=100.0, whole=True)

NO_METRICS = {  # names that are looked for among the metrics -> where to look instead
    "ced": "the cumulative error curve is a figure, not a number: `hpbench.metrics.curves` computes it from the per-face errors of a "
    "record, and its numbers are auc(below=...) and fr(above=...)",
}

METRICS: dict[str, Family] = {
    f.name: f
    for f in (
        Family(
            name="mae",
            highest=180.0,
            title="mean absolute error of yaw, pitch and roll (or of one angle)",
            unit="deg",
            higher_is_better=False,
            needs="pose",
            per_face=pose.mae_deg,
            worst=180.0,
            example="mae(convention=300w-lp)",
            parameters={
                "angle": Parameter(choices=("mean", *pose.ANGLES), default="mean"),
                "convention": _CONVENTION,
                "formula": Parameter(choices=tuple(pose.FORMULAS), default="wrap", elsewhere={"aligned": _ALIGNED}),
                "mean": _OVER_FACES,
            },
        ),
        Family(
            name="geodesic",
            highest=180.0,
            title="angle of the rotation between truth and prediction",
            unit="deg",
            higher_is_better=False,
            needs="pose",
            per_face=pose.geodesic_error_deg,
            worst=180.0,
            example="geodesic",
            parameters={"mean": _OVER_FACES},
        ),
        Family(
            name="nme",
            title="mean distance of the labelled landmarks over a length of the face",
            unit="%",
            higher_is_better=False,
            needs="landmarks",
            per_face=landmarks.nme_percent,
            weight=landmarks.nme_weight,
            worst=100.0,
            example="nme(norm=height)",
            parameters={"mean": Parameter(choices=("image", "balanced", "pooled", "median"), default="image"), "norm": _NORM},
        ),
        Family(
            name="auc",
            highest=100.0,
            title="area under the cumulative error curve up to a threshold",
            unit="%",
            higher_is_better=True,
            needs="landmarks",
            per_face=landmarks.auc_percent,
            weight=landmarks.auc_weight,
            whole=landmarks.auc_of_all_errors,
            worst=landmarks.worst_auc_percent,
            example="auc(below=8,norm=height)",
            parameters={"below": _THRESHOLD, "formula": Parameter(choices=landmarks.AUC_FORMULAS, default="exact"), "norm": _NORM},
        ),
        Family(
            name="fr",
            highest=100.0,
            share=True,
            title="share of faces with an error above a threshold",
            unit="%",
            higher_is_better=False,
            needs="landmarks",
            per_face=landmarks.failure_rate_percent,
            worst=100.0,
            example="fr(above=8,norm=height)",
            parameters={"above": _THRESHOLD, "formula": Parameter(choices=landmarks.FR_FORMULAS, default="exact"), "norm": _NORM},
        ),
        Family(
            name="distance_px",
            title="mean distance of the labelled landmarks",
            unit="px",
            higher_is_better=False,
            needs="landmarks",
            per_face=landmarks.distance_px,
            worst=landmarks.worst_distance_px,
            example="distance_px",
        ),
        Family(
            name="recall",
            highest=100.0,
            title="share of the occluded points found, at a precision (the best threshold) or at a fixed threshold of P(occluded)",
            unit="%",
            higher_is_better=True,
            needs="visibility",
            of_decisions=visibility.recall,
            worst=0.0,
            example="recall(precision=80)",
            parameters={"precision": Parameter(maximum=100.0, percentage=True), "threshold": Parameter(maximum=1.0), "view": _VIEW},
            one_of=("precision", "threshold"),
        ),
        Family(
            name="precision",
            highest=100.0,
            title="share of the occluded among the points called occluded, at a fixed threshold of P(occluded)",
            unit="%",
            higher_is_better=True,
            needs="visibility",
            of_decisions=visibility.precision,
            worst=0.0,
            example="precision(threshold=0.5)",
            parameters={"threshold": _OCCLUDED_FROM, "view": _VIEW},
        ),
        Family(
            name="ap",
            highest=100.0,
            title="average precision of occluded points",
            unit="%",
            higher_is_better=True,
            needs="visibility",
            of_decisions=visibility.average_precision,
            worst=0.0,
            example="ap",
            parameters={"view": _VIEW},
        ),
        Family(
            name="best_f1",
            highest=100.0,
            title="harmonic mean of precision and recall of occluded points at the best threshold",
            unit="%",
            higher_is_better=True,
            needs="visibility",
            of_decisions=visibility.best_f1,
            worst=0.0,
            example="best_f1",
            parameters={"view": _VIEW},
        ),
        Family(
            name="roc_auc",
            highest=100.0,
            title="share of the pairs of an occluded and a visible point that are ranked right",
            unit="%",
            higher_is_better=True,
            needs="visibility",
            of_decisions=visibility.roc_auc,
            worst=0.0,
            example="roc_auc",
            parameters={"view": _VIEW},
        ),
        Family(
            name="ece",
            highest=100.0,
            title="expected calibration error of P(occluded) in equal bins",
            unit="%",
            higher_is_better=False,
            needs="visibility",
            of_decisions=visibility.calibration_error,
            worst=100.0,
            example="ece",
            parameters={"bins": _BINS, "view": _VIEW},
        ),
        Family(
            name="brier",
            highest=1.0,
            title="mean squared error of P(occluded)",
            unit="1",
            higher_is_better=False,
            needs="visibility",
            of_decisions=visibility.brier,
            worst=1.0,
            example="brier",
            parameters={"view": _VIEW},
        ),
    )
}
