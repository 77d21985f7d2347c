"""The ONNX card: every kind of output, cropping included, and what it says about cards and files that do not fit."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_onnx import EULER, ROOT, SCHEME, SIZE, card_of, model_of, onnx, predict, save, save_net

from hpbench.catalog import model_card_from
from hpbench.errors import InputError, MissingDataError
from hpbench.geometry.rotations import geodesic_deg, nearest_rotation, rotation_from_euler
from hpbench.models.onnx_card import OnnxCardModel
from hpbench.models.onnx_outputs import average

# ------------------------------------------------------------------------------------------------ kinds of output


def test_euler_order_sign_unit(tmp_path):
    table = {**EULER, "order": ["roll", "-pitch", "yaw"], "unit": "rad"}
    faces = predict(model_of(tmp_path, {"pose": (np.deg2rad([10, 20, 30]), (3,))}, [table]))
    assert np.allclose(faces.euler_deg, [[30, -20, 10]] * 2, atol=1e-5)
    assert faces.convention == "300w-lp" and list(faces.failure) == ["", ""]


def test_euler_bins_by_name(tmp_path):
    logits = np.full(66, -40.0)
    logits[[40, 41]] = 5.0
    net = {a: (np.roll(logits, shift), (66,)) for a, shift in (("roll", 2), ("yaw", 0), ("pitch", 1))}
    tables = [
        {"kind": "euler_bins", "tensor": a, "angle": a, "bins": 66, "width_deg": 3, "offset_deg": -99.0, "convention": "300w-lp"}
        for a in ("yaw", "pitch", "roll")
    ]
    yaw = 40.5 * 3 - 99
    assert np.allclose(predict(model_of(tmp_path, net, tables)).euler_deg, [[yaw, yaw + 3, yaw + 6]] * 2, atol=1e-4)
    with pytest.raises(InputError, match="yaw and pitch only"):
        model_of(tmp_path, net, tables[:2])


R = rotation_from_euler([25.0, -10.0, 40.0], "300w-lp")


@pytest.mark.parametrize(
    ("values", "shape", "keys"),
    [
        (R, (3, 3), {"kind": "rotation"}),
        (R, (9,), {"kind": "rotation"}),
        (R.T, (9,), {"kind": "rotation", "maps": "head_from_camera"}),
        (3.0 * R, (9,), {"kind": "rotation", "project": "svd"}),
        (np.diag([1, -1, -1]) @ R @ np.diag([1, -1, -1]), (9,), {"kind": "rotation", "axes": ["x", "-y", "-z"]}),
        ([R[:, 0] * 2, R[:, 1] + R[:, 0]], (6,), {"kind": "rotation6d"}),
        (R[:, :2] * 0.5, (3, 2), {"kind": "rotation6d"}),
        (R[:2], (6,), {"kind": "rotation6d", "maps": "head_from_camera"}),
        # Rz(roll) Ry(yaw) Rx(pitch), as 6DRepNet builds its training matrices
        (rotation_from_euler([25.0, 10.0, 40.0], "6drepnet"), (9,), {"kind": "rotation", "angles": ["roll", "yaw", "pitch"]}),
        (R, (9,), {"kind": "rotation", "angles": ["-pitch", "yaw", "roll"]}),
    ],
)
def test_rotations(tmp_path, values, shape, keys):
    keys = keys | ({"convention": "300w-lp"} if "angles" in keys else {})
    faces = predict(model_of(tmp_path, {"r": (np.asarray(values), shape)}, [keys]))
    assert geodesic_deg(faces.rotation, R).max() < 1e-3
    if "angles" in keys:
        assert np.allclose(faces.euler_deg, [25.0, -10.0, 40.0], atol=1e-3)


def points_in_crop(rng):
    return rng.uniform(-0.2, 1.2, (68, 2))


@pytest.mark.parametrize("layout", ["interleaved", "planar"])
@pytest.mark.parametrize("units", ["crop01", "crop_px", "crop_pm1"])
def test_landmark_units_and_layout(tmp_path, units, layout):
    fraction = points_in_crop(np.random.default_rng(1)).astype(np.float32)
    given_units = {"crop01": fraction, "crop_pm1": 2 * fraction - 1, "crop_px": fraction * SIZE - 0.5}[units]
    values, shape = (given_units.T, (2, 68)) if layout == "planar" else (given_units, (136,))
    table = {"kind": "landmarks", "scheme": SCHEME, "units": units, "layout": layout}
    faces = predict(model_of(tmp_path, {"p": (values, shape)}, [table]))
    # the window of the box 5..34, 6..29 is 30 x 24 whole pixels
    assert np.allclose(faces.landmarks, fraction * [30, 24] + [4.5, 5.5], atol=1e-4)
    assert faces.scheme == SCHEME


def test_depth_behind_landmarks_is_left_out(tmp_path):
    values = np.concatenate([np.full((68, 2), 0.5), np.full((68, 1), 9.0)], axis=1)
    table = {"kind": "landmarks", "scheme": SCHEME, "units": "crop01", "values_per_point": 3}
    assert np.allclose(predict(model_of(tmp_path, {"p": (values, (68, 3))}, [table])).landmarks, [19.5, 17.5])


@pytest.mark.parametrize(
    ("crop", "origin", "window"),
    [
        ({"border": "clip", "margin": 0.5}, (0, 0), (42, 40)),
        ({"border": "constant", "margin": 0.5}, (-14, -9), (56, 49)),
        ({"border": "replicate", "margin": 0.5}, (-14, -9), (56, 49)),
        ({"border": "constant", "shape": "square"}, (-1, 1), (28, 28)),
    ],
)
def test_a_known_place_in_the_crop_lands_at_the_right_pixel(tmp_path, crop, origin, window):
    table = {"kind": "landmarks", "scheme": SCHEME, "units": "crop_px"}
    model = model_of(tmp_path, {"p": (np.tile([3.0, 7.0], 68), (68, 2))}, [table], crop=crop)
    box = np.array([[-0.25, 3.5, 27.25, 27.5]])  # 27.5 wide, 24 high
    landmarks = model.predict([np.zeros((60, 70, 3), np.uint8)], box).landmarks
    expected = [origin[i] + (v + 0.5) * window[i] / SIZE[i] - 0.5 for i, v in enumerate((3.0, 7.0))]
    assert np.abs(landmarks - expected).max() < 1e-6


def save_heatmap_net(path, n=68):
    """The first channel itself as the heat map of every point."""
    helper = onnx.helper
    constants = [
        onnx.numpy_helper.from_array(np.array(v, np.int64), k) for k, v in (("a", [0]), ("b", [1]), ("axis", [1]), ("n", [1, n, 1, 1]))
    ]
    nodes = [helper.make_node("Slice", ["x", "a", "b", "axis"], ["first"]), helper.make_node("Tile", ["first", "n"], ["maps"])]
    save(path, nodes, [helper.make_tensor_value_info("maps", 1, ["B", n, 10, 12])], constants, ["B", 3, 10, 12])


@pytest.mark.parametrize(("refine", "shift"), [("none", (0.0, 0.0)), ("quarter", (0.25, -0.25))])
def test_heatmaps_find_the_bright_pixel(tmp_path, refine, shift):
    save_heatmap_net(tmp_path / "net.onnx")
    table = {"kind": "heatmaps", "scheme": SCHEME, "refine": refine}
    model = OnnxCardModel(card_of(tmp_path, [table], input_layout="NCHW"))
    image = np.zeros((40, 50, 3), np.uint8)
    image[17, 23] = 255
    image[17, 24] = image[16, 23] = 50
    landmarks = model.predict([image], np.array([[16.0, 12.0, 27.9, 21.9]])).landmarks  # 12 x 10 pixels: not resized
    assert np.allclose(landmarks, np.array([23.0, 17.0]) + shift)
    with pytest.raises(InputError, match=r"\(B, 30, 10, 12\).*\(B, 68, h, w\)"):
        save_heatmap_net(tmp_path / "net.onnx", 30)
        OnnxCardModel(card_of(tmp_path, [table], input_layout="NCHW"))


@pytest.mark.parametrize(
    ("value", "keys", "visible"),
    [
        (0.2, {"positive": "visible"}, 0.2),
        (0.2, {"positive": "occluded"}, 0.8),
        (-2.0, {"positive": "visible", "activation": "sigmoid"}, 1 / (1 + np.exp(2))),
        (-2.0, {"positive": "occluded", "activation": "sigmoid"}, 1 / (1 + np.exp(-2))),
    ],
)
def test_visibility(tmp_path, value, keys, visible):
    model = model_of(tmp_path, {"v": (np.full(68, value), (68, 1))}, [{"kind": "visibility", **keys}])
    assert np.allclose(predict(model).visibility, visible, atol=1e-6)


def test_logits_are_no_probabilities(tmp_path):
    model = model_of(tmp_path, {"v": (np.full(68, -2.0), (68,))}, [{"kind": "visibility", "positive": "visible"}])
    with pytest.raises(InputError, match='activation = "sigmoid"'):
        predict(model)


def test_all_quantities_at_once(tmp_path):
    net = {"pose": ([1, 2, 3], (3,)), "p": (np.full(136, 0.5), (136,)), "v": (np.full(68, 0.9), (68,))}
    tables = [
        {"kind": "visibility", "positive": "visible", "tensor": "v"},
        {"kind": "landmarks", "scheme": SCHEME, "units": "crop01", "tensor": 1},
        {**EULER, "tensor": "pose"},
    ]
    faces = predict(model_of(tmp_path, net, tables))
    assert np.allclose(faces.euler_deg, [1, 2, 3]) and np.allclose(faces.visibility, 0.9) and faces.landmarks.shape == (2, 68, 2)
    short = {**net, "v": (np.full(60, 0.9), (60,))}
    with pytest.raises(InputError, match=r"shape \(B, 60\), 60 values a face, but visibility takes 68"):
        model_of(tmp_path, short, tables)


# ------------------------------------------------------------------------------------------------ inputs

CHANNELS = [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]  # the three outputs are the means of the three input channels


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize(("colour", "expected"), [("RGB", [10, 20, 30]), ("BGR", [30, 20, 10])])
def test_layout_and_colour(tmp_path, layout, colour, expected):
    shape = ("B", 10, 12, 3) if layout == "NHWC" else ("B", 3, 10, 12)
    model = model_of(tmp_path, {"e": (np.zeros(3), (3,), CHANNELS)}, [EULER], shape, input_layout=layout, input_colour=colour)
    assert np.allclose(predict(model, value=(10, 20, 30)).euler_deg, expected, atol=1e-4)


def test_normalisation_in_the_order_of_the_channels(tmp_path):
    keys = {"input_colour": "BGR", "input_scale": 0.5, "input_mean": [1.0, 2.0, 3.0], "input_std": [2.0, 4.0, 8.0]}
    model = model_of(tmp_path, {"e": (np.zeros(3), (3,), CHANNELS)}, [EULER], **keys)
    expected = [(30 * 0.5 - 1) / 2, (20 * 0.5 - 2) / 4, (10 * 0.5 - 3) / 8]
    assert np.allclose(predict(model, value=(10, 20, 30)).euler_deg, expected, atol=1e-5)


def test_gray(tmp_path):
    net = {"e": (np.zeros(3), (3,), [[1.0, 1.0, 1.0]])}
    model = model_of(tmp_path, net, [EULER], ("B", 1, 10, 12), input_layout="NCHW", input_colour="GRAY")
    assert np.allclose(predict(model, value=(50, 50, 50)).euler_deg, 50, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 3])
def test_fixed_batch(tmp_path, batch):
    net = {"e": (np.zeros(3), (3,), CHANNELS)}
    model = model_of(tmp_path, net, [EULER], (batch, 10, 12, 3))
    images = [np.full((40, 50, 3), 10 * k, np.uint8) for k in range(5)]
    faces = model.predict(images, np.tile([5.0, 6.0, 34.0, 29.0], (5, 1)))
    assert np.allclose(faces.euler_deg[:, 0], [0, 10, 20, 30, 40], atol=1e-4)


# ------------------------------------------------------------------------------------------------ several files


def several(tmp_path, nets, outputs, **keys):
    names = [f"{i}.onnx" for i in range(len(nets))]
    hashes = [save_net(tmp_path / name, net) for name, net in zip(names, nets, strict=True)]
    return OnnxCardModel(card_of(tmp_path, outputs, names, hashes, **{"combine": "mean"} | keys)), hashes


def test_mean_of_several_files(tmp_path):
    nets = [{"e": (angles, (3,))} for angles in ([10, 0, 175], [20, 3, -175], [60, 6, 180])]
    model, hashes = several(tmp_path, nets, [EULER])
    faces = predict(model)
    assert np.allclose(faces.euler_deg[:, :2], [30, 3]) and np.allclose(np.abs(faces.euler_deg[:, 2]), 180)
    assert model.weights_sha256 == hashlib.sha256("".join(hashes).encode()).hexdigest()


def test_mean_of_matrices_is_a_rotation(tmp_path):
    turns = rotation_from_euler([[20.0, 0, 0], [-40.0, 10, 0]], "300w-lp")
    model, _ = several(tmp_path, [{"r": (turn, (9,))} for turn in turns], [{"kind": "rotation"}])
    assert geodesic_deg(predict(model).rotation, nearest_rotation(turns.mean(axis=0))).max() < 1e-3


def test_mean_of_points_and_one_broken_file(tmp_path):
    table = {"kind": "landmarks", "scheme": SCHEME, "units": "crop_px"}
    model, _ = several(tmp_path, [{"p": (np.full(136, v), (136,))} for v in (2.0, 4.0)], [table])
    assert np.allclose(predict(model).landmarks, [4.5 + 3.5 * 30 / 12, 5.5 + 3.5 * 24 / 10])
    model, _ = several(tmp_path, [{"p": (np.full(136, v), (136,))} for v in (2.0, np.nan)], [table])
    assert set(predict(model).failure) == {"the model's output is not finite"}


def test_average_leaves_its_arguments_alone():
    a, b = {"rotation": np.eye(3)[None]}, {"rotation": np.full((1, 3, 3), np.nan)}
    assert np.isnan(average([a, b])["rotation"]).all() and np.array_equal(a["rotation"][0], np.eye(3))


@pytest.mark.parametrize("combine", ["", "mean"])
def test_combine_goes_with_several_files(tmp_path, combine):
    save_net(tmp_path / "net.onnx", {"e": ([1, 2, 3], (3,))})
    digest = hashlib.sha256((tmp_path / "net.onnx").read_bytes()).hexdigest()
    keys = {"combine": "mean"} if combine else {"file": ["net.onnx", "b.onnx"], "sha256": [digest, digest]}
    with pytest.raises(InputError, match="combine"):
        OnnxCardModel(card_of(tmp_path, [EULER], **keys))


# ------------------------------------------------------------------------------------------------ failed faces


@pytest.mark.parametrize("box", [[np.nan] * 4, [10, 10, 10, 20], [60, 0, 90, 20]])
def test_a_bad_box_fails_its_face_only(tmp_path, box):
    net = {"e": ([1, 2, 3], (3,)), "p": (np.full(136, 0.5), (136,))}
    model = model_of(tmp_path, net, [EULER, {"kind": "landmarks", "scheme": SCHEME, "units": "crop01", "tensor": "p"}])
    good = [5.0, 6.0, 34.0, 29.0]
    images = [np.zeros((40, 50, 3), np.uint8)] * 3
    faces = model.predict(images, np.array([good, box, good], dtype=float))
    assert np.isnan(faces.euler_deg[1]).all() and np.isnan(faces.landmarks[1]).all() and "box" in faces.failure[1]
    assert np.allclose(faces.euler_deg[[0, 2]], [1, 2, 3]) and list(faces.failure[[0, 2]]) == ["", ""]
    alone = model.predict(images[:1], np.array([box], dtype=float))
    assert alone.landmarks.shape == (1, 68, 2) and np.isnan(alone.rotation).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["euler", "rotation", "rotation6d", "landmarks"])
def test_output_that_is_not_finite_fails_the_face(tmp_path, kind, value):
    size = {"euler": 3, "rotation": 9, "rotation6d": 6, "landmarks": 136}[kind]
    table = {"kind": kind} | {"euler": EULER, "landmarks": {"scheme": SCHEME, "units": "crop01"}}.get(kind, {})
    faces = predict(model_of(tmp_path, {"o": (np.full(size, value), (size,))}, [table]))
    assert set(faces.failure) == {"the model's output is not finite"}


def test_degenerate_6d_fails_the_face(tmp_path):
    faces = predict(model_of(tmp_path, {"o": (np.zeros(6), (6,))}, [{"kind": "rotation6d"}]))
    assert np.isnan(faces.rotation).all() and faces.failure[0]


@pytest.fixture(scope="module")
def pixel_model(tmp_path_factory):
    """Angles and points that depend on the crop's pixels."""
    rng = np.random.default_rng(0)
    net = {
        "e": (np.zeros(3), (3,), np.array(CHANNELS) * 0.1),
        "p": (rng.uniform(0, 1, 136), (136,), rng.normal(size=(3, 136)) * 1e-3),
    }
    tables = [EULER, {"kind": "landmarks", "scheme": SCHEME, "units": "crop01", "tensor": "p"}]
    crop = {"margin": 0.3, "shape": "square", "border": "constant"}
    return model_of(tmp_path_factory.mktemp("net"), net, tables, crop=crop)


