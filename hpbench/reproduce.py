"""The MNN paper again, by somebody who owns its datasets: train its models, test them, and set the paper's numbers beside ours.

A recipe (`hpbench.mnn.recipes`) says what a model is trained on and by which protocols the paper tests it; the paper's numbers are
lines of ``baselines/published.csv``.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from .catalog import protocol_named
from .catalog.published import PublishedRow, published_rows
from .errors import MissingDataError
from .jobs import run
from .mnn.recipes import Recipe, recipe_named, recipe_names
from .mnn.sources import FoundFaces, find_faces, open_source, settled
from .models.interface import Model
from .models.resolve import create_model
from .readers import Dataset, load
from .records import Record

__all__ = ["Comparison", "comparison_text", "paper_numbers", "reproduce_mnn"]

Say = Callable[[str], None]

_PAPER, _VARIANTS = "mnn2020", ("MNN", "MNN+OR")  # as published.csv calls them; its other variants are ablations


@dataclass(frozen=True)
class Comparison:
    """A number of the paper and ours.

    Attributes
    ----------
    recipe : str
    paper : PublishedRow
        By the network alone (variant ``MNN``), as ours is, or with regression trees (``MNN+OR``).
    ours : float or None
        None where the labels do not have the subset, or no prediction counts.
    faces, expected : int
        Scored, and of the protocol when complete.
    """

    recipe: str
    paper: PublishedRow
    ours: float | None
    faces: int
    expected: int


def reproduce_mnn(
    data: Sequence[Path],
    out: Path,
    *,
    recipes: Sequence[str] = (),
    settings: Sequence[Mapping[str, Any]] = (),
    time_limit_min: float | None = None,
    device: str = "auto",
    say: Say = lambda line: None,
) -> list[Comparison]:
    """Train the paper's models, or go on with them, and test those that are finished.

    Parameters
    ----------
    data : sequence of Path
        As `hpbench.mnn.sources.find_faces` takes them.
    out : Path
        A folder a recipe: its training, and a folder a dataset with predictions and records.
    recipes : sequence of str, optional
        All whose data is there unless given; those named must be there.
    settings : sequence of tables
        Over the recipes' own.
    time_limit_min : float, optional
        Minutes for all training together.
    device : str
    say : callable
        Takes what is skipped and how it goes.

    Returns
    -------
    list of Comparison
        Of what could be tested.

    Raises
    ------
    MissingDataError
        No recipe's data is there.
    """
    from .mnn.checkpoint import BEST
    from .mnn.train import train

    started = time.monotonic()
    rows: list[Comparison] = []
    begun = False
    for recipe in map(recipe_named, recipes or recipe_names()):
        try:
            found = [find_faces(wanted, data, allow_test_data=recipe.allow_test_data) for wanted in recipe.data]
            if absent := [f.wanted.name for f in found if not f.count]:
                raise MissingDataError(f"no face of {', '.join(absent)} with labels and picture is here")
        except MissingDataError as error:
            if recipes:
                raise
            say(f"{recipe.name}: skipped: {str(error).splitlines()[0]}")
            continue
        begun = True
        left = None if time_limit_min is None else time_limit_min - (time.monotonic() - started) / 60.0
        if left is not None and left <= 0:
            say(f"{recipe.name}: time is up; the same command goes on")
            continue
        config = settled([recipe.training, *settings], [f.scheme for f in found], f"recipe {recipe.name} and what is set over it")
        say(f"{recipe.name}: {recipe.title}; " + "; ".join(f.line for f in found))
        folder = out / recipe.name
        progress = train(
            config, [open_source(f, config.network.scheme) for f in found], folder, device=device, time_limit_min=left, say=say,
            trained_on=[t for f in found for t in f.trained_on],
        )  # fmt: skip
        if progress["finished"]:
            # landmarks by the highest pixel of each heat map, as the paper reads them
            model = create_model("mnn", weights=folder / BEST, device=device, arguments={"radius_px": 0})
            model.name = f"mnn-{recipe.name}"
            rows += _tested(recipe, found, model, data, folder, say)
        else:
            say(f"{recipe.name}: not tested yet: its training is not finished")
    if not begun:
        raise MissingDataError("nothing to reproduce: no recipe's training data is in the data given (hpbench datasets show DATASET).")
    return rows


def paper_numbers(protocol: str) -> list[PublishedRow]:
    """What the paper says of its network, and of the network with regression trees, on a protocol."""
    return [
        row for row in published_rows()
        if (row.protocol_id, row.paper) == (protocol, _PAPER) and row.variant in _VARIANTS and row.metric and row.canonical
    ]  # fmt: skip


def comparison_text(rows: Sequence[Comparison]) -> str:
    """A table a recipe, and why numbers are not comparable."""
    import tabulate

    heads = ["protocol", "faces of", "metric", "the paper's", "paper", "ours", "difference", "unit", "faces", "comparable"]
    places = ("left",) * 4 + ("right",) * 3 + ("left", "right", "left")
    texts = []
    reasons: dict[str, int] = {}
    for recipe, group in groupby(rows, key=lambda row: row.recipe):
        table = []
        for row in group:
            said = row.paper
            ours, difference = ("", "") if row.ours is None else (f"{row.ours:.2f}", f"{row.ours - said.value:+.2f}")
            mark = f" [{reasons.setdefault(said.reason, len(reasons) + 1)}]" if said.reason else ""
            faces = f"{row.faces}/{row.expected}" if said.subset == "all" else str(row.faces)
            line = [said.protocol_id, said.subset, said.metric, said.variant, f"{said.value:.2f}", ours, difference, said.unit]
            table.append([*line, faces, said.comparable + mark])
        texts.append(f"{recipe}\n{tabulate.tabulate(table, heads, tablefmt='simple', disable_numparse=True, colalign=places)}")
    if any(row.paper.variant == "MNN+OR" for row in rows):
        texts.append("MNN+OR is the network with regression trees on its heat maps; ours is the network alone.")
    return "\n\n".join([*texts, *(f"[{number}] {reason}" for reason, number in reasons.items())])


def _tested(recipe: Recipe, found: Sequence[FoundFaces], model: Model, data: Sequence[Path], folder: Path, say: Say) -> list[Comparison]:
    """Predict the test sets of a recipe that are there and compare; one run a dataset."""
    rows: list[Comparison] = []
    for name, group in groupby(map(protocol_named, recipe.tests), key=lambda protocol: protocol.dataset):
        protocols = list(group)
        try:
            dataset = load(name, [path / name if (path / name).is_dir() else path for path in data])
        except MissingDataError as error:
            say(f"{recipe.name}: {name} skipped: {str(error).splitlines()[0]}")
            continue
        for own in found:
            if own.left_out and own.wanted.dataset == name:
                dataset = _only(dataset, own.left_out)
        here = [p for p in protocols if dataset.found_ids(p.split, p.labels) and dataset.image_ids(p.split)]
        for p in protocols:
            if p not in here:
                say(f"{recipe.name}: {p.id} skipped: no faces of its split {p.split} with its labels and pictures in the data given")
        if not here:
            continue
        numbers = {p.id: paper_numbers(p.id) for p in here}
        extra = dict.fromkeys(n.metric for p in here for n in numbers[p.id] if n.metric not in p.metrics)
        names = [p.id for p in here]
        for record in run(model, dataset, protocol=names, boxes=here[0].boxes, out=folder / name, metrics=list(extra), remark=say):
            rows += [_compared(recipe.name, number, record) for number in numbers[record.protocol.id]]
    return rows


def _compared(recipe: str, number: PublishedRow, record: Record) -> Comparison:
    scores = record.scores if number.subset == "all" else record.subsets.get(number.subset, ())
    score = next((s for s in scores if s.metric == number.metric), None)
    if score is None:
        return Comparison(recipe, number, None, 0, record.dataset.n_expected)
    return Comparison(recipe, number, score.value, score.n_scored, record.dataset.n_expected)


def _only(dataset: Dataset, ids: Collection[str]) -> Dataset:
    """The dataset, of which only these faces are here."""
    part, found_ids, image_ids = copy.copy(dataset), dataset.found_ids, dataset.image_ids
    vars(part)["found_ids"] = lambda split="", labels="": [i for i in found_ids(split, labels) if i in ids]
    vars(part)["image_ids"] = lambda split="": [i for i in image_ids(split) if i in ids]
    return part
