"""hpbench pack; hpbench submissions check"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .common import print_json, remark

__all__ = ["pack", "submissions"]

_MOST_LINES = 40
_PATH = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("outputs", metavar="OUT...", nargs=-1, required=True, type=_PATH)
@click.option("-o", "--out", required=True, metavar="FILE.zip", type=_FILE, help="The archive to write.")
@click.option("--card", metavar="FILE", type=_FILE, help="The model's card.toml. Default: the catalog's, or a stub.")
def pack(outputs: tuple[Path, ...], out: Path, card: Path | None) -> None:
    """Pack what a model has reached for a submission: records, per-face errors, predictions, model card.

    OUT are output folders of one model; a prediction file that was scored elsewhere is named too.

    \b
    hpbench pack hpbench-out/my-model -o my-model.zip --card card.toml
    hpbench pack hpbench-out/my-model predictions.csv -o my-model.zip

    docs/submit.md says what becomes of it.
    """
    from .. import submissions as library

    manifest = library.pack(outputs, out, card=card, remark=remark)
    click.echo(f"{out}: {len(manifest.records)} records, {len(set(manifest.records.values()))} prediction files; {manifest.level}")


@click.group()
def submissions() -> None:
    """What others have packed."""


@submissions.command()
@click.argument("submission", metavar="FILE|FOLDER", type=_PATH)
@click.option(
    "--data", multiple=True, metavar="PATH", type=_PATH,
    help="Folder or archive of the datasets, or a folder with one for each; repeats. Default: $HPBENCH_DATA/<dataset>.",
)  # fmt: skip
@click.option("--ran", multiple=True, metavar="OUT", type=_PATH, help="Your own run of the same model, to compare; repeats.")
@click.option("--write", is_flag=True, help="Write level.json into the folder if nothing differs.")
@click.option("--json", "as_json", is_flag=True)
def check(submission: Path, data: tuple[Path, ...], ran: tuple[Path, ...], write: bool, as_json: bool) -> None:
    """Score a submission again, compare, and say which level it reaches: self-reported, re-scored, run here.

    Values may differ by a millionth, ends of intervals by a thousandth, a run of one's own (--ran) by a hundredth; hashes, counts and
    names not at all. Exit codes: 0 all scored again and nothing differs, 1 something differs, 2 it cannot be read or is not to be
    trusted, 3 nothing differs, but data to score some of it again is missing.
    """
    from ..submissions import check_submission

    found = check_submission(submission, data=data, ran=ran, write_level=write)
    for text in found.remarks:
        remark(f"{text}.")
    if as_json:
        from dataclasses import asdict

        print_json({**asdict(found), "ok": found.ok, "level": found.level})
    else:
        lines = found.lines()
        more = [f"... and {len(lines) - _MOST_LINES} more lines (--json has them all)"] if len(lines) > _MOST_LINES else []
        click.echo("\n".join([*lines[:-1][:_MOST_LINES], *more, lines[-1]]))
    sys.exit(found.exit_code)
