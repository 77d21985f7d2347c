"""Users' own data: what a label file of any of the three forms says is what samples and truth hold."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpbench import jobs
from hpbench.catalog import dataset_card, protocols_of
from hpbench.errors import InputError, MissingDataError
from hpbench.geometry.rotations import rotation_from_euler
from hpbench.predictions import Predictions, read_predictions
from hpbench.readers import Dataset, load

ROOT = Path(__file__).resolve().parents[1]

CARD = """\
id = "own"
title = "Own data"
reader = "table"
homepage = ""
licence = "Ours."
redistribution = "None."
obtain = "Ask us."
layout = "labels and images"
citation = ""
default_boxes = "{boxes}"
open_splits = {splits}
{top}

[splits]
all = {count}
{test}

[boxes.drawn]
source = "official:labels.csv"

[boxes.points]
source = "landmarks"

[options]
{options}
"""

PROTOCOL = """\
id = "own/{name}"
version = 1
title = "Own"
dataset = "own"
split = "all"
boxes = "points"
norm_box = "points"
main = "{main}"
metrics = {metrics}
"""

EULER = np.array([[10.0, -5.0, 2.0], [-170.0, 3.0, 1.0], [0.25, 0.0, -0.5]])
POINTS = np.array([[[1.0, 2], [30, 4], [5, 60]], [[10.5, 20], [np.nan, np.nan], [50, 61]], [[3, 3], [9, 3], [6, 12]]])
VISIBLE = np.array([[1.0, 0, 1], [0, np.nan, 1], [1, 1, 1]])
BOXES = np.array([[0.0, 0, 40, 70], [-5, 1.5, 60, 80], [2, 2, 10, 13]])
IDS = ["b", "a", "c/1"]  # not sorted
IMAGES = ["pics/b.png", "pics/a.png", "pics/deep/c.png"]


def own_card(tmp_path: Path, monkeypatch, options="", top='convention = "300w-lp"', boxes="points", count=3, test=False) -> None:
    """A private catalog with the dataset ``own``; with `test`, it has a split of that name beside ``all``."""
    home = tmp_path / "catalog" / "datasets" / "own"
    (home / "protocols").mkdir(parents=True, exist_ok=True)
    splits = '["all", "test"]' if test else '["all"]'
    text = CARD.format(options=options, top=top, boxes=boxes, count=count, splits=splits, test="test = 1" if test else "")
    (home / "card.toml").write_text(text)
    monkeypatch.setenv("HPBENCH_CATALOG", str(tmp_path / "catalog"))


def own_protocol(tmp_path: Path, name: str, metrics: list[str]) -> None:
    text = PROTOCOL.format(name=name, main=metrics[0], metrics=json.dumps(metrics))
    (tmp_path / "catalog" / "datasets" / "own" / "protocols" / f"{name}.toml").write_text(text)


def cell(value: float) -> str:
    return "" if np.isnan(value) else repr(float(value))


def csv_text() -> str:
    header = ["sample_id", "image", "yaw_deg", "pitch_deg", "roll_deg", *(f"{a}{i}" for i in range(3) for a in "xy"), "v0", "v1", "v2"]
    header += ["box_x0", "box_y0", "box_x1", "box_y1", "person", "sequence", "age", "light", "split"]
    lines = [",".join(header)]
    for row in range(3):
        numbers = [*EULER[row], *POINTS[row].ravel(), *VISIBLE[row], *BOXES[row]]
        texts = ["ann" if row else "bob", f"s{row}", ["30", "", "41.5"][row], ["day", "7", "night"][row], ["test", "train", "train"][row]]
        lines.append(",".join([IDS[row], IMAGES[row], *map(cell, numbers), *texts]))
    return "\n".join(lines) + "\n"


def jsonl_text() -> str:
    lines = ["{}"]
    for row in range(3):
        entry = {
            "sample_id": IDS[row],
            "image": IMAGES[row],
            "euler_deg": EULER[row].tolist(),
            "landmarks": [[None if v != v else v for v in point] for point in POINTS[row].tolist()],
            "visibility": [None if v != v else v for v in VISIBLE[row].tolist()],
            "box_xyxy_px": BOXES[row].tolist(),
            "person": "ann" if row else "bob",
            "sequence": f"s{row}",
            "age": [30, None, 41.5][row],
            "light": ["day", 7, "night"][row],
            "split": ["test", "train", "train"][row],
        }
        lines.append(json.dumps(entry))
    return "\n".join(lines) + "\n"


def coco() -> dict:
    """The same faces, as COCO: occluded points have v = 1, absent ones 0, 0, 0."""
    annotations = []
    for row in range(3):
        keypoints = []
        for (x, y), v in zip(POINTS[row].tolist(), VISIBLE[row].tolist(), strict=True):
            keypoints += [0, 0, 0] if v != v else [x, y, 2 if v else 1]
        x0, y0, x1, y1 = BOXES[row].tolist()
        annotations.append({
            "id": 7 * row, "image_id": row, "category_id": 1, "keypoints": keypoints, "num_keypoints": 3, "iscrowd": 0, "area": 1.0,
            "bbox": [x0, y0, x1 - x0, y1 - y0], "center": [1.0, 2.0], "sample_id": IDS[row], "person": "ann" if row else "bob",
            "sequence": f"s{row}", "yaw_deg": EULER[row, 0], "pitch_deg": EULER[row, 1], "roll_deg": EULER[row, 2],
            "age": [30, None, 41.5][row], "light": ["day", 7, "night"][row], "split": ["test", "train", "train"][row],
        })  # fmt: skip
    images = [{"id": row, "file_name": name, "width": 64, "height": 64} for row, name in enumerate(IMAGES)]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "face", "keypoints": []}]}


FORMS = {".csv": csv_text, ".jsonl": jsonl_text, ".json": lambda: json.dumps(coco())}


@pytest.fixture(params=FORMS)
def own(request, tmp_path: Path, monkeypatch) -> Dataset:
    """The three faces in each form, with images."""
    own_card(tmp_path, monkeypatch, f'labels = "labels{request.param}"', test=True)
    return write_data(tmp_path, f"labels{request.param}", FORMS[request.param]())


def write_data(tmp_path: Path, name: str, text: str | bytes) -> Dataset:
    folder = tmp_path / "data"
    for number, image in enumerate(IMAGES):
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / image), np.full((64, 64, 3), 40 * number + 5, np.uint8))
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return load("own", folder)


# ------------------------------------------------------------------------------------------------- what is read


def test_every_value_is_the_one_written(own):
    truth = own.truth()
    order = [1, 0, 2]
    assert list(truth.sample_id) == ["a", "b", "c/1"] == own.found_ids() == own.image_ids()
    np.testing.assert_array_equal(truth.euler_deg, EULER[order])
    np.testing.assert_allclose(truth.rotation, rotation_from_euler(EULER[order], "300w-lp"))
    np.testing.assert_array_equal(truth.landmarks, POINTS[order])
    np.testing.assert_array_equal(truth.visibility, VISIBLE[order])
    np.testing.assert_array_equal(truth.box_xyxy_px, BOXES[order])
    assert (list(truth.person), list(truth.sequence)) == (["ann", "bob", "ann"], ["s1", "s0", "s2"])
    np.testing.assert_array_equal(truth.attributes["age"], [np.nan, 30, 41.5])
    np.testing.assert_array_equal(truth.attributes["abs_yaw_deg"], [170, 10, 0.25])
    assert list(truth.attributes["light"]) == ["7", "day", "night"]
    assert (truth.convention, truth.scheme) == ("300w-lp", None)
    assert own.ids("test") == ["b"] and own.foreign_ids() == []


def test_samples_have_images_and_boxes(own):
    for boxes, expected in (("drawn", BOXES), ("points", np.concatenate([np.nanmin(POINTS, axis=1), np.nanmax(POINTS, axis=1)], axis=1))):
        samples = list(own.samples(boxes=boxes))
        assert [int(s.image.read()[0, 0, 0]) for s in samples] == [45, 5, 85]
        np.testing.assert_array_equal([s.box_xyxy_px for s in samples], expected[[1, 0, 2]])
    assert [s.sample_id for s in own.samples("test")] == ["b"]


def test_a_matrix_and_landmarks_alone(tmp_path, monkeypatch):
    own_card(tmp_path, monkeypatch, top="")
    matrices = rotation_from_euler(EULER, "300w-lp")
    header = ",".join(["sample_id", *(f"r{i}{j}" for i in range(3) for j in range(3))])
    dataset = write_data(
        tmp_path,
        "labels.csv",
        "\n".join([header, *(",".join([i, *map(repr, m.ravel().tolist())]) for i, m in zip(IDS, matrices, strict=True))]),
    )
    np.testing.assert_array_equal(dataset.truth().rotation, matrices[[1, 0, 2]])
    assert dataset.truth().euler_deg is None and dataset.image_ids() == ["a", "b"]  # pics/a.png is called like its id; c/1 is not there
    (tmp_path / "data" / "labels.csv").write_text("sample_id,x0,y0\na,1,2\n")
    assert load("own", tmp_path / "data").truth().rotation is None


def test_ids_are_image_paths_where_none_are_given(tmp_path, monkeypatch):
    own_card(tmp_path, monkeypatch)
    dataset = write_data(tmp_path, "labels.csv", "image,x0,y0,x1,y1\npics\\deep\\c.png,1,2,3,4\npics/a.png,1,2,3,4\n")
    assert dataset.ids() == ["pics/a", "pics/deep/c"] == dataset.image_ids()
    assert [int(s.image.read()[0, 0, 0]) for s in dataset.samples()] == [45, 85]


def test_matlab_pixels_and_inverted_visibility(tmp_path, monkeypatch):
    own_card(tmp_path, monkeypatch, 'pixel_origin = 1\nvisibility_polarity = "occluded"')
    truth = write_data(tmp_path, "labels.csv", csv_text()).truth()
    np.testing.assert_array_equal(truth.landmarks, POINTS[[1, 0, 2]] - 1)
    np.testing.assert_array_equal(truth.box_xyxy_px, BOXES[[1, 0, 2]] - 1)
    np.testing.assert_array_equal(truth.visibility, 1 - VISIBLE[[1, 0, 2]])


def test_windows_files(tmp_path, monkeypatch):
    own_card(tmp_path, monkeypatch)
    content = b"\xef\xbb\xbf" + csv_text().replace("\n", "\r\n").encode()
    assert list(write_data(tmp_path, "labels.csv", content).truth().sample_id) == ["a", "b", "c/1"]


def test_file_and_card_state_one_convention(tmp_path, monkeypatch):
    own_card(tmp_path, monkeypatch, top="")
    assert write_data(tmp_path, "labels.csv", "# convention=opal23\n" + csv_text()).truth().convention == "opal23"
    with pytest.raises(InputError, match=r"labels\.csv: has angles: write their convention on the card"):
        write_data(tmp_path, "labels.csv", csv_text()).truth()
    own_card(tmp_path, monkeypatch)
    with pytest.raises(InputError, match="declares the convention 'opal23', the card '300w-lp'"):
        write_data(tmp_path, "labels.csv", "# convention=opal23\n" + csv_text()).truth()


def test_coco_visibility(tmp_path, monkeypatch):
    content = coco()
    for annotation in content["annotations"]:
        annotation["keypoints"][2::3] = [1, 0, 1]
    for said, labelled, visible in (
        ("labelled", [1, 0, 1], None),
        ("standard", [1, 0, 1], [0, np.nan, 0]),
        ("visible", [1, 1, 1], [1, 0, 1]),
    ):
        own_card(tmp_path, monkeypatch, f'labels = "l.json"\ncoco_visibility = "{said}"')
        truth = write_data(tmp_path, "l.json", json.dumps(content)).truth()
        np.testing.assert_array_equal(np.isfinite(truth.landmarks[..., 0]), np.tile(labelled, (3, 1)))
        if visible is None:
            assert truth.visibility is None
        else:
            np.testing.assert_array_equal(truth.visibility, np.tile(visible, (3, 1)))
    own_card(tmp_path, monkeypatch, 'labels = "l.json"')
    with pytest.raises(InputError, match=r"l\.json: no keypoint has v = 2.*coco_visibility"):
        write_data(tmp_path, "l.json", json.dumps(content)).truth()


def test_coco_faces_of_one_image_and_crowds(tmp_path, monkeypatch):
    own_card(tmp_path, monkeypatch, 'labels = "l.json"', boxes="drawn")
    content = coco()
    for annotation in content["annotations"]:
        del annotation["sample_id"]
        annotation["image_id"] = 0
    content["annotations"].append({"id": 99, "image_id": 1, "iscrowd": 1, "bbox": [0, 0, 9, 9]})
    content["annotations"].append({"id": 100, "image_id": 1, "bbox": [0, 0, 9, 9], "yaw_deg": 1, "pitch_deg": 2, "roll_deg": 3})
    dataset = write_data(tmp_path, "l.json", json.dumps(content))
    assert dataset.ids() == ["0", "100", "14", "7"] and dataset.foreign_ids() == ["crowd 99"]
    assert [int(s.image.read()[0, 0, 0]) for s in dataset.samples()] == [5, 45, 5, 5]
    assert np.isnan(dataset.truth().landmarks[1]).all() and list(dataset.truth().euler_deg[1]) == [1, 2, 3]


def test_images_of_one_name_in_two_folders(tmp_path, monkeypatch):
    own_card(tmp_path, monkeypatch)
    dataset = write_data(tmp_path, "labels.csv", "sample_id,image,x0,y0,x1,y1\n1,a.png,1,2,3,4\n2,deep/a.png,1,2,3,4\n")
    (tmp_path / "data" / "deep").mkdir()
    shutil.copy(tmp_path / "data" / "pics" / "b.png", tmp_path / "data" / "deep" / "a.png")
    dataset = load("own", tmp_path / "data")
    assert cv2.imread(dataset.image_file("2").name)[0, 0, 0] == 5
    with pytest.raises(InputError, match="one name and different content"):
        dataset.image_file("1")
    shutil.copy(tmp_path / "data" / "pics" / "deep" / "c.png", tmp_path / "data" / "a.png")
    assert int(next(iter(load("own", tmp_path / "data").samples())).image.read()[0, 0, 0]) == 85  # the one beside the labels


# ------------------------------------------------------------------------------------------------- scoring


def test_truth_as_prediction_has_no_error(own, tmp_path):
    shutil.rmtree(tmp_path / "data" / "pics")
    own_protocol(tmp_path, "pose", ["geodesic", "mae(convention=300w-lp)"])
    own_protocol(tmp_path, "points", ["nme(norm=height)", "auc(below=8,norm=sqrt_wh)", "fr(above=8,norm=diagonal)", "distance_px"])
    dataset = load("own", tmp_path / "data")
    truth = replace(dataset.truth(), box_xyxy_px=None)
    for protocol in protocols_of(dataset_card("own")):
        (record,) = jobs.score(Predictions(truth, "points"), dataset, protocol=protocol.id, out=tmp_path / "out")
        assert [s.value for s in record.scores] == pytest.approx(
            [100.0 if s.metric.startswith("auc") else 0.0 for s in record.scores], abs=1e-6
        )
        assert not record.partial and record.coverage == 1.0


def run_documented(text: str, tmp_path: Path, monkeypatch) -> list[str]:
    """Write the files that a page shows and run its commands; what they print."""
    for path, body in re.findall(r"^`([\w/.-]+)`[^\n]*:\n\n```\w+\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(body)
    printed = []
    for line in re.search(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)[1].splitlines():
        words = shlex.split(line)
        if words[0] == "export":
            monkeypatch.setenv(*words[1].split("="))
            continue
        result = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, cwd=tmp_path)
        assert words[0] == "hpbench" and result.returncode == 0, f"{line}: {result.stderr}"
        printed.append(result.stdout)
    return printed


def test_the_page_shows_what_happens(tmp_path, monkeypatch):
    text = (ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")
    for number, name in enumerate(("ann_01", "ann_02", "bob_01", "bob_02")):
        path = tmp_path / "office" / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((120, 120, 3), 50 * number, np.uint8))
    checked, _, _, board = run_documented(text, tmp_path, monkeypatch)
    assert "office: " in checked and (tmp_path / "sheet.png").stat().st_size > 1000
    assert "frontal" in board and "geodesic" in board
    (record,) = (tmp_path / "out").glob("*.json")
    content = json.loads(record.read_text())
    assert not content["partial"] and set(content["subsets"]) == {"day", "night", "profiles"}
    assert content["subsets"]["profiles"][0]["n_scored"] == 1
    for option in re.findall(r"^\| `(\w+)` \| ", text.partition("| option |")[2], flags=re.MULTILINE):
        assert option in (ROOT / "hpbench" / "readers" / "generic.py").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------------- bad input


def test_nothing_of_it_here(tmp_path, monkeypatch):
    own_card(tmp_path, monkeypatch)
    (tmp_path / "data").mkdir()
    with pytest.raises(MissingDataError, match=r"no labels\.csv in the data given, but no files\.\nOwn data: Ask us"):
        load("own", tmp_path / "data")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("pixel_orgin = 1", "unknown option 'pixel_orgin': .*pixel_origin"),
        ("pixel_origin = 2", "options.pixel_origin must be 0 or 1, not 2"),
        ("pixel_origin = true", "options.pixel_origin must be 0 or 1"),
        ('visibility_polarity = "hidden"', "must be 'visible' or 'occluded'"),
        ('labels = "../labels.csv"', "must be a relative name"),
        ('labels = "/etc/labels.csv"', "must be a relative name"),
        ('labels = "labels.xlsx"', "must be a relative name that ends in .csv"),
        ("labels = 3", "options.labels must be a text"),
        ('convention = "300w-lp"', "convention is a key of the card itself"),
    ],
)
def test_bad_options(tmp_path, monkeypatch, options, message):
    own_card(tmp_path, monkeypatch, options)
    with pytest.raises(InputError, match=message) as caught:
        write_data(tmp_path, "labels.csv", csv_text())
    assert "card.toml" in str(caught.value)


def test_options_of_another_form(tmp_path, monkeypatch):
    own_card(tmp_path, monkeypatch, 'coco_visibility = "labelled"')
    with pytest.raises(InputError, match=r"coco_visibility says nothing about a \.csv file"):
        write_data(tmp_path, "labels.csv", csv_text()).truth()
    own_card(tmp_path, monkeypatch, 'labels = "l.json"\nvisibility_polarity = "visible"')
    with pytest.raises(InputError, match="visibility_polarity says nothing about a COCO file"):
        write_data(tmp_path, "l.json", json.dumps(coco())).truth()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no table"),
        ("sample_id,x0,y0\n", "holds no face"),
        ("sample_id,age\na,3\n", "no labels in it"),
        ("x0,y0\n1,2\n", "neither sample_id nor image"),
        ("sample_id,yaw,pitch,roll\na,1,2,3\n", "has a column 'yaw': in degrees"),
        ("sample_id,x0,y0,failure\na,1,2,bad\n", "a file of predictions"),
        ("# model=x\nsample_id,x0,y0\na,1,2\n", "declares 'model'"),
        ("sample_id,x0,y0\na,1,\n", "row 1: point 0 has one coordinate only"),
        ("sample_id,x0,y0\na,1,2\na,1,2\n", "'a' stands twice, in rows 1 and 2"),
        ("image,x0,y0\na.jpg,1,2\na.png,1,2\n", "several rows are of image 'a'"),
        ("sample_id,x0,y0\na,1,two\n", "row 1, column 'y0': 'two' is no number"),
        ("sample_id,x0,y0\na,1,inf\n", "infinite"),
        ("sample_id,x1,y1\na,1,2\n", "incomplete: x0 is missing"),
        ("sample_id,x0,y0,box_x0,box_y0,box_x1\na,1,2,1,2,3\n", "box_y1 is missing"),
        ("sample_id,x0,y0,box_x0,box_y0,box_x1,box_y1\na,1,2,50,60,20,30\n", "row 1: its box ends before it begins: .* width, height"),
        ("sample_id,x0,y0,box_x0,box_y0,box_x1,box_y1\na,1,2,50,60,,90\n", "row 1: its box has fewer than four numbers"),
        ("sample_id,x0,y0,v0\na,1,2,0.5\n", "row 1: visibility of point 0 is 0.5"),
        ("sample_id,image,x0,y0\na,../../etc/a.png,1,2\n", "row 1: image '../../etc/a.png' must be a path below"),
        ("sample_id,image,x0,y0\na,/etc/a.png,1,2\n", "must be a path below"),
        ("sample_id,image,x0,y0\na,C:\\a.png,1,2\n", "must be a path below"),
        ("sample_id,image,x0,y0\na,https://a.org/a.png,1,2\n", "an address"),
        ("sample_id,image,x0,y0\na,.,1,2\n", "must be a path below"),
        ("sample_id;x0;y0\na;1;2\n", "separated by ';'"),
    ],
)
def test_bad_csv(tmp_path, monkeypatch, text, message):
    own_card(tmp_path, monkeypatch)
    with pytest.raises(InputError, match=message) as caught:
        write_data(tmp_path, "labels.csv", text).truth()
    assert "labels.csv" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (['{"sample_id": "a", "x0": 1}'], "has the key 'x0', a column of CSV"),
        (['{"sample_id": "a", "landmarks": [[1, 2]], "tags": ["x"]}'], "row 1: 'tags' is neither a number nor a text"),
        (['{"sample_id": "a", "landmarks": [[1, 2, 3]]}'], "landmarks must have shape"),
        (['{"sample_id": "a", "landmarks": [[1, 2]]}', '{"sample_id": "b", "landmarks": [[1, 2], [3, 4]]}'], "row 2: landmarks has shape"),
        (['{"sample_id": "a", "landmarks": [[1, 2]]'], "line 2 is no JSON"),
        (['{"sample_id": "a", "roll": 1, "landmarks": [[1, 2]]}'], "has a column 'roll'"),
    ],
)
def test_bad_jsonl(tmp_path, monkeypatch, rows, message):
    own_card(tmp_path, monkeypatch, 'labels = "labels.jsonl"')
    with pytest.raises(InputError, match=message) as caught:
        write_data(tmp_path, "labels.jsonl", "\n".join(["{}", *rows])).truth()
    assert "labels.jsonl" in str(caught.value)


def test_a_row_that_would_take_all_memory(tmp_path, monkeypatch):
    own_card(tmp_path, monkeypatch, 'labels = "labels.jsonl"')
    one = json.dumps({"sample_id": "a", "landmarks": [[0, 0]] * 20000})
    text = "\n".join(["{}", one, *(f'{{"sample_id": "{i}", "age": 1}}' for i in range(20000))])
    with pytest.raises(InputError, match="does one row hold a whole list"):
        write_data(tmp_path, "labels.jsonl", text).truth()


def changed_coco(**changes) -> dict:
    content = coco()
    content["annotations"][1] |= changes
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "has no list 'images'"),
        ({"images": [], "annotations": 3}, "has no list 'annotations'"),
        ({"images": [{}], "annotations": []}, "an entry of 'images' has no id"),
        ({"images": [{"id": 1}], "annotations": []}, "image 1 has no file_name"),
        ({"images": [], "annotations": []}, "holds no face"),
        (changed_coco(id=0), "two entries of 'annotations' have the id 0"),
        (changed_coco(image_id=5), "annotation 7 is of image 5, which is not listed"),
        (changed_coco(image_id=[5]), "annotation 7 has an image_id"),
        (changed_coco(keypoints=[1, 2, 2]), "annotation 7 has 3 numbers as keypoints, the others 9"),
        (changed_coco(keypoints=[1, 2, 3, 1, 2, 2, 1, 2, 2]), "annotation 7: v of keypoint 0 is 3"),
        (changed_coco(keypoints=["a"] * 9), "annotation 7: keypoints is no list"),
        (changed_coco(bbox=[1, 2, -3, 4]), "annotation 7: bbox must be x, y, width, height"),
        (changed_coco(bbox=[1, 2, 3]), "annotation 7: bbox must be"),
        (changed_coco(yaw_deg="far"), "need yaw_deg, pitch_deg, roll_deg, all three and numbers"),
        (changed_coco(yaw=3), "has a column 'yaw'"),
    ],
)
def test_bad_coco(tmp_path, monkeypatch, content, message):
    own_card(tmp_path, monkeypatch, 'labels = "l.json"')
    with pytest.raises(InputError, match=message) as caught:
        write_data(tmp_path, "l.json", json.dumps(content)).truth()
    assert "l.json" in str(caught.value)


def test_faces_without_a_box(tmp_path, monkeypatch):
    own_card(tmp_path, monkeypatch, boxes="drawn")
    with pytest.raises(MissingDataError, match="boxes 'drawn' are not in the data given"):
        list(write_data(tmp_path, "labels.csv", "sample_id,x0,y0\na,1,2\n").samples())
    text = "sample_id,x0,y0,box_x0,box_y0,box_x1,box_y1\na,1,2,1,2,3,4\nb,1,2,,,,\n"
    with pytest.raises(InputError, match="face 'b' has no box 'drawn'"):
        list(write_data(tmp_path, "labels.csv", text).samples())


def test_a_split_that_no_column_names(tmp_path, monkeypatch):
    own_card(tmp_path, monkeypatch, test=True)
    with pytest.raises(InputError, match=r"labels\.csv: has no column 'split'.*'test'"):
        write_data(tmp_path, "labels.csv", "sample_id,x0,y0\na,1,2\n").ids("test")


@settings(max_examples=120)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory, data):
    with pytest.MonkeyPatch.context() as monkeypatch:
        suffix = data.draw(st.sampled_from(sorted(FORMS)))
        tmp_path = tmp_path_factory.mktemp("fuzz")
        own_card(tmp_path, monkeypatch, f'labels = "labels{suffix}"')
        content = FORMS[suffix]().encode()
        kind = data.draw(st.sampled_from(["random", "cut", "change", "change", "swap"]))
        if kind == "random":
            content = data.draw(st.binary(max_size=200))
        elif kind == "cut":
            content = content[: data.draw(st.integers(0, len(content) - 1))]
        elif kind == "swap":
            content = FORMS[data.draw(st.sampled_from(sorted(FORMS)))]().encode()
        else:
            at = data.draw(st.integers(0, len(content) - 1))
            content = (
                content[:at] + data.draw(st.binary(max_size=3) | st.sampled_from([b"1e999", b"null", b'"', b"[", b"{"])) + content[at + 1 :]
            )
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / f"labels{suffix}").write_bytes(content)
        dataset = load("own", tmp_path / "data")
        try:
            assert len(dataset.truth()) <= 4
            assert list(dataset.image_ids()) == []
        except InputError as error:
            assert f"labels{suffix}" in str(error) and "\n" not in str(error)


# ------------------------------------------------------------------------------------------------- real files


def spiga_rows(path: Path) -> list[dict]:
    """SPIGA's JSON as rows of JSON lines: its list holds lists, or their text."""
    return [
        {k: json.loads(v) if isinstance(v, str) and k != "imgpath" else v for k, v in row.items()} for row in json.loads(path.read_text())
    ]


