"""hpbench models list | show"""

from __future__ import annotations

import click

from .common import print_json

__all__ = ["models"]


@click.group()
def models() -> None:
    """The models hpbench knows by name."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_models(as_json: bool) -> None:
    """All models: catalog cards and entry points of installed packages."""
    from ..catalog import model_cards
    from ..models.resolve import entry_points

    rows = [{"id": c.id, "title": c.title, "kind": "onnx card" if c.onnx else "code", "extra": c.extra} for c in model_cards().values()]
    rows += [{"id": n, "title": e.value, "kind": "entry point", "extra": ""} for n, e in sorted(entry_points().items())]
    if as_json:
        print_json(rows)
        return
    import tabulate

    table = [[r["id"], r["title"], r["kind"], f"pip install 'hpbench[{r['extra']}]'" if r["extra"] else ""] for r in rows]
    click.echo(tabulate.tabulate(table, ["id", "title", "kind", "needs"], tablefmt="simple"))


@models.command()
@click.argument("model")
@click.option("--json", "as_json", is_flag=True)
def show(model: str, as_json: bool) -> None:
    """One model's card: paper, licence, training data, weights."""
    from dataclasses import asdict
    from pathlib import Path

    from ..catalog import model_card_from, model_cards
    from ..errors import InputError, did_you_mean

    cards = model_cards()
    if model.endswith(".toml"):
        card = model_card_from(Path(model))
    elif model in cards:
        card = cards[model]
    else:
        raise InputError(f"unknown model {model!r}: {did_you_mean(model, cards)}")
    if as_json:
        data = asdict(card)
        data.pop("folder")
        print_json(data)
        return
    click.echo(card.path.read_text(encoding="utf-8").rstrip())
