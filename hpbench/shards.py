"""A run in shares: each machine computes every N-th part, and `merge` joins them into what one machine would have made.

A share is a folder with its parts and a ``job.json`` that says what run it is of: on a file system that the machines
share it is ``<out>/shards/I-of-N``; folders that were copied together from elsewhere are as good.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .atomic import atomic_path, write_atomic
from .checked import build
from .closing import finish
from .detectors.chosen import DetectedBoxes
from .errors import InputError
from .locked import locked
from .models.interface import Model
from .parts import FOLDER, Parts, Shard, difference, parse_shard
from .planning import RunPlan, ids_sha256, keep_larger
from .predict import Progress, Setup, predict_parts
from .predictions.given import check_given
from .readers import Dataset, load
from .records import ModelFacts, Record
from .request import Options, remark_missing, request_of
from .scoring import Remark, silent

__all__ = ["Job", "merge", "run_shard", "shard_folder"]

JOB = "job.json"
SHARDS = "shards"
_MAX_JOB_BYTES = 1 << 20


@dataclass(frozen=True)
class Job:
    """What another process needs to know of a run, as ``job.json`` has it.

    Attributes
    ----------
    model : str
        As ``--model`` names it, a file by its whole path; "" where it was given as an object.
    data : tuple of str
        As ``--data`` names it, whole paths.
    facts, options : dict
        `ModelFacts` and `Options`, in JSON.
    settings : dict
        See `RunPlan`.
    ids_sha256 : str
        Of the faces to predict.
    shard : str
        ``I/N``; "" for the whole.
    """

    model: str
    dataset: str
    data: tuple[str, ...]
    device: str
    batch_size: int
    facts: dict[str, Any]
    options: dict[str, Any]
    settings: dict[str, Any]
    ids_sha256: str
    shard: str = ""
    schema: int = field(default=1)

    @staticmethod
    def of(plan: RunPlan, model: str, data: Sequence[str], device: str) -> Job:
        """The job of a plan."""
        options = asdict(plan.request.options)
        options["weights"], options["out"] = (None if options[k] is None else os.path.abspath(options[k]) for k in ("weights", "out"))
        job = Job(
            _from_anywhere(model), plan.request.source.card.id, tuple(map(os.path.abspath, data)), device, plan.batch_size,
            asdict(plan.facts), options, plan.settings, ids_sha256(plan.request.ids),
        )  # fmt: skip
        return Job.read(job.as_text(), "job")  # lists for tuples, as every other process sees it

    def as_text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), sort_keys=True, indent=1, allow_nan=False)

    @staticmethod
    def read(text: str, where: str) -> Job:
        """The inverse of `as_text`; `InputError` naming `where`."""
        try:
            table = json.loads(text)
        except (ValueError, RecursionError):
            raise InputError(f"{where}: is no JSON.") from None
        if not isinstance(table, dict) or table.pop("schema", None) != 1:
            raise InputError(f"{where}: is no job of this version of hpbench (schema 1).")
        return build(Job, table, where)

    def model_facts(self, where: str) -> ModelFacts:
        """Of the model that ran."""
        return build(ModelFacts, dict(self.facts), f"{where}: facts")

    def run_options(self, where: str) -> Options:
        """What the run was asked for."""
        table = dict(self.options)
        setup = build(Setup, table.pop("setup", {}), f"{where}: options, setup")
        paths = {key: None if table.get(key) is None else Path(str(table.pop(key))) for key in ("weights", "out")}
        table = {key: value for key, value in table.items() if key not in paths}
        asked = build(Options, table, f"{where}: options")
        return replace(asked, setup=setup, weights=paths["weights"], out=paths["out"])


def shard_folder(out: Path, shard: Shard) -> Path:
    """Where a share lies."""
    return out / SHARDS / f"{shard.number}-of-{shard.count}"


def run_shard(
    plan: RunPlan,
    job: Job,
    model: Model,
    shard: Shard,
    *,
    detected: DetectedBoxes | None = None,
    progress: Progress | None = None,
    remark: Remark = silent,
) -> Path:
    """Compute a share of a run, in the folder returned; what is there already is not computed again."""
    folder = shard_folder(plan.folder, shard)
    request = plan.request
    keep_larger(plan.file, len(request.ids), request.options.limit)
    with locked(folder, "this share of a run"):
        if shard.number == 1:
            remark_missing(request.source, request.served, request.ids, remark)
        parts = Parts(folder / plan.file.name, request.ids, plan.batch_size)
        parts.claim(plan.settings)
        write_atomic(folder / JOB, replace(job, shard=str(shard)).as_text())
        setup = request.options.setup
        predict_parts(
            model,
            parts,
            request.samples_of,
            boxes=request.boxes,
            only=shard.has,
            setup=setup,
            detected=detected,
            progress=progress,
            remark=remark,
        )
    return folder


def merge(
    folders: Iterable[Path],
    *,
    out: Path | None = None,
    data: Sequence[Path] = (),
    dataset: Dataset | None = None,
    remark: Remark = silent,
) -> list[Record]:
    """Join the shares of a run and score it: predictions and records are those of a single process.

    Parameters
    ----------
    folders : iterable of Path
        Shares, or folders that hold them (``<out>``, ``<out>/shards``).
    out : Path, optional
        Where the run's files go; default: the folder that holds the shares, where there is one.
    data : sequence of Path, optional
        Where the dataset lies here; default: where the shares had it.
    dataset : Dataset, optional
        Instead of `data`.
    remark : callable

    Raises
    ------
    InputError
        Shares of different runs, a share that is missing or not complete.
    """
    given = list(folders)
    shares = _shares(given)
    first_folder, first = next(iter(shares.values()))
    where = str(first_folder / JOB)
    for folder, job in shares.values():
        if _comparable(job) != _comparable(first):
            raise InputError(f"{folder} is a share of another run than {first_folder}: {difference(_comparable(job), _comparable(first))}.")
        if job.ids_sha256 != first.ids_sha256:
            raise InputError(f"{folder} was made of other faces than {first_folder}: the data must be the same on all machines.")
    count = _share(first, where).count
    if absent := [n for n in range(1, count + 1) if n not in shares]:
        names = _texts([f"{n}/{count}" for n in absent])
        one = len(absent) == 1
        raise InputError(
            f"share{'s' * (not one)} {names} {'is' if one else 'are'} missing: run {'it' if one else 'them'} with --shard, "
            f"or name {'its folder' if one else 'their folders'} beside {first_folder}."
        )
    if out is None:
        if len(parents := {folder.resolve().parent for folder, _ in shares.values()}) > 1 or first_folder.resolve().parent.name != SHARDS:
            raise InputError(f"the shares lie in {len(parents)} folders: say with -o where the joined run goes.")
        out = first_folder.parent.parent
    source = dataset or load(first.dataset, list(data) or list(first.data) or None)
    request = request_of(source, first.run_options(where))
    if ids_sha256(request.ids) != first.ids_sha256:
        raise InputError(f"{where}: the run had other faces than the {len(request.ids)} that are in the data given here.")
    plan = RunPlan(request, first.model_facts(where), first.batch_size, out, first.settings)
    keep_larger(plan.file, len(request.ids), request.options.limit)
    with locked(out, "a run"):
        parts = Parts(plan.file, request.ids, plan.batch_size)
        parts.claim(plan.settings)
        theirs = [_part_of(parts, part, *shares[part % count + 1]) for part in range(len(parts))]
        check_given(*theirs)
        for part, path in enumerate(theirs):
            _take(parts, part, path, shares[part % count + 1][1])
        records = finish(plan, parts, None, device=first.device, remark=remark)
        _forget(out / SHARDS, [folder for folder, _ in shares.values()])
    return records


def _forget(place: Path, shares: Sequence[Path]) -> None:
    """Remove those of a finished run's shares that lie in its own folder; renamed first, so that a kill leaves none or all."""
    ours = [folder for folder in shares if folder.resolve().parent == place.resolve()]
    if not ours:
        return
    alone = {path.name for path in place.iterdir()} <= {folder.name for folder in ours}  # else shares of another run are there as well
    for folder in [place] if alone else ours:
        gone = folder.with_name(f".{folder.name}.done")
        with suppress(OSError):
            shutil.rmtree(gone, ignore_errors=True)
            folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)


