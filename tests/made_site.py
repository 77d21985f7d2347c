"""Boards with records that were never measured and published rows that nobody published, for tests of the site."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

from made_records import POSE, a_record

from hpbench.catalog.published import PublishedRow, published_rows
from hpbench.leaderboard import Board, boards
from hpbench.records import Failure, Record

MAE = "mae(convention=300w-lp)"
HOSTILE = "<script>alert(1)</script>\"'&"


def timed(name: str, value: float, images_per_s: float) -> Record:
    environment = {"machine": "x86_64", "cpus": 2, "system": "Linux"}
    return a_record(name, value, timing={"images_per_s": images_per_s, "device": "cpu"}, environment=environment)


def like(row: PublishedRow, **changes: object) -> PublishedRow:
    """The row with other values; what the file gave it stays unless changed."""
    kept = {name: changes.pop(name, getattr(row, name)) for name in ("printed", "year", "path", "line")}
    other = replace(row, **changes)
    for name, value in kept.items():
        object.__setattr__(other, name, value)
    return other


def published_on(protocol: str) -> list[PublishedRow]:
    return [row for row in published_rows() if row.protocol_id == protocol]


@cache
def made_boards() -> tuple[Board, ...]:
    """All shipped published rows; two models that were timed, one that failed on a face, one that is called something hostile."""
    records = [
        timed("fast", 5.0, 200.0),
        timed("slow", 4.0, 20.0),
        a_record(
            "failing", 9.0, coverage=0.5, failures=(Failure("image00002", "<b>no face</b>"),), notes=("boxes not stated: <i>any</i>",)
        ),
        a_record(HOSTILE, 12.0, partial=True),
    ]
    built, remarks = boards(records, published=published_rows())
    assert not remarks
    return tuple(built)


def board_of_many(count: int) -> Board:
    """A board of so many published lines with shuffled values, some of them hostile."""
    whole = [row for row in published_on(POSE) if row.canonical and row.metric == MAE]
    rows = []
    for i in range(count):
        value = (i * 7919 % count) / 100
        changes = {"id": f"made{i}", "method": f"method {i:04d}", "variant": HOSTILE if i % 500 == 0 else "", "value": value}
        rows.append(like(whole[i % len(whole)], **changes, printed=f"{value:g}"))
    (board,), remarks = boards([], protocol=POSE, published=rows)
    assert not remarks
    return board


class Page(HTMLParser):
    """Elements of a page as (tag, attributes), its ids, and its text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.texts: list[str] = []
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._inside = tag if tag in self.raw else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        self.raw.get(self._inside, self.texts).append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def ids(self) -> list[str]:
        return [attrs["id"] for _, attrs in self.elements if "id" in attrs]

    def values(self, name: str) -> list[str]:
        return [attrs[name] for _, attrs in self.elements if name in attrs]
