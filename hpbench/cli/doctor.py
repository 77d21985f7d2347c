"""hpbench doctor"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .common import data_option, print_json, terminal_width

__all__ = ["doctor"]


@click.command()
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option("-d", "--dataset", help="Dataset id; may be left out when --protocol names it.")
@click.option("--protocol", default="", metavar="P", help="By whose labels, e.g. aflw2000/pose-1969. Default: with the most faces.")
@data_option
@click.option("--format", "style", type=click.Choice(["table", "markdown", "json"]), default="table", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def doctor(predictions: Path, dataset: str | None, protocol: str, data: tuple[Path, ...], style: str, as_json: bool) -> None:
    """Try explanations for the errors of a prediction file: signs, orders, units, frames, crops, rows.

    \b
    hpbench doctor predictions.csv -d aflw2000 --data AFLW2000-3D.zip

    Tells the simplest mistake, or two together, that explain the errors; nothing for predictions that are good, or merely bad. No image is
    needed, though the sizes of images help. Exit codes: 0 nothing found, 1 a mistake found, 2 bad input, 3 the labels are missing.
    """
    from ..doctor import diagnose
    from ..report.doctor import diagnosis_markdown, diagnosis_text

    found = diagnose(predictions, dataset, protocol=protocol, data=data)
    if style == "json" or as_json:
        print_json(found.to_json())
    elif style == "markdown":
        click.echo(diagnosis_markdown(found))
    else:
        click.echo(diagnosis_text(found, terminal_width()))
    sys.exit(1 if found.found else 0)
