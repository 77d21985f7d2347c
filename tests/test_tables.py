"""Tables of records and boards: that every format says the same, what stands beside the numbers, and that all of it can be read."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from made_records import POINTS, POSE, a_record, the_board

from hpbench.catalog import protocol_named
from hpbench.leaderboard import Board, boards
from hpbench.metrics import parse_metric
from hpbench.records import DatasetFacts, Failure, LandmarkErrors, ModelFacts, Record, Score
from hpbench.report.cells import percent_text
from hpbench.report.tables import FORMATS, boards_text, records_text

# ------------------------------------------------------------------------------------------------------- formats


def some_boards() -> list[Board]:
    records = [
        a_record("best|net", 3.14159265, timing={"images_per_s": 123.4}, coverage=0.99999),
        a_record("=HYPERLINK(1)", 4.0, timing={"images_per_s": 3.21}),
        a_record("part", 1.0, partial=True, coverage=None),
        a_record("none", None),
        a_record("best|net", 7.0, protocol=POINTS),
    ]
    return boards(records)[0]


def test_json_is_one_document_with_every_digit() -> None:
    found = json.loads(boards_text(some_boards(), "json"))
    assert [b["protocol"] for b in found] == [f"{POINTS}@1", f"{POSE}@1"]
    rows = found[1]["rows"]
    assert [(r["rank"], r["model"]["name"]) for r in rows] == [(1, "best|net"), (2, "=HYPERLINK(1)"), (None, "part"), (None, "none")]
    assert rows[0]["scores"][0]["value"] == 3.14159265 and rows[2]["marks"] == ["partial"] and rows[3]["scores"][0]["value"] is None
    assert found[1]["main"] == rows[0]["scores"][0]["metric"] and found[1]["protocol_sha256"] == protocol_named(POSE).sha256
    assert json.loads(boards_text([], "json")) == []


def test_csv_is_one_table_with_every_digit() -> None:
    found = some_boards()
    rows = [r for r in csv.DictReader(io.StringIO(boards_text(found, "csv"))) if r["kind"] == "measured"]
    assert len(rows) == sum(len(row.record.scores) for board in found for row in board.rows)
    main = [r for r in rows if r["protocol"] == f"{POSE}@1" and r["metric"] == "mae(convention=300w-lp)"]
    assert [(r["rank"], r["model"]) for r in main] == [("1", "best|net"), ("2", "'=HYPERLINK(1)"), ("", "part"), ("", "none")]
    assert (float(main[0]["value"]), main[0]["images_per_s"], main[0]["unit"]) == (3.14159265, "123.4", "deg")
    assert (main[3]["value"], main[3]["ci95_low"], main[2]["marks"], main[2]["coverage"]) == ("", "", "partial", "")


@pytest.mark.parametrize("first", list("=+-@\t\r\n"))
def test_no_text_of_a_record_is_a_formula_in_a_spreadsheet(first: str) -> None:
    evil = f'{first}cmd|"/c calc"!A1'
    record = a_record("x", 1.0, model=ModelFacts(evil, evil), timing={"images_per_s": evil})
    record = replace(record, scores=(record.main, replace(record.main, metric=evil, unit=evil)))
    rows = list(csv.reader(io.StringIO(boards_text(boards([record])[0], "csv"), newline="")))
    rows = rows[:1] + [row for row in rows if row[0] == "measured"]
    assert len(rows) == 3 and f"'{evil}" in rows[2]
    for row in rows:
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def markdown_rows(text: str) -> list[list[str]]:
    """Cells of the one markdown table in a text."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[c.strip() for c in line.replace("\\|", "\0").strip("|").split("|")] for line in lines]
    return [[c.replace("\0", "|") for c in row] for row in cells]


def test_markdown_is_a_table() -> None:
    header, rule, *rows = markdown_rows(boards_text(some_boards()[1:], "markdown"))
    assert header[:2] == ["#", "model"] and header[-4:] == ["faces", "coverage", "images/s", "marks"]
    assert header[2] == "mae [deg]" and all(set(c) <= set("-:") for c in rule)
    assert {len(r) for r in (header, rule, *rows)} == {len(header)}
    assert [r[:2] for r in rows] == [["1", "best|net"], ["2", "=HYPERLINK(1)"], ["—", "part"], ["—", "none"]]
    assert rows[0][2] == "3.14 [2.64, 3.64]" and rows[0][-3:] == ["99.9 %", "123", ""]
    assert rows[1][-2] == "3.2" and rows[2][-3:] == ["—", "", "partial"] and rows[3][2] == "—"


@pytest.mark.parametrize("name", ["a|b", "a\\|b", "a\nb", "a\r\nb", "a\rb", "<img src=x>", "\\"])
def test_no_name_breaks_a_markdown_table(name: str) -> None:
    notes = (f"boxes not stated {name}",)
    text = boards_text([the_board(a_record(name, 1.0, notes=notes), a_record("other", 2.0))], "markdown")
    lines = [line for line in text.split("\n") if line.startswith("|")]
    assert len(lines) == 4 and "\r" not in text and "<img" not in text
    for line in lines:  # a bar counts unless an odd number of backslashes stands before it
        bars, escaped = 0, False
        for character in line:
            bars += character == "|" and not escaped
            escaped = character == "\\" and not escaped
        assert bars == 12, line


