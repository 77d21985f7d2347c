"""Boards: records ranked by what was measured, published values beside them, and what the order is worth."""

from ..beside import FoundRecord, collect_found, collect_records
from .build import boards
from .model import Board, Gap, Lead, PublishedEntry, PublishedLine, Row, Speed, decimals_of, find_score
from .overview import Grid, OverviewLine, grid, overview
from .speeds import speed_of

__all__ = [
    "Board",
    "FoundRecord",
    "Gap",
    "Grid",
    "Lead",
    "OverviewLine",
    "PublishedEntry",
    "PublishedLine",
    "Row",
    "Speed",
    "boards",
    "collect_found",
    "collect_records",
    "decimals_of",
    "find_score",
    "grid",
    "overview",
    "speed_of",
]
