"""What kind of error it is: unranked numbers that stand beside the scores of a record."""

from __future__ import annotations

import numpy as np

from .faces import Faces
from .geometry.alignment import rotation_offset
from .geometry.rotations import euler_from_rotation, geodesic_deg
from .metrics.visibility import occlusion_kinds

__all__ = ["occlusion_diagnostics", "pose_diagnostics"]


def pose_diagnostics(truth: Faces, prediction: Faces, convention: str) -> dict[str, float]:
    """The mean rotation from labels to predictions: a constant offset is a matter of frames, not of skill.

    Returns
    -------
    dict
        ``mean_offset_deg`` and its ``mean_offset_yaw_deg``, ``..._pitch_deg``, ``..._roll_deg`` in the convention; empty
        where no face has both poses.
    """
    if truth.rotation is None or prediction.rotation is None:
        return {}
    offset = rotation_offset(prediction.rotation, truth.rotation)
    if offset is None:
        return {}
    angles = euler_from_rotation(offset[None], convention)[0]
    parts = {f"mean_offset_{name}_deg": float(a) for name, a in zip(("yaw", "pitch", "roll"), angles, strict=True)}
    return {"mean_offset_deg": float(geodesic_deg(offset[None], np.eye(3)[None])[0]), **parts}


def occlusion_diagnostics(truth: Faces) -> dict[str, float]:
    """``decisions``: how many points have a visibility label; ``occluded_percent``: the prevalence, the precision of a guess."""
    kinds = occlusion_kinds(truth)
    labelled = int((kinds != 3).sum())
    return (
        {"decisions": float(labelled), "occluded_percent": 100.0 * int(((kinds == 1) | (kinds == 2)).sum()) / labelled} if labelled else {}
    )
