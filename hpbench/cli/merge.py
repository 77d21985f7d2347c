"""hpbench merge"""

from __future__ import annotations

from pathlib import Path

import click

from .common import data_option, out_option, print_json, remark, terminal_width

__all__ = ["merge"]


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FOLDER...")
@data_option
@out_option
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
def merge(folders: tuple[Path, ...], data: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Join the shares of a run (hpbench run --shard I/N) and score it.

    FOLDER is a share, or the output folder of the run with its shards/. Predictions and records are those that one
    process would have made. The model is not needed, the labels are: --data, if they lie elsewhere than they did.

    \b
    hpbench run -m mnn -d aflw2000 --data AFLW2000 -o out --shard 1/2
    hpbench run -m mnn -d aflw2000 --data AFLW2000 -o out --shard 2/2
    hpbench merge out
    """
    from dataclasses import asdict

    from .. import jobs
    from ..report.tables import records_text

    records = jobs.merge(folders, out=out, data=data, remark=remark)
    if as_json:
        print_json([asdict(r) for r in records])
    else:
        click.echo(records_text(records, terminal_width()))
