"""The site: what its pages say, that nothing in them is trusted or fetched, and which files it touches."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_records import POSE, a_record
from made_site import HOSTILE, Page, board_of_many, like, made_boards, published_on, timed

from hpbench.errors import InputError
from hpbench.leaderboard import FoundRecord, boards, overview
from hpbench.site import write_site
from hpbench.site.assets import safe_url, slug, work_url
from hpbench.site.charts import nice_ticks
from hpbench.site.write import MARKER, site_files

BOARD = "aflw2000.pose-1969.1.html"


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return site_files(made_boards(), without_board=7)


@pytest.fixture(scope="module")
def pages(files: dict[str, str]) -> dict[str, Page]:
    return {name: Page(text) for name, text in files.items() if name.endswith(".html")}


# ------------------------------------------------------------------------------------------------- what is there


def test_every_board_has_a_page_and_every_record_two_files(files: dict[str, str]) -> None:
    of_boards = {f"{b.protocol.reference.replace('/', '.').replace('@', '.')}.html" for b in made_boards()}
    assert {name for name in files if "/" not in name} == {"index.html", *of_boards}
    records = [name for name in files if name.startswith("records/")]
    assert len(records) == 2 * sum(len(b.rows) for b in made_boards())
    board = next(b for b in made_boards() if b.rows)
    written = sorted(text for name, text in files.items() if name.endswith(".json"))
    assert written == sorted(row.record.to_json() for row in board.rows)


def test_every_link_leads_somewhere(pages: dict[str, Page], files: dict[str, str]) -> None:
    for name, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), name
        for href in page.values("href"):
            path, _, anchor = href.partition("#")
            if re.match(r"https?://|data:", href):
                continue
            target = str(PurePosixPath(name).parent / path) if path else name
            target = target.replace("records/../", "")
            assert target in files, (name, href)
            assert not anchor or anchor in pages[target].ids, (name, href)
    linked = {href for page in pages.values() for href in page.values("href")}
    assert {name for name in files if "/" not in name} <= linked


def test_the_index_counts_what_the_boards_hold(pages: dict[str, Page]) -> None:
    page = pages["index.html"]
    published = sum(len(b.published) for b in made_boards())
    assert f"4 measured and {published} published results on {len(made_boards())} boards." in page.text
    assert "Another 7 published values" in page.text
    best = next(line for line in overview(made_boards()) if line.board.protocol.id == POSE)
    assert best.best_measured and best.best_published and best.best_published.title in page.text


def test_a_board_says_how_many_are_comparable_and_why_the_others_are_not(pages: dict[str, Page]) -> None:
    board = next(b for b in made_boards() if b.protocol.id == POSE)
    page, counts = pages[BOARD], Counter(line.comparable for line in board.published)
    assert len(page.values("data-verdict")) == len(board.published)
    assert Counter(page.values("data-verdict")) == counts
    assert f"{counts['yes']} are comparable, {counts['no']} are not, and of {counts['unknown']} it is not known" in page.text
    told = page.text[page.text.index("Why do these differ?") : page.text.index("Charts", page.text.index("Why do these differ?"))]
    for reason, n in Counter(line.reason for line in board.published if line.comparable != "yes").items():
        assert f"{n} {reason}" in told
    for line in board.published:
        for entry in line.entries.values():
            assert all(said in page.text for said in (entry.row.printed, " ".join(entry.row.source.split())))


def test_measured_and_published_are_two_tables_and_only_one_is_ranked(files: dict[str, str]) -> None:
    measured, published = (
        re.search(rf'<div class="table" id="{name}">.*?</table>', files[BOARD], re.S)[0] for name in ("measured", "published")
    )  # type: ignore[index]
    assert ">rank</th>" in measured and ">rank</th>" not in published
    assert "SynergyNet" in published and "SynergyNet" not in measured
    assert "slow" in measured and "less slow [deg]" in published
    assert "partial" in measured and "not submitted" in measured


def test_what_a_numeric_column_sorts_by_is_a_number_or_nothing(files: dict[str, str]) -> None:
    for text in files.values():
        for cell in re.findall(r'<t[dh] class="number"[^>]*?(?: data-value="([^"]*)")?>', text):
            assert not cell or float(cell) is not None


def test_charts_hold_what_the_figures_do(files: dict[str, str], pages: dict[str, Page]) -> None:
    text = files[BOARD]
    assert all(f'<figure id="{name}">' in text for name in ("intervals", "years", "speed-1"))
    board = next(b for b in made_boards() if b.protocol.id == POSE)
    main = [x for x in board.published if x.comparable == "yes" and board.protocol.main in x.entries]
    assert text.count('class="dot published"') == len(main) and text.count('class="dot measured"') == len(board.rows)
    assert "slow: 4.00 deg at 20 images a second" in pages[BOARD].text


# ------------------------------------------------------------------------------------------------- trust


def test_nothing_is_fetched_and_only_our_style_and_script_run(pages: dict[str, Page]) -> None:
    templates = Path(__file__).resolve().parents[1] / "hpbench" / "site" / "templates"
    for name, page in pages.items():
        assert page.raw == {"script": [(templates / "site.js").read_text()], "style": [(templates / "style.css").read_text()]}
        (policy,) = (attrs["content"] for _, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy
        for kind in ("script", "style"):
            digest = base64.b64encode(hashlib.sha256(page.raw[kind][0].encode()).digest()).decode()
            assert f"{kind}-src 'sha256-{digest}'" in policy
        for tag, attrs in page.elements:
            assert tag not in {"img", "iframe", "object", "embed", "form", "base", "i", "b"}, name
            assert not {a for a in attrs if a.startswith("on") or a in ("src", "srcset", "style")}, (name, tag, attrs)
            if tag != "a" and "href" in attrs:
                assert (tag, attrs["href"]) == ("link", "data:,")
            if attrs.get("href", "").startswith("http"):
                assert tag == "a" and attrs["rel"] == "noopener noreferrer"
    assert HOSTILE in pages[BOARD].text and "<b>no face</b>" in pages["records/aflw2000.pose-1969.1.failing.html"].text


def test_hostile_published_rows_are_text() -> None:
    first = published_on(POSE)[0]
    evil = '"><img src=x onerror=alert(1)>'
    row = like(
        first, id="evil", quotes="", method=evil, reason=evil, source="javascript:alert(1)", note=evil, paper_text=HOSTILE, printed=evil
    )
    built, _ = boards([], protocol=POSE, published=[row])
    page = Page(site_files(built)[BOARD])
    assert not [tag for tag, _ in page.elements if tag == "img"] and len(page.raw["script"]) == 1
    assert evil in page.text and HOSTILE in page.text
    assert not [href for href in page.values("href") if not re.match(r"#|[\w.-]+\.html$|https?://|data:,$", href)]


@pytest.mark.parametrize(
    "bad", ["javascript:alert(1)", " JaVaScRiPt:x", "data:text/html,x", "//host/x", "ftp://h/x", "http://", "https://[", "http://a\nb", ""]
)
def test_only_web_addresses_become_links(bad: str) -> None:
    assert safe_url(bad) == "" == work_url(bad, "", "")


def test_a_work_is_found_by_its_address_then_arxiv_then_doi() -> None:
    assert work_url("https://a.org/x", "1", "2") == "https://a.org/x"
    assert work_url("javascript:x", "2401.1", "2") == "https://arxiv.org/abs/2401.1"
    assert work_url("", "", '10.1/"<x') == "https://doi.org/10.1/%22%3Cx"


# ------------------------------------------------------------------------------------------------- bytes


def test_the_same_input_gives_the_same_bytes_in_any_order(files: dict[str, str]) -> None:
    assert site_files(made_boards(), without_board=7) == files
    records = [timed("b", 5.0, 10.0), timed("a", 5.0, 20.0), a_record("c", 4.0)]
    one, other = (site_files(boards(order)[0]) for order in (records, records[::-1]))
    assert one == other


def test_two_thousand_rows_are_less_than_three_megabytes() -> None:
    text = site_files([board_of_many(2000)])[BOARD]
    assert text.count("data-verdict=") == 2000 and len(text.encode()) < 3_000_000


def test_two_records_of_one_title_have_two_pages() -> None:
    built, _ = boards([a_record("Net A", 4.0), a_record("net-a", 5.0), a_record("é", 6.0)])
    names = {name for name in site_files(built) if name.endswith(".json")}
    assert names == {f"records/aflw2000.pose-1969.1.{name}.json" for name in ("net-a", "net-a-2", "model")}


@given(st.text())
def test_a_slug_is_a_portable_name(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?", slug(text))


@given(st.floats(-1e6, 1e6), st.floats(0.0, 1e6))
def test_ticks_hold_the_range_and_are_even(low: float, span: float) -> None:
    ticks = nice_ticks(low, low + span)
    step = ticks[1] - ticks[0]
    assert 2 <= len(ticks) <= 8 and step > 0
    assert ticks[0] <= low + 1e-6 * step and ticks[-1] >= low + span - 1e-6 * step
    assert all(b - a == pytest.approx(step, rel=1e-6) for a, b in pairwise(ticks))


# ------------------------------------------------------------------------------------------------- the folder


def write(out: Path, *names: str, title: str = "hpbench") -> list[str]:
    written, remarks = write_site([FoundRecord(timed(n, 4.0 + i, 10.0)) for i, n in enumerate(names)], out, published=False, title=title)
    assert not remarks
    return written


def in_folder(out: Path) -> set[str]:
    return {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}


def test_a_second_writing_removes_stale_pages_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "new" / "site"
    written = write(out, "a", "b", title="<Our> faces")
    assert in_folder(out) == {*written, MARKER} and "records/aflw2000.pose-1969.1.b.html" in written
    assert "<title>&lt;Our&gt; faces</title>" in (out / "index.html").read_text()
    (out / "records" / "notes.txt").write_text("mine")
    again = write(out, "a")
    assert in_folder(out) == {*again, MARKER, "records/notes.txt"}
    assert not any("pose-1969.1.b" in name for name in again)
    assert str(tmp_path) not in "".join((out / name).read_text() for name in again)


def test_a_folder_that_is_no_site_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(InputError, match="holds no site of hpbench"):
        write(tmp_path, "a")
    assert in_folder(tmp_path) == {"index.html"} and (tmp_path / "index.html").read_text() == "mine"
    with pytest.raises(InputError, match="this is a file"):
        write(tmp_path / "index.html", "a")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"hpbench-site": 1, "files": 3}', '{"hpbench-site": 2, "files": []}'])
def test_a_damaged_marker_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MARKER).write_text(text)
    with pytest.raises(InputError, match="damaged"):
        write(tmp_path, "a")


def test_a_marker_cannot_have_other_files_removed(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for victim in (tmp_path / "victim.html", elsewhere / "page.html"):
        victim.write_text("mine")
    write(out)
    (out / "plain.txt").write_text("mine")
    (out / "records").symlink_to(elsewhere)
    names = ["../victim.html", str(tmp_path / "victim.html"), "records/page.html", "records/../../victim.html", "plain.txt", "gone.html"]
    (out / MARKER).write_text(json.dumps({"hpbench-site": 1, "files": names}))
    write(out)
    assert in_folder(tmp_path) >= {"victim.html", "elsewhere/page.html", "site/plain.txt"}


def test_a_writing_that_was_cut_short_can_be_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hpbench.site import write as module

    real, left = module.write_atomic, [3]

    def failing(path: Path, text: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise InputError(f"{path}: cannot be written (disk full).")
        real(path, text)

    monkeypatch.setattr(module, "write_atomic", failing)
    with pytest.raises(InputError, match="disk full"):
        write(tmp_path, "a", "b")
    monkeypatch.undo()
    written = write(tmp_path, "a")
    assert in_folder(tmp_path) == {*written, MARKER}
