"""Laws of scoring, each tried on the labels of a data set by one of its protocols.

* The truth as prediction scores perfect: errors of 0, rates and areas of 100 %.
* Faces seen in a mirror (x -> w - x, left and right points exchanged, yaw and roll negated), labels and predictions alike, score the same.
* The order of the rows means nothing.
* A face without a prediction costs what the protocol says, and never improves a score.
* Predicting (0, 0, 0) scores what it scored elsewhere: in shipped records, or by a few lines of NumPy on the label files.

The predictions of the second to fourth law are the truth with fixed noise, so that no score is at its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..catalog import Protocol, catalog_roots
from ..errors import InputError
from ..evaluate import Evaluation, evaluate
from ..faces import Faces
from ..geometry.rotations import nearest_rotation
from ..landmarks import SCHEMES
from ..metrics import parse_metric
from ..obstacles import protocol_needs
from ..readers import Dataset
from ..records import Score, read_record
from ..scoring import protocol_truth

__all__ = ["FRONTAL", "Check", "laws_of", "mirrored", "noisy"]

Array = npt.NDArray[np.float64]

SEED = 20250101
_WIDTH_PX = 1000.0  # of the mirrored images: any number will do
_SAME = 1e-9  # relative: another order of summation
_MIRROR = np.diag([-1.0, 1.0, 1.0])

# (protocol, metric) -> what predicting (0, 0, 0) scores on the complete labels, computed with NumPy from the public annotation files
FRONTAL: dict[tuple[str, str], float] = {
    ("aflw2000/pose-1969", "mae(convention=300w-lp)"): 17.8752348,
    ("aflw2000/pose-1969", "mae(angle=yaw,convention=300w-lp)"): 26.1733769,
    ("aflw2000/pose-1969", "mae(angle=pitch,convention=300w-lp)"): 13.9500591,
    ("aflw2000/pose-1969", "mae(angle=roll,convention=300w-lp)"): 13.5022684,
    ("aflw2000/pose-2000", "mae(convention=300w-lp)"): 19.0530594,
    ("biwi/depth-13219", "mae(convention=300w-lp)"): 17.0565546,
    ("biwi/depth-13219", "mae(angle=yaw,convention=300w-lp)"): 24.0809131,
    ("biwi/depth-13219", "mae(angle=pitch,convention=300w-lp)"): 18.8919414,
    ("biwi/depth-13219", "mae(angle=roll,convention=300w-lp)"): 8.1968092,
}
_FRONTAL_TOLERANCE = 1e-5  # degrees: labels in float32 files, constants printed with seven decimals


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
    result : str
        ``pass``, ``fail``, or ``absent``: an optional part that is not there, which is no failure.
    said : str
        What was seen.
    """

    name: str
    result: Literal["pass", "fail", "absent"]
    said: str


def laws_of(source: Dataset, protocol: Protocol) -> list[Check]:
    """The laws tried by one protocol; one failed check where its labels are not here."""
    if not source.found_ids(protocol.split, protocol.labels):
        return [Check(protocol.id, "absent", f"no labels of its split {protocol.split!r} in the data given")]
    truth, facts, _ = protocol_truth(source, protocol)
    complete = facts.verified is True
    noise = noisy(truth)
    known = source.all_ids()

    def score(labels: Faces, predictions: Faces) -> Evaluation:
        return evaluate(protocol, labels, predictions, expected_ids=known, resamples=0)

    before = score(truth, noise)
    laws: dict[str, Callable[[], tuple[str, str]]] = {
        "truth scores perfect": lambda: _perfect(score(truth, truth)),
        "mirrored faces score the same": lambda: _same(before, score(mirrored(truth), mirrored(noise))),
        "the order of rows means nothing": lambda: _same(before, score(truth, _shuffled(noise))),
        "a failed face costs what it must": lambda: _charged(protocol, truth, noise, before, score),
    }
    if protocol_needs(protocol, "pose"):
        laws["frontal scores what is known"] = lambda: _frontal(protocol, score(truth, _zeros(truth)), complete)
    found = []
    for name, law in laws.items():
        problem, said = law()
        absent = not problem and not said
        said = problem or said or ("the labels are not complete" if not complete else "no such number is known")
        found.append(Check(f"{protocol.id}: {name}", "absent" if absent else "fail" if problem else "pass", said))
    return found


