"""Truth and predictions, scored by a protocol.  Failures are charged here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .catalog import Protocol, Subset
from .errors import InputError
from .faces import Faces
from .landmarks import SCHEMES
from .metrics import Metric, parse_metric
from .metrics.statistics import RESAMPLES, SEED, bootstrap_intervals
from .records import Failure, Score

__all__ = ["Evaluation", "evaluate", "kept_rows", "mixes_schemes", "obstacle", "protocol_needs", "refuse_unknown_ids"]

Array = npt.NDArray[np.float64]

_FEW_CLUSTERS = 10  # below, a percentile interval is hardly one: with 2 it is their minimum and maximum


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` finds: the measured half of a record.

    Attributes
    ----------
    errors : mapping of str to array
        ``sample_id``, ``cluster`` and per metric text the (N,) values, NaN = not labelled, failures charged.
    """

    scores: tuple[Score, ...]
    subsets: dict[str, tuple[Score, ...]]
    coverage: float | None
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    errors: Mapping[str, npt.NDArray[np.generic]]


def obstacle(protocol: Protocol, truth_scheme: str, predictions: Faces, boxes: str, *, mix_schemes: bool = False) -> str:
    """Why these predictions cannot be scored by a protocol, or "".

    Parameters
    ----------
    boxes : str
        The box set the model was given; "" = not stated, which is allowed (and noted in the record).
    mix_schemes : bool
        Score landmarks of another scheme of the same length all the same.
    """
    if protocol_needs(protocol, "pose") and predictions.rotation is None:
        return "the predictions hold no pose"
    if protocol_needs(protocol, "landmarks"):
        if predictions.landmarks is None:
            return "the predictions hold no landmarks"
        labelled, predicted = SCHEMES[truth_scheme].n_points if truth_scheme in SCHEMES else 0, predictions.landmarks.shape[1]
        if labelled and predicted != labelled:
            return f"the predictions have {predicted} landmarks a face, the labels {labelled} ({truth_scheme})"
        if mixes_schemes(protocol, truth_scheme, predictions) and not mix_schemes:
            return (
                f"the predictions are {predictions.scheme}, the labels {truth_scheme}: other points; --mix-schemes scores them all the same"
            )
    if boxes and boxes != protocol.boxes:
        return f"the model was given the boxes {boxes!r}, the protocol's are {protocol.boxes!r}"
    return ""


def mixes_schemes(protocol: Protocol, truth_scheme: str, predictions: Faces) -> bool:
    """Whether a protocol would compare landmarks of two schemes; predictions that state none are taken to be the labels'."""
    return protocol_needs(protocol, "landmarks") and predictions.landmarks is not None and predictions.scheme not in (None, truth_scheme)


def protocol_needs(protocol: Protocol, kind: str) -> bool:
    """Whether a protocol has a metric of this kind (``pose``, ``landmarks``)."""
    return any(parse_metric(text).family.needs == kind for text in protocol.metrics)


