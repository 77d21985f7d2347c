"""Scoring 2,000 faces with 10,000 resamples, beside scipy.stats.bootstrap for one of the scores.  Prints times and the ratio."""

from __future__ import annotations

import time

import numpy as np
from scipy.stats import bootstrap

from hpbench.catalog import protocol_named
from hpbench.evaluate import evaluate
from hpbench.faces import Faces


def main() -> None:
    """One record's scoring against scipy's bootstrap of a single mean."""
    rng = np.random.default_rng(0)
    ids = [f"f{i:04d}" for i in range(2000)]
    euler = rng.uniform(-80, 80, (2000, 3))
    truth = Faces(ids, euler_deg=euler, convention="300w-lp", attributes={"abs_yaw_deg": np.abs(euler[:, 0])})
    prediction = Faces(ids, euler_deg=euler + rng.normal(0, 4, euler.shape), convention="300w-lp")
    protocol = protocol_named("aflw2000/pose-2000")

    started = time.perf_counter()
    found = evaluate(protocol, truth, prediction)
    ours = time.perf_counter() - started
    scores = len(found.scores) + sum(map(len, found.subsets.values()))

    values = found.errors[found.scores[0].metric]
    started = time.perf_counter()
    theirs_interval = bootstrap((values,), np.mean, n_resamples=10_000, method="percentile", rng=rng).confidence_interval
    theirs = time.perf_counter() - started
    print(f"hpbench: {scores} scores of 2,000 faces with intervals in {ours:.2f} s, {1000 * ours / scores:.0f} ms a score")
    print(f"scipy.stats.bootstrap: 1 score in {theirs:.2f} s; ratio a score {theirs / (ours / scores):.1f}")
    print(f"intervals: {found.scores[0].ci95}, scipy {tuple(map(float, theirs_interval))}")


if __name__ == "__main__":
    main()
