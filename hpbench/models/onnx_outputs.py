"""What the output tensors of an ONNX file mean: the ``outputs`` tables of a model card, by kind, and their decoding.

Conventions
-----------
B faces come first in every tensor; apart from heat maps the shape behind that does not matter as long as the number of
values fits: (B, 3), (B, 3, 1) and (B, 1, 1, 3) are the same.  A decoded face is a mapping of quantity to array: ``yaw``,
``pitch``, ``roll`` (B,) in degrees or ``rotation`` (B, 3, 3), head -> camera; ``points`` (B, L, 2) in crop pixels,
(0, 0) = centre of the first; ``visibility`` (B, L), the probability of being visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..checked import build
from ..errors import InputError, did_you_mean
from ..geometry.rotations import nearest_rotation, wrap_deg
from ..landmarks import scheme_named
from .onnx_pose import ANGLES, EulerBinsOutput, EulerOutput, Output, Rotation6dOutput, RotationOutput, shape_text

__all__ = ["KINDS", "HeatmapsOutput", "LandmarksOutput", "VisibilityOutput", "average", "check_outputs", "declared", "read_output"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class LandmarksOutput(Output):
    """Points.

    Attributes
    ----------
    scheme : str
    units : str
        ``crop01``: 0 and 1 are the crop's outer edges; ``crop_pm1``: -1 and 1 are; ``crop_px``: pixels of the crop,
        (0, 0) = centre of the first.
    layout : str
        ``interleaved``: x0, y0, x1, y1, ...; ``planar``: x0, x1, ..., y0, y1, ...
    values_per_point : int
        More than 2 where depth or a score follows x and y; it is left out.
    """

    scheme: str
    units: Literal["crop01", "crop_px", "crop_pm1"]
    layout: Literal["interleaved", "planar"] = "interleaved"
    values_per_point: int = 2
    provides = ("points",)

    @property
    def values_per_face(self) -> int:
        return scheme_named(self.scheme).n_points * self.values_per_point

    def validate(self, where: str) -> None:
        scheme_named(self.scheme)
        if self.values_per_point < 2:
            raise InputError(f"{where}: values_per_point is {self.values_per_point}, but a point has x and y at least.")

    def decode(self, tensor: Array, size_px: tuple[int, int], where: str) -> dict[str, Array]:
        k = self.values_per_point
        flat = tensor.reshape(len(tensor), -1)
        points = flat.reshape(len(flat), -1, k) if self.layout == "interleaved" else np.swapaxes(flat.reshape(len(flat), k, -1), 1, 2)
        points = points[..., :2]
        if self.units == "crop_px":
            return {"points": points}
        fraction = (points + 1.0) / 2.0 if self.units == "crop_pm1" else points
        return {"points": fraction * np.array(size_px) - 0.5}


@dataclass(frozen=True, kw_only=True)
class HeatmapsOutput(Output):
    """One map a point, (B, L, h, w); the point is the maximum's cell centre.

    ``refine = "quarter"`` moves it a quarter cell towards the higher neighbour in x and in y (HRNet).
    """

    scheme: str
    refine: Literal["none", "quarter"] = "none"
    provides = ("points",)
    values_per_face = None

    def validate(self, where: str) -> None:
        scheme_named(self.scheme)

    def check_shape(self, shape: tuple[int, ...], where: str) -> None:
        wanted = scheme_named(self.scheme).n_points
        if len(shape) != 4 or shape[1] != wanted:
            raise InputError(f"{where}: the tensor has shape {shape_text(shape)}, but heatmaps of {self.scheme} are (B, {wanted}, h, w).")

    def decode(self, tensor: Array, size_px: tuple[int, int], where: str) -> dict[str, Array]:
        b, n_points, h, w = tensor.shape
        best = tensor.reshape(b, n_points, -1).argmax(axis=2)
        cell = np.stack([best % w, best // w], axis=-1)
        centre = cell.astype(np.float64)
        if self.refine == "quarter":
            for axis, size in ((0, w), (1, h)):
                step = np.eye(2, dtype=int)[axis]
                inside = (cell[..., axis] > 0) & (cell[..., axis] < size - 1)
                after, before = _at(tensor, np.minimum(cell + step, (w - 1, h - 1))), _at(tensor, np.maximum(cell - step, 0))
                centre[..., axis] += np.where(inside, 0.25 * np.sign(after - before), 0.0)
        points = (centre + 0.5) * np.array(size_px) / (w, h) - 0.5
        broken = ~np.isfinite(tensor.sum(axis=(2, 3), keepdims=True)[..., 0])
        return {"points": np.where(broken, np.nan, points)}


@dataclass(frozen=True, kw_only=True)
class VisibilityOutput(Output):
    """One probability a point; `positive` says of what, ``activation = "sigmoid"`` that the file gives logits."""

    positive: Literal["visible", "occluded"]
    activation: Literal["none", "sigmoid"] = "none"
    scheme: str = ""
    provides = ("visibility",)

    @property
    def values_per_face(self) -> int | None:
        return scheme_named(self.scheme).n_points if self.scheme else None

    def validate(self, where: str) -> None:
        if self.scheme:
            scheme_named(self.scheme)

    def decode(self, tensor: Array, size_px: tuple[int, int], where: str) -> dict[str, Array]:
        p = tensor.reshape(len(tensor), -1)
        if self.activation == "sigmoid":
            p = 0.5 * (1.0 + np.tanh(p / 2.0))  # the logistic function without overflow
        elif ((p < -1e-6) | (p > 1 + 1e-6)).any():
            raise InputError(f'{where}: {np.nanmin(p):.3g} to {np.nanmax(p):.3g} are no probabilities: logits? say activation = "sigmoid".')
        p = np.clip(p, 0.0, 1.0)
        return {"visibility": 1.0 - p if self.positive == "occluded" else p}


KINDS: dict[str, type[Output]] = {
    "euler": EulerOutput,
    "euler_bins": EulerBinsOutput,
    "rotation": RotationOutput,
    "rotation6d": Rotation6dOutput,
    "landmarks": LandmarksOutput,
    "heatmaps": HeatmapsOutput,
    "visibility": VisibilityOutput,
}


def read_output(table: dict[str, Any], where: str) -> Output:
    """One ``outputs`` table as the dataclass of its kind."""
    if "kind" not in table:
        raise InputError(f"{where}: the key 'kind' is missing (one of {', '.join(KINDS)}).")
    if not isinstance(table["kind"], str) or table["kind"] not in KINDS:
        raise InputError(f"{where}: unknown kind {table['kind']!r}: {did_you_mean(str(table['kind']), KINDS)}")
    output = build(KINDS[table["kind"]], table, where)
    try:
        output.validate(where)
    except InputError as error:
        raise error if str(error).startswith(where) else InputError(f"{where}: {error}") from None
    return output


def check_outputs(outputs: Sequence[Output], where: str) -> None:
    """`InputError` where the tables contradict each other."""
    provided = [quantity for output in outputs for quantity in output.provides]
    twice = sorted({q for q in provided if provided.count(q) > 1})
    angles = [a for a in ANGLES if a in provided]
    tensors = [output.tensor for output in outputs]
    conventions, schemes = (sorted(declared(outputs, name)) for name in ("convention", "scheme"))
    for problem, sentence in (
        (not outputs, "there are no outputs"),
        (bool(twice), f"two outputs give {', '.join(twice)}"),
        (len(angles) in (1, 2), f"the outputs give {' and '.join(angles)} only, a pose needs yaw, pitch and roll"),
        (bool(angles) and "rotation" in provided, "the outputs give a pose twice, as angles and as a matrix"),
        (len(set(tensors)) < len(tensors), "two outputs read the same tensor: say which with tensor = (number or name)"),
        (len(conventions) > 1, f"the outputs name several conventions ({', '.join(conventions)})"),
        (len(schemes) > 1, f"the outputs name several schemes ({', '.join(schemes)})"),
    ):
        if problem:
            raise InputError(f"{where}: {sentence}.")


def average(decoded: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """Mean over several files: of angles (across +-180), of points and probabilities; of matrices the rotation nearest."""
    if len(decoded) == 1:
        return decoded[0]
    mean: dict[str, Array] = {}
    for quantity, first in decoded[0].items():
        stack = np.stack([d[quantity] for d in decoded])
        if quantity in ANGLES:
            mean[quantity] = first + wrap_deg(stack - first).mean(axis=0)
        elif quantity == "rotation":
            matrix = stack.mean(axis=0)
            good: Array = np.isfinite(matrix).all(axis=(1, 2))
            matrix[good] = nearest_rotation(matrix[good])
            mean[quantity] = matrix
        else:
            mean[quantity] = stack.mean(axis=0)
    return mean


def declared(outputs: Sequence[Output], name: str) -> set[str]:
    """The conventions, or schemes, that the tables name."""
    return {getattr(output, name, "") for output in outputs} - {""}


def _at(maps: Array, cell: Array) -> Array:
    rows, points = np.ogrid[: maps.shape[0], : maps.shape[1]]
    return maps[rows, points, cell[..., 1], cell[..., 0]]
