"""The ONNX card: an ``[onnx]`` table in a model card plugs one or several ONNX files into hpbench, without code.

.. code-block:: toml

    id = "my-net"
    title = "My net"

    [onnx]
    file = "my-net.onnx"
    sha256 = "7040b26d..."
    input = { size_px = [224, 224], layout = "NCHW", colour = "RGB", scale = 0.00392156862745098 }
    crop = { margin = 0.3, shape = "square", border = "constant" }
    outputs = [{ kind = "euler", order = ["yaw", "pitch", "roll"], convention = "300w-lp" }]

The tables are `OnnxSpec`, `InputSpec`, `hpbench.models.crop.CropSpec` and `hpbench.models.onnx_outputs.KINDS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..catalog import ModelCard
from ..checked import build
from ..errors import InputError
from ..faces import Faces
from .crop import Crop, CropSpec, crop_face
from .interface import Model
from .onnx_outputs import VisibilityOutput, average, check_outputs, declared, read_output
from .onnx_pose import ANGLES, Output
from .onnx_session import OnnxSession
from .weights import ANY, combined_sha256, find_weights

__all__ = ["InputSpec", "OnnxCardModel", "OnnxSpec", "read_onnx_spec"]

Array = npt.NDArray[Any]

MAX_INPUT_PX = 4096  # a side; more is a mistake in the card


@dataclass(frozen=True)
class InputSpec:
    """What the network wants to see.

    Attributes
    ----------
    size_px : (int, int)
        Width and height.
    layout : str
        ``NHWC`` or ``NCHW``.
    colour : str
        ``RGB``, ``BGR`` or ``GRAY``.
    scale, mean, std : float, floats, floats
        The value of a pixel 0..255 is ``(pixel * scale - mean) / std``; mean and std have one entry, or one a channel
        in the order of `colour`.
    """

    size_px: tuple[int, int]
    layout: Literal["NHWC", "NCHW"]
    colour: Literal["RGB", "BGR", "GRAY"]
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @property
    def channels(self) -> int:
        return 1 if self.colour == "GRAY" else 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one face's tensor."""
        w, h = self.size_px
        return (h, w, self.channels) if self.layout == "NHWC" else (self.channels, h, w)

    def validate(self, where: str) -> None:
        """`InputError` for values that make no sense."""
        if not all(0 < side <= MAX_INPUT_PX for side in self.size_px):
            raise InputError(f"{where}: size_px {list(self.size_px)} must be width and height, 1 to {MAX_INPUT_PX}.")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) not in (1, self.channels):
                raise InputError(f"{where}: {name} has {len(values)} entries, expected 1 or {self.channels} ({self.colour}).")
        if not all(map(math.isfinite, (self.scale, *self.mean, *self.std))) or self.scale == 0 or 0 in self.std:
            raise InputError(f"{where}: scale, mean and std must be finite numbers, scale and std not 0.")

    def tensor(self, crops: Array) -> Array:
        """(B, h, w, 3) uint8 RGB crops as the float32 tensor of the network."""
        import cv2

        if self.colour == "GRAY":
            pixels = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None] for crop in crops])
        else:
            pixels = crops[..., ::-1] if self.colour == "BGR" else crops
        mean, std = np.array(self.mean, dtype=np.float32), np.array(self.std, dtype=np.float32)
        values = (pixels.astype(np.float32) * np.float32(self.scale) - mean) / std
        return np.ascontiguousarray(values if self.layout == "NHWC" else values.transpose(0, 3, 1, 2))

    def noise(self, batch_size: int) -> Array:
        """The tensor of so many crops of arbitrary pixels, for `hpbench.Model.network_call`."""
        w, h = self.size_px
        return self.tensor(np.random.default_rng(0).integers(0, 256, (batch_size, h, w, 3), dtype=np.uint8))


@dataclass(frozen=True)
class OnnxSpec:
    """The ``[onnx]`` table.

    Attributes
    ----------
    file, sha256 : str or list of str
        File names without folders, and their hashes; "any" where everybody exports the file for himself.
    input : InputSpec
    outputs : list of tables
        See `hpbench.models.onnx_outputs`.
    crop : CropSpec
    combine : str
        ``mean``, required where there are several files: each predicts, the predictions are averaged.
    """

    file: tuple[str, ...] | str
    sha256: tuple[str, ...] | str
    input: InputSpec
    # read by kind afterwards: the tables of the kinds have different keys
    outputs: tuple[dict[str, object], ...]
    crop: CropSpec = field(default_factory=CropSpec)
    combine: Literal["mean", ""] = ""

    @property
    def files(self) -> tuple[str, ...]:
        return (self.file,) if isinstance(self.file, str) else self.file

    @property
    def hashes(self) -> tuple[str, ...]:
        return (self.sha256,) if isinstance(self.sha256, str) else self.sha256

    def validate(self, where: str) -> None:
        """`InputError` where the table contradicts itself."""
        if not self.files or len(self.files) != len(self.hashes):
            raise InputError(f"{where}: {len(self.files)} files but {len(self.hashes)} sha256: one each, in the same order.")
        for digest in self.hashes:
            if digest != ANY and (len(digest) != 64 or not set(digest.lower()) <= set("0123456789abcdef")):
                raise InputError(f"{where}: sha256 {digest!r:.80} is neither 64 hexadecimal digits nor {ANY!r}.")
        if (len(self.files) > 1) != (self.combine == "mean"):
            raise InputError(f'{where}: combine = "mean" and several files go together; here are {len(self.files)} files.')
        self.input.validate(f"{where}: key 'input'")
        self.crop.validate(f"{where}: key 'crop'")
        if self.crop.window == "exact" and len(set(self.input.size_px)) > 1:
            raise InputError(f'{where}: window = "exact" cuts squares, but size_px is {list(self.input.size_px)}.')


