"""The two verbs, as functions: `run` a model over a dataset, `score` a prediction file.  The command line calls these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .batch_size import choose_batch_size
from .catalog import Protocol, protocol_named
from .closing import finish
from .errors import InputError
from .locked import locked
from .models.interface import Model
from .models.resolve import create_model
from .parts import Parts, Shard, begun_batch_size
from .pipeline import default_workers, usable_cores
from .planning import default_output, facts_of, keep_larger, plan_run
from .predict import Progress, Setup, predict_parts
from .predictions import Predictions
from .predictions.given import read_given_predictions
from .readers import Dataset, load
from .records import ModelFacts, Record, read_record
from .request import Options, checked_metrics, protocols_asked_for, remark_missing, request_of
from .scoring import Remark, score_protocols, silent
from .shards import Job, merge, run_shard, shard_folder

if TYPE_CHECKING:
    from .ranks import Ranks
    from .ray_cluster import RayCluster

__all__ = ["default_output", "merge", "run", "score"]

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
    batch_size: int | Literal["auto"] | None = None,
    workers: int | None = None,
    reduced: bool = False,
    timeout_s: float | None = None,
    limit: int | None = None,
    max_failures: int | None = None,
    mix_schemes: bool = False,
    metrics: str | Iterable[str] = (),
    eye_norms: bool = False,
    shard: Shard | None = None,
    ranks: Ranks | None = None,
    cluster: RayCluster | None = None,
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
    batch_size : int or "auto", optional
        Faces per call; the model's own number if left out.  ``auto`` tries what this device likes: not for runs that are spread.
    workers : int, optional
        Threads that decode.
    reduced : bool
        Decode large JPEGs smaller where the model sees the face smaller anyway: quicker, and part of the model's label.
    timeout_s : float, optional
        Stop when the model takes longer over a batch.
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
    shard : Shard, optional
        Only this share of the faces, to be joined by `hpbench.shards.merge`; nothing is scored.
    ranks : Ranks, optional
        This process is one of several that share the run: each predicts a share, the first joins and scores them.
    cluster : RayCluster, optional
        Predict on a Ray cluster; `model` and `dataset` are names then.
    progress, remark
        Where progress and remarks go.

    Returns
    -------
    list of Record
        One a protocol, written to `out` with the predictions and the per-face errors; none of a shard, nor of a rank but the first.
    """
    options = Options(
        protocol=tuple([protocol] if isinstance(protocol, str) else protocol),
        boxes=boxes,
        weights=Path(weights) if weights is not None else None,
        model_args=dict(model_args or {}),
        out=Path(out) if out is not None else None,
        batch_size=None if batch_size == "auto" else batch_size,
        limit=limit,
        mix_schemes=mix_schemes,
        metrics=tuple([metrics] if isinstance(metrics, str) else metrics),
        eye_norms=eye_norms,
        setup=Setup(workers if workers is not None else default_workers(usable_cores()), reduced, max_failures, timeout_s),
    )
    if cluster is not None and not (isinstance(model, str) and isinstance(dataset, str)):
        raise InputError("a run on a Ray cluster takes model and dataset by their names: the nodes make them anew.")
    if batch_size == "auto" and (shard is not None or ranks is not None or cluster is not None):
        raise InputError("--batch-size auto is for one process: a run that is spread has the same batches everywhere, so give a number.")
    source = dataset if isinstance(dataset, Dataset) else load(dataset, data)
    request = request_of(source, options)
    made = model if isinstance(model, Model) else create_model(
        model, weights=options.weights, device=device, arguments=options.model_args
    )  # fmt: skip
    made.name = made.name or type(made).__name__
    detected = request.detected()
    plan = plan_run(request, facts_of(made, options), made.batch_size, detected)
    job = Job.of(plan, model if isinstance(model, str) else "", [] if isinstance(dataset, Dataset) else _paths(data), device)
    if shard is not None:
        folder = run_shard(plan, job, made, shard, detected=detected, progress=progress, remark=remark)
        remark(f"share {shard} is complete in {folder}; when all are: hpbench merge {plan.folder}")
        return []
    if ranks is not None:
        run_shard(plan, job, made, ranks.shard, detected=detected, progress=progress, remark=remark)
        ranks.wait()
        if ranks.shard.number > 1:
            return []
        shards = [shard_folder(plan.folder, replace(ranks.shard, number=n + 1)) for n in range(ranks.shard.count)]
        if unseen := [folder for folder in shards if not folder.is_dir()]:
            raise InputError(f"{unseen[0]} cannot be seen from here: the output folder (-o) must be one that all nodes reach.")
        return merge(shards, out=plan.folder, dataset=source, remark=remark)
    with locked(plan.folder, "a run"):
        keep_larger(plan.file, len(request.ids), limit)
        remark_missing(source, request.served, request.ids, remark)
        if batch_size == "auto":
            size = begun_batch_size(plan.file) or choose_batch_size(
                made, request.samples_of(request.ids), len(request.ids), detected=detected, timeout_s=timeout_s, remark=remark
            )
            plan = replace(plan, batch_size=size)
        parts = Parts(plan.file, request.ids, plan.batch_size)
        parts.claim(plan.settings)
        if cluster is not None:
            timing = cluster.predict(job, parts, progress=progress, remark=remark)
        else:
            timing = predict_parts(
                made, parts, request.samples_of, boxes=request.boxes, setup=options.setup, detected=detected,
                progress=progress, remark=remark,
            )  # fmt: skip
        return finish(plan, parts, timing, device=str(made.device or device), remark=remark)


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
    given = predictions if isinstance(predictions, Predictions) else read_given_predictions(predictions)
    names = [p for p in ([protocol] if isinstance(protocol, str) else protocol) if p]
    if dataset is None:
        if not names:
            raise InputError("say which dataset (-d) or which protocol (--protocol) the predictions are for.")
        dataset = protocol_named(names[0]).dataset
    protocols = protocols_asked_for(dataset if isinstance(dataset, str) else dataset.card.id, names)
    source = dataset if isinstance(dataset, Dataset) else load(dataset, data)
    extra = checked_metrics(metrics, source, protocols, eye_norms=eye_norms)
    name = given.model or (Path(predictions).stem if isinstance(predictions, (str, Path)) else "predictions")
    folder = Path(out) if out is not None else _untaken(default_output(name, source.card.id, given.boxes), given, protocols)
    remark_missing(source, protocols, None, remark)
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


def _paths(data: PathLike | Iterable[PathLike] | None) -> list[str]:
    return [str(path) for path in ([data] if isinstance(data, (str, Path)) else data or [])]
