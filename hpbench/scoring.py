"""Predictions of a dataset, scored by its protocols into records: what `run` and `score` have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .batches import UNREADABLE
from .catalog import Protocol
from .detectors.cards import PREFIX, stated
from .errors import InputError
from .evaluate import evaluate
from .faces import Faces
from .mapped import mapped_note
from .metrics import parse_metric
from .obstacles import as_compared, mixes_schemes, obstacle, protocol_needs, refuse_unknown_ids, suspicions
from .predictions import Predictions
from .provenance import fresh_facts
from .readers import Dataset
from .records import DatasetFacts, ModelFacts, ProtocolFacts, Record, read_record

__all__ = ["Remark", "protocol_truth", "score_protocols", "silent"]

Remark = Callable[[str], None]


def silent(_: str) -> None:
    """Remarks of the Python API go nowhere; the command line prints them on stderr."""


def score_protocols(
    predictions: Predictions,
    source: Dataset,
    protocols: list[Protocol],
    model: ModelFacts,
    folder: Path,
    *,
    limit_ids: list[str] | None = None,
    with_images: bool = False,
    timing: dict[str, Any] | None = None,
    mix_schemes: bool = False,
    metrics: Sequence[str] = (),
    named: bool = False,
    origin: str = "",
    remark: Remark = silent,
) -> list[Record]:
    """Score predictions by every protocol they can serve, and write the records and per-face errors to `folder`.

    Parameters
    ----------
    limit_ids : list of str or None
        The only faces of a limited run: the records are partial.
    with_images : bool
        A model has just seen the images: missing ones make the records partial.
    timing : dict or None
        Of the run.
    metrics : sequence of str
        Metric texts to compute besides each protocol's, by the protocols that measure the same kind of prediction.
    named : bool
        The protocols were asked for by name: one that cannot be scored is an error, not a remark.
    origin : str
        The prediction file, for errors.

    Raises
    ------
    InputError
        Ids that are not the dataset's, no face that is here, or nothing that can be scored.
    """
    records: list[Record] = []
    skipped: list[tuple[Protocol, str]] = []
    facts = fresh_facts()
    predictions_sha256 = predictions.faces.content_sha256()
    all_ids = source.all_ids()
    predicted = len(predictions.faces)
    if not predicted:
        raise InputError(f"{f'{origin}: the file has' if origin else 'there are'} no rows: a face that was not found is a row too.")
    refuse_unknown_ids(predictions.faces, all_ids, origin)
    _refuse_none_here(predictions.faces, source, protocols, origin)
    for protocol in protocols:
        scheme = source.scheme(protocol.labels)
        problem = obstacle(protocol, scheme, predictions.faces, predictions.boxes, mix_schemes=mix_schemes)
        found_ids = source.found_ids(protocol.split, protocol.labels) if not problem else []
        if not problem and not found_ids:
            labels = f"{protocol.labels} labels" if protocol.labels else "labels"
            problem = f"there are no {labels} of its split {protocol.split!r} in the data given"
        if not problem and limit_ids is not None and not set(found_ids) & set(limit_ids):
            problem = f"--limit leaves none of its faces (split {protocol.split!r})"
        if not problem and not named and not _any_predicted(predictions.faces, found_ids):
            problem = f"none of the {predicted} predicted faces is one of its split {protocol.split!r} that is here"
        if problem and named:
            raise InputError(f"{protocol.reference} cannot be scored: {problem}.")
        if problem:
            skipped.append((protocol, problem))
            continue
        images_missing = with_images and _any_beyond(found_ids, source.image_ids(protocol.split))
        truth, dataset_facts, notes = protocol_truth(source, protocol, limit_ids, images_missing)
        unreadable = _unreadable(predictions.faces, found_ids)
        if unreadable:
            notes.append(f"{unreadable} images could not be read: the faces are charged, but it is the data's fault")
        if not predictions.boxes:
            notes.append("boxes not stated")
        elif predictions.boxes.startswith(PREFIX):
            notes.append(stated(predictions.boxes))
        if predictions.faces.scheme is None and predictions.faces.landmarks is not None and protocol_needs(protocol, "landmarks"):
            notes.append(f"scheme not stated: taken for {scheme}")
        compared = as_compared(protocol, scheme, predictions.faces, mix_schemes=mix_schemes)
        notes += filter(None, [mapped_note(predictions.faces, compared)])
        notes += suspicions(protocol, truth, compared)
        if mixes_schemes(protocol, scheme, compared):
            notes.append(f"schemes mixed: {compared.scheme} predictions on {scheme} labels")
        extra = [m for m in metrics if protocol_needs(protocol, parse_metric(m).family.needs)]
        found = evaluate(protocol, truth, compared, expected_ids=all_ids, source=origin, metrics=extra)
        record = Record(
            **facts,
            protocol=ProtocolFacts(protocol.id, protocol.version, protocol.sha256),
            dataset=dataset_facts,
            model=model,
            scores=found.scores,
            subsets=found.subsets,
            coverage=found.coverage,
            failures=found.failures,
            partial=limit_ids is not None or images_missing or unreadable > 0 or dataset_facts.n_found < dataset_facts.n_expected,
            notes=(*notes, *found.notes),
            predictions_sha256=predictions_sha256,
            truth_sha256=truth.content_sha256(),
            diagnostics=found.diagnostics,
            landmark_errors=found.landmark_errors,
            timing=timing,
        )
        record = _with_known_timing(record, folder)
        record.write(folder, found.errors)
        records.append(record)
    if not records:
        where = f"{origin}: " if origin else ""
        raise InputError(f"{where}nothing could be scored: {' '.join(_not_scored(skipped)) or source.card.id + ' has no protocols.'}")
    for text in (*_not_scored(skipped), *_not_computed(metrics, records, skipped)):
        remark(text)
    remark(f"written to {folder}")
    return records


def _not_scored(skipped: Sequence[tuple[Protocol, str]]) -> list[str]:
    return [f"{protocol.reference} is not scored: {problem}." for protocol, problem in skipped]


def _not_computed(metrics: Sequence[str], records: Sequence[Record], skipped: Sequence[tuple[Protocol, str]]) -> list[str]:
    """Which of the metrics asked for are in no record, and why."""
    computed = {score.metric for record in records for score in record.scores}
    texts = []
    for text in dict.fromkeys(metrics):
        needs = parse_metric(text).family.needs
        reasons = [f"{protocol.reference} is not scored, {problem}" for protocol, problem in skipped if protocol_needs(protocol, needs)]
        if text not in computed:
            texts.append(f"--metric {text} is not computed: {(reasons or ['the subsets that are its bins are not all formed'])[0]}.")
    return texts


def _any_predicted(faces: Faces, ids: Sequence[str]) -> bool:
    """Whether one of these ids has a row."""
    return bool((faces.rows_of(ids) >= 0).any())


def _refuse_none_here(faces: Faces, source: Dataset, protocols: Sequence[Protocol], origin: str) -> None:
    """`InputError` where labels are here, and none of them of a predicted face."""
    first: list[str] = []
    for split in dict.fromkeys(p.split for p in protocols):
        ids = source.found_ids(split)
        if _any_predicted(faces, ids):
            return
        first += [min(ids)] if ids else []
    if first:
        raise InputError(
            f"{f'{origin}: ' if origin else ''}none of its {len(faces)} rows is a face whose labels are here "
            f"(the first row: {min(faces.sample_id)!r}; the first face here: {min(first)!r})."  # type: ignore[arg-type]
        )


def _any_beyond(ids: list[str], others: list[str]) -> bool:
    """Whether one of the ids is not among the others."""
    return ids != others and not set(ids) <= set(others)


def _unreadable(faces: Faces, ids: Sequence[str]) -> int:
    """How many of these faces failed because their image could not be read."""
    if faces.failure is None:
        return 0
    rows = faces.rows_of(ids)
    return sum(str(reason).startswith(UNREADABLE) for reason in np.asarray(faces.failure)[rows[rows >= 0]])


def protocol_truth(
    source: Dataset, protocol: Protocol, limit_ids: list[str] | None = None, images_missing: bool = False
) -> tuple[Faces, DatasetFacts, list[str]]:
    """The labels a protocol asks for, with its norm box, and what there is to say about them."""
    truth = source.truth(protocol.split, protocol.labels)
    ids = [str(i) for i in truth.sample_id]  # type: ignore[union-attr]
    n_expected, n_found = source.n_expected(protocol.split), len(ids)
    notes: list[str] = []
    complete = n_found == n_expected
    wrong = source.wrong_statistics(protocol.split, protocol.labels, truth) if complete else []
    if wrong:
        notes.append(f"the labels are not those the card describes: {'; '.join(wrong)}")
    if not complete:
        notes.append(f"{n_found} of {n_expected} faces are here")
    if images_missing:
        notes.append("images are missing")
    if protocol.norm_box:
        truth = replace(truth, box_xyxy_px=source.boxes_of(protocol.norm_box, ids))
    if limit_ids is not None:
        rows = [row for row in truth.rows_of(limit_ids) if row >= 0]
        if len(rows) < n_found:
            notes.append(f"limited to {len(rows)} faces")
        truth = truth.take(rows)
    verified = complete and not wrong and not images_missing
    stated = bool(source.stated_statistics(protocol.split, protocol.labels))
    return truth, DatasetFacts(n_expected, n_found, None if verified and not stated else verified), notes


def _with_known_timing(record: Record, folder: Path) -> Record:
    """Scoring the same predictions again does not forget how long they took, nor whose they are."""
    path = folder / record.file_name
    if record.timing is not None or not path.is_file():
        return record
    try:
        before = read_record(path)
    except InputError:
        return record
    if before.predictions_sha256 != record.predictions_sha256 or before.model.name != record.model.name:
        return record
    return replace(record, timing=before.timing, model=before.model)
