"""Records: the second public boundary.  One JSON file says what was measured, on what, by which protocol.

Format history
--------------
1 : first (hpbench 0.1).

Beside ``<name>.json`` lies ``<name>.errors.npz``: ``sample_id``, ``cluster`` and one float64 array per metric text, NaN
where a face is not labelled, the charge where it failed; metrics of pooled decisions store the decisions instead
(``decision_face``, ``decision_kind``, ``decision_visible``; see `hpbench.metrics.visibility.decision_table`), ``bin`` the bins of
balanced means, and
``predictions_sha256`` and ``truth_sha256`` of the record they belong to (`read_errors`).  Records are
equal when they are equal without ``timing``, ``environment``, ``git`` and ``date``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .atomic import atomic_path, write_atomic
from .checked import build
from .columns import CONTROL
from .errors import InputError
from .metrics import parse_metric
from .untrusted import read_npz_arrays

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "SCHEMA",
    "DatasetFacts",
    "Failure",
    "LandmarkErrors",
    "ModelFacts",
    "ProtocolFacts",
    "Record",
    "Score",
    "read_errors",
    "read_record",
]

SCHEMA = 1
_BELONGS = {"predictions_sha256": "predictions", "truth_sha256": "labels"}
MAX_RECORD_BYTES = 64 << 20
MAX_ERRORS_BYTES = 8 << 30  # unpacked; a million faces with decisions on 68 points are 0.9 GB
_MAX_NAME = 200
_DETECTED = re.compile(r"boxes of (detector:\S*)")  # a note of `hpbench.detectors.cards.stated`
_VOLATILE = ("timing", "environment", "git", "date")


@dataclass(frozen=True)
class Score:
    """One number with what it takes to believe it.

    Attributes
    ----------
    metric : str
        Canonical metric text.
    value : float or None
        Failures charged; None where no face is labelled.
    ci95 : (float, float) or None
        95 % interval; None from fewer than two clusters, and for legacy formulas that are no means.
    ci_method : str
        How the interval was made (`hpbench.metrics.statistics`); "" without one.
    n_scored, n_failed, n_unlabelled : int
        Labelled faces (the failed among them), failed faces, faces without a label for this metric.
    value_detected : float or None
        The value over the faces that did not fail: shown beside, never ranked.
    """

    metric: str
    value: float | None
    unit: str
    higher_is_better: bool
    ci95: tuple[float, float] | None
    n_scored: int
    n_failed: int
    n_unlabelled: int
    value_detected: float | None
    ci_method: str = ""


@dataclass(frozen=True)
class LandmarkErrors:
    """An NME landmark by landmark, failed faces charged.

    Attributes
    ----------
    metric : str
        The metric text.
    points : tuple of float or None
        Mean over the faces where the landmark is labelled, percent of the norm; None where it never is.
    parts : mapping of str to float or None
        Mean over faces of the mean over the labelled landmarks of a part (jaw, nose, ...).
    """

    metric: str
    points: tuple[float | None, ...]
    parts: dict[str, float | None]


@dataclass(frozen=True)
class Failure:
    """A face that has no prediction, and why."""

    sample_id: str
    reason: str


@dataclass(frozen=True)
class ProtocolFacts:
    """Which protocol, exactly."""

    id: str
    version: int
    sha256: str

    @property
    def reference(self) -> str:
        return f"{self.id}@{self.version}"


@dataclass(frozen=True)
class DatasetFacts:
    """How much of the dataset was there.

    Attributes
    ----------
    verified : bool or None
        Complete, and its labels are those the card describes; None where it is complete and the card states nothing to
        compare with (a data set of one's own).
    """

    n_expected: int
    n_found: int
    verified: bool | None


@dataclass(frozen=True)
class ModelFacts:
    """Which model; `arguments` are those of ``--model-arg``, `trained_on` what it says of its training data."""

    name: str
    version: str = ""
    weights_sha256: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    trained_on: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name with the arguments that make it another model."""
        return self.called(self.name)

    def called(self, name: str) -> str:
        """`name` with the arguments: what tables show, where a card has a better name than a file can have."""
        shown = ", ".join(f"{k}={v}" for k, v in sorted(self.arguments.items()))
        return f"{name} ({shown})" if shown else name


@dataclass(frozen=True)
class Record:
    """The result of scoring one model by one protocol.  See the module's text and `Score`.

    Attributes
    ----------
    scores : tuple of Score
        The protocol's main metric first.
    subsets : mapping of str to tuple of Score
    coverage : float or None
        Share of the labelled faces that have a prediction, by the main metric.
    failures : tuple of Failure
    partial : bool
        Not the whole dataset: kept off ranked boards.
    notes : tuple of str
        What a reader must know: boxes not stated, schemes mixed, subsets that could not be formed.
    diagnostics : mapping of str to float
        Unranked numbers that say what kind of error it is: the mean rotation offset, the prevalence of occluded points.
    landmark_errors : LandmarkErrors or None
        The first NME, landmark by landmark.
    """

    schema: int
    hpbench: str
    protocol: ProtocolFacts
    dataset: DatasetFacts
    model: ModelFacts
    scores: tuple[Score, ...]
    subsets: dict[str, tuple[Score, ...]]
    coverage: float | None
    failures: tuple[Failure, ...]
    partial: bool
    notes: tuple[str, ...]
    predictions_sha256: str
    truth_sha256: str
    diagnostics: dict[str, float] = field(default_factory=dict)
    landmark_errors: LandmarkErrors | None = None
    timing: dict[str, Any] | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    git: dict[str, Any] | None = None
    date: str = ""

    @property
    def main(self) -> Score:
        return self.scores[0]

    @property
    def detector(self) -> str:
        """``detector:<name>`` where a detector gave the model its boxes, another task than the protocol's; "" else."""
        return next((match[1] for note in self.notes if (match := _DETECTED.match(note))), "")

    @property
    def ranked(self) -> bool:
        """Whether a board may give it a rank."""
        return not self.partial and self.dataset.verified is not False and self.main.value is not None and not self.detector

    @property
    def file_name(self) -> str:
        """``<dataset>.<name>@<version>.json``."""
        return f"{self.protocol.reference.replace('/', '.')}.json"

    def score(self, metric: str) -> Score:
        """The score of a metric text; `InputError` if the record has none."""
        for score in self.scores:
            if score.metric == metric:
                return score
        raise InputError(f"the record of {self.model.name} on {self.protocol.reference} has no {metric!r}.")

    def same_as(self, other: Record) -> bool:
        """Equal but for timing, environment, git and date."""
        blank: dict[str, Any] = {"timing": None, "environment": {}, "git": None, "date": ""}
        return replace(self, **blank) == replace(other, **blank)

    def to_frame(self) -> pd.DataFrame:
        """One row a score: subset ("all" first), metric, value, ci95_low, ci95_high, unit, counts, value_detected."""
        import pandas as pd

        rows = []
        for subset, scores in {"all": self.scores, **self.subsets}.items():
            for score in scores:
                row = asdict(score)
                low, high = row.pop("ci95") or (np.nan, np.nan)
                rows.append({"subset": subset, **row, "ci95_low": low, "ci95_high": high})
        columns = ["subset", "metric", "value", "ci95_low", "ci95_high", "unit", "higher_is_better", "n_scored", "n_failed"]
        return pd.DataFrame(rows)[[*columns, "n_unlabelled", "value_detected", "ci_method"]]

    def to_json(self) -> str:
        """Strict JSON, keys in the order of this class."""
        return json.dumps(asdict(self), indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False)

    def write(self, folder: Path, errors: Mapping[str, np.ndarray]) -> Path:
        """Write the record and the per-face errors beside it; returns the record's path."""
        path = folder / self.file_name
        belongs = {name: np.array(getattr(self, name)) for name in _BELONGS}
        with atomic_path(path.with_suffix(".errors.npz")) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **errors, **belongs)  # type: ignore[arg-type]
        write_atomic(path, self.to_json())
        return path


