"""The one table of metrics: name, parameters, unit, direction, what a failed face is charged, and the function."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import InputError, did_you_mean
from ..geometry.rotations import CONVENTIONS
from . import landmarks, pose, visibility

__all__ = ["METRICS", "Family", "Parameter"]


@dataclass(frozen=True)
class Parameter:
    """A metric parameter: one of `choices`, or a positive number where there are none."""

    choices: tuple[str, ...] = ()
    default: Any = None
    required: bool = False

    def read(self, text: str, where: str) -> Any:
        if self.choices:
            if text not in self.choices:
                raise InputError(f"{where} {text!r}: {did_you_mean(text, self.choices)}")
            return text
        try:
            value = float(text)
        except ValueError:
            raise InputError(f"{where} {text!r} is no number.") from None
        if not math.isfinite(value) or value <= 0:
            raise InputError(f"{where} must be a positive number, got {text}.")
        return value

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
        (truth, prediction, norm_box, **parameters) -> (N,) values, whose mean is the score.
    weight : callable or None
        (truth, **parameters) -> (N,) weights of that mean; equal where None.
    whole : callable or None
        (**parameters) -> a function of all per-face values that replaces the mean, or None: legacy formulas.
    of_decisions : callable or None
        (decisions, **parameters) -> estimator, in place of `per_face`.
    one_of : tuple of str
        Parameters of which exactly one must be given.
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


_CONVENTION = Parameter(choices=tuple(CONVENTIONS), required=True)
_NORM = Parameter(choices=landmarks.NORMS, required=True)
_THRESHOLD = Parameter(required=True)
_VIEW = Parameter(choices=visibility.VIEWS, default="occluded")

METRICS: dict[str, Family] = {
    f.name: f
    for f in (
        Family(
            name="mae",
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
                "formula": Parameter(choices=tuple(pose.FORMULAS), default="wrap"),
            },
        ),
        Family(
            name="geodesic",
            title="angle of the rotation between truth and prediction",
            unit="deg",
            higher_is_better=False,
            needs="pose",
            per_face=pose.geodesic_error_deg,
            worst=180.0,
            example="geodesic",
        ),
        Family(
            name="nme",
            title="mean distance of the labelled landmarks over a length of the face",
            unit="%",
            higher_is_better=False,
            needs="landmarks",
            per_face=landmarks.nme_percent,
            worst=100.0,
            example="nme(norm=height)",
            parameters={"mean": Parameter(choices=("image", "balanced"), default="image"), "norm": _NORM},
        ),
        Family(
            name="auc",
            title="area under the cumulative error curve up to a threshold, exact",
            unit="%",
            higher_is_better=True,
            needs="landmarks",
            per_face=landmarks.auc_percent,
            worst=0.0,
            example="auc(below=8,norm=height)",
            parameters={"below": _THRESHOLD, "norm": _NORM},
        ),
        Family(
            name="fr",
            title="share of faces with an error above a threshold, exact",
            unit="%",
            higher_is_better=False,
            needs="landmarks",
            per_face=landmarks.failure_rate_percent,
            worst=100.0,
            example="fr(above=8,norm=height)",
            parameters={"above": _THRESHOLD, "norm": _NORM},
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
            title="share of the occluded points found, at a precision (the best threshold) or at a fixed threshold of P(occluded)",
            unit="%",
            higher_is_better=True,
            needs="visibility",
            of_decisions=visibility.recall,
            worst=0.0,
            example="recall(precision=80)",
            parameters={"precision": Parameter(), "threshold": Parameter(), "view": _VIEW},
            one_of=("precision", "threshold"),
        ),
        Family(
            name="ap",
            title="average precision of occluded points",
            unit="%",
            higher_is_better=True,
            needs="visibility",
            of_decisions=visibility.average_precision,
            worst=0.0,
            example="ap",
            parameters={"view": _VIEW},
        ),
    )
}
