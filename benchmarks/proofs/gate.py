"""How often a gate errs and how small a loss it finds, by simulation: benchmarks/results/gate_power.csv.

    python benchmarks/proofs/gate.py [SETS]

In each situation SETS (2,000) pairs of models are drawn and decided as `hpbench gate` does.  A rate of 2.5 % from 2,000 sets has a
standard error of 0.35 %.  Situations:

faces
    500 independent faces; the reference's errors are lognormal, the new model's differ by 0.4 of that times a normal number.
failures
    The same, and 1 % of the faces fail in either model, each for itself, and are charged 180 degrees.
people
    BIWI's 15,678 frames of 20 people in their real numbers; frames of one person share 30 % of the variance of the difference.
people, drawn as faces
    The same decided as if the frames were independent: what clustering is for.

``rules`` is 1, or 5 as on heads/pose: three angles, their mean and another weighting of them; the gate fails if one of them
fails (regression) and passes if all pass.  Of 5 rules the true loss is the same in each.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from hpbench.catalog import dataset_card, split_ids
from hpbench.comparison.gate import bounds, decide
from hpbench.metrics.estimators import mean_of_means
from hpbench.metrics.paired import paired_differences
from hpbench.report.gate_power import gate_power_figure, read_gate_power

RESULTS = Path(__file__).resolve().parents[1] / "results" / "gate_power.csv"
MARGIN_DEG = {"faces": 0.5, "failures": 1.5, "people": 1.5}  # what the data can resolve
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 2.0)  # true losses, of the margin
POLICIES = (("regression", 0.0), ("regression", 1.0), ("non-inferior", 1.0))  # with their tolerances, of the margin
FRAME_SD_DEG, SHARED = 3.0, 0.3  # of the difference on BIWI, and the share of its variance that is the person's
Array = np.ndarray


def main() -> None:
    """All situations."""
    sets = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rows = []
    for number, (data, rules) in enumerate([("faces", 1), ("faces", 5), ("failures", 1), ("people", 1), ("people, drawn as faces", 1)]):
        for place, share in enumerate(SHARES):
            if data in ("failures", "people, drawn as faces") and share not in (0.0, 1.0):
                continue
            rng = np.random.default_rng([number, place])
            rows += rates(data, rules, share, sets, rng)
            print(*rows[-3:], sep="\n")
    with RESULTS.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    gate_power_figure(read_gate_power(RESULTS)).save(RESULTS.with_suffix(".svg"))


def rates(data: str, rules: int, share: float, sets: int, rng: np.random.Generator) -> list[dict[str, object]]:
    """Share of the sets that fail, in percent, by policy and tolerance; the true loss is a share of the margin."""
    margin = MARGIN_DEG[data.partition(",")[0]]
    settings = [(policy, margin * of) for policy, of in POLICIES]
    failed = [0] * len(settings)
    for _ in range(sets):
        new, ref, weights = draw(data, rules, margin * share, rng)
        pairs = [(mean_of_means([(a, weights)]), mean_of_means([(b, weights)])) for a, b in zip(new, ref, strict=True)]
        found = paired_differences(pairs, resamples=1)  # p, which takes the swaps, decides nothing here
        for i, (policy, tolerance) in enumerate(settings):
            ends = [bounds(d, rules if policy == "regression" else 1)[:2] for d in found]
            failed[i] += not all(decide(pair, tolerance, policy) for pair in ends)
    facts = {"data": data, "rules": rules, "loss_deg": round(margin * share, 3), "sets": sets}
    return [
        {**facts, "policy": policy, "tolerance_deg": tolerance, "failed_percent": round(100.0 * count / sets, 2)}
        for (policy, tolerance), count in zip(settings, failed, strict=True)
    ]


def draw(data: str, rules: int, loss_deg: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Values of a new model and of a reference, (rules, units) each, and what units weigh: faces, or the people whose means they are."""
    if data.startswith("people"):
        return people(loss_deg, rng, independent=data.endswith("faces"))
    n = 500
    ref = 5.0 * np.exp(0.7 * rng.standard_normal((3, n)) - 0.245)
    new = ref + 0.4 * ref * rng.standard_normal((3, n)) + loss_deg
    mix = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1 / 3, 1 / 3, 1 / 3], [0.6, 0.2, 0.2]])[:rules]
    ref, new = mix @ ref, mix @ new
    if data == "failures":
        ref, new = (np.where(rng.random(n) < 0.01, 180.0, v) for v in (ref, new))
    return new, ref, np.ones(n)


def people(loss_deg: float, rng: np.random.Generator, *, independent: bool) -> tuple[Array, Array, Array]:
    """Means of BIWI's people; `independent`: the frames themselves."""
    person = rng.standard_normal(len(FRAMES)) * FRAME_SD_DEG * np.sqrt(SHARED)
    frame = FRAME_SD_DEG * np.sqrt(1.0 - SHARED)
    if not independent:  # the mean of a person's frames
        new = loss_deg + person + frame * rng.standard_normal(len(FRAMES)) / np.sqrt(FRAMES)
        return new[None] + 10.0, np.full((1, len(FRAMES)), 10.0), FRAMES.astype(float)
    new = loss_deg + np.repeat(person, FRAMES) + frame * rng.standard_normal(FRAMES.sum())
    return new[None] + 10.0, np.full((1, len(new)), 10.0), np.ones(len(new))


def frames_of_people() -> Array:
    """How many frames BIWI has of each person."""
    card = dataset_card("biwi")
    of = card.options["people"]
    counts = Counter(of[i.partition("/")[0]] for i in split_ids(card, "all") or [])
    return np.array([counts[name] for name in sorted(counts)])


FRAMES = frames_of_people()

if __name__ == "__main__":
    main()
