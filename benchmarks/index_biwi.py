"""Indexing all 15,678 frames of BIWI ÷ reading the bytes of their pose files; then a start from the cache.  Prints the ratios.

The poses are those of the lists in circulation where HPBENCH_REALDATA has them, else drawn: no label is needed for the time.
Images and depth are empty files: a folder is walked whole.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import hpbench
from hpbench.catalog import dataset_card, split_ids
from hpbench.geometry.rotations import rotation_from_euler

REPEATS = 5
CAMERA = "{f} 0 320 \n0 {f} 240 \n0 0 1 \n\n0 0 0 0 \n\n1 0 0 \n0 1 0 \n0 0 1 \n\n{t} 0 0 \n\n640 480\n"


def write_frames(folder: Path, whole: bool) -> None:
    """The pose and calibration files of the whole database; with `whole`, stubs of images and depth too."""
    ids = split_ids(dataset_card("biwi"), "all") or []
    euler_deg = np.random.default_rng(0).uniform(-60, 60, (len(ids), 3))
    lists = Path(os.environ.get("HPBENCH_REALDATA", "")) / "biwi" / "lists" / "Biwi_plus_non_cal.npz"
    if lists.is_file():
        euler_deg = np.load(lists, allow_pickle=False)["ypr"]
    for sample_id, rotation in zip(ids, rotation_from_euler(euler_deg, "300w-lp"), strict=True):
        stem = folder / "hpdb" / sample_id
        if not stem.parent.exists():
            stem.parent.mkdir(parents=True)
            (stem.parent / "depth.cal").write_text(CAMERA.format(f=575.816, t=0))
            (stem.parent / "rgb.cal").write_text(CAMERA.format(f=517.679, t=-24.0198))
        rows = "".join(f"{a:.6g} {b:.6g} {c:.6g} \n" for a, b, c in rotation)
        Path(f"{stem}_pose.txt").write_text(f"{rows}\n51.9358 38.2631 881.756 \n\n")
        if whole:
            Path(f"{stem}_rgb.png").touch()
            Path(f"{stem}_depth.bin").touch()


def read_bytes(folder: Path) -> None:
    """What indexing cannot do without: find the pose files and read them."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith("_pose.txt"):
                with open(os.path.join(parent, name), "rb") as file:
                    file.read()


def seconds(work: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """Median over `REPEATS` runs."""
    taken = []
    for _ in range(REPEATS):
        before()
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main() -> None:
    """Poses only, then the whole tree."""
    for whole in (False, True):
        with tempfile.TemporaryDirectory() as temporary:
            data, cache = Path(temporary) / "data", Path(temporary) / "cache"
            write_frames(data, whole)
            os.environ["HPBENCH_CACHE"] = str(cache)

            def forget(cache: Path = cache) -> None:
                for path in cache.rglob("*.npz"):
                    path.unlink()

            def index(data: Path = data) -> None:
                assert len(hpbench.load("biwi", data).truth()) == 15678

            index()  # modules are imported, files are in the system's cache
            bare = seconds(lambda data=data: read_bytes(data))  # type: ignore[misc]
            first, again = seconds(index, forget), seconds(index)
        files = "47,082 files" if whole else "15,678 pose files"
        print(f"{files}: index {first:.2f} s, reading the bytes {bare:.2f} s: ratio {first / bare:.2f}; from the cache {again:.2f} s")


if __name__ == "__main__":
    main()
