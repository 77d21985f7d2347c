"""WHENet's network in PyTorch, and its Keras weights (HDF5) read by name, without Keras.

EfficientNet-B0 (Tan and Le, ICML 2019) without its classifier, and one linear layer an angle on its mean features: Zhou and Gregson,
WHENet, BMVC 2020.  Keras numbers its layers in the order in which it makes them: a block makes its expansion, its depthwise
convolution, the two of squeeze and excitation, and its projection.  Padding is TensorFlow's ("same": the odd pixel behind).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InputError

__all__ = ["OUTPUTS", "WhenetNetwork", "expected_shapes", "read_whenet"]

Array = npt.NDArray[Any]

OUTPUTS: dict[Literal["yaw", "pitch", "roll"], int] = {"yaw": 120, "pitch": 66, "roll": 66}  # classes of 3 degrees
EPSILON = 1e-3  # added to the variances of batch normalisation
# kernel, stride, expansion, channels, blocks: Table 1 of EfficientNet
_STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1))
_STEM, _FEATURES = 32, 1280
_SQUEEZE = 4  # inputs of a block per channel that its squeeze leaves
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


class _Conv(NamedTuple):
    """A convolution and, where `norm` names it, its batch normalisation; else it has a bias of its own."""

    name: str
    norm: str
    kernel: int
    inputs: int
    outputs: int
    stride: int = 1

    @property
    def depthwise(self) -> bool:
        return self.name.startswith("depthwise")

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name in the file and shape of each of its arrays, the kernel first."""
        last, kind = (1, "depthwise_kernel") if self.depthwise else (self.outputs, "kernel")
        yield f"{self.name}/{self.name}/{kind}:0", (self.kernel, self.kernel, self.inputs, last)
        if self.norm:
            yield from ((f"{self.norm}/{self.norm}/{part}:0", (self.outputs,)) for part in _NORM)
        else:
            yield f"{self.name}/{self.name}/bias:0", (self.outputs,)


class _Block(NamedTuple):
    expand: _Conv | None
    depthwise: _Conv
    squeeze: _Conv
    excite: _Conv
    project: _Conv


class _Plan(NamedTuple):
    stem: _Conv
    blocks: tuple[_Block, ...]
    head: _Conv

    def convs(self) -> Iterator[_Conv]:
        yield self.stem
        for block in self.blocks:
            yield from (conv for conv in block if conv is not None)
        yield self.head


def _plan() -> _Plan:
    counts: dict[str, int] = {}

    def named(kind: str) -> str:
        counts[kind] = counts.get(kind, 0) + 1
        return f"{kind}_{counts[kind]}"

    def conv(kernel: int, inputs: int, outputs: int, stride: int = 1, kind: str = "conv2d", norm: bool = True) -> _Conv:
        return _Conv(named(kind), named("batch_normalization") if norm else "", kernel, inputs, outputs, stride)

    stem, blocks, channels = conv(3, 3, _STEM, 2), [], _STEM
    for kernel, stage_stride, expansion, outputs, repeats in _STAGES:
        for repeat in range(repeats):
            wide, stride, narrow = channels * expansion, 1 if repeat else stage_stride, channels // _SQUEEZE
            blocks.append(
                _Block(
                    conv(1, channels, wide) if expansion > 1 else None,
                    conv(kernel, wide, wide, stride, "depthwise_conv2d"),
                    conv(1, wide, narrow, norm=False),
                    conv(1, narrow, wide, norm=False),
                    conv(1, wide, outputs),
                )
            )
            channels = outputs
    return _Plan(stem, tuple(blocks), conv(1, channels, _FEATURES))


def expected_shapes() -> dict[str, tuple[int, ...]]:
    """Shape of every array of the file, by its name; Keras' order: kernels are (height, width, in, out)."""
    shapes = dict(shape for conv in _plan().convs() for shape in conv.shapes())
    for angle, classes in OUTPUTS.items():
        shapes |= {f"{angle}_new/{angle}_new/kernel:0": (_FEATURES, classes), f"{angle}_new/{angle}_new/bias:0": (classes,)}
    return shapes


