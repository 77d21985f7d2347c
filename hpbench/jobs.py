"""The two verbs, as functions: `run` a model over a dataset, `score` a prediction file.  The command line calls these."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .catalog import Protocol, dataset_card, eye_norm_refusal, protocol_named, protocols_of
from .detectors.cards import PREFIX, detector_card
from .detectors.chosen import DetectedBoxes
from .errors import InputError, MissingDataError
from .locked import locked
from .metrics import parse_metric
from .models.interface import Model
from .models.resolve import create_model
from .obstacles import protocol_needs, view_refusal
from .predict import Progress, RunTiming, forget_parts, predict
from .predictions import Predictions, read_predictions
from .readers import Dataset, load
from .records import ModelFacts, Record, read_record
from .scoring import Remark, score_protocols, silent

__all__ = ["default_output", "run", "score"]

PathLike = str | Path


def run(
    model: str | Model,
    dataset: str | Dataset,
    *,
    data: PathLike | Iterable[PathLike] | None = None,
    protocol: str | Iterable[str] = (),
    boxes: str = "",
    weights: PathLike | None = None,
    model_args: Mapping[str, Any] | None = None,
    out: PathLike | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    workers: int | None = None,
    limit: int | None = None,
    max_failures: int | None = None,
    mix_schemes: bool = False,
    metrics: str | Iterable[str] = (),
    eye_norms: bool = False,
    progress: Progress | None = None,
    remark: Remark = silent,
) -> list[Record]:
    """Run a model over a dataset once and score every protocol of it that the predictions can serve.

    Parameters
    ----------
    model : str or Model
        A model, or a name as `hpbench.models.resolve.create_model` understands it.
    dataset : str or Dataset
        A dataset id, or what `hpbench.load` returned.
    data : path or paths, optional
        Folders or archives; without it ``$HPBENCH_DATA/<dataset>``.
    protocol : str or list of str, optional
        Only these protocols (``aflw2000/pose-1969``).
    boxes : str, optional
        Name of the box set the model is given; default: that of the protocols asked for, else the card's.  ``detector:NAME``: what
        this detector finds in the whole picture (`hpbench.detectors.chosen`); such records are never ranked.
    weights, model_args, device
        Passed to the model where it takes them.
    out : path, optional
        Output folder; default ``hpbench-out/<model>/<dataset>``, with ``-detector-<name>`` behind it where a detector gives the boxes.
    batch_size, workers : int, optional
        Faces per call; decoding threads.
    limit : int, optional
        Only the first faces of each split in sorted order: the records are marked partial.
    max_failures : int, optional
        Stop when more faces have failed.
    mix_schemes : bool
        Score landmarks against labels of another scheme of the same length; noted in the record.
    metrics : str or list of str, optional
        Metrics to compute besides the protocols', e.g. another's formula: ``mae(convention=300w-lp,formula=fold180)``.
    eye_norms : bool
        Allow `metrics` with norm=corners or norm=pupils on a dataset with profile faces.
    progress, remark
        Where progress and remarks go.

    Returns
    -------
    list of Record
        One a protocol, written to `out` with the predictions and the per-face errors.
    """
    source = dataset if isinstance(dataset, Dataset) else load(dataset, data)
    protocol = [p for p in ([protocol] if isinstance(protocol, str) else protocol) if p]
    protocols = _protocols(source.card.id, protocol)
    named_boxes = {p.boxes for p in protocols} if protocol else set()
    detecting = detector_card(boxes) if boxes.startswith(PREFIX) else None
    box_set = source.box_set(boxes if boxes and not detecting else named_boxes.pop() if not boxes and len(named_boxes) == 1 else "")
    served = protocols if detecting else [p for p in protocols if p.boxes == box_set]
    extra = _checked_metrics(metrics, source, protocols, eye_norms=eye_norms)
    _refuse_before_running(source, protocols if protocol else served, "" if detecting else box_set, named=bool(protocol))
    _check_counts(limit=limit, batch_size=batch_size, workers=workers, max_failures=max_failures)
    made = model if isinstance(model, Model) else create_model(
        model, weights=Path(weights) if weights is not None else None, device=device, arguments=model_args
    )  # fmt: skip
    made.name = made.name or type(made).__name__
    detected = DetectedBoxes(detecting) if detecting else None
    ids = _ids_to_predict(source, served, limit)
    _refuse_no_images(source, served, ids)
    samples = list(source.samples_of(ids, box_set))
    arguments = dict(model_args or {})
    facts = ModelFacts(made.name, str(made.version), made.weights_sha256, arguments, made.trained_on)
    given = detected.name if detected else box_set
    folder = Path(out) if out is not None else default_output(facts.label, source.card.id, given)
    file = folder / "predictions.h5"
    with locked(folder, "a run"):
        _keep_larger(file, len(samples), limit)
        _remark_missing(source, served, ids, remark)
        size = batch_size or made.batch_size
        predictions, timing = predict(
            made, samples, file, boxes=given, batch_size=size, detected=detected,
            settings={
                "model": made.name, "version": made.version, "weights_sha256": made.weights_sha256,
                "dataset": source.card.id, "data": source.fingerprint(folder), "boxes": given, "model_args": arguments,
                "weights": _content_sha256(Path(weights)) if weights is not None else None,
                **({"detector": detected.settings} if detected else {}),
            },
            workers=workers or min(4, os.cpu_count() or 1), max_failures=max_failures, progress=progress, remark=remark,
        )  # fmt: skip
        reasons = predictions.faces.failure
        if detected and reasons is not None and set(reasons) == {detected.not_found}:
            raise InputError(f"{detected.name} found none of the {len(samples)} faces: nothing to score.")
        records = score_protocols(
            predictions, source, protocols, facts, folder,
            limit_ids=ids if limit is not None else None, with_images=True,
            timing=_timing(timing, size, str(made.device or device)),
            mix_schemes=mix_schemes, metrics=extra, named=bool(protocol), remark=remark,
        )  # fmt: skip
        forget_parts(file)
    return records


def score(
    predictions: PathLike | Predictions,
    dataset: str | Dataset | None = None,
    *,
    protocol: str | Iterable[str] = (),
    data: PathLike | Iterable[PathLike] | None = None,
    out: PathLike | None = None,
    mix_schemes: bool = False,
    metrics: str | Iterable[str] = (),
    eye_norms: bool = False,
    remark: Remark = silent,
) -> list[Record]:
    """Score a prediction file by the protocols of a dataset that it can serve; no model is run, no image is read.

    Parameters
    ----------
    predictions : path or Predictions
        A file of `hpbench.predictions`, or its content.
    dataset : str or Dataset, optional
        May be left out when `protocol` names it.
    protocol, data, out, mix_schemes, metrics, eye_norms, remark
        As in `run`.

    Returns
    -------
    list of Record
    """
    given = predictions if isinstance(predictions, Predictions) else read_predictions(predictions)
    names = [p for p in ([protocol] if isinstance(protocol, str) else protocol) if p]
    if dataset is None:
        if not names:
            raise InputError("say which dataset (-d) or which protocol (--protocol) the predictions are for.")
        dataset = protocol_named(names[0]).dataset
    protocols = _protocols(dataset if isinstance(dataset, str) else dataset.card.id, names)
    source = dataset if isinstance(dataset, Dataset) else load(dataset, data)
    extra = _checked_metrics(metrics, source, protocols, eye_norms=eye_norms)
    name = given.model or (Path(predictions).stem if isinstance(predictions, (str, Path)) else "predictions")
    folder = Path(out) if out is not None else _untaken(default_output(name, source.card.id, given.boxes), given, protocols)
    _remark_missing(source, protocols, None, remark)
    return score_protocols(
        given, source, protocols, ModelFacts(name), folder,
        origin="" if isinstance(predictions, Predictions) else str(predictions),
        mix_schemes=mix_schemes, metrics=extra, named=bool(names), remark=remark,
    )  # fmt: skip


def _untaken(folder: Path, predictions: Predictions, protocols: list[Protocol]) -> Path:
    """The default folder, unless it holds the records of other predictions, which nobody asked to replace."""
    digest = predictions.faces.content_sha256()
    for protocol in protocols:
        path = folder / f"{protocol.reference.replace('/', '.')}.json"
        if path.is_file() and read_record(path).predictions_sha256 != digest:
            raise InputError(f"{path} is the record of other predictions: choose a folder with -o.")
    return folder


def default_output(model: str, dataset: str, boxes: str = "") -> Path:
    """``hpbench-out/<model>/<dataset>``, names made safe for a folder; with the boxes behind it where a detector gave them.

    Such records have the names of those with the protocols' boxes, which they must not replace.
    """
    folder = f"{dataset}-{boxes}" if boxes.startswith(PREFIX) else dataset
    return Path("hpbench-out") / _safe(model, "model") / _safe(folder, dataset)


def _safe(name: str, otherwise: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or otherwise


def _protocols(dataset_id: str, names: list[str]) -> list[Protocol]:
    """The protocols asked for, or all of a dataset's."""
    wanted = list(dict.fromkeys(names))
    card = dataset_card(dataset_id)
    everything = protocols_of(card)
    if not wanted:
        return everything
    chosen = []
    for name in wanted:
        full = name if "/" in name else f"{dataset_id}/{name}"
        protocol = protocol_named(full)
        if protocol.dataset != dataset_id:
            raise InputError(f"protocol {name!r} is one of {protocol.dataset}'s, not of {dataset_id}'s.")
        chosen.append(protocol)
    return chosen


