"""Valid inputs spoilt: as bytes, as text, as trees (JSON, TOML).  The same random state spoils the same way."""

from __future__ import annotations

import json
import math
import tomllib
from random import Random
from typing import Any

__all__ = ["JUNK", "mutate_bytes", "mutate_json", "mutate_jsonl", "mutate_text", "mutate_toml", "spoilt_tree", "toml_text"]

MAX_BYTES = 1 << 20  # of a mutated input: larger ones test the machine, not the reader

NUMBERS = (
    "0", "-0", "-1", "1", "2147483648", "-9223372036854775809", "1e308", "-1e308", "1e-320", "1e999", "nan", "NaN", "inf", "-Infinity",
    "0x10", "1_000", "1,5", "9" * 400, "9" * 5000, "0.", ".5", "+1", "--1", "1e", "\u0661\u0662", "\u00b2", "True", "1/0", "1e5",
)  # fmt: skip
TEXTS = (
    "",
    " ",
    "\x00",
    "\x1b[2J\x1b]0;x\x07",
    "\r",
    "\x85",
    "\u2028",
    "\ufeff",
    "\ud800",
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\x",
    "a" * 300,
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "\\input{/etc/passwd}",
    "::error::x",
    "%s%n",
    "{}",
    "a\nb",
    '"',
    "'",
    ",",
    ";",
    "\t",
    "\u202egnp.exe",
    "e\u0301",
    "\U0001f600",
    "#",
    "# convention=300w-lp\n",
    "nan",
    "None",
    "null",
    "\x9b31m",
    "a" * 3000,
)
JUNK: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    -(2**63) - 1,
    10**400,
    0.5,
    -0.0,
    1e308,
    1e-320,
    math.nan,
    math.inf,
    "",
    "x",
    [],
    {},
    [None],
    [[]],
    {"": ""},
    [1, 2, 3],
    [[1.0, 2.0], [3.0]],
    ["a", 1, None],
    {"a": {"b": {"c": 1}}},
    [0] * 1000,
    *TEXTS[:24],
)
TOKENS = tuple(t.encode("utf-8", "surrogatepass") for t in (*NUMBERS[:20], *TEXTS[:-1])) + (
    b"\xff\xfe",
    b"\xff" * 8,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x80",
    b"\x80" * 4,
    b"\r\n",
    b"\xef\xbb\xbf",
    b"PK\x03\x04",
    b"\x89HDF\r\n\x1a\n",
    b"\xed\xa0\x80",
    b"\xc0\x80",
)


def mutate_bytes(rng: Random, data: bytes) -> bytes:
    """One to a few changes: flipped bits, bytes set to extremes, parts cut, doubled, moved, or replaced by tokens."""
    out = bytearray(data)
    for _ in range(1 if rng.random() < 0.5 else rng.randint(2, 8)):
        at = rng.randrange(len(out) + 1)
        length = min(len(out) - at, int(rng.expovariate(0.1)) + 1)
        match rng.randrange(9):
            case 0 | 1 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 2 | 3 if at < len(out):
                out[at] = rng.choice((0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, rng.randrange(256)))
            case 4:
                del out[at : at + length]
            case 5:
                out[at:at] = out[at : at + length] * rng.choice((1, 1, 2, 50))
            case 6:
                out[at : at + rng.choice((0, length))] = rng.choice(TOKENS)
            case 7:
                there = rng.randrange(len(out) + 1)
                out[at : at + length] = out[there : there + length]
            case _:
                if rng.random() < 0.3:
                    del out[at:]
    return bytes(out[:MAX_BYTES])


def mutate_text(rng: Random, data: bytes) -> bytes:
    """Lines and cells changed; now and then as bytes."""
    if rng.random() < 0.25:
        return mutate_bytes(rng, data)
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(lines))
        match rng.randrange(9):
            case 0:
                lines[at:at] = [lines[at]] * rng.choice((1, 1, 3))
            case 1 if len(lines) > 1:
                del lines[at]
            case 2:
                there = rng.randrange(len(lines))
                lines[at], lines[there] = lines[there], lines[at]
            case 3:
                lines[at] = rng.choice((*TEXTS, *NUMBERS)) * (50 if rng.random() < 0.05 else 1)
            case 4:
                lines = [line + "\r" for line in lines]
            case 5:
                lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
            case _:
                lines[at] = _other_cell(rng, lines[at])
    return "\n".join(lines).encode("utf-8", "surrogatepass" if rng.random() < 0.05 else "replace")[:MAX_BYTES]


