"""300W-LP: what was written into files of the original format is what samples and truth hold."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

import hpbench.readers.fitted3d as fitted3d
from hpbench import jobs
from hpbench.catalog import dataset_card, protocol_named, protocols_of
from hpbench.errors import InputError, MissingDataError
from hpbench.faces import Faces
from hpbench.metrics import parse_metric
from hpbench.predictions import Predictions
from hpbench.readers import load
from hpbench.readers.w300lp import LABELS, W300LP

NAMES = {
    "AFW": ["AFW_134212_1_0", "AFW_134212_1_1", "AFW_134212_1_10", "AFW_134212_2_0"],
    "HELEN": ["HELEN_100032540_1_0", "HELEN_100032540_1_3"],
    "IBUG": ["IBUG_image_008_1_0", "IBUG_image_092 _01_0"],  # with a space, as 300W's own file has it
    "LFPW": ["LFPW_image_test_0001_0", "LFPW_image_train_0001_2"],
}
NOFLIP = sorted(f"{folder}/{name}" for folder, names in NAMES.items() for name in names)
ALL = sorted([*NOFLIP, *(i.replace("/", "_Flip/") for i in NOFLIP)])


def drawn_labels() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pitch, yaw, roll in radians (20, 3), ``pt2d`` (20, 2, 68) and the two later points (20, 2, 68, 2)."""
    rng = np.random.default_rng(12)
    angles = rng.normal(0, 0.5, (len(ALL), 3))
    angles[3] = np.deg2rad([10.0, -120.0, 460.0])
    return angles.astype(np.float32), rng.uniform(-5, 455, (len(ALL), 2, 68)), rng.uniform(0, 450, (len(ALL), 2, 68, 2))


ANGLES, POINTS, LATER = drawn_labels()


def write_mat(path: Path, angles: np.ndarray, points: np.ndarray) -> None:
    """A label file with all variables of the original, in its order and types: no pt3d_68."""
    rng = np.random.default_rng(1)
    labels = {
        "pt2d": points,
        "roi": np.array([[53, -166, 638, 419]], np.int16),
        "Illum_Para": rng.uniform(0, 1, (1, 10)),
        "Color_Para": np.ones((1, 7), np.float32),
        "Tex_Para": rng.normal(0, 1, (199, 1)),
        "Shape_Para": rng.normal(0, 1e5, (199, 1)),
        "Exp_Para": rng.normal(0, 1, (29, 1)),
        "Pose_Para": np.array([[*angles, 183.6, 189.5, -81.7, 1.3e-3]], np.float32),
    }
    scipy.io.savemat(path, labels, do_compression=True)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """20 pictures in 8 folders, of which the first pixel tells the row, the later points of those not mirrored, and the authors' code."""
    folder = tmp_path_factory.mktemp("lp") / "300W_LP"
    for row, sample_id in enumerate(ALL):
        path = folder / f"{sample_id}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mat(path, ANGLES[row], POINTS[row])
        cv2.imwrite(str(path.with_suffix(".jpg")), np.full((450, 450, 3), 10 * row, np.uint8))
        if sample_id in NOFLIP:
            later = folder / "landmarks" / f"{sample_id}_pts.mat"
            later.parent.mkdir(parents=True, exist_ok=True)
            scipy.io.savemat(later, {"pts_2d": LATER[row, 0].astype(np.float32), "pts_3d": LATER[row, 1].astype(np.float32)})
    (folder / "Code" / "ModelGeneration").mkdir(parents=True)
    (folder / "Code" / "Model_Shape.mat").write_bytes(b"no labels")
    (folder / "Code" / "ModelGeneration" / "AFW_1.mat").write_bytes(b"no labels")
    return folder


