"""BIWI: damaged, swapped and missing files are one sentence."""

from __future__ import annotations

import shutil
import tarfile

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from miniatures.biwi import DEPTH_K, FIRST, GOOD, IDS, LISTS, RGB_K, camera_text, in_memory, one_sentence, opal_text, pose_text

from hpbench.errors import InputError, MissingDataError
from hpbench.readers import load
from hpbench.readers.biwi_files import read_calibration, read_poses
from hpbench.readers.files import archives

# ------------------------------------------------------------------------------------------------- bad poses, bad cameras


@pytest.mark.parametrize(
    "text",
    [
        "", "\n\n", GOOD[:40], "\n".join(GOOD.split("\n")[:3]), GOOD + "1 2 3\n", GOOD.replace("881.756", ""),
        GOOD.replace("881.756", "nan"),
        GOOD.replace("881.756", "inf"), GOOD.replace("881.756", "1e999"), GOOD.replace("881.756", "881,756"),
        GOOD.replace("881.756", "0.881756"),
        GOOD.replace("881.756", "-881.756"), GOOD.replace("881.756", "8_81.756"), GOOD.replace("881.756", "x"), GOOD.replace(" ", ";"),
        "51.9358 38.2631 881.756\n\n" + "\n".join(GOOD.split("\n")[:3]), GOOD.replace("\n", " "), GOOD.replace(" ", "\n"),
        pose_text(np.diag([1, 1, -1]), [1, 2, 900]), pose_text(2 * np.eye(3), [1, 2, 900]), pose_text(np.zeros((3, 3)), [1, 2, 900]),
        pose_text(np.full((3, 3), 1e200), [1, 2, 900]), "\0" * 100, "1 2 3 \n" * 100, "1 2 3 \n" * 4, "\ufeff" + GOOD, "- . e \n" * 4,
    ],
)  # fmt: skip
def test_damaged_pose_is_one_sentence(text, frames):
    path = frames / "hpdb" / f"{IDS[7]}_pose.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        load("biwi", frames).truth()
    one_sentence(error, str(path))


def test_pose_files_are_not_read_when_too_large():
    with pytest.raises(InputError, match="too many"):
        read_poses([in_memory(GOOD.encode()), in_memory(b"", size=10**9)])


@given(st.one_of(st.binary(max_size=300), st.text("0123456789.-e \n", max_size=200).map(str.encode)))
def test_random_pose_is_read_or_one_sentence(data):
    try:
        rotation, centre = read_poses([in_memory(GOOD.encode()), in_memory(data, "bad_pose.txt")])
    except InputError as error:
        assert "bad_pose.txt" in str(error) and "\n" not in str(error)
    else:
        assert np.isfinite(rotation).all() and np.isfinite(centre).all()


CAMERA = camera_text(RGB_K, *FIRST)


@pytest.mark.parametrize(
    "text",
    [
        "", CAMERA[:60], GOOD, CAMERA.replace("517.679", "nan"), CAMERA.replace("517.679", "-517.679"), CAMERA.replace("0 0 1", "0 0 2"),
        CAMERA.replace("0 0 0 0", "0 0 0"), CAMERA.replace("0 0 0 0", "9 0 0 0"), CAMERA + "\n1 2 3\n",
        camera_text(RGB_K, 2 * np.eye(3), [1, 2, 3]),
        camera_text(DEPTH_K, np.eye(3), np.zeros(3)), "<html>", camera_text([[1, 2, 3]] * 3, *FIRST),
    ],
)  # fmt: skip
def test_damaged_or_swapped_camera_is_one_sentence(text, frames):
    path = frames / "hpdb" / "06" / "rgb.cal"
    path.write_text(text)
    dataset = load("biwi", frames)
    assert len(dataset.truth()) == 12  # the depth camera's labels need no calibration
    for ask in (lambda: dataset.truth(labels="rgb"), lambda: dataset.boxes_of("headcentre", IDS)):
        with pytest.raises(InputError) as error:
            ask()
        one_sentence(error, str(path))


def test_swapped_depth_camera(frames):
    shutil.copy(frames / "hpdb" / "01" / "rgb.cal", frames / "hpdb" / "01" / "depth.cal")
    with pytest.raises(InputError, match="rgb.cal under that name"):
        load("biwi", frames).boxes_of("depth", IDS[:1])


