"""All that makes a number of predictions, taken apart into factors: two numbers are compared by changing one factor at a time.

A protocol is a whole; here are its parts, so that a setting half of one and half of another can be scored.  What such a setting
gives is no result of any protocol, and goes into no record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..catalog import Exclude, Protocol, Subset, dataset_card
from ..errors import HpbenchError, InputError
from ..evaluate import evaluate
from ..faces import Faces
from ..geometry.rotations import euler_from_rotation
from ..metrics import Metric, parse_metric
from ..metrics.table import METRICS
from ..obstacles import as_compared, obstacle
from ..readers import Dataset

__all__ = ["FACTORS", "Bench", "Number", "Setting", "differing", "mixed", "setting_of", "words"]

FACTORS: dict[str, tuple[str, ...]] = {  # in the order in which a path changes them -> fields of `Setting`
    "faces": ("split", "exclude", "subset", "only"),
    "labels": ("labels",),
    "angles": ("convention", "triple"),
    "formula": ("family", "parameters"),
    "length": ("norm", "norm_box"),
    "mean": ("mean", "bins"),
    "alignment": ("align_by",),
    "failures": ("charge", "failed"),
}
_APART = ("convention", "norm", "mean")  # parameters of metrics that are factors by themselves
_LENGTHS_OF_BOX = ("height", "sqrt_wh", "diagonal")


@dataclass(frozen=True)
class Setting:
    """How a number is made of predictions.

    Attributes
    ----------
    dataset, split, exclude, labels, norm_box, align_by
        As of `hpbench.catalog.Protocol`.
    subset : Subset or None
        The part of the faces that the number is of; the rest is scored with it (an alignment is fitted on all).
    only : frozenset of str or None
        The only faces, where a record is partial.
    family : str
        Name of the metric.
    parameters : tuple of (str, value)
        Of the metric, without `convention`, `norm` and `mean`, which stand by themselves; None where the metric has no such one.
    bins : tuple of Subset
        Of a balanced mean.
    charge : float or None
        What a failed face costs; None = the metric's worst.
    failed : str
        ``left out``: the mean is over the faces that have a prediction.
    triple : str
        Which of its two Euler triples a predicted rotation takes: ``as given`` (raw angles as they are, of matrices the nearer), ``nearer``
        to the label, or ``canonical`` (middle angle within 90 degrees).
    """

    dataset: str
    split: str
    family: str
    parameters: tuple[tuple[str, Any], ...] = ()
    convention: str | None = None
    norm: str | None = None
    mean: str | None = None
    exclude: Exclude | None = None
    subset: Subset | None = None
    only: frozenset[str] | None = None
    labels: str = ""
    norm_box: str = ""
    bins: tuple[Subset, ...] = ()
    align_by: Literal["", "all", "person", "sequence"] = ""
    charge: float | None = None
    failed: Literal["charged", "left out"] = "charged"
    triple: Literal["as given", "nearer", "canonical"] = "as given"

    @property
    def metric(self) -> Metric:
        """The metric; `InputError` where its parameters do not belong together."""
        apart = {"convention": self.convention, "norm": self.norm, "mean": self.mean}
        given = {k: v for k, v in {**apart, **dict(self.parameters)}.items() if v is not None}
        known = METRICS[self.family].parameters
        return parse_metric(f"{self.family}({','.join(f'{k}={known[k].show(v)}' for k, v in given.items() if k in known)})")

    def with_metric(self, text: str) -> Setting:
        """The same with another metric; its length is of the same box."""
        metric = parse_metric(text)
        own = {k: v for k, v in metric.parameters.items() if k not in _APART and v is not None}
        apart: dict[str, Any] = {key: metric.parameters.get(key) for key in _APART}
        return replace(self, family=metric.family.name, parameters=tuple(sorted(own.items())), **apart)

    @property
    def protocol(self) -> Protocol:
        """A protocol that nobody wrote, with the one metric."""
        metric = self.metric
        subsets = dict.fromkeys((*self.bins, *([self.subset] if self.subset else [])))
        return Protocol(
            id=f"{self.dataset}/setting", version=1, title="", dataset=self.dataset, split=self.split, metrics=(metric.text,),
            main=metric.text, boxes="", labels=self.labels, norm_box=self.norm_box, exclude=self.exclude, subsets=tuple(subsets),
            balance=tuple(b.name for b in self.bins), align_by=self.align_by, eye_norms=True,
            failures={} if self.charge is None else {metric.text: self.charge},
        )  # fmt: skip


def setting_of(protocol: Protocol, metric: str = "", subset: str = "all", only: Iterable[str] | None = None) -> Setting:
    """The setting of a metric (default: the main one) of a protocol.

    Raises
    ------
    InputError
        A subset that the protocol does not have, or a balanced mean where it has no bins.
    """
    found = parse_metric(metric or protocol.main)
    named = {s.name: s for s in protocol.subsets}
    if subset != "all" and subset not in named:
        raise InputError(f"{protocol.reference} has no subset {subset!r}.")
    if found.balanced and not protocol.balance:
        raise InputError(f"{protocol.reference} has no bins for {found.text}.")
    needs_box = found.parameters.get("norm") in _LENGTHS_OF_BOX
    return Setting(
        dataset=protocol.dataset, split=protocol.split, family=found.family.name, exclude=protocol.exclude,
        subset=named.get(subset), only=None if only is None else frozenset(only), labels=protocol.labels,
        norm_box=protocol.norm_box if needs_box else "", bins=tuple(named[b] for b in protocol.balance) if found.balanced else (),
        align_by=protocol.align_by if found.family.needs == "pose" else "", charge=protocol.failures.get(found.text),
    ).with_metric(found.text)  # fmt: skip


def differing(a: Setting, b: Setting) -> tuple[str, ...]:
    """The factors in which two settings differ, in the order of `FACTORS`.  What one of the metrics does not have is no difference."""
    return tuple(
        name for name, keys in FACTORS.items() if any(getattr(a, k) != getattr(b, k) and not _absent(k, a, b) for k in keys)
    )  # fmt: skip


def _absent(key: str, a: Setting, b: Setting) -> bool:
    return key in _APART and None in (getattr(a, key), getattr(b, key))


def mixed(a: Setting, b: Setting, chosen: Collection[str]) -> Setting:
    """`a` with the factors `chosen` of `b`; a parameter that only one of the metrics has is that one's."""
    changes = {key: getattr(b, key) for name in chosen for key in FACTORS[name]}
    for key in _APART:
        if _absent(key, a, b):
            changes[key] = getattr(a, key) if getattr(b, key) is None else getattr(b, key)
    return replace(a, **changes)


