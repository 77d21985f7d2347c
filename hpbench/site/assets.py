"""Templates, style and script; every page carries all that it needs, and says that it needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["environment", "page_name", "safe_url", "slug", "work_url"]

_TEMPLATES = Path(__file__).with_name("templates")


def environment() -> Environment:
    """Templates that escape every value; ``csp`` allows the one style and the one script by their hashes, and nothing from elsewhere."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    style, script = (_TEMPLATES.joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "site.js"))
    policy = (
        f"default-src 'none'; img-src 'self' data:; style-src {_source(style)}; script-src {_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    found = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.globals |= {"style": Markup(style), "script": Markup(script), "csp": policy}
    return found


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def safe_url(text: str) -> str:
    """An address that a link may have: http or https with a host; "" for anything else, ``javascript:`` above all."""
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return ""
    return parts.geturl() if parts.scheme in ("http", "https") and parts.netloc and text.isprintable() else ""


def work_url(url: str, arxiv: str, doi: str) -> str:
    """Where a work is: its own address, else arXiv, else its DOI."""
    elsewhere = f"https://arxiv.org/abs/{quote(arxiv)}" if arxiv else f"https://doi.org/{quote(doi)}" if doi else ""
    return safe_url(url) or elsewhere


def page_name(reference: str) -> str:
    """``aflw2000/pose-1969@1`` -> ``aflw2000.pose-1969.1``."""
    return re.sub(r"[^A-Za-z0-9-]+", ".", reference)


def slug(text: str) -> str:
    """A title as part of a file name, the same on systems that do not tell capitals from small letters."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:60].strip("-") or "model"
