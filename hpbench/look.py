"""A model on one's own pictures: faces found by a detector, predicted, drawn where they are.

Coordinates are those of the picture as it is shown, an EXIF orientation applied; nothing here is scored.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .atomic import write_atomic
from .batches import Ready, Watch, predict_batch
from .detectors.cards import DetectorCard, create_detector
from .drawing import draw_face
from .errors import InputError
from .faces import Faces, Sample
from .geometry.rotations import euler_from_rotation
from .images import ImageRef, decode_image
from .models.interface import Model

__all__ = ["CONVENTION", "IMAGE_SUFFIXES", "Looker", "SeenFace", "default_output", "drawn", "is_image", "json_line", "look_at_images"]

Array = npt.NDArray[Any]
Tell = Callable[[str], None]
Emit = Callable[["SeenFace"], None]

CONVENTION = "300w-lp"  # of the angles that are written and printed, whatever the model's own
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF")


@dataclass(frozen=True)
class SeenFace:
    """A face of a picture and what the model says of it.

    Attributes
    ----------
    file : str
    frame : int or None
        Of a video, from 0.
    number : int
        Of the face in the picture, from 0, the best detection first.
    box_xyxy_px : (4,) float64 array
    boxes : str
        Who gave the box: ``detector:<name>``, ``given``.
    score : float or None
        The detector's.
    prediction : Faces
        One row.
    """

    file: str
    frame: int | None
    number: int
    box_xyxy_px: npt.NDArray[np.float64]
    boxes: str
    score: float | None
    prediction: Faces

    @property
    def failure(self) -> str:
        return str(self.prediction.failure[0]) if self.prediction.failure is not None else ""

    @property
    def euler_deg(self) -> tuple[float, float, float] | None:
        """Yaw, pitch, roll in `CONVENTION`; None without a pose."""
        rotation = self.prediction.rotation
        if rotation is None or np.isnan(rotation).any():
            return None
        yaw, pitch, roll = map(float, euler_from_rotation(rotation, CONVENTION)[0])
        return yaw, pitch, roll


class Looker:
    """A model with what finds its faces.

    Parameters
    ----------
    model : Model
    detector : DetectorCard or None
        Finds the faces of each picture.
    boxes_xyxy_px : sequence of (4,) arrays
        The faces, where there is no detector: the same in every picture.
    """

    def __init__(self, model: Model, detector: DetectorCard | None, boxes_xyxy_px: Sequence[npt.ArrayLike] = ()) -> None:
        self._watch = Watch(model)
        self._size = model.batch_size
        self._detector = create_detector(detector) if detector is not None else None
        self._given = np.asarray(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4)
        self.boxes = f"detector:{detector.id}" if detector is not None else "given"

    def faces_of(self, image: Array, file: str, frame: int | None = None) -> list[SeenFace]:
        """The faces of an (H, W, 3) uint8 RGB picture."""
        boxes, scores = self._detector.face_boxes(image) if self._detector is not None else (self._given, None)
        seen: list[SeenFace] = []
        for start in range(0, len(boxes), self._size):
            numbers = range(start, min(start + self._size, len(boxes)))
            reference = ImageRef(file, lambda: b"")  # read already
            batch: list[tuple[Sample, Ready | Array]] = [(Sample(str(n), reference, boxes[n]), image) for n in numbers]
            faces, _ = predict_batch(self._watch, batch)
            for row, n in enumerate(numbers):
                score = float(scores[n]) if scores is not None else None
                seen.append(SeenFace(file, frame, n, boxes[n], self.boxes, score, faces.take([row])))
        return seen


def _told(euler_deg: tuple[float, float, float]) -> str:
    return "yaw {:d} pitch {:d} roll {:d}".format(*map(round, euler_deg))  # a whole number has no -0


def drawn(image: Array, faces: Sequence[SeenFace]) -> Array:
    """A copy of the picture with box, points, axes and angles of each face, the best detection on top."""
    picture = np.ascontiguousarray(image).copy()
    for face in reversed(faces):
        of = face.prediction
        angles = face.euler_deg
        draw_face(
            picture, face.box_xyxy_px,
            rotation=None if of.rotation is None else of.rotation[0],
            landmarks=None if of.landmarks is None else of.landmarks[0],
            visibility=None if of.visibility is None or of.landmarks is None else of.visibility[0],
            text="no prediction" if face.failure else _told(angles) if angles else "",
        )  # fmt: skip
    return picture


def json_line(face: SeenFace) -> str:
    """A face as one line of strict JSON: what is not predicted is null."""
    of, angles = face.prediction, face.euler_deg
    yaw, pitch, roll = angles or (None, None, None)
    line = {
        "file": face.file, "frame": face.frame, "face": face.number,
        "box_xyxy_px": face.box_xyxy_px.tolist(), "boxes": face.boxes, "score": face.score,
        "convention": CONVENTION if angles else None, "yaw_deg": yaw, "pitch_deg": pitch, "roll_deg": roll,
        "rotation_camera_from_head": None if angles is None or of.rotation is None else of.rotation[0].tolist(),
        "scheme": of.scheme, "landmarks_px": _listed(of.landmarks), "visibility": _listed(of.visibility),
        "failure": face.failure or None,
    }  # fmt: skip
    return json.dumps(line, allow_nan=False, ensure_ascii=False)


def _listed(column: Array | None) -> Any:
    """The one row of a column as lists, None for NaN."""
    if column is None or np.isnan(column).all():
        return None
    values: Array = column[0].astype(object)
    values[np.isnan(column[0])] = None
    return values.tolist()


def is_image(path: Path) -> bool:
    """Whether a file begins like an image that `hpbench.images` decodes, or is called like one; other files may be videos."""
    if not path.is_file():  # a pipe would keep us waiting
        raise InputError(f"{path}: is neither a file nor a folder.")
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    if not head:
        raise InputError(f"{path}: the file is empty.")
    looks_so = head.startswith(_MAGIC) and (not head.startswith(b"RIFF") or head[8:12] == b"WEBP")  # AVI is RIFF as well
    return looks_so or path.suffix.lower() in IMAGE_SUFFIXES


def default_output(source: Path | None) -> Path:
    """``photo.look.png``, ``clip.look.mp4``, the folder ``pictures.look``, ``camera.look.mp4``: in the current folder."""
    if source is None:
        return Path("camera.look.mp4")
    if source.is_dir():
        return Path(f"{source.resolve().name or 'pictures'}.look")
    return Path(f"{source.stem}.look{'.png' if is_image(source) else '.mp4'}")


def refuse_taken(path: Path) -> None:
    """`InputError` where there is something already: nothing is overwritten."""
    if path.exists() or path.is_symlink():
        raise InputError(f"{path} exists already: name another output with -o.")


def look_at_images(source: Path, looker: Looker, out: Path | None, *, tell: Tell, emit: Emit) -> list[Path]:
    """An image, or every image of a folder (not of the folders in it), drawn into `out`: the pictures that were written.

    A picture without a face is told and not written; one of a folder that cannot be read is told and passed over.

    Parameters
    ----------
    out : Path or None
        A file for a file, a folder for a folder; None writes nothing.
    tell : callable
        Gets remarks.
    emit : callable
        Gets each face.

    Raises
    ------
    InputError
        No image that can be read, no face in any, or a picture that exists already.
    """
    folder = source.is_dir()
    paths = _images_in(source) if folder else [source]
    targets = dict(_targets(paths, out)) if folder else {source: out}
    for planned in filter(None, targets.values()):
        _check_suffix(planned)
        refuse_taken(planned)
    written, faces, unreadable = [], 0, 0
    for path in paths:
        try:
            image = _read(path)
        except InputError as error:
            if not folder:
                raise
            unreadable += 1
            tell(str(error))
            continue
        seen = looker.faces_of(image, str(path))
        faces += len(seen)
        for face in seen:
            emit(face)
            if face.failure:
                tell(f"{path}, face {face.number}: {face.failure}")
        if not seen:
            tell(f"{path}: no face found ({looker.boxes})")
        elif (target := targets[path]) is not None:
            _write(drawn(image, seen), target)
            written.append(target)
    if unreadable == len(paths):
        raise InputError(f"{source}: none of the {len(paths)} images in it can be read.")
    if not faces:
        raise no_face(str(source), looker)
    return written


def no_face(where: str, looker: Looker) -> InputError:
    """The error of a source in which nobody was found."""
    return InputError(f"{where}: no face found in it ({looker.boxes}): try another --detector, or say where it is with --box x0,y0,x1,y1.")


def _images_in(folder: Path) -> list[Path]:
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file() and not p.name.startswith("."))
    if not paths:
        raise InputError(f"{folder}: there is no image in it (JPEG, PNG, WebP or BMP; folders in it are not searched).")
    return paths


def _targets(paths: Sequence[Path], out: Path | None) -> Iterator[tuple[Path, Path | None]]:
    """``a.look.png`` for a.jpg; the whole name where two images have the same stem."""
    stems = Counter(path.stem for path in paths)
    for path in paths:
        yield path, None if out is None else out / f"{path.stem if stems[path.stem] == 1 else path.name}.look.png"


def _check_suffix(target: Path) -> None:
    if target.suffix.lower() not in IMAGE_SUFFIXES:
        raise InputError(f"-o {target}: an image is written as one of {', '.join(IMAGE_SUFFIXES)}.")


def _read(path: Path) -> Array:
    try:
        return decode_image(path.read_bytes(), str(path), upright=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None


def _write(picture: Array, target: Path) -> None:
    import cv2

    ok, data = cv2.imencode(target.suffix.lower(), np.ascontiguousarray(picture[..., ::-1]))
    if not ok:
        raise InputError(f"{target}: a picture of {picture.shape[1]} x {picture.shape[0]} pixels cannot be written as {target.suffix}.")
    write_atomic(target, data.tobytes())
