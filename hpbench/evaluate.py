"""Truth and predictions, scored by a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .catalog import Protocol, Subset
from .charging import Column, charged_columns
from .diagnostics import occlusion_diagnostics, pose_diagnostics
from .errors import InputError
from .faces import Faces
from .geometry.alignment import without_offset
from .metrics import parse_metric
from .metrics.estimators import Codes, Estimator, Sums, clustered
from .metrics.landmarks import nme_by_landmark
from .metrics.resampling import MANY
from .metrics.statistics import RESAMPLES, SEED, Interval, cluster_codes, intervals
from .metrics.visibility import decision_table, is_hard
from .obstacles import protocol_needs, refuse_unknown_ids
from .records import Failure, LandmarkErrors, Score

__all__ = ["Evaluation", "evaluate", "in_subset", "kept_rows"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` finds: the measured half of a record.

    Attributes
    ----------
    errors : mapping of str to array
        ``sample_id``, ``cluster`` and per metric text the (N,) values, NaN = not labelled, failures charged;
        where visibility is measured, `decision_table`; ``bin`` (int8, -1 = none) where a mean is balanced.
    diagnostics, landmark_errors
        See `Record`.
    """

    scores: tuple[Score, ...]
    subsets: dict[str, tuple[Score, ...]]
    coverage: float | None
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    errors: Mapping[str, npt.NDArray[np.generic]]
    diagnostics: dict[str, float]
    landmark_errors: LandmarkErrors | None


