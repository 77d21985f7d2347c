"""The command line: commands parse, call one function of the library, print.

Data goes to stdout, remarks and progress to stderr.  Exit codes: 0 ok, 1 a check failed, 2 bad usage or input, 3 data or
weights missing, 130 interrupted.  Every command lies in its own small module and is imported when asked for.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module

import click

from .. import __version__
from ..deadline import has_left_behind
from ..errors import HpbenchError

__all__ = ["cli", "main"]

_COMMANDS = {  # name -> (module, one line of help): the help page imports nothing
    "run": ("run", "Run a model over a dataset and score it."),
    "merge": ("merge", "Join the shares of a run and score it."),
    "sweep": ("sweep", "Several models over several datasets."),
    "score": ("score", "Score a prediction file."),
    "convert": ("convert", "Other people's result files as predictions."),
    "validate": ("validate", "All that is wrong with a file, at once."),
    "selfcheck": ("selfcheck", "Whether this installation scores right."),
    "leaderboard": ("leaderboard", "Rank records on boards."),
    "compare": ("compare", "Compare two records face by face."),
    "gate": ("gate", "Fail if records are worse than a reference."),
    "report": ("report", "Boards, figures and published values as pages or a site."),
    "look": ("look", "Draw a model's predictions on your own pictures."),
    "gallery": ("gallery", "Draw the faces that a model did worst on."),
    "bench": ("bench", "How fast a model is on this machine."),
    "datasets": ("datasets", "The datasets: list, show, check."),
    "models": ("models", "The models: list, show, check, export."),
    "protocols": ("protocols", "The protocols: list, show."),
    "render": ("render", "Render heads: faces with exact labels."),
    "train": ("train", "Train a model."),
    "pack": ("pack", "Pack results for a submission."),
    "submissions": ("pack", "Submissions: check."),
    "rescore": ("rescore", "Score kept predictions by the present protocols."),
    "doctor": ("doctor", "Which mistake explains bad predictions."),
    "explain": ("explain", "Why two numbers differ, step by step."),
    "sensitivity": ("sensitivity", "How far the choice of protocol moves a score."),
    "cite": ("cite", "BibTeX for what a result rests on."),
    "reproduce": ("reproduce", "Do a paper again: train, test, compare."),
}


class _Commands(click.Group):
    """A group whose commands are imported when used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        return getattr(import_module(f".{_COMMANDS[name][0]}", __name__), name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from ..errors import did_you_mean

            raise click.UsageError(f"no such command {args[0]!r}: {did_you_mean(args[0], _COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="hpbench")
def cli() -> None:
    """Numbers you can trust for head pose, facial landmarks and landmark visibility.

    \b
    hpbench run --model MODEL --dataset aflw2000 --data FOLDER
    hpbench leaderboard hpbench-out --dataset aflw2000
    """


def main() -> None:
    """Entry point: errors of the user are one sentence on stderr, never a traceback."""
    try:
        code = cli.main(prog_name="hpbench", standalone_mode=False)
    except HpbenchError as error:
        click.echo(f"hpbench: {error}", err=True)
        code = error.exit_code
    except click.exceptions.Abort:
        code = _interrupted()
    except KeyboardInterrupt:
        code = _interrupted()
    except click.ClickException as error:
        error.show()
        code = 2
    except (OSError, UnicodeError) as error:  # a name that is too long, a full disk: what no command foresaw
        if isinstance(error, BrokenPipeError):
            code = _reader_gone()
        else:
            click.echo(f"hpbench: {error}.", err=True)
            code = 2
    code = code if isinstance(code, int) else 0
    if has_left_behind():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _reader_gone() -> int:
    """The reader of our output went away, as `| head` does: no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _interrupted() -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # once more, and we end as we are
    click.echo("\nhpbench: interrupted. A run keeps its finished parts: the same command goes on from there.", err=True)
    return 130
