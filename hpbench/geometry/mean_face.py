"""An interim 3D mean face of 68 points, of our own making.

Conventions
-----------
Millimetres, in the head frame of `hpbench.geometry.camera`: x to the subject's left (image right for a frontal head),
y down, z into the head.  The origin is the midpoint between the eyes (an eye is the mean of its six points).  Points
are those of the ``ibug68`` schemes; the jaw is that of a frontal contour.

Provenance
----------
Built by hand from averages of adults in published anthropometry (the direct measurements of L. G. Farkas, Anthropometry
of the Head and Face, 1994, and of military surveys; women and men averaged, rounded to about a millimetre), as recalled
by its author; no data set, photograph or scan was used, and nothing was fitted.

==============================================  =======  ==============================================  =======
distance                                        mm       distance                                        mm
==============================================  =======  ==============================================  =======
pupil - pupil                                   63       mouth width (ch-ch)                             51
outer eye corners, biocular (ex-ex)             90       nose width at the outer nostrils (points)       30
inner eye corners, intercanthal (en-en)         33       nasion - subnasale (n-sn)                       51
face breadth at the jaw's upper end (0-16)      138      nasion - menton (n-gn)                          117
nose protrusion (sn-prn)                        20       upper end of the jaw behind the nose tip        100
==============================================  =======  ==============================================  =======

Where the table is silent (brows, lids, lips' relief, the jaw between ear and chin) the points follow the usual
proportions of drawing.  Interim: a better-founded face will replace it, and labels derived with it will say so.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from ..landmarks import SCHEMES

__all__ = ["MEAN_FACE_SHA256", "MEAN_FACE_VERSION", "mean_face_68", "mean_face_sha256"]

MEAN_FACE_VERSION = "interim-1"
# of the coordinates: labels derived with a version must not move, so other coordinates are another version
MEAN_FACE_SHA256 = "6332c98ba180b469a659646e684344837122a4da41a306c7b59e70a1c0a765b3"

# the subject's left half (x > 0 is given as such) and the midline: point -> x, y, z
_LEFT_HALF: dict[int, tuple[float, float, float]] = {
    # jaw: from the ear down to beside the chin
    16: (69.0, 4.0, 65.0), 15: (68.5, 24.0, 63.0), 14: (67.0, 43.0, 59.0), 13: (63.5, 61.0, 52.0),
    12: (57.0, 78.0, 41.0), 11: (47.0, 92.0, 27.0), 10: (34.0, 103.0, 13.0), 9: (18.0, 110.0, 1.0),
    # brow: from the nose outwards
    22: (12.0, -20.0, -14.0), 23: (23.0, -25.5, -13.0), 24: (35.0, -27.0, -9.5), 25: (46.5, -24.0, -3.0), 26: (56.0, -15.5, 7.0),
    # nostril
    35: (15.0, 42.0, -17.0), 34: (7.5, 45.0, -20.0),
    # eye: inner corner, upper lid, outer corner, lower lid
    42: (16.5, 1.5, -1.0), 43: (27.0, -4.5, -4.0), 44: (36.5, -5.0, -1.0),
    45: (45.0, -1.5, 9.0), 46: (36.5, 4.5, 0.0), 47: (27.0, 5.0, -3.0),
    # outer lips: corner, upper, lower
    54: (25.5, 67.0, -8.0), 53: (15.5, 62.5, -15.5), 52: (6.0, 59.5, -21.5), 55: (16.0, 73.5, -13.5), 56: (7.5, 77.0, -17.5),
    # inner lips
    64: (21.5, 67.5, -10.0), 63: (8.5, 66.5, -18.5), 65: (8.5, 68.5, -18.0),
}  # fmt: skip
_MIDLINE: dict[int, tuple[float, float]] = {
    8: (112.5, -6.0),  # menton
    27: (-4.5, -13.0), 28: (9.5, -20.0), 29: (23.0, -27.5), 30: (36.5, -35.0), 33: (46.5, -18.0),  # nasion ... tip, subnasale
    51: (61.0, -22.5), 57: (77.5, -18.5), 62: (67.0, -19.5), 66: (69.0, -18.5),  # lips
}  # fmt: skip


def mean_face_68() -> npt.NDArray[np.float64]:
    """The mean face, (68, 3) float64 in millimetres, exactly mirror symmetric in x (a new array at every call)."""
    points = np.full((68, 3), np.nan)
    for index, (y, z) in _MIDLINE.items():
        points[index] = 0.0, y, z
    for pair in SCHEMES["ibug68-fixed"].pairs:
        left, right = pair if pair[0] in _LEFT_HALF else pair[::-1]
        x, y, z = _LEFT_HALF[left]
        points[left], points[right] = (x, y, z), (-x, y, z)
    return points


def mean_face_sha256() -> str:
    """Hash of the mean face's coordinates as little-endian float64."""
    return hashlib.sha256(np.ascontiguousarray(mean_face_68(), dtype="<f8").tobytes()).hexdigest()
