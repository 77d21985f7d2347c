"""MNN as an ONNX file: it says what PyTorch says, and comes back through the ONNX card, crop included."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from tiny_mnn import TINY, lively, some_heads, torch, weights_in

from hpbench.catalog import model_card_from
from hpbench.cli import cli
from hpbench.errors import HpbenchError, InputError, MissingDataError
from hpbench.geometry.rotations import geodesic_deg
from hpbench.mnn.config import READ_RADIUS_PX
from hpbench.mnn.crops import box_crops
from hpbench.mnn.infer import crops_of
from hpbench.models.crop import Crop, CropSpec, crop_face
from hpbench.models.mnn import Mnn, MnnEncoder
from hpbench.models.resolve import create_model

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

EXACT = CropSpec(0.3, "square-by-height", "constant", "linear", "exact")


class Exported(NamedTuple):
    weights: Path
    whole: Path


def export_to(folder: Path, weights: Path, *options: str) -> Path:
    """The folder of the file and its card, written by the command."""
    done = CliRunner().invoke(cli, ["models", "export", "mnn", "--weights", str(weights), "--onnx", str(folder / "net.onnx"), *options])
    assert done.exit_code == 0, (done.output, done.exception)
    assert done.stdout.strip() == str(folder / "card.toml")
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("export")
    weights = weights_in(folder)
    return Exported(weights, export_to(folder / "whole", weights))


def test_the_card_model_says_what_the_pytorch_model_says(exported: Exported) -> None:
    images, boxes = some_heads(12)
    boxes = boxes + [[-30.25, 12.5, 9.0, 40.75]]  # not square, and beyond the picture
    ours = Mnn(exported.weights).predict(images, boxes)
    model = create_model(str(exported.whole / "card.toml"))
    theirs = model.predict(images, boxes)
    assert ours.rotation is not None and theirs.rotation is not None
    assert geodesic_deg(ours.rotation, theirs.rotation).max() < 0.01
    assert ours.landmarks is not None and theirs.landmarks is not None and theirs.scheme == ours.scheme
    distance = np.linalg.norm(ours.landmarks - theirs.landmarks, axis=2)
    # the maps of an untrained network are nearly flat: here and there another pixel is the maximum after the last digit has changed
    assert np.quantile(distance, 0.995) < 0.01
    assert ours.visibility is not None and theirs.visibility is not None
    np.testing.assert_allclose(ours.visibility, theirs.visibility, atol=1e-5)
    assert model.name.startswith("mnn-onnx-")


@pytest.mark.long
def test_the_encoder_alone(exported: Exported, tmp_path: Path) -> None:
    encoder = export_to(tmp_path, exported.weights, "--encoder")
    images, boxes = some_heads(5)
    ours, theirs = (
        MnnEncoder(exported.weights).predict(images, boxes),
        create_model(str(encoder / "card.toml")).predict(images, boxes),
    )
    assert ours.rotation is not None and theirs.rotation is not None and theirs.landmarks is None
    assert geodesic_deg(ours.rotation, theirs.rotation).max() < 0.01
    assert (encoder / "net.onnx").stat().st_size < 0.8 * (exported.whole / "net.onnx").stat().st_size


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_the_file_takes_any_batch_and_names_its_outputs(exported: Exported, batch: int) -> None:
    session = ort.InferenceSession(exported.whole / "net.onnx", providers=["CPUExecutionProvider"])
    assert [o.name for o in session.get_outputs()] == ["euler_deg", "landmarks_px", "visibility", "heatmap_logits"]
    crops = torch.rand((batch, 3, TINY.input_px, TINY.input_px), generator=torch.Generator().manual_seed(batch))
    euler, points, visibility, logits = session.run(None, {"crops": crops.numpy()})
    with torch.inference_mode():
        outputs = lively()(crops)
    np.testing.assert_allclose(euler, outputs.pose_direct[:, :3], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(logits, outputs.heatmap_logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(visibility, torch.sigmoid(outputs.visibility_logits), rtol=1e-4, atol=1e-4)
    assert points.shape == (batch, 68, 2) and (points >= 0).all() and (points <= TINY.input_px - 1).all()


def test_the_file_says_nothing_of_where_it_was_made(exported: Exported) -> None:
    data = (exported.whole / "net.onnx").read_bytes()
    assert str(Path(__file__).resolve().parents[1]).encode() not in data and b"site-packages" not in data
    model = onnx.load(exported.whole / "net.onnx")
    assert {o.version for o in model.opset_import if not o.domain} == {18}
    card = model_card_from(exported.whole / "card.toml")
    assert card.onnx["sha256"] == hashlib.sha256(data).hexdigest() and card.trained_on == ()


def test_a_graph_that_says_something_else_is_not_written(exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hpbench.mnn import export

    class Program:
        model_proto = onnx.load(exported.whole / "net.onnx")

    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: Program)
    assert export.export_onnx(lively(), tmp_path / "same.onnx", radius_px=READ_RADIUS_PX) < 1e-4
    with pytest.raises(InputError, match="not written: onnxruntime's outputs differ from PyTorch's by .*, more than 0.0001"):
        export.export_onnx(lively(seed=1), tmp_path / "net.onnx", radius_px=READ_RADIUS_PX)
    assert [p.name for p in tmp_path.iterdir()] == ["same.onnx"]


def test_the_comparison_sees_a_wrong_weight(exported: Exported) -> None:
    from hpbench.mnn import export
    from hpbench.mnn.infer import fused

    data, names = (exported.whole / "net.onnx").read_bytes(), export.output_names(encoder_only=False)
    network = fused(lively())
    assert export._difference(data, export._Deployed(network, False, READ_RADIUS_PX), names, TINY.input_px) < 1e-4
    for wrong in (network.pose_direct.bias, network.heatmaps.bias, network.visibility.bias):
        with torch.no_grad():
            wrong[1] += 0.05
        assert export._difference(data, export._Deployed(network, False, READ_RADIUS_PX), names, TINY.input_px) > 1e-3
        with torch.no_grad():
            wrong[1] -= 0.05
    assert export._difference(data, export._Deployed(network, False, 0), names, TINY.input_px) > 1e-3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["mnn+or", "--onnx", "a.onnx"], "'mnn.or' cannot be exported: regression trees.*; mnn and mnn-encoder can"),
        (["fsanet", "--onnx", "a.onnx"], "'fsanet' cannot be exported"),
        (["mnn", "--onnx", "a.bin"], "ends with .onnx"),
        (["mnn", "--onnx", "other/a.onnx"], "the card of another model is there"),
    ],
)
def test_what_cannot_be_exported(
    arguments: list[str], sentence: str, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "card.toml").write_text('id = "precious"\n')
    done = CliRunner().invoke(cli, ["models", "export", *arguments, "--weights", str(exported.weights)])
    assert isinstance(done.exception, HpbenchError)
    with pytest.raises(InputError, match=sentence):
        raise done.exception


def test_a_missing_package_is_named(exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    done = CliRunner().invoke(cli, ["models", "export", "mnn", "--onnx", str(tmp_path / "a.onnx"), "--weights", str(exported.weights)])
    assert isinstance(done.exception, MissingDataError) and "onnxscript: pip install 'hpbench[export]'" in str(done.exception)


# ------------------------------------------------------------------------------------------------ the card's crop


@pytest.mark.parametrize("size", [16, 64, 256])
def test_the_exact_window_is_the_crop_of_the_network(size: int) -> None:
    rng = np.random.default_rng(size)
    images, boxes = some_heads(6)
    boxes = boxes + rng.uniform(-40, 40, boxes.shape)
    crops, matrices = crops_of(images, boxes, size)
    for image, box, crop, matrix in zip(images, boxes, crops, matrices, strict=True):
        found = crop_face(image, box, EXACT, (size, size))
        assert isinstance(found, Crop)
        np.testing.assert_allclose(found.pixels.astype(float), crop.astype(float), atol=1)  # a coordinate may round otherwise
        points = rng.uniform(0, size, (9, 2))
        np.testing.assert_allclose(found.to_image(points) @ matrix[:, :2].T + matrix[:, 2], points, atol=1e-9)


def test_the_exact_window_is_not_rounded() -> None:
    image = np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (200, 1, 3))  # the value is the column
    box = np.array([60.3, 50.0, 70.3, 90.0])  # wider crops follow from its height: 64 pixels about 65.3, 70
    crop = crop_face(image, box, EXACT, (64, 64))
    assert isinstance(crop, Crop)
    np.testing.assert_allclose(crop.to_image([[31.5, 31.5], [0, 0]]), [[65.3, 70.0], [33.8, 38.5]])
    np.testing.assert_allclose(crop.pixels[20, :, 0], 33.8 + np.arange(64), atol=0.55)
    np.testing.assert_allclose(box_crops([box]).side_px, 64.0)


@pytest.mark.parametrize("keys", [{"shape": "rectangle"}, {"border": "clip"}, {"interpolation": "area"}])
def test_an_exact_window_goes_with_little_else(keys: dict[str, str]) -> None:
    with pytest.raises(InputError, match='window = "exact" goes with'):
        replace(EXACT, **keys).validate("card")  # type: ignore[arg-type]
