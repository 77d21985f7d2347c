"""hpbench compare"""

from __future__ import annotations

from pathlib import Path

import click

from .common import print_json, remark, terminal_width

__all__ = ["compare"]


@click.command()
@click.argument("new")
@click.argument("ref")
@click.option("--protocol", multiple=True, metavar="P", help="Only this protocol, e.g. heads/pose; repeats. Default: all that both have.")
@click.option(
    "--data", multiple=True, metavar="PATH", type=click.Path(path_type=Path),
    help="Labels of the dataset, which say who is in which subset. Default: $HPBENCH_DATA/<dataset>, and what comes with hpbench.",
)  # fmt: skip
@click.option("--faces", default=5, show_default=True, metavar="N", help="How many of the faces that changed most, each way.")
@click.option("--format", "style", type=click.Choice(["table", "markdown", "json"]), default="table", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--figure", metavar="FILE", type=click.Path(path_type=Path), help="Draw it too: .png, .svg, .pdf or .jpg; of one protocol.")
def compare(
    new: str, ref: str, protocol: tuple[str, ...], data: tuple[Path, ...], faces: int, style: str, as_json: bool, figure: Path | None
) -> None:
    """Compare two records face by face: NEW less REF.

    NEW and REF are records, folders of records, or models whose records come with hpbench (mnn). Both must have been scored by the same
    protocol on the same faces with the same labels, and have their per-face errors beside them.

    \b
    hpbench compare hpbench-out/my-net/heads mnn
    hpbench compare new.json old.json --format markdown --figure change.png
    """
    from .. import comparison
    from ..comparison.subsets import labels_of
    from ..errors import InputError
    from ..report.comparison import comparison_json, comparison_markdown, comparison_text

    if faces < 0:
        raise InputError(f"--faces must be 0 or more, got {faces}.")
    found = comparison.pairs_of(new, ref, protocol)
    if figure is not None and len(found.pairs) > 1:
        raise InputError(f"a figure is of one protocol, {len(found.pairs)} are compared: choose one with --protocol.")
    for text in (*found.remarks, *(f"not compared: {sentence}." for sentence in found.unpaired)):
        remark(text)
    labels = labels_of(found.pairs, data)
    made = [comparison.compare(pair, labels.get(pair.protocol)) for pair in found.pairs]
    if figure is not None:
        from ..report.figures.comparison import comparison_figure

        comparison_figure(made[0]).save(figure)
    if style == "json" or as_json:
        print_json(comparison_json(made, faces))
    elif style == "markdown":
        click.echo("\n\n".join(comparison_markdown(c, faces) for c in made))
    else:
        click.echo("\n\n".join(comparison_text(c, terminal_width(), faces) for c in made))