def read_errors(path: Path | str) -> dict[str, np.ndarray]:
    """The per-face errors beside the record at `path`, by name.

    Raises
    ------
    InputError
        They are not there, damaged, or of other predictions than the record: a run was killed between the two files.
    """
    path = Path(path)
    record, file = read_record(path), path.with_suffix(".errors.npz")
    try:
        errors = read_npz_arrays(file, MAX_ERRORS_BYTES)
    except Exception as error:  # NumPy and zipfile raise half a dozen kinds for damaged files
        raise InputError(f"{file}: the per-face errors of the record beside it cannot be read ({str(error)[:100]}).") from None
    for name, what in _BELONGS.items():
        if str(errors.pop(name, "")) != getattr(record, name):
            raise InputError(f"{file}: of other {what} than {path.name}: a run was stopped in between? Score again.")
    return errors


def read_record(path: Path | str) -> Record:
    """Read a record; `InputError` for a file that is none, that was damaged, or of a newer schema."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_RECORD_BYTES:
            raise InputError(f"{path}: too large for a record.")
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no valid JSON: truncated? ({str(error)[:100]})") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise InputError(f"{path}: no record of hpbench (there is no schema number in it).")
    if schema < 1:
        raise InputError(f"{path}: no record of hpbench (schema {schema!r:.20} never was).")
    if schema > SCHEMA:
        raise InputError(f"{path}: written by a newer hpbench ({data.get('hpbench')!r}, schema {schema}): upgrade to read it.")
    record = build(Record, data, str(path))
    if not record.scores or not all(record.subsets.values()):
        raise InputError(f"{path}: the record or one of its subsets has no scores.")
    _check(record, path)
    if odd := next((text for text in _texts(data) if CONTROL.search(text)), ""):  # shown on terminals, in tables, in logs of CI
        raise InputError(f"{path}: holds control characters or line breaks in {odd!r:.80}: edited by hand?")
    return record


def _texts(value: Any) -> Iterator[str]:
    """Every text in what was parsed from JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in (*value, *value.values()) if isinstance(value, dict) else value:
            yield from _texts(item)


