"""hpbench render heads"""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["render"]


@click.group()
def render() -> None:
    """Make faces with exact labels."""


@render.command()
@click.option("-n", "--count", type=int, required=True, help="How many heads.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("-o", "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the shards.")
@click.option("--kind", default="train", show_default=True, help="train, test or hard: three worlds that share nobody.")
@click.option("--first", type=int, default=0, show_default=True, help="Number of the first head.")
@click.option("--size", type=int, default=256, show_default=True, help="Side of the pictures, pixels.")
@click.option("--shard", type=int, default=100, show_default=True, help="Heads a file: what a stopped run may lose.")
@click.option("-j", "--jobs", type=int, default=1, show_default=True, help="Processes; each takes a core and 1 GB.")
def heads(count: int, seed: int, out: Path, kind: str, first: int, size: int, shard: int, jobs: int) -> None:
    """Render heads into shards: pictures with pose, 68 points and visibility, exact.

    \b
    hpbench render heads --count 2000 --seed 1 -o heads -j 2

    The same seed and number are the same head; a second call makes what is missing.  Needs pip install 'hpbench[heads]'; the first
    start reads the model once (15 s).
    """
    from tqdm import tqdm

    from ..heads.generate import render_heads

    bar: list[tqdm] = []  # drawn with the first head: a wrong option is told without one

    def progress(done: int) -> None:
        if not bar:
            bar.append(tqdm(total=count, unit="head", desc="render"))
        bar[0].update(done)

    try:
        paths = render_heads(
            out, count=count, seed=seed, kind=kind, first=first, size_px=size, per_shard=shard, processes=jobs, progress=progress
        )
    finally:
        for each in bar:
            each.close()
    for path in paths:
        click.echo(path)
