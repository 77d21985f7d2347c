"""What stands between predictions and a protocol: kinds, schemes, boxes and ids that do not fit, and numbers that look wrong.

Each answer is one sentence that names the mistake it guesses.  What cannot be scored is refused; what can, but looks like a
mistake, is a note in the record (`suspicions`).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from .catalog import Protocol
from .detectors.cards import PREFIX
from .errors import InputError
from .faces import Faces
from .geometry.rotations import geodesic_deg, rotation_from_euler
from .landmarks import SCHEMES
from .mapped import in_scheme, map_between, other_points
from .metrics import Metric, parse_metric
from .metrics.pose import angles_deg
from .metrics.visibility import decisions_of, is_constant, roc_auc

__all__ = [
    "as_compared",
    "mixes_schemes",
    "obstacle",
    "protocol_needs",
    "refuse_unknown_ids",
    "suspicions",
    "tells_kinds_apart",
    "view_refusal",
]

_Array = npt.NDArray[np.float64]

_FACES_LOOKED_AT = 1000  # enough for a suspicion, and no time beside scoring a million
_FEW_FACES, _MANY_FACES = 3, 10  # of fewer, chance can look like anything: where the fit is compared, where the range alone
_FEWEST_DECISIONS = 50  # occluded ones, and visible ones
_INVERTED_BELOW = 35.0  # ROC-AUC in percent: a guess has 50, and no bad model that little


def obstacle(protocol: Protocol, truth_scheme: str, predictions: Faces, boxes: str, *, mix_schemes: bool = False) -> str:
    """Why these predictions cannot be scored by a protocol, or "".

    Parameters
    ----------
    boxes : str
        The box set the model was given; "" = not stated, which is allowed, as are a detector's (both are noted in the record).
    mix_schemes : bool
        Score landmarks of another scheme of the same length all the same.

    Points that `hpbench.mapped` makes those of the labels are no obstacle.
    """
    mapped = map_between(predictions.scheme, truth_scheme, mix_schemes=_mixes(protocol, mix_schemes))
    scheme = mapped or predictions.scheme
    if protocol_needs(protocol, "pose") and not predictions.has_rotation:
        return "the predictions hold no pose"
    if protocol_needs(protocol, "visibility"):
        if predictions.visibility is None:
            return "the predictions hold no visibility"
        if is_constant(predictions):
            value = predictions.visibility[~np.isnan(predictions.visibility)][0]
            return f"the visibility of all points of all faces is {value:g}: not predicted? leave it out then"
        points = SCHEMES[mapped].n_points if mapped else predictions.visibility.shape[1]
        if problem := other_points("visibility", points, scheme, truth_scheme):
            return problem
    if protocol_needs(protocol, "landmarks"):
        if predictions.landmarks is None:
            return "the predictions hold no landmarks"
        points = SCHEMES[mapped].n_points if mapped else predictions.landmarks.shape[1]
        if problem := other_points("landmarks", points, scheme, truth_scheme):
            return problem
        if scheme not in (None, truth_scheme) and not mix_schemes:
            return f"the predictions are {scheme}, the labels {truth_scheme}: other points; --mix-schemes scores them all the same"
    if boxes and boxes != protocol.boxes and not boxes.startswith(PREFIX):
        return f"the model was given the boxes {boxes!r}, the protocol's are {protocol.boxes!r}"
    return ""


def as_compared(protocol: Protocol, truth_scheme: str, predictions: Faces, *, mix_schemes: bool = False) -> Faces:
    """Predictions as a protocol compares them with labels of a scheme: their points mapped by `hpbench.mapped` where it knows how."""
    if not protocol_needs(protocol, "landmarks") and not protocol_needs(protocol, "visibility"):
        return predictions
    return in_scheme(predictions, truth_scheme, mix_schemes=_mixes(protocol, mix_schemes))


def _mixes(protocol: Protocol, asked: bool) -> bool:
    """Visibility alone may be that of another scheme of the same length: which point it is, not where, is what counts."""
    return asked or not protocol_needs(protocol, "landmarks")


def mixes_schemes(protocol: Protocol, truth_scheme: str, predictions: Faces) -> bool:
    """Whether a protocol would compare landmarks of two schemes; predictions that state none are taken to be the labels'."""
    return protocol_needs(protocol, "landmarks") and predictions.landmarks is not None and predictions.scheme not in (None, truth_scheme)


def protocol_needs(protocol: Protocol, kind: str) -> bool:
    """Whether a protocol has a metric of this kind (``pose``, ``landmarks``)."""
    return any(parse_metric(text).family.needs == kind for text in protocol.metrics)


def tells_kinds_apart(truth: Faces) -> bool:
    """Whether labels tell external from self-occlusion.  Labels of two ways write 1 for both, so a 2 somewhere says that they do."""
    return truth.occlusion is not None and bool((truth.occlusion == 2).any())


