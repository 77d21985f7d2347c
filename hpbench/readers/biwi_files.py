"""The files of the BIWI Kinect head pose database: head poses, camera calibrations, compressed depth images.

Source: the database's readme.txt and its example code; G. Fanelli et al., Random Forests for Real Time 3D Face Analysis,
IJCV 2013.  Lengths are millimetres, all cameras are pinholes in the OpenCV frame (x right, y down, z forward), and what
the files call world is the depth camera: its own calibration is the identity.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..geometry.rotations import rotation_defect
from .files.datafile import DataFile

__all__ = ["Calibration", "decode_depth", "read_calibration", "read_poses"]

Array = npt.NDArray[Any]

MAX_TEXT_BYTES = 4096  # a pose is about 130 bytes, a calibration about 220
MAX_DEPTH_BYTES = 16 << 20  # a depth image is about 116 KB; 307,200 runs of one pixel would be 3.1 MB
MAX_DEPTH_SIDE = 4096
MAX_ROTATION_DEFECT = 1e-3  # the files give six digits: their matrices are orthonormal to about 1e-6
# how many numbers stand on each line that is not blank
_POSE_LINES = [3, 3, 3, 3]
_CALIBRATION_LINES = [3, 3, 3, 4, 3, 3, 3, 3, 2]
_NUMBER = rb"[-+.0-9eE]++"
_POSE = re.compile(rb"(?:\s*+%b[ \t]++%b[ \t]++%b[ \t]*+(?:\r?\n|\Z)){4}\s*+" % (_NUMBER, _NUMBER, _NUMBER))


@dataclass(frozen=True)
class Calibration:
    """A camera of the pair.

    Attributes
    ----------
    intrinsic : (3, 3) float64 array
        K, pixels.
    distortion : (4,) float64 array
        Of the lens: k1, k2, p1, p2 as OpenCV defines them; zero in every file seen.
    rotation, translation : (3, 3) and (3,) float64 arrays
        World (the depth camera), millimetres -> this camera: ``rotation @ X + translation``.
    """

    intrinsic: Array
    distortion: Array
    rotation: Array
    translation: Array

    def project(self, points_mm: Array) -> tuple[Array, Array]:
        """Points of the world, (N, 3) millimetres, in the image: (N, 2) pixels, and their depths before it, (N,) mm."""
        inside = points_mm @ self.rotation.T + self.translation
        x, y = (inside[:, :2] / inside[:, 2:]).T
        k1, k2, p1, p2 = self.distortion
        r2 = x * x + y * y
        radial = 1.0 + k1 * r2 + k2 * r2 * r2
        bent = np.stack([x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], axis=1)
        return bent @ self.intrinsic[:2, :2].T + self.intrinsic[:2, 2], inside[:, 2]

    @property
    def is_world(self) -> bool:
        """Whether it is the depth camera, which the world frame is attached to."""
        return np.array_equal(self.rotation, np.eye(3)) and not self.translation.any()


def read_poses(files: Sequence[DataFile]) -> tuple[Array, Array]:
    """The poses of ``frame_NNNNN_pose.txt``: three rows of the rotation, a blank line, the head centre.

    Parameters
    ----------
    files : sequence of DataFile

    Returns
    -------
    rotation : (N, 3, 3) float64 array
        Head -> depth camera, as it stands in the file.
    centre : (N, 3) float64 array
        Of the head, millimetres, in the frame of the depth camera.

    Raises
    ------
    InputError
        Naming the first file that is no pose.
    """
    numbers = _pose_numbers(files).reshape(-1, 4, 3)
    rotation, centre = numbers[:, :3], numbers[:, 3]
    defect = rotation_defect(rotation)
    for row in np.flatnonzero(~(defect <= MAX_ROTATION_DEFECT))[:1]:
        guess = "a reflection" if defect[row] == 2.0 else "the head centre first, or Euler angles?"
        raise InputError(f"{files[row].name}: its first three lines are no rotation, |R R^T - I| = {defect[row]:.3g} ({guess}).")
    for row in np.flatnonzero(~(centre[:, 2] >= 10.0))[:1]:
        guess = "behind the camera" if centre[row, 2] <= 0 else "in metres"
        raise InputError(f"{files[row].name}: the head is {centre[row, 2]:g} mm before the camera: {guess}?")
    return rotation, centre


def read_calibration(file: DataFile) -> Calibration:
    """The camera of a ``rgb.cal`` or ``depth.cal``: K, lens distortion, rotation, translation, image size (not needed)."""
    values = _numbers(file, _CALIBRATION_LINES)
    intrinsic, rotation = np.array(values[:9]).reshape(3, 3), np.array(values[13:22]).reshape(3, 3)
    upper = (*intrinsic[2], intrinsic[1, 0], intrinsic[0, 1]) == (0, 0, 1, 0, 0)
    if not upper or intrinsic[0, 0] <= 0 or intrinsic[1, 1] <= 0:
        raise InputError(f"{file.name}: its first three lines are no camera matrix (fx 0 cx, 0 fy cy, 0 0 1).")
    if any(abs(v) > 1.0 for v in values[9:13]):
        raise InputError(f"{file.name}: {', '.join(f'{v:g}' for v in values[9:13])} is no lens distortion.")
    if not rotation_defect(rotation) <= MAX_ROTATION_DEFECT:
        raise InputError(f"{file.name}: the three lines after the distortion are no rotation.")
    return Calibration(intrinsic, np.array(values[9:13]), rotation, np.array(values[22:25]))


def decode_depth(data: bytes, name: str) -> Array:
    """A ``frame_NNNNN_depth.bin``: width and height, then runs (int32 empty, int32 full, full x int16 mm) to the end.

    Parameters
    ----------
    data : bytes
    name : str
        What an error calls it.

    Returns
    -------
    (H, W) int16 array
        Millimetres along the optical axis; 0 = nothing measured, or cut off as background by the database's authors.

    Raises
    ------
    InputError
        Truncated, longer than its pixels, or another kind of file.
    """
    if len(data) < 8:
        raise InputError(f"{name}: {len(data)} bytes are no depth image: truncated?")
    width, height = struct.unpack_from("<ii", data)
    if not (0 < width <= MAX_DEPTH_SIDE and 0 < height <= MAX_DEPTH_SIDE):
        raise InputError(f"{name}: claims {width} x {height} pixels: another kind of file?")
    count = width * height
    if len(data) > 8 + 10 * count + 8:  # a run of one pixel is 10 bytes, and the last may be empty
        raise InputError(f"{name}: {len(data)} bytes are too many for {width} x {height} pixels: another kind of file?")
    image = np.zeros(count, dtype="<i2")
    at, pixel = 8, 0
    while at < len(data):
        if at + 8 > len(data):
            raise InputError(f"{name}: it ends within a run: truncated?")
        empty, full = struct.unpack_from("<ii", data, at)
        at += 8
        if empty < 0 or full < 0 or pixel + empty + full > count:
            raise InputError(f"{name}: a run of {empty} empty and {full} full pixels does not fit {width} x {height}: damaged?")
        if at + 2 * full > len(data):
            raise InputError(f"{name}: it ends within a run: truncated?")
        pixel += empty
        image[pixel : pixel + full] = np.frombuffer(data, "<i2", full, at)
        pixel += full
        at += 2 * full
    if pixel < count:
        raise InputError(f"{name}: {pixel} of {count} pixels: truncated?")
    if image.min() < 0:
        raise InputError(f"{name}: holds a negative depth: damaged?")
    return image.reshape(height, width)


def _pose_numbers(files: Sequence[DataFile]) -> Array:
    """The twelve numbers of every pose, (12 N,): all converted at once, file by file only where something is wrong."""
    contents = []
    for file in files:
        data = file.fetch() if file.size <= MAX_TEXT_BYTES else b""
        contents.append(data if _POSE.fullmatch(data) else " ".join(map(repr, _numbers(file, _POSE_LINES))).encode())
    try:
        numbers = np.array(list(map(float, b" ".join(contents).split())), dtype=np.float64)
        if np.isfinite(numbers).all():
            return numbers
    except ValueError:
        pass
    return np.array([_numbers(file, _POSE_LINES) for file in files], dtype=np.float64)


def _numbers(file: DataFile, expected: list[int]) -> list[float]:
    """All numbers of a small text file that has these many on its lines; blank lines do not count."""
    if file.size > MAX_TEXT_BYTES:
        raise InputError(f"{file.name}: {file.size} bytes are too many for a few lines of numbers: another kind of file?")
    data = file.fetch()
    counts = [n for n in map(len, map(bytes.split, data.splitlines())) if n]
    if counts not in (expected, expected[:-1] if expected[-1] == 2 else expected):  # the image size may be left out
        found = "empty" if not counts else f"{', '.join(map(str, counts[:12]))} numbers on its lines"
        raise InputError(f"{file.name}: {found}, expected {', '.join(map(str, expected))}: truncated, or another kind of file?")
    try:
        numbers = [float(token) for token in data.split()]
    except ValueError as error:
        raise InputError(f"{file.name}: {str(error)[:80]}: a damaged file, or a decimal comma?") from None
    if not all(map(math.isfinite, numbers)) or b"_" in data:
        raise InputError(f"{file.name}: holds a number that is not finite.")
    return numbers
