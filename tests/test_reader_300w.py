"""300W in iBUG's own layout: what was written into the .pts files is what samples and truth hold; golden numbers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from miniatures.pts_faces import draw_faces, pts_bytes, write_face, write_full_precision, write_pts

import hpbench
from hpbench.catalog import dataset_card, protocol_named, protocols_of, split_ids
from hpbench.errors import InputError, MissingDataError
from hpbench.faces import Faces
from hpbench.geometry.rotations import euler_from_rotation
from hpbench.metrics import parse_metric
from hpbench.predictions import Predictions, write_predictions
from hpbench.readers import Dataset, load
from hpbench.records import read_record

FILES = {  # id -> suffix of its image; in this order the ids are sorted
    "01_Indoor/indoor_001": ".png",
    "01_Indoor/indoor_300": ".png",
    "02_Outdoor/outdoor_150": ".png",
    "afw/1051618982_1": ".jpg",
    "afw/134212_2": ".jpg",
    "helen/testset/296814969_3": ".jpg",
    "helen/testset/3266693323_1": ".jpg",
    "helen/trainset/100032540_1": ".jpg",
    "ibug/image_003_1": ".jpg",
    "ibug/image_092 _01": ".jpg",
    "ibug/image_99": ".jpg",
    "lfpw/testset/image_0001": ".png",
    "lfpw/testset/image_0239": ".png",
    "lfpw/trainset/image_0001": ".png",
    "lfpw/trainset/image_0871": ".png",
}
IDS = list(FILES)
POINTS = draw_faces(len(IDS), seed=5)  # as the files have them, counted from 1
TRAINING = [i for i in IDS if "trainset" in i or i.startswith("afw/")]
PUBLIC = [i for i in IDS if "testset" in i or i.startswith("ibug/")]
PRIVATE = [i for i in IDS if i.startswith("0")]
SPLITS = {
    "full": PUBLIC,
    "common": [i for i in PUBLIC if "testset" in i],
    "challenging": [i for i in PUBLIC if i.startswith("ibug")],
    "private": PRIVATE,
    "private-indoor": PRIVATE[:2],
    "private-outdoor": PRIVATE[2:],
    "train-public": TRAINING,
    "train-private": sorted(TRAINING + PUBLIC),
}


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """15 faces of all folders, every spelling of .pts among them; written once, never changed."""
    folder = tmp_path_factory.mktemp("ibug300w") / "300W"
    for row, (sample_id, suffix) in enumerate(FILES.items()):
        path = folder / f"{sample_id}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_face(path, POINTS[row], 10 * row, variant=row)
    return folder


@pytest.fixture
def faces(drawn: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(drawn, tmp_path / "300W")


def found(dataset: Dataset) -> list[str]:
    return sorted({i for split in SPLITS for i in dataset.found_ids(split)})


def everything(data: object) -> Faces:
    dataset = load("300w", data)
    return dataset.truth_of(found(dataset))


def equal(a: Faces, b: Faces) -> bool:
    return a.content_sha256() == b.content_sha256()


# ------------------------------------------------------------------------------------------------- what is read


def test_every_value_is_the_one_written_less_one_pixel(drawn):
    truth = everything(drawn)
    assert list(truth.sample_id) == IDS == sorted(IDS) and len(truth) == 15
    assert (POINTS < 1).any()  # some points lie outside the image
    for row in (0, 7, 14):
        points = POINTS[row] - 1.0
        np.testing.assert_array_equal(truth.landmarks[row], points)
        np.testing.assert_array_equal(truth.box_xyxy_px[row], [*points.min(axis=0), *points.max(axis=0)])
    np.testing.assert_array_equal(truth.landmarks, POINTS - 1.0)
    assert truth.scheme == "ibug68-contour" and truth.rotation is None and truth.visibility is None
    assert [truth.attributes["source"][r] for r in (0, 2, 3, 5, 8, 14)] == ["indoor", "outdoor", "afw", "helen", "ibug", "lfpw"]
    wanted = (
        ["indoor", "indoor", "outdoor", "train", "train", "common", "common", "train"]
        + 3 * ["challenging"]
        + 2 * ["common"]
        + 2 * ["train"]
    )
    assert list(truth.attributes["subset"]) == wanted


@pytest.mark.parametrize("split", SPLITS)
def test_splits(drawn, split):
    dataset = load("300w", drawn)
    assert dataset.found_ids(split) == SPLITS[split] == dataset.image_ids(split)
    samples = list(dataset.samples(split))
    assert [s.sample_id for s in samples] == SPLITS[split] == list(dataset.truth(split).sample_id)
    for sample in samples:
        row = IDS.index(sample.sample_id)
        image = sample.image.read()
        assert image.shape == (24, 32, 3) and abs(int(image[0, 0, 0]) - 10 * row) <= 2
        np.testing.assert_array_equal(sample.box_xyxy_px[:2], POINTS[row].min(axis=0) - 1.0)
    if split in ("full", "private"):
        assert len(dataset.ids(split)) == dataset.n_expected(split) == {"full": 689, "private": 600}[split]


def test_lists_are_those_of_the_challenge():
    lists = {split: split_ids(dataset_card("300w"), split) for split in SPLITS}
    assert {k: None if v is None else len(v) for k, v in lists.items()} == {
        "full": 689, "common": 554, "challenging": 135, "private": 600, "private-indoor": 300, "private-outdoor": 300,
        "train-public": None, "train-private": None,
    }  # fmt: skip
    assert lists["full"] == sorted(lists["common"] + lists["challenging"])
    assert lists["private"] == sorted(lists["private-indoor"] + lists["private-outdoor"])
    folders = [i.rpartition("/")[0] for i in lists["full"]]
    assert [folders.count(f) for f in ("helen/testset", "lfpw/testset", "ibug")] == [330, 224, 135]
    assert [i for i in lists["full"] if " " in i] == ["ibug/image_092 _01"]


def test_a_second_start_reads_no_label_file(drawn, monkeypatch):
    first = everything(drawn)
    monkeypatch.setattr("hpbench.readers.ibug300w.read_pts", lambda file: pytest.fail(f"{file.name} is parsed again"))
    assert equal(everything(drawn), first)


def test_a_changed_file_is_parsed_again(faces):
    everything(faces)
    write_pts(faces / "afw/134212_2.pts", POINTS[0])
    np.testing.assert_array_equal(everything(faces).landmarks[IDS.index("afw/134212_2")], POINTS[0] - 1.0)


# ------------------------------------------------------------------------------------------------- where it lies


def test_official_archives_with_and_without_the_outer_folder(drawn, tmp_path):
    """helen.zip and lfpw.zip hold trainset/... directly, ibug.zip and afw.zip the files themselves."""
    expected = everything(drawn)
    for outer in (False, True):
        folder = tmp_path / f"outer {outer}"
        folder.mkdir()
        for name in ("helen", "lfpw", "ibug", "afw"):
            with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted((drawn / name).rglob("*.*")):
                    archive.write(path, path.relative_to(drawn if outer else drawn / name))
                archive.writestr(f"__MACOSX/{name}/._a.pts", b"\0\5\x16\7")
        with zipfile.ZipFile(folder / "300w.zip", "w") as archive:
            for path in sorted(drawn.glob("0*/*")):
                archive.write(path, Path("300W") / path.relative_to(drawn))
        for data in (folder, sorted(folder.iterdir())):
            assert equal(everything(data), expected)
            samples = {s.sample_id: s for s in load("300w", data).samples("full")}
            assert list(samples) == PUBLIC and samples["ibug/image_99"].image.read().shape == (24, 32, 3)


@pytest.mark.parametrize(
    ("root", "ids"),
    [
        ("helen", [i for i in IDS if i.startswith("helen")]),
        ("helen/testset", [i for i in IDS if i.startswith("helen/testset")]),
        ("ibug", SPLITS["challenging"]),
        ("01_Indoor", PRIVATE[:2]),
    ],
)
def test_a_root_may_be_the_very_folder(drawn, root, ids):
    assert found(load("300w", drawn / root)) == ids


def test_folders_may_lie_apart_and_deeper(drawn, tmp_path):
    shutil.copytree(drawn / "helen", tmp_path / "a/300W/helen")
    shutil.copytree(drawn / "ibug", tmp_path / "b/ibug/ibug")  # unpacked into a folder of its name
    shutil.copytree(drawn / "lfpw", tmp_path / "b/IBUG-300W/LFPW")
    shutil.copytree(drawn / "afw", tmp_path / "b/afw")
    shutil.copytree(drawn / "01_Indoor", tmp_path / "c/Test/01_Indoor")
    shutil.copytree(drawn / "02_Outdoor", tmp_path / "c/Test/02_Outdoor")
    assert equal(everything([tmp_path / "a", tmp_path / "b", tmp_path / "c"]), everything(drawn))
    assert equal(everything(tmp_path), everything(drawn))
    assert equal(everything([tmp_path, drawn]), everything(drawn))  # twice the same


def test_the_name_with_the_space_may_have_been_mended(faces):
    for suffix in (".jpg", ".pts"):
        (faces / f"ibug/image_092 _01{suffix}").rename(faces / f"ibug/image_092_01{suffix}")
    dataset = load("300w", faces)
    assert dataset.found_ids("challenging") == SPLITS["challenging"] == dataset.image_ids("challenging")


def test_images_of_another_kind_are_taken_and_official_ones_preferred(faces):
    cv2.imwrite(str(faces / "lfpw/testset/image_0001.jpg"), np.full((5, 5, 3), 200, np.uint8))
    (faces / "lfpw/testset/image_0239.png").unlink()
    cv2.imwrite(str(faces / "lfpw/testset/image_0239.JPG"), np.full((6, 6, 3), 200, np.uint8))
    samples = {s.sample_id: s.image.read().shape for s in load("300w", faces).samples("common")}
    assert samples["lfpw/testset/image_0001"] == (24, 32, 3) and samples["lfpw/testset/image_0239"] == (6, 6, 3)


def test_foreign_files_are_told_and_passed_over(faces):
    for name in (
        "helen/trainset/100032540_1_mirror", "helen/testset/296814969_3_mirror", "ibug/image_003_1 (1)", "ibug/sub/image_003_1",
        "lfpw/image_0001", "helen/testset/9_9", "300VW/001/annot/000001", "01_Indoor/indoor_301", "afw/._1_1",
    ):  # fmt: skip
        write_pts(faces / f"{name}.pts", POINTS[0])
    (faces / "300w.zip.001").write_bytes(b"PK")
    dataset = load("300w", faces)
    assert dataset.all_ids() == sorted(set(split_ids(dataset.card, "full") + split_ids(dataset.card, "private") + TRAINING))
    assert equal(dataset.truth("train-public"), load("300w", faces).truth_of(TRAINING))
    assert dataset.foreign_ids() == sorted([
        "helen/trainset/100032540_1_mirror", "helen/testset/296814969_3_mirror", "ibug/image_003_1 (1)", "ibug/sub/image_003_1.pts",
        "lfpw/image_0001.pts", "helen/testset/9_9", "300VW/001/annot/000001.pts", "01_Indoor/indoor_301", "300w.zip.001",
    ])  # fmt: skip


def test_one_face_twice_with_other_content(faces):
    write_pts(faces / "old/ibug/image_99.pts", POINTS[0])
    with pytest.raises(InputError, match=r"ibug/image_99\.pts and .*old/ibug/image_99\.pts .*different content"):
        load("300w", faces)


# ------------------------------------------------------------------------------------------------- what is missing


def missing(data: object, *words: str) -> None:
    with pytest.raises(MissingDataError) as error:
        load("300w", data)
    for word in (*words, "Licence", "Layout", "--data", "cat 300w.zip.00?"):
        assert word in str(error.value)


def test_missing_data_says_what_was_seen(drawn, tmp_path):
    (tmp_path / "empty").mkdir()
    missing(tmp_path / "empty", "no files")
    (tmp_path / "else").mkdir()
    (tmp_path / "else/holiday.txt").write_text("x")
    missing(tmp_path / "else", "holiday.txt")
    write_pts(tmp_path / "loose/a.pts", POINTS[0])
    missing(tmp_path / "loose", "1 .pts files", "a.pts")
    write_pts(tmp_path / "wrong/ibug/image_1000.pts", POINTS[0])
    missing(tmp_path / "wrong", "ibug/image_1000")
    shutil.copytree(drawn / "ibug", tmp_path / "images/ibug", ignore=shutil.ignore_patterns("*.pts"))
    missing(tmp_path / "images", "3 of its images")


def test_parts_of_the_split_archive_are_to_be_joined(tmp_path):
    for part in ("001", "002"):
        (tmp_path / f"300w.zip.{part}").write_bytes(b"PK\3\4" + bytes(50))
    missing(tmp_path, "300w.zip.001", "join them first")
    with pytest.raises(InputError, match="one part of a split archive: join"):
        load("300w", tmp_path / "300w.zip.002")


def test_missing_images_and_labels(faces):
    (faces / "ibug/image_99.jpg").unlink()
    (faces / "ibug/image_003_1.pts").unlink()
    dataset = load("300w", faces)
    assert dataset.found_ids("challenging") == SPLITS["challenging"][1:]
    assert dataset.image_ids("challenging") == SPLITS["challenging"][:2]
    with pytest.raises(InputError, match="ibug/image_99: the image is missing"):
        list(dataset.samples("challenging"))[-1].image.read()
    with pytest.raises(InputError, match="'ibug/image_003_1' has no"):
        dataset.truth_of(["ibug/image_003_1"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (pts_bytes(POINTS[0])[:700], "truncated"),
        (pts_bytes(POINTS[0, :39]), "n_points is 39, expected 68"),
        (pts_bytes(POINTS[0] * [1, 0]), "lie on one line"),
        (b"\xff\xd8\xff", "not a text file"),
    ],
)
def test_a_damaged_file_is_named(faces, data, message):
    (faces / "lfpw/testset/image_0239.pts").write_bytes(data)
    with pytest.raises(InputError, match=message) as error:
        load("300w", faces).truth("full")
    assert "image_0239.pts" in str(error.value) and "\n" not in str(error.value)


def test_image_and_labels_swapped(faces):
    a, b = faces / "ibug/image_99.jpg", faces / "ibug/image_99.pts"
    image, labels = a.read_bytes(), b.read_bytes()
    a.write_bytes(labels), b.write_bytes(image)
    with pytest.raises(InputError, match=r"image_99\.pts: not a text file"):
        load("300w", faces).truth("full")


@given(st.sampled_from(["", "ibug", "helen/testset", "HELEN", "afw", "\udcff"]), st.text(max_size=8), st.binary(max_size=99), st.booleans())
def test_any_file_anywhere_is_read_or_one_sentence(tmp_path_factory, folder, stem, noise, whole):
    root = tmp_path_factory.mktemp("fuzz")
    name = "".join(c for c in stem if c not in "/\0") or "1_1"
    try:
        write_pts(root / folder / f"{name}.pts", POINTS[0])
        if not whole:
            (root / folder / f"{name}.pts").write_bytes(noise)
    except (OSError, UnicodeError):
        return  # no file of that name can be made
    try:
        dataset = load("300w", root)
        dataset.truth_of(dataset.open_ids("train-private"))
    except MissingDataError:
        pass
    except InputError as error:
        assert "\n" not in str(error) and ".pts" in str(error)
    else:
        assert whole


# ------------------------------------------------------------------------------------------------- scores


def test_truth_as_prediction_is_perfect_by_every_protocol_without_images(drawn, tmp_path):
    labels = shutil.copytree(drawn, tmp_path / "300W", ignore=shutil.ignore_patterns("*.jpg", "*.png"))
    dataset = load("300w", labels)
    ids = sorted(PUBLIC + PRIVATE)
    truth = dataset.truth_of(ids, "derived-pose")
    assert np.isfinite(truth.rotation).all()
    prediction = Faces(ids, rotation=truth.rotation, landmarks=truth.landmarks, scheme="ibug68-contour")
    records = hpbench.score(Predictions(prediction, boxes="landmarks", model="truth"), "300w", data=labels, out=tmp_path / "out")
    assert sorted(r.protocol.id for r in records) == sorted(p.id for p in protocols_of(dataset_card("300w"))) and len(records) == 6
    for record in records:
        assert record.partial and record.coverage == 1.0
        for score in (*record.scores, *(s for scores in record.subsets.values() for s in scores)):
            best = 100.0 if score.metric.startswith("auc") else 0.0
            assert score.value == pytest.approx(best, abs=1e-5) or score.n_scored == 0, score.metric
    counts = {r.protocol.id: {name: s[0].n_scored for name, s in r.subsets.items()} for r in records}
    assert counts["300w/full"] == {"common": 4, "challenging": 3, "HELEN": 2, "LFPW": 2}
    assert {name: counts["300w/pose-full"][name] for name in ("common", "challenging")} == {"common": 4, "challenging": 3}
    assert sum(n for name, n in counts["300w/pose-full"].items() if name.startswith("yaw")) == 7
    assert counts["300w/private"] == {"indoor": 2, "outdoor": 1}


def test_predictions_counted_from_one_are_off_by_the_diagonal_of_a_pixel(drawn):
    truth = load("300w", drawn).truth("full")
    shifted = Faces(truth.sample_id, landmarks=truth.landmarks + 1.0)
    np.testing.assert_allclose(parse_metric("distance_px").per_face(truth, shifted), np.sqrt(2.0))


def test_derived_pose_is_near_the_pose_that_was_drawn(drawn):
    dataset = load("300w", drawn)
    truth = dataset.truth("full", "derived-pose")
    euler = np.random.default_rng(5).uniform([-40, -20, -30], [40, 20, 30], (len(IDS), 3))
    drawn_pose = Faces([*IDS], euler_deg=euler, convention="yxz").aligned_to(PUBLIC)
    assert np.median(parse_metric("geodesic").per_face(drawn_pose, truth)) < 10.0  # drawn without perspective
    with pytest.raises(InputError, match="derived-pose"):
        dataset.truth("full", "pose")


def test_protocols_are_canonical():
    for protocol in protocols_of(dataset_card("300w")):
        assert all(parse_metric(text).text == text for text in protocol.metrics)
        assert protocol_named(protocol.reference).sha256 == protocol.sha256


# ------------------------------------------------------------------------------------------------- the real files


def spiga(realdata: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Ids, true and predicted points (689, 68, 2) of a third party's files, which hold the original coordinates less one."""
    folder = realdata / "300w" / "spiga_300wpublic"
    truth, results = (json.loads((folder / name).read_text()) for name in ("test.json", "results_300wpublic_test.json"))
    subsets = json.loads((folder / "db_info.json").read_text())["test_subsets"]
    assert [t["imgpath"] for t in truth] == [r["imgpath"] for r in results] and len(truth) == 689
    folders = {
        row: place for name, place in (("helen", "helen/testset"), ("lfpw", "lfpw/testset"), ("ibug", "ibug")) for row in subsets[name]
    }
    ids = [f"{folders[row]}/{Path(t['imgpath']).stem}".replace("image_092_01", "image_092 _01") for row, t in enumerate(truth)]
    return ids, np.array([t["landmarks"] for t in truth]), np.array([r["landmarks"] for r in results])


