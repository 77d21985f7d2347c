"""The two numbers that are compared: records, prediction files with a protocol, published rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..catalog import Protocol, PublishedRow, protocol_named, published_rows
from ..errors import InputError, did_you_mean
from ..faces import Faces
from ..kept import data_of, known_protocol, prediction_files, predictions_by_hash
from ..metrics import parse_metric
from ..predictions import SUFFIXES, Predictions
from ..predictions.given import read_given_predictions
from ..records import Record, read_record
from .setting import Setting, setting_of

__all__ = ["End", "end_of", "formulas_named", "predictions_named"]

PUBLISHED, LABELS = "published:", "labels:"

# words of published.csv that say how a number was made -> what they change in a metric's text; means and lengths are in the text itself
_SAID = {
    r"formula=([a-z0-9-]+)": "formula={}",
    r"folded at 180": "formula=fold180",
    r"plain differences?": "formula=plain",
}
_DOUBT = re.compile(r"not stated|whether|may be|not known|unknown")


@dataclass(frozen=True)
class End:
    """One of two numbers.

    Attributes
    ----------
    text : str
        As it was given.
    title : str
        Whose number it is.
    kind : str
        ``record``, ``predictions``, ``published``.
    dataset : str
    protocol : Protocol or None
        The one that is known here.
    setting : Setting or None
        None where there is no such protocol or metric here.
    value : float or None
        As recorded or printed; None where it must be scored.
    unit : str
    predictions : Predictions or None
        Where they are at hand.
    record, row
        The one it comes from, None of another kind.
    """

    text: str
    title: str
    kind: str
    dataset: str
    protocol: Protocol | None
    setting: Setting | None
    value: float | None
    unit: str
    predictions: Predictions | None = field(default=None, repr=False)
    record: Record | None = None
    row: PublishedRow | None = None

    def with_metric(self, metric: str) -> End:
        """The same number's neighbour by another metric."""
        if self.protocol is None or self.setting is None or self.row is not None:
            return self
        subset = self.setting.subset.name if self.setting.subset else "all"
        setting = setting_of(self.protocol, metric, subset, self.setting.only)
        value = None
        if self.record is not None:
            value = next((s.value for s in self.record.scores if s.metric == setting.metric.text), None)
        return replace(self, setting=setting, value=value, unit=setting.metric.family.unit)

    def near(self, metric: str) -> End:
        """This number by another's metric, where it has that; else as it is."""
        has = self.protocol is not None and parse_metric(metric).text in self.protocol.metrics
        return self.with_metric(metric) if has else self


def end_of(text: str, *, metric: str = "", predictions: Sequence[str] = (), data: Sequence[Path] = ()) -> End:
    """What an argument of ``hpbench explain`` means.

    Parameters
    ----------
    text : str
        A record file; ``FILE:PROTOCOL``, predictions and how to score them; ``labels:PROTOCOL:PROTOCOL``, the labels of the first in the
        place of predictions; ``published:ID`` or ``published:METHOD@PROTOCOL``, a row of ``baselines/published.csv``.
    metric : str
        Default: the main one.
    predictions : sequence of str
        Files where a record's predictions may be, besides its folder.
    data : sequence of Path
        Data roots, for ``labels:``.

    Raises
    ------
    InputError
        None of these.
    """
    if text.startswith(PUBLISHED):
        return _published(text, metric)
    name, _, reference = text.rpartition(":")
    if name and "/" in reference and not Path(text).is_file():
        protocol = protocol_named(reference)
        given = predictions_named(name, data)
        unit = parse_metric(metric or protocol.main).family.unit
        title = given.model or Path(name).name
        return End(text, title, "predictions", protocol.dataset, protocol, setting_of(protocol, metric), None, unit, given)
    path = Path(text)
    if path.suffix.lower() in SUFFIXES or text.startswith(LABELS):
        raise InputError(f"{text}: say by which protocol: {text}:aflw2000/pose-1969, say.")
    if path.is_dir():
        raise InputError(f"{text}: is a folder: give one of its records (<dataset>.<protocol>@<version>.json).")
    return _recorded(path, metric, predictions)


def predictions_named(name: str, data: Sequence[Path] = ()) -> Predictions:
    """The predictions of a file, or of ``labels:PROTOCOL``: the labels of a protocol in the place of predictions."""
    if not name.startswith(LABELS):
        return read_given_predictions(name)
    protocol = protocol_named(name.removeprefix(LABELS))
    truth = data_of(protocol.dataset, data).truth(protocol.split, protocol.labels)
    faces = Faces(
        truth.sample_id, rotation=truth.rotation, euler_deg=truth.euler_deg, convention=truth.convention, landmarks=truth.landmarks,
        scheme=truth.scheme, visibility=truth.visibility,
    )  # fmt: skip
    return Predictions(faces, model=f"labels of {protocol.id}")


