"""hpbench score"""

from __future__ import annotations

from pathlib import Path

import click

from .common import (
    data_option,
    eye_norms_option,
    metric_option,
    mix_schemes_option,
    out_option,
    print_json,
    protocol_option,
    remark,
    terminal_width,
)

__all__ = ["score"]


@click.command()
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option("-d", "--dataset", help="Dataset id; may be left out when --protocol names it.")
@protocol_option
@data_option
@out_option
@mix_schemes_option
@metric_option
@eye_norms_option
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
def score(
    predictions: Path,
    dataset: str | None,
    protocol: tuple[str, ...],
    data: tuple[Path, ...],
    out: Path | None,
    mix_schemes: bool,
    metrics: tuple[str, ...],
    eye_norms: bool,
    as_json: bool,
) -> None:
    """Score a prediction file (.h5, .npz, .csv, .jsonl); no model is run, no image is read.

    \b
    hpbench score predictions.csv -d aflw2000 --data AFLW2000-3D.zip
    """
    from .. import jobs
    from ..doctor import doctor_hint
    from ..report.tables import records_text

    records = jobs.score(
        predictions, dataset, protocol=protocol, data=data, out=out,
        mix_schemes=mix_schemes, metrics=metrics, eye_norms=eye_norms, remark=remark,
    )  # fmt: skip
    if as_json:
        from dataclasses import asdict

        print_json([asdict(r) for r in records])
    else:
        click.echo(records_text(records, terminal_width()))
    if hint := doctor_hint(records, str(predictions)):
        remark(hint)