@pytest.fixture(scope="session")
def public(realdata, tmp_path_factory) -> Path:
    """The public test set in iBUG's layout, with image stubs."""
    ids, points, _ = spiga(realdata)
    folder = tmp_path_factory.mktemp("spiga") / "300W"
    stubs = {suffix: cv2.imencode(suffix, np.zeros((2, 2, 3), np.uint8))[1].tobytes() for suffix in (".jpg", ".png")}
    for sample_id, face in zip(ids, points, strict=True):
        suffix = ".png" if sample_id.startswith("lfpw") else ".jpg"
        write_full_precision(folder / f"{sample_id}.pts", (face + 1.0).tolist())
        (folder / f"{sample_id}{suffix}").write_bytes(stubs[suffix])
    return folder


def test_lists_are_the_689_of_a_third_party(realdata):
    assert sorted(spiga(realdata)[0]) == split_ids(dataset_card("300w"), "full")


def test_golden_numbers_through_the_command_line(realdata, public, tmp_path):
    ids, _, predicted = spiga(realdata)
    write_predictions(tmp_path / "spiga.npz", Predictions(Faces(ids, landmarks=predicted, scheme="ibug68-contour"), model="spiga"))
    command = [sys.executable, "-m", "hpbench", "score", "spiga.npz", "-d", "300w", "--data", str(public), "-o", "out"]
    command += ["--metric", "nme(mean=median,norm=corners)"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=dict(os.environ), timeout=120)
    assert result.returncode == 0, result.stderr
    found = {}
    for split in ("full", "common", "challenging"):
        record = read_record(tmp_path / "out" / f"300w.{split}@1.json")
        assert record.dataset.verified and not record.partial and record.coverage == 1.0
        found |= {(split, s.metric): s.value for s in record.scores}
        if split == "full":
            found |= {(f"full/{name}", s.metric): s.value for name, scores in record.subsets.items() for s in scores}
    golden = {
        ("full", "nme(norm=corners)"): 2.9936872679, ("common", "nme(norm=corners)"): 2.5870801950,
        ("challenging", "nme(norm=corners)"): 4.6622822186, ("full/common", "nme(norm=corners)"): 2.5870801950,
        ("full/challenging", "nme(norm=corners)"): 4.6622822186,
        ("full", "auc(below=8,norm=corners)"): 62.7204547230, ("full", "fr(above=8,norm=corners)"): 0.7256894049,
        ("full", "nme(mean=median,norm=corners)"): 2.6191226587,
        ("full", "nme(norm=pupils)"): 4.2034166633, ("common", "nme(norm=pupils)"): 3.5871210298,
        ("challenging", "nme(norm=pupils)"): 6.7325113371,
        ("full", "auc(below=8,norm=pupils)"): 48.5976397133, ("full", "fr(above=8,norm=pupils)"): 4.0638606676,
    }  # fmt: skip
    assert {key: found[key] for key in golden} == pytest.approx(golden, abs=1e-10, rel=0)
    errors = np.load(tmp_path / "out" / "300w.full@1.errors.npz", allow_pickle=False)
    assert np.median(errors["nme(norm=corners)"]) == pytest.approx(2.6191226587, abs=1e-10)
    assert list(errors["sample_id"]) == sorted(ids)