# ------------------------------------------------------------------------------------------------- predictions


def noisy(truth: Faces) -> Faces:
    """Predictions that are the truth with noise: some degrees, some hundredths of the face, some wrong about visibility."""
    rng = np.random.default_rng(SEED)
    columns: dict[str, Any] = {}
    if truth.rotation is not None:
        columns["rotation"] = _nearest(truth.rotation + 0.1 * rng.standard_normal(truth.rotation.shape))
    if truth.landmarks is not None:
        size = np.ptp(np.where(np.isnan(truth.landmarks), np.nanmean(truth.landmarks), truth.landmarks), axis=1).max(axis=1)
        columns["landmarks"] = truth.landmarks + 0.03 * size[:, None, None] * rng.standard_normal(truth.landmarks.shape)
    if truth.visibility is not None:
        columns["visibility"] = np.clip(0.25 + 0.5 * truth.visibility + 0.2 * rng.standard_normal(truth.visibility.shape), 0.0, 1.0)
    return Faces(truth.sample_id, **columns, scheme=truth.scheme if truth.landmarks is not None else None)


def _nearest(matrices: Array) -> Array:
    there = ~np.isnan(matrices).any(axis=(1, 2))
    out = np.full_like(matrices, np.nan)
    out[there] = nearest_rotation(matrices[there])
    return out


def mirrored(faces: Faces) -> Faces:
    """The faces in a mirror: x -> w - x, right points called left, yaw and roll negated."""
    order = _mirror_order(faces)
    changes: dict[str, Any] = {}
    if faces.rotation is not None:
        changes["rotation"] = _MIRROR @ faces.rotation @ _MIRROR
    if faces.euler_deg is not None:
        changes["euler_deg"] = faces.euler_deg * (-1.0, 1.0, -1.0)
    if faces.landmarks is not None:
        changes["landmarks"] = (faces.landmarks * (-1.0, 1.0) + (_WIDTH_PX, 0.0))[:, order]
    for name in ("visibility", "occlusion"):
        if getattr(faces, name) is not None:
            changes[name] = getattr(faces, name)[:, order]
    if faces.box_xyxy_px is not None:
        x0, y0, x1, y1 = faces.box_xyxy_px.T
        changes["box_xyxy_px"] = np.stack([_WIDTH_PX - x1, y0, _WIDTH_PX - x0, y1], axis=1)
    return replace(faces, **changes)


def _mirror_order(faces: Faces) -> list[int]:
    """Which point takes the place of each, once right is left."""
    points = next((v.shape[1] for v in (faces.landmarks, faces.visibility, faces.occlusion) if v is not None), 0)
    order = list(range(points))
    for a, b in SCHEMES[faces.scheme].pairs if faces.scheme else ():
        order[a], order[b] = b, a
    return order


def _shuffled(faces: Faces) -> Faces:
    return faces.take(np.random.default_rng(SEED).permutation(len(faces)))


def _zeros(truth: Faces) -> Faces:
    return Faces(truth.sample_id, euler_deg=np.zeros((len(truth), 3)), convention="300w-lp")


# ------------------------------------------------------------------------------------------------- laws
# Each gives what is wrong, or "" and what was seen, or "" and "" where nothing can be said.


def _all_scores(found: Evaluation) -> Iterator[tuple[str, Score]]:
    for name, scores in {"all": found.scores, **found.subsets}.items():
        yield from ((f"{score.metric}, {name}", score) for score in scores)


