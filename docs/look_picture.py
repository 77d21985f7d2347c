"""Draws docs/look.jpg: what `hpbench look -m mnn` makes of heads of the embedded test set, side by side.

python docs/look_picture.py [OUT]
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

import hpbench
from hpbench.look import Looker, drawn
from hpbench.models.resolve import create_model

HEADS = ("test-1-0000000", "test-1-0000025", "test-1-0000020")
SCALE = 2  # lines and letters are for pictures larger than 256 pixels


def main(out: Path) -> None:
    """The picture."""
    model, pictures = create_model("mnn"), []
    for sample in hpbench.load("heads").samples_of(list(HEADS), "landmarks"):
        image = cv2.resize(sample.image.read(), None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
        looker = Looker(model, None, [(sample.box_xyxy_px + 0.5) * SCALE - 0.5])
        pictures.append(drawn(image, looker.faces_of(image, sample.sample_id)))
    cv2.imwrite(str(out), np.concatenate(pictures, axis=1)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "look.jpg")
