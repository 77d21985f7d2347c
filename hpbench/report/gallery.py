"""Galleries: the faces that say most about a model's errors, drawn with labels and predictions.

Photographs of data sets must not be passed on: galleries are for the user's own folder and are refused where hpbench keeps what it
ships, but for faces of data that come with hpbench (heads).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..atomic import atomic_path, write_atomic
from ..catalog import DatasetCard, Protocol, catalog_roots, protocol_named
from ..errors import InputError
from ..evaluate import in_subset
from ..metrics import parse_metric
from ..readers import Dataset
from .cells import harmless
from .figures.faces import draw_comparison
from .figures.measured import Measured, measured

__all__ = ["Sheet", "gallery"]

Array = npt.NDArray[np.float64]

_SHIPPED = ("baselines", "datasets", "docs", "reports")
_COLUMNS, _FACE_PX, _CAPTION_PX, _HEAD_PX = 4, 300, 38, 52
_BRIER = "brier"  # of a face: the mean squared error of its probabilities


@dataclass(frozen=True)
class Sheet:
    """A page of a gallery.

    Attributes
    ----------
    name : str
        Of its file.
    title : str
    rows : tuple of int
        Of the per-face errors, in the order of the page.
    """

    name: str
    title: str
    rows: tuple[int, ...]


class _Change(NamedTuple):
    """By how much each face is worse than with the model called `reference`."""

    reference: str
    worse_by: Array


def gallery(
    record: Path | str,
    dataset: Dataset,
    out: Path | str,
    *,
    metric: str = "",
    count: int = 12,
    reference: Path | str | None = None,
    predictions: Path | str | None = None,
) -> list[Path]:
    """Draw the worst faces, those of each subset, those that have become worst against another model, and failed ones.

    Labels are blue, predictions orange, occluded points rings; the arrow points out of the face.

    Parameters
    ----------
    record : path
        Of a record, its per-face errors and predictions beside it.
    dataset : Dataset
        With images.
    out : path
        Folder for ``worst.png``, ``worse-than-reference.png``, ``worst-<subset>.png``, ``failed.png`` and ``index.csv``.
    metric : str
        A metric text of the per-face errors; the protocol's first if left out, for visibility the squared error of a face's points.
    count : int
        Faces to a sheet.
    reference : path, optional
        Another model's record of the same protocol and faces.
    predictions : path, optional
        The prediction file, where it is not beside the record.

    Returns
    -------
    list of Path
        The sheets, and the index last.

    Raises
    ------
    InputError
        Predictions, images or the metric are not there, records of different faces, or a folder of what hpbench ships.
    """
    folder = Path(out)
    _refuse_shipped(dataset.card, folder)
    if count < 1:
        raise InputError(f"a gallery needs at least one face a sheet, got {count}.")
    run = measured(record, dataset, predictions)
    if run.truth is None or run.prediction is None:
        raise InputError(f"{record}: its predictions are not beside it: a gallery draws them, so name their file.")
    protocol = protocol_named(run.record.protocol.reference)
    text, errors = _errors(run, protocol, metric)
    other = _reference(reference, run) if reference is not None else None
    before = _errors(other, protocol, text)[1] if other is not None else None
    with_image = set(dataset.image_ids(protocol.split))
    drawable = np.array([str(i) in with_image for i in run.errors["sample_id"]]) & np.isfinite(errors)
    if not drawable.any():
        raise InputError(f"{dataset.card.id}: none of the record's faces has an image in the data given.")
    change = _Change(other.name, errors - before) if other is not None and before is not None else None
    sheets = _sheets(run, protocol, errors, change, drawable, text, count)
    written = []
    for sheet in sheets:
        path = folder / f"{sheet.name}.png"
        _write_png(_page(sheet, run, protocol, dataset, errors, before, text), path)
        written.append(path)
    index = folder / "index.csv"
    write_atomic(index, _index(sheets, run, errors, before, text))
    return [*written, index]


def _refuse_shipped(card: DatasetCard, folder: Path) -> None:
    if card.embedded:
        return
    place = folder.resolve()
    for shipped in (root.resolve() / name for root in catalog_roots() for name in _SHIPPED):
        if place.is_relative_to(shipped):
            raise InputError(f"{folder}: faces of {card.id} must not lie in {shipped}, which is passed on: choose a folder of your own.")


def _errors(run: Measured, protocol: Protocol, wanted: str) -> tuple[str, Array]:
    """A metric text and its value for each face; higher is worse."""
    text = parse_metric(wanted).text if wanted and wanted != _BRIER else wanted
    if text in ("", _BRIER) and "decision_face" in run.errors:
        return _BRIER, _brier(run)
    texts = [
        t for t in dict.fromkeys((protocol.main, *protocol.metrics)) if t in run.errors and not parse_metric(t).family.higher_is_better
    ]
    known = [t for t in run.errors if t in texts or t == text]
    if text and text not in known or not texts and not text:
        has = ", ".join(texts) or "none"
        raise InputError(f"{run.record.model.name} on {protocol.reference} has no per-face errors {text!r}; there are: {has}.")
    text = text or texts[0]
    values = np.asarray(run.errors[text], dtype=np.float64)
    return text, -values if parse_metric(text).family.higher_is_better else values


def _brier(run: Measured) -> Array:
    """Mean squared error of P(occluded) over the labelled points of each face; 1 where a prediction is missing."""
    face, kind, visible = (run.errors[f"decision_{name}"] for name in ("face", "kind", "visible"))
    squared = np.nan_to_num((1.0 - visible.astype(np.float64) - (kind != 0)) ** 2, nan=1.0)
    n = len(run.errors["sample_id"])
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(face, squared, n) / np.bincount(face, minlength=n), dtype=np.float64)


def _reference(path: Path | str, run: Measured) -> Measured:
    other = measured(path)
    if other.record.protocol != run.record.protocol:
        raise InputError(f"{path}: a record by {other.record.protocol.reference}, not by {run.record.protocol.reference}.")
    of_other_labels = other.record.truth_sha256 != run.record.truth_sha256
    if of_other_labels or list(other.errors["sample_id"]) != list(run.errors["sample_id"]):
        what = "labels" if of_other_labels else "faces"
        raise InputError(f"{path}: of other {what} than those of {run.record.model.name}: what has become worse cannot be said.")
    return other


def _sheets(
    run: Measured, protocol: Protocol, errors: Array, change: _Change | None, drawable: npt.NDArray[np.bool_], text: str, count: int
) -> list[Sheet]:
    def largest(values: Array, inside: npt.NDArray[np.bool_]) -> tuple[int, ...]:
        rows = np.flatnonzero(inside)
        return tuple(int(r) for r in rows[np.argsort(-values[rows], kind="stable")][:count])

    failures = {f.sample_id for f in run.record.failures}
    failed = np.array([str(i) in failures for i in run.errors["sample_id"]])
    lost, drawable = drawable & failed, drawable & ~failed  # failed faces are charged all the same: they would fill every sheet
    sheets = [Sheet("worst", f"{run.name}: largest {text}", largest(errors, drawable))]
    if change is not None:
        title = f"{run.name}: {text} most above that of {change.reference}"
        sheets.append(Sheet("worse-than-reference", title, largest(change.worse_by, drawable & (change.worse_by > 0))))
    assert run.truth is not None
    for subset in protocol.subsets:
        if subset.attribute not in run.truth.attributes:
            continue
        name = "".join(c if c.isalnum() else "-" for c in subset.name).strip("-")
        sheets.append(
            Sheet(f"worst-{name}", f"{run.name}: largest {text}, {subset.name}", largest(errors, drawable & in_subset(subset, run.truth)))
        )
    spread = np.unique(np.linspace(0, max(lost.sum() - 1, 0), min(count, lost.sum())).astype(int))
    sheets.append(Sheet("failed", f"{run.name}: {lost.sum()} faces without a prediction", tuple(np.flatnonzero(lost)[spread].tolist())))
    return [sheet for sheet in sheets if sheet.rows]


def _page(
    sheet: Sheet, run: Measured, protocol: Protocol, dataset: Dataset, errors: Array, before: Array | None, text: str
) -> npt.NDArray[Any]:
    """A contact sheet, (H, W, 3) uint8 RGB."""
    import cv2

    ids = [str(run.errors["sample_id"][row]) for row in sheet.rows]
    lines = -(-len(ids) // _COLUMNS)
    page = np.full((_HEAD_PX + lines * (_FACE_PX + _CAPTION_PX), _COLUMNS * _FACE_PX, 3), 255, dtype=np.uint8)

    def write(words: str, x: int, y: int, size: float = 0.42, grey: int = 60) -> None:
        plain = words.encode("ascii", "replace").decode()  # all that OpenCV's letters have
        size *= min(1.0, (page.shape[1] - 8 - x) / cv2.getTextSize(plain, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0])
        cv2.putText(page, plain, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, (grey, grey, grey), 1, cv2.LINE_AA)

    write(sheet.title, 8, 20, 0.55, 0)
    passed_on = "" if dataset.card.embedded else " These photographs must not be passed on."
    write(f"{protocol.reference}. Blue: labels; orange: predictions; rings: occluded points; arrow: out of the face.{passed_on}", 8, 42)
    unit = parse_metric(text).family.unit if text != _BRIER else ""
    for place, (row, sample) in enumerate(zip(sheet.rows, dataset.samples_of(ids, protocol.boxes), strict=True)):
        assert run.truth is not None and run.prediction is not None
        x, y = place % _COLUMNS * _FACE_PX, _HEAD_PX + place // _COLUMNS * (_FACE_PX + _CAPTION_PX)
        face = draw_comparison(
            sample.image.read(), sample.box_xyxy_px, run.truth.take([row]), run.prediction.take([row]), size_px=_FACE_PX - 4
        )
        page[y : y + _FACE_PX - 4, x + 2 : x + _FACE_PX - 2] = face
        was = f", reference {abs(before[row]):.2f}" if before is not None else ""
        write(f"{place + 1}: {abs(errors[row]):.2f} {unit}{was}", x + 6, y + _FACE_PX + 10, 0.42, 0)
        write(ids[place][-40:], x + 6, y + _FACE_PX + 25, 0.38)
    return page


def _index(sheets: Sequence[Sheet], run: Measured, errors: Array, before: Array | None, text: str) -> str:
    """One line a face a sheet."""
    reasons = {f.sample_id: f.reason for f in run.record.failures}
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["sheet", "place", "sample_id", "metric", "error", "reference_error", "failure"])
    for sheet in sheets:
        for place, row in enumerate(sheet.rows, 1):
            sample_id = str(run.errors["sample_id"][row])
            was = "" if before is None else f"{abs(before[row]):.6g}"
            reason = harmless(reasons.get(sample_id, ""))
            writer.writerow([f"{sheet.name}.png", place, harmless(sample_id), text, f"{abs(errors[row]):.6g}", was, reason])
    return buffer.getvalue()


def _write_png(page: npt.NDArray[Any], path: Path) -> None:
    import cv2

    with atomic_path(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", cv2.cvtColor(page, cv2.COLOR_RGB2BGR))[1].tobytes())
