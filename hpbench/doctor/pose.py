"""What may be wrong with poses: units, order and signs of the angles, transposed matrices, turned frames.

Conventions
-----------
Angles are undone as they were given, in the order of the file's convention.  A file of matrices holds no angles: only what may
have been wrong when its matrices were made of some is tried (units, signs, order of the factors), in the labels' convention.
Negating two of the angles is, in any order of the factors, turning both frames by 180 degrees about the third's axis, and
negating yaw and roll is what a mirrored image does: these have one name here.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..faces import Faces
from ..geometry.rotations import CONVENTIONS, convention_named, equivalent_euler_deg, euler_from_rotation, geodesic_deg, nearest_rotation
from ..metrics.pose import ANGLES
from .causes import Cause, Kind, rows_of

__all__ = ["GROUPS", "Turned", "chance_deg", "pose_faces", "pose_kind", "pose_state"]

Array = npt.NDArray[np.float64]

GROUPS = ("rows", "unit", "columns", "signs", "order", "transposed", "frame", "offset")
_AXIS = {"yaw": "Y", "pitch": "X", "roll": "Z"}
_SIGNS = (1.0, -1.0, 1.0)  # of every convention but opal23, whose yaw is negated
_OTHER_ORDERS = (("pitch", "roll", "yaw"), ("yaw", "roll", "pitch"), ("roll", "pitch", "yaw"))  # no convention's
_LEAST_SPREAD = 0.1  # of one angle, as a share of the greatest; on heads, AFLW2000, BIWI and 300W labels have 0.2 and more
_FRAMES = {"x": (1.0, -1.0, -1.0), "y": (-1.0, 1.0, -1.0), "z": (-1.0, -1.0, 1.0)}


@dataclass(frozen=True, eq=False)
class Turned:
    """Poses of n faces: angles in an order and with signs, or matrices.

    Attributes
    ----------
    euler_deg : (n, 3) array or None
    order, signs : tuple
        As in `hpbench.geometry.rotations.EulerConvention`.
    rotation : (n, 3, 3) array or None
        None where the angles say it.
    """

    euler_deg: Array | None
    order: tuple[str, str, str] = ("pitch", "yaw", "roll")
    signs: tuple[float, float, float] = _SIGNS
    rotation: Array | None = None

    def matrices(self) -> Array:
        """(n, 3, 3) rotations."""
        return self._matrices

    @cached_property
    def _matrices(self) -> Array:
        if self.rotation is not None:
            return self.rotation
        from scipy.spatial.transform import Rotation

        assert self.euler_deg is not None
        known = np.asarray(~np.isnan(self.euler_deg).any(axis=1))
        signed = (self.euler_deg * np.array(self.signs))[:, [ANGLES.index(name) for name in self.order]]
        out = np.full((len(known), 3, 3), np.nan)
        if known.any():
            out[known] = Rotation.from_euler("".join(_AXIS[name] for name in self.order), signed[known], degrees=True).as_matrix()
        return out


def pose_state(faces: Faces, convention: str) -> Turned:
    """Predicted poses as they were given; `convention` is that of the labels, for matrices."""
    if faces.euler_deg is not None and faces.convention is not None:
        how = convention_named(faces.convention)
        return Turned(np.array(faces.euler_deg), how.order, how.signs)
    how = convention_named(convention)
    return Turned(None, how.order, how.signs, np.array(faces.rotation))


def pose_faces(faces: Faces, state: Turned) -> Faces:
    """Faces with these poses instead."""
    named = next((c.name for c in CONVENTIONS.values() if (c.order, c.signs) == (state.order, state.signs)), None)
    if state.rotation is None and named is not None:
        return replace(faces, euler_deg=state.euler_deg, rotation=None, convention=named)
    return replace(faces, euler_deg=None, rotation=state.matrices(), convention=None)


def pose_kind(state: Turned, convention: str, rows: list[Cause]) -> Kind:
    """The causes that these poses may have."""
    raw = state.euler_deg is not None
    orders = _orders(state, raw, convention) if _all_vary(state) else []
    causes = [*_units(raw), *_signs(raw), *orders, *(_columns() if raw else ()), _transposed(), *_frames(),
              *rows, *_offsets()]  # fmt: skip
    return Kind("pose", tuple(causes), GROUPS, _take, _errors, _halfway)


def _all_vary(state: Turned) -> bool:
    """Whether no angle is as good as constant: one that a model does not predict is its weakness, and fits some other order better."""
    if state.euler_deg is None or np.isnan(state.euler_deg).all(axis=0).any():
        return True
    spread = np.nanstd(state.euler_deg, axis=0)
    return bool(spread.min() >= _LEAST_SPREAD * spread.max())


def chance_deg(truth: Array, half: npt.NDArray[np.bool_]) -> Array:
    """Errors of the better constant, (n,): the mean label of the half that a face is not in, or a head that faces the camera."""
    errors, frontal = np.empty(len(truth)), geodesic_deg(truth, np.eye(3))
    for inside in (half, ~half):
        errors[~inside] = geodesic_deg(truth[~inside], _mean(truth[inside]))
    return frontal if frontal.sum() < errors.sum() else errors


def _take(value: Any, rows: npt.NDArray[np.int64]) -> Any:
    if isinstance(value, Turned):
        euler_deg, rotation = (None if column is None else rows_of(column, rows) for column in (value.euler_deg, value.rotation))
        return replace(value, euler_deg=euler_deg, rotation=rotation)
    return rows_of(value, rows)


def _errors(state: Turned, truth: Array) -> Array:
    return geodesic_deg(state.matrices(), truth)


def _halfway(a: Turned, b: Turned) -> Turned:
    return _turned(a, nearest_rotation(np.nan_to_num(a.matrices() + b.matrices())))


def _angles(state: Turned) -> Turned:
    """The angles given, or those the matrices were made of."""
    if state.euler_deg is not None and state.rotation is None:
        return state
    name = next(c.name for c in CONVENTIONS.values() if (c.order, c.signs) == (state.order, state.signs))
    return replace(state, euler_deg=_upright(state.matrices(), name), rotation=None)


def _upright(rotation: Array, convention: str) -> Array:
    """Of the two triples of each rotation the one with the smaller pitch and roll: heads turn further than they tip."""
    angles = euler_from_rotation(rotation, convention)
    other = equivalent_euler_deg(angles, convention)
    tipped = (np.abs(a[:, 1:]).sum(axis=1) for a in (other, angles))
    with np.errstate(invalid="ignore"):
        return np.where((next(tipped) < next(tipped))[:, None], other, angles)


def _turned(state: Turned, rotation: Array) -> Turned:
    return replace(state, euler_deg=None, rotation=rotation)


def _units(raw: bool) -> list[Cause]:
    def scaled(factor: float) -> Any:
        def undo(s: Turned, labels: Any, p: Any) -> Turned:
            angles = _angles(s)
            return replace(angles, euler_deg=np.asarray(angles.euler_deg) * factor)

        return undo

    what = "the angles" if raw else "the angles that the matrices were made of"
    found = [Cause("radians", "unit", f"{what} are radians", "give degrees: multiply by 180 / pi", scaled(180.0 / np.pi))]
    if raw:
        says, mend = "degrees were taken for radians and converted", "give the degrees as they were: divide by 180 / pi"
        found.append(Cause("degrees converted twice", "unit", says, mend, scaled(np.pi / 180.0)))
        # what networks are trained to say; without these they would pass for radians
        found += [
            Cause(f"divided by {end}", "unit", f"the angles are divided by {end}", f"give degrees: multiply by {end}", scaled(float(end)))
            for end in (90, 99, 180)
        ]
    return found


def _signs(raw: bool) -> list[Cause]:
    found = []
    for signs in sorted(itertools.product((1.0, -1.0), repeat=3), key=lambda s: s.count(-1.0))[1:]:
        names = [name for name, sign in zip(ANGLES, signs, strict=True) if sign < 0]
        joined = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
        says = f"{joined} {'is' if len(names) == 1 else 'are'} negated"
        mend = f"give {', '.join('-' + name for name in names)}"
        if names == ["yaw", "roll"]:
            says += ", as in a mirrored image"
        if not raw:
            says = f"the matrices were made with {says.replace(' is ', ' ').replace(' are ', ' ')}"
            axis = next((_AXIS[a].lower() for a in ANGLES if a not in names), "")
            flip = f"diag({', '.join(f'{v:.0f}' for v in _FRAMES[axis])})" if len(names) == 2 else ""
            mend = f"give {flip} @ R @ {flip}" if flip else f"negate {joined} before the matrices are made"

        def undo(s: Turned, labels: Any, p: Any, signs: tuple[float, ...] = signs) -> Turned:
            angles = _angles(s)
            assert angles.euler_deg is not None
            return replace(angles, euler_deg=angles.euler_deg * np.array(signs))

        found.append(Cause(f"{joined} negated", "signs", says, mend, undo))
    return found


def _orders(state: Turned, raw: bool, convention: str) -> list[Cause]:
    declared = next((c.name for c in CONVENTIONS.values() if (c.order, c.signs) == (state.order, state.signs)), convention)
    found = []
    for other in CONVENTIONS.values():
        if (other.order, other.signs) == (state.order, state.signs):
            continue
        if raw:
            says, mend = f"the angles are in convention {other.name}, not {declared}", f"declare convention={other.name}"
            found.append(Cause(f"convention {other.name}", "order", says, mend, _in_order(other.order, other.signs)))
        elif other.order != state.order:
            says = f"the angles were taken for {other.name} when the matrices were made; the labels have them in {declared}"
            mend = f"make the matrices of the angles in {declared}: hpbench.geometry.rotations.rotation_from_euler(angles, {declared!r})"
            found.append(Cause(f"made in convention {other.name}", "order", says, mend, _remade(other.name)))
    if raw:
        for order in _OTHER_ORDERS:
            product = " ".join(f"R{_AXIS[name].lower()}({'-' if name == 'pitch' else ''}{name})" for name in order)
            says, mend = f"the angles are those of {product}, which no named convention is", f"give matrices: rotation = {product}"
            found.append(Cause(f"order {', '.join(order)}", "order", says, mend, _in_order(order, state.signs)))
    return found


def _in_order(order: tuple[str, str, str], signs: tuple[float, float, float]) -> Any:
    return lambda s, labels, p: replace(s, order=order, signs=signs)


def _remade(name: str) -> Any:
    return lambda s, labels, p: replace(s, euler_deg=_upright(s.matrices(), name), rotation=None)


def _columns() -> list[Cause]:
    found = []
    for perm in itertools.permutations(range(3)):
        if perm == (0, 1, 2):
            continue
        held = [ANGLES[perm.index(column)] for column in range(3)]  # column j holds the angle whose place in perm is j
        moved = [name for name, column in zip(ANGLES, perm, strict=True) if ANGLES[column] != name]
        says = f"{moved[0]} and {moved[1]} are swapped" if len(moved) == 2 else f"the columns hold {', '.join(held)}, not yaw, pitch, roll"
        name = f"{moved[0]} and {moved[1]} swapped" if len(moved) == 2 else f"columns {', '.join(held)}"

        def undo(s: Turned, labels: Any, p: Any, perm: tuple[int, ...] = perm) -> Turned:
            assert s.euler_deg is not None
            return replace(s, euler_deg=s.euler_deg[:, list(perm)])

        found.append(Cause(name, "columns", says, "give the angles in the order yaw, pitch, roll", undo))
    return found


def _transposed() -> Cause:
    says, mend = "the rotations are transposed (camera to head)", "give the transposed matrices: rotation is head to camera"
    return Cause("transposed", "transposed", says, mend, lambda s, labels, p: _turned(s, s.matrices().swapaxes(1, 2)))


def _frames() -> list[Cause]:
    found = []
    for axis, signs in _FRAMES.items():
        flip = np.diag(signs)
        text = f"diag({', '.join(f'{v:.0f}' for v in signs)})"
        for frame, mend in (("camera", f"give {text} @ R"), ("head", f"give R @ {text}")):
            says = f"the {frame} frame is turned by 180 degrees about {axis}"

            def undo(s: Turned, labels: Any, p: Any, flip: Array = flip, camera: bool = frame == "camera") -> Turned:
                r = s.matrices()
                return _turned(s, flip @ r if camera else r @ flip)

            found.append(Cause(f"{frame} frame turned about {axis}", "frame", says, f"{mend} (x right, y down, z forward)", undo))
    return found


def _mean(rotations: Array) -> Array:
    """The chordal mean: one step, and robust enough."""
    from scipy.spatial.transform import Rotation

    known = ~np.isnan(rotations).any(axis=(1, 2))
    return np.asarray(Rotation.from_matrix(rotations[known]).mean().as_matrix()) if known.any() else np.eye(3)


def _offsets() -> list[Cause]:
    def told(frame: str, mend: str) -> Any:
        def text(offset: Array) -> tuple[str, str]:
            angle = float(geodesic_deg(offset, np.eye(3)))
            yaw, pitch, roll = euler_from_rotation(offset, "yxz")
            how = f"{angle:.1f} degrees (yaw {yaw:.1f}, pitch {pitch:.1f}, roll {roll:.1f} in yxz)"
            return f"all predictions are turned by a constant {how} of the {frame} frame", mend

        return text

    mend = "if the {} frames differ, turn the predictions back by it before they are written; if not, it is the model's bias"
    camera = Cause(
        "constant turn of the camera frame", "offset", "", "", lambda s, labels, p: _turned(s, p.T @ s.matrices()),
        fit=lambda s, labels: _mean(s.matrices() @ labels.swapaxes(1, 2)), told=told("camera", mend.format("camera")),
    )  # fmt: skip
    head = Cause(
        "constant turn of the head frame", "offset", "", "", lambda s, labels, p: _turned(s, s.matrices() @ p.T),
        fit=lambda s, labels: _mean(labels.swapaxes(1, 2) @ s.matrices()), told=told("head", mend.format("head")),
    )  # fmt: skip
    return [head, camera]
