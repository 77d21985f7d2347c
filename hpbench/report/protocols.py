"""Protocols as people read them: one on a terminal, all of a dataset on a page; both say the same facts.

Everything comes from the protocol's file, the dataset's card and the metric table.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
import tabulate

from ..catalog import DatasetCard, Protocol, Subset
from ..faces import Faces
from ..metrics import Family, Metric, parse_metric

__all__ = [
    "cited", "dataset_markdown", "failure_charge", "family_charge", "metric_rows", "points_of", "protocol_facts", "protocol_text",
    "references", "condition_of",
]  # fmt: skip

_WIDTH = 110
_INDENT = 12
_EYES = "; a face without both eyes labelled does not count there, is not charged, and does not make the record partial"
_PER = {"": "", "all": "the whole set", "person": "each person", "sequence": "each sequence"}


_EXCLUDED = {"any-angle-above": "raw yaw, pitch or roll", "yaw-above": "yaw"}


def protocol_text(protocol: Protocol, card: DatasetCard) -> str:
    """One protocol, whole, as lines of at most 110 characters (the metric table may be wider)."""
    lines = [protocol.reference, protocol.title, ""]
    for label, text in protocol_facts(protocol, card):
        lines += textwrap.wrap(text, _WIDTH, initial_indent=f"{label:<{_INDENT}}", subsequent_indent=" " * _INDENT, break_on_hyphens=False)
    header = ["metric (main first)", "what", "unit", "better", "a failed face"]
    lines += ["", tabulate.tabulate(metric_rows(protocol), header, tablefmt="simple", maxcolwidths=[None, 42, None, None, None])]
    if protocol.subsets:
        lines += ["", tabulate.tabulate([[s.name, condition_of(s)] for s in protocol.subsets], ["subset", "faces with"], tablefmt="simple")]
    if points := points_of(protocol.differs):
        lines += ["", "What differs elsewhere:"]
        for point in points:
            lines += textwrap.wrap(point, _WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join([*lines, "", f"{'sha256':<{_INDENT}}{protocol.sha256}"])


def dataset_markdown(card: DatasetCard, protocols: Sequence[Protocol]) -> str:
    """All protocols of a dataset as a section of a page; what several of them share is said once."""
    rows = [_row(protocol, card) for protocol in protocols]
    columns = [name for name in rows[0] if any(row[name] for row in rows)]
    boxes = sorted({b for p in protocols for b in (p.boxes, p.norm_box) if b})
    lines = [
        f"### {card.title} (`{card.id}`)",
        "",
        tabulate.tabulate([[row[c] for c in columns] for row in rows], columns, tablefmt="github"),
    ]
    lines += ["", "**Boxes.**", "", *(f"- `{b}`: {_sentence(card.boxes[b].description)}" for b in boxes)]
    for label, points in (
        ("Metrics", {p.id: [_metrics_line(p)] for p in protocols}),
        ("Subsets", {p.id: [_sentence("; ".join(f"{s.name} (`{condition_of(s)}`)" for s in p.subsets))] for p in protocols if p.subsets}),
        ("Trained on", {p.id: points_of(p.trained_on) for p in protocols}),
        ("Citation", {p.id: [_sentence(part) for part in cited(p.citation, card).split("; ") if part] for p in protocols}),
        ("What differs elsewhere", {p.id: points_of(p.differs) for p in protocols}),
    ):
        if shared := _shared(points, [p.id for p in protocols]):
            lines += ["", f"**{label}.**", "", *shared]
    return "\n".join(lines)


def failure_charge(metric: Metric, protocol: Protocol | None = None) -> str:
    """What a face without a usable prediction is charged, in words: by a protocol, or whatever the protocol."""
    unit = metric.family.unit
    if protocol is not None and metric.text in protocol.failures:
        return f"{protocol.failures[metric.text]:g} {unit}"
    if metric.pooled:
        return "each point called wrong"
    worst = metric.worst(Faces(sample_id=["face"]))[0]
    if not np.isfinite(worst):  # no length without a face
        box, points = "diagonal of its norm box", "diagonal of its labelled points"
        return (box if protocol.norm_box else points) if protocol is not None else f"{box}, or where there is none, {points}"
    return f"an error of {worst:g} {unit}" if metric.whole else f"{worst:g} {unit}"


def family_charge(family: Family) -> str:
    """`failure_charge` of a family, with the formulas that charge something else."""
    ours = parse_metric(family.example)
    charge, others = failure_charge(ours), []
    for formula in family.parameters["formula"].choices if "formula" in family.parameters else ():
        given = {**{key: family.parameters[key].show(value) for key, value in ours.parameters.items()}, "formula": formula}
        other = failure_charge(parse_metric(f"{family.name}({','.join(f'{key}={value}' for key, value in given.items())})"))
        others += [f"formula={formula}: {other}"] * (other != charge)
    return "; ".join([charge, *others])


def references(bibtex: str) -> dict[str, str]:
    """Key -> ``Author et al.: Title, year`` of each BibTeX entry."""
    found = {}
    for entry in re.split(r"(?m)^@", bibtex)[1:]:
        fields = {k.lower(): _plain(v) for k, v in re.findall(r"(\w+)\s*=\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}", entry)}
        authors = fields.get("author", "").split(" and ")
        first = authors[0].split()[-1] if authors[0] else ""
        who = f"{first} et al." if len(authors) > 2 else " and ".join(a.split()[-1] for a in authors if a)
        found[entry.partition("{")[2].partition(",")[0].strip()] = f"{who}: {fields.get('title', '')}, {fields.get('year', '')}"
    return found


def cited(citation: str, card: DatasetCard) -> str:
    """A citation with the BibTeX keys of the card written out."""
    known = references(card.citation)
    return "; ".join(re.sub(r"^[\w-]+$", lambda m: known.get(m[0], m[0]), part.strip()) for part in citation.split(";"))


def protocol_facts(protocol: Protocol, card: DatasetCard) -> list[tuple[str, str]]:
    facts = [
        ("dataset", f"{card.title} ({card.id})"),
        ("faces", _faces(protocol, card)),
        ("left out", f"faces with a {_EXCLUDED[x.rule]} beyond {x.deg:g} degrees ({x.rule})" if (x := protocol.exclude) else ""),
        ("labels", protocol.labels or "the default ones"),
        ("boxes", f"{protocol.boxes}: {card.boxes[protocol.boxes].description}"),
        ("norm box", f"{protocol.norm_box}: its height, sqrt(w h) or diagonal divides landmark errors" if protocol.norm_box else ""),
        ("eye norms", f"meant, although there are profile faces{_EYES}" if protocol.eye_norms else ""),
        ("balanced", f"mean of the means of {', '.join(protocol.balance)}" if protocol.balance else ""),
        ("aligned", f"the mean rotation from labels to predictions is taken away from {_PER[protocol.align_by]}" * bool(protocol.align_by)),
        ("intervals", f"resample {f'whole {protocol.cluster_by}s' if protocol.cluster_by else 'faces'}"),
        ("charged", ", ".join(f"{charge:g} {parse_metric(m).family.unit} for {m}" for m, charge in protocol.failures.items())),
        ("trained on", protocol.trained_on),
        ("citation", cited(protocol.citation, card)),
    ]
    return [(label, text) for label, text in facts if text]


def _row(protocol: Protocol, card: DatasetCard) -> dict[str, str]:
    """What tells a protocol from the others of its dataset."""
    besides = [
        f"without {_EXCLUDED[protocol.exclude.rule]} beyond {protocol.exclude.deg:g} degrees" if protocol.exclude else "",
        f"one rotation fitted and taken away from {_PER[protocol.align_by]}" if protocol.align_by else "",
        f"intervals resample whole {protocol.cluster_by}s" if protocol.cluster_by else "",
    ]
    return {
        "protocol": f"`{protocol.reference}`",
        "faces": f"{card.splits[protocol.split]:,}",
        "split": f"`{protocol.split}`" + (" (what the files hold)" if protocol.split in card.open_splits else ""),
        "labels": f"`{protocol.labels}`" if protocol.labels else "",
        "boxes": f"`{protocol.boxes}`",
        "norm box": f"`{protocol.norm_box}`" if protocol.norm_box else "",
        "besides": "; ".join(filter(None, besides)),
    }


def _shared(points: Mapping[str, Sequence[str]], all_ids: Sequence[str]) -> list[str]:
    """Points as a list, those of the most protocols first, each group under the names of its protocols."""
    of: dict[str, list[str]] = {}
    for protocol_id, its_points in points.items():
        for point in its_points:
            of.setdefault(point, []).append(protocol_id)
    groups: dict[tuple[str, ...], list[str]] = {}
    for point, ids in of.items():
        groups.setdefault(tuple(ids), []).append(point)
    lines = []
    for names, together in sorted(groups.items(), key=lambda group: -len(group[0])):
        whose = _names(names, all_ids)
        if len(together) == 1 or not whose:
            lines += [f"- {whose}{': ' if whose else ''}{point}" for point in together]
        else:
            lines += [f"- {whose}:", *(f"  - {point}" for point in together)]
    return lines


def _names(ids: Sequence[str], all_ids: Sequence[str]) -> str:
    """Which protocols, the shorter way; "" where it is all of them."""
    others = [i for i in all_ids if i not in ids]
    if not others:
        return ""
    shorter = len(ids) <= len(others) + 1
    return ("" if shorter else "all but ") + ", ".join(f"`{i.partition('/')[2]}`" for i in (ids if shorter else others))


def _faces(protocol: Protocol, card: DatasetCard) -> str:
    count = f"{card.splits[protocol.split]:,} faces (split {protocol.split})"
    return f"{count}, as the files say" if protocol.split in card.open_splits else count


def metric_rows(protocol: Protocol) -> list[list[str]]:
    rows: list[list[str]] = []
    said: set[str] = set()
    for metric in map(parse_metric, dict.fromkeys((protocol.main, *protocol.metrics))):
        family = metric.family
        title = family.title if family.name not in said else ""  # said once for metrics that differ in their parameters
        said.add(family.name)
        rows.append([metric.text, title, family.unit, "higher" if family.higher_is_better else "lower", failure_charge(metric, protocol)])
    return rows


def _metrics_line(protocol: Protocol) -> str:
    others = ", ".join(f"`{m}`" for m in protocol.metrics if m != protocol.main)
    return f"`{protocol.main}` leads; {others}." if others else f"`{protocol.main}`."


def condition_of(subset: Subset) -> str:
    """``30 < abs_yaw_deg <= 60``, ``source = helen``."""
    if subset.one_of:
        return f"{subset.attribute} = {' or '.join(subset.one_of)}"
    low = f"{subset.above:g} < " if subset.above is not None else ""
    return low + subset.attribute + (f" <= {subset.up_to:g}" if subset.up_to is not None else "")


def points_of(text: str) -> list[str]:
    """The points of a prose field: one a line."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def _sentence(text: str) -> str:
    return text if not text or text.endswith(".") else f"{text}."


def _plain(tex: str) -> str:
    """TeX as Unicode: accents combined, braces dropped."""
    accents = {"'": "\u0301", "`": "\u0300", '"': "\u0308", "^": "\u0302", "~": "\u0303"}
    text = re.sub(r"""\\(['`"^~])\{?(\w)\}?""", lambda m: unicodedata.normalize("NFC", m[2] + accents[m[1]]), tex)
    return " ".join(re.sub(r"[{}]", "", text).split())
