"""AFLW: what was written into a database or .mat file of the original format is what samples and truth hold."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truth_as_prediction import perfect

import hpbench
from hpbench.catalog import dataset_card, protocols_of
from hpbench.errors import InputError, MissingDataError
from hpbench.geometry.rotations import rotation_from_euler
from hpbench.landmark_maps import map_landmarks
from hpbench.landmarks import SCHEMES
from hpbench.metrics import parse_metric
from hpbench.predictions import Predictions
from hpbench.readers import load
from hpbench.readers.aflw import POINTS, POSE_SIGNS, parse_aflw
from hpbench.readers.files.sqlite_tables import read_tables

# the tables of the official database (2012-11-28), with their columns
SCHEMA = """
CREATE TABLE databases (db_id TEXT PRIMARY KEY, path TEXT, description TEXT);
CREATE TABLE AnnotationType (annot_type_id INTEGER PRIMARY KEY, descr TEXT, code TEXT);
CREATE TABLE Faces (face_id INTEGER PRIMARY KEY, file_id TEXT, db_id TEXT);
CREATE TABLE FaceImages (image_id INTEGER PRIMARY KEY, db_id TEXT, file_id TEXT, filepath TEXT, bw INTEGER, width INTEGER, height INTEGER);
CREATE TABLE FaceRect (face_id INTEGER, x INTEGER, y INTEGER, w INTEGER, h INTEGER, annot_type_id INTEGER);
CREATE TABLE FaceEllipse (face_id INTEGER, x REAL, y REAL, ra REAL, rb REAL, theta REAL, annot_type_id INTEGER, upsidedown INTEGER);
CREATE TABLE FacePose (face_id INTEGER, roll REAL, pitch REAL, yaw REAL, annot_type_id INTEGER);
CREATE TABLE FeatureCoords (face_id INTEGER, feature_id INTEGER, x REAL, y REAL, annot_type_id INTEGER);
CREATE TABLE FeatureCoordTypes (feature_id INTEGER PRIMARY KEY, descr TEXT, code TEXT, x REAL, y REAL, z REAL);
CREATE TABLE FaceMetaData (face_id INTEGER, sex TEXT, occluded INTEGER, glasses INTEGER, bw INTEGER, annot_type_id INTEGER);
CREATE INDEX coords_of_face ON FeatureCoords (face_id);
"""
RNG = np.random.default_rng(3)
N = 24
IDS = [39341 + 7 * k for k in range(N - 1)] + [65384]
FILES = [f"image{20000 + 13 * (k // 2):05d}.jpg" for k in range(N)]  # two faces a photograph
FOLDER = [str((0, 2, 3)[(k // 2) % 3]) for k in range(N)]
POSE = np.float32(RNG.uniform(-1.4, 1.4, (N, 3))).astype(float)  # roll, pitch, yaw, as the tools bind them
RECT = RNG.integers(-20, 300, (N, 4)) * [1, 1, 0, 0] + [[0, 0, 90 + k, 90 + k] for k in range(N)]
SEEN = RNG.random((N, 21)) < 0.8
SEEN[4] = False  # a face without a point
XY = np.float32(RNG.uniform(1, 400, (N, 21, 2))).astype(float)
NO_RECT, NO_POSE, UNDEFINED_POSE = 6, 9, 10


def write_database(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SCHEMA)
        db.execute("INSERT INTO databases VALUES ('flickr', 'flickr/', 'AFLW')")
        names = [*POINTS, "LeftTemple", "RightTemple", "HeadCenter"]
        db.executemany("INSERT INTO FeatureCoordTypes VALUES (?,?,?,0,0,0)", [(i + 1, n, n[:4]) for i, n in enumerate(names)])
        for k in reversed(range(N)):  # not in the order of the ids
            face = IDS[k]
            db.execute("INSERT INTO Faces VALUES (?,?,'flickr')", (face, FILES[k]))
            if k % 2 == 0:
                db.execute("INSERT INTO FaceImages VALUES (?,'flickr',?,?,0,640,480)", (k + 1, FILES[k], f"{FOLDER[k]}/{FILES[k]}"))
            if k != NO_RECT:
                db.execute("INSERT INTO FaceRect VALUES (?,?,?,?,?,1)", (face, *map(int, RECT[k])))
            if k != NO_POSE:
                pose = POSE[k] if k != UNDEFINED_POSE else np.full(3, np.float32(-2 * np.pi))
                db.execute("INSERT INTO FacePose VALUES (?,?,?,?,1)", (face, *map(float, pose)))
            for i in np.flatnonzero(SEEN[k]):
                db.execute("INSERT INTO FeatureCoords VALUES (?,?,?,?,0)", (face, int(i) + 1, *map(float, XY[k, i])))
            db.execute("INSERT INTO FaceMetaData VALUES (?,?,?,?,0,0)", (face, "mf"[k % 2], k % 3 == 0, k % 5 == 0))
        db.execute("INSERT INTO FeatureCoords VALUES (?, 22, 5, 5, 0)", (IDS[0],))  # a temple: not of the 21
        db.commit()
    return path


def write_images(root: Path) -> None:
    for k in range(0, N, 2):
        path = root / "flickr" / FOLDER[k] / FILES[k]
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((48, 64, 3), 10 * k, np.uint8))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """aflw/data of the official layout; written once, never changed."""
    data = tmp_path_factory.mktemp("root") / "aflw" / "data"
    write_database(data / "aflw.sqlite")
    write_images(data)
    return data


@pytest.fixture
def changed(drawn: Path, tmp_path: Path) -> Iterator[tuple[Path, sqlite3.Connection]]:
    """A copy of the database that a test may change."""
    path = tmp_path / "aflw.sqlite"
    shutil.copy(drawn / "aflw.sqlite", path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield tmp_path, db


# ------------------------------------------------------------------------------------------------- the database


def test_every_value_is_the_one_written(drawn):
    dataset = load("aflw", drawn)
    truth = dataset.truth()
    assert list(truth.sample_id) == [str(i) for i in IDS] == sorted(map(str, IDS)) and len(truth) == N
    for row in (0, 11, 23):
        roll, pitch, yaw = POSE[row]
        np.testing.assert_allclose(truth.euler_deg[row], np.rad2deg([yaw, pitch, -roll]), rtol=0, atol=1e-12)
        np.testing.assert_array_equal(truth.landmarks[row], np.where(SEEN[row][:, None], XY[row], np.nan))
        x, y, w, h = RECT[row]
        np.testing.assert_array_equal(truth.box_xyxy_px[row], [x, y, x + w, y + h])
        attributes = {k: v[row] for k, v in truth.attributes.items()}
        assert attributes == {
            "abs_yaw_deg": abs(np.rad2deg(yaw)), "face_pose_yaw_rad": yaw, "face_pose_pitch_rad": pitch, "face_pose_roll_rad": roll,
            "sex": "mf"[row % 2], "occluded": row % 3 == 0, "glasses": row % 5 == 0,
        }  # fmt: skip
    assert (truth.convention, truth.scheme) == ("yxz", "aflw21")


def test_unlabelled_is_not_invisible(drawn):
    truth = load("aflw", drawn).truth()
    np.testing.assert_array_equal(np.isnan(truth.visibility), ~SEEN)
    assert (truth.visibility[SEEN] == 1).all()
    np.testing.assert_array_equal(truth.occlusion, np.where(SEEN, 0, 3))


def test_what_is_missing_is_nan(drawn):
    truth = load("aflw", drawn).truth()
    assert np.isnan(truth.box_xyxy_px[NO_RECT]).all() and np.isnan(truth.landmarks[4]).all()
    assert np.isnan(truth.rotation[[NO_POSE, UNDEFINED_POSE]]).all()  # -2 pi is what the tools write for "undefined"
    assert np.isfinite(truth.rotation).all(axis=(1, 2)).sum() == N - 2


def test_samples_are_sorted_with_readable_images(drawn):
    dataset = load("aflw", drawn)
    samples = list(dataset.samples())
    assert [s.sample_id for s in samples] == dataset.found_ids() == dataset.image_ids() == [str(i) for i in IDS]
    for row in (0, 1, 11, 23):
        image = samples[row].image.read()
        assert image.shape == (48, 64, 3) and abs(int(image[0, 0, 0]) - 10 * (row - row % 2)) <= 2
        assert samples[row].camera is None
    assert [s.sample_id for s in dataset.samples(limit=3)] == [str(i) for i in IDS[:3]]


def test_boxes_by_name(drawn):
    dataset = load("aflw", drawn)
    points = np.where(SEEN[0][:, None], XY[0], np.nan)
    (sample,) = dataset.samples(boxes="landmarks", limit=1)
    np.testing.assert_array_equal(sample.box_xyxy_px, [*np.nanmin(points, axis=0), *np.nanmax(points, axis=0)])
    with pytest.raises(InputError, match="given"):
        dataset.samples(boxes="giver")


def test_rotation_is_the_one_the_tools_decompose():
    """FacePoseCalculator.cpp: rot takes the model's axes (forward, left, down) to the camera; tmp = A rot is split as Rz Ry Rx."""
    a = np.array([[0, 0, -1], [-1, 0, 0], [0, 1, 0.0]])
    rng = np.random.default_rng(0)
    rotation = rotation_from_euler(rng.uniform(-80, 80, (200, 3)), "300w-lp")  # head -> camera
    rot = rotation @ a.T  # the model's axes are A times the head's (x right, y down, z back, as the camera's at rest)
    tmp = a @ rot
    roll, pitch, yaw = np.arctan2(tmp[:, 2, 1], tmp[:, 2, 2]), np.arcsin(-tmp[:, 2, 0]), np.arctan2(tmp[:, 1, 0], tmp[:, 0, 0])
    euler_deg = np.rad2deg(np.stack([yaw, pitch, roll], axis=1)) * POSE_SIGNS
    np.testing.assert_allclose(rotation_from_euler(euler_deg, "yxz"), rotation, atol=1e-12)


