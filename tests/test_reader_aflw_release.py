"""AFLW in the release with 19 points: AFLWinfo_release.mat at its full size, its order, its masks, and damaged copies."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from truth_as_prediction import perfect

from hpbench.errors import InputError
from hpbench.readers import load
from hpbench.readers.files.matlab import read_mat_strings

M = 24386
MAT_RNG = np.random.default_rng(5)
MAT_XY = MAT_RNG.uniform(0, 900, (M, 38))
MAT_MASK = (MAT_RNG.random((M, 19)) < 0.94).astype(np.uint8)
MAT_ORDER = MAT_RNG.permutation(M) + 1
MAT_BOX = np.stack([MAT_XY[:, :19].min(1) - 1, MAT_XY[:, :19].max(1) + 1, MAT_XY[:, 19:].min(1) - 2, MAT_XY[:, 19:].max(1) + 2], axis=1)
MAT_PATHS = [f"{(0, 2, 3)[k % 3]}/image{k // 2:05d}.jpg" for k in range(M)]


def release(**changes: object) -> bytes:
    variables = {
        "bbox": MAT_BOX, "data": MAT_XY, "mask_new": MAT_MASK, "ra": MAT_ORDER[None].astype(float),
        "nameList": np.array(MAT_PATHS, dtype=object)[:, None],
    }  # fmt: skip
    out = io.BytesIO()
    scipy.io.savemat(out, {k: v for k, v in {**variables, **changes}.items() if v is not None})
    return out.getvalue()


@pytest.fixture(scope="session")
def mat(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    (folder / "AFLWinfo_release.mat").write_bytes(release())
    first = MAT_ORDER[-1] - 1
    path = folder / "data" / "flickr" / MAT_PATHS[first]
    path.parent.mkdir(parents=True)
    cv2.imwrite(str(path), np.full((20, 30, 3), 77, np.uint8))
    return folder


def test_release_every_value_and_split(mat):
    dataset = load("aflw-release", mat)
    test_rows = MAT_ORDER[20000:]
    assert dataset.ids("full") == dataset.found_ids("full") == sorted(map(str, test_rows)) and len(dataset.ids("full")) == 4386
    assert dataset.ids("train") == sorted(map(str, MAT_ORDER[:20000])) and not set(dataset.ids("train")) & set(dataset.ids("full"))
    assert dataset.ids("frontal") == sorted(str(r) for r in test_rows if MAT_MASK[r - 1].all())
    truth = dataset.truth("full")
    for row in (0, 2000, 4385):
        k = int(truth.sample_id[row]) - 1
        np.testing.assert_array_equal(truth.landmarks[row], np.stack([MAT_XY[k, :19], MAT_XY[k, 19:]], axis=1))
        np.testing.assert_array_equal(truth.visibility[row], MAT_MASK[k])
        np.testing.assert_array_equal(truth.box_xyxy_px[row], MAT_BOX[k, [0, 2, 1, 3]])  # left, right, top, bottom
    assert truth.scheme == "aflw19" and truth.rotation is None


def test_release_samples(mat):
    dataset = load("aflw-release", mat)
    last = str(MAT_ORDER[-1])
    pair = {str(k + 1) for k in range(M) if MAT_PATHS[k] == MAT_PATHS[MAT_ORDER[-1] - 1]}
    assert last in dataset.image_ids("full") and set(dataset.image_ids("full")) <= pair
    sample = next(s for s in dataset.samples("full") if s.sample_id == last)
    assert sample.image.read()[0, 0].tolist() == [77, 77, 77]


def test_release_perfect_scores(mat, tmp_path):
    perfect(load("aflw-release", mat), tmp_path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data": MAT_XY[:100]}, r"data has shape \(100, 38\), expected \(24386, 38\)"),
        ({"ra": None}, "there is no ra"),
        ({"ra": np.ones((1, M))}, "no permutation"),
        ({"mask_new": MAT_MASK * 2}, "mask_new holds 2"),
        ({"bbox": MAT_BOX[:, [0, 2, 1, 3]] - [[1e4, 0, 0, 0]] * 1}, "another order"),
    ],
)
def test_release_bad_files(tmp_path, changes, says):
    (tmp_path / "AFLWinfo_release.mat").write_bytes(release(nameList=None, **changes))
    with pytest.raises(InputError, match=says) as error:
        load("aflw-release", tmp_path).truth("full")
    assert "AFLWinfo_release.mat" in str(error.value)


def test_release_mask_may_be_logical_and_paths_are_checked(tmp_path):
    names = np.array(["../../secret.jpg", *MAT_PATHS[1:]], dtype=object)[:, None]
    (tmp_path / "AFLWinfo_release.mat").write_bytes(release(mask_new=MAT_MASK.astype(bool), nameList=names))
    dataset = load("aflw-release", tmp_path)
    np.testing.assert_array_equal(dataset.truth("full").visibility[0], MAT_MASK[int(dataset.ids("full")[0]) - 1])
    with pytest.raises(InputError, match="not to be trusted"):
        dataset.image_ids("full")


def cells(value: object, **keys: object) -> bytes:
    out = io.BytesIO()
    scipy.io.savemat(out, {"names": value}, **keys)
    return out.getvalue()


TEXTS = np.array([["3/a.jpg"], ["0/\u00e9.jpg"], [""]], dtype=object)


def test_cells_of_text():
    for packed in (False, True):
        assert read_mat_strings(cells(TEXTS, do_compression=packed), "x", "names", (3, 1)) == ["3/a.jpg", "0/\u00e9.jpg", ""]
    for value, says in (
        (np.ones((3, 1)), "class double"), (np.array([[1.0], ["a"], ["b"]], object), "no text"), (TEXTS.T, "shape"),
        (np.array(["abc", "def", "ghi"]), "class char"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=says):
            read_mat_strings(cells(value), "x", "names", (3, 1))
    with pytest.raises(InputError, match="not in it"):
        read_mat_strings(cells(TEXTS), "x", "nameList", (3, 1))


@settings(max_examples=80)
@given(st.data())
def test_damaged_cells_are_read_or_refused(draw):
    data = bytearray(cells(TEXTS, do_compression=draw.draw(st.booleans())))
    at = draw.draw(st.integers(0, len(data) - 1))
    piece = draw.draw(st.binary(min_size=1, max_size=9))
    data[at : at + len(piece)] = piece
    try:
        assert len(read_mat_strings(bytes(data[: draw.draw(st.integers(100, len(data)))]), "x", "names", (3, 1))) == 3
    except InputError as error:
        assert str(error).startswith("x: ") and "\n" not in str(error)
