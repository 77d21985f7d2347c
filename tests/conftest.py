"""What all tests share."""

from __future__ import annotations

import compileall
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Of the processes that tests start, too: a model that is written anew within a second must not be taken from a cache of bytecode,
# and where several workers share the cores, threads that wait for each other cost more than they bring.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
# the same examples at every run, and no deadline: a slow machine is no error
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci")


def pytest_configure(config: pytest.Config) -> None:
    """Compile hpbench once, and not in every process that tests start."""
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(Path(__file__).parents[1] / "hpbench", quiet=2)


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

    known: dict[tuple[bytes, ...], bool] = {}

    def survive(*paths: Path) -> bool:
        contents = tuple(hashlib.sha256(path.read_bytes() if path.is_file() else b"").digest() for path in paths)
        if contents not in known:
            known[contents] = survives_hdf5(*paths)
        return known[contents]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpbench.untrusted.survives_hdf5", survive)
        yield


@pytest.fixture(scope="session", autouse=True)
def nobody_ends_pytest() -> Iterator[None]:
    """A command ends its process at once where a call that timed out is still at work: one in this process must not, whoever left it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpbench.cli.has_left_behind", lambda: False)
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