def test_left_in_names_is_the_viewers():
    """AFLW's left eye has the smaller x in a frontal photograph: the subject's right, as the scheme says."""
    assert len(POINTS) == 21 and POINTS[0] == "LeftBrowLeftCorner" and POINTS[20] == "ChinCenter"
    scheme = SCHEMES["aflw21"]
    assert [POINTS[i] for i in (*scheme.right_eye, *scheme.left_eye)] == ["LeftEyeCenter", "RightEyeCenter"]
    for right, left in scheme.pairs:
        a, b = POINTS[right], POINTS[left]
        assert a.replace("Left", "?").replace("Right", "Left").replace("?", "Right") == b


def test_first_row_of_a_face_counts(changed):
    folder, db = changed
    db.execute("INSERT INTO FaceRect VALUES (?, 1, 2, 3, 4, 2)", (IDS[0],))
    db.execute("INSERT INTO FacePose VALUES (?, 1, 1, 1, 2)", (IDS[0],))
    db.execute("INSERT INTO FeatureCoords VALUES (?, ?, 1, 1, 2)", (IDS[0], int(np.flatnonzero(SEEN[0])[0]) + 1))
    db.execute("INSERT INTO FaceMetaData VALUES (?, 'x', 1, 1, 1, 2)", (IDS[0],))
    db.execute("INSERT INTO FaceImages VALUES (99, 'other', ?, '0/other.jpg', 0, 1, 1)", (FILES[0],))
    db.execute("INSERT INTO FaceRect VALUES (?, 1, 2, 30, 40, 2)", (IDS[NO_RECT],))
    truth = load("aflw", folder).truth()
    roll, pitch, yaw = POSE[0]
    np.testing.assert_allclose(truth.euler_deg[0], np.rad2deg([yaw, pitch, -roll]), atol=1e-12)
    np.testing.assert_array_equal(truth.landmarks[0], np.where(SEEN[0][:, None], XY[0], np.nan))
    assert truth.attributes["sex"][0] == "m"
    np.testing.assert_array_equal(truth.box_xyxy_px[NO_RECT], [1, 2, 31, 42])


