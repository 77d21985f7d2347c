"""Where hpbench keeps what it can make again (parsed labels) or what a user downloaded (weights)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """``HPBENCH_CACHE``, else ``hpbench`` in ``XDG_CACHE_HOME``, ``LOCALAPPDATA`` (Windows) or ``~/.cache``."""
    named = os.environ.get("HPBENCH_CACHE", "")
    if named:
        return Path(os.path.expanduser(named))
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    # the XDG specification has relative paths ignored
    return (Path(base) if Path(base).is_absolute() else Path(os.path.expanduser("~")) / ".cache") / "hpbench"
