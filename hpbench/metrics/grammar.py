"""The metric grammar: ``name(key=value,...)`` with keys sorted and defaults omitted.

Every text is brought to that one form, so two texts are equal exactly when the metrics are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, did_you_mean
from ..faces import Faces
from .decisions import Decisions
from .estimators import Estimator
from .matched import Matched
from .table import METRICS, NO_METRICS, Family

__all__ = ["Metric", "parse_metric"]

Array = npt.NDArray[np.float64]

_TEXT = re.compile(r"\s*([a-z_][a-z0-9_]*)\s*(?:\((.*)\))?\s*", re.DOTALL)


@dataclass(frozen=True)
class Metric:
    """A metric family with all its parameters set.

    Attributes
    ----------
    text : str
        The canonical text, e.g. ``nme(mean=balanced,norm=height)``.
    family : Family
    parameters : mapping
        Every parameter, defaults included.
    """

    text: str
    family: Family
    parameters: Mapping[str, Any]

    def __str__(self) -> str:
        return self.text

    @property
    def balanced(self) -> bool:
        """Whether the value is the mean of the protocol's bin means instead of the mean over faces."""
        return self.parameters.get("mean") == "balanced"

    @property
    def pooled(self) -> bool:
        """Whether the value is a function of all visibility decisions instead of a mean over faces."""
        return self.family.of_decisions is not None

    @property
    def highest(self) -> float:
        """The largest value there is; a legacy formula keeps to no bound (plain differences of angles, an AUC of 100.2)."""
        formula = self.family.parameters.get("formula")
        ours = formula is None or self.parameters["formula"] == formula.default
        return self.family.highest if ours else math.inf

    def per_face(self, truth: Faces, prediction: Faces, norm_box_xyxy_px: Array | None = None) -> Array:
        """The metric of each face, rows of `truth` and `prediction` matched.

        Returns
        -------
        (N,) float64 array; NaN where the truth has no label or the prediction failed.
        """
        values = self.values(Matched(truth, prediction, norm_box_xyxy_px))
        return np.where(np.isinf(values), np.nan, values)

    def values(self, pair: Matched) -> Array:
        """The metric of each face, and of those that have none, why.

        Metrics that are asked for the values of one pair share the work.

        Returns
        -------
        (N,) float64 array, read-only; NaN where the truth has no label, infinite where the prediction failed.
        """
        if self.family.per_face is None:
            raise InputError(f"{self.text} is a metric of all faces together: a single face has none.")
        return pair.once(self.family.per_face, **self._computing())

    def weight(self, truth: Faces) -> Array:
        """What each face counts for in the mean, (N,) float64."""
        if self.family.weight is None:
            return np.broadcast_to(1.0, (len(truth),))
        weight: Array = self.family.weight(truth, **self.parameters)
        return weight

    @property
    def whole(self) -> Callable[[Array], float] | None:
        """The legacy formula that replaces the mean of the per-face values, if it is one."""
        found: Callable[[Array], float] | None = self.family.whole(**self.parameters) if self.family.whole else None
        return found

    def of_decisions(self, decisions: Decisions) -> Estimator:
        """The estimator of a pooled metric; `decisions` are those of its view."""
        if self.family.of_decisions is None:
            raise InputError(f"{self.text} is no metric of visibility.")
        arguments = {k: v for k, v in self.parameters.items() if k != "view"}
        estimator: Estimator = self.family.of_decisions(decisions, **arguments)
        return estimator

    def _computing(self) -> dict[str, Any]:
        """The parameters that change the value of a face; ``mean`` says how they are put together."""
        return {k: v for k, v in self.parameters.items() if k != "mean"}

    def worst(self, truth: Faces, norm_box_xyxy_px: Array | None = None) -> Array:
        """What a failed face is charged, (N,) float64."""
        worst = self.family.worst
        value = worst(truth, norm_box_xyxy_px, **self.parameters) if callable(worst) else worst
        return np.broadcast_to(np.asarray(value, dtype=np.float64), (len(truth),))


def parse_metric(text: str) -> Metric:
    """The metric of a text; `InputError` with the nearest name for an unknown metric, parameter or value."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise InputError(f"metric {text!r} cannot be read: write it as name(key=value,...), e.g. nme(norm=height).")
    name, inside = match.groups()
    if name in NO_METRICS:
        raise InputError(f"{name} is no metric: {NO_METRICS[name]}.")
    if name not in METRICS:
        raise InputError(f"unknown metric {name!r}: {did_you_mean(name, METRICS)}")
    family = METRICS[name]
    given: dict[str, str] = {}
    for part in (p.strip() for p in (inside or "").split(",")):
        if not part:
            continue
        key, equals, value = (p.strip() for p in part.partition("="))
        if not equals or not value:
            raise InputError(f"metric {text!r}: {part!r} is no key=value.")
        if key not in family.parameters:
            raise InputError(f"metric {text!r}: {name} has no parameter {key!r}: {did_you_mean(key, family.parameters)}")
        if key in given:
            raise InputError(f"metric {text!r}: {key} is given twice.")
        given[key] = value
    values: dict[str, Any] = {}
    shown: list[str] = []
    for key, parameter in sorted(family.parameters.items()):
        if key in given:
            values[key] = parameter.read(given[key], f"metric {text!r}: {key}")
        elif parameter.required:
            raise InputError(f"metric {text!r} needs {key}, e.g. {family.example}.")
        else:
            values[key] = parameter.default
        if parameter.required or values[key] != parameter.default:
            shown.append(f"{key}={parameter.show(values[key])}")
    if family.one_of and len(given.keys() & set(family.one_of)) != 1:
        raise InputError(f"metric {text!r} needs exactly one of {' and '.join(family.one_of)}, e.g. {family.example}.")
    return Metric(f"{name}({','.join(shown)})" if shown else name, family, values)
