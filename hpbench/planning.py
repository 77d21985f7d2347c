"""What a run is before it runs: the request with a model, a folder, and what makes this run this run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .detectors.cards import PREFIX
from .detectors.chosen import DetectedBoxes
from .errors import InputError, MissingDataError
from .models.interface import Model
from .predictions.given import read_given_predictions
from .records import ModelFacts
from .request import Options, Request

__all__ = ["RunPlan", "default_output", "facts_of", "ids_sha256", "keep_larger", "plan_run"]


@dataclass(frozen=True)
class RunPlan:
    """A run that may begin.

    Attributes
    ----------
    request : Request
    facts : ModelFacts
    batch_size : int
    folder : Path
        Of the output.
    settings : dict
        What makes this run this run; see `hpbench.parts.Parts.claim`.
    """

    request: Request
    facts: ModelFacts
    batch_size: int
    folder: Path
    settings: dict[str, Any]

    @property
    def file(self) -> Path:
        """The prediction file it will write."""
        return self.folder / "predictions.h5"


def plan_run(request: Request, facts: ModelFacts, batch_size: int, detected: DetectedBoxes | None = None) -> RunPlan:
    """The run of a model; `batch_size` is the model's own, `detected` what `Request.detected` returned."""
    source, options = request.source, request.options
    folder = options.out if options.out is not None else default_output(facts.label, source.card.id, request.boxes)
    settings = {
        "model": facts.name, "version": facts.version, "weights_sha256": facts.weights_sha256,
        "dataset": source.card.id, "data": source.fingerprint(folder), "boxes": request.boxes, "model_args": dict(facts.arguments),
        "weights": _content_sha256(options.weights) if options.weights is not None else None,
        **({"detector": detected.settings} if detected else {}),
    }  # fmt: skip
    return RunPlan(request, facts, options.batch_size or batch_size, folder, settings)


def facts_of(model: Model, options: Options) -> ModelFacts:
    """What a record says of a model; to decode smaller makes it another one."""
    arguments = {**options.model_args, **({"decoding": "reduced"} if options.setup.reduced else {})}
    return ModelFacts(model.name, str(model.version), model.weights_sha256, arguments, model.trained_on)


def keep_larger(file: Path, n: int, limit: int | None) -> None:
    """A trial run must not overwrite a whole one's predictions: `InputError` where `file` holds more faces than these `n`."""
    if limit is None or not file.exists():
        return
    present = len(read_given_predictions(file).faces)
    if present > n:
        raise InputError(f"{file} holds {present} faces, --limit {limit} would replace them by {n}: choose another -o.")


def ids_sha256(ids: Sequence[str]) -> str:
    """Of the faces of a run: processes that share it must see the same."""
    digest = hashlib.sha256()
    for sample_id in ids:
        digest.update(sample_id.encode() + b"\0")
    return digest.hexdigest()


def default_output(model: str, dataset: str, boxes: str = "") -> Path:
    """``hpbench-out/<model>/<dataset>``, names made safe for a folder; with the boxes behind it where a detector gave them.

    Such records have the names of those with the protocols' boxes, which they must not replace.
    """
    folder = f"{dataset}-{boxes}" if boxes.startswith(PREFIX) else dataset
    return Path("hpbench-out") / _safe(model, "model") / _safe(folder, dataset)


def _safe(name: str, otherwise: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or otherwise


def _content_sha256(path: Path) -> str:
    """Hash of a weight file, or of the names and sizes of a folder of them."""
    digest = hashlib.sha256()
    try:
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                digest.update(f"{file.relative_to(path).as_posix()}|{file.stat().st_size}|{file.stat().st_mtime_ns}\n".encode())
        else:
            with path.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256")
    except OSError as error:
        raise MissingDataError(f"{path}: the weights cannot be read ({error.strerror}).") from None
    return digest.hexdigest()
