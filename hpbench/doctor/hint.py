"""When a result looks as if a mistake had been made, say that there is a doctor."""

from __future__ import annotations

from collections.abc import Iterable

from ..catalog import catalog_roots
from ..errors import InputError
from ..metrics import parse_metric
from ..records import Record, read_record

__all__ = ["doctor_hint"]

_WORSE = 1.1  # times the error of a prediction of zeros


def doctor_hint(records: Iterable[Record], predictions: str) -> str:
    """One remark where a note suspects a mistake or a pose is worse than that of no prediction at all; "" otherwise."""
    for record in records:
        if any("? " in note and ": " in note for note in record.notes) or _worse_than_frontal(record):
            asked = f"--protocol {record.protocol.id}"
            return f"{record.protocol.reference} looks like a mistake: hpbench doctor {predictions} {asked} tries explanations"
    return ""


def _worse_than_frontal(record: Record) -> bool:
    main = record.main
    if main.value_detected is None or parse_metric(main.metric).family.needs != "pose" or record.model.name == "frontal":
        return False
    for path in (root / "baselines" / "frontal" / "results" / record.file_name for root in catalog_roots()):
        try:
            zeros = read_record(path).main
        except InputError:
            continue
        return zeros.metric == main.metric and zeros.value is not None and main.value_detected > _WORSE * zeros.value
    return False
