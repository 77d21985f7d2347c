"""Records: what is written is read back, strictly, and nothing else is read."""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpbench import provenance
from hpbench.errors import InputError
from hpbench.provenance import environment, fresh_facts, git_state
from hpbench.records import (
    SCHEMA,
    DatasetFacts,
    Failure,
    ModelFacts,
    ProtocolFacts,
    Record,
    Score,
    read_errors,
    read_record,
)

MAE = Score("mae(convention=300w-lp)", 3.25, "deg", False, (3.0, 3.5), 1969, 2, 0, 3.07)
GEODESIC = Score("geodesic", None, "deg", False, None, 0, 0, 2000, None)


def a_record(**changes: object) -> Record:
    record = Record(
        schema=SCHEMA,
        hpbench="0.1",
        protocol=ProtocolFacts("aflw2000/pose-1969", 1, "ab" * 32),
        dataset=DatasetFacts(2000, 2000, True),
        model=ModelFacts("nét", "2", None),
        scores=(MAE, GEODESIC),
        subsets={"yaw 0-30": (replace(MAE, value=2.5, ci95=None), GEODESIC)},
        coverage=1967 / 1969,
        failures=(Failure("image00002", "no face"), Failure("image00004", "NaN")),
        partial=False,
        notes=("boxes not stated: ...",),
        predictions_sha256="cd" * 32,
        truth_sha256="ef" * 32,
        timing={"images_per_s": 12.5},
        environment={"python": "3.11"},
        git={"commit": "0" * 40, "dirty": False},
        date="2025-01-01T00:00:00+00:00",
    )
    return replace(record, **changes)


ERRORS = {"sample_id": np.array(["a", "bé"]), "cluster": np.array(["p", "p"]), "mae(convention=300w-lp)": np.array([1.5, np.nan])}


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(InputError) as caught:
        read_record(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and message.endswith((".", "?", ")"))
    assert len(message) < len(str(path)) + 300
    for part in parts:
        assert part in message


def edited(path: Path, **changes: object) -> Path:
    """The record's file with some keys replaced; None removes one."""
    data = json.loads(a_record().to_json()) | changes
    path.write_text(json.dumps({k: v for k, v in data.items() if v is not None}))
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = a_record().write(tmp_path / "new" / "folder", ERRORS)
    assert path == tmp_path / "new" / "folder" / "aflw2000.pose-1969@1.json"
    assert read_record(path) == a_record()
    assert read_record(path).to_json().encode() == path.read_bytes()
    assert sorted(p.name for p in path.parent.iterdir()) == ["aflw2000.pose-1969@1.errors.npz", path.name]


def test_the_file_is_strict_json_in_utf8(tmp_path: Path) -> None:
    path = a_record().write(tmp_path, ERRORS)

    def no_constant(text: str) -> None:
        raise AssertionError(text)

    data = json.loads(path.read_bytes().decode("utf-8"), parse_constant=no_constant)
    assert list(data)[:4] == ["schema", "hpbench", "protocol", "dataset"]
    assert data["scores"][0]["ci95"] == [3.0, 3.5] and data["scores"][1]["value"] is None
    with pytest.raises(ValueError, match="not JSON compliant"):
        a_record(coverage=math.nan).to_json()


def test_keys_that_may_be_absent(tmp_path: Path) -> None:
    record = read_record(edited(tmp_path / "a.json", timing=None, environment=None, git=None, date=None))
    assert record.same_as(a_record())
    assert (record.timing, record.environment, record.git, record.date) == (None, {}, None, "")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"schema": SCHEMA + 1, "hpbench": "9.9"}, ["newer hpbench ('9.9', schema 2)", "upgrade"]),
        ({"schema": None}, ["no record of hpbench", "schema"]),
        ({"schema": 0}, ["no record of hpbench", "schema 0"]),
        ({"schema": True}, ["no record of hpbench"]),
        ({"schema": "1"}, ["no record of hpbench"]),
        ({"scorse": []}, ["unknown key 'scorse'", "did you mean 'scores'?"]),
        ({"scores": None}, ["the key 'scores' is missing"]),
        ({"scores": []}, ["no scores"]),
        ({"subsets": {"empty": []}}, ["no scores"]),
        ({"scores": {"metric": "x"}}, ["key 'scores'", "expected a list, got a table"]),
        ({"coverage": "all"}, ["key 'coverage'", "expected a number, got text ('all')"]),
        ({"partial": 1}, ["key 'partial'", "expected true or false, got a whole number"]),
        ({"model": {"name": "x", "vesrion": "1"}}, ["key 'model'", "did you mean 'version'?"]),
        ({"model": {"name": 3}}, ["key 'name'", "expected text"]),
        ({"notes": "one"}, ["key 'notes'", "expected a list"]),
        ({"failures": [{"sample_id": "a"}]}, ["entry 0", "'reason' is missing"]),
        ({"dataset": {"n_expected": 2.5, "n_found": 1, "verified": True}}, ["'n_expected'", "expected a whole number, got a number (2.5)"]),
        ({"coverage": 10**400}, ["key 'coverage'", "finite"]),
    ],
)
def test_edited_by_hand(tmp_path: Path, changes: dict[str, object], parts: list[str]) -> None:
    refused(edited(tmp_path / "a.json", **changes), *parts)


