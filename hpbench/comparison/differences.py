"""Two records on the same faces, compared: scores, subsets, the faces that changed most, coverage, speed.

Differences are NEW less REF in the metric's unit, with the interval and p of `hpbench.metrics.paired`: faces, or clusters of them where
the protocol has some, are drawn for both models together.  p is corrected for the number of metrics, and for that of the subsets, by
Holm's procedure.  Subsets are compared by the main metric; which face is in which, only the labels say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..beside import estimators_of
from ..catalog import Protocol, protocol_named
from ..errors import InputError
from ..metrics import parse_metric
from ..metrics.estimators import Estimator
from ..metrics.paired import Difference, holm, paired_differences
from ..records import Record, Score
from .model import Comparison, Coverage, FaceValues, MetricDifference, Speed, SubsetDifference
from .pairs import Pair, Side
from .subsets import Members

__all__ = ["clusters_of", "compare", "differences_of", "speed_of"]

Array = npt.NDArray[np.float64]

_ROUNDING = 1e-12  # of the sum of two values: what differs less is a tie


def compare(pair: Pair, members: Members | None = None) -> Comparison:
    """Compare two records on the same faces.

    Parameters
    ----------
    members : mapping of str to (N,) bool array, or None
        Which faces are in which subset (`hpbench.comparison.subsets.subset_members`); without it subsets have no intervals.
    """
    new, ref = pair.new, pair.ref
    metrics = [s.metric for s in new.record.scores]
    theirs = {s.metric: s for s in ref.record.scores}
    found = differences_of(pair, [m for m in metrics if m in theirs])
    compared = [_metric(score, theirs.get(score.metric), found.get(score.metric), pair) for score in new.record.scores]
    corrected = _corrected([m.difference for m in compared])
    clusters = clusters_of(pair)
    notes = [f"{m} is in the reference only" for m in theirs if m not in metrics]
    notes += [f"{name} is a partial record" for name, side in (("NEW", new), ("REF", ref)) if side.record.partial]
    if new.record.detector != ref.record.detector:
        given = [side.record.detector or "the protocol's" for side in (new, ref)]
        notes.append(f"not the same task: NEW has the boxes {given[0]}, REF {given[1]}")
    return Comparison(
        protocol=pair.protocol,
        new=new,
        ref=ref,
        n_faces=len(new.errors["sample_id"]),
        clusters=None if clusters is None else len(set(clusters.tolist())),
        cluster_by=(known.cluster_by or "cluster") if clusters is not None and (known := _known(new.record)) else "",
        metrics=tuple(replace(m, p_holm=p) for m, p in zip(compared, corrected, strict=True)),
        subsets=_subsets(pair, members),
        faces=_face_values(pair),
        coverage=_coverage(new.record, ref.record),
        speed=speed_of(new.record, ref.record),
        notes=tuple(notes),
    )


def differences_of(pair: Pair, metrics: Sequence[str]) -> dict[str, Difference]:
    """NEW less REF over all faces, by metric; those that the errors beside a record do not give are left out."""
    a, b = (estimators_of(metrics, side.errors) for side in (pair.new, pair.ref))
    both = {m: (x, y) for m, x, y in zip(metrics, a, b, strict=True) if x is not None and y is not None}
    return dict(zip(both, _tested(pair, list(both.values())), strict=True))


def _tested(pair: Pair, estimators: Sequence[tuple[Estimator, Estimator]]) -> list[Difference]:
    try:
        return paired_differences(estimators, clusters_of(pair)) if estimators else []
    except InputError as error:
        raise InputError(f"{pair.new.path} and {pair.ref.path}: {error}") from None


def clusters_of(pair: Pair) -> npt.NDArray[Any] | None:
    """Names of the groups that are drawn together, (N,); None where every face is its own."""
    names = pair.new.errors["cluster"]
    return None if len(set(names.tolist())) == len(names) else names


def _corrected(found: Sequence[Difference | None]) -> list[float | None]:
    """Holm's p of those that have one."""
    tested = {i: d.p for i, d in enumerate(found) if d is not None and d.p is not None}
    corrected = dict(zip(tested, holm(list(tested.values())).tolist(), strict=True))
    return [corrected.get(i) for i in range(len(found))]


