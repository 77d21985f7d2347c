"""hpbench models list | show | export"""

from __future__ import annotations

from pathlib import Path

import click

from .common import print_json, remark

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


@models.command()
@click.argument("model")
@click.option("--onnx", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE", help="The file to write, *.onnx.")
@click.option("--encoder", is_flag=True, help="Encoder only: pose without landmarks (mnn-encoder).")
@click.option("--weights", type=click.Path(path_type=Path), metavar="PATH", help="Your own, of hpbench train mnn.")
@click.option("--radius", "radius_px", type=click.IntRange(0, 256), help="As --model-arg radius_px of mnn.")
def export(model: str, onnx: Path, encoder: bool, weights: Path | None, radius_px: int | None) -> None:
    """MNN as an ONNX file, compared with PyTorch, and a card.toml beside it.

    \b
    hpbench models export mnn --onnx out/mnn.onnx
    hpbench run -m out/card.toml -d heads

    Needs pip install 'hpbench[export]'.
    """
    from ..models.mnn_export import export_mnn

    card, difference = export_mnn(f"{model}-encoder" if encoder and model == "mnn" else model, onnx, weights=weights, radius_px=radius_px)
    remark(f"{onnx}: differs from PyTorch by {difference:.1g} at most")
    click.echo(card)
