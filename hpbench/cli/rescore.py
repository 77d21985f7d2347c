"""hpbench rescore"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .common import remark

__all__ = ["rescore"]

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("records", metavar="RECORDS|FOLDERS...", nargs=-1, required=True, type=_PATH)
@click.option(
    "--data", multiple=True, metavar="PATH", type=_PATH,
    help="Folder or archive of the datasets, or a folder with one for each; repeats. Default: $HPBENCH_DATA/<dataset>.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
def rescore(records: tuple[Path, ...], data: tuple[Path, ...], dry_run: bool) -> None:
    """Score kept predictions again where a protocol's text or version has moved.

    \b
    hpbench rescore baselines --dry-run
    hpbench rescore hpbench-out --data sets

    New records take the place of the old ones, which go to archive/<protocol>@<version>/ below the folder given, with the board they
    stood on; ranks and values before and after are printed and kept there. What cannot be scored stays, and is named. A call that was
    stopped is finished by the same call. Exit codes: 0 nothing stale is left, 1 something cannot be scored, 3 because its data are
    missing.
    """
    from .. import rescore as library

    found, changes = library.rescore(records, data=data, dry_run=dry_run, remark=remark)
    for path in changes:
        click.echo(path.read_text(encoding="utf-8"))
    left = [item for item in found if item.reason]
    for item in found:
        if item.reason:
            remark(f"{item.path}: not scored again: {item.reason}.")
        elif dry_run and item.protocol is not None:
            click.echo(f"{item.path}: {item.old.protocol.reference} would be scored again by {item.protocol.reference}")
    done = len(found) - len(left)
    remark("nothing is stale." if not found else f"{done} of {len(found)} stale records {'can be' if dry_run else 'were'} scored again.")
    for path in changes:
        remark(f"written to {path}")
    sys.exit(0 if not left else 3 if all(item.missing for item in left) else 1)
