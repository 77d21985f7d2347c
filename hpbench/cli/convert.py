"""hpbench convert"""

from __future__ import annotations

from pathlib import Path

import click

from .common import print_json, remark

__all__ = ["convert"]

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("file", metavar="FILE|FOLDER", type=_PATH)
@click.option("--from", "source", default="", metavar="FORMAT", help="One of the above. Default: guessed from the content.")
@click.option("-o", "--out", required=True, type=_PATH, metavar="FILE", help="The predictions: .h5, .npz, .csv or .jsonl.")
@click.option("-d", "--dataset", default="", help="Match names with this dataset's sample ids.")
@click.option("--data", multiple=True, type=_PATH, metavar="PATH", help="Its data, where it has no lists of ids; repeats.")
@click.option("--convention", default="", help="Euler convention of the angles, where the format has none.")
@click.option("--scheme", default="", help="Landmark scheme, where the format does not say.")
@click.option("--column", "columns", multiple=True, metavar="OURS=THEIRS", help="csv: e.g. yaw_deg=Yaw; repeats.")
@click.option("--radians", is_flag=True, help="csv: the angles are in radians.")
@click.option("--images", type=_PATH, metavar="FILE", help="coco: the label file that says which image an image_id is.")
@click.option("--pixel-origin", type=click.Choice(["0", "1"]), help="What the top-left pixel is called. Default: 1 for pts, else 0.")
@click.option("--boxes", default="", help="Declare the box set that the model was given.")
@click.option("--model", default="", help="Declare the model's name.")
@click.option("--allow-unmatched", is_flag=True, help="Leave out faces whose names match no sample id.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def convert(
    file: Path, source: str, out: Path, dataset: str, data: tuple[Path, ...], convention: str, scheme: str, columns: tuple[str, ...],
    radians: bool, images: Path | None, pixel_origin: str | None, boxes: str, model: str, allow_unmatched: bool, as_json: bool,
) -> None:  # fmt: skip
    """Other people's result files as predictions.

    \b
    hpbench convert results.txt -d aflw2000 -o predictions.h5
    hpbench convert openface/ -d 300w -o predictions.h5
    hpbench convert angles.csv --convention 300w-lp --column yaw_deg=Y -d aflw2000 -o predictions.csv

    \b
    images_framework  results.txt of images_framework, opal23_headpose
    openface          a table of OpenFace, or a folder of them
    3ddfa-v2          what 3DDFA_V2's demo prints with -o pose, or a folder of it
    spiga             SPIGA's results_*.json
    coco              COCO keypoint results
    pts               a folder of .pts files
    csv               a table with named columns
    hpbench           a prediction file of hpbench, to change its format or ids

    What is left out, guessed or taken for granted is told on stderr.
    """
    from .. import conversion
    from ..errors import InputError

    pairs = [text.partition("=") for text in columns]
    if bad := next(("".join(p) for p in pairs if not p[0] or not p[2]), ""):
        raise InputError(f"--column {bad!r}: write it as ours=theirs, e.g. yaw_deg=Yaw.")
    done = conversion.convert(
        file, out, source=source, dataset=dataset, data=data, convention=convention, scheme=scheme,
        columns={ours.strip(): theirs.strip() for ours, _, theirs in pairs}, radians=radians,
        pixel_origin=None if pixel_origin is None else int(pixel_origin), images=images, boxes=boxes, model=model,
        allow_unmatched=allow_unmatched,
    )  # fmt: skip
    target = " ".join([f"-d {dataset or 'DATASET'}", *(f"--data {path}" for path in data)])
    then = [f"hpbench {verb} {out} {target}" for verb in ("score", "doctor")]
    if as_json:
        faces = done.predictions.faces
        print_json({
            "schema": 1, "format": done.format, "guessed": done.guessed, "out": str(out), "faces": len(faces),
            "failed": 0 if faces.failure is None else sum(map(bool, faces.failure)),
            "convention": faces.convention, "scheme": faces.scheme, "told": list(done.told), "then": then,
        })  # fmt: skip
        return
    if done.guessed:
        remark(f"looks like {done.format}: {conversion.FORMATS[done.format].what} (--from says otherwise)")
    for text in done.told:
        remark(text)
    click.echo(f"{out}: {done.summary()}")
    remark(f"next: {then[0]}   (or {then[1]}, if the numbers look wrong)")
