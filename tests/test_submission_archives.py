"""Files of strangers: archives and folders that no `hpbench pack` has made are refused in one sentence, and nothing is written."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_study import COUNT, ERRORS, command, packed_study, predictions_in, rehash, unpack

from hpbench.errors import InputError
from hpbench.submissions import check_submission


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(autouse=True)
def catalog(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPBENCH_CATALOG", str(study / "catalog"))


@pytest.fixture
def unpacked(study: Path, tmp_path: Path) -> Path:
    return unpack(study, tmp_path / "guess")


def archive_with(path: Path, study: Path, change: Callable[[zipfile.ZipFile], None]) -> Path:
    shutil.copyfile(study / "guess.zip", path)
    with zipfile.ZipFile(path, "a") as archive:
        change(archive)
    return path


def link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("records/a.b@1.json")
    entry.external_attr = 0o120777 << 16
    archive.writestr(entry, "/etc/passwd")


def bomb(archive: zipfile.ZipFile) -> None:
    for number in range(5):
        with archive.open(zipfile.ZipInfo(f"predictions/{number}.h5"), "w", force_zip64=True) as file:
            file.write(b"0")
        archive.infolist()[-1].file_size = 1 << 29


def twice(archive: zipfile.ZipFile) -> None:
    archive.infolist()[0].filename = archive.infolist()[0].orig_filename = "card.toml"
    archive.writestr("CARD.TOML".lower(), "again")


BROKEN = {
    "slip": (lambda a: a.writestr("../evil.json", "x"), "../evil.json is no file of a submission"),
    "absolute": (lambda a: a.writestr("/tmp/evil", "x"), "is no file of a submission"),
    "backslash": (lambda a: a.writestr("records\\..\\..\\a@1.json", "x"), "is no file of a submission"),
    "inside": (lambda a: a.writestr("records/../../a@1.json", "x"), "is no file of a submission"),
    "unknown": (lambda a: a.writestr("run.sh", "x"), "run.sh is no file of a submission"),
    "control": (lambda a: a.writestr("a\nb", "x"), r"'a\nb' is no file"),
    "hidden": (lambda a: a.writestr("records/.a@1.json", "x"), "is no file of a submission"),
    "link": (link, "is a link"),
    "twice": (twice, "card.toml stands in it twice"),
    "bomb": (bomb, "too much for a submission"),
    "many": (lambda a: [a.writestr(f"predictions/{n}.h5", "") for n in range(501)], "too much for a submission"),
    "unusual": (lambda a: a.writestr("predictions/a.h5", "x", zipfile.ZIP_LZMA), "packed in an unusual way"),
    "extra": (lambda a: a.writestr("predictions/a.h5", "x"), "predictions/a.h5 is not in the manifest"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", BROKEN)
def test_an_archive_not_to_be_trusted(name: str, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, words = BROKEN[name]
    (tmp_path / "in").mkdir()
    path = archive_with(tmp_path / "in/broken.zip", study, change)
    code, out, err = command(capsys, "submissions", "check", path, "--data", study / "faces")
    assert (code, out) == (2, "") and words in err and err.count("\n") == 1, err
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "broken.zip"], "nothing is written"


def test_larger_than_it_says(study: Path, tmp_path: Path) -> None:
    data = bytearray((study / "guess.zip").read_bytes())
    with zipfile.ZipFile(study / "guess.zip") as archive:
        size, place = archive.getinfo("card.toml").file_size, archive.start_dir  # the directory's first entry
    assert int.from_bytes(data[place + 24 : place + 28], "little") == size
    data[place + 24 : place + 28] = (size - 10).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(InputError, match="not an archive|larger than|shorter than"):
        check_submission(tmp_path / "a.zip")


@given(st.integers(0, 10**6), st.booleans(), st.integers(1, 255))
@settings(max_examples=15)
def test_a_damaged_archive_is_told(study: Path, tmp_path_factory: pytest.TempPathFactory, place: int, cut: bool, flip: int) -> None:
    whole = (study / "guess.zip").read_bytes()
    place %= len(whole)
    damaged = whole[:place] if cut else whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :]
    path = tmp_path_factory.getbasetemp() / "damaged.zip"
    path.write_bytes(damaged)
    try:
        found = check_submission(path)
    except InputError as error:
        assert str(error).startswith(str(path))
    else:  # a byte that means nothing: a date, a version
        assert found.ok and found.level == "self-reported"


def test_no_archive_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.zip").write_bytes(b"hello")
    (tmp_path / "empty").mkdir()
    for name, words in (("a.zip", "not an archive"), ("empty", "no manifest.json"), ("none", "no such archive or folder")):
        code, _, err = command(capsys, "submissions", "check", tmp_path / name)
        assert code == 2 and words in err


def test_a_folder_not_to_be_trusted(unpacked: Path, tmp_path: Path) -> None:
    (unpacked / "records/a.b@1.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link"):
        check_submission(unpacked)
    (unpacked / "records/a.b@1.json").unlink()
    (unpacked / ".DS_Store").write_text("")
    with pytest.raises(InputError, match="DS_Store is no file of a submission"):
        check_submission(unpacked)
    (unpacked / ".DS_Store").unlink()
    (unpacked / "card.toml").unlink()
    with pytest.raises(InputError, match="card.toml is not there, but in the manifest"):
        check_submission(unpacked)


def test_manifests_that_are_none(unpacked: Path) -> None:
    good = (unpacked / "manifest.json").read_text()
    for bad, words in (
        (good.replace('"schema": 1', '"schema": 2'), "newer hpbench"),
        (good.replace('"schema": 1', '"schema": true'), "no schema number"),
        (good.replace('"level": "self-reported"', '"level": "run here"'), "'run here' is none of"),
        (good.replace('"hpbench"', '"schema": 1, "hpbench"'), "a key stands twice"),
        (good.replace('"card.toml"', '"../card.toml"'), "no file of a submission"),
        (good[:-20], "no valid JSON"),
        ("[]", "no schema number"),
    ):
        (unpacked / "manifest.json").write_text(bad)
        with pytest.raises(InputError, match=words):
            check_submission(unpacked)


def test_arrays_that_grow_are_refused(unpacked: Path) -> None:
    with h5py.File(predictions_in(unpacked), "a") as file:
        del file["landmarks"]
        file.create_dataset("landmarks", (COUNT, 68, 2), "f8", chunks=True, compression="gzip")
    rehash(unpacked)
    with pytest.raises(InputError, match="whole, plain and in the file"):
        check_submission(unpacked)


def test_errors_that_grow_are_refused(unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpbench.submissions.unpacking._MAX_ERRORS_BYTES", 2 << 20)
    with zipfile.ZipFile(unpacked / ERRORS, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as file:
        for _ in range(3):
            file.write(bytes(1 << 20))
    rehash(unpacked)
    with pytest.raises(InputError, match="MiB of per-face errors"):
        check_submission(unpacked)
