"""Records brought to the present protocols from kept predictions, when a protocol's text or version has moved.

Everything is scored into a folder beside (``.rescore``) first; then the superseded boards and records are copied to the archive and the
changes written down; then a list of moves is put on disk and followed.  A kill before the list costs nothing that was scored, one after
it leaves moves that the next call finishes.

::

    <root>/archive/<dataset>.<name>@<version>/board-<text>.md                the board that was; <text> begins the protocol's hash
    <root>/archive/<dataset>.<name>@<version>/<folder>/record-<text>.json    the records that stood on it, with their .errors.npz
    <root>/archive/<dataset>.<name>@<version>/changes-<text>.md              ranks and values, before and after
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from .atomic import write_atomic
from .catalog import Protocol
from .errors import HpbenchError, InputError, MissingDataError
from .kept import ARCHIVE, data_of, known_protocol, prediction_files, predictions_by_hash, record_paths, score_again
from .predictions import read_predictions
from .readers import Dataset
from .records import Record, read_record
from .report.changes import Rescored, board_text, changes_text
from .scoring import Remark, silent

__all__ = ["Rescored", "rescore"]

STAGING = ".rescore"
_MOVES = "moves.json"


def rescore(
    paths: Sequence[Path], *, data: Sequence[Path] = (), dry_run: bool = False, remark: Remark = silent
) -> tuple[list[Rescored], list[Path]]:
    """Score the kept predictions of every stale record by the present protocol and put the new records in their places.

    A record is stale when its protocol's text here is another than the one it was scored by.  Predictions are looked for in its folder,
    and in ``predictions/`` beside that (as in a submission).

    Parameters
    ----------
    paths : sequence of Path
        Folders, searched for records, each with an archive of its own; or records, whose archive lies in their folder.
    data : sequence of Path
        Data roots; a folder that has one called like a data set stands for that one.
    dry_run : bool
        Say what would be done, and write nothing.

    Returns
    -------
    rescored : list of Rescored
    changes : list of Path
        The files that say what changed.

    Raises
    ------
    InputError
        A path that is not there, or a record named outright that is none.
    """
    sources: dict[str, Dataset | HpbenchError] = {}
    done: list[Rescored] = []
    changes: list[Path] = []
    for root, named in _roots(paths).items():
        if (root / STAGING / _MOVES).is_file() and not dry_run:
            remark(f"{root}: finishing the rescoring that was stopped, its changes are in {root / ARCHIVE}")
            _move(root)
        stale, current = _stale(root, named, remark)
        kept: dict[Path, dict[str, Path]] = {}
        found: list[Rescored] = []
        for path, record in stale:
            if path.parent not in kept:
                files = [*prediction_files(path.parent), *prediction_files(path.parent.parent / "predictions")]
                kept[path.parent] = predictions_by_hash(files)
            taken = {_target(item) for item in found if item.new is not None}
            try:
                found.append(_scored(path, record, root, kept[path.parent], data, sources, taken, dry_run))
            except HpbenchError as error:
                reason = str(error).splitlines()[0].rstrip(".")
                found.append(Rescored(path, record, None, None, reason, isinstance(error, MissingDataError)))
        done += found
        if not dry_run and any(item.new for item in found):
            changes += _archived(root, found, current)
            _plan(root, found)
            _move(root)
    return done, changes


def _roots(paths: Sequence[Path]) -> dict[Path, list[Path]]:
    """Folders to search, without those inside others, and the folders of records that were named, with these."""
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: there is no such record or folder.")
    folders = [path for path in paths if path.is_dir()]
    searched = {path.resolve() for path in folders}
    roots: dict[Path, list[Path]] = {path: [] for path in folders if searched.isdisjoint(path.resolve().parents)}
    for path in paths:
        if path.is_file() and searched.isdisjoint(path.resolve().parents):
            roots.setdefault(path.parent, []).append(path)
    return roots


def _stale(root: Path, named: Sequence[Path], remark: Remark) -> tuple[list[tuple[Path, Record]], list[Record]]:
    """Records scored by another text than the present one, and the present ones."""
    stale: list[tuple[Path, Record]] = []
    current: list[Record] = []
    for path in named or record_paths(root):
        try:
            record = read_record(path)
        except InputError as error:
            if named:
                raise
            remark(f"left out: {error}")
            continue
        protocol = known_protocol(record)
        if protocol is not None and protocol.sha256 == record.protocol.sha256:
            current.append(record)
        else:
            stale.append((path, record))
    return stale, current


def _target(item: Rescored) -> Path:
    assert item.new is not None
    return item.path.parent / item.new.file_name


def _scored(
    path: Path, old: Record, root: Path, kept: Mapping[str, Path], data: Sequence[Path],
    sources: dict[str, Dataset | HpbenchError], taken: Collection[Path], dry_run: bool,
) -> Rescored:  # fmt: skip
    """The record anew, in the staging folder; any `HpbenchError` says why not."""
    protocol = known_protocol(old)
    if protocol is None:
        raise InputError(f"the protocol {old.protocol.id} is not known here.")
    target = path.parent / f"{protocol.reference.replace('/', '.')}.json"
    staged = root / STAGING / target.relative_to(root)
    for place in (target, staged):  # scored already, by a call that was stopped or by hand
        if place.is_file() and place != path and _is_the_same(there := read_record(place), old, protocol):
            return Rescored(path, old, None if dry_run else there, protocol)
    if target in taken or (target.is_file() and target != path):
        raise InputError(f"{target} is a record of other predictions.")
    if old.predictions_sha256 not in kept:
        raise InputError("its predictions are not kept beside it.")
    if protocol.dataset not in sources:
        try:
            sources[protocol.dataset] = data_of(protocol.dataset, data)
        except HpbenchError as error:
            sources[protocol.dataset] = error
    source = sources[protocol.dataset]
    if isinstance(source, HpbenchError):
        raise source
    if dry_run:
        return Rescored(path, old, None, protocol)
    predictions = read_predictions(kept[old.predictions_sha256])
    limit = [str(i) for i in predictions.faces.sample_id] if old.partial else None  # type: ignore[union-attr]
    return Rescored(path, old, score_again(old, predictions, protocol, source, staged.parent, limit_ids=limit), protocol)


def _is_the_same(found: Record, old: Record, protocol: Protocol) -> bool:
    return (found.protocol.sha256, found.predictions_sha256, found.model) == (protocol.sha256, old.predictions_sha256, old.model)


def _archived(root: Path, found: Sequence[Rescored], current: Sequence[Record]) -> list[Path]:
    """Copy superseded boards and records to the archive and write down what changes; the files of changes."""
    changes = []
    texts = {(item.old.protocol.reference, item.old.protocol.sha256): item.protocol for item in found if item.new is not None}
    for (reference, sha256), protocol in sorted(texts.items()):
        assert protocol is not None
        folder, text = root / ARCHIVE / reference.replace("/", "."), sha256[:8]
        items = [i for i in found if i.old.protocol.reference == reference and i.old.protocol.sha256 == sha256]
        for item in items:
            if item.new is None:
                continue  # it stays where it is
            copy = folder / item.path.parent.relative_to(root) / f"record-{text}.json"
            errors = item.path.with_suffix(".errors.npz")
            if errors.is_file():
                write_atomic(copy.with_suffix(".errors.npz"), errors.read_bytes())
            write_atomic(copy, item.path.read_bytes())
        new = [i.new for i in found if i.new is not None]
        now = [*new, *(record for record in current if record not in new)]
        write_atomic(folder / f"board-{text}.md", board_text(reference, sha256, [i.old for i in items]))
        changes.append(folder / f"changes-{text}.md")
        write_atomic(changes[-1], changes_text(items, protocol, [r for r in now if r.protocol.id == protocol.id]))
    return changes


def _plan(root: Path, found: Sequence[Rescored]) -> None:
    """Put the moves on disk: from here on the next call finishes them."""
    moves = []
    for item in found:
        if item.new is not None:
            target = _target(item).relative_to(root)
            old = item.path.relative_to(root)
            moves.append([target.as_posix(), old.as_posix() if old != target else ""])
    write_atomic(root / STAGING / _MOVES, json.dumps(moves, indent=1) + "\n")


def _move(root: Path) -> None:
    """Follow the moves: the per-face errors before their record, the superseded record last."""
    staging = root / STAGING
    for target, old in json.loads((staging / _MOVES).read_text(encoding="utf-8")):
        for name in (Path(target).with_suffix(".errors.npz"), Path(target)):
            if (staging / name).is_file():
                (staging / name).replace(root / name)
        if old:
            (root / old).unlink(missing_ok=True)
            (root / old).with_suffix(".errors.npz").unlink(missing_ok=True)
    (staging / _MOVES).unlink()
    shutil.rmtree(staging, ignore_errors=True)
