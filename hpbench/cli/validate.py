"""hpbench validate"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .common import print_json, remark

__all__ = ["validate"]


@click.command()
@click.argument("files", metavar="FILES|FOLDERS...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the problems as JSON.")
def validate(files: tuple[Path, ...], as_json: bool) -> None:
    """Everything that is wrong with a file, at once, with row and column.

    \b
    hpbench validate predictions.csv
    hpbench validate hpbench-out baselines/published.csv datasets/mine/card.toml

    Predictions, records and the errors beside them, cards of data sets and models, protocols, published values, submissions.  Exit codes:
    0 nothing is wrong, 1 something is, 2 there is nothing to look at.
    """
    from .. import validation

    checks = validation.validate(files)
    if as_json:
        print_json({
            "schema": 1,
            "ok": all(check.ok for check in checks),
            "files": [
                {"file": str(c.path), "kind": c.kind, "ok": c.ok, "more": c.more, "problems": [vars(p) for p in c.problems]} for c in checks
            ],
        })  # fmt: skip
    else:
        for check in checks:
            click.echo(
                f"{check.path}: {check.kind}, " + ("ok" if check.ok else f"{_count(len(check.problems))}{', at least' * check.more}")
            )
            for problem in check.problems:
                click.echo(f"  {_place(problem)}{problem.text}")
        if len(checks) > 1:
            remark(f"{sum(not c.ok for c in checks)} of {len(checks)} files are wrong.")
    sys.exit(0 if all(check.ok for check in checks) else 1)


def _count(n: int) -> str:
    return f"{n} problem{'s' * (n != 1)}"


def _place(problem: object) -> str:
    """Where it is, as far as the sentence does not say it itself."""
    line, row, column, text = (getattr(problem, name) for name in ("line", "row", "column", "text"))
    said = [
        f"line {line}" if line is not None and f"line {line}" not in text else "",
        f"row {row}" if row is not None and line is None and f"row {row}" not in text else "",
        column if column and column not in text else "",
    ]
    place = ", ".join(filter(None, said))
    return f"{place}: " if place else ""
