"""What a submission says, scored again from its predictions: the level it reaches and every difference."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..atomic import write_atomic
from ..catalog import Protocol
from ..errors import HpbenchError, InputError, MissingDataError
from ..kept import data_of, known_protocol, record_paths, score_again
from ..predictions import Predictions, read_predictions
from ..readers import Dataset
from ..records import Record, read_errors, read_record
from .compare import errors_differ, records_differ, runs_differ
from .manifest import CARD, LEVEL, LEVELS, MANIFEST, SCHEMA, Level, LevelReached, file_sha256, read_card, read_level
from .unpacking import check_arrays, opened

__all__ = ["RecordCheck", "SubmissionCheck", "check_submission"]


@dataclass(frozen=True)
class RecordCheck:
    """One record of a submission.

    Attributes
    ----------
    protocol : str
        Reference.
    level : str
    differences : tuple of str
        What the record says otherwise than its predictions do.
    reason : str
        Why it could not be scored again; "" where it was.
    """

    protocol: str
    level: Level
    differences: tuple[str, ...] = ()
    reason: str = ""

    def lines(self) -> list[str]:
        """What to print, a line a difference."""
        if self.differences:
            return [f"{self.protocol}: differs: {text}" for text in self.differences]
        return [f"{self.protocol}: {self.level}" + (f": {self.reason}" if self.reason else ", nothing differs")]


@dataclass(frozen=True)
class SubmissionCheck:
    """A whole submission.

    Attributes
    ----------
    model : str
    records : tuple of RecordCheck
    differences : tuple of str
        Of files from their hashes, and of records from one another.
    remarks : tuple of str
        What is not wrong and should be seen to.
    """

    model: str
    records: tuple[RecordCheck, ...]
    differences: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.differences and not any(record.differences for record in self.records)

    @property
    def level(self) -> Level:
        """The lowest of its records."""
        return min((record.level for record in self.records), key=LEVELS.index)

    @property
    def exit_code(self) -> int:
        """0 all scored again and nothing differs, 1 something differs, 3 nothing differs and not all could be scored."""
        return 1 if not self.ok else 3 if any(record.reason for record in self.records) else 0

    def lines(self) -> list[str]:
        told = [*(f"differs: {text}" for text in self.differences), *(line for record in self.records for line in record.lines())]
        return [*told, f"{self.model}: " + (f"level reached: {self.level}" if self.ok else "not as its predictions say: no level reached")]


def check_submission(path: Path, *, data: Sequence[Path] = (), ran: Sequence[Path] = (), write_level: bool = False) -> SubmissionCheck:
    """Unpack a submission, compare its hashes, and score every record's predictions again where the data set is here.

    Parameters
    ----------
    path : Path
        An archive of `hpbench.submissions.pack`, or its unpacked folder.
    data : sequence of Path
        Data roots of the data sets; a folder that has one called like the data set stands for that one.
    ran : sequence of Path
        Output folders of runs of the same model made by who checks: what agrees with them was run here.
    write_level : bool
        Write ``level.json`` into the folder, if nothing differs.

    Raises
    ------
    InputError
        The archive cannot be read or is not to be trusted, or a record, predictions or the card in it are none.
    """
    if write_level and not path.is_dir():
        raise InputError(f"{path}: the level is written beside the files: unpack it into a folder first.")
    with opened(path) as (folder, manifest):
        try:
            altered = [name for name, digest in sorted(manifest.files.items()) if file_sha256(folder / name) != digest]
            card = read_card(folder / CARD)
            records = {name: read_record(folder / name) for name in sorted(manifest.records)}
            differences = [f"{name} was altered after packing: its sha256 is another than the manifest's" for name in altered]
            differences += _not_one_model(records)
            sources = _Sources(data)
            theirs = _ran_records(ran)
            checks: dict[str, RecordCheck] = {}
            for name, record in records.items():
                predictions, errors = folder / manifest.records[name], (folder / name).with_suffix(".errors.npz")
                check_arrays(errors, predictions)
                checks[name] = _check(record, folder / name, read_predictions(predictions), sources, theirs)
            reached = LevelReached(SCHEMA, file_sha256(folder / MANIFEST), {name: check.level for name, check in checks.items()})
            remarks = [f"{CARD} does not say: {', '.join(card.unsaid)}"] if card.unsaid else []
            if (folder / LEVEL).is_file() and not write_level:
                remarks += _level_remarks(read_level(folder / LEVEL), reached)
        except HpbenchError as error:
            raise type(error)(str(error).replace(str(folder), str(path))) from None
    found = SubmissionCheck(card.title, tuple(checks.values()), tuple(differences), tuple(remarks))
    if write_level and found.ok:
        write_atomic(path / LEVEL, reached.to_json())
    return found


def _not_one_model(records: dict[str, Record]) -> list[str]:
    labels = sorted({f"{r.model.label} version {r.model.version or '-'}, weights {r.model.weights_sha256}" for r in records.values()})
    twins = sorted({r.protocol.id for r in records.values() if sum(o.protocol.id == r.protocol.id for o in records.values()) > 1})
    misnamed = [name for name, record in records.items() if name != f"records/{record.file_name}"]
    return [
        *([f"the records are of several models: {'; '.join(labels)}"] if len(labels) > 1 else []),
        *(f"two records are of {protocol}" for protocol in twins),
        *(f"{name} is a record of {records[name].protocol.reference}" for name in misnamed),
    ]


def _level_remarks(said: LevelReached, reached: LevelReached) -> list[str]:
    if said.manifest_sha256 != reached.manifest_sha256:
        return [f"{LEVEL} is of another manifest: it counts for nothing"]
    higher = sorted(n for n, level in said.records.items() if LEVELS.index(level) > LEVELS.index(reached.records.get(n, LEVELS[0])))
    return [f"{LEVEL} says {said.records[name]} of {name}, which is not shown here" for name in higher]


class _Sources:
    """Data sets, each loaded once, or the reason why not."""

    def __init__(self, data: Sequence[Path]) -> None:
        self._data = data
        self._known: dict[str, Dataset | HpbenchError] = {}

    def of(self, dataset: str) -> Dataset:
        if dataset not in self._known:
            try:
                self._known[dataset] = data_of(dataset, self._data)
            except HpbenchError as error:
                self._known[dataset] = error
        found = self._known[dataset]
        if isinstance(found, HpbenchError):
            raise found
        return found


def _check(record: Record, path: Path, predictions: Predictions, sources: _Sources, ran: Sequence[Record]) -> RecordCheck:
    reference = record.protocol.reference
    errors = read_errors(path)
    if predictions.faces.content_sha256() != record.predictions_sha256:
        return RecordCheck(reference, LEVELS[0], ("the predictions are not those that the record was made of",))
    protocol = known_protocol(record)
    if protocol is None:
        return RecordCheck(reference, LEVELS[0], reason="the protocol is not known here")
    if protocol.sha256 != record.protocol.sha256:
        text = f"it was scored by another text of the protocol, here is {protocol.reference}: score and pack again with the same hpbench"
        return RecordCheck(reference, LEVELS[0], (text,))
    try:
        source = sources.of(protocol.dataset)
    except MissingDataError as error:
        return RecordCheck(reference, LEVELS[0], reason=str(error).splitlines()[0])
    try:
        differences = _scored_differences(record, errors, predictions, protocol, source)
    except MissingDataError as error:
        return RecordCheck(reference, LEVELS[0], reason=str(error).splitlines()[0])
    except InputError as error:
        return RecordCheck(reference, LEVELS[0], (f"its predictions cannot be scored: {error}",))
    if differences:
        return RecordCheck(reference, LEVELS[0], tuple(differences))
    again = [r for r in ran if r.protocol.sha256 == record.protocol.sha256 and r.ranked]
    if not again:
        return RecordCheck(reference, "re-scored")
    differences = runs_differ(record, again[0])
    return RecordCheck(reference, "re-scored" if differences else "run here", tuple(differences))


def _scored_differences(
    record: Record, errors: dict[str, np.ndarray], predictions: Predictions, protocol: Protocol, source: Dataset
) -> list[str]:
    limit = [str(i) for i in errors["sample_id"]] if record.partial else None
    extra = [score.metric for score in record.scores if score.metric not in protocol.metrics]
    with tempfile.TemporaryDirectory() as scratch:
        ours = score_again(record, predictions, protocol, source, Path(scratch), limit_ids=limit, metrics=extra)
        ours_errors = read_errors(Path(scratch, ours.file_name))
    return [*records_differ(record, ours), *errors_differ(errors, ours_errors)]


def _ran_records(folders: Sequence[Path]) -> list[Record]:
    """The records of the checker's own runs, one a protocol."""
    found: dict[str, tuple[Path, Record]] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: there is no such folder of a run.")
        for path in record_paths(folder):
            record = read_record(path)
            other, first = found.setdefault(record.protocol.reference, (path, record))
            if first.model.label != record.model.label:
                raise InputError(f"{other} and {path} are runs of two models: give those of the submitted one.")
    return [record for _, record in found.values()]
