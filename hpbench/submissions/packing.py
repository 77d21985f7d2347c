"""An output folder as one archive: the same content gives the same bytes, on every system."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..atomic import atomic_path
from ..catalog import model_cards
from ..errors import InputError
from ..kept import known_protocol, prediction_files, predictions_by_hash, record_paths
from ..predictions import SUFFIXES, read_predictions, write_predictions
from ..records import ModelFacts, Record, read_errors, read_record
from ..scoring import Remark, silent
from .manifest import CARD, MANIFEST, SCHEMA, Manifest, read_card
from .unpacking import MAX_BYTES, MAX_FILES

__all__ = ["pack"]

_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(paths: Sequence[Path], out: Path, *, card: Path | None = None, remark: Remark = silent) -> Manifest:
    """Put the records of one model, their predictions and per-face errors, and the model's card into one archive.

    Parameters
    ----------
    paths : sequence of Path
        Output folders, records, and prediction files that do not lie with them.
    out : Path
        The archive, ``*.zip``.
    card : Path, optional
        The model's card; without it that of the catalog, else a stub to fill in.

    Raises
    ------
    InputError
        No records, records of several models or two of one protocol, errors or predictions that are not there.
    """
    if out.suffix.lower() != ".zip":
        raise InputError(f"{out}: the archive's name ends in .zip.")
    records, candidates = _found(paths)
    chosen = _one_a_protocol(records)
    model = _one_model(chosen)
    files: dict[str, bytes] = {}
    made_of: dict[str, str] = {}
    kept = predictions_by_hash(candidates)
    with tempfile.TemporaryDirectory() as scratch:
        for path, record in chosen:
            if record.predictions_sha256 not in kept:
                raise InputError(f"{path}: the predictions it was made of are not in what was given: name their file too.")
            name, errors = f"records/{record.file_name}", path.with_suffix(".errors.npz")
            read_errors(path)  # there, whole, and of this record
            files[name] = record.to_json().encode()
            files[name.removesuffix(".json") + ".errors.npz"] = errors.read_bytes()
            dataset = record.protocol.id.partition("/")[0]
            made_of[name] = f"predictions/{dataset}-{record.predictions_sha256[:12]}.h5"
            if made_of[name] not in files:  # as HDF5, whatever they were: one format to read with suspicion
                target = Path(scratch, "predictions.h5")
                write_predictions(target, read_predictions(kept[record.predictions_sha256]))
                files[made_of[name]] = target.read_bytes()
            if remarked := _off_the_ranks(record):
                remark(f"{path}: {remarked}.")
    files[CARD] = _card(model, card, remark)
    manifest = Manifest(SCHEMA, __version__, "self-reported", {k: hashlib.sha256(v).hexdigest() for k, v in files.items()}, made_of)
    size = sum(map(len, files.values()))
    if len(files) >= MAX_FILES or size > MAX_BYTES:
        raise InputError(f"{out}: {len(files)} files of {size >> 20} MiB are too much for one archive: pack fewer.")
    files[MANIFEST] = manifest.to_json().encode()
    with atomic_path(out) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):  # stored: what a compressor makes of them depends on its version
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, files[name])
    return manifest


def _found(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Records and files of predictions."""
    records: list[Path] = []
    predictions: list[Path] = []
    for path in paths:
        if path.is_dir():
            records += record_paths(path)
            predictions += prediction_files(path)
        elif path.is_file() and path.suffix == ".json":
            records.append(path)
            predictions += prediction_files(path.parent)
        elif path.is_file() and path.suffix.lower() in SUFFIXES:
            predictions.append(path)
        elif path.exists():
            raise InputError(f"{path}: neither an output folder nor a record nor predictions ({', '.join(SUFFIXES)}).")
        else:
            raise InputError(f"{path}: there is no such file or folder.")
    if not records:
        raise InputError(f"{', '.join(map(str, paths))}: no record in it: give the output folder of `hpbench run` or `hpbench score`.")
    return records, predictions


def _one_a_protocol(paths: Sequence[Path]) -> list[tuple[Path, Record]]:
    """The records by protocol; one that was found twice counts once."""
    found: dict[str, tuple[Path, Record]] = {}
    for path in paths:
        record = read_record(path)
        other, same = found.setdefault(record.protocol.id, (path, record))
        if other != path and not same.same_as(record):
            raise InputError(f"{other} and {path} are two records of {record.protocol.id}: give one of them.")
    return [found[key] for key in sorted(found)]


def _one_model(records: Sequence[tuple[Path, Record]]) -> ModelFacts:
    first_path, first = records[0]
    for path, record in records[1:]:
        told = [(m.label, m.version, m.weights_sha256) for m in (first.model, record.model)]
        if told[0] != told[1]:
            what = "another model" if told[0][0] != told[1][0] else "the same model of another version or with other weights"
            raise InputError(f"{path}: {record.model.label!r}, {what} than in {first_path} ({first.model.label!r}): pack each by itself.")
    return first.model


def _off_the_ranks(record: Record) -> str:
    """Why a board will give the record no rank, or "" where it may."""
    protocol = known_protocol(record)
    if protocol is None:
        return f"{record.protocol.reference} is not known here: nobody else can score it"
    if protocol.sha256 != record.protocol.sha256:
        return f"scored by another text of {protocol.id} than the present one (`hpbench rescore` scores it anew)"
    if record.detector:
        return f"with boxes of {record.detector}, another task than the protocol's: it will not be ranked"
    if not record.ranked:
        return "partial or unverified: it will not be ranked"
    return ""


def _card(model: ModelFacts, given: Path | None, remark: Remark) -> bytes:
    cards = model_cards()
    path = given or (cards[model.name].path if model.name in cards else None)
    if path is not None:
        if unsaid := read_card(path).unsaid:
            remark(f"{path} does not say: {', '.join(unsaid)}.")
        return path.read_bytes().replace(b"\r\n", b"\n")
    remark(f"no card given: a stub of {CARD} is packed; fill it in and give it with --card.")
    return _stub(model).encode()


def _stub(model: ModelFacts) -> str:
    """A card to fill in; what the records know stands there."""

    def line(name: str, value: str | Sequence[str], comment: str) -> str:
        # JSON's texts and lists are TOML's
        return f"{name} = {json.dumps(value if isinstance(value, str) else list(value), ensure_ascii=False)}  # {comment}"

    identifier = re.sub(r"[^\w.+-]+", "-", model.label).strip("-.") or "model"
    lines = (
        line("id", identifier, "letters, digits and - _ . +"),
        line("title", model.label, "as boards shall call it"),
        line("version", model.version or "1", "of the model"),
        line("paper", "", "authors, title, venue, year; or unpublished"),
        line("citation", "", "BibTeX"),
        line("code", "", "where others find what made the predictions"),
        line("weights", "", "which, and where they are to be had"),
        line("licence", "", "of code, weights and these predictions"),
        line("trained_on", model.trained_on, "also for pretraining; names of datasets/overlaps.csv, or cofw:train for a split"),
        line("contact", "", "who submits, and where questions are answered"),
    )
    return "\n".join(lines) + "\n"
