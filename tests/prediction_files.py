"""What the tests of prediction files share."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpbench.errors import InputError
from hpbench.faces import Faces
from hpbench.predictions import Predictions, read_predictions

EYE = np.eye(3)
NAN3 = [np.nan] * 3


def refused(path: Path, *parts: str) -> str:
    """The one sentence with which a file is refused; it must name the file and hold `parts`."""
    with pytest.raises(InputError) as caught:
        read_predictions(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message and "\r" not in message
    assert message.endswith((".", "?", ")"))
    assert len(message) < len(str(path)) + 400
    for part in parts:
        assert part in message
    return message


def put(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def put_h5(path: Path, attributes: dict[str, object] | None = None, **arrays: object) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            file[name] = value
        file.attrs.update(attributes or {})
    return path


def put_npz(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)
    return path


def put_jsonl(path: Path, *rows: object) -> Path:
    return put(path, "".join(json.dumps(row) + "\n" for row in rows))


def some_predictions() -> Predictions:
    """Three faces with everything a file can hold; the second failed."""
    rng = np.random.default_rng(1)
    points, visible = rng.normal(200, 50, (3, 68, 2)), rng.random((3, 68))
    points[1] = visible[1] = np.nan
    points[2, 5] = np.nan
    faces = Faces(
        sample_id=["AFW/a 1", 'né,"w"', "c"],
        euler_deg=[[10.5, -3.25, 1 / 3], NAN3, [170.0, 0.0, -0.0]],
        convention="300w-lp",
        landmarks=points,
        scheme="ibug68-fixed",
        visibility=visible,
        failure=["", "no image", ""],
    )
    return Predictions(faces, boxes="landmarks", model="net, the 2nd")
