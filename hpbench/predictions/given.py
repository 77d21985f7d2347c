"""Prediction files that a user names on the command line: somebody else may have made, or damaged, them."""

from __future__ import annotations

from pathlib import Path

from ..untrusted import check_hdf5
from .formats import read_predictions
from .schema import Predictions

__all__ = ["check_given", "read_given_predictions"]


def check_given(*paths: Path) -> None:
    """Refuse an .h5 that would end this process (`hpbench.untrusted.check_hdf5`), for a third of a second, however many there are."""
    if suspects := [path for path in paths if path.suffix.lower() in (".h5", ".hdf5") and path.is_file()]:
        check_hdf5(*suspects)


def read_given_predictions(path: str | Path) -> Predictions:
    """As `read_predictions`, of a file that `check_given` lets pass.

    Raises
    ------
    InputError
        As `read_predictions`, and for an .h5 that no process survives.
    """
    check_given(Path(path))
    return read_predictions(path)
