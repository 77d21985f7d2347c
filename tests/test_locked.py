"""A folder has one writer at a time, and none after that one is gone."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hpbench.errors import InputError
from hpbench.locked import locked

HOLD = """
import sys, time
from pathlib import Path
from hpbench.locked import locked

with locked(Path(sys.argv[1]), 'a run'):
    print('held', flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_and_a_killed_first_leaves_nothing_held(tmp_path: Path) -> None:
    first = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None and first.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="a run is under way there"), locked(tmp_path / "out", "a run"):
        pass
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    with locked(tmp_path / "out", "a run"):
        pass
    assert list((tmp_path / "out").iterdir()) == []


def test_a_run_holds_its_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hpbench", "run", "-m", "frontal", "-d", "heads", "--limit", "3", "-o", str(tmp_path)]
    with locked(tmp_path, "a run"):
        refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2 and "a run is under way there" in refused.stderr
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # the first of each split, not of the union
    assert "frontal on heads/pose@1" in done.stdout and "frontal on heads/pose-hard@1" in done.stdout


def test_a_place_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be used for output"), locked(tmp_path / "file" / "x", "a run"):
        pass


def test_a_file_system_without_locks_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(code: int) -> None:
        def flock(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr("fcntl.flock", flock)

    for code in (errno.ENOLCK, errno.EOPNOTSUPP):  # NFS without its lock daemon
        refuse(code)
        with locked(tmp_path, "a run"):
            (tmp_path / "written").touch()
    refuse(errno.EIO)
    with pytest.raises(InputError, match="cannot be used for output"), locked(tmp_path, "a run"):
        pass
