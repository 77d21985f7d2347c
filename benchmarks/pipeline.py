"""Bare model ÷ end to end: what reading, decoding and writing add to a model's own time.  Prints the ratios.

As `hpbench bench MODEL --pipeline`, over drawn faces and with a model that only waits: it takes its time without the processor, as a
network on an accelerator does.  The others share the cores with those who decode: then the whole cannot take less than all the work
over all the cores.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import hpbench
from hpbench.catalog import dataset_card, split_ids
from hpbench.errors import MissingDataError
from hpbench.models.resolve import create_model
from hpbench.pipeline import usable_cores
from hpbench.speed.through import end_to_end_against_bare, ways_of

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from miniatures.aflw2000 import draw_aflw2000

RESULTS = Path(__file__).resolve().parent / "results" / "pipeline.csv"
FACES, SECONDS_A_FACE, BOXES = 240, 0.01, "landmarks"
SECONDS = 6.0  # of each way and the bare model, several rounds in turns


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


def main() -> None:
    """The waiting model, MNN, and FSA-Net where its weights are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder of AFLW2000-3D (default: faces are drawn, JPEGs of 450 px)")
    parser.add_argument("--weights", type=Path, help="folder with FSA-Net's weights")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        faces = given.data or Path(name) / "faces"
        if given.data is None:
            draw_aflw2000(faces, count=FACES, seed=1, ids=(split_ids(dataset_card("aflw2000"), "all") or [])[:FACES])
        dataset = hpbench.load("aflw2000", faces)
        for model in (Waiting(), *_models(given.weights)):
            rows += _measured(model, dataset)
    with RESULTS.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["model", "images", "workers", "decoding", "bare_ms", "end_to_end_ms", "ratio", "bare_busy", "busy"])
        table.writerows(rows)


def _models(weights: Path | None) -> list[hpbench.Model]:
    models = [create_model("mnn")]
    try:
        return [*models, create_model("fsanet", weights=weights)]
    except MissingDataError as error:
        print(f"no fsanet: {error}")
        return models


def _measured(model: hpbench.Model, dataset: hpbench.Dataset) -> list[list[object]]:
    """Rows of the table of one model."""
    samples = list(dataset.samples_of(dataset.found_ids("all"), BOXES))
    rows: list[list[object]] = []
    for found in end_to_end_against_bare(model, samples, ways_of(model), boxes=BOXES, seconds=SECONDS):
        decoding, cores = "reduced" if found.reduced else "full", usable_cores()
        times = [f"{found.bare_ms:.2f}", f"{found.whole_ms:.2f}", f"{found.ratio:.3f}", *(f"{share:.2f}" for share in found.busy(cores))]
        rows.append([model.name, found.faces, found.workers, decoding, *times])
        shares = ", ".join(f"{name} {ms / found.whole_ms:.0%}" for name, ms in found.stages_ms.items())
        print(
            f"{model.name}, {found.workers} workers, decoding {decoding}: {times[0]} ms a face bare, {times[1]} end to end: "
            f"ratio {times[2]}; of {cores} cores {times[3]} busy bare, {times[4]} end to end; {shares}"
        )
    return rows


if __name__ == "__main__":
    print(f"{usable_cores()} cores, load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else f"{usable_cores()} cores")
    main()
