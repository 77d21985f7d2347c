"""What all tests share."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Also of the processes that tests start: these compile hpbench once and not each time, and where several workers share the
# cores, threads that wait for each other cost more than they bring.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("OMP_NUM_THREADS", "1")
# the same examples at every run, and no deadline: a slow machine is no error
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the catalogs, data, weights and caches of whoever runs it."""
    monkeypatch.setenv("HPBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    for variable in ("HPBENCH_CATALOG", "HPBENCH_DATA", "HPBENCH_WEIGHTS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="session", autouse=True)
def looked_at_once() -> Iterator[None]:
    """The process that looks at an HDF5 file of a stranger before it is read takes a quarter of a second: once for the same bytes."""
    from hpbench.untrusted import survives_hdf5  # here: the number of threads is read where NumPy is imported first

    known: dict[bytes, bool] = {}

    def survives(path: Path) -> bool:
        content = hashlib.sha256(path.read_bytes() if path.is_file() else b"").digest()
        if content not in known:
            known[content] = survives_hdf5(path)
        return known[content]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpbench.untrusted.survives_hdf5", survives)
        yield


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
