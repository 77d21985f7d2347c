"""hpbench selfcheck"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .common import data_option, print_json, protocol_option, remark, terminal_width

__all__ = ["selfcheck"]


@click.command()
@click.option("-d", "--dataset", default="", help="Try the laws on this data set instead.")
@protocol_option
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
def selfcheck(dataset: str, protocol: tuple[str, ...], data: tuple[Path, ...], as_json: bool) -> None:
    """Whether this installation scores right.

    \b
    hpbench selfcheck
    hpbench selfcheck -d aflw2000 --data AFLW2000-3D.zip

    Without a data set: packages, catalog, shipped weights and data, prediction files, and on the shipped heads the laws of scoring.
    With one: the laws on its labels, by each of its protocols.  Exit codes: 0 all passed, 1 something failed, 3 the data are not here.
    """
    from .. import selfcheck as library

    checks = library.selfcheck(dataset, data, protocol)
    failed = [check for check in checks if check.result == "fail"]
    if as_json:
        print_json({"schema": 1, "ok": not failed, "checks": [vars(check) for check in checks]})
    else:
        import tabulate

        width = max(terminal_width() - 10 - max(len(check.name) for check in checks), 30)
        rows = [[check.name, check.result, check.said] for check in checks]
        click.echo(tabulate.tabulate(rows, ["check", "", "seen"], disable_numparse=True, maxcolwidths=[None, None, width]))
    absent = sum(check.result == "absent" for check in checks)
    remark(f"{len(checks) - len(failed) - absent} passed, {len(failed)} failed" + (f", {absent} absent" * bool(absent)) + ".")
    sys.exit(1 if failed else 0)
