"""hpbench leaderboard"""

from __future__ import annotations

from pathlib import Path

import click

from .common import remark, terminal_width

__all__ = ["leaderboard"]

_FORMATS = ["table", "markdown", "latex", "csv", "json", "model-index", "results"]
_MOST_REMARKS = 8


@click.command()
@click.argument("records", nargs=-1, type=click.Path(path_type=Path))
@click.option("-d", "--dataset", default="", help="Only boards of this dataset.")
@click.option("--protocol", default="", metavar="P", help="Only the board of this protocol.")
@click.option("--format", "style", type=click.Choice(_FORMATS), default="table", show_default=True)
@click.option("--published/--no-published", default=True, help="Published values beside the measured ones, never ranked.  [default: with]")
@click.option("--against", default="", metavar="MODEL", help="Compare published values with this model's.  [default: the first of a board]")
@click.option("--intervals/--no-intervals", default=True, help="LaTeX with or without the main metric's interval.  [default: with]")
@click.option("--overview", "at_a_glance", is_flag=True, help="The best of every board, and models by boards (table, markdown, json).")
def leaderboard(
    records: tuple[Path, ...], dataset: str, protocol: str, style: str, published: bool, against: str, intervals: bool, at_a_glance: bool
) -> None:
    """Rank records (files, or folders searched for them) on one board a protocol.

    Partial and unverified records are shown below the ranked ones, without a rank; published values beside them. Without RECORDS: those
    shipped in baselines/*/results. Given RECORDS, boards that have none of them are shown only on asking, with -d or --protocol.

    \b
    hpbench leaderboard hpbench-out -d aflw2000 --format markdown
    hpbench leaderboard hpbench-out/my-model --format model-index

    model-index is the metadata of one model's card on Hugging Face, of its ranked records; results a neutral JSON file of all records
    shown (docs/submit.md).
    """
    from ..catalog.published import published_rows
    from ..leaderboard import boards, collect_found
    from ..report.overview import overview_text
    from ..report.tables import boards_text

    if at_a_glance and style not in ("table", "markdown", "json"):
        raise click.UsageError(f"--overview has no --format {style}: take table, markdown or json.")
    found, remarks = collect_found(records)
    measured_alone = not published or style in ("model-index", "results")
    built, more = boards(found, dataset, protocol, published=() if measured_alone else published_rows(), against=against)
    if records and not dataset and not protocol:
        built = [board for board in built if board.rows]
    told = [*remarks, *more]
    for text in told[:_MOST_REMARKS]:
        remark(text)
    if len(told) > _MOST_REMARKS:
        remark(f"... and {len(told) - _MOST_REMARKS} more left out")
    if not built:
        of = f" for {protocol or dataset}" if protocol or dataset else ""
        remark(f"no records to show{of}: give files or folders of records.")
    if at_a_glance:
        click.echo(overview_text(built, style))  # type: ignore[arg-type]
    elif built or style not in ("table", "markdown", "latex"):
        click.echo(boards_text(built, style, terminal_width(), intervals=intervals))  # type: ignore[arg-type]
