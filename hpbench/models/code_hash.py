"""The hash of a user's own model code: of its file, and of what that imports from beside it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["code_sha256"]


def code_sha256(file: Path, home: Path | None = None) -> str:
    """SHA-256 of a Python file and of the modules below a folder that it imports, and these, wherever in it: an edited helper is
    another model.  Nothing is imported to find out; of a file that imports none of them it is the hash of the file.

    Parameters
    ----------
    file : Path
    home : Path, optional
        From which imports count; the file's folder if left out.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    main = file.resolve()
    home = home.resolve() if home is not None else main.parent
    found: dict[Path, bytes] = {}
    waiting = [main]
    while waiting:
        if (path := waiting.pop()) in found:
            continue
        found[path] = path.read_bytes()
        waiting += _imported(found[path], path.parent, home)
    if len(found) == 1:
        return hashlib.sha256(found[main]).hexdigest()
    digest = hashlib.sha256()
    for path in sorted(found):
        digest.update(f"{path.relative_to(home).as_posix()}|{hashlib.sha256(found[path]).hexdigest()}\n".encode())
    return digest.hexdigest()


def _imported(source: bytes, folder: Path, home: Path) -> Iterator[Path]:
    """Files below `home` that a source imports; `folder` is its own, from which relative imports count."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):  # importing it will say so
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield from _files(home, home, name.name)
        elif isinstance(node, ast.ImportFrom):
            above = [folder, *folder.parents][min(node.level - 1, len(folder.parents))] if node.level else home
            for name in node.names:
                yield from _files(above, home, ".".join(filter(None, (node.module, name.name))))


def _files(start: Path, home: Path, dotted: str) -> Iterator[Path]:
    """The modules on the way of a dotted name: packages, and the module itself; the last word may be no module but a name in one."""
    place = start
    for word in dotted.split("."):
        place = place / word
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file() and path.resolve().is_relative_to(home):
                yield path.resolve()
