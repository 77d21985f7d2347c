"""hpbench models list | show | check | export"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import print_json, remark
from .models_check import check

if TYPE_CHECKING:
    from ..catalog import ModelCard

__all__ = ["models"]


@click.group()
def models() -> None:
    """The models hpbench knows by name."""


models.add_command(check)


@models.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_models(as_json: bool) -> None:
    """All models: what they predict, and what they still need here.

    Catalog cards and entry points of installed packages. Nothing is loaded: whether the weights are the right ones shows when a model
    runs. `hpbench models show MODEL` says where weights come from.
    """
    from ..catalog import model_cards
    from ..models.resolve import entry_points

    rows = [
        {"id": c.id, "title": c.title, "kind": "onnx card" if c.onnx else "code", "extra": c.extra, **_status(c)}
        for c in model_cards().values()
    ]
    unknown = {"extra": "", "gives": [], "status": "installed", "to_do": [], "missing_files": []}  # without importing it
    rows += [{"id": n, "title": e.value, "kind": "entry point", **unknown} for n, e in sorted(entry_points().items())]
    if as_json:
        print_json(rows)
        return
    import tabulate

    table = [[r["id"], r["title"], ", ".join(r["gives"]), r["status"], _advice(r)] for r in rows]
    click.echo(tabulate.tabulate(table, ["id", "title", "gives", "status", "to do"], tablefmt="simple"))


@models.command()
@click.argument("model")
@click.option("--json", "as_json", is_flag=True)
def show(model: str, as_json: bool) -> None:
    """One model's card: paper, licence, training data, weights; and what it still needs here."""
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
    status = _status(card)
    if as_json:
        data = asdict(card)
        data.pop("folder")
        print_json(data | status)
        return
    click.echo(card.path.read_text(encoding="utf-8").rstrip())
    click.echo(f"\n# status here: {status['status']}")  # a comment: what is printed stays a card
    commands = [what for what in status["to_do"] if what != "weights"]
    files = [f"weights missing: {', '.join(status['missing_files'])}"] if status["missing_files"] else []
    for line in commands + files:
        click.echo(f"# {line}")


def _status(card: ModelCard) -> dict[str, Any]:
    from ..models.status import model_gives, model_status

    status = model_status(card)
    return {
        "gives": list(model_gives(card)),
        "status": status.state,
        "to_do": list(status.to_do),
        "missing_files": list(status.missing_files),
    }


def _advice(row: dict[str, Any]) -> str:
    """In the width of a table; the card says the rest."""
    return "; ".join(f"weights: hpbench models show {row['id']}" if what == "weights" else what for what in row["to_do"])


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
