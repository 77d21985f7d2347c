"""Data roots: folders and archives read by relative name, and nothing outside them, however they are built."""

from __future__ import annotations

import os
import re
import struct
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from miniatures.aflw2000 import draw_aflw2000

from hpbench.catalog import DatasetCard, dataset_card
from hpbench.errors import InputError, MissingDataError
from hpbench.readers import load
from hpbench.readers.files.sources import MAX_FILE_BYTES, DataFile, data_roots, find_by_name

ANY = re.compile(r".*")
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions bind neither root nor Windows")


@pytest.fixture
def card() -> DatasetCard:
    return dataset_card("aflw2000")


@pytest.fixture
def link(tmp_path: Path):
    """Makes a symbolic link; skips where the platform has none."""

    def make(path: Path, target: Path | str) -> None:
        try:
            path.symlink_to(target, target_is_directory=Path(target).is_dir())
        except (OSError, NotImplementedError):
            pytest.skip("symbolic links cannot be made here")

    return make


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def pack(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo("placeholder")
            info.filename = name  # after the constructor, which would mend separators
            info.compress_type = method
            archive.writestr(info, content)
    return path


def relatives(files: list[DataFile]) -> list[str]:
    return sorted(str(f.relative) for f in files)


def sentence(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert "\n" not in text and text.endswith((".", "?")), text
    return text


# ------------------------------------------------------------------------------------------------- what is found


def test_folder(card, tmp_path):
    put(tmp_path / "b.jpg", b"bee")
    put(tmp_path / "in" / "a.jpg", b"ay!!")
    files = data_roots(card, [tmp_path])
    assert relatives(files) == ["b.jpg", "in/a.jpg"]
    by_name = {f.relative.name: f for f in files}
    assert by_name["a.jpg"].fetch() == b"ay!!" and by_name["a.jpg"].size == 4
    assert by_name["a.jpg"].name == str(tmp_path / "in" / "a.jpg")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip(card, tmp_path, method):
    path = pack(tmp_path / "any name.zip", {"b.jpg": b"bee" * 99, "in/": b"", "in/a.jpg": b"ay!!"}, method)
    files = data_roots(card, [path])
    assert relatives(files) == ["b.jpg", "in/a.jpg"]
    assert [f.fetch() for f in files] == [b"bee" * 99, b"ay!!"]
    assert [f.size for f in files] == [297, 4]
    assert files[1].name == f"{path}:in/a.jpg"


def test_several_roots_are_joined(card, tmp_path):
    put(tmp_path / "one" / "a.jpg")
    put(tmp_path / "two" / "b.jpg")
    archive = pack(tmp_path / "three.zip", {"c.jpg": b"c"})
    files = data_roots(card, [tmp_path / "one", tmp_path / "two", archive])
    assert relatives(files) == ["a.jpg", "b.jpg", "c.jpg"]
    assert sorted(find_by_name(files, re.compile(r"[ab]\.jpg"))) == ["a.jpg", "b.jpg"]


def test_official_archive_within_a_folder_is_opened_and_others_are_not(card, tmp_path):
    pack(tmp_path / "downloads" / "AFLW2000-3D.zip", {"AFLW2000/a.jpg": b"official"})
    pack(tmp_path / "downloads" / "holiday.zip", {"b.jpg": b"other"})
    found = find_by_name(data_roots(card, [tmp_path]), re.compile(r".*\.jpg"))
    assert {name: file.fetch() for name, file in found.items()} == {"a.jpg": b"official"}


def test_archive_and_its_unpacked_copy_agree(card, tmp_path):
    pack(tmp_path / "AFLW2000-3D.zip", {"AFLW2000/a.jpg": b"same"})
    put(tmp_path / "AFLW2000" / "a.jpg", b"same")
    assert find_by_name(data_roots(card, [tmp_path]), re.compile(r"a\.jpg"))["a.jpg"].fetch() == b"same"


def test_depth_limit_is_four_folders_in_folder_and_zip(card, tmp_path):
    names = ["1/2/3/4/deep.jpg", "1/2/3/4/5/deeper.jpg"]
    for name in names:
        put(tmp_path / "folder" / name)
    archive = pack(tmp_path / "a.zip", dict.fromkeys(names, b"x"))
    assert relatives(data_roots(card, [tmp_path / "folder"])) == names[:1]
    assert relatives(data_roots(card, [archive])) == names[:1]


def test_hidden_folders_are_passed_over_in_folder_and_zip(card, tmp_path):
    names = ["a.jpg", ".git/b.jpg", "in/.ipynb_checkpoints/a.jpg"]
    for name in names:
        put(tmp_path / "folder" / name)
    archive = pack(tmp_path / "a.zip", dict.fromkeys(names, b"x"))
    assert relatives(data_roots(card, [tmp_path / "folder"])) == ["a.jpg"]
    assert relatives(data_roots(card, [archive])) == ["a.jpg"]


def test_member_named_from_here(card, tmp_path):
    assert relatives(data_roots(card, [pack(tmp_path / "a.zip", {"./in/a.jpg": b"x"})])) == ["in/a.jpg"]


def test_backslashes_of_a_member_are_separators(card, tmp_path):
    files = data_roots(card, [pack(tmp_path / "a.zip", {"AFLW2000\\Code\\a.jpg": b"x"})])
    assert relatives(files) == ["AFLW2000/Code/a.jpg"] and files[0].fetch() == b"x"


# ------------------------------------------------------------------------------------------------- one name twice


def test_one_name_twice_with_equal_bytes_is_one_file(card, tmp_path):
    for folder in ("one", "two", "three"):
        put(tmp_path / folder / "a.jpg", b"same")
    assert list(find_by_name(data_roots(card, [tmp_path]), ANY)) == ["a.jpg"]
    assert list(find_by_name(data_roots(card, [tmp_path, tmp_path]), ANY)) == ["a.jpg"]


@pytest.mark.parametrize("second", [b"diff", b"longer than the first"])
def test_one_name_twice_with_different_bytes_names_both(card, tmp_path, second):
    one, two = put(tmp_path / "one" / "a.jpg", b"this"), put(tmp_path / "two" / "a.jpg", second)
    files = data_roots(card, [tmp_path])
    with pytest.raises(InputError) as error:
        find_by_name(files, ANY)
    assert str(one) in sentence(error) and str(two) in sentence(error)
    assert find_by_name(files, re.compile(r"b\.jpg")) == {}  # nobody asked for that name


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_member_twice_with_different_bytes(card, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.jpg", b"this")
        archive.writestr("a.jpg", b"that")
    with pytest.raises(InputError, match="different content"):
        find_by_name(data_roots(card, [tmp_path / "a.zip"]), ANY)


# ------------------------------------------------------------------------------------------------- climbing out


@pytest.mark.parametrize(
    "name",
    [
        "../a.jpg", "in/../../a.jpg", "..", "/etc/passwd", "//server/share/a.jpg", "C:/a.jpg", "c:a.jpg", "C:\\Windows\\a.jpg",
        "..\\a.jpg", "in\\..\\..\\a.jpg", "\\a.jpg", "\\\\server\\share\\a.jpg",
    ],
)  # fmt: skip
def test_member_that_climbs_out_condemns_the_archive(card, tmp_path, name):
    path = pack(tmp_path / "a.zip", {"good.jpg": b"x", name: b"evil"})
    with pytest.raises(InputError, match="climbs out") as error:
        data_roots(card, [path])
    assert str(path) in sentence(error)


def test_two_dots_within_a_name_are_no_climbing(card, tmp_path):
    names = ["..a.jpg", "a..jpg", "x..y/a.jpg"]
    assert relatives(data_roots(card, [pack(tmp_path / "a.zip", dict.fromkeys(names, b"x"))])) == names


def test_link_to_a_file_outside_is_refused(card, tmp_path, link):
    secret = put(tmp_path / "secret.txt", b"secret")
    (tmp_path / "root").mkdir()
    link(tmp_path / "root" / "image00002.jpg", secret)
    with pytest.raises(InputError, match="symbolic link that leads out") as error:
        data_roots(card, [tmp_path / "root"])
    assert "image00002.jpg" in sentence(error)


@pytest.mark.parametrize("target", ["../outside", "../../../../../../../../../../", "../root-2"])
def test_link_to_a_folder_outside_is_refused(card, tmp_path, link, target):
    put(tmp_path / "outside" / "a.jpg")
    put(tmp_path / "root-2" / "a.jpg")  # begins with the root's name
    (tmp_path / "root").mkdir()
    link(tmp_path / "root" / "faces", target)
    with pytest.raises(InputError, match="symbolic link that leads out"):
        data_roots(card, [tmp_path / "root"])


def test_links_that_stay_inside_are_read_once(card, tmp_path, link):
    put(tmp_path / "faces" / "a.jpg", b"ay")
    link(tmp_path / "b.jpg", Path("faces") / "a.jpg")
    link(tmp_path / "again", tmp_path / "faces")
    files = data_roots(card, [tmp_path])
    assert relatives(files) == ["b.jpg", "faces/a.jpg"]
    assert {f.fetch() for f in files} == {b"ay"} and {f.size for f in files} == {2}


def test_root_may_itself_be_a_link(card, tmp_path, link):
    put(tmp_path / "disk" / "a.jpg")
    link(tmp_path / "root", tmp_path / "disk")
    assert relatives(data_roots(card, [tmp_path / "root"])) == ["a.jpg"]


def test_links_in_a_circle_and_to_nothing_are_passed_over(card, tmp_path, link):
    put(tmp_path / "a.jpg")
    link(tmp_path / "self", "self")
    link(tmp_path / "one", "two")
    link(tmp_path / "two", "one")
    link(tmp_path / "nothing", "not-there")
    link(tmp_path / "up", ".")
    assert relatives(data_roots(card, [tmp_path])) == ["a.jpg"]


# ------------------------------------------------------------------------------------------------- what cannot be read


@as_root
def test_folder_without_permission(card, tmp_path):
    put(tmp_path / "closed" / "a.jpg")
    for mode in (0o000, 0o400):  # neither listed nor entered; listed only
        (tmp_path / "closed").chmod(mode)
        try:
            with pytest.raises(InputError, match="cannot be read") as error:
                data_roots(card, [tmp_path])
            assert "closed" in sentence(error)
            with pytest.raises((InputError, MissingDataError)):
                data_roots(card, [tmp_path / "closed" / "below"])
        finally:
            (tmp_path / "closed").chmod(0o700)


@as_root
def test_file_without_permission(card, tmp_path):
    put(tmp_path / "a.jpg").chmod(0)
    (file,) = data_roots(card, [tmp_path])
    with pytest.raises(InputError, match="cannot be read") as error:
        file.fetch()
    assert "a.jpg" in sentence(error)


def test_folder_that_the_system_refuses_to_list(card, tmp_path, monkeypatch):
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("hpbench.readers.files.sources.os.scandir", refuse)
    with pytest.raises(InputError, match="Permission denied") as error:
        data_roots(card, [tmp_path])
    assert str(tmp_path) in sentence(error)


def test_file_that_vanishes(card, tmp_path):
    path = put(tmp_path / "a.jpg")
    (file,) = data_roots(card, [tmp_path])
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        file.fetch()


def test_file_of_more_than_a_gibibyte_is_not_read(card, tmp_path):
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # sparse
    (entry,) = data_roots(card, [tmp_path])
    with pytest.raises(InputError, match="larger than 1 GiB"):
        entry.fetch()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this platform")
def test_named_pipe_is_no_file(card, tmp_path):
    os.mkfifo(tmp_path / "image00002.mat")  # to read it would wait for ever
    assert data_roots(card, [tmp_path]) == []


def test_truncated_zip(card, tmp_path):
    whole = pack(tmp_path / "a.zip", {"a.jpg": bytes(range(256)) * 20, "b.jpg": b"x"}).read_bytes()
    for size in [*range(0, len(whole), 31), len(whole) - 1]:
        path = put(tmp_path / "cut.zip", whole[:size])
        with pytest.raises(InputError, match="not a zip archive") as error:
            data_roots(card, [path])
        assert "cut.zip" in sentence(error)


def test_something_else_than_a_zip(card, tmp_path):
    with pytest.raises(InputError, match="not a zip archive"):
        data_roots(card, [put(tmp_path / "image00002.jpg", b"\xff\xd8\xff" * 99)])


@given(st.binary(max_size=400), st.booleans())
def test_random_bytes_as_zip(tmp_path_factory, junk, with_end):
    path = tmp_path_factory.getbasetemp() / "junk.zip"
    record = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(junk), 0, 0)  # calls the junk a directory
    path.write_bytes(junk + record * with_end)
    try:
        for file in data_roots(dataset_card("aflw2000"), [path]):
            file.fetch()
    except InputError:
        pass


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_flipped_bit_in_a_zip(tmp_path_factory, position, bit):
    folder = tmp_path_factory.getbasetemp()
    content = {"in/a.jpg": b"abc" * 50, "b.jpg": b"stored?"}
    whole = bytearray(pack(folder / "flip-source.zip", content).read_bytes())
    whole[position % len(whole)] ^= 1 << bit
    path = put(folder / "flipped.zip", bytes(whole))
    try:
        files = data_roots(dataset_card("aflw2000"), [path])
        read = [f.fetch() for f in files]
    except InputError:
        return
    assert set(read) <= {*content.values()}  # never other bytes: the checksum sees to it


def test_encrypted_member(card, tmp_path):
    data = bytearray(pack(tmp_path / "a.zip", {"a.jpg": b"abc" * 50}).read_bytes())
    data[6] |= 1  # flag of the local header
    data[data.index(b"PK\1\2") + 8] |= 1  # of the directory
    (file,) = data_roots(card, [put(tmp_path / "b.zip", bytes(data))])
    with pytest.raises(InputError, match="encrypted") as error:
        file.fetch()
    assert "b.zip:a.jpg" in sentence(error)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_bad_checksum(card, tmp_path, method):
    data = bytearray(pack(tmp_path / "a.zip", {"a.jpg": bytes(range(256))}, method).read_bytes())
    data[30 + len("a.jpg") + 12] ^= 0x10
    (file,) = data_roots(card, [put(tmp_path / "b.zip", bytes(data))])
    with pytest.raises(InputError, match="cannot be read from the archive") as error:
        file.fetch()
    assert "b.zip:a.jpg" in sentence(error)


def with_stated_size(path: Path, size: int) -> None:
    """The archive's first member claims this many bytes unpacked, in both headers."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 22, size)
    struct.pack_into("<I", data, data.index(b"PK\1\2") + 24, size)
    path.write_bytes(bytes(data))


def test_member_that_claims_gigabytes(card, tmp_path):
    small = pack(tmp_path / "small.zip", {"a.jpg": b"\0" * 100_000})
    with_stated_size(small, 0xFFFFFFF0)
    started = time.process_time()
    (file,) = data_roots(card, [small])
    assert file.size == 0xFFFFFFF0
    with pytest.raises(InputError, match="more than 1 GiB") as error:
        file.fetch()
    assert "small.zip:a.jpg" in sentence(error)
    assert time.process_time() - started < 1.0


def test_member_that_claims_less_than_it_unpacks_to(card, tmp_path):
    path = pack(tmp_path / "a.zip", {"a.jpg": b"\0" * 30_000_000})
    with_stated_size(path, 10)
    (file,) = data_roots(card, [path])
    with pytest.raises(InputError, match="cannot be read from the archive"):
        file.fetch()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_unpacks_without_limit_is_refused(card, tmp_path, method):
    (file,) = data_roots(card, [pack(tmp_path / "a.zip", {"a.jpg": b"\0" * 1000}, method)])
    with pytest.raises(InputError, match="compressed by a method") as error:
        file.fetch()
    assert "a.zip:a.jpg" in sentence(error)


def test_control_characters_of_a_name_do_not_reach_the_terminal(card, tmp_path):
    (file,) = data_roots(card, [pack(tmp_path / "a.zip", {"a\n\x1b[2J.jpg": b"x"})])
    assert file.name.endswith(r"a\n\x1b[2J.jpg'") and file.name.isprintable() and file.fetch() == b"x"


def test_unknown_compression(card, tmp_path):
    data = bytearray(pack(tmp_path / "a.zip", {"a.jpg": b"abc" * 50}).read_bytes())
    struct.pack_into("<H", data, 8, 97)
    struct.pack_into("<H", data, data.index(b"PK\1\2") + 10, 97)
    (file,) = data_roots(card, [put(tmp_path / "b.zip", bytes(data))])
    with pytest.raises(InputError, match="compressed by a method"):
        file.fetch()


def test_threads_read_the_right_members(card, tmp_path):
    rng = np.random.default_rng(0)
    content = {f"f{k:03d}.jpg": rng.integers(0, 8, 20_000 + k, np.uint8).tobytes() for k in range(64)}
    files = data_roots(card, [pack(tmp_path / "a.zip", content)])
    with ThreadPoolExecutor(8) as pool:
        for file, data in zip(files * 4, pool.map(lambda f: f.fetch(), files * 4), strict=True):
            assert data == content[file.relative.name]


# ------------------------------------------------------------------------------------------------- no data


def assert_tells_how(error: pytest.ExceptionInfo[MissingDataError], card: DatasetCard) -> None:
    assert error.value.exit_code == 3
    for part in (card.title, card.licence, card.layout, card.obtain, "--data"):
        assert part in str(error.value)


def test_nothing_given(card):
    with pytest.raises(MissingDataError, match="HPBENCH_DATA") as error:
        data_roots(card, [])
    assert_tells_how(error, card)


@pytest.mark.parametrize("name", ["not-there", "not-there.zip", "a\0b", "x" * 5000])
def test_path_that_is_not_there(card, tmp_path, name):
    with pytest.raises(MissingDataError, match="no such folder or archive") as error:
        data_roots(card, [tmp_path / name])
    assert_tells_how(error, card)


def test_one_of_two_paths_is_not_there(card, tmp_path):
    with pytest.raises(MissingDataError, match="nowhere"):
        data_roots(card, [tmp_path, tmp_path / "nowhere"])


def test_environment_names_the_parent_of_the_dataset_folder(card, tmp_path, monkeypatch):
    put(tmp_path / "aflw2000" / "a.jpg")
    put(tmp_path / "biwi" / "b.jpg")
    monkeypatch.setenv("HPBENCH_DATA", str(tmp_path))
    assert relatives(data_roots(card, [])) == ["a.jpg"]
    put(tmp_path / "other" / "c.jpg")
    assert relatives(data_roots(card, [tmp_path / "other"])) == ["c.jpg"]  # --data wins


@pytest.mark.parametrize("value", ["not-there", "~no-such-user/data"])
def test_environment_that_leads_nowhere(card, tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HPBENCH_DATA", value)
    with pytest.raises(MissingDataError, match="no such folder") as error:
        data_roots(card, [])
    assert_tells_how(error, card)


def test_home_in_the_environment(card, tmp_path, monkeypatch):
    put(tmp_path / "data" / "aflw2000" / "a.jpg")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("HPBENCH_DATA", "~/data")
    assert relatives(data_roots(card, [])) == ["a.jpg"]


def test_load_takes_one_path_or_several(tmp_path):
    for data in (tmp_path, str(tmp_path), [tmp_path], [str(tmp_path)]):
        with pytest.raises(MissingDataError, match="no files"):
            load("aflw2000", data)
    with pytest.raises(InputError, match="aflw2000"):
        load("aflw200", tmp_path)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_with_two_files_of_one_name_or_a_hard_link_is_refused(tmp_path, mode):
    import io
    import tarfile

    def member(name, data=b"", kind=tarfile.REGTYPE, link=""):
        info = tarfile.TarInfo(name)
        info.size, info.type, info.linkname = len(data), kind, link
        return info, io.BytesIO(data)

    for path, second, words in (
        (tmp_path / "twice.tar", member("a/b.pts", b"y"), "stands twice"),
        (tmp_path / "linked.tar", member("a/c.pts", b"", tarfile.LNKTYPE, "a/b.pts"), "is a link"),
    ):
        with tarfile.open(path, mode) as archive:
            archive.addfile(*member("a/b.pts", b"x"))
            archive.addfile(*second)
        with pytest.raises(InputError, match=words):
            data_roots(dataset_card("aflw2000"), [path])


def test_what_python_keeps_of_a_model_s_code_is_no_other_data(tmp_path: Path) -> None:
    def fingerprint() -> str:
        return load("aflw2000", tmp_path / "faces").fingerprint(tmp_path / "out")

    draw_aflw2000(tmp_path / "faces", count=3, seed=0)
    before = fingerprint()
    (tmp_path / "faces" / "__pycache__").mkdir()
    (tmp_path / "faces" / "__pycache__" / "model.cpython-311.pyc").write_bytes(b"compiled")
    assert fingerprint() == before
    (tmp_path / "faces" / "more.txt").write_text("x")
    assert fingerprint() != before
