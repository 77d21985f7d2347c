"""Metrics: a text such as ``nme(norm=height)`` is a metric's whole identity, in code, files, tables and commands."""

from .grammar import Metric, parse_metric
from .table import METRICS, Family, Parameter

__all__ = ["METRICS", "Family", "Metric", "Parameter", "parse_metric"]
