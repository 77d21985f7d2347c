"""What kind of file it is, and everything that is wrong with it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..catalog import (
    check_curves,
    check_published,
    dataset_card_from,
    model_card_from,
    protocol_from,
    published_curves,
    published_rows,
    published_works,
    split_ids,
)
from ..checked import read_toml
from ..errors import HpbenchError, InputError, collecting
from ..kept import prediction_files, record_paths
from ..models.onnx_card import read_onnx_spec
from ..models.worker import read_worker_card
from ..predictions import SUFFIXES
from ..records import read_errors, read_record
from ..submissions import check_submission
from ..submissions.manifest import MANIFEST, SubmissionCard, read_card
from .predictions import MOST, prediction_problems
from .problems import Problem, located

__all__ = ["FileCheck", "validate"]


@dataclass(frozen=True)
class FileCheck:
    """A file and what is wrong with it.

    Attributes
    ----------
    path : Path
    kind : str
        What it was taken for: ``predictions``, ``record``, ``dataset card``, ``protocol``, ``model card``, ``published values``,
        ``published works``, ``published curves``, ``submission``, or ``unknown``.
    problems : tuple of Problem
    """

    path: Path
    kind: str
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def more(self) -> bool:
        """Whether it was left at `MOST` problems."""
        return len(self.problems) >= MOST


def validate(paths: Sequence[Path]) -> list[FileCheck]:
    """Every problem of every file; of a folder, of the records, predictions, cards and protocols in it, or of the submission it is.

    Raises
    ------
    InputError
        A path that is not there, or a folder with nothing to look at.
    """
    return [_checked(path) for given in paths for path in _files(Path(given))]


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder.")
    if not path.is_dir() or (path / MANIFEST).is_file():
        return [path]
    # any table may lie in a folder: those that a run writes, or that nobody else would write
    predictions = [p for p in prediction_files(path) if p.suffix.lower() == ".h5" or p.stem == "predictions"]
    published = [p for p in path.rglob("published*.csv") if p.name in _PUBLISHED and p.parent.name == "baselines"]
    found = [*record_paths(path), *predictions, *path.rglob("*.toml"), *published]
    if not found:
        raise InputError(f"{path}: holds neither records nor predictions, cards or protocols.")
    return sorted(set(found))


def _checked(path: Path) -> FileCheck:
    kind = ""
    try:
        kind = _kind(path)
        return FileCheck(path, kind, tuple(_OF_KIND[kind](path)))
    except HpbenchError as error:
        return FileCheck(path, kind or "unknown", tuple(located(path, error.sentences)))


def _kind(path: Path) -> str:
    if path.is_dir() or path.name == MANIFEST or _is_submission(path):
        return "submission"
    if path.name.endswith(".errors.npz"):
        return "per-face errors"
    if path.suffix == ".toml":
        return _kind_of_toml(path)
    if path.suffix == ".json":
        return "record"
    if path.suffix == ".csv" and (kind := _PUBLISHED.get(path.name)) and path.parent.name == "baselines":
        return kind
    if path.suffix.lower() in SUFFIXES:
        return "predictions"
    raise InputError(f"{path}: not a file that is known: records are .json, cards and protocols .toml, predictions {', '.join(SUFFIXES)}.")


def _is_submission(path: Path) -> bool:
    if path.suffix != ".zip":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return MANIFEST in archive.namelist()
    except Exception:  # zipfile raises a dozen kinds for damaged files
        raise InputError(f"{path}: cannot be read as an archive: truncated?") from None


def _kind_of_toml(path: Path) -> str:
    keys = read_toml(path).keys()
    if path.parent.name == "protocols" or {"main", "metrics"} & keys:
        return "protocol"
    if {"contact", "code"} & keys:
        return "submission card"
    return "dataset card" if {"reader", "splits", "boxes"} & keys else "model card"


def _record(path: Path) -> list[Problem]:
    """A record, and the per-face errors beside it, which may have been left behind."""
    read_record(path)
    if path.with_suffix(".errors.npz").is_file():
        read_errors(path)
    return []


def _errors(path: Path) -> list[Problem]:
    record = path.with_name(path.name.removesuffix(".errors.npz") + ".json")
    read_errors(record)
    return []


def _dataset_card(path: Path) -> list[Problem]:
    """A card, the lists of its splits and its protocols."""
    card = dataset_card_from(path)
    wrong: list[str] = []
    for split in card.splits:
        with collecting(wrong):
            split_ids(card, split)
    for protocol in sorted((path.parent / "protocols").glob("*.toml")):
        with collecting(wrong):
            protocol_from(protocol, card)
    return located(path, wrong)


def _protocol(path: Path) -> list[Problem]:
    card = path.parent.parent / "card.toml"
    if not card.is_file():
        raise InputError(f"{path}: its dataset's card is missing: a protocol lies in <dataset>/protocols/, beside <dataset>/card.toml.")
    protocol_from(path, dataset_card_from(card))
    return []


def _model_card(path: Path) -> list[Problem]:
    card = model_card_from(path)
    if card.onnx:
        read_onnx_spec(card)
    elif card.worker:
        read_worker_card(card)
    return []


def _submission_card(path: Path) -> list[Problem]:
    card: SubmissionCard = read_card(path)
    return [Problem(f"does not say: {name}", column=name) for name in card.unsaid]


def _submission(path: Path) -> list[Problem]:
    found = check_submission(path.parent if path.name == MANIFEST else path)
    of_records = [f"{record.protocol}: {text}" for record in found.records for text in record.differences]
    return located(path, [*found.differences, *of_records])


def _published(path: Path) -> list[Problem]:
    rows = published_rows([path.parent.parent])
    return located(path, [str(problem) for problem in check_published(rows)])


def _works(path: Path) -> list[Problem]:
    published_works([path.parent.parent])
    return []


def _curves(path: Path) -> list[Problem]:
    root = [path.parent.parent]
    return located(path, check_curves(published_curves(root), published_rows(root)))


_PUBLISHED = {"published.csv": "published values", "published_works.csv": "published works", "published_ced.csv": "published curves"}
_OF_KIND: dict[str, Callable[[Path], list[Problem]]] = {
    "predictions": prediction_problems,
    "record": _record,
    "per-face errors": _errors,
    "dataset card": _dataset_card,
    "protocol": _protocol,
    "model card": _model_card,
    "submission card": _submission_card,
    "submission": _submission,
    "published values": _published,
    "published works": _works,
    "published curves": _curves,
}
