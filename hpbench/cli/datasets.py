"""hpbench datasets list | show | check"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from .common import data_option, print_json, remark

__all__ = ["datasets"]


@click.group()
def datasets() -> None:
    """The datasets hpbench can read."""


@datasets.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_datasets(as_json: bool) -> None:
    """All datasets: id, title, faces, protocols, and what of them lies in $HPBENCH_DATA."""
    from ..catalog import dataset_cards, protocols_of

    rows: list[dict[str, Any]] = [
        {
            "id": card.id,
            "title": card.title,
            "splits": card.splits,
            "protocols": [p.reference for p in protocols_of(card)],
            "data": _verdict(card.id),
        }
        for card in dataset_cards().values()
    ]
    if as_json:
        print_json(rows)
        return
    import tabulate

    def faces(row: dict[str, Any]) -> str:
        return "\n".join(f"{split} {count}" for split, count in row["splits"].items())

    table = [[r["id"], r["title"], faces(r), "\n".join(r["protocols"]), r["data"]] for r in rows]
    click.echo(tabulate.tabulate(table, ["id", "title", "faces", "protocols", "data"], tablefmt="simple", disable_numparse=True))


def _verdict(dataset: str) -> str:
    """What `check` says of a dataset that comes with hpbench or lies in $HPBENCH_DATA; "" where that is not set."""
    from ..catalog import dataset_card

    if not os.environ.get("HPBENCH_DATA") and not dataset_card(dataset).embedded:
        return ""
    from ..errors import HpbenchError, MissingDataError
    from ..readers import load
    from ..readers.inventory import inventory

    try:
        return inventory(load(dataset)).verdict
    except MissingDataError:
        return "not there"
    except HpbenchError:
        return "broken: see check"


@datasets.command()
@click.argument("dataset")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Draw (png, pdf, svg): see below.")
@data_option
@click.option("--split", default="", help="Split of the contact sheet.")
@click.option("--labels", default="", help="Annotation of the contact sheet.")
@click.option("--count", default=12, show_default=True, help="Faces of the contact sheet.")
@click.option("--anonymise", is_flag=True, help="Blur the faces of the contact sheet.")
@click.option("--json", "as_json", is_flag=True)
def show(
    dataset: str, plot: Path | None, data: tuple[Path, ...], split: str, labels: str, count: int, anonymise: bool, as_json: bool
) -> None:
    """One dataset: licence, how to obtain it, layout, boxes, protocols, citation.

    --plot draws the landmark scheme with its indices; together with --data (or $HPBENCH_DATA) a contact sheet: faces
    with box, landmarks and pose axes (x to the subject's left, y down, and the one that points out of the face).
    """
    from ..catalog import dataset_card

    card = dataset_card(dataset)
    if plot is not None:
        _plot(dataset, card.scheme, bool(card.embedded), plot, data, split, labels, count, anonymise)
    elif as_json:
        _show_json(dataset)
    else:
        _show_text(dataset)


def _plot(
    dataset: str, scheme: str, embedded: bool, plot: Path, data: tuple[Path, ...], split: str, labels: str, count: int, anonymise: bool
) -> None:
    from ..errors import InputError
    from ..readers import load
    from ..report.figures import contact_sheet, scheme_figure

    if data or os.environ.get("HPBENCH_DATA") or embedded:
        if count < 1:
            raise InputError(f"--count must be at least 1, got {count}.")
        drawn = contact_sheet(load(dataset, data), plot, split=split, labels=labels, count=count, anonymise=anonymise)
        remark(f"faces drawn to {plot}: {drawn}")
        return
    if not scheme:
        raise InputError(f"{dataset} has no landmarks; give --data for a contact sheet.")
    scheme_figure([scheme], plot)
    remark(f"the landmark scheme {scheme} drawn to {plot}")


def _show_json(dataset: str) -> None:
    from dataclasses import asdict

    from ..catalog import dataset_card, protocols_of

    card = dataset_card(dataset)
    facts = asdict(card)
    facts.pop("folder")
    print_json({**facts, "protocols": [p.reference for p in protocols_of(card)]})


def _show_text(dataset: str) -> None:
    from ..catalog import dataset_card, protocols_of
    from ..readers.files.sources import how_to_obtain

    card = dataset_card(dataset)
    click.echo(how_to_obtain(card))
    click.echo(f"Redistribution: {card.redistribution}")
    click.echo(f"Home page: {card.homepage}")
    click.echo(f"Faces: {', '.join(f'{k} {v}' for k, v in card.splits.items())}")
    click.echo(f"Labels: convention {card.convention or '-'}, rotation kind {card.pose or '-'}, landmarks {card.scheme or '-'}")
    for name, box in card.boxes.items():
        default = " (default)" if name == card.default_boxes else ""
        click.echo(f"Boxes {name}{default}: {box.source}. {box.description}")
    for protocol in protocols_of(card):
        click.echo(f"Protocol {protocol.reference}: {protocol.title}; main {protocol.main}")
    click.echo(card.citation.strip())


@datasets.command()
@click.argument("dataset")
@data_option
@click.option("--json", "as_json", is_flag=True)
def check(dataset: str, data: tuple[Path, ...], as_json: bool) -> None:
    """Whether the files of a dataset are all there and are the ones the card describes (exit 1 if not).

    Counts labels and images per split, names what is missing, and compares the label statistics with the card's.
    """
    from dataclasses import asdict

    from ..readers import load
    from ..readers.inventory import inventory

    found = inventory(load(dataset, data))
    if as_json:
        print_json({**asdict(found), "verdict": found.verdict})
        sys.exit(0 if found.ok else 1)
    import tabulate

    rows = [[s.split, s.labels or "default", s.expected, s.labelled, s.images, ", ".join(s.first_missing)] for s in found.splits]
    click.echo(tabulate.tabulate(rows, ["split", "labels", "expected", "with labels", "with image", "first missing"], tablefmt="simple"))
    if found.foreign:
        click.echo(f"{len(found.foreign)} label files are on no list of {dataset}: {', '.join(found.foreign[:5])}")
    for text in found.wrong_statistics:
        click.echo(f"not as on the card: {text}")
    click.echo(f"{dataset}: {found.verdict}")
    sys.exit(0 if found.ok else 1)