def _checked_metrics(metrics: str | Iterable[str], source: Dataset, protocols: list[Protocol], *, eye_norms: bool) -> list[str]:
    """Canonical texts of metrics asked for besides the protocols'; each can be computed by one of the protocols at least."""
    found = [parse_metric(text) for text in ([metrics] if isinstance(metrics, str) else metrics)]
    for metric in found:
        needs = metric.family.needs
        able = [p for p in protocols if protocol_needs(p, needs)]
        if not able:
            whose = f"{protocols[0].id} does not" if len(protocols) == 1 else "none of the protocols to be scored does"
            raise InputError(f"--metric {metric} measures {needs}, which {whose}.")
        if not eye_norms and (refusal := eye_norm_refusal(source.card, metric.text)):
            raise InputError(f"--metric {metric}: {refusal}; --eye-norms computes it all the same.")
        if metric.parameters.get("view", "occluded") != "occluded":  # needs the labels
            for p in able:
                if source.found_ids(p.split, p.labels) and (refusal := view_refusal(p, source.truth(p.split, p.labels), metric)):
                    raise InputError(f"--metric {metric}: {refusal}.")
    return [metric.text for metric in found]


def _ids_to_predict(source: Dataset, protocols: list[Protocol], limit: int | None) -> list[str]:
    """The faces that are here of all the protocols' splits together, the first of each, sorted: one inference serves them all."""
    splits = {p.split for p in protocols}
    ids = sorted({i for split in splits for i in source.found_ids(split)[:limit]})
    if not ids:
        of = ", ".join(repr(s) for s in sorted(splits)) or "any split: the dataset has no protocols"
        raise MissingDataError(f"{source.card.id}: no face of split {of} is in the data given.")
    return ids


