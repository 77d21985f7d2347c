"""What is asked of a dataset, whatever the model: protocols, boxes, metrics and faces, checked against each other.

Everything that can be refused is refused here, before hours of inference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .catalog import Protocol, dataset_card, eye_norm_refusal, protocol_named, protocols_of
from .detectors.cards import PREFIX, DetectorCard, detector_card
from .detectors.chosen import DetectedBoxes
from .errors import InputError, MissingDataError
from .faces import Sample
from .metrics import parse_metric
from .obstacles import protocol_needs, view_refusal
from .predict import Setup
from .readers import Dataset
from .scoring import Remark

__all__ = ["Options", "Request", "checked_metrics", "protocols_asked_for", "remark_missing", "request_of"]

_LONGEST_S = 7 * 24 * 3600  # that a call of the model may be given


@dataclass(frozen=True)
class Options:
    """What a run is asked for, beside model and dataset; see `hpbench.run`, whose arguments these are."""

    protocol: tuple[str, ...] = ()
    boxes: str = ""
    weights: Path | None = None
    model_args: dict[str, Any] = field(default_factory=dict)
    out: Path | None = None
    batch_size: int | None = None
    limit: int | None = None
    mix_schemes: bool = False
    metrics: tuple[str, ...] = ()
    eye_norms: bool = False
    setup: Setup = Setup()


@dataclass(frozen=True)
class Request:
    """What is asked of a dataset, whatever the model.

    Attributes
    ----------
    source : Dataset
    protocols : list of Protocol
        Asked for, or all of the dataset's.
    served : list of Protocol
        Those for the boxes of this run.
    box_set : str
    metrics : list of str
        Canonical texts of those asked for besides the protocols'.
    ids : list of str
        The faces to predict, sorted.
    options : Options
    detector : DetectorCard or None
        Gives the model its boxes; those of `box_set` then only say which face is meant.
    """

    source: Dataset
    protocols: list[Protocol]
    served: list[Protocol]
    box_set: str
    metrics: list[str]
    ids: list[str]
    options: Options
    detector: DetectorCard | None = None

    @property
    def boxes(self) -> str:
        """What predictions say of their boxes."""
        return f"{PREFIX}{self.detector.id}" if self.detector else self.box_set

    def detected(self) -> DetectedBoxes | None:
        """The detector that gives the boxes, ready."""
        return DetectedBoxes(self.detector) if self.detector else None

    def samples_of(self, ids: Sequence[str]) -> Iterator[Sample]:
        """What the model may see of these faces."""
        return self.source.samples_of(list(ids), self.box_set)


def request_of(source: Dataset, options: Options) -> Request:
    """Check what is asked of a dataset.

    Raises
    ------
    InputError
        Options that contradict each other or the dataset.
    MissingDataError
        Labels or images that are not there.
    """
    protocol = [p for p in options.protocol if p]
    protocols = protocols_asked_for(source.card.id, protocol)
    named_boxes = {p.boxes for p in protocols} if protocol else set()
    detector = detector_card(options.boxes) if options.boxes.startswith(PREFIX) else None
    asked = "" if detector else options.boxes
    box_set = source.box_set(asked or (named_boxes.pop() if len(named_boxes) == 1 and not detector else ""))
    served = protocols if detector else [p for p in protocols if p.boxes == box_set]
    extra = checked_metrics(options.metrics, source, protocols, eye_norms=options.eye_norms)
    _refuse_before_running(source, protocols if protocol else served, "" if detector else box_set, named=bool(protocol))
    setup = options.setup
    _check_counts(limit=options.limit, batch_size=options.batch_size, workers=setup.workers, max_failures=setup.max_failures)
    if setup.timeout_s is not None and not 0 < setup.timeout_s <= _LONGEST_S:
        raise InputError(f"--timeout must be a number of seconds above 0, {_LONGEST_S} at most, got {setup.timeout_s:g}.")
    ids = _ids_to_predict(source, served, options.limit)
    _refuse_no_images(source, served, ids)
    return Request(source, protocols, served, box_set, extra, ids, options, detector)


def protocols_asked_for(dataset_id: str, names: list[str]) -> list[Protocol]:
    """The protocols asked for, or all of a dataset's."""
    wanted = list(dict.fromkeys(names))
    card = dataset_card(dataset_id)
    everything = protocols_of(card)
    if not wanted:
        return everything
    chosen = []
    for name in wanted:
        full = name if "/" in name else f"{dataset_id}/{name}"
        protocol = protocol_named(full)
        if protocol.dataset != dataset_id:
            raise InputError(f"protocol {name!r} is one of {protocol.dataset}'s, not of {dataset_id}'s.")
        chosen.append(protocol)
    return chosen


