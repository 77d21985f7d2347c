"""hpbench leaderboard"""

from __future__ import annotations

from pathlib import Path

import click

from .common import remark, terminal_width

__all__ = ["leaderboard"]

_MOST_REMARKS = 8


@click.command()
@click.argument("records", nargs=-1, type=click.Path(path_type=Path))
@click.option("-d", "--dataset", default="", help="Only boards of this dataset.")
@click.option("--protocol", default="", metavar="P", help="Only the board of this protocol.")
@click.option("--format", "style", type=click.Choice(["table", "markdown", "csv", "json"]), default="table", show_default=True)
def leaderboard(records: tuple[Path, ...], dataset: str, protocol: str, style: str) -> None:
    """Rank records (files, or folders searched for them) on one board a protocol.

    Partial and unverified records are shown below the ranked ones, without a rank. Without RECORDS: those shipped in baselines/*/results.

    \b
    hpbench leaderboard hpbench-out -d aflw2000 --format markdown
    """
    from ..leaderboard import boards, collect_records
    from ..report.tables import boards_text

    found, remarks = collect_records(records)
    built, more = boards(found, dataset, protocol)
    told = [*remarks, *more]
    for text in told[:_MOST_REMARKS]:
        remark(text)
    if len(told) > _MOST_REMARKS:
        remark(f"... and {len(told) - _MOST_REMARKS} more left out")
    if not built:
        of = f" for {protocol or dataset}" if protocol or dataset else ""
        remark(f"no records to show{of}: give files or folders of records.")
    if built or style in ("json", "csv"):
        click.echo(boards_text(built, style, terminal_width()))  # type: ignore[arg-type]