@pytest.fixture
def faces(drawn: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(drawn, tmp_path / "300W_LP")


# ------------------------------------------------------------------------------------------------- what is read


def test_every_value_is_the_one_written(drawn):
    dataset = load("300w-lp", drawn)
    truth = dataset.truth()
    assert isinstance(dataset, W300LP) and list(truth.sample_id) == ALL and len(truth) == 20
    for row in (0, 9, 19):
        pitch, yaw, roll = np.rad2deg(ANGLES[row].astype(np.float64))
        np.testing.assert_allclose(truth.euler_deg[row], [yaw, pitch, roll], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(truth.landmarks[row], POINTS[row].T)
        x, y = POINTS[row]
        np.testing.assert_array_equal(truth.box_xyxy_px[row], [x.min(), y.min(), x.max(), y.max()])
    assert (truth.convention, truth.scheme, truth.visibility, truth.person) == ("300w-lp", "ibug68-fixed", None, None)
    np.testing.assert_allclose(truth.euler_deg[3], [-120.0, 10.0, 460.0], atol=1e-4)  # raw, not wrapped
    np.testing.assert_array_equal(truth.attributes["abs_yaw_deg"], np.abs(truth.euler_deg[:, 0]))
    assert dataset.foreign_ids() == []


def test_mirror_images_keep_their_own_ids_and_share_the_photograph(drawn):
    dataset = load("300w-lp", drawn)
    assert dataset.ids("noflip") == NOFLIP == dataset.found_ids("noflip") and dataset.ids("all") == ALL
    assert (dataset.n_expected("all"), dataset.n_expected("noflip")) == (122450, 61225)
    truth = dataset.truth()
    rows = truth.rows_of(["AFW/AFW_134212_1_0", "AFW_Flip/AFW_134212_1_0", "AFW/AFW_134212_1_10", "AFW/AFW_134212_2_0"])
    assert list(truth.sequence[rows]) == ["AFW/AFW_134212_1"] * 3 + ["AFW/AFW_134212_2"]
    assert list(truth.attributes["flipped"][rows]) == ["no", "yes", "no", "no"]
    assert set(truth.attributes["source"]) == set(NAMES)
    assert len(set(truth.sequence)) == 7
    np.testing.assert_array_equal(truth.attributes["flipped"] == "no", np.isin(list(truth.sample_id), NOFLIP))


def test_samples_are_sorted_with_their_images(drawn):
    samples = list(load("300w-lp", drawn).samples())
    assert [s.sample_id for s in samples] == ALL
    for row in (0, 9, 19):
        image = samples[row].image.read()
        assert image.shape == (450, 450, 3) and abs(int(image[0, 0, 0]) - 10 * row) <= 2
        np.testing.assert_array_equal(samples[row].box_xyxy_px[[0, 3]], [POINTS[row][0].min(), POINTS[row][1].max()])


def test_the_later_points(drawn, tmp_path):
    dataset = load("300w-lp", drawn)
    assert dataset.scheme("pts-2d") == "ibug68-contour" and dataset.scheme("pts-3d") == dataset.scheme("") == "ibug68-fixed"
    original = dataset.truth("noflip")
    for number, labels in enumerate(LABELS[1:]):
        truth = dataset.truth("noflip", labels)
        assert list(truth.sample_id) == NOFLIP and truth.scheme == dataset.scheme(labels)
        rows = [ALL.index(i) for i in NOFLIP]
        np.testing.assert_array_equal(truth.landmarks, LATER[rows, number].astype(np.float32))
        np.testing.assert_array_equal(truth.euler_deg, original.euler_deg)
        np.testing.assert_array_equal(truth.box_xyxy_px, original.box_xyxy_px)
        assert dataset.found_ids("all", labels) == NOFLIP
    with pytest.raises(InputError, match="AFW_Flip"):
        dataset.truth_of(ALL, "pts-2d")
    with pytest.raises(InputError, match=r"'pts2d'.*pts-2d"):
        dataset.truth(labels="pts2d")
    shutil.copytree(drawn / "AFW", tmp_path / "part" / "AFW")
    part = load("300w-lp", tmp_path / "part")
    assert part.found_ids("all", "pts-2d") == []
    with pytest.raises(MissingDataError, match="300W-LP.zip"):
        part.truth_of(["AFW/AFW_134212_1_0"], "pts-2d")


def test_zip_and_folder_and_parts_are_equal(drawn, tmp_path):
    official = tmp_path / "300W-LP.zip"
    with zipfile.ZipFile(official, "w") as archive:
        for path in sorted(drawn.rglob("*.*"), reverse=True):
            archive.write(path, f"300W_LP/{path.relative_to(drawn)}")
            archive.writestr(f"__MACOSX/300W_LP/{path.parent.name}/._{path.name}", b"\0\5\x16\7")
    parts = []
    for folder in sorted(p for p in drawn.iterdir() if p.is_dir()):
        parts.append(tmp_path / "parts" / folder.name)
        shutil.copytree(folder, parts[-1] / folder.name)
    expected = load("300w-lp", drawn).truth()
    for data in (official, tmp_path, drawn.parent, parts, [official, drawn]):
        dataset = load("300w-lp", data)
        assert dataset.truth().content_sha256() == expected.content_sha256()
        assert list(dataset.truth("noflip", "pts-3d").sample_id) == NOFLIP
        assert [s.image.read()[0, 0, 0] // 5 for s in dataset.samples(limit=5)] == [0, 2, 4, 6, 8]


def test_only_what_is_asked_for_is_parsed(faces):
    (faces / f"{ALL[5]}.mat").write_bytes(b"damaged")
    dataset = load("300w-lp", faces)
    assert len(list(dataset.samples(limit=5))) == 5
    with pytest.raises(InputError, match="AFW_Flip"):
        list(dataset.samples(limit=6))


def test_many_files_are_parsed_once(faces, monkeypatch):
    monkeypatch.setattr(fitted3d, "_BULK", 10)
    calls: list[str] = []
    real = fitted3d.read_mat
    monkeypatch.setattr(fitted3d, "read_mat", lambda data, name, shapes: calls.append(name) or real(data, name, shapes))
    first = load("300w-lp", faces).truth()
    again = load("300w-lp", faces)
    assert len(calls) == 20 and again.truth().content_sha256() == first.content_sha256() and len(calls) == 20
    write_mat(faces / f"{ALL[0]}.mat", ANGLES[1], POINTS[1])
    changed = load("300w-lp", faces).truth()
    assert len(calls) == 40
    np.testing.assert_array_equal(changed.landmarks[0], POINTS[1].T)


# ------------------------------------------------------------------------------------------------- scoring


def test_truth_as_prediction_has_no_error_in_any_protocol(drawn, tmp_path):
    for path in drawn.rglob("*.mat"):  # labels alone: no image is needed
        target = tmp_path / "labels" / path.relative_to(drawn)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    dataset = load("300w-lp", tmp_path / "labels")
    assert dataset.image_ids() == []
    protocols = protocols_of(dataset_card("300w-lp"))
    assert [p.id for p in protocols] == ["300w-lp/pose-all"]
    for protocol in protocols:
        assert all(parse_metric(m).text == m for m in protocol.metrics)
        truth = dataset.truth(protocol.split, protocol.labels)
        matrices = replace(truth, euler_deg=None, convention=None)
        for given_faces in (truth, matrices):
            (record,) = jobs.score(Predictions(given_faces, "landmarks"), dataset, protocol=protocol.id, out=tmp_path / "out")
            assert record.partial and any("20 of 122450" in n for n in record.notes)
            assert [s.value for s in record.scores if s.metric == "geodesic"] == pytest.approx([0.0], abs=1e-5)
        assert all(s.value == pytest.approx(0.0, abs=1e-9) for s in _scored(truth, dataset, protocol.id, tmp_path))
        assert set(record.subsets) == {s.name for s in protocol.subsets}


def _scored(truth: Faces, dataset: W300LP, protocol: str, folder: Path):
    return jobs.score(Predictions(truth, "landmarks"), dataset, protocol=protocol, out=folder / "out")[0].scores


def test_the_protocol_resamples_photographs():
    assert protocol_named("300w-lp/pose-all").cluster_by == "sequence"


# ------------------------------------------------------------------------------------------------- bad input


def test_nothing_of_it_here(tmp_path):
    with pytest.raises(MissingDataError, match=r"no files\.\n300W-LP: .*300W-LP\.zip"):
        load("300w-lp", tmp_path)
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(MissingDataError, match="1 other files, such as"):
        load("300w-lp", tmp_path)


def test_a_folder_too_deep_in(drawn):
    with pytest.raises(MissingDataError, match="give the folder that holds AFW, HELEN, IBUG, LFPW"):
        load("300w-lp", drawn / "AFW")


def test_files_of_other_names_are_foreign(faces):
    shutil.copy(faces / "AFW" / "AFW_134212_1_0.mat", faces / "HELEN" / "AFW_134212_1_0.mat")
    shutil.copy(faces / "landmarks" / "AFW" / "AFW_134212_1_0_pts.mat", faces / "landmarks" / "AFW" / "AFW_9_1_0_pts.mat")
    dataset = load("300w-lp", faces)
    assert dataset.foreign_ids() == ["HELEN/AFW_134212_1_0", "landmarks/AFW/AFW_9_1_0"]
    assert dataset.ids() == ALL


def test_an_image_that_is_missing(faces):
    (faces / f"{ALL[0]}.jpg").unlink()
    dataset = load("300w-lp", faces)
    assert dataset.image_ids() == ALL[1:] and dataset.found_ids() == ALL
    with pytest.raises(InputError, match=r"AFW_134212_1_0\.jpg: the image is missing"):
        next(iter(dataset.samples())).image.read()


def test_one_name_with_two_contents(faces, tmp_path):
    other = tmp_path / "other" / "AFW"
    other.mkdir(parents=True)
    shutil.copy(faces / "AFW" / "AFW_134212_1_0.mat", other)
    assert load("300w-lp", [faces, tmp_path / "other"]).ids() == ALL
    shutil.copy(faces / "AFW" / "AFW_134212_2_0.mat", other / "AFW_134212_1_0.mat")
    with pytest.raises(InputError, match="one name and different content"):
        load("300w-lp", [faces, tmp_path / "other"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pt2d": np.zeros((2, 21))}, r"pt2d has shape \(2, 21\), expected \(2, 68\)"),  # a file of AFLW2000-3D
        ({"pt2d": np.full((2, 68), np.nan)}, "pt2d holds a number that is not finite"),
        ({"Pose_Para": np.zeros((1, 6))}, r"Pose_Para has shape \(1, 6\)"),
        ({"Pose_Para": None}, "there is no Pose_Para"),
    ],
)
def test_labels_of_another_form(faces, change, message):
    path = faces / f"{ALL[0]}.mat"
    labels = {"pt2d": POINTS[0], "Pose_Para": np.zeros((1, 7))} | change
    scipy.io.savemat(path, {k: v for k, v in labels.items() if v is not None})
    with pytest.raises(InputError, match=rf"AFW_134212_1_0\.mat: {message}"):
        load("300w-lp", faces).truth()


def test_swapped_files(faces):
    later = faces / "landmarks" / f"{NOFLIP[0]}_pts.mat"
    shutil.copy(later, faces / f"{NOFLIP[0]}.mat")
    with pytest.raises(InputError, match="there is no Pose_Para"):
        load("300w-lp", faces).truth()


@settings(max_examples=60)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(drawn, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz") / "AFW"
    folder.mkdir()
    content = (drawn / f"{NOFLIP[0]}.mat").read_bytes()
    kind = data.draw(st.sampled_from(["random", "cut", "flip"]))
    if kind == "random":
        content = data.draw(st.binary(max_size=400))
    elif kind == "cut":
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        content = content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :]
    (folder / "AFW_1_1_0.mat").write_bytes(content)
    dataset = load("300w-lp", folder.parent)
    try:
        assert len(dataset.truth()) == 1
    except InputError as error:
        assert "AFW_1_1_0.mat" in str(error) and "\n" not in str(error)


# ------------------------------------------------------------------------------------------------- a real file


def test_the_real_picture(realdata, tmp_path):
    (tmp_path / "IBUG").mkdir()
    for path in (realdata / "300wlp").iterdir():
        shutil.copy(path, tmp_path / "IBUG")
    dataset = load("300w-lp", tmp_path)
    truth = dataset.truth()
    assert list(truth.sample_id) == ["IBUG/IBUG_image_008_1_0"] and list(truth.sequence) == ["IBUG/IBUG_image_008_1"]
    stored = scipy.io.loadmat(realdata / "300wlp" / "IBUG_image_008_1_0.mat")
    np.testing.assert_array_equal(truth.landmarks[0], stored["pt2d"].T)
    np.testing.assert_allclose(np.deg2rad(truth.euler_deg[0]), stored["Pose_Para"][0, [1, 0, 2]], rtol=1e-6)
    np.testing.assert_allclose(truth.euler_deg[0], [-44.0086, -7.5836, 3.2076], atol=1e-4)
    nose = -truth.rotation[0][:, 2]  # out of the face; yaw is negative, so it points to the image's right
    assert nose[0] > 0.6 and nose[2] < -0.6
    assert next(iter(dataset.samples())).image.read().shape == (450, 450, 3)
