"""Boards: who is ranked, who is not, and why."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from chance_faces import noisy, protocol_of, truth_of
from made_records import POINTS, POSE, a_record, the_board

from hpbench.errors import InputError
from hpbench.evaluate import evaluate
from hpbench.leaderboard import Board, boards, collect_found, collect_records
from hpbench.obstacles import suspicions
from hpbench.records import DatasetFacts, ModelFacts
from hpbench.report.tables import boards_text
from hpbench.submissions import level_of


def ranks(board: Board) -> list[tuple[int | None, str]]:
    return [(row.rank, row.record.model.name) for row in board.rows]


# ------------------------------------------------------------------------------------------------------- ranking


def test_the_smallest_error_is_first() -> None:
    board = the_board(a_record("b", 4.0), a_record("a", 10.0), a_record("c", 3.5))
    assert ranks(board) == [(1, "c"), (2, "b"), (3, "a")]
    assert board.metrics[0] == board.protocol.main == "mae(convention=300w-lp)"
    assert set(board.metrics) == set(board.protocol.metrics)


def test_the_greatest_is_first_where_higher_is_better() -> None:
    records = [a_record(name, value) for name, value in (("b", 4.0), ("a", 10.0), ("c", 3.5))]
    records = [replace(r, scores=(replace(r.main, higher_is_better=True), *r.scores[1:])) for r in records]
    assert ranks(the_board(*records)) == [(1, "a"), (2, "b"), (3, "c")]


def test_equal_values_share_a_rank() -> None:
    board = the_board(*(a_record(n, v) for n, v in (("d", 4.0), ("b", 3.0), ("e", 5.0), ("c", 3.0), ("a", 4.0), ("f", 4.0))))
    assert ranks(board) == [(1, "b"), (1, "c"), (3, "a"), (3, "d"), (3, "f"), (6, "e")]


def test_what_is_not_ranked_stands_below_and_says_why() -> None:
    board = the_board(
        a_record("partial", 1.0, partial=True),
        a_record("nothing", None),
        a_record("whole", 9.0),
        a_record("unverified", 0.5, dataset=DatasetFacts(2000, 2000, False)),
        a_record("both", 0.7, dataset=DatasetFacts(2000, 10, False), partial=True),
        a_record("other", 9.0),
    )
    assert ranks(board) == [(1, "other"), (1, "whole"), (None, "unverified"), (None, "both"), (None, "partial"), (None, "nothing")]
    marks = {row.record.model.name: row.marks for row in board.rows}
    assert (marks["whole"], marks["partial"], marks["unverified"], marks["both"]) == ((), ("partial",), ("unverified",), ("partial",))


def test_notes_that_matter_are_marks() -> None:
    notes = ("boxes not stated: a model may have seen any", "subset x: left out", "schemes mixed: a and b")
    assert the_board(a_record("a", 1.0, notes=notes)).rows[0].marks == ("boxes not stated", "schemes mixed")


def test_hard_labels_and_what_looks_like_a_mistake_are_marks() -> None:
    """The notes as scoring writes them, of predictions made wrong on purpose."""
    truth = truth_of(60)
    good = noisy(truth, 1)
    wrong = replace(
        good, visibility=1.0 - truth.visibility, landmarks=good.landmarks[..., ::-1], rotation=truth.rotation.swapaxes(1, 2), euler_deg=None
    )
    protocol = protocol_of("geodesic", "nme(norm=height)", "ap")
    for prediction, marks in (
        (wrong, ("transposed?", "x and y swapped?", "visibility inverted?", "visibility is hard (0 or 1 only)")),
        (good, ()),
    ):
        notes = (*suspicions(protocol, truth, prediction), *evaluate(protocol, truth, prediction, resamples=0).notes)
        assert the_board(a_record("a", 1.0, notes=notes)).rows[0].marks == marks


def test_of_one_model_the_newest_counts_and_the_older_is_told() -> None:
    old, new = a_record("net", 1.0), a_record("net", 2.0, date="2025-06-01T00:00:00+00:00")
    for records in ([old, new], [new, old]):
        (board,), remarks = boards(records)
        assert [row.record.main.value for row in board.rows] == [2.0]
        assert remarks == [f"left out: an older record of net on {POSE}@1 (2025-01-01T00:00:00+00:00)."]
    others = [replace(old, model=m) for m in (ModelFacts("net", "2"), ModelFacts("net", "", "ab"), ModelFacts("Net"))]
    assert len(the_board(old, *others).rows) == 4


def test_another_text_of_the_protocol_is_left_out_and_told() -> None:
    stale = a_record("stale", 0.1, protocol=POSE)
    stale = replace(stale, protocol=replace(stale.protocol, sha256="00" * 32))
    (board,), remarks = boards([stale, a_record("net", 2.0)])
    assert ranks(board) == [(1, "net")]
    assert len(remarks) == 1 and "stale" in remarks[0] and "another text of the protocol" in remarks[0]
    unknown = replace(stale, protocol=replace(stale.protocol, id="aflw2000/gone"))
    assert boards([unknown]) == ([], ["left out: stale on aflw2000/gone@1, a protocol that is not known here."])


def test_boards_of_one_dataset_or_protocol() -> None:
    records = [a_record("net", 2.0), a_record("net", 3.0, protocol=POINTS)]
    assert [b.protocol.id for b in boards(records)[0]] == [POINTS, POSE]
    assert [b.protocol.id for b in boards(records, dataset="aflw2000")[0]] == [POINTS, POSE]
    for text in (POSE, f"{POSE}@1"):
        assert [b.protocol.id for b in boards(records, protocol=text)[0]] == [POSE]
    assert [b.protocol.id for b in boards(records, "aflw2000", "pose-1969")[0]] == [POSE]
    assert boards([]) == ([], [])


@pytest.mark.parametrize(
    ("dataset", "protocol", "message"),
    [
        ("aflw200", "", "unknown dataset 'aflw200': did you mean 'aflw2000'?"),
        ("", "aflw2000/pose-1968", "did you mean 'aflw2000/pose-1969'?"),
        ("aflw2000", "pose-196", "did you mean 'aflw2000/pose-1969'?"),
        ("", "aflw2000/pose-1969@2", "is at version 1 here"),
    ],
)
def test_unknown_boards(dataset: str, protocol: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        boards([], dataset, protocol)
    assert message in str(caught.value) and "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------------- records


def test_records_are_found_below_folders(tmp_path: Path) -> None:
    first = a_record("a", 1.0).write(tmp_path / "deep" / "a", {})
    second = a_record("b", 2.0, protocol=POINTS).write(tmp_path / "b", {})
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "x@1.json").write_text("[]")
    (tmp_path / "y@1.json").write_text("{")
    (tmp_path / "z@1.json").mkdir()
    records, remarks = collect_records([tmp_path])
    assert sorted(r.model.name for r in records) == ["a", "b"]
    assert len(remarks) == 2  # a folder of such a name is no file to be told of
    for name, remark in zip("xy", remarks, strict=True):
        assert remark.startswith(f"left out: {tmp_path / name}@1.json: ") and "\n" not in remark
    assert collect_records([second, first])[0] == [a_record("b", 2.0, protocol=POINTS), a_record("a", 1.0)]


def test_a_file_named_outright_must_be_a_record(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    for path, message in ((tmp_path / "run.json", "no record of hpbench"), (tmp_path / "absent", "no such record or folder")):
        with pytest.raises(InputError, match=message) as caught:
            collect_records([path])
        assert str(caught.value).startswith(f"{path}: ")


def test_shipped_records_are_read_without_remarks() -> None:
    records, remarks = collect_records()
    assert not remarks and not boards(records)[1]


def test_records_on_labels_that_differ_are_not_ranked_together() -> None:
    same = [a_record("a", 1.0, truth_sha256="t"), a_record("b", 2.0, truth_sha256="t")]
    (board,), _ = boards(same)
    assert [row.rank for row in board.rows] == [1, 2]
    (board,), _ = boards([*same, a_record("c", 0.5, truth_sha256="u")])
    assert [row.rank for row in board.rows] == [None, None, None]
    assert all("labels differ" in row.marks for row in board.rows)


# ------------------------------------------------------------------------------------------------------- levels


def shown_levels(folder: Path, style: str) -> tuple[list[str | None], str]:
    built, remarks = boards(collect_found([folder])[0])
    assert not remarks and len(built) == 1
    return [row.level for row in built[0].rows], boards_text(built, style, 200)


def test_the_level_of_a_row_is_that_of_its_file(tmp_path: Path) -> None:
    """Of one's own output there is none; of an archive's records it is told, and only then is there a column."""
    a_record("own", 3.0).write(tmp_path / "out", {})
    a_record("here", 2.0).write(tmp_path / "baselines" / "here" / "results", {})
    levels, text = shown_levels(tmp_path, "markdown")
    assert levels == ["run here", None] and "level" not in text
    path = a_record("theirs", 1.0).write(tmp_path / "submissions" / "theirs" / "records", {})
    (path.parents[1] / "manifest.json").write_text("{}")
    assert level_of(path) == "self-reported"
    levels, text = shown_levels(tmp_path, "markdown")
    assert levels == ["self-reported", "run here", None]
    cells = {line.split("|")[2].strip(): line.split("|")[-3].strip() for line in text.splitlines() if line.startswith("|")}
    assert cells["model"] == "level" and [cells[n] for n in ("theirs", "here", "own")] == ["self-reported", "run here", "—"]
    assert "level: who says so (docs/submit.md)" in text
    told = boards_text(boards(collect_found([tmp_path])[0])[0], "table", 60)
    assert "theirs: 1969 faces" in told and "self-reported" in told.split("here:")[0]
    assert [row["level"] for row in json.loads(shown_levels(tmp_path, "json")[1])[0]["rows"]] == levels
    rows = [row for row in csv.DictReader(io.StringIO(shown_levels(tmp_path, "csv")[1])) if row["kind"] == "measured"]
    assert {row["model"]: row["level"] for row in rows} == {"theirs": "self-reported", "here": "run here", "own": ""}


def test_records_that_were_never_in_a_file_have_no_level(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert the_board(a_record("a", 1.0)).rows[0].level is None
    folder = tmp_path / "baselines" / "a" / "results"
    path = a_record("a", 1.0).write(folder, {})
    monkeypatch.chdir(folder)
    assert boards(collect_found([Path(path.name)])[0])[0][0].rows[0].level == "run here", "wherever one stands"
