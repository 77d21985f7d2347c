"""What a run says of its progress where no bar can be drawn."""

from __future__ import annotations

import pytest

from hpbench.cli.common import TerminalProgress


def test_a_log_has_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    progress = TerminalProgress()
    progress.start(2_000, 100_000)  # a run that goes on
    for minute in range(1, 14):
        now = 1000.0 + 60.0 * minute
        progress.advance(1_200)
    progress.finish()
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines() == [
        "3,200 of 100,000 faces, 20 faces/s, 1:20:40 left",
        "9,200 of 100,000 faces, 20 faces/s, 1:15:40 left",
        "15,200 of 100,000 faces, 20 faces/s, 1:10:40 left",
    ]


def test_a_short_run_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TerminalProgress()
    progress.start(0, 10)
    progress.advance(10)
    progress.finish()
    assert capsys.readouterr() == ("", "")
