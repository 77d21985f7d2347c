"""One ONNX file in onnxruntime: loaded from verified bytes, checked against its card, run in batches of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, MissingDataError, did_you_mean
from .onnx_pose import Output
from .weights import WeightFile

__all__ = ["OnnxSession"]

Array = npt.NDArray[Any]

_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


class OnnxSession:
    """A loaded file.

    Parameters
    ----------
    weights : WeightFile
    input_shape : (int, int, int)
        Of one face, as the card says.
    outputs : sequence of Output
        Which tensors to compute.
    where : str
        Names the card in errors.
    device, threads
        See `hpbench.models.onnx_card.OnnxCardModel`.

    Attributes
    ----------
    batch : int
        The batch size that the file prescribes; 0 = any.
    """

    def __init__(
        self, weights: WeightFile, input_shape: tuple[int, int, int], outputs: Sequence[Output], where: str, device: str, threads: int
    ) -> None:
        self.path = weights.path
        self._session = _load(weights, device, threads)
        self.device = "cuda" if self._session.get_providers()[0].startswith("CUDA") else "cpu"
        self.batch = self._check_input(input_shape, where)
        self._names = [self._output_name(output, f"{where}: outputs, entry {i}") for i, output in enumerate(outputs)]

    def run(self, tensor: Array) -> list[Array]:
        """The output tensors of (B, ...) float32 inputs, float64, in the card's order."""
        tensor = tensor.astype(self._dtype, copy=False)
        if not self.batch or len(tensor) == self.batch:
            return self._run_batch(tensor)
        parts = []
        for start in range(0, len(tensor), self.batch):
            part = tensor[start : start + self.batch]
            fill = np.repeat(part[-1:], self.batch - len(part), axis=0)  # the last part may be short
            parts.append([out[: len(part)] for out in self._run_batch(np.concatenate([part, fill]))])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _run_batch(self, tensor: Array) -> list[Array]:
        try:
            results = self._session.run(self._names, {self._input: tensor})
        except Exception as error:  # onnxruntime's classes of errors share no base but this
            raise InputError(f"{self.path}: the network cannot be run on inputs {tensor.shape} ({_short(error)}).") from None
        for name, result in zip(self._names, results, strict=True):
            if np.ndim(result) == 0 or len(result) != len(tensor):
                shape = np.shape(result)
                raise InputError(f"{self.path}: output {name!r} has shape {shape} for {len(tensor)} faces: no batch dimension?")
        return [np.asarray(result, dtype=np.float64) for result in results]

    def _check_input(self, wanted: tuple[int, int, int], where: str) -> int:
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise InputError(f"{self.path}: has {len(inputs)} inputs ({', '.join(i.name for i in inputs)}); a card takes files with one.")
        self._input, shape = inputs[0].name, list(inputs[0].shape)
        if inputs[0].type not in _FLOATS:
            raise InputError(f"{self.path}: the input {self._input!r} is {inputs[0].type}; a card takes floating-point inputs.")
        self._dtype = _FLOATS[inputs[0].type]
        if len(shape) == 3 and _fits(shape, wanted):
            raise InputError(f"{self.path}: the input {self._input!r} {_text(shape)} has no batch dimension: export it with one.")
        if len(shape) != 4 or not _fits(shape[1:], wanted):
            h_w_c = (wanted[1], wanted[2], wanted[0]) if wanted[0] in (1, 3) else (wanted[2], wanted[0], wanted[1])
            guess = ": the other layout?" if len(shape) == 4 and _fits(shape[1:], h_w_c) else ": check size_px, layout and colour."
            raise InputError(f"{where}: input is (B, {', '.join(map(str, wanted))}) but {self.path.name} takes {_text(shape)}{guess}")
        return shape[0] if isinstance(shape[0], int) and shape[0] > 0 else 0

    def _output_name(self, output: Output, where: str) -> str:
        names = [o.name for o in self._session.get_outputs()]
        if isinstance(output.tensor, str):
            if output.tensor not in names:
                raise InputError(f"{where}: {self.path.name} has no output {output.tensor!r}: {did_you_mean(output.tensor, names)}")
            return output.tensor
        if not 0 <= output.tensor < len(names):
            raise InputError(f"{where}: {self.path.name} has no output number {output.tensor}, it has {len(names)} ({', '.join(names)}).")
        return str(names[output.tensor])


def _load(weights: WeightFile, device: str, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingDataError("onnxruntime is not installed: pip install 'hpbench[onnx]'.") from None
    if threads < 0:
        raise InputError(f"threads must be 0 (onnxruntime's choice) or more, got {threads}.")
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (number and not (kind == "cuda" and number.isdigit())):
        raise InputError(f"unknown device {device!r} for an ONNX model: known are auto, cpu, cuda, cuda:0, cuda:1, ...")
    available = onnxruntime.get_available_providers()
    if kind == "cuda" and "CUDAExecutionProvider" not in available:
        raise InputError(f"device {device!r}: this onnxruntime has no CUDA (it has {', '.join(available)}): pip install onnxruntime-gpu.")
    providers: list[Any] = ["CPUExecutionProvider"]
    if kind != "cpu" and "CUDAExecutionProvider" in available:
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": int(number or 0)}))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal only: what matters comes as an exception
    options.intra_op_num_threads = threads
    # threads that wait for each other by spinning keep the cores from those that decode the next images
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights outside the file are covered by no hash.  Given bytes, onnxruntime would look for them in the working
    # folder; a "folder" that is a file makes it refuse.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(weights.path.resolve()))
    try:
        # the fallback is for GPUs: of a damaged file it prints to stdout and tries once more
        session = onnxruntime.InferenceSession(weights.data, options, providers=providers, enable_fallback=int(len(providers) > 1))
    except Exception as error:  # onnxruntime's classes of errors share no base but this
        if "xternal data" in str(error):
            raise InputError(f"{weights.path}: keeps weights in another file (external data): save it as one file.") from None
        raise InputError(f"{weights.path}: onnxruntime cannot load it, is it an ONNX model? ({_short(error)})") from None
    if kind == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
        raise InputError(f"device {device!r}: onnxruntime found no usable GPU {number or 0} (driver, CUDA and cuDNN versions?).")
    return session


def _fits(shape: Sequence[Any], wanted: tuple[int, ...]) -> bool:
    # a name, None or -1 stands for any number
    return all(not isinstance(have, int) or have in (-1, want) for have, want in zip(shape, wanted, strict=True))


def _text(shape: Sequence[Any]) -> str:
    return f"({', '.join(str(n) if isinstance(n, int) else '?' for n in shape)})"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(". ")
