"""The miniature of BIWI that these tests read."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from miniatures.biwi import CENTRES, DEPTH_K, EULER, IDS, RGB_K, camera_text, colour_camera, drawn_person, encode_depth, pose_text

from hpbench.geometry.rotations import rotation_from_euler


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """12 frames of 10 sequences, images of which the first pixel tells the row; written once, never changed."""
    root = tmp_path_factory.mktemp("biwi")
    for row, sample_id in enumerate(IDS):
        stem = root / "hpdb" / sample_id
        stem.parent.mkdir(parents=True, exist_ok=True)
        sequence = stem.parent.name
        Path(f"{stem}_pose.txt").write_text(pose_text(rotation_from_euler(EULER[row], "300w-lp"), CENTRES[row]))
        cv2.imwrite(f"{stem}_rgb.png", np.full((480, 640, 3), 10 * row, np.uint8))
        Path(f"{stem}_depth.bin").write_bytes(encode_depth(drawn_person()))
        (stem.parent / "rgb.cal").write_text(camera_text(RGB_K, *colour_camera(sequence)))
        (stem.parent / "depth.cal").write_text(camera_text(DEPTH_K, np.eye(3), np.zeros(3)))
        (root / "hpdb" / f"{sequence}.obj").write_text("v 0 0 0\n")
    (root / "hpdb" / "readme.txt").write_text("Biwi Kinect Head Pose Database\n")
    return root


@pytest.fixture
def frames(drawn: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(drawn, tmp_path / "biwi")
