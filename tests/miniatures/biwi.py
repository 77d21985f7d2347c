"""A miniature of BIWI in the exact original format: pose texts, calibrations, run-length coded depth."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from hpbench.catalog import dataset_card, split_ids
from hpbench.errors import HpbenchError
from hpbench.geometry.rotations import rotation_from_euler
from hpbench.readers.files.datafile import DataFile

CARD = dataset_card("biwi")


ALL = split_ids(CARD, "all")


PEOPLE = CARD.options["people"]


IDS = [
    "01/frame_00003", "01/frame_00004", "02/frame_00003", "03/frame_00003", "05/frame_00003", "06/frame_00000", "07/frame_00003",
    "15/frame_00000", "18/frame_00000", "20/frame_00000", "21/frame_00000", "24/frame_00622",
]  # fmt: skip


LATER = ("06", *map(str, range(15, 25)))  # the sequences recorded with the second colour camera


LISTS = ("opal23_biwi_ann.txt", "Biwi_FSA-Net.npz", "Biwi_Dockerface.npz", "Biwi_WHENet.npz", "Biwi_plus.npz")


RNG = np.random.default_rng(5)


EULER = RNG.uniform(-60, 60, (len(IDS), 3))


CENTRES = np.stack([RNG.uniform(-150, 150, len(IDS)), RNG.uniform(-100, 100, len(IDS)), RNG.uniform(800, 1100, len(IDS))], axis=1)


RGB_K = [[517.679, 0, 320], [0, 517.679, 240.5], [0, 0, 1]]


DEPTH_K = [[575.816, 0, 320], [0, 575.816, 240], [0, 0, 1]]


FIRST = rotation_from_euler([-0.53, -0.86, -0.25], "300w-lp"), np.array([-24.0198, 5.8896, -13.2308])


SECOND = rotation_from_euler([0.33, -1.45, 0.0], "300w-lp"), np.array([-25.5, 1.25, -3.75])


def rows_text(matrix) -> str:
    """As the files print: six digits, a space at the end of every line."""
    return "".join("".join(f"{v:.6g} " for v in row) + "\n" for row in matrix)


def pose_text(rotation, centre) -> str:
    return f"{rows_text(rotation)}\n{rows_text([centre])}\n"


def camera_text(intrinsic, rotation, translation) -> str:
    return f"{rows_text(intrinsic)}\n0 0 0 0 \n\n{rows_text(rotation)}\n{rows_text([translation])}\n640 480"


def encode_depth(image: np.ndarray) -> bytes:
    """The compressed form: runs of empty and of full pixels; the last run of full ones may be empty."""
    flat = image.astype("<i2").reshape(-1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (flat != 0).astype(int), [0]])))
    out, at = [struct.pack("<ii", image.shape[1], image.shape[0])], 0
    for start, end in edges.reshape(-1, 2):
        out.append(struct.pack("<ii", start - at, end - start) + flat[start:end].tobytes())
        at = end
    if at < flat.size:
        out.append(struct.pack("<ii", flat.size - at, 0))
    return b"".join(out)


def drawn_person(x: int = 354, top: int = 170, depth: int = 880) -> np.ndarray:
    """A head 100 pixels wide above shoulders, 480 x 640, mm; at 880 mm the 220 mm of a head are 144 rows."""
    image = np.zeros((480, 640), np.int16)
    image[top : top + 150, x - 50 : x + 50] = depth
    image[top + 150 :, x - 150 : x + 150] = depth + 40
    return image


def as_written(matrix) -> np.ndarray:
    """The numbers that the six printed digits leave."""
    return np.array([[float(f"{v:.6g}") for v in row] for row in np.atleast_2d(matrix)])


def colour_camera(sequence: str) -> tuple[np.ndarray, np.ndarray]:
    return SECOND if sequence in LATER else FIRST


def in_memory(data: bytes, name: str = "NN/frame_00003_pose.txt", size: int | None = None) -> DataFile:
    return DataFile(name, name, len(data) if size is None else size, lambda: data)


def one_sentence(error: pytest.ExceptionInfo[HpbenchError], *parts: str) -> None:
    text = str(error.value)
    assert "\n" not in text and len(text) < 500
    for part in parts:
        assert part in text


def opal_text(ids, boxes) -> str:
    rows = (
        f"kinect_head_pose_db/{i}_rgb.png;{';'.join(map(str, b))};-3.29;7.607222981354766;-1.57" for i, b in zip(ids, boxes, strict=True)
    )
    return "\n".join(["#;image;tl_x;tl_y;br_x;br_y;yaw;pitch;roll;", *rows]) + "\n"


GOOD = pose_text(rotation_from_euler([20, -10, 5], "300w-lp"), [51.9358, 38.2631, 881.756])
