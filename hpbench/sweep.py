"""Several models over several datasets, by a plan in TOML; what has a record is not run again.

Each run has a folder, in which ``sweep.json`` keeps what it was asked for: records of something else are neither taken for its
own nor overwritten.

.. code-block:: toml

    out = "results"

    [[model]]
    model = "mnn"

    [[model]]
    model = "fsanet"
    weights = "weights/fsanet"

    [[dataset]]
    dataset = "aflw2000"
    data = ["data/AFLW2000-3D.zip"]

    [[dataset]]
    dataset = "heads"
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from .atomic import write_atomic
from .catalog import dataset_card
from .checked import build, read_toml
from .errors import HpbenchError, InputError
from .jobs import run
from .models.code_hash import code_sha256
from .models.resolve import create_model
from .parts import FOLDER, difference
from .predict import Progress
from .ray_cluster import RayCluster
from .readers import load
from .records import ModelFacts, read_record
from .request import Options, request_of
from .scoring import Remark, silent

__all__ = ["Cell", "SweepPlan", "read_plan", "sweep"]

ASKED = "sweep.json"  # in the folder of a run
_MAX_ASKED_BYTES = 1 << 20
_AT_ONCE = 8  # runs that share a cluster; their parts queue there


@dataclass(frozen=True)
class SweepModel:
    """A ``[[model]]`` of a plan: as the options of ``hpbench run``; `name` names its folder."""

    model: str
    name: str = ""
    weights: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"
    batch_size: Literal["auto"] | int | None = None

    @property
    def folder(self) -> str:
        """Of its results, below the plan's."""
        text = self.name or ModelFacts(self.model, "", None, self.arguments).label
        return re.sub(r"[^\w.+-]+", "-", text).strip("-.") or "model"


@dataclass(frozen=True)
class SweepDataset:
    """A ``[[dataset]]`` of a plan: as the options of ``hpbench run``."""

    dataset: str
    data: tuple[str, ...] = ()
    protocol: tuple[str, ...] = ()
    boxes: str = ""
    limit: int | None = None


@dataclass(frozen=True)
class SweepPlan:
    """A plan; paths in it count from the working folder."""

    model: tuple[SweepModel, ...]
    dataset: tuple[SweepDataset, ...]
    out: str = "hpbench-out"


@dataclass(frozen=True)
class Cell:
    """One model on one dataset, and what became of it.

    Attributes
    ----------
    model, dataset : str
    folder : Path
    state : str
        ``done``, ``exists`` or ``failed``.
    detail : str
        The main score, or why it failed.
    """

    model: str
    dataset: str
    folder: Path
    state: str
    detail: str


def read_plan(path: Path) -> SweepPlan:
    """Read and check a plan; `InputError` naming the file and key."""
    plan = build(SweepPlan, read_toml(path), str(path))
    if not plan.model or not plan.dataset:
        raise InputError(f"{path}: a plan has at least one [[model]] and one [[dataset]].")
    folders = [model.folder.casefold() for model in plan.model]  # on some systems Frontal and frontal are one
    if len(set(folders)) < len(folders):
        twice = next(f for f in folders if folders.count(f) > 1)
        raise InputError(f"{path}: two models would write to {twice!r}: give them a name each.")
    names = [d.dataset for d in plan.dataset]
    if len(set(names)) < len(names):
        raise InputError(f"{path}: dataset {next(n for n in names if names.count(n) > 1)!r} stands there twice.")
    try:
        for name in names:
            dataset_card(name)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return plan


def sweep(plan: SweepPlan, *, cluster: RayCluster | None = None, progress: Progress | None = None, remark: Remark = silent) -> list[Cell]:
    """Run every model of a plan over every dataset; a run that fails does not end the others.

    What is missing for the runs to come (a model, its weights, data) is told before the first begins. On a cluster several runs are under
    way at once and their parts share it; otherwise one follows the other.
    """
    pairs = [(model, dataset) for model in plan.model for dataset in plan.dataset]
    for trouble in _foreseen(plan, [pair for pair in pairs if not _records(_folder(plan, *pair), pair[1].dataset)]):
        remark(f"will fail: {trouble}")

    def cell(pair: tuple[SweepModel, SweepDataset]) -> Cell:
        model, dataset = pair
        folder = _folder(plan, model, dataset)
        begin: Callable[[str], None] = lambda text: remark(f"{model.folder} on {dataset.dataset}: {text}")  # noqa: E731
        state, detail = _run(model, dataset, folder, cluster, progress, begin)
        begin(f"{state} {detail}".rstrip())
        return Cell(model.folder, dataset.dataset, folder, state, detail)

    if cluster is None:
        return [cell(pair) for pair in pairs]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="run") as pool:
        try:
            return list(pool.map(cell, pairs))
        except BaseException:  # Ctrl-C, which only this thread hears
            cluster.stopped.set()
            pool.shutdown(cancel_futures=True)
            raise


