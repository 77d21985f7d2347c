"""A private data set of a dozen drawn heads, models that were scored on it, and the command line in this process."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from miniatures.aflw2000 import draw_aflw2000, draw_catalog, miniature_ids, state_statistics

from hpbench import cli, jobs
from hpbench.faces import Faces
from hpbench.predictions import Predictions, write_predictions
from hpbench.submissions import pack

COUNT = 12
IDS = miniature_ids(COUNT)
POSE = "miniature.pose@1.json"
RECORD = f"records/{POSE}"  # in a submission
ERRORS = RECORD.removesuffix(".json") + ".errors.npz"


def draw_study(folder: Path) -> None:
    """``faces`` and ``catalog`` (for ``HPBENCH_CATALOG``) below `folder`."""
    draw_aflw2000(folder / "faces", COUNT, seed=3)
    draw_catalog(folder / "catalog", IDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPBENCH_CATALOG", str(folder / "catalog"))
        state_statistics(folder / "catalog", folder / "faces")


def score_model(folder: Path, data: Path, name: str = "guess", shift_deg: float = 5.0, seed: int = 1) -> Path:
    """Predictions with pose and landmarks, and their records, in `folder`."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(100, 350, (COUNT, 68, 2))
    euler = rng.normal(shift_deg, 4.0, (COUNT, 3))
    euler[3] = np.nan
    failure = ["" if i != 3 else "no face found" for i in range(COUNT)]
    faces = Faces(IDS, euler_deg=euler, convention="300w-lp", landmarks=points, scheme="ibug68-fixed", failure=failure)
    folder.mkdir(parents=True, exist_ok=True)
    write_predictions(folder / "predictions.h5", Predictions(faces, boxes="landmarks", model=name))
    jobs.score(folder / "predictions.h5", "miniature", data=data, out=folder)
    return folder


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``hpbench ...``."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["hpbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    return int(stopped.value.code or 0), told.out, told.err


def packed_study(folder: Path) -> Path:
    """The study with ``out``, a model's records, and ``guess.zip``, the same packed."""
    draw_study(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPBENCH_CATALOG", str(folder / "catalog"))
        score_model(folder / "out", folder / "faces")
        pack([folder / "out"], folder / "guess.zip")
    return folder


def unpack(study: Path, folder: Path) -> Path:
    with zipfile.ZipFile(study / "guess.zip") as archive:
        archive.extractall(folder)
    return folder


def rehash(folder: Path) -> None:
    """What a forger does after editing: hashes that fit again."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in manifest["files"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def edit(folder: Path, change: Callable[[dict], None], name: str = RECORD) -> None:
    data = json.loads((folder / name).read_text())
    change(data)
    (folder / name).write_text(json.dumps(data))


def predictions_in(folder: Path) -> Path:
    return next((folder / "predictions").iterdir())


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
