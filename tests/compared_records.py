"""Pairs of records with their per-face errors, for tests of what compares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from made_records import a_record

from hpbench.catalog import protocol_named
from hpbench.comparison import Pair
from hpbench.comparison.pairs import pairs_of

MAE, NME = "mae(convention=300w-lp)", "nme(norm=sqrt_wh)"
SPEED = {"images_per_s": 100.0, "device": "cpu"}
MACHINE = {"machine": "x86_64", "cpus": 8, "system": "Linux 6.1"}


def write(folder: Path, values: np.ndarray, name: str = "net", clusters: Sequence[object] | None = None, **changes: object) -> Path:
    """A record by aflw2000/pose-1969 whose main score is the mean of these values; returns its path."""
    ids = changes.pop("ids", None) or [f"image{i:05d}" for i in range(len(values))]
    record = a_record(name, float(np.mean(values)), timing=SPEED, environment=MACHINE)
    main = replace(record.main, n_scored=len(values), ci95=None)
    others = changes.pop("others", {})
    scores = [main, *(replace(s, value=float(np.mean(others[s.metric]))) for s in record.scores if s.metric in others)]
    record = replace(record, **{"scores": tuple(scores), **changes})
    groups = np.array([str(c) for c in (ids if clusters is None else clusters)])
    return record.write(folder, {"sample_id": np.array(ids), "cluster": groups, MAE: values, **others})


def pair_of(folder: Path, new: np.ndarray, ref: np.ndarray, **changes: object) -> Pair:
    """Two models compared."""
    (pair,) = pairs_of(write(folder / "new", new, **changes), write(folder / "ref", ref, **changes)).pairs
    return pair


def some_errors(shift: float = 0.0, n: int = 200, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Errors of a new model, worse by about `shift`, and of a reference: hard faces are hard for both."""
    rng = np.random.default_rng(seed)
    ref = rng.exponential(4.0, n) + 5.0
    return ref + shift + rng.normal(0, 1.0, n), ref


MAIN_SHA256 = protocol_named("aflw2000/pose-1969").sha256
