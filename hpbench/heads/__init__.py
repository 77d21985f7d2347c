"""Rendered heads with exact labels: pose, camera, 68 points in two definitions, three-way visibility.

`Studio` makes picture number i of seed s; `Labels` is what is known of it.  People come from anny, rays from warp; both are
optional (``pip install 'hpbench[heads]'``) and imported when a studio is opened, not before.
"""

from __future__ import annotations

from .labels import Labels
from .studio import KINDS, Studio

__all__ = ["KINDS", "Labels", "Studio"]
