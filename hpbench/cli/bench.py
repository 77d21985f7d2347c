"""hpbench bench"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from .common import data_option, print_json, remark, terminal_width

__all__ = ["bench"]


def _counts(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    """``1,8,16``."""
    try:
        return tuple(int(text) for text in value.split(",")) if value else ()
    except ValueError:
        raise click.BadParameter(f"{value!r}: whole numbers with commas between them, as 1,8,16.", ctx, param) from None


@click.command()
@click.argument("model")
@click.option(
    "--threads",
    callback=_counts,
    default="",
    metavar="N,N",
    help="Each is measured by itself.  [default: 1 and all processors; with --pipeline all]",
)
@click.option(
    "--batch",
    "batches",
    callback=_counts,
    default="",
    metavar="N,N",
    help="Faces a call.  [default: 1,8,16,32; with --pipeline the model's]",
)
@click.option("--pipeline", is_flag=True, help="Instead: a whole run against the bare model, and the share of each stage.")
@click.option("--seconds", type=float, default=1.0, show_default=True, help="For which each call is repeated, after warming up.")
@click.option("-d", "--dataset", default="heads", show_default=True, help="Where the faces come from: their images and boxes.")
@data_option
@click.option("--boxes", default="", metavar="NAME", help="Box set given to the model.  [default: the dataset's]")
@click.option("--faces", type=int, default=128, show_default=True, help="How many of them, at even distances.")
@click.option("--weights", type=click.Path(path_type=Path), metavar="PATH", help="Weights: a file, or a folder with them.")
@click.option("--model-arg", multiple=True, metavar="K=V", help="Argument for the model; repeats.")
@click.option("--device", default="auto", show_default=True, help="Device for models that choose: auto, cpu, cuda.")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE", help="Keep it: speed.json beside the model's results.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def bench(
    model: str, threads: tuple[int, ...], batches: tuple[int, ...], pipeline: bool, seconds: float, dataset: str,
    data: tuple[Path, ...], boxes: str, faces: int, weights: Path | None, model_arg: tuple[str, ...], device: str, out: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Measure how fast a model is on this machine: alone, with its cropping, and from image file to prediction.

    Each number of threads has a fresh process of its own, held to so many processors. After warming up, every call is repeated: median, 5th
    and 95th percentile are told, with peak memory, parameters and multiplications. Let the machine do nothing else meanwhile; times of
    different machines are never put side by side. With --model-arg precision=..., the answers are compared with the model's own.

    \b
    hpbench bench mnn
    hpbench bench mnn --threads 1,2 -o baselines/mnn/speed.json
    hpbench bench mnn --pipeline -d aflw2000 --data AFLW2000-3D.zip
    hpbench bench mnn --model-arg precision=bf16
    """
    from ..models.resolve import read_model_arguments
    from ..report.speed import pipeline_text, speed_record_text
    from ..speed import Bench, bench_pipeline, check_target, write_speed
    from ..speed import bench as measure

    asked = Bench(
        model, dataset, data, boxes, weights, read_model_arguments(model_arg), device, threads=threads, batches=batches, faces=faces,
        seconds=seconds,
    )  # fmt: skip
    if pipeline:
        if out is not None:
            raise click.UsageError("-o keeps a speed record; --pipeline prints, and --json prints it as JSON.")
        found = bench_pipeline(asked, remark)
        if as_json:
            print_json({**found._asdict(), "runs": {n: [asdict(run) for run in runs] for n, runs in found.runs.items()}})
        else:
            click.echo(pipeline_text(found, terminal_width()))
        return
    if out is not None:
        check_target(out)
    record = measure(asked, remark)
    click.echo(record.to_json().rstrip() if as_json else speed_record_text(record, terminal_width()))
    if out is not None:
        write_speed(record, out)
        remark(f"written to {out}")
