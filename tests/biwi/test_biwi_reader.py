"""BIWI read, scored and listed: what was written into files of the original format is what truth and samples hold."""

from __future__ import annotations

import hashlib
import math
import shutil
import tarfile
import zipfile
from collections import Counter

import numpy as np
import pytest
from miniatures.biwi import ALL, CARD, CENTRES, EULER, GOOD, IDS, PEOPLE, RGB_K, as_written, colour_camera

import hpbench
from hpbench.catalog import protocols_of, split_ids
from hpbench.errors import InputError
from hpbench.geometry.rotations import geodesic_deg, rotation_from_euler
from hpbench.readers import biwi, load
from hpbench.readers.biwi_files import read_poses

# ------------------------------------------------------------------------------------------------- what is read


def test_every_value_is_the_one_written(drawn):
    dataset = load("biwi", drawn)
    truth, colour = dataset.truth(), dataset.truth(labels="rgb")
    assert list(truth.sample_id) == IDS == list(colour.sample_id) == dataset.found_ids() and len(truth) == 12
    for row in (0, 6, 11):
        written = as_written(rotation_from_euler(EULER[row], "300w-lp"))
        sequence = IDS[row][:2]
        np.testing.assert_allclose(truth.rotation[row], written, atol=2e-6)
        np.testing.assert_allclose(truth.euler_deg[row], EULER[row], atol=5e-4)
        np.testing.assert_allclose(colour.rotation[row], as_written(colour_camera(sequence)[0]) @ written, atol=3e-6)
        for table in (truth, colour):
            assert table.sequence[row] == sequence and table.person[row] == PEOPLE[sequence]
            assert table.attributes["abs_yaw_deg"][row] == abs(table.euler_deg[row, 0])
            assert table.convention == "300w-lp"
    assert truth.landmarks is None and truth.visibility is None and list(truth.attributes) == ["abs_yaw_deg"]


def test_angles_are_those_of_hopenet_and_fsanet(drawn):
    truth = load("biwi", drawn).truth()
    for row in range(len(IDS)):
        q = as_written(rotation_from_euler(EULER[row], "300w-lp")).T  # they decompose the transposed matrix
        roll = -math.degrees(math.atan2(q[1, 0], q[0, 0]))
        yaw = -math.degrees(math.atan2(-q[2, 0], math.hypot(q[2, 1], q[2, 2])))
        pitch = math.degrees(math.atan2(q[2, 1], q[2, 2]))
        np.testing.assert_allclose(truth.euler_deg[row], [yaw, pitch, roll], atol=2e-3)


def test_the_sequences_have_two_colour_cameras(drawn):
    dataset = load("biwi", drawn)
    turned = geodesic_deg(dataset.truth(labels="rgb").rotation, dataset.truth().rotation)
    expected = [geodesic_deg(colour_camera(i[:2])[0], np.eye(3)) for i in IDS]
    np.testing.assert_allclose(turned, expected, atol=1e-3)
    assert np.ptp(turned) > 0.1


def test_samples_are_sorted_and_carry_the_camera(drawn):
    dataset = load("biwi", drawn)
    samples = list(dataset.samples())
    assert [s.sample_id for s in samples] == IDS == dataset.image_ids()
    for row in (0, 6, 11):
        image = samples[row].image.read()
        assert image.shape == (480, 640, 3) and image[0, 0, 0] == 10 * row
        np.testing.assert_array_equal(samples[row].camera, RGB_K)
    assert [s.sample_id for s in dataset.samples(limit=4)] == IDS[:4]


def test_headcentre_is_projected_into_the_colour_image(drawn):
    boxes = load("biwi", drawn).boxes_of("headcentre", IDS)
    for row, sample_id in enumerate(IDS):
        rotation, translation = (as_written(v).reshape(np.shape(v)) for v in colour_camera(sample_id[:2]))
        x, y, z = rotation @ as_written([CENTRES[row]])[0] + translation
        u, v, half = 517.679 * x / z + 320, 517.679 * y / z + 240.5, 517.679 * 75.0 / z
        np.testing.assert_allclose(boxes[row], [u - half, v - half, u + half, v + half], atol=1e-6)


