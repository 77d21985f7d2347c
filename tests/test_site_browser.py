"""The site in a browser: sorting, filters, tooltips, themes, a phone's width; without a word on the console or to the network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from made_site import board_of_many, made_boards

from hpbench.leaderboard import Board
from hpbench.site.write import site_files

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, LocatorAssertions, Page

BOARD = "aflw2000.pose-1969.1.html"
PUBLISHED = "#published tbody tr"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(made_boards(), tmp_path_factory.mktemp("site"))


def written(boards: Sequence[Board], folder: Path) -> Path:
    """The folder, with the site of these boards."""
    for name, text in site_files(boards).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def playwright_expect(locator: Locator) -> LocatorAssertions:
    """Waits until it holds; a page's policy lets no test evaluate text as script."""
    from playwright.sync_api import expect

    return expect(locator)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None)
    if path is None:
        pytest.skip("no Chromium or Chrome is installed")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab that lets nothing but files through, and must have asked for nothing else and said nothing when the test ends."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    asked: list[str] = []
    said: list[str] = []

    def let(route: object) -> None:
        url = route.request.url  # type: ignore[attr-defined]
        if url.startswith("file:"):
            return route.continue_()  # type: ignore[attr-defined]
        asked.append(url)
        return route.abort()  # type: ignore[attr-defined]

    context.route("**/*", let)
    tab = context.new_page()
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    yield tab
    context.close()
    assert (asked, said) == ([], [])


def column(page: Page, number: int, rows: str = PUBLISHED) -> list[str]:
    """First line of each shown cell of a column."""
    script = "(rows, n) => rows.filter(r => !r.hidden).map(r => r.cells[n].innerText.trim().split('\\n')[0])"
    return page.eval_on_selector_all(rows, f"rows => ({script})(rows, {number})")  # type: ignore[no-any-return]


def shown_key(texts: list[str]) -> list[float]:
    return [float(text) for text in texts if text != "—"]


@pytest.mark.long
def test_every_page_opens_in_silence(page: Page, site: Path) -> None:
    for path in [*sorted(site.glob("*.html")), *sorted(site.glob("records/*.html"))]:
        page.goto(path.as_uri())
        assert page.locator("h1").inner_text()


def test_a_header_sorts_both_ways_and_empty_cells_stay_last(page: Page, site: Path) -> None:
    page.goto((site / BOARD).as_uri())
    header = page.locator("#published thead th").nth(1)
    before = column(page, 1)
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    up = column(page, 1)
    assert shown_key(up) == sorted(shown_key(before)) and "—" in up and set(up[len(shown_key(up)) :]) == {"—"}
    header.get_by_role("button").press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    down = column(page, 1)
    assert shown_key(down) == sorted(shown_key(before), reverse=True) and set(down[len(shown_key(down)) :]) == {"—"}
    other = page.locator("#published thead th").first
    other.get_by_role("button").click()
    assert header.get_attribute("aria-sort") is None and other.get_attribute("aria-sort") == "ascending"
    assert column(page, 0) != column(page, 0)[::-1] and len(column(page, 0)) == len(before)


@pytest.mark.long
def test_sorting_keeps_the_order_of_equals(page: Page, site: Path) -> None:
    page.goto((site / BOARD).as_uri())
    verdict = next(i for i, text in enumerate(page.locator("#published thead th").all_inner_texts()) if text.startswith("comparable"))
    before = list(zip(column(page, verdict), column(page, 0), strict=True))
    page.locator("#published thead th").nth(verdict).get_by_role("button").click()
    order = {"yes": 0, "unknown": 1, "no": 2}
    after = list(zip(column(page, verdict), column(page, 0), strict=True))
    assert after == sorted(before, key=lambda pair: order[pair[0]])


@pytest.mark.long
def test_filters_hide_rows_and_say_how_many_are_left(page: Page, site: Path) -> None:
    page.goto((site / BOARD).as_uri())
    output = page.locator("#published output")
    whole = len(column(page, 0))
    assert output.inner_text() == f"{whole} published results" and output.get_attribute("aria-live") == "polite"
    for verdict in ("unknown", "no"):
        page.locator(f"#published input[value={verdict}]").uncheck()
    comparable = column(page, 0)
    assert output.inner_text() == f"{len(comparable)} of {whole} published results" and 0 < len(comparable) < whole
    words = "SYNERGY readme"
    page.locator("#published input[type=search]").fill(words)
    script = "rows => rows.filter(r => r.dataset.verdict == 'yes').map(r => [r.hidden, r.textContent.toLowerCase()])"
    found = page.eval_on_selector_all(PUBLISHED, script)
    assert {hidden for hidden, _ in found} == {False, True}
    assert all(hidden == any(word not in text for word in words.lower().split()) for hidden, text in found)
    page.locator("#published input[type=search]").fill("no such method")
    assert output.inner_text() == f"0 of {whole} published results"
    page.goto((site / "index.html").as_uri())
    page.locator("#boards input[type=search]").fill("aflw2000 landmarks")
    assert set(column(page, 1, "#boards tbody tr")) == {"aflw2000"}