def _metric(score: Score, theirs: Score | None, difference: Difference | None, pair: Pair) -> MetricDifference:
    made = MetricDifference(score.metric, score.unit, score.higher_is_better, score.value, theirs.value if theirs else None, difference)
    if theirs is None:
        return replace(made, reason="the reference has no such score")
    if difference is None:
        return replace(made, reason="the errors beside the records do not say what each face counts")
    if difference.low is None:
        made = replace(made, reason=difference.reason)
    a, b = (side.errors.get(score.metric) for side in (pair.new, pair.ref))
    if a is None or b is None:
        return made
    signs = _signs(a, b) * (1 if score.higher_is_better else -1)
    return replace(made, wins=int((signs > 0).sum()), ties=int((signs == 0).sum()), losses=int((signs < 0).sum()))


def _signs(new: Array, ref: Array) -> Array:
    """1 where NEW's value is above REF's, 0 where it is the same; without the faces that have no label."""
    labelled = ~np.isnan(new + ref)
    apart = (new - ref)[labelled]
    return np.where(np.abs(apart) > _ROUNDING * (np.abs(new) + np.abs(ref))[labelled], np.sign(apart), 0.0)


def _known(record: Record) -> Protocol | None:
    """The protocol as it is here; None where this is another text."""
    try:
        protocol = protocol_named(record.protocol.id)
    except InputError:
        return None
    return protocol if protocol.sha256 == record.protocol.sha256 else None


def _subsets(pair: Pair, members: Members | None) -> tuple[SubsetDifference, ...]:
    main = pair.new.record.main.metric
    ours, theirs = (
        {name: score for name, of in side.record.subsets.items() for score in of if score.metric == main} for side in (pair.new, pair.ref)
    )
    names = [name for name in ours if name in theirs]
    found: dict[str, Difference] = {}
    if members is not None:
        estimators = {}
        for name in names:
            if name in members:
                a, b = (estimators_of([main], side.errors, members[name])[0] for side in (pair.new, pair.ref))
                if a is not None and b is not None and a.supporting():
                    estimators[name] = (a, b)
        found = dict(zip(estimators, _tested(pair, list(estimators.values())), strict=True))
    corrected = dict(zip(names, _corrected([found.get(name) for name in names]), strict=True))
    return tuple(
        SubsetDifference(n, ours[n].n_scored, ours[n].value, theirs[n].value, found.get(n), corrected[n]) for n in names
    )  # fmt: skip


def _face_values(pair: Pair) -> FaceValues | None:
    errors = pair.new.errors
    main = pair.new.record.main.metric
    metric = parse_metric("brier" if parse_metric(main).pooled else main)
    if metric.pooled:
        if "decision_face" not in errors:
            return None
        new, ref = (_brier_by_face(side) for side in (pair.new, pair.ref))
    elif metric.text in errors and metric.text in pair.ref.errors:
        new, ref = errors[metric.text], pair.ref.errors[metric.text]
    else:
        return None
    return FaceValues(metric.text, metric.family.unit, metric.family.higher_is_better, errors["sample_id"], new, ref)


def _brier_by_face(side: Side) -> Array:
    """Mean squared error of P(occluded) over the labelled points of each face; 1 where it failed."""
    face, occluded = side.errors["decision_face"], side.errors["decision_kind"] > 0
    squared = (1.0 - side.errors["decision_visible"] - occluded) ** 2
    n = len(side.errors["sample_id"])
    count = np.bincount(face, minlength=n)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(face, np.where(np.isnan(squared), 1.0, squared), n) / np.where(count, count, np.nan))


def _coverage(new: Record, ref: Record) -> Coverage:
    failed, before = ({f.sample_id for f in record.failures} for record in (new, ref))
    return Coverage(new.coverage, ref.coverage, tuple(sorted(failed - before)), tuple(sorted(before - failed)))


def speed_of(new: Record, ref: Record) -> Speed:
    """Speeds of two records, compared only on equal hardware: same device, architecture, number of processors and system."""
    a, b = _images_per_s(new), _images_per_s(ref)
    without = [name for name, speed in (("NEW", a), ("REF", b)) if speed is None]
    if without:
        return Speed(a, b, reason=f"{' and '.join(without)} {'have' if len(without) > 1 else 'has'} no timing")
    ours, theirs = (_hardware(record) for record in (new, ref))
    if ours != theirs:
        return Speed(a, b, reason=f"other hardware: {ours} and {theirs}")
    return Speed(a, b, hardware=ours)


def _images_per_s(record: Record) -> float | None:
    found = (record.timing or {}).get("images_per_s")
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _hardware(record: Record) -> str:
    found = record.environment
    system = str(found.get("system", "?")).partition(" ")[0]
    device = str((record.timing or {}).get("device", "?"))
    names = [found.get("gpu") if device.startswith("cuda") else None, found.get("processor"), found.get("machine", "?")]
    return f"{device} on {', '.join(str(name) for name in names if name)}, {found.get('cpus', '?')} CPUs, {system}"
