"""Iterating a dataset's images ÷ decoding the same bytes already in memory: what finding and reading files adds."""

from __future__ import annotations

import sys
import tempfile
import time
import zipfile
from pathlib import Path

import hpbench
from hpbench.catalog import dataset_card, split_ids
from hpbench.images import decode_image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from miniatures.aflw2000 import draw_aflw2000

FACES = 300


def main() -> None:
    """From a folder and from a zip archive; best of three each."""
    with tempfile.TemporaryDirectory() as folder:
        faces = Path(folder) / "AFLW2000"
        draw_aflw2000(faces, count=FACES, seed=1, ids=(split_ids(dataset_card("aflw2000"), "all") or [])[:FACES])
        with zipfile.ZipFile(Path(folder) / "AFLW2000-3D.zip", "w") as archive:
            for file in sorted(faces.iterdir()):
                archive.write(file, f"AFLW2000/{file.name}")
        encoded = [file.read_bytes() for file in sorted(faces.glob("*.jpg"))]
        bare = min(_seconds(lambda: [decode_image(data, "") for data in encoded]) for _ in range(3))
        for source in (faces, Path(folder) / "AFLW2000-3D.zip"):
            samples = list(hpbench.load("aflw2000", source).samples())
            taken = min(_seconds(lambda samples=samples: [sample.image.read() for sample in samples]) for _ in range(3))
            print(f"{source.name}: {FACES / taken:.0f} images/s, decoding alone {FACES / bare:.0f}: ratio {taken / bare:.2f}")


def _seconds(work) -> float:  # type: ignore[no-untyped-def]
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