def test_interval_of_one_number(tmp_path: Path) -> None:
    text = a_record().to_json().replace("3.0,\n    3.5", "3.0")
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    refused(tmp_path / "a.json", "key 'ci95'", "expected 2 entries, got 1")


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"schema": 1', "null", "[1]", '"schema"', "\ufeff{}", "[" * 100_000, '{"a":' * 100_000, '{"schema": 1' + "0" * 5000 + "}"],
)
def test_damaged_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    refused(tmp_path / "a.json")


def test_a_cut_record_at_every_length(tmp_path: Path) -> None:
    whole = a_record().to_json().rstrip()
    for length in range(0, len(whole), 37):
        (tmp_path / "a.json").write_text(whole[:length], encoding="utf-8")
        refused(tmp_path / "a.json", "truncated?")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("key", ["coverage", "images_per_s"])
def test_numbers_that_json_does_not_know(tmp_path: Path, key: str, number: str) -> None:
    text, count = re.subn(f'"{key}": [0-9.]+', f'"{key}": {number}', a_record().to_json())
    assert count == 1
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    refused(tmp_path / "a.json", number)


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(tmp_path / "absent.json", "cannot be read")
    refused(tmp_path, "cannot be read")
    (tmp_path / "a.json").write_bytes(b'{"schema": 1, "x": "\xff"}')
    refused(tmp_path / "a.json")
    path = a_record().write(tmp_path, ERRORS)
    monkeypatch.setattr("hpbench.records.MAX_RECORD_BYTES", 100)
    refused(path, "too large")


@pytest.mark.parametrize(
    "changes", [{"timing": None}, {"environment": {}}, {"git": None}, {"date": "2030"}, {"timing": {"images_per_s": 1}, "date": ""}]
)
def test_time_and_place_make_no_other_record(changes: dict[str, object]) -> None:
    assert a_record() != a_record(**changes)
    assert a_record().same_as(a_record(**changes)) and a_record(**changes).same_as(a_record())


@pytest.mark.parametrize(
    "changes",
    [
        {"scores": (GEODESIC, MAE)},
        {"scores": (replace(MAE, value=math.nextafter(3.25, 4)), GEODESIC)},
        {"subsets": {}},
        {"coverage": None},
        {"failures": ()},
        {"partial": True},
        {"notes": ()},
        {"predictions_sha256": ""},
        {"truth_sha256": ""},
        {"model": ModelFacts("nét", "2", "ab")},
        {"dataset": DatasetFacts(2000, 2000, False)},
        {"protocol": ProtocolFacts("aflw2000/pose-1969", 2, "ab" * 32)},
        {"hpbench": "0.2"},
    ],
)
def test_anything_else_makes_another_record(changes: dict[str, object]) -> None:
    assert not a_record().same_as(a_record(**changes))


def test_as_a_table() -> None:
    frame = a_record().to_frame()
    assert list(frame.columns) == [
        "subset", "metric", "value", "ci95_low", "ci95_high", "unit", "higher_is_better", "n_scored", "n_failed", "n_unlabelled",
        "value_detected", "ci_method",
    ]  # fmt: skip
    assert list(frame["subset"]) == ["all", "all", "yaw 0-30", "yaw 0-30"]
    assert list(frame["metric"]) == [MAE.metric, "geodesic"] * 2
    assert (frame["value"][0], frame["ci95_low"][0], frame["ci95_high"][0], frame["n_failed"][0]) == (3.25, 3.0, 3.5, 2)
    assert frame["value"].isna().tolist() == [False, True, False, True]
    assert frame["ci95_low"].isna().tolist() == [False, True, True, True]
    html = a_record(model=ModelFacts("<b>x</b>"), scores=(replace(MAE, metric="<script>"),))._repr_html_()
    assert html.count("<tr") == 4 and "<script>" not in html


def test_scores_by_name() -> None:
    assert a_record().score("geodesic") == GEODESIC and a_record().main == MAE
    with pytest.raises(InputError, match="no 'mae'"):
        a_record().score("mae")


def test_what_may_be_ranked() -> None:
    assert a_record().ranked
    assert not a_record(partial=True).ranked
    assert not a_record(dataset=DatasetFacts(2000, 1999, False)).ranked
    assert not a_record(scores=(GEODESIC, MAE)).ranked


def test_errors_of_each_face(tmp_path: Path) -> None:
    path = a_record().write(tmp_path, ERRORS).with_suffix(".errors.npz")
    with np.load(path, allow_pickle=False) as file:
        assert sorted(file.files) == sorted([*ERRORS, "predictions_sha256", "truth_sha256"])
        for name, expected in ERRORS.items():
            np.testing.assert_array_equal(file[name], expected)
        assert file["mae(convention=300w-lp)"].dtype == np.float64 and file["sample_id"].dtype.kind == "U"


def test_written_twice_the_files_are_equal(tmp_path: Path) -> None:
    first = a_record().write(tmp_path / "a", ERRORS)
    time.sleep(2.1)
    second = a_record().write(tmp_path / "b", ERRORS)
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".errors.npz").read_bytes() == second.with_suffix(".errors.npz").read_bytes()


