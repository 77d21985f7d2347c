"""The table of faces: shapes, immutability, matching by id, canonical hash, errors that guess."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpbench.errors import InputError
from hpbench.faces import Faces
from hpbench.geometry.rotations import rotation_from_euler


def some_faces(n: int = 5, seed: int = 0) -> Faces:
    rng = np.random.default_rng(seed)
    return Faces(
        sample_id=[f"image{i:05d}" for i in range(n)],
        euler_deg=rng.uniform(-80, 80, (n, 3)),
        convention="300w-lp",
        landmarks=rng.uniform(0, 450, (n, 68, 2)),
        scheme="ibug68-fixed",
        visibility=rng.uniform(0, 1, (n, 68)),
        box_xyxy_px=rng.uniform(0, 450, (n, 4)),
        person=[f"p{i % 2}" for i in range(n)],
        attributes={"abs_yaw_deg": rng.uniform(0, 90, n)},
    )


def test_rotation_follows_from_declared_angles() -> None:
    faces = some_faces()
    np.testing.assert_array_equal(faces.rotation, rotation_from_euler(faces.euler_deg, "300w-lp"))


def test_arrays_are_read_only_copies() -> None:
    given_points = np.zeros((2, 68, 2))
    faces = Faces(["a", "b"], landmarks=given_points)
    given_points[:] = 7
    assert faces.landmarks.max() == 0
    with pytest.raises(ValueError, match="read-only"):
        faces.landmarks[0] = 1


def test_taking_rows_and_aligning_by_id() -> None:
    faces = some_faces()
    wanted = ["image00003", "absent", "image00000"]
    aligned = faces.aligned_to(wanted)
    np.testing.assert_array_equal(aligned.landmarks[[0, 2]], faces.landmarks[[3, 0]])
    assert np.isnan(aligned.rotation[1]).all() and np.isnan(aligned.visibility[1]).all()
    assert list(faces.take([4, 1]).sample_id) == ["image00004", "image00001"]
    assert faces.take([4, 1]).attributes["abs_yaw_deg"].tolist() == faces.attributes["abs_yaw_deg"][[4, 1]].tolist()


@given(order=st.permutations(range(5)))
def test_hash_does_not_know_the_order_of_rows(order: list[int]) -> None:
    faces = some_faces()
    assert faces.take(order).content_sha256() == faces.content_sha256()


def test_hash_knows_every_label_and_no_remark() -> None:
    faces = some_faces()
    base = faces.content_sha256()
    for name in ("euler_deg", "landmarks", "visibility", "box_xyxy_px"):
        changed = getattr(faces, name).copy()
        changed.reshape(-1)[3] += 1e-9
        assert Faces(**{**vars(faces), "rotation": None, name: changed}).content_sha256() != base, name
    assert Faces(**{**vars(faces), "person": ["q"] * 5}).content_sha256() != base
    assert Faces(**{**vars(faces), "failure": ["x"] * 5, "attributes": {}}).content_sha256() == base


def test_hash_has_one_zero_and_one_nan() -> None:
    odd_nan = np.frombuffer(np.array([0x7FF8000000000123], dtype="<u8").tobytes(), dtype="<f8")[0]
    one = Faces(["a"], landmarks=[[[0.0, np.nan]]])
    other = Faces(["a"], landmarks=[[[-0.0, odd_nan]]])
    assert one.content_sha256() == other.content_sha256()


def test_concatenating_parts_fills_what_a_part_lacks() -> None:
    whole = Faces.concatenate([Faces(["a"], rotation=np.eye(3)[None]), Faces(["b"], failure=["no image"])])
    assert np.isnan(whole.rotation[1]).all() and list(whole.failure) == ["", "no image"]
    with pytest.raises(InputError, match="scheme differs"):
        points = np.zeros((1, 68, 2))
        Faces.concatenate([Faces(["a"], landmarks=points, scheme="ibug68-fixed"), Faces(["b"], landmarks=points, scheme="ibug68-contour")])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rotation": np.zeros((2, 3))}, "Euler angles"),
        ({"euler_deg": np.zeros((2, 3))}, "needs its convention"),
        ({"euler_deg": np.zeros((2, 3, 3)), "convention": "yxz"}, "matrices"),
        ({"euler_deg": np.zeros((2, 3)), "convention": "300wlp"}, "did you mean '300w-lp'"),
        ({"landmarks": np.zeros((2, 2, 68))}, "transposed"),
        ({"landmarks": np.zeros((2, 68, 2)), "scheme": "ibug68"}, "did you mean 'ibug68"),
        ({"landmarks": np.zeros((2, 98, 2)), "scheme": "ibug68-fixed"}, "has 98 points"),
        ({"landmarks": np.zeros((2, 68, 2)), "visibility": np.zeros((2, 29))}, "numbers of landmarks differ"),
        ({"visibility": np.full((2, 68), -3.0)}, "before the sigmoid"),
        ({"landmarks": [[[1, 2]], [[1, 2], [3, 4]]]}, "rows of different length"),
        ({"landmarks": np.full((2, 68, 2), np.inf)}, "infinite"),
        ({"rotation": np.tile(np.diag([1.0, 1.0, -1.0]), (2, 1, 1))}, "reflection"),
        ({"rotation": np.tile(np.eye(3) * 2, (2, 1, 1))}, "no rotation"),
        ({"rotation": np.tile(np.eye(3), (2, 1, 1)), "euler_deg": np.full((2, 3), 9.0), "convention": "yxz"}, "degrees apart"),
        ({"sample_id": ["a", "a"], "rotation": np.tile(np.eye(3), (2, 1, 1))}, "'a' stands twice, in rows 1 and 2"),
        ({"sample_id": ["a", "b"], "failure": ["x"]}, "1 entries for 2 faces"),
        ({"rotation": np.tile(np.eye(3), (2, 1, 1)), "attributes": {"age": [1, 2, 3]}}, "one value a face"),
        ({}, "at least one column"),
    ],
)
def test_bad_columns_are_one_sentence(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Faces(**arguments)
    assert "\n" not in str(caught.value)


def test_a_model_need_not_know_ids() -> None:
    assert list(Faces(rotation=np.tile(np.eye(3), (2, 1, 1))).sample_id) == ["0", "1"]


@pytest.mark.parametrize(("column", "value"), [("landmarks", 1e150), ("box_xyxy_px", -1e13)])
def test_numbers_that_no_picture_holds_are_refused(column: str, value: float) -> None:
    shape = {"landmarks": (2, 68, 2), "box_xyxy_px": (2, 4)}[column]
    array = np.zeros(shape)
    array[1] = value
    with pytest.raises(InputError, match=f"{column} holds .* in row 2: no pixel"):
        Faces(["a", "b"], **{column: array}, scheme="ibug68-fixed" if column == "landmarks" else None)


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="rotation is not an array of numbers"):
        Faces(rotation=np.eye(3)[None] * (1 + 1j))


def test_a_rotation_is_there_given_or_by_angles_and_for_some_rows() -> None:
    angles = np.array([[10.0, 20.0, 30.0], [np.nan] * 3, [-40.0, 5.0, 0.0]])
    of_angles = Faces(euler_deg=angles, convention="300w-lp")
    matrices = of_angles.rotation
    assert matrices is not None and not matrices.flags.writeable
    given = Faces(rotation=matrices)
    for faces in (of_angles, given):
        assert faces.has_rotation and faces.rotation is not None
        np.testing.assert_array_equal(faces.rotation, matrices)
        for rows in (slice(1, 3), np.array([2, 0])):
            np.testing.assert_array_equal(faces.rotation_of(rows), matrices[rows])
    assert of_angles.given("rotation") is None and given.given("rotation") is not None, "kept only where it was given"
    points = Faces(landmarks=np.zeros((2, 19, 2)), scheme="aflw19")
    assert not points.has_rotation and points.rotation is None and points.rotation_of(slice(None)) is None
