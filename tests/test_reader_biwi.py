"""BIWI Kinect: what was written into files of the original format is what samples and truth hold."""

from __future__ import annotations

import hashlib
import math
import shutil
import struct
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hpbench
from hpbench.catalog import dataset_card, protocols_of, split_ids
from hpbench.errors import HpbenchError, InputError, MissingDataError
from hpbench.geometry.rotations import geodesic_deg, nearest_rotation, rotation_from_euler
from hpbench.readers import biwi, load
from hpbench.readers.biwi_boxes import depth_box, listed_boxes
from hpbench.readers.biwi_files import Calibration, decode_depth, read_calibration, read_poses
from hpbench.readers.files import archives
from hpbench.readers.files.datafile import DataFile

CARD = dataset_card("biwi")
ALL = split_ids(CARD, "all")
PEOPLE = CARD.options["people"]
IDS = [
    "01/frame_00003", "01/frame_00004", "02/frame_00003", "03/frame_00003", "05/frame_00003", "06/frame_00000", "07/frame_00003",
    "15/frame_00000", "18/frame_00000", "20/frame_00000", "21/frame_00000", "24/frame_00622",
]  # fmt: skip
LATER = ("06", *map(str, range(15, 25)))  # the sequences recorded with the second colour camera
LISTS = ("opal23_biwi_ann.txt", "Biwi_FSA-Net.npz", "Biwi_Dockerface.npz", "Biwi_WHENet.npz", "Biwi_plus.npz")

RNG = np.random.default_rng(5)
EULER = RNG.uniform(-60, 60, (len(IDS), 3))
CENTRES = np.stack([RNG.uniform(-150, 150, len(IDS)), RNG.uniform(-100, 100, len(IDS)), RNG.uniform(800, 1100, len(IDS))], axis=1)
RGB_K = [[517.679, 0, 320], [0, 517.679, 240.5], [0, 0, 1]]
DEPTH_K = [[575.816, 0, 320], [0, 575.816, 240], [0, 0, 1]]
FIRST = rotation_from_euler([-0.53, -0.86, -0.25], "300w-lp"), np.array([-24.0198, 5.8896, -13.2308])
SECOND = rotation_from_euler([0.33, -1.45, 0.0], "300w-lp"), np.array([-25.5, 1.25, -3.75])


def rows_text(matrix) -> str:
    """As the files print: six digits, a space at the end of every line."""
    return "".join("".join(f"{v:.6g} " for v in row) + "\n" for row in matrix)


def pose_text(rotation, centre) -> str:
    return f"{rows_text(rotation)}\n{rows_text([centre])}\n"


def camera_text(intrinsic, rotation, translation) -> str:
    return f"{rows_text(intrinsic)}\n0 0 0 0 \n\n{rows_text(rotation)}\n{rows_text([translation])}\n640 480"


def encode_depth(image: np.ndarray) -> bytes:
    """The compressed form: runs of empty and of full pixels; the last run of full ones may be empty."""
    flat = image.astype("<i2").reshape(-1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (flat != 0).astype(int), [0]])))
    out, at = [struct.pack("<ii", image.shape[1], image.shape[0])], 0
    for start, end in edges.reshape(-1, 2):
        out.append(struct.pack("<ii", start - at, end - start) + flat[start:end].tobytes())
        at = end
    if at < flat.size:
        out.append(struct.pack("<ii", flat.size - at, 0))
    return b"".join(out)


def drawn_person(x: int = 354, top: int = 170, depth: int = 880) -> np.ndarray:
    """A head 100 pixels wide above shoulders, 480 x 640, mm; at 880 mm the 220 mm of a head are 144 rows."""
    image = np.zeros((480, 640), np.int16)
    image[top : top + 150, x - 50 : x + 50] = depth
    image[top + 150 :, x - 150 : x + 150] = depth + 40
    return image


