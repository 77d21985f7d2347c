"""``hpbench ...`` as it is typed: in this process, without the second that another takes to start, or through the real entry point."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpbench import cli

__all__ = ["Done", "hpbench", "hpbench_process"]

Done = subprocess.CompletedProcess[str]


def hpbench(*arguments: object, cwd: Path, **environment: str) -> Done:
    """Exit code and what is printed, of the command in this process; its folder, variables and path of imports end with it."""
    line = ["hpbench", *map(str, arguments)]
    out, told = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", line)
        patch.setattr(sys, "path", [*sys.path])
        for name, value in environment.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    return subprocess.CompletedProcess(line, int(stopped.value.code or 0), out.getvalue(), told.getvalue())


def hpbench_process(*arguments: object, cwd: Path, **environment: str) -> Done:
    """The same, of a process of its own."""
    command = [sys.executable, "-m", "hpbench", *map(str, arguments)]
    variables = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=cwd, env=variables, timeout=120)
