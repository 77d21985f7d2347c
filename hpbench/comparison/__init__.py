"""Two records on the same faces: what differs and by how much; gates, which make a decision of it."""

from .differences import compare
from .gate import POLICIES, Check, GateResult, Policy, gate
from .model import Comparison, Coverage, FaceChange, FaceValues, MetricDifference, Speed, SubsetDifference
from .pairs import Pair, Pairs, Side, pairs_of
from .rules import Amount, Rule, parse_amount, parse_rule

__all__ = [
    "POLICIES",
    "Amount",
    "Check",
    "Comparison",
    "Coverage",
    "FaceChange",
    "FaceValues",
    "GateResult",
    "MetricDifference",
    "Pair",
    "Pairs",
    "Policy",
    "Rule",
    "Side",
    "Speed",
    "SubsetDifference",
    "compare",
    "gate",
    "pairs_of",
    "parse_amount",
    "parse_rule",
]
