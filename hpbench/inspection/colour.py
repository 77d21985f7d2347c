"""RGB or BGR: the error with red and blue exchanged.

A model gets RGB.  A wrapper that does not turn it round for a network that learned on BGR costs a little, and is missed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..faces import Faces
from .contract import Check, Listener
from .crop_sensitivity import difference_text
from .responses import Response, responses_to
from .specimens import Image, Specimens, Yardstick, predicted

__all__ = ["COLOUR", "colour_check", "colour_responses"]

COLOUR = "colour"


def colour_responses(
    watch: Listener, specimens: Specimens, given: Faces, yardsticks: Sequence[Yardstick], batch_size: int
) -> list[Response]:
    """Scores with the colours as given (amount 0) and with red and blue exchanged (1)."""
    swapped = predicted(watch, specimens.samples, [_swapped(image) for image in specimens.images], batch_size)
    return [r for y in yardsticks for r in responses_to(y, given, COLOUR, [(1.0, swapped)], at=0.0)]


def colour_check(responses: Sequence[Response], metrics: Sequence[str]) -> Check:
    """What exchanged colours say, by the first metric of each kind."""
    told = [r for r in responses if r.change == COLOUR and r.amount == 1.0 and r.metric in metrics]
    if not told:
        return Check("colour order", "untold", "nothing is scored")
    said = "; ".join(f"{r.metric} {difference_text(r)}" for r in told)
    worse = any(r.difference_low is not None and r.difference_low > 0.0 for r in told)
    if any(r.better for r in told) and not worse:
        return Check("colour order", "note", f"the model seems to want BGR: with red and blue exchanged {said}")
    return Check("colour order", "ok", f"RGB {'fits' if worse else 'does no harm'}: with red and blue exchanged {said}")


def _swapped(image: Image) -> Image:
    return image if isinstance(image, InputError) else np.ascontiguousarray(image[..., ::-1])
