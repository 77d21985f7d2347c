"""Predictions examined: every kind of them against the labels of a protocol, and what was found, in words and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import Protocol, protocol_named, protocols_of
from ..errors import HpbenchError, InputError, MissingDataError
from ..metrics import parse_metric
from ..metrics.visibility import is_constant
from ..obstacles import as_compared, obstacle, protocol_needs, refuse_unknown_ids
from ..predictions import Predictions
from ..predictions.given import read_given_predictions
from ..readers import Dataset, load
from .examination import KINDS, Examination, examine

__all__ = ["Diagnosis", "diagnose"]

Array = npt.NDArray[np.float64]
PathLike = str | Path


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with predictions.

    Attributes
    ----------
    predictions : str
        The file.
    dataset : str
    examinations : tuple of Examination
    left_out : tuple of str
        Why a kind of predictions was not examined, a sentence each.
    """

    predictions: str
    dataset: str
    examinations: tuple[Examination, ...]
    left_out: tuple[str, ...] = ()

    SCHEMA = 1

    @property
    def found(self) -> bool:
        """Whether a mistake explains the errors of any kind."""
        return any(e.explanation is not None for e in self.examinations)

    def to_json(self) -> dict[str, Any]:
        """One document."""
        return {"schema": self.SCHEMA, "found": self.found, **asdict(self)}


def diagnose(
    predictions: PathLike | Predictions,
    dataset: str | Dataset | None = None,
    *,
    protocol: str = "",
    data: PathLike | Iterable[PathLike] | None = None,
    seed: int = 0,
) -> Diagnosis:
    """Try explanations for the errors of predictions and tell the simplest one that they bear out.

    Parameters
    ----------
    predictions : path or Predictions
    dataset : str or Dataset, optional
        May be left out when `protocol` names it.
    protocol : str, optional
        By whose labels; default: for each kind of predictions the dataset's protocol with the most of their faces.
    data : path or paths, optional
        Folders or archives; without it ``$HPBENCH_DATA/<dataset>``.
    seed : int
        Of the halves.

    Raises
    ------
    InputError
        For a file that cannot be read, ids that are not the dataset's, or predictions that nothing here can be compared with.
    MissingDataError
        Where the labels are not here.
    """
    given = predictions if isinstance(predictions, Predictions) else read_given_predictions(predictions)
    origin = "" if isinstance(predictions, Predictions) else str(predictions)
    if dataset is None:
        if not protocol:
            raise InputError("say which dataset (-d) or which protocol (--protocol) the predictions are for.")
        dataset = protocol_named(protocol).dataset
    source = dataset if isinstance(dataset, Dataset) else load(dataset, data)
    protocols = _protocols(source, protocol)
    if not len(given.faces):
        raise InputError(f"{origin + ': ' if origin else ''}there are no rows: nothing to examine.")
    refuse_unknown_ids(given.faces, source.all_ids(), origin)
    examinations: list[Examination] = []
    left_out: list[str] = []
    known: dict[str, str] | None = None
    for kind in KINDS:
        if getattr(given.faces, "rotation" if kind == "pose" else kind) is None:
            continue
        chosen = _protocol_for(kind, protocols, source, given)
        if isinstance(chosen, str):
            left_out.append(f"{kind} not examined: {chosen}.")
            continue
        truth = source.truth(chosen.split, chosen.labels)
        ids = [str(i) for i in truth.sample_id]  # type: ignore[union-attr]
        boxes = source.boxes_of(given.boxes if given.boxes in source.card.boxes else chosen.boxes, ids) if kind == "landmarks" else None
        if chosen.norm_box:
            truth = replace(truth, box_xyxy_px=source.boxes_of(chosen.norm_box, ids))

        def sizes(of: Sequence[str], boxes: str = chosen.boxes) -> Array | None:
            return _image_sizes(source, of, boxes)

        faces = as_compared(chosen, source.scheme(chosen.labels), given.faces, mix_schemes=True)
        found, rows = examine(kind, chosen, truth, faces, boxes_xyxy_px=boxes, image_sizes=sizes, known=known, seed=seed)
        known = rows or known
        examinations.append(found)
    if not examinations:
        where = f"{origin}: " if origin else ""
        why = " ".join(left_out) or "there is no pose, no landmark and no visibility in it."
        raise InputError(f"{where}nothing can be examined: {why}")
    return Diagnosis(origin, source.card.id, tuple(sorted(examinations, key=lambda e: ("pose", *KINDS).index(e.kind))), tuple(left_out))


def _protocols(source: Dataset, name: str) -> list[Protocol]:
    if not name:
        return protocols_of(source.card)
    protocol = protocol_named(name if "/" in name else f"{source.card.id}/{name}")
    if protocol.dataset != source.card.id:
        raise InputError(f"protocol {name!r} is one of {protocol.dataset}'s, not of {source.card.id}'s.")
    return [protocol]


def _protocol_for(kind: str, protocols: Sequence[Protocol], source: Dataset, given: Predictions) -> Protocol | str:
    """The protocol of a kind with the most of the predicted faces, or why there is none."""
    predicted = {str(i) for i in given.faces.sample_id}  # type: ignore[union-attr]
    able = [p for p in protocols if protocol_needs(p, kind)]
    if not able:
        return f"no protocol of {source.card.id} measures it"
    if kind == "visibility" and is_constant(given.faces):
        return "it is one number everywhere"
    fitting: list[tuple[tuple[object, ...], Protocol]] = []
    problems, absent = [], True
    for p in able:
        # one kind at a time: a protocol of two must not fail for the other
        alone = replace(p, metrics=tuple(m for m in p.metrics if parse_metric(m).family.needs == kind))
        if problem := obstacle(alone, source.scheme(p.labels), given.faces, "", mix_schemes=True):
            problems.append(f"{p.reference}: {problem}")
            continue
        ids = set(source.found_ids(p.split, p.labels))
        absent &= not ids
        if (n := len(ids & predicted)) > 0:
            other = as_compared(alone, source.scheme(p.labels), given.faces).scheme not in (None, source.scheme(p.labels))
            not_theirs = given.boxes not in ("", p.boxes)
            fitting.append(((-n, kind == "landmarks" and other, not_theirs, bool(p.align_by), p.exclude is not None, len(p.id)), p))
    if fitting:
        return min(fitting, key=lambda item: item[0])[1]
    if problems:
        return problems[0]
    if absent:
        raise MissingDataError(f"{source.card.id}: there are no labels for its {kind} in the data given.")
    return "none of the predicted faces has labels here"


def _image_sizes(source: Dataset, ids: Sequence[str], boxes: str) -> Array | None:
    """Width and height of each face's image; None where one of them is not here."""
    sizes: list[tuple[int, int]] = []
    try:
        for sample in source.samples_of(list(ids), boxes):
            height, width = sample.image.read().shape[:2]
            sizes.append((width, height))
    except HpbenchError:
        return None
    return np.array(sizes, dtype=np.float64) if len(sizes) == len(ids) else None