def _other_cell(rng: Random, line: str) -> str:
    mark = max(',; \t=:"', key=lambda c: (line.count(c), c))
    cells = line.split(mark)
    at = rng.randrange(len(cells))
    match rng.randrange(5):
        case 0:
            del cells[at]
        case 1:
            cells[at:at] = [cells[at]] * rng.choice((1, 1, 30))
        case 2:
            cells[at] = rng.choice(TEXTS)
        case _:
            cells[at] = rng.choice(NUMBERS)
    return mark.join(cells)


# ----------------------------------------------------------------------------------------------------------- trees


def spoilt_tree(rng: Random, tree: Any) -> Any:
    """A tree with one node replaced, removed, doubled or renamed; the tree itself is left alone."""
    if isinstance(tree, dict) and tree and rng.random() < 0.85:
        items = list(tree.items())
        at = rng.randrange(len(items))
        key, value = items[at]
        match rng.randrange(12):
            case 0:
                del items[at]
            case 1:
                items[at] = (str(rng.choice(TEXTS[:30])), value)
            case 2:
                items.append((rng.choice((key + "x", "x", "__class__")), value))
            case 3:
                items[at] = (key, rng.choice(items)[1])
            case _:
                items[at] = (key, spoilt_tree(rng, value))
        return dict(items)
    if isinstance(tree, list) and tree and rng.random() < 0.85:
        values = list(tree)
        at = rng.randrange(len(values))
        match rng.randrange(8):
            case 0:
                del values[at]
            case 1:
                values[at:at] = [values[at]] * rng.choice((1, 1, 100))
            case 2:
                rng.shuffle(values)
            case _:
                values[at] = spoilt_tree(rng, values[at])
        return values
    return rng.choice((*JUNK, tree, [tree], {"x": tree}))


def mutate_json(rng: Random, data: bytes) -> bytes:
    """A JSON document with its tree spoilt, or its text."""
    if rng.random() < 0.15:
        return mutate_bytes(rng, data)
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_text(rng, data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        tree = spoilt_tree(rng, tree)
    text = _json(tree)
    if rng.random() < 0.02:
        text = rng.choice(("[" * 5000, '{"a":' * 5000, text + text, f"{text[:-1]},{text[1:]}", "\ufeff" + text))
    return text.encode("utf-8", "replace")[:MAX_BYTES]


def mutate_jsonl(rng: Random, data: bytes) -> bytes:
    """One line spoilt as JSON, or the lines as text."""
    lines = data.split(b"\n")
    if rng.random() < 0.3:
        return mutate_text(rng, data)
    at = rng.randrange(len(lines))
    lines[at] = mutate_json(rng, lines[at] or b"{}")
    return b"\n".join(lines)


def mutate_toml(rng: Random, data: bytes) -> bytes:
    """A TOML document with its tree spoilt, or its text."""
    if rng.random() < 0.3:
        return mutate_text(rng, data)
    try:
        tree = tomllib.loads(data.decode())
    except (ValueError, RecursionError):
        return mutate_text(rng, data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        tree = spoilt_tree(rng, tree)
    if rng.random() < 0.02:
        return rng.choice((b"a = " + b"[" * 5000, b".".join([b"a"] * 5000) + b" = 1", b"a = " + b"{b = " * 2000))
    return toml_text(tree).encode("utf-8", "replace")[:MAX_BYTES]


def toml_text(tree: Any) -> str:
    """A table as TOML; anything else as what is none."""
    if not isinstance(tree, dict):
        return _toml_value(tree)
    return "".join(f"{_json(str(key))} = {_toml_value(value)}\n" for key, value in tree.items())


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_json(str(k))} = {_toml_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return {True: "true", False: "false"}.get(value, '""') if isinstance(value, bool) else '""'
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
