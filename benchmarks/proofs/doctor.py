"""Does `hpbench doctor` name the right mistake, and does it accuse nobody?  Good predictions, spoilt in every way it knows.

    hpbench run -m mnn -d heads -o mnn
    hpbench run -m fsanet --weights DIR -d heads -o fsanet        # where the networks are
    python benchmarks/proofs/doctor.py --mnn mnn/predictions.h5 [--fsanet fsanet/predictions.h5] [--pairs 10]

Every way alone and some pairs of two ways, on trained models' predictions of rendered heads, on published predictions and on noisy labels
of real datasets (HPBENCH_REALDATA; left out without it).  The unspoilt ones and merely bad predictions must not be accused.  Mistakes
that raise the error by less than a fifth are counted apart.  A cause counts as named where the doctor names it, or an explanation that
it says gives the very same predictions.

Writes benchmarks/results/doctor_confusion.csv: group, kind, source, given (one or two causes; "" = none), named ("" = none), right, cases.
reports/doctor.md shows it (`hpbench.report.doctor.confusion_markdown`).
"""

from __future__ import annotations

import csv
import os
import sys
import zlib
from collections import Counter
from pathlib import Path

import click
import numpy as np
from doctor_sources import Source, bad, sources, spoils

from hpbench.doctor.examination import Examination, examine
from hpbench.faces import Faces
from hpbench.report.doctor import confusion_summary

RESULTS = Path(__file__).resolve().parents[1] / "results" / "doctor_confusion.csv"
COSTLY = 1.2  # times the error: what costs less explains no bad score
_GOOD: dict[tuple[str, str], float] = {}
# causes of unknown size: what was done is one of a family
FAMILIES = {
    "normalised to the box": {"coordinates of the crop (box)"},
    "normalised to the image": {"coordinates of the resized image"},
    "normalised to -1..1 of the image": {"coordinates of the resized image"},
    "constant scale": {"coordinates of the resized image"},
}


def examined(source: Source, faces: Faces) -> Examination:
    sizes = None if source.image_px is None else (lambda ids: source.image_px)
    kept = source.truth
    found, _ = examine(source.kind, source.protocol, kept, faces, boxes_xyxy_px=source.boxes, image_sizes=sizes)
    return found


def _cost(source: Source, spoilt: float) -> float:
    """How many times the error of the good predictions a spoilt score is."""
    if (source.kind, source.name) not in _GOOD:
        _GOOD[source.kind, source.name] = examined(source, source.good).score or 0.0
    good = _GOOD[source.kind, source.name]
    return (100.0 - spoilt) / (100.0 - good) if source.kind == "visibility" else spoilt / good


def told(found: Examination) -> str:
    return "" if found.explanation is None else " and ".join(found.explanation.causes)


def is_right(found: Examination, given: tuple[str, ...]) -> bool:
    """Whether all causes given, and no other, are named, or are one of the equivalents named."""
    if found.explanation is None:
        return not given
    wanted = [{name} | FAMILIES.get(name, set()) for name in given]
    for named in (" and ".join(found.explanation.causes), *found.explanation.equivalents):
        if (
            any(named in (f"{a} and {b}", f"{b} and {a}") for a in wanted[0] for b in wanted[1])
            if len(given) == 2
            else named in (wanted or [()])[0]
        ):
            return True
    return False


@click.command(help=__doc__)
@click.option("--mnn", type=click.Path(exists=True, path_type=Path))
@click.option("--fsanet", type=click.Path(exists=True, path_type=Path))
@click.option("--pairs", default=10, show_default=True, help="Of each source; fewer, as some ways exclude each other.")
@click.option("--only", multiple=True, help="Sources whose name begins so; repeats.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, show_default=True)
def main(mnn: Path | None, fsanet: Path | None, pairs: int, only: tuple[str, ...], out: Path) -> None:
    realdata = Path(os.environ["HPBENCH_REALDATA"]) if os.environ.get("HPBENCH_REALDATA") else None
    counts: Counter[tuple[str, ...]] = Counter()

    def note(source: Source, given: tuple[str, ...], found: Examination, label: str = "") -> None:
        right = is_right(found, given)
        group = "merely bad" if label else ("unspoilt", "single mistakes", "two together")[len(given)]
        if given and found.score is not None and _cost(source, found.score) < COSTLY:
            group = "mistakes that hardly matter"
        counts[group, source.kind, source.name, label or " and ".join(given), told(found), "yes" if right else "no"] += 1
        if not right:
            why = found.reason or f"{found.explanation.before:.4g} -> {found.explanation.after:.4g}"
            click.echo(f"{source.kind}, {source.name}: {label or given}: told {told(found) or 'nothing'!r} ({why})", err=True)

    chosen = [s for s in sources(mnn, fsanet, realdata) if not only or s.name.startswith(only)]
    for source in chosen:
        ways = spoils(source)
        note(source, (), examined(source, source.good))
        for name, spoil in ways.items():
            note(source, (name,), examined(source, spoil(source, source.good)))
        seed = zlib.crc32(f"{source.kind}, {source.name}".encode())
        for name, faces in bad(source, seed):
            note(source, (), examined(source, faces), name)
        rng = np.random.default_rng(seed)
        ways = {name: spoil for name, spoil in ways.items() if not name.startswith("pixels")}
        for _ in range(pairs):
            first, second = sorted((str(name) for name in rng.choice(list(ways), 2, replace=False)), key=_late)
            if _group(first) != _group(second):
                note(source, (first, second), examined(source, ways[second](source, ways[first](source, source.good))))
        click.echo(f"{source.kind}, {source.name}: done", err=True)
    with out.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["group", "kind", "source", "given", "named", "right", "cases"])
        table.writerows([*key, n] for key, n in sorted(counts.items()))
    for group, (right, total) in confusion_summary(out).items():
        click.echo(f"{group}: {right} of {total} right ({100 * right / total:.1f} %)")


_GROUPS = {
    "axes": ("x and y",),
    "indices": ("left and right",),
    "offset": ("turn of",),
    "rows": ("rows",),
    "signs": ("negated",),
    "unit": ("radians", "twice"),
    "columns": ("swapped", "columns"),
    "order": ("convention", "order"),
    "transposed": ("transposed",),
    "frame": ("frame turned", "constant", "coordinates", "normalised"),
    "mirrored": ("mirrored", "upwards"),
}


def _group(name: str) -> str:
    """Mistakes of one group exclude one another."""
    return next((group for group, words in _GROUPS.items() if any(word in name for word in words)), name)


def _late(name: str) -> int:
    """Mistakes in the order in which they are made: the reverse of undoing."""
    order = ("offset", "frame", "mirrored", "transposed", "order", "signs", "columns", "unit", "axes", "indices", "rows")
    return order.index(_group(name)) if _group(name) in order else len(order)


if __name__ == "__main__":
    sys.exit(main())