def test_deleted_points_and_empty_rectangles(changed):
    folder, db = changed
    db.execute("UPDATE FeatureCoords SET x = -1, y = -1 WHERE face_id = ?", (IDS[0],))
    db.execute("UPDATE FaceRect SET w = 0 WHERE face_id = ?", (IDS[1],))
    db.execute("UPDATE FacePose SET pitch = NULL WHERE face_id = ?", (IDS[2],))
    truth = load("aflw", folder).truth()
    assert np.isnan(truth.landmarks[0]).all() and np.isnan(truth.box_xyxy_px[1]).all() and np.isnan(truth.euler_deg[2]).all()


def test_faces_of_other_tables_are_told_not_dropped(changed):
    folder, db = changed
    db.execute("INSERT INTO FaceRect VALUES (7, 1, 2, 3, 4, 1)")
    db.execute("INSERT INTO FacePose VALUES (8, 0, 0, 0, 1)")
    dataset = load("aflw", folder)
    assert dataset.foreign_ids() == ["7", "8"] and len(dataset.truth()) == N


def test_features_go_by_their_names(changed):
    folder, db = changed
    db.execute("UPDATE FeatureCoordTypes SET feature_id = feature_id + 100")
    db.execute("UPDATE FeatureCoords SET feature_id = feature_id + 100")
    np.testing.assert_array_equal(load("aflw", folder).truth().landmarks, np.where(SEEN[..., None], XY, np.nan))
    db.execute("DROP TABLE FeatureCoordTypes")
    with pytest.raises(InputError, match="feature_id 101"):
        load("aflw", folder).truth()
    db.execute("UPDATE FeatureCoords SET feature_id = feature_id - 100")
    db.execute("DELETE FROM FeatureCoords WHERE feature_id > 21")
    db.execute("DROP TABLE FaceMetaData")  # both may be missing
    truth = load("aflw", folder).truth()
    np.testing.assert_array_equal(truth.landmarks, np.where(SEEN[..., None], XY, np.nan))
    assert set(truth.attributes["sex"]) == {""} and np.isnan(truth.attributes["glasses"]).all()


