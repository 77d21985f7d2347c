"""Truth and predictions of the same faces, and what several metrics need of them.

NME, AUC and failure rate under every norm need the same distances of a million points; the errors of yaw, pitch, roll and
their mean need the same angles.  A metric asks its pair for such a quantity and the pair computes it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..faces import Faces

__all__ = ["Matched", "row_blocks"]

Array = npt.NDArray[np.float64]

_NUMBERS_IN_CACHE = 1 << 16  # of one temporary array: 512 KiB


@dataclass(frozen=True, eq=False)
class Matched:
    """Truth and predictions of N faces, row by row.

    Attributes
    ----------
    truth, prediction : Faces
    norm_box_xyxy_px : (N, 4) array or None
        The box whose size normalises landmark errors.
    """

    truth: Faces
    prediction: Faces
    norm_box_xyxy_px: Array | None = None
    _found: dict[tuple[Any, ...], Array] = field(init=False, repr=False, default_factory=dict)

    def __len__(self) -> int:
        return len(self.truth)

    def once(self, compute: Callable[..., Array], **parameters: Any) -> Array:
        """``compute(self, **parameters)``, computed when it is first asked for; read-only, as it is shared."""
        key = (compute, *sorted(parameters.items()))
        if key not in self._found:
            self._found[key] = compute(self, **parameters)
            self._found[key].flags.writeable = False
        return self._found[key]


def row_blocks(n: int, numbers_in_row: int) -> Iterator[slice]:
    """Slices that cover n rows, each short enough for temporary arrays of it to stay in the processor's cache."""
    step = max(1, _NUMBERS_IN_CACHE // numbers_in_row)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))
