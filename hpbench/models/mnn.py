"""The reference network as three models: MNN, MNN+OR (landmarks by regression trees) and MNN's encoder (pose alone).

One weight file serves all three.  It comes with hpbench (``baselines/mnn``, its hash on the card there), or is the user's own
(``--weights``, as `hpbench train mnn` writes it); then the model is called by the first digits of the file's hash, so that no board
takes it for the one that comes with hpbench.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from ..catalog import model_cards
from ..errors import InputError, MissingDataError
from ..faces import Faces
from ..images import MAX_IMAGE_PIXELS
from ..mnn.config import READ_RADIUS_PX
from .interface import Model
from .mnn_files import MnnFiles, find_mnn_files, load_mnn, trained_on_of
from .torch_device import torch_device
from .weights import combined_sha256

__all__ = ["Mnn", "MnnEncoder", "MnnOr"]

Array = npt.NDArray[Any]


class Mnn(Model):
    """Pose, landmarks and visibility: pose from the encoder's direct head, landmarks from the heat maps.

    Parameters
    ----------
    weights : Path, optional
        A file of `hpbench train mnn`, or a folder with one; what comes with hpbench if left out.
    device : str
        ``auto`` (a GPU if PyTorch sees one), ``cpu``, ``cuda``, ``cuda:1``.
    precision : {"fp32", "bf16", "fp16"}
        Of all but the heads.  fp16 on a GPU only; bf16 on a processor pays where it has instructions for it.
    compile : bool
        Compile the network first (torch.compile; CUDA graphs on a GPU): takes up to a minute, and a C++ compiler on a processor.
    threads : int
        Of PyTorch, for the whole process; 0 leaves it alone.
    radius_px : int
        How landmarks are read from their heat maps: 0 takes the pixel of the maximum, as the paper does, more the mean place within
        this many pixels of it.

    Raises
    ------
    InputError
        Other weights, an unknown option, or a GPU asked for that is not there.
    MissingDataError
        PyTorch or the weights are missing, or the weights are not those of the card.
    """

    needs_decoder: ClassVar[bool] = True
    needs_trees: ClassVar[bool] = False
    card_id: ClassVar[str] = "mnn"

    def __init__(
        self,
        weights: Path | None = None,
        device: str = "auto",
        precision: str = "fp32",
        compile: bool = False,
        threads: int = 0,
        radius_px: int = READ_RADIUS_PX,
    ) -> None:
        _check(self.card_id, precision=precision, compile=compile, threads=threads, radius_px=radius_px)
        torch = self.check_packages(self.card_id)
        place = torch_device(device)
        if precision == "fp16" and place.type == "cpu":
            raise InputError("precision=fp16 is for a GPU: take bf16 or fp32 on a processor.")
        if threads:
            torch.set_num_threads(threads)
        files = find_mnn_files(self.card_id, weights, trees=self.needs_trees)
        network = load_mnn(files, encoder_only=not self.needs_decoder)
        self._points = self._reader(files, network, place)
        self.weights_sha256 = combined_sha256([file.sha256 for file in files.all])
        self.name = self.card_id if files.shipped else f"{self.card_id}@{self.weights_sha256[:8]}"
        self.version = model_cards()["mnn"].version if files.shipped else f"sha256:{self.weights_sha256[:12]}"
        self.trained_on = () if files.shipped else trained_on_of(files)
        self.device = str(place)
        self._engine = _engine(network, place, precision, compile)
        self.input_px = network.config.input_px
        self._radius_px = radius_px

    @staticmethod
    def check_packages(model: str) -> Any:
        """PyTorch; `MissingDataError` without it or safetensors."""
        try:
            import safetensors  # noqa: F401
            import torch
        except ImportError as error:
            raise MissingDataError(f"the model {model} needs the package {error.name}: pip install 'hpbench[mnn]'.") from None
        return torch

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        """See `Model.predict`; rotation (crop_ray: relative to the ray through the box centre), landmarks and visibility."""
        return self.predict_prepared([self.prepare(image, box) for image, box in zip(images, boxes_xyxy_px, strict=True)], boxes_xyxy_px)

    def prepare(self, image: Array, box_xyxy_px: Array) -> tuple[Array, Array] | str:
        """See `Model.prepare`: the crop and its place in the image, or why there is none."""
        from ..mnn.infer import crops_of

        if reason := _why_not(image, box_xyxy_px):
            return reason
        crops, matrices = crops_of([image], np.asarray(box_xyxy_px, dtype=np.float64).reshape(1, 4), self.input_px)
        return crops[0], matrices[0]

    def predict_prepared(self, prepared: list[Any], boxes_xyxy_px: Array) -> Faces:
        """See `Model.predict_prepared`."""
        from ..mnn.infer import predict_arrays

        engine = self._engine
        failure = [item if isinstance(item, str) else "" for item in prepared]
        rows = [row for row, reason in enumerate(failure) if not reason]
        config = engine.network.config
        nothing = np.zeros((0, config.input_px, config.input_px, 3), np.uint8), np.zeros((0, 2, 3))
        crops, matrices = map(np.stack, zip(*(prepared[row] for row in rows), strict=True)) if rows else nothing
        found = predict_arrays(
            engine.network, crops, matrices,
            batch_size=engine.batch or max(1, len(rows)), whole=engine.whole, pose_only=not self.needs_decoder,
            radius_px=self._radius_px, points_of=self._points,
        )  # fmt: skip
        finite = np.ones(len(rows), dtype=bool)
        for column in found:
            if column is not None:
                finite &= np.isfinite(column).all(axis=tuple(range(1, column.ndim)))
        for row in np.array(rows, dtype=int)[~finite]:
            failure[row] = "the network's output is not finite"

        def scattered(column: Array | None) -> Array | None:
            if column is None:
                return None
            full = np.full((len(prepared), *column.shape[1:]), np.nan)
            full[np.array(rows, dtype=int)[finite]] = column[finite]
            return full

        return Faces(
            rotation=scattered(found.rotation_crop_ray),
            landmarks=scattered(found.landmarks_px),
            scheme=config.scheme if found.landmarks_px is not None else None,
            visibility=scattered(found.visibility),
            failure=failure,
        )

    def network_call(self, batch_size: int) -> Callable[[], object]:
        """See `Model.network_call`; the regression trees are a part of it, where there are any."""
        from ..mnn.infer import outputs_of

        network, points = self._engine.network, self._points
        side = network.config.input_px
        crops = np.random.default_rng(0).integers(0, 256, (batch_size, side, side, 3), dtype=np.uint8)

        def call() -> None:
            for outputs in outputs_of(network, crops, batch_size=batch_size, pose_only=not self.needs_decoder):
                outputs.pose_direct.cpu()  # waits for a GPU
                if points is not None:
                    points(outputs).cpu()

        return call

    def _reader(self, files: MnnFiles, network: Any, device: Any) -> Any:
        """What reads landmarks out of raw outputs, where it is not the heat maps' maximum."""
        return None


