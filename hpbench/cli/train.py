"""hpbench train mnn"""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["train"]


@click.group()
def train() -> None:
    """Train a model."""


@train.command()
@click.option("--data", type=click.Path(path_type=Path), multiple=True, required=True, help="Folder of shards, or one of them; repeatable.")
@click.option("-o", "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for weights, checkpoint, curve.")
@click.option("--config", "config_path", type=click.Path(dir_okay=False, path_type=Path), help="Settings, TOML; the paper's without.")
@click.option("--epochs", type=int, help="In all, instead of the settings' number.")
@click.option("--time-limit", type=float, metavar="MIN", help="Minutes; then a checkpoint, and the same command goes on.")
@click.option("--seed", type=int, help="Instead of the settings' seed.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda.")
def mnn(
    data: tuple[Path, ...], out: Path, config_path: Path | None, epochs: int | None, time_limit: float | None, seed: int | None, device: str
) -> None:
    """MNN on rendered heads: pose, 68 points, visibility.

    \b
    hpbench render heads --count 20000 --seed 1 -o heads -j 2
    hpbench train mnn --data heads -o mnn --config small.toml --time-limit 60

    Goes on with the training in --out if there is one.  Needs pip install 'hpbench[mnn]'.  On several GPUs: torchrun
    --nproc-per-node N -m hpbench train mnn ...
    """
    from dataclasses import replace

    from ..checked import build, read_toml
    from ..errors import InputError
    from ..mnn.config import TrainConfig

    config = build(TrainConfig, read_toml(config_path), str(config_path)) if config_path else TrainConfig()
    config = replace(config, epochs=config.epochs if epochs is None else epochs, seed=config.seed if seed is None else seed)
    try:
        import torch
    except ImportError:
        raise InputError("training needs PyTorch: pip install 'hpbench[mnn]'.") from None
    if device not in ("auto", "cpu") and not torch.cuda.is_available():
        raise InputError(f"--device {device}: PyTorch sees no GPU here.")
    from ..heads.stream import PackedHeads
    from ..mnn.data import HeadShards
    from ..mnn.train import train as train_mnn

    train_mnn(config, [HeadShards(PackedHeads(data), config.network.scheme)], out, device=device, time_limit_min=time_limit)
    click.echo(out / "best.safetensors")
