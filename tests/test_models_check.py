"""``hpbench models check`` from the command line; its figure, its CSV file and the tables of reports/robustness.md."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import inspected_models
import numpy as np
import pytest
from small_study import command

from hpbench.errors import InputError
from hpbench.inspection import inspect_model
from hpbench.report.crop_sensitivity import (
    colour_markdown,
    crop_markdown,
    read_responses,
    response_rows,
    save_crop_sensitivity,
    write_responses,
)
from hpbench.report.figures.crop_sensitivity import crop_sensitivity_figure
from hpbench.report.figures.picture import Row

FILE = Path(inspected_models.__file__)
RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "crop_sensitivity.csv"
FEW = ("--limit", "6", "--model-arg", "faces=6")


@pytest.fixture
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speed is measured by processes of its own, which take seconds."""

    def bench(*_: object, **__: object) -> None:
        raise InputError("not in this test")

    monkeypatch.setattr("hpbench.speed.bench", bench)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Two models: one right, one that wants larger boxes."""
    made = {"right": inspected_models.Right(6), "tight": inspected_models.Tight(6)}
    return [row for name, model in made.items() for row in response_rows(name, inspect_model(model, limit=6).responses)]


@pytest.mark.usefixtures("no_clock")
def test_a_right_model_passes_and_leaves_figure_and_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = command(capsys, "models", "check", f"{FILE}:Right", *FEW, "-o", tmp_path)
    assert code == 0 and "the contract is kept, 0 notes." in err and "FAILED" not in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["crop_sensitivity.csv", "crop_sensitivity.png", "crop_sensitivity.svg"]
    with (tmp_path / "crop_sensitivity.csv").open() as file:
        found = list(csv.DictReader(file))
    scales = [r for r in found if (r["change"], r["metric"]) == ("box scale", "geodesic")]
    assert [float(r["amount"]) for r in scales] == pytest.approx(np.arange(0.6, 1.65, 0.1)) and {r["model"] for r in found} == {"Right"}
    assert min(scales, key=lambda r: float(r["value"]))["amount"] == "1"


@pytest.mark.usefixtures("no_clock")
def test_a_broken_contract_is_exit_1_and_a_note_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = command(capsys, "models", "check", f"{FILE}:TrainingMode", *FEW)
    assert code == 1 and "FAILED" in out and "1 check FAILED" in err
    code, out, err = command(capsys, "models", "check", f"{FILE}:Tight", *FEW, "--json")
    said = json.loads(out)
    assert code == 0 and said["schema"] == 1 and said["ok"] is True and said["model"] == "Tight" and said["n_faces"] == 6
    note = next(c for c in said["checks"] if c["name"] == "box scale")
    assert "is least at 1.2" in note["said"] and said["checks"][-1]["name"] == "throughput"
    assert {r["change"] for r in said["responses"]} == {"colour", "box scale", "box shift x", "box shift y"}


def test_nothing_but_a_model_is_needed_and_mistakes_are_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = command(capsys, "models", "check", "frontal")
    assert code == 0 and "does not depend on it" in out and "faces/s in batches of" in out
    for expected, arguments in (
        (2, ("frontl",)),
        (2, ("frontal", "--limit", 0)),
        (2, ("frontal", "--weights", tmp_path)),
        (2, ("frontal", "-d", "head")),
        (3, ("frontal", "-d", "aflw2000", "--data", tmp_path)),
        (2, (f"{FILE}:Wrong",)),
    ):
        code, out, err = command(capsys, "models", "check", *arguments)
        assert code == expected and out == "" and err.splitlines()[-1 if expected == 2 else 0].startswith("hpbench: "), (arguments, err)


def test_a_model_that_answers_nothing_is_a_failed_check(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def predict(images, boxes):\n    raise RuntimeError('no kernel')\n")
    code, out, err = command(capsys, "models", "check", f"{tmp_path / 'broken.py'}:predict", "--limit", 12, "-o", tmp_path / "out")
    assert code == 1 and "no kernel" in out and "no figure is written" in err and not (tmp_path / "out").exists()


def test_numbers_survive_their_file(rows: list[Row], tmp_path: Path) -> None:
    write_responses(rows, tmp_path / "a.csv")
    again = read_responses(tmp_path / "a.csv")
    assert again == rows
    write_responses(again, tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_tables_say_where_the_error_is_least(rows: list[Row]) -> None:
    lines = crop_markdown(rows).splitlines()
    assert len(lines) == 2 + 4 and len({line.count("|") for line in lines}) == 1
    tight = next(line for line in lines if line.startswith("| tight | geodesic"))
    assert "| 1.2 [1.2, 1.2] |" in tight and "| 0 % |" in tight
    base = next(r for r in rows if (r["model"], r["metric"], r["change"], r["amount"]) == ("tight", "geodesic", "box scale", 1.0))
    assert f"| {base['value']:.2f} deg |" in tight
    colours = colour_markdown(rows).splitlines()
    assert len(colours) == 2 + 4 and all("| +" in line for line in colours[2:])


def test_the_figure_shows_what_the_rows_say(rows: list[Row], tmp_path: Path) -> None:
    picture = crop_sensitivity_figure(rows)
    drawn = {(r["model"], r["metric"], r["change"], r["amount"]): r["value"] for r in picture.table}
    expected = {
        (r["model"], r["metric"], r["change"], r["amount"]): r["value"]
        for r in rows if r["change"] != "colour" and r["metric"] in ("geodesic", "nme(norm=sqrt_wh)")
    }  # fmt: skip
    assert drawn == expected and len(drawn) == 2 * 2 * (11 + 9 + 9)
    assert all(path.stat().st_size for path in save_crop_sensitivity(rows, tmp_path))
    axes = [a for a in picture.figure().axes if a.get_xlabel()]
    assert len(axes) == 6 and all(len(a.lines) == 3 for a in axes)  # two models and the mark of the given box
    with pytest.raises(InputError, match="nothing to draw"):
        crop_sensitivity_figure([r for r in rows if r["change"] == "colour"])


def test_the_measured_rows_are_whole() -> None:
    """Of every model the same faces and the same changes, on the shipped heads."""
    found = read_responses(RESULTS)
    counts = {}
    for row in found:
        counts.setdefault((row["model"], row["metric"]), []).append((row["change"], row["amount"]))
    assert len(counts) > 5 and len({tuple(changes) for changes in counts.values()}) == 1
    assert {row["n_faces"] for row in found} == {200.0}
    assert crop_markdown(found).count("\n") == colour_markdown(found).count("\n") == len(counts) + 1
