"""A network of RFB-320's signature whose answer is known, and a detector that finds what it is told."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpbench.detectors import cards
from hpbench.detectors.interface import Detector


class FixedDetector(Detector):
    """Finds the same boxes in every picture, but nothing in those it is told to be blind to, and fails on black ones."""

    def __init__(self, boxes=(), blind_to=lambda image: False):
        self.boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        self.blind_to = blind_to

    def detect(self, image):
        if not image.any():
            raise ValueError("black")
        boxes = self.boxes[: 0 if self.blind_to(image) else None]
        return boxes, np.linspace(0.9, 0.8, len(boxes))


def save_rfb(path: Path, boxes01, scores, colour_gain=0.0, shape=(1, 3, 240, 320)) -> str:
    """An ONNX file: face scores as given, each box as given plus `colour_gain` times (mean R, G, B, 0) of the input; its sha256."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    face = np.asarray(scores, np.float32)
    gain = np.concatenate([colour_gain * np.eye(3), np.zeros((3, 1))], axis=1).astype(np.float32)
    constants = {
        "gain": gain, "base": np.asarray(boxes01, np.float32)[None], "both": np.stack([1 - face, face], axis=1)[None],
        "zero": np.zeros((3, 1), np.float32), "one": np.array([1, 1, 4], np.int64), "single": np.array([1, 1, 1], np.int64),
    }  # fmt: skip
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "gain"], ["shift"]),
        helper.make_node("Reshape", ["shift", "one"], ["shifts"]),
        helper.make_node("Add", ["base", "shifts"], ["boxes"]),
        helper.make_node("MatMul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Reshape", ["nothing", "single"], ["nothings"]),
        helper.make_node("Add", ["both", "nothings"], ["scores"]),
    ]
    outputs = [helper.make_tensor_value_info(n, kind, [1, len(face), k]) for n, k in (("scores", 2), ("boxes", 4))]
    values = [onnx.numpy_helper.from_array(v, k) for k, v in constants.items()]
    graph = helper.make_graph(nodes, "rfb", [helper.make_tensor_value_info("input", kind, list(shape))], outputs, values)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def know_rfb(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let hpbench take this file for rfb320's own."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    card = replace(cards.CARDS["rfb320"], files={path.name: digest})
    monkeypatch.setitem(cards.CARDS, "rfb320", card)
    monkeypatch.setenv("HPBENCH_WEIGHTS", str(path.parent))
