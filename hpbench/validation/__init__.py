"""Everything that is wrong with a file, at once."""

from .files import FileCheck, validate
from .problems import Problem

__all__ = ["FileCheck", "Problem", "validate"]