def checked_metrics(metrics: str | Iterable[str], source: Dataset, protocols: list[Protocol], *, eye_norms: bool) -> list[str]:
    """Canonical texts of metrics asked for besides the protocols'; each can be computed by one of the protocols at least."""
    found = [parse_metric(text) for text in ([metrics] if isinstance(metrics, str) else metrics)]
    for metric in found:
        needs = metric.family.needs
        able = [p for p in protocols if protocol_needs(p, needs)]
        if not able:
            whose = f"{protocols[0].id} does not" if len(protocols) == 1 else "none of the protocols to be scored does"
            raise InputError(f"--metric {metric} measures {needs}, which {whose}.")
        if not eye_norms and (refusal := eye_norm_refusal(source.card, metric.text)):
            raise InputError(f"--metric {metric}: {refusal}; --eye-norms computes it all the same.")
        if metric.parameters.get("view", "occluded") != "occluded":  # needs the labels
            for p in able:
                if source.found_ids(p.split, p.labels) and (refusal := view_refusal(p, source.truth(p.split, p.labels), metric)):
                    raise InputError(f"--metric {metric}: {refusal}.")
    return [metric.text for metric in found]


def _ids_to_predict(source: Dataset, protocols: list[Protocol], limit: int | None) -> list[str]:
    """The faces that are here of all the protocols' splits together, the first of each, sorted: one inference serves them all."""
    splits = {p.split for p in protocols}
    ids = sorted({i for split in splits for i in source.found_ids(split)[:limit]})
    if not ids:
        of = ", ".join(repr(s) for s in sorted(splits)) or "any split: the dataset has no protocols"
        raise MissingDataError(f"{source.card.id}: no face of split {of} is in the data given.")
    return ids


def _refuse_no_images(source: Dataset, protocols: list[Protocol], ids: list[str]) -> None:
    """A model cannot run without a single image."""
    here = {i for p in protocols for i in source.image_ids(p.split)}
    if here.isdisjoint(ids):
        hint = f"{len(here)} others have one" if here else "`hpbench score` scores predictions made elsewhere"
        raise MissingDataError(f"{source.card.id}: none of the {len(ids)} faces to predict has an image in the data given ({hint}).")


def _check_counts(**counts: int | None) -> None:
    for name, value in counts.items():
        least = 0 if name == "max_failures" else 1
        if value is not None and value < least:
            raise InputError(f"--{name.replace('_', '-')} must be at least {least}, got {value}.")


def remark_missing(source: Dataset, protocols: list[Protocol], ids: list[str] | None, remark: Remark) -> None:
    """What is not all there; `ids` are the faces a model is going to see, None where only labels are needed."""
    for split in sorted({p.split for p in protocols}):
        found, expected = source.found_ids(split), source.n_expected(split)
        if 0 < len(found) < expected:  # of a split with none at all, its protocols say that they are not scored
            of = source.card.id if len(source.card.splits) == 1 else f"{source.card.id} ({split})"
            remark(f"{len(found)} of {expected} faces of {of} are here: records are marked partial.")
    if foreign := source.foreign_ids():
        remark(f"{len(foreign)} label files are on no list of {source.card.id} and are passed over (the first: {foreign[0]}).")
    if ids is None:
        return
    with_image = {i for p in protocols for i in source.image_ids(p.split)}
    absent = [i for i in ids if i not in with_image]
    if absent:
        remark(f"{len(absent)} faces have labels but no image (the first: {absent[0]}): they are charged as failures.")


def _refuse_before_running(source: Dataset, protocols: list[Protocol], box_set: str, *, named: bool) -> None:
    """Before hours of inference: what was asked for can be scored with these boxes ("": a detector's) and labels."""
    if not protocols:
        raise InputError(f"{source.card.id}: no protocol of it is for the boxes {box_set!r} (`hpbench protocols list`).")
    for protocol in protocols:
        if box_set and protocol.boxes != box_set:
            raise InputError(
                f"{protocol.reference} is for the boxes {protocol.boxes!r}, not {box_set!r}: run it by itself, without --boxes."
            )
        if named and not source.found_ids(protocol.split, protocol.labels):
            labels = f"{protocol.labels} labels" if protocol.labels else "labels"
            raise MissingDataError(f"{protocol.reference}: there are no {labels} of its split {protocol.split!r} in the data given.")
