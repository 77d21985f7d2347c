"""hpbench cite"""

from __future__ import annotations

import click

__all__ = ["cite"]


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
def cite(ids: tuple[str, ...]) -> None:
    """BibTeX for datasets, models, protocols, published works, and hpbench itself; each work once.

    \b
    hpbench cite hpbench aflw2000/pose-1969 dlib68 > hpbench.bib
    """
    from .. import citations

    click.echo(citations.cite(ids), nl=False)
