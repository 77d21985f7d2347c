"""Two records compared: as a table, as markdown, as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ..comparison import Comparison, FaceChange, MetricDifference, SubsetDifference
from ..metrics.paired import Difference
from .cells import NO_VALUE, escape, first_that_fits, number_text, p_text, percent_text, signed_text

__all__ = ["COMPARISON_SCHEMA", "comparison_json", "comparison_markdown", "comparison_text"]

COMPARISON_SCHEMA = 1

_HEADINGS = ("NEW", "REF", "difference", "p", "better / same / worse")


def comparison_text(found: Comparison, width: int, faces: int = 5) -> str:
    """A table of the metrics, one of the subsets, and below what changed besides.

    Parameters
    ----------
    faces : int
        How many of those that changed most, in either direction.
    """
    title = f"{found.protocol}: NEW {found.new.record.model.label}, REF {found.ref.record.model.label}; {_faces_text(found)}"
    metrics = [[f"{m.metric} [{m.unit}]", *_metric_cells(m)] for m in found.metrics]
    blocks = [first_that_fits((lambda: _table(title, ["", *_HEADINGS], metrics), lambda: _lines(title, metrics)), width)]
    if found.subsets:
        subsets = [[f"{s.name} ({s.n_faces})", *_subset_cells(s, found.main.unit)] for s in found.subsets]
        heading = f"subsets, by {found.main.metric} [{found.main.unit}]"
        blocks.append(first_that_fits((lambda: _table(heading, ["", *_HEADINGS[:4]], subsets), lambda: _lines(heading, subsets)), width))
    wrapped = (textwrap.wrap(line, max(40, width), subsequent_indent="  ", break_on_hyphens=False) for line in _below(found, faces))
    return "\n".join([*blocks, *("\n".join(lines) for lines in wrapped)])


def comparison_markdown(found: Comparison, faces: int = 5) -> str:
    """The same for a pull request."""
    models = [escape(side.record.model.label) for side in (found.new, found.ref)]
    parts = [f"**{found.protocol}**: NEW {models[0]}, REF {models[1]}; {_faces_text(found)}"]
    parts.append(_markdown(["metric", *_HEADINGS], [[f"`{m.metric}`, {m.unit}", *_metric_cells(m)] for m in found.metrics]))
    if found.subsets:
        rows = [[f"{escape(s.name)} ({s.n_faces})", *_subset_cells(s, found.main.unit)] for s in found.subsets]
        parts.append(_markdown([f"subset, by `{found.main.metric}`", *_HEADINGS[:4]], rows))
    parts.append("\n".join(f"- {escape(line)}" for line in _below(found, faces)))
    return "\n\n".join(parts)


def comparison_json(found: Sequence[Comparison], faces: int = 5) -> dict[str, Any]:
    """One document of all comparisons, every number with all its digits."""
    return {"schema": COMPARISON_SCHEMA, "comparisons": [_document(c, faces) for c in found]}


def _faces_text(found: Comparison) -> str:
    clusters = "" if found.clusters is None else f" in {found.clusters} {found.cluster_by}s, which are drawn together"
    return f"{found.n_faces:,} faces{clusters}"


def _metric_cells(m: MetricDifference) -> list[str]:
    same = NO_VALUE if m.wins is None else f"{m.wins} / {m.ties} / {m.losses}"
    return [number_text(m.new, m.unit), number_text(m.ref, m.unit), _change(m.difference, m.new, m.ref, m.unit), _p(m.p_holm), same]


def _subset_cells(s: SubsetDifference, unit: str) -> list[str]:
    return [number_text(s.new, unit), number_text(s.ref, unit), _change(s.difference, s.new, s.ref, unit), _p(s.p_holm)]


def _change(difference: Difference | None, new: float | None, ref: float | None, unit: str) -> str:
    if new is None or ref is None:
        return NO_VALUE
    text = signed_text(new - ref, unit)
    if difference is None or difference.low is None:
        return f"{text} [no interval]"
    return f"{text} [{signed_text(difference.low, unit)}, {signed_text(difference.high, unit)}]"


def _p(p: float | None) -> str:
    return NO_VALUE if p is None else p_text(p).removeprefix("p ").removeprefix("= ")


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    import tabulate

    align = ["left", *["right"] * (len(headings) - 1)]
    return f"{title}\n{tabulate.tabulate(rows, headings, tablefmt='simple', disable_numparse=True, colalign=align)}"


def _lines(title: str, rows: Sequence[Sequence[str]]) -> str:
    """For narrow terminals: a line a value."""
    lines = [title]
    for name, *cells in rows:
        lines.append(f"  {name}")
        lines += [f"    {heading}: {cell}" for heading, cell in zip(_HEADINGS, cells, strict=False)]
    return "\n".join(lines)


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows))


def _below(found: Comparison, faces: int) -> list[str]:
    """What is said in sentences."""
    tested = sum(m.p_holm is not None for m in found.metrics)
    of_subsets = sum(s.p_holm is not None for s in found.subsets)
    by = "faces" if found.clusters is None else f"{found.cluster_by}s"
    also = f" and for {of_subsets} subsets" if of_subsets else ""
    lines = [f"difference: NEW less REF with its 95 % interval, paired over the {by}; p corrected for {tested} metrics{also} (Holm)."]
    if (d := found.main.difference) is not None and d.minimum_detectable:
        least = number_text(d.minimum_detectable, found.main.unit)
        lines.append(f"a difference of {least} {found.main.unit} in {found.main.metric} would be found in 80 % of such test sets.")
    if found.subsets and not of_subsets:
        lines.append("subsets have no intervals: which face is in which, only the labels say (--data).")
    lines += [f"{m.metric}: {m.reason}." for m in found.metrics if m.reason]
    if found.faces is not None and faces > 0:
        unit = found.faces.unit
        for name, changed in zip(("better", "worse"), found.faces.changed_most(faces), strict=True):
            if changed:
                lines.append(f"{name} by most ({found.faces.metric}, REF to NEW): {', '.join(_face(c, unit) for c in changed)}.")
    lines.append(_coverage_line(found))
    speed = found.speed
    if speed.reason:
        lines.append(f"speed is not compared: {speed.reason}.")
    elif speed.new is not None and speed.ref:
        lines.append(
            f"speed: {speed.new:.3g} images/s, was {speed.ref:.3g} ({signed_text(100.0 * (speed.new / speed.ref - 1.0))} %); "
            f"{speed.hardware} for both, as far as records say."
        )
    return [*lines, *(f"note: {note}." for note in found.notes)]


def _face(change: FaceChange, unit: str) -> str:
    return f"{change.sample_id} {number_text(change.ref, unit)} to {number_text(change.new, unit)}"


def _coverage_line(found: Comparison) -> str:
    c = found.coverage
    line = f"coverage: {percent_text(c.new)}, was {percent_text(c.ref)}"
    for what, ids in (("failed now", c.failed_now), ("found now", c.found_now)):
        if ids:
            line += f"; {len(ids)} faces {what} (the first: {ids[0]})"
    return f"{line}."


def _document(found: Comparison, faces: int) -> dict[str, Any]:
    def side(of: Any) -> dict[str, Any]:
        record = of.record
        return {
            "model": record.model.label, "version": record.model.version, "record": str(of.path), "date": record.date,
            "predictions_sha256": record.predictions_sha256,
        }  # fmt: skip

    better, worse = found.faces.changed_most(faces) if found.faces is not None else ([], [])
    return {
        "protocol": found.protocol,
        "new": side(found.new),
        "ref": side(found.ref),
        "faces": found.n_faces,
        "clusters": found.clusters,
        "metrics": [
            {
                "metric": m.metric, "unit": m.unit, "higher_is_better": m.higher_is_better, "new": m.new, "ref": m.ref,
                **_difference(m.difference), "p_holm": m.p_holm, "wins": m.wins, "ties": m.ties, "losses": m.losses, "reason": m.reason,
            }
            for m in found.metrics
        ],
        "subsets": [
            {"subset": s.name, "faces": s.n_faces, "new": s.new, "ref": s.ref, **_difference(s.difference), "p_holm": s.p_holm}
            for s in found.subsets
        ],
        "faces_by": found.faces.metric if found.faces is not None else None,
        "better": [vars(c) for c in better],
        "worse": [vars(c) for c in worse],
        "coverage": vars(found.coverage),
        "speed": vars(found.speed),
        "notes": list(found.notes),
    }  # fmt: skip


def _difference(d: Difference | None) -> Mapping[str, Any]:
    if d is None:
        return {"difference": None, "low": None, "high": None, "method": "", "p": None, "test": "", "minimum_detectable": None}
    point = d.difference if d.difference == d.difference else None
    return {
        "difference": point, "low": d.low, "high": d.high, "method": d.method, "p": d.p, "test": d.test,
        "minimum_detectable": d.minimum_detectable,
    }  # fmt: skip
