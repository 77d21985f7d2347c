"""hpbench train mnn-or"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from .common import remark

__all__ = ["MINUTES", "mnn_or"]


class _Minutes(click.FloatRange):
    """0 or more, and finite: NaN passes every comparison, and infinity says nothing."""

    name = "float"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        minutes = super().convert(value, param, ctx)
        return minutes if math.isfinite(minutes) else self.fail(f"{value} is no number of minutes.", param, ctx)


MINUTES = _Minutes(min=0)


@click.command("mnn-or")
@click.option("--weights", type=click.Path(path_type=Path), required=True, help="The network, of hpbench train mnn.")
@click.option("--data", type=click.Path(path_type=Path), multiple=True, help="Folder, archive or shards of the data; repeats.")
@click.option("--dataset", "datasets", multiple=True, metavar="D", help="NAME[:SPLIT[:LABELS]], as for train mnn; repeats.")
@click.option("-o", "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for trees and their errors.")
@click.option("--config", "config_path", type=click.Path(dir_okay=False, path_type=Path), help="Settings, TOML.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One, e.g. stages=10; repeats.")
@click.option("--time-limit", type=MINUTES, metavar="MIN", help="Minutes; then no new stage, and the same command goes on.")
@click.option("--seed", type=int, help="Instead of the settings' seed.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda.")
@click.option("--workers", type=click.IntRange(0, 256), default=1, show_default=True, help="Processes that load pictures.")
@click.option("--allow-test-data", is_flag=True, help="Train on what a protocol tests on; the file says so.")
def mnn_or(
    weights: Path, data: tuple[Path, ...], datasets: tuple[str, ...], out: Path, config_path: Path | None, settings: tuple[str, ...],
    time_limit: float | None, seed: int | None, device: str, workers: int, allow_test_data: bool,
) -> None:  # fmt: skip
    """MNN+OR: regression trees on the heat maps of a trained network.

    \b
    hpbench train mnn-or --weights mnn/best.safetensors --data heads -o mnn

    The trees are for that network alone: another one, another training.  With the network's folder as --out, `hpbench run -m mnn+or
    --weights mnn` finds both.  Give the network's own data and seed: the faces held out are
    then those that it has not learnt from either.  Goes on with the training in --out if there is one.  Needs pip install 'hpbench[mnn]'.
    """
    from ..checked import build
    from ..errors import InputError
    from ..mnn.or_config import CascadeConfig
    from ..mnn.recipes import FacesWanted, parse_faces
    from ..mnn.sources import find_faces, open_source
    from .train import settings_tables

    table: dict[str, object] = {}
    for one in [*settings_tables(config_path, settings), {} if seed is None else {"seed": seed}]:
        for key, value in one.items():
            old = table.get(key)
            table[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    config = build(CascadeConfig, table, str(config_path or "the settings"))
    try:
        import torch
    except ImportError:
        raise InputError("training needs PyTorch: pip install 'hpbench[mnn]'.") from None
    if device not in ("auto", "cpu") and not torch.cuda.is_available():
        raise InputError(f"--device {device}: PyTorch sees no GPU here.")
    from ..locked import locked
    from ..mnn.checkpoint import BEST, check_writable, load_network
    from ..mnn.or_train import TREES, train_cascade

    wanted = tuple(map(parse_faces, datasets)) or (FacesWanted("heads"),)
    found = [find_faces(faces, data, allow_test_data=allow_test_data) for faces in wanted]
    check_writable(out)
    where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    network = load_network(weights / BEST if weights.is_dir() else weights, where)
    sources = [open_source(f, network.config.scheme) for f in found]
    with locked(out, "a training"):
        progress = train_cascade(
            network, sources, config, out, workers=workers, time_limit_min=time_limit, trained_on=[t for f in found for t in f.trained_on],
        )  # fmt: skip
    if progress["finished"] and sum(row["kept"] for row in progress["history"]) < 2:  # the start is one
        remark("no stage lowered the validation error: these trees give the mean face in the network's pose; more faces?")
    click.echo(out / TREES)
