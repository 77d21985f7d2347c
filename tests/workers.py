"""What the tests of workers share: models that run in a worker, and batches to ask them."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

import numpy as np

from hpbench.batches import Watch, predict_batch
from hpbench.errors import InputError
from hpbench.faces import Faces, Sample
from hpbench.models.interface import Model
from hpbench.models.resolve import create_model

# Does what the first pixel of a face says; needs nothing of hpbench.
MODEL = '''
import os, signal, subprocess, sys, time
import numpy as np

print("a print while it is imported")


class Toy:
    """Angles that depend on the picture, the box and the argument."""

    version = "7"
    trained_on = ("300w-lp",)
    batch_size = 3

    def __init__(self, gain: float = 1.0, device: str = "auto", weights=None):
        self.gain, self.device = gain, device
        self.weights_sha256 = None if weights is None else weights.read_text()

    def predict(self, images, boxes_xyxy_px):
        print("a print while it predicts")
        os.write(1, b"and one past Python\\n")
        for image in images:
            self.act(int(image[0, 0, 0]))
        mean = np.array([image.mean(dtype=np.float64) for image in images])
        angles = np.stack([mean * self.gain / 3, boxes_xyxy_px[:, 0] / 7, -mean / 9], axis=1)
        angles[mean > 240] = np.nan
        images[0][:] = 0  # a model may write into what it is given
        return {"euler_deg": angles, "convention": "300w-lp", "failure": ["too bright" if m > 240 else "" for m in mean]}

    def act(self, what):
        if what == 1:
            raise ValueError("it is a one\\nwith a second line")
        if what == 2:
            print("the last words", file=sys.stderr)
            os._exit(3)
        if what == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if what == 4:
            time.sleep(60)
        if what == 5:
            sys.stderr.write("x" * 3_000_000 + "\\n")
        if what == 6:
            np.ones(1 << 31)
        if what == 7:
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            print("grandchild", child.pid, file=sys.stderr, flush=True)
            os._exit(4)
        if what == 8:
            sys.exit("it has had enough")


def toy(images, boxes_xyxy_px):
    return {"rotation": np.tile(np.eye(3), (len(images), 1, 1))}


class Number:
    def predict(self, images, boxes_xyxy_px):
        return 3


class Misspelt:
    def predict(self, images, boxes_xyxy_px):
        return {"rotations": np.tile(np.eye(3), (len(images), 1, 1))}


class TooFew:
    def predict(self, images, boxes_xyxy_px):
        return {"rotation": np.eye(3)[None]}


class Idle:
    pass


class Broken:
    def __init__(self):
        raise RuntimeError("out of paper")
'''


def written(folder: Path, text: str = MODEL, name: str = "toys.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def worker(file: Path, name: str = "Toy", options: str = "", **keywords: object) -> Model:
    """The model of a file, in a worker of this Python."""
    return create_model(f"worker:{options} '{sys.executable}' '{file}:{name}'", **keywords)  # type: ignore[arg-type]


def faces(*firsts: int) -> list[tuple[Sample, np.ndarray | InputError]]:
    """Faces of several sizes; `firsts` are their first pixels."""
    batch: list[tuple[Sample, np.ndarray | InputError]] = []
    for i, first in enumerate(firsts):
        image = np.random.default_rng(i).integers(0, 255, (20 + i, 30, 3), np.uint8)
        image[0, 0, 0] = first
        batch.append((Sample(f"face{i}", None, np.array([i, 2.0, 11.5, 17.25])), image))  # type: ignore[arg-type]
    return batch


def answered(model: Model, *firsts: int, watch: Watch | None = None) -> tuple[Faces, list[str]]:
    """The predictions of one batch, and the reasons of the faces that failed."""
    predicted, _ = predict_batch(watch or Watch(model), faces(*firsts))
    return predicted, [str(reason) for reason in predicted.failure]  # type: ignore[union-attr]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked for does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path("/proc/self").exists()


def ends(pid: int, within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(pid)