def formulas_named(row: PublishedRow) -> tuple[tuple[str, ...], bool]:
    """Which formulas the words about a published number name, as ``key=value`` of its metric, and whether they leave it in doubt."""
    if not row.metric:
        return (), True
    text = f"{row.reason}; {row.paper_text}; {row.note}"
    family = parse_metric(row.metric).family
    found = []
    for pattern, change in _SAID.items():
        for match in re.finditer(pattern, text):
            key, _, value = change.format(*match.groups()).partition("=")
            if key in family.parameters and value in family.parameters[key].choices:
                found.append(f"{key}={value}")
    return tuple(dict.fromkeys(found)), _DOUBT.search(row.reason) is not None


def _recorded(path: Path, metric: str, predictions: Sequence[str]) -> End:
    record = read_record(path)
    kept = predictions_by_hash([
        *map(Path, predictions), *prediction_files(path.parent), *prediction_files(path.parent.parent / "predictions"),
    ])  # fmt: skip
    protocol = known_protocol(record)
    file = kept.get(record.predictions_sha256)
    given = read_given_predictions(file) if file is not None else None
    text = parse_metric(metric).text if metric else record.main.metric
    value = next((s.value for s in record.scores if s.metric == text), None)
    setting = None
    if protocol is not None:
        limited = record.partial and given is not None
        setting = setting_of(protocol, text, only=[str(i) for i in given.faces.sample_id] if limited and given else None)  # type: ignore[union-attr]
    unit = parse_metric(text).family.unit
    dataset = record.protocol.id.partition("/")[0]
    return End(str(path), record.model.label, "record", dataset, protocol, setting, value, unit, given, record)


def _published(text: str, metric: str) -> End:
    name = text.removeprefix(PUBLISHED)
    rows = {row.id: row for row in published_rows()}
    row = rows.get(name) or _by_method(text, name, metric, list(rows.values()))
    title = f"{row.method}{f' ({row.variant})' if row.variant else ''}, published"
    if not row.protocol_id or not row.metric:
        return End(text, title, "published", row.dataset, None, None, row.value, row.unit, row=row)
    protocol = protocol_named(row.protocol_id)
    changes, doubt = formulas_named(row)
    setting = setting_of(protocol, _changed(row.metric, changes if not doubt else ()), row.subset)
    return End(text, title, "published", protocol.dataset, protocol, setting, row.value, row.unit, row=row)


def _changed(metric: str, changes: Sequence[str]) -> str:
    """A metric with what the words about a number say of it, where they say one thing of each."""
    found = parse_metric(metric)
    said: dict[str, set[str]] = {}
    for change in changes:
        key, _, value = change.partition("=")
        said.setdefault(key, set()).add(value)
    values = {k: v for k, v in found.parameters.items() if v is not None} | {k: next(iter(v)) for k, v in said.items() if len(v) == 1}
    return parse_metric(f"{found.family.name}({','.join(f'{k}={found.family.parameters[k].show(v)}' for k, v in values.items())})").text


def _by_method(text: str, name: str, metric: str, rows: Sequence[PublishedRow]) -> PublishedRow:
    method, at, reference = name.rpartition("@")
    if not at:
        guess = did_you_mean(name, [row.id for row in rows])
        raise InputError(f"{text}: there is no published row {name!r}: {guess} Or published:METHOD@DATASET/PROTOCOL.")
    protocol = protocol_named(reference)
    wanted = parse_metric(metric or protocol.main).text
    of_protocol = [row for row in rows if row.protocol_id == protocol.id and row.canonical]
    found = [
        row for row in of_protocol
        if method.casefold() in (row.method.casefold(), row.variant.casefold()) and row.metric == wanted and row.subset == "all"
    ]  # fmt: skip
    exact = [row for row in found if row.variant in ("", row.method)] or found
    if len(exact) == 1:
        return exact[0]
    if exact:
        raise InputError(f"{text}: {len(exact)} rows are of {method!r}: {', '.join(f'published:{r.id} ({r.variant})' for r in exact[:8])}.")
    known = {r.method for r in of_protocol}
    if method in known:
        has = dict.fromkeys(f"{r.metric} on {r.subset} (published:{r.id})" for r in of_protocol if r.method == method)
        raise InputError(f"{text}: {method} has no {wanted} there, but {', '.join(list(has)[:6])}.")
    raise InputError(f"{text}: no published row of {method!r} by {protocol.id}: {did_you_mean(method, known)}")