def view_refusal(protocol: Protocol, truth: Faces, metric: Metric) -> str:
    """Why a metric's view says nothing of its own about these labels, as part of a sentence; "" where it does.

    A protocol with such views among its own metrics says that its labels tell the kinds apart, though a few faces may not show it.
    """
    told = {parse_metric(text).parameters.get("view") for text in protocol.metrics} & {"external", "self"}
    if metric.parameters.get("view") not in ("external", "self") or told or tells_kinds_apart(truth):
        return ""
    return f"the labels of {protocol.dataset} do not tell external from self-occlusion: leave the view out"


def refuse_unknown_ids(predictions: Faces, known: Sequence[str], source: str = "") -> None:
    """`InputError` for predictions with ids that a dataset does not have, guessing what they were meant to be.

    Parameters
    ----------
    known : sequence of str
        All ids of the dataset.
    source : str
        What the error calls the predictions: their file.
    """
    if len(predictions) == len(known) and all(map(operator.eq, predictions.sample_id, known)):  # type: ignore[arg-type]
        return  # most often, and without a set of a million ids
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
    elif near := next((name for name in known if _bare(name) == _bare(first)), None):
        guess = f"did you mean {near!r}?"
    where = f"{source}: " if source else ""
    raise InputError(f"{where}{len(unknown)} of {len(predictions)} ids are not in the dataset, the first is {first!r}: {guess}")


def _bare(name: str) -> str:
    """An id without what copies of a data set change in file names: blanks and capitals."""
    return "".join(name.split()).casefold()


