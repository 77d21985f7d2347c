"""Fuzzing in short: every reader on a few damaged inputs, the same at every run; ``make fuzz`` is the long form."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fuzz.campaign import Result, campaign, write_results
from fuzz.mutations import toml_text
from fuzz.oracle import judge
from fuzz.targets import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st

# their setting up alone takes a second, or their bombs do
SLOW = {"record.shown", "mnn.safetensors", "training.pt", "onnx", "archive.tar", "trees.safetensors"}
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("name", [n for n in TARGETS if n not in SLOW])
def test_damaged_inputs_are_read_or_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    if target.extra and not importlib.util.find_spec(target.extra):
        pytest.skip(f"{target.extra} is not installed")
    prepared = target.prepare(tmp_path)
    for data in prepared.seeds:
        prepared.read(data)
    rng = Random(name)
    for _ in range(12 if target.share < 7 else 50):
        data = target.mutate(rng, rng.choice(prepared.seeds))
        assert judge(prepared.read, data, seconds=10.0) is None, data[:2000]


def places(tree: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where anything may stand in a tree."""
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [here, *(place for key, value in inside for place in places(value, (*here, key)))]


def put(tree: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[place[0]] = put(tree[place[0]], place[1:], value)
    return copy


@pytest.mark.parametrize(("name", "written"), [
    ("record.json", json.dumps), ("submission.manifest", json.dumps), ("convert.spiga", json.dumps), ("convert.coco", json.dumps),
    ("table.coco", json.dumps), ("onnx.card", toml_text),
])  # fmt: skip
def test_anything_anywhere_in_a_tree(name: str, written: Callable[[Any], str], tmp_path: Path) -> None:
    import tomllib

    if TARGETS[name].extra and not importlib.util.find_spec(TARGETS[name].extra):
        pytest.skip(f"{TARGETS[name].extra} is not installed")
    prepared = TARGETS[name].prepare(tmp_path)
    seed = prepared.seeds[0]
    tree = json.loads(seed) if written is json.dumps else tomllib.loads(seed.decode())
    where = places(tree)

    @settings(max_examples=35, database=None)
    @given(at=st.integers(0, len(where) - 1), junk=JUNK)
    def check(at: int, junk: Any) -> None:
        data = written(put(tree, where[at], junk)).encode("utf-8", "replace")
        assert judge(prepared.read, data, seconds=0) is None

    check()


def test_a_campaign_finds_counts_and_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (done,) = campaign(["rule"], 300, 60.0, 1, 1, tmp_path / "findings")
    assert done.inputs == 300 and not done.findings and done.seconds > 0 and done.peak_mib > 10
    write_results(tmp_path / "fuzz.csv", [done, Result("metric")], {"rule": 2})
    assert "\nrule,300," in (tmp_path / "fuzz.csv").read_text()
    write_results(tmp_path / "fuzz.csv", [done], {"rule": 2}, add=True)
    lines = (tmp_path / "fuzz.csv").read_text().splitlines()
    assert len(lines) == 3 and any(line.startswith("rule,600,") and line.split(",")[5] == "2" for line in lines)


@pytest.mark.parametrize(("read", "kind"), [
    (lambda data: int("x"), "exception"), (lambda data: bytearray(1 << 62), "memory"), (lambda data: [0 for _ in iter(int, 1)], "hang"),
])  # fmt: skip
def test_the_oracle_sees_what_it_must(read: Callable[[bytes], object], kind: str) -> None:
    found = judge(read, b"", seconds=0.05)
    assert found is not None and found.kind == kind
