"""A folder of reports: what stands in it, when it is written anew, and that reports/ is what would be written."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import hpbench, hpbench_process

from hpbench.catalog import catalog_roots
from hpbench.catalog.published import published_curves, published_rows
from hpbench.errors import InputError
from hpbench.leaderboard import collect_found
from hpbench.report.folder import Report, report_of

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shipped records of two models by one protocol."""
    folder = tmp_path_factory.mktemp("records")
    for model in ("frontal", "mnn-encoder"):
        (folder / model).mkdir()
        for file in (catalog_roots()[0] / "baselines" / model / "results").glob("heads.pose-yaw-75@*"):
            shutil.copy(file, folder / model)
    return folder


@pytest.fixture(scope="module")
def report(records: Path) -> Report:
    return report_of(collect_found([records])[0])


def test_pages_say_who_leads_and_show_every_figure(report: Report, tmp_path: Path) -> None:
    changed = report.write(tmp_path)
    assert sorted(changed) == sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    index, page = (tmp_path / "README.md").read_text(), (tmp_path / "heads.md").read_text()
    assert re.search(
        r"\[heads/pose-yaw-75@1\]\(heads.md#heads-pose-yaw-75-1\) .* MNN encoder .* yes: 1.* ahead of frontal, p &lt; 0.0001", index
    )
    assert '<a id="heads-pose-yaw-75-1"></a>' in page
    shown = re.findall(r"!\[.*?\]\((figures/.*?)\)", page)
    assert sorted(shown) == sorted(f"figures/{p.name}.svg" for p in report.pictures)
    assert all((tmp_path / name).is_file() for name in shown)
    for picture in report.pictures:
        assert json.loads((tmp_path / f"figures/{picture.name}.json").read_text())["caption"] == picture.caption


def test_nothing_is_written_twice_and_every_change_is_seen(report: Report, tmp_path: Path) -> None:
    report.write(tmp_path)
    assert report.differences(tmp_path) == report.write(tmp_path) == []
    first = report.pictures[0].name
    (tmp_path / "figures" / f"{first}.svg").write_text("other pixels of another matplotlib")
    assert report.differences(tmp_path) == []
    (tmp_path / "heads.md").write_text("edited")
    data = tmp_path / "figures" / f"{first}.json"
    data.write_text(data.read_text().replace("0", "1", 1))
    (tmp_path / "figures" / "of-another-day.json").write_text('{"name": "of-another-day", "table": []}')
    (tmp_path / "figures" / "config.json").write_text("{}")
    (tmp_path / "figures" / "of-another-day.svg").write_text("")
    (tmp_path / "figures" / "mine.svg").write_text("not of a report")
    seen = {"heads.md", *(f"figures/{name}" for name in (f"{first}.json", f"{first}.svg", "of-another-day.json", "of-another-day.svg"))}
    assert set(report.differences(tmp_path)) == set(report.write(tmp_path)) == seen
    assert not (tmp_path / "figures/of-another-day.svg").exists() and all(
        (tmp_path / f"figures/{mine}").exists() for mine in ("mine.svg", "config.json")
    )
    assert report.differences(tmp_path) == []


def test_nothing_of_somebody_else_is_lost(report: Report, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# My thesis\n")
    with pytest.raises(InputError, match="is no report of hpbench, and would be lost"):
        report.write(tmp_path)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "figures").symlink_to(tmp_path)
    with pytest.raises(InputError, match="is a link"):
        report.write(tmp_path / "b")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["README.md", "b"]


def test_a_report_of_one_dataset_does_not_replace_one_of_all(report: Report, tmp_path: Path) -> None:
    both = replace(report, pages={**report.pages, "biwi.md": "# BIWI\n"})
    both.write(tmp_path)
    with pytest.raises(InputError, match=r"holds a report of other data sets too \(biwi.md\)"):
        replace(report, dataset="heads").write(tmp_path)
    assert "biwi.md" in report.write(tmp_path) and not (tmp_path / "biwi.md").exists()  # of all: one has gone


