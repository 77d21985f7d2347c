"""What may go wrong for a user, each with the exit code that the command line gives it.

Every message is one sentence that names the file, row or option concerned and guesses the mistake; the command line
prints it as it stands, without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["HpbenchError", "InputError", "MissingDataError", "RunStoppedError", "did_you_mean"]


class HpbenchError(Exception):
    """Base of every error that is the user's to mend."""

    exit_code = 2


class InputError(HpbenchError):
    """Bad usage or bad input: a file, row, option or name that cannot be understood (exit 2)."""


class MissingDataError(HpbenchError):
    """Data, weights or an optional package that is not there, or not what it must be (exit 3)."""

    exit_code = 3


class RunStoppedError(HpbenchError):
    """A run that was stopped on purpose, because too many faces failed (exit 2)."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End of an error sentence about an unknown name: the nearest known one, and all of them when they are few."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    if not names:
        return "there are none."
    listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"known are {listed}."