def suspicions(protocol: Protocol, truth: Faces, predictions: Faces) -> list[str]:
    """What in these predictions looks like a mistake of units, frames, polarity or order: notes for the record, never refusals.

    Only clear cases are told, from at most a thousand of the faces that have both labels and predictions.  Each note ends in a
    guess with a question mark, ``...: radians? ...``, which boards show as a mark (`hpbench.leaderboard`).

    Parameters
    ----------
    protocol : Protocol
    truth, predictions : Faces
        Of any ids; `obstacle` has found nothing.
    """
    rows = predictions.rows_of([str(i) for i in truth.sample_id])  # type: ignore[union-attr]
    both = np.flatnonzero(rows >= 0)
    if not len(both):
        return []
    looked_at = min(len(both), _FACES_LOOKED_AT)
    both = both[np.arange(looked_at) * len(both) // looked_at]
    everyone, truth, predictions = truth, truth.take(both), predictions.take(rows[both])
    kinds: dict[str, Callable[[Faces, Faces], str]] = {
        "pose": _of_pose,
        "landmarks": functools.partial(_of_landmarks, everyone),
        "visibility": _of_visibility,
    }
    return [note for kind, look in kinds.items() if protocol_needs(protocol, kind) and (note := look(truth, predictions))]


def _of_pose(truth: Faces, prediction: Faces) -> str:
    if truth.rotation is None or prediction.rotation is None:
        return ""
    convention = prediction.convention or truth.convention or "300w-lp"
    angles, raw = angles_deg(prediction, convention)
    good = ~(np.isnan(angles).any(axis=1) | np.isnan(truth.rotation).any(axis=(1, 2)))
    if good.sum() < _FEW_FACES:
        return ""
    labels, angles = truth.rotation[good], angles[good]
    rotations, varies = prediction.rotation[good], np.ptp(angles, axis=0).max() > 0  # a constant is a baseline
    error = np.median(geodesic_deg(labels, rotations))
    if varies and len(angles) >= _MANY_FACES and np.median(geodesic_deg(labels, rotations.swapaxes(1, 2))) < error / 3:
        if raw:
            return "the inverse of the predicted rotations fits the labels far better: angles of opposite sign? See docs/conventions.md"
        return "transposed, the predicted rotations fit the labels far better: transposed? rotation is head to camera"
    largest = np.abs(angles).max(axis=1)
    if raw and np.median(largest) > 360.0:
        return "most predicted angles are beyond a full turn: degrees taken for radians and converted? euler_deg is in degrees"
    if largest.max() > 2 * np.pi:
        return ""
    if np.median(geodesic_deg(labels, rotation_from_euler(np.rad2deg(angles), convention))) < error / 3:
        what = "euler_deg is in degrees" if raw else "the rotations were made of radians taken for degrees"
        return f"taken as radians, the predicted angles fit the labels far better: radians? {what}"
    if raw and varies and len(angles) >= _MANY_FACES and largest.max() <= 3.15 and np.median(geodesic_deg(labels, np.eye(3))) > 10.0:
        return "all predicted angles are within 3.15 while the labels are not: radians? euler_deg is in degrees"
    return ""


def _of_landmarks(everyone: Faces, truth: Faces, prediction: Faces) -> str:
    """Whether points fit the labels in another frame, or the labels of other faces; `everyone` has all labels."""
    labels, points = truth.landmarks, prediction.landmarks
    if labels is None or points is None or labels.shape != points.shape:
        return ""
    away, left = _misfit(labels, points)
    if (compared := int(np.isfinite(left).sum())) == 0:
        return ""
    apart, reshaped = np.nanmedian(away), np.nanmedian(left)
    if compared >= _FEW_FACES and apart > 0.5 and np.nanmedian(_misfit(labels, points[..., ::-1])[0]) < apart / 10:
        return "with x and y changed for one another the predicted landmarks fit the labels: x and y swapped? A point is x, y"
    if apart < 1.0:
        return ""
    if np.nanmax(np.abs(points)) <= 1.5:
        return "all predicted landmarks are within -1.5 to 1.5: normalised coordinates? They are pixels of the original image"
    if compared >= _MANY_FACES and everyone.landmarks is not None and _fits_others(everyone.landmarks, points, apart):
        return "the predicted landmarks fit the labels of other faces, not their own: rows given to the wrong faces? sample_id says whose"
    if compared >= _FEW_FACES and reshaped < min(0.5, apart / 4) and _in_another_frame(labels, points, reshaped):
        return (
            "the predicted shapes fit the labels once each is moved and scaled, and not before: coordinates of the crop or of a resized "
            "image? They are pixels of the original image"
        )
    return ""


def _misfit(labels: _Array, points: _Array) -> tuple[_Array, _Array]:
    """Root mean square distance of points from labels, (N, L, 2) each, as a share of the labels' size, (N,): as they are, and once
    both are moved to their means and scaled to one size (unrelated shapes are 1.4 apart).  NaN with fewer than three points or none apart.
    """
    known = np.asarray(~np.isnan(labels + points).any(axis=2))
    known &= (known.sum(axis=1) >= 3)[:, None]
    weight = (known / np.maximum(known.sum(axis=1, keepdims=True), 1))[:, :, None]
    labels, points = np.where(known[:, :, None], labels, 0.0), np.where(known[:, :, None], points, 0.0)
    shape, size = _shape_and_size(labels, weight)
    predicted, _ = _shape_and_size(points, weight)
    return np.sqrt((weight * (labels - points) ** 2).sum(axis=(1, 2))) / size, np.sqrt((weight * (shape - predicted) ** 2).sum(axis=(1, 2)))


def _in_another_frame(labels: _Array, points: _Array, left: float) -> bool:
    """Whether what remains after moving and scaling is the faces' own: faces are alike, and given to the wrong ones would fit as well.

    Either the shapes fit their own labels better than those of the next face, or all lie in one place, as in crops.
    """
    if left < 0.7 * np.nanmedian(_misfit(np.roll(labels, 1, axis=0), points)[1]):
        return True
    centre, size = _centre_and_size(points)
    return bool(np.nanmedian(np.hypot(*(centre - np.nanmedian(centre, axis=0)).T)) < 0.5 * np.nanmedian(size))


def _fits_others(labels: _Array, points: _Array, apart: float) -> bool:
    """Whether most predicted faces lie on the labels of a face, each on those of another one; `apart` is how they fit their own."""
    from scipy.spatial import KDTree

    theirs, ours = (np.column_stack(_centre_and_size(faces)) for faces in (labels, points))
    has, asks = (np.flatnonzero(np.isfinite(rows).all(axis=1)) for rows in (theirs, ours))
    if not len(has) or not len(asks):
        return False
    near = has[KDTree(theirs[has]).query(ours[asks], k=min(5, len(has)))[1].reshape(len(asks), -1)]
    fits = np.stack([_misfit(labels[candidates], points[asks])[0] for candidates in near.T], axis=1)
    fits = np.where(np.isnan(fits), np.inf, fits)
    chosen = near[np.arange(len(asks)), fits.argmin(axis=1)]
    return bool(np.median(fits.min(axis=1)) < min(0.35, apart / 4) and len(np.unique(chosen)) >= 0.7 * len(asks))


def _centre_and_size(faces: _Array) -> tuple[_Array, _Array]:
    """Mean of the points, (N, 2), and their root mean square distance from it, (N,); NaN without points."""
    known = ~np.isnan(faces).any(axis=2, keepdims=True)
    n = known.sum(axis=1)
    with np.errstate(invalid="ignore"):
        centre = np.where(known, faces, 0.0).sum(axis=1) / n
        return centre, np.sqrt((np.where(known, faces - centre[:, None], 0.0) ** 2).sum(axis=(1, 2)) / n[:, 0])


def _shape_and_size(points: _Array, weight: _Array) -> tuple[_Array, _Array]:
    """Points about their mean and of unit size (N, L, 2), and the size (N,): the root mean square distance from the mean, not 0."""
    centred = points - (weight * points).sum(axis=1, keepdims=True)
    size = np.sqrt((weight * centred**2).sum(axis=(1, 2)))
    size = np.where(size > 0, size, np.nan)
    return centred / size[:, None, None], size


def _of_visibility(truth: Faces, prediction: Faces) -> str:
    if len(truth) >= _MANY_FACES and is_constant(prediction):
        return "the visibility of all points of the faces that are scored is one number: visibility not predicted? leave it out then"
    decisions, _, failed = decisions_of(truth, prediction)
    decisions = decisions.of_faces(~failed)
    occluded = int(decisions.positive.sum())
    if len(truth) < _MANY_FACES or min(occluded, len(decisions.positive) - occluded) < _FEWEST_DECISIONS:
        return ""
    ranked = roc_auc(decisions).point()
    if ranked < _INVERTED_BELOW:
        return f"visible points are predicted as occluded (ROC-AUC {ranked:.0f} %): visibility inverted? It is P(visible)"
    return ""
