"""The base of all ``outputs`` tables of an ONNX card, and the kinds that give a pose: angles, bins, matrices.

See `hpbench.models.onnx_outputs` for the conventions and the kinds that give points.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..columns import MAX_ROTATION_DEFECT
from ..errors import InputError
from ..geometry.rotations import convention_named, nearest_rotation, rotation_defect

__all__ = ["ANGLES", "EulerBinsOutput", "EulerOutput", "Output", "Rotation6dOutput", "RotationOutput", "shape_text"]

Array = npt.NDArray[Any]
SignedAngle = Literal["yaw", "pitch", "roll", "-yaw", "-pitch", "-roll"]
SignedAxis = Literal["x", "y", "z", "-x", "-y", "-z"]

ANGLES = ("yaw", "pitch", "roll")
_AXIS_OF = {"yaw": "Y", "pitch": "X", "roll": "Z"}


@dataclass(frozen=True, kw_only=True)
class Output:
    """One ``outputs`` table.

    Attributes
    ----------
    kind : str
        A key of `hpbench.models.onnx_outputs.KINDS`.
    tensor : int or str
        Number (0-based) or name of the output in the file.
    """

    kind: str
    tensor: int | str = 0

    @property
    def provides(self) -> tuple[str, ...]:
        """The quantities that `decode` returns."""
        raise NotImplementedError

    @property
    def values_per_face(self) -> int | None:
        """How many values the tensor must hold a face; None = any number."""
        raise NotImplementedError

    def validate(self, where: str) -> None:
        """`InputError` where the table contradicts itself."""

    def check_shape(self, shape: tuple[int, ...], where: str) -> None:
        """`InputError` where a tensor of this shape, (B, ...), cannot be decoded."""
        have, wanted = math.prod(shape[1:]), self.values_per_face
        if wanted is not None and have != wanted:
            raise InputError(f"{where}: the tensor has shape {shape_text(shape)}, {have} values a face, but {self.kind} takes {wanted}.")

    def decode(self, tensor: Array, size_px: tuple[int, int], where: str) -> dict[str, Array]:
        """The quantities of a float64 tensor (B, ...); `size_px` is the crop's width and height."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class EulerOutput(Output):
    """Three angles, in `order`; a leading minus turns the model's sign."""

    convention: str
    order: tuple[SignedAngle, SignedAngle, SignedAngle] = ("yaw", "pitch", "roll")
    unit: Literal["deg", "rad"] = "deg"
    provides = ANGLES
    values_per_face = 3

    def validate(self, where: str) -> None:
        _check_angles(self.order, "order", where)
        convention_named(self.convention)

    def decode(self, tensor: Array, size_px: tuple[int, int], where: str) -> dict[str, Array]:
        angles = tensor.reshape(-1, 3)
        return _by_name(self.order, np.rad2deg(angles) if self.unit == "rad" else angles)


@dataclass(frozen=True, kw_only=True)
class EulerBinsOutput(Output):
    """One angle as classes: sum of softmax * bin number, times `width_deg`, plus `offset_deg` (Hopenet, WHENet)."""

    convention: str
    angle: SignedAngle
    bins: int
    width_deg: float
    offset_deg: float
    activation: Literal["softmax", "none"] = "softmax"

    @property
    def provides(self) -> tuple[str, ...]:
        return (self.angle.lstrip("-"),)

    @property
    def values_per_face(self) -> int:
        return self.bins

    def validate(self, where: str) -> None:
        convention_named(self.convention)

    def decode(self, tensor: Array, size_px: tuple[int, int], where: str) -> dict[str, Array]:
        weights = tensor.reshape(-1, self.bins)
        if self.activation == "softmax":
            with np.errstate(invalid="ignore"):  # infinite logits give NaN: a failed face
                weights = np.exp(weights - weights.max(axis=1, keepdims=True))
            weights = weights / weights.sum(axis=1, keepdims=True)
        angle = weights @ np.arange(self.bins) * self.width_deg + self.offset_deg
        return _by_name((self.angle,), angle[:, None])


