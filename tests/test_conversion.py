"""Other tools' files become the predictions that they hold, and nothing is lost without a word."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from foreign_files import framework_line, openface_table, put_json, some_points, some_rotations, tddfa_line
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hpbench.conversion import FORMATS, convert, guessed_format
from hpbench.conversion.images_framework import POINT_IDS
from hpbench.errors import InputError
from hpbench.faces import Faces
from hpbench.geometry.rotations import CONVENTIONS, geodesic_deg, rotation_from_euler
from hpbench.predictions import SUFFIXES, Predictions, read_predictions, write_predictions

TURNS, POINTS = some_rotations(4), some_points(4)


def told(done: object, *words: str) -> None:
    said = " ".join(done.told)  # type: ignore[attr-defined]
    for word in words:
        assert word in said, (word, said)


# ------------------------------------------------------------------------------------------------- OpenFace


def test_openface_frames(tmp_path: Path) -> None:
    (tmp_path / "clip.csv").write_text(openface_table(TURNS, POINTS, failed=(2,)))
    done = convert(tmp_path / "clip.csv")
    faces = done.predictions.faces
    assert done.format == "openface" and done.guessed and list(faces.sample_id) == [f"clip#{i}" for i in (1, 2, 3, 4)]
    good = [0, 1, 3]
    np.testing.assert_allclose(faces.rotation[good], TURNS[good], atol=1e-12)
    np.testing.assert_allclose(faces.landmarks[good], POINTS[good])
    assert np.isnan(faces.rotation[2]).all() and np.isnan(faces.landmarks[2]).all()
    assert list(faces.failure) == ["", "", "OpenFace: success 0, confidence 0.02", ""]
    told(done, "gaze (2 columns)", "translation", "3D landmarks", "shape parameters", "action units (2 columns)", "timestamp")
    assert faces.convention == "300w-lp"


def test_openface_that_found_nobody(tmp_path: Path) -> None:
    (tmp_path / "clip.csv").write_text(openface_table(TURNS, POINTS, failed=(0, 1, 2, 3)))
    with pytest.raises(InputError, match="found none of the 4 faces"):
        convert(tmp_path / "clip.csv")


def test_openface_signs_as_its_authors_say() -> None:
    """ "If they tip their head up, you'll get a negative pose_Rx. If they turn to their right, you'll get a positive pose_Ry.\""""
    up, right = Rotation.from_euler("XYZ", [[-0.3, 0, 0], [0, 0.3, 0]]).as_matrix()
    nose = np.array([0.0, 0.0, -1.0])  # out of the face of a head that looks into the camera
    assert (up @ nose)[1] < 0, "y goes down: up is negative"
    assert (right @ nose)[0] < 0, "the subject's right is the image's left"


