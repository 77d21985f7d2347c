"""Landmarks that are off by one pixel, or by half of one: another origin of the pixels.

A pixel is little beside the errors of most models, so no share of the error tells it.  What tells it: the mean residual is the same
whole (or half) pixel in x and in y and for small and large faces.  A model's bias grows with the face.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .causes import Cause
from .points import Labelled

__all__ = ["pixel_offset"]

Array = npt.NDArray[np.float64]

_FEWEST = 50  # faces
_AWAY = 0.25  # from the whole or half pixel, as a share of it
_SURE, _SURE_APART = 5.0, 3.0  # standard errors from 0: of the mean residual, and of what of it does not grow with the face
_SIZES = {1.0: ("1 pixel", "pixels counted from 1"), 0.5: ("half a pixel", "pixel corners taken for pixel centres, or the reverse")}


def pixel_offset(points: Array, labels: Labelled) -> tuple[Cause, float] | None:
    """The offset of the pixels' origin that (n, L, 2) predicted points have and the p of there being none; None where there is none."""
    from scipy.special import stdtr

    residual, size = points - labels.points, labels.size_px
    known = np.asarray(~np.isnan(residual).any(axis=2))
    n_known = known.sum(axis=1)
    with np.errstate(invalid="ignore"):
        mean = np.where(known[..., None], residual, 0.0).sum(axis=1) / n_known[:, None]
    apart = np.linalg.norm(mean, axis=1) / size
    used = n_known >= 3
    used &= apart <= 4.0 * np.median(apart[used]) if used.any() else used
    if used.sum() < _FEWEST:
        return None
    mean, size = mean[used], size[used]
    plain, plain_error = _fitted(np.ones((len(size), 1)), mean, size)
    found, error = _fitted(np.stack([np.ones(len(size)), size], axis=1), mean, size)  # an offset, and a bias that grows with the face
    for share, (name, what) in _SIZES.items():
        for sign in (1.0, -1.0):
            offset = sign * share
            near = (np.abs(plain - offset) <= _AWAY * share).all()
            near &= (np.abs(found - offset) <= np.maximum(_AWAY * share, 2.0 * error)).all()
            if near and (plain * sign / plain_error).min() >= _SURE and (found * sign / error).min() >= _SURE_APART:
                p = 4.0 * float(stdtr(len(mean) - 2, -(plain * sign / plain_error).min()))  # four offsets are tried
                where, how = ("right and down", f"subtract {share:g} from") if sign > 0 else ("left and up", f"add {share:g} to")
                says, mend = f"all points are {name} too far {where}: {what}", f"{how} x and y: (0, 0) is the centre of the top-left pixel"
                return Cause(f"pixels off by {offset:+g}", "origin", says, mend, _moved_by(-offset)), p
    return None


def _moved_by(offset: float) -> Any:
    return lambda s, labels, p: s + offset


def _fitted(design: Array, mean: Array, size: Array) -> tuple[Array, Array]:
    """The first coefficient of x and y, (2,), and its standard error, by least squares; a small face's pixels count for more."""
    weight = 1.0 / size**2
    weighted = design * weight[:, None]
    inverse = np.linalg.pinv(design.T @ weighted)
    coefficient = inverse @ weighted.T @ mean
    left = mean - design @ coefficient
    errors = [np.sqrt((inverse @ ((weighted.T * left[:, k] ** 2) @ weighted) @ inverse)[0, 0]) for k in (0, 1)]
    return coefficient[0], np.array(errors)
