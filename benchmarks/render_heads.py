"""Rendering heads: images a second and core, the share of each stage, peak memory.

    python benchmarks/render_heads.py [HEADS]

Everything on: people, hair, things, lights, photograph.  Bare: bald heads before grey, nothing worn, nothing spoilt.  One process,
processor time; linear algebra on one thread.  Needs the extra ``heads``; the first start reads anny's model (15 s).
"""

from __future__ import annotations

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")  # before NumPy is loaded

import dataclasses
import resource
import sys
import time
from unittest import mock

import numpy as np
import tabulate

from hpbench.heads import Studio, studio, wardrobe
from hpbench.heads.look import draw_look
from hpbench.heads.photograph import Damage


def main(n: int) -> None:
    """All rows."""
    started = time.process_time()
    one = Studio()
    print(f"start: {time.process_time() - started:.1f} s of processor time\n")
    rows = [row(one, n, "train, everything on", size, "train") for size in (64, 128, 256)]
    rows.append(row(one, n, "hard, everything on", 256, "hard"))
    bald = {"hair_kind": "bald", "beard": 0.0, "wrinkles": 0.0}
    with (
        mock.patch.object(wardrobe, "draw_accessories", lambda *_, **__: []),
        mock.patch.object(wardrobe, "_FLOATING", 0.0),
        mock.patch.object(studio, "draw_damage", lambda *_, **__: Damage()),
        mock.patch.object(studio, "draw_look", lambda *a: dataclasses.replace(draw_look(*a), **bald)),
        mock.patch.object(studio, "draw_background", lambda _, size: np.full((size, size, 3), 0.2, np.float32)),
    ):
        rows.append(row(one, n, "train, bare", 256, "train"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(tabulate.tabulate(rows, ["heads", "pixels", "ms", "images/s/core", "stages, % of the time"], tablefmt="github"))
    print(f"\npeak memory {peak:.0f} MiB")


def row(one: Studio, n: int, name: str, size: int, kind: str) -> list[str]:
    """One line: `n` heads after two to warm up."""
    for index in range(2):
        one.head(5, 10_000 + index, size_px=size, kind=kind)
    one.clock.seconds.clear()
    started = time.process_time()
    for index in range(n):
        one.head(5, index, size_px=size, kind=kind)
    took = (time.process_time() - started) / n
    stages = sorted(one.clock.seconds.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{stage} {100 * seconds / (took * n):.0f}" for stage, seconds in stages)
    return [name, str(size), f"{1000 * took:.0f}", f"{1 / took:.1f}", shares]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
