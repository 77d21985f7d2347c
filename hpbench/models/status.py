"""What is still missing before a model can run: its packages, its weights.

Told from the card, the metadata of the installed packages and the names of files; nothing is imported or read, so a package that is
there but broken, or a file of other weights, shows only when the model runs.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..catalog import ModelCard
from .onnx_card import read_onnx_spec
from .onnx_pose import ANGLES
from .weights import missing_weights

__all__ = ["ModelStatus", "model_gives", "model_status", "requirements_of_extra", "weight_files"]

State = Literal["ready", "needs extra", "needs package", "needs weights"]

_QUANTITIES = {"pose": {*ANGLES, "rotation"}, "landmarks": {"points"}, "visibility": {"visibility"}}


@dataclass(frozen=True)
class ModelStatus:
    """Whether a model can run here.

    Attributes
    ----------
    state : str
        ``ready``, or the first thing that is missing: ``needs extra``, ``needs package``, ``needs weights``.
    to_do : tuple of str
        Everything that is missing, in the order in which to get it: commands of pip, then ``weights``.
    missing_packages, missing_files : tuple of str
        Distributions that are not installed; weight files that are found nowhere.
    """

    state: State
    to_do: tuple[str, ...] = ()
    missing_packages: tuple[str, ...] = ()
    missing_files: tuple[str, ...] = ()


def model_status(card: ModelCard) -> ModelStatus:
    """What the model of a card needs here; `MissingDataError` where ``HPBENCH_WEIGHTS`` names no folder."""
    wanted = requirements_of_extra(card.extra) if card.extra else ()
    from_extra = _absent(wanted)
    extra_missing = bool(from_extra) or bool(card.extra and not wanted)  # an extra that the installed hpbench does not know
    alone = [requirement for requirement in card.no_deps if _absent([_name(requirement)])]
    files = missing_weights(list(weight_files(card)), model_id=card.id, card_folder=card.folder, packages=card.packages)
    missing: list[tuple[State, str]] = []
    if extra_missing:
        missing.append(("needs extra", f"pip install 'hpbench[{card.extra}]'"))
    if alone:
        missing.append(("needs package", f"pip install --no-deps {' '.join(repr(requirement) for requirement in alone)}"))
    if files:
        missing.append(("needs weights", "weights"))
    return ModelStatus(
        state=missing[0][0] if missing else "ready",
        to_do=tuple(what for _, what in missing),
        missing_packages=(*from_extra, *map(_name, alone)),
        missing_files=tuple(files),
    )


def model_gives(card: ModelCard) -> tuple[str, ...]:
    """``pose``, ``landmarks``, ``visibility``: what a model predicts, as its card says or as its ONNX outputs do."""
    if not card.onnx:
        return card.gives
    provided = {quantity for output in read_onnx_spec(card)[1] for quantity in output.provides}
    return tuple(name for name, quantities in _QUANTITIES.items() if quantities & provided)


def weight_files(card: ModelCard) -> dict[str, str]:
    """The weight files of a card and their sha256, of its table ``files`` or of ``[onnx]``."""
    if not card.onnx:
        return card.files
    spec = read_onnx_spec(card)[0]
    return dict(zip(spec.files, spec.hashes, strict=True))


def requirements_of_extra(extra: str) -> tuple[str, ...]:
    """Names of the distributions that an extra of the installed hpbench adds; none where it has no such extra."""
    try:
        requirements = importlib.metadata.requires("hpbench") or []
    except importlib.metadata.PackageNotFoundError:  # a checkout that was not installed
        return ()
    marked = re.compile(rf"""\bextra\s*==\s*["']{re.escape(extra)}["']""")
    return tuple(_name(requirement) for requirement in requirements if marked.search(requirement.partition(";")[2]))


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement.strip())
    return found[0] if found else requirement


def _absent(distributions: Iterable[str]) -> list[str]:
    return [name for name in distributions if not _installed(name)]


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
        return True
    except importlib.metadata.PackageNotFoundError:
        pass
    # another distribution may bring the same package: dlib for dlib-bin, onnxruntime-gpu for onnxruntime
    module = distribution.removesuffix("-bin").replace("-", "_")
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # ValueError: a module without a spec, put there by hand
        return False
