"""The MNN models: what they predict, which weights they take and refuse, and what they are called then."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tiny_mnn import TINY, lively, rewritten, settings_changed, some_heads, torch, weights_in

import hpbench
from hpbench.catalog import model_cards
from hpbench.cli import cli
from hpbench.errors import HpbenchError, InputError, MissingDataError
from hpbench.geometry.rotations import geodesic_deg
from hpbench.mnn.checkpoint import load_network, network_of, save_weights
from hpbench.mnn.infer import crops_of, fused, in_precision, predict_arrays
from hpbench.mnn.packing import curve_of, pack_weights, weights_story
from hpbench.models import mnn_files
from hpbench.models.mnn import Mnn, MnnEncoder, MnnOr
from hpbench.models.resolve import create_model
from hpbench.records import read_errors, read_record

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weights_in(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The catalog's folder of mnn, with tiny weights in it and their hash on the card."""
    path = weights_in(tmp_path, name="mnn.safetensors")
    card = replace(model_cards()["mnn"], files={path.name: hashlib.sha256(path.read_bytes()).hexdigest()})
    object.__setattr__(card, "folder", tmp_path)
    monkeypatch.setattr(mnn_files, "model_cards", lambda: {"mnn": card})
    return tmp_path


def reasons_of(faces: hpbench.Faces) -> list[str]:
    assert faces.failure is not None
    return [str(reason) for reason in faces.failure]


# ------------------------------------------------------------------------------------------------ predictions