def test_the_table_for_a_terminal() -> None:
    lines = boards_text(some_boards()[1:], "table").splitlines()
    assert lines[0].startswith(f"{POSE}@1: Head pose")
    rows = [line.split() for line in lines if line[:3].strip() in ("1", "2", "—")]
    assert [r[:3] for r in rows] == [["1", "best|net", "3.14"], ["2", "=HYPERLINK(1)", "4.00"], ["—", "part", "1.00"], ["—", "none", "—"]]
    assert any(line.startswith("convention=300w-lp where it applies. 95 % intervals") for line in lines)
    assert "no rank intervals: no per-face errors lie beside these records." in lines


@pytest.mark.parametrize("protocol", [POSE, POINTS])
def test_headings_with_what_they_share_say_the_whole_metric(protocol: str) -> None:
    """The parameters of a heading and those said once make the metric's text again."""
    board = the_board(a_record("a", 1.0, protocol=protocol))
    text = boards_text([board], "markdown")
    shared = [p.strip() for line in text.splitlines() if " where it applies. " in line for p in line.split(" where it")[0].split(",")]
    headings = markdown_rows(text)[0][2:-4]
    assert len(set(headings)) == len(headings) == len(board.metrics)
    for heading, metric in zip(headings, board.metrics, strict=True):
        name, *own, unit = heading.split(" ")
        family = parse_metric(metric).family
        own += [p for p in shared if p.partition("=")[0] in family.parameters]
        assert parse_metric(f"{name}({','.join(own)})").text == metric and unit == f"[{family.unit}]"


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100.0 %"), (0.99999999, "99.9 %"), (0.9995, "99.9 %"), (0.9994, "99.9 %"), (0.998, "99.8 %"), (0.0, "0.0 %"), (None, "—")],
)
def test_nothing_is_rounded_up_to_complete(share: float | None, text: str) -> None:
    assert percent_text(share) == text


def test_what_a_run_prints() -> None:
    record = a_record("net", 3.0, coverage=0.9999, failures=(Failure("image00002", "no face"),), notes=("boxes not stated: x",))
    failed = replace(record.main, n_failed=1, value_detected=2.5)
    part = tuple(replace(s, value=1.25) for s in record.scores)
    record = replace(record, scores=(failed, *record.scores[1:]), subsets={"yaw 0-30": part})
    lines = records_text([record]).splitlines()
    assert lines[0] == f"net on {POSE}@1; convention=300w-lp"
    rows = {line[:20].strip().split("  ")[0]: line.split() for line in lines}
    cells = {row[0]: row for row in rows.values() if row}
    assert cells["all"][1:5] == ["1969", "3.00", "[2.50,", "3.50]"]
    assert cells["detected"][1:4] == ["only", "1968", "2.50"] and cells["yaw"][2:4] == ["1969", "1.25"]
    assert lines[-2].startswith("1 of 1969 faces failed (coverage 99.9 %)") and lines[-2].endswith("image00002: no face")
    assert lines[-1] == "note: boxes not stated: x"
    assert "(partial, not ranked)" in records_text([replace(record, partial=True)])
    assert "(unverified, not ranked)" in records_text([replace(record, dataset=DatasetFacts(2000, 2000, False))])


# ------------------------------------------------------------------------------------------------- what stands beside


def labelled_for(record: Record, metric: str, n: int, of: int) -> tuple[Score, ...]:
    """The record's scores, one of them labelled on fewer faces."""
    counts = {True: {"n_scored": n, "n_unlabelled": of - n}, False: {"n_scored": of}}
    return tuple(replace(s, **counts[s.metric == metric]) for s in record.scores)


def test_columns_of_fewer_faces_say_so() -> None:
    record = a_record("net", 3.0, protocol=POINTS)
    metric = record.scores[1].metric
    subsets = {"low": labelled_for(record, metric, 3, 90), "high": labelled_for(record, metric, 110, 110)}
    fewer = replace(record, scores=labelled_for(record, metric, 1131, 2000), subsets=subsets)
    told = " ".join(records_text([fewer], 70).split())
    assert f"beside: {metric}: 1,131 of 2,000 faces labelled (low 3 of 90)" in told
    assert "labelled" not in records_text([record])
    for style in ("table", "markdown"):
        assert f"{metric}: 1,131 of 2,000 faces labelled" in boards_text(boards([fewer])[0], style).splitlines()
        both = boards_text(boards([fewer, a_record("other", 4.0, protocol=POINTS)])[0], style).splitlines()
        assert f"net: {metric}: 1,131 of 2,000 faces labelled" in both
    everywhere = replace(fewer, scores=tuple(replace(s, n_scored=7, n_unlabelled=1) for s in fewer.scores), subsets={})
    assert "beside: all metrics: 7 of 8 faces labelled" in records_text([everywhere]).splitlines()


SEEN, THREE_WAY = "cofw68/visibility", "merl-rav/visibility-test"


