"""Other people's result files as predictions."""

from .convert import Converted, convert
from .formats import FORMATS, guessed_format
from .matching import match_names

__all__ = ["FORMATS", "Converted", "convert", "guessed_format", "match_names"]
