"""Predictions of another landmark scheme: mapped where a named map makes every labelled point, noted, and refused elsewhere."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import command_line
import numpy as np
import pytest
from chance_faces import protocol_of, truth_of
from miniatures.aflw2000 import draw_aflw2000

import hpbench
from hpbench.catalog import dataset_card, split_ids
from hpbench.faces import Faces
from hpbench.landmark_maps import MAPS, map_landmarks
from hpbench.landmarks import SCHEMES
from hpbench.mapped import in_scheme, map_between, mapped_note
from hpbench.obstacles import as_compared, obstacle
from hpbench.predictions import Predictions, read_predictions, write_predictions
from hpbench.readers import load

IDS = split_ids(dataset_card("aflw2000"), "all")[:12]
CORNERS = {60: 48, 64: 54}  # inner and outer
rng = np.random.default_rng(0)


def as_66(faces: Faces) -> Faces:
    """What OpenSeeFace would have said of faces with 68 points."""
    points = map_landmarks(faces.landmarks, "ibug68-fixed", "openseeface66")
    return Faces([str(i) for i in faces.sample_id], landmarks=points, scheme="openseeface66", visibility=rng.random(points.shape[:2]))


# -------------------------------------------------------------------------------------------------------------------------- maps


@pytest.mark.parametrize(("source", "target"), [*itertools.product(SCHEMES, SCHEMES)])
def test_only_whole_maps_serve(source: str, target: str) -> None:
    whole = all(MAPS.get((source, target), [()]))
    assert map_between(source, target) == (target if whole and source != target else "")
    mixed = map_between(source, target, mix_schemes=True)
    if map_between(source, target):
        assert mixed == target
    elif mixed:
        assert SCHEMES[mixed].n_points == SCHEMES[target].n_points != SCHEMES[source].n_points and all(MAPS[source, mixed])


def test_nothing_is_guessed() -> None:
    assert map_between(None, "ibug68-fixed", mix_schemes=True) == "" == map_between("wflw98", "", mix_schemes=True)
    unstated = Faces(landmarks=rng.normal(size=(2, 98, 2)))
    assert in_scheme(unstated, "ibug68-contour") is unstated


def test_maps_by_way_of_another_scheme_are_the_same() -> None:
    points = rng.normal(size=(4, 68, 2))
    for source in ("ibug68-fixed", "ibug68-contour"):
        by_way = map_landmarks(map_landmarks(points, source, "aflw21"), "aflw21", "aflw19")
        np.testing.assert_allclose(map_landmarks(points, source, "aflw19"), by_way)
    fewer = map_landmarks(points, "ibug68-fixed", "openseeface66")
    for target in ("aflw19", "aflw21", "cofw29", "ibug49"):
        np.testing.assert_allclose(map_landmarks(fewer, "openseeface66", target), map_landmarks(points, "ibug68-fixed", target))
    back = map_landmarks(fewer, "openseeface66", "ibug68-fixed")
    for i in range(68):
        np.testing.assert_array_equal(back[:, i], points[:, CORNERS.get(i, i)])


def test_a_mapped_row_keeps_the_rest() -> None:
    faces = replace(as_66(truth_of(5)), rotation=truth_of(5).rotation, failure=["", "", "", "", "lost"])
    mapped = in_scheme(faces, "aflw19")
    assert (mapped.scheme, mapped.landmarks.shape, mapped.visibility.shape) == ("aflw19", (5, 19, 2), (5, 19))
    np.testing.assert_array_equal(mapped.rotation, faces.rotation)
    assert list(mapped.failure) == list(faces.failure) and list(mapped.sample_id) == list(faces.sample_id)
    # the right pupil is the mean of six points, its visibility the mean of theirs
    np.testing.assert_allclose(mapped.landmarks[:, 7], faces.landmarks[:, 36:42].mean(axis=1))
    np.testing.assert_allclose(mapped.visibility[:, 7], faces.visibility[:, 36:42].mean(axis=1))
    assert mapped_note(faces, mapped) == "landmarks mapped from openseeface66: to aflw19 by hpbench.landmarks.MAPS"
    assert mapped_note(faces, faces) == ""
    hidden = faces.visibility.copy()
    hidden[0, 40] = np.nan
    assert np.isnan(in_scheme(replace(faces, visibility=hidden), "aflw19").visibility[0, 7])


def test_what_a_protocol_takes() -> None:
    points, seen, pose = protocol_of("nme(norm=height)"), protocol_of("ap"), protocol_of("geodesic")
    faces = as_66(truth_of(5))
    assert obstacle(points, "ibug68-fixed", faces, "") == obstacle(seen, "ibug68-fixed", faces, "") == ""
    assert obstacle(points, "ibug68-contour", faces, "", mix_schemes=True) == ""
    assert "--mix-schemes" in obstacle(points, "ibug68-contour", faces, "")
    # which point it is counts for its visibility, not where it lies: there the two kinds of 68 points are one
    assert obstacle(seen, "ibug68-contour", faces, "") == ""
    assert as_compared(seen, "ibug68-contour", faces).scheme == "ibug68-fixed"
    assert as_compared(pose, "ibug68-fixed", faces) is faces
    refused = obstacle(points, "cofw29", faces, "")
    assert refused.endswith("openseeface66 has nothing like 2 of them (5, 7), and a labelled point without a prediction fails its face")


# ------------------------------------------------------------------------------------------------------- scored, noted and marked


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aflw2000") / "AFLW2000"
    draw_aflw2000(folder, count=len(IDS), seed=1, ids=IDS)
    return folder


@pytest.fixture(scope="module")
def written(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Faces]:
    truth = load("aflw2000", folder).truth("all", "original")
    faces = as_66(truth)
    points = faces.landmarks + rng.normal(scale=2.0, size=faces.landmarks.shape)
    path = tmp_path_factory.mktemp("written") / "osf.h5"
    write_predictions(path, Predictions(replace(faces, landmarks=points), "landmarks", "osf"))
    return path, truth


def test_a_mapped_score_is_that_of_the_mapped_points(folder: Path, written: tuple[Path, Faces], tmp_path: Path) -> None:
    path, truth = written
    record = hpbench.score(path, "aflw2000", data=folder, protocol="aflw2000/landmarks-original", out=tmp_path)[0]
    assert "landmarks mapped from openseeface66: to ibug68-fixed by hpbench.landmarks.MAPS" in record.notes
    assert not any(note.startswith("schemes mixed") for note in record.notes)
    points = read_predictions(path).faces
    points = points.take(points.rows_of([str(i) for i in truth.sample_id])).landmarks
    order = [*range(48), 58, 48, 49, 50, 51, 52, 62, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65]
    labels = truth.landmarks
    size = np.sqrt(np.ptp(labels, axis=1).prod(axis=1))
    expected = 100 * (np.linalg.norm(points[:, order] - labels, axis=2).mean(axis=1) / size).mean()
    score = next(s for s in record.scores if s.metric == "nme(norm=sqrt_wh)")
    assert score.value == pytest.approx(expected) and score.n_failed == 0
    assert len(record.landmark_errors.points) == 68


def test_doctor_and_sensitivity_take_mapped_points(folder: Path, written: tuple[Path, Faces]) -> None:
    from hpbench.doctor import diagnose
    from hpbench.sensitivity import sensitivity

    found = diagnose(written[0], "aflw2000", data=folder)
    assert [e.kind for e in found.examinations] == ["landmarks"] and found.examinations[0].explanation is None
    assert sensitivity(str(written[0]), "aflw2000", data=[folder]).questions


def test_the_command_line_says_so(folder: Path, written: tuple[Path, Faces], tmp_path: Path) -> None:
    common = ("score", written[0], "-d", "aflw2000", "--data", folder, "--protocol", "aflw2000/landmarks-original")
    scored = command_line.hpbench(*common, "-o", "out", cwd=tmp_path)
    assert scored.returncode == 0, scored.stderr
    assert "note: landmarks mapped from openseeface66" in scored.stdout
    assert "landmarks mapped from openseeface66" in command_line.hpbench("leaderboard", "out", "--format", "markdown", cwd=tmp_path).stdout
