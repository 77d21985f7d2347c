"""A model looked at: whether it keeps the interface's contract, which colours it wants, and how much its crop matters.

Contract checks fail or pass (`contract`).  Colour order (`colour`) and the answers to boxes that are moved or of another size
(`crop_sensitivity`) are findings: a model may be sensitive and right.
"""

from .check import GIVEN_FACES, Inspection, inspect_model
from .contract import Check
from .responses import Response

__all__ = ["GIVEN_FACES", "Check", "Inspection", "Response", "inspect_model"]