def _part_of(parts: Parts, part: int, folder: Path, job: Job) -> Path:
    """Where a part lies in the share that has it."""
    path = folder / FOLDER / parts.path(part).name
    if not path.is_file():
        raise InputError(f"{folder}: share {job.shard} is not complete ({path.name} is missing): run it again, it goes on where it was.")
    return path


def _take(parts: Parts, part: int, path: Path, job: Job) -> None:
    """A part of a share, copied to its place in the whole."""
    with atomic_path(parts.path(part)) as temporary:
        shutil.copyfile(path, temporary)
    if parts.read(part) is None:
        parts.path(part).unlink()
        raise InputError(
            f"{path}: is damaged, or holds other faces than it should: run share {job.shard} again, what is sound in it is kept."
        )


def _shares(folders: Sequence[Path]) -> dict[int, tuple[Path, Job]]:
    """The shares in folders, by number."""
    found: dict[int, tuple[Path, Job]] = {}
    for given in folders:
        below = (*given.glob(f"[!.]*/{JOB}"), *given.glob(f"{SHARDS}/[!.]*/{JOB}"))
        places = [given] if (given / JOB).is_file() else sorted(path.parent for path in below)
        if not places:
            if (given / "predictions.h5").is_file():
                shutil.rmtree(given / f".{SHARDS}.done", ignore_errors=True)  # of a merge that was killed when it was done
            finished = f"the run is finished and its shares are gone: {given / 'predictions.h5'}"
            raise InputError(
                f"{given}: there is no share of a run in it (no {JOB}): "
                f"{finished if (given / 'predictions.h5').is_file() else 'hpbench run --shard I/N makes one'}."
            )
        for folder in places:
            path = folder / JOB
            try:
                if path.stat().st_size > _MAX_JOB_BYTES:
                    raise InputError(f"{path}: {path.stat().st_size} bytes are no {JOB}.")
                job = Job.read(path.read_text(encoding="utf-8"), str(path))
            except (OSError, UnicodeError) as error:
                raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', '') or 'not UTF-8'}).") from None
            shard = _share(job, str(path))
            other, known = found.get(shard.number, (folder, job))
            if other.resolve() != folder.resolve():
                if known.shard != job.shard:
                    raise InputError(f"{other} and {folder} are shares of two runs, {known.shard} and {job.shard}: name those of one.")
                raise InputError(f"share {job.shard} is there twice: {other} and {folder}.")
            found[shard.number] = (folder, job)
    return dict(sorted(found.items()))


def _share(job: Job, where: str) -> Shard:
    try:
        return parse_shard(job.shard)
    except InputError:
        raise InputError(f"{where}: is damaged: its shard is {job.shard!r:.60}.") from None


def _comparable(job: Job) -> str:
    """What shares of one run have in common, as JSON: not their places, nor when their copies of data and weights were written."""
    table = asdict(replace(job, model="", data=(), device="", ids_sha256="", shard=f"of {_share(job, JOB).count}"))
    facts, options, settings = (table.pop(key) for key in ("facts", "options", "settings"))
    for key in ("out", "weights", "setup"):
        options.pop(key, None)
    settings.pop("data", None)
    if settings.get("weights_sha256"):
        settings.pop("weights", None)
    return json.dumps({**options, **facts, **settings, **table}, sort_keys=True)


def _from_anywhere(model: str) -> str:
    """A model's name that another process understands, whatever its working folder: files by their whole paths."""
    if model.endswith(".toml"):
        return os.path.abspath(model)
    file, colon, attribute = model.rpartition(":")
    return f"{os.path.abspath(file)}:{attribute}" if colon and file.endswith(".py") else model


def _texts(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown}, ..." if len(names) > 5 else shown