def test_openface_of_single_images_takes_the_surest_face(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(openface_table(TURNS[:2], POINTS[:2], frames=False))
    done = convert(tmp_path)
    assert done.format == "openface" and list(done.predictions.faces.sample_id) == ["a", "b"]
    np.testing.assert_allclose(done.predictions.faces.rotation, TURNS[[0, 0]], atol=1e-12)
    told(done, "2 faces are left out, of 2 images with several")


# ------------------------------------------------------------------------------------------------- images_framework


@pytest.mark.parametrize("scheme", POINT_IDS)
@pytest.mark.parametrize("tile", [True, False], ids=["as now", "older"])
def test_images_framework(scheme: str, tile: bool, tmp_path: Path) -> None:
    ids = POINT_IDS[scheme]
    points, seen = some_points(2, len(ids)), np.random.default_rng(1).random((2, len(ids))) < 0.7
    order = np.random.default_rng(2).permutation(len(ids))  # the tools group points by part
    text = "".join(
        framework_line(f"/data/image{k}.jpg", TURNS[k], {ids[i]: (*points[k, i], bool(seen[k, i])) for i in order}, tile=tile)
        for k in (0, 1)
    )
    (tmp_path / "results.txt").write_text("0;/data/image0.jpg;ignored\n" + text + f"3;/data/image2.jpg;{'[0, 0, 1, 1];' * tile}0;0\n")
    done = convert(tmp_path / "results.txt")
    faces = done.predictions.faces
    assert done.format == "images_framework" and list(faces.sample_id) == ["data/image0", "data/image1", "data/image2"]
    np.testing.assert_allclose(faces.rotation[:2], TURNS[:2], atol=1e-12)
    np.testing.assert_allclose(faces.landmarks[:2], points)
    np.testing.assert_array_equal(faces.visibility[:2], seen)
    assert faces.failure[2] and np.isnan(faces.rotation[2]).all()
    assert faces.scheme == (None if scheme == "ibug68" else scheme)
    told(done, "1 lines of other components", "2 labels", "confidences")


def test_images_framework_means_opal23s_angles(tmp_path: Path) -> None:
    """Its annotation lists are read with from_euler('XYZ', [pitch, yaw, roll]): our convention opal23 of the same numbers."""
    yaw, pitch, roll = 31.0, -12.0, 5.0
    theirs = Rotation.from_euler("XYZ", [pitch, yaw, roll], degrees=True).as_matrix()
    (tmp_path / "results.txt").write_text(f"3;a.jpg;[0, 0, 9, 9];0;1;-1;(0, 0, 9, 9);{theirs.tolist()};0\n")
    found = convert(tmp_path / "results.txt").predictions.faces
    np.testing.assert_allclose(found.rotation[0], rotation_from_euler([yaw, pitch, roll], "opal23"), atol=1e-12)


def test_what_images_framework_did_not_predict_is_left_out(tmp_path: Path) -> None:
    ids = POINT_IDS["cofw29"]
    lines = [framework_line(f"{k}.jpg", np.eye(3), {i: (1.0 + i, 2.0, True) for i in ids}) for k in range(3)]
    (tmp_path / "results.txt").write_text("".join(lines))
    done = convert(tmp_path / "results.txt")
    assert done.predictions.faces.rotation is None and done.predictions.faces.visibility is None
    told(done, "every rotation is the identity", "every landmark is called visible")


def test_the_ids_of_the_points_are_as_published() -> None:
    """Ids shared between the sets name the same point (the nose tip is 17, the chin 24, the outer eye corners 7 and 12)."""
    assert [POINT_IDS["ibug68"].index(i) for i in (24, 17, 7, 12, 20, 21)] == [8, 30, 36, 45, 48, 54]
    assert [POINT_IDS["wflw98"].index(i) for i in (24, 17, 7, 12, 20, 21)] == [16, 54, 60, 72, 76, 82]
    assert [POINT_IDS["cofw29"].index(i) for i in (24, 17, 7, 12)] == [28, 20, 8, 9]
    assert [POINT_IDS["aflw21"].index(i) for i in (24, 17, 7, 12)] == [20, 14, 6, 11]
    for name, ids in POINT_IDS.items():
        assert len(set(ids)) == len(ids) == int("".join(c for c in name if c.isdigit()))


# ------------------------------------------------------------------------------------------------- 3DDFA_V2, SPIGA, COCO, pts


def test_3ddfa_v2(tmp_path: Path) -> None:
    log = "".join(
        f"Detect 1 faces\n{tddfa_line(TURNS[k])}Save visualization result to examples/results/face{k}_pose.jpg\n" for k in range(4)
    )
    (tmp_path / "poses.txt").write_text(log + "No face detected, exit\n")
    done = convert(tmp_path / "poses.txt")
    faces = done.predictions.faces
    assert done.format == "3ddfa-v2" and list(faces.sample_id) == [f"face{k}" for k in range(4)]
    assert geodesic_deg(faces.rotation, TURNS).max() < 0.2
    told(done, "one decimal", "1 images without a face")


def test_3ddfa_v2_a_file_an_image(tmp_path: Path) -> None:
    for k in range(3):
        (tmp_path / f"im{k}.txt").write_text(tddfa_line(TURNS[k], decimals=9) if k else "No face detected, exit\n")
    faces = convert(tmp_path).predictions.faces
    assert list(faces.sample_id) == ["im0", "im1", "im2"] and faces.failure[0] == "3DDFA_V2: no face detected"
    assert geodesic_deg(faces.rotation[1:], TURNS[1:3]).max() < 1e-6


def spiga(k: int, **changes: object) -> dict[str, object]:
    face = {"imgpath": f"images/test/{k}.jpg", "bbox": [0, 0, 1, 1], "headpose": [10.0, 20.0, 30.0, 0.1, 0.2, 3.0]}
    return {**face, "ids": list(POINT_IDS["ibug68"]), "landmarks": POINTS[k].tolist(), "visible": [1.0] * 68, **changes}


def test_spiga(tmp_path: Path) -> None:
    done = convert(put_json(tmp_path / "results.json", [spiga(0), spiga(1, headpose=None, landmarks=None)]), scheme="ibug68-contour")
    faces = done.predictions.faces
    np.testing.assert_array_equal(faces.euler_deg[0], [-10.0, 20.0, 30.0])
    np.testing.assert_array_equal(faces.landmarks[0], POINTS[0])
    assert (faces.convention, faces.scheme, faces.visibility) == ("yxz", "ibug68-contour", None) and np.isnan(faces.landmarks[1]).all()
    told(done, "visible is left out", "translations")


def test_spigas_published_predictions(realdata: Path) -> None:
    """The golden NME of its 689 faces, and its poses near those fitted to its own points."""
    folder = realdata / "300w" / "spiga_300wpublic"
    faces = convert(folder / "results_300wpublic_test.json").predictions.faces
    truth = np.array([face["landmarks"] for face in json.loads((folder / "test.json").read_text())])
    nme = np.linalg.norm(faces.landmarks - truth, axis=2).mean(axis=1) / np.linalg.norm(truth[:, 36] - truth[:, 45], axis=1)
    assert 100 * nme.mean() == pytest.approx(2.9936872679, abs=1e-9)
    left_of_box = (truth[:, 30, 0] - truth[:, :17, 0].mean(axis=1)) < 0  # the nose tip left of the jaw's middle: positive yaw
    assert np.mean((faces.euler_deg[:, 0] > 0) == left_of_box) > 0.9


def test_coco(tmp_path: Path) -> None:
    v = np.random.default_rng(0).random((2, 29))
    entries = [
        {
            "image_id": k,
            "category_id": 1,
            "keypoints": np.column_stack([POINTS[k, :29], v[k]]).ravel().tolist(),
            "score": 0.9,
            "area": 3,
            "tag": "x",
        }
        for k in (0, 1)
    ]
    worse = {**entries[0], "keypoints": [0.0, 0.0, 0.5] * 29, "score": 0.2}
    images = put_json(tmp_path / "labels.json", {"images": [{"id": k, "file_name": f"im/{k}.png"} for k in (0, 1)]})
    done = convert(put_json(tmp_path / "results.json", [worse, *entries]), images=images, scheme="cofw29")
    faces = done.predictions.faces
    assert done.format == "coco" and list(faces.sample_id) == ["im/0", "im/1"]
    np.testing.assert_allclose(faces.landmarks, POINTS[:2, :29])
    np.testing.assert_allclose(faces.visibility, v)
    told(done, "left out: tag", "1 faces are left out", "v is read as P(visible)")


@pytest.mark.parametrize(
    ("v", "visibility", "words"),
    [
        ([2, 1, 0], [1.0, 0.0, np.nan], "0 not there, 1 occluded, 2 visible"),
        ([1, 1, 1], None, "v is 1 everywhere"),
        ([3.5, 0.1, 0.2], None, "no probability"),
    ],
)
def test_what_v_means_in_coco(v: list[float], visibility: list[float] | None, words: str, tmp_path: Path) -> None:
    entry = {"image_id": "a", "keypoints": [x for i, value in enumerate(v) for x in (10.0 + i, 20.0, value)]}
    done = convert(put_json(tmp_path / "r.json", [entry]))
    told(done, words)
    found = done.predictions.faces.visibility
    assert found is None if visibility is None else np.array_equal(found[0], visibility, equal_nan=True)
    assert np.isnan(done.predictions.faces.landmarks[0, 2]).all() == (v == [2, 1, 0]), "a point that is not there has no place"


def test_pts_count_pixels_from_1(tmp_path: Path) -> None:
    for k in (0, 1):
        (tmp_path / "lfpw").mkdir(exist_ok=True)
        rows = "\n".join(f"{x!r} {y!r}" for x, y in POINTS[k].tolist())
        (tmp_path / "lfpw" / f"image_{k}.pts").write_text(f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n")
    done = convert(tmp_path)
    assert done.format == "pts" and list(done.predictions.faces.sample_id) == ["lfpw/image_0", "lfpw/image_1"]
    np.testing.assert_allclose(done.predictions.faces.landmarks, POINTS[:2] - 1)
    told(done, "counted from 1")
    np.testing.assert_allclose(convert(tmp_path, pixel_origin=0).predictions.faces.landmarks, POINTS[:2])


# ------------------------------------------------------------------------------------------------- tables

ANGLE = st.floats(-179, 179, allow_nan=False).map(lambda x: round(x, 4))


@settings(max_examples=40)
@given(
    angles=st.lists(st.tuples(ANGLE, ANGLE, ANGLE), min_size=1, max_size=5),
    names=st.sampled_from([("yaw", "pitch", "roll"), ("Yaw (deg)", "PITCH_DEG", "pred_roll"), ("yaw_rad", "pitch_rad", "roll_rad")]),
    mark=st.sampled_from(",;\t"),
    order=st.permutations(range(4)),
)
def test_angles_of_a_bare_table(
    angles: list[tuple[float, float, float]], names: tuple[str, ...], mark: str, order: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("table") / "angles.csv"
    radians = "rad" in names[0]
    rows = [(f"im{k}.jpg", *map(repr, (np.deg2rad(a) if radians else np.array(a)).tolist())) for k, a in enumerate(angles)]
    table = [("Image", *names), *rows]
    path.write_text("".join(mark.join(row[i] for i in order) + "\n" for row in table))
    for convention in CONVENTIONS:
        faces = convert(path, convention=convention).predictions.faces
        np.testing.assert_allclose(faces.euler_deg, angles, atol=1e-9)
        assert (faces.convention, faces.sample_id[0]) == (convention, "im0")


def test_columns_are_named_by_hand_and_the_others_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("who,A,B,C,score\nx.png,0.1,0.2,0.3,9\n")
    columns = {"sample_id": "who", "yaw_deg": "A", "pitch_deg": "B", "roll_deg": "C"}
    done = convert(tmp_path / "t.csv", columns=columns, convention="yxz", radians=True)
    np.testing.assert_allclose(done.predictions.faces.euler_deg, np.rad2deg([[0.1, 0.2, 0.3]]))
    told(done, "left out: score", "angles were radians")


def test_landmark_columns_counted_from_1(tmp_path: Path) -> None:
    names = [f"{axis}_{i}" for i in range(1, 30) for axis in "xy"]
    (tmp_path / "t.csv").write_text(
        ",".join(["file", *names]) + "\n" + ",".join(["a.jpg", *map(repr, POINTS[0, :29].ravel().tolist())]) + "\n"
    )
    np.testing.assert_allclose(convert(tmp_path / "t.csv", scheme="cofw29").predictions.faces.landmarks[0], POINTS[0, :29])


def test_our_own_files_change_their_format(tmp_path: Path) -> None:
    faces = convert_faces(tmp_path)
    convert(tmp_path / "a.npz", tmp_path / "b.jsonl", model="net", boxes="landmarks")
    again = read_predictions(tmp_path / "b.jsonl")
    assert again.faces.content_sha256() == faces.content_sha256() and (again.model, again.boxes) == ("net", "landmarks")


def convert_faces(folder: Path) -> object:
    from hpbench.faces import Faces

    faces = Faces(["a", "b"], euler_deg=[[1, 2, 3], [np.nan] * 3], convention="yxz", failure=["", "no face"], landmarks=POINTS[:2])
    write_predictions(folder / "a.npz", Predictions(faces))
    return faces


# ------------------------------------------------------------------------------------------------- bad input

BAD = {
    "results.txt": [
        ("3;a.jpg;[0, 0, 1, 1];0;1;-1;(0,0,1,1)", "ends too early"),
        ("3;a.jpg;[0, 0, 1, 1];0;x", "no number of predictions"),
        (f"3;a.jpg;[0, 0, 1, 1];0;1;-1;(0);{np.eye(3).tolist()};1;5;1;2;maybe;1", "is no landmark"),
        ("3;a.jpg;[0, 0, 1, 1];0;1;-1;(0);[1, 2, 3];0", "is no 3x3 rotation"),
        (f"3;a.jpg;[0, 0, 1, 1];0;1;-1;(0);{np.eye(3).tolist()};1;99999;1;2;True;1", "of no known scheme"),
        (framework_line("a.jpg", TURNS[0], {}, faces=2), "several faces"),
    ],
    "r.json": [
        ('[{"image_id": 1, "keypoints": [1, 2]}]', "x, y, v"),
        ('[{"image_id": 1, "keypoints": [1, 2, "a"]}]', "is no array of numbers"),
        ('[{"imgpath": "a", "headpose": [1, 2]}]', "headpose has 2 numbers"),
        ("{}", "looks like no format"),
        ("[1, ", "no valid JSON"),
    ],
    "t.csv": [
        ("image,yaw,pitch,roll\na,1,2,3\n", "no word on their convention"),
        ("image,score\na,1\n", "none of its columns"),
        ("alpha,yaw_deg,pitch_deg,roll_deg\na,1,2,3\n", "which column names the image"),
        ("image,yaw_deg,pitch_deg,roll_deg\na,1,x,3\n", "row 1, column 'pitch_deg': 'x' is no number"),
        ("image,yaw_deg,pitch_deg,roll_deg\na,1\n", "row 1 has 2 cells"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text", "words"), [(n, t, w) for n, cases in BAD.items() for t, w in cases])
def test_what_cannot_be_read_is_one_sentence(name: str, text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        convert(tmp_path / name, tmp_path / "out.csv")
    message = str(caught.value)
    assert words in message and message.startswith(str(tmp_path / name)) and "\n" not in message
    assert not (tmp_path / "out.csv").exists()


WHOLE = {
    "openface": ("clip.csv", openface_table(TURNS, POINTS)),
    "images_framework": ("results.txt", framework_line("a.jpg", TURNS[0], {i: (1.0, 2.0, i > 9) for i in POINT_IDS["aflw21"]})),
    "3ddfa-v2": ("log.txt", tddfa_line(TURNS[0]) + "Save visualization result to a_pose.jpg\n"),
    "spiga": ("s.json", json.dumps([spiga(0), spiga(1)])),
    "coco": ("c.json", json.dumps([{"image_id": 1, "keypoints": [1.0, 2.0, 0.5, 3.0, 4.0, 0.2], "score": 0.5}])),
    "csv": ("t.csv", "image,r00,r01,r02,r10,r11,r12,r20,r21,r22,x0,y0\na,1,0,0,0,1,0,0,0,1,5,6\n"),
    "pts": ("a.pts", "version: 1\nn_points: 21\n{\n" + "1.0 2.0\n" * 21 + "}\n"),
    "hpbench": ("p.jsonl", '{"convention": "yxz"}\n{"sample_id": "a", "euler_deg": [1, 2, 3]}\n'),
}  # fmt: skip
ODD = ["nan", "inf", "1e999", "-", '"', "[]", "{}", "null", "true", ";", ",", "\n", "\x00", "\u00e9", "[[1]]", "9" * 30, '{"a": [1]}', ""]


@settings(max_examples=60)
@given(
    source=st.sampled_from(sorted(WHOLE)), where=st.floats(0, 1), length=st.integers(0, 12), odd=st.sampled_from(ODD), cut=st.booleans()
)  # fmt: skip
def test_a_damaged_file_is_read_or_refused_in_one_sentence(
    source: str, where: float, length: int, odd: str, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name, text = WHOLE[source]
    at = int(where * len(text))
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_text(text[:at] + odd + ("" if cut else text[at + length :]), encoding="utf-8", newline="")
    try:
        convert(path, source=source)
    except InputError as error:
        assert "\n" not in str(error) and str(error).startswith(str(path))


def test_a_whole_file_is_read() -> None:
    assert set(WHOLE) == set(FORMATS)


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    (tmp_path / "clip.csv").write_text(openface_table(TURNS, POINTS))
    for options, words in (
        ({"convention": "yxz"}, "angles of openface are 300w-lp"),
        ({"convention": "300w-pl"}, "did you mean '300w-lp'"),
        ({"scheme": "wflw98"}, "has 98 points, and there are 68"),
        ({"radians": True}, "--radians is for the format csv"),
        ({"source": "openfase"}, "did you mean 'openface'"),
        ({"dataset": "heads"}, "match no face of heads"),
    ):
        with pytest.raises(InputError, match=words):
            convert(tmp_path / "clip.csv", **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="ends in"):
        convert(tmp_path / "clip.csv", tmp_path / "out.txt")


def test_every_format_has_a_word_on_it() -> None:
    assert all(f.what and callable(f.read) for f in FORMATS.values())
    with pytest.raises(InputError, match="no such file"):
        guessed_format(Path("nowhere.csv"))


def test_what_an_own_file_declares_goes_with_it(tmp_path: Path) -> None:
    """Predictions with a detector's boxes must not become rankable by conversion."""
    faces = Faces(["a", "b"], rotation=np.tile(np.eye(3), (2, 1, 1)))
    write_predictions(tmp_path / "p.h5", Predictions(faces, "detector:rfb320", "net"))
    for suffix in SUFFIXES:
        convert(tmp_path / "p.h5", out=tmp_path / f"q{suffix}")
        got = read_predictions(tmp_path / f"q{suffix}")
        assert (got.boxes, got.model) == ("detector:rfb320", "net")
    with pytest.raises(InputError, match="the file says 'detector:rfb320'"):
        convert(tmp_path / "p.h5", boxes="landmarks")
