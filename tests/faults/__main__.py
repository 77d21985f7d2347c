"""``python -m faults`` in ``tests``: see `faults`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from .campaign import KINDS, Result, Scene, by_kind, kill_at_random, kill_at_steps, write_results
from .zygote import Zygote

_RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "faults.csv"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="faults",
        description="Kill runs at random and before every change of a file; exit 1 if one does not end as an undisturbed one.",
    )
    parser.add_argument("--rounds", type=int, default=50, help="runs that are killed at random (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=_RESULTS, help=f"table (default: {_RESULTS.name} of benchmarks/results)")
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    results: list[Result] = []
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as name, Zygote(Path(name)) as zygote:
        scene = Scene(Path(name), zygote)
        steps = by_kind(scene.steps(scene.whole))
        merging = by_kind(scene.steps(scene.merging))
        rounds = [
            *((f"before: {kind}", steps[kind], scene.whole, None) for kind in KINDS if kind in steps),
            ("before any of these, twice", list(rng.integers(sum(map(len, steps.values())), size=given.rounds)), scene.whole, rng),
            *((f"merge, before: {kind}", merging[kind], scene.merging, None) for kind in KINDS if kind in merging),
        ]
        for kind, numbers, prepared, again in rounds:
            result, wrong = kill_at_steps(scene, kind, numbers, prepared, again=again)
            results.append(result)
            faults += wrong
            print(f"{kind}: {result.identical} of {result.rounds} identical", flush=True)
        result, wrong = kill_at_random(scene, given.rounds, given.seed)
        results.append(result)
        faults += wrong
        print(f"at random: {result.identical} of {result.rounds} identical", flush=True)
    write_results(given.results, results)
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