def test_camera_without_image_size_and_with_distortion():
    camera = read_calibration(in_memory(CAMERA.rsplit("\n", 1)[0].replace("0 0 0 0", "0.1 -0.05 0.001 0.002").encode(), "rgb.cal"))
    points = np.array([[100.0, -50.0, 900.0], [0, 0, 700]])
    expected = cv2.projectPoints(points, cv2.Rodrigues(camera.rotation)[0], camera.translation, camera.intrinsic, camera.distortion)[0]
    np.testing.assert_allclose(camera.project(points)[0], expected[:, 0], atol=1e-4)  # its rotation has six digits


@given(st.binary(max_size=300))
def test_random_camera_is_read_or_one_sentence(data):
    with pytest.raises(InputError, match=r"rgb\.cal"):
        read_calibration(in_memory(data, "rgb.cal"))


# ------------------------------------------------------------------------------------------------- what is missing


def test_sequences_without_calibration(frames):
    (frames / "hpdb" / "01" / "rgb.cal").unlink()
    dataset = load("biwi", frames)
    assert dataset.found_ids(labels="rgb") == IDS[2:] and dataset.found_ids() == IDS
    with pytest.raises(InputError, match=r"01/rgb\.cal is missing"):
        list(dataset.samples())
    for path in frames.rglob("rgb.cal"):
        path.unlink()
    assert load("biwi", frames).found_ids(labels="rgb") == []
    with pytest.raises(MissingDataError, match="rgb labels"):
        load("biwi", frames).truth(labels="rgb")


def test_list_boxes_without_calibration_have_no_camera(frames):
    for path in frames.rglob("*.cal"):
        path.unlink()
    (frames / LISTS[0]).write_text(opal_text(IDS, [[1, 2, 30, 40]] * 12))
    assert next(load("biwi", frames).samples(boxes="mtcnn")).camera is None


def test_missing_image_is_told_when_it_is_read(frames):
    (frames / "hpdb" / f"{IDS[2]}_rgb.png").unlink()
    dataset = load("biwi", frames)
    assert IDS[2] not in dataset.image_ids() and dataset.found_ids() == IDS
    with pytest.raises(InputError, match="missing"):
        list(dataset.samples())[2].image.read()


def test_foreign_files_are_told(frames):
    pose = frames / "hpdb" / f"{IDS[0]}_pose.txt"
    for name in ("hpdb/25/frame_00003_pose.txt", "hpdb/01/frame_09999_pose.txt", "frame_00003_pose.txt"):
        (frames / name).parent.mkdir(exist_ok=True)
        shutil.copy(pose, frames / name)
    dataset = load("biwi", frames)
    assert dataset.foreign_ids() == ["01/frame_09999", "25/frame_00003", "frame_00003"]
    assert dataset.found_ids() == IDS


def test_one_pose_twice(frames):
    shutil.copytree(frames / "hpdb" / "01", frames / "copy" / "01")
    assert len(load("biwi", frames).truth()) == 12
    (frames / "copy" / "01" / "frame_00003_pose.txt").write_text(GOOD)
    with pytest.raises(InputError, match="different content"):
        load("biwi", frames)


def test_what_was_seen_instead(frames, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    cases = {"no files": empty, "outside of sequence folders": frames / "hpdb" / "01"}
    for name, guess in (("kinect_head_pose_db.tgz", "unpack it"), ("holiday.jpg", "holiday.jpg")):
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        (folder / name).write_bytes(b"x")
        cases[guess] = folder
    (frames / "hpdb" / "01").rename(tmp_path / "31")
    cases["01 to 24"] = tmp_path / "31" / ".."
    for guess, data in cases.items():
        folder = data
        if guess == "outside of sequence folders":
            folder = tmp_path / "31"
        elif guess == "01 to 24":
            folder = tmp_path / "renumbered"
            shutil.copytree(tmp_path / "31", folder / "31")
        with pytest.raises(MissingDataError, match=guess) as error:
            load("biwi", folder)
        assert error.value.exit_code == 3
        for part in ("kinect_head_pose_db.tgz", "Licence", "Layout", "--data"):
            assert part in str(error.value)


def test_the_official_tgz_is_to_be_unpacked(drawn, tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "kinect_head_pose_db.tgz", "w:gz") as archive:
        archive.add(drawn / "hpdb", "hpdb")
    monkeypatch.setattr(archives, "MAX_TAR_BYTES", 10_000)
    with pytest.raises(InputError, match="unpack it and give the folder"):
        load("biwi", tmp_path / "kinect_head_pose_db.tgz")
    shutil.copytree(drawn / "hpdb", tmp_path / "hpdb")
    assert len(load("biwi", tmp_path).truth()) == 12  # lying beside what was unpacked, it is left alone
