"""What does not fit a protocol: each told in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from chance_faces import protocol_of

from hpbench.errors import InputError
from hpbench.faces import Faces
from hpbench.landmark_maps import MAPS, map_landmarks
from hpbench.landmarks import SCHEMES
from hpbench.obstacles import obstacle, refuse_unknown_ids

POSE = protocol_of("mae(convention=300w-lp)")
POINTS = protocol_of("nme(norm=height)")
SEEN = protocol_of("ap")

rng = np.random.default_rng(0)


# ---------------------------------------------------------------------------------------------------- landmarks of another kind


def points_of(n: int, scheme: str | None = None, visibility: bool = False) -> Faces:
    return Faces(visibility=rng.random((2, n)), scheme=scheme) if visibility else Faces(landmarks=rng.normal(size=(2, n, 2)), scheme=scheme)


@pytest.mark.parametrize(
    ("n", "stated", "labels", "parts"),
    [
        (98, None, "ibug68-contour", ["98 landmarks a face", "68 (ibug68-contour)", "state their scheme, wflw98, and they are mapped"]),
        (98, None, "ibug68-fixed", ["no map from wflw98 to ibug68-fixed", "only to ibug68-contour"]),
        (98, "wflw98", "ibug68-fixed", ["wflw98 can be made ibug68-contour", "--mix-schemes"]),
        (68, None, "cofw29", ["ibug68-contour has nothing like 2 of them (5, 7)", "fails its face"]),
        (68, "ibug68-fixed", "cofw29", ["ibug68-fixed has nothing like 2 of them (5, 7)"]),
        (68, None, "ibug49", ["state their scheme, ibug68-contour"]),
        (21, None, "aflw19", ["state their scheme, aflw21"]),
        (66, None, "ibug68-contour", ["66 landmarks a face", "inner mouth corners", "60 and 64", "openseeface66"]),
        (66, None, "wflw98", ["no map from openseeface66 to wflw98"]),
        (66, "openseeface66", "aflw21", ["openseeface66 has nothing like 2 of them (12, 16)"]),
        (66, "openseeface66", "ibug68-contour", ["openseeface66 can be made ibug68-fixed", "--mix-schemes"]),
        (5, None, "ibug68-fixed", ["no map from 5 points"]),
        (29, None, "ibug68-contour", ["no map from cofw29"]),
        (68, None, "wflw98", ["no map from ibug68-contour to wflw98"]),
    ],
)
def test_other_numbers_of_points_are_told_with_the_map_there_is(n: int, stated: str | None, labels: str, parts: list[str]) -> None:
    message = obstacle(POINTS, labels, points_of(n, stated), "landmarks")
    assert "\n" not in message and not message.endswith(".") and len(message) < 300
    for part in parts:
        assert part in message
    assert "visibility" not in message
    if "--mix-schemes" not in message:
        seen = obstacle(SEEN, labels, points_of(n, stated, visibility=True), "landmarks")
        assert f"the visibility of {n} points a face" in seen


@pytest.mark.parametrize(("source", "target"), MAPS)
def test_a_map_serves_only_where_it_is_whole(source: str, target: str) -> None:
    predictions = points_of(SCHEMES[source].n_points, source)
    message = obstacle(POINTS, target, predictions, "")
    mapped = map_landmarks(predictions.landmarks, source, target)
    assert np.isnan(mapped).any() == bool(message) == ("nothing like" in message)
    assert obstacle(POINTS, target, Faces(landmarks=mapped, scheme=target), "") == ""


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_right_number_of_points_is_no_obstacle(scheme: str) -> None:
    n = SCHEMES[scheme].n_points
    for stated in (None, scheme):
        assert obstacle(POINTS, scheme, points_of(n, stated), "") == ""
        assert obstacle(SEEN, scheme, points_of(n, stated, visibility=True), "") == ""
    assert obstacle(POINTS, "", points_of(n), "") == ""  # labels of no known scheme


# ------------------------------------------------------------------------------------------------------------------------- ids


@pytest.mark.parametrize(
    ("given", "guess"),
    [
        ("ibug/image_092_01", "did you mean 'ibug/image_092 _01'?"),
        ("IBUG/Image_092 _01", "did you mean 'ibug/image_092 _01'?"),
        (" afw/1_1", "without the blanks around it, it is one"),
        ("afw/1_1.jpg", "without its suffix it is 'afw/1_1'"),
        ("afw/9_9", "ids of another dataset?"),
    ],
)
def test_ids_that_are_not_the_datasets(given: str, guess: str) -> None:
    with pytest.raises(InputError) as caught:
        refuse_unknown_ids(Faces([given], landmarks=np.zeros((1, 68, 2))), ["afw/1_1", "ibug/image_092 _01"], "p.csv")
    assert str(caught.value) == f"p.csv: 1 of 1 ids are not in the dataset, the first is {given!r}: {guess}"


# ------------------------------------------------------------------------------------------------------------------ visibility


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_a_visibility_that_is_the_same_everywhere_was_not_predicted(value: float) -> None:
    predictions = Faces(visibility=np.full((3, 68), value), landmarks=rng.normal(size=(3, 68, 2)))
    assert f"is {value:g}: not predicted?" in obstacle(SEEN, "ibug68-contour", predictions, "")
    assert obstacle(POINTS, "ibug68-contour", predictions, "") == ""
    with_a_failure = np.full((3, 68), value)
    with_a_failure[1] = np.nan
    assert "not predicted?" in obstacle(SEEN, "ibug68-contour", Faces(visibility=with_a_failure), "")
    with_a_failure[2, 5] = 0.25
    assert obstacle(SEEN, "ibug68-contour", Faces(visibility=with_a_failure), "") == ""


def test_kinds_that_are_not_there() -> None:
    nothing = Faces(["a"], failure=["no face"])
    assert [obstacle(p, "ibug68-contour", nothing, "").rpartition(" ")[2] for p in (POSE, POINTS, SEEN)] == [
        "pose",
        "landmarks",
        "visibility",
    ]
