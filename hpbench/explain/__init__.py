"""Why two numbers differ: what differs between them, and what each difference moves, by scoring one step at a time."""

from .ends import End, end_of, predictions_named
from .explanation import Explanation, explain
from .walk import Step

__all__ = ["End", "Explanation", "Step", "end_of", "explain", "predictions_named"]
