"""Boards as a static site: pages that need no server, no network and no script to be read."""

from .write import write_site

__all__ = ["write_site"]
