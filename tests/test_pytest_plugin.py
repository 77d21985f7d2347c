"""The pytest plug-in, in a suite of somebody else's."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SUITE = """
import numpy as np
import pytest

import hpbench
from hpbench.pytest_plugin import assert_not_worse


class Ahead(hpbench.Model):
    def predict(self, images, boxes_xyxy_px):
        return hpbench.Faces(rotation=np.tile(np.eye(3), (len(images), 1, 1)))


def test_as_good_as_the_sanity_line(hpbench_run):
    records = hpbench_run(Ahead(), "heads", protocol="heads/pose-hard")
    assert [r.protocol.id for r in records] == ["heads/pose-hard"] and (records.folder / "predictions.h5").is_file()
    assert_not_worse(records, against="frontal", fail_if=["geodesic > +0.1", "coverage < 99%"])
    assert_not_worse(records, against="frontal", policy="non-inferior", tolerance="1%")
    with pytest.raises(AssertionError, match="worse than mnn-encoder"):
        assert_not_worse(records.folder, against="mnn-encoder")


def test_that_fails():
    assert_not_worse("frontal", against="mnn-encoder", fail_if="mae > +0.1", protocol="heads/pose-hard")
"""


def pytest_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest without the plug-ins of this environment: ours by its module, whether it is installed or not."""
    command = [sys.executable, "-m", "pytest", "-p", "hpbench.pytest_plugin", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=300)


def test_a_suite_that_uses_it(tmp_path: Path) -> None:
    (tmp_path / "test_model.py").write_text(SUITE, encoding="utf-8")
    done = pytest_run(tmp_path, "-q")
    assert done.returncode == 1 and "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "AssertionError: worse than mnn-encoder" in done.stdout and "gate FAILED: frontal against mnn-encoder" in done.stdout
    assert "hpbench/pytest_plugin.py" not in done.stdout.replace("\\", "/")  # the user's line is shown, not ours


def test_the_fixture_is_explained(tmp_path: Path) -> None:
    done = pytest_run(tmp_path, "--fixtures")
    assert "hpbench_run" in done.stdout and "runs a model over a dataset" in done.stdout


def test_it_costs_nothing_to_those_who_do_not_use_it() -> None:
    code = "import pytest, sys; before = set(sys.modules); import hpbench.pytest_plugin; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"hpbench", "hpbench.pytest_plugin"}


def test_it_is_an_entry_point() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    assert config["options.entry_points"]["pytest11"].split() == ["hpbench", "=", "hpbench.pytest_plugin"]


def test_bad_rules_are_errors_and_no_failures() -> None:
    from hpbench.errors import InputError
    from hpbench.pytest_plugin import assert_not_worse

    with pytest.raises(InputError, match="cannot be read"):
        assert_not_worse("frontal", fail_if="mae")
