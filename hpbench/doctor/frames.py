"""Frames that landmarks may be given in by mistake: shifted, resized, normalised, or those of a crop.

All are maps u = a p + b of the given coordinates p, per axis, where u are pixels, or shares of an image or of the face box about its
middle.  a and b are the same for all faces and are fitted by medians over the faces; what they are tells what was done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from .causes import Cause

if TYPE_CHECKING:
    from .points import Labelled

__all__ = ["frame_causes"]

Array = npt.NDArray[np.float64]
Frame = Literal["image", "box", "square"]
_WHOLE = 0.02  # of a size: nearer to a whole number it is one


def frame_causes(with_images: bool) -> list[Cause]:
    """Frames to try, the simplest first; `with_images` where the sizes of the images are known."""
    frames: list[tuple[Frame, str, str]] = [
        ("image", "coordinates of the resized image", "of the image"),
        ("box", "coordinates of the crop (box)", "of the face box"),
        ("square", "coordinates of the crop (square)", "of a square about the face box"),
    ]
    image, *crops = (Cause(name, "frame", "", "", _out_of(f), fit=_fit(f), told=_told(what)) for f, name, what in frames)
    return [
        Cause("constant shift", "frame", "", "", lambda s, labels, p: s + p, fit=_shift, told=_told_shift),
        *([image] if with_images else []),
        Cause("constant scale", "frame", "", "", lambda s, labels, p: s * p, fit=_scale, told=_told_scale),
        Cause("coordinates relative to the box", "frame", "", "", _beside_the_box, fit=_fit_beside, told=_told_beside),
        *crops,
        Cause("constant scale and shift", "frame", "", "", lambda s, labels, p: s * p[0] + p[1], fit=_affine, told=_told_affine),
    ]


def _centres(points: Array, like: Array) -> tuple[Array, Array]:
    """Means of the points, (n, 2), and their spread about these, (n, 2), over the points that are known in both."""
    known = np.asarray(~np.isnan(points + like).any(axis=2, keepdims=True))
    n = np.maximum(known.sum(axis=1), 1)
    middle = np.where(known, points, 0.0).sum(axis=1) / n
    spread = np.sqrt((np.where(known, points - middle[:, None], 0.0) ** 2).sum(axis=1) / n)
    middle[~known.any(axis=(1, 2))] = np.nan
    return middle, spread


def _line(wanted: Array, given: Array, *, per_axis: bool) -> tuple[Array, Array]:
    """a (2,) and b (2,) of wanted = a given + b; by medians over the faces, so that some wild ones do not matter."""
    (to, size_to), (of, size_of) = _centres(wanted, given), _centres(given, wanted)
    if not per_axis:
        size_to, size_of = (np.repeat(np.sqrt((s**2).sum(axis=1, keepdims=True)), 2, axis=1) for s in (size_to, size_of))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(size_of > 0, size_to / size_of, np.nan)
    a = np.nanmedian(ratio, axis=0) if np.isfinite(ratio).any() else np.ones(2)
    return a, np.nanmedian(to - a * of, axis=0)


def _shift(s: Array, labels: Labelled) -> Array:
    return np.asarray(np.nanmedian(_centres(labels.points, s)[0] - _centres(s, labels.points)[0], axis=0))


def _scale(s: Array, labels: Labelled) -> float:
    to, of = _centres(labels.points, s)[0], _centres(s, labels.points)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (to * of).sum(axis=1) / (of**2).sum(axis=1)
    return float(np.nanmedian(ratio)) if np.isfinite(ratio).any() else 1.0


def _affine(s: Array, labels: Labelled) -> tuple[Array, Array]:
    return _line(labels.points, s, per_axis=False)


def _place(labels: Labelled, frame: Frame) -> tuple[Array, Array]:
    """Middle (n, 1, 2) and sides (n, 1, 2) of a frame in pixels."""
    if frame == "image":
        assert labels.image_px is not None
        side = labels.image_px
        return (side[:, None] - 1.0) / 2.0, side[:, None]
    low, high = labels.box_xyxy_px[:, None, :2], labels.box_xyxy_px[:, None, 2:]
    side = high - low
    return (low + high) / 2.0, side if frame == "box" else np.repeat(side.max(axis=2, keepdims=True), 2, axis=2)


def _fit(frame: Frame) -> Any:
    def fit(s: Array, labels: Labelled) -> tuple[Array, Array]:
        middle, side = _place(labels, frame)
        return _line((labels.points - middle) / side, s, per_axis=frame != "square")

    return fit


def _out_of(frame: Frame) -> Any:
    def undo(s: Array, labels: Labelled, p: tuple[Array, Array]) -> Array:
        middle, side = _place(labels, frame)
        return np.asarray(middle + side * (s * p[0] + p[1]))

    return undo


def _fit_beside(s: Array, labels: Labelled) -> Array:
    middle, side = _place(labels, "box")
    to, of = _centres(labels.points - middle, s)[0], _centres(s, labels.points)[0]
    return np.asarray(np.nanmedian((to - of) / side[:, 0], axis=0))


def _beside_the_box(s: Array, labels: Labelled, p: Array) -> Array:
    middle, side = _place(labels, "box")
    return np.asarray(s + middle + side * p)


# ------------------------------------------------------------------------------------------------- what was done


def _told_shift(shift: Array) -> tuple[str, str]:
    says = f"all points are shifted by {-shift[0]:.1f}, {-shift[1]:.1f} px"
    return says, f"add {shift[0]:.1f}, {shift[1]:.1f} px, the corner of the region that was cut out"


def _told_scale(scale: float) -> tuple[str, str]:
    return f"all coordinates are {1.0 / scale:.4g} times those of the original image", f"multiply by {scale:.4g}: undo the resizing"


def _told_affine(p: tuple[Array, Array]) -> tuple[str, str]:
    a, b = p
    says = "the points are those of a region cut out of the images, the same in each, and resized"
    return says, f"multiply by {a[0]:.4g} and add {b[0]:.1f}, {b[1]:.1f} px"


def _told_beside(p: Array) -> tuple[str, str]:
    margin = -2.0 * p
    if np.abs(margin - 1.0).max() < 2 * _WHOLE:
        return "the points are relative to the corner of the face box", "add x0, y0 of the box"
    says = f"the points are relative to the corner of a box {margin[0]:.2f} times as wide and {margin[1]:.2f} times as high as the face box"
    return says, "add x0, y0 of the box that was cut out"


def _told(what: str) -> Any:
    """How large the crop was, and what it was resized to: u = a p + b is -1/2 (times its enlargement m) at p = 0."""

    def told(p: tuple[Array, Array]) -> tuple[str, str]:
        a, b = (np.repeat(v.mean(), 2) for v in p) if "square" in what else p
        mend = "bring them to pixels of the original image before they are written"
        if np.abs(b).max() < 0.1 and (1.0 / a).max() < 4.0:
            return f"the coordinates are normalised to -1..1 about the middle {what}", mend
        size, m = -2.0 * b / a, -2.0 * b
        cut = "" if np.abs(m - 1.0).max() < 2 * _WHOLE else f", enlarged to {_both(m, 2)} times"
        if size.max() < 1.5:
            return f"the coordinates are normalised to 0..1 {what}{cut}", mend
        return f"the points are in pixels {what}{cut} and resized to about {_both(size, 0)} px", mend

    return told


def _both(v: Array, decimals: int) -> str:
    """Width and height, once where they are the same."""
    width, height = (f"{x:.{decimals}f}" for x in v)
    return width if width == height else f"{width} x {height}"