def _perfect(found: Evaluation) -> tuple[str, str]:
    seen = 0
    for where, score in _all_scores(found):
        best = 100.0 if score.higher_is_better else 0.0
        if score.n_failed or (score.value is not None and not abs(score.value - best) <= 1e-6):
            return f"{where}: {score.value}, {score.n_failed} failed", ""
        seen += score.value is not None
    return "" if seen else "nothing was scored", f"{seen} scores"


def _same(one: Evaluation, other: Evaluation) -> tuple[str, str]:
    mine, theirs = dict(_all_scores(one)), dict(_all_scores(other))
    for where, score in mine.items():
        value = theirs[where].value
        alike = score.value is value is None or (
            score.value is not None and value is not None and math.isclose(score.value, value, rel_tol=_SAME, abs_tol=_SAME)
        )
        if not alike:
            return f"{where}: {score.value} and {value}", ""
    first = one.scores[0]
    return "", f"{len(mine)} scores, {first.metric} {first.value:.4f}" if first.value is not None else f"{len(mine)} scores"


def _charged(
    protocol: Protocol, truth: Faces, noise: Faces, before: Evaluation, score: Callable[[Faces, Faces], Evaluation]
) -> tuple[str, str]:
    """One face with all labels is left out of the predictions."""
    ids = [str(i) for i in before.errors["sample_id"]]
    metrics = {s.metric: parse_metric(s.metric) for s in before.scores}
    labelled = np.ones(len(ids), dtype=bool)
    for text, metric in metrics.items():
        if not metric.pooled:
            labelled &= ~np.isnan(before.errors[text].astype(np.float64))
    if "decision_face" in before.errors:
        labelled &= np.isin(np.arange(len(ids)), before.errors["decision_face"])
    if not labelled.any():
        return "", ""
    row = int(np.flatnonzero(labelled)[0])
    after = score(truth, noise.take(noise.sample_id != ids[row]))
    face = truth.take(truth.rows_of([ids[row]]))
    if [f.sample_id for f in after.failures if f not in before.failures] != [ids[row]]:
        return f"{len(after.failures)} faces failed instead of one", ""
    for old, new in zip(before.scores, after.scores, strict=True):
        metric = metrics[old.metric]
        if not metric.pooled:
            charge = protocol.failures.get(old.metric, float(metric.worst(face, face.box_xyxy_px)[0]))
            if not np.isclose(after.errors[old.metric][row], charge, rtol=_SAME):
                return f"{old.metric}: {after.errors[old.metric][row]} instead of {charge}", ""
        worse = -1.0 if old.higher_is_better else 1.0
        if old.value is not None and (new.value is None or worse * (new.value - old.value) < -_SAME) and not protocol.align_by:
            return f"{old.metric} is better without a face: {old.value} and {new.value}", ""
    first = after.scores[0]
    return "", f"{ids[row]}: {first.metric} {before.scores[0].value:.4f} -> {first.value:.4f}" if first.value is not None else ids[row]


def _frontal(protocol: Protocol, found: Evaluation, complete: bool) -> tuple[str, str]:
    known = _known_frontal(protocol) if complete else {}
    scores = {score.metric: score.value for score in found.scores}
    for text, value in known.items():
        mine = scores.get(text)
        if mine is None or not abs(mine - value) <= _FRONTAL_TOLERANCE:
            return f"{text}: {mine} instead of {value}", ""
    return "", f"{len(known)} scores, {next(iter(known))} {next(iter(known.values())):.4f}" if known else ""


def _known_frontal(protocol: Protocol) -> dict[str, float]:
    """What (0, 0, 0) scores: of the table, else of a shipped record by this very text of the protocol."""
    if found := {metric: value for (name, metric), value in FRONTAL.items() if name == protocol.id}:
        return found
    for root in catalog_roots():
        path = root / "baselines" / "frontal" / "results" / f"{protocol.reference.replace('/', '.')}.json"
        if path.is_file():
            try:
                record = read_record(path)
            except InputError:
                continue  # the catalog's own check tells of it
            if record.protocol.sha256 == protocol.sha256:
                return {s.metric: s.value for s in record.scores if s.value is not None}
    return {}
