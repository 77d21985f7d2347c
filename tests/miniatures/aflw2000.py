"""A miniature of AFLW2000-3D: cartoon heads in exactly the official format, and a private catalog for them.

``python tests/miniatures/aflw2000.py OUT --count 48 --seed 1`` draws OUT/faces (images and labels) and OUT/catalog, so that
with ``HPBENCH_CATALOG=OUT/catalog`` the dataset ``miniature`` lies in ``--data OUT/faces``.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import scipy.io

from hpbench.geometry.mean_face import mean_face_68
from hpbench.geometry.rotations import rotation_from_euler

if __package__:
    from .cartoon import SIZE_PX, Look, draw_head
else:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from cartoon import SIZE_PX, Look, draw_head  # type: ignore[no-redef]

__all__ = ["draw_aflw2000", "draw_catalog", "draw_one", "miniature_ids"]

# the 21 points of AFLW (brows, eyes, ears, nose, mouth, chin) among the 68, each the mean of these
AFLW21 = (
    (17,), (19,), (21,), (22,), (24,), (26,), (36,), (36, 37, 38, 39, 40, 41), (39,), (42,), (42, 43, 44, 45, 46, 47), (45,),
    (0,), (31,), (30,), (35,), (16,), (48,), (51, 57), (54,), (8,),
)  # fmt: skip
MAT_HEADER = b"MATLAB 5.0 MAT-file, drawn by hpbench's tests".ljust(116)  # SciPy writes the time of day there


def miniature_ids(count: int) -> list[str]:
    """``image00001`` ... as AFLW2000-3D names its files, sorted."""
    return [f"image{n:05d}" for n in range(1, count + 1)]


def draw_aflw2000(folder: Path, count: int, seed: int, ids: list[str] | None = None) -> None:
    """Draw ``imageNNNNN.jpg`` (450 x 450) and ``imageNNNNN.mat`` for `count` heads; the same bytes for the same seed.

    Yaw is spread evenly over its strata (about six in ten below 30 degrees, one in ten above 60) up to 75 degrees, pitch
    up to 30 and roll up to 40.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    count : int
    seed : int
    ids : list of str, optional
        File names without suffix; `miniature_ids` if left out.
    """
    names = miniature_ids(count) if ids is None else ids
    if len(names) != count:
        raise ValueError(f"{len(names)} ids for {count} heads")
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    euler_deg = _poses(count, rng)
    for name, euler in zip(names, euler_deg, strict=True):
        image, labels = draw_one(euler, np.random.default_rng(rng.integers(2**32)))
        cv2.imwrite(str(folder / f"{name}.jpg"), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        path = folder / f"{name}.mat"
        scipy.io.savemat(path, labels, do_compression=True)
        path.write_bytes(MAT_HEADER + path.read_bytes()[116:])


def _poses(count: int, rng: np.random.Generator) -> np.ndarray:
    """Yaw, pitch, roll (count, 3) in degrees, convention 300w-lp."""
    quantile = (rng.permutation(count) + rng.uniform(0.0, 1.0, count)) / max(count, 1)
    yaw = np.interp(quantile, [0.0, 0.65, 0.93, 1.0], [0.0, 30.0, 60.0, 75.0]) * rng.choice([-1.0, 1.0], count)
    pitch = np.clip(rng.normal(0.0, 16.0, count), -30.0, 30.0)
    roll = np.clip(rng.normal(0.0, 17.0, count), -40.0, 40.0)
    return np.stack([yaw, pitch, roll], axis=1)


def draw_one(euler_deg: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rotation = rotation_from_euler(euler_deg, "300w-lp")
    scale = rng.uniform(1.15, 1.5)  # pixels per millimetre
    turned = scale * mean_face_68() @ rotation.T
    middle = (turned.min(axis=0) + turned.max(axis=0))[:2] / 2.0
    shift = np.array([225.0, 255.0]) + rng.uniform(-15.0, 15.0, 2) - middle  # the face low in the frame, as in AFLW2000-3D
    points = turned + np.append(shift, 0.0)
    image = draw_head(rotation, scale, shift, Look.drawn_from(rng), rng)

    yaw, pitch, roll = np.deg2rad(euler_deg)
    # the files' y axis points up from the frame's bottom, and a unit of their face model is a micrometre
    pose = [pitch, yaw, roll, shift[0], SIZE_PX + 1 - shift[1], 0.0, scale / 1000.0]
    x0, y0 = rng.integers(-200, 400, 2)
    labels = {
        "pt2d": _aflw_points(points[:, :2], rotation),
        "Illum_Para": rng.uniform(0.0, 1.0, (1, 10)),
        "Color_Para": rng.uniform(0.0, 1.0, (1, 7)).astype(np.float32),
        "Tex_Para": rng.normal(0.0, 1e3, (199, 1)),
        "Shape_Para": np.zeros((199, 1)),  # every head has the mean shape
        "Exp_Para": np.zeros((29, 1)),
        "Pose_Para": np.array([pose], np.float32),
        "roi": np.array([[x0, y0, x0 + SIZE_PX - 1, y0 + SIZE_PX - 1]], np.int16),
        "pt3d_68": (points * [1.0, 1.0, -1.0]).T.astype(np.float32),  # z towards the camera
    }
    return image, labels


def _aflw_points(points_px: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """The 21 points of AFLW (2, 21) in pixels; -1 where the head's turn hides one."""
    face = mean_face_68()
    chosen = np.array([points_px[list(group)].mean(axis=0) for group in AFLW21])
    outward = np.array([face[list(group)].mean(axis=0) for group in AFLW21]) - [0.0, 0.0, 75.0]
    hidden = (outward @ rotation.T)[:, 2] > 0.0  # faces away from the camera, as seen from the middle of the skull
    return np.where(hidden, -1.0, chosen.T)


