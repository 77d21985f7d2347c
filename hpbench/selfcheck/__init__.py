"""Whether this installation scores right: laws that hold for every data set, and the installation itself."""

from .laws import Check
from .run import selfcheck

__all__ = ["Check", "selfcheck"]
