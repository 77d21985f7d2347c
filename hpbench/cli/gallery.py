"""hpbench gallery"""

from __future__ import annotations

from pathlib import Path

import click

from .common import data_option, remark

__all__ = ["gallery"]

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("record", metavar="RECORD", type=_FILE)
@click.option("-d", "--dataset", default="", help="Dataset id. Default: the one the record is of.")
@data_option
@click.option("-o", "--out", required=True, metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False), help="Folder of your own.")
@click.option("--worst", default=12, metavar="N", show_default=True, help="Faces to a sheet.")
@click.option("--against", metavar="RECORD", type=_FILE, help="Another model's record: also the faces that became worst against it.")
@click.option(
    "--metric", default="", metavar="TEXT", help="A metric of single faces. Default: the protocol's first; of visibility the squared error."
)
@click.option("--predictions", metavar="FILE", type=_FILE, help="What RECORD was made of, where it is not beside it.")
def gallery(
    record: Path, dataset: str, data: tuple[Path, ...], out: Path, worst: int, against: Path | None, metric: str, predictions: Path | None
) -> None:
    """Draw the faces that a model did worst on: labels blue, predictions orange, occluded points as rings.

    \b
    hpbench gallery hpbench-out/mnn/heads/heads.pose@1.json -o gallery
    hpbench gallery a/aflw2000.pose-1969@1.json --data AFLW2000-3D.zip --against b/aflw2000.pose-1969@1.json -o gallery

    RECORD lies beside its per-face errors and predictions, as hpbench run and score leave them. Writes a sheet of the worst faces, one
    a subset, one of failed faces and index.csv into FOLDER, and nowhere else. Sheets show photographs: those of a dataset must not be
    published or passed on, and a folder of what hpbench ships is refused, but for heads, which hpbench rendered.
    """
    from ..errors import InputError
    from ..readers import load
    from ..records import read_record
    from ..report import gallery as library

    for path in filter(None, (record, against)):
        _refuse_folder(path)
    of = read_record(record).protocol.id.partition("/")[0]
    if dataset not in ("", of):
        raise InputError(f"{record}: a record of {of}, not of {dataset}: leave --dataset out.")
    source = load(of, data)
    written = library.gallery(record, source, out, metric=metric, count=worst, reference=against, predictions=predictions)
    for path in written:
        click.echo(path)
    if not source.card.embedded:
        remark(f"photographs of {source.card.title}: for you alone, not to be published or passed on.")


def _refuse_folder(path: Path) -> None:
    from ..errors import InputError
    from ..kept import record_paths

    if path.is_dir():
        found = record_paths(path)
        some = f"name one of its records, e.g. {found[0]}" if found else "and there is no record in it"
        raise InputError(f"{path}: a folder, where a record is expected: {some}.")
