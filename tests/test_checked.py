"""TOML into dataclasses: whatever is wrong is one sentence with the file, the table and the key."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from hpbench import checked
from hpbench.checked import build, read_toml
from hpbench.errors import InputError


@dataclass(frozen=True)
class Inner:
    name: str
    size: float = 1.0


@dataclass(frozen=True)
class Outer:
    title: str
    count: int = 0
    share: float = 0.0
    on: bool = False
    kind: Literal["", "a", "b"] = ""
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    pair: tuple[float, float] | None = None
    by_name: dict[str, int] = field(default_factory=dict)
    inners: dict[str, Inner] = field(default_factory=dict)
    anything: dict[str, Any] = field(default_factory=dict)
    later: str = field(default="", init=False)


def test_everything_at_once() -> None:
    data = {
        "title": "t", "count": 3, "share": 2, "on": True, "kind": "b", "inner": {"name": "i"},
        "many": [{"name": "x", "size": 2}, {"name": "y"}], "pair": [1, 2.5], "by_name": {"a": 1},
        "inners": {"k": {"name": "z"}}, "anything": {"x": [1, "2", {"y": True}]},
    }  # fmt: skip
    built = build(Outer, data, "f")
    assert built == Outer(
        "t", 3, 2.0, True, "b", Inner("i"), (Inner("x", 2.0), Inner("y")), (1.0, 2.5), {"a": 1}, {"k": Inner("z")}, data["anything"]
    )
    assert isinstance(built.share, float) and isinstance(built.many[0].size, float) and isinstance(built.pair[0], float)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "f: the key 'title' is missing."),
        ({"titel": "t"}, "f: unknown key 'titel': did you mean 'title'?"),
        ({"title": "t", "later": "x"}, "f: unknown key 'later'"),
        ({"title": 1}, "f: key 'title': expected text, got a whole number (1)."),
        ({"title": "t", "count": 1.0}, "f: key 'count': expected a whole number, got a number (1.0)."),
        ({"title": "t", "count": True}, "f: key 'count': expected a whole number, got true or false (True)."),
        ({"title": "t", "share": True}, "f: key 'share': expected a number, got true or false (True)."),
        ({"title": "t", "share": "1"}, "f: key 'share': expected a number, got text ('1')."),
        ({"title": "t", "share": float("nan")}, "f: key 'share': nan is no finite number."),
        ({"title": "t", "share": float("inf")}, "f: key 'share': inf is no finite number."),
        ({"title": "t", "share": 10**400}, "f: key 'share': 1000"),
        ({"title": "t", "on": 1}, "f: key 'on': expected true or false, got a whole number (1)."),
        ({"title": "t", "kind": "c"}, "f: key 'kind': 'c' is none of '', 'a', 'b'."),
        ({"title": "t", "kind": ["a"]}, "f: key 'kind': ['a'] is none of"),
        ({"title": "t", "inner": "x"}, "f: key 'inner': expected a table, got text."),
        ({"title": "t", "inner": {"nam": "x"}}, "f: key 'inner': unknown key 'nam': did you mean 'name'?"),
        ({"title": "t", "inner": {"size": 1}}, "f: key 'inner': the key 'name' is missing."),
        ({"title": "t", "many": {"name": "x"}}, "f: key 'many': expected a list, got a table."),
        ({"title": "t", "many": [{"name": "x"}, {"name": 2}]}, "f: key 'many', entry 1: key 'name': expected text"),
        ({"title": "t", "pair": [1]}, "f: key 'pair': expected 2 entries, got 1."),
        ({"title": "t", "pair": [1, "2"]}, "f: key 'pair', entry 1: expected a number, got text ('2')."),
        ({"title": "t", "by_name": {"a": "1"}}, "f: key 'by_name'.a: expected a whole number, got text ('1')."),
        ({"title": "t", "by_name": []}, "f: key 'by_name': expected a table, got a list."),
        ({"title": "t", "inners": {"k": {}}}, "f: key 'inners'.k: the key 'name' is missing."),
        ([], "f: expected a table, got a list."),
        ("x", "f: expected a table, got text."),
    ],
)
def test_what_does_not_fit(data: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        build(Outer, data, "f")
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_a_value_of_any_length_makes_a_short_sentence() -> None:
    with pytest.raises(InputError) as caught:
        build(Outer, {"title": list(range(1000))}, "f")
    assert len(str(caught.value)) < 200


def test_none_where_it_may_be() -> None:
    assert build(Outer, {"title": "t", "inner": None}, "f").inner is None
    with pytest.raises(InputError, match="key 'title'"):
        build(Outer, {"title": None}, "f")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a = ", "not valid TOML"),
        (b"a = 1\na = 2\n", "not valid TOML"),
        (b"[a\n", "not valid TOML"),
        (b"a = 1" + b"0" * 5000, "not valid TOML"),
        (b"a = 2020-13-45", "not valid TOML"),
        (b"a = " + b"[" * 10_000, "not valid TOML"),
        (b"a = '\xff'", "UTF-8"),
        (b"a = 1\n" * 1000, "is no card or protocol"),
    ],
)
def test_bad_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, message: str) -> None:
    if b"\n" in data and len(data) == 6000:
        monkeypatch.setattr(checked, "MAX_TOML_BYTES", 5999)
    path = tmp_path / "card.toml"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_toml(path)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value) and "\n" not in str(caught.value)


def test_toml_that_is_not_there(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    for path in (tmp_path / "absent.toml", tmp_path, tmp_path / "pipe.toml"):
        with pytest.raises(InputError, match="cannot be read"):
            read_toml(path)


def test_toml_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes('# c\r\ntitle = "é"\r\n[inner]\r\nname = "x"\r\n'.encode())
    assert build(Outer, read_toml(tmp_path / "a.toml"), "f") == Outer("é", inner=Inner("x"))
