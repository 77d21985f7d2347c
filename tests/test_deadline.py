"""A call that must come back in time, and a process that ends though it does not."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from hpbench.deadline import Deadline, has_left_behind
from hpbench.errors import RunStoppedError

LONG_S = 60.0


def test_what_comes_back_in_time() -> None:
    clock = Deadline(LONG_S)
    threads = {clock.run(threading.get_ident, "net") for _ in range(3)}
    assert len(threads) == 1 and threads != {threading.get_ident()}, "one thread for all: a model may keep things by thread"
    with pytest.raises(ZeroDivisionError):
        clock.run(lambda: 1 // 0, "net")
    with pytest.raises(SystemExit):
        clock.run(lambda: sys.exit(3), "net")
    assert clock.run(lambda: 5, "net") == 5
    clock.close()
    assert not has_left_behind()


def test_what_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    clock = Deadline(0.05)
    with pytest.raises(RunStoppedError, match=r"model net has not answered for 0\.05 s \(--timeout\)"):
        clock.run(release.wait, "net")
    clock.close()
    assert has_left_behind()
    release.set()
    deadline = time.monotonic() + LONG_S
    while has_left_behind() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not has_left_behind()


def test_nothing_is_kept_of_a_call() -> None:
    import gc
    import weakref

    class Batch:
        pass

    clock, batch = Deadline(LONG_S), Batch()
    gone = weakref.ref(batch)
    clock.run(lambda b=batch: None, "net")  # type: ignore[misc]
    del batch
    clock.run(lambda: None, "net")
    gc.collect()
    assert gone() is None
    clock.close()


def test_a_deadline_that_no_system_can_wait_for() -> None:
    clock = Deadline(1e300)
    assert clock.run(lambda: 1, "net") == 1
    clock.close()


def test_an_answer_too_late_is_nobodys() -> None:
    """A second call after a timeout must not get the first one's answer."""
    clock = Deadline(0.05)
    release = threading.Event()
    with pytest.raises(RunStoppedError):
        clock.run(lambda: release.wait() and "late", "net")
    with pytest.raises(RunStoppedError):
        clock.run(lambda: "second", "net")
    release.set()
    clock.close()


@pytest.mark.skipif(os.name == "nt", reason="exit codes of signals are POSIX")
@pytest.mark.parametrize(
    ("hang", "codes"), [("while True: cv2.GaussianBlur(a, (31, 31), 3)", (2,)), ("re.match('(a+)+$', 'a' * 50 + 'b')", (1,))]
)
def test_the_process_ends_whatever_the_thread_does(tmp_path: Path, hang: str, codes: tuple[int, ...]) -> None:
    """In native code, out of which a thread comes into an ending interpreter, or that never gives the interpreter back."""
    script = f"""
        import re, sys
        import cv2, numpy as np
        import hpbench.deadline
        from hpbench.cli import main
        import hpbench.cli as cli
        hpbench.deadline._GRACE_S = 0.3
        a = np.random.rand(400, 400)
        def call():
            {hang}
        cli.cli.main = lambda **_: hpbench.deadline.Deadline(0.2).run(call, "net")
        main()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=LONG_S, check=False)
    assert done.returncode in codes, done.stderr
    assert "has not answered" in done.stderr if 2 in codes else "Timeout (0:00:00" in done.stderr and " in call" in done.stderr
