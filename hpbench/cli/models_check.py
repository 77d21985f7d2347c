"""hpbench models check"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import data_option, print_json, remark, terminal_width

if TYPE_CHECKING:
    from ..inspection import Check

__all__ = ["check"]


@click.command()
@click.argument("model")
@click.option("-d", "--dataset", default="heads", show_default=True, help="Whose faces to try it on.")
@data_option
@click.option("--limit", type=int, default=64, show_default=True, metavar="N", help="Faces at most, the same for every model.")
@click.option("--weights", type=click.Path(path_type=Path), metavar="PATH", help="Weights: a file, or a folder with them.")
@click.option("--model-arg", multiple=True, metavar="K=V", help="Argument for the model; repeats.")
@click.option("--device", default="auto", show_default=True, help="Device for models that choose: auto, cpu, cuda.")
@click.option("--json", "as_json", is_flag=True, help="Print checks and curves as JSON.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
    help="Write crop_sensitivity.png, .svg and .csv there.",
)  # fmt: skip
def check(
    model: str, dataset: str, data: tuple[Path, ...], limit: int, weights: Path | None,
    model_arg: tuple[str, ...], device: str, as_json: bool, out: Path | None,
) -> None:  # fmt: skip
    """Whether a model keeps the contract; which colours and which crop it wants.

    \b
    hpbench models check my_model.py:MyModel
    hpbench models check fsanet --weights FOLDER -d aflw2000 --data AFLW2000-3D.zip -o checked

    Contract: the answer to a face does not depend on its batch, its place in it, or chance; inputs are left as they are; boxes that reach
    outside and tiny ones get an answer or a reason. Notes: the error with red and blue exchanged, and with the box scaled by 0.6 to 1.6
    or moved by up to a fifth of its size. Then a short look at the speed (hpbench bench measures it well).

    Exit codes: 0 the contract is kept, 1 it is not, 2 bad input, 3 weights or data are missing.
    """
    from dataclasses import replace

    from ..inspection import inspect_model
    from ..models.resolve import create_model, read_model_arguments
    from ..report.crop_sensitivity import response_rows, save_crop_sensitivity

    arguments = read_model_arguments(model_arg)
    made = create_model(model, weights=weights, device=device, arguments=arguments)
    found = inspect_model(made, dataset, data=data, limit=limit, remark=remark)
    if found.ok:
        remark("throughput")
        speed = _throughput(model, dataset=dataset, data=data, weights=weights, model_args=arguments, device=device)
        found = replace(found, checks=(*found.checks, speed))
    if as_json:
        print_json(found.to_json())
    else:
        import tabulate

        width = max(terminal_width() - 10 - max(len(c.name) for c in found.checks), 30)
        rows = [[c.name, "FAILED" if c.result == "failed" else c.result, c.said] for c in found.checks]
        click.echo(tabulate.tabulate(rows, ["check", "", "seen"], disable_numparse=True, maxcolwidths=[None, None, width]))
    if out is not None and found.responses:
        for path in save_crop_sensitivity(response_rows(found.model, found.responses), out):
            remark(f"written to {path}")
    elif out is not None:
        remark("nothing is scored: no figure is written")
    failed = sum(c.result == "failed" for c in found.checks)
    notes = sum(c.result == "note" for c in found.checks)
    verdict = "the contract is kept" if found.ok else f"{failed} check{'s' * (failed != 1)} FAILED"
    remark(f"{found.model} on {found.n_faces} faces of {found.dataset}: {verdict}, {notes} note{'s' * (notes != 1)}.")
    sys.exit(0 if found.ok else 1)


def _throughput(model: str, *, data: Sequence[Path], **how: Any) -> Check:
    """A short measurement by `hpbench.speed`, in a process of its own; no failure where there is none."""
    from ..errors import HpbenchError
    from ..inspection import Check
    from ..speed import Bench, bench, default_threads

    threads = default_threads()[-1]
    try:
        run = bench(Bench(model, data=data, threads=(threads,), batches=(1, 16), faces=16, seconds=0.3, **how)).runs[0]
    except HpbenchError as error:
        return Check("throughput", "untold", str(error))
    one, best = run.latency("with_crop"), run.best("with_crop")
    if one is None or best is None:
        return Check("throughput", "untold", "nothing was timed")
    of = f"{threads} thread{'s' * (threads > 1)}"
    said = f"one face {one.p50_ms:.3g} ms, {best.faces_per_s:.3g} faces/s in batches of {best.batch_size}, crop included, {of}"
    return Check("throughput", "ok", f"{said}: at a glance, hpbench bench measures it")
