"""Options and small helpers that several commands share."""

from __future__ import annotations

import datetime
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import click

from ..predict import Progress

__all__ = [
    "TerminalProgress",
    "data_option",
    "eye_norms_option",
    "metric_option",
    "mix_schemes_option",
    "out_option",
    "print_json",
    "protocol_option",
    "ray_options",
    "remark",
    "terminal_width",
]

data_option = click.option(
    "--data", multiple=True, metavar="PATH", type=click.Path(path_type=Path),
    help="Folder or official archive of the dataset; repeats. Default: $HPBENCH_DATA/<dataset>.",
)  # fmt: skip
protocol_option = click.option("--protocol", multiple=True, metavar="P", help="Only this protocol, e.g. aflw2000/pose-1969; repeats.")
out_option = click.option(
    "-o",
    "--out",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Output folder. Default: hpbench-out/<model>/<dataset>.",
)
mix_schemes_option = click.option(
    "--mix-schemes", is_flag=True, help="Score landmarks of another scheme of equal length (noted in the record)."
)
metric_option = click.option(
    "--metric", "metrics", multiple=True, metavar="TEXT",
    help="Compute this too, e.g. 'mae(convention=300w-lp,formula=fold180)'; repeats (docs/protocols.md lists them).",
)  # fmt: skip
eye_norms_option = click.option(
    "--eye-norms", is_flag=True, help="Allow --metric with norm=corners or norm=pupils on a dataset with profile faces."
)


def ray_options(command: Any) -> Any:
    """``--ray`` and what its tasks take."""
    for option in (
        click.option("--ray-gpus", type=float, default=0.0, show_default=True, metavar="N", help="GPUs that a task takes; 0.5 shares one."),
        click.option("--ray-cpus", type=float, default=1.0, show_default=True, metavar="N", help="Processors that a task takes."),
        click.option("--ray", "ray_address", metavar="ADDRESS", help="Predict on a Ray cluster: auto, host:port, or local."),
    ):
        command = option(command)
    return command


def remark(text: str) -> None:
    """Say something that is no data."""
    click.echo(text, err=True)


def terminal_width() -> int:
    """How wide a table may be: the terminal, or what suits a file."""
    from ..report.tables import WIDTH

    return shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout is not None and sys.stdout.isatty() else WIDTH


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False))


_FIRST_LINE_S, _LINES_S = 60.0, 300.0  # after which a log has its first line, and each next one


class TerminalProgress(Progress):
    """A progress bar on a terminal; elsewhere, in a log, a line now and then (`hpbench.predict.Progress`)."""

    def __init__(self) -> None:
        self._bar: Any = None

    def start(self, done: int, total: int) -> None:
        if sys.stderr is not None and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, initial=done, unit="face", file=sys.stderr)
        self._first, self._done, self._total = done, done, total
        self._begun = time.monotonic()
        self._next = self._begun + _FIRST_LINE_S

    def advance(self, faces: int) -> None:
        self._done += faces
        if self._bar is not None:
            self._bar.update(faces)
        elif (now := time.monotonic()) >= self._next:
            self._next = now + _LINES_S
            rate = (self._done - self._first) / (now - self._begun)
            left = round((self._total - self._done) / rate)
            remark(f"{self._done:,} of {self._total:,} faces, {rate:.3g} faces/s, {datetime.timedelta(seconds=left)} left")

    def finish(self) -> None:
        if self._bar is not None:
            self._bar.close()
