"""docs/add-a-model.md, done as it stands: its files written into an empty folder, its commands typed there, what they print compared."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import hpbench
from hpbench.catalog import model_cards
from hpbench.cli import main
from hpbench.detectors.cards import CARDS
from hpbench.errors import MissingDataError
from hpbench.models.crop import Crop, CropSpec, crop_face
from hpbench.models.resolve import create_model
from hpbench.models.status import model_gives
from hpbench.predictions import read_predictions
from hpbench.records import Record, read_errors, read_record

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "add-a-model.md").read_text(encoding="utf-8")
FILES = {name: text for name, _, text in re.findall(r"`([\w.]+)`:\n\n```(python|toml)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)}
FOR_ONNX = ("torch", "onnx", "onnxscript", "onnxruntime")
SAME_DIGITS = pytest.mark.skipif(
    sys.platform != "linux", reason="pixels of a JPEG may differ by one elsewhere, and with them the last digits"
)


class Typed(NamedTuple):
    """A command of the page, what the page shows of its output, and what it printed; None where it needs what is not installed."""

    command: str
    shown: list[str]
    printed: str | None


def block(language: str) -> str:
    """The only block of a language."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return text


def commands() -> list[tuple[str, list[str]]]:
    """Every command of the page with the lines shown below it, in order."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        assert block.startswith("$ ")
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def typed(command: str, folder: Path) -> str | None:
    words = [
        f"worker:'{sys.executable}' {w.partition(' ')[2]}" if w.startswith("worker:old/bin/python ") else w for w in shlex.split(command)
    ]
    if ("export.py" in words or "card.toml" in words) and not all(map(importlib.util.find_spec, FOR_ONNX)):
        return None
    if words[:2] == ["hpbench", "bench"]:
        words += ["--seconds", "0.02", "--faces", "16"]  # the figures are not compared
    if words[0] == "python":
        done = subprocess.run([sys.executable, *words[1:]], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        code, printed = done.returncode, done.stdout
    else:
        told = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            patch.chdir(folder)
            patch.setattr(sys, "argv", words)
            patch.setattr(sys, "path", [*sys.path])
            patch.setenv("COLUMNS", "140")
            patch.delenv("HPBENCH_CATALOG", raising=False)
            with pytest.raises(SystemExit) as stopped:
                main()
        code, printed = stopped.value.code or 0, told.getvalue()
    assert code == 0, f"{command}\n{printed}"
    return printed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def transcript(folder: Path) -> list[Typed]:
    return [Typed(command, shown, typed(command, folder)) for command, shown in commands()]


def of(transcript: list[Typed], words: str) -> str:
    """What the command with these words printed."""
    (printed,) = (t.printed for t in transcript if words in t.command)
    if printed is None:
        pytest.skip(f"needs {', '.join(FOR_ONNX)}")
    return printed


def record(folder: Path, model: str) -> Record:
    return read_record(folder / "hpbench-out" / model / "heads" / "heads.pose@1.json")


# -------------------------------------------------------------------------------------------------- what is shown


def test_the_page_has_all_its_files_and_ways() -> None:
    assert set(FILES) == {
        "brightness.py", "brightness_prepared.py", "brightness.toml", "brightness_function.py", "export.py", "card.toml",
        "write_predictions.py", "brightness_worker.py", "worker.toml",
    }  # fmt: skip
    assert len(re.findall(r"^## \d\. ", PAGE, re.MULTILINE)) == 5 == len(re.findall(r"^\| \[\d\. ", PAGE, re.MULTILINE))
    assert PAGE.count("```python") + PAGE.count("```toml") == len(FILES), "a block without a file name is tried by nobody"


@SAME_DIGITS
def test_every_command_prints_what_is_shown(transcript: list[Typed]) -> None:
    for command, shown, printed in transcript:
        if printed is None or ("leaderboard" in command and any(t.printed is None for t in transcript)):
            continue  # a board without the model that could not run
        lines = iter(printed.splitlines())
        for line in shown:
            pattern = ".*".join(map(re.escape, line.split("...")))
            assert line == "..." or any(re.fullmatch(pattern, there.rstrip()) for there in lines), f"{command}\n{line}\nnot in\n{printed}"


@SAME_DIGITS
def test_the_prediction_file_begins_as_shown(folder: Path, transcript: list[Typed]) -> None:
    assert (folder / "predictions.csv").read_text(encoding="utf-8").startswith(block("csv"))


def test_bench_measures_the_stages_shown(transcript: list[Typed]) -> None:
    shown = block("text")
    printed = of(transcript, "hpbench bench")
    stages = [re.findall(r"^ +1  ([a-z ]+?)  ", text, re.MULTILINE) for text in (shown, printed)]
    assert stages[0] == stages[1] == ["with crop", "end to end"]


# -------------------------------------------------------------------------------------------------- the same, whichever way


def test_all_ways_give_the_same_scores(folder: Path, transcript: list[Typed]) -> None:
    first = record(folder, "brightness")
    assert first.model.version == "1" and first.main.n_scored == 500
    errors = read_errors(folder / "hpbench-out/brightness/heads/heads.pose@1.json")
    for model in ("brightness_function.predict", "brightness-file", "brightness-worker"):
        assert record(folder, model).scores == first.scores, model
        for name, values in read_errors(folder / "hpbench-out" / model / "heads" / "heads.pose@1.json").items():
            np.testing.assert_array_equal(values, errors[name], err_msg=f"{model}: {name}")
    board = of(transcript, "hpbench leaderboard")
    assert all(model in board for model in ("brightness-file", "brightness-worker", "brightness_function.predict"))


def test_preparing_changes_nothing(folder: Path, transcript: list[Typed], tmp_path: Path) -> None:
    dataset = hpbench.load("heads")
    hpbench.run(create_model(f"{folder / 'brightness_prepared.py'}:Brightness"), dataset, protocol="heads/pose", limit=12, out=tmp_path)
    prepared = read_predictions(tmp_path / "predictions.h5").faces
    plain = read_predictions(folder / "hpbench-out/brightness/heads/predictions.h5").faces
    assert len(prepared) == 12
    np.testing.assert_array_equal(prepared.euler_deg, plain.euler_deg[:12])  # type: ignore[index]


def test_the_network_sees_the_crop_of_its_card(folder: Path, transcript: list[Typed]) -> None:
    of(transcript, "-m card.toml")
    found = read_predictions(folder / "hpbench-out/brightness-onnx/heads/predictions.h5").faces
    assert found.euler_deg is not None
    for row, sample in enumerate(hpbench.load("heads").samples(limit=12)):
        crop = crop_face(sample.image.read(), sample.box_xyxy_px, CropSpec(margin=0.2, shape="square", border="constant"), (112, 112))
        assert isinstance(crop, Crop)
        np.testing.assert_allclose(found.euler_deg[row], [0.1 * (crop.pixels.mean() - 128.0), 0.0, 0.0], atol=1e-4)


def test_ones_own_export_is_taken_until_its_hash_is_stated(folder: Path, transcript: list[Typed], tmp_path: Path) -> None:
    of(transcript, "-m card.toml")
    stated = FILES["card.toml"].replace('sha256 = "any"', f'sha256 = "{"0" * 64}"')
    assert stated != FILES["card.toml"]
    (tmp_path / "card.toml").write_text(stated)
    with pytest.raises(MissingDataError, match="not the weights"):
        create_model(str(tmp_path / "card.toml"), weights=folder / "brightness.onnx")
    assert record(folder, "brightness-onnx").model.weights_sha256


@pytest.mark.parametrize("card", ["brightness.toml", "worker.toml"])
def test_the_cards_run(folder: Path, transcript: list[Typed], tmp_path: Path, card: str) -> None:
    if card == "worker.toml":
        text = FILES[card].replace('"old/bin/python"', f"'{sys.executable}'")
        (folder / card).write_text(text, encoding="utf-8")
    typed(f"hpbench run -m {card} -d heads --protocol heads/pose --limit 12 -o '{tmp_path}'", folder)
    here, there = (read_predictions(f / "predictions.h5").faces for f in (tmp_path, folder / "hpbench-out/brightness/heads"))
    np.testing.assert_array_equal(here.euler_deg, there.euler_deg[:12])  # type: ignore[index]
    assert read_record(tmp_path / "heads.pose@1.json").model.name == {"b": "brightness", "w": "brightness-worker"}[card[0]]


def test_a_card_in_a_catalog_of_ones_own_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "baselines/brightness").mkdir(parents=True)
    (tmp_path / "baselines/brightness/card.toml").write_text(FILES["brightness.toml"])
    monkeypatch.setenv("HPBENCH_CATALOG", str(tmp_path))
    assert model_gives(model_cards()["brightness"]) == ("pose",)


def test_every_detector_stands_in_the_table() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| `hpbench\[(\w+)\]`(?:, ([\w.-]+))? \|", PAGE, re.MULTILINE)
    assert rows == [(card.id, card.extra, "".join(card.files)) for card in CARDS.values()]
