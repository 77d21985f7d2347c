"""Everything that fuzzing ever found, read again: a result or one sentence, in time (tests/fuzz)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from fuzz.campaign import found_inputs
from fuzz.oracle import judge
from fuzz.targets import TARGETS

FOUND = [(name, path) for name, paths in found_inputs().items() for path in paths]


def test_there_are_findings_of_targets_that_exist() -> None:
    assert len(FOUND) >= 10
    folders = {path.name for path in (Path(__file__).parent / "fuzz" / "found").iterdir()}
    assert folders == {name for name, _ in FOUND}


@pytest.mark.parametrize(("name", "path"), FOUND, ids=[f"{name}-{path.stem}" for name, path in FOUND])
def test_a_finding_stays_mended(name: str, path: Path, tmp_path: Path) -> None:
    target = TARGETS[name]
    if target.extra and not importlib.util.find_spec(target.extra):
        pytest.skip(f"{target.extra} is not installed")
    assert judge(target.prepare(tmp_path).read, path.read_bytes(), seconds=10.0) is None
