"""End to end ÷ bare model: what decoding, writing and scoring add to a model's own time.  Prints the ratio.

The model waits 10 ms a face, as a network on an accelerator would: the processor is free to decode.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import hpbench
from hpbench.catalog import dataset_card, split_ids

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from miniatures.aflw2000 import draw_aflw2000

FACES, SECONDS_A_FACE = 200, 0.01


class Waiting(hpbench.Model):
    """Takes its time and looks straight."""

    name = "waiting"

    def predict(self, images, boxes_xyxy_px):  # type: ignore[no-untyped-def]
        """See `hpbench.Model.predict`."""
        time.sleep(SECONDS_A_FACE * len(images))
        return hpbench.Faces(rotation=np.tile(np.eye(3), (len(images), 1, 1)))


def main() -> None:
    """One run over drawn 450-px JPEGs."""
    with tempfile.TemporaryDirectory() as folder:
        draw_aflw2000(Path(folder) / "faces", count=FACES, seed=1, ids=split_ids(dataset_card("aflw2000"), "all")[:FACES])
        dataset = hpbench.load("aflw2000", Path(folder) / "faces")
        dataset.truth()  # reading the labels is not part of the pipeline
        timing = hpbench.run(Waiting(), dataset, out=Path(folder) / "out")[0].timing
    assert timing is not None
    bare, speed = 1 / SECONDS_A_FACE, timing["images_per_s"]
    print(f"{FACES} JPEGs of 450 px: {speed:.1f} images/s end to end, {bare:.1f} bare model: ratio {speed / bare:.3f}")


if __name__ == "__main__":
    main()
