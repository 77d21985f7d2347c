""".pts files: what iBUG's files vary in, and what is no .pts file; the real ones by their own numbers."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpbench.errors import InputError
from hpbench.readers.files.datafile import DataFile
from hpbench.readers.files.pts import best_image, outer_names, parse_pts, pixels_of, read_pts

POINTS = np.round(np.random.default_rng(3).uniform(-20, 1500, (68, 2)), 6)


def pts(
    points: np.ndarray = POINTS, version: str = "version: 1\n", n: str = "n_points:  68\n", end: str = "}\n", newline: str = "\n"
) -> bytes:
    rows = "".join(f"{x:.6f} {y:.6f}\n" for x, y in points)
    return (version + n + "{\n" + rows + end).replace("\n", newline).encode()


def file_of(path: str, relative: str, data: bytes = b"", size: int | None = None) -> DataFile:
    return DataFile(path, str(relative), len(data) if size is None else size, lambda: data)


@pytest.mark.parametrize("version", ["version: 1\n", "version: 1.0\n", "version:  1\n", ""])
@pytest.mark.parametrize("n", ["n_points:  68\n", "n_points: 68\n", "n_points:68\n"])
@pytest.mark.parametrize("end", ["}\n", "}", "}\n\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_variant_of_the_header_and_the_end(version, n, end, newline):
    read = parse_pts(pts(version=version, n=n, end=end, newline=newline), "a.pts")
    np.testing.assert_array_equal(read, POINTS)
    np.testing.assert_array_equal(pixels_of(read), POINTS - 1.0)


@pytest.mark.parametrize("text", ["1e2 -3", "\t100.0\t-3.0 ", "  100   -3.000000"])
def test_numbers_in_every_spelling(text):
    data = pts().replace(f"{POINTS[0, 0]:.6f} {POINTS[0, 1]:.6f}".encode(), text.encode(), 1)
    assert parse_pts(data, "a.pts")[0].tolist() == [100.0, -3.0]


def test_byte_order_mark_is_passed_over():
    np.testing.assert_array_equal(parse_pts(b"\xef\xbb\xbf" + pts(), "a.pts"), POINTS)


def test_39_points_where_they_are_expected():
    data = pts(POINTS[:39], n="n_points: 39\n")
    assert parse_pts(data, "a.pts", (68, 39)).shape == (39, 2)
    with pytest.raises(InputError, match="n_points is 39, expected 68"):
        parse_pts(data, "a.pts")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (pts()[:10], "truncated, or another kind"),
        (pts()[:600], "no closing brace: truncated"),
        (pts()[:-3], "no closing brace: truncated"),
        (pts(POINTS[:67]), "there are 67 rows: truncated"),
        (pts(np.vstack([POINTS, POINTS[:1]])), "more follows"),
        (pts() + pts(), "more follows"),
        (pts(n="n_points: 66\n"), "n_points is 66, expected 68"),
        (pts(n="n_points: 1000000000\n"), "expected 68"),
        (pts(n=f"n_points: {'9' * 5000}\n"), "expected 68"),
        (pts(n="n_points: -68\n"), "expected 68"),
        (pts(version="version: 2\n"), "version '2'"),
        (pts().replace(b".", b","), "decimal points"),
        (pts().replace(b" ", b" 5 ").replace(b"n_points: 5  5 68", b"n_points: 68").replace(b"version: 5 1", b"version: 1"), "x and y"),
        (pts().replace(f"{POINTS[4, 0]:.6f}".encode(), b"nan"), "point 5"),
        (pts().replace(f"{POINTS[4, 1]:.6f}".encode(), b"inf"), "point 5"),
        (pts().replace(f"{POINTS[4, 1]:.6f}".encode(), b"1e30"), "no place in an image"),
        (pts().replace(f"{POINTS[67, 0]:.6f}".encode(), b"x"), "point 68 is 'x"),
        (b"\xff\xd8\xff\xe0" + bytes(900), "not a text file"),
        (pts().decode().encode("utf-16"), "not a text file"),
        (b"<html>404</html>", "another kind of file"),
        (b"x" * 70_000, "70000 bytes"),
    ],
)
def test_what_is_no_pts_file(data, message):
    with pytest.raises(InputError, match=message) as error:
        parse_pts(data, "folder/a.pts")
    assert "folder/a.pts" in str(error.value) and "\n" not in str(error.value)


def test_a_huge_file_is_not_read():
    def fetch() -> bytes:
        raise AssertionError("read")

    with pytest.raises(InputError, match=r"a\.pts: 1073741824 bytes"):
        read_pts(DataFile("a.pts", "a.pts", 1 << 30, fetch))


@given(st.binary(max_size=400), st.integers(0, 1500), st.integers(0, 1500))
def test_any_bytes_are_read_or_one_sentence(noise, start, end):
    data = pts()
    for damaged in (noise, data[:start] + noise + data[end:], data[: max(start, end)]):
        try:
            points = parse_pts(damaged, "a.pts")
        except InputError as error:
            assert str(error).startswith("a.pts: ") and "\n" not in str(error)
        else:
            assert points.shape == (68, 2) and np.isfinite(points).all()


@pytest.mark.parametrize(
    ("name", "relative", "names"),
    [
        ("data/300W/helen/trainset/a.pts", "trainset/a.pts", ("300W", "helen")),
        ("data/helen.zip:trainset/a.pts", "trainset/a.pts", ("helen",)),
        ("data/helen.zip:./trainset/a.pts", "trainset/a.pts", ("helen",)),
        ("data/labels.tar.gz:a.pts", "a.pts", ("labels",)),
        ("C:\\data\\helen\\trainset\\a.pts", "trainset/a.pts", ("data", "helen")),
        ("odd:/helen/a.pts", "a.pts", ("odd:", "helen")),
    ],
)
def test_names_of_a_root(name, relative, names):
    assert outer_names(file_of(name, relative)) == names


def test_names_of_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "ibug").mkdir()
    monkeypatch.chdir(tmp_path / "ibug")
    assert outer_names(file_of("a.pts", "a.pts"))[-1] == "ibug"


def test_which_image_of_several():
    jpg, png, copy = file_of("a.jpg", "a.jpg", b"j"), file_of("a.png", "a.png", b"p"), file_of("b/a.jpg", "b/a.jpg", b"j")
    assert best_image([], ".jpg") is None
    assert best_image([png, jpg], ".jpg") is jpg and best_image([png, jpg], ".png") is png
    assert best_image([jpg], ".png") is jpg  # a copy of another kind is better than none
    assert best_image([jpg, copy], ".jpg").fetch() == b"j"
    other = file_of("c/a.jpg", "c/a.jpg", b"k")
    with pytest.raises(InputError, match=r"a\.jpg and c/a\.jpg have one id and different content"):
        best_image([jpg, other], ".jpg").fetch()


# ------------------------------------------------------------------------------------------------- the real files


def own_reading(data: bytes) -> np.ndarray:
    """The numbers between the braces, in a line."""
    return np.array(data.split(b"{")[1].split(b"}")[0].split(), float).reshape(-1, 2)


def test_real_files_of_all_sources(realdata):
    paths = sorted((realdata / "300w").rglob("*.pts"))
    assert len(paths) == 11 + 4 + 2
    for path in paths:
        data = path.read_bytes()
        np.testing.assert_array_equal(parse_pts(data, str(path)), own_reading(data))
    assert any(b"\r\n" in p.read_bytes() for p in paths) and any(b"version: 1.0" in p.read_bytes() for p in paths)


def test_real_300vw_files_against_a_third_partys_list(realdata):
    """Its coordinates are the files' own, counted from 1: so is what `parse_pts` gives."""
    folder = realdata / "300w" / "300vw"
    listed = json.loads((folder / "test_300vw.json").read_text())
    for image, annotation in zip(listed["images"], listed["annotations"], strict=True):
        assert image["id"] == annotation["image_id"]
        path = folder / image["file_name"].replace("imgs", "annot").replace(".png", ".pts")
        expected = np.array(annotation["keypoints"]).reshape(-1, 3)[:, :2]
        np.testing.assert_allclose(parse_pts(path.read_bytes(), str(path)), expected, rtol=0, atol=1e-9)


@pytest.mark.long
def test_all_real_merl_rav_files_are_of_this_format(realdata):
    count = 0
    with tarfile.open(realdata / "aflw" / "merl_rav_labels.tar.gz") as archive:
        for member in archive:
            if member.isreg() and Path(member.name).suffix == ".pts":
                data = archive.extractfile(member).read()
                points = parse_pts(data, member.name)
                if count % 1000 == 0:
                    np.testing.assert_array_equal(points, own_reading(data))
                count += 1
    assert count == 19_314
