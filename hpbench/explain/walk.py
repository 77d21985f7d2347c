"""From one number to the other, a step at a time.

Every factor in which two settings differ is changed by itself: along one path, whose steps add up to the whole difference, and for
each factor alone from the first number's setting (*first*) and with everything else changed already (*last*).  Where *first* and *last*
differ, the factors act together, and another order of steps would share the difference out otherwise.

What scoring cannot show is the rest: the model where only one side's predictions are at hand, and all that a paper does not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..faces import Faces
from .ends import End
from .setting import Bench, Number, Setting, differing, mixed, words

__all__ = ["AGAIN", "FAILED", "MODEL", "REST", "Hands", "Step", "steps_between"]

AGAIN, FAILED, MODEL, REST = "scored again", "which faces fail", "the model", "not explained"
_SAME = 1e-9


@dataclass(frozen=True)
class Step:
    """A change on the way, in the metric's unit.

    Attributes
    ----------
    factors : tuple of str
        More than one where the settings between cannot be scored.
    a, b : str
        What changes.
    change : float
    value : float
        Reached by it.
    first, last : float or None
        The same change alone from the first number's setting; with all else changed.
    faces : int or None
        That the value is of.
    """

    factors: tuple[str, ...]
    a: str
    b: str
    change: float
    value: float
    first: float | None = None
    last: float | None = None
    faces: int | None = None

    @property
    def name(self) -> str:
        return " + ".join(self.factors)


@dataclass(frozen=True)
class Hands:
    """Predictions at hand for the path, at its start and at its end, and what tables say of them."""

    faces: tuple[Faces, Faces]
    words: str
    whose: str  # "both", "a", "b" or "" of others that stand in


@dataclass
class _Walk:
    """Numbers by the factors that have been changed, each scored once."""

    bench: Bench
    a: Setting
    b: Setting
    start: Faces
    end: Faces
    _found: dict[frozenset[str], Number | None] = field(default_factory=dict)

    @property
    def factors(self) -> tuple[str, ...]:
        return differing(self.a, self.b)

    @property
    def of_model(self) -> tuple[str, ...]:
        """What changes with the predictions."""
        if self.start is self.end:
            return ()
        swapped = _swapped(self.start, self.end, self.b)
        return (MODEL,) if swapped is None else (FAILED, MODEL)

    def at(self, changed: frozenset[str]) -> Number | None:
        if changed not in self._found:
            setting = mixed(self.a, self.b, [f for f in self.factors if f in changed])
            self._found[changed] = self.bench.number_or_none(setting, self._faces(changed))
        return self._found[changed]

    def _faces(self, changed: frozenset[str]) -> Faces:
        if {FAILED, MODEL} & set(self.of_model) <= changed:
            return self.end
        if not {FAILED, MODEL} & changed:
            return self.start
        one, other = (self.start, self.end) if FAILED in changed else (self.end, self.start)
        return _swapped(one, other, self.b) or one


def _swapped(faces: Faces, other: Faces, setting: Setting) -> Faces | None:
    """`faces`, but where just one of the two has no prediction, as in `other`; None where nothing fails so, or they hold unlike columns."""
    needs = setting.metric.family.needs
    angles = needs == "pose" and faces.euler_deg is not None
    if needs == "pose" and ((faces.euler_deg is None) != (other.euler_deg is None) or (angles and faces.convention != other.convention)):
        return None
    column = {"pose": "euler_deg" if angles else "rotation", "landmarks": "landmarks", "visibility": "visibility"}[needs]
    if getattr(faces, column) is None or getattr(other, column) is None:
        return None
    ids = list(dict.fromkeys([*map(str, faces.sample_id), *map(str, other.sample_id)]))  # type: ignore[arg-type]
    one, two = faces.aligned_to(ids), other.aligned_to(ids)
    taken = _failed(one, needs) != _failed(two, needs)
    ours, theirs = getattr(one, column), getattr(two, column)
    if not taken.any() or ours.shape != theirs.shape:
        return None
    values = np.where(taken.reshape(-1, *[1] * (ours.ndim - 1)), theirs, ours)
    return Faces(ids, convention=faces.convention if angles else None, **{column: values})


def _failed(faces: Faces, needs: str) -> npt.NDArray[np.bool_]:
    values = {"pose": faces.rotation, "landmarks": faces.landmarks, "visibility": faces.visibility}[needs]
    if values is None:
        return np.ones(len(faces), dtype=bool)
    return np.asarray(np.isnan(values).reshape(len(faces), -1).all(axis=1))


def steps_between(bench: Bench, a: End, b: End, hands: Hands) -> tuple[Step, ...]:
    """The steps from one number to the other; what scoring does not reach is the last of them.

    Raises
    ------
    InputError
        The predictions at hand do not serve the first number's setting.
    """
    assert a.value is not None and b.value is not None and a.setting is not None and b.setting is not None
    walk = _Walk(bench, a.setting, b.setting, *hands.faces)
    start = bench.number(a.setting, walk.start)
    factors = (*walk.factors, *walk.of_model)
    whole = walk.at(frozenset(factors))
    steps: list[Step] = []
    value, here = a.value, start

    def again(one: str, other: str, change: float) -> None:
        if abs(change) > _SAME:
            steps.append(Step((AGAIN,), one, other, change, value + change, faces=here.n_faces))

    if hands.whose in ("a", "both"):
        again("as recorded", "here", here.value - value)
        value = here.value
    done: frozenset[str] = frozenset()
    pending: list[str] = []
    for factor in factors:
        pending.append(factor)
        now = walk.at(done | set(pending))
        if now is None:
            continue
        change = now.value - here.value
        value += change
        one, other = (_words(walk, pending, side, hands) for side in (0, 1))
        first, before = walk.at(frozenset(pending)), walk.at(frozenset(factors) - set(pending))
        alone = None if first is None else first.value - start.value
        at_last = None if before is None or whole is None else whole.value - before.value
        steps.append(Step(tuple(pending), one, other, change, value, alone, at_last, now.n_faces))
        here, done, pending = now, done | set(pending), []
    if hands.whose in ("b", "both") and not pending:
        again("here", "as recorded", b.value - here.value)
        value += b.value - here.value
    rest = b.value - value
    if abs(rest) > _SAME:
        what = "" if hands.whose == "both" else "the model itself, and what is not known"
        steps.append(Step((REST,), "", what, rest, b.value))
    return tuple(steps)


def _words(walk: _Walk, factors: Sequence[str], side: int, hands: Hands) -> str:
    parts = []
    for factor in factors:
        if factor in (FAILED, MODEL):
            faces = hands.faces[side]
            failed = int(_failed(faces, walk.b.metric.family.needs).sum())
            parts.append(f"{failed} failed rows" if factor == FAILED else ("of A", "of B")[side])
        else:
            parts.append(words((walk.a, walk.b)[side], factor))
    return "; ".join(parts)
