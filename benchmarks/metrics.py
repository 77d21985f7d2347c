"""Scoring a million faces beside a plain loop, scikit-learn, torchmetrics and the time it takes to read the arrays.

    python benchmarks/metrics.py [FACES]

Prints a Markdown table.  The floor is ``sum()`` over both arrays: what memory alone costs.  Loops run on a part of the faces and
are scaled up.  A peer does one part of the work of its row, the part that it has.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence

import numpy as np
import tabulate
import torch
from sklearn.metrics import average_precision_score
from torchmetrics.classification import BinaryAveragePrecision

from hpbench.faces import Faces
from hpbench.metrics import parse_metric
from hpbench.metrics.curves import cumulative_error_curve
from hpbench.metrics.estimators import mean_of_means
from hpbench.metrics.matched import Matched
from hpbench.metrics.statistics import intervals
from hpbench.metrics.visibility import decisions_of

POINTS, LOOP = 68, 20_000
HEADINGS = ("what", "s", "÷ reading the arrays", "times faster than", "peak MiB")
Work = Callable[[], object]


def main(n: int) -> None:
    """All rows."""
    rng = np.random.default_rng(0)
    rows = [landmarks(rng, n), poses(rng, n), visibility(rng, 3865), *resamples(rng)]
    print(tabulate.tabulate(rows, HEADINGS, tablefmt="github", disable_numparse=True))


def landmarks(rng: np.random.Generator, n: int) -> list[str]:
    """Everything that a protocol of landmarks asks for."""
    points = 200.0 * rng.random((n, POINTS, 2))
    ids = [str(i) for i in range(n)]
    truth, prediction = (Faces(ids, landmarks=p, scheme="ibug68-fixed") for p in (points, points + 1.5))
    del points
    a, b = truth.landmarks, prediction.landmarks
    assert a is not None and b is not None
    texts = ("nme(norm=corners)", "nme(norm=pupils)", "auc(below=8,norm=corners)", "fr(above=8,norm=corners)")
    even = np.arange(n) % 2 == 0

    def ours() -> None:
        pair = Matched(truth, prediction)
        values = [parse_metric(text).values(pair) for text in texts]
        cumulative_error_curve(values[0], np.linspace(0, 10, 200))
        for part in (even, ~even):
            [v[part].mean() for v in values]

    def loop() -> None:
        for label, point in zip(a[:LOOP], b[:LOOP], strict=True):
            np.linalg.norm(point - label, axis=1).mean() / np.linalg.norm(label[36] - label[45])

    peers = [("a loop, one NME", seconds(loop, 1) * n / LOOP)]
    return row(f"two NMEs, AUC, FR, CED, two subsets: {n:,} x {POINTS} points", ours, lambda: (a.sum(), b.sum()), peers)


def poses(rng: np.random.Generator, n: int) -> list[str]:
    """MAE in two conventions and the angle between rotations."""
    ids = [str(i) for i in range(n)]
    euler = rng.uniform(-80, 80, (n, 3))
    truth = Faces(ids, euler_deg=euler, convention="300w-lp")
    prediction = Faces(ids, rotation=Faces(ids, euler_deg=euler + 2.0, convention="300w-lp").rotation)
    r, s = truth.rotation, prediction.rotation
    assert r is not None and s is not None

    def ours() -> None:
        pair = Matched(truth, prediction)
        for text in ("mae(convention=300w-lp)", "mae(convention=yxz)", "geodesic"):
            parse_metric(text).values(pair)

    def loop() -> None:
        for one, other in zip(r[:LOOP], s[:LOOP], strict=True):
            np.degrees(np.arccos(np.clip((np.trace(one @ other.T) - 1) / 2, -1, 1)))

    peers = [("a loop, geodesic", seconds(loop, 1) * n / LOOP)]
    return row(f"MAE in two conventions, geodesic: {n:,} rotations", ours, lambda: (r.sum(), s.sum()), peers)


def visibility(rng: np.random.Generator, faces: int) -> list[str]:
    """Average precision over the decisions of MERL-RAV's test set."""
    seen = (rng.random((faces, POINTS)) > 0.23).astype(float)
    ids = [str(i) for i in range(faces)]
    truth = Faces(ids, visibility=seen)
    guess = Faces(ids, visibility=np.clip(0.5 * seen + 0.5 * rng.random(seen.shape), 0, 1))
    assert guess.visibility is not None
    occluded, score = seen.ravel() < 0.5, 1.0 - guess.visibility.ravel()
    tensors = torch.from_numpy(score), torch.from_numpy(occluded)
    peers = [
        ("scikit-learn", seconds(lambda: average_precision_score(occluded, score))),
        ("torchmetrics", seconds(lambda: BinaryAveragePrecision()(*tensors))),
    ]
    values = score, occluded
    return row(
        f"average precision: {seen.size:,} decisions",
        lambda: parse_metric("ap").of_decisions(decisions_of(truth, guess)[0]).point(),
        lambda: [v.sum() for v in values],
        peers,
    )


def resamples(rng: np.random.Generator) -> list[list[str]]:
    """Intervals of the 50 scores of a large record."""
    errors = rng.gamma(2.0, 2.0, (15_678, 50))
    people = np.sort(rng.integers(0, 20, len(errors)))
    few, many = ([mean_of_means([(column, np.ones(len(column)))]) for column in part.T] for part in (errors[:2000], errors))
    return [
        row("50 intervals: 10,000 resamples of 2,000 faces", lambda: intervals(few), None, []),
        row("50 intervals: 10,000 resamples of 20 people, 15,678 frames", lambda: intervals(many, people), None, []),
    ]


def row(what: str, ours: Work, reading: Work | None, peers: Sequence[tuple[str, float]]) -> list[str]:
    """One line of the table."""
    took = seconds(ours)
    floor = "" if reading is None else f"{took / seconds(reading):.1f}"
    return [what, f"{took:.3f}", floor, ", ".join(f"{theirs / took:.1f} ({name})" for name, theirs in peers), f"{peak_mib(ours):.0f}"]


def seconds(work: Work, repeats: int = 3) -> float:
    """The best of some runs."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def peak_mib(work: Work) -> float:
    """Memory beyond what was there."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
