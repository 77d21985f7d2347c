"""Where a record comes from: the machine, the libraries, the commit, the time."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import __version__
from .records import SCHEMA

__all__ = ["environment", "fresh_facts", "git_state", "now"]


def environment() -> dict[str, Any]:
    """What a record says about the machine and the libraries that took part."""
    libraries = {}
    for name in ("numpy", "scipy", "cv2", "onnxruntime", "torch", "dlib", "mediapipe", "openvino", "tensorflow"):
        module = sys.modules.get(name)
        if module is not None:
            libraries[name] = str(getattr(module, "__version__", "?"))
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        **{kind: name for kind, name in (("processor", _processor()), ("gpu", _gpu())) if name},
        "libraries": libraries,
    }


def _processor() -> str:
    """Its name, which Python tells on some systems only; "" where nobody does."""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            key, _, name = line.partition(":")
            if key.strip() == "model name":
                return name.strip()
    return platform.processor()


def _gpu() -> str:
    """The GPU that PyTorch has used, "" where it has used none."""
    torch = sys.modules.get("torch")
    return str(torch.cuda.get_device_name()) if torch is not None and torch.cuda.is_initialized() else ""


def git_state() -> dict[str, Any] | None:
    """Commit and dirty flag of the hpbench checkout that runs; None for an installed package."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        return subprocess.run(("git", "-C", str(root), *arguments), capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def now() -> str:
    """UTC time for a record."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def fresh_facts() -> dict[str, Any]:
    """The fields of a new record that do not depend on what was measured."""
    return {"schema": SCHEMA, "hpbench": __version__, "environment": environment(), "git": git_state(), "date": now()}
