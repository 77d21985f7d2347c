"""Prediction files: the first public boundary.  Anybody may enter here, from any framework and language."""

from .formats import SUFFIXES, read_predictions, write_predictions
from .joining import join_predictions
from .schema import Predictions

__all__ = ["SUFFIXES", "Predictions", "join_predictions", "read_predictions", "write_predictions"]
