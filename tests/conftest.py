"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# the same examples at every run, and no deadline: a slow machine is no error
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the catalogs, data, weights and caches of whoever runs it."""
    monkeypatch.setenv("HPBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    for variable in ("HPBENCH_CATALOG", "HPBENCH_DATA", "HPBENCH_WEIGHTS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of real annotation files, which cannot be shipped; tests on them are skipped where it is not there."""
    folder = os.environ.get("HPBENCH_REALDATA")
    if not folder:
        pytest.skip("HPBENCH_REALDATA names no folder of real annotation files")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"HPBENCH_REALDATA names {folder!r}, which is no folder")
    return path