def as_written(matrix) -> np.ndarray:
    """The numbers that the six printed digits leave."""
    return np.array([[float(f"{v:.6g}") for v in row] for row in np.atleast_2d(matrix)])


def colour_camera(sequence: str) -> tuple[np.ndarray, np.ndarray]:
    return SECOND if sequence in LATER else FIRST


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """12 frames of 10 sequences, images of which the first pixel tells the row; written once, never changed."""
    root = tmp_path_factory.mktemp("biwi")
    for row, sample_id in enumerate(IDS):
        stem = root / "hpdb" / sample_id
        stem.parent.mkdir(parents=True, exist_ok=True)
        sequence = stem.parent.name
        Path(f"{stem}_pose.txt").write_text(pose_text(rotation_from_euler(EULER[row], "300w-lp"), CENTRES[row]))
        cv2.imwrite(f"{stem}_rgb.png", np.full((480, 640, 3), 10 * row, np.uint8))
        Path(f"{stem}_depth.bin").write_bytes(encode_depth(drawn_person()))
        (stem.parent / "rgb.cal").write_text(camera_text(RGB_K, *colour_camera(sequence)))
        (stem.parent / "depth.cal").write_text(camera_text(DEPTH_K, np.eye(3), np.zeros(3)))
        (root / "hpdb" / f"{sequence}.obj").write_text("v 0 0 0\n")
    (root / "hpdb" / "readme.txt").write_text("Biwi Kinect Head Pose Database\n")
    return root


@pytest.fixture
def frames(drawn: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(drawn, tmp_path / "biwi")


def in_memory(data: bytes, name: str = "NN/frame_00003_pose.txt", size: int | None = None) -> DataFile:
    return DataFile(name, name, len(data) if size is None else size, lambda: data)


def one_sentence(error: pytest.ExceptionInfo[HpbenchError], *parts: str) -> None:
    text = str(error.value)
    assert "\n" not in text and len(text) < 500
    for part in parts:
        assert part in text


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


# ------------------------------------------------------------------------------------------------- depth


def small_depth() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 4, (6, 8)).astype(np.int16) * 300


@given(st.lists(st.integers(0, 1200), min_size=1, max_size=60))
def test_depth_survives_its_encoding(values):
    image = (np.array(values, np.int16) * (np.array(values) > 300)).reshape(1, -1)
    np.testing.assert_array_equal(decode_depth(encode_depth(image), "d"), image)


def test_depth_with_an_empty_last_run():
    image = small_depth()
    image[-1] = 0
    data = encode_depth(image)
    assert data[-4:] == struct.pack("<i", 0)
    np.testing.assert_array_equal(decode_depth(data, "d"), image)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\0" * 7, struct.pack("<ii", 640, 480), struct.pack("<iiii", 640, 480, 5, 10**9), struct.pack("<ii", 10**9, 10**9),
        struct.pack("<ii", -640, 480), struct.pack("<iiii", 8, 6, 10**9, 0), struct.pack("<iiii", 8, 6, -1, 0),
        struct.pack("<iiii", 8, 6, 49, 0), struct.pack("<iiii", 8, 6, 48, 0) + b"\0", struct.pack("<iiii", 8, 6, 48, 0) + bytes(600),
        struct.pack("<ii", 2, 1) + struct.pack("<iihh", 0, 2, -5, 7), b"\x89PNG\r\n\x1a\n" + bytes(100), b"0.99 0.02 0.05 \n" * 9,
        encode_depth(small_depth())[:-1], encode_depth(small_depth())[:-2], encode_depth(small_depth())[:31],
    ],
)  # fmt: skip
def test_damaged_depth_is_one_sentence(data):
    with pytest.raises(InputError) as error:
        decode_depth(data, "01/frame_00003_depth.bin")
    one_sentence(error, "frame_00003_depth.bin")


