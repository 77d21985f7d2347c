"""Submissions: what was packed is what is checked, and what was touched is told."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_study import COUNT, ERRORS, IDS, POSE, RECORD, command, edit, packed_study, predictions_in, rehash, score_model, unpack

from hpbench import jobs
from hpbench.errors import InputError
from hpbench.faces import Faces
from hpbench.predictions import Predictions, read_predictions, write_predictions
from hpbench.submissions import check_submission, level_of, pack


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(autouse=True)
def catalog(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPBENCH_CATALOG", str(study / "catalog"))


@pytest.fixture
def unpacked(study: Path, tmp_path: Path) -> Path:
    return unpack(study, tmp_path / "guess")


# ------------------------------------------------------------------------------------------------- packing


def test_packed_and_scored_again_nothing_differs(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = command(capsys, "pack", study / "out", "-o", tmp_path / "a.zip")
    assert code == 0 and "2 records, 1 prediction files; self-reported" in out and "stub of card.toml" in err
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        names = archive.namelist()
    assert names == sorted(names) and RECORD in names and ERRORS in names and names[0] == "card.toml"
    code, out, err = command(capsys, "submissions", "check", tmp_path / "a.zip", "--data", study / "faces")
    assert code == 0, out
    assert out.splitlines() == [
        "miniature/landmarks@1: re-scored, nothing differs",
        "miniature/pose@1: re-scored, nothing differs",
        "guess: level reached: re-scored",
    ]
    assert "does not say: contact, licence, trained_on" in err


def test_equal_content_gives_equal_bytes(study: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in sorted((study / "out").iterdir(), reverse=True):
        if path.name != "predictions.h5":
            shutil.copyfile(path, elsewhere / path.name)
    write_predictions(tmp_path / "p.jsonl", read_predictions(study / "out/predictions.h5"))  # another format, another place
    pack([tmp_path / "p.jsonl", elsewhere], tmp_path / "b.zip")
    assert (tmp_path / "b.zip").read_bytes() == (study / "guess.zip").read_bytes()


def test_without_the_data_it_stays_self_reported(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(capsys, "submissions", "check", study / "guess.zip", "--json")
    found = json.loads(out)
    assert code == 3 and found["ok"] and found["level"] == "self-reported"
    assert all("no data for miniature" in record["reason"] for record in found["records"])


def test_a_given_card_is_packed(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = tmp_path / "mine.toml"
    card.write_text('id = "g"\ntitle = "Guess"\nlicence = "MIT"\ntrained_on = ["nothing"]\ncontact = "a@b.example"\n')
    assert command(capsys, "pack", study / "out", "-o", tmp_path / "a.zip", "--card", card)[2] == ""
    code, out, err = command(capsys, "submissions", "check", tmp_path / "a.zip", "--data", study / "faces")
    assert code == 0 and "Guess: level reached" in out and err == ""
    card.write_text('id = "g"\ntitel = "Guess"\n')
    code, _, err = command(capsys, "pack", study / "out", "-o", tmp_path / "a.zip", "--card", card)
    assert code == 2 and "did you mean 'title'" in err


def test_what_cannot_be_packed(study: Path, tmp_path: Path) -> None:
    def refused(*words: str, out: str = "x.zip") -> None:
        with pytest.raises(InputError) as caught:
            pack([tmp_path / "out"], tmp_path / out)
        assert all(word in str(caught.value) for word in words), str(caught.value)
        assert not (tmp_path / out).exists()

    refused("no such file or folder")
    shutil.copytree(study / "out", tmp_path / "out")
    refused(".zip", out="x.tar")
    (tmp_path / "out/predictions.h5").unlink()
    refused("predictions it was made of", "name their file")
    shutil.copyfile(study / "out/predictions.h5", tmp_path / "out/predictions.h5")
    (tmp_path / "out" / POSE).with_suffix(".errors.npz").unlink()
    refused("per-face errors")
    score_model(tmp_path / "out/other", study / "faces", seed=2)
    refused("two records of miniature/landmarks")
    shutil.rmtree(tmp_path / "out")
    score_model(tmp_path / "out/a", study / "faces")
    (tmp_path / "out/a" / POSE).unlink()
    score_model(tmp_path / "out/b", study / "faces", name="other")
    (tmp_path / "out/b/miniature.landmarks@1.json").unlink()
    refused("'other', another model than", "'guess'")
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "out").mkdir()
    refused("no record in it")


# ------------------------------------------------------------------------------------------------- forgeries


def better(data: dict) -> None:
    data["scores"][0]["value"] -= 1.0


def narrower(data: dict) -> None:
    low, high = data["scores"][0]["ci95"]
    data["scores"][0]["ci95"] = [low + 0.1, high - 0.1]


def unmarked(data: dict) -> None:
    data["failures"], data["coverage"] = [], 1.0


def subset(data: dict) -> None:
    data["subsets"]["yaw 0-30"][0]["value"] += 0.5


def fewer(data: dict) -> None:
    del data["scores"][-1]


FORGED = {
    "value": (better, "mae(convention=300w-lp): value is"),
    "interval": (narrower, "ci95 0 is"),
    "failures": (unmarked, "coverage is 1 in the record"),
    "subset": (subset, "subset yaw 0-30: mae(convention=300w-lp): value"),
    "a score less": (fewer, "geodesic is nothing in the record"),
    "labels": (lambda d: d.update(truth_sha256="0" * 64), "truth_sha256 is"),
    "predictions": (lambda d: d.update(predictions_sha256="0" * 64), "of other predictions"),
    "protocol": (lambda d: d["protocol"].update(sha256="0" * 64), "another text of the protocol"),
}


@pytest.mark.parametrize("name", FORGED)
def test_hand_edited_records(name: str, study: Path, unpacked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, words = FORGED[name]
    edit(unpacked, change)
    if name in ("labels", "predictions"):  # the per-face errors know them too
        with np.load(unpacked / ERRORS) as arrays:
            told = {k: arrays[k] for k in arrays.files}
        key = "truth_sha256" if name == "labels" else "predictions_sha256"
        np.savez_compressed(unpacked / ERRORS, **{**told, key: np.array("0" * 64)})
        words = "not those that the record was made of" if name == "predictions" else words
    code, out, _ = command(capsys, "submissions", "check", unpacked, "--data", study / "faces")
    assert code == 1 and f"{RECORD} was altered after packing" in out
    rehash(unpacked)
    code, out, _ = command(capsys, "submissions", "check", unpacked, "--data", study / "faces")
    assert code == 1 and "altered" not in out and words in out and out.splitlines()[-1].endswith("no level reached"), out


def test_edited_errors_and_exchanged_predictions(study: Path, unpacked: Path) -> None:
    with np.load(unpacked / ERRORS) as arrays:
        told = {k: arrays[k] for k in arrays.files}
    name = "mae(convention=300w-lp)"
    np.savez_compressed(unpacked / ERRORS, **{**told, name: told[name] * 0.9})
    rehash(unpacked)
    found = check_submission(unpacked, data=[study / "faces"])
    assert [d for r in found.records for d in r.differences] == [f"per-face errors: {name} differs in {COUNT} of {COUNT} places"]
    given = read_predictions(predictions_in(unpacked))
    write_predictions(predictions_in(unpacked), Predictions(given.faces.take(range(1, COUNT)), given.boxes, given.model))
    rehash(unpacked)
    found = check_submission(unpacked, data=[study / "faces"])
    assert all(r.differences == ("the predictions are not those that the record was made of",) for r in found.records)


def test_records_of_two_models(study: Path, unpacked: Path) -> None:
    edit(unpacked, lambda d: d["model"].update(name="other"))
    rehash(unpacked)
    found = check_submission(unpacked, data=[study / "faces"])
    assert found.exit_code == 1 and "several models: guess version -, weights None; other" in found.differences[0]


def test_labels_that_are_others_are_told(study: Path, tmp_path: Path) -> None:
    shutil.copytree(study / "faces", tmp_path / "faces")
    shutil.copyfile(tmp_path / f"faces/{IDS[0]}.mat", tmp_path / f"faces/{IDS[1]}.mat")
    found = check_submission(study / "guess.zip", data=[tmp_path])
    assert found.exit_code == 1 and any("truth_sha256" in d for r in found.records for d in r.differences)
    (tmp_path / f"faces/{IDS[0]}.mat").unlink()
    found = check_submission(study / "guess.zip", data=[tmp_path])
    assert found.exit_code == 3 and f"{COUNT - 1} faces" in found.records[0].reason


def test_a_partial_record_is_checked_on_its_own_faces(study: Path, tmp_path: Path) -> None:
    some = tmp_path / "some"
    some.mkdir()
    for name in IDS[:5]:
        shutil.copyfile(study / f"faces/{name}.mat", some / f"{name}.mat")
    jobs.score(study / "out/predictions.h5", "miniature", data=some, out=tmp_path / "out")
    told: list[str] = []
    pack([tmp_path / "out", study / "out/predictions.h5"], tmp_path / "a.zip", remark=told.append)
    assert "it will not be ranked" in told[0]
    found = check_submission(tmp_path / "a.zip", data=[study / "faces"])
    assert (found.exit_code, found.level) == (0, "re-scored"), found.lines()


# ------------------------------------------------------------------------------------------------- levels


def test_run_here_and_the_level_that_stays(study: Path, unpacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = unpacked / RECORD
    assert level_of(record) == "self-reported" and level_of(study / "out" / POSE) is None
    assert level_of(Path("baselines/mnn/results/heads.pose@1.json")) == "run here"
    code, out, _ = command(capsys, "submissions", "check", unpacked, "--data", study / "faces", "--ran", study / "out", "--write")
    assert code == 0 and out.endswith("guess: level reached: run here\n")
    assert level_of(record) == "run here"
    code, _, err = command(capsys, "submissions", "check", unpacked, "--data", study / "faces")
    assert code == 0 and "level.json says run here of records/miniature.landmarks@1.json, which is not shown here" in err
    edit(unpacked, better)
    assert level_of(record) == "self-reported", "another record than was checked"
    other = score_model(tmp_path / "other", study / "faces", shift_deg=9.0)
    code, out, _ = command(capsys, "submissions", "check", study / "guess.zip", "--data", study / "faces", "--ran", other)
    assert code == 1 and "when the model is run here" in out
    code, _, err = command(capsys, "submissions", "check", study / "guess.zip", "--write")
    assert code == 2 and "unpack it into a folder first" in err


# ------------------------------------------------------------------------------------------------- laws


angles = st.one_of(st.floats(-179.0, 179.0), st.just(float("nan")))


@given(st.lists(st.tuples(angles, angles, angles), min_size=COUNT, max_size=COUNT), st.text("abcé,#'\" ", max_size=8))
@settings(max_examples=4)
def test_round_trip(study: Path, tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, ...]], name: str) -> None:
    """Whatever was predicted comes out of the archive as it went in, and its records are found again."""
    folder = tmp_path_factory.mktemp("trip")
    euler = np.array([row if np.isfinite(row).all() else [np.nan] * 3 for row in rows])
    model = "m" + name.replace(",", "").strip() + "m"
    given_ = Predictions(Faces(IDS, euler_deg=euler, convention="300w-lp"), boxes="landmarks", model=model)
    write_predictions(folder / "p.npz", given_)
    if np.isnan(euler).all():
        return
    jobs.score(folder / "p.npz", "miniature", data=study / "faces", out=folder / "out")
    manifest = pack([folder / "out", folder / "p.npz"], folder / "a.zip")
    assert check_submission(folder / "a.zip", data=[study / "faces"]).exit_code == 0
    with zipfile.ZipFile(folder / "a.zip") as archive:
        (name_,) = set(manifest.records.values())
        (folder / "again.h5").write_bytes(archive.read(name_))
        assert {n: hashlib.sha256(archive.read(n)).hexdigest() for n in manifest.files} == manifest.files
        record = json.load(io.BytesIO(archive.read(RECORD)))
    again = read_predictions(folder / "again.h5")
    assert (again.boxes, again.model, record["model"]["name"]) == ("landmarks", model, model)
    assert again.faces.content_sha256() == given_.faces.content_sha256() == record["predictions_sha256"]


@given(st.floats(-1e-3, 1e-3))
@settings(max_examples=4)
def test_the_tolerance_is_the_one_stated(study: Path, tmp_path_factory: pytest.TempPathFactory, change: float) -> None:
    folder = unpack(study, tmp_path_factory.mktemp("close") / "s")
    values = []

    def move(data: dict) -> None:
        values.append(data["scores"][0]["value"])
        data["scores"][0]["value"] += change

    edit(folder, move)
    rehash(folder)
    found = check_submission(folder, data=[study / "faces"])
    if abs(abs(change) - 1e-6 * max(1.0, values[0])) > 1e-9:
        assert found.ok == (abs(change) < 1e-6 * max(1.0, values[0]))
