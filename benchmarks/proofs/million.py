"""A million faces: peak memory and time of `run` and `score` against the number of faces; writes benchmarks/results/million.csv.

The data set is a label file whose every row names the same small picture: what is measured is hpbench, not a decoder.
`python benchmarks/proofs/million.py [COUNT ...]`
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hpbench.report.engine import million_figure, read_million

RESULTS = Path(__file__).resolve().parent.parent / "results" / "million.csv"
COUNTS = (10_000, 100_000, 1_000_000)

CARD = """
id = "million"
title = "Labels without pixels"
reader = "table"
homepage = ""
licence = "None needed: random numbers."
redistribution = "None."
obtain = "Made by benchmarks/proofs/million.py."
layout = "labels.csv and face.png"
citation = ""
convention = "300w-lp"
default_boxes = "drawn"
open_splits = ["all"]

[splits]
all = {count}

[boxes.drawn]
source = "official:labels.csv"
description = "The whole picture"

[options]
labels = "labels.csv"
pixel_origin = 0
"""

PROTOCOL = """
id = "million/pose"
version = 1
title = "Pose"
dataset = "million"
split = "all"
labels = ""
boxes = "drawn"
main = "mae(convention=300w-lp)"
metrics = ["mae(convention=300w-lp)", "geodesic"]
differs = "is made up"
"""


def draw(folder: Path, count: int) -> None:
    """A catalog and a data folder with `count` faces."""
    import cv2

    home = folder / "catalog" / "datasets" / "million"
    (home / "protocols").mkdir(parents=True)
    (home / "card.toml").write_text(CARD.format(count=count), encoding="utf-8")
    (home / "protocols" / "pose.toml").write_text(PROTOCOL, encoding="utf-8")
    (folder / "data").mkdir()
    cv2.imwrite(str(folder / "data" / "face.png"), np.full((16, 16, 3), 127, np.uint8))
    angles = np.random.default_rng(0).uniform((-90, -40, -30), (90, 40, 30), (count, 3)).round(3)
    with (folder / "data" / "labels.csv").open("w", encoding="utf-8") as file:
        file.write("sample_id,image,yaw_deg,pitch_deg,roll_deg,box_x0,box_y0,box_x1,box_y1\n")
        for i, (yaw, pitch, roll) in enumerate(angles):
            file.write(f"f{i:07d},face.png,{yaw},{pitch},{roll},0,0,15,15\n")


def measured(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Seconds and peak MiB of a command of its own process."""
    environment = {**os.environ, "HPBENCH_CATALOG": str(folder / "catalog"), "HPBENCH_CACHE": str(folder / "cache")}
    program = (
        "import resource, sys; from hpbench.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stderr)
    peak = int(done.stderr.rpartition("PEAK ")[2].split()[0])
    return seconds, peak / (1024 if sys.platform != "darwin" else 1024**2)


def main() -> None:
    """Measure every count; the machine should have nothing else to do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", metavar="COUNT", type=int, nargs="*", help="faces; without any, those of the results, which are written")
    given = parser.parse_args().counts
    rows = []
    for count in given or COUNTS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            draw(folder, count)
            data = ["-d", "million", "--data", str(folder / "data")]
            for what, arguments in (
                ("run", ["run", "-m", "frontal", *data, "-o", str(folder / "out"), "--batch-size", "64"]),
                ("score", ["score", str(folder / "out" / "predictions.h5"), *data, "-o", str(folder / "scored")]),
            ):
                seconds, peak = measured(arguments, folder)
                rows.append({"command": what, "faces": count, "seconds": round(seconds, 1), "peak_mib": round(peak)})
                print(rows[-1], flush=True)
    if not given:
        RESULTS.parent.mkdir(exist_ok=True)
        with RESULTS.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        million_figure(read_million(RESULTS)).save(RESULTS.with_suffix(".svg"))


if __name__ == "__main__":
    main()
