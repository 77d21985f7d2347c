"""One kind of predictions against labels: what was tried, and what explains the errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import Protocol
from ..evaluate import evaluate, kept_rows
from ..faces import Faces
from ..metrics import parse_metric
from ..metrics.landmarks import landmark_box_xyxy_px
from ..metrics.visibility import occlusion_kinds
from .causes import Case, Cause, Kind, undone
from .pixels import pixel_offset
from .points import Labelled, chance_share, own_rows, points_kind
from .pose import chance_deg, pose_faces, pose_kind, pose_state
from .rows import row_causes
from .trial import FEW_CLUSTERS, Verdict, halves, judged
from .visibility import visibility_kind

__all__ = ["KINDS", "Examination", "Explanation", "examine"]

Array = npt.NDArray[np.float64]

KINDS = ("landmarks", "pose", "visibility")  # in this order: rows that landmarks find are tried for the others
_LOOKED_AT = 1000
_MOST_IMAGES = 3000  # read for their sizes
_OFF, _FAR_OFF = 0.05, 0.2  # of a face's size: from here on landmarks may be those of other faces, and in another frame


@dataclass(frozen=True)
class Explanation:
    """One mistake, or two together, that explain the errors of one kind of predictions.

    Attributes
    ----------
    causes : tuple of str
        Names, one or two.
    says, mend : str
        What is wrong (a clause) and what to change (an imperative).
    before, after : float
        The protocol's metric of the predictions as they are and with the causes undone.
    p : float
        That this is chance, corrected for the number of explanations tried.
    equivalents : tuple of str
        Other explanations that give the very same predictions.
    """

    causes: tuple[str, ...]
    says: str
    mend: str
    before: float
    after: float
    p: float
    equivalents: tuple[str, ...]


@dataclass(frozen=True)
class Examination:
    """What was tried on one kind of predictions.

    Attributes
    ----------
    kind : str
        ``pose``, ``landmarks`` or ``visibility``.
    protocol, metric, unit : str
        By which the score is measured.
    n_faces : int
        With labels and predictions, and looked at.
    score : float or None
        Of the predictions as they are, over the faces that have labels and predictions; None where there is none.
    tried : int
        Explanations.
    explanation : Explanation or None
    reason : str
        Why there is no explanation; "" where there is.
    closest : tuple of (str, float)
        Single causes that come nearest, and the share of the error that each leaves.
    """

    kind: str
    protocol: str
    metric: str
    unit: str
    n_faces: int
    score: float | None
    tried: int
    explanation: Explanation | None
    reason: str
    closest: tuple[tuple[str, float], ...]


def examine(
    kind: str,
    protocol: Protocol,
    truth: Faces,
    predictions: Faces,
    *,
    boxes_xyxy_px: Array | None = None,
    image_sizes: Callable[[Sequence[str]], Array | None] | None = None,
    known: dict[str, str] | None = None,
    seed: int = 0,
) -> tuple[Examination, dict[str, str] | None]:
    """Examine one kind of predictions.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    truth : Faces
        Labels; `box_xyxy_px` is the protocol's norm box.
    boxes_xyxy_px : (N, 4) array or None
        Of the labels' faces, as the model was given them; None = the rectangles of their points.
    image_sizes : callable or None
        Ids -> (N, 2) width and height in pixels, or None; asked only where landmarks are far off.
    known : dict or None
        Face -> id of the row that holds its prediction, where another kind has shown that.

    Returns
    -------
    Examination, and such a dict where this kind has shown one (else None).
    """
    kept = truth.take(kept_rows(protocol, truth))
    scored_ids = {str(i) for i in kept.sample_id}  # type: ignore[union-attr]
    in_file = [str(i) for i in predictions.sample_id]  # type: ignore[union-attr]
    ids = sorted({*map(str, truth.sample_id), *in_file})  # type: ignore[arg-type]
    # rows of faces that are not scored have their places in the order of the rows
    aligned, labelled = predictions.aligned_to(ids), truth.aligned_to(ids)
    if boxes_xyxy_px is not None:
        boxes_xyxy_px = np.where((of := truth.rows_of(ids))[:, None] >= 0, boxes_xyxy_px[of], np.nan)
    metric = _metric(kind, protocol)
    usable = np.array([row for row in _usable(kind, labelled, aligned) if ids[row] in scored_ids], dtype=np.int64)
    looked = usable[np.arange(n := min(len(usable), _LOOKED_AT)) * len(usable) // max(n, 1)]
    persons = getattr(labelled, protocol.cluster_by) if protocol.cluster_by else None
    clusters = None if persons is None else [str(persons[row]) for row in looked]
    half, cluster = halves(clusters, len(looked), seed)
    few = clusters is not None and len(set(clusters)) < FEW_CLUSTERS
    how, case, chance, finish = _case(
        kind, protocol, labelled, aligned, looked, half, cluster, in_file, boxes_xyxy_px, image_sizes, known
    )  # fmt: skip
    verdict = judged(how, case, chance, clustered_few=few)
    scored = kept.take(kept.rows_of([ids[row] for row in usable]))
    score = _score(protocol, metric, scored, aligned) if len(usable) else None
    chain, p, rows = verdict.chain, verdict.p, np.arange(len(ids))
    state, parameters = undone(how, case, chain, rows, np.isin(rows, looked))
    told = [c.told(v) if c.told is not None else (c.says, c.mend) for c, v in zip(chain, parameters, strict=True)]
    names = [cause.name for cause in chain]
    if kind == "landmarks" and (origin := pixel_offset(how.take(state, looked), how.take(case.labels, looked))):
        cause, p_origin = origin
        state, names, told = cause.undo(state, case.labels, None), [*names, cause.name], [*told, (cause.says, cause.mend)]
        p = max(p, p_origin) if chain else p_origin
    explanation = None
    if names and score is not None:
        after = _score(protocol, metric, scored, finish(state))
        same = tuple(" and ".join(c.name for c in other) for other in sorted(verdict.equivalents, key=len))
        others = [c.mend for other in verdict.equivalents if len(other) == 1 for c in other if c.mend]
        mends = [*(mend for _, mend in told), *(f"or {mend}" for mend in others)]
        says = " and ".join(says for says, _ in told)
        explanation = Explanation(tuple(names), says, "; ".join(mends), score, after if after is not None else score, p, same)
    examination = Examination(
        kind, protocol.reference, metric, parse_metric(metric).family.unit, len(looked), score, verdict.tried, explanation,
        "" if explanation else verdict.reason, tuple((cause.name, share) for cause, share in verdict.closest),
    )  # fmt: skip
    return examination, _rows_shown(verdict, ids) if kind == "landmarks" else None


def _case(
    kind: str, protocol: Protocol, truth: Faces, aligned: Faces, looked: npt.NDArray[np.int64], half: npt.NDArray[np.bool_],
    cluster: npt.NDArray[np.int64], in_file: list[str], boxes: Array | None, image_sizes: Any, known: dict[str, str] | None,
) -> tuple[Kind, Case, Array, Callable[[Any], Faces]]:  # fmt: skip
    """What `judged` takes, and the way from undone predictions back to faces."""
    ids = [str(i) for i in truth.sample_id]  # type: ignore[union-attr]
    rows = row_causes(ids, in_file, known)
    if kind == "pose":
        stated = (parse_metric(m).parameters.get("convention") for m in protocol.metrics)
        convention = next(filter(None, stated), truth.convention or "300w-lp")
        state = pose_state(aligned, convention)
        labels = np.array(truth.rotation)
        how = pose_kind(state, convention, rows)
        return how, Case(state, labels, looked, half, cluster), chance_deg(labels[looked], half), lambda s: pose_faces(aligned, s)
    if kind == "visibility":
        kinds = occlusion_kinds(truth)
        seen = np.where(kinds == 3, np.nan, (kinds == 0).astype(float))
        how = visibility_kind(aligned.scheme or truth.scheme or "", rows)
        case = Case(np.array(aligned.visibility), seen, looked, half, cluster)
        return how, case, np.full(len(looked), 0.5), lambda s: replace(aligned, visibility=s)
    points, landmarks = np.array(aligned.landmarks), np.array(truth.landmarks)
    labelled = Labelled(landmarks, boxes if boxes is not None else landmark_box_xyxy_px(truth), None)
    scheme = truth.scheme or ""
    how = points_kind(labelled, scheme, rows)
    if len(looked):
        asked = np.nanmedian(how.errors(points[looked], how.take(labelled, looked)))
        if asked > _FAR_OFF and image_sizes is not None and len(ids) <= _MOST_IMAGES:
            labelled = replace(labelled, image_px=image_sizes(ids))
            how = points_kind(labelled, scheme, rows)
        if asked > _OFF and known is None and (shuffled := _shuffled(points, labelled, how)) is not None:
            rows = [*rows, Cause("rows shuffled", "rows", "the rows are those of other faces",
                                 "write each prediction beside the id of the face it was made for", source=shuffled)]  # fmt: skip
        how = points_kind(labelled, scheme, rows)
    case = Case(points, labelled, looked, half, cluster)
    return how, case, chance_share(how.take(labelled, looked), half), lambda s: replace(aligned, landmarks=s)


def _shuffled(points: Array, labels: Labelled, how: Kind) -> npt.NDArray[np.int64] | None:
    """Each face's own row by the shapes, as they are or with another cause undone, whichever fits best."""
    found: list[tuple[float, npt.NDArray[np.int64]]] = []
    told = np.flatnonzero(~np.isnan(labels.points).all(axis=(1, 2)))
    for cause in (None, *(c for c in how.causes if c.fit is None and c.group != "rows")):
        undone_points = points if cause is None else cause.undo(points, labels, None)
        if (source := own_rows(undone_points, labels)) is not None:
            found.append((float(np.nanmedian(how.errors(how.take(undone_points, source[told]), how.take(labels, told)))), source))
    return min(found, key=lambda item: item[0])[1] if found else None