def test_archive_and_parent_folder_and_two_roots(drawn, tmp_path):
    truth = load("aflw", drawn).truth()
    archive = tmp_path / "aflw-db.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(drawn / "aflw.sqlite", "aflw/data/aflw.sqlite")
    for data in (drawn.parent.parent, archive, tmp_path, [archive, drawn / "flickr"]):
        dataset = load("aflw", data)
        assert dataset.truth().content_sha256() == truth.content_sha256()
        assert len(dataset.image_ids()) == (N if data in (drawn.parent.parent, [archive, drawn / "flickr"]) else 0)


def test_images_of_aflw2000_are_not_taken_for_photographs(drawn, tmp_path):
    shutil.copy(drawn / "aflw.sqlite", tmp_path)
    (tmp_path / "AFLW2000").mkdir()
    shutil.copy(drawn / "flickr" / FOLDER[0] / FILES[0], tmp_path / "AFLW2000" / FILES[0])
    dataset = load("aflw", tmp_path)
    assert dataset.image_ids() == []
    with pytest.raises(InputError, match="the image is missing"):
        next(iter(dataset.samples())).image.read()


def test_perfect_scores_without_images(drawn, tmp_path):
    shutil.copy(drawn / "aflw.sqlite", tmp_path)
    perfect(load("aflw", tmp_path), tmp_path)


def test_subsets_and_unlabelled_faces_are_counted(drawn, tmp_path):
    dataset = load("aflw", drawn)
    truth = dataset.truth()
    pose, points = (
        hpbench.score(Predictions(truth, "given"), dataset, protocol=p, out=tmp_path)[0] for p in ("aflw/pose-all", "aflw/landmarks-all")
    )
    assert (pose.scores[0].n_scored, pose.scores[0].n_unlabelled) == (N - 2, 2)
    assert (points.scores[0].n_scored, points.scores[0].n_unlabelled) == (N - 2, 2)  # no rectangle; no point
    yaw = np.abs(np.rad2deg(POSE[:, 2]))[[k for k in range(N) if k not in (NO_POSE, UNDEFINED_POSE)]]
    wanted = {"yaw 0-30": (yaw <= 30).sum(), "yaw 30-60": ((yaw > 30) & (yaw <= 60)).sum(), "yaw above 60": (yaw > 60).sum()}
    assert {name: scores[0].n_scored for name, scores in pose.subsets.items()} == wanted
    assert pose.partial and pose.dataset.n_expected == 25993


def test_derived_pose(drawn):
    truth = load("aflw", drawn).truth(labels="derived-pose")
    assert truth.rotation.shape == (N, 3, 3) and truth.euler_deg is None and np.isnan(truth.rotation[4]).all()


# ------------------------------------------------------------------------------------------------- bad databases


def test_nothing_there(tmp_path):
    for make in (lambda: None, lambda: (tmp_path / "holiday.png").write_bytes(b"x")):
        make()
        for dataset in ("aflw", "aflw-release"):
            with pytest.raises(MissingDataError, match="holiday|no files") as error:
                load(dataset, tmp_path)
            assert error.value.exit_code == 3 and all(part in str(error.value) for part in ("Licence", "Layout", "--data"))