def _refuse_no_images(source: Dataset, protocols: list[Protocol], ids: list[str]) -> None:
    """A model cannot run without a single image."""
    here = {i for p in protocols for i in source.image_ids(p.split)}
    if here.isdisjoint(ids):
        hint = f"{len(here)} others have one" if here else "`hpbench score` scores predictions made elsewhere"
        raise MissingDataError(f"{source.card.id}: none of the {len(ids)} faces to predict has an image in the data given ({hint}).")


def _check_counts(**counts: int | None) -> None:
    for name, value in counts.items():
        least = 0 if name == "max_failures" else 1
        if value is not None and value < least:
            raise InputError(f"--{name.replace('_', '-')} must be at least {least}, got {value}.")


def _keep_larger(file: Path, n: int, limit: int | None) -> None:
    """A trial run must not overwrite a whole one's predictions."""
    if limit is None or not file.exists():
        return
    present = len(read_predictions(file).faces)
    if present > n:
        raise InputError(f"{file} holds {present} faces, --limit {limit} would replace them by {n}: choose another -o.")


def _remark_missing(source: Dataset, protocols: list[Protocol], ids: list[str] | None, remark: Remark) -> None:
    """What is not all there; `ids` are the faces a model is going to see, None where only labels are needed."""
    for split in sorted({p.split for p in protocols}):
        found, expected = source.found_ids(split), source.n_expected(split)
        if 0 < len(found) < expected:  # of a split with none at all, its protocols say that they are not scored
            of = source.card.id if len(source.card.splits) == 1 else f"{source.card.id} ({split})"
            remark(f"{len(found)} of {expected} faces of {of} are here: records are marked partial.")
    if foreign := source.foreign_ids():
        remark(f"{len(foreign)} label files are on no list of {source.card.id} and are passed over (the first: {foreign[0]}).")
    if ids is None:
        return
    with_image = {i for p in protocols for i in source.image_ids(p.split)}
    absent = [i for i in ids if i not in with_image]
    if absent:
        remark(f"{len(absent)} faces have labels but no image (the first: {absent[0]}): they are charged as failures.")


def _refuse_before_running(source: Dataset, protocols: list[Protocol], box_set: str, *, named: bool) -> None:
    """Before hours of inference: what was asked for can be scored with these boxes ("": a detector's) and labels."""
    if not protocols:
        raise InputError(f"{source.card.id}: no protocol of it is for the boxes {box_set!r} (`hpbench protocols list`).")
    for protocol in protocols:
        if box_set and protocol.boxes != box_set:
            raise InputError(
                f"{protocol.reference} is for the boxes {protocol.boxes!r}, not {box_set!r}: run it by itself, without --boxes."
            )
        if named and not source.found_ids(protocol.split, protocol.labels):
            labels = f"{protocol.labels} labels" if protocol.labels else "labels"
            raise MissingDataError(f"{protocol.reference}: there are no {labels} of its split {protocol.split!r} in the data given.")


def _content_sha256(path: Path) -> str:
    """Hash of a weight file, or of the names and sizes of a folder of them."""
    digest = hashlib.sha256()
    try:
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                digest.update(f"{file.relative_to(path).as_posix()}|{file.stat().st_size}|{file.stat().st_mtime_ns}\n".encode())
        else:
            with path.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256")
    except OSError as error:
        raise MissingDataError(f"{path}: the weights cannot be read ({error.strerror}).") from None
    return digest.hexdigest()


def _timing(timing: RunTiming, batch_size: int, device: str) -> dict[str, Any] | None:
    if not timing.faces:
        return None
    return {
        **asdict(timing),
        "images_per_s": timing.faces / timing.seconds if timing.seconds > 0 else None,
        "model_ms": 1000.0 * timing.model_seconds / timing.faces,
        "batch_size": batch_size,
        "device": device,
    }
