"""What differs between two numbers, as far as both sides say it; what each difference moves is scored elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .ends import End
from .setting import FACTORS, differing, words

__all__ = ["Difference", "differences"]


@dataclass(frozen=True)
class Difference:
    """A thing that two numbers do not share; `scored`: a factor of `hpbench.explain.setting`, of which a step can be made."""

    what: str
    a: str
    b: str
    scored: bool = False


def differences(a: End, b: End) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """What differs, and the names of what is the same; what one side does not say is neither."""
    told: list[Difference] = []
    same: list[str] = []
    for name, fact in _FACTS.items():
        one, other = fact(a), fact(b)
        if not one or not other:
            continue
        if one == other:
            same.append(name)
        else:
            told.append(Difference(name, one, other))
        if name == "protocol text" and a.setting is not None and b.setting is not None:
            apart = differing(a.setting, b.setting)
            told += [Difference(factor, words(a.setting, factor), words(b.setting, factor), scored=True) for factor in apart]
            absent = () if a.setting.convention and b.setting.convention else ("angles",)
            lengths = () if a.setting.norm and b.setting.norm else ("length",)
            elsewhere = ("faces", "labels") if a.dataset != b.dataset else ()
            same += [factor for factor in FACTORS if factor not in (*apart, *absent, *lengths, *elsewhere)]
    return tuple(told), tuple(same)


def _short(sha256: str | None) -> str:
    return (sha256 or "")[:8]


def _protocol_text(end: End) -> str:
    return _short(end.record.protocol.sha256 if end.record else end.protocol.sha256 if end.protocol else "")


def _boxes(end: End) -> str:
    if end.predictions is not None:
        return end.predictions.boxes or "not stated"
    if end.record is not None and any(note.startswith("boxes not stated") for note in end.record.notes):
        return "not stated"
    if end.record is not None and end.record.detector:
        return end.record.detector
    sure = end.row is None or end.row.comparable == "yes"
    return end.protocol.boxes if end.protocol is not None and sure else ""


def _model(end: End) -> str:
    if end.record is not None:
        return " ".join(filter(None, [end.record.model.label, end.record.model.version]))
    return end.title


def _predictions(end: End) -> str:
    if end.record is not None:
        return _short(end.record.predictions_sha256)
    return _short(end.predictions.faces.content_sha256()) if end.predictions is not None else ""


def _poses(end: End) -> str:
    if end.predictions is None or end.predictions.faces.rotation is None:
        return ""
    faces = end.predictions.faces
    return f"angles, {faces.convention}" if faces.euler_deg is not None else "matrices"


def _found(end: End) -> str:
    if end.record is None:
        return ""
    facts = end.record.dataset
    partial = ", partial" if end.record.partial else ""
    verified = {True: ", verified", False: ", not the card's labels", None: ""}[facts.verified]
    return f"{facts.n_found} of {facts.n_expected}{partial}{verified}"


def _coverage(end: End) -> str:
    if end.record is None or end.record.coverage is None:
        return ""
    return f"{100.0 * end.record.coverage:.4g} % ({end.record.main.n_failed} failed)"


def _environment(end: End) -> str:
    environment = end.record.environment if end.record else {}
    return ", ".join(f"{k} {environment[k]}" for k in ("python", "numpy") if isinstance(environment.get(k), str))


_FACTS: dict[str, Callable[[End], str]] = {
    "data set": lambda end: end.dataset,
    "protocol": lambda end: end.protocol.reference if end.protocol else "",
    "protocol text": _protocol_text,
    "boxes given": _boxes,
    "model": _model,
    "weights": lambda end: _short(end.record.model.weights_sha256) if end.record else "",
    "trained on": lambda end: ", ".join(end.record.model.trained_on) if end.record else "",
    "predictions": _predictions,
    "poses": _poses,
    "landmark scheme": lambda end: (end.predictions.faces.scheme or "") if end.predictions else "",
    "labels' hash": lambda end: _short(end.record.truth_sha256) if end.record else "",
    "faces here": _found,
    "coverage": _coverage,
    "hpbench": lambda end: end.record.hpbench if end.record else "",
    "environment": _environment,
}
