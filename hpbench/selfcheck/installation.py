"""Whether an installation is whole: packages, catalog, shipped weights and data, prediction files."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

from .. import __version__
from ..catalog import catalog_root, dataset_cards, model_cards
from ..errors import HpbenchError
from ..faces import Faces
from ..geometry.rotations import CONVENTIONS, euler_from_rotation, geodesic_deg, rotation_from_euler
from ..predictions import SUFFIXES, Predictions, read_predictions, write_predictions
from ..readers import load
from ..validation import validate
from .laws import SEED, Check

__all__ = ["installation_checks"]

_PYTHON = (3, 11)
_REQUIREMENT = re.compile(r"([\w.-]+)\s*([^;]*?)\s*(?:;.*extra\s*==\s*['\"]([\w-]+)['\"].*)?")
_NOT_FOR_USERS = ("test",)


def installation_checks() -> list[Check]:
    """All of them; nothing of a data set that is not shipped."""
    return [
        Check("Python", "pass" if sys.version_info >= _PYTHON else "fail", ".".join(map(str, sys.version_info[:3]))),
        *_package_checks(),
        _catalog_check(),
        *_weight_checks(),
        *_data_checks(),
        _rotation_check(),
        *_file_checks(),
    ]


def _package_checks() -> list[Check]:
    """The packages that hpbench needs, and for each extra whether it is all there."""
    try:
        texts = importlib.metadata.requires("hpbench") or []
    except importlib.metadata.PackageNotFoundError:
        return [Check("packages", "absent", f"hpbench {__version__} is used without being installed: what it needs is not known")]
    needed: list[str] = []
    extras: dict[str, list[str]] = {}
    for text in texts:
        if found := _REQUIREMENT.fullmatch(text):
            name, bounds, extra = found.groups()
            problem = _missing(name, bounds)
            if extra is None:
                needed += [problem] if problem else []
            elif extra not in _NOT_FOR_USERS:
                extras.setdefault(extra, []).extend([problem] if problem else [])
    core = Check("packages", "fail" if needed else "pass", "; ".join(needed) or f"hpbench {__version__} and all that it needs")
    return [core, *(Check(f"extra {name}", "absent" if gone else "pass", _advice(name, gone)) for name, gone in extras.items())]


def _advice(extra: str, missing: list[str]) -> str:
    return f"{'; '.join(missing)}: pip install 'hpbench[{extra}]'" if missing else "there"


def _missing(name: str, bounds: str) -> str:
    """What is wrong with a package, "" where it is there in a version within its bounds."""
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"{name} is not installed"
    for bound in filter(None, (b.strip() for b in bounds.split(","))):
        sign, wanted = re.fullmatch(r"([<>=!~]*)\s*(.+)", bound).groups()  # type: ignore[union-attr]
        if (sign == ">=" and _numbers(version) < _numbers(wanted)) or (sign == "<" and _numbers(version) >= _numbers(wanted)):
            return f"{name} {version} is there, needed is {bounds}"
    return ""


def _numbers(version: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", version.partition("+")[0])[:3]]


def _catalog_check() -> Check:
    root = catalog_root()
    checks = validate([root / "datasets", root / "baselines"])
    wrong = [f"{check.path.relative_to(root)}: {check.problems[0].text}" for check in checks if not check.ok]
    kinds = {kind: sum(check.kind == kind for check in checks) for kind in ("dataset card", "protocol", "model card", "record")}
    return Check("catalog", "fail" if wrong else "pass", "; ".join(wrong[:3]) or ", ".join(f"{n} {kind}s" for kind, n in kinds.items()))


def _weight_checks() -> list[Check]:
    """Of the weights that are shipped; those that a user downloads are checked when they are used."""
    found = []
    for card in model_cards().values():
        for name, digest in card.files.items():
            path = card.folder / name
            if not path.is_file():
                found.append(Check(f"weights {card.id}", "absent", f"{name} is not beside the card: checked when it is used"))
                continue
            with path.open("rb") as file:
                same = hashlib.file_digest(file, "sha256").hexdigest() == digest
            found.append(Check(f"weights {card.id}", "pass" if same else "fail", name if same else f"{name} is not the file of the card"))
    return found


def _data_checks() -> list[Check]:
    """Of the data sets that are shipped: all there, and what their cards say."""
    found = []
    for card in dataset_cards().values():
        if not card.embedded:
            continue
        try:
            source = load(card.id)
            wrong = [
                f"{split} {labels}: {text}"
                for split, stated in card.statistics.items()
                for labels in stated
                for text in source.wrong_statistics(split, labels, source.truth(split, labels))
            ]
            counts = [f"{split} {len(source.found_ids(split))} of {n}" for split, n in card.splits.items()]
            whole = all(len(source.found_ids(split)) == n for split, n in card.splits.items())
            ok = whole and not wrong
            found.append(Check(f"data {card.id}", "pass" if ok else "fail", "; ".join(wrong[:3]) or ", ".join(counts)))
        except HpbenchError as error:
            found.append(Check(f"data {card.id}", "fail", str(error)))
    return found


def _rotation_check() -> Check:
    """Every convention there and back, away from gimbal lock."""
    angles = np.random.default_rng(SEED).uniform(-80.0, 80.0, (200, 3))
    turns = {name: rotation_from_euler(angles, name) for name in CONVENTIONS}
    worst = max(float(np.abs(euler_from_rotation(turns[name], name) - angles).max()) for name in CONVENTIONS)
    worst = max(worst, max(float(geodesic_deg(turn, turn).max()) for turn in turns.values()))
    return Check(
        "rotations", "pass" if worst < 1e-9 else "fail", f"{len(CONVENTIONS)} conventions there and back, off by {worst:.0e} degrees"
    )


def _file_checks() -> list[Check]:
    """A prediction file gives back what was written, in every format."""
    rng = np.random.default_rng(SEED)
    points = rng.uniform(0.0, 500.0, (4, 68, 2))
    points[3] = np.nan
    euler = np.vstack([rng.uniform(-80.0, 80.0, (3, 3)), np.full((1, 3), np.nan)])
    visible = np.where(np.isnan(points[..., 0]), np.nan, rng.random((4, 68)))
    faces = Faces(["a/1", "a/2", "b", "c"], euler_deg=euler, convention="yxz", landmarks=points, scheme="ibug68-fixed", visibility=visible)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix in SUFFIXES:
            path = Path(folder, f"predictions{suffix}")
            write_predictions(path, Predictions(faces))
            same = read_predictions(path).faces.content_sha256() == faces.content_sha256()
            found.append(Check(f"files {suffix}", "pass" if same else "fail", "read as written" if same else "not read as written"))
    return found
