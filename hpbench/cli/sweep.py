"""hpbench sweep"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import TerminalProgress, print_json, ray_options, remark

if TYPE_CHECKING:
    from ..sweep import Cell

__all__ = ["sweep"]

_WIDEST = 100  # characters of a failure in the table


@click.command()
@click.argument("plan", type=click.Path(path_type=Path), metavar="PLAN.toml")
@ray_options
@click.option("--json", "as_json", is_flag=True, help="Print what became of each run as JSON.")
def sweep(plan: Path, ray_address: str | None, ray_cpus: float, ray_gpus: float, as_json: bool) -> None:
    """Run several models over several datasets, by a plan; what has a record is skipped.

    \b
    out = "results"
    [[model]]
    model = "mnn"
    [[model]]
    model = "fsanet"
    weights = "weights/fsanet"
    [[dataset]]
    dataset = "aflw2000"
    data = ["AFLW2000-3D.zip"]
    [[dataset]]
    dataset = "heads"

    A run that fails does not end the others; the exit code is 1 then.
    """
    from ..ray_cluster import RayCluster
    from ..sweep import read_plan
    from ..sweep import sweep as run_all

    cluster = RayCluster(ray_address, ray_cpus, ray_gpus) if ray_address is not None else None
    cells = run_all(read_plan(plan), cluster=cluster, progress=TerminalProgress() if cluster is None else None, remark=remark)
    if as_json:
        rows = [{"model": c.model, "dataset": c.dataset, "folder": str(c.folder), "state": c.state, "detail": c.detail} for c in cells]
        print_json({"schema": 1, "runs": rows})
    else:
        import tabulate

        click.echo(
            tabulate.tabulate(
                [[c.model, c.dataset, c.state, _in_a_line(c)] for c in cells], ["model", "dataset", "state", ""], tablefmt="simple"
            )
        )
    if any(c.state == "failed" for c in cells):
        raise SystemExit(1)


def _in_a_line(cell: Cell) -> str:
    """What became of a run; of a failure the beginning, all of which was told when it failed."""
    return textwrap.shorten(cell.detail.partition("\n")[0], _WIDEST, placeholder=" ...") if cell.state == "failed" else cell.detail