def test_689_files_are_read(public):
    dataset = load("300w", public)
    truth = dataset.truth("full")
    assert len(truth) == 689
    assert list(dataset.image_ids("full")) == list(truth.sample_id) and dataset.foreign_ids() == []


def test_derived_pose_of_the_public_test_set_is_near_a_third_partys(realdata, public):
    """SPIGA's labels come from another mean face and camera, and its yaw has the opposite sign: the same heads all the same."""
    ids, _, _ = spiga(realdata)
    theirs = np.array([t["headpose"][:3] for t in json.loads((realdata / "300w/spiga_300wpublic/test.json").read_text())])
    theirs *= [-1.0, 1.0, 1.0]
    ours = load("300w", public).truth("full", "derived-pose").aligned_to(ids)
    assert np.isfinite(ours.rotation).all()
    angles = euler_from_rotation(ours.rotation, "yxz")
    for axis, least in enumerate((0.98, 0.94, 0.98)):
        assert np.corrcoef(angles[:, axis], theirs[:, axis])[0, 1] > least
    assert (np.abs(angles - theirs).mean(axis=0) < [2.5, 5.0, 2.0]).all()


def test_real_label_files(realdata, tmp_path):
    """The eleven public pairs are of HELEN: placed where they belong they are its training faces, pixels less one."""
    folder = tmp_path / "300W" / "helen" / "trainset"
    folder.mkdir(parents=True)
    for path in (realdata / "300w" / "pts").iterdir():
        shutil.copy(path, folder)
    dataset = load("300w", tmp_path / "300W")
    assert dataset.foreign_ids() == ["helen/trainset/test_1"]
    truth = dataset.truth("train-public")
    assert len(truth) == 10
    for row, sample in enumerate(dataset.samples("train-public")):
        text = (folder / f"{Path(sample.sample_id).name}.pts").read_text().split("{")[1].split("}")[0]
        np.testing.assert_array_equal(truth.landmarks[row], np.array(text.split(), float).reshape(68, 2) - 1.0)
        height, width = sample.image.read().shape[:2]
        x0, y0, x1, y1 = sample.box_xyxy_px
        assert -0.2 * width < x0 < x1 < 1.2 * width and -0.2 * height < y0 < y1 < 1.2 * height


