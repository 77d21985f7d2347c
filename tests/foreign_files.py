"""Result files as other tools write them, of faces that tests make up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

Array = npt.NDArray[np.float64]

TOWARDS_VIEWER = np.diag([1.0, 1.0, -1.0])  # images_framework: z out of the picture
UPWARDS = np.diag([1.0, -1.0, -1.0])  # 3DDFA_V2: y up as well


def some_rotations(n: int, seed: int = 0) -> Array:
    """Canonical rotations of heads, away from gimbal lock."""
    return Rotation.from_euler("YXZ", np.random.default_rng(seed).uniform(-60, 60, (n, 3)), degrees=True).as_matrix()


def some_points(n: int, points: int = 68, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(10, 400, (n, points, 2))


def openface_table(rotation: Array, points: Array, *, failed: tuple[int, ...] = (), frames: bool = True) -> str:
    """FeatureExtraction's table (`frames`), or FaceLandmarkImg's, a row a face."""
    radians = Rotation.from_matrix(rotation).as_euler("XYZ")
    head = ["frame", "face_id", "timestamp", "confidence", "success"] if frames else ["face", "confidence"]
    names = [*head, "gaze_0_x", "gaze_0_y", "pose_Tx", "pose_Rx", "pose_Ry", "pose_Rz"]
    names += [f"x_{i}" for i in range(68)] + [f"y_{i}" for i in range(68)] + ["X_0", "p_rx", "AU01_r", "AU01_c"]
    lines = [", ".join(names)]
    for i, (turn, face) in enumerate(zip(radians, points, strict=True)):
        ok = i not in failed
        start = [i + 1, 0, 0.04 * i, 0.98 if ok else 0.02, int(ok)] if frames else [i, 0.9 - 0.1 * i]
        values = [*start, 0.1, 0.2, 5.0, *turn, *face[:, 0], *face[:, 1], 1.0, 0.5, 2.0, 1]
        lines.append(", ".join(map(repr, map(float, values))) if not frames else ", ".join(map(str, values)))
    return "\n".join(lines) + "\n"


def framework_line(
    name: str, rotation: Array, landmarks: dict[int, tuple[float, float, bool]], *, tile: bool = True, faces: int = 1
) -> str:
    """A line of images_framework's results.txt: one label, and `faces` predictions."""
    points = "".join(f";{i};{float(x)!r};{float(y)!r};{seen};1.0" for i, (x, y, seen) in landmarks.items())
    turned = (TOWARDS_VIEWER @ rotation @ TOWARDS_VIEWER).tolist()
    label = f";-1;(1, 2, 3, 4);{np.eye(3).tolist()};0"
    predicted = f";-1;(1, 2, 3, 4);{turned};{len(landmarks)}{points}"
    return f"3;{name}{';[0, 0, 450, 450]' if tile else ''};1;{faces}{label}{predicted * faces}\n"


def tddfa_line(rotation: Array, decimals: int = 1) -> str:
    """yaw, pitch, roll as 3DDFA_V2 takes them from its matrix."""
    m = UPWARDS @ rotation @ UPWARDS
    yaw, pitch, roll = np.rad2deg([np.arcsin(m[2, 0]), np.arctan2(m[2, 1], m[2, 2]), np.arctan2(m[1, 0], m[0, 0])])
    return f"yaw: {yaw:.{decimals}f}, pitch: {pitch:.{decimals}f}, roll: {roll:.{decimals}f}\n"


def put_json(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value))
    return path
