"""Records that were never measured, for tests of what is made of records."""

from __future__ import annotations

from dataclasses import replace

from hpbench.catalog import protocol_named
from hpbench.leaderboard import Board, boards
from hpbench.metrics import parse_metric
from hpbench.records import SCHEMA, DatasetFacts, ModelFacts, ProtocolFacts, Record, Score

POSE, POINTS = "aflw2000/pose-1969", "aflw2000/landmarks-original"


def a_record(name: str, value: float | None, protocol: str = POSE, **changes: object) -> Record:
    """A record by a shipped protocol whose main metric has this value."""
    rules = protocol_named(protocol)
    texts = (rules.main, *(m for m in rules.metrics if m != rules.main))
    scores = []
    for i, text in enumerate(texts):
        family = parse_metric(text).family
        number = value if i == 0 else 50.0
        interval = None if number is None else (number - 0.5, number + 0.5)
        scores.append(Score(text, number, family.unit, family.higher_is_better, interval, 1969, 0, 0, number))
    record = Record(
        schema=SCHEMA,
        hpbench="0.1",
        protocol=ProtocolFacts(rules.id, rules.version, rules.sha256),
        dataset=DatasetFacts(2000, 2000, True),
        model=ModelFacts(name),
        scores=tuple(scores),
        subsets={},
        coverage=1.0,
        failures=(),
        partial=False,
        notes=(),
        predictions_sha256="",
        truth_sha256="",
        date="2025-01-01T00:00:00+00:00",
    )
    return replace(record, **changes)


def the_board(*records: Record) -> Board:
    found, remarks = boards(records)
    assert len(found) == 1 and not remarks
    return found[0]
