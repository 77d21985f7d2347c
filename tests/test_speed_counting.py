"""MACs and parameters: counted of nets whose numbers follow by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpbench.speed.counting import Count, counted, onnx_macs, onnx_parameters, watched_sessions

CONV = 4 * 6 * 5 * (3 // 1) * 9  # out channels x positions x in channels x kernel
DENSE = 7 * 11


def test_torch_layers() -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.BatchNorm2d(4)).eval()
    transposed = torch.nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2)

    def call() -> None:
        with torch.inference_mode():
            transposed(net(torch.zeros(2, 3, 6, 5)))
            torch.nn.Linear(7, 11)(torch.zeros(2, 7))

    expected = CONV + 4 * 6 * 5 * 3 * 4 + DENSE  # transposed: each input number meets out channels / groups x kernel
    count = counted(call, 2, None, [])
    assert (count.parameters, count.macs) == (None, expected) and "PyTorch" in count.how
    assert counted(call, 2, 17, []).parameters == 17


def test_nothing_is_guessed() -> None:
    assert counted(lambda: None, 1, 5, []) == Count(5, None, "nothing was seen that PyTorch or onnxruntime computes: MACs are not known")


onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def graph(nodes: list[Any], weights: dict[str, tuple[int, ...]], inputs: dict[str, tuple[Any, ...]], outputs: list[str]) -> bytes:
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    constants = [onnx.numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights.items()]
    infos = [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()]
    made = helper.make_graph(nodes, "net", infos, [helper.make_tensor_value_info(name, kind, None) for name in outputs], constants)
    return bytes(helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString())


def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    return onnx.helper.make_node(kind, inputs.split(), [output], **attributes)


CASES = {
    "conv": ([node("Conv", "x w b", "y", pads=[1, 1, 1, 1])], {"w": (4, 3, 3, 3), "b": (4,)}, (2, 3, 6, 5), 2 * CONV, 112),
    "depthwise": ([node("Conv", "x w", "y", group=3)], {"w": (3, 1, 3, 3)}, (1, 3, 6, 5), 3 * 4 * 3 * 9, 27),
    "strided": ([node("Conv", "x w", "y", strides=[2, 2])], {"w": (8, 3, 2, 2)}, (1, 3, 6, 4), 8 * 3 * 2 * 3 * 4, 96),
    "transposed": ([node("ConvTranspose", "x w", "y", strides=[2, 2])], {"w": (3, 5, 2, 2)}, (1, 3, 6, 5), 90 * 5 * 4, 60),
    "gemm": ([node("Gemm", "x w b", "y")], {"w": (7, 11), "b": (11,)}, (2, 7), 2 * DENSE, 88),
    "gemm transposed": ([node("Gemm", "x w", "y", transA=1, transB=1)], {"w": (11, 7)}, (7, 2), 2 * DENSE, 77),
    "matmul": ([node("MatMul", "x w", "y")], {"w": (7, 11)}, (2, 3, 7), 6 * DENSE, 77),
    "matmul of vectors": ([node("MatMul", "x w", "y")], {"w": (7,)}, (2, 7), 14, 7),
    "matmul twice": ([node("MatMul", "x w", "m"), node("MatMul", "m v", "y")], {"w": (4, 3, 7, 5), "v": (5, 2)}, (1, 3, 6, 7),
                     4 * 3 * 6 * 7 * 5 + 4 * 3 * 6 * 5 * 2, 430),
    "normalised": ([node("BatchNormalization", "x s b m v", "y")], dict.fromkeys("sbmv", (3,)), (1, 3, 2, 2), 0, 6),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_onnx_layers(case: str) -> None:
    nodes, weights, shape, macs, parameters = CASES[case]
    model = graph(nodes, weights, {"x": ("B", *shape[1:])}, ["y"])
    assert onnx_macs(model, {"x": np.ones(shape, np.float32)}) == macs
    assert onnx_parameters(model) == parameters


def loop(body_kind: str) -> bytes:
    """Three times through a body with one product."""
    helper, kind = onnx.helper, onnx.TensorProto
    state = [
        helper.make_tensor_value_info(n, t, s) for n, t, s in (("i", kind.INT64, []), ("go", kind.BOOL, []), ("h", kind.FLOAT, [2, 7]))
    ]
    inner = [node("Identity", "go", "go_on"), node("Einsum", "h w", "next", equation="bi,ij->bj") if body_kind == "Einsum"
             else node(body_kind, "h w", "next")]  # fmt: skip
    outs = [helper.make_tensor_value_info("go_on", kind.BOOL, []), helper.make_tensor_value_info("next", kind.FLOAT, [2, 7])]
    nodes = [
        node("Constant", "", "n", value=onnx.numpy_helper.from_array(np.array(3, np.int64))),
        helper.make_node("Loop", ["n", "", "x"], ["y"], body=helper.make_graph(inner, "body", state, outs)),
    ]
    return graph(nodes, {"w": (7, 7)}, {"x": (2, 7)}, ["y"])


def test_a_loop_counts_as_often_as_it_runs_and_other_products_not_at_all() -> None:
    feed = {"x": np.ones((2, 7), np.float32)}
    assert onnx_macs(loop("MatMul"), feed) == 3 * 2 * 7 * 7
    assert onnx_macs(loop("Einsum"), feed) is None
    assert onnx_macs(b"no model", feed) is None and onnx_parameters(b"no model") is None


def test_sessions_are_watched_as_often_as_they_run(tmp_path: Path) -> None:
    import onnxruntime

    nodes, weights, shape, macs, parameters = CASES["conv"]
    model = graph(nodes, weights, {"x": ("B", *shape[1:])}, ["y"])
    (tmp_path / "net.onnx").write_bytes(model)
    with watched_sessions() as runs:
        sessions = [
            onnxruntime.InferenceSession(given, providers=["CPUExecutionProvider"]) for given in (model, str(tmp_path / "net.onnx"))
        ]
        picture = np.ones((4, *shape[1:]), np.float32)
        sessions[0].run(None, {"x": picture})  # before: does not count

        def call() -> None:
            for session in (*sessions, sessions[0]):
                session.run(None, {"x": picture})

        count = counted(call, 4, None, runs)
    assert (count.macs, count.parameters) == (3 * macs // 2, 2 * parameters)
    assert onnxruntime.InferenceSession.__name__ == "InferenceSession"


def test_torch_and_onnx_agree(tmp_path: Path) -> None:
    """The same layers in both."""
    torch = pytest.importorskip("torch")
    x = torch.zeros(1, 3, 6, 5)
    layers = {"conv": torch.nn.Conv2d(3, 4, 3, padding=1), "transposed": torch.nn.ConvTranspose2d(3, 5, 2, stride=2)}
    for name, layer in layers.items():
        nodes, weights, shape, _, parameters = CASES[name]
        ours = onnx_macs(graph(nodes, weights, {"x": ("B", *shape[1:])}, ["y"]), {"x": np.zeros((1, 3, 6, 5), np.float32)})
        assert counted(lambda net=layer: net(x), 1, None, []).macs == ours
        assert parameters in (sum(p.numel() for p in layer.parameters()), layer.weight.numel())


def test_the_network_call_of_an_onnx_card_and_of_mnn(tmp_path: Path) -> None:
    from tiny_onnx import EULER, model_of

    model = model_of(tmp_path, {"y": ([1.0, 2.0, 3.0], [3])}, [{**EULER, "order": ["yaw", "pitch", "roll"]}])
    call = model.network_call(5)
    assert np.shape(call()) == (1, 1, 5, 3)  # files, outputs, faces, angles
    pytest.importorskip("torch")
    from tiny_mnn import weights_in

    from hpbench.models.mnn import Mnn, MnnEncoder

    weights = weights_in(tmp_path)
    whole, half = (counted(kind(weights, device="cpu").network_call(2), 2, None, []).macs for kind in (Mnn, MnnEncoder))
    assert whole and half and half < whole
