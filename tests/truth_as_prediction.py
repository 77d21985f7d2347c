"""The law that holds for every dataset and protocol: the truth submitted as a prediction has no error."""

from __future__ import annotations

from pathlib import Path

import pytest

import hpbench
from hpbench.catalog import protocols_of
from hpbench.predictions import Predictions


def perfect(dataset: hpbench.readers.Dataset, tmp_path: Path, only: str = "") -> None:
    """The truth scored as a prediction by every protocol has no error at all."""
    for protocol in protocols_of(dataset.card):
        if only and protocol.id != only:
            continue
        truth = dataset.truth(protocol.split, protocol.labels)
        (record,) = hpbench.score(Predictions(truth, protocol.boxes), dataset, protocol=protocol.id, out=tmp_path / "out")
        for scores in (record.scores, *record.subsets.values()):
            for score in scores:
                assert score.n_failed == 0
                best = 100.0 if score.higher_is_better else 0.0
                assert score.value is None or score.value == pytest.approx(best, abs=1e-9), (protocol.id, score)
        assert record.scores[0].value is not None and record.scores[0].n_scored > 0
