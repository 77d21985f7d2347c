"""A small run to be spread over processes: drawn heads, a model by the path of its file, and what must come out equal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from miniatures.aflw2000 import draw_aflw2000

from hpbench.catalog import dataset_card, split_ids
from hpbench.records import read_record

COUNT = 26  # seven parts of four faces, the last of two
RECORDS = [f"aflw2000.{name}@1" for name in ("pose-1969", "pose-1969-aligned", "pose-2000")]

# Angles from the mean colour: any mix-up of faces shows. Parts are made small in whichever process the model is made.
MODEL = """
import os, pathlib, time
import numpy as np
import hpbench, hpbench.parts

hpbench.parts._FACES_PER_PART = 4
HERE = pathlib.Path(__file__).parent

class Colour(hpbench.Model):
    batch_size = 4

    def predict(self, images, boxes_xyxy_px):
        if (HERE / "delay").exists():  # beside the model, so that a slow run is no other run
            time.sleep(float((HERE / "delay").read_text()))
        with (HERE / "calls").open("a") as calls:
            print(os.getpid(), len(images), file=calls)
        if (HERE / "die").exists():
            raise ZeroDivisionError("a broken model")
        euler = [[i.mean() / 3, b[0] / 10, i[..., 0].mean() / 5] for i, b in zip(images, boxes_xyxy_px)]
        return hpbench.Faces(euler_deg=np.array(euler), convention="300w-lp")
"""


def make_run(folder: Path) -> list[str]:
    """``folder/faces`` and ``folder/model.py``; returns the options of the run."""
    draw_aflw2000(folder / "faces", COUNT, seed=5, ids=split_ids(dataset_card("aflw2000"), "all")[:COUNT])
    (folder / "model.py").write_text(MODEL)
    return ["-m", f"{folder / 'model.py'}:Colour", "-d", "aflw2000", "--data", str(folder / "faces")]


def hpbench(*arguments: object, launcher: tuple[str, ...] = (), **options: object) -> subprocess.CompletedProcess[str]:
    """``hpbench ...`` in a process of its own, or below a launcher."""
    command = [sys.executable, *(launcher or ("-m", "hpbench")), *map(str, arguments)]
    environment = {**os.environ, **options.pop("environment", {})}  # type: ignore[dict-item]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, env=environment, **options)  # type: ignore[call-overload]


def assert_same_run(one: Path, other: Path) -> None:
    """Predictions and per-face errors byte for byte, and equal records; nothing left over of the way there."""
    for name in ("predictions.h5", *(f"{record}.errors.npz" for record in RECORDS)):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    for record in RECORDS:
        assert read_record(one / f"{record}.json").same_as(read_record(other / f"{record}.json")), record
    assert {p.name for p in one.iterdir()} - {"sweep.json"} == {p.name for p in other.iterdir()} - {"sweep.json"}
