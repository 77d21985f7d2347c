"""Rescoring: new records from kept predictions, old ones in the archive, and nothing lost whenever it is stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import IDS, command, draw_study, score_model, tree

from hpbench import provenance, rescore, scoring
from hpbench.catalog import protocol_named
from hpbench.leaderboard import collect_records
from hpbench.records import read_errors, read_record

LANDMARKS, POSE = "miniature.landmarks@1.json", "miniature.pose@1.json"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, and two models scored by version 1: ``good`` first by MAE, ``bad`` by geodesic of a few faces."""
    folder = tmp_path_factory.mktemp("study")
    draw_study(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPBENCH_CATALOG", str(folder / "catalog"))
        for name, shift in (("good", 2.0), ("worse", 30.0), ("worst", 60.0)):
            score_model(folder / "out" / name, folder / "faces", name, shift, seed=int(shift))
    return folder


@pytest.fixture
def study(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy whose pose protocol has moved to version 2: scored by geodesic."""
    shutil.copytree(drawn, tmp_path / "study")
    monkeypatch.setenv("HPBENCH_CATALOG", str(tmp_path / "study/catalog"))
    fixed = {**provenance.fresh_facts(), "date": "2026-01-01T00:00:00+00:00", "git": None}
    monkeypatch.setattr(scoring, "fresh_facts", lambda: fixed)
    move_protocol(tmp_path / "study")
    return tmp_path / "study"


def move_protocol(study: Path, old: str = 'main = "mae(convention=300w-lp)"', new: str = 'main = "geodesic"', version: int = 2) -> None:
    path = study / "catalog/datasets/miniature/protocols/pose.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new).replace("version = 1", f"version = {version}"))


def test_new_records_take_the_place_of_the_old(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(study / "out")
    old = {name: read_record(study / f"out/{name}" / POSE) for name in ("good", "worse", "worst")}
    code, out, err = command(capsys, "rescore", study / "out", "--data", study / "faces")
    assert code == 0 and "3 of 3 stale records were scored again" in err
    after = tree(study / "out")
    text = old["good"].protocol.sha256[:8]
    for name, was in old.items():
        now = read_record(study / f"out/{name}/miniature.pose@2.json")
        assert now.protocol.sha256 == protocol_named("miniature/pose").sha256 and now.main.metric == "geodesic"
        assert now.main.value == was.score("geodesic").value and (now.model, now.timing) == (was.model, was.timing)
        assert read_errors(study / f"out/{name}/miniature.pose@2.json")["geodesic"].shape == (len(IDS),)
        kept = f"archive/miniature.pose@1/{name}/record-{text}"
        assert after[f"{kept}.json"] == before[f"{name}/{POSE}"]
        assert after[f"{kept}.errors.npz"] == before[f"{name}/{POSE}".replace(".json", ".errors.npz")]
        assert f"{name}/{POSE}" not in after and after[f"{name}/{LANDMARKS}"] == before[f"{name}/{LANDMARKS}"]
        assert read_errors(study / f"out/{kept}.json"), "the archived pair still belongs together"
    assert not (study / "out/.rescore").exists()
    board = (study / f"out/archive/miniature.pose@1/board-{text}.md").read_text()
    assert [line.split("|")[2].strip() for line in board.splitlines() if line.startswith("| ")][1:] == ["---", "good", "worse", "worst"]
    assert (study / f"out/archive/miniature.pose@1/changes-{text}.md").read_text() in out
    assert "# miniature/pose@1 → miniature/pose@2" in out and "`mae(convention=300w-lp)`, now `geodesic`" in out
    records, remarks = collect_records([study / "out"])
    assert len(records) == 6 and not remarks, "the archive is on no board"
    code, out, err = command(capsys, "rescore", study / "out", "--data", study / "faces")
    assert (code, out) == (0, "") and "nothing is stale" in err and tree(study / "out") == after


def test_ranks_and_values_that_move(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the records, by hand: ranks before by MAE, after by geodesic, whose values are exchanged here."""
    for name, value in (("good", 30.0), ("worse", 20.0), ("worst", 20.0)):
        path = study / f"out/{name}" / POSE
        record = read_record(path)
        first = replace(record.main, value=value, ci95=(value - 1.0, value + 1.0))
        path.write_text(replace(record, scores=(first, *record.scores[1:])).to_json())
    (study / "out/worst/predictions.h5").unlink()
    found, changes = rescore.rescore([study / "out"], data=[study / "faces"])
    good, worse = (next(i.new for i in found if i.old.model.name == n) for n in ("good", "worse"))
    assert good is not None and worse is not None and good.main.value < worse.main.value  # type: ignore[operator]
    text = changes[0].read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")][2:]
    assert [row[:5] for row in rows] == [
        ["good", "3", "1", "+2", "30.00 [29.00, 31.00]"],
        ["worse", "1", "2", "-1", "20.00 [19.00, 21.00]"],
        ["worst", "1", "—", "", "20.00 [19.00, 21.00]"],
    ]
    assert all(row[6] == "—" for row in rows), "another metric: no difference"
    assert "Not scored again, off the board until they are:\n\n- worst (miniature.pose@1.json): its predictions are not kept" in text


def test_a_text_that_moved_without_its_version(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    move_protocol(study, 'main = "geodesic"', 'main = "mae(convention=300w-lp)"\ntrained_on = "anything"')
    path = study / "catalog/datasets/miniature/protocols/pose.toml"
    path.write_text(path.read_text().replace("version = 2", "version = 1"))
    before = read_record(study / "out/good" / POSE)
    code, out, _ = command(capsys, "rescore", study / "out/good" / POSE, "--data", study / "faces")
    now = read_record(study / "out/good" / POSE)
    assert code == 0 and now.protocol.sha256 != before.protocol.sha256 and now.scores == before.scores
    assert (study / f"out/good/archive/miniature.pose@1/record-{before.protocol.sha256[:8]}.json").is_file()
    assert "| good | 1 | 1 | = |" in out and "+0.00" in out
    assert read_record(study / "out/worse" / POSE).protocol.sha256 == before.protocol.sha256, "not asked for"


def test_a_dry_run_writes_nothing(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(study)
    code, out, err = command(capsys, "rescore", study / "out", "--data", study / "faces", "--dry-run")
    assert code == 0 and tree(study) == before
    assert out.count("miniature/pose@1 would be scored again by miniature/pose@2") == 3 and "3 of 3 stale records can be" in err


def test_what_cannot_be_scored_is_named(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(study)
    code, out, err = command(capsys, "rescore", study / "out")
    assert (code, out) == (3, "") and err.count("no data for miniature") == 3 and tree(study) == before
    some = study / "some"
    some.mkdir()
    shutil.copyfile(study / f"faces/{IDS[0]}.mat", some / f"{IDS[0]}.mat")
    code, _, err = command(capsys, "rescore", study / "out", "--data", some)
    assert code == 3 and "1 faces of miniature are in the data given, the record had 12" in err
    shutil.rmtree(some)
    record = json.loads((study / "out/good" / POSE).read_text())
    record["protocol"]["id"] = "miniature/gone"
    (study / "out/good/miniature.gone@1.json").write_text(json.dumps(record))
    (study / "out/worse/predictions.h5").write_bytes(b"not HDF5")
    (study / "out/worst/broken@1.json").write_text("{")
    code, _, err = command(capsys, "rescore", study / "out", "--data", study / "faces")
    assert code == 1 and "2 of 4 stale records were scored again" in err
    assert "the protocol miniature/gone is not known here" in err and "its predictions are not kept beside it" in err
    assert "left out:" in err and "broken@1.json" in err
    assert read_record(study / "out/worse" / POSE), "what cannot be scored stays"
    for wrong, words in ((study / "nowhere", "no such record or folder"), (study / "out/worst/broken@1.json", "no valid JSON")):
        code, _, err = command(capsys, "rescore", wrong)
        assert code == 2 and words in err


def test_predictions_of_a_submission_are_found(study: Path) -> None:
    folder = study / "submission"
    (folder / "records").mkdir(parents=True)
    (folder / "predictions").mkdir()
    for name in (POSE, POSE.replace(".json", ".errors.npz")):
        shutil.copyfile(study / "out/good" / name, folder / "records" / name)
    shutil.copyfile(study / "out/good/predictions.h5", folder / "predictions/miniature-1.h5")
    found, _ = rescore.rescore([folder], data=[study])
    assert [item.reason for item in found] == [""] and (folder / "records/miniature.pose@2.json").is_file()


def test_the_record_of_other_predictions_is_not_replaced(study: Path) -> None:
    score_model(study / "other", study / "faces", "other", 10.0)
    theirs = study / "out/good/miniature.pose@2.json"
    shutil.copyfile(study / "other/miniature.pose@2.json", theirs)
    kept = theirs.read_bytes()
    found, _ = rescore.rescore([study / "out/good"], data=[study / "faces"])
    assert "is a record of other predictions" in found[0].reason and theirs.read_bytes() == kept


def test_partial_stays_partial(study: Path) -> None:
    path = study / "out/good" / POSE
    record = read_record(path)
    path.write_text(replace(record, partial=True, notes=(*record.notes, "limited")).to_json())
    found, _ = rescore.rescore([path], data=[study / "faces"])
    assert found[0].new is not None and found[0].new.partial


class Killed(BaseException):
    """As a signal: nothing that is caught on the way."""


def test_stopped_anywhere_it_ends_the_same(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before or after any renaming or removal of a file, the next call leaves the same files as one that ran through."""
    shutil.rmtree(study / "out/worst")

    def count(limit: int, after: bool, name: str) -> Callable[..., object]:
        original = getattr(Path, name)

        def stopping(self: Path, *arguments: object, **options: object) -> object:
            calls.append(self)
            if len(calls) == limit and not after:
                raise Killed
            result = original(self, *arguments, **options)
            if len(calls) == limit:
                raise Killed
            return result

        return stopping

    def run(folder: Path, limit: int, after: bool) -> bool:
        calls.clear()
        with monkeypatch.context() as patch:
            for name in ("replace", "unlink"):
                patch.setattr(Path, name, count(limit, after, name))
            try:
                rescore.rescore([folder], data=[study / "faces"])
            except Killed:
                return False
        return True

    calls: list[Path] = []
    shutil.copytree(study / "out", tmp_path / "whole")
    assert run(tmp_path / "whole", 0, after=False)
    wanted, total = tree(tmp_path / "whole"), len(calls)
    assert total > 20
    for limit in sorted({*range(1, total - 6, 9), *range(total - 6, total + 1, 2)}):
        folder = tmp_path / f"stopped{limit}"
        shutil.copytree(study / "out", folder)
        assert not run(folder, limit, after=bool(limit % 2))
        for path in folder.rglob("*.json"):  # at no time a record that is half written, or without the errors that belong to it
            if "@" in path.name and ".rescore" not in path.parts:
                assert np.isfinite(read_errors(path)["geodesic" if "pose" in path.name else "nme(norm=height)"]).all()
        rescore.rescore([folder], data=[study / "faces"])
        found = {name: data for name, data in tree(folder).items() if not name.endswith(".tmp")}
        assert found.keys() == wanted.keys(), limit
        assert [n for n in found if found[n] != wanted[n]] == [], limit
        shutil.rmtree(folder)
