"""How much the crop matters: the error against the size and the place of the given box.

A model is trained on boxes of one kind (a detector's, a rectangle of landmarks, with some margin) and given others.  Boxes are scaled
about their centres and moved by shares of their own width and height; pictures and labels stay.  A rotation relative to the ray through the
box centre stays too: moving a crop does not change what the face looks like.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..faces import Faces
from .contract import Check, Listener
from .responses import Response, least_between, responses_to
from .specimens import Specimens, Yardstick, predicted

__all__ = ["SCALES", "SHIFTS", "changed_boxes", "crop_checks", "crop_responses", "curves_of", "difference_text"]

Array = npt.NDArray[np.float64]

SCALES = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6)
SHIFTS = (-0.2, -0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2)
_CHANGES = {"box scale": (SCALES, 1.0), "box shift x": (SHIFTS, 0.0), "box shift y": (SHIFTS, 0.0)}
_TOLD = {"box scale": (0.8, 1.2), "box shift x": (-0.1, 0.1), "box shift y": (-0.1, 0.1)}  # what a sentence quotes


def changed_boxes(boxes_xyxy_px: Array, change: str, amount: float) -> Array:
    """Boxes (N, 4) scaled about their centres (``box scale``) or moved by a share of their width (``x``) or height (``y``)."""
    centre, size = (boxes_xyxy_px[:, :2] + boxes_xyxy_px[:, 2:]) / 2.0, boxes_xyxy_px[:, 2:] - boxes_xyxy_px[:, :2]
    if change == "box scale":
        size = size * amount
    else:
        centre = centre + amount * size * (np.array([1.0, 0.0]) if change == "box shift x" else np.array([0.0, 1.0]))
    return np.concatenate([centre - size / 2.0, centre + size / 2.0], axis=1)


def crop_responses(watch: Listener, specimens: Specimens, given: Faces, yardsticks: Sequence[Yardstick], batch_size: int) -> list[Response]:
    """Scores at every scale and every shift of the boxes; `given` are the predictions for the boxes as they are."""
    found = []
    boxes = specimens.boxes_xyxy_px
    for change, (amounts, at) in _CHANGES.items():
        changed = [
            (a, predicted(watch, specimens.samples, specimens.images, batch_size, changed_boxes(boxes, change, a)))
            for a in amounts if a != at
        ]  # fmt: skip
        found += [r for y in yardsticks for r in responses_to(y, given, change, changed, at)]
    return found


def curves_of(responses: Sequence[Response]) -> dict[tuple[str, str], list[Response]]:
    """The responses of each (metric, change of the box), by amount."""
    curves: dict[tuple[str, str], list[Response]] = {}
    for response in responses:
        if response.change in _CHANGES:
            curves.setdefault((response.metric, response.change), []).append(response)
    return curves


def crop_checks(responses: Sequence[Response], metrics: Sequence[str]) -> list[Check]:
    """Where the error is least, and what wrong boxes cost, by the first metric of each kind."""
    curves = curves_of(responses)
    told = [_check(change, curves[metric, change]) for change in _CHANGES for metric in metrics if (metric, change) in curves]
    return told or [Check(change, "untold", "nothing is scored") for change in _CHANGES]


def _check(change: str, curve: Sequence[Response]) -> Check:
    at = _CHANGES[change][1]
    best = min(curve, key=lambda r: r.value)
    metric = curve[0].metric
    if all(r.difference == 0.0 for r in curve):
        return Check(change, "ok", f"{metric} does not depend on it")
    costs = ", ".join(f"at {_amount(change, r.amount)} {difference_text(r)}" for r in curve if r.amount in _TOLD[change])
    low, high = least_between([(r.amount, r.least_share) for r in curve])
    between = f" (between {_amount(change, low)} and {_amount(change, high)})" if low < high else ""
    where = f"{metric} is least at {_amount(change, best.amount)}{between}"
    if low <= at <= high or not best.better:
        return Check(change, "ok", f"{where}; {costs}")
    edge = " or more" if best is curve[0] or best is curve[-1] else ""
    return Check(change, "note", f"{_meaning(change, best.amount, edge)}: {where}, {difference_text(best)} there; {costs}")


def _meaning(change: str, amount: float, edge: str) -> str:
    """What a least error elsewhere than at the given boxes says."""
    if change == "box scale":
        return f"the given boxes seem {max(amount, 1 / amount):.2g}{edge} times too {'small' if amount > 1 else 'large'} for this model"
    way = {"box shift x": ("left", "right"), "box shift y": ("high", "low")}[change][amount < 0]
    of = "widths" if change == "box shift x" else "heights"
    return f"the given boxes seem {abs(amount):g}{edge} {of} too {'far ' * (way in ('left', 'right'))}{way} for this model"


def _amount(change: str, amount: float) -> str:
    return f"{amount:g}" if change == "box scale" else f"{amount:+g}" if amount else "0"


def difference_text(response: Response) -> str:
    """``+1.52 deg (1.10 to 1.94)``."""
    if response.difference_low is None or response.difference_high is None:
        return f"{response.difference:+.2f} {response.unit}"
    return f"{response.difference:+.2f} {response.unit} ({response.difference_low:+.2f} to {response.difference_high:+.2f})"
