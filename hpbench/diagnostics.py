"""What kind of error it is: unranked numbers that stand beside the scores of a record."""

from __future__ import annotations

import numpy as np

from .faces import Faces
from .geometry.alignment import rotation_offset_of
from .geometry.rotations import euler_from_rotation, geodesic_deg
from .metrics.matched import row_blocks
from .metrics.visibility import occlusion_kinds
from .obstacles import tells_kinds_apart

__all__ = ["occlusion_diagnostics", "pose_diagnostics"]


def pose_diagnostics(truth: Faces, prediction: Faces, convention: str) -> dict[str, float]:
    """The mean rotation from labels to predictions, before any alignment: a constant offset is a matter of frames, not of skill.

    Parameters
    ----------
    truth, prediction : Faces
        Rows matched.
    convention : str
        Of the angles of the offset.  For heads that face the camera these are what the predicted angles have too much: 5 degrees
        of yaw too much everywhere are ``mean_offset_yaw_deg`` of about 5.

    Returns
    -------
    dict
        ``mean_offset_deg`` and its ``mean_offset_yaw_deg``, ``..._pitch_deg``, ``..._roll_deg`` in the convention; empty
        where no face has both poses less than 90 degrees apart (`hpbench.geometry.alignment.rotation_offset`).
    """
    if not (truth.has_rotation and prediction.has_rotation):
        return {}
    blocks = row_blocks(len(truth), 9)
    offset = rotation_offset_of((prediction.rotation_of(rows), truth.rotation_of(rows)) for rows in blocks)  # type: ignore[misc]
    if offset is None:
        return {}
    angles = euler_from_rotation(offset[None], convention)[0]
    parts = {f"mean_offset_{name}_deg": float(a) for name, a in zip(("yaw", "pitch", "roll"), angles, strict=True)}
    return {"mean_offset_deg": float(geodesic_deg(offset[None], np.eye(3)[None])[0]), **parts}


def occlusion_diagnostics(truth: Faces) -> dict[str, float]:
    """How many points are labelled occluded: the precision of a guess.

    Returns
    -------
    dict
        ``decisions``: the points with a visibility label; ``occluded_percent`` of them.  Where the labels tell the two kinds of
        occlusion apart, ``external_percent`` and ``self_percent``: the prevalence in the view of one kind, the other left out.
        Empty where nothing is labelled.
    """
    visible, external, itself = np.bincount(occlusion_kinds(truth).ravel(), minlength=4)[:3].tolist()
    occluded = external + itself
    if not visible + occluded:
        return {}
    found = {"decisions": float(visible + occluded), "occluded_percent": 100.0 * occluded / (visible + occluded)}
    if tells_kinds_apart(truth):
        kinds = {"external": external, "self": itself}
        found |= {f"{view}_percent": 100.0 * count / (visible + count) for view, count in kinds.items() if visible + count}
    return found
