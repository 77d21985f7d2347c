"""hpbench gate"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from .common import print_json, remark, terminal_width

__all__ = ["gate"]


@click.command()
@click.argument("new")
@click.option("--against", required=True, metavar="REF", help="A record, a folder of records, or a model that comes with some (mnn).")
@click.option("--policy", type=click.Choice(["regression", "non-inferior"]), default="regression", show_default=True)
@click.option("--fail-if", multiple=True, metavar="RULE", help="e.g. 'mae > +0.1', 'coverage < 99%'; repeats. Default: the main metrics.")
@click.option("--tolerance", metavar="AMOUNT", help="Of the main metrics, without --fail-if: 0.1, 2%.  [default: 0]")
@click.option("--protocol", multiple=True, metavar="P", help="Only this protocol, e.g. heads/pose; repeats. Default: all that both have.")
@click.option("--strict", is_flag=True, help="What cannot be checked has failed: speed on other hardware, protocols that one side lacks.")
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write JUnit XML.")
@click.option("--github/--no-github", default=None, help="Step summary and annotations.  [default: where GITHUB_ACTIONS is true]")
@click.option("--format", "style", type=click.Choice(["table", "markdown", "json"]), default="table", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def gate(
    new: str, against: str, policy: str, fail_if: tuple[str, ...], tolerance: str | None, protocol: tuple[str, ...], strict: bool,
    junit: Path | None, github: bool | None, style: str, as_json: bool,
) -> None:  # fmt: skip
    """Fail (exit 1) if records are worse than a reference on the same faces.

    A rule is METRIC > AMOUNT, or < where higher is better. With a sign the amount is a change: 'mae > +0.1' in the metric's unit,
    'nme(norm=height) > +2%' relative to the reference; without a sign, a bound for the value: 'coverage < 99%'. Policy regression fails
    what is shown to be worse by more than that, non-inferior what is not shown to be less worse than that (docs/trust.md).

    \b
    hpbench gate hpbench-out/my-net/heads --against mnn
    hpbench gate new/ --against old/ --fail-if 'mae > +0.1' --fail-if 'throughput < -10%' --junit gate.xml
    """
    from .. import comparison
    from ..atomic import write_atomic
    from ..report.gate import gate_annotations, gate_json, gate_junit, gate_markdown, gate_text, without_commands

    rules = [comparison.parse_rule(text) for text in fail_if]
    amount = None if tolerance is None else comparison.parse_amount(tolerance)
    pairs = comparison.pairs_of(new, against, protocol)
    for text in pairs.remarks:
        remark(text)
    found = comparison.gate(pairs, rules, policy=policy, tolerance=amount, strict=strict, against=against)  # type: ignore[arg-type]
    if junit is not None:
        write_atomic(junit, gate_junit(found))
    as_json = as_json or style == "json"
    on_github = github or (github is None and os.environ.get("GITHUB_ACTIONS") == "true")
    if as_json:
        print_json(gate_json(found))
    else:
        text = gate_markdown(found) if style == "markdown" else gate_text(found, terminal_width())
        click.echo(without_commands(text) if on_github else text)
    if on_github:
        for line in gate_annotations(found):
            click.echo(line, err=as_json)  # the runner reads both streams; standard output stays one document
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(f"{gate_markdown(found)}\n")
    sys.exit(0 if found.passed else 1)