@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_are_depth_or_one_sentence(data, headed):
    try:
        image = decode_depth((struct.pack("<ii", 4, 4) if headed else b"") + data, "d.bin")
    except InputError as error:
        assert "d.bin" in str(error)
    else:
        assert image.dtype == np.dtype("<i2") and (image >= 0).all()


def test_depth_box_is_the_head_of_the_largest_foreground(drawn):
    dataset = load("biwi", drawn)
    cameras = (
        Calibration(np.array(DEPTH_K), np.zeros(4), np.eye(3), np.zeros(3)),
        read_calibration(in_memory(camera_text(RGB_K, *FIRST).encode(), "rgb.cal")),
    )
    image = drawn_person()
    box = depth_box(image, *cameras)
    corners = np.array([[354 - 50 - 0.5, 169.5], [354 + 49 + 0.5, 169.5 + 575.816 * 220 / 880]])  # in the depth image
    for edge, (u, v) in zip(box.reshape(2, 2), corners, strict=True):
        point = cameras[1].rotation @ (880.0 * np.array([(u - 320) / 575.816, (v - 240) / 575.816, 1.0])) + cameras[1].translation
        np.testing.assert_allclose(edge, (np.array(RGB_K) @ point)[:2] / point[2], atol=1e-6)
    np.testing.assert_allclose(dataset.boxes_of("depth", IDS[:2]), [box, box], atol=1e-9)
    image[20:60, 20:60] = 900  # something smaller in the background, and what lies beyond the foreground
    image[:, 600:] = 1500
    image[100, 354] = 880  # a single pixel above the head
    np.testing.assert_allclose(depth_box(image, *cameras), box, atol=1e-9)
    for nothing in (np.zeros_like(image), np.full_like(image, 2000), np.eye(480, 640, dtype=np.int16) * 900):
        assert np.isnan(depth_box(nothing, *cameras)).all()


def test_depth_boxes_read_only_what_is_asked_for(frames):
    (frames / "hpdb" / f"{IDS[3]}_depth.bin").write_bytes(b"damaged")
    (frames / "hpdb" / f"{IDS[4]}_depth.bin").unlink()
    dataset = load("biwi", frames)
    assert np.isfinite(dataset.boxes_of("depth", IDS[:3])).all()
    with pytest.raises(InputError, match=f"{IDS[3]}_depth.bin"):
        dataset.boxes_of("depth", IDS[:4])
    with pytest.raises(MissingDataError, match=f"{IDS[4]}_depth.bin"):
        dataset.boxes_of("depth", IDS)


# ------------------------------------------------------------------------------------------------- lists of boxes


def opal_text(ids, boxes) -> str:
    rows = (
        f"kinect_head_pose_db/{i}_rgb.png;{';'.join(map(str, b))};-3.29;7.607222981354766;-1.57" for i, b in zip(ids, boxes, strict=True)
    )
    return "\n".join(["#;image;tl_x;tl_y;br_x;br_y;yaw;pitch;roll;", *rows]) + "\n"


def test_lists_of_both_formats(frames):
    corners = np.arange(48).reshape(12, 4) + [0, 0, 100, 120]
    shuffled = np.random.default_rng(0).permutation(12)
    (frames / LISTS[0]).write_text(opal_text([IDS[i] for i in shuffled], corners[shuffled]))
    sizes = corners.astype(float)
    sizes[:, 2:] -= sizes[:, :2]
    for name, dtype in zip(LISTS[1:], (np.int64, np.float64, np.int64, np.int32), strict=True):
        images = np.array([f"{i}_rgb.png" for i in IDS[:10]])
        np.savez(
            frames / name,
            images=images,
            bbox=sizes[:10].astype(dtype),
            ypr=np.zeros((10, 3)),
            ids=np.zeros(10, np.int64),
            date=np.array("x"),
        )
    dataset = load("biwi", frames)
    names = {n: b.source.removeprefix("list:") for n, b in CARD.boxes.items() if b.source.startswith("list:")}
    assert set(names.values()) == set(LISTS)
    for name, file in names.items():
        boxes = dataset.boxes_of(name, IDS)
        listed = 12 if file.endswith(".txt") else 10
        np.testing.assert_array_equal(boxes[:listed], corners[:listed])
        assert np.isnan(boxes[listed:]).all()  # frames that the detector missed


