"""Face boxes for the BIWI Kinect head pose database, which comes without any.

Three sources: the labelled head centre, the depth image (as the MNN paper takes them; its exact rule is not published, ours
is below), and lists of detections in circulation, where the user has one.

The depth box
-------------
No label goes into it.  Foreground is what lies nearer than `FOREGROUND_MM` (the files are cut already: the database's
authors removed the background by distance); of that its largest connected part.  The head is what lies between the part's
first row and `HEAD_MM` below it, at the median depth of the rows around; its width is taken above `WIDTH_MM`, where no
shoulder reaches.  The corners, at the median depth of the head, are projected into the colour image.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..faces import Faces
from ..untrusted import read_npy
from .biwi_files import Calibration
from .files.datafile import DataFile

__all__ = ["depth_box", "headcentre_boxes", "listed_boxes"]

Array = npt.NDArray[Any]

HEADCENTRE_MM = 150.0  # about the rectangle of the 68 landmarks of an adult's face, seen from the front
FOREGROUND_MM = 1300.0  # what the authors' own detector keeps; people sit at about a metre
HEAD_MM = 220.0  # crown to chin of an adult
WIDTH_MM = 150.0
_MIN_TOP_PX = 5  # pixels in a row before it counts as the head's first: single ones are noise

MAX_LIST_BYTES = 64 << 20  # the largest in circulation is 3 MB
_TEXT_HEADER = "#;image;tl_x;tl_y;br_x;br_y;yaw;pitch;roll;"


def headcentre_boxes(centre_mm: Array, camera: Calibration) -> Array:
    """Boxes of `HEADCENTRE_MM` squared around the head centres, (N, 3) mm before the depth camera: (N, 4) pixels."""
    at_px, depth = camera.project(centre_mm)
    focal = np.array([camera.intrinsic[0, 0], camera.intrinsic[1, 1]])
    half = focal * HEADCENTRE_MM / 2.0 / depth[:, None]
    return np.concatenate([at_px - half, at_px + half], axis=1)


def depth_box(depth_mm: Array, depth_camera: Calibration, rgb_camera: Calibration) -> Array:
    """The head's box in the colour image from a depth image, (4,) pixels; NaN where nothing is in the foreground.

    Parameters
    ----------
    depth_mm : (H, W) int16 array
    depth_camera, rgb_camera : Calibration
    """
    import cv2

    nothing = np.full(4, np.nan)
    mask = ((depth_mm > 0) & (depth_mm <= FOREGROUND_MM)).astype(np.uint8)
    count, parts, facts, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 2:
        return nothing
    part = parts == 1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA]))
    rows = np.flatnonzero(part.sum(axis=1) >= _MIN_TOP_PX)
    if not rows.size:
        return nothing
    top, focal = int(rows[0]), depth_camera.intrinsic[1, 1]
    nearby = depth_mm[top:][part[top:]][:20_000]  # row by row: the upper part of the head at least
    bottom = top + focal * HEAD_MM / float(np.median(nearby))
    head = part[top : math.ceil(bottom)]
    depth = float(np.median(depth_mm[top : math.ceil(bottom)][head]))
    columns = np.flatnonzero(part[top : math.ceil(top + focal * WIDTH_MM / depth)].any(axis=0))
    edges = np.array([[columns[0] - 0.5, top - 0.5, 1.0], [columns[-1] + 0.5, top - 0.5 + focal * HEAD_MM / depth, 1.0]])
    in_depth_camera = depth * edges @ np.linalg.inv(depth_camera.intrinsic).T
    world = (in_depth_camera - depth_camera.translation) @ depth_camera.rotation
    return rgb_camera.project(world)[0].reshape(4)


# ---------------------------------------------------------------------------------------------------- lists


def listed_boxes(file: DataFile, known: set[str]) -> Faces:
    """The boxes of a list in circulation, a table with `box_xyxy_px`, sorted by id.

    Two formats: ``.npz`` as headposeplus publishes them (``images`` ``NN/frame_NNNNN_rgb.png``, ``bbox`` x, y, width,
    height), and the text of opal23_headpose (a header, then image; x0; y0; x1; y1; yaw; pitch; roll).

    Parameters
    ----------
    file : DataFile
    known : set of str
        The ids of the dataset; a row with another is an error.
    """
    if file.size > MAX_LIST_BYTES:
        raise InputError(f"{file.name}: {file.size} bytes are too many for a list of boxes.")
    data = file.fetch()
    images, boxes = _npz_rows(data, file.name) if data[:2] == b"PK" else _text_rows(data, file.name)
    ids = [_id_of(image, file.name, row) for row, image in enumerate(images)]
    for row, sample_id in enumerate(ids):
        if sample_id not in known:
            raise InputError(f"{file.name}: row {row + 1} is about {sample_id!r:.60}, which is no frame of the dataset.")
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        again = next(i for i in ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
        raise InputError(f"{file.name}: frame {again!r} stands twice.")
    for row in np.flatnonzero(~(np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)))[:1]:
        raise InputError(f"{file.name}: the box of {ids[row]!r} is empty or no box: {', '.join(f'{v:g}' for v in boxes[row])}.")
    return Faces(sample_id=ids, box_xyxy_px=boxes).take(np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64))


def _id_of(image: str, name: str, row: int) -> str:
    """``kinect_head_pose_db/01/frame_00003_rgb.png`` -> ``01/frame_00003``."""
    path = PurePosixPath(image.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in image:
        raise InputError(f"{name}: row {row + 1} names {image!r:.60}: paths in a list are relative and do not climb.")
    return "/".join(path.parts[-2:]).removesuffix("_rgb.png")


def _text_rows(data: bytes, name: str) -> tuple[list[str], Array]:
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{name}: not a text file: another kind of file?") from None
    if not lines or lines[0].strip().rstrip(";") != _TEXT_HEADER.rstrip(";"):
        raise InputError(f"{name}: its first line is not {_TEXT_HEADER!r}: another list, or another kind of file?")
    images, boxes = [], []
    for row, line in enumerate(filter(str.strip, lines[1:])):
        fields = line.strip().rstrip(";").split(";")
        try:
            if len(fields) != 8:
                raise ValueError
            boxes.append([float(v) for v in fields[1:5]])
        except ValueError:
            raise InputError(f"{name}: row {row + 1} is not image; 4 numbers of the box; 3 angles: {line!r:.80}") from None
        images.append(fields[0])
    return images, np.array(boxes, dtype=np.float64).reshape(-1, 4)


def _npz_rows(data: bytes, name: str) -> tuple[list[str], Array]:
    images, boxes = (_npz_array(data, key, name) for key in ("images", "bbox"))
    if images.dtype.kind not in "US" or images.ndim != 1:
        raise InputError(f"{name}: 'images' is no list of texts but {images.dtype} of shape {images.shape}.")
    if boxes.dtype.kind not in "fiu" or boxes.shape != (len(images), 4):
        raise InputError(f"{name}: 'bbox' is {boxes.dtype} of shape {boxes.shape}, expected ({len(images)}, 4) numbers.")
    corners = boxes.astype(np.float64)
    corners[:, 2:] += corners[:, :2]
    texts = images if images.dtype.kind == "U" else np.char.decode(images, "latin1")
    return [str(i) for i in texts], corners


def _npz_array(data: bytes, key: str, name: str) -> Array:
    """One array of an .npz."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            member = archive.getinfo(f"{key}.npy")
            if member.file_size > MAX_LIST_BYTES or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("it unpacks to too many bytes, or by a method that is not read here")
            with archive.open(member) as stream:
                return read_npy(stream, member.file_size)
    except KeyError as error:
        raise InputError(f"{name}: holds no {key!r}: not a list of BIWI boxes ({str(error)[:60]}).") from None
    except Exception as error:  # a damaged archive may surprise zipfile, zlib or NumPy anywhere
        raise InputError(f"{name}: cannot be read as .npz: truncated, or another kind of file? ({str(error)[:80]})") from None
