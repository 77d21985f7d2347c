"""A third party's list of all 2,000 AFLW2000-3D labels, as truth: for golden numbers, where the .mat files cannot be had."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hpbench.faces import Faces
from hpbench.metrics.landmarks import landmark_box_xyxy_px


def opal23_truth(realdata: Path) -> Faces:
    """The rows of opal23_aflw2000_ann.txt (image;id;yaw;pitch;roll;68 x,y; shuffled) by sorted id; its yaw is minus Pose_Para's."""
    lines = (realdata / "aflw2000" / "annotations" / "opal23_aflw2000_ann.txt").read_text().splitlines()[1:]
    rows = sorted((line.split(";") for line in lines), key=lambda row: row[1])
    euler_deg = np.array([[float(v) for v in row[2:5]] for row in rows]) * [-1.0, 1.0, 1.0]
    landmarks = np.array([[float(v) for v in row[5:]] for row in rows]).reshape(-1, 68, 2)
    faces = Faces(
        sample_id=[row[1] for row in rows],
        euler_deg=euler_deg,
        convention="300w-lp",
        landmarks=landmarks,
        scheme="ibug68-fixed",
        attributes={"abs_yaw_deg": np.abs(euler_deg[:, 0])},
    )
    return Faces(**{**vars(faces), "box_xyxy_px": landmark_box_xyxy_px(faces)})