def test_real_private_samples_have_the_ids_of_the_list(realdata, tmp_path):
    """Two images of the private test with a third party's COCO list: written back as .pts, they are found by the id rule."""
    source = realdata / "300w" / "private_samples"
    listed = json.loads((source / "test_300w.json").read_text())
    points = {a["image_id"]: np.array(a["keypoints"]).reshape(68, 3)[:, :2] for a in listed["annotations"]}
    ids = {i["id"]: f"01_Indoor/{Path(i['file_name']).stem}" for i in listed["images"]}
    for image in listed["images"]:
        write_full_precision(tmp_path / f"300W/{ids[image['id']]}.pts", points[image["id"]].tolist())
        shutil.copy(source / image["file_name"], tmp_path / f"300W/{ids[image['id']]}.png")
    dataset = load("300w", tmp_path)
    truth = dataset.truth("private-indoor")
    assert list(truth.sample_id) == sorted(ids.values()) == dataset.image_ids("private") and dataset.foreign_ids() == []
    for image in listed["images"]:
        row = list(truth.sample_id).index(ids[image["id"]])
        np.testing.assert_allclose(truth.landmarks[row], points[image["id"]] - 1.0, rtol=0, atol=1e-12)
    shapes = {s.sample_id: s.image.read().shape[:2] for s in dataset.samples("private")}
    assert shapes == {ids[i["id"]]: (i["height"], i["width"]) for i in listed["images"]}
