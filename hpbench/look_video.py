"""A model on a video or a camera, frame by frame: see `hpbench.look`."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .atomic import atomic_path
from .errors import InputError
from .images import MAX_IMAGE_PIXELS
from .look import Array, Emit, Looker, Tell, drawn, no_face, refuse_taken

__all__ = ["VIDEO_CODECS", "look_at_video"]

VIDEO_CODECS = {".mp4": "mp4v", ".avi": "MJPG"}  # those that every build of OpenCV can write
_USUAL_FPS = 25.0  # where a source does not say


def look_at_video(source: Path | int, looker: Looker, out: Path | None, *, frames: int | None = None, tell: Tell, emit: Emit) -> list[Path]:
    """Every frame of a video file, or of a camera until Ctrl-C, drawn into a video of the same size and frame rate, without sound.

    Parameters
    ----------
    source : Path or int
        A file, or the number of a camera.
    out : Path or None
        ``.mp4`` or ``.avi``; None writes nothing.
    frames : int, optional
        At most so many.
    tell, emit : callable
        Get remarks, get each face.

    Raises
    ------
    InputError
        Neither an image nor a video, a video without a frame or a face, or an output that exists already.
    """
    if frames is not None and frames < 1:
        raise InputError(f"--frames must be at least 1, got {frames}.")
    if out is not None:
        if out.suffix.lower() not in VIDEO_CODECS:
            raise InputError(f"-o {out}: a video is written as one of {', '.join(VIDEO_CODECS)}.")
        refuse_taken(out)
    name = str(source) if isinstance(source, Path) else f"camera {source}"
    with _opened(source, name) as capture:
        if out is None:
            _watch(capture, name, looker, None, source, frames, tell, emit)
            return []
        # OpenCV takes the container from the suffix, which a temporary file of `atomic_path` does not have
        with atomic_path(out) as temporary:
            video = temporary.with_name(f"{temporary.name}{out.suffix.lower()}")
            try:
                _watch(capture, name, looker, video, source, frames, tell, emit)
                video.replace(temporary)
            finally:
                with suppress(OSError):
                    video.unlink(missing_ok=True)
    return [out]


def _watch(
    capture: Any, name: str, looker: Looker, video: Path | None, source: Path | int, frames: int | None, tell: Tell, emit: Emit
) -> None:
    """Read, predict and write until the source ends."""
    fps = _frame_rate(capture, name, tell)
    writer: Any = None
    done = with_face = failed = 0
    try:
        for number, image in enumerate(_frames(capture, name, frames)):
            if video is not None and writer is None:
                writer = _writer(video, fps, image)
            seen = looker.faces_of(image, name, number)
            for face in seen:
                emit(face)
            done, with_face, failed = number + 1, with_face + bool(seen), failed + sum(bool(face.failure) for face in seen)
            if writer is not None:
                writer.write(drawn(image, seen)[..., ::-1].copy())
    except KeyboardInterrupt:
        if isinstance(source, Path):
            raise
        tell(f"{name}: stopped after {done} frames")  # how a camera ends
    finally:
        if writer is not None:
            writer.release()
    _tell_end(capture, name, source, frames, done, with_face, failed, tell)
    if not with_face:
        raise no_face(name, looker)


def _tell_end(capture: Any, name: str, source: Path | int, frames: int | None, done: int, with_face: int, failed: int, tell: Tell) -> None:
    import cv2

    if not done:
        why = "damaged?" if isinstance(source, Path) else "in use by another program?"
        raise InputError(f"{name}: no frame of it can be read: {why}")
    stated = capture.get(cv2.CAP_PROP_FRAME_COUNT) if isinstance(source, Path) else 0.0
    if math.isfinite(stated) and done < (stated if frames is None else min(stated, frames)):
        tell(f"{name}: breaks off after {done} frames, its header says {stated:.0f}: damaged?")
    if with_face < done:
        tell(f"{name}: no face in {done - with_face} of {done} frames: left as they are")
    if failed:
        tell(f"{name}: no prediction for {failed} faces (--json says why)")


@contextmanager
def _opened(source: Path | int, name: str) -> Iterator[Any]:
    import cv2

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet: what they warn of is said in our own words
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    capture = cv2.VideoCapture(str(source.resolve()) if isinstance(source, Path) else source)
    try:
        if not capture.isOpened():
            what = "neither an image (JPEG, PNG, WebP, BMP) nor a video that OpenCV can read"
            raise InputError(f"{name}: {what if isinstance(source, Path) else 'there is no such camera'}.")
        yield capture
    finally:
        capture.release()
        cv2.utils.logging.setLogLevel(before)


def _frames(capture: Any, name: str, limit: int | None) -> Iterator[Array]:
    """RGB frames, one at a time."""
    import cv2

    number = 0
    while limit is None or number < limit:
        ok, frame = capture.read()
        if not ok or frame is None:
            return
        if frame.shape[0] * frame.shape[1] > MAX_IMAGE_PIXELS:
            raise InputError(f"{name}: {frame.shape[1]} x {frame.shape[0]} pixels is over the limit of 100 megapixels.")
        number += 1
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def _frame_rate(capture: Any, name: str, tell: Tell) -> float:
    import cv2

    fps = float(capture.get(cv2.CAP_PROP_FPS))
    if math.isfinite(fps) and 0.1 <= fps <= 1000.0:
        return fps
    tell(f"{name}: does not say how many frames a second: taken for {_USUAL_FPS:.0f}")
    return _USUAL_FPS


def _writer(video: Path, fps: float, image: Array) -> Any:
    import cv2

    video.parent.mkdir(parents=True, exist_ok=True)
    code = cv2.VideoWriter.fourcc(*VIDEO_CODECS[video.suffix])
    writer = cv2.VideoWriter(str(video), code, fps, (image.shape[1], image.shape[0]))
    if not writer.isOpened():
        raise InputError(f"{video.parent}: OpenCV cannot write a video {image.shape[1]} x {image.shape[0]} as {video.suffix} there.")
    return writer
