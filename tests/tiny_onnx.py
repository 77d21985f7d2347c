"""What the tests of the ONNX card share."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from hpbench.catalog import ModelCard
from hpbench.models.onnx_card import OnnxCardModel

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).resolve().parent.parent
SCHEME = "ibug68-fixed"
EULER = {"kind": "euler", "convention": "300w-lp"}
SIZE = (12, 10)


def save_net(path, outputs, shape=("B", 10, 12, 3), external=False):
    """A network: mean over the pixels f, then for each output f @ weights + bias, reshaped; returns its sha256.

    outputs : name -> (bias (n,), shape of one face), or (bias, shape, weights (C, n))
    """
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    channels_last = len(shape) == 4 and shape[3] in (1, 3)
    channels, axes = (shape[3], [1, 2]) if channels_last else (shape[1], [2, 3])
    nodes = [helper.make_node("ReduceMean", ["x"], ["f"], axes=axes, keepdims=0)]
    constants, infos = [], []
    for name, (bias, one, *weights) in outputs.items():
        bias = np.asarray(bias, np.float32).ravel()
        w = np.asarray(weights[0] if weights else np.zeros((channels, bias.size)), np.float32)
        constants += [onnx.numpy_helper.from_array(w, f"{name}_w"), onnx.numpy_helper.from_array(bias, f"{name}_b")]
        constants.append(onnx.numpy_helper.from_array(np.array([0, *one], np.int64), f"{name}_s"))
        nodes.append(helper.make_node("MatMul", ["f", f"{name}_w"], [f"{name}_m"]))
        nodes.append(helper.make_node("Add", [f"{name}_m", f"{name}_b"], [f"{name}_a"]))
        nodes.append(helper.make_node("Reshape", [f"{name}_a", f"{name}_s"], [name]))
        infos.append(helper.make_tensor_value_info(name, kind, [shape[0], *one]))
    save(path, nodes, infos, constants, shape, external)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save(path, nodes, outputs, constants, shape, external=False):
    given_input = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)
    graph = onnx.helper.make_graph(nodes, "net", [given_input], outputs, constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path, save_as_external_data=external, location=f"{path.name}.data", size_threshold=0)


def card_of(folder, outputs, file="net.onnx", sha256=None, crop=None, **keys):
    """A card whose file lies in its own folder; keys of the ``input`` table come as input_<name>."""
    if sha256 is None:
        sha256 = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    spec = {"size_px": list(SIZE), "layout": "NHWC", "colour": "RGB"}
    spec |= {k.removeprefix("input_"): keys.pop(k) for k in list(keys) if k.startswith("input_")}
    table = {"file": file, "sha256": sha256, "input": spec, "outputs": outputs, **keys}
    card = ModelCard(id="net", title="A net", onnx=table | ({"crop": crop} if crop else {}))
    object.__setattr__(card, "folder", folder)
    return card


def model_of(folder, net, outputs, shape=("B", 10, 12, 3), **keys):
    save_net(folder / "net.onnx", net, shape)
    return OnnxCardModel(card_of(folder, outputs, **keys), threads=1)


def predict(model, n=2, value=100):
    return model.predict([np.full((40, 50, 3), value, np.uint8)] * n, np.tile([5.0, 6.0, 34.0, 29.0], (n, 1)))