def _check(record: Record, path: Path) -> None:
    """A record that was edited by hand must at least be possible: metrics as they are, counts that add up."""
    found, whole = record.dataset.n_found, record.dataset.n_expected
    name = record.model.name
    wrong = [
        f"{path}: {text}"
        for problem, text in (
            (
                not name or not name.isprintable() or len(name) > _MAX_NAME,
                f"the model's name {name!r:.60} must be printable text of at most {_MAX_NAME} characters.",
            ),
            (record.coverage is not None and not 0.0 <= record.coverage <= 1.0, f"a coverage of {record.coverage} cannot be."),
            (not 0 <= found <= whole, f"{found} of {whole} faces cannot be."),
            (record.dataset.verified and found < whole, f"verified, but {found} of {whole} faces: edited by hand?"),
        )
        if problem
    ]
    for score in (*record.scores, *(s for scores in record.subsets.values() for s in scores)):
        try:
            family = parse_metric(score.metric).family
        except InputError as error:
            wrong.append(f"{path}: {error}")
            continue
        low, high = score.ci95 or (0.0, 0.0)
        for problem, what in (
            (score.unit != family.unit or score.higher_is_better != family.higher_is_better, "another unit or direction than the metric's"),
            (score.value is not None and score.value < 0, "a negative value"),
            (low > high, "an interval that ends before it begins"),
            (score.n_scored + score.n_unlabelled > whole, "more faces than the data set"),
            (not 0 <= score.n_failed <= score.n_scored or score.n_unlabelled < 0, "counts that cannot be"),
        ):
            if problem:
                wrong.append(f"{path}: {score.metric} has {what}: edited by hand?")
    if wrong:
        raise InputError(*wrong)


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text:.20} is no finite number")
    return value
