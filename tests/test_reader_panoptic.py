"""CMU Panoptic: rows of the original form are read as they stand, and the convention is the one of the labels."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hpbench import jobs
from hpbench.catalog import dataset_card, protocols_of
from hpbench.errors import InputError, MissingDataError
from hpbench.geometry.rotations import CONVENTIONS, geodesic_deg, rotation_from_euler
from hpbench.metrics import parse_metric
from hpbench.predictions import Predictions
from hpbench.readers import load
from hpbench.readers.panoptic import Panoptic

HEADER = "#;image;x_min;y_min;w;h;yaw;pitch;roll\n"
SEQUENCES = {"test": ["171204_pose2", "170404_haggling_a1"], "valid": ["171204_pose1"]}


def drawn_rows(split: str) -> list[tuple[str, list[str]]]:
    """Image and cells of rows as the lists have them: by sequence, frame, camera; whole pixels, angles in full."""
    rng = np.random.default_rng(len(split))
    rows = []
    for sequence in SEQUENCES[split]:
        for frame in (8302, 8332):
            for camera in range(5):
                box = [str(v) for v in (*rng.integers(0, 900, 2), *rng.integers(130, 460, 2))]
                angles = rng.uniform(-1, 1, 3) * [180, 89.9, 89.9]
                rows.append((f"{sequence}/hdImgs/00_{camera:02d}/00_{camera:02d}_{frame:08d}.jpg", [*box, *map(repr, map(float, angles))]))
    return rows


ROWS = {split: drawn_rows(split) for split in SEQUENCES}


def text_of(rows: list[tuple[str, list[str]]]) -> str:
    return HEADER + "".join(f"{';'.join([image, *cells])}\n" for image, cells in rows)


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """Both lists, and the images of one sequence."""
    folder = tmp_path / "panoptic"
    folder.mkdir()
    for split, rows in ROWS.items():
        (folder / f"panoptic_ann_{split}.txt").write_text(text_of(rows))
    for number, (image, _) in enumerate(ROWS["test"][:10]):
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / image), np.full((108, 192, 3), 20 * number, np.uint8))
    return folder


# ------------------------------------------------------------------------------------------------- what is read


def test_every_value_is_the_one_written(drawn):
    dataset = load("panoptic", drawn)
    assert isinstance(dataset, Panoptic)
    for split, rows in ROWS.items():
        truth = dataset.truth(split)
        expected = sorted((image.removesuffix(".jpg"), [float(c) for c in cells]) for image, cells in rows)
        assert list(truth.sample_id) == [i for i, _ in expected] == dataset.ids(split)
        for row in (0, len(rows) // 2, -1):
            x, y, w, h, *angles = expected[row][1]
            np.testing.assert_array_equal(truth.box_xyxy_px[row], [x, y, x + w, y + h])
            np.testing.assert_array_equal(truth.euler_deg[row], angles)
            assert truth.attributes["abs_yaw_deg"][row] == abs(angles[0])
            assert truth.sequence[row] == truth.attributes["recording"][row] == expected[row][0].split("/")[0]
            assert truth.attributes["camera"][row] == expected[row][0].split("/")[2]
        assert (truth.convention, truth.landmarks, truth.person) == ("opal23", None, None)
    assert (dataset.n_expected("test"), dataset.n_expected("valid")) == (25141, 22940)
    assert dataset.card.pose == "camera" and dataset.foreign_ids() == []


def test_samples_have_images_and_boxes(drawn):
    dataset = load("panoptic", drawn)
    ids = dataset.image_ids("test")
    assert ids == sorted(image.removesuffix(".jpg") for image, _ in ROWS["test"][:10]) and dataset.image_ids("valid") == []
    samples = list(dataset.samples_of(ids, "official"))
    assert [s.sample_id for s in samples] == ids
    assert all(abs(int(s.image.read()[0, 0, 0]) - 20 * ROWS["test"].index(_row(s.sample_id))) <= 2 for s in samples)
    np.testing.assert_array_equal(samples[0].box_xyxy_px, dataset.truth("test").aligned_to(ids).box_xyxy_px[0])
    with pytest.raises(InputError, match="the image is missing"):
        next(iter(dataset.samples("test"))).image.read()  # 170404_haggling_a1 is first


def _row(sample_id: str) -> tuple[str, list[str]]:
    return next(r for r in ROWS["test"] if r[0] == f"{sample_id}.jpg")


def test_lists_and_images_in_different_places(drawn, tmp_path):
    expected = load("panoptic", drawn)
    archive = tmp_path / "sample_images.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in drawn.rglob("*.jpg"):
            packed.write(path, str(path.relative_to(drawn)))
    lists = tmp_path / "annotations"
    lists.mkdir()
    for path in drawn.glob("*.txt"):  # CRLF, a byte order mark, no final newline
        (lists / path.name).write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n")[:-2])
    for data in ([lists, archive], [archive, lists]):
        dataset = load("panoptic", data)
        assert dataset.truth("test").content_sha256() == expected.truth("test").content_sha256()
        assert dataset.image_ids("test") == expected.image_ids("test")


def test_one_list_is_enough(drawn):
    (drawn / "panoptic_ann_valid.txt").rename(drawn / "panoptic_ann_train.txt")
    dataset = load("panoptic", drawn)
    assert dataset.found_ids("valid") == [] and len(dataset.found_ids("test")) == 20
    assert dataset.foreign_ids() == ["panoptic_ann_train.txt"]


# ------------------------------------------------------------------------------------------------- scoring


def test_truth_as_prediction_has_no_error_in_any_protocol(drawn, tmp_path):
    for path in drawn.rglob("*.jpg"):
        path.unlink()
    dataset = load("panoptic", drawn)
    protocols = protocols_of(dataset_card("panoptic"))
    assert [p.id for p in protocols] == ["panoptic/test"] and protocols[0].main == "geodesic"
    for protocol in protocols:
        assert all(parse_metric(m).text == m for m in protocol.metrics)
        truth = dataset.truth(protocol.split)
        for given_faces in (truth, replace(truth, euler_deg=None, convention=None)):
            (record,) = jobs.score(Predictions(given_faces, "official"), dataset, protocol=protocol.id, out=tmp_path / "out")
            assert [s.metric for s in record.scores] == list(protocol.metrics)
            assert all(s.value == pytest.approx(0.0, abs=1e-5) for s in record.scores)
            assert record.partial and sum(scores[0].n_scored for scores in record.subsets.values()) == 20


def test_yaw_wraps(drawn, tmp_path):
    dataset = load("panoptic", drawn)
    truth = dataset.truth("test")
    turned = replace(truth, rotation=None, euler_deg=truth.euler_deg + [360.0, 0.0, 0.0])
    (record,) = jobs.score(Predictions(turned, "official"), dataset, protocol="panoptic/test", out=tmp_path / "out")
    assert all(s.value == pytest.approx(0.0, abs=1e-5) for s in record.scores)


# ------------------------------------------------------------------------------------------------- bad input


def test_nothing_of_it_here(tmp_path):
    with pytest.raises(MissingDataError, match=r"no panoptic_ann_test\.txt or panoptic_ann_valid\.txt .* but no files"):
        load("panoptic", tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("171204_pose2/hdImgs/00_00/00_00_00000001.jpg;1;2;3", r"line 22 has 4 cells, expected 8 .* truncated\?"),
        ("171204_pose2/hdImgs/00_00/00_00_00000001.jpg;1;2;3;4;5;6;seven", "line 22: .* are not seven numbers"),
        ("171204_pose2/hdImgs/00_00/00_00_00000001.jpg;1;2;3;4;nan;6;7", "line 22: holds a number that is not finite"),
        ("171204_pose2/hdImgs/00_00/00_00_00000001.jpg;1;2;0;4;5;6;7", "line 22: the box is 0 x 4 pixels"),
        ("../hdImgs/00_00/00_00_00000001.jpg;1;2;3;4;5;6;7", "line 22: .* is no SEQUENCE/hdImgs"),
        ("/a/hdImgs/00_00/00_00_00000001.jpg;1;2;3;4;5;6;7", "line 22: .* is no SEQUENCE/hdImgs"),
        ("171204_pose2/00_00/00_00_00000001.jpg;1;2;3;4;5;6;7", "line 22: .* is no SEQUENCE/hdImgs"),
        (ROWS["test"][3][0] + ";1;2;3;4;5;6;7", "line 22: .* stands in the list twice"),
        ("#;image;x_min;y_min;x_max;y_max;yaw;pitch;roll", "line 22: the columns are image;x_min;y_min;x_max"),
    ],
)
def test_bad_lines(drawn, line, message):
    with (drawn / "panoptic_ann_test.txt").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(InputError, match=message) as caught:
        load("panoptic", drawn).truth("test")
    assert "panoptic_ann_test.txt" in str(caught.value)


def test_bad_files(drawn):
    path = drawn / "panoptic_ann_test.txt"
    for content, message in ((b"", "holds no row"), (HEADER.encode(), "holds no row"), (b"\xff\xfe\x00", "UTF-8")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"panoptic_ann_test\.txt: .*{message}"):
            load("panoptic", drawn).truth("test")
    path.write_bytes((drawn / "panoptic_ann_valid.txt").read_bytes())
    with pytest.raises(InputError, match="in another split's list too"):
        load("panoptic", drawn).truth("test")


@settings(max_examples=60)
@given(data=st.data())
def test_damaged_lists_are_read_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    content = text_of(ROWS["test"]).encode()
    kind = data.draw(st.sampled_from(["random", "cut", "change"]))
    if kind == "random":
        content = data.draw(st.binary(max_size=300))
    elif kind == "cut":
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        content = content[:at] + data.draw(st.binary(min_size=1, max_size=3)) + content[at + 1 :]
    (folder / "panoptic_ann_test.txt").write_bytes(content)
    try:
        assert len(load("panoptic", folder).truth("test")) <= 21
    except InputError as error:
        assert "panoptic_ann_test.txt" in str(error) and "\n" not in str(error)


# ------------------------------------------------------------------------------------------------- the real lists


@pytest.fixture(scope="module")
def real(realdata) -> Panoptic:
    return load("panoptic", [realdata / "panoptic", realdata / "panoptic" / "sample_images.zip"])


def test_the_real_lists(real, realdata):
    truth = real.truth("test")
    assert len(truth) == 25141 and len(real.truth("valid")) == 22940 and real.wrong_statistics("test", "", truth) == []
    bins = np.histogram(truth.attributes["abs_yaw_deg"], [0, 30, 60, 90, 180])[0]
    assert list(bins) == [4230, 4277, 3721, 12913]
    assert len(set(truth.sequence)) == 6 and (np.asarray(truth.sequence) == "171204_pose2").sum() == 12431
    assert not set(truth.sequence) & set(real.truth("valid").sequence)
    lines = (realdata / "panoptic" / "panoptic_ann_test.txt").read_text().splitlines()[1:]
    for line in (lines[0], lines[9], lines[len(lines) // 2], lines[-1]):
        image, *cells = line.split(";")
        x, y, w, h, *angles = map(float, cells)
        row = truth.take(truth.rows_of([image.removesuffix(".jpg")]))
        np.testing.assert_array_equal(row.box_xyxy_px[0], [x, y, x + w, y + h])
        np.testing.assert_array_equal(row.euler_deg[0], angles)


def test_the_real_images(real):
    ids = real.image_ids("test")
    assert ids == [f"171204_pose2/hdImgs/00_0{c}/00_0{c}_00008302" for c in range(4)]
    assert {s.image.read().shape for s in real.samples_of(ids, "")} == {(1080, 1920, 3)}


def _views(real: Panoptic) -> dict[str, np.ndarray]:
    """Angles of each sequence, (frames, 31, 3)."""
    truth = real.truth("test")
    found: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    for sample_id, euler in zip(truth.sample_id, truth.euler_deg, strict=True):  # sorted: by camera within a sequence
        sequence, _, _, name = sample_id.split("/")
        found[sequence][name.rsplit("_", 1)[1]].append(euler)
    return {sequence: np.array([frames[f] for f in sorted(frames)]) for sequence, frames in found.items()}


def _spread_deg(rotation: np.ndarray) -> float:
    """How far the rotation from one camera to another, (frames, 31, 3, 3), wanders over the frames: the median over some pairs."""
    pairs = [(0, 1), (2, 9), (3, 17), (5, 25), (7, 30), (2, 20)]
    between = [rotation[:, i] @ np.swapaxes(rotation[:, j], 1, 2) for i, j in pairs]
    return float(np.median([geodesic_deg(b[1:], np.broadcast_to(b[0], b[1:].shape)) for b in between]))


def test_cameras_that_do_not_move_prove_the_order_of_rotations(real):
    views = _views(real)
    assert all(v.shape[1:] == (31, 3) for v in views.values()) and sum(len(v) for v in views.values()) == 811
    for angles in views.values():  # relative to the camera: a rotation relative to the viewing ray would wander
        assert _spread_deg(rotation_from_euler(angles, "opal23")) < 1e-6
    angles = views["171204_pose2"]
    for name in ("6drepnet", "yxz", "300w-lp"):  # 300w-lp: the right order, one sign off
        assert _spread_deg(rotation_from_euler(angles, name)) > 5.0, name
    signed = angles * CONVENTIONS["opal23"].signs
    right = []
    for order in permutations("YXZ"):  # the camera axes that yaw, pitch and roll turn about
        turned = Rotation.from_euler("".join(order), signed[..., ["YXZ".index(a) for a in order]].reshape(-1, 3), degrees=True)
        if _spread_deg(turned.as_matrix().reshape(*angles.shape[:2], 3, 3)) < 5.0:
            right.append(order)
    assert right == [("X", "Y", "Z")]


def test_noses_point_where_the_sample_images_show_them(real):
    """Seen in the four images: nearly frontal; from behind and above; a profile to the image's right from above; to the right and away."""
    truth = real.truth("test").aligned_to(real.image_ids("test"))
    front, behind, profile, away = -truth.rotation[:, :, 2]  # out of the face
    assert front[2] < -0.95
    assert behind[2] > 0.7 and behind[1] < -0.4
    assert profile[0] > 0.95
    assert away[0] > 0.5 and away[2] > 0.7
    down = truth.rotation[:, :, 1]
    assert (down[:, 1] > 0.5).all()  # every chin is lower than its brow
    as_300w_lp = -rotation_from_euler(truth.euler_deg, "300w-lp")[2, :, 2]
    assert as_300w_lp[0] < -0.95  # the other sign would turn the profile round