def _folder(plan: SweepPlan, model: SweepModel, dataset: SweepDataset) -> Path:
    return Path(plan.out) / model.folder / dataset.dataset


def _foreseen(plan: SweepPlan, pairs: Sequence[tuple[SweepModel, SweepDataset]]) -> Iterator[str]:
    """Why models cannot be made and datasets not be loaded that runs to come need; nobody wants to learn it in the morning."""
    for model in plan.model:
        if any(model is needed for needed, _ in pairs):
            try:
                create_model(model.model, weights=_path(model.weights), device=model.device, arguments=model.arguments)
            except HpbenchError as error:
                yield f"{model.folder}: {error}"
    for dataset in plan.dataset:
        if any(dataset is needed for _, needed in pairs):
            try:
                asked = Options(protocol=dataset.protocol, boxes=dataset.boxes, limit=dataset.limit)
                request_of(load(dataset.dataset, dataset.data or None), asked)
            except HpbenchError as error:
                yield f"{dataset.dataset}: {error}"


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _run(
    model: SweepModel, dataset: SweepDataset, folder: Path, cluster: RayCluster | None, progress: Progress | None, remark: Remark
) -> tuple[str, str]:
    try:
        if known := _records(folder, dataset.dataset):
            _refuse_others(folder, _asked(model, dataset))
            return "exists", known
        write_atomic(folder / ASKED, _asked(model, dataset))
        run(
            model.model, dataset.dataset, data=dataset.data or None, protocol=dataset.protocol, boxes=dataset.boxes,
            weights=model.weights or None, model_args=model.arguments, device=model.device, batch_size=model.batch_size,
            limit=dataset.limit, out=folder, cluster=cluster, progress=progress, remark=remark,
        )  # fmt: skip
    except (HpbenchError, OSError) as error:
        return "failed", str(error)
    return "done", _records(folder, dataset.dataset)


def _asked(model: SweepModel, dataset: SweepDataset) -> str:
    """What makes a run this run, as JSON: not its name, place and device."""
    table = {**asdict(model), **asdict(dataset)}
    for key in ("name", "device", "data"):
        del table[key]
    file = Path(model.model.rpartition(":")[0] or model.model)
    if file.suffix in (".py", ".toml") and file.is_file():
        table["code"] = code_sha256(file) if file.suffix == ".py" else hashlib.sha256(file.read_bytes()).hexdigest()
    return json.dumps(table, sort_keys=True, indent=1)


def _refuse_others(folder: Path, asked: str) -> None:
    """`InputError` where the records in a folder are those of other options; records made by `hpbench run` are taken as they are."""
    path = folder / ASKED
    if not path.exists():
        return
    try:
        present = path.read_text(encoding="utf-8") if path.stat().st_size <= _MAX_ASKED_BYTES else ""
    except (OSError, UnicodeError):
        present = ""
    if present != asked:
        raise InputError(
            f"{folder} holds records of another run, of which {difference(present, asked)}: "
            f"give the model another name or the plan another out, or delete the folder."
        )


def _records(folder: Path, dataset: str) -> str:
    """The main scores of a finished run's records; "" where there is none."""
    if (folder / FOLDER).exists():
        return ""  # killed while it was scored: some records may be missing
    paths: Sequence[Path] = sorted(folder.glob(f"{dataset}.*@*.json"))
    return ", ".join(
        f"{record.protocol.id.partition('/')[2]} {score.value:.4g} {score.unit}".rstrip()
        + f" (partial: {score.n_scored + score.n_failed} faces)" * record.partial
        for record in map(read_record, paths)
        if (score := record.scores[0]).value is not None
    )