def test_state_of_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "hpbench"
    package.mkdir()
    (package / "records.py").write_text("1\n")
    monkeypatch.setattr(provenance, "__file__", str(package / "records.py"))
    assert git_state() is None

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false")
        command = ("git", "-C", str(tmp_path), *identity, *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init")
    assert git_state() is None  # no commit yet
    git("add", ".")
    git("commit", "-m", "first")
    assert git_state() == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "untracked").write_text("")
    assert git_state() == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (package / "records.py").write_text("2\n")
    assert git_state() == {"commit": git("rev-parse", "HEAD"), "dirty": True}
    monkeypatch.setenv("PATH", "")
    assert git_state() is None


def test_facts_of_now_are_json() -> None:
    facts = fresh_facts()
    json.dumps(facts, allow_nan=False)
    assert facts["schema"] == SCHEMA and facts["date"].endswith("+00:00")
    assert environment()["libraries"]["numpy"] == np.__version__


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d["scores"][0].update(higher_is_better=True), "another unit or direction"),
        (lambda d: d["scores"][0].update(value=-5.0), "a negative value"),
        (lambda d: d["scores"][0].update(ci95=[3.0, 1.0]), "ends before it begins"),
        (lambda d: d["scores"][0].update(n_failed=10_000), "counts that cannot be"),
        (lambda d: d["scores"][0].update(metric="mae(convention=300wlp)"), "did you mean"),
        (lambda d: d.update(coverage=17.0), "coverage of 17"),
        (lambda d: d["dataset"].update(n_found=3, n_expected=4, verified=True), "edited by hand"),
        (lambda d: d["model"].update(name="a\nb"), "printable"),
        (lambda d: d["model"].update(name=""), "printable"),
        (lambda d: d["model"].update(name="x" * 500), "at most 200"),
    ],
)
def test_records_that_cannot_be_are_refused(tmp_path: Path, edit: object, words: str) -> None:
    path = a_record().write(tmp_path, ERRORS)
    data = json.loads(path.read_text())
    edit(data)  # type: ignore[operator]
    path.write_text(json.dumps(data))
    refused(path, words)


def test_errors_of_other_predictions_are_told(tmp_path: Path) -> None:
    """A run that is killed between the two files leaves the errors of one and the record of the other."""
    path = a_record().write(tmp_path, ERRORS)
    assert set(read_errors(path)) == set(ERRORS)
    other = a_record(predictions_sha256="ef" * 32)
    (tmp_path / "again").mkdir()
    newer = other.write(tmp_path / "again", ERRORS)
    newer.with_suffix(".errors.npz").replace(path.with_suffix(".errors.npz"))
    with pytest.raises(InputError, match="of other predictions than aflw2000.*Score again"):
        read_errors(path)
    path.with_suffix(".errors.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match="cannot be read"):
        read_errors(path)