def evaluate(
    protocol: Protocol,
    truth: Faces,
    predictions: Faces,
    *,
    expected_ids: Sequence[str] = (),
    source: str = "",
    metrics: Sequence[str] = (),
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Evaluation:
    """Score predictions against truth by a protocol.

    Faces are matched by id.  A face with truth and without a usable prediction is charged the metric's worst value; a
    prediction whose face the protocol leaves out, or whose truth is not here, does not count.

    Parameters
    ----------
    protocol : Protocol
    truth : Faces
        Labels of the faces that are here; `box_xyxy_px` is the protocol's norm box.
    predictions : Faces
    expected_ids : sequence of str
        All ids of the dataset: a prediction with another id is an error.  Empty = the truth's ids.
    source : str
        What an error calls the predictions: their file.
    metrics : sequence of str
        Metric texts to compute besides the protocol's: they come last.
    resamples, seed : int
        Of the intervals (`hpbench.metrics.statistics`); 0 resamples = no intervals.

    Raises
    ------
    InputError
        For ids that are not the dataset's, or predictions of the wrong kind.
    """
    refuse_unknown_ids(predictions, expected_ids or list(truth.sample_id), source)  # type: ignore[arg-type]
    truth = truth.take(kept_rows(protocol, truth))
    if not len(truth):
        raise InputError(f"{protocol.reference}: no face is left to score.")
    ids: npt.NDArray[np.object_] = truth.sample_id  # type: ignore[assignment]
    given = predictions.rows_of(ids) >= 0
    aligned = predictions.aligned_to(ids)
    diagnostics = _diagnostics(protocol, truth, aligned)
    if protocol.align_by:
        aligned = _without_offset(protocol, truth, aligned)
    norm_box = truth.box_xyxy_px if protocol.norm_box else None
    texts = dict.fromkeys((protocol.main, *protocol.metrics, *(parse_metric(m).text for m in metrics)))
    columns = charged_columns([parse_metric(text) for text in texts], protocol, truth, aligned, norm_box)

    notes: list[str] = []
    if any(c.metric.pooled for c in columns) and is_hard(aligned):
        notes.append("visibility is hard (0 or 1 only): one operating point, so ap, roc_auc and best_f1 are those of one threshold")
    members: dict[str, Mask] = {"": np.ones(len(ids), dtype=bool)}
    for subset in protocol.subsets:
        if subset.attribute in truth.attributes:
            members[subset.name] = in_subset(subset, truth)
        else:
            notes.append(f"subset {subset.name!r} is not formed: the data has no {subset.attribute}")
    clusters = _clusters(protocol, truth)
    tables = _scores(protocol, columns, members, clusters, resamples, seed)
    names = ids.astype(str)
    failed, labelled = columns[0].failed, int(columns[0].labelled.sum())
    return Evaluation(
        scores=tables.pop(""),
        subsets=tables,
        coverage=1.0 - int(failed.sum()) / labelled if labelled else None,
        failures=_failures(ids, given, aligned, np.any([c.failed for c in columns], axis=0)),
        notes=tuple(notes),
        errors={
            "sample_id": names,
            "cluster": names if clusters is None else np.array([str(c) for c in clusters]),
            **{c.metric.text: c.values for c in columns if c.values is not None},
            **({"bin": _bins(protocol, members)} if any(c.metric.balanced for c in columns) else {}),
            **(decision_table(truth, aligned) if any(c.metric.pooled for c in columns) else {}),
        },
        diagnostics=diagnostics,
        landmark_errors=_landmark_errors(columns, truth, aligned, norm_box),
    )


def _bins(protocol: Protocol, members: dict[str, Mask]) -> npt.NDArray[np.int8]:
    """Which of the protocol's bins each face is in, -1 for none: balanced means of other faces' errors take it."""
    codes = np.full(len(members[""]), -1, dtype=np.int8)
    for number, name in enumerate(protocol.balance):
        if name in members:
            codes[members[name]] = number
    return codes


def _diagnostics(protocol: Protocol, truth: Faces, prediction: Faces) -> dict[str, float]:
    found: dict[str, float] = {}
    if protocol_needs(protocol, "pose"):
        conventions = [parse_metric(m).parameters.get("convention") for m in protocol.metrics]
        found |= pose_diagnostics(truth, prediction, next(filter(None, conventions), "300w-lp"))
    if protocol_needs(protocol, "visibility"):
        found |= occlusion_diagnostics(truth)
    return found


def _without_offset(protocol: Protocol, truth: Faces, prediction: Faces) -> Faces:
    """Predictions as matrices, the mean rotation from labels to predictions taken away in each group."""
    rotation, labels = prediction.rotation, truth.rotation
    if rotation is None or labels is None:
        raise InputError(f"{protocol.reference} aligns rotations, which the predictions or the labels do not have.")
    groups = np.zeros(len(truth)) if protocol.align_by == "all" else getattr(truth, protocol.align_by)
    if groups is None:
        raise InputError(f"{protocol.reference} aligns by {protocol.align_by}, which this truth does not have.")
    return replace(prediction, rotation=without_offset(rotation, labels, groups), euler_deg=None, convention=None)


def _landmark_errors(columns: list[Column], truth: Faces, prediction: Faces, norm_box: Array | None) -> LandmarkErrors | None:
    column = next((c for c in columns if c.metric.family.name == "nme"), None)
    if column is None:
        return None
    norm = column.metric.parameters["norm"]
    points, parts = nme_by_landmark(truth, prediction, norm_box, failed=column.failed, norm=norm)
    return LandmarkErrors(parse_metric(f"nme(norm={norm})").text, points, parts)  # plain means, whatever mean the metric takes


def kept_rows(protocol: Protocol, truth: Faces) -> npt.NDArray[np.bool_]:
    """Which faces a protocol scores: those its `exclude` rule leaves, (N,) bool.  The raw angles decide, never wrapped ones."""
    if protocol.exclude is None:
        return np.ones(len(truth), dtype=bool)
    if protocol.exclude.rule == "yaw-above":
        return np.asarray(truth.attributes["abs_yaw_deg"] <= protocol.exclude.deg)
    if truth.euler_deg is None:
        raise InputError(f"{protocol.reference} excludes by the raw Euler angles, which this truth does not have.")
    beyond: npt.NDArray[np.bool_] = np.abs(truth.euler_deg) > protocol.exclude.deg
    return np.asarray(~beyond.any(axis=1))


def in_subset(subset: Subset, truth: Faces) -> npt.NDArray[np.bool_]:
    """Which faces belong to a subset of a protocol, (N,) bool; `truth` must have its attribute."""
    values = truth.attributes[subset.attribute]
    if subset.one_of:
        return np.isin(values.astype(str), subset.one_of)
    inside = np.ones(len(truth), dtype=bool)
    if subset.above is not None:
        inside &= values > subset.above
    if subset.up_to is not None:
        inside &= values <= subset.up_to
    return inside


def _clusters(protocol: Protocol, truth: Faces) -> npt.NDArray[np.object_] | None:
    if not protocol.cluster_by:
        return None
    clusters = getattr(truth, protocol.cluster_by)
    if clusters is None:
        raise InputError(f"{protocol.reference} clusters by {protocol.cluster_by}, which this truth does not have.")
    return clusters


def _scores(
    protocol: Protocol,
    columns: list[Column],
    members: dict[str, Mask],
    clusters: npt.NDArray[np.object_] | None,
    resamples: int,
    seed: int,
) -> dict[str, tuple[Score, ...]]:
    """Every score of every subset ("" = all), with intervals from one set of resamples."""
    units = cluster_codes(clusters) if clusters is not None else None
    keys: list[tuple[str, Column]] = []
    points: list[tuple[float, float]] = []  # of all faces, and of the detected ones
    found: list[Interval | None] = []
    estimators: dict[int, Estimator] = {}  # whose intervals are made together
    for name, inside in members.items():
        for column in columns:
            parts = [inside]
            if column.metric.balanced:
                if name:
                    continue  # a bin has no bins
                if not protocol.balance:
                    raise InputError(
                        f"{protocol.reference}: {column.metric.text} needs the protocol's balance (which subsets are the bins)."
                    )
                if not all(b in members for b in protocol.balance):
                    continue  # a mean of fewer bins is another number; the note says which subset is not formed
                parts = [members[b] for b in protocol.balance]
            keys.append((name, column))
            estimator = column.estimator(parts)
            point = estimator.point()
            fine = column.estimator([part & ~column.failed for part in parts]).point() if column.failed.any() else point
            points.append((point, fine))
            found.append(None)
            if isinstance(estimator, Sums) and units is not None:
                estimator = estimator.by_cluster(*units)
            if isinstance(estimator, Sums) and estimator.n_units > MANY and resamples:  # not resampled: its sums need not be kept
                found[-1] = intervals([estimator], shares=[column.metric.family.share])[0]
            else:
                estimators[len(keys) - 1] = estimator
    if resamples and estimators:
        shares = [keys[i][1].metric.family.share for i in estimators]
        for i, interval in zip(estimators, _together(list(estimators.values()), units, shares, resamples, seed), strict=True):
            found[i] = interval
    tables: dict[str, list[Score]] = {name: [] for name in members}
    for (name, column), (point, fine), interval in zip(keys, points, found, strict=True):
        inside, family = members[name], column.metric.family
        tables[name].append(
            Score(
                metric=column.metric.text,
                value=_or_none(point),
                unit=family.unit,
                higher_is_better=family.higher_is_better,
                ci95=(interval.low, min(interval.high, column.metric.highest)) if interval else None,
                ci_method=interval.method if interval else "",
                n_scored=int((inside & column.labelled).sum()),
                n_failed=int((inside & column.failed).sum()),
                n_unlabelled=int((inside & ~column.labelled).sum()),
                value_detected=_or_none(fine),
            )
        )
    return {name: tuple(scores) for name, scores in tables.items()}


def _together(
    estimators: list[Estimator], units: tuple[Codes, int] | None, shares: list[bool], resamples: int, seed: int
) -> list[Interval | None]:
    """Intervals of several scores from one set of resamples; sums over faces have become sums over clusters already."""
    if units is not None:
        others = iter(clustered([e for e in estimators if not isinstance(e, Sums)], *units))
        estimators = [e if isinstance(e, Sums) else next(others) for e in estimators]
    return intervals(estimators, shares=shares, resamples=resamples, seed=seed)


def _or_none(value: float) -> float | None:
    """None where no face is labelled (of a balanced mean: in any bin): there is no such number, and 0 would be the best error."""
    return None if np.isnan(value) else value


def _failures(
    ids: npt.NDArray[np.object_], given: npt.NDArray[np.bool_], aligned: Faces, failed: npt.NDArray[np.bool_]
) -> tuple[Failure, ...]:
    reasons = aligned.failure if aligned.failure is not None else [""] * len(ids)
    return tuple(
        Failure(sample_id, ("no prediction" if not has else str(reason) or "the prediction is not a number"))
        for sample_id, has, reason, bad in zip(ids, given, reasons, failed, strict=True)
        if bad
    )