def test_a_writing_that_was_killed_is_finished(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report.write(tmp_path / "whole")
    changed = replace(report, pictures=tuple(replace(p, caption=f"{p.caption} Anew.") for p in report.pictures))
    with monkeypatch.context() as patch:
        patch.setattr("hpbench.report.folder.write_atomic", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            changed.write(tmp_path / "whole")
    (tmp_path / "whole" / "figures" / ".a.svg.123.tmp").write_text("half")
    changed.write(tmp_path / "whole")
    assert changed.differences(tmp_path / "whole") == [] and not list((tmp_path / "whole" / "figures").glob(".*"))


def test_the_same_records_give_the_same_bytes(records: Path, report: Report, tmp_path: Path) -> None:
    report.write(tmp_path / "a")
    report_of(collect_found([records])[0]).write(tmp_path / "b")
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


def test_other_reports_of_the_folder_are_linked(report: Report, tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("<!-- -->\n# What I think of it\n")
    report.write(tmp_path)
    assert "- [What I think of it](mine.md)" in (tmp_path / "README.md").read_text()
    assert report.differences(tmp_path) == []


def test_published_rows_alone_make_a_report() -> None:
    report = report_of([], dataset="aflw2000", published=published_rows(), curves=published_curves())
    page = report.pages["aflw2000.md"]
    assert "Why the others are not:" in page and "fold180" in page
    assert {p.name.split(".")[0] for p in report.pictures} == {"years"}
    assert (
        report_of([], dataset="cofw", published=published_rows(), curves=published_curves())
        .pages["cofw.md"]
        .count("published.cofw.test.ced")
        > 1
    )


def test_nothing_to_report_on_is_said() -> None:
    with pytest.raises(InputError, match="no record of heads"):
        report_of([], dataset="heads")


def test_command_line(records: Path, tmp_path: Path) -> None:
    made = hpbench_process("report", records, "-o", tmp_path / "r", "--no-published", "--figures", "png", cwd=tmp_path)
    assert made.returncode == 0 and "of 2 pages" in made.stderr, made.stderr
    assert (tmp_path / "r/figures/heads.pose-yaw-75.error-against-yaw.png").read_bytes().startswith(b"\x89PNG")
    assert hpbench("report", records, "-o", tmp_path / "r", "--no-published", "--figures", "png", "--check", cwd=tmp_path).returncode == 0
    (tmp_path / "r/heads.md").write_text("")
    stale = hpbench("report", records, "-o", tmp_path / "r", "--no-published", "--figures", "png", "--check", cwd=tmp_path)
    assert stale.returncode == 1 and "heads.md" in stale.stderr and not (tmp_path / "r/heads.md").read_text()
    wrong = hpbench("report", tmp_path / "nowhere", "-o", tmp_path / "r", cwd=tmp_path)
    assert wrong.returncode == 2 and "there is no such record or folder" in wrong.stderr
    assert hpbench("report", "--site", tmp_path / "s", "--check", cwd=tmp_path).returncode == 2


def test_a_site_by_the_command_line(records: Path, tmp_path: Path) -> None:
    made = hpbench("report", records, "--site", tmp_path / "s", "--no-published", cwd=tmp_path)
    assert made.returncode == 0 and "always frontal" in (tmp_path / "s/heads.pose-yaw-75.1.html").read_text(), made.stderr
    empty = hpbench("report", records, "--site", tmp_path / "t", "-d", "biwi", "--no-published", cwd=tmp_path)
    assert empty.returncode == 2 and "there is no record of biwi to show" in empty.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="last digits of statistics may differ elsewhere")
def test_reports_are_up_to_date() -> None:
    result = hpbench("report", "--check", cwd=ROOT)
    assert result.returncode == 0, result.stderr
