"""MERL-RAV: what was written into .pts files of the original format is what samples and truth hold."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hpbench
from hpbench.catalog import dataset_card, protocols_of, split_ids
from hpbench.errors import InputError, MissingDataError
from hpbench.metrics import parse_metric
from hpbench.predictions import Predictions
from hpbench.readers import load
from hpbench.readers.merl_rav import CATEGORIES

CARD = dataset_card("merl-rav")
TEST, TRAIN = split_ids(CARD, "test"), split_ids(CARD, "train")
TWO = next(i.rpartition("_")[0] for i in TEST if i.endswith("_1") and f"{i[:-2]}_2" in TEST)  # a photograph with two faces
IDS = sorted({*TEST[:6], *TEST[2000:2006], TEST[-1], f"{TWO}_1", f"{TWO}_2"})
TRAINING = TRAIN[:3]
RNG = np.random.default_rng(8)
XY = RNG.uniform(2, 900, (len(IDS) + 3, 68, 2))  # pixels counted from 1
STATE = RNG.choice(3, (len(IDS) + 3, 68), p=[0.77, 0.1, 0.13])  # 0 visible, 1 external, 2 self


def pts(xy: np.ndarray, state: np.ndarray) -> str:
    """A file as the originals are: version 1, two spaces, LF, full precision, whole numbers without a point, no final newline."""
    rows = []
    for (x, y), s in zip(xy, state, strict=True):
        rows.append("-1 -1" if s == 2 else f"{'-' * int(s == 1)}{x!r} {'-' * int(s == 1)}{y!r}".replace("np.float64(", "").replace(")", ""))
    return "version: 1\nn_points:  68\n{\n" + "\n".join(rows) + "\n}"


def category_of(row: int) -> str:
    return CATEGORIES[row % 5]


def write_labels(root: Path, labels: str = "labels") -> None:
    for row, name in enumerate([*IDS, *TRAINING]):
        folder = root / category_of(row) / ("testset" if row < len(IDS) else "trainset") / labels
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.pts").write_text(pts(XY[row], STATE[row]), newline="")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """merl_rav_labels beside aflw, as the authors' README asks; written once, never changed."""
    root = tmp_path_factory.mktemp("merl")
    write_labels(root / "merl_rav_labels")
    for row, name in enumerate(IDS):
        folder = root / "aflw" / "flickr" / "023"[row % 3]
        folder.mkdir(parents=True, exist_ok=True)
        photograph = name.partition("_")[0]
        if not list(root.glob(f"aflw/flickr/*/{photograph}.jpg")):
            cv2.imwrite(str(folder / f"{photograph}.jpg"), np.full((40, 50, 3), 9 * row, np.uint8))
    return root