def read_onnx_spec(card: ModelCard) -> tuple[OnnxSpec, tuple[Output, ...]]:
    """The checked ``[onnx]`` table of a card and its outputs; `InputError` naming the card and the key."""
    where = f"{card.path}: [onnx]"
    spec = build(OnnxSpec, card.onnx, where)
    spec.validate(where)
    outputs = [read_output(dict(table), f"{where}: outputs, entry {i}") for i, table in enumerate(spec.outputs)]
    check_outputs(outputs, f"{where}: outputs")
    scheme = "".join(declared(outputs, "scheme"))  # one or none
    return spec, tuple(replace(o, scheme=scheme) if isinstance(o, VisibilityOutput) else o for o in outputs)


class OnnxCardModel(Model):
    """The model that an ONNX card describes.

    Parameters
    ----------
    card : ModelCard
        With an ``[onnx]`` table.
    weights : Path, optional
        The ONNX file, or the folder that holds all files; see `hpbench.models.weights`.
    device : str
        ``cpu``, ``cuda``, ``cuda:1``, or ``auto``: cuda where onnxruntime has it, else cpu.
    threads : int
        Per file; 0 leaves it to onnxruntime.

    Raises
    ------
    InputError
        The card is wrong, or does not fit the file.
    MissingDataError
        A weight file or onnxruntime is missing, or a file has another hash.
    """

    def __init__(self, card: ModelCard, weights: Path | None = None, device: str = "auto", threads: int = 0) -> None:
        self._spec, self._outputs = read_onnx_spec(card)
        found = find_weights(
            self._spec.files,
            self._spec.hashes,
            model_id=card.id,
            weights=weights,
            card_folder=card.folder,
            packages=card.packages,
            obtain=card.weights,
            licence=card.licence,
        )
        self.name = card.id
        self.version = card.version
        self.weights_sha256 = combined_sha256([f.sha256 for f in found])
        self._where = f"{card.path}: [onnx]"
        self._sessions = [OnnxSession(f, self._spec.input.shape, self._outputs, self._where, device, threads) for f in found]
        w, h = self._spec.input.size_px
        self.input_px = max(w, h)
        self.device = self._sessions[0].device
        for session in self._sessions:
            blank = np.zeros((session.batch or 2, h, w, 3), np.uint8)  # two faces: outputs without a batch dimension show
            tensors = session.run(self._spec.input.tensor(blank))
            for i, (output, tensor) in enumerate(zip(self._outputs, tensors, strict=True)):
                output.check_shape(tensor.shape, f"{self._where}: outputs, entry {i} of {session.path.name}")

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        """See `Model.predict`."""
        return self.predict_prepared([self.prepare(i, b) for i, b in zip(images, boxes_xyxy_px, strict=True)], boxes_xyxy_px)

    def prepare(self, image: Array, box_xyxy_px: Array) -> Crop | str:
        """See `Model.prepare`; why there is no crop, where there is none."""
        return crop_face(image, box_xyxy_px, self._spec.crop, self._spec.input.size_px)

    def predict_prepared(self, prepared: list[Any], boxes_xyxy_px: Array) -> Faces:
        """See `Model.predict_prepared`."""
        crops: list[Crop | str] = prepared
        failure = ["" if isinstance(crop, Crop) else crop for crop in crops]
        rows = [row for row, crop in enumerate(crops) if isinstance(crop, Crop)]
        good = [crop for crop in crops if isinstance(crop, Crop)]
        values = self._run(np.stack([crop.pixels for crop in good])) if good else self._blank()
        if good and "points" in values:
            values["points"] = np.stack([crop.to_image(points) for crop, points in zip(good, values["points"], strict=True)])
        finite = np.array([all(np.isfinite(array[k]).all() for array in values.values()) for k in range(len(good))], dtype=bool)
        for k in np.flatnonzero(~finite):
            failure[rows[k]] = "the model's output is not finite"

        def scattered(array: Array) -> Array:
            full = np.full((len(crops), *array.shape[1:]), np.nan)
            full[np.array(rows, dtype=int)[finite]] = array[finite]
            return full

        columns = {quantity: scattered(array) for quantity, array in values.items()}
        euler = np.stack([columns[a] for a in ANGLES], axis=1) if "yaw" in columns else None
        return Faces(
            rotation=columns.get("rotation"),
            euler_deg=euler,
            convention=None if euler is None else "".join(declared(self._outputs, "convention")),
            landmarks=columns.get("points"),
            scheme="".join(declared(self._outputs, "scheme")) or None,
            visibility=columns.get("visibility"),
            failure=failure,
        )

    def network_call(self, batch_size: int) -> Callable[[], object]:
        """See `Model.network_call`; all files of an ensemble."""
        tensor = self._spec.input.noise(batch_size)
        return lambda: [session.run(tensor) for session in self._sessions]

    def _run(self, pixels: Array) -> dict[str, Array]:
        tensor = self._spec.input.tensor(pixels)
        return average([self._decoded(session.run(tensor)) for session in self._sessions])

    def _blank(self) -> dict[str, Array]:
        # shapes of the columns when no face of the batch could be cropped: those of any face
        w, h = self._spec.input.size_px
        return {quantity: array[:0] for quantity, array in self._run(np.zeros((1, h, w, 3), np.uint8)).items()}

    def _decoded(self, tensors: Sequence[Array]) -> dict[str, Array]:
        values: dict[str, Array] = {}
        for i, (output, tensor) in enumerate(zip(self._outputs, tensors, strict=True)):
            values |= output.decode(tensor, self._spec.input.size_px, f"{self._where}: outputs, entry {i}")
        return values
