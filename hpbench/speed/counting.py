"""What a prediction multiplies: counted from what PyTorch computes and from the ONNX graphs that onnxruntime runs, never guessed.

A multiplication with its addition counts as one (MAC); counted are convolutions and matrix products.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Count", "OnnxRun", "counted", "onnx_macs", "onnx_parameters", "watched_sessions"]

_CONVOLUTIONS = {"Conv": 1, "FusedConv": 1, "ConvInteger": 1, "QLinearConv": 3}  # which input the weights are
_PRODUCTS = ("MatMul", "FusedMatMul", "MatMulInteger", "QLinearMatMul", "Gemm", "FusedGemm")
# they multiply as well, and how much is not worth the code: a graph with one of them is not counted
_UNCOUNTED = {"Einsum", "LSTM", "GRU", "RNN", "Attention", "MultiHeadAttention", "DeformConv", "QAttention", "QGemm"}
_NUMBERS = (1, 2, 3, 10, 11, 16)  # element types of onnx.TensorProto: float32, uint8, int8, float16, float64, bfloat16


class Count(NamedTuple):
    """Of one face; None where it is not known, `how` says how or why not."""

    parameters: int | None
    macs: int | None
    how: str


class OnnxRun(NamedTuple):
    """One run of a session: its model's file and its inputs."""

    session: object
    model: bytes
    feed: dict[str, Any]


def counted(call: Callable[[], object], faces: int, parameters: int | None, runs: list[OnnxRun]) -> Count:
    """Count what a call computes for so many faces.

    Parameters
    ----------
    call : callable
        A prediction; what PyTorch computes in the calling thread is seen, and what onnxruntime runs, by `runs`.
    faces : int
    parameters : int or None
        The card's, which is believed.
    runs : list of OnnxRun
        Of `watched_sessions`, in whose block the model was made.
    """
    before = len(runs)
    with _torch_counter() as torch_macs:
        call()
    seen, from_torch = runs[before:], torch_macs()  # counting makes sessions too: the list grows
    if not seen and not from_torch:
        return Count(parameters, None, "nothing was seen that PyTorch or onnxruntime computes: MACs are not known")
    graphs = {id(run.session): run.model for run in seen}.values()
    found = None if from_torch else _sum([onnx_parameters(graph) for graph in graphs])
    total = _sum([from_torch, *(onnx_macs(run.model, run.feed) for run in seen)])
    ways = " and ".join([*(["PyTorch's operations"] * bool(from_torch)), *(["the ONNX graphs"] * bool(seen))])
    size = "the card's" if parameters is not None else "the numbers in the ONNX graphs" if found is not None else "not known"
    how = f"parameters: {size}; MACs: {'not known, a graph holds what is not counted' if total is None else f'counted in {ways}'}"
    return Count(parameters if parameters is not None else found, None if total is None else round(total / faces), how)


def _sum(numbers: Sequence[int | None]) -> int | None:
    """None where one is not known."""
    known = [n for n in numbers if n is not None]
    return sum(known) if len(known) == len(numbers) else None


# ------------------------------------------------------------------------------------------------- PyTorch


@contextmanager
def _torch_counter() -> Iterator[Callable[[], int]]:
    """Counts MACs in the block; 0 without PyTorch."""
    if "torch" not in sys.modules:
        yield lambda: 0
        return
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        yield lambda: int(counter.get_total_flops()) // 2  # it counts two a MAC


# ------------------------------------------------------------------------------------------------- onnxruntime


@contextmanager
def watched_sessions() -> Iterator[list[OnnxRun]]:
    """onnxruntime's sessions that are made in the block note what they run; for a process that does nothing else."""
    runs: list[OnnxRun] = []
    try:
        import onnxruntime
    except ImportError:
        yield runs
        return
    original = onnxruntime.InferenceSession

    class Watched(original):  # type: ignore[misc, valid-type]
        def __init__(self, path_or_bytes: Any, *arguments: Any, **keywords: Any) -> None:
            given = path_or_bytes
            self.hpbench_model = bytes(given) if isinstance(given, bytes | bytearray) else Path(given).read_bytes()
            super().__init__(path_or_bytes, *arguments, **keywords)

        def run(self, output_names: Any, input_feed: Any, run_options: Any = None) -> Any:
            runs.append(OnnxRun(self, self.hpbench_model, dict(input_feed)))
            return super().run(output_names, input_feed, run_options)

    onnxruntime.InferenceSession = Watched
    try:
        yield runs
    finally:
        onnxruntime.InferenceSession = original


def onnx_macs(model: bytes, feed: Mapping[str, Any]) -> int | None:
    """MACs of one run of a graph; None where it holds what is not counted.

    It is run again under onnxruntime's profiler, which tells the shapes of every node that is computed, those within loops as often as
    they are: no rule of inference knows them all.

    Parameters
    ----------
    model : bytes
        The file.
    feed : mapping of str to array
        The inputs of the run.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")  # packed weights have no shape
    options.log_severity_level = 4
    options.enable_profiling = True
    with tempfile.TemporaryDirectory(prefix="hpbench-bench-") as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        try:
            session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            session.run(None, dict(feed))
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        except Exception:  # onnxruntime's classes of errors share no base but this
            return None
    nodes = [event["args"] for event in events if event.get("cat") == "Node" and "output_type_shape" in event.get("args", {})]
    return None if any(node["op_name"] in _UNCOUNTED for node in nodes) else sum(map(_node_macs, nodes))


def _node_macs(node: Mapping[str, Any]) -> int:
    """Of a node as the profiler tells it."""
    kind = node["op_name"]
    inputs, outputs = ([shape for typed in node[f"{way}_type_shape"] for shape in typed.values()] for way in ("input", "output"))
    if kind in _CONVOLUTIONS:
        return math.prod(outputs[0]) * math.prod(inputs[_CONVOLUTIONS[kind]][1:])  # weights: (out, in / groups, *kernel)
    if kind == "ConvTranspose":
        return math.prod(inputs[0]) * math.prod(inputs[1][1:])  # weights: (in, out / groups, *kernel)
    if kind in _PRODUCTS:
        left, out = inputs[0], outputs[0]
        transposed = ("Gemm" in kind and left[0] != out[0]) or (kind == "FusedMatMul" and left[-2] != out[-2])
        return math.prod(out) * left[-2 if transposed else -1]
    return 0


def onnx_parameters(model: bytes) -> int | None:
    """Numbers that a graph holds as weights: floating-point and 8-bit tensors, without the running statistics of batch normalisation.

    None where the package onnx is not there or the graph cannot be read.
    """
    try:
        import onnx

        graph = onnx.load_model_from_string(model).graph
    except Exception:  # of protobuf, or none is installed
        return None
    statistics = {name for node in graph.node if node.op_type == "BatchNormalization" for name in node.input[3:5]}
    tensors = [(init.name, init) for init in graph.initializer]
    tensors += [(n.output[0], a.t) for n in graph.node if n.op_type == "Constant" for a in n.attribute if a.name == "value"]
    return sum(math.prod(t.dims) for name, t in tensors if name not in statistics and t.data_type in _NUMBERS and t.dims)
