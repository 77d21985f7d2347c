"""A person with an expression and a bent neck, in the head's own frame."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from .bust import BustModel, Part
from .frame import HEAD_FROM_TEMPLATE, TEMPLATE_FROM_ANNY
from .people import Person

__all__ = ["Posed", "Poser"]

Array = npt.NDArray[Any]

_NECK = ("neck01", "neck02", "neck03", "head")
_HEAD_FROM_ANNY = HEAD_FROM_TEMPLATE @ TEMPLATE_FROM_ANNY


@dataclasses.dataclass(frozen=True, eq=False)
class Posed:
    """A posed bust.

    Attributes
    ----------
    vertices_m : (V, 3) float64
        In the head frame: the body moves, the skull does not.
    body_from_head : (3, 3)
        How far the head has turned against the body, in axes of the head frame.
    """

    vertices_m: Array
    body_from_head: Array


class Poser:
    """Shapes people.  The head frame is rigid: it follows the head's bone, and its origin is midway between the centres of the
    eyeballs of the same person with a neutral face, so that neither expression nor gaze nor the neck moves it.

    Parameters
    ----------
    model : BustModel
    """

    def __init__(self, model: BustModel) -> None:
        self._model = model
        self._eyes = [np.unique(model.topology.of(part)) for part in (Part.EYE_LEFT, Part.EYE_RIGHT)]

    def pose(self, person: Person, actions: Array, turn: Array) -> Posed:
        """The person with facial `actions` (A,), the head turned by `turn` (3, 3) against the body, axes of the head frame.

        The neck's bones share the turn; the skin that hangs on the skull follows the head's bone to 0.2 mm.
        """
        step = _HEAD_FROM_ANNY.T @ _root(turn, len(_NECK)) @ _HEAD_FROM_ANNY
        bones = {name: np.stack([step, np.eye(3)]) for name in _NECK}  # second row: the same person at rest
        moments = np.stack([actions, np.zeros_like(actions)])
        vertices, moved = self._model(np.stack([person.phenotype] * 2), np.stack([person.changes] * 2), moments, bones)
        (here, turned), (rest, _) = (_in_bone(*one) for one in zip(vertices, moved, strict=True))
        origin = np.mean([rest[eye].mean(axis=0) for eye in self._eyes], axis=0)
        in_head = (here - origin) @ _HEAD_FROM_ANNY.T
        return Posed(in_head, _HEAD_FROM_ANNY @ turned @ _HEAD_FROM_ANNY.T)


def _in_bone(vertices: Array, moved: Array) -> tuple[Array, Array]:
    """Vertices (V, 3) in the axes of the head's bone before it moved, and how it turned (3, 3); float64."""
    u, _, vt = np.linalg.svd(moved[:3, :3].astype(np.float64))  # the model's is float32: made orthonormal
    rotation = u @ vt
    return (vertices.astype(np.float64) - moved[:3, 3]) @ rotation, rotation


def _root(rotation: Array, count: int) -> Array:
    """The rotation (3, 3) of which `count` make `rotation`, an angle below 180 degrees."""
    axis = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    sine = float(np.linalg.norm(axis))
    if sine < 1e-9:
        return np.eye(3)
    angle = np.arctan2(sine / 2, (np.trace(rotation) - 1) / 2) / count
    x, y, z = axis / sine
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)