class MnnOr(Mnn):
    """As `Mnn`, but the landmarks are those of the regression trees on its heat maps, started from the projected mean face."""

    needs_trees = True
    card_id = "mnn+or"

    def __init__(
        self, weights: Path | None = None, device: str = "auto", precision: str = "fp32", compile: bool = False, threads: int = 0
    ) -> None:
        super().__init__(weights, device, precision, compile, threads)

    def _reader(self, files: MnnFiles, network: Any, device: Any) -> Any:
        from ..mnn.or_file import load_cascade

        assert files.trees is not None
        try:
            return load_cascade(files.trees.data, network).to(device).points
        except InputError as error:
            raise InputError(f"{files.trees.path}: {error}") from None


class MnnEncoder(Mnn):
    """Pose alone, by half of the network: the decoder is not even made."""

    needs_decoder = False
    card_id = "mnn-encoder"

    def __init__(
        self, weights: Path | None = None, device: str = "auto", precision: str = "fp32", compile: bool = False, threads: int = 0
    ) -> None:
        super().__init__(weights, device, precision, compile, threads)


class _Engine(NamedTuple):
    """The network as it runs, the batches it is given (None: as many faces as there are), and whether these must all be of one size."""

    network: Any
    batch: int | None
    whole: bool


def _engine(network: Any, device: Any, precision: str, compile: bool) -> _Engine:
    import torch

    from ..mnn.infer import compiled, fused, in_precision

    ready = fused(network)
    if precision != "fp32":
        ready = in_precision(ready, torch.bfloat16 if precision == "bf16" else torch.float16)
    ready = ready.to(device, memory_format=torch.channels_last)
    if compile:
        ready = compiled(ready)
    if device.type == "cuda" and not compile:
        return _Engine(ready, None, whole=False)
    # on a processor, maps that leave its cache cost more than small batches do: 16 crops of 64 px, 4 of 128 (benchmarks/mnn.py)
    batch = Model.batch_size if device.type == "cuda" else max(1, Model.batch_size * 64**2 // network.config.input_px**2)
    return _Engine(ready, min(batch, Model.batch_size), compile)


def _check(model: str, *, precision: str, compile: bool, threads: int, radius_px: int) -> None:
    if precision not in ("fp32", "bf16", "fp16"):
        raise InputError(f"{model}: precision must be fp32, bf16 or fp16, got {precision!r}.")
    if not isinstance(compile, bool):
        raise InputError(f"{model}: compile must be true or false, got {compile!r}.")
    for name, value in (("threads", threads), ("radius_px", radius_px)):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 256:
            raise InputError(f"{model}: {name} must be a whole number from 0 to 256, got {value!r}.")


def _why_not(image: Array, box: Array) -> str:
    if image.ndim != 3 or image.shape[2] != 3:
        return f"not an RGB picture: its shape is {image.shape}"
    if not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
        return "the given box is empty"
    if box[3] - box[1] > MAX_IMAGE_PIXELS**0.5:
        return f"the given box is {box[3] - box[1]:.3g} pixels high"
    height, width = image.shape[:2]
    outside = box[0] > width - 0.5 or box[1] > height - 0.5 or box[2] < -0.5 or box[3] < -0.5
    return "the given box lies outside the picture" if outside else ""