def test_spiga_headpose_and_landmarks(realdata, tmp_path, monkeypatch):
    """Golden: SPIGA's head poses of the 689 public faces of 300W by the plain formula, and its landmarks by the corner norm."""
    own_card(tmp_path, monkeypatch, 'labels = "labels.jsonl"', top='convention = "300w-lp"\nscheme = "ibug68-contour"', count=689)
    formula = [f"mae({angle}convention=300w-lp,formula=plain)" for angle in ("", "angle=yaw,", "angle=pitch,", "angle=roll,")]
    own_protocol(tmp_path, "pose", formula)
    own_protocol(tmp_path, "points", ["nme(norm=corners)", "auc(below=8,norm=corners)", "fr(above=8,norm=corners)"])
    folder = realdata / "300w" / "spiga_300wpublic"
    truth = [
        {
            "sample_id": row["imgpath"],
            "image": row["imgpath"],
            "euler_deg": row["headpose"][:3],
            "landmarks": row["landmarks"],
            "box_xyxy_px": [row["bbox"][0], row["bbox"][1], row["bbox"][0] + row["bbox"][2], row["bbox"][1] + row["bbox"][3]],
        }
        for row in spiga_rows(folder / "test.json")
    ]
    predicted = [
        {"sample_id": row["imgpath"], "euler_deg": row["headpose"][:3], "landmarks": row["landmarks"]}
        for row in spiga_rows(folder / "results_300wpublic_test.json")
    ]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "labels.jsonl").write_text("\n".join(map(json.dumps, [{}, *truth])))
    header = {"convention": "300w-lp", "scheme": "ibug68-contour", "boxes": "points", "model": "spiga"}
    (tmp_path / "spiga.jsonl").write_text("\n".join(map(json.dumps, [header, *predicted])))
    predictions = read_predictions(tmp_path / "spiga.jsonl")
    points, pose = jobs.score(predictions, "own", data=tmp_path / "data", out=tmp_path / "out")
    values = {s.metric: s.value for s in (*pose.scores, *points.scores)}
    assert [values[m] for m in formula] == pytest.approx([1.2948435, 1.4116569, 1.7011981, 0.7716754], abs=5e-8)
    assert values["nme(norm=corners)"] == pytest.approx(2.9936872679, abs=1e-9)
    assert values["auc(below=8,norm=corners)"] == pytest.approx(62.7204547230, abs=1e-8)
    assert values["fr(above=8,norm=corners)"] == pytest.approx(0.7256894049, abs=1e-9)
    assert not pose.partial and pose.coverage == 1.0


