"""What stands between predictions and a protocol: kinds, schemes, boxes and ids that do not fit, and numbers that look wrong.

Each answer is one sentence that names the mistake it guesses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .catalog import Protocol
from .errors import InputError
from .faces import Faces
from .geometry.rotations import geodesic_deg
from .landmarks import SCHEMES
from .metrics import parse_metric

__all__ = ["looks_like_radians", "mixes_schemes", "obstacle", "protocol_needs", "refuse_unknown_ids"]


def obstacle(protocol: Protocol, truth_scheme: str, predictions: Faces, boxes: str, *, mix_schemes: bool = False) -> str:
    """Why these predictions cannot be scored by a protocol, or "".

    Parameters
    ----------
    boxes : str
        The box set the model was given; "" = not stated, which is allowed (and noted in the record).
    mix_schemes : bool
        Score landmarks of another scheme of the same length all the same.
    """
    if protocol_needs(protocol, "pose") and predictions.rotation is None:
        return "the predictions hold no pose"
    if protocol_needs(protocol, "visibility") and predictions.visibility is None:
        return "the predictions hold no visibility"
    if protocol_needs(protocol, "landmarks"):
        if predictions.landmarks is None:
            return "the predictions hold no landmarks"
        labelled, predicted = SCHEMES[truth_scheme].n_points if truth_scheme in SCHEMES else 0, predictions.landmarks.shape[1]
        if labelled and predicted != labelled:
            return f"the predictions have {predicted} landmarks a face, the labels {labelled} ({truth_scheme})"
        if mixes_schemes(protocol, truth_scheme, predictions) and not mix_schemes:
            return (
                f"the predictions are {predictions.scheme}, the labels {truth_scheme}: other points; --mix-schemes scores them all the same"
            )
    if boxes and boxes != protocol.boxes:
        return f"the model was given the boxes {boxes!r}, the protocol's are {protocol.boxes!r}"
    return ""


def mixes_schemes(protocol: Protocol, truth_scheme: str, predictions: Faces) -> bool:
    """Whether a protocol would compare landmarks of two schemes; predictions that state none are taken to be the labels'."""
    return protocol_needs(protocol, "landmarks") and predictions.landmarks is not None and predictions.scheme not in (None, truth_scheme)


def protocol_needs(protocol: Protocol, kind: str) -> bool:
    """Whether a protocol has a metric of this kind (``pose``, ``landmarks``)."""
    return any(parse_metric(text).family.needs == kind for text in protocol.metrics)


def refuse_unknown_ids(predictions: Faces, known: Sequence[str], source: str = "") -> None:
    """`InputError` for predictions with ids that a dataset does not have, guessing what they were meant to be.

    Parameters
    ----------
    known : sequence of str
        All ids of the dataset.
    source : str
        What the error calls the predictions: their file.
    """
    names = set(known)
    unknown = [str(i) for i in predictions.sample_id if str(i) not in names]  # type: ignore[union-attr]
    if not unknown:
        return
    first = unknown[0]
    stripped = first.strip().rpartition(".")[0]
    tail = first.rpartition("/")[2]
    guess = "ids of another dataset?"
    if first.strip() in names:
        guess = "without the blanks around it, it is one"
    elif stripped in names:
        guess = f"without its suffix it is {stripped!r}"
    elif tail in names or tail.rpartition(".")[0] in names:
        guess = f"ids have no folder and no suffix: {tail.rpartition('.')[0] or tail!r}"
    where = f"{source}: " if source else ""
    raise InputError(f"{where}{len(unknown)} of {len(predictions)} ids are not in the dataset, the first is {first!r}: {guess}")


def looks_like_radians(truth: Faces, predictions: Faces) -> bool:
    """Angles that are not all zero, none beyond pi, against labels of many degrees."""
    if predictions.euler_deg is None or truth.rotation is None:
        return False
    largest = np.abs(predictions.euler_deg[np.isfinite(predictions.euler_deg)]).max(initial=0.0)
    return bool(0.0 < largest <= 3.15 and len(predictions) >= 10 and np.nanmedian(geodesic_deg(truth.rotation, np.eye(3))) > 10.0)