@pytest.fixture
def faces(drawn: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(drawn, tmp_path / "merl")


def one(root: Path, name: str) -> Path:
    return next(root.rglob(f"{name}.pts"))


def test_every_value_is_the_one_written(drawn):
    truth = load("merl-rav", drawn).truth("test")
    assert list(truth.sample_id) == IDS and truth.scheme == "ibug68-contour" and truth.rotation is None
    for row in (0, len(IDS) // 2, len(IDS) - 1):
        expected = np.where((STATE[row] == 2)[:, None], np.nan, XY[row] - 1)
        np.testing.assert_array_equal(truth.landmarks[row], expected)
        np.testing.assert_array_equal(truth.occlusion[row], STATE[row])
        np.testing.assert_array_equal(truth.visibility[row], STATE[row] == 0)  # external is hidden too: not LUVLi's "visible"
        np.testing.assert_array_equal(truth.box_xyxy_px[row], [*np.nanmin(expected, axis=0), *np.nanmax(expected, axis=0)])
        assert truth.attributes["category"][row] == category_of(row)


def test_splits(drawn):
    dataset = load("merl-rav", drawn)
    assert dataset.found_ids("train") == TRAINING and len(dataset.truth("train")) == 3
    assert (len(TEST), len(TRAIN), len(set(TEST) & set(TRAIN))) == (3865, 15449, 0)
    assert repr(dataset) == f"MERLRAV(merl-rav: test {len(IDS)}/3865, train 3/15449)"


def test_samples_share_whole_photographs(drawn):
    dataset = load("merl-rav", drawn)
    samples = {s.sample_id: s for s in dataset.samples("test")}
    assert list(samples) == dataset.image_ids("test") == IDS
    assert all(s.image.read().shape == (40, 50, 3) for s in samples.values())
    assert samples[f"{TWO}_1"].image.name == samples[f"{TWO}_2"].image.name
    np.testing.assert_array_equal(samples[f"{TWO}_2"].box_xyxy_px, dataset.truth("test").box_xyxy_px[IDS.index(f"{TWO}_2")])


def test_archive_and_organised_tree_and_inner_folders_are_equal(drawn, tmp_path):
    truth = load("merl-rav", drawn).truth("test")
    archive = tmp_path / "merl_rav_labels.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(drawn / "merl_rav_labels", "merl_rav_labels")
        junk = tmp_path / "._x"
        junk.write_bytes(b"\0\5\x16\7")
        tar.add(junk, f"merl_rav_labels/frontal/testset/labels/._{IDS[0]}.pts")  # as macOS packs
    write_labels(tmp_path / "organised" / "merl_rav_organized", ".")
    folder = next((tmp_path / "organised").rglob(f"{IDS[0]}.pts")).parent
    cv2.imwrite(str(folder / f"{IDS[0]}.jpg"), np.full((7, 8, 3), 200, np.uint8))
    inner = sorted((drawn / "merl_rav_labels").glob("*/testset"))
    for data in (archive, tmp_path / "organised", drawn / "merl_rav_labels", inner, [archive, drawn]):
        assert load("merl-rav", data).truth("test").content_sha256() == truth.content_sha256()
    organised = load("merl-rav", tmp_path / "organised")
    assert organised.image_ids("test") == [IDS[0]]
    assert next(iter(organised.samples("test"))).image.read().shape == (7, 8, 3)


def test_crops_of_aflw2000_are_not_taken_for_photographs(drawn, tmp_path):
    write_labels(tmp_path / "merl_rav_labels")
    (tmp_path / "AFLW2000").mkdir()
    (tmp_path / "AFLW2000" / f"{IDS[0]}.jpg").write_bytes(b"another image")
    assert load("merl-rav", tmp_path).image_ids("test") == []


def test_line_endings_and_spaces_do_not_matter(faces):
    path = one(faces, IDS[1])
    expected = load("merl-rav", faces).truth("test").content_sha256()
    text = path.read_text()
    for other in (text.replace("\n", "\r\n"), text + "\n", text.replace("version: 1\n", "version: 1.0\n"), text.replace("  68", " 68")):
        path.write_text(other, newline="")
        assert load("merl-rav", faces).truth("test").content_sha256() == expected


def test_scored_truth_is_perfect_and_categories_are_subsets(drawn, tmp_path):
    dataset = load("merl-rav", drawn / "merl_rav_labels")  # no images: annotation only
    assert dataset.image_ids("test") == []
    truth = dataset.truth("test", "derived-pose")
    protocols = protocols_of(CARD)
    for protocol in protocols:
        assert [parse_metric(m).text for m in protocol.metrics] == list(protocol.metrics)
    records = hpbench.score(Predictions(truth, "landmarks"), dataset, out=tmp_path)
    assert [r.protocol.id for r in records] == [p.id for p in protocols]
    for scores in (s for record in records for s in (record.scores, *record.subsets.values())):
        for score in scores:
            assert score.n_failed == 0 and score.value in (None, pytest.approx(100.0 if score.higher_is_better else 0.0, abs=1e-6)), score
    counts = {name: scores[0].n_scored for name, scores in records[0].subsets.items()}
    rows = range(len(IDS))
    assert counts == {
        "frontal": sum(category_of(r) == "frontal" for r in rows),
        "half profile": sum("half" in category_of(r) for r in rows),
        "profile": sum(category_of(r) in ("left", "right") for r in rows),
    }


def test_only_points_with_a_place_count(drawn, tmp_path):
    """A shift of 3 px is an error of 3 px, whatever part of the 68 points has a place."""
    dataset = load("merl-rav", drawn)
    truth = dataset.truth("test")
    moved = np.where(np.isnan(truth.landmarks), 0.0, truth.landmarks) + [3.0, 0.0]
    predictions = hpbench.Faces(sample_id=truth.sample_id, landmarks=moved, scheme=truth.scheme)
    (record,) = hpbench.score(Predictions(predictions), dataset, out=tmp_path)
    values = {s.metric: s.value for s in record.scores}
    assert values["distance_px"] == pytest.approx(3.0)
    size = np.sqrt(np.prod(truth.box_xyxy_px[:, 2:] - truth.box_xyxy_px[:, :2], axis=1))
    assert values["nme(norm=sqrt_wh)"] == pytest.approx(100 * np.mean(3 / size))


# ------------------------------------------------------------------------------------------------- what is wrong


def test_nothing_there(tmp_path):
    with pytest.raises(MissingDataError, match="no files") as error:
        load("merl-rav", tmp_path)
    assert error.value.exit_code == 3 and all(part in str(error.value) for part in ("Licence", "Layout", "--data"))
    (tmp_path / f"{IDS[0]}.pts").write_text(pts(XY[0], STATE[0]))  # loose: which set?
    with pytest.raises(MissingDataError, match=IDS[0]):
        load("merl-rav", tmp_path)
    folder = tmp_path / "frontal" / "testset"
    folder.mkdir(parents=True)
    (folder / "image99999.pts").write_text(pts(XY[0], STATE[0]))
    with pytest.raises(MissingDataError, match="none of the 1 label files"):
        load("merl-rav", tmp_path)


def test_unknown_faces_are_told_not_dropped(faces):
    shutil.copy(one(faces, IDS[0]), one(faces, IDS[0]).with_name("image99999.pts"))
    dataset = load("merl-rav", faces)
    assert dataset.foreign_ids() == ["image99999"] and len(dataset.truth("test")) == len(IDS)


def test_a_face_in_the_other_set(faces):
    target = faces / "merl_rav_labels" / "frontal" / "trainset" / "labels"
    target.mkdir(parents=True, exist_ok=True)
    shutil.move(one(faces, IDS[0]), target)
    with pytest.raises(InputError, match=f"{IDS[0]}.pts: this face is in the test set"):
        load("merl-rav", faces)


def test_one_face_twice(faces):
    path = one(faces, IDS[0])
    copy = faces / "merl_rav_organized" / path.parts[-4] / "testset" / path.name
    copy.parent.mkdir(parents=True)
    shutil.copy(path, copy)
    assert len(load("merl-rav", faces).truth("test")) == len(IDS)  # equal: one file
    copy.write_text(pts(XY[1], STATE[1]))
    with pytest.raises(InputError, match="which one is meant"):
        load("merl-rav", faces)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("n_points:  68", "n_points:  29", "n_points is 29"),
        ("n_points:  68", "n_points:  1000000000", "n_points is 1000000000"),
        ("-1 -1\n", "-1 5.5\n", "both are negative"),
        ("-1 -1\n", "-1 -1\n-1 -1\n", "more follows"),
        ("-1 -1\n", "", "truncated"),
        ("-1 -1\n", "nan nan\n", "no place"),
        ("-1 -1\n", "1e300 4\n", "no place"),
        ("-1 -1\n", "x y\n", "point"),
        ("}", "", "no closing brace"),
        ("version", "verse", "another kind"),
    ],
)
def test_one_sentence(faces, old, new, says):
    path = one(faces, IDS[2])
    path.write_text(path.read_text().replace(old, new, 1), newline="")
    with pytest.raises(InputError, match=says) as error:
        load("merl-rav", faces).truth("test")
    assert f"{IDS[2]}.pts: " in str(error.value) and "\n" not in str(error.value)


