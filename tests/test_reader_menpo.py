"""Menpo 2017: 68 or 39 points a file, training and test told by the folders; the real files of the .pts family."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from miniatures.pts_faces import draw_faces, pts_bytes, write_face, write_pts

import hpbench
from hpbench.catalog import dataset_card, protocols_of
from hpbench.errors import InputError, MissingDataError
from hpbench.faces import Faces
from hpbench.metrics import parse_metric
from hpbench.predictions import Predictions
from hpbench.readers import Dataset, load

# where they lie -> how many points; the training release is one folder with both kinds
FILES = {
    "menpo_train_release/aflw__face_39844.jpg": 68,
    "menpo_train_release/aflw__face_40012.jpg": 39,
    "menpo_train_release/fddb__face_7.jpg": 68,
    "Menpo testset/semifrontal/1001.jpg": 68,
    "Menpo testset/semifrontal/1003.jpg": 68,
    "Menpo testset/semifrontal/1005.jpg": 68,
    "Menpo testset/profile/left/1002.jpg": 39,
    "Menpo testset/profile/right/1004.jpg": 39,
}
POINTS = {Path(name).stem: draw_faces(1, seed, count)[0] for seed, (name, count) in enumerate(FILES.items())}
SPLITS = {
    "frontal-test": ["1001", "1003", "1005"],
    "profile-test": ["1002", "1004"],
    "frontal-train": ["aflw__face_39844", "fddb__face_7"],
    "profile-train": ["aflw__face_40012"],
}


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("m") / "faces"
    for row, name in enumerate(FILES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_face(folder / name, POINTS[Path(name).stem], 20 * row, variant=row)
    return folder


@pytest.fixture
def faces(drawn: Path, tmp_path: Path) -> Path:
    return shutil.copytree(drawn, tmp_path / "faces")


def assert_equal(a: Dataset, b: Dataset) -> None:
    for split, ids in SPLITS.items():
        assert a.found_ids(split) == b.found_ids(split) == ids
        assert a.truth(split).content_sha256() == b.truth(split).content_sha256()


@pytest.mark.parametrize("split", SPLITS)
def test_every_value_is_the_one_written_less_one_pixel(drawn, split):
    dataset = load("menpo", drawn)
    kind, half = split.split("-")
    truth = dataset.truth(split, kind)
    assert list(truth.sample_id) == SPLITS[split] == dataset.found_ids(split) == dataset.found_ids(split, kind)
    assert truth.scheme == {"frontal": "ibug68-contour", "profile": "menpo39"}[kind] == dataset.scheme(kind)
    for row, sample_id in enumerate(truth.sample_id):
        points = POINTS[sample_id] - 1.0
        np.testing.assert_array_equal(truth.landmarks[row], points)
        np.testing.assert_array_equal(truth.box_xyxy_px[row], [*points.min(axis=0), *points.max(axis=0)])
    assert set(truth.attributes["half"]) == {half}
    assert dataset.truth(split).content_sha256() == truth.content_sha256()  # labels "" are of the kind of the faces
    samples = list(dataset.samples(split))
    assert [s.sample_id for s in samples] == SPLITS[split] == dataset.image_ids(split)
    for row, sample in enumerate(samples):
        number = [Path(name).stem for name in FILES].index(sample.sample_id)
        assert abs(int(sample.image.read()[0, 0, 0]) - 20 * number) <= 2
        np.testing.assert_array_equal(sample.box_xyxy_px, truth.box_xyxy_px[row])


def test_kinds_are_not_mixed(drawn):
    dataset = load("menpo", drawn)
    assert dataset.found_ids("profile-test", "frontal") == []
    with pytest.raises(InputError, match="frontal and profile faces have different points"):
        dataset.truth_of(["1001", "1002"])
    with pytest.raises(InputError, match="'1002' has no frontal labels"):
        dataset.truth_of(["1002"], "frontal")
    with pytest.raises(InputError, match="no labels 'front'"):
        dataset.truth("frontal-test", "front")


def test_archives_and_roots(drawn, tmp_path):
    expected = load("menpo", drawn)
    for name in ("menpo_train_release", "Menpo testset"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for path in sorted((drawn / name).rglob("*.*")):
                archive.write(path, path.relative_to(drawn / name))  # the archive's own name says train or test
    assert_equal(load("menpo", [tmp_path / "menpo_train_release.zip", tmp_path / "Menpo testset.zip"]), expected)
    assert_equal(load("menpo", [drawn / "menpo_train_release", drawn / "Menpo testset"]), expected)
    shutil.copytree(drawn, tmp_path / "menpo/2017")
    assert_equal(load("menpo", tmp_path / "menpo"), expected)
    assert_equal(load("menpo", [tmp_path / "menpo", drawn]), expected)  # twice the same
    only = load("menpo", drawn / "Menpo testset")
    assert only.found_ids("frontal-test") == SPLITS["frontal-test"] and only.found_ids("frontal-train") == []


@pytest.mark.parametrize(
    ("folder", "half"),
    [
        ("testset/semifrontal", "test"), ("trainset/semi_frontal", "train"), ("MenpoTest", "test"), ("Menpo2D-Train-Profile", "train"),
        ("test/menpo_train_release", "train"), ("MENPO/TRAIN", "train"), ("menpo/contest/train", "train"), ("menpo_test/latest", "test"),
    ],
)  # fmt: skip
def test_the_innermost_name_tells_training_from_test(tmp_path, folder, half):
    write_pts(tmp_path / "root" / folder / "a.pts", POINTS["1001"])
    assert load("menpo", tmp_path / "root").found_ids(f"frontal-{half}") == ["a"]


def test_foreign_files_are_told(faces):
    for name in ("menpo_train_release/fddb__face_7_mirror", "300W/helen/trainset/1_1", "menpo/unsorted/b", "menpo_train_release/._c"):
        write_pts(faces / f"{name}.pts", POINTS["1001"])
    dataset = load("menpo", faces)
    assert dataset.foreign_ids() == ["300W/helen/trainset/1_1.pts", "menpo/unsorted/b.pts", "menpo_train_release/fddb__face_7_mirror.pts"]
    assert {split: dataset.found_ids(split) for split in SPLITS} == SPLITS


def test_one_id_twice(faces):
    write_pts(faces / "menpo_train_release/old/fddb__face_7.pts", POINTS["1001"])
    with pytest.raises(InputError, match=r"fddb__face_7\.pts.*different content"):
        load("menpo", faces)
    (faces / "menpo_train_release/old/fddb__face_7.pts").unlink()
    shutil.copy(faces / "menpo_train_release/fddb__face_7.pts", faces / "Menpo testset/semifrontal")
    with pytest.raises(InputError, match="one in a training and one in a test folder"):
        load("menpo", faces)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("menpo/a.pts", "folder called train"),
        ("300W/ibug/a.pts", "1 others, such as 300W/ibug/a.pts"),
        ("b.txt", "b.txt"),
        ("", "no files"),
    ],
)
def test_missing_data_says_what_was_seen(tmp_path, name, words):
    root = tmp_path / "root"
    root.mkdir()
    if name:
        write_pts(root / name, POINTS["1001"])
    with pytest.raises(MissingDataError, match=words) as error:
        load("menpo", root)
    assert "Licence" in str(error.value) and "Layout" in str(error.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (pts_bytes(POINTS["1002"])[:300], "truncated"),
        (pts_bytes(POINTS["1001"][:51]), "n_points is 51, expected 39 or 68"),
        (pts_bytes(np.ones((39, 2))), "lie on one line"),
        (b"\xff\xd8\xff", "not a text file"),
    ],
)
def test_a_damaged_file_is_named(faces, data, message):
    (faces / "Menpo testset/semifrontal/1003.pts").write_bytes(data)
    with pytest.raises(InputError, match=message) as error:
        load("menpo", faces).found_ids("frontal-test")
    assert "1003.pts" in str(error.value) and "\n" not in str(error.value)


@given(st.sampled_from(["menpo_test", "x/train/profile", "other"]), st.text(max_size=8), st.binary(max_size=99), st.booleans())
def test_any_file_anywhere_is_read_or_one_sentence(tmp_path_factory, folder, stem, noise, whole):
    root = tmp_path_factory.mktemp("fuzz") / "root"
    name = "".join(c for c in stem if c not in "/\0") or "1"
    try:
        write_pts(root / folder / f"{name}.pts", POINTS["1002"])
        if not whole:
            (root / folder / f"{name}.pts").write_bytes(noise)
    except (OSError, UnicodeError):
        return
    try:
        dataset = load("menpo", root)
        for split in SPLITS:
            dataset.found_ids(split)
    except MissingDataError:
        pass
    except InputError as error:
        assert "\n" not in str(error) and ".pts" in str(error)
    else:
        assert whole


# ------------------------------------------------------------------------------------------------- scores


def test_truth_as_prediction_is_perfect_by_every_protocol_without_images(drawn, tmp_path):
    labels = shutil.copytree(drawn, tmp_path / "faces", ignore=shutil.ignore_patterns("*.jpg"))
    dataset = load("menpo", labels)
    assert dataset.image_ids("frontal-test") == []
    seen = []
    for kind, splits in (("frontal", ("frontal-test", "frontal-train")), ("profile", ("profile-test",))):
        truth = Faces.concatenate([dataset.truth_of(dataset.found_ids(split), kind) for split in splits])
        prediction = Predictions(Faces(truth.sample_id, landmarks=truth.landmarks, scheme=truth.scheme), boxes="landmarks")
        remarks: list[str] = []
        records = hpbench.score(prediction, "menpo", data=labels, out=tmp_path / kind, remark=remarks.append)
        seen += [r.protocol.id for r in records]
        assert any("68" in text and "39" in text and "is not scored" in text for text in remarks)
        for record in records:
            assert record.coverage == 1.0 and record.partial
            for score in record.scores:
                assert score.value == (100.0 if score.metric.startswith("auc") else 0.0), score.metric
    assert sorted(seen) == sorted(p.id for p in protocols_of(dataset_card("menpo")))


def test_norm_is_the_diagonal_of_the_labelled_points(drawn, tmp_path):
    dataset = load("menpo", drawn)
    truth = dataset.truth("profile-test")
    moved = Faces(truth.sample_id, landmarks=truth.landmarks + [3.0, 4.0], scheme="menpo39")
    (record,) = hpbench.score(Predictions(moved), "menpo", protocol="profile", data=drawn, out=tmp_path / "out")
    sizes = np.array([np.ptp(POINTS[i], axis=0) for i in truth.sample_id])
    assert record.scores[0].metric == "nme(norm=diagonal)"
    assert record.scores[0].value == pytest.approx((100 * 5.0 / np.hypot(*sizes.T)).mean())


def test_protocols_are_canonical():
    for protocol in protocols_of(dataset_card("menpo")):
        assert all(parse_metric(text).text == text for text in protocol.metrics) and protocol.norm_box == "landmarks"


# ------------------------------------------------------------------------------------------------- the real files


def test_real_files_of_the_family(realdata, tmp_path):
    """Two photographs with 68 points that come with a library of that name: placed as the test set would be."""
    folder = tmp_path / "menpo" / "testset" / "semifrontal"
    folder.mkdir(parents=True)
    for path in (realdata / "300w" / "menpo").iterdir():
        shutil.copy(path, folder)
    dataset = load("menpo", tmp_path / "menpo")
    truth = dataset.truth("frontal-test")
    assert list(truth.sample_id) == ["breakingbad", "einstein"] == dataset.image_ids("frontal-test")
    for row, sample in enumerate(dataset.samples("frontal-test")):
        text = (folder / f"{sample.sample_id}.pts").read_text().split("{")[1].split("}")[0]
        np.testing.assert_array_equal(truth.landmarks[row], np.array(text.split(), float).reshape(68, 2) - 1.0)
        height, width = sample.image.read().shape[:2]
        x0, y0, x1, y1 = sample.box_xyxy_px
        assert 0 < x0 < x1 < width and 0 < y0 < y1 < height