@pytest.mark.long
def test_a_mark_speaks_to_pointer_finger_and_keyboard(page: Page, site: Path) -> None:
    page.goto((site / BOARD).as_uri())
    marks, tip = page.locator("#intervals .mark"), page.locator("#tip")
    assert tip.is_hidden()
    marks.nth(1).locator(".dot").hover()
    assert tip.inner_text() == marks.nth(1).get_attribute("aria-label") and "deg" in tip.inner_text()
    page.mouse.move(0, 0)
    assert tip.is_hidden()
    marks.first.focus()
    assert tip.inner_text() == marks.first.get_attribute("aria-label")
    page.keyboard.press("ArrowDown")
    assert tip.inner_text() == marks.nth(1).get_attribute("aria-label")
    page.keyboard.press("End")
    assert tip.inner_text() == marks.last.get_attribute("aria-label")
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    assert page.eval_on_selector_all("#intervals .mark[tabindex='0']", "marks => marks.length") == 1
    marks.nth(2).dispatch_event("click")
    assert tip.inner_text() == marks.nth(2).get_attribute("aria-label")


@pytest.mark.long
def test_the_theme_follows_the_system_and_a_choice_is_kept(page: Page, site: Path) -> None:
    def paper() -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")  # type: ignore[no-any-return]

    page.goto((site / BOARD).as_uri())
    light = paper()
    page.emulate_media(color_scheme="dark")
    dark = paper()
    assert light != dark and page.locator("#theme").inner_text() == "Light"
    page.locator("#theme").click()
    assert paper() == light
    page.reload()
    assert paper() == light and page.locator("#theme").inner_text() == "Dark"


@pytest.mark.long
def test_the_theme_works_where_nothing_can_be_kept(page: Page, site: Path) -> None:
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } });")
    page.goto((site / BOARD).as_uri())
    page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_paper(page: Page, site: Path, scheme: str) -> None:
    """WCAG AA: 4.5 to 1, computed from the colours the browser shows."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto((site / BOARD).as_uri())
    script = (
        """names => names.map(name => getComputedStyle(document.querySelector(name)).color.match(/[\\d.]+/g).slice(0, 3).map(Number))"""
    )
    paper, *inks = page.evaluate(script.replace(".color", ".backgroundColor"), ["body"]) + page.evaluate(
        script, ["body", "main a", ".hint", "thead th", "small", ".metric, .reference", "footer"]
    )

    def luminance(rgb: list[float]) -> float:
        linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for ink in inks:
        dim, bright = sorted((luminance(ink), luminance(paper)))
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, ink


@pytest.mark.long
def test_a_phone_scrolls_tables_and_not_the_page(page: Page, site: Path) -> None:
    page.set_viewport_size({"width": 375, "height": 700})
    for path in sorted(site.glob("*.html")) + sorted((site / "records").glob("*.html")):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, path.name
    page.goto((site / BOARD).as_uri())
    assert page.evaluate("(e => e.scrollWidth > e.clientWidth)(document.querySelector('#published .scroll'))")


@pytest.mark.long
def test_two_thousand_rows_sort(page: Page, tmp_path: Path) -> None:
    page.goto((written([board_of_many(2000)], tmp_path) / BOARD).as_uri())
    rows = "#published tbody tr"
    page.locator("#published thead th").nth(1).get_by_role("button").click()
    values = [float(text) for text in column(page, 1, rows)]
    assert len(values) == 2000 and values == sorted(values) and values[0] == 0.0
    page.locator("#published thead th").first.get_by_role("button").click()
    names = column(page, 0, rows)
    assert len(names) == 2000 and names == sorted(names)
    assert page.locator(f"{rows} >> nth=0").is_visible()
    playwright_expect(page.locator(".later")).to_have_count(0)  # those far below are laid out a little later
    assert page.locator(rows).last.is_visible()


@pytest.mark.long
def test_the_citation_is_copied(page: Page, site: Path) -> None:
    page.goto((site / BOARD).as_uri())
    page.get_by_role("button", name="Copy BibTeX").click()
    playwright_expect(page.locator(".copied")).not_to_be_empty()
    assert "@" in page.evaluate("getSelection().toString()")


@pytest.mark.long
def test_everything_can_be_read_without_a_script(browser: Browser, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / BOARD).as_uri())
    for name in ("Measured", "Published", "Why do these differ?", "Charts", "Protocol", "Cite"):
        assert page.get_by_role("heading", name=name, exact=True).is_visible()
    assert page.locator("#published tbody tr").last.is_visible() and page.locator("#theme").is_hidden()
    assert page.locator("#published .filters").is_hidden() and page.locator("#published thead button").count() == 0
    context.close()
