"""hpbench reproduce mnn"""

from __future__ import annotations

from pathlib import Path

import click

from .common import remark
from .train import settings_options, settings_tables
from .train_or import MINUTES

__all__ = ["reproduce"]


@click.group()
def reproduce() -> None:
    """Do a paper again."""


@reproduce.command()
@click.option("--data", type=click.Path(path_type=Path), multiple=True, required=True, help="Folder or archive of the datasets; repeats.")
@click.option("--recipe", "recipes", multiple=True, metavar="NAME", help="Only this model of the paper; repeats. Default: all that can be.")
@click.option("-o", "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("hpbench-out/mnn-paper"), show_default=True)
@settings_options
@click.option("--time-limit", type=MINUTES, metavar="MIN", help="Minutes of training in all; the same command goes on.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda.")
def mnn(
    data: tuple[Path, ...], recipes: tuple[str, ...], out: Path, config_path: Path | None, settings: tuple[str, ...],
    time_limit: float | None, device: str,
) -> None:  # fmt: skip
    """The MNN paper (Valle, Buenaposada and Baumela, TPAMI 2020), by somebody who owns its datasets.

    \b
    hpbench reproduce mnn --data sets -o mnn-paper --time-limit 600

    Trains each of the paper's models whose data is found (hpbench train mnn --recipe NAME --dry-run says what it takes), or goes on,
    tests those that are finished, and prints the paper's numbers beside ours.  A --data folder may hold a folder for each dataset,
    called like it (cofw, aflw2000, ...).  Needs pip install 'hpbench[mnn]' and, in earnest, a GPU.
    """
    from ..errors import InputError

    try:
        import torch
    except ImportError:
        raise InputError("training needs PyTorch: pip install 'hpbench[mnn]'.") from None
    if device not in ("auto", "cpu") and not torch.cuda.is_available():
        raise InputError(f"--device {device}: PyTorch sees no GPU here.")
    from ..reproduce import comparison_text, reproduce_mnn

    rows = reproduce_mnn(
        data, out, recipes=recipes, settings=settings_tables(config_path, settings), time_limit_min=time_limit, device=device, say=remark
    )
    if rows:
        click.echo(comparison_text(rows))
