"""hpbench datasets list | show"""

from __future__ import annotations

from typing import Any

import click

from .common import print_json

__all__ = ["datasets"]


@click.group()
def datasets() -> None:
    """The datasets hpbench can read."""


@datasets.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_datasets(as_json: bool) -> None:
    """All datasets: id, title, faces, protocols."""
    from ..catalog import dataset_cards, protocols_of

    rows: list[dict[str, Any]] = [
        {"id": c.id, "title": c.title, "splits": c.splits, "protocols": [p.reference for p in protocols_of(c)]}
        for c in dataset_cards().values()
    ]
    if as_json:
        print_json(rows)
        return
    import tabulate

    table = [[r["id"], r["title"], ", ".join(f"{k} {v}" for k, v in r["splits"].items()), "\n".join(r["protocols"])] for r in rows]
    click.echo(tabulate.tabulate(table, ["id", "title", "faces", "protocols"], tablefmt="simple", disable_numparse=True))


@datasets.command()
@click.argument("dataset")
@click.option("--json", "as_json", is_flag=True)
def show(dataset: str, as_json: bool) -> None:
    """One dataset: licence, how to obtain it, layout, boxes, protocols, citation."""
    from ..catalog import dataset_card, protocols_of
    from ..readers.sources import how_to_obtain

    card = dataset_card(dataset)
    protocols = protocols_of(card)
    if as_json:
        from dataclasses import asdict

        data = asdict(card)
        data.pop("folder")
        print_json({**data, "protocols": [p.reference for p in protocols]})
        return
    click.echo(how_to_obtain(card))
    click.echo(f"Redistribution: {card.redistribution}")
    click.echo(f"Home page: {card.homepage}")
    click.echo(f"Faces: {', '.join(f'{k} {v}' for k, v in card.splits.items())}")
    click.echo(f"Labels: convention {card.convention or '-'}, rotation kind {card.pose or '-'}, landmarks {card.scheme or '-'}")
    for name, box in card.boxes.items():
        default = " (default)" if name == card.default_boxes else ""
        click.echo(f"Boxes {name}{default}: {box.source}. {box.description}")
    for protocol in protocols:
        click.echo(f"Protocol {protocol.reference}: {protocol.title}; main {protocol.main}")
    click.echo(card.citation.strip())
