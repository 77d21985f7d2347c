"""BIWI: the real frame, the real lists and their golden numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from miniatures.biwi import ALL, CARD, LATER, RGB_K, camera_text, in_memory, pose_text

import hpbench
from hpbench.catalog import split_ids
from hpbench.geometry.rotations import nearest_rotation, rotation_from_euler
from hpbench.readers import load
from hpbench.readers.biwi_boxes import listed_boxes
from hpbench.readers.biwi_files import decode_depth

# ------------------------------------------------------------------------------------------------- real files


def test_real_frame(realdata):
    data = realdata / "biwi"
    dataset = load("biwi", data)
    assert dataset.found_ids() == ["01/frame_00003"] == dataset.image_ids()
    truth, colour = dataset.truth(), dataset.truth(labels="rgb")
    np.testing.assert_allclose(truth.euler_deg[0], [3.2910, 7.6072, -1.5666], atol=5e-5)
    np.testing.assert_allclose(colour.euler_deg[0], [3.8516, 8.4595, -1.7421], atol=5e-5)
    sample = next(dataset.samples())
    assert sample.image.read().shape == (480, 640, 3)
    np.testing.assert_array_equal(sample.camera, RGB_K)
    x0, y0, x1, y1 = sample.box_xyxy_px
    np.testing.assert_allclose([(x0 + x1) / 2, (y0 + y1) / 2], [341.7, 274.6], atol=0.05)
    raw = (data / "hpdb" / "01" / "frame_00003_depth.bin").read_bytes()
    depth = decode_depth(raw, "depth.bin")
    assert depth.shape == (480, 640) and (depth.min(), depth[depth > 0].min(), depth.max()) == (0, 782, 997)
    assert round(100 * float((depth > 0).mean()), 1) == 18.3 and raw[-4:] == bytes(4)
    boxes = {name: dataset.boxes_of(name, dataset.found_ids())[0] for name in CARD.boxes}
    np.testing.assert_array_equal(boxes["mtcnn"], [270, 177, 414, 355])
    np.testing.assert_array_equal(boxes["fsanet"], [270, 177, 270 + 146, 177 + 180])
    for box in boxes.values():  # each holds the head's centre
        assert box[0] < 341.7 < box[2] and box[1] < 274.6 < box[3]


@pytest.fixture(scope="session")
def real_poses(realdata, tmp_path_factory) -> Path:
    """All 15,678 poses in circulation, as pose files; the second colour camera's rotation is taken from the two lists."""
    root = tmp_path_factory.mktemp("poses")
    lists = realdata / "biwi" / "lists"
    plain, calibrated = (np.load(lists / name) for name in ("Biwi_plus_non_cal.npz", "Biwi_plus.npz"))
    rotation = rotation_from_euler(plain["ypr"], "300w-lp")
    sequences = np.array([i[:2] for i in plain["images"]])
    later = np.isin(sequences, LATER)
    turn = rotation_from_euler(calibrated["ypr"], "300w-lp") @ rotation.transpose(0, 2, 1)
    source = (realdata / "biwi" / "hpdb" / "01" / "rgb.cal").read_text()
    other = camera_text(RGB_K, nearest_rotation(turn[later].mean(axis=0)), [1, 2, 3])
    for sequence in sorted(set(sequences)):
        (root / sequence).mkdir()
        (root / sequence / "rgb.cal").write_text(other if sequence in LATER else source)
    for image, matrix in zip(plain["images"], rotation, strict=True):
        (root / str(image).replace("_rgb.png", "_pose.txt")).write_text(pose_text(matrix, [51.9, 38.2, 881.7]))
    return root


def test_real_lists_are_the_splits(realdata):
    for split, name in (
        ("all", "Biwi_plus"),
        ("mtcnn-13219", "Biwi_FSA-Net"),
        ("dockerface-15666", "Biwi_Dockerface"),
        ("whenet-15636", "Biwi_WHENet"),
    ):
        table = listed_boxes(in_memory((realdata / "biwi" / "lists" / f"{name}.npz").read_bytes(), name), set(ALL))
        assert list(table.sample_id) == split_ids(CARD, split)
    text = (realdata / "biwi" / "lists" / "opal23_biwi_ann.txt").read_bytes()
    assert list(listed_boxes(in_memory(text, "opal23"), set(ALL)).sample_id) == split_ids(CARD, "mtcnn-13219")


def test_real_poses_are_verified_in_both_cameras(realdata, real_poses):
    dataset = load("biwi", real_poses)
    for labels, name in (("depth", "Biwi_plus_non_cal"), ("rgb", "Biwi_plus")):
        truth = dataset.truth(labels=labels)
        np.testing.assert_allclose(truth.euler_deg, np.load(realdata / "biwi" / "lists" / f"{name}.npz")["ypr"], atol=2e-3)
        for split in CARD.splits:
            assert len(dataset.stated_statistics(split, labels)) == 6
            assert dataset.wrong_statistics(split, labels, dataset.truth(split, labels)) == []
    path = real_poses / "24" / "frame_00622_pose.txt"
    before = path.read_text()
    try:
        path.write_text(pose_text(rotation_from_euler([80, 80, 80], "300w-lp"), [0, 0, 900]))
        assert len(dataset.wrong_statistics("all", "", load("biwi", real_poses).truth())) == 4  # three means and the order
    finally:
        path.write_text(before)


def test_golden_predict_zero(real_poses, tmp_path):
    ids = split_ids(CARD, "mtcnn-13219")
    np.savez(tmp_path / "zero.npz", sample_id=np.array(ids), rotation=np.tile(np.eye(3), (len(ids), 1, 1)))
    (record,) = hpbench.score(tmp_path / "zero.npz", data=real_poses, protocol="biwi/depth-13219", out=tmp_path / "out")
    values = [score.value for score in record.scores[:4]]
    np.testing.assert_allclose(values, [17.0565546, 24.0809131, 18.8919414, 8.1968092], atol=2e-6)
    assert record.scores[0].n_scored == 13219 and record.scores[0].n_failed == 0