def sentence(data: bytes) -> str:
    with pytest.raises(InputError) as error:
        parse_aflw(data, "d/aflw.sqlite")
    text = str(error.value)
    assert text.startswith("d/aflw.sqlite: ") and "\n" not in text and len(text) < 400
    return text


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DROP TABLE FacePose", "no table FacePose"),
        ("ALTER TABLE FaceRect RENAME COLUMN w TO width", "FaceRect has no column w"),
        ("DELETE FROM Faces", "Faces is empty"),
        ("UPDATE FeatureCoords SET x = 'left' WHERE rowid = 3", "other than numbers in row 3"),
        ("UPDATE FeatureCoords SET x = 9e999 WHERE rowid = 3", "row 3"),
        ("UPDATE FaceRect SET face_id = 1.5 WHERE rowid = 1", "row 1"),
        ("UPDATE FaceRect SET face_id = NULL WHERE rowid = 1", "row 1"),
        ("UPDATE FeatureCoords SET feature_id = 77", "feature_id 77"),
        ("UPDATE FeatureCoordTypes SET descr = 'Nose' WHERE descr = 'NoseCenter'", "no NoseCenter"),
        ("UPDATE FacePose SET yaw = yaw * 57.3, pitch = pitch * 57.3", "degrees instead of radians"),
        ("UPDATE FaceImages SET filepath = '/etc/passwd'", "not to be trusted"),
        ("UPDATE FaceImages SET filepath = '../../' || filepath", "not to be trusted"),
        ("UPDATE FaceImages SET filepath = 'C:\\a.jpg'", "not to be trusted"),
        ("UPDATE FaceImages SET filepath = ''", "not to be trusted"),
        ("ALTER TABLE FaceRect RENAME TO r; CREATE VIEW FaceRect AS SELECT * FROM r", "not to be trusted"),
        ("DROP TABLE FaceRect; CREATE VIRTUAL TABLE FaceRect USING fts5(face_id, x, y, w, h)", "not to be trusted"),
    ],
)
def test_one_sentence(changed, statement, says):
    folder, db = changed
    db.executescript(statement)
    assert says in sentence((folder / "aflw.sqlite").read_bytes())


def test_one_face_twice(changed):
    folder, db = changed
    db.executescript(f"ALTER TABLE Faces RENAME TO f; CREATE TABLE Faces AS SELECT * FROM f; INSERT INTO Faces VALUES ({IDS[3]}, 'a', 'b')")
    assert f"face_id {IDS[3]} stands twice" in sentence((folder / "aflw.sqlite").read_bytes())


def test_a_hostile_database_cannot_run_long_or_reach_elsewhere(tmp_path, monkeypatch):
    path = tmp_path / "x.sqlite"
    with closing(sqlite3.connect(path)) as db:
        endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x AS face_id, x AS file_id FROM c"
        db.executescript(
            f"CREATE VIEW Faces AS {endless}; CREATE TABLE t (a); CREATE TABLE u (a); CREATE TABLE g (a, b AS (hex(zeroblob(a))));"
        )
        db.execute("INSERT INTO g(a) VALUES (400000)")
        db.execute("INSERT INTO u VALUES (1)")
        db.commit()
    data = path.read_bytes()
    start = time.process_time()
    with pytest.raises(InputError, match="no plain table"):
        read_tables(data, "x", {"Faces": ("face_id",)})
    with pytest.raises(InputError, match="no plain table"):  # a generated column would run the file's own expression
        read_tables(data, "x", {"g": ("a", "b")})
    with pytest.raises(InputError, match="no column nothing"):
        read_tables(data, "x", {"t": ("nothing",)})
    assert read_tables(data, "x", {"t": ("a",), "none": ("a",)}, ("none",)) == {"t": []}
    assert time.process_time() - start < 2
    monkeypatch.setattr("hpbench.readers.files.sqlite_tables.MAX_ROWS", 0)
    with pytest.raises(InputError, match="larger than"):
        read_tables(data, "x", {"u": ("a",)})