def _usable(kind: str, truth: Faces, aligned: Faces) -> npt.NDArray[np.int64]:
    """Rows that have labels and predictions."""
    if kind == "pose":
        both = ~(np.isnan(truth.rotation).any(axis=(1, 2)) | np.isnan(aligned.rotation).any(axis=(1, 2)))  # type: ignore[arg-type]
    elif kind == "visibility":
        labelled = occlusion_kinds(truth) != 3
        both = labelled.any(axis=1) & ~(labelled & np.isnan(aligned.visibility)).any(axis=1)  # type: ignore[arg-type]
    else:
        labelled, missing = (np.asarray(np.isnan(faces.landmarks).any(axis=2)) for faces in (truth, aligned))  # type: ignore[arg-type]
        labelled = ~labelled
        both = (labelled.sum(axis=1) >= 3) & ~(labelled & missing).any(axis=1)
    return np.flatnonzero(both)


def _metric(kind: str, protocol: Protocol) -> str:
    """The protocol's main metric of a kind; of visibility the one that the polarity shows in, where the protocol has it."""
    if kind == "visibility" and "roc_auc" in protocol.metrics:
        return "roc_auc"
    return next(m for m in (protocol.main, *protocol.metrics) if parse_metric(m).family.needs == kind)


def _score(protocol: Protocol, metric: str, truth: Faces, predictions: Faces) -> float | None:
    """The metric as the protocol has it, of these faces."""
    alone, known = replace(protocol, metrics=(metric,), main=metric), [str(i) for i in predictions.sample_id]  # type: ignore[union-attr]
    return evaluate(alone, truth, predictions, expected_ids=known, resamples=0).scores[0].value


def _rows_shown(verdict: Verdict, ids: list[str]) -> dict[str, str] | None:
    source = next((c.source for c in verdict.chain if c.source is not None), None)
    return None if source is None else {face: ids[row] for face, row in zip(ids, source, strict=True) if row >= 0}
