"""How far protocols move a score, as a table, as markdown and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import Any, Literal

from ..sensitivity import Choice, Question, Sensitivity
from .cells import escape, first_that_fits, number_text, signed_text

__all__ = ["SCHEMA", "sensitivity_text", "spread_sentence"]

SCHEMA = 1  # of the JSON document


def sensitivity_text(found: Sensitivity, style: Literal["table", "markdown", "json"], width: int = 140) -> str:
    """The choices in a format; `width` is that of a plain table."""
    if style == "json":
        return json.dumps(_data(found), indent=1, allow_nan=False, ensure_ascii=False)
    return "\n\n".join(_question(found, question, style, width) for question in found.questions)


def spread_sentence(question: Question) -> str:
    """What the spread is worth beside the published values of the board."""
    unit = question.unit
    spread = f"{number_text(question.spread, unit)} {unit}"
    low, high = number_text(question.low, unit), number_text(question.high, unit)
    text = f"Under one name, these predictions score {low} to {high}: a spread of {spread}"
    published, last = question.published, question.ranks
    if last is None:
        return f"{text}."
    best, other = published[0], published[last - 1]
    if last == 1:
        return f"{text}, less than between the first two of {len(published)} comparable published values."
    gap = number_text(abs(other.value - best.value), unit)
    whole = f"all {last}" if last == len(published) else f"the best {last} of {len(published)}"
    return f"{text}, larger than what parts {whole} comparable published values ({best.printed} to {other.printed}, {gap} {unit})."


def _question(found: Sensitivity, question: Question, style: str, width: int) -> str:
    value = f"{number_text(question.main.value, question.unit)} {question.unit}"
    title = f"{found.title} on {question.protocol.reference}, {question.metric}: {value}"
    ranked = question.main.rank is not None
    lines = [spread_sentence(question)]
    if question.groups:
        lines.append("By what is chosen: " + "; ".join(_group(g.name, g.spread, g.ranks, question) for g in question.groups) + ".")
    if ranked:
        lines.append(f"rank: the place of the value among the {len(question.published)} comparable published ones.")
    if any(not c.variant.alike for c in question.choices):
        lines.append("(): goes by another name, and counts in no spread.")
    if style == "markdown":
        return "\n\n".join([f"**{escape(title)}**", _table(question, style), *map(escape, lines)])
    table = first_that_fits(
        (lambda: f"{title}\n{_table(question, style)}", lambda: f"{title}\n{_table(question, style, who=False)}",
         lambda: f"{title}\n{_table(question, style, who=False, faces=False)}"),
        width,
    )  # fmt: skip
    return "\n".join([table, *(textwrap.fill(line, max(width, 40), subsequent_indent="  ", break_on_hyphens=False) for line in lines)])


def _group(name: str, spread: float, ranks: int | None, question: Question) -> str:
    text = f"{name} {number_text(spread, question.unit)}"
    return f"{text} (published ranks 1 to {ranks})" if ranks is not None and ranks > 1 else text


def _table(question: Question, style: str, *, who: bool = True, faces: bool = True) -> str:
    import tabulate

    ranked = question.main.rank is not None
    headings = ["what", "choice", *(["who"] if who else []), f"value [{question.unit}]", "change", *(["faces"] if faces else [])]
    headings += ["rank"] if ranked else []
    rows = []
    for choice in (question.main, *question.choices):
        variant, first = choice.variant, choice is question.main
        shown = "the main choice" if first else variant.name
        cells = [
            "" if first else variant.group, shown if variant.alike else f"({shown})", *([variant.who] if who else []),
            number_text(choice.value, question.unit), "" if first else signed_text(choice.change, question.unit),
            *([f"{choice.faces:,}"] if faces else []), *([_rank(choice)] if ranked else []),
        ]  # fmt: skip
        rows.append([escape(c) for c in cells] if style == "markdown" else cells)
    words = 3 if who else 2
    align = ["left"] * words + ["right"] * (len(headings) - words)
    form = "github" if style == "markdown" else "simple"
    return tabulate.tabulate(rows, headings, tablefmt=form, disable_numparse=True, colalign=align)


def _rank(choice: Choice) -> str:
    return "" if choice.rank is None else str(choice.rank)


def _data(found: Sensitivity) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "predictions": found.title,
        "predictions_sha256": found.predictions_sha256,
        "dataset": found.dataset,
        "questions": [
            {
                "protocol": q.protocol.reference,
                "metric": q.metric,
                "unit": q.unit,
                "higher_is_better": q.higher_is_better,
                "value": q.main.value,
                "faces": q.main.faces,
                "low": q.low,
                "high": q.high,
                "spread": q.spread,
                "published": {"comparable": len(q.published), "within_spread": q.ranks, "rank": q.main.rank},
                "groups": [{"name": g.name, "low": g.low, "high": g.high, "spread": g.spread, "within_spread": g.ranks} for g in q.groups],
                "choices": _choices(q.choices),
            }
            for q in found.questions
        ],
    }


def _choices(choices: Sequence[Choice]) -> list[dict[str, Any]]:
    return [
        {
            "group": c.variant.group, "name": c.variant.name, "who": c.variant.who, "metric": c.variant.setting.metric.text,
            "same_name": c.variant.alike, "value": c.value, "change": c.change, "faces": c.faces, "failed": c.failed, "rank": c.rank,
        }
        for c in choices
    ]  # fmt: skip
