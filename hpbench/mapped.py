"""Predictions in the landmark scheme of the labels that they are compared with, where a named map makes every point of it."""

from __future__ import annotations

from dataclasses import replace

from .faces import Faces
from .landmark_maps import MAPS, map_landmarks
from .landmarks import SCHEMES

__all__ = ["MAPPED", "in_scheme", "map_between", "mapped_note", "other_points"]

MAPPED = "landmarks mapped from"  # how the note of a record begins whose predictions are mapped


def map_between(source: str | None, labelled: str, *, mix_schemes: bool = False) -> str:
    """The scheme that a whole map makes of points of `source`, to be compared with labels of `labelled`; "" where there is none.

    A map is whole when it makes every point of its target: a point left out would fail every face that has it labelled.

    Parameters
    ----------
    source : str or None
        Scheme of the predictions; None = not stated, and nothing is guessed.
    labelled : str
        Scheme of the labels.
    mix_schemes : bool
        Another scheme with as many points as the labels will do, where no map leads to theirs.
    """
    if source is None or source == labelled or labelled not in SCHEMES:
        return ""
    alike = [name for name in SCHEMES if mix_schemes and SCHEMES[name].n_points == SCHEMES[labelled].n_points]
    if source in alike:  # already as many points: mixed, not mapped
        return ""
    return next((target for target in (labelled, *alike) if all(MAPS.get((source, target), ((),)))), "")


def in_scheme(predictions: Faces, labelled: str, *, mix_schemes: bool = False) -> Faces:
    """Predictions as they are compared with labels of a scheme: mapped by `map_between` where it knows how, else as they are.

    A mapped point has the mean place of its source points, and the mean of their visibilities.
    """
    target = map_between(predictions.scheme, labelled, mix_schemes=mix_schemes)
    if not target:
        return predictions
    assert predictions.scheme is not None
    points, visible = predictions.landmarks, predictions.visibility
    return replace(
        predictions,
        landmarks=None if points is None else map_landmarks(points, predictions.scheme, target),
        visibility=None if visible is None else map_landmarks(visible[..., None], predictions.scheme, target)[..., 0],
        scheme=target,
    )


def mapped_note(predictions: Faces, compared: Faces) -> str:
    """What a record says of predictions that `in_scheme` has changed, "" of others."""
    if predictions.scheme == compared.scheme or predictions.scheme is None:
        return ""
    return f"{MAPPED} {predictions.scheme}: to {compared.scheme} by hpbench.landmarks.MAPS"


def other_points(kind: str, predicted: int, stated: str | None, labelled: str) -> str:
    """Why so many predicted points cannot be compared with the labels' scheme, as one sentence without its full stop, or "".

    Parameters
    ----------
    kind : {"landmarks", "visibility"}
    predicted : int
        Points a face.
    stated : str or None
        Their scheme.
    labelled : str
        The labels' scheme.
    """
    if labelled not in SCHEMES or predicted == SCHEMES[labelled].n_points:
        return ""
    have = f"{predicted} landmarks" if kind == "landmarks" else f"the visibility of {predicted} points"
    problem = f"the predictions have {have} a face, the labels {SCHEMES[labelled].n_points} ({labelled})"
    if predicted == 66 and stated is None and SCHEMES[labelled].n_points == 68:
        return f"{problem}: the 68 without the inner mouth corners, 60 and 64? State openseeface66 as their scheme if they have its order"
    known = [name for name, scheme in SCHEMES.items() if scheme.n_points == predicted and stated in (None, name)]
    source = next((name for name in known if (name, labelled) in MAPS), None)
    if source is not None:
        missing = [str(i) for i, points in enumerate(MAPS[source, labelled]) if not points]
        if missing:
            number = f"{len(missing)} of them ({', '.join(missing[:8])}{', ...' if len(missing) > 8 else ''})"
            return f"{problem}: {source} has nothing like {number}, and a labelled point without a prediction fails its face"
        return f"{problem}: state their scheme, {source}, and they are mapped"
    if stated is not None and map_between(stated, labelled, mix_schemes=True):
        kin = map_between(stated, labelled, mix_schemes=True)
        return f"{problem}: {stated} can be made {kin}, whose points are others of as many; --mix-schemes scores them all the same"
    others = [target for name, target in MAPS if name in known]
    but = f", only to {' and '.join(dict.fromkeys(others))}" if others else ""
    return f"{problem}: there is no map from {known[0] if known else f'{predicted} points'} to {labelled}{but}"
