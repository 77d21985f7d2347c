"""What a submission holds: the manifest, the card, and the level that somebody else than the submitter has reached with it.

::

    manifest.json                             schema, hpbench, level, hash of every other file, which predictions each record is of
    card.toml                                 the model
    records/<dataset>.<name>@<version>.json   with its .errors.npz
    predictions/<dataset>-<hash>.h5
    level.json                                written by who checked it, never packed
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ..catalog import ModelCard
from ..checked import build, read_toml
from ..errors import InputError

__all__ = [
    "CARD", "LEVEL", "LEVELS", "MANIFEST", "SCHEMA", "Level", "LevelReached", "Manifest", "SubmissionCard", "file_sha256", "level_of",
    "read_card", "read_level", "read_manifest",
]  # fmt: skip

SCHEMA = 1
MANIFEST, CARD, LEVEL = "manifest.json", "card.toml", "level.json"
Level = Literal["self-reported", "re-scored", "run here"]
LEVELS: tuple[Level, ...] = get_args(Level)  # lowest first

_RECORD = re.compile(r"records/\w[\w.+-]*@\d+\.json")
_ERRORS = re.compile(r"records/\w[\w.+-]*@\d+\.errors\.npz")
_PREDICTIONS = re.compile(r"predictions/\w[\w.+-]*\.h5")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """``manifest.json``.

    Attributes
    ----------
    hpbench : str
        The version that packed.
    level : str
        What the archive is by itself: nobody else has looked at it.
    files : mapping of str to str
        Every file but the manifest -> sha256.
    records : mapping of str to str
        Record -> the predictions that it was made of.
    """

    schema: int
    hpbench: str
    level: Literal["self-reported"]
    files: dict[str, str]
    records: dict[str, str]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class LevelReached:
    """``level.json``: how far a submission was checked; it holds for the manifest of this hash only."""

    schema: int
    manifest_sha256: str
    records: dict[str, Level]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class SubmissionCard(ModelCard):
    """``card.toml``: that of a model, which need not be runnable here, and whom to ask.

    Attributes
    ----------
    contact : str
        Who submits, and where questions and disputes are answered.
    code : str
        Where others find what made the predictions.
    """

    contact: str = ""
    code: str = ""

    @property
    def unsaid(self) -> list[str]:
        """Which of the facts that a reader of a board needs are empty."""
        return [name for name in ("contact", "licence", "trained_on") if not getattr(self, name)]


def read_card(path: Path) -> SubmissionCard:
    """The model card of a submission."""
    return build(SubmissionCard, read_toml(path), str(path))


def read_manifest(path: Path) -> Manifest:
    """The manifest; `InputError` for a file that is none, is of a newer schema, or names what no submission holds."""
    manifest = build(Manifest, _read_json(path, "manifest of a submission"), str(path))
    for name, digest in manifest.files.items():
        if not is_known(name) or name in (MANIFEST, LEVEL) or not _SHA256.fullmatch(digest):
            raise InputError(f"{path}: {name!r:.80} is no file of a submission, or its hash is none.")
    for record, predictions in manifest.records.items():
        if not _RECORD.fullmatch(record) or not _PREDICTIONS.fullmatch(predictions):
            raise InputError(f"{path}: {record!r:.80} of {predictions!r:.80}: expected a record and its predictions.")
        for name in (record, record.removesuffix(".json") + ".errors.npz", predictions):
            if name not in manifest.files:
                raise InputError(f"{path}: {name} is needed and has no hash in it.")
    needed = {CARD} - set(manifest.files) or {name for name in manifest.files if _RECORD.fullmatch(name)} - set(manifest.records)
    if needed or not manifest.records:
        raise InputError(f"{path}: {min(needed) if needed else 'any record'} is missing in it.")
    return manifest


def read_level(path: Path) -> LevelReached:
    """A ``level.json``."""
    return build(LevelReached, _read_json(path, "level of a submission"), str(path))


def level_of(record: Path) -> Level | None:
    """The level at which the record in a file stands: what a board shows beside it.

    Records below ``baselines/`` were run here; of a submission, ``level.json`` says it as long as manifest and record are those that
    were checked; None for everything else: a user's own output.
    """
    folder = record.parent.parent
    if (folder / MANIFEST).is_file():
        try:
            reached, manifest = read_level(folder / LEVEL), read_manifest(folder / MANIFEST)
        except InputError:
            return "self-reported"
        name = f"{record.parent.name}/{record.name}"
        same = reached.manifest_sha256 == file_sha256(folder / MANIFEST) and manifest.files.get(name) == file_sha256(record)
        return reached.records.get(name, "self-reported") if same else "self-reported"
    return "run here" if folder.parent.name == "baselines" and record.parent.name == "results" else None


def is_known(name: str) -> bool:
    """Whether a submission may hold a file of this name."""
    return name in (MANIFEST, CARD, LEVEL) or any(pattern.fullmatch(name) for pattern in (_RECORD, _ERRORS, _PREDICTIONS))


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path: Path, what: str) -> Mapping[str, Any]:
    """The JSON object in a file, of a schema that this hpbench knows."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: too large for the {what}.")
        data = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_twins)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no valid JSON ({str(error)[:100]}).") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise InputError(f"{path}: not the {what} (there is no schema number in it).")
    if schema > SCHEMA:
        raise InputError(f"{path}: written by a newer hpbench (schema {schema}): upgrade to read it.")
    return data


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found
