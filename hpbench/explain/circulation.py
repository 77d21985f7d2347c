"""Choices in circulation: by what else the same predictions could have been scored, one choice changed at a time.

Each is one that papers, repositories or other protocols make; `Variant.who` says which.  Sources of the formulas: `hpbench.metrics.legacy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..catalog import Exclude, Protocol, Subset, eye_norm_refusal
from ..errors import HpbenchError
from ..faces import Faces
from ..geometry.rotations import CONVENTIONS, convention_named
from ..metrics.pose import FORMULAS
from ..obstacles import mixes_schemes, protocol_needs, tells_kinds_apart
from .setting import Bench, Setting, setting_of

__all__ = ["Variant", "variants_of"]

_FORMULAS = {
    "wrap": ("difference on the circle", "hpbench"),
    "plain": ("plain difference, no wrap", "Hopenet, FSA-Net, SynergyNet, SPIGA, img2pose"),
    "fold180": ("folded at 180 deg", "6DRepNet and its descendants"),
    "best-triple": ("the better of two triples", "opal23, images_framework"),
    "wrapped-yaw": ("only yaw on the circle", "DirectMHP"),
}
_LENGTHS = {
    "corners": "300W, WFLW",
    "pupils": "300W until 2018, COFW",
    "height": "the MNN group",
    "sqrt_wh": "AFLW2000-3D",
    "diagonal": "Menpo, AFLW",
}
_MEANS = {
    "image": ("mean over faces", "most"),
    "balanced": ("mean of the bins' means", "3DDFA, SynergyNet and others"),
    "pooled": ("over all points at once", "mmpose"),
}
_AREAS = {
    "grid": ("on a grid, Simpson's rule", "PIPNet, STAR"),
    "histogram": ("histogram of 10,000 bins", "images_framework"),
    "pck": ("20 thresholds, points pooled", "mmpose"),
}
_EXCLUDED_DEG = 99.0  # Hopenet's, and so everybody's
_FEWEST_ALIGNED = 10  # faces a group: a mean rotation of few takes their errors with it
_THRESHOLDS = (4.0, 5.0, 6.0, 7.0, 8.0, 10.0)  # of AUC and FR in the protocols' sources, percent of the length
_PRECISIONS = (70.0, 80.0, 90.0)


@dataclass(frozen=True)
class Variant:
    """One choice made otherwise.

    Attributes
    ----------
    group : str
        What is chosen: ``formula``, ``faces``, ...
    name : str
        The choice in words.
    who : str
        Who makes it; "" where it is a matter of the protocol.
    setting : Setting
    alike : bool
        Papers print it under the same name, so that a reader cannot tell; others are shown and move no spread.
    """

    group: str
    name: str
    who: str
    setting: Setting
    alike: bool = True


def variants_of(
    base: Setting, bench: Bench, predictions: Faces, protocols: Iterable[Protocol] = (), bins: tuple[Subset, ...] = ()
) -> list[Variant]:
    """The choices that change something for these predictions, each once; the base is not among them.

    Parameters
    ----------
    base : Setting
    protocols : iterable of Protocol
        Others of the dataset, by each of which the number is taken as it defines it.
    bins : tuple of Subset
        For a balanced mean, where the base takes another.
    """
    truth = bench.truth(base)
    makers = {"pose": _of_pose, "landmarks": _of_landmarks, "visibility": _of_visibility}
    found: list[Variant] = []
    seen = [base]
    of_kind = makers[base.metric.family.needs](base, bench, truth, predictions, bins or base.bins)
    for variant in (*of_kind, *_failures(base), *_protocols(base, bench, predictions, protocols)):
        try:
            _ = variant.setting.metric
        except HpbenchError:
            continue
        if variant.setting not in seen:
            seen.append(variant.setting)
            found.append(variant)
    return found


def _of_pose(base: Setting, bench: Bench, truth: Faces, predictions: Faces, bins: tuple[Subset, ...]) -> Iterator[Variant]:
    if base.family == "mae":
        for formula in FORMULAS:
            parameters = {**dict(base.parameters), "formula": formula}
            name, who = _FORMULAS[formula]
            yield Variant("formula", name, who, replace(base, parameters=tuple(sorted(parameters.items()))))
        yield Variant("formula", "geodesic", "another quantity", base.with_metric("geodesic"), alike=False)
        orders = {convention_named(base.convention).order} if base.convention else set()
        for convention in CONVENTIONS.values():  # where only signs differ, errors do not
            if convention.order not in orders:
                orders.add(convention.order)
                yield Variant("angles", f"angles of {convention.name}", convention.note, replace(base, convention=convention.name))
        if predictions.euler_deg is not None:
            yield Variant("angles", "of the matrix, nearer triple", "models with matrices, here", replace(base, triple="nearer"))
        yield Variant("angles", "of the matrix, middle angle in 90", "models with matrices, elsewhere", replace(base, triple="canonical"))
    yield from _medians(base)
    if truth.euler_deg is not None:
        rule = Exclude("any-angle-above", _EXCLUDED_DEG)
        yield Variant("faces", f"none beyond {_EXCLUDED_DEG:g} deg", "Hopenet and its successors", replace(base, exclude=rule))
    if base.exclude is not None:
        yield Variant("faces", "all of the split", "", replace(base, exclude=None))
    yield Variant("alignment", "not aligned", "most", replace(base, align_by=""))
    yield Variant("alignment", "one mean rotation taken away", "numbers called aligned", replace(base, align_by="all"))
    for group in ("person", "sequence"):
        values = getattr(truth, group)
        if values is not None and 1 < len(set(values)) <= len(truth) / _FEWEST_ALIGNED:
            yield Variant("alignment", f"a mean rotation a {group} taken away", "opal23 on BIWI", replace(base, align_by=group))


def _of_landmarks(base: Setting, bench: Bench, truth: Faces, predictions: Faces, bins: tuple[Subset, ...]) -> Iterator[Variant]:
    if base.family == "distance_px":
        return
    card = bench.source.card
    for norm, who in _LENGTHS.items():
        if base.norm in ("corners", "pupils") or not eye_norm_refusal(card, f"nme(norm={norm})"):
            box = base.norm_box or _box_of_landmarks(bench) if norm not in ("corners", "pupils") else ""
            yield Variant("length", f"over {norm}", who, replace(base, norm=norm, norm_box=box))
    for box in card.boxes if base.norm_box else ():
        yield Variant("length", f"of the box {box}", "", replace(base, norm_box=box))
    own = dict(base.parameters)
    if base.family == "nme":
        for mean, (name, who) in _MEANS.items():
            yield Variant("mean", name, who, replace(base, mean=mean, bins=bins if mean == "balanced" else ()))
        yield from _medians(base)
    key = {"auc": "below", "fr": "above"}.get(base.family)
    if key is not None:
        for formula, (name, who) in _AREAS.items():
            yield Variant("formula", name, who, replace(base, parameters=tuple(sorted({**own, "formula": formula}.items()))))
        for threshold in _THRESHOLDS:
            parameters = tuple(sorted({**own, key: threshold}.items()))
            yield Variant("threshold", f"{key} {threshold:g} %", "", replace(base, parameters=parameters), alike=False)


def _of_visibility(base: Setting, bench: Bench, truth: Faces, predictions: Faces, bins: tuple[Subset, ...]) -> Iterator[Variant]:
    own = dict(base.parameters)
    for view in ("occluded", "external", "self") if tells_kinds_apart(truth) else ():
        yield Variant("view", f"{view} points", "", replace(base, parameters=tuple(sorted({**own, "view": view}.items()))))
    if own.get("precision") is not None:
        for precision in _PRECISIONS:
            parameters = tuple(sorted({**own, "precision": precision}.items()))
            yield Variant("threshold", f"at precision {precision:g} %", "", replace(base, parameters=parameters), alike=False)
        at_half = {k: v for k, v in own.items() if k != "precision"} | {"threshold": 0.5}
        yield Variant("threshold", "at P(occluded) 0.5", "hard labels", replace(base, parameters=tuple(sorted(at_half.items()))))


def _medians(base: Setting) -> Iterator[Variant]:
    if base.mean in ("image", "balanced"):
        yield Variant("mean", "median face", "", replace(base, mean="median", bins=()), alike=False)


def _failures(base: Setting) -> Iterator[Variant]:
    yield Variant("failures", "charged the worst", "hpbench", replace(base, charge=None, failed="charged"))
    yield Variant("failures", "left out", "most papers", replace(base, failed="left out"))


def _protocols(base: Setting, bench: Bench, predictions: Faces, protocols: Iterable[Protocol]) -> Iterator[Variant]:
    """The number as other protocols define it: by their metric of the name, the main one where it is that."""
    for protocol in protocols:
        if not protocol_needs(protocol, base.metric.family.needs):
            continue
        texts = [t for t in dict.fromkeys((protocol.main, *protocol.metrics)) if t.partition("(")[0] == base.family]
        own = dict(base.parameters)
        like = [t for t in texts if dict(setting_of(protocol, t).parameters) == own and setting_of(protocol, t).mean == base.mean] or texts
        mixed = mixes_schemes(protocol, bench.source.scheme(protocol.labels), predictions)
        part = set(bench.source.ids(protocol.split)) < set(bench.source.ids(base.split))  # papers say which part it is
        for text in like[:1]:
            who = f"{predictions.scheme} points on its labels" if mixed else ""
            yield Variant("protocol", protocol.id.partition("/")[2], who, setting_of(protocol, text), alike=not part)


def _box_of_landmarks(bench: Bench) -> str:
    """The box set whose sides are lengths of a face where a protocol names none: the rectangle of its points."""
    boxes = bench.source.card.boxes
    return "landmarks" if "landmarks" in boxes else bench.source.card.default_boxes
