"""Labels and good predictions that tests of the doctor spoil."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from chance_faces import protocol_of
from scipy.spatial.transform import Rotation

from hpbench.doctor.examination import Examination, examine
from hpbench.faces import Faces
from hpbench.geometry.rotations import euler_from_rotation

POSE = protocol_of("geodesic")
POINTS = protocol_of("nme(norm=sqrt_wh)")
SEEN = protocol_of("roc_auc")


def labelled_pose(n: int = 120, seed: int = 1) -> Faces:
    """Heads that turn further than they tip, and face a little down."""
    rng = np.random.default_rng(seed)
    euler = rng.normal([0.0, -5.0, 0.0], [35.0, 15.0, 15.0], (n, 3)).clip(-85, 85)
    faces = Faces([f"f{i}" for i in range(n)], euler_deg=euler, convention="300w-lp")
    return Faces(faces.sample_id, rotation=faces.rotation, attributes={"abs_yaw_deg": np.abs(euler[:, 0])})


def turned(truth: Faces, degrees: float = 3.0, seed: int = 2) -> Faces:
    """Good predictions: the labels, turned at random by about so many degrees; angles in 300w-lp."""
    turn = Rotation.from_rotvec(np.deg2rad(np.random.default_rng(seed).normal(0, degrees / np.sqrt(3), (len(truth), 3)))).as_matrix()
    return Faces(truth.sample_id, euler_deg=euler_from_rotation(truth.rotation @ turn, "300w-lp"), convention="300w-lp")


def angles(faces: Faces, euler_deg: np.ndarray, convention: str = "300w-lp") -> Faces:
    return Faces(faces.sample_id, euler_deg=euler_deg, convention=convention)


def labelled_points(n: int = 80, seed: int = 3) -> Faces:
    """Faces of 60 to 300 px anywhere in images of 1200 x 900: an outline, and points within, turned and bent a little each."""
    rng = np.random.default_rng(seed)
    outline = np.stack([np.linspace(-100, 100, 17), 120 * np.sin(np.linspace(0, np.pi, 17))], axis=1)
    face = np.concatenate([outline, np.random.default_rng(0).uniform(-70, 70, (51, 2))])
    tilt = rng.normal(0, 0.25, n)
    turn = np.stack([np.stack([np.cos(tilt), -np.sin(tilt)], 1), np.stack([np.sin(tilt), np.cos(tilt)], 1)], 1)
    bent = (face + rng.normal(0, 4, (n, 68, 2))) * rng.uniform([0.6, 0.9], [1.0, 1.1], (n, 1, 2))
    points = rng.uniform([200, 200], [1000, 700], (n, 1, 2)) + rng.uniform(0.3, 1.5, (n, 1, 1)) * bent @ turn
    attributes = {"abs_yaw_deg": rng.uniform(0, 60, n)}
    faces = Faces([f"f{i}" for i in range(n)], landmarks=points, scheme="ibug68-fixed", attributes=attributes)
    return replace(faces, box_xyxy_px=boxes_of(faces))


def boxes_of(truth: Faces) -> np.ndarray:
    return np.concatenate([truth.landmarks.min(axis=1), truth.landmarks.max(axis=1)], axis=1)


def moved(truth: Faces, share: float = 0.03, seed: int = 4) -> np.ndarray:
    """Good points: the labels, moved by about this share of the face."""
    size = np.sqrt(np.ptp(truth.landmarks, axis=1).prod(axis=1))[:, None, None]
    return truth.landmarks + size * np.random.default_rng(seed).normal(0, share, truth.landmarks.shape)


def points(truth: Faces, landmarks: np.ndarray) -> Faces:
    return Faces(truth.sample_id, landmarks=landmarks, scheme=truth.scheme)


def of_pose(truth: Faces, predictions: Faces, **changes: object) -> Examination:
    return examine("pose", POSE, truth, predictions, **changes)[0]  # type: ignore[arg-type]


def of_points(truth: Faces, landmarks: np.ndarray, *, sizes: bool = False) -> Examination:
    known = (lambda ids: np.tile([1200.0, 900.0], (len(ids), 1))) if sizes else None
    return examine("landmarks", POINTS, truth, points(truth, landmarks), image_sizes=known)[0]


def names(found: Examination) -> set[str]:
    """What is named, and what is said to come to the same."""
    return set() if found.explanation is None else {" and ".join(found.explanation.causes), *found.explanation.equivalents}
