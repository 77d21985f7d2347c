"""ONNX cards and files that do not fit: told when the model is made, in one sentence."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from tiny_onnx import EULER, ROOT, SCHEME, card_of, model_of, onnx, predict, save, save_net

from hpbench.errors import InputError, MissingDataError
from hpbench.models.onnx_card import OnnxCardModel

# ------------------------------------------------------------------------------------------------ cards and files that do not fit

POSE = {"pose": ([1, 2, 3], (3,))}


@pytest.mark.parametrize(
    ("outputs", "keys", "sentence"),
    [
        ([EULER], {"colour": "BGR"}, "unknown key 'colour'"),
        ([EULER], {"combin": "mean"}, "did you mean 'combine'"),
        ([EULER], {"input_layuot": "NHWC"}, "did you mean 'layout'"),
        ([EULER], {"input_layout": "HWC"}, "'HWC' is none of 'NHWC', 'NCHW'"),
        ([EULER], {"input_size_px": [0, 10]}, "size_px"),
        ([EULER], {"input_std": [1.0, 0.0, 1.0]}, "std"),
        ([EULER], {"input_mean": [1.0, 2.0]}, "mean has 2 entries"),
        ([EULER], {"crop": {"margn": 0.3}}, "did you mean 'margin'"),
        ([EULER], {"crop": {"margin": -0.5}}, "leaves nothing"),
        ([EULER], {"sha256": "abc"}, "64 hexadecimal digits"),
        ([EULER], {"sha256": ["0" * 64] * 2}, "1 files but 2 sha256"),
        ([], {}, "no outputs"),
        ([{"convention": "300w-lp"}], {}, "'kind' is missing"),
        ([{"kind": "eulr"}], {}, "did you mean 'euler'"),
        ([{"kind": "euler"}], {}, "'convention' is missing"),
        ([{"kind": "euler", "convention": "300wlp"}], {}, "did you mean '300w-lp'"),
        ([{**EULER, "order": ["yaw", "pitch", "-yaw"]}], {}, "must name yaw, pitch and roll once each"),
        ([{**EULER, "ordr": ["yaw", "pitch", "roll"]}], {}, "did you mean 'order'"),
        ([{"kind": "rotation", "axes": ["x", "y", "-y"]}], {}, "must name x, y and z once each"),
        ([{"kind": "rotation", "angles": ["yaw", "pitch", "roll"]}], {}, "go together"),
        ([{"kind": "landmarks", "units": "crop01"}], {}, "'scheme' is missing"),
        ([{"kind": "landmarks", "units": "crop01", "scheme": "ibug68"}], {}, "did you mean 'ibug68-"),
        ([EULER, EULER], {}, "two outputs give pitch, roll, yaw"),
        ([EULER, {"kind": "rotation", "tensor": 1}], {}, "a pose twice"),
        ([EULER, {"kind": "visibility", "positive": "visible"}], {}, "read the same tensor"),
    ],
)
def test_a_wrong_card_is_one_sentence(tmp_path, outputs, keys, sentence):
    with pytest.raises(InputError) as caught:
        model_of(tmp_path, POSE, outputs, **keys)
    assert sentence in str(caught.value) and "card.toml" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "keys", "shape", "sentence"),
    [
        ({"tensor": "poses"}, {}, ("B", 10, 12, 3), "no output 'poses': did you mean 'pose'"),
        ({"tensor": 1}, {}, ("B", 10, 12, 3), "no output number 1, it has 1 (pose)"),
        ({"tensor": -1}, {}, ("B", 10, 12, 3), "no output number -1"),
        ({}, {"input_size_px": [64, 64]}, ("B", 10, 12, 3), "input is (B, 64, 64, 3) but net.onnx takes (?, 10, 12, 3)"),
        ({}, {"input_layout": "NCHW"}, ("B", 10, 12, 3), "the other layout?"),
        ({}, {}, ("B", 3, 10, 12), "the other layout?"),
        ({}, {"input_colour": "GRAY"}, ("B", 10, 12, 3), "check size_px, layout and colour"),
    ],
)
def test_a_card_that_does_not_fit_the_file(tmp_path, table, keys, shape, sentence):
    with pytest.raises(InputError) as caught:
        model_of(tmp_path, POSE, [EULER | table], shape, **keys)
    assert sentence in str(caught.value) and "net.onnx" in str(caught.value)


def test_wrong_number_of_values(tmp_path):
    table = {"kind": "landmarks", "scheme": SCHEME, "units": "crop01"}
    with pytest.raises(InputError, match=r"shape \(B, 66, 2\), 132 values a face, but landmarks takes 136"):
        model_of(tmp_path, {"p": (np.zeros(132), (66, 2))}, [table])


def test_a_tensor_of_no_rotations(tmp_path):
    with pytest.raises(InputError, match='project = "svd"'):
        predict(model_of(tmp_path, {"r": (np.full(9, 0.7), (9,))}, [{"kind": "rotation"}]))


def test_missing_batch_dimensions(tmp_path):
    helper = onnx.helper
    nodes = [helper.make_node("ReduceMean", ["x"], ["e"], axes=[0, 1], keepdims=0)]
    save(tmp_path / "net.onnx", nodes, [helper.make_tensor_value_info("e", 1, [3])], [], [10, 12, 3])
    with pytest.raises(InputError, match="has no batch dimension"):
        OnnxCardModel(card_of(tmp_path, [EULER]))
    nodes = [helper.make_node("ReduceMean", ["x"], ["e"], axes=[0, 1, 2], keepdims=0)]
    save(tmp_path / "net.onnx", nodes, [helper.make_tensor_value_info("e", 1, [3])], [], ["B", 10, 12, 3])
    with pytest.raises(InputError, match=r"has shape \(3,\) for 2 faces: no batch dimension"):
        OnnxCardModel(card_of(tmp_path, [EULER]))


def test_two_inputs(tmp_path):
    helper = onnx.helper
    inputs = [helper.make_tensor_value_info(n, 1, ["B", 10, 12, 3]) for n in "xy"]
    out = helper.make_tensor_value_info("e", 1, ["B", 10, 12, 3])
    graph = helper.make_graph([helper.make_node("Add", ["x", "y"], ["e"])], "net", inputs, [out])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "net.onnx")
    with pytest.raises(InputError, match=r"2 inputs \(x, y\)"):
        OnnxCardModel(card_of(tmp_path, [EULER]))


@pytest.mark.parametrize("data", [b"", b"no network at all", b"\x08\x08" * 40])
def test_garbage_is_no_onnx(tmp_path, data):
    (tmp_path / "net.onnx").write_bytes(data)
    with pytest.raises(InputError, match="is it an ONNX model"):
        OnnxCardModel(card_of(tmp_path, [EULER]))


def test_a_truncated_file(tmp_path):
    save_net(tmp_path / "net.onnx", POSE)
    (tmp_path / "net.onnx").write_bytes((tmp_path / "net.onnx").read_bytes()[:-60])
    with pytest.raises(InputError, match="cannot load it"):
        OnnxCardModel(card_of(tmp_path, [EULER]))


@pytest.mark.parametrize("working_folder", ["elsewhere", "beside"])
def test_external_data_is_refused(tmp_path, monkeypatch, working_folder):
    """Even where onnxruntime would find it: no hash covers it."""
    (tmp_path / "elsewhere").mkdir()
    save_net(tmp_path / "net.onnx", POSE, external=True)
    assert (tmp_path / "net.onnx.data").is_file()
    monkeypatch.chdir(tmp_path if working_folder == "beside" else tmp_path / "elsewhere")
    with pytest.raises(InputError, match="external data"):
        OnnxCardModel(card_of(tmp_path, [EULER]))


def test_missing_and_wrong_weights(tmp_path):
    save_net(tmp_path / "net.onnx", POSE)
    with pytest.raises(MissingDataError, match="expected sha256 0000"):
        OnnxCardModel(card_of(tmp_path, [EULER], sha256="0" * 64))
    with pytest.raises(MissingDataError, match="weights missing: other.onnx"):
        OnnxCardModel(card_of(tmp_path, [EULER], file="other.onnx", sha256="0" * 64))


@pytest.mark.parametrize("device", ["cuda", "gpu", "cpu:1", "cuda:x"])
def test_a_device_that_is_not_there(tmp_path, device):
    import onnxruntime

    if device == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    save_net(tmp_path / "net.onnx", POSE)
    with pytest.raises(InputError, match="device"):
        OnnxCardModel(card_of(tmp_path, [EULER]), device=device)


def test_without_onnxruntime(tmp_path, monkeypatch):
    save_net(tmp_path / "net.onnx", POSE)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDataError, match=r"hpbench\[onnx\]"):
        OnnxCardModel(card_of(tmp_path, [EULER]))


def test_importing_the_card_does_not_import_onnxruntime():
    code = "import sys, hpbench.models.onnx_card; sys.exit('onnxruntime' in sys.modules or 'cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_no_warnings_on_stderr(tmp_path, capfd):
    model = model_of(tmp_path, {"e": (np.zeros(3), (3,)), "unused": (np.zeros(3), (3,))}, [EULER])
    predict(model)
    assert capfd.readouterr().err == ""
