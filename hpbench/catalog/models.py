"""Model cards."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..checked import build, read_toml
from ..errors import InputError
from .roots import check_id, content_files

__all__ = ["ModelCard", "model_card_from", "model_cards"]


@dataclass(frozen=True)
class ModelCard:
    """A model as described by ``baselines/<id>/card.toml`` (or a user's own card).

    Either `target` names code (``package.module:Class``), or `onnx` describes ONNX files (`hpbench.models.onnx_card`), or `worker` a
    process in an environment of its own (`hpbench.models.worker`).
    `weights` says in words what files it takes and where they are from; `files` names them with their sha256, or "any" for a file that
    everybody exports for himself; `packages` are folders of installable packages that carry them (`hpbench.models.weights`).
    `parameters` is the number of trained ones, where that means something and is known.
    `gives` says what its code predicts; the outputs of an ``[onnx]`` table say it themselves.
    `no_deps` are requirements to install with ``pip install --no-deps``: what they ask for clashes with what hpbench needs.
    """

    id: str
    title: str
    version: str = "1"
    paper: str = ""
    citation: str = ""
    licence: str = ""
    trained_on: tuple[str, ...] = ()
    weights: str = ""
    files: dict[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    extra: str = ""
    no_deps: tuple[str, ...] = ()
    gives: tuple[Literal["pose", "landmarks", "visibility"], ...] = ()
    parameters: int | None = None
    target: str = ""
    onnx: dict[str, Any] = field(default_factory=dict)
    worker: dict[str, Any] = field(default_factory=dict)
    folder: Path = field(default=Path(), init=False)

    file_name: str = field(default="card.toml", init=False)

    @property
    def path(self) -> Path:
        return self.folder / self.file_name


def model_cards() -> dict[str, ModelCard]:
    """All model cards of the catalog by id, sorted."""
    cards: dict[str, ModelCard] = {}
    for path in content_files("baselines", "card.toml"):
        card = model_card_from(path)
        if card.id in cards:
            raise InputError(f"{path}: a model {card.id!r} exists already in {cards[card.id].folder}.")
        cards[card.id] = card
    return dict(sorted(cards.items()))


def model_card_from(path: Path) -> ModelCard:
    """Read one model card."""
    card = build(ModelCard, read_toml(path), str(path))
    check_id(card.id, path, folder_named_so=False)
    if card.parameters is not None and card.parameters < 0:
        raise InputError(f"{path}: parameters = {card.parameters}: a number of parameters is 0 or more.")
    if [bool(card.target), bool(card.onnx), bool(card.worker)].count(True) != 1:
        raise InputError(f"{path}: a model card has either a target (package.module:Class) or an [onnx] table or a [worker] table.")
    if card.onnx and card.files:
        raise InputError(f"{path}: the files of an [onnx] table stand there, as file and sha256: leave [files] out.")
    if card.onnx and card.gives:
        raise InputError(f"{path}: 'gives' belongs to code: the outputs of an [onnx] table say it themselves.")
    object.__setattr__(card, "folder", path.parent)
    object.__setattr__(card, "file_name", path.name)
    return card
