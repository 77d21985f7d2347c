"""hpbench sensitivity"""

from __future__ import annotations

from pathlib import Path

import click

from .common import data_option, remark, terminal_width

__all__ = ["sensitivity"]


@click.command()
@click.argument("predictions")
@click.option("-d", "--dataset", required=True, help="Dataset id.")
@click.option("--protocol", default="", metavar="P", help="The main choice. Default: the one with the most comparable published values.")
@click.option("--metric", default="", metavar="TEXT", help="The number that is meant, e.g. 'auc(below=7,norm=sqrt_wh)'.")
@data_option
@click.option("--format", "style", type=click.Choice(["table", "markdown", "json"]), default="table", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--figure", metavar="FILE", type=click.Path(path_type=Path), help="Draw the choices (.png, .svg, .pdf, .jpg).")
def sensitivity(
    predictions: str, dataset: str, protocol: str, metric: str, data: tuple[Path, ...], style: str, as_json: bool, figure: Path | None
) -> None:
    """How far the choice of protocol moves a score: the same predictions by every protocol and formula in circulation.

    \b
    hpbench sensitivity predictions.h5 -d heads --figure sensitivity.png

    PREDICTIONS is a prediction file, or labels:PROTOCOL (the labels of a protocol in the place of predictions). One choice is changed at a
    time; nothing is ranked.
    """
    from .. import sensitivity as library
    from ..report.figures.sensitivity import sensitivity_figure
    from ..report.sensitivity import sensitivity_text

    found = library.sensitivity(predictions, dataset, protocol=protocol, metric=metric, data=data, remark=remark)
    if figure is not None:
        sensitivity_figure(found, figure.stem).save(figure)
        remark(f"written to {figure}")
    click.echo(sensitivity_text(found, "json" if as_json else style, terminal_width()))  # type: ignore[arg-type]