@dataclass(frozen=True, kw_only=True)
class RotationOutput(Output):
    """A rotation matrix, row by row.

    Attributes
    ----------
    maps : str
        ``head_from_camera`` is transposed.
    axes : three of x, y, z, -x, -y, -z
        Where the model's own x, y and z axes point in our frame (x right, y down, z forward), for head and camera.
    project : str
        ``svd``: the tensor is any 3x3 matrix, the nearest rotation is meant; ``none``: anything else is an error.
    angles : three angles, and `convention`
        The matrix is only a carrier of angles: it is taken apart as the product of the elementary rotations of these
        angles, left to right, and the angles are read by `convention`.  6DRepNet's holds Rz(roll) Ry(yaw) Rx(pitch) of
        300W-LP's angles, which is another rotation than theirs: ``["roll", "yaw", "pitch"]`` and ``300w-lp``.
    """

    maps: Literal["camera_from_head", "head_from_camera"] = "camera_from_head"
    axes: tuple[SignedAxis, SignedAxis, SignedAxis] = ("x", "y", "z")
    project: Literal["none", "svd"] = "none"
    angles: tuple[SignedAngle, ...] = ()
    convention: str = ""
    values_per_face = 9

    @property
    def provides(self) -> tuple[str, ...]:
        return ANGLES if self.angles else ("rotation",)

    def validate(self, where: str) -> None:
        if sorted(a.lstrip("-") for a in self.axes) != ["x", "y", "z"]:
            raise InputError(f"{where}: axes {list(self.axes)} must name x, y and z once each.")
        if bool(self.angles) != bool(self.convention):
            raise InputError(f"{where}: angles (how the matrix is taken apart) and convention (how they are read) go together.")
        if self.angles:
            _check_angles(self.angles, "angles", where)
            convention_named(self.convention)

    def decode(self, tensor: Array, size_px: tuple[int, int], where: str) -> dict[str, Array]:
        matrix = self._matrices(tensor)
        good = np.asarray(np.isfinite(matrix).all(axis=(1, 2)))  # the others stay NaN: failed faces
        matrix = np.where(good[:, None, None], matrix, np.nan)
        if self.project == "svd":
            matrix[good] = nearest_rotation(matrix[good])
        elif (defect := rotation_defect(matrix[good])).size and defect.max() > MAX_ROTATION_DEFECT:
            raise InputError(
                f"{where}: the tensor holds no rotation matrices (|R R^T - I| = {defect.max():.3g}): "
                'another tensor, or a raw matrix that wants project = "svd"?'
            )
        if self.maps == "head_from_camera":
            matrix = np.swapaxes(matrix, 1, 2)
        to_ours = np.zeros((3, 3))
        for column, axis in enumerate(self.axes):
            to_ours["xyz".index(axis[-1]), column] = -1.0 if axis[0] == "-" else 1.0
        matrix = to_ours @ matrix @ to_ours.T
        if not self.angles:
            return {"rotation": matrix}
        angles = np.full((len(matrix), 3), np.nan)
        if good.any():
            from scipy.spatial.transform import Rotation

            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # gimbal lock: the third angle is set to 0, which is right
                sequence = "".join(_AXIS_OF[a.lstrip("-")] for a in self.angles)
                angles[good] = Rotation.from_matrix(matrix[good]).as_euler(sequence, degrees=True)
        return _by_name(self.angles, angles)

    def _matrices(self, tensor: Array) -> Array:
        return tensor.reshape(-1, 3, 3)


@dataclass(frozen=True, kw_only=True)
class Rotation6dOutput(RotationOutput):
    """The first two columns of a rotation matrix, made orthonormal by Gram-Schmidt (6DRepNet).

    (B, 6) holds one column after the other, (B, 3, 2) a matrix of two columns.  Two *rows* (PyTorch3D) are the columns
    of the transposed matrix: ``maps = "head_from_camera"``.
    """

    values_per_face = 6

    def _matrices(self, tensor: Array) -> Array:
        pair = np.swapaxes(tensor, 1, 2) if tensor.shape[1:] == (3, 2) else tensor.reshape(-1, 2, 3)
        with np.errstate(invalid="ignore", divide="ignore"):  # a zero vector gives NaN: a failed face
            first = pair[:, 0] / np.linalg.norm(pair[:, 0], axis=1, keepdims=True)
            second = pair[:, 1] - (first * pair[:, 1]).sum(axis=1, keepdims=True) * first
            second = second / np.linalg.norm(second, axis=1, keepdims=True)
        return np.stack([first, second, np.cross(first, second)], axis=2)


def _check_angles(names: Sequence[str], key: str, where: str) -> None:
    if sorted(n.lstrip("-") for n in names) != sorted(ANGLES):
        raise InputError(f"{where}: {key} {list(names)} must name yaw, pitch and roll once each.")


def _by_name(names: Sequence[str], columns: Array) -> dict[str, Array]:
    return {name.lstrip("-"): -columns[:, i] if name[0] == "-" else columns[:, i] for i, name in enumerate(names)}


def shape_text(shape: tuple[int, ...]) -> str:
    return f"(B{''.join(f', {n}' for n in shape[1:])})"
