"""Where content lies: ``datasets/`` and ``baselines/`` of a checkout, ``hpbench/_catalog/`` of an installed package.

``HPBENCH_CATALOG`` (folders separated like PATH) adds private roots of the same layout.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import InputError

__all__ = ["ENVIRONMENT", "catalog_root", "catalog_roots", "check_id", "content_files"]


ENVIRONMENT = "HPBENCH_CATALOG"


def catalog_root() -> Path:
    """The catalog that came with this hpbench: the packaged copy, else the checkout (known by its setup.cfg)."""
    here = Path(__file__).resolve().parent.parent
    packaged = here / "_catalog"
    if (packaged / "datasets").is_dir():
        return packaged
    if (here.parent / "setup.cfg").is_file() and (here.parent / "datasets").is_dir():
        return here.parent
    raise InputError(f"{here}: this installation of hpbench has no catalog (datasets/ and baselines/): install it again.")


def catalog_roots() -> list[Path]:
    """Our own catalog, then the private ones of ``HPBENCH_CATALOG``."""
    roots = [catalog_root()]
    for entry in filter(None, os.environ.get(ENVIRONMENT, "").split(os.pathsep)):
        path = Path(entry).expanduser()
        if not path.is_dir():
            raise InputError(f"HPBENCH_CATALOG names {entry!r}, which is no folder.")
        if not (path / "datasets").is_dir() and not (path / "baselines").is_dir():
            raise InputError(f"HPBENCH_CATALOG names {entry!r}, which has neither datasets/ nor baselines/ in it.")
        roots.append(path)
    return roots


def content_files(kind: str, name: str) -> list[Path]:
    """Every ``<root>/<kind>/*/<name>``, roots in order."""
    return [path for root in catalog_roots() for path in sorted((root / kind).glob(f"*/{name}"))]


def check_id(identifier: str, path: Path, folder_named_so: bool = True) -> None:
    """An id is a safe name, and that of its folder."""
    if not identifier or not all(c.isalnum() or c in "-_.+" for c in identifier) or identifier.startswith("."):
        raise InputError(f"{path}: id {identifier!r} may hold letters, digits and - _ . + only.")
    if folder_named_so and identifier != path.parent.name:
        raise InputError(f"{path}: id {identifier!r} must be the name of its folder ({path.parent.name!r}).")
