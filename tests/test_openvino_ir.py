"""OpenVINO's head pose: files of the same form whose answer is known, and files of other networks."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hpbench.catalog import model_cards
from hpbench.errors import InputError, MissingDataError
from hpbench.geometry.rotations import geodesic_deg
from hpbench.models.openvino_ir import OpenVinoHeadPose
from hpbench.models.resolve import create_model
from hpbench.models.weights import combined_sha256

NAME = "head-pose-estimation-adas-0001"
CARD = model_cards()["openvino-headpose"]
BOX = np.array([[10.0, 10, 50, 50]])
ANGLES = {"angle_y_fc": 20.0, "angle_p_fc": -10.0, "angle_r_fc": 5.0}


def save_ir(folder: Path, outputs=ANGLES, shape=(1, 3, 60, 60), weights=(0.0, 0.0, 0.0), values=1) -> Path:
    """A network: mean of each channel @ weights + the given angle, for each output."""
    openvino = pytest.importorskip("openvino")
    ops = pytest.importorskip("openvino.opset13")
    data = ops.parameter(list(shape), np.float32, "data")
    data.output(0).get_tensor().set_names({"data"})
    mean = ops.reduce_mean(data, np.array([2, 3]), False)
    results = []
    for name, angle in outputs.items():
        matrix = np.tile(np.array(weights, np.float32)[:, None], (1, values))
        result = ops.add(ops.matmul(mean, ops.constant(matrix), False, False), ops.constant(np.float32(angle)))
        result.output(0).get_tensor().set_names({name})
        results.append(result)
    folder.mkdir(parents=True, exist_ok=True)
    openvino.save_model(openvino.Model(results, [data], NAME), folder / f"{NAME}.xml", compress_to_fp16=False)
    return folder


def test_known_angles(tmp_path: Path) -> None:
    model = OpenVinoHeadPose(weights=save_ir(tmp_path), threads=1)
    images = [np.full((60, 70, 3), 9, np.uint8)] * 4
    boxes = np.array([BOX[0], [np.nan] * 4, [200, 200, 240, 240], BOX[0]])
    faces = model.predict(images, boxes)
    assert faces.convention == "yxz"
    np.testing.assert_allclose(faces.euler_deg[[0, 3]], [[-20, 10, 5]] * 2, atol=1e-4)
    assert np.isnan(faces.euler_deg[1:3]).all() and [bool(reason) for reason in faces.failure] == [False, True, True, False]
    assert len(model.network_call(3)()) == 3
    hashes = [hashlib.sha256((tmp_path / f"{NAME}{ending}").read_bytes()).hexdigest() for ending in (".xml", ".bin")]
    assert model.weights_sha256 == combined_sha256(hashes)


def test_the_rotation_is_the_one_its_page_states(tmp_path: Path) -> None:
    # x from the face to the camera, y to the image's right, z up; Rz(yaw) Ry(pitch) Rx(-roll)
    stated = Rotation.from_euler("ZYX", [20.0, -10.0, -5.0], degrees=True).as_matrix()
    to_ours = np.column_stack([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]])  # their axes in ours: x right, y down, z forward
    assert np.linalg.det(to_ours) == pytest.approx(1.0)
    faces = OpenVinoHeadPose(weights=save_ir(tmp_path), threads=1).predict([np.zeros((60, 60, 3), np.uint8)], BOX)
    assert geodesic_deg(faces.rotation[0], to_ours @ stated @ to_ours.T) < 1e-3
    nose = faces.rotation[0] @ [0.0, 0, -1]
    assert nose[0] > 0 > nose[1]  # yaw + turns it to the image's right, pitch - lifts it


def test_the_picture_arrives_as_bgr_from_0_to_255(tmp_path: Path) -> None:
    model = OpenVinoHeadPose(weights=save_ir(tmp_path, weights=(1.0, 0.01, 0.0001)), threads=1)
    faces = model.predict([np.full((60, 60, 3), (7, 50, 20), np.uint8)], BOX)
    np.testing.assert_allclose(faces.euler_deg[0, 2] - 5.0, 20 + 0.5 + 0.0007, atol=1e-4)  # blue, green, red


def test_other_names_of_the_outputs_and_a_zip(tmp_path: Path) -> None:
    folder = save_ir(tmp_path / "net", {"fc_r": 5.0, "fc_y": 20.0, "fc_p": -10.0, "align": 1.0})
    with zipfile.ZipFile(tmp_path / "net.zip", "w") as packed:
        for path in folder.iterdir():
            packed.write(path, f"FP32/{path.name}")
    model = create_model("openvino-headpose", weights=tmp_path / "net.zip")
    np.testing.assert_allclose(model.predict([np.zeros((60, 60, 3), np.uint8)], BOX).euler_deg, [[-20, 10, 5]], atol=1e-4)
    assert (model.name, model.version, model.device) == ("openvino-headpose", CARD.version, "cpu")


def test_not_finite(tmp_path: Path) -> None:
    model = OpenVinoHeadPose(weights=save_ir(tmp_path, dict.fromkeys(ANGLES, np.inf)), threads=1)
    faces = model.predict([np.zeros((60, 60, 3), np.uint8)], BOX)
    assert np.isnan(faces.euler_deg).all() and faces.failure[0] == "the model's output is not finite"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"outputs": {"angle_y_fc": 0.0, "angle_p_fc": 0.0}}, "has no output angle_r_fc or fc_r"),
        ({"shape": (1, 3, 64, 64)}, "not one BGR face"),
        ({"values": 2}, "expected one angle"),
    ],
)
def test_another_network_is_one_sentence(keys: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words) as caught:
        OpenVinoHeadPose(weights=save_ir(tmp_path, **keys), threads=1)
    assert "\n" not in str(caught.value)


def test_spoilt_files(tmp_path: Path) -> None:
    save_ir(tmp_path)
    (tmp_path / f"{NAME}.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"cannot load it with .*\.bin: not a pair") as caught:
        OpenVinoHeadPose(weights=tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / f"{NAME}.xml").write_bytes(b"\x08\x07onnx")
    with pytest.raises(InputError, match="no OpenVINO IR"):
        OpenVinoHeadPose(weights=tmp_path)
    with pytest.raises(InputError, match="name the folder"):
        OpenVinoHeadPose(weights=tmp_path / f"{NAME}.bin")
    (tmp_path / f"{NAME}.bin").unlink()
    with pytest.raises(MissingDataError, match=rf"{NAME}\.bin.*SHA-384.*Apache"):
        OpenVinoHeadPose(weights=tmp_path)


def test_wrong_arguments_and_no_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="on the processor only, not on device 'cuda'"):
        OpenVinoHeadPose(device="cuda")
    with pytest.raises(InputError, match="threads"):
        OpenVinoHeadPose(threads=-1)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDataError, match=r"pip install 'hpbench\[openvino\]'"):
        OpenVinoHeadPose()