def test_empty_and_other_files(faces):
    for data in (b"", b"\xff\xd8\xff\xe0" * 20, b"\0" * 200, b"x" * 10**6):
        one(faces, IDS[2]).write_bytes(data)
        with pytest.raises(InputError, match=f"{IDS[2]}.pts: "):
            load("merl-rav", faces).truth("test")


@settings(max_examples=60)
@given(st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory, draw):
    root = tmp_path_factory.mktemp("fuzz")
    folder = root / "left" / "testset" / "labels"
    folder.mkdir(parents=True)
    data = bytearray(pts(XY[0], STATE[0]).encode())
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at : at + draw.draw(st.integers(0, 9))] = draw.draw(st.binary(max_size=9))
    (folder / f"{TEST[0]}.pts").write_bytes(bytes(data[: draw.draw(st.integers(0, len(data)))]))
    try:
        assert load("merl-rav", root).truth("test").landmarks.shape == (1, 68, 2)
    except InputError as error:
        assert f"{TEST[0]}.pts: " in str(error) and "\n" not in str(error)


# ------------------------------------------------------------------------------------------------- the real files


@pytest.mark.long
def test_all_19314_real_files(realdata, monkeypatch):
    dataset = load("merl-rav", realdata / "aflw" / "merl_rav_labels.tar.gz")
    test, train = dataset.truth("test"), dataset.truth("train")
    assert (len(test), len(train)) == (3865, 15449) and dataset.foreign_ids() == []
    counts = np.bincount(test.occlusion.ravel()) + np.bincount(train.occlusion.ravel())
    assert counts.tolist() == [1008247, 139025, 166080]
    np.testing.assert_array_equal(np.isnan(test.landmarks).any(axis=2), test.occlusion == 2)
    assert {c: int((test.attributes["category"] == c).sum()) for c in CATEGORIES} == {
        "frontal": 2195, "left": 521, "lefthalf": 295, "right": 548, "righthalf": 306,
    }  # fmt: skip
    assert (np.isfinite(test.landmarks).all(axis=2).sum(axis=1) >= 29).all()
    with tarfile.open(realdata / "aflw" / "merl_rav_labels.tar.gz") as tar:  # the file's own values, read another way
        wanted = {f"{test.sample_id[row]}.pts": row for row in (0, 1932, 3864)}
        for member in tar:
            row = wanted.pop(Path(member.name).name, None)
            if row is None:
                continue
            raw = np.array([line.split() for line in tar.extractfile(member).read().decode().split("\n")[3:71]], float)
            place = np.isfinite(test.landmarks[row, :, 0])
            np.testing.assert_allclose(np.abs(raw[place]), test.landmarks[row][place] + 1, atol=1e-9)
            assert (raw[~place] == -1).all() and f"/{test.attributes['category'][row]}/testset/" in f"/{member.name}"
    assert not wanted
    monkeypatch.setattr("hpbench.readers.merl_rav._parse", lambda _: pytest.fail("it was parsed again"))
    assert len(load("merl-rav", realdata / "aflw" / "merl_rav_labels.tar.gz").truth("train")) == 15449


def test_right_is_the_subjects_right(realdata):
    """Faces of the category ``right`` have a positive yaw in AFLW2000-3D (nose to the image's left), and no right jaw."""
    from tests.annotation_truth import opal23_truth

    other = opal23_truth(realdata)
    yaw = dict(zip(map(str, other.sample_id), other.euler_deg[:, 0], strict=True))
    dataset = load("merl-rav", realdata / "aflw" / "merl_rav_labels.tar.gz")
    shared = [i for i in dataset.all_ids() if i in yaw]
    assert len(shared) == 1481
    truth = dataset.truth_of(shared)
    angles, category = np.array([yaw[i] for i in shared]), truth.attributes["category"]
    medians = [np.median(angles[category == c]) for c in ("right", "righthalf", "frontal", "lefthalf", "left")]
    assert medians == pytest.approx([62.7, 33.2, 1.1, -31.1, -60.9], abs=0.1)
    hidden = truth.occlusion[category == "right"] == 2
    assert hidden[:, :8].mean() > 0.8 > 0.1 > hidden[:, 9:17].mean()