def read_whenet(data: bytes, where: str) -> dict[str, Array]:
    """The arrays of a Keras weight file, float32 by name; `InputError` naming `where` if they are not WHENet's."""
    import h5py

    arrays: dict[str, Array] = {}
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            for name, shape in expected_shapes().items():
                item = file.get(name)
                if not isinstance(item, h5py.Dataset):
                    raise InputError(f"{where}: there is no {name!r} in it: the weights of another network?")
                if item.shape != shape or item.dtype.kind != "f":  # before anything is read: a file may claim any size
                    raise InputError(f"{where}: {name!r} has shape {item.shape} ({item.dtype}), WHENet's has {shape}: another network?")
                arrays[name] = item[()].astype(np.float32)
    except (OSError, KeyError, RuntimeError) as error:
        raise InputError(f"{where}: not an HDF5 file that can be read ({str(error)[:100]}).") from None
    if broken := [name for name, array in arrays.items() if not np.isfinite(array).all()]:
        raise InputError(f"{where}: {broken[0]!r} holds numbers that are not finite: a damaged file?")
    return arrays


class WhenetNetwork:
    """The network, ready to run.

    Parameters
    ----------
    arrays : mapping of str to array
        Of `read_whenet`.
    device : torch.device
    """

    def __init__(self, arrays: Mapping[str, Array], device: Any) -> None:
        import torch

        self._device = device
        self._plan = _plan()
        self._weights = {conv: tuple(self.on_device(part) for part in _folded(conv, arrays)) for conv in self._plan.convs()}
        self._heads = [
            (self.on_device(arrays[f"{a}_new/{a}_new/kernel:0"]), self.on_device(arrays[f"{a}_new/{a}_new/bias:0"])) for a in OUTPUTS
        ]
        self._torch = torch

    def on_device(self, array: Array) -> Any:
        """A float32 tensor where the network is."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(self._device)

    def __call__(self, tensor: Any) -> list[Array]:
        """Logits of yaw (B, 120), pitch (B, 66) and roll (B, 66) of images (B, 3, H, W), normalised RGB."""
        silu = self._torch.nn.functional.silu
        with self._torch.inference_mode():
            x = silu(self._conv(self._plan.stem, tensor))
            for block in self._plan.blocks:
                y = silu(self._conv(block.expand, x)) if block.expand else x
                y = silu(self._conv(block.depthwise, y))
                gate = silu(self._conv(block.squeeze, y.mean(dim=(2, 3), keepdim=True)))
                y = self._conv(block.project, y * self._conv(block.excite, gate).sigmoid())
                x = x + y if y.shape == x.shape else y
            features = silu(self._conv(self._plan.head, x)).mean(dim=(2, 3))
            return [(features @ kernel + bias).cpu().numpy() for kernel, bias in self._heads]

    def _conv(self, conv: _Conv, x: Any) -> Any:
        functional = self._torch.nn.functional
        kernel, bias = self._weights[conv]
        if conv.kernel > 1:
            x = functional.pad(x, (*_padding(x.shape[3], conv), *_padding(x.shape[2], conv)))
        return functional.conv2d(x, kernel, bias, stride=conv.stride, groups=conv.inputs if conv.depthwise else 1)


def _padding(size: int, conv: _Conv) -> tuple[int, int]:
    """Pixels before and behind, as TensorFlow's "same" has them."""
    total = max((-(-size // conv.stride) - 1) * conv.stride + conv.kernel - size, 0)
    return total // 2, total - total // 2


def _folded(conv: _Conv, arrays: Mapping[str, Array]) -> tuple[Array, Array]:
    """Kernel in PyTorch's order (out, in, height, width) and bias, batch normalisation multiplied in."""
    kernel, *rest = (arrays[name].astype(np.float64) for name, _ in conv.shapes())
    kernel = kernel.transpose(2, 3, 0, 1) if conv.depthwise else kernel.transpose(3, 2, 0, 1)
    if not conv.norm:
        return kernel, rest[0]
    gamma, beta, mean, variance = rest
    scale = gamma / np.sqrt(variance + EPSILON)
    return kernel * scale[:, None, None, None], beta - mean * scale
