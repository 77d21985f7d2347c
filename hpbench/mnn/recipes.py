"""What a training is made of, as files and options say it: the paper's recipes, data by name, settings on top of settings.

A recipe is ``recipes/<name>.toml`` beside this module: the paper's data, labels, network and schedule for one of its models, and the
protocols by which it is tested.  What the paper does not give is our choice and says so in the file.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..checked import build, read_toml
from ..errors import InputError, did_you_mean
from .config import TrainConfig

__all__ = [
    "FacesWanted",
    "Recipe",
    "merged",
    "parse_faces",
    "parse_setting",
    "recipe_named",
    "recipe_names",
    "settings_text",
]

_FOLDER = Path(__file__).with_name("recipes")


@dataclass(frozen=True)
class FacesWanted:
    """Faces of a dataset to learn from.

    Attributes
    ----------
    dataset : str
        Id of a dataset card; ``heads`` without a split: shards of rendered heads.
    split : str
        "": the only one that no protocol tests on.
    labels : str
        The annotation; "": the dataset's first.
    pose : str
        ``derived``: from the landmarks on the mean face, as in the paper; ``labels``: the annotation's own.
    held_out : float
        Share of the faces that is left out of training, by their ids: to test on where a dataset has no split for it.
    """

    dataset: str
    split: str = ""
    labels: str = ""
    pose: Literal["derived", "labels"] = "derived"
    held_out: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.held_out < 1:
            raise InputError(f"training data {self.name}: held_out {self.held_out} must be a share from 0 to below 1.")

    @property
    def name(self) -> str:
        """``cofw:train``, as options write it."""
        parts = [self.dataset, self.split, self.labels, self.pose if self.pose != "derived" else ""]
        return ":".join(parts).rstrip(":")


@dataclass(frozen=True)
class Recipe:
    """One of the paper's models.

    Attributes
    ----------
    data : tuple of FacesWanted
    training : table
        As of `TrainConfig`.
    tests : tuple of str
        Protocols on which the paper tests this model.
    allow_test_data : bool
        Trained on what another protocol tests on, as the paper does.
    """

    title: str
    data: tuple[FacesWanted, ...]
    training: dict[str, Any]
    tests: tuple[str, ...]
    allow_test_data: bool = False
    name: str = field(default="", init=False)


def recipe_names() -> list[str]:
    """All recipes, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def recipe_named(name: str) -> Recipe:
    """The recipe of this name; `InputError` with the nearest name if there is none."""
    if name not in recipe_names():
        raise InputError(f"unknown recipe {name!r}: {did_you_mean(name, recipe_names())}")
    path = _FOLDER / f"{name}.toml"
    recipe = build(Recipe, read_toml(path), str(path))
    object.__setattr__(recipe, "name", name)
    return recipe


def parse_faces(text: str) -> FacesWanted:
    """``NAME[:SPLIT[:LABELS[:POSE]]]``, parts may be empty."""
    parts = text.split(":")
    if len(parts) > 4 or not parts[0]:
        raise InputError(f"--dataset {text!r}: write it as NAME:SPLIT:LABELS:POSE, of which all but the name may be left out.")
    names = ("dataset", "split", "labels", "pose")
    return build(FacesWanted, {k: v for k, v in zip(names, parts, strict=False) if v}, f"--dataset {text!r}")


def parse_setting(text: str) -> dict[str, Any]:
    """``network.input_px=128`` as a table of settings; a value that is no TOML is text."""
    key, equals, value = text.partition("=")
    for written in (value, json.dumps(value)) if equals and text.isprintable() else ():
        try:
            return tomllib.loads(f"{key} = {written}")
        except (ValueError, RecursionError):  # ValueError: also a whole number of too many digits
            continue
    raise InputError(f"--set {text!r}: write it as key=value or table.key=value.")


def merged(tables: Sequence[Mapping[str, Any]], where: str) -> TrainConfig:
    """Settings of several tables, the later ones over the earlier; `InputError` for a key that there is not."""
    return build(TrainConfig, _over(tables), where)


def settings_text(config: TrainConfig) -> str:
    """All settings as TOML, which read back are the same."""
    lines: list[str] = []

    def write(value: Any, table: str) -> None:
        entries = [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
        lines.extend(f"{name} = {_toml(entry)}" for name, entry in entries if not dataclasses.is_dataclass(entry))
        for name, entry in entries:
            if dataclasses.is_dataclass(entry):
                lines.extend(["", f"[{table}{name}]"])
                write(entry, f"{table}{name}.")

    write(config, "")
    return "\n".join(lines)


def _over(tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            below = result.get(key)
            result[key] = _over([below, value]) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _toml(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)  # of text, booleans and finite numbers, JSON is TOML
