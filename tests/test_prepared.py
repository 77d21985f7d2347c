"""Faces prepared ahead of the network give what `predict` gives, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hpbench.faces import Faces
from hpbench.models.interface import Array, Model

RNG_SEED = 4


def assert_prepared_is_predict(model: Model, images: list[Array], boxes_xyxy_px: Array) -> None:
    whole = model.predict(images, boxes_xyxy_px)
    prepared = [model.prepare(image, box) for image, box in zip(images, boxes_xyxy_px, strict=True)]
    both: tuple[Faces, Faces] = whole, model.predict_prepared(prepared, boxes_xyxy_px)
    for column in ("rotation", "euler_deg", "landmarks", "visibility"):
        one, other = (getattr(faces, column) for faces in both)
        assert (one is None) == (other is None)
        assert one is None or one.tobytes() == other.tobytes(), column
    assert list(both[0].failure) == list(both[1].failure)
    again = model.predict_prepared(prepared, boxes_xyxy_px)  # what was prepared is not changed
    assert again.failure is not None and list(again.failure) == list(whole.failure)


def pictures(n: int) -> tuple[list[Array], Array]:
    """Noise of different sizes, with boxes of which one is nowhere."""
    rng = np.random.default_rng(RNG_SEED)
    images = [rng.integers(0, 255, (60 + i, 80 - i, 3), dtype=np.uint8) for i in range(n)]
    boxes = np.array([[5.0 + i, 6.5, 40.0 + i, 39.25] for i in range(n)])
    boxes[2] = [500, 500, 600, 600]
    return images, boxes


def test_onnx_card(tmp_path: Path) -> None:
    tiny = pytest.importorskip("tiny_onnx")
    weights = np.random.default_rng(RNG_SEED).normal(size=(3, 3))
    net = {"pose": ([1.0, 2.0, 3.0], (3,), weights), "points": (np.arange(136) / 3, (68, 2), np.ones((3, 136)))}
    outputs = [{**tiny.EULER, "tensor": "pose", "order": ["yaw", "pitch", "roll"]},
               {"kind": "landmarks", "tensor": "points", "scheme": tiny.SCHEME, "units": "crop_px"}]  # fmt: skip
    model = tiny.model_of(tmp_path, net, outputs, crop={"margin": 0.2, "shape": "square", "border": "constant"})
    assert_prepared_is_predict(model, *pictures(5))


@pytest.mark.parametrize("kind", ["Mnn", "MnnEncoder"])
def test_mnn(tmp_path: Path, kind: str) -> None:
    tiny = pytest.importorskip("tiny_mnn")
    from hpbench.models import mnn

    model = getattr(mnn, kind)(weights=tiny.weights_in(tmp_path), device="cpu")
    assert_prepared_is_predict(model, *pictures(5))


def test_the_default_is_the_image_itself() -> None:
    class Mean(Model):
        def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
            return Faces(landmarks=np.array([np.full((19, 2), i.mean()) for i in images]), scheme="aflw19", failure=[""] * len(images))

    assert_prepared_is_predict(Mean(), *pictures(5))