def test_write_ahead_mode_is_read_and_nothing_is_written(drawn, tmp_path):
    path = tmp_path / "aflw.sqlite"
    shutil.copy(drawn / "aflw.sqlite", path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
    before = path.read_bytes()
    assert before[18:20] == b"\2\2"
    path.chmod(0o444)
    assert len(load("aflw", tmp_path).truth()) == N
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["aflw.sqlite"]


def test_other_files_under_its_name(drawn):
    whole = (drawn / "aflw.sqlite").read_bytes()
    for data in (
        b"",
        b"<html>" * 99,
        b"PK\3\4" + bytes(99),
        whole[:50],
        whole[:100],
        whole[:4096],
        whole[: len(whole) // 2],
        whole[:-4096],
    ):
        sentence(data)


@settings(max_examples=60)
@given(st.data())
def test_damaged_databases_are_read_or_refused(drawn, draw):
    data = bytearray((drawn / "aflw.sqlite").read_bytes())
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(data) - 1))
        piece = draw.draw(st.binary(min_size=1, max_size=40))
        data[at : at + len(piece)] = piece
    end = draw.draw(st.one_of(st.none(), st.integers(0, len(data))))
    start = time.process_time()
    try:
        found = parse_aflw(bytes(data[:end]), "d/aflw.sqlite")
        assert found["points"].shape[1:] == (21, 2)
    except InputError as error:
        assert str(error).startswith("d/aflw.sqlite: ") and "\n" not in str(error)
    assert time.process_time() - start < 5


def test_a_full_size_database_is_parsed_once(tmp_path, monkeypatch):
    n = 25993
    path = tmp_path / "aflw.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SCHEMA)
        faces = range(39341, 39341 + n)
        db.executemany("INSERT INTO Faces VALUES (?,?,'flickr')", ((i, f"image{i}.jpg") for i in faces))
        db.executemany("INSERT INTO FaceImages VALUES (?,'flickr',?,?,0,9,9)", ((i, f"image{i}.jpg", f"0/image{i}.jpg") for i in faces))
        db.executemany("INSERT INTO FaceRect VALUES (?,1,2,100,100,1)", ((i,) for i in faces))
        db.executemany("INSERT INTO FacePose VALUES (?,0.1,0.2,0.3,1)", ((i,) for i in faces))
        db.executemany("INSERT INTO FeatureCoords VALUES (?,?,?,2.5,0)", ((i, f, f) for i in faces for f in range(1, 16)))
        db.executemany("INSERT INTO FeatureCoordTypes VALUES (?,?,'',0,0,0)", enumerate(POINTS, 1))
        db.commit()
    dataset = load("aflw", tmp_path)
    assert len(dataset.truth()) == n == dataset.n_expected()
    monkeypatch.setattr("hpbench.readers.aflw.parse_aflw", lambda *_: pytest.fail("it was parsed again"))
    assert len(load("aflw", tmp_path).truth()) == n


# ------------------------------------------------------------------------------------------------- real faces, cards


def test_order_of_the_points_on_real_faces(realdata):
    """19 points of two real faces, against the 68 points that MERL-RAV has for them, taken to this scheme by name."""
    listed = json.loads((realdata / "aflw" / "test_aflw.json").read_text())
    names = {image["id"]: Path(image["file_name"]).stem for image in listed["images"]}
    merl_rav = load("merl-rav", realdata / "aflw" / "merl_rav_labels.tar.gz")
    for face in listed["annotations"]:
        points = np.array(face["keypoints"]).reshape(19, 3)[:, :2]
        other = merl_rav.truth_of([names[face["image_id"]]]).landmarks[0]
        mapped = map_landmarks(map_landmarks(other, "ibug68-contour", "aflw21"), "aflw21", "aflw19")
        here = np.isfinite(mapped).all(axis=1)
        assert here.sum() == 18
        distance = np.linalg.norm(points[:, None] - mapped[here][None], axis=2)
        nearest = np.flatnonzero(here)[distance.argmin(axis=1)][here]
        assert (nearest == np.flatnonzero(here)).mean() > 0.9  # each point lies nearest to its own
        assert np.linalg.norm(points - mapped, axis=1)[here].max() < 0.1 * face["bbox"][2]


@pytest.mark.parametrize("dataset", ["aflw", "aflw-release"])
def test_protocols_are_canonical(dataset):
    card = dataset_card(dataset)
    names = {"aflw": ["landmarks-all", "pose-all", "pose-derived"], "aflw-release": ["frontal", "full"]}[dataset]
    assert [p.id for p in protocols_of(card)] == [f"{dataset}/{name}" for name in names]
    for protocol in protocols_of(card):
        assert [parse_metric(m).text for m in protocol.metrics] == list(protocol.metrics) and protocol.differs
