"""What a gate found: as a table, markdown (a step summary), JSON, JUnit XML, and annotations of GitHub's."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..comparison import Check, GateResult
from .cells import NO_VALUE, escape, first_that_fits, number_text, signed_text

__all__ = ["GATE_SCHEMA", "gate_annotations", "gate_json", "gate_junit", "gate_markdown", "gate_text", "gate_verdict", "without_commands"]

GATE_SCHEMA = 1

_HEADINGS = ("rule", "NEW", "REF", "change", "limit", "")


def gate_verdict(found: GateResult) -> str:
    """The outcome in a sentence."""
    unlike = len(found.unpaired) if found.strict else 0
    n = len(found.checks) + unlike
    checks = f"{n} check{'s' * (n != 1)}"
    against = f"{found.new} against {found.ref} ({found.against}), policy {found.policy}"
    if found.passed:
        unseen = sum(c.verdict == "not checked" for c in found.checks)
        return f"gate passed: {against}; {checks}{f', {unseen} of them not checked' if unseen else ''}."
    return f"gate FAILED: {against}; {len(found.failed) + unlike} of {checks} failed."


def gate_text(found: GateResult, width: int) -> str:
    """A table, a rule and protocol a line, and the outcome below."""
    rows = [[c.protocol, *_cells(c)] for c in found.checks]
    text = first_that_fits((lambda: _table(rows), lambda: _lines(rows)), width)
    lines = [*_remarks(found), gate_verdict(found)]
    return "\n".join([text, *("\n".join(textwrap.wrap(line, max(40, width), subsequent_indent="  ")) for line in lines)])


def gate_markdown(found: GateResult) -> str:
    """The same for a step summary or a pull request."""
    rows = [[escape(cell) for cell in (c.protocol, *_cells(c))] for c in found.checks]
    headings = ["protocol", *_HEADINGS[:-1], "verdict"]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, ["---"] * len(headings), *rows))
    below = "\n".join(f"- {escape(line)}" for line in _remarks(found))
    return "\n\n".join(filter(None, (f"**{escape(gate_verdict(found))}**", table, below))) + "\n"


def gate_json(found: GateResult) -> dict[str, Any]:
    """One document, every number with all its digits."""
    return {
        "schema": GATE_SCHEMA, "passed": found.passed, "policy": found.policy, "new": found.new, "ref": found.ref,
        "against": found.against, "strict": found.strict, "tests": found.tests, "checks": [asdict(c) for c in found.checks],
        "unpaired": list(found.unpaired),
    }  # fmt: skip


def gate_junit(found: GateResult) -> str:
    """A test suite with a case a check: what CI systems show as tests."""
    from xml.etree import ElementTree

    failed = [id(c) for c in found.failed]
    unlike = found.unpaired if found.strict else ()
    skipped = sum(c.verdict == "not checked" and id(c) not in failed for c in found.checks)
    suite = ElementTree.Element(
        "testsuite", name="hpbench gate", tests=str(len(found.checks) + len(unlike)), failures=str(len(failed) + len(unlike)),
        errors="0", skipped=str(skipped),
    )  # fmt: skip
    for check in found.checks:
        case = ElementTree.SubElement(suite, "testcase", classname=f"hpbench.{check.protocol}", name=_printable(check.rule))
        if id(check) in failed:
            ElementTree.SubElement(case, "failure", message=_printable(check_sentence(check))).text = _printable(check_sentence(check))
        elif check.verdict == "not checked":
            ElementTree.SubElement(case, "skipped", message=_printable(check.reason))
    for sentence in unlike:
        case = ElementTree.SubElement(suite, "testcase", classname="hpbench", name=_printable(sentence))
        ElementTree.SubElement(case, "failure", message=_printable(sentence))
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def gate_annotations(found: GateResult) -> list[str]:
    """Lines that GitHub turns into annotations of the run: an error a failed check."""
    lines = [_annotation("error", f"hpbench gate, {c.protocol}", check_sentence(c)) for c in found.failed]
    if found.strict:
        lines += [_annotation("error", "hpbench gate", sentence) for sentence in found.unpaired]
    return lines


def without_commands(text: str) -> str:
    """A text for the log of a GitHub run, whose runner takes lines that begin with :: or hold ##[ for commands."""
    return re.sub(r"^(\s*):(?=:)", r"\1|:", text, flags=re.MULTILINE).replace("##[", "##(")


def check_sentence(check: Check) -> str:
    """A check and its numbers in a sentence."""
    rule, new, ref, change, limit, _ = _cells(check)
    return f"{rule} ({check.protocol}): {check.quantity} is {new} {check.unit}, was {ref}, change {change}, limit {limit}: {check.reason}"


def _annotation(kind: str, title: str, message: str) -> str:
    """A workflow command; what would end it or begin another property is escaped as GitHub's runner reads it."""
    escaped = _escape_data(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={escaped}::{_escape_data(message)}"


def _escape_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _printable(text: str) -> str:
    """XML has no control characters, not even escaped."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def _cells(c: Check) -> list[str]:
    change = NO_VALUE if c.change is None else signed_text(c.change, c.unit)
    if c.low is not None:
        change += f" [{signed_text(c.low, c.unit)}, {signed_text(c.high, c.unit)}]"
    limit = number_text(c.limit, c.unit) if c.of_value else signed_text(c.limit, c.unit)
    verdict = c.verdict.upper() if c.verdict == "failed" else c.verdict
    return [c.rule, number_text(c.new, c.unit), number_text(c.ref, c.unit), change, limit, verdict]


def _table(rows: Sequence[Sequence[str]]) -> str:
    import tabulate

    align = ["left", "left", *["right"] * 4, "left"]
    return tabulate.tabulate(rows, ["", *_HEADINGS], tablefmt="simple", disable_numparse=True, colalign=align)


def _lines(rows: Sequence[Sequence[str]]) -> str:
    lines = []
    for protocol, rule, new, ref, change, limit, verdict in rows:
        lines += [f"{protocol}: {rule}: {verdict}", f"  NEW {new}, REF {ref}, limit {limit}", f"  change {change}"]
    return "\n".join(lines)


def _remarks(found: GateResult) -> list[str]:
    """Reasons, and what the intervals are."""
    lines = []
    for reason in dict.fromkeys((c.verdict, c.reason) for c in found.checks if c.reason):
        which = [c for c in found.checks if (c.verdict, c.reason) == reason]
        more = f" and {len(which) - 1} more" if len(which) > 1 else ""
        lines.append(f"{which[0].protocol}, {which[0].rule}{more}: {', '.join(reason)}.")
    if found.tests:
        many = f" for all {found.tests} at once" if found.policy == "regression" and found.tests > 1 else ""
        lines.append(f"change: NEW less REF; its interval holds with 95 %{many}, paired over the same faces.")
    weak = [f"{number_text(c.detectable, c.unit)} {c.unit} in {c.quantity} on {c.protocol}" for c in found.checks if c.detectable]
    if weak:
        lines.append(f"not shown to be worse is not shown to be equal: in 80 % of such test sets this finds a change of {'; '.join(weak)}.")
    return [*lines, *(f"not compared: {sentence}." for sentence in found.unpaired)]
