"""Other people's result files as predictions: read, matched with a dataset's faces, written with what they declare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..catalog import DatasetCard, dataset_card, split_ids
from ..errors import InputError, MissingDataError
from ..faces import Faces
from ..geometry.rotations import CONVENTIONS, convention_named
from ..landmarks import scheme_named
from ..predictions import SUFFIXES, Predictions, write_predictions
from ..readers import load
from .foreign import Foreign, Options, listed
from .formats import format_named, guessed_format
from .matching import bare_name, match_names

__all__ = ["Converted", "convert"]


@dataclass(frozen=True)
class Converted:
    """Predictions made of somebody's file.

    Attributes
    ----------
    predictions : Predictions
    format : str
    guessed : bool
        The format was guessed from the content.
    told : tuple of str
        Everything that was left out, guessed or taken for granted, a sentence each.
    """

    predictions: Predictions
    format: str
    guessed: bool
    told: tuple[str, ...]

    def summary(self) -> str:
        faces = self.predictions.faces
        kinds = [k for k in ("rotation", "landmarks", "visibility") if getattr(faces, k) is not None]
        stated = [f"{k} {v}" for k, v in (("convention", faces.convention), ("scheme", faces.scheme)) if v]
        failed = 0 if faces.failure is None else sum(map(bool, faces.failure))
        return f"{len(faces)} faces ({failed} failed) with {', '.join(kinds) or 'nothing'}" + (f"; {', '.join(stated)}" if stated else "")


def convert(
    path: Path | str,
    out: Path | str | None = None,
    *,
    source: str = "",
    dataset: str = "",
    data: Iterable[Path | str] = (),
    convention: str = "",
    scheme: str = "",
    columns: Mapping[str, str] | None = None,
    radians: bool = False,
    pixel_origin: int | None = None,
    images: Path | None = None,
    boxes: str = "",
    model: str = "",
    allow_unmatched: bool = False,
) -> Converted:
    """Read somebody's result file, and write it as predictions.

    Parameters
    ----------
    path : Path
        A file or a folder of one of `hpbench.conversion.FORMATS`.
    out : Path, optional
        Where to write; without it nothing is written.
    source : str
        A key of `FORMATS`; "" = guessed from the content.
    dataset : str
        Its ids are matched with the file's names (`match_names`); "" = names without their suffix are the ids.
    data : paths
        Of a dataset whose splits have no lists.
    convention, scheme : str
        Of angles and landmarks, where the file does not say.
    columns, radians, images
        See `Options`.
    pixel_origin : int or None
        1 where (1, 1) is the top-left pixel; None = as usual for the format.
    boxes, model : str
        Declared in the predictions.
    allow_unmatched : bool
        Leave out faces that cannot be matched.

    Raises
    ------
    InputError
        Nothing can be read, angles without a convention, several faces of one image, or names that match no face.
    MissingDataError
        The dataset's ids are not listed, and its data are not here.
    """
    path = Path(path)
    if out is not None and Path(out).suffix.lower() not in SUFFIXES:
        raise InputError(f"{out}: a prediction file ends in {', '.join(SUFFIXES)}, not {Path(out).suffix or 'nothing'!r}.")
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder.")
    name = source or guessed_format(path)
    options = Options(dict(columns or {}), radians, images)
    _check_options(name, options)
    foreign = format_named(name).read(path, options)
    if not foreign.names:
        raise InputError(f"{path}: there are no faces in it.")
    told = list(foreign.told)
    foreign = _one_face_each(_declared(foreign, path, name, convention, scheme), path, told)
    ids = _ids(foreign.names, path, dataset, [Path(d) for d in data], allow_unmatched, told)
    kept = np.array([bool(i) for i in ids])
    arrays = {key: value[kept] for key, value in foreign.arrays.items()}
    origin = foreign.pixel_origin if pixel_origin is None else pixel_origin
    if "landmarks" in arrays and origin:
        arrays["landmarks"] = arrays["landmarks"] - origin
        told.append("pixels were counted from 1.")
    failure = [f for f, keep in zip(foreign.failure or [""] * len(kept), kept, strict=True) if keep]
    try:
        faces = Faces(
            [i for i in ids if i], **arrays, failure=failure, scheme=foreign.scheme or None,
            convention=foreign.convention or None if "euler_deg" in arrays else None,
        )  # fmt: skip
        predictions = Predictions(faces, _agreed("boxes", boxes, foreign.boxes, path), _agreed("model", model, foreign.model, path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if out is not None:
        write_predictions(out, predictions)
    return Converted(predictions, name, not source, tuple(told))


def _agreed(name: str, given: str, stated: str, path: Path) -> str:
    """What the user or the file says; what the file says cannot be unsaid."""
    if given and stated and given != stated:
        raise InputError(f"{path}: --{name} {given}, but the file says {stated!r}: leave it out.")
    return given or stated


def _check_options(name: str, options: Options) -> None:
    of = {"--column": (options.columns, "csv"), "--radians": (options.radians, "csv"), "--images": (options.images, "coco")}
    for option, (given, of_format) in of.items():
        if given and name != of_format:
            raise InputError(f"{option} is for the format {of_format}, not for {name}.")


def _declared(foreign: Foreign, path: Path, name: str, convention: str, scheme: str) -> Foreign:
    """With the convention and scheme that the user states; what the file says stands."""
    if convention:
        convention_named(convention)
        if "euler_deg" not in foreign.arrays:
            raise InputError(f"{path}: --convention {convention}, but there are no angles in it.")
        if foreign.convention not in ("", convention):
            raise InputError(f"{path}: --convention {convention}, but angles of {name} are {foreign.convention}: leave it out.")
    elif "euler_deg" in foreign.arrays and not foreign.convention:
        raise InputError(
            f"{path}: angles, and no word on their convention: name it with --convention ({', '.join(CONVENTIONS)}); if you do not "
            "know it, take any, and `hpbench doctor PREDICTIONS -d DATASET` says which one fits."
        )
    if scheme:
        points = next((foreign.arrays[k].shape[1] for k in ("landmarks", "visibility") if k in foreign.arrays), None)
        if points is None or scheme_named(scheme).n_points != points:
            have = "no landmarks" if points is None else f"{points} landmarks a face"
            raise InputError(f"{path}: --scheme {scheme} has {scheme_named(scheme).n_points} points, and there are {have} in it.")
        if foreign.scheme not in ("", scheme):
            raise InputError(f"{path}: --scheme {scheme}, but its landmarks are {foreign.scheme}: leave it out.")
    return replace(foreign, convention=convention or foreign.convention, scheme=scheme or foreign.scheme)


def _one_face_each(foreign: Foreign, path: Path, told: list[str]) -> Foreign:
    """One face of each name: that in which the tool trusts most; without scores nobody can say which one is meant."""
    counts = Counter(foreign.names)
    twice = [name for name, n in counts.items() if n > 1]
    if not twice:
        return foreign
    if not foreign.scores:
        first = f"{twice[0]!r:.80} with {counts[twice[0]]}"
        raise InputError(f"{path}: {len(twice)} images have several faces, the first is {first}: keep the one that is meant.")
    best: dict[str, int] = {}
    for row, name in enumerate(foreign.names):
        if name not in best or foreign.scores[row] > foreign.scores[best[name]]:
            best[name] = row
    rows = sorted(best.values())
    told.append(
        f"{len(foreign.names) - len(rows)} faces are left out, of {len(twice)} images with several: kept is the one with the highest "
        f"confidence (the first: {twice[0]})."
    )
    return replace(
        foreign, names=[foreign.names[r] for r in rows], arrays={k: v[rows] for k, v in foreign.arrays.items()},
        failure=[foreign.failure[r] for r in rows] if foreign.failure else [], scores=[foreign.scores[r] for r in rows],
    )  # fmt: skip


def _ids(names: list[str], path: Path, dataset: str, data: list[Path], allow_unmatched: bool, told: list[str]) -> list[str]:
    """The sample id of each name, "" for a face to leave out."""
    if not dataset:
        told.append("names were not compared with a dataset's ids: -d DATASET does that.")
        return [bare_name(name) for name in names]
    card = dataset_card(dataset)
    known = _known_ids(card, data)
    matched = match_names(names, known)
    if matched.problems:
        first = [f"{name!r:.80} ({why})" for name, why in matched.problems.items()]
        text = f"{len(matched.problems)} of {len(names)} names match no face of {dataset}: {listed(first, 3)}"
        if not allow_unmatched:
            raise InputError(f"{path}: {text}; an id looks like {known[0]!r}; --allow-unmatched leaves them out.")
        told.append(f"left out: {text}.")
        if len(matched.problems) == len(names):
            raise InputError(f"{path}: no name matches a face of {dataset}, whose ids look like {known[0]!r}.")
    if matched.by_stem:
        told.append(f"{matched.by_stem} names lie in other folders than the dataset's and were matched by the file's name alone.")
    if any("#" in name for name in names if name not in matched.problems):
        told.append("frames were matched in the order of the dataset's ids: there are as many.")
    told += _missing(card, {i for i in matched.ids if i})
    return matched.ids


def _known_ids(card: DatasetCard, data: list[Path]) -> list[str]:
    """All ids that are listed; those of splits without a list are in the data only, which may be elsewhere."""
    lists = [split_ids(card, split) for split in card.splits]
    listed_ids = sorted({i for ids in lists for i in ids or ()})
    if None not in lists:
        return listed_ids
    try:
        return load(card.id, data).all_ids()
    except MissingDataError:
        if data or not listed_ids:
            raise
        return listed_ids


def _missing(card: DatasetCard, found: set[str]) -> list[str]:
    """How many faces of the smallest split that holds these have no row."""
    fitting = [(len(ids), split, ids) for split in card.splits if (ids := split_ids(card, split)) is not None and found <= set(ids)]
    if not fitting:
        return []
    n, split, ids = min(fitting)
    if n == len(found):
        return []
    return [f"{n - len(found)} of the {n} faces of {card.id} ({split}) have no row: they will be charged as failures."]