CARD = """\
id = "miniature"
title = "Miniature: cartoon heads"
reader = "aflw2000"
homepage = ""
licence = "Apache-2.0, as hpbench, which draws it"
redistribution = "Free."
obtain = "Draw it: python tests/miniatures/aflw2000.py OUT"
layout = "imageNNNNN.jpg and imageNNNNN.mat, as AFLW2000-3D"
citation = ""
convention = "300w-lp"
pose = "crop_ray"
scheme = "ibug68-fixed"
default_boxes = "landmarks"

[splits]
all = {count}

[boxes.landmarks]
source = "landmarks"
description = "Rectangle of the 68 points"
"""

PROTOCOLS = {
    "pose": """\
title = "Head pose of the miniature"
main = "mae(convention=300w-lp)"
metrics = [
  "mae(convention=300w-lp)",
  "mae(angle=yaw,convention=300w-lp)",
  "mae(angle=pitch,convention=300w-lp)",
  "mae(angle=roll,convention=300w-lp)",
  "geodesic",
]
""",
    "landmarks": """\
title = "Landmarks of the miniature"
labels = "original"
norm_box = "landmarks"
main = "nme(norm=sqrt_wh)"
metrics = ["nme(norm=sqrt_wh)", "nme(norm=height)", "auc(below=8,norm=sqrt_wh)", "fr(above=8,norm=sqrt_wh)"]
""",
}

PROTOCOL = """\
id = "miniature/{name}"
version = 1
dataset = "miniature"
split = "all"
boxes = "landmarks"
{body}subsets = [
  {{ name = "yaw 0-30", attribute = "abs_yaw_deg", up_to = 30.0 }},
  {{ name = "yaw 30-60", attribute = "abs_yaw_deg", above = 30.0, up_to = 60.0 }},
  {{ name = "yaw 60-90", attribute = "abs_yaw_deg", above = 60.0, up_to = 90.0 }},
]
"""


def draw_catalog(folder: Path, ids: list[str]) -> None:
    """Write a private catalog with the dataset ``miniature`` of these faces, for ``HPBENCH_CATALOG``.

    Parameters
    ----------
    folder : Path
        Gets ``datasets/miniature`` with its card, protocols and split.
    ids : list of str
    """
    home = folder / "datasets" / "miniature"
    files = {"card.toml": CARD.format(count=len(ids)), "splits/all.txt": "".join(f"{i}\n" for i in sorted(ids))}
    for name, body in PROTOCOLS.items():
        files[f"protocols/{name}.toml"] = PROTOCOL.format(name=name, body=body)
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def state_statistics(catalog: Path, faces: Path) -> None:
    """Add the facts about these labels to the card, so that other labels under the same names are told."""
    from hpbench.catalog.roots import ENVIRONMENT
    from hpbench.readers import load
    from hpbench.readers.dataset import label_statistics

    os.environ[ENVIRONMENT] = str(catalog)
    facts = label_statistics(load("miniature", faces).truth())
    lines = "".join(f"{name} = {value:.4f}\n" for name, value in facts.items())
    with (catalog / "datasets" / "miniature" / "card.toml").open("a", encoding="utf-8") as card:
        card.write(f"\n[statistics.all.original]\n{lines}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a miniature of AFLW2000-3D: OUT/faces, and OUT/catalog for HPBENCH_CATALOG.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    draw_aflw2000(arguments.out / "faces", arguments.count, arguments.seed)
    draw_catalog(arguments.out / "catalog", miniature_ids(arguments.count))
    state_statistics(arguments.out / "catalog", arguments.out / "faces")
    print(f"{arguments.out}: {arguments.count} heads in faces/, the dataset 'miniature' in catalog/")


if __name__ == "__main__":
    main()
