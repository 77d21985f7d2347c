"""The cache of parsed labels: used when nothing changed, never stale, never trusted when damaged."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hpbench.cache import cache_folder
from hpbench.readers.files.datafile import DataFile, stamp_of
from hpbench.readers.files.label_cache import cached_labels


@pytest.fixture
def labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Callable[[], np.ndarray], list[int]]:
    """A label file, a function that reads it through the cache, and the list that grows with each parsing."""
    monkeypatch.setenv("HPBENCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "labels.txt"
    path.write_text("1 2 3")
    parsed: list[int] = []

    def read() -> np.ndarray:
        def parse() -> dict[str, np.ndarray]:
            parsed.append(1)
            return {"numbers": np.array(path.read_text().split(), dtype=float)}

        file = DataFile(str(path), "labels.txt", path.stat().st_size, path.read_bytes, stamp_of(path.stat()))
        return np.asarray(cached_labels("toy", "numbers", [file], parse)["numbers"])

    return path, read, parsed


def test_a_second_start_does_not_parse(labels: tuple[Path, Callable[[], np.ndarray], list[int]]) -> None:
    _, read, parsed = labels
    assert read().tolist() == read().tolist() == [1, 2, 3] and len(parsed) == 1


def test_a_changed_file_is_parsed_even_with_its_old_time_and_size(labels: tuple[Path, Callable[[], np.ndarray], list[int]]) -> None:
    path, read, parsed = labels
    before = path.stat()
    read()
    path.write_text("4 5 6")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read().tolist() == [4, 5, 6] and len(parsed) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: p.write_bytes(b""),
        lambda p: p.write_bytes(p.read_bytes()[:-40]),
        lambda p: np.savez(p, numbers=np.zeros(3)),
        lambda p: np.savez(p, other=np.zeros(3), content_sha256=np.array("x")),
        lambda p: np.savez(p, numbers=np.array([object()]), content_sha256=np.array("x")),
        lambda p: (p.unlink(), p.mkdir()),
    ],
)
def test_a_damaged_entry_is_as_if_it_were_not_there(
    labels: tuple[Path, Callable[[], np.ndarray], list[int]], damage: Callable[[Path], object]
) -> None:
    _, read, parsed = labels
    read()
    (entry,) = (cache_folder() / "labels").glob("*.npz")
    damage(entry)
    assert read().tolist() == [1, 2, 3] and len(parsed) == 2


def test_a_cache_that_cannot_be_written_is_no_error(
    labels: tuple[Path, Callable[[], np.ndarray], list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, read, parsed = labels
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HPBENCH_CACHE", str(tmp_path / "file"))
    assert read().tolist() == read().tolist() == [1, 2, 3] and len(parsed) == 2
