"""Protocols: how a dataset is scored, as versioned, hashed files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..checked import build, read_toml
from ..errors import InputError, did_you_mean
from ..metrics import Metric, parse_metric
from .datasets import DatasetCard, dataset_card, dataset_cards, split_ids

__all__ = ["Exclude", "Protocol", "Subset", "eye_norm_refusal", "protocol_from", "protocol_named", "protocols_of"]


@dataclass(frozen=True)
class Exclude:
    """Faces a protocol leaves out.

    ``rule = "any-angle-above"`` with ``deg``: any |yaw|, |pitch| or |roll| of the raw, unwrapped labels is greater;
    ``rule = "yaw-above"``: the attribute ``abs_yaw_deg`` is.
    """

    rule: Literal["any-angle-above", "yaw-above"]
    deg: float


@dataclass(frozen=True)
class Subset:
    """A named part of a protocol's faces: those whose `attribute` lies in a range or in a list of values.

    ``above < value <= up_to`` (either may be left out), or ``value in one_of``.
    """

    name: str
    attribute: str
    above: float | None = None
    up_to: float | None = None
    one_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Protocol:
    """How a dataset is scored: ``datasets/<dataset>/protocols/<name>.toml``, versioned and hashed.

    Attributes
    ----------
    id : str
        ``<dataset>/<name>``.
    version : int
        Bumped by any change that moves a number.
    labels : str
        Which annotation is the truth, where a dataset has several.
    boxes : str
        The box set that the model must have been given.
    metrics : tuple of str
        Metric texts; `main` is one of them.
    norm_box : str
        The box whose height, sqrt(w h) or diagonal normalises landmark errors.
    balance : tuple of str
        Subsets whose means are averaged by ``mean=balanced``.
    cluster_by : str
        ``person`` or ``sequence``: what resampling clusters by.
    align_by : str
        ``all``, ``person`` or ``sequence``: the mean rotation from labels to predictions is taken away in each such group
        before anything is measured.
    failures : mapping of str to float
        Another worst value for a metric than the metric's own.
    eye_norms : bool
        ``norm=corners`` and ``norm=pupils`` are meant, although the dataset has profile faces.
    trained_on : str
        The training set the protocol presumes; a cross-dataset protocol says so.
    citation : str
        Its sources, parted by ``; ``: a key of the card's BibTeX, or words.
    differs : str
        What is known to differ elsewhere, in the papers and their code, a point a line.
    """

    id: str
    version: int
    title: str
    dataset: str
    split: str
    metrics: tuple[str, ...]
    main: str
    boxes: str
    labels: str = ""
    norm_box: str = ""
    exclude: Exclude | None = None
    subsets: tuple[Subset, ...] = ()
    balance: tuple[str, ...] = ()
    cluster_by: Literal["", "person", "sequence"] = ""
    align_by: Literal["", "all", "person", "sequence"] = ""
    failures: dict[str, float] = field(default_factory=dict)
    eye_norms: bool = False
    trained_on: str = ""
    citation: str = ""
    differs: str = ""
    sha256: str = field(default="", init=False)

    @property
    def reference(self) -> str:
        """``<dataset>/<name>@<version>``."""
        return f"{self.id}@{self.version}"


def protocols_of(card: DatasetCard) -> list[Protocol]:
    """The protocols of a dataset, sorted by id."""
    files = sorted((card.folder / "protocols").glob("*.toml"))
    beside = [card.folder / "card.toml", *(card.folder / "splits").glob("*.txt")]  # what a protocol's hash and checks depend on
    stamps = frozenset((path, stat.st_mtime_ns, stat.st_size) for path in (*files, *beside) if path.exists() for stat in [path.stat()])
    if stamps not in _READ:
        if len(_READ) > _MOST_READ:
            _READ.clear()
        _READ[stamps] = tuple(sorted((protocol_from(path, card) for path in files), key=lambda p: p.id))
    return list(_READ[stamps])


_READ: dict[frozenset[tuple[Path, int, int]], tuple[Protocol, ...]] = {}  # a report asks for each some thousand times
_MOST_READ = 100


def protocol_named(text: str) -> Protocol:
    """The protocol ``<dataset>/<name>`` or ``<dataset>/<name>@<version>``."""
    name, _, version = text.partition("@")
    dataset, slash, _ = name.partition("/")
    cards = [dataset_card(dataset)] if slash else list(dataset_cards().values())
    protocols = {p.id: p for card in cards for p in protocols_of(card)}
    if name not in protocols:
        near = name if slash else next((p for p in protocols if p.endswith(f"/{name}")), name)
        raise InputError(f"unknown protocol {text!r}: {did_you_mean(near, protocols)}")
    protocol = protocols[name]
    if version and version != str(protocol.version):
        raise InputError(f"protocol {name!r} is at version {protocol.version} here, not {version}: install the hpbench that has it.")
    return protocol


def eye_norm_refusal(card: DatasetCard, metric_text: str) -> str:
    """Why a metric of landmarks is not for the faces of a dataset, as part of a sentence; "" where it is.

    In profile the two eyes fall together: the smallest distance of the eye corners in AFLW2000-3D is 3.5 px, so a few faces
    decide the mean of an error divided by it.
    """
    norm = parse_metric(metric_text).parameters.get("norm")
    if norm not in ("corners", "pupils") or not card.profile_faces:
        return ""
    return f"norm={norm} is a distance of the eyes, which shrinks to nothing on the profile faces of {card.id}: take a norm of the box"


def protocol_from(path: Path, card: DatasetCard) -> Protocol:
    """Read one protocol of a dataset."""
    data = read_toml(path)
    protocol = build(Protocol, data, str(path))
    if protocol.id != f"{card.id}/{path.stem}" or protocol.dataset != card.id:
        raise InputError(f"{path}: id {protocol.id!r} and dataset {protocol.dataset!r} do not fit the file's place.")
    wrong: list[str] = []
    names = [s.name for s in protocol.subsets]
    for problem in (
        (protocol.main not in protocol.metrics, f"main {protocol.main!r} is none of its metrics"),
        (len(set(names)) < len(names), "two subsets have one name"),
        ("all" in names, "a subset cannot be called 'all', which is the whole"),
        (bool(set(protocol.balance) - set(names)), f"balance {list(protocol.balance)} names a subset that is not there"),
        (protocol.boxes not in card.boxes, f"boxes {protocol.boxes!r} is no box set of {card.id}"),
        (protocol.norm_box not in ("", *card.boxes), f"norm_box {protocol.norm_box!r} is no box set of {card.id}"),
    ):  # fmt: skip
        if problem[0]:
            wrong.append(f"{path}: {problem[1]}.")
    wrong += _wrong_metrics(protocol, card, path)
    if protocol.version < 1:
        wrong.append(f"{path}: version {protocol.version} must be 1 or more.")
    if wrong:
        raise InputError(*wrong)
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    digest = hashlib.sha256(canonical)
    # the list as text, not as a file's bytes: a checkout with CRLF is the same protocol
    listed = split_ids(card, protocol.split)
    digest.update("\n".join(listed if listed is not None else [f"open: {card.splits[protocol.split]}"]).encode())
    object.__setattr__(protocol, "sha256", digest.hexdigest())
    return protocol


def _wrong_metrics(protocol: Protocol, card: DatasetCard, path: Path) -> list[str]:
    """Metric texts are known, canonical, single and such as this protocol can score; charges are of these metrics and no reward."""
    metrics: dict[str, Metric] = {}
    wrong: list[str] = []
    for text in protocol.metrics:
        try:
            metric = parse_metric(text)
        except InputError as error:
            wrong.append(f"{path}: {error}")
            continue
        if metric.text != text:
            wrong.append(f"{path}: write the metric {text!r} as {metric.text!r}.")
        if metric.parameters.get("norm") in ("height", "sqrt_wh", "diagonal") and not protocol.norm_box:
            wrong.append(f"{path}: {text} needs a norm_box: the name of a box set of the card.")
        if not protocol.eye_norms and (refusal := eye_norm_refusal(card, text)):
            wrong.append(f"{path}: {text}: {refusal}, or write eye_norms = true.")
        if metric.balanced and not protocol.balance:
            wrong.append(f"{path}: {text} needs balance: the names of the subsets that are its bins.")
        metrics[text] = metric
    if len(set(protocol.metrics)) < len(protocol.metrics):
        wrong.append(f"{path}: a metric stands twice in metrics.")
    if protocol.main in metrics and metrics[protocol.main].whole:
        wrong.append(f"{path}: main {protocol.main} is a legacy formula of all errors together, without an interval: it does not rank.")
    if protocol.align_by and not any(m.family.needs == "pose" for m in metrics.values()):
        wrong.append(f"{path}: align_by takes a rotation away from poses, but none of the metrics is of pose.")
    for text, charge in protocol.failures.items():
        if text not in protocol.metrics:
            wrong.append(f"{path}: failures names {text!r}: {did_you_mean(text, protocol.metrics)}")
        elif text in metrics and metrics[text].pooled:
            wrong.append(f"{path}: failures names {text}, for which failed faces are ranked last instead of charged a value.")
        if charge < 0:
            wrong.append(f"{path}: the charge of {text} is {charge:g}: a failed face is not rewarded.")
    return wrong
