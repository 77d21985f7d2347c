"""hpbench report"""

from __future__ import annotations

from pathlib import Path

import click

from .common import remark

__all__ = ["report"]

_MOST_REMARKS = 8


@click.command()
@click.argument("records", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of pages and figures.  [default: reports]")
@click.option("--site", type=click.Path(path_type=Path, file_okay=False), help="Write a static site into this folder instead.")
@click.option("-d", "--dataset", default="", help="Only this dataset.")
@click.option("--published/--no-published", default=True, help="Published values and curves beside the measured ones.  [default: with]")
@click.option("--figures", "suffix", type=click.Choice(["svg", "png", "pdf"]), default="svg", show_default=True, help="Of what format.")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the folder is not what would be written.")
def report(records: tuple[Path, ...], out: Path | None, site: Path | None, dataset: str, published: bool, suffix: str, check: bool) -> None:
    """Write reports of records (files, or folders searched for them): boards, who leads, published values, figures.

    Without RECORDS: of those shipped in baselines/*/results. Nothing is fetched and nothing sent. Figures against yaw need the labels:
    the dataset in $HPBENCH_DATA.

    \b
    hpbench report hpbench-out -o my-report
    hpbench report hpbench-out --site my-site
    """
    from ..catalog.published import published_curves, published_rows
    from ..errors import InputError
    from ..leaderboard import collect_found
    from ..report.folder import report_of
    from ..speed import collect_speeds

    if site is not None and (out is not None or check):
        raise click.UsageError("--site writes a site, --out and --check are of the markdown pages: take one.")
    found, remarks = collect_found(records)
    if site is not None:
        from ..site import write_site

        written, more = write_site(found, site, dataset=dataset, published=published)
        _tell([*remarks, *more])
        if written == ["index.html"]:
            raise InputError(f"there is no record{f' of {dataset}' if dataset else ''} to show: give files or folders of records.")
        remark(f"{len(written)} files written to {site}: open {site / 'index.html'}")
        return
    rows, curves = (published_rows(), published_curves()) if published else ((), ())
    speeds, odd = collect_speeds(records) if not dataset else ([], [])
    built = report_of(found, dataset=dataset, published=rows, curves=curves, speeds=speeds, suffix=suffix)  # type: ignore[arg-type]
    _tell([*remarks, *odd, *built.remarks])
    folder = out or Path("reports")
    if not check:
        changed = built.write(folder)
        remark(f"{len(changed)} files changed in {folder}, of {len(built.pages)} pages and {len(built.pictures)} figures")
    elif changed := built.differences(folder):
        raise SystemExit(_told_stale(folder, changed))


def _tell(remarks: list[str]) -> None:
    for text in remarks[:_MOST_REMARKS]:
        remark(text)
    if len(remarks) > _MOST_REMARKS:
        remark(f"... and {len(remarks) - _MOST_REMARKS} more remarks")


def _told_stale(folder: Path, changed: list[str]) -> int:
    shown = ", ".join(changed[:_MOST_REMARKS]) + (f" and {len(changed) - _MOST_REMARKS} more" if len(changed) > _MOST_REMARKS else "")
    remark(f"hpbench: {folder} is not up to date: {shown}; run `hpbench report` again.")
    return 1
