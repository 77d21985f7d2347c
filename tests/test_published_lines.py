"""Published values on boards: beside what was measured, with their verdicts, never ranked; overview and every format."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_records import POSE, a_record

from hpbench.catalog.label_agreement import label_agreement
from hpbench.catalog.published import PublishedRow, published_rows
from hpbench.errors import InputError
from hpbench.leaderboard import Board, boards, grid, overview
from hpbench.metrics import parse_metric
from hpbench.report.latex import latex_text
from hpbench.report.overview import overview_text
from hpbench.report.tables import boards_text

MAE = "mae(convention=300w-lp)"


@pytest.fixture(scope="module")
def shipped() -> tuple[PublishedRow, ...]:
    return published_rows()


@pytest.fixture(scope="module")
def everything(shipped: tuple[PublishedRow, ...]) -> list[Board]:
    built, remarks = boards([a_record("net", 4.0), a_record("frontal", 9.0)], published=shipped)
    assert not remarks
    return built


def named(built: list[Board], protocol: str) -> Board:
    return next(board for board in built if board.protocol.id == protocol)


def test_every_canonical_row_of_a_protocol_is_on_its_board_once(everything: list[Board], shipped: tuple[PublishedRow, ...]) -> None:
    halves = {"300w/common", "300w/challenging"}
    shown = [e for b in everything if b.protocol.id not in halves for line in b.published for e in line.entries.values()]
    wanted = [row.id for row in shipped if row.canonical and row.protocol_id and row.metric]
    assert sorted(e.row.id for e in shown) == sorted(wanted)
    here = {e.row.id for e in shown}
    assert sum(len(e.folded) for e in shown) == sum(row.quotes in here for row in shipped if not row.canonical)


def test_what_is_comparable_comes_first_and_best_first(everything: list[Board]) -> None:
    order = ["yes", "unknown", "no"]
    for board in everything:
        higher = parse_metric(board.protocol.main).family.higher_is_better
        for subset in board.subsets:
            lines = board.published_on(subset)
            assert [order.index(x.comparable) for x in lines] == sorted(order.index(x.comparable) for x in lines)
            for verdict in order:
                values = [
                    x.entries[board.protocol.main].row.value for x in lines if x.comparable == verdict and board.protocol.main in x.entries
                ]
                assert values == sorted(values, reverse=higher)


def test_published_values_have_differences_and_no_ranks(everything: list[Board]) -> None:
    board = named(everything, POSE)
    assert [row.rank for row in board.rows] == [1, 2] and board.against == board.rows[0]
    mnn = next(x for x in board.published if x.title == "MNN" and MAE in x.entries)
    assert mnn.entries[MAE].row.value == 3.83 and mnn.entries[MAE].delta == pytest.approx(-0.17) and len(mnn.entries[MAE].folded) == 2
    assert named(everything, "wflw/test").published[0].entries["nme(norm=corners)"].delta is None


def test_compared_with_a_named_model(shipped: tuple[PublishedRow, ...]) -> None:
    records = [a_record("net", 4.0), a_record("frontal", 9.0)]
    for name in ("frontal", "always frontal (sanity line)"):
        (board,), _ = boards(records, protocol=POSE, published=shipped, against=name)
        assert board.against is not None and board.against.record.model.name == "frontal"
    with pytest.raises(InputError, match="no record of a model 'nett' to compare with: did you mean 'net'"):
        boards(records, published=shipped, against="nett")


def test_halves_of_300w_take_their_rows_from_the_full_set(everything: list[Board]) -> None:
    full = named(everything, "300w/full")
    for half in ("common", "challenging"):
        board = named(everything, f"300w/{half}")
        assert board.subsets == ("all",) and not board.rows
        assert [e.row.id for x in board.published for e in x.entries.values()] == [
            e.row.id for x in full.published_on(half) for e in x.entries.values()
        ]


def odd(row: PublishedRow, **changes: str) -> PublishedRow:
    other = replace(row, id="x1", **changes)
    object.__setattr__(other, "path", Path("published.csv"))
    object.__setattr__(other, "line", 7)
    return other


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"metric": "maw"}, "unknown metric 'maw'"),
        ({"protocol_id": "aflw2000/pose-1968"}, "did you mean 'aflw2000/pose-1969'?"),
        ({"subset": "yaw 0-31"}, "did you mean 'yaw 0-30'?"),
    ],
)
def test_a_row_that_no_board_can_show_is_told(shipped: tuple[PublishedRow, ...], changes: dict[str, str], sentence: str) -> None:
    first = next(row for row in shipped if row.canonical and row.protocol_id == POSE)
    built, remarks = boards([], published=[odd(first, **changes)])
    assert built == [] and len(remarks) == 1 and sentence in remarks[0] and "\n" not in remarks[0]
    assert remarks[0].startswith("left out: published.csv: line 7 (x1, ")


# ------------------------------------------------------------------------------------------------- formats


def test_every_format_has_the_published_rows_of_a_board(everything: list[Board]) -> None:
    board = named(everything, POSE)
    for style in ("table", "markdown", "latex", "csv", "json"):
        text = boards_text([board], style, 200)
        assert "SynergyNet" in text and "net" in text
    data = json.loads(boards_text([board], "json"))[0]
    assert data["schema"] == 1 and data["against"] == "net" and len(data["published"]) == len(board.published)
    assert data["label_agreement"][0]["value"] == pytest.approx(2.8924)
    rows = list(csv.DictReader(io.StringIO(boards_text([board], "csv"))))
    kinds = {kind: sum(r["kind"] == kind for r in rows) for kind in ("measured", "published", "label agreement")}
    assert kinds == {"measured": 10, "published": sum(len(x.entries) for x in board.published), "label agreement": len(board.agreement)}
    assert {r["comparable"] for r in rows if r["kind"] == "published"} == {"yes", "no", "unknown"}


def test_markdown_says_why_and_a_terminal_among_other_boards_is_short(everything: list[Board]) -> None:
    board = named(everything, POSE)
    markdown = boards_text([board], "markdown")
    assert all(" ".join(line.reason.split()) in markdown for line in board.published if "|" not in line.reason and "<" not in line.reason)
    assert "label agreement: 2.89 deg on 1,969 faces" in markdown and "3.86 deg" in markdown
    short = boards_text(everything, "table", 200)
    assert "with their reasons in --format markdown" in short and "OpNet" not in short


def test_latex_marks_the_best_of_what_is_ranked(everything: list[Board]) -> None:
    text = boards_text([named(everything, POSE)], "latex")
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert r"\textbf{4.00} {\footnotesize {[}3.50, 4.50{]}}" in rows[1] and r"\underline{9.00}" in rows[2]
    assert not any("textbf" in row or "underline" in row for row in rows[3:])  # published values are not ranked with them
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 1 and {row.count(" & ") for row in rows} == {6}
    assert "footnotesize" not in boards_text([named(everything, POSE)], "latex", intervals=False)
    alone = boards_text([named(everything, "biwi/depth-13219-mtcnnbox")], "latex")
    assert alone.count(r"\textbf") >= 1
    assert boards_text([named(everything, "cofw/visibility")], "latex").count("\n") == 3  # nothing comparable: comments alone
    unranked, _ = boards([a_record("a", 1.0, partial=True)])
    text = boards_text(unranked, "latex")
    assert r"--- & a\textsuperscript{a} & 1.00" in text and r"a: partial.}" in text


def test_latex_text_is_no_command() -> None:
    assert latex_text("50 % of {a_b} & $x^2$\n\x07 #1 ~") == r"50 \% of \{a\_b\} \& \$x\textasciicircum{}2\$ \#1 \textasciitilde{}"
    assert latex_text("\\input{x} [x] <y>") == r"\textbackslash{}input\{x\} {[}x{]} \textless{}y\textgreater{}"


def test_the_overview_has_every_board_and_no_averages(everything: list[Board]) -> None:
    lines = overview(everything)
    assert len(lines) == len(everything) and [x.task for x in lines] == sorted(
        (x.task for x in lines), key=["pose", "landmarks", "visibility"].index
    )
    of_pose = next(x for x in lines if x.board.protocol.id == POSE)
    assert of_pose.best_measured is not None and of_pose.best_measured.title == "net" and of_pose.ranked == 2
    assert of_pose.best_published is not None and of_pose.best_published.title.startswith("SynergyNet")
    assert sum(of_pose.published.values()) == len(of_pose.board.published_on())
    text = overview_text(everything, "markdown")
    assert "4.00 net" in text and "—" in text
    assert json.loads(overview_text(everything, "json"))[0]["protocol"]


def test_what_was_not_measured_is_a_dash() -> None:
    built, _ = boards([a_record("a", 1.0), a_record("b", 2.0), a_record("a", 3.0, protocol="aflw2000/pose-2000")])
    found = grid(built)
    assert found.models == ("a", "b") and [[row is None for row in line] for line in found.cells] == [[False, False], [False, True]]
    line = next(line for line in overview_text(built, "table").splitlines() if line.startswith("b "))
    assert line.split()[-1] == "—"


# ------------------------------------------------------------------------------------------------- label agreement


def test_shipped_label_agreement() -> None:
    lines = label_agreement()
    known = {line.protocol_id for line in lines}
    assert known == {f"aflw2000/{n}" for n in ("pose-1969", "pose-1969-aligned", "pose-2000", "pose-derived")}
    assert {(x.value, x.origin) for x in lines if (x.protocol_id, x.subset, x.metric) == (POSE, "all", MAE)} == {
        (2.8924, "computed"),
        (3.86, "noted"),
    }
    assert all(parse_metric(x.metric).text == x.metric and x.n > 0 and x.source for x in lines)


def test_label_agreement_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "baselines").mkdir()
    monkeypatch.setenv("HPBENCH_CATALOG", str(tmp_path))
    header = "protocol_id,subset,metric,value,n,origin,what,source\n"
    for text, sentence in (
        ("a,b\n1,2\n", "does not have the columns"),
        (f"{header}p,all,m,nan,3,computed,w,s\n", "value and n are numbers"),
        (f"{header}p,all,m,1,x,computed,w,s\n", "value and n are numbers"),
        (f"{header}p,all,m,1,3,said,w,s\n", "computed or noted"),
    ):
        (tmp_path / "baselines" / "label_agreement.csv").write_text(text)
        with pytest.raises(InputError, match=sentence):
            label_agreement()
