"""Predictions in parts: fixed places, whose folder it is, what a damaged part is worth, and that joined they are the whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hpbench.parts
from hpbench.errors import InputError
from hpbench.faces import Faces
from hpbench.parts import FOLDER, Parts, Shard, difference, forget_parts, parse_shard
from hpbench.predictions import read_predictions

MODEL, BOXES = "net", "landmarks"


def ids_of(n: int) -> list[str]:
    return [f"f{i:07d}" for i in range(n)]


def some_faces(ids: list[str], *, failed: bool = False, landmarks: bool = False) -> Faces:
    """Angles by number, and a reason for every seventh face; `failed`: reasons alone, as a part has that no model has seen."""
    reasons = ["no face found" if failed or i % 7 == 3 else "" for i in range(len(ids))]
    if failed:
        return Faces(sample_id=ids, failure=reasons)
    values = np.array([[float(i[1:]), 1.5, -2.25] for i in ids])
    values[[bool(r) for r in reasons]] = np.nan
    if landmarks:
        return Faces(sample_id=ids, landmarks=np.repeat(values[:, None, :2], 19, axis=1), scheme="aflw19", failure=reasons)
    return Faces(sample_id=ids, euler_deg=values, convention="300w-lp", failure=reasons)


def filled(folder: Path, n: int, *, size: int = 8, **special: Callable[[list[str]], Faces]) -> Parts:
    """Parts of a run over n faces, all written; `special` (p2) makes the faces of one."""
    parts = Parts(folder / "predictions.h5", ids_of(n), size)
    parts.size = size
    parts.claim({"model": MODEL})
    for part in range(len(parts)):
        parts.write(part, special.get(f"p{part}", some_faces)(list(parts.ids_of(part))), BOXES, MODEL)
    return parts


@settings(max_examples=200)
@given(n=st.integers(1, 3_000_000), batch_size=st.integers(1, 5000))
def test_parts_hold_whole_batches_and_every_face_once(n: int, batch_size: int) -> None:
    parts = Parts(Path("p.h5"), range(n), batch_size)  # type: ignore[arg-type]
    assert parts.size % batch_size == 0 and parts.size >= min(n, 128)
    assert sum(len(parts.ids_of(part)) for part in (0, len(parts) - 1)) + max(len(parts) - 2, 0) * parts.size == n + (
        len(parts.ids_of(0)) if len(parts) == 1 else 0
    )
    assert 1 <= len(parts) <= 2000
    assert parts.size - batch_size < max(128, -(-n // 2000))  # no larger than it must be


@given(count=st.integers(1, 40), parts=st.integers(0, 300))
def test_shares_hold_every_part_once(count: int, parts: int) -> None:
    shares = [Shard(k + 1, count) for k in range(count)]
    held = [sum(share.has(part) for share in shares) for part in range(parts)]
    assert held == [1] * parts
    sizes = [sum(share.has(part) for part in range(parts)) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_a_share_in_words() -> None:
    assert parse_shard(" 2 / 8") == Shard(2, 8) and str(Shard(2, 8)) == "2/8"
    for text in ("0/4", "5/4", "1/0", "-1/4", "1", "1/2/3", "a/b", "", "1.0/2", "1/99999999"):
        with pytest.raises(InputError, match="the I-th of N shares"):
            parse_shard(text)


@pytest.mark.parametrize("size", [3, 8, 64])
def test_joined_they_are_the_whole_whatever_the_parts(tmp_path: Path, size: int) -> None:
    whole = filled(tmp_path / "whole", 50, size=1000, p0=lambda ids: some_faces_in(ids, 8))
    whole.join(BOXES, MODEL)
    parts = filled(tmp_path / "parts", 50, size=size, **{f"p{p}": lambda ids: some_faces_in(ids, 8) for p in range(50)})
    found = parts.join(BOXES, MODEL)
    assert (tmp_path / "parts/predictions.h5").read_bytes() == (tmp_path / "whole/predictions.h5").read_bytes()
    assert (found.boxes, found.model) == (BOXES, MODEL)
    np.testing.assert_array_equal(found.faces.sample_id, ids_of(50))


def some_faces_in(ids: list[str], every: int) -> Faces:
    """Faces that depend on their own number alone."""
    values = np.array([[float(i[1:]), 1.5, -2.25] for i in ids])
    reasons = [f"reason {i}" if int(i[1:]) % every == 3 else "" for i in ids]
    values[[bool(r) for r in reasons]] = np.nan
    return Faces(sample_id=ids, euler_deg=values, convention="300w-lp", failure=reasons)


def test_a_part_in_which_all_failed_has_no_values(tmp_path: Path) -> None:
    faces = filled(tmp_path, 24, p1=lambda ids: some_faces(ids, failed=True)).join(BOXES, MODEL).faces
    assert np.isnan(faces.euler_deg[8:16]).all() and all(faces.failure[8:16])
    np.testing.assert_array_equal(faces.euler_deg[16:17, 0], [16.0])


def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    def matrices(ids: list[str]) -> Faces:
        return Faces(sample_id=ids, rotation=np.tile(np.eye(3), (len(ids), 1, 1)))

    def other(ids: list[str]) -> Faces:
        return Faces(sample_id=ids, euler_deg=np.zeros((len(ids), 3)), convention="opal23")

    with pytest.raises(InputError, match="matrices and some Euler angles: model net is not consistent"):
        filled(tmp_path / "a", 16, p1=matrices).join(BOXES, MODEL)
    with pytest.raises(InputError, match="convention opal23 and not 300w-lp: model net is not consistent"):
        filled(tmp_path / "b", 16, p1=other).join(BOXES, MODEL)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    parts = filled(tmp_path, 20)
    for part in range(3):
        faces = parts.read(part)
        assert faces is not None and faces.content_sha256() == some_faces(list(parts.ids_of(part))).content_sha256()
    assert list(parts.missing()) == []
    assert sorted(p.name for p in parts.folder.iterdir()) == ["part-000000.h5", "part-000001.h5", "part-000002.h5", "run.json"]


def test_no_part_with_a_flipped_bit_is_read(tmp_path: Path) -> None:
    """Wherever it is: HDF5 by itself would not see one in the values."""
    parts = filled(tmp_path, 8)
    sound = parts.path(0).read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.choice(len(sound), 60, replace=False):
        parts.path(0).write_bytes(sound[:at] + bytes([sound[at] ^ 1 << int(rng.integers(8))]) + sound[at + 1 :])
        assert parts.read(0) is None, at
    parts.path(0).write_bytes(sound)
    assert parts.read(0) is not None


@pytest.mark.parametrize("content", [b"", b"x", b"\x89HDF\r\n\x1a\n", bytes(5000)])
def test_no_other_file_is_a_part(tmp_path: Path, content: bytes) -> None:
    parts = filled(tmp_path, 16)
    parts.path(1).write_bytes(content)
    assert parts.read(1) is None
    parts.path(1).write_bytes(parts.path(0).read_bytes())  # sound, with other faces
    assert parts.read(1) is None
    parts.path(1).write_bytes(parts.path(0).read_bytes()[:-100])
    assert parts.read(1) is None
    parts.path(1).unlink()
    parts.path(1).mkdir()
    assert parts.read(1) is None


def test_the_folder_of_another_run_is_left_alone(tmp_path: Path) -> None:
    parts = filled(tmp_path, 16)
    parts.claim({"model": MODEL})
    with pytest.raises(
        InputError, match="unfinished run, of which model is 'net' and not 'other': continue that one, choose another -o, or"
    ):
        parts.claim({"model": "other"})
    with pytest.raises(InputError, match="of which seed is None and not 3"):
        parts.claim({"model": MODEL, "seed": 3})
    with pytest.raises(InputError, match="of which batch_size is 8 and not 9"):
        Parts(parts.file, parts.ids, 9).claim({"model": MODEL})


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff\xfe", b"3", b'"run"', b"[" * 100_000])
def test_damaged_settings_are_no_settings(tmp_path: Path, damage: bytes) -> None:
    parts = filled(tmp_path, 16)
    (parts.folder / "run.json").write_bytes(damage)
    with pytest.raises(InputError, match=r"run\.json|cannot be used|delete the folder"):
        parts.claim({"model": MODEL})
    for part in range(2):
        parts.path(part).unlink()
    (parts.folder / "run.json").write_bytes(damage)
    Parts(parts.file, parts.ids, 8).claim({"model": "other"})  # nothing to protect


def test_a_difference_in_words() -> None:
    assert difference('{"a": 1}', '{"a": 2}') == "a is 1 and not 2"
    assert difference('{"a": 1, "b": 2}', '{"a": 1}') == "b is 2 and not None"
    assert difference("{", "{}") == difference("[]", "{}") == "run.json is damaged"


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    parts = filled(tmp_path, 16)
    stale = [parts.folder / ".part-000001.h5.123.tmp", parts.folder / ".part-000001.h5", parts.folder / "..part-000001.h5.9.tmp"]
    stale += [parts.folder / ".run.json.77.tmp", tmp_path / ".predictions.h5.123.tmp"]
    stale += [tmp_path / f".aflw2000.pose-1969@1.{kind}.5.tmp" for kind in ("json", "errors.npz")]
    foreign = [tmp_path / ".my-notes.tmp", tmp_path / ".table.csv.123.tmp"]
    for path in (*stale, *foreign):
        path.write_bytes(b"half")
    parts.claim({"model": MODEL})
    assert not any(path.exists() for path in stale) and all(path.exists() for path in foreign)
    assert parts.read(0) is not None and parts.read(1) is not None


def test_a_finished_run_leaves_nothing(tmp_path: Path) -> None:
    parts = filled(tmp_path, 16)
    (tmp_path / f".{FOLDER}.done").mkdir()
    (tmp_path / f".{FOLDER}.done/part-000000.h5").write_bytes(b"of a kill before")
    forget_parts(parts.file)
    assert list(tmp_path.iterdir()) == []
    forget_parts(parts.file)


def test_parts_on_another_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a link, or by a mount, which cannot be renamed: emptied where it is."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / FOLDER).symlink_to(tmp_path / "elsewhere")
    for _ in range(2):
        parts = filled(tmp_path / "out", 16)
        parts.join(BOXES, MODEL)
        forget_parts(parts.file)
        assert list((tmp_path / "elsewhere").iterdir()) == [] and (tmp_path / "out" / FOLDER).is_symlink()

    def busy(self: Path, target: Path) -> Path:
        raise OSError(16, "Device or resource busy")

    parts = filled(tmp_path / "mounted", 16)
    monkeypatch.setattr(Path, "rename", busy)
    forget_parts(parts.file)
    assert list(parts.folder.iterdir()) == []


@pytest.mark.parametrize("killed_after", [0, 1, 2])
def test_removing_can_be_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_after: int) -> None:
    """Whatever is left, the next run with any settings can begin."""
    parts = filled(tmp_path, 16)

    class Killed(BaseException):
        pass

    calls = 0

    def rmtree(path: Path, ignore_errors: bool = False) -> None:
        nonlocal calls
        calls += 1
        if calls > killed_after:
            raise Killed
        real(path, ignore_errors=ignore_errors)

    real = shutil.rmtree
    monkeypatch.setattr(hpbench.parts.shutil, "rmtree", rmtree)
    if killed_after < 2:
        with pytest.raises(Killed):
            forget_parts(parts.file)
    else:
        forget_parts(parts.file)
    monkeypatch.undo()
    again = Parts(parts.file, parts.ids, 8)
    if killed_after:
        again.claim({"model": "other"})
        assert json.loads((again.folder / "run.json").read_text())["model"] == "other"
    else:
        again.claim({"model": MODEL})
    forget_parts(again.file)
    assert list(tmp_path.iterdir()) == []


def test_a_million_faces_are_a_few_thousand_files(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "p.h5", range(1_000_000), 16)  # type: ignore[arg-type]
    assert len(parts) <= 2000 and parts.size == 512


def test_the_joined_file_has_no_part_of_the_run_in_it(tmp_path: Path) -> None:
    parts = filled(tmp_path, 16)
    parts.join("", "")
    assert (read_predictions(parts.file).boxes, read_predictions(parts.file).model) == ("", "")