def test_splits_boxes_and_labels_by_name(drawn):
    dataset = load("biwi", drawn)
    assert dataset.found_ids("test-30") == [i for i in IDS if i[:2] in ("05", "06", "18", "20")]
    assert set(dataset.found_ids("test-30")) | set(dataset.found_ids("train-70")) == set(IDS)
    for wrong in ({"labels": "RGB"}, {"split": "test"}):
        with pytest.raises(InputError, match="biwi"):
            dataset.truth(**wrong)
    with pytest.raises(InputError, match="headcentre"):
        dataset.samples(boxes="headcenter")
    asked = [IDS[11], IDS[0]]
    assert list(dataset.truth_of(asked, "rgb").sample_id) == asked
    assert [s.sample_id for s in dataset.samples_of(asked, "depth")] == asked


def test_parents_are_ignored_and_archives_are_read(drawn, tmp_path):
    expected = load("biwi", drawn)
    mirror = tmp_path / "mirror"
    shutil.copytree(drawn / "hpdb", mirror / "faces_0")
    for path in sorted((mirror / "faces_0").glob("*/*_rgb.png")):  # the mirror's other folders
        target = mirror / "head_pose_masks" / path.parent.name / path.name.replace("_rgb", "_depth_mask")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"mask")
    packed = tmp_path / "archive.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(mirror.rglob("*")):
            archive.write(path, path.relative_to(mirror).as_posix())
    for name, mode in (("hpdb.tar", "w"), ("hpdb.tgz", "w:gz")):
        with tarfile.open(tmp_path / name, mode) as archive:
            archive.add(drawn / "hpdb", "kinect_head_pose_db/hpdb")
    halves = [tmp_path / "a", tmp_path / "b"]
    for number, folder in enumerate(sorted(p for p in (drawn / "hpdb").iterdir() if p.is_dir())):
        shutil.copytree(folder, halves[number % 2] / folder.name)
    roots = (drawn / "hpdb", mirror, packed, tmp_path / "hpdb.tar", tmp_path / "hpdb.tgz", halves, [drawn, mirror])
    for data in roots:
        dataset = load("biwi", data)
        for labels in ("depth", "rgb"):
            assert dataset.truth(labels=labels).content_sha256() == expected.truth(labels=labels).content_sha256()
        assert dataset.image_ids() == IDS and dataset.foreign_ids() == []
        np.testing.assert_array_equal(dataset.boxes_of("depth", IDS), expected.boxes_of("depth", IDS))
        assert next(dataset.samples()).image.read().shape == (480, 640, 3)


def test_windows_line_ends_and_a_missing_last_one(frames):
    expected = load("biwi", frames).truth(labels="rgb")
    for path in [*frames.rglob("*_pose.txt"), *frames.rglob("*.cal")]:
        path.write_bytes(path.read_bytes().rstrip().replace(b"\n", b"\r\n"))
    assert load("biwi", frames).truth(labels="rgb").content_sha256() == expected.content_sha256()


# ------------------------------------------------------------------------------------------------- facts of the card


def test_people_and_lists_are_as_published():
    assert len(PEOPLE) == 24 and list(PEOPLE) == [f"{n:02d}" for n in range(1, 25)]
    twice = {p: [s for s in PEOPLE if PEOPLE[s] == p] for p, n in Counter(PEOPLE.values()).items() if n == 2}
    assert twice == {"F02": ["02", "21"], "F03": ["03", "15"], "F05": ["05", "18"], "M01": ["07", "22"]}
    assert len(set(PEOPLE.values())) == 20 and sum(p[0] == "F" for p in set(PEOPLE.values())) == 6
    counts = Counter(i[:2] for i in split_ids(CARD, "mtcnn-13219"))
    assert [counts[s] for s in sorted(counts)] == [
        431, 362, 569, 689, 881, 399, 699, 738, 831, 688, 570, 727, 484, 653, 475, 692, 315, 476, 335, 471, 450, 530, 395, 359,
    ]  # fmt: skip
    assert {i[:2] for i in ALL} == set(PEOPLE)
    for split in CARD.splits:
        assert set(split_ids(CARD, split)) <= set(ALL)


