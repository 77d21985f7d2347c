"""hpbench train mnn"""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from .train_or import MINUTES, mnn_or

__all__ = ["settings_options", "settings_tables", "train"]


def settings_options(command: Any) -> Any:
    """``--config`` and ``--set``."""
    one = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One, e.g. network.input_px=128; repeats.")
    return click.option("--config", "config_path", type=click.Path(dir_okay=False, path_type=Path), help="Settings, TOML.")(one(command))


def settings_tables(config_path: Path | None, settings: tuple[str, ...]) -> list[dict[str, Any]]:
    """What the two options say, in the order in which they count."""
    from ..checked import read_toml
    from ..mnn.recipes import parse_setting

    return [*([read_toml(config_path)] if config_path else []), *map(parse_setting, settings)]


@click.group()
def train() -> None:
    """Train a model."""


train.add_command(mnn_or)


@train.command()
@click.option("--data", type=click.Path(path_type=Path), multiple=True, help="Folder, archive or shards of the data; repeats.")
@click.option("--dataset", "datasets", multiple=True, metavar="D", help="NAME[:SPLIT[:LABELS[:POSE]]], see below; repeats.")
@click.option("--recipe", "recipe_name", metavar="NAME", help="A model of the paper: 300w-lp, 300w, 300w-private, cofw, aflw, wflw.")
@click.option("-o", "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for weights, checkpoint, curve.")
@settings_options
@click.option("--start", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Weights of another training to start from.")
@click.option("--epochs", type=int, help="In all, instead of the settings' number.")
@click.option("--time-limit", type=MINUTES, metavar="MIN", help="Minutes; then a checkpoint, and the same command goes on.")
@click.option("--seed", type=int, help="Instead of the settings' seed.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda.")
@click.option("--allow-test-data", is_flag=True, help="Train on what a protocol tests on; the weights say so.")
@click.option("--tensorboard", "board", is_flag=True, help="Write the curve for TensorBoard too, into --out.")
@click.option("--dry-run", is_flag=True, help="Print the settings and the data found, try one step, leave nothing.")
def mnn(
    data: tuple[Path, ...], datasets: tuple[str, ...], recipe_name: str | None, out: Path | None, config_path: Path | None,
    settings: tuple[str, ...], start: Path | None, epochs: int | None, time_limit: float | None, seed: int | None, device: str,
    allow_test_data: bool, board: bool, dry_run: bool,
) -> None:  # fmt: skip
    """MNN: pose, landmarks, visibility.  On rendered heads, or on any datasets with landmarks, mixed.

    \b
    hpbench render heads --count 20000 --seed 1 -o heads -j 2
    hpbench train mnn --data heads -o mnn --config small.toml --time-limit 60
    hpbench train mnn --dataset cofw:train --dataset wflw:train --data sets -o mnn --set network.scheme=cofw29
    hpbench train mnn --recipe cofw --data COFW -o mnn-cofw

    LABELS is an annotation of the dataset; POSE is derived (from the landmarks, as in the paper) or labels (the dataset's own).
    A --data folder may hold a folder for each dataset, called like it.  --config and --set count over a recipe's settings.  The
    landmark scheme is the data's unless the settings say one.

    Goes on with the training in --out if there is one.  Needs pip install 'hpbench[mnn]'.  On several GPUs: torchrun
    --nproc-per-node N -m hpbench train mnn ...
    """
    from ..errors import HpbenchError, InputError
    from ..mnn.recipes import FacesWanted, parse_faces, recipe_named, settings_text
    from ..mnn.sources import FoundFaces, find_faces, open_source, settled

    if recipe_name and datasets:
        raise InputError("--recipe says what it is trained on: leave out --dataset, or the recipe.")
    if out is None and not dry_run:
        raise InputError("say where the training goes with --out.")
    recipe = recipe_named(recipe_name) if recipe_name else None
    wanted = recipe.data if recipe else tuple(map(parse_faces, datasets)) or (FacesWanted("heads"),)
    single = {key: value for key, value in (("epochs", epochs), ("seed", seed)) if value is not None}
    tables = [recipe.training if recipe else {}, *settings_tables(config_path, settings), single]
    where = ", ".join(filter(None, [f"recipe {recipe_name}" if recipe else "", str(config_path or ""), *(f"--set {s}" for s in settings)]))
    found: list[FoundFaces] = []
    missing: list[HpbenchError] = []
    for faces in wanted:
        try:
            found.append(find_faces(faces, data, allow_test_data=allow_test_data or bool(recipe and recipe.allow_test_data)))
        except HpbenchError as error:
            if not (dry_run and recipe):  # whose settings can be shown all the same
                raise
            missing.append(error)
    config = settled(tables, [f.scheme for f in found], where or "the settings")
    if dry_run:
        title = f"# recipe {recipe.name}: {recipe.title}\n" if recipe else ""
        lines = [*(f"# needs {faces.name}" for faces in wanted), *(f"# found {f.line}" for f in found)]
        click.echo(title + "\n".join([*lines, settings_text(config)]))
        if missing:
            raise missing[0]
    try:
        import torch
    except ImportError:
        raise InputError("training needs PyTorch: pip install 'hpbench[mnn]'.") from None
    if device not in ("auto", "cpu") and not torch.cuda.is_available():
        raise InputError(f"--device {device}: PyTorch sees no GPU here.")
    from ..locked import locked
    from ..mnn.checkpoint import BEST, check_writable
    from ..mnn.curves import tensorboard
    from ..mnn.train import train as train_mnn
    from ..mnn.train import try_one_step

    first = os.environ.get("RANK", "0") == "0"  # of torchrun's processes
    if out is not None and not dry_run and first:
        check_writable(out)
    sources = [open_source(f, config.network.scheme) for f in found]
    if out is None or dry_run:
        row = try_one_step(config, sources, device=device)
        losses = ", ".join(f"{name[6:]} {value:.3f}" for name, value in row.items() if name.startswith("train_"))
        click.echo(f"# one step: {losses}; {row['faces_per_s']:.1f} faces/s; nothing is kept")
        return
    with locked(out, "a training") if first else nullcontext():
        train_mnn(
            config, sources, out, device=device, time_limit_min=time_limit, trained_on=[t for f in found for t in f.trained_on],
            start_from=start, follow=tensorboard(out) if board else None,
        )  # fmt: skip
    if (out / BEST).exists():  # not where the time was up before the first epoch's end
        click.echo(out / BEST)
