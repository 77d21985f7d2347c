"""Bare model ÷ end to end: what reading, decoding and writing add to a model's own time.  Prints the ratios.

Bare is `Model.predict` on decoded images in memory, cutting out included; end to end is a run up to its last part on the
disk.  The waiting model takes its time without the processor, as a network on an accelerator does; the others share the
cores with those who decode: then the whole cannot take less than all the work over all the cores.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import hpbench
from hpbench.catalog import dataset_card, split_ids
from hpbench.errors import MissingDataError
from hpbench.models.resolve import create_model
from hpbench.parts import Parts
from hpbench.pipeline import default_workers, usable_cores
from hpbench.predict import Setup, predict_parts

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from miniatures.aflw2000 import draw_aflw2000

RESULTS = Path(__file__).resolve().parent / "results" / "pipeline.csv"
FACES, BARE_FACES, SECONDS_A_FACE, BOXES = 240, 96, 0.01, "landmarks"


class Waiting(hpbench.Model):
    """Takes its time and looks straight."""

    name = "waiting"
    input_px = 64

    def prepare(self, image, box_xyxy_px):  # type: ignore[no-untyped-def]
        """See `hpbench.Model.prepare`."""
        return None

    def predict_prepared(self, prepared, boxes_xyxy_px):  # type: ignore[no-untyped-def]
        """See `hpbench.Model.predict_prepared`."""
        time.sleep(SECONDS_A_FACE * len(prepared))
        return hpbench.Faces(rotation=np.tile(np.eye(3), (len(prepared), 1, 1)))

    def predict(self, images, boxes_xyxy_px):  # type: ignore[no-untyped-def]
        """See `hpbench.Model.predict`."""
        return self.predict_prepared(images, boxes_xyxy_px)


class Cost(NamedTuple):
    """Of a face, in milliseconds: on the clock, and of all cores together."""

    wall_ms: float
    processor_ms: float


def main() -> None:
    """The waiting model, MNN, and FSA-Net where its weights are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder of AFLW2000-3D (default: faces are drawn, JPEGs of 450 px)")
    parser.add_argument("--weights", type=Path, help="folder with FSA-Net's weights")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts (default: %(default)s)")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        faces = given.data or Path(name) / "faces"
        if given.data is None:
            draw_aflw2000(faces, count=FACES, seed=1, ids=(split_ids(dataset_card("aflw2000"), "all") or [])[:FACES])
        dataset = hpbench.load("aflw2000", faces)
        for model in (Waiting(), *_models(given.weights)):
            rows += _measured(model, dataset, Path(name) / "out", given.rounds)
    with RESULTS.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["model", "images", "workers", "decoding", "bare_ms", "end_to_end_ms", "ratio"])
        table.writerows(rows)


def _models(weights: Path | None) -> list[hpbench.Model]:
    models = [create_model("mnn")]
    try:
        return [*models, create_model("fsanet", weights=weights)]
    except MissingDataError as error:
        print(f"no fsanet: {error}")
        return models


def _measured(model: hpbench.Model, dataset: hpbench.Dataset, out: Path, rounds: int) -> list[list[object]]:
    """Rows of the table of one model; the ways take turns, so that a busy minute is no one's alone."""
    ids = dataset.found_ids("all")
    samples = list(dataset.samples_of(ids[:BARE_FACES], BOXES))
    images, boxes = [s.image.read() for s in samples], np.stack([s.box_xyxy_px for s in samples])
    dataset.boxes_of(BOXES, ids)  # reading the labels is not part of the pipeline
    ways = [(workers, reduced) for workers in sorted({1, default_workers(usable_cores())}) for reduced in (False, True)]

    def bare() -> None:
        for start in range(0, len(images), model.batch_size):
            model.predict(images[start : start + model.batch_size], boxes[start : start + model.batch_size])

    def end_to_end(workers: int, reduced: bool) -> None:
        with tempfile.TemporaryDirectory(dir=out.parent) as folder:
            parts = Parts(Path(folder) / "predictions.h5", ids, model.batch_size)
            parts.claim({})
            predict_parts(model, parts, lambda wanted: dataset.samples_of(list(wanted), BOXES), boxes=BOXES, setup=Setup(workers, reduced))

    bare()
    alone: list[Cost] = []
    whole: dict[tuple[int, bool], list[Cost]] = {way: [] for way in ways}
    for _ in range(rounds):
        alone.append(_cost(bare, len(images)))
        for way in ways:
            whole[way].append(_cost(lambda way=way: end_to_end(*way), len(ids)))  # type: ignore[misc]
    rows: list[list[object]] = []
    for workers, reduced in ways:
        ours, mine = _best(whole[workers, reduced]), _best(alone)
        decoding = "reduced" if reduced else "full"
        ratio = mine.wall_ms / ours.wall_ms
        rows.append([model.name, len(ids), workers, decoding, f"{mine.wall_ms:.2f}", f"{ours.wall_ms:.2f}", f"{ratio:.3f}"])
        print(
            f"{model.name}, {workers} workers, decoding {decoding}: {mine.wall_ms:.2f} ms a face bare, {ours.wall_ms:.2f} end to end: "
            f"ratio {ratio:.3f}; of the processor {mine.processor_ms:.2f} and {ours.processor_ms:.2f} ms"
        )
    return rows


def _cost(work: Callable[[], None], faces: int) -> Cost:
    started, busy = time.perf_counter(), time.process_time()
    work()
    return Cost(1000 * (time.perf_counter() - started) / faces, 1000 * (time.process_time() - busy) / faces)


def _best(costs: list[Cost]) -> Cost:
    return Cost(min(c.wall_ms for c in costs), min(c.processor_ms for c in costs))


if __name__ == "__main__":
    print(f"{usable_cores()} cores, load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else f"{usable_cores()} cores")
    main()