def test_missing_list_names_the_file(drawn):
    with pytest.raises(MissingDataError, match=r"opal23_biwi_ann\.txt") as error:
        load("biwi", drawn).samples(boxes="mtcnn").__next__()
    assert error.value.exit_code == 3


def npz_bytes(tmp_path: Path, **arrays) -> bytes:
    np.savez(tmp_path / "list.npz", **arrays)
    return (tmp_path / "list.npz").read_bytes()


def test_bad_lists_are_one_sentence(tmp_path):
    box, header = [1, 2, 30, 40], opal_text([], [])
    image = np.array([f"{IDS[0]}_rgb.png"])
    whole = npz_bytes(tmp_path, images=image, bbox=np.array([box]))
    text = opal_text([IDS[0]], [box])
    bad = [
        b"", b"PK", b"\xff\xfe\0\0", b"<html>", whole[:40], whole[:-30], b"PK" + bytes(50), header[1:].encode(),
        text.replace("kinect_head_pose_db", "../hpdb").encode(), text.replace("kinect_head_pose_db", "/etc").encode(),
        text.replace("kinect_head_pose_db", "C:\\db").encode(), text.replace("01/", "25/").encode(), (text + text.splitlines()[1]).encode(),
        text.replace(";30;", ";x;").encode(), text.replace(";30;", ";nan;").encode(), text.replace(";30;", ";").encode(),
        text.replace(";30;", ";0;").encode(), text.replace(";30;", ";inf;").encode(),
        npz_bytes(tmp_path, images=image), npz_bytes(tmp_path, images=image, bbox=np.zeros((2, 4))),
        npz_bytes(tmp_path, images=image, bbox=np.array([["1", "2", "3", "4"]])),
        npz_bytes(tmp_path, images=np.array([1]), bbox=np.array([box])),
        npz_bytes(tmp_path, images=np.array([image[0]], object), bbox=np.array([box])),
        npz_bytes(tmp_path, images=np.array(["../../x_rgb.png"]), bbox=np.array([box])),
        npz_bytes(tmp_path, images=image, bbox=np.array([[1, 2, 0, 4]])),
    ]  # fmt: skip
    for number, data in enumerate(bad):
        with pytest.raises(InputError) as error:
            table = listed_boxes(in_memory(data, "opal23_biwi_ann.txt"), set(ALL))
            pytest.fail(f"case {number} was read: {table}")
        one_sentence(error, "opal23_biwi_ann.txt")


def test_npz_that_claims_a_billion_rows(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 4), }"
    claim = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "l.npz", "w") as archive:
        archive.writestr("images.npy", claim)
        archive.writestr("bbox.npy", claim)
    with pytest.raises(InputError, match="1000000000"):
        listed_boxes(in_memory((tmp_path / "l.npz").read_bytes(), "l.npz"), set(ALL))
    with pytest.raises(InputError, match="too many"):
        listed_boxes(in_memory(b"PK", "l.npz", size=1 << 30), set(ALL))


@given(st.binary(max_size=300), st.sampled_from(["raw", "zip", "text"]))
def test_random_lists_are_read_or_one_sentence(data, kind):
    start = {"raw": b"", "zip": b"PK\3\4", "text": opal_text([], []).encode()}[kind]
    try:
        table = listed_boxes(in_memory(start + data, "list"), set(ALL))
    except InputError as error:
        assert "list" in str(error) and "\n" not in str(error)
    else:
        assert len(table) == 0


# ------------------------------------------------------------------------------------------------- bad poses, bad cameras

GOOD = pose_text(rotation_from_euler([20, -10, 5], "300w-lp"), [51.9358, 38.2631, 881.756])


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
