"""What may go wrong for a user, each with the exit code that the command line gives it.

Every message is one sentence that names the file, row or option concerned and guesses the mistake; the command line
prints it as it stands, without a traceback.  A reader that knows of more says them all: the first is the message, and
`hpbench validate` shows the others.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = ["HpbenchError", "InputError", "MissingDataError", "RunStoppedError", "collecting", "did_you_mean"]


class HpbenchError(Exception):
    """Base of every error that is the user's to mend: one sentence, or all that is wrong, of which the first is the message."""

    exit_code = 2

    def __str__(self) -> str:
        return _shown(self.args[0]) if self.args else ""

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(map(_shown, self.args))


class InputError(HpbenchError):
    """Bad usage or bad input: a file, row, option or name that cannot be understood (exit 2)."""


class MissingDataError(HpbenchError):
    """Data, weights or an optional package that is not there, or not what it must be (exit 3)."""

    exit_code = 3


class RunStoppedError(HpbenchError):
    """A run that was stopped on purpose, because too many faces failed or the model is gone (exit 2)."""


@contextmanager
def collecting(sentences: list[str]) -> Iterator[None]:
    """Put the sentences of an `InputError` of the block into a list instead of raising it."""
    try:
        yield
    except InputError as error:
        sentences += error.sentences


_LONGEST_NAME = 100  # characters that are compared: the time grows with their square
_MAX_SENTENCE = 8000  # characters; a path may have 4096, how to obtain a dataset takes some 1500


def _shown(sentence: object) -> str:
    """A sentence as it may be printed: what a file holds can neither steer a terminal nor fill it."""
    text = str(sentence)
    if len(text) > _MAX_SENTENCE:
        text = f"{text[: _MAX_SENTENCE - 600]} [...] {text[-500:]}"
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End of an error sentence about an unknown name: the nearest known one, and all of them when they are few."""
    names = sorted(known)
    if (near := _nearest(name, names)) is not None:
        return f"did you mean {near!r}?"
    if not names:
        return "there are none."
    listed = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return f"known are {listed}."


def _nearest(name: str, names: list[str]) -> str | None:
    """The name that begins like this one, else the fewest slips of the keyboard away; None where all are far: better than a wild guess."""
    wanted, found = _plain(name[:_LONGEST_NAME]), []
    for other in names:
        there = _plain(other[:_LONGEST_NAME])
        begun = min(len(wanted), len(there)) >= 3 and (there.startswith(wanted) or wanted.startswith(there))
        alike = difflib.SequenceMatcher(None, wanted, there).ratio()
        slips = _slips(wanted, there)
        if begun or (alike >= 0.5 and slips <= 0.6 * max(len(wanted), len(there))):
            found.append((not begun, slips, -alike, other))
    return min(found)[-1] if found else None


def _plain(name: str) -> str:
    return re.sub(r"[\s_+-]", "", name.casefold())


def _slips(a: str, b: str) -> int:
    """Letters to insert, remove, change, or swap with their neighbour (optimal string alignment): difflib knows no swap."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            least = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            swapped = i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y
            row.append(min(least, before[j - 2] + 1) if swapped else least)
        before, last = last, row
    return last[-1]