def test_the_prevalence_of_each_view_in_use_stands_beside() -> None:
    shares = {"decisions": 26282.0, "occluded_percent": 23.437, "external_percent": 10.0, "self_percent": 15.0}
    two = "23.44 % of 26,282 points are occluded: the precision of a guess"
    three = "23.44 % of 26,282 points, 10.00 % of the points in view=external and 15.00 % of the points in view=self are occluded: the prec"
    for protocol, line in ((SEEN, two), (THREE_WAY, three)):
        record = a_record("net", 60.0, protocol=protocol, diagnostics=shares)
        assert line in " ".join(records_text([record]).split())
        for style in ("table", "markdown"):
            assert line in boards_text(boards([record])[0], style)
        (board,) = json.loads(boards_text(boards([record])[0], "json"))
        assert board["rows"][0]["diagnostics"] == shares
        rows = list(csv.DictReader(io.StringIO(boards_text(boards([record])[0], "csv"))))
        assert {r["metric"]: float(r["prevalence_percent"]) for r in rows} == {
            s.metric: shares[f"{parse_metric(s.metric).parameters['view']}_percent"] for s in record.scores
        }
    assert "guess" not in records_text([a_record("net", 3.0)]) + boards_text(boards([a_record("net", 3.0)])[0], "table")


def test_an_aligned_record_says_that_the_rotation_was_taken_away() -> None:
    offset = {"mean_offset_deg": 9.84, "mean_offset_yaw_deg": 9.0}
    start = "beside: mean rotation from labels to predictions 9.84 deg (yaw 9.00)"
    said = {
        POSE: start,
        f"{POSE}-aligned": f"{start}, which was taken away",
        "biwi/depth-13219-aligned": f"{start} over all; taken away was that of each sequence, which is another",
    }
    for protocol, line in said.items():
        assert line in records_text([a_record("net", 3.0, protocol=protocol, diagnostics=offset)]).splitlines()
    gone = a_record("net", 3.0, diagnostics=offset)
    assert start in records_text([replace(gone, protocol=replace(gone.protocol, id="nowhere/gone"))]).splitlines()


def test_a_share_of_one_has_four_decimals() -> None:
    record = a_record("net", 60.0, protocol=SEEN)
    brier = replace(record.score("brier"), value=0.051234, ci95=(0.05, 0.0526), value_detected=0.04999, n_failed=1)
    record = replace(record, scores=(replace(record.main, n_failed=1), *(brier if s.metric == "brier" else s for s in record.scores[1:])))
    text = records_text([record])
    assert "0.0512 [0.0500, 0.0526]" in text and "0.0500" in text and "60.00 [59.50, 60.50]" in text


def test_the_errors_of_the_parts_stand_below_a_table_of_landmarks() -> None:
    errors = LandmarkErrors("nme(norm=sqrt_wh)", (1.0, None), {"jaw": 4.127, "nose": None})
    lines = records_text([a_record("net", 3.0, protocol=POINTS, landmark_errors=errors)]).splitlines()
    assert "beside: nme(norm=sqrt_wh) by part, %: jaw 4.13, nose —" in lines


@pytest.mark.parametrize("width", [200, 140, 100, 70])
@pytest.mark.parametrize("n_subsets", [0, 2, 6, 25])
def test_a_table_is_turned_over_where_it_would_be_too_wide(width: int, n_subsets: int) -> None:
    record = a_record("net", 3.0)
    part = tuple(replace(s, value=1.25) for s in record.scores)
    record = replace(record, subsets={f"subset {i}": part for i in range(n_subsets)})
    lines = records_text([record], width).splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "3.00 [2.50, 3.50]" in text and (text.count("1.25") == n_subsets * len(part)) == (
        f"{n_subsets} subsets are not shown" not in text
    )
    if width == 70:
        assert all(f"{s.metric} [{s.unit}]" in text for s in record.scores)


@pytest.mark.parametrize("width", [200, 140, 110, 70])
def test_a_board_is_turned_over_where_it_would_be_too_wide(width: int) -> None:
    notes = ("boxes not stated", "scheme not stated: x", "schemes mixed: y")
    built = boards([a_record("net", 3.0, protocol=POINTS, notes=notes), a_record("other", 4.0, protocol=POINTS)])[0]
    lines = boards_text(built, "table", width).splitlines()
    assert max(map(len, lines[1:])) <= width
    (board,) = built
    if width <= 110:
        for metric in board.metrics:
            assert sum(metric + " [" in line for line in lines) == 2
        assert [line.split()[:2] for line in lines if line[:3].strip().isdigit() and line[3:5] == "  "] == [["1", "net:"], ["2", "other:"]]
    assert all(mark in " ".join(" ".join(lines).split()) for mark in ("boxes not stated", "scheme not stated", "schemes mixed"))
    assert boards_text(built, "markdown", width) == boards_text(built, "markdown")


def test_every_format_takes_an_empty_cell() -> None:
    record = a_record("a", 1.0)
    for style in FORMATS:
        text = boards_text([the_board(replace(record, scores=record.scores[:1]))], style)
        assert "nan" not in text.lower() and "None" not in text
