"""hpbench: numbers you can trust for head pose, facial landmarks and landmark visibility.

``load``, ``run`` and ``score`` are the verbs of the command line; ``Faces``, ``Sample``, ``Model`` and ``Record`` are
what they speak of.  Everything is imported when first used, so that ``import hpbench`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .faces import Faces, Sample
    from .jobs import run, score
    from .models.interface import Model
    from .readers import load
    from .records import Record

__version__ = "0.1.0"

_HOME = {
    "Faces": "faces",
    "Sample": "faces",
    "Model": "models.interface",
    "Record": "records",
    "load": "readers",
    "run": "jobs",
    "score": "jobs",
}

__all__ = ["Faces", "Model", "Record", "Sample", "__version__", "load", "run", "score"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hpbench' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