@pytest.mark.parametrize(
    ("folder", "labels", "scheme", "ids"),
    [
        ("wflw/images", "test_wflw.json", "wflw98", ["1169", "12", "2", "40"]),
        ("300w/private_samples", "test_300w.json", "ibug68-contour", ["197", "565"]),
        ("aflw", "test_aflw.json", "aflw19", ["3", "68"]),
    ],
)
def test_real_coco_files(realdata, tmp_path, monkeypatch, folder, labels, scheme, ids):
    own_card(
        tmp_path,
        monkeypatch,
        f'labels = "{labels}"\ncoco_visibility = "labelled"',
        top=f'scheme = "{scheme}"',
        boxes="drawn",
        count=len(ids),
    )
    dataset = load("own", realdata / folder)
    truth = dataset.truth()
    assert list(truth.sample_id) == ids == dataset.image_ids() and truth.visibility is None
    content = {str(a["id"]): a for a in json.loads((realdata / folder / labels).read_text())["annotations"]}
    for row, sample in enumerate(dataset.samples()):
        annotation = content[sample.sample_id]
        np.testing.assert_array_equal(truth.landmarks[row], np.reshape(annotation["keypoints"], (-1, 3))[:, :2])
        x, y, w, h = annotation["bbox"]
        np.testing.assert_array_equal(sample.box_xyxy_px, [x, y, x + w, y + h])
        assert sample.image.read().ndim == 3
