"""`datasets check` and the two drawings of `datasets show --plot`."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from miniatures.aflw2000 import draw_aflw2000, draw_catalog

import hpbench
from hpbench.catalog import dataset_card, split_ids
from hpbench.cli import cli
from hpbench.errors import InputError, MissingDataError
from hpbench.faces import Faces
from hpbench.geometry.rotations import rotation_from_euler
from hpbench.landmark_maps import map_landmarks
from hpbench.landmarks import SCHEMES
from hpbench.readers.inventory import inventory
from hpbench.report.figures import contact_sheet, draw_labels, scheme_figure, scheme_layout


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check") / "faces"
    draw_aflw2000(folder, count=12, seed=1, ids=(split_ids(dataset_card("aflw2000"), "all") or [])[:12])
    return folder


def test_partial_is_told_with_what_is_missing(twelve: Path) -> None:
    found = inventory(hpbench.load("aflw2000", twelve))
    default = next(s for s in found.splits if s.labels == "")
    assert (default.expected, default.labelled, default.images) == (2000, 12, 12)
    assert len(default.first_missing) == 5 and default.first_missing[0] not in hpbench.load("aflw2000", twelve).found_ids()
    assert found.verdict == "partial" and not found.ok and not found.statistics_checked


def test_complete_with_other_labels_is_not_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"image{i:05d}" for i in range(12)]
    draw_aflw2000(tmp_path / "faces", count=12, seed=2, ids=ids)
    draw_catalog(tmp_path / "catalog", ids)
    monkeypatch.setenv("HPBENCH_CATALOG", str(tmp_path / "catalog"))
    assert inventory(hpbench.load("miniature", tmp_path / "faces")).verdict == "complete"
    card = tmp_path / "catalog/datasets/miniature/card.toml"
    text = card.read_text()
    card.write_text(text + "\n[statistics.all.original]\nfaces = 12\nmean_abs_yaw_deg = 1.0\n")
    found = inventory(hpbench.load("miniature", tmp_path / "faces"))
    assert found.verdict == "other labels" and "mean_abs_yaw_deg is" in found.wrong_statistics[0]
    mean = float(found.wrong_statistics[0].split(" is ")[1].split(",")[0])
    card.write_text(text + f"\n[statistics.all.original]\nfaces = 12\nmean_abs_yaw_deg = {mean}\n")
    assert inventory(hpbench.load("miniature", tmp_path / "faces")).verdict == "verified"


def test_check_command(twelve: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["datasets", "check", "aflw2000", "--data", str(twelve), "--json"])
    told = json.loads(result.stdout)
    assert result.exit_code == 1 and told["verdict"] == "partial" and told["splits"][0]["labelled"] == 12
    (tmp_path / "more").mkdir()
    for file in twelve.iterdir():
        (tmp_path / "more" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "more/image99999.mat").write_bytes(b"x")
    text = CliRunner().invoke(cli, ["datasets", "check", "aflw2000", "--data", str(tmp_path / "more")]).stdout
    assert "1 label files are on no list of aflw2000: image99999" in text
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingDataError):
        CliRunner().invoke(cli, ["datasets", "check", "aflw2000", "--data", str(tmp_path / "empty")], catch_exceptions=False)


def test_list_says_what_is_there(twelve: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/aflw2000").symlink_to(twelve, target_is_directory=True)
    monkeypatch.setenv("HPBENCH_DATA", str(tmp_path / "data"))
    rows = {r["id"]: r["data"] for r in json.loads(CliRunner().invoke(cli, ["datasets", "list", "--json"]).stdout)}
    assert rows["aflw2000"] == "partial"
    assert rows.pop("heads") == "verified"  # they come with hpbench
    assert set(rows.values()) <= {"partial", "not there"}


# mediapipe478 is of no data set: nothing draws it
@pytest.mark.parametrize("scheme", [s for s in SCHEMES if s not in ("menpo39", "ibug51", "ibug49", "mediapipe478")])
def test_layouts_are_mirror_symmetric(scheme: str) -> None:
    points = scheme_layout(scheme)
    assert points.shape == (SCHEMES[scheme].n_points, 2) and np.isfinite(points).all()
    for right, left in SCHEMES[scheme].pairs:
        np.testing.assert_allclose(points[right], points[left] * [-1, 1], atol=1e-9, err_msg=f"{right}-{left}")
        assert points[right][0] < 0, "the subject's right lies on the left of a frontal image"
    paired = {i for pair in SCHEMES[scheme].pairs for i in pair}
    assert np.abs(points[[i for i in range(len(points)) if i not in paired]][:, 0]).max(initial=0) < 1e-9


def test_smaller_schemes_are_parts_of_the_68() -> None:
    for name in ("ibug51", "ibug49"):
        points = scheme_layout(name)
        assert len(points) == SCHEMES[name].n_points
        eye = map_landmarks(scheme_layout("ibug68-fixed"), "ibug68-fixed", "cofw29")[16]
        np.testing.assert_allclose(points[list(SCHEMES[name].right_eye)].mean(axis=0), eye)


def test_figures_are_written(twelve: Path, tmp_path: Path) -> None:
    scheme_figure(["wflw98", "cofw29"], tmp_path / "schemes.png")
    drawn = contact_sheet(hpbench.load("aflw2000", twelve), tmp_path / "sheet.png", count=5)
    assert drawn == 5
    for name in ("schemes.png", "sheet.png"):
        picture = cv2.imread(str(tmp_path / name))
        assert picture is not None and picture.std() > 20
    with pytest.raises(InputError, match="menpo39"):
        scheme_figure(["menpo39"], tmp_path / "x.png")
    with pytest.raises(InputError, match=r"ends in .png"):
        scheme_figure(["cofw29"], tmp_path / "x.txt")
    assert not list(tmp_path.glob("*.tmp")) and not (tmp_path / "x.txt").exists()


def test_the_arrow_points_where_the_nose_does() -> None:
    """Yaw + is nose to the image's left: the blue arrow (out of the face) goes left of the box centre."""
    image, box = np.zeros((200, 200, 3), np.uint8), np.array([50.0, 50.0, 150.0, 150.0])
    picture = draw_labels(image, box, Faces(rotation=rotation_from_euler([[50.0, 0.0, 0.0]], "300w-lp")))
    blue = (picture == (0, 114, 178)).all(axis=2)
    assert blue.any() and np.nonzero(blue)[1].mean() < picture.shape[1] / 2


def test_anonymised_faces_cannot_be_recognised() -> None:
    rng = np.random.default_rng(0)
    image, box = rng.integers(0, 255, (300, 300, 3), dtype=np.uint8), np.array([50.0, 50.0, 250.0, 250.0])
    label = Faces(landmarks=np.full((1, 68, 2), np.nan))
    sharp, blurred = draw_labels(image, box, label), draw_labels(image, box, label, anonymise=True)
    assert len(np.unique(blurred.reshape(-1, 3), axis=0)) <= 14 * 14 + 200 < len(np.unique(sharp.reshape(-1, 3), axis=0))