def words(setting: Setting, factor: str) -> str:
    """A factor of a setting in a few words, as tables have it."""
    metric = setting.metric
    if factor == "faces":
        excluded = {
            "any-angle-above": "no raw angle beyond {:g} deg", "yaw-above": "yaw up to {:g} deg",
        }  # fmt: skip
        parts = [f"split {setting.split}"]
        parts += [excluded[setting.exclude.rule].format(setting.exclude.deg)] if setting.exclude else []
        parts += [f"subset {setting.subset.name}"] if setting.subset else []
        parts += [f"{len(setting.only)} of them only"] if setting.only is not None else []
        return ", ".join(parts)
    if factor == "labels":
        return setting.labels or "the data set's"
    if factor == "angles":
        return ", ".join([setting.convention or "none", *([f"{setting.triple} triple"] if setting.triple != "as given" else [])])
    if factor == "formula":
        return metric.text
    if factor == "length":
        return f"{setting.norm}{' of the box ' * bool(setting.norm_box)}{setting.norm_box}"
    if factor == "mean":
        return f"over {len(setting.bins)} bins ({', '.join(b.name for b in setting.bins)})" if setting.bins else f"{setting.mean}"
    if factor == "alignment":
        return {"": "none", "all": "one mean rotation taken away"}.get(setting.align_by, f"a mean rotation a {setting.align_by} taken away")
    charge = "the worst" if setting.charge is None else f"{setting.charge:g}"
    return "left out" if setting.failed == "left out" else f"charged {charge}"


@dataclass(frozen=True)
class Number:
    """What a setting gives: the value, of how many faces, how many of which failed."""

    value: float
    n_faces: int
    n_failed: int


class Bench:
    """The labels of a dataset, read once each, and predictions scored against them by any setting."""

    def __init__(self, source: Dataset) -> None:
        self.source = source
        self._ids = source.all_ids()
        self._truth: dict[tuple[str, str, str], Faces] = {}

    def truth(self, setting: Setting) -> Faces:
        """Labels of a setting's faces that are here, before any are excluded, with the box of its length."""
        key = setting.split, setting.labels, setting.norm_box
        if key not in self._truth:
            truth = self.source.truth(setting.split, setting.labels)
            if setting.norm_box:
                ids = [str(i) for i in truth.sample_id]  # type: ignore[union-attr]
                truth = replace(truth, box_xyxy_px=self.source.boxes_of(setting.norm_box, ids))
            self._truth[key] = truth
        truth = self._truth[key]
        if setting.only is None:
            return truth
        return truth.take(np.array([str(i) in setting.only for i in truth.sample_id], dtype=bool))  # type: ignore[union-attr]

    def number(self, setting: Setting, predictions: Faces) -> Number:
        """The number.

        Raises
        ------
        HpbenchError
            The predictions do not serve the setting, or its labels are not here.
        """
        protocol = setting.protocol
        scheme = self.source.scheme(setting.labels)
        if problem := obstacle(protocol, scheme, predictions, "", mix_schemes=True):
            raise InputError(f"{problem}.")
        predictions = as_compared(protocol, scheme, predictions, mix_schemes=True)
        found = evaluate(protocol, self.truth(setting), _with_triple(predictions, setting), expected_ids=self._ids, resamples=0)
        scores = found.subsets.get(setting.subset.name, ()) if setting.subset else found.scores
        if not scores:
            raise InputError(f"{setting.metric.text} is not formed on these faces.")
        value = scores[0].value if setting.failed == "charged" else scores[0].value_detected
        if value is None:
            raise InputError(f"no face is labelled for {setting.metric.text}.")
        left = scores[0].n_failed if setting.failed == "left out" else 0
        return Number(value, scores[0].n_scored - left, scores[0].n_failed)

    def number_or_none(self, setting: Setting, predictions: Faces) -> Number | None:
        """The number, None where there is none."""
        try:
            return self.number(setting, predictions)
        except HpbenchError:
            return None


def _with_triple(predictions: Faces, setting: Setting) -> Faces:
    if setting.triple == "as given" or predictions.rotation is None:
        return predictions
    if setting.triple == "nearer":
        return replace(predictions, euler_deg=None, convention=None)
    convention = setting.convention or dataset_card(setting.dataset).convention or "300w-lp"
    return replace(predictions, euler_deg=euler_from_rotation(predictions.rotation, convention), convention=convention)
