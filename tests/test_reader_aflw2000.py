"""AFLW2000-3D: what was written into label files of the original format is what samples and truth hold."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from hpbench.catalog import dataset_card, split_ids
from hpbench.errors import InputError, MissingDataError
from hpbench.faces import Faces, Sample
from hpbench.readers import Dataset, load
from hpbench.readers.dataset import label_statistics

ALL = split_ids(dataset_card("aflw2000"), "all")
IDS = [*ALL[:9], ALL[700], *ALL[1500:1509], ALL[1999]]  # 20 of the real ids, not evenly spread
REANNOTATED, NEW_POSE = "AFLW2000-3D-Reannotated.pts68.npy", "AFLW2000-3D-new.pose.npy"


def drawn_labels(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pitch, yaw, roll in radians (count, 3), with some far beyond half a turn, and points (count, 3, 68), as float32."""
    rng = np.random.default_rng(11)
    angles = rng.normal(0, 0.4, (count, 3))
    angles[3] = np.deg2rad([-714.0, 351.0, -972.0])  # as image03123 has them
    return angles.astype(np.float32), rng.uniform(-5, 455, (count, 3, 68)).astype(np.float32)


ANGLES, POINTS = drawn_labels(len(IDS))


def write_mat(path: Path, angles: np.ndarray, points: np.ndarray) -> None:
    """A label file with all variables of the original, in its order and types."""
    rng = np.random.default_rng(1)
    labels = {
        "pt2d": rng.uniform(0, 450, (2, 21)),
        "Illum_Para": rng.uniform(0, 1, (1, 10)),
        "Color_Para": np.ones((1, 7), np.float32),
        "Tex_Para": rng.normal(0, 1, (199, 1)),
        "Shape_Para": rng.normal(0, 1e5, (199, 1)),
        "Exp_Para": rng.normal(0, 1, (29, 1)),
        "Pose_Para": np.array([[*angles, 200.0, 210.0, 0.0, 1e-3]], np.float32),
        "roi": np.array([[-20, 30, 429, 479]], np.int16),
        "pt3d_68": points,
    }
    scipy.io.savemat(path, labels, do_compression=True)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """20 faces, images of which the first pixel tells the row; written once, never changed."""
    folder = tmp_path_factory.mktemp("aflw") / "AFLW2000"
    folder.mkdir()
    for row, name in enumerate(IDS):
        write_mat(folder / f"{name}.mat", ANGLES[row], POINTS[row])
        cv2.imwrite(str(folder / f"{name}.jpg"), np.full((450, 450, 3), 10 * row, np.uint8))
    return folder


