"""The page of the engine: what a face more costs, a section for each file that is there, and the figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpbench.report.engine import engine_markdown, growth, million_figure, read_million

MILLION = """command,faces,seconds,peak_mib
run,10000,4.0,100
score,10000,2.0,100
run,110000,44.0,200
score,110000,33.0,150
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "million.csv").write_text(MILLION, encoding="utf-8")
    return tmp_path


def test_growth_is_bytes_and_seconds_a_face_between_the_two_largest_runs(folder: Path) -> None:
    rows = read_million(folder / "million.csv")
    assert growth(rows, "run") == (pytest.approx(100 * 1024**2 / 100_000), pytest.approx(1.0))
    assert growth(rows, "score") == (pytest.approx(50 * 1024**2 / 100_000), pytest.approx(1.5))
    with pytest.raises(ValueError, match="one number of faces"):
        growth(rows[:2], "run")


def test_sections_are_of_the_files_that_are_there(folder: Path) -> None:
    text = engine_markdown(folder)
    assert text.count("## ") == 1 and "| run | 110,000 | 44.0 | 200 |" in text and "1,049 bytes a face more" in text
    (folder / "faults.csv").write_text("kind,rounds,identical,seconds\nkill -9,50,50,90\nfull disk,10,9,5\n", encoding="utf-8")
    (folder / "fuzz.csv").write_text(
        "target,inputs,seconds,findings_open,findings_mended,peak_mib\ncards | protocols,900000,60,0,3,210\ncsv,100000,9,2,0,180\n",
        encoding="utf-8",
    )
    (folder / "pipeline.csv").write_text(
        "model,images,workers,decoding,bare_ms,end_to_end_ms,ratio\nmnn,500,4,whole,20.1,20.6,0.976\n", encoding="utf-8"
    )
    text = engine_markdown(folder)
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## A million faces", "## End to end against the bare model", "## Faults survived", "## Odd and hostile inputs",
    ]  # fmt: skip
    assert "Of 60 rounds 59 ended" in text and "1,000,000 inputs: 2 findings are open, 3 are mended" in text
    assert "| mnn | 500 | 4 | whole | 20.1 | 20.6 | 0.976 |" in text and "bare model, ms" in text
    rows = [line for line in text.splitlines() if "900000" in line]
    assert len(rows) == 1 and rows[0].replace(r"\|", "").count("|") == 7  # a bar in a name is no column


def test_nothing_measured_is_said(tmp_path: Path) -> None:
    assert engine_markdown(tmp_path) == "Nothing is measured yet."


def test_a_figure_beside_the_numbers_is_shown(folder: Path) -> None:
    (folder / "million.svg").write_text("<svg/>", encoding="utf-8")
    assert "![A million faces](drawings/million.svg)" in engine_markdown(folder, "drawings")


def test_one_run_alone_has_no_growth(tmp_path: Path) -> None:
    (tmp_path / "million.csv").write_text("\n".join(MILLION.splitlines()[:2]) + "\n", encoding="utf-8")
    assert "bytes a face" not in engine_markdown(tmp_path)


def test_the_figure_holds_what_was_measured_and_is_drawn_alike(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = million_figure(read_million(folder / "million.csv"))
    assert json.loads(picture.data)["table"][1] == {"command": "run", "faces": 110000, "peak_mib": 200, "seconds": 44}
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    picture.save(first)
    million_figure(read_million(folder / "million.csv")).save(second)
    assert first.read_bytes() == second.read_bytes()
    assert picture.figure().axes[0].get_xscale() == picture.figure().axes[1].get_yscale() == "log"
