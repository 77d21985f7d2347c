"""Predictions, other tools' results, images, and the texts of options."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from hpbench.catalog import dataset_card, protocol_named
from hpbench.citations import entries_of
from hpbench.comparison.rules import parse_amount, parse_rule
from hpbench.conversion import convert
from hpbench.evaluate import evaluate
from hpbench.faces import Faces
from hpbench.images import decode_image
from hpbench.metrics import parse_metric
from hpbench.mnn.recipes import parse_faces, parse_setting
from hpbench.models.resolve import read_model_arguments
from hpbench.predictions import Predictions, read_predictions, write_predictions
from hpbench.report.tables import records_text
from hpbench.validation import validate

from .prepared import Prepared, from_path

__all__ = [
    "bare_table",
    "bibtex",
    "coco",
    "framework",
    "guessed",
    "image",
    "metric",
    "openface",
    "predictions",
    "rule",
    "scored",
    "setting",
    "spiga",
    "tddfa",
    "validated",
]


def few_predictions() -> Predictions:
    """Three faces with angles, five points and their visibility; the second failed."""
    rng = np.random.default_rng(1)
    points, visible = rng.uniform(100, 300, (3, 5, 2)), rng.random((3, 5))
    points[1] = visible[1] = np.nan
    euler = [[10.5, -3.25, 1 / 3], [np.nan] * 3, [170.0, 0.0, -0.0]]
    faces = Faces(
        ["AFW/a 1", "b", "c"], euler_deg=euler, convention="300w-lp", landmarks=points, visibility=visible, failure=["", "no image", ""]
    )
    return Predictions(faces, boxes="landmarks", model="net, the 2nd")


def predictions(suffix: str, read: Callable[[Path], object] = read_predictions) -> Callable[[Path], Prepared]:
    """Prediction files of one kind: with angles, and with matrices."""

    def prepare(folder: Path) -> Prepared:
        path = folder / f"predictions.{suffix}"
        angles = few_predictions()
        matrices = Predictions(Faces(angles.faces.sample_id, rotation=angles.faces.rotation), model="m")
        seeds = []
        for given in (angles, matrices):
            write_predictions(path, given)
            seeds.append(path.read_bytes())
        return Prepared(seeds, from_path(path, read))

    return prepare


def validated(suffix: str) -> Callable[[Path], Prepared]:
    """The same files as `hpbench validate` reads them, which goes on after the first problem."""
    return predictions(suffix, lambda path: validate([path]))


def scored(folder: Path) -> Prepared:
    """Predictions that are read are scored, recorded and shown, however large their numbers."""
    from made_records import a_record

    protocol = replace(protocol_named("aflw2000/pose-1969"), exclude=None)
    rng = np.random.default_rng(2)
    truth = Faces(["a", "b", "c"], euler_deg=rng.uniform(-40, 40, (3, 3)), convention="300w-lp", attributes={"abs_yaw_deg": np.arange(3.0)})
    write_predictions(folder / "p.csv", Predictions(Faces(truth.sample_id, euler_deg=truth.euler_deg + 3.0, convention="300w-lp")))

    def read(path: Path) -> None:
        found = evaluate(protocol, truth, read_predictions(path).faces, resamples=50)
        facts = {k: getattr(found, k) for k in ("scores", "subsets", "coverage", "failures", "notes", "diagnostics", "landmark_errors")}
        record = a_record("net", 3.0, **facts)
        record.to_json(), records_text([record])

    return Prepared([(folder / "p.csv").read_bytes()], from_path(folder / "p.csv", read))


# ----------------------------------------------------------------------------------------------- other tools' results


def _converted(folder: Path, name: str, *seeds: str, **options: str) -> Prepared:
    return Prepared([seed.encode() for seed in seeds], from_path(folder / name, lambda path: convert(path, **options)))  # type: ignore[arg-type]


def framework(folder: Path) -> Prepared:
    from foreign_files import framework_line, some_rotations

    turns = some_rotations(2)
    points = {i: (10.0 + i, 20.0, True) for i in (1, 6, 3, 4)}
    text = "".join(framework_line(f"a{k}.jpg", turn, points, tile=bool(k)) for k, turn in enumerate(turns))
    return _converted(folder, "results.txt", text, source="images_framework", scheme="aflw21")


def openface(folder: Path) -> Prepared:
    from foreign_files import openface_table, some_points, some_rotations

    tables = [openface_table(some_rotations(2), some_points(2), frames=frames) for frames in (True, False)]
    return _converted(folder, "out.csv", *tables, source="openface")


def tddfa(folder: Path) -> Prepared:
    from foreign_files import some_rotations, tddfa_line

    lines = [f"Detect 1 faces\n{tddfa_line(t)}Save visualization result to r/face{k}_pose.jpg\n" for k, t in enumerate(some_rotations(3))]
    return _converted(folder, "poses.txt", "".join(lines), source="3ddfa-v2")


def spiga(folder: Path) -> Prepared:
    from hpbench.conversion.images_framework import POINT_IDS

    ids = list(POINT_IDS["aflw21"])
    face = {
        "bbox": [0, 0, 1, 1],
        "headpose": [10.0, 20.0, 30.0, 0.1, 0.2, 3.0],
        "ids": ids,
        "landmarks": [[1.0, 2.0]] * 21,
        "visible": [1.0] * 21,
    }
    return _converted(folder, "r.json", json.dumps([{"imgpath": f"{k}.jpg", **face} for k in range(2)]), source="spiga")


def coco(folder: Path) -> Prepared:
    entries = [{"image_id": k, "category_id": 1, "keypoints": [1.5, 2.0, 0.5 + k / 9] * 5, "score": 0.9} for k in range(3)]
    (folder / "images.json").write_text(json.dumps({"images": [{"id": k, "file_name": f"{k}.jpg"} for k in range(3)]}))
    seed = json.dumps(entries).encode()
    return Prepared([seed], from_path(folder / "r.json", lambda path: convert(path, source="coco", images=folder / "images.json")))


def bare_table(folder: Path) -> Prepared:
    text = "image,Yaw,pitch,roll,x1,y1,x2,y2,age\na.jpg,1.5,2,3,10,20,30,40,7\nb.jpg,1,2.5,3,10,20,30,40,8\n"
    return _converted(folder, "t.csv", text, text.replace(",", ";"), source="csv", convention="300w-lp")


def guessed(folder: Path) -> Prepared:
    table = "image,yaw_deg,pitch_deg,roll_deg\na.jpg,1,2,3\n"
    return _converted(folder, "t.csv", table, "# convention=300w-lp\n" + table.replace("image", "sample_id"), convention="300w-lp")


# ------------------------------------------------------------------------------------------------- images and options


def image(folder: Path) -> Prepared:
    import cv2

    picture = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    kinds = (".jpg", ".png", ".bmp", ".webp")
    return Prepared([cv2.imencode(kind, picture)[1].tobytes() for kind in kinds], lambda data: decode_image(data, "a.jpg"))


def _text(*seeds: str, read: Callable[[str], object]) -> Prepared:
    """Options come as text; bytes that are none reach Python as surrogates."""
    return Prepared([seed.encode() for seed in seeds], lambda data: read(data.decode("utf-8", "surrogateescape")))


def metric(folder: Path) -> Prepared:
    return _text("nme(norm=sqrt_wh)", "mae(convention=300w-lp,formula=fold180)", "auc(below=8,norm=height)", "geodesic", read=parse_metric)


def rule(folder: Path) -> Prepared:
    def read(text: str) -> None:
        parse_amount(text) if text[:1].isdigit() else parse_rule(text)

    return _text("mae > +0.1", "nme(norm=height) > +2%", "coverage < 99%", "throughput < -10%", "0.5%", read=read)


def setting(folder: Path) -> Prepared:
    def read(text: str) -> None:
        if text.startswith("cofw"):
            parse_faces(text)
        else:
            parse_setting(text)
            read_model_arguments([text])

    return _text("input_px=128", 'name="a b"', "a=[1, 2]", "cofw:train::labels", "cofw", read=read)


def bibtex(folder: Path) -> Prepared:
    cards = [dataset_card(name).citation for name in ("aflw2000", "wflw")]
    return _text(*cards, read=lambda text: entries_of(text, "card.toml"))
