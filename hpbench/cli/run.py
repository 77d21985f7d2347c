"""hpbench run"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import (
    TerminalProgress,
    data_option,
    eye_norms_option,
    metric_option,
    mix_schemes_option,
    out_option,
    print_json,
    protocol_option,
    ray_options,
    remark,
    terminal_width,
)

__all__ = ["run"]


def _batch_size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | str | None:
    """A number, or ``auto``."""
    if value is None or value == "auto":
        return value
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a whole number nor 'auto'.", ctx, param) from None


@click.command()
@click.option("-m", "--model", required=True, help="Name, package.module:Class, file.py:Class, card.toml or worker:COMMAND.")
@click.option("-d", "--dataset", required=True, help="Dataset id, e.g. aflw2000.")
@data_option
@protocol_option
@click.option("--boxes", default="", metavar="NAME", help="Box set, or detector:NAME. Default: that of --protocol, else the dataset's.")
@click.option("--weights", type=click.Path(path_type=Path), metavar="PATH", help="Weights: a file, or a folder with them.")
@click.option("--model-arg", multiple=True, metavar="K=V", help="Argument for the model; repeats.")
@out_option
@click.option("--device", default="auto", show_default=True, help="Device for models that choose: auto, cpu, cuda.")
@click.option(
    "--batch-size", callback=_batch_size, metavar="N", help="Faces per call, or auto: tries what is quickest. Default: the model's."
)
@click.option("--workers", type=int, metavar="N", help="Threads that decode images. Default: by the cores, 1 to 16.")
@click.option("--reduced", is_flag=True, help="Decode large JPEGs smaller where the model sees the face smaller anyway.")
@click.option("--timeout", "timeout_s", type=float, metavar="S", help="Stop when the model takes longer over a batch. Default: never.")
@click.option("--limit", type=int, metavar="N", help="Only the first N faces of a split; the records are marked partial.")
@click.option("--max-failures", type=int, metavar="N", help="Stop when more faces fail. Default: never.")
@click.option("--shard", metavar="I/N", help="Only the I-th of N shares of the faces, for `hpbench merge`.")
@ray_options
@mix_schemes_option
@metric_option
@eye_norms_option
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
def run(
    model: str, dataset: str, data: tuple[Path, ...], protocol: tuple[str, ...], boxes: str, weights: Path | None,
    model_arg: tuple[str, ...], out: Path | None, device: str, batch_size: Any, workers: int | None,
    reduced: bool, timeout_s: float | None, limit: int | None, max_failures: int | None, shard: str | None, ray_address: str | None,
    ray_cpus: float, ray_gpus: float, mix_schemes: bool, metrics: tuple[str, ...], eye_norms: bool, as_json: bool,
) -> None:  # fmt: skip
    """Run a model over a dataset once and score every protocol the predictions can serve.

    Writes predictions.h5, a record a protocol and the per-face errors. A run that was stopped goes on when the same
    command is given again.

    \b
    hpbench run -m frontal -d aflw2000 --data AFLW2000-3D.zip
    hpbench run -m my_model.py:MyModel -d aflw2000 --data AFLW2000 --model-arg size=128
    """
    from .. import jobs
    from ..doctor import doctor_hint
    from ..models.resolve import read_model_arguments
    from ..parts import parse_shard
    from ..ranks import ranks_of_environment
    from ..report.tables import records_text

    ranks = ranks_of_environment()
    if sum(way is not None for way in (ranks, shard, ray_address)) > 1:
        raise click.UsageError("a run is spread by torchrun, by --shard or by --ray: by one of them.")
    cluster = None
    if ray_address is not None:
        from ..ray_cluster import RayCluster

        cluster = RayCluster(ray_address, ray_cpus, ray_gpus)
    records = jobs.run(
        model, dataset, data=data, protocol=protocol, boxes=boxes, weights=weights,
        model_args=read_model_arguments(model_arg), out=out, device=ranks.device(device) if ranks else device,
        batch_size=batch_size, workers=workers, reduced=reduced, timeout_s=timeout_s, ranks=ranks, cluster=cluster,
        shard=parse_shard(shard) if shard is not None else None, limit=limit, max_failures=max_failures,
        mix_schemes=mix_schemes, metrics=metrics, eye_norms=eye_norms,
        progress=TerminalProgress() if ranks is None or ranks.shard.number == 1 else None, remark=remark,
    )  # fmt: skip
    if not records:  # a share
        return
    if as_json:
        from dataclasses import asdict

        print_json([asdict(r) for r in records])
    else:
        click.echo(records_text(records, terminal_width()))
    folder = out if out is not None else jobs.default_output(records[0].model.label, dataset, records[0].detector)
    if hint := doctor_hint(records, str(folder / "predictions.h5")):
        remark(hint)
