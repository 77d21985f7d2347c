"""Why two numbers differ, as a table, as markdown and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from ..explain import End, Explanation, Step
from ..explain.walk import AGAIN, REST
from .cells import NO_VALUE, escape, number_text, signed_text

__all__ = ["SCHEMA", "explanation_text"]

SCHEMA = 1  # of the JSON document
_MOST_READINGS = 12
_LEAST_CELL = 14
_ORDER = (
    "Steps are taken in this order. first: the change alone, from A; last: the change when all else is already B's. Where these differ, "
    "another order would share the sum out otherwise."
)
_NO_PROOF = "A value near the published one proves nothing unless these are the paper's own predictions."


def explanation_text(found: Explanation, style: Literal["table", "markdown", "json"], width: int = 140) -> str:
    """The explanation in a format; `width` is that of a plain table."""
    if style == "json":
        return json.dumps(_data(found), indent=1, allow_nan=False, ensure_ascii=False)
    parts = [_head(found, style), _steps(found, style, width), _facts(found, style, width)]
    parts += [_published(end, letter, style, width) for letter, end in (("A", found.a), ("B", found.b)) if end.row is not None]
    parts += [_readings(found, style, width)]
    parts += [f"note: {note}" for note in found.notes]
    return "\n\n".join(part for part in parts if part)


def _head(found: Explanation, style: str) -> str:
    lines = []
    for letter, end in (("A", found.a), ("B", found.b)):
        by = f" by {end.setting.metric.text}" if end.setting is not None else ""
        on = f", {end.protocol.reference}" if end.protocol is not None else f", {end.dataset}"
        lines.append(f"{letter}: {_value(end)} {end.unit}, {end.title}{on}{by}")
    lines.append(f"B - A: {signed_text(found.difference, found.unit) or NO_VALUE} {found.unit}")
    return ("\n" if style == "table" else "  \n").join(escape(line) if style == "markdown" else line for line in lines)


def _value(end: End) -> str:
    return end.row.printed if end.row is not None and end.row.printed else number_text(end.value, end.unit)


def _steps(found: Explanation, style: str, width: int) -> str:
    if not found.steps:
        return ""
    unit = found.unit
    rows = [["A", "", "", "", "", "", number_text(found.a.value, unit), ""]]
    for step in found.steps:
        rows.append([
            step.name, step.a, step.b, signed_text(step.change, unit), _alone(step, step.first, unit), _alone(step, step.last, unit),
            number_text(step.value, unit), "" if step.faces is None else f"{step.faces:,}",
        ])  # fmt: skip
    rows.append(["all steps", "", "", signed_text(found.difference, unit), "", "", number_text(found.b.value, unit), ""])
    headings = ["step", "A", "B", f"change [{unit}]", "first", "last", "reached", "faces"]
    several = sum(step.first is not None for step in found.steps) > 1
    texts = [_table(rows, headings, style, width), f"Scored: {found.scored_with}."]
    return "\n".join(_wrapped([*texts, *([_ORDER] if several else [])], style, width))


def _alone(step: Step, value: float | None, unit: str) -> str:
    if AGAIN in step.factors or REST in step.factors:
        return ""
    return signed_text(value, unit) or NO_VALUE


def _facts(found: Explanation, style: str, width: int) -> str:
    scored = bool(found.steps)
    rows = [[d.what, d.a, d.b] for d in found.differences if not (scored and d.scored)]
    lines = [_table(rows, ["also differs" if scored else "differs", "A", "B"], style, width)] if rows else []
    if found.same:
        lines.append(f"The same: {', '.join(found.same)}.")
    return "\n".join(_wrapped(lines, style, width))


def _published(end: End, letter: str, style: str, width: int) -> str:
    row = end.row
    assert row is not None
    lines = [f"{letter} is row {row.id} of published.csv ({row.origin}, confidence {row.confidence}); comparable: {row.comparable}."]
    for what, text in (("why", row.reason), ("the paper", row.paper_text), ("note", row.note), ("source", row.source)):
        if text:
            lines.append(f"{what}: {text}")
    if row.quotes:
        lines.append(f"it says again, or runs again, row {row.quotes}")
    if style == "markdown":
        return "\n".join(f"{'' if i == 0 else '- '}{escape(line)}" for i, line in enumerate(lines))
    return "\n".join(_wrapped([lines[0], *(f"  {line}" for line in lines[1:])], style, width))


def _readings(found: Explanation, style: str, width: int) -> str:
    if not found.readings:
        return ""
    shown = [r for i, r in enumerate(found.readings) if i < _MOST_READINGS or r.named]
    rows = [
        [r.variant.group, r.variant.name + (" *" if r.named else ""), r.variant.who, number_text(r.value, found.unit),
         signed_text(r.distance, found.unit)]
        for r in shown
    ]  # fmt: skip
    title = "The same predictions by the formulas in circulation, the nearest to the published value first:"
    headings = ["what", "choice", "who", f"value [{found.unit}]", "from the row"]
    legend = f"*: what the row, or the words about it, say. {_NO_PROOF}"
    return "\n".join(_wrapped([title, *([""] if style == "markdown" else []), _table(rows, headings, style, width), legend], style, width))


def _table(rows: Sequence[Sequence[str]], headings: Sequence[str], style: str, width: int) -> str:
    """A table that fits: the columns of words are wrapped where they must be."""
    import tabulate

    if style == "markdown":
        return tabulate.tabulate([[escape(c) for c in row] for row in rows], headings, tablefmt="github", disable_numparse=True)
    right = [i >= 3 for i in range(len(headings))]
    align = ["right" if r else "left" for r in right]

    def made(cell: int) -> str:
        cells = [[c if right[i] else "\n".join(textwrap.wrap(c, cell, break_on_hyphens=False)) for i, c in enumerate(row)] for row in rows]
        return tabulate.tabulate(cells, headings, tablefmt="simple", disable_numparse=True, colalign=align)

    room = max(width, 40)
    for cell in range(room, _LEAST_CELL, -2):
        text = made(cell)
        if max(map(len, text.splitlines())) <= room:
            return text
    return made(_LEAST_CELL)


def _wrapped(texts: Sequence[str], style: str, width: int) -> list[str]:
    """Sentences broken at the width; tables stay."""
    if style == "markdown":
        return [text if "\n" in text or text.startswith("|") else f"\n{escape(text)}" if text else "" for text in texts]
    return [
        text
        if "\n" in text
        else textwrap.fill(text, max(width, 40), subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
        for text in texts
    ]  # fmt: skip


def _data(found: Explanation) -> dict[str, Any]:
    ends: dict[str, dict[str, Any]] = {}
    for letter, end in (("a", found.a), ("b", found.b)):
        ends[letter] = {
            "given": end.text, "title": end.title, "kind": end.kind, "value": end.value,
            "protocol": end.protocol.reference if end.protocol else None, "metric": end.setting.metric.text if end.setting else None,
            "predictions": end.predictions is not None,
        }  # fmt: skip
        if end.row is not None:
            keys = ("id", "comparable", "reason", "paper_text", "origin", "source", "confidence", "note", "quotes", "printed")
            ends[letter]["published"] = {key: getattr(end.row, key) for key in keys}
    return {
        "schema": SCHEMA,
        **ends,
        "unit": found.unit,
        "difference": found.difference,
        "differences": [asdict(d) for d in found.differences],
        "same": list(found.same),
        "scored_with": found.scored_with,
        "steps": [asdict(step) for step in found.steps],
        "formulas": [
            {
                "group": r.variant.group, "name": r.variant.name, "who": r.variant.who, "metric": r.variant.setting.metric.text,
                "value": r.value, "from_published": r.distance, "named": r.named,
            }
            for r in found.readings
        ],
        "notes": list(found.notes),
    }  # fmt: skip