def evaluate(
    protocol: Protocol,
    truth: Faces,
    predictions: Faces,
    *,
    expected_ids: Sequence[str] = (),
    source: str = "",
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

    Raises
    ------
    InputError
        For ids that are not the dataset's, or predictions of the wrong kind.
    """
    refuse_unknown_ids(predictions, expected_ids or list(truth.sample_id), source)  # type: ignore[arg-type]
    truth = truth.take(kept_rows(protocol, truth))
    if not len(truth):
        raise InputError(f"{protocol.reference}: no face is left to score.")
    ids = [str(i) for i in truth.sample_id]  # type: ignore[union-attr]
    given = predictions.rows_of(ids) >= 0
    aligned = predictions.aligned_to(ids)
    norm_box = truth.box_xyxy_px if protocol.norm_box else None
    metrics = [parse_metric(text) for text in (protocol.main, *(m for m in protocol.metrics if m != protocol.main))]
    columns = [_charged(metric, protocol, truth, aligned, norm_box) for metric in metrics]

    notes: list[str] = []
    members: dict[str, npt.NDArray[np.bool_]] = {"": np.ones(len(ids), dtype=bool)}
    for subset in protocol.subsets:
        if subset.attribute in truth.attributes:
            members[subset.name] = _members(subset, truth)
        else:
            notes.append(f"subset {subset.name!r} is not formed: the data has no {subset.attribute}")
    clusters = _clusters(protocol, truth)
    if clusters is not None and 2 <= (count := len(set(clusters))) < _FEW_CLUSTERS:
        notes.append(f"intervals are rough: {count} clusters ({protocol.cluster_by})")
    tables = _scores(protocol, metrics, columns, members, clusters, resamples, seed)
    failed = columns[0].failed
    labelled = int((~np.isnan(columns[0].values)).sum())
    return Evaluation(
        scores=tables.pop(""),
        subsets=tables,
        coverage=1.0 - int(failed.sum()) / labelled if labelled else None,
        failures=_failures(ids, given, aligned, np.any([c.failed for c in columns], axis=0)),
        notes=tuple(notes),
        errors={
            "sample_id": np.array(ids),
            "cluster": np.array([str(c) for c in (ids if clusters is None else clusters)]),
            **{m.text: c.values for m, c in zip(metrics, columns, strict=True)},
        },
    )


def kept_rows(protocol: Protocol, truth: Faces) -> npt.NDArray[np.bool_]:
    """Which faces a protocol scores: those its `exclude` rule leaves, (N,) bool.  The raw angles decide, never wrapped ones."""
    if protocol.exclude is None:
        return np.ones(len(truth), dtype=bool)
    if truth.euler_deg is None:
        raise InputError(f"{protocol.reference} excludes by the raw Euler angles, which this truth does not have.")
    beyond: npt.NDArray[np.bool_] = np.abs(truth.euler_deg) > protocol.exclude.deg
    return np.asarray(~beyond.any(axis=1))


@dataclass(frozen=True)
class _Column:
    values: Array  # (N,) NaN = not labelled, failures charged
    failed: npt.NDArray[np.bool_]


def _charged(metric: Metric, protocol: Protocol, truth: Faces, prediction: Faces, norm_box: Array | None) -> _Column:
    # a face is labelled for a metric when the truth can be scored against itself
    labelled = ~np.isnan(metric.per_face(truth, truth, norm_box))
    values = metric.per_face(truth, prediction, norm_box)
    failed = labelled & np.isnan(values)
    worst = np.full(len(truth), protocol.failures[metric.text]) if metric.text in protocol.failures else metric.worst(truth, norm_box)
    values = np.where(failed, worst, values)
    return _Column(np.where(labelled, values, np.nan), failed)


def _members(subset: Subset, truth: Faces) -> npt.NDArray[np.bool_]:
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
    metrics: list[Metric],
    columns: list[_Column],
    members: dict[str, npt.NDArray[np.bool_]],
    clusters: npt.NDArray[np.object_] | None,
    resamples: int,
    seed: int,
) -> dict[str, tuple[Score, ...]]:
    """Every score of every subset ("" = all), with intervals from one set of resamples."""
    data: list[Array] = []
    groups: list[list[int]] = []
    detected: list[list[Array]] = []
    keys: list[tuple[str, Metric, _Column]] = []
    for name, inside in members.items():
        for metric, column in zip(metrics, columns, strict=True):
            if metric.balanced:
                if name:
                    continue  # a bin has no bins
                if not protocol.balance:
                    raise InputError(f"{protocol.reference}: {metric.text} needs the protocol's balance (which subsets are the bins).")
                if not all(b in members for b in protocol.balance):
                    continue  # a mean of fewer bins is another number; the note says which subset is not formed
                bins = [members[b] for b in protocol.balance]
            else:
                bins = [inside]
            groups.append([len(data) + i for i in range(len(bins))])
            data += [np.where(part, column.values, np.nan) for part in bins]
            detected.append([np.where(part & ~column.failed, column.values, np.nan) for part in bins])
            keys.append((name, metric, column))
    intervals = bootstrap_intervals(np.stack(data, axis=1), groups, clusters, resamples=resamples, seed=seed)
    tables: dict[str, list[Score]] = {name: [] for name in members}
    for (name, metric, column), group, fine, interval in zip(keys, groups, detected, intervals, strict=True):
        inside = members[name]
        labelled = inside & ~np.isnan(column.values)
        tables[name].append(
            Score(
                metric=metric.text,
                value=_mean_of_means([data[i] for i in group]),
                unit=metric.family.unit,
                higher_is_better=metric.family.higher_is_better,
                ci95=interval,
                n_scored=int(labelled.sum()),
                n_failed=int((inside & column.failed).sum()),
                n_unlabelled=int((inside & ~labelled).sum()),
                value_detected=_mean_of_means(fine),
            )
        )
    return {name: tuple(scores) for name, scores in tables.items()}


def _mean_of_means(parts: list[Array]) -> float | None:
    """Mean of the means of the parts; None where any part is empty: there is no such number, and 0 would be the best error."""
    if any(np.isnan(part).all() for part in parts):
        return None
    return float(np.mean([np.nanmean(part) for part in parts]))


def _failures(ids: list[str], given: npt.NDArray[np.bool_], aligned: Faces, failed: npt.NDArray[np.bool_]) -> tuple[Failure, ...]:
    reasons = aligned.failure if aligned.failure is not None else [""] * len(ids)
    return tuple(
        Failure(sample_id, ("no prediction" if not has else str(reason) or "the prediction is not a number"))
        for sample_id, has, reason, bad in zip(ids, given, reasons, failed, strict=True)
        if bad
    )


def refuse_unknown_ids(predictions: Faces, known: Sequence[str], source: str = "") -> None:
    """`InputError` for predictions with ids that a dataset does not have, guessing what they were meant to be.

    Parameters
    ----------
    known : sequence of str
        All ids of the dataset.
    source : str
        What the error calls the predictions: their file.
    """
    names = set(known)
    unknown = [str(i) for i in predictions.sample_id if str(i) not in names]  # type: ignore[union-attr]
    if not unknown:
        return
    first = unknown[0]
    stripped = first.strip().rpartition(".")[0]
    tail = first.rpartition("/")[2]
    guess = "ids of another dataset?"
    if first.strip() in names:
        guess = "without the blanks around it, it is one"
    elif stripped in names:
        guess = f"without its suffix it is {stripped!r}"
    elif tail in names or tail.rpartition(".")[0] in names:
        guess = f"ids have no folder and no suffix: {tail.rpartition('.')[0] or tail!r}"
    where = f"{source}: " if source else ""
    raise InputError(f"{where}{len(unknown)} of {len(predictions)} ids are not in the dataset, the first is {first!r}: {guess}")
