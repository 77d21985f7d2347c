"""What the doctor says of predictions, and how often it is right."""

from __future__ import annotations

import csv
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..doctor import Diagnosis, Examination
from .cells import NO_VALUE, escape, first_that_fits, number_text, p_text

__all__ = ["confusion_markdown", "confusion_summary", "diagnosis_markdown", "diagnosis_text"]

GROUPS = ("single mistakes", "two together", "mistakes that hardly matter", "unspoilt", "merely bad")
_HEADINGS = ("examined", "by", "faces", "score", "found", "without it", "p")


def diagnosis_text(found: Diagnosis, width: int) -> str:
    """A table, a line a kind of predictions, and below each what is wrong and what to change."""
    import tabulate

    rows = [_cells(e) for e in found.examinations]
    align = ("left", "left", "right", "right", "left", "right", "right")
    table = first_that_fits(
        (
            lambda: "\n" + tabulate.tabulate(rows, _HEADINGS, tablefmt="simple", disable_numparse=True, colalign=align),
            lambda: "\n" + "\n".join(f"{row[0]}: {row[4]}; {row[3]} by {row[1]}, {row[2]} faces" for row in rows),
        ),
        width,
    ).lstrip("\n")
    lines = [line for e in found.examinations for line in _sentences(e)]
    wrapped = (textwrap.fill(line, max(40, width), subsequent_indent="  ", break_on_hyphens=False) for line in (*lines, *found.left_out))
    return "\n".join([table, *wrapped])


def diagnosis_markdown(found: Diagnosis) -> str:
    """The same for a report."""
    rows = [[escape(cell) for cell in _cells(e)] for e in found.examinations]
    lines = [_row(_HEADINGS), _row(["---"] * len(_HEADINGS)), *(_row(row) for row in rows), ""]
    sentences = [*(line for e in found.examinations for line in _sentences(e)), *found.left_out]
    return "\n".join([*lines, *(f"* {escape(line)}" for line in sentences)])


def _cells(e: Examination) -> list[str]:
    score = NO_VALUE if e.score is None else f"{number_text(e.score, e.unit)} {e.unit}".strip()
    by = f"{e.metric}, {e.protocol}"
    if e.explanation is None:
        return [e.kind, by, f"{e.n_faces:,}", score, "nothing", "", ""]
    x = e.explanation
    after, p = f"{number_text(x.after, e.unit)} {e.unit}".strip(), p_text(x.p).removeprefix("p ").removeprefix("= ")
    return [e.kind, by, f"{e.n_faces:,}", score, " and ".join(x.causes), after, p]


def _sentences(e: Examination) -> list[str]:
    if e.explanation is not None:
        x = e.explanation
        numbers = f"{e.metric} {number_text(x.before, e.unit)} → {number_text(x.after, e.unit)}{' ' + e.unit if e.unit else ''}"
        same = f" The same predictions come of: {'; '.join(x.equivalents[:3])}." if x.equivalents else ""
        return [f"{e.kind}: {x.says}: {numbers}. To mend it: {x.mend}.{same}"]
    nearest = ", ".join(f"{name} (error x {share:.2f})" for name, share in e.closest[:2])
    tried = f" {e.tried} explanations were tried, alone and two together; the nearest: {nearest}." if e.tried else ""
    return [f"{e.kind}: {e.reason}.{tried}"]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


# ------------------------------------------------------------------------------------------------- the proof


def confusion_summary(path: Path) -> dict[str, tuple[int, int]]:
    """Right and all of ``single mistakes``, ``two together``, ``unspoilt``, ``merely bad``, of benchmarks/proofs/doctor.py's results."""
    right, every = Counter[str](), Counter[str]()
    for row in _read(path):
        group, n = row["group"], int(row["cases"])
        every[group] += n
        right[group] += n * (row["right"] == "yes")
    return {group: (right[group], every[group]) for group in GROUPS if every[group]}


def confusion_markdown(path: Path) -> str:
    """The confusion table of benchmarks/proofs/doctor.py's results: a line a mistake, what was named and how often."""
    rows = _read(path)
    summary = [_row(["predictions", "cases", "right", "%"]), _row(["---"] * 4)]
    summary += [_row([g, f"{n:,}", f"{k:,}", f"{100.0 * k / n:.1f}"]) for g, (k, n) in confusion_summary(path).items()]
    lines = [_row(["kind", "mistake made", "cases", "right", "named otherwise"]), _row(["---"] * 5)]
    for kind in ("pose", "landmarks", "visibility"):
        single = [row for row in rows if row["kind"] == kind and row["group"] == "single mistakes"]
        lines += [_line(kind, name, [r for r in single if r["given"] == name]) for name in dict.fromkeys(r["given"] for r in single)]
    return "\n".join([*summary, "", *lines])


def _line(kind: str, name: str, rows: Sequence[Mapping[str, str]]) -> str:
    others = Counter[str]()
    for row in rows:
        if row["right"] != "yes":
            others[row["named"] or "nothing"] += int(row["cases"])
    total = sum(int(row["cases"]) for row in rows)
    text = ", ".join(f"{other} {n}" for other, n in others.most_common())
    return _row([kind, escape(name), f"{total}", f"{total - sum(others.values())}", escape(text)])


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
