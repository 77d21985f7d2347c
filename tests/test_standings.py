"""Rank intervals, groups, the lead, groups of people; scores that are not those of their errors."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from made_records import POINTS, POSE, a_record

from hpbench.catalog import protocol_named
from hpbench.leaderboard import Board, boards, collect_found, speed_of
from hpbench.metrics.paired import holm, paired_means
from hpbench.records import ModelFacts, Record
from hpbench.report.figures import hardware_of
from hpbench.report.tables import boards_text

MAE = "mae(convention=300w-lp)"
N = 200


def write(folder: Path, name: str, values: np.ndarray, **changes: object) -> Record:
    """A record whose main score is the mean of its errors, with the errors beside it."""
    record = a_record(name, float(values.mean()))
    main = replace(record.main, n_scored=len(values), ci95=None)
    record = replace(record, **{"scores": (main, *record.scores[1:]), **changes})
    ids = np.array([f"image{i:05d}" for i in range(len(values))])
    record.write(folder / name, {"sample_id": ids, "cluster": ids, MAE: values})
    return record


def board_of(folder: Path) -> tuple[Board, list[str]]:
    found, remarks = collect_found([folder])
    (board,), more = boards(found)
    return board, [*remarks, *more]


def some_errors(shifts: tuple[float, ...], seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    faces = rng.exponential(4.0, N)  # hard faces are hard for all
    return [faces + shift + rng.normal(0, 1.0, N) for shift in shifts]


def test_rank_intervals_are_what_pair_by_pair_says(tmp_path: Path) -> None:
    values = some_errors((5.0, 5.05, 5.1, 6.0, 6.02, 9.0))
    for name, errors in zip("abcdef", values, strict=True):
        write(tmp_path, name, errors)
    board, remarks = board_of(tmp_path)
    assert not remarks and not board.notes
    by_name = dict(zip("abcdef", values, strict=True))
    names = [row.record.model.name for row in board.rows]
    pairs = list(combinations(names, 2))
    p = dict(zip(pairs, holm([paired_means(by_name[x], by_name[y]).p for x, y in pairs]), strict=True))
    for row in board.rows:
        name = row.record.model.name
        worse = sum(p[x, y] <= 0.05 for x, y in pairs if x == name)  # pairs are in the board's order: the first is better
        better = sum(p[x, y] <= 0.05 for x, y in pairs if y == name)
        assert (row.best_rank, row.worst_rank) == (1 + better, 6 - worse), name
    assert [row.group for row in board.rows] == [1, 1, 1, 2, 2, 3]
    assert board.lead is not None and not board.lead.real and board.lead.pairs == 15 and board.lead.difference > 0
    text = boards_text([board], "table", 200)
    assert "the lead may be chance" in text and "1 (1–3)" in text and "(a–b) after a rank" in text
    beyond = board.lead_beyond_ties
    assert beyond is not None and beyond.real and (beyond.first, beyond.second) == (names[0], names[3])
    assert beyond.difference == pytest.approx(by_name[names[3]].mean() - by_name[names[0]].mean())
    found = paired_means(by_name[names[3]], by_name[names[0]])
    assert (beyond.low, beyond.high) == pytest.approx((found.low, found.high)) and beyond.p <= 0.05 < board.lead.p
    told = " ".join(text.split())
    assert f"{names[0]} and {names[1]} are level: 0.0" in told and told.count(", which is real.") == 1
    assert f"level with them: {names[2]}. {names[0]} leads {names[3]} by " in told
    data = json.loads(boards_text([board], "json"))[0]
    assert (data["lead"]["second"], data["lead_beyond_ties"]["second"]) == (names[1], names[3])


def test_nobody_leads_by_rounding(tmp_path: Path) -> None:
    (errors,) = some_errors((1.0,))
    write(tmp_path, "a", errors)
    write(tmp_path, "b", errors + 1e-7)
    board = board_of(tmp_path)[0]
    text = boards_text([board], "markdown")
    assert "a and b are equal to the last digit shown" in text and "leads" not in text.replace("nobody leads", "")
    assert board.lead is not None and board.lead.real and board.lead.invisible, "a constant shift is no chance, and nobody sees it"
    for name, shift in (("c", 2e-7), ("d", 1.0)):
        write(tmp_path, name, errors + shift)
    board = board_of(tmp_path)[0]
    assert board.lead_beyond_ties is not None and board.lead_beyond_ties.second == "d", "c is worse by nothing that is shown"
    assert "nobody leads. a leads d by 1.00 deg" in boards_text([board], "markdown")


def test_a_real_lead_is_said_to_be_one(tmp_path: Path) -> None:
    first, second = some_errors((1.0, 2.0))
    write(tmp_path, "a", first)
    write(tmp_path, "b", second)
    (board, _) = board_of(tmp_path)
    lead = board.lead
    assert lead is not None and lead.real and lead.first == "a" and lead.p < 1e-9 and board.lead_beyond_ties is None
    assert lead.difference == pytest.approx(second.mean() - first.mean())
    assert lead.low is not None and lead.high is not None and 0 < lead.low < lead.difference < lead.high
    found = paired_means(second, first)
    assert (lead.low, lead.high) == pytest.approx((found.low, found.high))
    text = boards_text([board], "markdown")
    assert "a leads b by" in text and "the lead is real" in text
    assert [(r.best_rank, r.worst_rank, r.group) for r in board.rows] == [(1, 1, 1), (2, 2, 2)]


def test_without_errors_there_is_no_rank(tmp_path: Path) -> None:
    for name, errors in zip("abc", some_errors((1.0, 3.0, 5.0)), strict=True):
        write(tmp_path, name, errors)
    next((tmp_path / "b").glob("*.npz")).unlink()
    board, remarks = board_of(tmp_path)
    assert not remarks and not board.notes
    assert [(r.title, r.rank, r.best_rank) for r in board.rows] == [("a", 1, 1), ("c", 2, 2), ("b", None, None)]
    assert [r.marks for r in board.rows] == [(), (), ("errors missing",)]
    assert board.lead is not None and board.lead.second == "c"


def test_other_faces_or_labels_are_said(tmp_path: Path) -> None:
    one, other = some_errors((1.0, 3.0))
    write(tmp_path, "a", one)
    write(tmp_path, "b", other[:-1])
    board, _ = board_of(tmp_path)
    assert "b was scored on other faces than a" in board.notes[0] and board.rows[0].best_rank is None
    write(tmp_path, "b", other, truth_sha256="other")
    board, _ = board_of(tmp_path)
    assert [row.rank for row in board.rows] == [None, None] and "labels that differ" in board.notes[0]


def test_scores_edited_by_hand_are_left_out_in_one_sentence(tmp_path: Path) -> None:
    one, other = some_errors((1.0, 3.0))
    write(tmp_path, "a", one)
    record = write(tmp_path, "b", other)
    file = next((tmp_path / "b").glob("*.json"))
    better = replace(record, scores=(replace(record.main, value=0.5), *record.scores[1:]))
    file.write_text(better.to_json())
    board, remarks = board_of(tmp_path)
    assert [row.title for row in board.rows] == ["a"]
    (remark,) = remarks
    assert remark == f"left out: {file}: its {MAE} is 0.5, the errors beside it give {other.mean():.6g}: edited by hand?"


def test_damaged_errors_and_those_of_other_predictions_are_told(tmp_path: Path) -> None:
    one, other = some_errors((1.0, 3.0))
    write(tmp_path, "a", one)
    record = write(tmp_path, "b", other)
    next((tmp_path / "b").glob("*.json")).write_text(replace(record, predictions_sha256="f" * 64).to_json())
    board, remarks = board_of(tmp_path)
    assert len(board.rows) == 2 and len(remarks) == 1 and "of other predictions than" in remarks[0] and "\n" not in remarks[0]


def test_a_newer_schema_and_other_versions_of_the_protocol_are_one_sentence_each(tmp_path: Path) -> None:
    record = write(tmp_path, "a", some_errors((1.0,))[0])
    file = next((tmp_path / "a").glob("*.json"))
    file.write_text(file.read_text().replace('"schema": 1', '"schema": 9', 1))
    _, remarks = collect_found([tmp_path])
    assert len(remarks) == 1 and "written by a newer hpbench" in remarks[0]
    for version, sentence in ((0, "score its predictions again"), (7, "a newer hpbench has the other")):
        stale = replace(record, protocol=replace(record.protocol, version=version))
        built, remarks = boards([stale])
        assert not built and len(remarks) == 1 and sentence in remarks[0]


@pytest.mark.parametrize("with_bins", [True, False])
def test_balanced_means_need_the_bins(tmp_path: Path, with_bins: bool) -> None:
    """The bins weigh the same, however many faces they have; without them the errors do not give the score."""
    bins = np.repeat([0, 1, 2, -1], [100, 60, 30, 10])
    for name, values in zip("ab", some_errors((1.0, 3.0)), strict=True):
        record = a_record(name, float(np.mean([values[bins == b].mean() for b in range(3)])), protocol=POINTS)
        ids = np.array([f"image{i:05d}" for i in range(N)])
        errors = {"sample_id": ids, "cluster": ids, record.main.metric: values, **({"bin": bins} if with_bins else {})}
        record.write(tmp_path / name, errors)
    board, remarks = board_of(tmp_path)
    assert not remarks and [row.best_rank for row in board.rows] == ([1, 2] if with_bins else [None, None])
    assert with_bins or "which face counts how much" in board.notes[0]


def test_speed_size_and_hardware(tmp_path: Path) -> None:
    def timed(name: str, cpus: int) -> Record:
        environment = {"machine": "x86_64", "cpus": cpus}
        return a_record(name, 2.0 + cpus, timing={"images_per_s": 50.0, "device": "cpu"}, environment=environment)

    (board,), _ = boards([timed("a", 2), timed("b", 2), a_record("frontal", 9.0)])
    assert [row.parameters for row in board.rows] == [None, None, 0]
    assert board.rows[0].speed is not None and board.rows[0].speed.hardware == "x86_64, 2 CPUs"
    assert "images/s: device cpu, x86_64, 2 CPUs." in boards_text([board], "markdown")
    (board,), _ = boards([timed("a", 2), timed("b", 8)])
    assert "images/s of unlike machines, or measured in unlike ways, do not compare: a: " in boards_text([board], "markdown")


def test_auto_names_no_device() -> None:
    """What was asked for is not where a model ran: boards and figures say that it is not stated."""
    record = a_record("a", 2.0, timing={"images_per_s": 50.0, "device": "auto"}, environment={"machine": "x86_64", "cpus": 2})
    stated = replace(record, model=ModelFacts("b"), timing={"images_per_s": 60.0, "device": "cpu"})
    (board,), _ = boards([record, stated])
    assert [row.speed.device for row in board.rows if row.speed] == ["", "cpu"]
    text = boards_text([board], "markdown")
    assert "a: device not stated, x86_64, 2 CPUs; b: device cpu, x86_64, 2 CPUs" in text and "auto" not in text
    assert [hardware_of(speed_of(r)) for r in (record, stated)] == [row.speed.machine for row in board.rows if row.speed]
    assert hardware_of(speed_of(a_record("c", 1.0))) == ""
    assert hardware_of(speed_of(replace(stated, environment={}, timing={"images_per_s": 1.0}))) != ""


# ------------------------------------------------------------------------------------------------- groups of people


def people(name: str, values: dict[str, tuple[float, float, float]]) -> Record:
    record = a_record(name, 5.0, protocol="heads/pose")
    subsets = {}
    for subset, (low, value, high) in values.items():
        subsets[subset] = tuple(replace(s, value=value, ci95=(low, high)) for s in record.scores)
    return replace(record, subsets=subsets)


def test_the_largest_gap_between_groups_of_people() -> None:
    two = {"skin light": (3.0, 4.0, 5.0), "skin dark": (7.0, 9.0, 12.0)}
    (board,), _ = boards([people("net", two)])
    (gap,) = board.gaps
    assert (gap.attribute, gap.worst, gap.best, gap.gap) == ("skin", "skin dark", "skin light", 5.0)
    assert (gap.low, gap.high) == pytest.approx((5 - np.hypot(2, 1), 5 + np.hypot(3, 1)))  # one pair: nothing to correct
    three = {**two, "skin medium": (3.0, 4.5, 5.0)}
    (board,), _ = boards([people("net", three)])
    assert board.gaps[0].low == pytest.approx(5 - np.hypot(2, 1) * 2.3939798 / 1.9599640)
    for style in ("table", "markdown"):
        text = boards_text([board], style, 300)
        assert "skin dark to skin light" in text and "5.00" in text


def test_gaps_need_two_groups_with_intervals() -> None:
    lonely = people("net", {"skin light": (3.0, 4.0, 5.0), "yaw 0-30": (1.0, 2.0, 3.0)})
    assert not boards([lonely])[0][0].gaps
    assert not boards([a_record("net", 2.0)])[0][0].gaps
    assert not any(s.attribute in ("skin", "age") for s in protocol_named(POSE).subsets)


def test_models_of_one_name_and_other_arguments_are_two_rows() -> None:
    both = [a_record("dlib68", 2.0), a_record("dlib68", 3.0, model=ModelFacts("dlib68", arguments={"boxes": "given"}))]
    assert len(boards(both)[0][0].rows) == 2
    assert boards([a_record("x", 1.0, protocol=POINTS)])[0][0].task == "landmarks"