number = st.floats(-30, 90, allow_nan=False)


@given(st.lists(st.tuples(number, number, number, number), min_size=1, max_size=5), st.integers(0, 2**31))
def test_a_batch_is_its_faces_one_by_one(pixel_model, boxes, seed):
    rng = np.random.default_rng(seed)
    images = [rng.integers(0, 256, (int(rng.integers(20, 60)), int(rng.integers(20, 60)), 3), dtype=np.uint8) for _ in boxes]
    together = pixel_model.predict(images, np.array(boxes))
    for row, (image, box) in enumerate(zip(images, boxes, strict=True)):
        single = pixel_model.predict([image], np.array([box]))
        assert single.failure[0] == together.failure[row]
        for name in ("euler_deg", "landmarks"):
            assert np.allclose(getattr(single, name)[0], getattr(together, name)[row], atol=1e-4, equal_nan=True)


# ------------------------------------------------------------------------------------------------ FSA-Net


def test_the_fsanet_card_is_complete():
    card = model_card_from(ROOT / "baselines" / "fsanet" / "card.toml")
    with pytest.raises(MissingDataError, match="300W_LP_fsanet_capsule") as caught:
        OnnxCardModel(card, weights=Path(__file__).parent)
    assert "300W-LP" in str(caught.value)


@pytest.mark.parametrize(("colour", "expected"), [("BGR", 4.2), ("RGB", 5.75)])
def test_fsanet_on_sixteen_faces_of_aflw2000(realdata, colour, expected):
    import scipy.io

    from hpbench.images import decode_image

    card = model_card_from(ROOT / "baselines" / "fsanet" / "card.toml")
    card.onnx["input"]["colour"] = colour
    model = OnnxCardModel(card, weights=realdata / "models")
    assert model.name == "fsanet"
    images, boxes, truth = [], [], []
    for path in sorted((realdata / "aflw2000" / "images").glob("*.mat")):
        labels = scipy.io.loadmat(path)
        points = labels["pt3d_68"][:2].astype(float)
        images.append(decode_image(path.with_suffix(".jpg").read_bytes(), path.name))
        boxes.append([*points.min(axis=1), *points.max(axis=1)])
        truth.append(np.rad2deg(labels["Pose_Para"][0, [1, 0, 2]].astype(float)))
    assert len(images) == 16
    error = np.abs((model.predict(images, np.array(boxes)).euler_deg - truth + 180) % 360 - 180)
    assert abs(error.mean() - expected) < 0.3
