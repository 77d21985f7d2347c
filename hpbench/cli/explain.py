"""hpbench explain"""

from __future__ import annotations

from pathlib import Path

import click

from .common import remark, terminal_width

__all__ = ["explain"]


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--metric", default="", metavar="TEXT", help="The number that is meant. Default: each one's main, or the published row's.")
@click.option(
    "--predictions", multiple=True, metavar="FILE", help="Where the predictions of a record are, if not beside it; or whose to try."
)
@click.option(
    "--data", multiple=True, metavar="PATH", type=click.Path(path_type=Path),
    help="Folder or archive of the dataset; repeats. Default: $HPBENCH_DATA/<dataset>.",
)  # fmt: skip
@click.option("--format", "style", type=click.Choice(["table", "markdown", "json"]), default="table", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--figure", metavar="FILE", type=click.Path(path_type=Path), help="Draw the steps (.png, .svg, .pdf, .jpg).")
def explain(
    a: str, b: str, metric: str, predictions: tuple[str, ...], data: tuple[Path, ...], style: str, as_json: bool, figure: Path | None
) -> None:
    """Why two numbers differ: what is not the same, and how much each thing moves.

    \b
    hpbench explain mine/heads.pose@1.json theirs/heads.pose@1.json
    hpbench explain predictions.h5:aflw2000/pose-1969 published:6DRepNet@aflw2000/pose-1969 --data AFLW2000-3D.zip
    hpbench explain labels:heads/pose:heads/pose labels:heads/pose:heads/pose-camera

    A and B are each a record, FILE:PROTOCOL (predictions and how to score them), labels:PROTOCOL:PROTOCOL (the labels of the first in the
    place of predictions), or published:ID and published:METHOD@PROTOCOL (a row of published.csv). Predictions are scored again, one
    thing changed at a time; without any, what differs is listed.
    """
    from ..explain import explain as explained
    from ..report.explanation import explanation_text
    from ..report.figures.explanation import waterfall_figure

    found = explained(a, b, metric=metric, predictions=predictions, data=data, remark=remark)
    if figure is not None:
        waterfall_figure(found, figure.stem).save(figure)
        remark(f"written to {figure}")
    click.echo(explanation_text(found, "json" if as_json else style, terminal_width()))  # type: ignore[arg-type]