def test_it_says_what_the_network_says(tiny: Path) -> None:
    images, boxes = some_heads(5)
    crops, matrices = crops_of(images, boxes, TINY.input_px)
    plain = lively()
    with torch.inference_mode():
        outputs = plain(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255)
    faces = Mnn(tiny, radius_px=0).predict(images, boxes)
    assert faces.rotation is not None and faces.landmarks is not None and faces.visibility is not None
    yaw, pitch, roll = np.deg2rad(outputs.pose_direct[:, :3].double().numpy().T)
    one = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    # the middle row of Ry Rx Rz has no yaw in it, the last column no roll
    np.testing.assert_allclose(abs(faces.rotation[:, :, 2]), abs(np.stack([one[1] * one[2], one[3], one[0] * one[2]], 1)), atol=1e-4)
    np.testing.assert_allclose(faces.rotation[:, 1, 1], np.cos(roll) * one[2], atol=1e-4)
    best = outputs.heatmap_logits.flatten(2).argmax(2).numpy()
    for face in range(5):
        linear, shift = matrices[face][:, :2], matrices[face][:, 2]
        in_crop = faces.landmarks[face] @ linear.T + shift
        np.testing.assert_allclose(in_crop, np.stack([best[face] % 16, best[face] // 16], 1), atol=1e-6)
    np.testing.assert_allclose(faces.visibility, torch.sigmoid(outputs.visibility_logits), atol=1e-5)
    assert faces.scheme == "ibug68-fixed" and reasons_of(faces) == [""] * 5


def test_the_encoder_says_the_same_pose_to_the_last_bit_and_has_no_decoder(tiny: Path) -> None:
    images, boxes = some_heads(5)
    whole, half = Mnn(tiny), MnnEncoder(tiny)
    np.testing.assert_array_equal(whole.predict(images, boxes).rotation, half.predict(images, boxes).rotation)
    faces = half.predict(images, boxes)
    assert faces.landmarks is None and faces.visibility is None and faces.scheme is None
    names = set(half._engine.network.state_dict())
    assert names and not any(name.startswith(("decoder", "heatmaps", "visibility")) for name in names)


def test_a_bad_box_fails_alone(tiny: Path) -> None:
    images, boxes = some_heads(5)
    good = Mnn(tiny).predict([images[1]], boxes[1:2])
    for row, box in ((0, [np.nan] * 4), (2, [10, 20, 30, 20]), (3, [-90, -90, -50, -50]), (4, [400, 0, 500, 90])):
        boxes[row] = box
    faces = Mnn(tiny).predict(images, boxes)
    reasons = reasons_of(faces)
    assert reasons[1] == "" and "empty" in reasons[0] and "empty" in reasons[2] and all("outside" in r for r in reasons[3:])
    assert faces.rotation is not None and good.rotation is not None and np.isnan(faces.rotation[[0, 2, 3, 4]]).all()
    np.testing.assert_allclose(faces.rotation[1], good.rotation[0], atol=1e-5)
    nothing = MnnEncoder(tiny).predict(images[:1], boxes[:1])
    assert reasons_of(nothing) == ["the given box is empty"]


def test_a_picture_that_is_not_rgb_fails_alone(tiny: Path) -> None:
    images, boxes = some_heads(5)
    good = Mnn(tiny).predict([images[1]], boxes[1:2])
    grey = images[0][..., 0]
    given = [grey, images[1], grey[..., None], np.dstack([images[3], grey]), images[4][None]]
    faces = Mnn(tiny).predict(given, boxes)
    assert reasons_of(faces) == ["" if i == 1 else f"not an RGB picture: its shape is {image.shape}" for i, image in enumerate(given)]
    assert faces.landmarks is not None and good.landmarks is not None and np.isnan(faces.landmarks[[0, 2, 3, 4]]).all()
    np.testing.assert_allclose(faces.landmarks[1], good.landmarks[0], atol=1e-3)


def test_an_enormous_box_is_no_crash(tiny: Path) -> None:
    images, _ = some_heads(1)
    for side in (1e3, 1e5, 1e12, 1e200):
        faces = Mnn(tiny).predict(images, np.array([[-side, -side, side, side]]))
        assert reasons_of(faces) == ["" if side == 1e3 else f"the given box is {2 * side:.3g} pixels high"]


def test_output_that_is_not_finite_is_a_failed_face(tiny: Path) -> None:
    images, boxes = some_heads(2)
    model = Mnn(tiny)
    with torch.no_grad():
        model._engine.network.visibility.bias[3] = float("nan")
    faces = model.predict(images, boxes)
    assert reasons_of(faces) == ["the network's output is not finite"] * 2
    assert faces.rotation is not None and np.isnan(faces.rotation).all()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_keeps_angles_and_logits_fine(precision: str) -> None:
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    network = fused(lively())
    half = in_precision(network, dtype)
    images, boxes = some_heads(4)
    crops, matrices = crops_of(images, boxes, TINY.input_px)
    a, b = (predict_arrays(n, crops, matrices) for n in (network, half))
    assert geodesic_deg(a.rotation_crop_ray, b.rotation_crop_ray).max() < (2.0 if precision == "bf16" else 0.3)
    assert a.visibility is not None and b.visibility is not None and np.abs(a.visibility - b.visibility).max() < 0.02
    with torch.inference_mode():
        outputs = half(torch.rand(1, 3, 16, 16).to(dtype))
    assert {o.dtype for o in outputs} == {torch.float32}
    assert half.stem[0].weight.dtype == dtype and network.stem[0].weight.dtype == torch.float32
    logits = outputs.heatmap_logits.flatten(2)[0, 0]
    assert len(logits.unique()) > 0.9 * len(logits)  # rounded to bfloat16, most would be equal


def test_short_batches_are_filled_up_and_cut() -> None:
    network = fused(lively())
    seen: list[int] = []
    network.stem.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    images, boxes = some_heads(5)
    crops, matrices = crops_of(images, boxes, TINY.input_px)
    whole = predict_arrays(network, crops, matrices, batch_size=4, whole=True)
    assert seen == [4, 4] and len(whole.rotation_crop_ray) == 5
    np.testing.assert_allclose(whole.rotation_crop_ray, predict_arrays(network, crops, matrices).rotation_crop_ray, atol=1e-5)


# ------------------------------------------------------------------------------------------------ which weights


def test_weights_that_come_with_hpbench_are_those_of_the_card(shipped: Path) -> None:
    model = create_model("mnn")
    digest = hashlib.sha256((shipped / "mnn.safetensors").read_bytes()).hexdigest()
    assert (model.name, model.version, model.weights_sha256) == ("mnn", model_cards()["mnn"].version, digest)
    assert create_model("mnn-encoder").name == "mnn-encoder"
    assert create_model("mnn", weights=shipped / "mnn.safetensors").name == "mnn"  # the same file, named
    weights_in(shipped, name="mnn.safetensors", seed=1)
    with pytest.raises(MissingDataError, match="expected sha256"):
        create_model("mnn")
    own = create_model("mnn", weights=shipped / "mnn.safetensors")
    assert own.weights_sha256 is not None and own.name == f"mnn@{own.weights_sha256[:8]}" and own.version.startswith("sha256:")


def test_weights_that_are_not_there(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(MissingDataError, match="comes without trees.safetensors"):
        MnnOr()
    with pytest.raises(InputError, match="two files"):
        MnnOr(shipped / "mnn.safetensors")
    with pytest.raises(MissingDataError, match="no trees.safetensors in this folder"):
        MnnOr(shipped)
    with pytest.raises(MissingDataError, match="no such file"):
        Mnn(shipped / "other.safetensors")
    with pytest.raises(MissingDataError, match="best.safetensors or mnn.safetensors"):
        Mnn(tmp_path_factory.mktemp("empty"))
    (shipped / "mnn.safetensors").unlink()
    with pytest.raises(MissingDataError, match="weights missing"):
        Mnn()


def bad(tensors: dict[str, Any], name: str, value: Any) -> None:
    tensors[name] = value


def as_kind(tensors: dict[str, Any], name: str, kind: Any) -> None:
    tensors[name] = tensors[name].to(kind)


BAD_FILES = {
    "another header": (lambda t, h: h.clear(), "not weights of this network"),
    "no text": (lambda t, h: h.update({"hpbench.mnn": "{"}), "not weights of this network"),
    "a list": (lambda t, h: h.update({"hpbench.mnn": "[1]"}), "expected a table"),
    "deep": (lambda t, h: h.update({"hpbench.mnn": "[" * 100_000}), "not weights of this network"),
    "unknown key": (settings_changed(depth=3), "unknown key 'depth'"),
    "another width": (settings_changed(widths=[8, 32]), "do not fit its settings"),
    "enormous": (settings_changed(widths=[2**40]), "its settings: network: widths"),
    "many blocks": (settings_changed(blocks=10**9), "its settings: network: blocks"),
    "large input": (settings_changed(input_px=2**20), "its settings: network: input_px"),
    "complex": (lambda t, h: as_kind(t, "stem.0.weight", torch.complex64), "stem.0.weight is of the kind torch.complex64"),
    "whole numbers": (lambda t, h: as_kind(t, "stem.0.weight", torch.int32), "stem.0.weight is of the kind torch.int32"),
    "eight bits": (lambda t, h: as_kind(t, "stem.0.weight", torch.float8_e4m3fn), "stem.0.weight is of the kind torch.float8"),
    "counter": (lambda t, h: as_kind(t, "stem.1.num_batches_tracked", torch.float32), "tracked is of the kind torch.float32"),
    "another scheme": (settings_changed(scheme="wflw98"), "do not fit its settings"),
    "missing tensor": (lambda t, h: t.pop("heatmaps.bias"), "heatmaps.bias"),
    "extra tensor": (lambda t, h: bad(t, "x", torch.zeros(2)), "do not fit its settings"),
    "wrong shape": (lambda t, h: bad(t, "heatmaps.bias", torch.zeros(67)), "heatmaps.bias"),
    "NaN": (lambda t, h: bad(t, "heatmaps.bias", torch.full((68,), torch.nan)), "heatmaps.bias holds numbers"),
    "negative variance": (lambda t, h: t["stem.1.running_var"].neg_(), "stem.1.running_var holds numbers"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_damaged_and_hostile_files(tmp_path: Path, name: str) -> None:
    change, sentence = BAD_FILES[name]
    path = rewritten(weights_in(tmp_path), change)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=sentence) as caught:
        Mnn(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 5, 8, 200, 20_000, -1])
def test_truncated_files(tmp_path: Path, tiny: Path, kept: int) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(tiny.read_bytes()[:kept])
    with pytest.raises(InputError, match="not weights of this network: another file, or truncated"):
        Mnn(path)


def test_a_network_without_decoder(tmp_path: Path) -> None:
    path = weights_in(tmp_path, replace(TINY, dense=False))
    with pytest.raises(InputError, match="no decoder"):
        Mnn(path)
    assert MnnEncoder(path).predict(*some_heads(1)).rotation is not None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"device": "cuda:7"}, "device 'cuda:7': PyTorch sees"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"precision": "fp8"}, "precision must be"),
        ({"precision": "fp16", "device": "cpu"}, "for a GPU"),
        ({"compile": "yes"}, "compile must be true or false"),
        ({"threads": -1}, "threads must be"),
        ({"radius_px": 1.5}, "radius_px must be"),
    ],
)
def test_options_that_cannot_be(tiny: Path, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Mnn(tiny, **arguments)


def test_without_pytorch(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDataError, match=r"needs the package torch: pip install 'hpbench\[mnn\]'"):
        Mnn(tiny)


# ------------------------------------------------------------------------------------------------ packed weights


def test_packed_weights_are_half_as_large_and_say_the_same(tmp_path: Path) -> None:
    path = weights_in(tmp_path, replace(TINY, widths=(16, 64)))
    (tmp_path / "curve.csv").write_text("epoch,stage,validation_loss,train_pose\n1,heatmap,8.5,3\n2,all,7.25,2\n")
    data = pack_weights(path)
    assert len(data) < 0.62 * path.stat().st_size and data == pack_weights(path)
    assert [list(row.values()) for row in curve_of(data)] == [[1, "heatmap", 8.5], [2, "all", 7.25]]
    story = weights_story(data)
    assert hashlib.sha256(data).hexdigest() in story and "| 2 | all | 7.25 |" in story and "16 px, widths 16, 64" in story
    images, boxes = some_heads(5)
    networks = load_network(path), network_of(data, "packed")
    crops, matrices = crops_of(images, boxes, TINY.input_px)
    a, b = (predict_arrays(fused(n), crops, matrices, radius_px=2) for n in networks)
    assert geodesic_deg(a.rotation_crop_ray, b.rotation_crop_ray).max() < 0.1
    assert a.visibility is not None and b.visibility is not None and np.abs(a.visibility - b.visibility).max() < 0.005
    rewritten(path, lambda t, h: bad(t, "stem.0.weight", torch.full_like(t["stem.0.weight"], 1e5)))
    with pytest.raises(InputError, match="above 65504"):
        pack_weights(path)


def test_one_half_of_the_weights_is_enough_for_the_trees(tmp_path: Path) -> None:
    """The trees know a network by its numbers in half precision, which packing does not change."""
    fingerprint = pytest.importorskip("hpbench.mnn.or_file").network_fingerprint
    path = weights_in(tmp_path)
    assert fingerprint(load_network(path)) == fingerprint(network_of(pack_weights(path), "packed"))


def test_landmarks_of_the_trees_and_whose_trees_they_are(tmp_path: Path) -> None:
    from hpbench.mnn.or_config import CascadeConfig
    from hpbench.mnn.or_file import network_fingerprint, save_cascade
    from hpbench.mnn.or_trees import Cascade

    weights, (images, boxes) = weights_in(tmp_path), some_heads(3)
    cascade = Cascade(CascadeConfig(), TINY.scheme, [], network_fingerprint(lively()))  # no stage: the projected mean face
    save_cascade(tmp_path / "trees.safetensors", cascade)
    crops, matrices = crops_of(images, boxes, TINY.input_px)
    start = predict_arrays(fused(lively()), crops, matrices, points_of=cascade.points).landmarks_px
    model, faces = MnnOr(tmp_path), MnnOr(tmp_path).predict(images, boxes)
    plain = Mnn(weights).predict(images, boxes)
    np.testing.assert_allclose(faces.landmarks, start, atol=1e-3)
    np.testing.assert_array_equal(faces.rotation, plain.rotation)
    np.testing.assert_array_equal(faces.visibility, plain.visibility)
    assert model.weights_sha256 is not None and model.name == f"mnn+or@{model.weights_sha256[:8]}"
    weights.write_bytes(pack_weights(weights))
    assert MnnOr(tmp_path).predict(images, boxes).landmarks is not None
    weights_in(tmp_path, seed=1)
    with pytest.raises(InputError, match="trees.safetensors: .*another network"):
        MnnOr(tmp_path)


def test_what_trees_were_trained_on_counts_too(tmp_path: Path) -> None:
    from hpbench.mnn.or_config import CascadeConfig
    from hpbench.mnn.or_file import network_fingerprint, save_cascade
    from hpbench.mnn.or_trees import Cascade

    save_weights(tmp_path / "best.safetensors", lively(), {"trained_on": ["heads"]})
    cascade = Cascade(CascadeConfig(), TINY.scheme, [], network_fingerprint(lively()))
    for stated, together in (
        ({}, ("heads",)),
        ({"trained_on": ["heads:test", "heads", "cofw:train"]}, ("cofw:train", "heads", "heads:test")),
    ):
        save_cascade(tmp_path / "trees.safetensors", cascade, **stated)
        assert MnnOr(tmp_path).trained_on == together
        assert Mnn(tmp_path).trained_on == MnnEncoder(tmp_path).trained_on == ("heads",)


# ------------------------------------------------------------------------------------------------ the command line


def test_run_from_the_command_line(tiny: Path, tmp_path: Path) -> None:
    command = ["run", "-m", "mnn", "-d", "heads", "--limit", "20", "--weights", str(tiny), "-o", str(tmp_path / "out"), "--json"]
    done = CliRunner().invoke(cli, [*command, "--model-arg", "threads=1", "--model-arg", "radius_px=1"])
    assert done.exit_code == 0, done.output
    records = json.loads(done.stdout)
    digest = hashlib.sha256(tiny.read_bytes()).hexdigest()
    assert records and {r["model"]["weights_sha256"] for r in records} == {digest}
    assert {r["model"]["name"] for r in records} == {f"mnn@{digest[:8]}"}
    failed = CliRunner().invoke(cli, ["run", "-m", "mnn", "-d", "heads", "--limit", "2", "--weights", str(ROOT / "setup.cfg")])
    assert isinstance(failed.exception, HpbenchError) and "not weights of this network" in str(failed.exception)


def test_real_faces(realdata: Path, tiny: Path, tmp_path: Path) -> None:
    data = realdata / "aflw2000"
    if not data.is_dir():
        pytest.skip("no aflw2000 among the real files")
    records = hpbench.run("mnn", "aflw2000", data=data, weights=tiny, out=tmp_path / "out")
    assert {r.model.name for r in records} == {f"mnn@{hashlib.sha256(tiny.read_bytes()).hexdigest()[:8]}"}
    assert any(score.value is not None for record in records for score in record.scores)
    assert not any(record.failures for record in records)


# ------------------------------------------------------------------------------------------------ what comes with hpbench

CARD = model_cards()["mnn"]


@pytest.mark.skipif(not CARD.files, reason="this hpbench comes without weights")
def test_the_weights_of_the_card(tmp_path: Path) -> None:
    for name, digest in CARD.files.items():
        data = (CARD.folder / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest and len(data) <= 16_000_000
    assert set(CARD.files) <= {mnn_files.NETWORK, mnn_files.TREES}
    stated = (CARD.folder / "README.md").read_text(encoding="utf-8")
    assert all(digest in stated for digest in CARD.files.values())
    shipped = CARD.folder / "results" / "heads.pose@1.json"
    assert f"{read_record(shipped).main.value:.2f}" in stated
    hpbench.run("mnn", "heads", protocol="heads/pose", limit=64, out=tmp_path / "out")
    now, then = read_errors(tmp_path / "out" / shipped.name), read_errors(shipped)
    assert list(now["sample_id"]) == list(then["sample_id"][:64])
    np.testing.assert_allclose(now["geodesic"], then["geodesic"][:64], atol=1e-3)