@pytest.fixture
def faces(drawn: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(drawn, tmp_path / "AFLW2000")


@pytest.fixture(scope="session")
def reannotated(drawn: Path) -> np.ndarray:
    return np.random.default_rng(4).uniform(0, 450, (2000, 2, 68)).astype(np.float32)


def equal(a: Faces, b: Faces) -> bool:
    return a.content_sha256() == b.content_sha256() and list(a.sample_id) == list(b.sample_id)


# ------------------------------------------------------------------------------------------------- what is read


def test_every_value_is_the_one_written(drawn):
    truth = load("aflw2000", drawn).truth()
    assert list(truth.sample_id) == IDS and len(truth) == 20
    for row in (0, 9, 19):
        pitch, yaw, roll = np.rad2deg(ANGLES[row].astype(np.float64))
        np.testing.assert_allclose(truth.euler_deg[row], [yaw, pitch, roll], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(truth.landmarks[row], POINTS[row, :2].T)
        x, y = POINTS[row, 0], POINTS[row, 1]
        np.testing.assert_array_equal(truth.box_xyxy_px[row], [x.min(), y.min(), x.max(), y.max()])
        assert truth.attributes["abs_yaw_deg"][row] == abs(truth.euler_deg[row, 0])
    assert (truth.convention, truth.scheme) == ("300w-lp", "ibug68-fixed")
    assert list(truth.attributes) == ["abs_yaw_deg"] and truth.visibility is None


def test_angles_beyond_half_a_turn_are_kept(drawn):
    truth = load("aflw2000", drawn).truth()
    np.testing.assert_allclose(truth.euler_deg[3], [351.0, -714.0, -972.0], atol=1e-3)
    assert truth.attributes["abs_yaw_deg"][3] == pytest.approx(351.0, abs=1e-3)
    assert label_statistics(truth)["any_angle_above_99_deg"] == (np.abs(np.rad2deg(ANGLES)) > 99).any(axis=1).sum() == 1


def test_samples_are_sorted_and_show_no_truth(drawn):
    dataset = load("aflw2000", drawn)
    samples = list(dataset.samples())
    assert [s.sample_id for s in samples] == sorted(IDS) == dataset.found_ids() == dataset.image_ids()
    assert Sample._fields == ("sample_id", "image", "box_xyxy_px", "camera")
    for row in (0, 9, 19):
        image = samples[row].image.read()
        assert image.shape == (450, 450, 3) and abs(int(image[0, 0, 0]) - 10 * row) <= 2
        x, y = POINTS[row, 0], POINTS[row, 1]
        np.testing.assert_array_equal(samples[row].box_xyxy_px, [x.min(), y.min(), x.max(), y.max()])
        assert samples[row].camera is None


def test_limit(drawn):
    dataset = load("aflw2000", drawn)
    for limit in (0, 1, 7, 20, 99):
        assert [s.sample_id for s in dataset.samples(limit=limit)] == IDS[:limit]
    with pytest.raises(InputError, match="limit"):
        list(dataset.samples(limit=-1))


def test_limit_reads_no_more_labels_than_it_needs(faces):
    (faces / f"{IDS[5]}.mat").write_bytes(b"damaged")
    dataset = load("aflw2000", faces)
    assert len(list(dataset.samples(limit=5))) == 5
    with pytest.raises(InputError, match=f"{IDS[5]}.mat"):
        list(dataset.samples(limit=6))


def test_boxes_and_splits_and_labels_by_name(drawn):
    dataset = load("aflw2000", drawn)
    assert [s.sample_id for s in dataset.samples(boxes="landmarks")] == IDS
    with pytest.raises(InputError, match="landmarks"):
        dataset.samples(boxes="landmark")
    with pytest.raises(InputError, match="split"):
        dataset.truth("test")
    with pytest.raises(InputError, match="original, reannotated, derived-pose"):
        dataset.truth(labels="posit")
    assert equal(dataset.truth(labels="original"), dataset.truth())


def test_labels_of_a_face_that_is_not_there(drawn):
    with pytest.raises(InputError, match=ALL[1000]):
        load("aflw2000", drawn).truth_of([ALL[1000]])


def test_zip_and_folder_and_shuffled_folders_are_equal(drawn, tmp_path):
    official = tmp_path / "AFLW2000-3D.zip"
    with zipfile.ZipFile(official, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("AFLW2000/Code/", b"")
        archive.writestr("AFLW2000/Code/Model_Shape.mat", b"no labels")
        archive.writestr("AFLW2000/Code/ModelGeneration/image.mat", b"no labels")
        for number, path in enumerate(sorted(drawn.iterdir(), reverse=True)):
            archive.write(path, f"AFLW2000/{path.name}")
            if number < 9:  # resource forks, as macOS packs them
                archive.writestr(f"__MACOSX/AFLW2000/._{path.name}", b"\0\5\x16\7\0\2\0\0Mac OS X")
    split = tmp_path / "split"
    for number, path in enumerate(sorted(drawn.iterdir())):
        target = split / "abc"[number % 3] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    expected = load("aflw2000", drawn)
    pixels = [s.image.read() for s in expected.samples()]
    (tmp_path / "holder").mkdir()
    shutil.copy(official, tmp_path / "holder")
    for data in (official, str(official), tmp_path / "holder", split, [split / "a", split / "b", split / "c"], [official, drawn]):
        dataset = load("aflw2000", data)
        assert equal(dataset.truth(), expected.truth())
        samples = list(dataset.samples())
        assert [s.sample_id for s in samples] == IDS
        assert all(np.array_equal(s.image.read(), p) for s, p in zip(samples, pixels, strict=True))


def test_resource_forks_in_a_folder_are_no_labels(faces):
    for name in IDS[:3]:
        for suffix in ("mat", "jpg"):
            (faces / f"._{name}.{suffix}").write_bytes(b"\0\5\x16\7")
    (faces / f"._{REANNOTATED}").write_bytes(b"\0\5\x16\7")
    dataset = load("aflw2000", faces)
    assert len(dataset.truth()) == 20 and dataset.found_ids(labels="reannotated") == []


# ------------------------------------------------------------------------------------------------- the two tables


def test_reannotated_points_go_by_the_line_of_the_split(faces, reannotated):
    np.save(faces / REANNOTATED, reannotated)
    for name in (IDS[0], IDS[8]):
        (faces / f"{name}.mat").unlink()
        (faces / f"{name}.jpg").unlink()
    left = [i for i in IDS if i not in (IDS[0], IDS[8])]
    dataset = load("aflw2000", faces)
    truth, original = dataset.truth(labels="reannotated"), dataset.truth()
    assert list(truth.sample_id) == left == dataset.found_ids(labels="reannotated")
    for row, name in enumerate(left):
        np.testing.assert_array_equal(truth.landmarks[row], reannotated[ALL.index(name)].T)
    np.testing.assert_array_equal(truth.box_xyxy_px, original.box_xyxy_px)  # of the original points, for both
    np.testing.assert_array_equal(truth.euler_deg, original.euler_deg)
    assert not np.array_equal(truth.landmarks, original.landmarks)


def test_truth_of_keeps_the_order_asked_for(faces, reannotated):
    np.save(faces / REANNOTATED, reannotated)
    asked = [IDS[19], IDS[0], IDS[9]]
    dataset = load("aflw2000", faces)
    for labels, points in (("original", POINTS[[19, 0, 9], :2]), ("reannotated", reannotated[[ALL.index(i) for i in asked]])):
        truth = dataset.truth_of(asked, labels)
        assert list(truth.sample_id) == asked
        np.testing.assert_array_equal(truth.landmarks, points.swapaxes(1, 2))
    assert [s.sample_id for s in dataset.samples_of(asked, "landmarks")] == asked


def test_second_yaw_file_is_an_attribute(faces):
    yaw = np.linspace(-95, 95, 2000).astype(np.float32)
    np.save(faces / NEW_POSE, yaw)
    truth = load("aflw2000", faces).truth()
    np.testing.assert_array_equal(truth.attributes["abs_yaw_new_deg"], np.abs(yaw[[ALL.index(i) for i in IDS]]))
    np.testing.assert_array_equal(truth.attributes["abs_yaw_deg"], np.abs(truth.euler_deg[:, 0]))


def test_tables_may_lie_in_another_root_and_have_another_float_type(drawn, tmp_path, reannotated):
    (tmp_path / "code").mkdir()
    np.save(tmp_path / "code" / REANNOTATED, np.asfortranarray(reannotated.astype(">f8")))
    truth = load("aflw2000", [drawn, tmp_path]).truth(labels="reannotated")
    np.testing.assert_array_equal(truth.landmarks[19], reannotated[1999].T)


def test_reannotated_without_the_table_is_missing_data(drawn):
    with pytest.raises(MissingDataError, match=REANNOTATED) as error:
        load("aflw2000", drawn).truth(labels="reannotated")
    assert error.value.exit_code == 3 and "Licence" in str(error.value)


@pytest.mark.parametrize("shape", [(1969, 2, 68), (2000, 68, 2), (2000, 2, 21), (2000, 3, 68), (2000,), (), (0, 2, 68)])
def test_table_of_another_shape(faces, shape):
    np.save(faces / REANNOTATED, np.zeros(shape, np.float32))
    with pytest.raises(InputError, match="another file of that name") as error:
        load("aflw2000", faces).truth(labels="reannotated")
    assert REANNOTATED in str(error.value) and str(shape) in str(error.value)


@pytest.mark.parametrize("dtype", [np.int32, np.complex64, "U3", "M8[s]", bool, [("x", "f4")]])
def test_table_of_another_type(faces, dtype):
    np.save(faces / NEW_POSE, np.zeros(2000, dtype))
    with pytest.raises(InputError, match=NEW_POSE):
        load("aflw2000", faces).truth()


def test_table_of_objects_is_not_unpickled(faces):
    np.save(faces / NEW_POSE, np.array([None] * 2000, object), allow_pickle=True)
    with pytest.raises(InputError, match=NEW_POSE):
        load("aflw2000", faces).truth()


def test_damaged_tables(faces, reannotated):
    np.save(faces / REANNOTATED, reannotated)
    whole = (faces / REANNOTATED).read_bytes()
    np.savez(faces / "a.npz", reannotated[:2])
    for data in (
        b"", whole[:5], whole[:50], whole[:127], whole[:128], whole[:5000], whole[:-1], b"<html>" * 99, b"\x80\4K\1.",
        (faces / "a.npz").read_bytes(), whole[:10] + b"[" * 118 + whole[128:], whole[:10] + b"\xff" * 118 + whole[128:],
        whole.replace(b"(2000, 2, 68)", b"(10**9,2, 68)", 1), whole.replace(b"(2000, 2, 68)", b"(9999999, 68)", 1),
        whole.replace(b"(2000, 2, 68)", b"(-200, 2, 68)", 1), whole.replace(b"<f4", b"|O8", 1), whole.replace(b"<f4", b"<q9", 1),
    ):  # fmt: skip
        (faces / REANNOTATED).write_bytes(data)
        with pytest.raises(InputError, match=REANNOTATED) as error:
            load("aflw2000", faces).truth(labels="reannotated")
        assert "\n" not in str(error.value)


def test_infinite_number_in_a_table(faces, reannotated):
    table = reannotated.copy()
    table[4, 1, 3] = np.inf
    np.save(faces / REANNOTATED, table)
    with pytest.raises(InputError, match=f"{REANNOTATED}.*row 5"):
        load("aflw2000", faces).truth(labels="reannotated")


# ------------------------------------------------------------------------------------------------- what is missing


def test_missing_image_is_told_when_it_is_read(faces):
    (faces / f"{IDS[2]}.jpg").unlink()
    dataset = load("aflw2000", faces)
    assert dataset.image_ids() == [i for i in IDS if i != IDS[2]] and dataset.found_ids() == IDS
    samples = {s.sample_id: s for s in dataset.samples()}
    with pytest.raises(InputError, match=f"{IDS[2]}.jpg: the image is missing"):
        samples[IDS[2]].image.read()
    assert samples[IDS[3]].image.read().shape == (450, 450, 3)


def test_labels_without_any_image_can_be_scored(faces):
    for path in faces.glob("*.jpg"):
        path.unlink()
    dataset = load("aflw2000", faces)
    assert len(dataset.truth()) == 20 and dataset.image_ids() == []


def test_image_without_labels_is_no_sample(faces):
    (faces / f"{IDS[2]}.mat").unlink()
    dataset = load("aflw2000", faces)
    left = [i for i in IDS if i != IDS[2]]
    assert dataset.found_ids() == left == list(dataset.truth().sample_id) == [s.sample_id for s in dataset.samples()]
    assert dataset.image_ids() == IDS and len(dataset.ids()) == 2000


def test_foreign_ids_are_passed_over(faces):
    foreign = "image00003"
    assert foreign not in ALL
    for name in (foreign, "image0002", "image000002", "IMAGE00002", "image00002 (1)"):
        write_mat(faces / f"{name}.mat", ANGLES[0], POINTS[0])
    (faces / f"{foreign}.jpg").write_bytes(b"")
    dataset = load("aflw2000", faces)
    assert dataset.found_ids() == IDS == list(dataset.truth().sample_id)
    assert foreign not in dataset.image_ids()


def test_one_label_file_twice_with_other_content(faces):
    (faces / "old").mkdir()
    write_mat(faces / "old" / f"{IDS[0]}.mat", ANGLES[1], POINTS[1])
    with pytest.raises(InputError, match="different content"):
        load("aflw2000", faces)


def assert_tells_how(error: pytest.ExceptionInfo[MissingDataError]) -> None:
    assert error.value.exit_code == 3
    for part in ("AFLW2000-3D.zip", "Licence", "Layout", "--data"):
        assert part in str(error.value)


def test_folder_of_something_else_names_what_was_seen(tmp_path):
    (tmp_path / "holiday.png").write_bytes(b"x")
    with pytest.raises(MissingDataError, match="holiday.png") as error:
        load("aflw2000", tmp_path)
    assert_tells_how(error)


def test_empty_folder(tmp_path):
    with pytest.raises(MissingDataError, match="no files") as error:
        load("aflw2000", tmp_path)
    assert_tells_how(error)


def test_only_labels_of_another_set(tmp_path):
    write_mat(tmp_path / "image00003.mat", ANGLES[0], POINTS[0])
    with pytest.raises(MissingDataError, match="image00003") as error:
        load("aflw2000", tmp_path)
    assert_tells_how(error)


def test_labels_of_300wlp_under_these_names(faces):
    scipy.io.savemat(faces / f"{IDS[4]}.mat", {"pt2d": np.zeros((2, 68)), "Pose_Para": np.zeros((1, 7), np.float32)})
    with pytest.raises(InputError, match=f"{IDS[4]}.mat: there is no pt3d_68"):
        load("aflw2000", faces).truth()


def test_damaged_label_file_is_named(drawn, faces):
    path = faces / f"{IDS[4]}.mat"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=f"{IDS[4]}.mat"):
        load("aflw2000", faces).truth()


# ------------------------------------------------------------------------------------------------- statistics


def with_statistics(dataset: Dataset, **statistics: float) -> Dataset:
    dataset.card = replace(dataset.card, statistics={"all": {"original": statistics}})
    return dataset


def test_statistics_are_those_of_the_raw_angles_and_points(drawn):
    have = label_statistics(load("aflw2000", drawn).truth())
    kept = np.delete(np.abs(np.rad2deg(ANGLES.astype(np.float64))), 3, axis=0)  # row 3 has angles beyond 99
    pitch, yaw, roll = kept.mean(axis=0)
    place = (np.arange(20) + 1) / 20
    points = POINTS[:, :2].astype(np.float64)
    assert have == {
        "faces": 20, "any_angle_above_99_deg": 1, "mean_abs_yaw_deg": pytest.approx(yaw), "mean_abs_pitch_deg": pytest.approx(pitch),
        "mean_abs_roll_deg": pytest.approx(roll), "pose_order_deg": pytest.approx((kept.mean(axis=1) * np.delete(place, 3)).mean()),
        "labelled_points": 20 * 68, "mean_x_px": pytest.approx(points[:, 0].mean()), "mean_y_px": pytest.approx(points[:, 1].mean()),
        "landmark_order_px": pytest.approx((points * place[:, None, None]).mean()),
    }  # fmt: skip


def test_labels_of_other_faces_are_noticed(drawn):
    dataset = load("aflw2000", drawn)
    truth = dataset.truth()
    with_statistics(dataset, **label_statistics(truth))
    shifted = Faces(**{**vars(truth), "sample_id": [*truth.sample_id[1:], truth.sample_id[0]]})
    told = dataset.wrong_statistics("all", "", shifted.aligned_to(list(truth.sample_id)))
    assert [t.split(" is ")[0] for t in told] == ["pose_order_deg", "landmark_order_px"]


def test_wrong_statistics_are_named_with_both_values(drawn):
    dataset = load("aflw2000", drawn)
    truth = dataset.truth()
    have = label_statistics(truth)
    assert with_statistics(dataset).wrong_statistics("all", "", truth) == []
    assert with_statistics(dataset, **have).wrong_statistics("all", "", truth) == []
    near = {k: v + 9e-4 for k, v in have.items()}
    assert with_statistics(dataset, **near).wrong_statistics("all", "", truth) == []
    for name, value in have.items():
        (text,) = with_statistics(dataset, **{**have, name: value + 1.1e-3}).wrong_statistics("all", "", truth)
        assert text.startswith(f"{name} is {value:.4f}, not")
    assert len(with_statistics(dataset, faces=2000.0, any_angle_above_99_deg=31.0).wrong_statistics("all", "", truth)) == 2
    with pytest.raises(InputError, match="did you mean 'faces'"):
        with_statistics(dataset, face=20.0).wrong_statistics("all", "", truth)


def test_a_swap_of_yaw_and_pitch_is_noticed(drawn):
    dataset = load("aflw2000", drawn)
    truth = dataset.truth()
    with_statistics(dataset, **label_statistics(truth))
    swapped = Faces(sample_id=IDS, euler_deg=truth.euler_deg[:, [1, 0, 2]], convention=truth.convention)
    told = dataset.wrong_statistics("all", "", swapped)
    assert [t.split(" ")[0] for t in told if "cannot be computed" not in t] == ["mean_abs_yaw_deg", "mean_abs_pitch_deg"]


def test_statistics_of_labels_that_are_all_extreme_or_absent():
    extreme = Faces(euler_deg=np.full((2, 3), 120.0), convention="300w-lp")
    assert label_statistics(extreme) == {"faces": 2, "any_angle_above_99_deg": 2}
    absent = label_statistics(Faces(landmarks=np.full((3, 5, 2), np.nan)))
    assert absent == {"faces": 3}


def test_miniature_in_the_same_format_is_read(tmp_path):
    draw = pytest.importorskip("miniatures.aflw2000").draw_aflw2000
    draw(tmp_path, 3, 1, ids=IDS[:3])
    dataset = load("aflw2000", tmp_path)
    truth = dataset.truth()
    for row, sample in enumerate(dataset.samples()):
        labels = scipy.io.loadmat(tmp_path / f"{sample.sample_id}.mat")
        np.testing.assert_allclose(truth.euler_deg[row], np.rad2deg(labels["Pose_Para"][0, [1, 0, 2]].astype(float)), atol=1e-9)
        assert sample.image.read().shape == (450, 450, 3)


# ------------------------------------------------------------------------------------------------- the real files


def test_real_labels_are_those_scipy_reads(realdata):
    root = realdata / "aflw2000"
    dataset = load("aflw2000", root)
    truth = dataset.truth()
    assert len(truth) == 16 == len(list(root.rglob("*.mat")))
    for row, sample in enumerate(dataset.samples()):
        raw = scipy.io.loadmat(next(root.rglob(f"{sample.sample_id}.mat")))
        np.testing.assert_allclose(np.deg2rad(truth.euler_deg[row]), raw["Pose_Para"][0, [1, 0, 2]], rtol=1e-12)
        np.testing.assert_array_equal(truth.landmarks[row], raw["pt3d_68"][:2].T)
        assert sample.image.read().shape == (450, 450, 3)


def test_real_tables_go_by_the_lines_of_the_split(realdata):
    root = realdata / "aflw2000"
    dataset = load("aflw2000", root)
    truth, other = dataset.truth(), dataset.truth(labels="reannotated")
    lines = [ALL.index(i) for i in truth.sample_id]
    points = np.load(root / "annotations" / "AFLW2000-3D.pts68.npy")[lines, :2].swapaxes(1, 2)
    np.testing.assert_allclose(truth.landmarks, points, atol=1e-3)  # so row i is line i, in all files of this family
    np.testing.assert_array_equal(other.landmarks, np.load(root / "annotations" / REANNOTATED)[lines].swapaxes(1, 2))
    apart = np.linalg.norm(other.landmarks - truth.landmarks, axis=2).mean(axis=1)
    assert np.median(apart) < 8 and apart.max() < 40  # another row would be farther away
    yaw = np.load(root / "annotations" / "AFLW2000-3D.pose.npy")[lines]
    np.testing.assert_allclose(truth.attributes["abs_yaw_deg"], np.abs(yaw), atol=1e-3)
    assert np.median(np.abs(truth.attributes["abs_yaw_new_deg"] - truth.attributes["abs_yaw_deg"])) < 10


def test_card_states_the_statistics_of_all_2000_labels(realdata):
    dataset = load("aflw2000", realdata / "aflw2000")
    lines = (realdata / "aflw2000" / "annotations" / "opal23_aflw2000_ann.txt").read_text().splitlines()
    rows = sorted((name, *map(float, angles)) for _, name, *angles in (line.split(";")[:5] for line in lines if not line.startswith("#")))
    assert [row[0] for row in rows] == ALL
    euler = np.array([row[1:] for row in rows]) * [-1.0, 1.0, 1.0]  # that file has the opposite yaw
    complete = Faces(sample_id=ALL, euler_deg=euler, convention="300w-lp")
    assert all("cannot be computed" in t for t in dataset.wrong_statistics("all", "", complete)), (
        "the angles agree; points are not read here"
    )
    truth = dataset.truth()
    np.testing.assert_allclose(truth.euler_deg, complete.aligned_to(truth.sample_id).euler_deg, atol=1e-3)
    excluded = (realdata / "aflw2000" / "annotations" / "excluded31.txt").read_text().split()
    beyond = [i for i, angles in zip(ALL, euler, strict=True) if (np.abs(angles) > 99).any()]
    assert beyond == sorted(Path(e).stem for e in excluded)