def test_the_70_30_split_follows_its_rule_and_shares_no_person():
    frames = Counter(PEOPLE[i[:2]] for i in ALL)
    taken, total = set(), 0
    for person in sorted(frames, key=lambda p: hashlib.sha256(f"hpbench biwi 70-30 {p}".encode()).hexdigest()):
        if total + frames[person] <= 0.31 * len(ALL):
            taken.add(person)
            total += frames[person]
    test, train = split_ids(CARD, "test-30"), split_ids(CARD, "train-70")
    assert test == [i for i in ALL if PEOPLE[i[:2]] in taken] and sorted(test + train) == ALL
    assert not {PEOPLE[i[:2]] for i in test} & {PEOPLE[i[:2]] for i in train}


def test_protocols_state_camera_list_and_boxes():
    protocols = {p.id: p for p in protocols_of(CARD)}
    assert {f"biwi/{c}-{n}" for c in ("depth", "rgb") for n in (15678, 13219, 15666, 15636)} <= set(protocols)
    for protocol in protocols.values():
        assert protocol.cluster_by == "person" and protocol.labels == protocol.id.removeprefix("biwi/").partition("-")[0]
        assert protocol.trained_on and "lign" in protocol.differs
    assert protocols["biwi/depth-70-30"].split == "test-30"


# ------------------------------------------------------------------------------------------------- scoring


def test_truth_as_prediction_is_perfect_without_images(frames, tmp_path):
    for path in [*frames.rglob("*.png"), *frames.rglob("*.bin")]:
        path.unlink()
    seen = set()
    for labels in ("depth", "rgb"):
        truth = load("biwi", frames).truth(labels=labels)
        file = tmp_path / f"{labels}.npz"
        np.savez(file, sample_id=np.array(truth.sample_id, dtype=str), rotation=truth.rotation)
        names = [p.id for p in protocols_of(CARD) if p.labels == labels]
        for record in hpbench.score(file, "biwi", data=frames, protocol=names, out=tmp_path / "out"):
            seen.add(record.protocol.id)
            for score in record.scores:
                assert score.value == pytest.approx(0, abs=1e-5) and score.n_failed == 0
            assert record.partial
    assert seen == {p.id for p in protocols_of(CARD)}


def test_intervals_resample_people(drawn, tmp_path):
    truth = load("biwi", drawn).truth()
    np.savez(tmp_path / "p.npz", sample_id=np.array(truth.sample_id, dtype=str), rotation=np.tile(np.eye(3), (len(truth), 1, 1)))
    hpbench.score(tmp_path / "p.npz", "biwi", data=drawn, protocol="depth-15678", out=tmp_path)
    errors = tmp_path / "biwi.depth-15678@1.errors.npz"
    with np.load(errors) as table:
        assert list(table["cluster"]) == [PEOPLE[i[:2]] for i in IDS]


# ------------------------------------------------------------------------------------------------- the cache


def test_second_start_parses_nothing_and_sees_changes(frames, monkeypatch):
    first = load("biwi", frames).truth()
    parsed = []
    monkeypatch.setattr(biwi, "read_poses", lambda files: parsed.append(len(files)) or read_poses(files))
    assert load("biwi", frames).truth().content_sha256() == first.content_sha256() and parsed == []
    (frames / "hpdb" / f"{IDS[0]}_pose.txt").write_text(GOOD)
    changed = load("biwi", frames).truth()
    assert parsed == [12]
    np.testing.assert_allclose(changed.euler_deg[0], [20, -10, 5], atol=1e-3)
    np.testing.assert_array_equal(changed.euler_deg[1:], first.euler_deg[1:])
