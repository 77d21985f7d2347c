"""A run's predictions in parts: files of whole batches that a killed run, or another machine, can go on from.

Batches are cut at fixed places of the sorted list of faces and a part holds whole batches: however a run was killed,
continued or spread over machines, the same batches are computed and the same bytes result.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .atomic import write_atomic
from .errors import InputError
from .faces import Faces
from .predictions import Predictions, join_predictions, read_predictions, write_predictions

__all__ = ["FOLDER", "Parts", "Shard", "begun_batch_size", "difference", "forget_parts", "parse_shard"]

FOLDER = "predictions.parts"  # of an unfinished run, beside the file it will become
MANIFEST = "run.json"  # what makes the run this run
_DIGEST_BYTES = 32  # SHA-256 of a part, behind its content: HDF5 reads over it, and values that a disk has changed show
_FACES_PER_PART = 128  # about what a kill may cost; rounded up to whole batches
_MOST_PARTS = 2000  # of a large run, whose parts are larger: a folder of ten thousands of files is slow on many systems


@dataclass(frozen=True)
class Shard:
    """One of several equal shares of a run.

    Attributes
    ----------
    number, count : int
        ``number`` from 1 to ``count``: every `count`-th part of the run.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def has(self, part: int) -> bool:
        """Whether this share holds the run's part of that number, counted from 0."""
        return part % self.count == self.number - 1


def parse_shard(text: str) -> Shard:
    """``2/8`` as a `Shard`; `InputError` for anything else."""
    found = re.fullmatch(r"\s*([0-9]{1,6})\s*/\s*([0-9]{1,6})\s*", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f"--shard {text!r}: write it as I/N, the I-th of N shares, I from 1 to N (of a job array from 0: add 1).")
    return Shard(int(found[1]), int(found[2]))


class Parts:
    """The parts of one run in a folder.

    Parameters
    ----------
    file : Path
        The prediction file they will become; the parts lie beside it.
    ids : sequence of str
        Every face of the run, sorted.
    batch_size : int
        Faces a call of the model.
    """

    def __init__(self, file: Path, ids: Sequence[str], batch_size: int) -> None:
        self.file = file
        self.folder = file.with_name(FOLDER)
        self.ids = ids
        self.batch_size = batch_size
        faces = max(_FACES_PER_PART, -(-len(ids) // _MOST_PARTS))
        self.size = -(-faces // batch_size) * batch_size

    def __len__(self) -> int:
        return -(-len(self.ids) // self.size)

    def path(self, part: int) -> Path:
        """The file of a part, counted from 0."""
        return self.folder / f"part-{part:06d}.h5"

    def ids_of(self, part: int) -> Sequence[str]:
        """Its faces."""
        return self.ids[part * self.size : (part + 1) * self.size]

    def claim(self, settings: dict[str, Any]) -> None:
        """Make the folder ours: a run with other settings in it is never overwritten nor mixed in.

        Raises
        ------
        InputError
            The folder holds another run's parts, or cannot be written to.
        """
        manifest = self.folder / MANIFEST
        text = json.dumps({**settings, "batch_size": self.batch_size}, sort_keys=True, indent=1)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            present = manifest.read_text(encoding="utf-8", errors="replace") if manifest.exists() else ""
            self._remove_left_overs()
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be used for output ({error.strerror or error}).") from None
        if not list(self.folder.glob("part-*.h5")):  # new, or it came to nothing: nothing to protect
            write_atomic(manifest, text)
        elif not present:
            raise InputError(
                f"{self.folder} holds parts of a run that cannot be told any more ({MANIFEST} is missing or empty): delete the folder."
            )
        elif present != text:
            raise InputError(
                f"{self.folder} holds an unfinished run, of which {difference(present, text)}: "
                f"continue that one, choose another -o, or delete the folder."
            )

    def read(self, part: int) -> Faces | None:
        """The part on disk if it is whole and holds exactly its faces, else None: it is computed (anew).

        A part that is damaged, and the shorter last part of a limited run, are as good as none.
        """
        path = self.path(part)
        try:
            content = path.read_bytes()
            if hashlib.sha256(content[:-_DIGEST_BYTES]).digest() != content[-_DIGEST_BYTES:]:
                return None
            faces = read_predictions(path).faces
        except (OSError, InputError):
            return None
        return faces if list(faces.sample_id) == list(self.ids_of(part)) else None  # type: ignore[arg-type]

    def write(self, part: int, faces: Faces, boxes: str, model: str) -> None:
        """Keep a part, atomically."""
        path = self.path(part)
        draft = path.with_name(f".{path.name}")
        write_predictions(draft, Predictions(faces, boxes, model))
        content = draft.read_bytes()
        write_atomic(path, content + hashlib.sha256(content).digest())
        draft.unlink()

    def join(self, boxes: str, model: str) -> Predictions:
        """All parts as the one prediction file, written a part at a time, and read back."""
        join_predictions(self.file, [self.path(part) for part in range(len(self))], boxes=boxes, model=model)
        return read_predictions(self.file)

    def missing(self) -> Iterator[int]:
        """Parts that are not there."""
        return (part for part in range(len(self)) if not self.path(part).exists())

    def _remove_left_overs(self) -> None:
        # what a kill left half written: we hold the folder's lock, so nobody else is writing
        ours = re.compile(rf"\.({re.escape(self.file.name)}|.+@\d+\.(json|errors\.npz))\.\d+\.tmp")  # it may be anybody's folder
        beside = (path for path in self.file.parent.glob(".*.tmp") if ours.fullmatch(path.name))
        for path in (*self.folder.glob(".*.tmp"), *self.folder.glob(".part-*.h5"), *beside):
            path.unlink(missing_ok=True)


def begun_batch_size(file: Path) -> int | None:
    """Faces a call of the unfinished run whose parts lie beside a prediction file; None where there is none, or it cannot be told."""
    folder = file.with_name(FOLDER)
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["batch_size"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None
    return found if type(found) is int and found > 0 and any(folder.glob("part-*.h5")) else None


def difference(present: str, wanted: str) -> str:
    """In words, the first setting of which two manifests differ."""
    try:
        begun, ours = json.loads(present), json.loads(wanted)
    except (ValueError, RecursionError):
        return f"{MANIFEST} is damaged"
    if not isinstance(begun, dict):
        return f"{MANIFEST} is damaged"
    key = next((k for k in {**ours, **begun} if begun.get(k) != ours.get(k)), "settings")
    return f"{key} is {begun.get(key)!r} and not {ours.get(key)!r}"


def forget_parts(file: Path) -> None:
    """Remove the parts of a finished run; renamed first, so that a kill leaves no parts without their settings."""
    folder = file.with_name(FOLDER)
    gone = folder.with_name(f".{FOLDER}.done")
    shutil.rmtree(gone, ignore_errors=True)
    with contextlib.suppress(OSError):
        if not folder.is_symlink():
            folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
    # a folder that lies elsewhere, by a link or a mount, stays where it is and is emptied, the settings last
    for path in (*folder.glob("part-*.h5"), folder / MANIFEST):
        with contextlib.suppress(OSError):
            path.unlink()
