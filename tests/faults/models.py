"""Models for runs that are to go wrong: ``models.py:Steady`` and its unreliable kin."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

import hpbench


class Steady(hpbench.Model):
    """Angles from colours and box; waits `delay` seconds a call."""

    name = "steady"
    batch_size = 4

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay

    def predict(self, images, boxes_xyxy_px):  # type: ignore[no-untyped-def]
        """See `hpbench.Model.predict`."""
        time.sleep(self.delay)
        euler = [[i.mean() / 3, b[0] / 10, i[..., 0].mean() / 5] for i, b in zip(images, boxes_xyxy_px, strict=True)]
        return hpbench.Faces(euler_deg=np.array(euler, dtype=float), convention="300w-lp")


class Hangs(Steady):
    """Answers two batches."""

    calls = 0

    def predict(self, images, boxes_xyxy_px):  # type: ignore[no-untyped-def]
        """See `hpbench.Model.predict`."""
        self.calls += 1
        if self.calls > 2:
            time.sleep(3600)
        return super().predict(images, boxes_xyxy_px)


class Once(Steady):
    """Does `what` once, in its third call: `marker` is a file that says that it has."""

    calls = 0

    def __init__(self, what: str = "", marker: str = "", victim: str = "") -> None:
        super().__init__()
        self.what, self.marker, self.victim = what, Path(marker), Path(victim)

    def predict(self, images, boxes_xyxy_px):  # type: ignore[no-untyped-def]
        """See `hpbench.Model.predict`."""
        self.calls += 1
        if self.calls == 3 and not self.marker.exists():
            self.marker.touch()
            if self.what == "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            elif self.what == "remove":
                self.victim.unlink()
            elif self.what == "truncate":
                self.victim.write_bytes(self.victim.read_bytes()[:1000])
            elif self.what == "memory":
                raise MemoryError
        return super().predict(images, boxes_xyxy_px)
