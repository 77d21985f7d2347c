"""hpbench protocols list | show"""

from __future__ import annotations

import click

from .common import print_json

__all__ = ["protocols"]


@click.group()
def protocols() -> None:
    """How datasets are scored: versioned, hashed files."""


@protocols.command("list")
@click.option("-d", "--dataset", default="", help="Only those of a dataset.")
@click.option("--json", "as_json", is_flag=True)
def list_protocols(dataset: str, as_json: bool) -> None:
    """All protocols: reference, main metric, title."""
    from ..catalog import dataset_card, dataset_cards, protocols_of

    cards = [dataset_card(dataset)] if dataset else list(dataset_cards().values())
    rows = [{"protocol": p.reference, "main": p.main, "title": p.title, "sha256": p.sha256} for c in cards for p in protocols_of(c)]
    if as_json:
        print_json(rows)
        return
    import tabulate

    click.echo(
        tabulate.tabulate([[r["protocol"], r["main"], r["title"]] for r in rows], ["protocol", "main metric", "title"], tablefmt="simple")
    )


@protocols.command()
@click.argument("protocol")
@click.option("--json", "as_json", is_flag=True)
def show(protocol: str, as_json: bool) -> None:
    """One protocol, whole: faces, labels, boxes, metrics, charges for failures, source, and what differs elsewhere.

    PROTOCOL is <dataset>/<name>, with or without its version: aflw2000/pose-1969.
    """
    from ..catalog import dataset_card, dataset_cards, protocol_named, protocols_of
    from ..errors import InputError

    if protocol in (cards := dataset_cards()):
        names = ", ".join(p.id for p in protocols_of(cards[protocol])) or "none"
        raise InputError(f"{protocol!r} is a dataset, its protocols are {names}.")
    found = protocol_named(protocol)
    if as_json:
        from dataclasses import asdict

        print_json(asdict(found))
        return
    from ..report.protocols import protocol_text

    click.echo(protocol_text(found, dataset_card(found.dataset)))
