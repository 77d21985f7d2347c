"""The cumulative error curve (CED): the share of faces whose error is at most x.

Conventions
-----------
Errors and abscissae are percent of the norm, shares percent of the faces.  The curve is a step function, right-continuous:
it counts errors equal to x.  A failed face stays in the denominator (its error is the charge, or infinite): the curve of a
detector that drops hard faces ends below 100.  NaN = not labelled, left out.

Relations
---------
``100 - CED(t)`` is ``fr(above=t)`` and ``1/t`` times the area under the curve from 0 to t is ``auc(below=t)``, both exactly,
because they are means over faces and not sums over a grid.

Traps
-----
Curves of different norms are not comparable though they look alike (pupils against corners: 1.40 on 300W), and half a pixel
of origin moves the middle of a curve.  Interpolating between the steps, or a grid, moves the area.

Source: Sagonas et al., 300 Faces in-the-Wild Challenge, Image and Vision Computing 2016 (the curve with AUC and failures).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["cumulative_error_curve"]

Array = npt.NDArray[np.float64]


def cumulative_error_curve(errors_percent: npt.ArrayLike, at: npt.ArrayLike) -> Array:
    """Percentage of faces with an error of at most x.

    Parameters
    ----------
    errors_percent : (N,) array
        NaN = not labelled; infinite = failed and not charged.
    at : (K,) array
        The abscissae x, percent, in any order.

    Returns
    -------
    (K,) float64 array, percent; NaN where no face is labelled.
    """
    errors = np.asarray(errors_percent, dtype=np.float64)
    counted = np.sort(errors[~np.isnan(errors)])
    reached = np.searchsorted(counted, np.asarray(at, dtype=np.float64), side="right")
    return 100.0 * reached / len(counted) if len(counted) else np.full(reached.shape, np.nan)
